//! The credentials of an `Authorization` field; the scheme stays readable.

use std::ops::Range;

use super::assignment::{blanks, finding};
use super::unit::{self, Unit};
use super::value::{self, Opening, Source};
use super::{Finding, Kind, names};

/// Words that stand in front of credentials; any other word may be a secret.
const SCHEMES: [&[u8]; 11] = [
    b"basic",
    b"bearer",
    b"digest",
    b"dpop",
    b"hawk",
    b"hoba",
    b"negotiate",
    b"ntlm",
    b"token",
    b"vapid",
    b"x-matrix",
];

/// Room for the longest of them.
const SCHEME: usize = 9;

/// The credentials in the value that begins at `from`; `sign` stands before it.
pub(super) fn credentials(source: Source<'_>, from: usize, sign: Unit) -> Option<Finding> {
    let text = source.text;
    let opening = Opening::read(text, from);
    let from = opening.map_or(from, |opening| opening.from);
    let scheme = scheme(text, from);
    let start = match scheme.map(|end| (end, blanks(text, end))) {
        Some((end, behind)) if behind > end => behind,
        _ => from,
    };
    let span = match opening {
        Some(opening) => value::string(source, opening, start)?,
        None => value::of_record(source, start, sign).map(|span| whole_list(source, span))?,
    };
    let is_scheme = start == from && scheme == Some(span.end);
    (!is_scheme).then(|| finding(source, span, Kind::Authorization))
}

/// What stands behind the bare word `Bearer`, if it looks like a token: prose
/// goes on with a plain word, challenges with `realm="…"`.
pub(super) fn bearer(source: Source<'_>, at: usize) -> Option<Finding> {
    let text = source.text;
    let start = blanks(text, at);
    if start == at {
        return None;
    }
    let mut end = start;
    let mut length = 0_usize;
    let mut is_odd = false;
    while let Some(unit) = unit::read(text, end).filter(|unit| is_token68(unit.byte)) {
        length = length.saturating_add(1);
        is_odd |= unit.byte.is_ascii_digit() || unit.byte == b'_';
        is_odd |= length > 1 && unit.byte.is_ascii_uppercase();
        end = end.saturating_add(unit.width);
    }
    let is_challenge = text.get(..end).is_some_and(|head| head.ends_with(b"="))
        && Opening::read(text, end).is_some();
    let looks_right = length >= 20 || (length >= 6 && is_odd);
    (looks_right && !is_challenge).then(|| finding(source, start..end, Kind::Authorization))
}

/// RFC 9110 section 11.2.
fn is_token68(byte: u8) -> bool {
    names::is_word(byte) || matches!(byte, b'~' | b'+' | b'/' | b'=')
}

/// The end of a known scheme at `from`.
fn scheme(text: &[u8], from: usize) -> Option<usize> {
    let mut word = [0; SCHEME];
    let mut length = 0_usize;
    let mut at = from;
    while let Some(unit) = unit::read(text, at).filter(|unit| names::is_word(unit.byte)) {
        *word.get_mut(length)? = unit.byte.to_ascii_lowercase();
        length = length.saturating_add(1);
        at = at.saturating_add(unit.width);
    }
    SCHEMES.contains(&word.get(..length)?).then_some(at)
}

/// Digest and X-Matrix give a list, `name="value", name=value`: all of it.
fn whole_list(source: Source<'_>, first: Range<usize>) -> Range<usize> {
    let text = source.text;
    let is_list = text
        .get(first.clone())
        .is_some_and(|value| value.ends_with(b"="));
    let opening =
        Opening::read(text, first.end).filter(|_| is_list && !source.is_target(first.start));
    let Some(opening) = opening else {
        return first;
    };
    let mut end = value::behind_string(source, opening);
    while let Some(next) = parameter_end(source, end) {
        end = next;
    }
    first.start..end
}

/// Behind `, name=value` at `at`.
fn parameter_end(source: Source<'_>, at: usize) -> Option<usize> {
    let text = source.text;
    let comma = unit::read(text, at).filter(|unit| unit.byte == b',')?;
    let mut sign_at = blanks(text, at.saturating_add(comma.width));
    while let Some(unit) = unit::read(text, sign_at).filter(|unit| names::is_word(unit.byte)) {
        sign_at = sign_at.saturating_add(unit.width);
    }
    let sign = unit::read(text, sign_at).filter(|unit| unit.byte == b'=')?;
    let from = sign_at.saturating_add(sign.width);
    Some(match Opening::read(text, from) {
        Some(opening) => value::behind_string(source, opening),
        None => value::of_item(source, from, sign),
    })
}
