//! What carries the lines of others: syslog, journald, containers.

use super::{Format, LineReader, Record, cursor::Cursor, matrix::LEVELS, time};

/// A line with a syslog prefix: RFC 3164 with or without priority and host, or RFC 5424.
pub(super) fn syslog<'l>(
    reader: &LineReader,
    start: Cursor<'l>,
    depth: u8,
) -> Option<(Format, Record<'l>)> {
    let mut cursor = start;
    if cursor.skip(b"<").is_some() {
        let priority = cursor.until(b'>')?;
        (priority.len() <= 3).then_some(())?;
        if cursor.rest().starts_with(b"1 ") {
            return rfc5424(reader, cursor, depth);
        }
        if let Some(found) = stamped(reader, cursor, depth) {
            return Some(found);
        }
    }
    if let Some(found) = full(reader, cursor, depth) {
        return Some(found);
    }
    let time = time::without_year(cursor.rest())?;
    let time = reader.clock.date(&time);
    cursor.forward(15);
    skip_fraction(&mut cursor);
    cursor.skip(b" ")?;
    let message = behind_tag(cursor).unwrap_or(cursor);
    Some(reader.within(Format::Syslog, (time, true), message, depth))
}

/// `1 2026-01-01T00:00:00Z host app process id [data] message`.
fn rfc5424<'l>(reader: &LineReader, start: Cursor<'l>, depth: u8) -> Option<(Format, Record<'l>)> {
    let mut cursor = start;
    cursor.skip(b"1 ")?;
    let time = cursor.word()?;
    let time = time::iso(cursor.text(&time), &reader.clock).map(|(time, _)| time);
    for _host_app_process_id in 0..4 {
        cursor.word()?;
    }
    if cursor.skip(b"-").is_none() {
        while cursor.skip(b"[").is_some() {
            go_behind_data(&mut cursor)?;
        }
    }
    let _blank = cursor.skip(b" ");
    let _mark = cursor.skip("\u{feff}".as_bytes());
    Some(reader.within(Format::Syslog, (time, false), cursor, depth))
}

/// Behind the `]` that no backslash escapes.
fn go_behind_data(cursor: &mut Cursor<'_>) -> Option<()> {
    loop {
        let length = memchr::memchr2(b']', b'\\', cursor.rest())?;
        let is_end = cursor.rest().get(length) == Some(&b']');
        cursor.forward(length.saturating_add(if is_end { 1 } else { 2 }));
        if is_end {
            return Some(());
        }
    }
}

/// A line that begins with a whole date: `journalctl -o short-iso`, today's syslog files,
/// containers under Kubernetes, or a program's own.
pub(super) fn stamped<'l>(
    reader: &LineReader,
    start: Cursor<'l>,
    depth: u8,
) -> Option<(Format, Record<'l>)> {
    let (time, width) = time::iso(start.rest(), &reader.clock)?;
    let mut cursor = start;
    cursor.forward(width);
    cursor.skip(b" ")?;
    let mut stream = cursor;
    let words = [(); 2].map(|()| stream.word().unwrap_or_default());
    let envelope = match words.map(|span| start.text(&span)) {
        [b"stdout" | b"stderr", b"F" | b"P"] => {
            cursor = stream;
            Format::Cri
        }
        _ => match behind_tag(cursor) {
            Some(message) => {
                cursor = message;
                Format::Syslog
            }
            None => Format::Text,
        },
    };
    Some(reader.within(envelope, (Some(time), false), cursor, depth))
}

/// `Sun 2026-11-22 10:02:39 CET host tag[1]: message` of `journalctl -o short-full`.
fn full<'l>(reader: &LineReader, start: Cursor<'l>, depth: u8) -> Option<(Format, Record<'l>)> {
    let mut cursor = start;
    let [_, _, _, b' ', b'0'..=b'9', ..] = cursor.rest() else {
        return None;
    };
    cursor.forward(4);
    let date = cursor;
    let (local, width) = time::iso(date.rest(), &reader.clock)?;
    cursor.forward(width);
    cursor.skip(b" ")?;
    let zone = cursor.word()?;
    let utc = (cursor.text(&zone) == b"UTC").then(time::Clock::default);
    let time = utc.and_then(|utc| time::iso(date.rest(), &utc));
    let time = time.map_or(local, |(time, _)| time);
    let message = behind_tag(cursor)?;
    Some(reader.within(Format::Syslog, (Some(time), false), message, depth))
}

/// `1795338159.123456 host tag[1]: message` of `journalctl -o short-unix`.
pub(super) fn unix<'l>(
    reader: &LineReader,
    start: Cursor<'l>,
    depth: u8,
) -> Option<(Format, Record<'l>)> {
    let mut cursor = start;
    let time = cursor.word()?;
    let time = time::epoch(cursor.text(&time))?;
    let message = behind_tag(cursor)?;
    Some(reader.within(Format::Syslog, (Some(time), false), message, depth))
}

/// Goes behind `.123456`.
fn skip_fraction(cursor: &mut Cursor<'_>) {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if let Some(fraction) = cursor.rest().strip_prefix(b".") {
        cursor.forward(digits(fraction).saturating_add(1));
    }
}

/// Behind `host tag[1]: `, or `tag: ` alone, as HAProxy has it.
fn behind_tag(start: Cursor<'_>) -> Option<Cursor<'_>> {
    let mut cursor = start;
    for place in 0..2 {
        let word = cursor.word()?;
        let text = cursor.text(&word);
        if text.is_empty() || (place == 0 && LEVELS.contains(&text)) {
            return None;
        }
        if text.ends_with(b":") {
            return Some(cursor);
        }
    }
    None
}

/// What a field is to us.
pub(super) enum Exported {
    /// A line of somebody, from this place on.
    Message(usize),
    Other,
}

/// A field of `journalctl -o export`, which has a line for each and an empty one behind each
/// entry. The entry's time stands in another line, and a line is read by itself: it has none.
pub(super) fn exported(line: &[u8]) -> Option<Exported> {
    match line {
        [b'M' | b'S', ..] => {
            let fields: [&[u8]; 2] = [b"MESSAGE=", b"SYSLOG_RAW="];
            let field = fields.into_iter().find(|field| line.starts_with(field))?;
            Some(Exported::Message(field.len()))
        }
        [b'_', ..] => is_trusted(line).then_some(Exported::Other),
        [0..=31, ..] | [_, 0, ..] | [_, _, 0, ..] => binary(line).map(Exported::Message),
        _ => None,
    }
}

/// `_PID=1`: a name in capitals that journald itself vouches for.
fn is_trusted(line: &[u8]) -> bool {
    let is_of_name =
        |byte: &&u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || **byte == b'_';
    let name = line.iter().take_while(is_of_name).count();
    line.get(name) == Some(&b'=')
}

/// What follows `MESSAGE` alone: eight bytes of length, then a message that has control
/// characters. A length with a line end in it leaves fewer of them to this line.
fn binary(line: &[u8]) -> Option<usize> {
    let head = line.get(..8)?;
    let nothing = memchr::memrchr(0, head)?;
    let is_length = memchr::memmem::find(head, &[0; 4]).is_some();
    is_length.then(|| nothing.saturating_add(1))
}
