//! Envoy's default format, and Istio's, which has more columns in its middle.

use std::net::IpAddr;

use super::{
    Record,
    cursor::Cursor,
    escape::{Escape, part},
    request,
    time::{self, Clock},
};

/// `[time] "GET /p HTTP/1.1" 200 - 0 5 1 0 "forwarded for" "user agent" "id" "host" "upstream"`.
///
/// Envoy escapes nothing, so a client may write quotes into its user agent; behind them
/// only what nobody asks for stands.
pub(super) fn read<'l>(start: Cursor<'l>, clock: &Clock) -> Option<Record<'l>> {
    let mut cursor = start;
    let line = cursor.line();
    cursor.skip(b"[")?;
    let date = cursor.until(b']')?;
    let mut record = Record {
        time: Some(time::iso(cursor.text(&date), clock)?.0),
        ..Record::default()
    };
    cursor.skip(b" ")?;
    let request = cursor.request_line(|cursor| {
        cursor.skip(b"\"")?;
        let from = cursor.at();
        Some(cursor.until(b'"').unwrap_or(from..cursor.line().len()))
    })?;
    request::read_line(&mut record, line, request, Escape::None);
    if cursor.skip(b" ").is_none() {
        return Some(record);
    }
    record.status = request::status(cursor.text(&cursor.word()?))?.status;
    // Two strings with a blank between them: who, and with what.
    while cursor.until(b'"').is_some() {
        let Some(first) = cursor.until(b'"') else {
            break;
        };
        if cursor.skip(b" \"").is_some() {
            let from = cursor.at();
            let end = cursor.until(b'"').map_or(line.len(), |span| span.end);
            record.client = downstream(line).or_else(|| last_address(cursor.text(&first)));
            record.user_agent = part(line, from..end, Escape::None);
            break;
        }
    }
    Some(record)
}

/// Behind the last string of Istio's line: `cluster local local-downstream downstream name
/// route`.
fn downstream(line: &[u8]) -> Option<IpAddr> {
    let quote = memchr::memrchr(b'"', line)?;
    let behind = line.get(quote.saturating_add(1)..)?.trim_ascii();
    let mut words = behind.split(|byte| *byte == b' ');
    let address = words.nth(3)?;
    (words.count() == 2)
        .then(|| request::address(address))
        .flatten()
}

/// Whoever forwards adds the address of whom it heard from; all before that the client may
/// have written itself.
fn last_address(text: &[u8]) -> Option<IpAddr> {
    request::address(text.rsplit(|byte| *byte == b',').next()?)
}
