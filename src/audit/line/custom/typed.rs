//! Values that say by themselves where they end: statuses, times, addresses, methods.
//!
//! A literal of a format may stand in a value too. It ends one only where such a value can
//! begin behind it, or, read from the end, where one can end before it.

use super::Meaning;
use crate::audit::line::{
    request,
    time::{self, Clock},
};

/// `22/Nov/2026:09:02:38 +0000`.
const LOCAL: usize = 26;
/// `2026-11-22T09:02:38+00:00`.
const ISO: usize = 25;
const STATUS: usize = 3;
/// No address, number or method is longer.
const LONGEST: usize = 64;

/// The length that every value of a meaning has.
pub(super) fn width(meaning: Meaning) -> Option<usize> {
    match meaning {
        Meaning::LocalTime => Some(LOCAL),
        Meaning::IsoTime => Some(ISO),
        Meaning::Status => Some(STATUS),
        _ => None,
    }
}

/// Whether `text` is such a value and no more; of most meanings anything is.
pub(super) fn fits(meaning: Meaning, text: &[u8], clock: &Clock) -> bool {
    match meaning {
        Meaning::Status => request::status(text).is_some(),
        Meaning::LocalTime => time::clf(text, clock).is_some(),
        Meaning::IsoTime => time::iso(text, clock).is_some_and(|(_, width)| width == text.len()),
        Meaning::Epoch => !text.is_empty() && text.iter().copied().all(is_of_number),
        Meaning::Method => text.iter().copied().all(is_of_method),
        Meaning::Client => is_nobody(text) || request::address(text).is_some(),
        _ => true,
    }
}

/// The length of a value at the start of `text`, if its meaning tells that.
pub(super) fn length(meaning: Meaning, text: &[u8], literal: &[u8]) -> Option<usize> {
    let run = |is_part| run(text.iter(), is_part);
    let length = match meaning {
        Meaning::Epoch => run(is_of_number),
        Meaning::Method => run(is_of_method),
        // Of `$remote_addr:$remote_port` the last colon is the one between them.
        Meaning::Client if literal.starts_with(b":") => {
            memchr::memrchr(b':', text.get(..run(is_of_address))?)?
        }
        Meaning::Client => run(is_of_address),
        other => width(other)?,
    };
    let behind = text.get(length..)?;
    behind.starts_with(literal).then_some(length)
}

/// Whether such a value can begin here.
pub(super) fn may_begin(meaning: Meaning, text: &[u8], literal: &[u8], clock: &Clock) -> bool {
    match meaning {
        Meaning::Status
        | Meaning::LocalTime
        | Meaning::IsoTime
        | Meaning::Epoch
        | Meaning::Method => {
            length(meaning, text, literal)
                .and_then(|length| text.get(..length))
                .is_some_and(|value| fits(meaning, value, clock))
                // Where there was no answer.
                || (meaning == Meaning::Status && text.strip_prefix(b"-").is_some_and(|rest| rest.starts_with(literal)))
        }
        Meaning::Client => {
            let known = length(meaning, text, literal).and_then(|length| text.get(..length));
            known.is_some_and(|value| fits(meaning, value, clock))
                || [&b"unix:"[..], b"-", b""].iter().any(|nobody| {
                    text.strip_prefix(*nobody)
                        .is_some_and(|rest| rest.starts_with(literal))
                })
        }
        _ => true,
    }
}

/// Whether such a value, with `before` in front of it, can end where `text` does.
pub(super) fn may_end(meaning: Meaning, text: &[u8], before: &[u8], clock: &Clock) -> bool {
    let run = |is_part| run(text.iter().rev(), is_part);
    let length = match meaning {
        Meaning::Epoch => run(is_of_number),
        Meaning::Method => run(is_of_method),
        Meaning::Client if text.ends_with(b"-") || text.ends_with(b"unix:") => return true,
        Meaning::Client => run(is_of_address),
        other => match width(other) {
            Some(width) => width,
            None => return true,
        },
    };
    let Some((rest, value)) = text.len().checked_sub(length).map(|at| text.split_at(at)) else {
        return false;
    };
    rest.ends_with(before) && fits(meaning, value, clock)
}

/// How many bytes there are of one kind.
fn run<'t>(text: impl Iterator<Item = &'t u8>, is_part: fn(u8) -> bool) -> usize {
    text.take(LONGEST)
        .take_while(|byte| is_part(**byte))
        .count()
}

fn is_nobody(text: &[u8]) -> bool {
    matches!(text, b"" | b"-" | b"unix:")
}

fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'.'
}

fn is_of_method(byte: u8) -> bool {
    byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_')
}

fn is_of_address(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':')
}
