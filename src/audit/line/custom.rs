//! Formats that are given as nginx has them: `log_format main '$remote_addr …';`.
//!
//! A line is cut where the text between two variables stands next, and the value behind it
//! can be what its variable may be (a status, a time, an address); else the line has another
//! format. nginx escapes quotes in values and no other separator, so that a line is read
//! from its end too, and only what both say is known.

mod backwards;
mod directive;
mod typed;

use std::ops::Range;

use smallvec::SmallVec;

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
    /// Of several upstreams a list, with blanks.
    Upstream,
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
        let line = cursor.line();
        let mut record = Record::default();
        let mut spans: SmallVec<[Range<usize>; 16]> = SmallVec::new();
        for (place, piece) in self.pieces.iter().enumerate() {
            cursor.skip(&piece.before)?;
            let Some(length) = self.value_length(cursor, place, clock) else {
                // nginx cuts no access log; a full disk and a copy do.
                spans.push(cursor.at()..line.len());
                self.note_cut(&mut record, place, cursor, clock)?;
                self.doubt(&mut record, line, &spans, clock);
                return Some(record);
            };
            let span = cursor.at()..cursor.at().saturating_add(length);
            self.note(&mut record, piece, cursor, span.clone(), clock)?;
            spans.push(span);
            cursor.forward(length);
        }
        cursor.skip(&self.end)?;
        cursor.is_over().then_some(())?;
        self.doubt(&mut record, line, &spans, clock);
        Some(record)
    }

    /// What stands behind a variable.
    fn literal_behind(&self, place: usize) -> &[u8] {
        let next = self.pieces.get(place.saturating_add(1));
        next.map_or(&self.end, |piece| &piece.before)
    }

    /// A line that ends within a value, if enough of it was read to be sure.
    fn note_cut<'l>(
        &self,
        record: &mut Record<'l>,
        place: usize,
        cursor: Cursor<'l>,
        clock: &Clock,
    ) -> Option<()> {
        let piece = self.pieces.get(place)?;
        let first = self.literal_behind(place).get(..1)?;
        let is_sure = (record.time.is_some() || record.status.is_some())
            && self.find_end(cursor, first).is_none();
        let is_text = matches!(
            piece.meaning,
            Meaning::Line | Meaning::Target | Meaning::Referer | Meaning::UserAgent
        );
        (is_sure && is_text).then_some(())?;
        // Values that are missing cannot be read from the end: a quote must tell.
        let mut ahead = self.pieces.iter().take(place);
        let is_told = ahead.any(|piece| {
            piece.meaning == Meaning::Status
                && self.escape == Escape::Backslash
                && piece.before.contains(&b'"')
        });
        if !is_told {
            record.status = None;
        }
        let span = cursor.at()..cursor.line().len();
        self.note(record, piece, cursor, span, clock)
    }

    /// The length of the value of the variable at `place`.
    fn value_length(&self, cursor: Cursor<'_>, place: usize, clock: &Clock) -> Option<usize> {
        let (piece, rest) = (self.pieces.get(place)?, cursor.rest());
        let literal = self.literal_behind(place);
        let is_quoted = self.escape == Escape::Backslash && literal.starts_with(b"\"");
        let next = place.saturating_add(1);
        let Some(behind) = self.pieces.get(next).filter(|_| !is_quoted) else {
            return if is_quoted {
                self.find_end(cursor, literal)
            } else {
                rest.strip_suffix(literal).map(<[u8]>::len)
            };
        };
        if let Some(length) = typed::length(piece.meaning, rest, literal) {
            return Some(length);
        }
        let ending = self.literal_behind(next);
        memchr::memmem::find_iter(rest, literal).find(|at| {
            let value = rest.get(at.saturating_add(literal.len())..);
            !(piece.meaning == Meaning::Upstream && is_within_list(rest, *at))
                && typed::may_begin(behind.meaning, value.unwrap_or_default(), ending, clock)
        })
    }

    /// Where `literal` stands next; a quote is the next that nothing escapes.
    fn find_end(&self, cursor: Cursor<'_>, literal: &[u8]) -> Option<usize> {
        if self.escape == Escape::Backslash && literal.starts_with(b"\"") {
            let end = cursor::string_end(cursor.line(), cursor.at());
            let behind = cursor.line().get(end..)?;
            let length = end.saturating_sub(cursor.at());
            return behind.starts_with(literal).then_some(length);
        }
        memchr::memmem::find(cursor.rest(), literal)
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
            Meaning::User | Meaning::Upstream | Meaning::Other => {}
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

/// Whether a blank is one of `10.0.0.1:8008, 10.0.0.2:8008 : 10.0.0.3:8008`.
fn is_within_list(text: &[u8], at: usize) -> bool {
    let (before, behind) = text.split_at_checked(at).unwrap_or_default();
    before.ends_with(b",") || before.ends_with(b" :") || behind.starts_with(b" : ")
}
