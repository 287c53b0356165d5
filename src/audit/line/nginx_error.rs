//! nginx's error log.

use super::{
    Record,
    cursor::Cursor,
    escape::{Escape, part},
    request,
    time::{self, Clock},
};

/// `2026/01/01 00:00:00 [error] 1#1: *1 message, client: …, server: …, request: "…",
/// host: "…", referrer: "…"`, on one line, which nginx cuts behind 2 kB.
///
/// nginx escapes nothing here, so a client that sends quotes can mislead about its own line.
pub(super) fn read<'l>(start: Cursor<'l>, clock: &Clock) -> Option<Record<'l>> {
    let time = time::nginx_error(start.rest().get(..19)?, clock)?;
    let mut cursor = start;
    cursor.forward(19);
    cursor.skip(b" [")?;
    cursor.until(b']')?;
    let line = start.line();
    let mut record = Record {
        time: Some(time),
        ..Record::default()
    };
    if let Some(from) = behind(cursor, b", client: ") {
        cursor = Cursor::new(line, from);
        let end = cursor.until(b',').map_or(line.len(), |span| span.end);
        record.client = request::address(cursor.text(&(from..end)));
        cursor = Cursor::new(line, end);
    }
    if let Some(from) = behind(cursor, b", request: \"") {
        let end = quoted_end(line, from);
        request::read_line(&mut record, line, from..end, Escape::None);
        cursor = Cursor::new(line, end);
    }
    if let Some(from) = behind(cursor, b", referrer: \"") {
        let end = quoted_end(line, from);
        record.referer = part(line, from..end, Escape::None);
    }
    Some(record)
}

fn behind(cursor: Cursor<'_>, mark: &[u8]) -> Option<usize> {
    let at = memchr::memmem::find(cursor.rest(), mark)?;
    Some(cursor.at().saturating_add(at).saturating_add(mark.len()))
}

/// The quote that the next field or the line's end follows; the end of a line that was cut.
fn quoted_end(line: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(length) = memchr::memchr(b'"', line.get(at..).unwrap_or_default()) {
        at = at.saturating_add(length);
        match line.get(at.saturating_add(1)..) {
            None | Some([] | [b',', b' ', ..]) => return at,
            _ => at = at.saturating_add(1),
        }
    }
    line.len()
}
