//! Logs of one JSON object a line: Caddy, Traefik, Synapse, tokenshim, and what follows
//! the same habits; and the JSON in which journald and Docker wrap the lines of others.
//!
//! The object is walked over and not built. What is wrong with it is its own business:
//! a line that was cut gives the members before the cut.

mod walk;

use std::ops::Range;

use self::walk::{Member, Walk};
use super::{
    Format, LineReader, Part, Record,
    cursor::Cursor,
    escape::{self, Escape, Places, part},
    keys::{self, Key, Mark},
    matrix, request,
    time::{self, Clock},
};

/// A line that begins with `{`; none if that is all it has of JSON.
pub(super) fn read<'l>(
    reader: &LineReader,
    start: Cursor<'l>,
    depth: u8,
) -> Option<(Format, Record<'l>)> {
    let mut found = Found::default();
    for member in Walk::new(start) {
        found.members = found.members.saturating_add(1);
        if let Some(key) = keys::of(start.text(&member.parent), start.text(&member.name)) {
            found.note(start, key, &member, &reader.clock);
        }
    }
    (found.members > 0).then(|| found.finish(reader, start, depth))
}

#[derive(Default)]
struct Found<'l> {
    record: Record<'l>,
    /// Whether the target is known as it was sent, which the server's own idea of it is not.
    is_target_sent: bool,
    /// Of another: whether it has a query, and its length.
    target_weight: (bool, usize),
    query: Option<Part<'l>>,
    message: Option<Range<usize>>,
    mark: Option<Mark>,
    /// Whether Synapse's words are of a request.
    is_access: bool,
    members: usize,
}

impl<'l> Found<'l> {
    fn note(&mut self, start: Cursor<'l>, key: Key, member: &Member, clock: &Clock) {
        let (line, span) = (start.line(), member.value.clone());
        let raw = start.text(&span);
        let record = &mut self.record;
        match key {
            Key::Time => record.time = time_of(raw, clock).or(record.time),
            Key::Client => record.client = request::address(raw).or(record.client),
            Key::Status => {
                record.status = request::status(raw).map_or(record.status, |answer| answer.status);
            }
            Key::Mark(mark) => {
                // Others have members of these names too.
                let is_its_own = match mark {
                    Mark::CaddyLogger => raw.starts_with(b"http.log"),
                    Mark::SynapseNamespace => raw.starts_with(b"synapse."),
                    _ => true,
                };
                if is_its_own {
                    self.mark = Some(mark);
                    self.is_access = mark == Mark::SynapseNamespace && matrix::is_access(raw);
                }
            }
            // Of the rest only strings are meant.
            _ if !member.is_text => {}
            Key::Method => record.method = part(line, span, Escape::Backslash),
            Key::Target => {
                // The one with a query says more than any path, however that is written.
                let weight = (memchr::memchr(b'?', raw).is_some(), raw.len());
                if !self.is_target_sent && weight > self.target_weight {
                    self.target_weight = weight;
                    record.target = request::target(line, span, Escape::Backslash);
                }
            }
            Key::SentTarget => {
                let sent = request::target(line, span, Escape::Backslash);
                self.is_target_sent |= sent.is_some();
                record.target = sent.or(record.target.take());
            }
            Key::Line => self.is_target_sent |= note_line(record, line, span),
            Key::Query => self.query = part(line, span, Escape::Backslash),
            // Of a field sent twice the first counts.
            Key::Referer => {
                let referer = record.referer.take();
                record.referer = referer.or_else(|| part(line, span, Escape::Backslash));
            }
            Key::UserAgent => {
                let user_agent = record.user_agent.take();
                record.user_agent = user_agent.or_else(|| part(line, span, Escape::Backslash));
            }
            Key::Authorization => {
                let authorization = record.authorization.take();
                record.authorization =
                    authorization.or_else(|| part(line, span, Escape::Backslash));
            }
            Key::User if request::is_user(raw) => {
                record.user = part(line, span, Escape::Backslash);
            }
            Key::User => {}
            Key::Message => self.message = Some(span),
        }
    }

