//! The credentials of an `Authorization` field; the scheme stays readable.

use std::ops::Range;

use super::assignment::{self, blanks, finding};
use super::names::{self, Names, Rule, Tail};
use super::unit::{self, Unit};
use super::value::{self, Opening, Source};
use super::{Finding, Kind};

/// Words that stand in front of credentials; any other word may be a secret.
const SCHEMES: [&[u8]; 6] = [
    b"basic",
    b"bearer",
    b"dpop",
    b"negotiate",
    b"ntlm",
    b"token",
];

/// And those whose credentials are a list, `name="value", name=value`.
const LISTS: [&[u8]; 5] = [b"digest", b"hawk", b"hoba", b"vapid", b"x-matrix"];

/// Room for the longest of them.
const SCHEME: usize = 9;

/// The credentials in the value that begins at `from`; `sign` stands before it.
pub(super) fn credentials(source: Source<'_>, from: usize, sign: Unit) -> Option<Finding> {
    let text = source.text;
    let opening = Opening::read(text, from);
    let from = opening.map_or(from, |opening| opening.from);
    let scheme = Scheme::read(text, from);
    let start = match scheme
        .as_ref()
        .map(|scheme| (scheme.end, blanks(text, scheme.end)))
    {
        Some((end, behind)) if behind > end => behind,
        _ => from,
    };
    let span = match opening {
        Some(opening) => value::string(source, opening, start)?,
        None => value::of_record(source, start, sign)?,
    };
    match scheme {
        Some(scheme) if start == from && scheme.end == span.end => None,
        Some(Scheme { has_list: true, .. }) if opening.is_none() => Some(finding(
            source,
            whole_list(source, span, sign),
            Kind::Authorization,
        )),
        _ => Some(finding(source, span, Kind::Authorization)),
    }
}

/// What stands behind the bare word `Bearer`, if it looks like a token: prose
/// goes on with a plain word, challenges with `realm="…"`.
///
/// It may be the name of what is secret, `Bearer access_token: abc`; then both are
/// masked. To leave the name would make this depend on what is masked behind it.
pub(super) fn bearer(source: Source<'_>, names: &Names, at: usize) -> Option<Finding> {
    let start = blanks(source.text, at);
    let first = Word::read(source.text, start);
    if start == at || !first.is_likely() {
        return None;
    }
    let end = behind(source, names, first);
    Some(finding(source, start..end, Kind::Authorization))
}

/// Behind a word and what it is given, as a name or as one more scheme.
fn behind(source: Source<'_>, names: &Names, mut word: Word) -> usize {
    let text = source.text;
    // A finding does not leave the target that a text begins with.
    let is_target = source.is_target(word.end.saturating_sub(1));
    loop {
        if let Some(sign) = unit::read(text, word.end).filter(|sign| sign.byte == b'=') {
            let from = word.end.saturating_add(sign.width);
            return value::of_parameter(source, from, sign).map_or(from, |value| value.end);
        }
        match names.at_end_of(&word.tail).map(|name| name.rule) {
            Some(Rule::Bearer) => {
                let from = blanks(text, word.end);
                let next = Word::read(text, from);
                if next.length == 0 || source.is_target(from) != is_target {
                    return word.end;
                }
                word = next;
            }
            Some(rule) => {
                let given = assignment::read(source, names, word.end, rule);
                let given = given.filter(|given| source.is_target(given.span.start) == is_target);
                return given.map_or(word.end, |given| given.span.end);
            }
            None => return word.end,
        }
    }
}

/// A run of what bearer tokens are made of.
struct Word {
    end: usize,
    length: usize,
    /// Has a digit, an underscore, or a capital that does not begin it.
    is_odd: bool,
    tail: Tail,
}

impl Word {
    fn read(text: &[u8], from: usize) -> Self {
        let mut word = Self {
            end: from,
            length: 0,
            is_odd: false,
            tail: Tail::behind(text, from),
        };
        while let Some(unit) = unit::read(text, word.end).filter(|unit| is_token68(unit.byte)) {
            word.is_odd |= unit.byte.is_ascii_digit()
                || unit.byte == b'_'
                || (word.length > 0 && unit.byte.is_ascii_uppercase());
            word.tail.push(unit.byte);
            word.length = word.length.saturating_add(1);
            word.end = word.end.saturating_add(unit.width);
        }
        word
    }

    fn is_likely(&self) -> bool {
        self.length >= 20 || (self.length >= 6 && self.is_odd)
    }
}

/// RFC 9110 section 11.2, without the padding.
fn is_token68(byte: u8) -> bool {
    names::is_word(byte) || matches!(byte, b'~' | b'+' | b'/')
}

struct Scheme {
    end: usize,
    has_list: bool,
}

impl Scheme {
    /// The known scheme at `from`.
    fn read(text: &[u8], from: usize) -> Option<Self> {
        let mut word = [0; SCHEME];
        let mut length = 0_usize;
        let mut end = from;
        while let Some(unit) = unit::read(text, end).filter(|unit| names::is_word(unit.byte)) {
            *word.get_mut(length)? = unit.byte.to_ascii_lowercase();
            length = length.saturating_add(1);
            end = end.saturating_add(unit.width);
        }
        let word = word.get(..length)?;
        let has_list = LISTS.contains(&word);
        (has_list || SCHEMES.contains(&word)).then_some(Self { end, has_list })
    }
}

/// The credentials of a list, up to its end.
fn whole_list(source: Source<'_>, first: Range<usize>, sign: Unit) -> Range<usize> {
    let text = source.text;
    let is_list = text
        .get(first.clone())
        .is_some_and(|value| value.ends_with(b"="));
    let opening =
        Opening::read(text, first.end).filter(|_| is_list && !source.is_target(first.start));
    let Some(opening) = opening else {
        return first;
    };
    // What directly follows a string belongs to the list as well.
    let mut end = value::record_end(source, value::behind_string(source, opening), sign);
    while let Some(next) = parameter_end(source, end) {
        end = value::record_end(source, next, sign);
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
    Some(Opening::read(text, from).map_or(from, |opening| value::behind_string(source, opening)))
}
