//! What a log line says of a request, whatever wrote it.
//!
//! Each line is looked at by itself, so that parts of a log, in any split, are read as the
//! whole is, and files may be mixed. How it begins says which formats it may have; the
//! format's own marks decide. What envelopes hold (syslog, journald, Docker) is read again,
//! and places stay places of the whole line.
//!
//! Whatever the bytes are, there is an answer, in time linear to the line: a line that
//! nobody understands is [`Format::Text`], and one that was cut gives what it still has.
//! It declines to know the time: what a line leaves out of its date comes from the caller.

mod alb;
mod clf;
mod cursor;
pub mod custom;
mod envelope;
mod envoy;
mod escape;
mod family;
mod format;
mod haproxy;
mod json;
mod keys;
mod matrix;
mod nginx_error;
mod request;
#[cfg(test)]
mod tests;
mod time;

use std::{borrow::Cow, fmt, net::IpAddr, ops::Range};

use jiff::{Timestamp, Zoned};

use self::{cursor::Cursor, envelope::Exported, time::Clock};
pub use self::{
    custom::{BadLogFormat, LogFormat},
    family::family_of,
    format::Format,
};

/// Envelopes within envelopes: Docker's JSON holds a syslog line, which holds JSON.
const DEEPEST: u8 = 4;

/// A part of a line. It may hold a secret, so `Debug` tells its place alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Part<'l> {
    /// Where it stands, still escaped.
    pub span: Range<usize>,
    /// What it says, without the escapes of its format.
    pub text: Cow<'l, [u8]>,
}

impl fmt::Debug for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Part({:?})", self.span)
    }
}

/// What a line says, each part as far as its format has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record<'l> {
    /// When the request came, or was done with.
    pub time: Option<Timestamp>,
    /// Whether the line names a day and no year, so that it may be of any year.
    pub is_year_guessed: bool,
    /// Who sent it.
    pub client: Option<IpAddr>,
    /// `GET`.
    pub method: Option<Part<'l>>,
    /// Path and query.
    pub target: Option<Part<'l>>,
    /// What it was answered.
    pub status: Option<u16>,
    /// `Referer`.
    pub referer: Option<Part<'l>>,
    /// `User-Agent`.
    pub user_agent: Option<Part<'l>>,
    /// The Matrix user, where the log names one. Never what a client calls itself.
    pub user: Option<Part<'l>>,
    /// `Authorization`, in the few logs that have it.
    pub authorization: Option<Part<'l>>,
}

impl Record<'_> {
    /// Which part of the line the byte at `offset` belongs to.
    #[must_use]
    pub fn field_at(&self, offset: usize) -> Field {
        self.part_at(offset)
            .map_or(Field::Other, |(field, _)| field)
    }

    /// Whether the byte at `offset` is of the request's own `Authorization`.
    #[must_use]
    pub fn is_authorization(&self, offset: usize) -> bool {
        let field = self.authorization.as_ref();
        field.is_some_and(|part| part.span.contains(&offset))
    }

    /// Of a secret at `span` what is in the part in which it begins.
    ///
    /// Some formats end a part with what may stand in a value too: HAProxy has `|` and `}`.
    #[must_use]
    pub fn cut(&self, span: Range<usize>) -> Range<usize> {
        // A parameter without a value ends with its part as well.
        let parts = [
            &self.target,
            &self.referer,
            &self.user_agent,
            &self.authorization,
        ];
        let end = parts
            .into_iter()
            .flatten()
            .filter(|part| (part.span.start..=part.span.end).contains(&span.start))
            .map(|part| part.span.end.min(span.end))
            .next()
            .unwrap_or(span.end);
        span.start..end
    }

    /// Takes the time of what is around the line, unless it says a better one itself: a
    /// year that was written is better than one that was guessed.
    pub(in crate::audit) fn date(&mut self, time: Option<Timestamp>, is_year_guessed: bool) {
        if time.is_some() && (self.time.is_none() || (self.is_year_guessed && !is_year_guessed)) {
            (self.time, self.is_year_guessed) = (time, is_year_guessed);
        }
    }

    fn part_at(&self, offset: usize) -> Option<(Field, &Part<'_>)> {
        [
            (Field::Request, &self.target),
            (Field::Referer, &self.referer),
            (Field::UserAgent, &self.user_agent),
        ]
        .into_iter()
        .find_map(|(field, part)| {
            let part = part.as_ref()?;
            part.span.contains(&offset).then_some((field, part))
        })
    }
}