    fn finish(self, reader: &LineReader, start: Cursor<'l>, depth: u8) -> (Format, Record<'l>) {
        let Self {
            mut record,
            is_target_sent,
            query,
            message,
            mark,
            is_access,
            ..
        } = self;
        if let Some(query) = query.filter(|_| !is_target_sent) {
            join(&mut record, query);
        }
        let format = match mark {
            Some(Mark::DockerStream) => Format::Docker,
            Some(Mark::JournaldCursor) => Format::JournaldJson,
            Some(Mark::CaddyLogger) => Format::Caddy,
            Some(Mark::TraefikStatus) => Format::TraefikJson,
            Some(Mark::SynapseNamespace) => Format::SynapseJson,
            Some(Mark::TokenshimEnding) => Format::TokenshimJson,
            None => Format::Json,
        };
        let Some(message) = message else {
            return (format, record);
        };
        if format == Format::SynapseJson {
            if is_access {
                complete(&mut record, start, message);
            }
            return (format, record);
        }
        // Who has the request in members has no more to say in words.
        if record.target.is_some() {
            return (format, record);
        }
        let time = record.time;
        let (inner, mut record) = nested(reader, start, message, depth);
        record.date(time, false);
        (inner.within(format), record)
    }
}

/// Some tools name the request line so, others the path alone, others an id.
fn note_line<'l>(record: &mut Record<'l>, line: &'l [u8], span: Range<usize>) -> bool {
    let mut read = Record::default();
    request::read_line(&mut read, line, span, Escape::Backslash);
    let is_line = read.method.is_some();
    if is_line {
        record.method = read.method;
        record.target = read.target;
    }
    is_line
}

/// Path and query of two members: one target, with the place of its query, where the
/// secrets are.
fn join<'l>(record: &mut Record<'l>, query: Part<'l>) {
    let path = record.target.as_ref().map(|path| &*path.text);
    // Without one they are arguments of something else.
    if let Some(path) = path.filter(|path| memchr::memchr(b'?', path).is_none()) {
        let text = [path, b"?", &query.text].concat().into();
        record.target = Some(Part {
            span: query.span,
            text,
        });
    }
}

/// Synapse says the status only in words.
fn complete<'l>(record: &mut Record<'l>, start: Cursor<'l>, message: Range<usize>) {
    let text = escape::unescaped(start.text(&message), Escape::Backslash);
    if let Some(said) = matrix::access_line(Cursor::new(&text, 0)) {
        record.status = said.status;
        record.client = record.client.or(said.client);
        if record.target.is_none() || record.user.is_none() {
            let moved = moved(&said, start, &message);
            record.target = record.target.take().or(moved.target);
            record.user = record.user.take().or(moved.user);
        }
    }
}

/// The line in a string. Without escapes it is read where it stands.
fn nested<'l>(
    reader: &LineReader,
    start: Cursor<'l>,
    message: Range<usize>,
    depth: u8,
) -> (Format, Record<'l>) {
    if depth >= super::DEEPEST {
        return (Format::Text, Record::default());
    }
    let depth = depth.saturating_add(1);
    let raw = start.text(&message);
    let raw = without(without(raw, b"\\n"), b"\\r");
    let message = message.start..message.start.saturating_add(raw.len());
    if memchr::memchr(b'\\', raw).is_none() {
        let line = start.ending(message.end).line();
        return reader.inside(line, message.start, depth);
    }
    let text = escape::unescaped(raw, Escape::Backslash);
    let (format, record) = reader.inside(&text, 0, depth);
    (format, moved(&record, start, &message))
}

/// Less an escape at the end, unless its backslash is one that was escaped.
fn without<'r>(raw: &'r [u8], escape: &[u8]) -> &'r [u8] {
    let Some(rest) = raw.strip_suffix(escape) else {
        return raw;
    };
    let slashes = rest.iter().rev().take_while(|byte| **byte == b'\\').count();
    if slashes % 2 == 0 { rest } else { raw }
}

/// A record of the unescaped `message`, with the places of the line around it.
fn moved<'l>(record: &Record<'_>, start: Cursor<'l>, message: &Range<usize>) -> Record<'l> {
    let mut places = Places::new(start.text(message));
    let mut part = |part: &Option<Part<'_>>| {
        let part = part.as_ref()?;
        let [from, to] = [part.span.start, part.span.end]
            .map(|offset| places.raw(offset).saturating_add(message.start));
        let raw = start.text(&(from..to));
        let text = if raw == &*part.text {
            raw.into()
        } else {
            part.text.to_vec().into()
        };
        Some(Part {
            span: from..to,
            text,
        })
    };
    Record {
        user: part(&record.user),
        method: part(&record.method),
        target: part(&record.target),
        referer: part(&record.referer),
        user_agent: part(&record.user_agent),
        authorization: part(&record.authorization),
        time: record.time,
        is_year_guessed: record.is_year_guessed,
        client: record.client,
        status: record.status,
    }
}

fn time_of(raw: &[u8], clock: &Clock) -> Option<jiff::Timestamp> {
    time::iso(raw, clock)
        .map(|(time, _)| time)
        .or_else(|| time::epoch(raw))
        .or_else(|| time::clf(raw, clock))
}
