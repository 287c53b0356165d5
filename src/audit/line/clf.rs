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
    let request = cursor.request_line(Cursor::string)?;
    request::read_line(&mut record, line, request, Escape::Backslash);
    let answer = cursor;
    let format = read_answer(&mut record, &mut cursor);
    if !cursor.is_over() {
        doubt(&mut record, answer);
    }
    Some((format, record))
}

/// Traefik writes user and target as they came, so that a client can write most of a line
/// into its own. There are two answers then, and either may be the true one.
fn doubt(record: &mut Record<'_>, answer: Cursor<'_>) {
    if answer.request_end().is_some() {
        record.status = None;
        let mut ahead = answer;
        if go_behind_time(&mut ahead).is_some() {
            record.time = None;
        }
    }
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

/// `client ident user`, or `host client ident user`, where the host may be an address with
/// a port. The user is what the client calls itself, whether or not that was checked.
fn read_client(record: &mut Record<'_>, start: Cursor<'_>) {
    let mut cursor = start;
    let [first, second] = [(); 2].map(|()| cursor.word().unwrap_or_default());
    let first = start.text(&first);
    record.client = request::address(first);
    let is_client = record.client.is_some() && !request::has_port(first);
    if !is_client {
        record.client = request::address(start.text(&second)).or(record.client);
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
