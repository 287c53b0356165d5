//! The common log format and what grew from it: nginx, Apache, Traefik, tokenshim.
//!
//! `[time] "request` is its mark. What stands before the time is looked at from its ends
//! inwards, since Apache may write the virtual host first, and users may have blanks.

use super::{
    Format, Record,
    cursor::Cursor,
    escape::{Escape, part},
    request, time,
};

/// Further than this from the start nobody writes the time.
const BEFORE_TIME: usize = 1024;

pub(super) fn read(start: Cursor<'_>) -> Option<(Format, Record<'_>)> {
    let mut cursor = start;
    let mut record = Record {
        time: Some(go_behind_time(&mut cursor)?),
        ..Record::default()
    };
    read_client(&mut record, start);
    let line = cursor.line();
    request::read_line(&mut record, line, cursor.string()?, Escape::Backslash);
    let format = read_answer(&mut record, &mut cursor);
    Some((format, record))
}

/// The time, in brackets; goes to the quote of the request.
fn go_behind_time(cursor: &mut Cursor<'_>) -> Option<jiff::Timestamp> {
    let limit = cursor.at().saturating_add(BEFORE_TIME);
    // The user, who may have a bracket, is the client's choice.
    while cursor.at() < limit {
        cursor.until(b'[')?;
        let mut ahead = *cursor;
        let time = cursor
            .rest()
            .get(..26)
            .and_then(|text| time::clf(text, &time::Clock::default()));
        ahead.forward(26);
        if time.is_some() && ahead.skip(b"] ").is_some() && ahead.rest().first() == Some(&b'"') {
            *cursor = ahead;
            return time;
        }
    }
    None
}

/// `client ident user`, or `host client ident user`.
fn read_client<'l>(record: &mut Record<'l>, start: Cursor<'l>) {
    let mut cursor = start;
    let [first, second, third, fourth] = [(); 4].map(|()| cursor.word().unwrap_or_default());
    let mut user = third;
    record.client = request::address(start.text(&first));
    if record.client.is_none() {
        record.client = request::address(start.text(&second));
        user = if record.client.is_some() {
            fourth
        } else {
            user
        };
    }
    if request::is_user(start.text(&user)) {
        record.user = part(start.line(), user, Escape::Backslash);
    }
}

/// Status and size, then perhaps `Referer` and `User-Agent`, then perhaps more.
fn read_answer<'l>(record: &mut Record<'l>, cursor: &mut Cursor<'l>) -> Format {
    let line = cursor.line();
    cursor.blanks();
    let Some(status) = cursor
        .word()
        .and_then(|word| request::status(cursor.text(&word)))
    else {
        return Format::Combined;
    };
    record.status = status.status;
    if cursor.word().is_none() || cursor.is_over() {
        return Format::Common;
    }
    let Some(referer) = cursor.string() else {
        return Format::Common;
    };
    record.referer = part(line, referer, Escape::Backslash);
    if cursor.skip(b" ").is_none() {
        return Format::Combined;
    }
    if let Some(user_agent) = cursor.string() {
        record.user_agent = part(line, user_agent, Escape::Backslash);
    }
    if is_traefik(*cursor) {
        Format::Traefik
    } else {
        Format::Combined
    }
}

/// ` 42 "router@file" "http://upstream" 7ms`.
fn is_traefik(mut cursor: Cursor<'_>) -> bool {
    let mut columns = || {
        cursor.skip(b" ")?;
        let count = cursor.word()?;
        cursor
            .text(&count)
            .iter()
            .all(u8::is_ascii_digit)
            .then_some(())?;
        cursor.string()?;
        cursor.skip(b" ")?;
        cursor.string()?;
        cursor.skip(b" ")?;
        cursor.rest().strip_suffix(b"ms")
    };
    columns().is_some_and(|duration| duration.iter().all(u8::is_ascii_digit))
}
