//! Synapse's lines of text, and those of Matrix Authentication Service.

use super::{
    Format, Record,
    cursor::Cursor,
    escape::{Escape, part},
    request,
    time::{self, Clock},
};

/// In every access line of Synapse, whatever its `log_config` puts before it.
const PROCESSED: &[u8] = b"} Processed request: ";
const RECEIVED: &[u8] = b" - Received request: ";
/// What writes the two.
const LOGGERS: [&[u8]; 2] = [b"synapse.access", b"synapse.http.site"];
pub(super) const LEVELS: [&[u8]; 5] = [b"TRACE", b"DEBUG", b"INFO", b"WARN", b"ERROR"];

/// A line that begins with a date, if one of the two wrote it.
pub(super) fn read<'l>(start: Cursor<'l>, clock: &Clock) -> Option<(Format, Record<'l>)> {
    let (time, width) = time::iso(start.rest(), clock)?;
    let mut cursor = start;
    cursor.forward(width);
    let known = mas(cursor)
        .map(|record| (Format::Mas, record))
        .or_else(|| synapse(cursor).map(|record| (Format::Synapse, record)));
    known.map(|(format, mut record)| {
        record.time = Some(time);
        (format, record)
    })
}

/// ` - synapse.access.http.8008 - 302 - INFO - GET-1 - …`, with or without the dashes.
///
/// The logger comes first: what an access line says may stand in any other line too, as a
/// client's `User-Agent` or a remote server's error.
fn synapse(start: Cursor<'_>) -> Option<Record<'_>> {
    let mut cursor = start;
    cursor.skip(b" ")?;
    let _dash = cursor.skip(b"- ");
    cursor.rest().starts_with(b"synapse.").then_some(())?;
    let access = is_access(cursor.rest()).then(|| access_line(cursor));
    Some(
        access
            .flatten()
            .or_else(|| refused(cursor))
            .unwrap_or_default(),
    )
}

/// Whether a logger of this name writes access lines; others write what they were sent.
pub(super) fn is_access(logger: &[u8]) -> bool {
    LOGGERS.iter().any(|known| logger.starts_with(known))
}

/// An access line behind whatever a `log_config` puts there, in a line of no other format.
///
/// Nobody's request stands before it, and it is whole: then no client wrote it into a line
/// of something that we do not know.
pub(super) fn unprefixed(start: Cursor<'_>) -> Option<Record<'_>> {
    let line = start.rest();
    let is_whole = line.ends_with(b" dbevts]");
    let mark = memchr::memmem::find(line, PROCESSED)
        .filter(|_| is_whole)
        .or_else(|| memchr::memmem::find(line, RECEIVED))?;
    let head = line.get(..mark)?;
    if memchr::memchr2(b'/', b'"', head).is_some() {
        return None;
    }
    if is_whole {
        access_line(start)
    } else {
        received(start)
    }
}

/// `… <SynapseRequest at 0x1 method='GET' uri='/p' clientproto='HTTP/1.1' site='1'>
/// SynapseError: 401 - …`, on one line: written beside the access line, in Python's quotes.
fn refused(start: Cursor<'_>) -> Option<Record<'_>> {
    let mut cursor = start;
    go_behind(&mut cursor, b"Request at 0x")?;
    go_behind(&mut cursor, b" method=")?;
    let line = cursor.line();
    let from = cursor.at().saturating_add(1);
    go_behind(&mut cursor, b" uri=")?;
    // The quote in front of the blank.
    let method = from..cursor.at().saturating_sub(b"' uri=".len());
    let from = cursor.at().saturating_add(1);
    go_behind(&mut cursor, b" clientproto=")?;
    let target = from..cursor.at().saturating_sub(b"' clientproto=".len());
    let mut record = Record {
        method: part(line, method, Escape::Backslash),
        target: request::target(line, target, Escape::Backslash),
        ..Record::default()
    };
    if go_behind(&mut cursor, b"> SynapseError: ").is_some() {
        let status = cursor.word().unwrap_or_default();
        record.status = request::status(cursor.text(&status)).and_then(|answer| answer.status);
    }
    Some(record)
}

fn go_behind(cursor: &mut Cursor<'_>, mark: &[u8]) -> Option<()> {
    let at = memchr::memmem::find(cursor.rest(), mark)?;
    cursor.forward(at.saturating_add(mark.len()));
    Some(())
}

/// `client - site - {user} Processed request: … 200 "GET /p HTTP/1.1" "user agent" [1 dbevts]`.
///
/// Nothing is escaped, but Synapse's last quote is the last of the line.
pub(super) fn access_line(start: Cursor<'_>) -> Option<Record<'_>> {
    let Some(found) = memchr::memmem::find(start.rest(), PROCESSED) else {
        return received(start);
    };
    let line = start.line();
    let brace = start.at().saturating_add(found);
    let head = start.ending(brace);
    let opened = memchr::memmem::rfind(head.rest(), b" - {")?;
    let requester = start.at().saturating_add(opened).saturating_add(4)..brace;
    let mut record = Record {
        client: client(start.ending(start.at().saturating_add(opened))),
        ..Record::default()
    };
    note_user(&mut record, start, requester);
    let mut cursor = start;
    cursor.jump(brace.saturating_add(PROCESSED.len()));
    let times = cursor.until(b'"')?;
    record.status = status(cursor.text(&times));
    let from = cursor.at();
    let end = memchr::memmem::rfind(cursor.rest(), b"\" [");
    let strings = cursor.ending(end.map_or(line.len(), |end| from.saturating_add(end)));
    let end = strings.line().len();
    let length = memchr::memmem::find(strings.rest(), b"\" \"").unwrap_or(strings.rest().len());
    let between = from.saturating_add(length);
    request::read_line(&mut record, line, from..between, Escape::None);
    let user_agent = between.saturating_add(3);
    if user_agent < end {
        record.user_agent = part(line, user_agent..end, Escape::None);
    }
    Some(record)
}

fn received(start: Cursor<'_>) -> Option<Record<'_>> {
    let at = memchr::memmem::find(start.rest(), RECEIVED)?;
    let at = start.at().saturating_add(at);
    let mut record = Record {
        client: client(start.ending(at)),
        ..Record::default()
    };
    let from = at.saturating_add(RECEIVED.len());
    let line = start.line();
    request::read_line(&mut record, line, from..line.len(), Escape::None);
    Some(record)
}

/// `… client - site`.
fn client(head: Cursor<'_>) -> Option<std::net::IpAddr> {
    let rest = head.rest();
    let site = memchr::memmem::rfind(rest, b" - ")?;
    let rest = rest.get(..site)?;
    let blank = memchr::memrchr(b' ', rest).map_or(0, |at| at.saturating_add(1));
    request::address(rest.get(blank..)?)
}

/// `@user:hs`, or `@admin:hs|@user:hs` where one acts as another: the first has the token.
fn note_user<'l>(record: &mut Record<'l>, start: Cursor<'l>, mut span: std::ops::Range<usize>) {
    let text = start.text(&span);
    if let Some(bar) = memchr::memchr(b'|', text) {
        span.end = span.start.saturating_add(bar);
    }
    if request::is_user(start.text(&span)) {
        record.user = part(start.line(), span, Escape::None);
    }
}

/// The last word; `!` behind it says that the client had gone.
fn status(text: &[u8]) -> Option<u16> {
    let text = text.trim_ascii_end();
    let blank = memchr::memrchr(b' ', text)?;
    let word = text.get(blank.saturating_add(1)..)?;
    request::status(word.strip_suffix(b"!").unwrap_or(word))?.status
}

/// `  INFO http.server.response GET-1 - "GET /p HTTP/1.1" 200 "user agent" […] client.address=…`
fn mas(start: Cursor<'_>) -> Option<Record<'_>> {
    let mut cursor = start;
    cursor.blanks();
    let level = cursor.word()?;
    LEVELS.contains(&cursor.text(&level)).then_some(())?;
    if cursor.rest().starts_with(b"mas_") {
        return Some(Record::default());
    }
    cursor.skip(b"http.server.response ")?;
    let mut record = Record::default();
    let line = cursor.line();
    let quote = memchr::memmem::find(cursor.rest(), b"- \"")?;
    cursor.forward(quote.saturating_add(2));
    let request = cursor.string()?;
    request::read_line(&mut record, line, request, Escape::Backslash);
    if cursor.skip(b" ").is_none() {
        return Some(record);
    }
    record.status = request::status(cursor.text(&cursor.word()?))?.status;
    if let Some(user_agent) = cursor.string() {
        record.user_agent = part(line, user_agent, Escape::Backslash);
    }
    if go_behind(&mut cursor, b" client.address=").is_some() {
        let client = cursor.word().unwrap_or_default();
        record.client = request::address(cursor.text(&client));
    }
    Some(record)
}
