//! What stands between a name and its value: `=`, `[0]=`, `%3D`, `": "`, `: Some("`.

use std::ops::Range;

use super::names::{self, Names, Rule};
use super::unit::{self, Unit};
use super::value::{self, Opening, Source};
use super::{Finding, Kind, authorization, token};

/// Blanks between two parts of an assignment; more is layout, not syntax.
const BLANKS: usize = 16;

/// `Some(Secret(["` is three deep.
const WRAPPERS: usize = 4;

/// `name[a][b][]` has three.
const INDEXES: usize = 4;

/// Characters of an index. The shortest token is longer, so that none is skipped.
const INDEX: usize = 9;

/// Written where there is no secret.
const NOTHING: [&[u8]; 8] = [
    b"none",
    b"null",
    b"nil",
    b"true",
    b"false",
    b"undefined",
    b"sensitive",
    b"unset",
];

/// The secret that a name is given; `at` is the place behind the name.
pub(super) fn read(source: Source<'_>, names: &Names, at: usize, rule: Rule) -> Option<Finding> {
    match rule {
        Rule::Bearer => return authorization::bearer(source, names, at),
        Rule::Authorization => {
            let field = Field::read(source.text, at)?;
            // Caddy logs a list of strings; without a string, brackets may be a secret's own.
            let inner = unwrapped(source.text, field.from);
            let from = Opening::read(source.text, inner).map_or(field.from, |_| inner);
            return authorization::credentials(source, from, field.sign);
        }
        Rule::Query | Rule::Credential | Rule::Field => {}
    }
    let behind = behind_brackets(source.text, at);
    let unit = unit::read(source.text, behind)?;
    if unit.byte == b'=' {
        let from = behind.saturating_add(unit.width);
        let span = value::of_parameter(source, from, unit)
            .or_else(|| next_word(source, names, at, from, unit))?;
        return Some(finding(source, span, Kind::Parameter));
    }
    match rule {
        Rule::Credential | Rule::Field => field(source, behind, rule),
        _ => None,
    }
}

/// Behind the `]` of `user[name]=`, and the `[]` or `[0]` of `name[0]=`. A NUL ends a name
/// where it is read in C.
fn behind_brackets(text: &[u8], mut at: usize) -> usize {
    if let Some(unit) = unit::read(text, at).filter(|unit| unit.byte == 0) {
        at = at.saturating_add(unit.width);
    }
    if let Some(unit) = unit::read(text, at).filter(|unit| unit.byte == b']') {
        at = at.saturating_add(unit.width);
    }
    for _ in 0..INDEXES {
        let Some(behind) = behind_index(text, at) else {
            break;
        };
        at = behind;
    }
    at
}

fn behind_index(text: &[u8], mut at: usize) -> Option<usize> {
    let opening = unit::read(text, at).filter(|unit| unit.byte == b'[')?;
    at = at.saturating_add(opening.width);
    for _ in 0..=INDEX {
        let unit = unit::read(text, at)?;
        at = at.saturating_add(unit.width);
        match unit.byte {
            b']' => return Some(at),
            byte if names::is_word(byte) => {}
            _ => return None,
        }
    }
    None
}

/// The word behind `name= ` in what looks like a request line or a URL: a target
/// that was broken in two. `at` is the place behind the name, `from` behind the `=`.
///
/// Left alone are the `HTTP/1.1` of such a line, and a word that has one of the
/// names itself: its value is found in its turn, and may be more than this word.
fn next_word(
    source: Source<'_>,
    names: &Names,
    at: usize,
    from: usize,
    sign: Unit,
) -> Option<Range<usize>> {
    let text = source.text;
    let is_blank = |byte: &&u8| matches!(**byte, b' ' | b'\t');
    let blank = text.get(from..)?.iter().take_while(is_blank).count();
    let word = from.saturating_add(blank);
    let is_version = text
        .get(word..)?
        .get(..5)
        .is_some_and(|head| head.eq_ignore_ascii_case(b"HTTP/"));
    if blank == 0 || is_version || !is_in_url(text, at) {
        return None;
    }
    let span = value::of_word(source, word, sign)?;
    (!names.are_in(text, span.clone())).then_some(span)
}

