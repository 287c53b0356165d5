//! HAProxy's `option httplog`, and `httpslog`, which goes on behind the request.

use std::net::IpAddr;

use super::{
    Record,
    cursor::Cursor,
    escape::{Escape, part},
    request,
    time::{self, Clock},
};

/// `client:port [time] frontend backend/server 0/0/1/2/3 200 42 - - ---- 1/1/0/0/0 0/0
/// {captured} "GET / HTTP/1.1"`, on one line.
pub(super) fn read<'l>(start: Cursor<'l>, clock: &Clock) -> Option<Record<'l>> {
    let mut cursor = start;
    let client = cursor.word()?;
    cursor.skip(b"[")?;
    let date = cursor.until(b']')?;
    cursor.skip(b" ")?;
    let mut record = Record {
        time: Some(time::clf(cursor.text(&date), clock)?),
        client: client_of(cursor.text(&client)),
        ..Record::default()
    };
    let (_frontend, _server, timers) = (cursor.word()?, cursor.word()?, cursor.word()?);
    let is_timer = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'/' | b'-' | b'+');
    let timers = cursor.text(&timers);
    (timers.contains(&b'/') && timers.iter().all(is_timer)).then_some(())?;
    record.status = request::status(cursor.text(&cursor.word()?))?.status;
    read_captures(&mut record, &mut cursor);
    let request = cursor.string()?;
    request::read_line(&mut record, cursor.line(), request, Escape::Hash);
    Some(record)
}

/// It has no brackets and always a port.
fn client_of(text: &[u8]) -> Option<IpAddr> {
    let port = memchr::memrchr(b':', text)?;
    request::address(text.get(..port)?)
}

/// Goes to the request. What was captured has no names, but what is a URL or names a
/// product can only be `Referer` or `User-Agent` of what people capture.
fn read_captures<'l>(record: &mut Record<'l>, cursor: &mut Cursor<'l>) {
    let quote = memchr::memchr(b'"', cursor.rest()).unwrap_or(cursor.rest().len());
    let end = cursor.at().saturating_add(quote);
    let mut captured = cursor.ending(end);
    cursor.jump(end);
    if captured.until(b'{').is_none() {
        return;
    }
    let line = captured.line();
    while let Some(length) = memchr::memchr2(b'|', b'}', captured.rest()) {
        let span = captured.at()..captured.at().saturating_add(length);
        let text = captured.text(&span);
        let is_last = line.get(span.end) == Some(&b'}');
        captured.jump(span.end.saturating_add(1));
        if text.starts_with(b"http://") || text.starts_with(b"https://") {
            record.referer = record.referer.take().or(part(line, span, Escape::Hash));
        } else if is_product(text) {
            record.user_agent = record.user_agent.take().or(part(line, span, Escape::Hash));
        }
        if is_last {
            break;
        }
    }
}

/// `Name/1.2`, with anything behind it.
fn is_product(text: &[u8]) -> bool {
    let slash = memchr::memchr(b'/', text).unwrap_or_default();
    let version = text.get(slash.saturating_add(1)..).unwrap_or_default();
    text.first().is_some_and(u8::is_ascii_alphabetic)
        && slash > 0
        && version.first().is_some_and(u8::is_ascii_digit)
}
