//! What logs write in place of bytes that would end a field.

use std::{borrow::Cow, ops::Range};

use super::Part;

/// The way of a format to write bytes that it does not write as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    None,
    /// `\x22` of nginx, `\"` of Apache, `\u0022` of JSON, `\u{22}` of Rust: no format has
    /// one of them with another meaning.
    Backslash,
    /// `#22` of HAProxy.
    Hash,
}

/// The part at `span`; `-` and nothing are none.
pub(super) fn part(line: &[u8], span: Range<usize>, escape: Escape) -> Option<Part<'_>> {
    let raw = line.get(span.clone())?;
    if raw.is_empty() || raw == b"-" {
        return None;
    }
    Some(Part {
        span,
        text: unescaped(raw, escape),
    })
}

pub(super) fn unescaped(raw: &[u8], escape: Escape) -> Cow<'_, [u8]> {
    let mark = match escape {
        Escape::None => return Cow::Borrowed(raw),
        Escape::Backslash => b'\\',
        Escape::Hash => b'#',
    };
    if memchr::memchr(mark, raw).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut text = Vec::with_capacity(raw.len());
    let mut at = 0;
    while let Some(unit) = unit(raw, at, escape) {
        text.extend_from_slice(unit.bytes());
        at = at.saturating_add(unit.width);
    }
    Cow::Owned(text)
}

/// Places of what was unescaped, found again in the raw text; quick if asked in order.
pub(super) struct Places<'r> {
    raw: &'r [u8],
    at: usize,
    decoded: usize,
}

impl<'r> Places<'r> {
    pub(super) fn new(raw: &'r [u8]) -> Self {
        Self {
            raw,
            at: 0,
            decoded: 0,
        }
    }

    /// Where the byte at `offset` of the decoded text was written, from the raw start on.
    pub(super) fn raw(&mut self, offset: usize) -> usize {
        if offset < self.decoded {
            (self.at, self.decoded) = (0, 0);
        }
        while self.decoded < offset {
            let Some(unit) = unit(self.raw, self.at, Escape::Backslash) else {
                break;
            };
            self.decoded = self.decoded.saturating_add(unit.bytes().len());
            self.at = self.at.saturating_add(unit.width);
        }
        self.at
    }
}

/// One character and how many raw bytes spelled it.
struct Unit {
    bytes: [u8; 4],
    length: usize,
    width: usize,
}

impl Unit {
    fn byte(byte: u8, width: usize) -> Self {
        Self {
            bytes: [byte, 0, 0, 0],
            length: 1,
            width,
        }
    }

    fn char(char: char, width: usize) -> Self {
        let mut bytes = [0; 4];
        let length = char.encode_utf8(&mut bytes).len();
        Self {
            bytes,
            length,
            width,
        }
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

fn unit(raw: &[u8], at: usize, escape: Escape) -> Option<Unit> {
    let raw = raw.get(at..)?;
    let escaped = match (raw, escape) {
        ([b'#', high, low, ..], Escape::Hash) => hex(*high)
            .zip(hex(*low))
            .map(|(high, low)| Unit::byte(high << 4 | low, 3)),
        ([b'\\', rest @ ..], Escape::Backslash) => backslashed(rest),
        _ => None,
    };
    escaped.or_else(|| raw.first().map(|byte| Unit::byte(*byte, 1)))
}

fn backslashed(rest: &[u8]) -> Option<Unit> {
    Some(match rest {
        [b'x', high, low, ..] => Unit::byte(hex(*high)? << 4 | hex(*low)?, 4),
        [b'u', b'{', digits @ ..] => {
            let length = memchr::memchr(b'}', digits.get(..7).unwrap_or(digits))?;
            let char = char::from_u32(number(digits.get(..length)?)?)?;
            Unit::char(char, length.saturating_add(4))
        }
        [b'u', rest @ ..] => utf16(rest)?,
        [b'n', ..] => Unit::byte(b'\n', 2),
        [b'r', ..] => Unit::byte(b'\r', 2),
        [b't', ..] => Unit::byte(b'\t', 2),
        [b'b', ..] => Unit::byte(8, 2),
        [b'f', ..] => Unit::byte(12, 2),
        [b'v', ..] => Unit::byte(11, 2),
        [byte @ (b'"' | b'\'' | b'\\' | b'/'), ..] => Unit::byte(*byte, 2),
        _ => return None,
    })
}

/// Four digits, or twice four of a pair.
fn utf16(rest: &[u8]) -> Option<Unit> {
    let first = number(rest.get(..4)?)?;
    if let Some(char) = char::from_u32(first) {
        return Some(Unit::char(char, 6));
    }
    let (b"\\u", second) = rest.get(4..10)?.split_at_checked(2)? else {
        return None;
    };
    let pair = [first, number(second)?].map(u16::try_from);
    let [Ok(first), Ok(second)] = pair else {
        return None;
    };
    let char = char::decode_utf16([first, second]).next()?.ok()?;
    Some(Unit::char(char, 12))
}

fn number(digits: &[u8]) -> Option<u32> {
    let mut number = 0_u32;
    for digit in digits {
        number = number.checked_mul(16)?.checked_add(hex(*digit)?.into())?;
    }
    (!digits.is_empty()).then_some(number)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_was_meant() {
        use Escape::{Backslash, Hash};
        let cases: [(&str, &[u8], Escape, &[u8]); 12] = [
            ("nginx", br"a\x22b", Backslash, b"a\"b"),
            ("Apache", br#"a\"b\\"#, Backslash, b"a\"b\\"),
            ("JSON", br"a\u0026b", Backslash, b"a&b"),
            ("JSON, beyond ASCII", br"\u00e4", Backslash, "ä".as_bytes()),
            ("JSON, a pair", br"\ud83d\ude00", Backslash, "😀".as_bytes()),
            ("half a pair stays", br"\ud83d!", Backslash, br"\ud83d!"),
            ("Rust", br"\u{e4}", Backslash, "ä".as_bytes()),
            ("line end", br"a\n", Backslash, b"a\n"),
            ("no escape at all", br"\q\", Backslash, br"\q\"),
            ("cut", br"\x2", Backslash, br"\x2"),
            ("HAProxy", b"a#22b#7C", Hash, b"a\"b|"),
            ("HAProxy, no escape", b"a#zz#", Hash, b"a#zz#"),
        ];
        for (name, raw, escape, expected) in cases {
            assert_eq!(unescaped(raw, escape), expected, "case: {name}");
        }
    }

    #[test]
    fn finds_places_again() {
        let raw = br#"a\"b\u00e4c"#;
        let mut places = Places::new(raw);
        let found = [0, 1, 2, 3, 5, 6, 1].map(|offset| places.raw(offset));
        assert_eq!(found, [0, 1, 3, 4, 10, 11, 1]);
    }
}