/// Whether what ends at `end` is part of a target or a URL. A mask is not looked
/// through: it may have replaced a white space.
fn is_in_url(text: &[u8], end: usize) -> bool {
    let before = text.get(..end).unwrap_or_default();
    before
        .iter()
        .rev()
        .take_while(|byte| {
            !byte.is_ascii_whitespace() && !matches!(byte, b'"' | b'\'' | b'`' | b'<' | b'>')
        })
        .any(|byte| matches!(byte, b'/' | b'?' | b'&'))
}

fn field(source: Source<'_>, at: usize, rule: Rule) -> Option<Finding> {
    let field = Field::read(source.text, at)?;
    let from = unwrapped(source.text, field.from);
    let span = match Opening::read(source.text, from) {
        Some(opening) => value::quoted(source, opening)?,
        // A record of its own is not a secret; what it holds is read in its turn.
        None if source.text.get(from) == Some(&b'{') => return None,
        None if field.is_quoted || rule == Rule::Credential => {
            let span = value::of_record(source, from, field.sign)?;
            let word = source.text.get(span.clone()).unwrap_or_default();
            if NOTHING
                .iter()
                .any(|nothing| word.eq_ignore_ascii_case(nothing))
            {
                return None;
            }
            span
        }
        None => return None,
    };
    Some(finding(source, span, Kind::Field))
}

/// A finding that says what token the value is, if it has the shape of one.
pub(super) fn finding(
    source: Source<'_>,
    span: Range<usize>,
    kind: fn(Option<token::Token>) -> Kind,
) -> Finding {
    let value = source
        .text
        .get(span.clone())
        .filter(|_| source.is_classified);
    Finding {
        kind: kind(value.and_then(token::alone)),
        name: None,
        span,
    }
}

/// `": `, ` = `, `"=>` and the like, behind a name.
struct Field {
    /// Whether the name stands in quotes.
    is_quoted: bool,
    sign: Unit,
    /// Where the value begins, with whatever opens it.
    from: usize,
}

impl Field {
    fn read(text: &[u8], at: usize) -> Option<Self> {
        let closing = Opening::read(text, at);
        let behind = closing.map_or(at, |quote| quote.from);
        let before = blanks(text, behind);
        let sign = unit::read(text, before).filter(|unit| matches!(unit.byte, b':' | b'='))?;
        let mut from = before.saturating_add(sign.width);
        if let Some(arrow) =
            unit::read(text, from).filter(|unit| sign.byte == b'=' && unit.byte == b'>')
        {
            from = from.saturating_add(arrow.width);
        }
        // Nothing may be given behind a bare `name=`, and what follows is another word.
        let spaced = sign.byte == b':' || before > at;
        let from = if spaced { blanks(text, from) } else { from };
        Some(Self {
            is_quoted: closing.is_some(),
            sign,
            from,
        })
    }
}

/// The place behind the blanks at `at`.
pub(super) fn blanks(text: &[u8], mut at: usize) -> usize {
    for _ in 0..BLANKS {
        let Some(blank) = unit::read(text, at).filter(|unit| unit.is_blank()) else {
            break;
        };
        at = at.saturating_add(blank.width);
    }
    at
}

/// The place behind `Some(`, `[`, and the `b` of `b"`.
fn unwrapped(text: &[u8], mut at: usize) -> usize {
    for _ in 0..WRAPPERS {
        let rest = text.get(at..).unwrap_or_default();
        let word = rest
            .iter()
            .take(16)
            .take_while(|byte| byte.is_ascii_alphabetic())
            .count();
        let opens = match rest.get(word) {
            Some(b'(') => word > 0,
            Some(b'[') => word == 0,
            _ => false,
        };
        if !opens {
            break;
        }
        at = at.saturating_add(word).saturating_add(1);
    }
    match text.get(at..).unwrap_or_default() {
        [b'b' | b'r' | b'u', b'"' | b'\'', ..] => at.saturating_add(1),
        _ => at,
    }
}
