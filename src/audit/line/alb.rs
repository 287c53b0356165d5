//! The access log of AWS's application load balancer.

use super::{
    Record,
    cursor::Cursor,
    escape::{Escape, part},
    request,
    time::{self, Clock},
};

const KINDS: [&[u8]; 6] = [b"http", b"https", b"h2", b"grpcs", b"ws", b"wss"];

/// `https 2026-01-01T00:00:00.000000Z name client:port target:port 0.0 0.0 0.0 200 200 1 2
/// "GET https://host:443/p HTTP/1.1" "user agent" …`, on one line.
pub(super) fn read<'l>(start: Cursor<'l>, clock: &Clock) -> Option<Record<'l>> {
    let mut cursor = start;
    let kind = cursor.word()?;
    KINDS.contains(&cursor.text(&kind)).then_some(())?;
    let (time, width) = time::iso(cursor.rest(), clock)?;
    cursor.forward(width);
    cursor.skip(b" ")?;
    let _balancer = cursor.word()?;
    let client = cursor.word()?;
    let mut record = Record {
        time: Some(time),
        client: request::address(cursor.text(&client)),
        ..Record::default()
    };
    // The target, and three durations.
    for _ in 0..4 {
        cursor.word()?;
    }
    record.status = request::status(cursor.text(&cursor.word()?))?.status;
    cursor.until(b'"')?;
    let quote = cursor.at().saturating_sub(1);
    cursor = Cursor::new(cursor.line(), quote);
    let request = cursor.string()?;
    request::read_line(&mut record, cursor.line(), request, Escape::Backslash);
    if cursor.skip(b" ").is_some()
        && let Some(user_agent) = cursor.string()
    {
        record.user_agent = part(cursor.line(), user_agent, Escape::Backslash);
    }
    Some(record)
}
