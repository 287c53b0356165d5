//! Formats that are given as nginx has them: `log_format main '$remote_addr …';`.
//!
//! A line is cut where the text between two variables stands next. That finds what nginx
//! wrote, since it escapes what could be mistaken in a value; a value that is not what its
//! variable may be (a status, a time, an address) means that the line has another format.

mod directive;

use std::ops::Range;

pub use self::directive::BadLogFormat;
use super::{
    Record,
    cursor::{self, Cursor},
    escape::{Escape, part},
    request,
    time::{self, Clock},
};

/// A `log_format` of nginx.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFormat {
    name: String,
    escape: Escape,
    pieces: Vec<Piece>,
    /// What stands behind the last variable.
    end: Vec<u8>,
}

/// Variables with nothing between them, and what stands before them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    before: Vec<u8>,
    meaning: Meaning,
    /// Whether something else stands directly before the target: `$host$request_uri`.
    is_behind_other: bool,
}

/// What a variable says, as far as we ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Line,
    Target,
    Method,
    Status,
    LocalTime,
    IsoTime,
    Epoch,
    Client,
    User,
    Referer,
    UserAgent,
    Authorization,
    Other,
}

const VARIABLES: [(&str, Meaning); 20] = [
    ("request", Meaning::Line),
    ("request_uri", Meaning::Target),
    ("uri", Meaning::Target),
    ("document_uri", Meaning::Target),
    ("is_args", Meaning::Target),
    ("args", Meaning::Target),
    ("query_string", Meaning::Target),
    ("request_method", Meaning::Method),
    ("status", Meaning::Status),
    ("time_local", Meaning::LocalTime),
    ("time_iso8601", Meaning::IsoTime),
    ("msec", Meaning::Epoch),
    ("remote_addr", Meaning::Client),
    ("proxy_protocol_addr", Meaning::Client),
    ("realip_remote_addr", Meaning::Client),
    ("upstream_http_x_matrix_user", Meaning::User),
    ("matrix_user", Meaning::User),
    ("http_referer", Meaning::Referer),
    ("http_user_agent", Meaning::UserAgent),
    ("http_authorization", Meaning::Authorization),
];

impl LogFormat {
    /// Reads the directive as it stands in nginx's configuration.
    pub fn parse(directive: &str) -> Result<Self, BadLogFormat> {
        directive::parse(directive)
    }

    /// `main` of `log_format main …`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What a line of this format says.
    pub(super) fn read<'l>(&self, start: Cursor<'l>, clock: &Clock) -> Option<Record<'l>> {
        let mut cursor = start;
        let mut record = Record::default();
        let mut next = self.pieces.iter();
        let mut piece = next.next()?;
        cursor.skip(&piece.before)?;
        loop {
            let behind = next.next();
            let literal = behind.map_or(&self.end, |piece| &piece.before);
            let Some(length) = self.value_length(cursor, literal) else {
                // nginx cuts no access log; a full disk and a copy do.
                return self.read_cut(record, piece, cursor, literal, clock);
            };
            let span = cursor.at()..cursor.at().saturating_add(length);
            self.note(&mut record, piece, cursor, span, clock)?;
            cursor.forward(length);
            cursor.skip(literal)?;
            match behind {
                Some(behind) => piece = behind,
                None => return cursor.is_over().then_some(record),
            }
        }
    }

    /// A line that ends within a value, if enough of it was read to be sure.
    fn read_cut<'l>(
        &self,
        mut record: Record<'l>,
        piece: &Piece,
        cursor: Cursor<'l>,
        literal: &[u8],
        clock: &Clock,
    ) -> Option<Record<'l>> {
        let is_sure = (record.time.is_some() || record.status.is_some())
            && self.value_length(cursor, literal.get(..1)?).is_none();
        let is_text = matches!(
            piece.meaning,
            Meaning::Line | Meaning::Target | Meaning::Referer | Meaning::UserAgent
        );
        let span = cursor.at()..cursor.line().len();
        if is_sure && is_text {
            self.note(&mut record, piece, cursor, span, clock)?;
            return Some(record);
        }
        None
    }

    fn value_length(&self, cursor: Cursor<'_>, literal: &[u8]) -> Option<usize> {
        let rest = cursor.rest();
        if literal.is_empty() {
            return Some(rest.len());
        }
        if self.escape == Escape::Backslash && literal.starts_with(b"\"") {
            let end = cursor::string_end(cursor.line(), cursor.at());
            let is_found = cursor
                .line()
                .get(end..)
                .is_some_and(|behind| behind.starts_with(literal));
            return is_found.then(|| end.saturating_sub(cursor.at()));
        }
        memchr::memmem::find(rest, literal)
    }

    /// None if the value is none that the variable may have.
    fn note<'l>(
        &self,
        record: &mut Record<'l>,
        piece: &Piece,
        cursor: Cursor<'l>,
        span: Range<usize>,
        clock: &Clock,
    ) -> Option<()> {
        let line = cursor.line();
        let text = cursor.text(&span);
        match piece.meaning {
            Meaning::Line => request::read_line(record, line, span, self.escape),
            Meaning::Target => self.note_target(record, piece, line, span),
            Meaning::Method => record.method = part(line, span, self.escape),
            Meaning::Status => record.status = request::status(text)?.status,
            Meaning::LocalTime => record.time = Some(time::clf(text, clock)?),
            Meaning::IsoTime => record.time = Some(time::iso(text, clock)?.0),
            Meaning::Epoch => record.time = Some(time::epoch(text)?),
            Meaning::Client => {
                let client = request::address(text);
                if client.is_none() && !matches!(text, b"" | b"-" | b"unix:") {
                    return None;
                }
                record.client = record.client.or(client);
            }
            Meaning::User if request::is_user(text) => record.user = part(line, span, self.escape),
            Meaning::Referer => record.referer = part(line, span, self.escape),
            Meaning::UserAgent => record.user_agent = part(line, span, self.escape),
            Meaning::Authorization => record.authorization = part(line, span, self.escape),
            Meaning::User | Meaning::Other => {}
        }
        Some(())
    }

    /// `$uri?$args` is one target; of several the longest says most.
    fn note_target<'l>(
        &self,
        record: &mut Record<'l>,
        piece: &Piece,
        line: &'l [u8],
        mut span: Range<usize>,
    ) {
        if piece.is_behind_other {
            let text = line.get(span.clone()).unwrap_or_default();
            let path = memchr::memchr(b'/', text).unwrap_or_default();
            span.start = span.start.saturating_add(path);
        }
        let known = record.target.as_ref().map(|part| part.span.clone());
        if let Some(known) = &known
            && piece.before == b"?"
            && known.end.saturating_add(1) == span.start
        {
            span.start = known.start;
        }
        if known.is_none_or(|known| known.len() < span.len()) {
            record.target = request::target(line, span, self.escape);
        }
    }
}