/// The part of a line in which something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// The target of the request.
    Request,
    /// `Referer`.
    Referer,
    /// `User-Agent`.
    UserAgent,
    /// Anywhere else, or in a line that nobody understood.
    Other,
}

/// Reads lines of any known format.
#[derive(Clone, Debug, Default)]
pub struct LineReader {
    custom: Vec<LogFormat>,
    clock: Clock,
}

impl LineReader {
    /// One that knows the formats of `custom` before all others.
    ///
    /// Until [`at`](Self::at) tells more, local times are taken for UTC, and dates without
    /// a year are left out.
    #[must_use]
    pub fn new(custom: &[LogFormat]) -> Self {
        Self {
            custom: custom.to_vec(),
            ..Self::default()
        }
    }

    /// Reads times without a zone in that of `now`, and dates without a year as the last
    /// before it.
    #[must_use]
    pub fn at(mut self, now: &Zoned) -> Self {
        self.clock = Clock::at(now);
        self
    }

    /// What `line` is, and what it says. A line end behind it is no part of it.
    #[must_use]
    pub fn read<'l>(&self, line: &'l [u8]) -> (Format, Record<'l>) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if let Some(message) = envelope::exported(line) {
            let (format, record) = match message {
                Exported::Message(from) => self.inside(line, from, 1),
                Exported::Other => (Format::Text, Record::default()),
            };
            return (format.within(Format::JournaldExport), record);
        }
        self.inside(line, 0, 0)
    }

    /// The same of what begins at `from`, inside of so many envelopes.
    fn inside<'l>(&self, line: &'l [u8], from: usize, depth: u8) -> (Format, Record<'l>) {
        let start = Cursor::new(line, from);
        for format in &self.custom {
            if let Some(record) = format.read(start, &self.clock) {
                return (Format::Custom, record);
            }
        }
        self.of_its_own(start, depth)
            .or_else(|| clf::read(start))
            .or_else(|| alone(haproxy::read(start, &self.clock), Format::Haproxy))
            .or_else(|| alone(matrix::unprefixed(start), Format::Synapse))
            .unwrap_or_default()
    }

    /// Formats that their first bytes tell.
    fn of_its_own<'l>(&self, start: Cursor<'l>, depth: u8) -> Option<(Format, Record<'l>)> {
        match start.rest() {
            [b'{', ..] => json::read(self, start, depth),
            [b'[', ..] => alone(envoy::read(start, &self.clock), Format::Envoy),
            [b'<', b'0'..=b'9', ..] => envelope::syslog(self, start, depth),
            [b'0'..=b'9', _, _, _, b'/', ..] => {
                alone(nginx_error::read(start, &self.clock), Format::NginxError)
            }
            [b'0'..=b'9', _, _, _, b'-', ..] => {
                matrix::read(start, &self.clock).or_else(|| envelope::stamped(self, start, depth))
            }
            [b'0'..=b'9', b'0'..=b'9', rest @ ..] if rest.get(8) == Some(&b'.') => {
                envelope::unix(self, start, depth)
            }
            [b'A'..=b'Z', b'a'..=b'z', b'a'..=b'z', b' ', ..] => {
                envelope::syslog(self, start, depth)
            }
            [b'h' | b'w' | b'g', ..] => alone(alb::read(start, &self.clock), Format::Alb),
            _ => None,
        }
    }

    /// What an envelope holds; it has the envelope's time if it has none of its own.
    fn within<'l>(
        &self,
        envelope: Format,
        (time, is_year_guessed): (Option<Timestamp>, bool),
        message: Cursor<'l>,
        depth: u8,
    ) -> (Format, Record<'l>) {
        if depth >= DEEPEST {
            let mut record = Record::default();
            record.date(time, is_year_guessed);
            return (envelope, record);
        }
        let (format, mut record) =
            self.inside(message.line(), message.at(), depth.saturating_add(1));
        record.date(time, is_year_guessed);
        (format.within(envelope), record)
    }
}

fn alone(record: Option<Record<'_>>, format: Format) -> Option<(Format, Record<'_>)> {
    record.map(|record| (format, record))
}
