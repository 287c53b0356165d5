//! Percent-decoding, one level at a time (RFC 3986 section 2.1).
//!
//! Both relocation and redaction read through this module, so that a byte
//! means the same to the code that moves a token and to the code that masks it.

/// The byte at the front of `raw` and how many raw bytes spelled it: three for
/// a valid `%XX`, else one. An incomplete or wrong escape is its own `%`.
#[must_use]
pub fn first(raw: &[u8]) -> Option<(u8, usize)> {
    match raw {
        [b'%', high, low, ..] => match (hex(*high), hex(*low)) {
            (Some(high), Some(low)) => Some((high << 4 | low, 3)),
            _ => Some((b'%', 1)),
        },
        [byte, ..] => Some((*byte, 1)),
        [] => None,
    }
}

/// Decodes once; wrong escapes stay as they are.
pub fn decode(raw: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let mut rest = raw;
    std::iter::from_fn(move || {
        let (byte, width) = first(rest)?;
        rest = rest.get(width..).unwrap_or_default();
        Some(byte)
    })
}

/// Whether every `%` in `raw` begins a valid escape.
#[must_use]
pub fn is_well_formed(raw: &[u8]) -> bool {
    let mut rest = raw;
    while let Some((byte, width)) = first(rest) {
        if byte == b'%' && width == 1 {
            return false;
        }
        rest = rest.get(width..).unwrap_or_default();
    }
    true
}

/// The value of one hexadecimal digit of either case.
fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_one_level() {
        let cases: [(&str, &[u8], &[u8]); 6] = [
            ("nothing to decode", b"access_token", b"access_token"),
            ("both hex cases", b"%5f%5F", b"__"),
            ("one level only", b"%2561", b"%61"),
            ("plus stays plus", b"a+b", b"a+b"),
            ("wrong escape stays", b"%zz%4", b"%zz%4"),
            ("not UTF-8", b"%ff\xff", b"\xff\xff"),
        ];
        for (name, raw, expected) in cases {
            assert_eq!(decode(raw).collect::<Vec<_>>(), expected, "case: {name}");
        }
    }

    #[test]
    fn tells_wrong_escapes() {
        assert!(is_well_formed(b"a%20b%25"));
        for raw in [&b"%"[..], b"%4", b"%zz", b"a%2", b"%%41"] {
            assert!(!is_well_formed(raw), "{}", raw.escape_ascii());
        }
    }
}
