//! Reads one character of a text, however it is spelled.
//!
//! A character is itself, or percent-encoded up to [`LEVELS`] times, or a JSON
//! escape (`\u0026`, with any doubling of the backslash), or the `\x22` that
//! nginx and Python write. A wrong escape is its own first byte.

use crate::percent;

/// How many times over an encoded character is still understood.
const LEVELS: u8 = 3;

/// Backslashes in front of one escape: JSON in JSON in JSON has seven.
const BACKSLASHES: usize = 8;

/// One character: what it says, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unit {
    pub(super) byte: u8,
    /// Raw bytes it takes.
    pub(super) width: usize,
    /// How many times it is percent-encoded.
    pub(super) depth: u8,
    pub(super) escape: Escape,
}

/// The kind of backslash escape a character was written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    None,
    /// `\u0026`, `\n`.
    Json,
    /// `\x26`.
    Hex,
}

impl Unit {
    /// Whether it stands for itself, in one byte.
    pub(super) fn is_raw(self) -> bool {
        self.depth == 0 && self.escape == Escape::None
    }

    /// Space or tab, or the `+` and `%20` of a query.
    pub(super) fn is_blank(self) -> bool {
        matches!(self.byte, b' ' | b'\t') || (self.byte == b'+' && self.is_raw())
    }

    pub(super) fn is_quote(self) -> bool {
        matches!(self.byte, b'"' | b'\'' | b'`')
    }
}

/// The character at `at`; `None` at the end of the text.
#[inline]
pub(super) fn read(text: &[u8], at: usize) -> Option<Unit> {
    let raw = text.get(at..)?;
    let byte = *raw.first()?;
    match byte {
        b'%' => percent_unit(raw, LEVELS).map(|(byte, width, depth)| Unit {
            byte,
            width,
            depth,
            escape: Escape::None,
        }),
        b'\\' => Some(backslash_unit(raw)),
        _ => Some(Unit {
            byte,
            width: 1,
            depth: 0,
            escape: Escape::None,
        }),
    }
}

/// What is encoded at `at`, decoded once; `None` where nothing is.
pub(super) fn once(text: &[u8], at: usize) -> Option<u8> {
    match text.get(at..)? {
        [b'%', high, low, ..]
        | [b'\\', b'u', b'0', b'0', high, low, ..]
        | [b'\\', b'x', high, low, ..] => hex_byte(*high, *low),
        _ => None,
    }
}

/// Byte, width and depth with `level` decodings allowed.
fn percent_unit(raw: &[u8], level: u8) -> Option<(u8, usize, u8)> {
    let below = level.saturating_sub(1);
    if below == 0 {
        let (byte, width) = percent::first(raw)?;
        return Some((byte, width, u8::from(width > 1)));
    }
    let inner = percent_unit(raw, below)?;
    let (b'%', width, 1..) = inner else {
        return Some(inner);
    };
    // A `%` that was itself encoded may begin an escape one level up, and its
    // digits may be encoded too: `%2561`, `%25%36%31`.
    Some(digits(raw, width, below).map_or(inner, |(byte, width)| (byte, width, level)))
}

fn digits(raw: &[u8], from: usize, level: u8) -> Option<(u8, usize)> {
    let (high, width, _) = percent_unit(raw.get(from..)?, level)?;
    let behind = from.saturating_add(width);
    let (low, width, _) = percent_unit(raw.get(behind..)?, level)?;
    Some((hex_byte(high, low)?, behind.saturating_add(width)))
}

fn backslash_unit(raw: &[u8]) -> Unit {
    let slashes = raw
        .iter()
        .take(BACKSLASHES)
        .take_while(|byte| **byte == b'\\')
        .count();
    let (byte, letters, escape) = match raw.get(slashes..) {
        Some([b'u', b'0', b'0', high, low, ..]) => (hex_byte(*high, *low), 5, Escape::Json),
        Some([b'x', high, low, ..]) => (hex_byte(*high, *low), 3, Escape::Hex),
        Some([b'n' | b'r', ..]) => (Some(b'\n'), 1, Escape::Json),
        Some([b't', ..]) => (Some(b'\t'), 1, Escape::Json),
        _ => (None, 0, Escape::None),
    };
    match byte {
        Some(byte) => Unit {
            byte,
            width: slashes.saturating_add(letters),
            depth: 0,
            escape,
        },
        None => Unit {
            byte: b'\\',
            width: 1,
            depth: 0,
            escape: Escape::None,
        },
    }
}

fn hex_byte(high: u8, low: u8) -> Option<u8> {
    let digit = |byte| {
        char::from(byte)
            .to_digit(16)
            .and_then(|value| u8::try_from(value).ok())
    };
    Some(digit(high)? << 4 | digit(low)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_spelling() {
        let cases = [
            ("itself", "a", (b'a', 1, 0)),
            ("encoded", "%61", (b'a', 3, 1)),
            ("twice", "%2561", (b'a', 5, 2)),
            ("three times", "%252561", (b'a', 7, 3)),
            ("four times is left at the third", "%25252561", (b'%', 7, 3)),
            ("the whole escape encoded", "%25%36%31", (b'a', 9, 2)),
            ("wrong escape", "%zz", (b'%', 1, 0)),
            ("cut escape", "%6", (b'%', 1, 0)),
            ("encoded percent alone", "%25", (b'%', 3, 1)),
            ("encoded percent before no digits", "%25zz", (b'%', 3, 1)),
            (
                "a raw percent begins no second level",
                "%%36%31",
                (b'%', 1, 0),
            ),
            ("JSON", "\\u0026", (b'&', 6, 0)),
            ("JSON in JSON", "\\\\u003D", (b'=', 7, 0)),
            ("nginx", "\\x22", (b'"', 4, 0)),
            ("escaped line end", "\\n", (b'\n', 2, 0)),
            ("backslash alone", "\\", (b'\\', 1, 0)),
            ("escaped quote is two", "\\\"", (b'\\', 1, 0)),
        ];
        for (name, text, expected) in cases {
            let unit = read(text.as_bytes(), 0).expect("not empty");
            assert_eq!(
                (unit.byte, unit.width, unit.depth),
                expected,
                "case: {name}"
            );
        }
        assert!(read(b"", 0).is_none() && read(b"a", 1).is_none());
    }
}
