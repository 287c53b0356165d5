//! The Huffman code of header strings (RFC 7541 section 5.2 and appendix B).
//!
//! It is canonical: codes of one length follow each other in the order of their
//! symbols, behind those that are shorter. So the lengths say all of it.

use crate::http2::paths::is_taken;

/// How long each byte's code is.
#[rustfmt::skip]
const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];

/// The shortest code, and the longest.
const SHORTEST: usize = 5;
const LONGEST: usize = 30;

/// The codes of one length.
#[derive(Clone, Copy)]
struct Codes {
    /// The first one.
    first: u32,
    /// How many there are.
    count: u32,
    /// Where in [`CODE`]'s symbols theirs begin.
    symbols: u8,
}

/// All codes, by their length, and their symbols in that order.
struct Code {
    by_length: [Codes; LONGEST + 1],
    symbols: [u8; 256],
}

static CODE: Code = code();

/// How many bits are looked at together.
const LOOK: usize = 12;

/// For the next [`LOOK`] bits, how many belong to whole codes of bytes that h2
/// takes in a path, at most two; 0 if the first does not, or is longer.
static TAKEN: [u8; 1 << LOOK] = taken();

#[expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "the compiler evaluates it"
)]
const fn code() -> Code {
    let none = Codes {
        first: 0,
        count: 0,
        symbols: 0,
    };
    let mut code = Code {
        by_length: [none; LONGEST + 1],
        symbols: [0; 256],
    };
    let (mut length, mut next, mut placed) = (1, 0, 0);
    while length <= LONGEST {
        next <<= 1;
        code.by_length[length].first = next;
        code.by_length[length].symbols = placed as u8;
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] as usize == length {
                code.symbols[placed] = symbol as u8;
                placed += 1;
                next += 1;
            }
            symbol += 1;
        }
        code.by_length[length].count = next - code.by_length[length].first;
        length += 1;
    }
    code
}

#[expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "the compiler evaluates it"
)]
const fn taken() -> [u8; 1 << LOOK] {
    let code = code();
    let mut table = [0; 1 << LOOK];
    let mut length = SHORTEST;
    while length <= LOOK {
        let Codes {
            first,
            count,
            symbols,
        } = code.by_length[length];
        let mut nth = 0;
        while nth < count as usize {
            if is_taken(code.symbols[symbols as usize + nth]) {
                let begin = (first as usize + nth) << (LOOK - length);
                let mut rest = 0;
                while rest < 1 << (LOOK - length) {
                    table[begin + rest] = length as u8;
                    rest += 1;
                }
            }
            nth += 1;
        }
        length += 1;
    }
    // And the one behind it, if it fits. A first code leaves the table's own
    // place for what follows it, filled with zeros.
    let single = table;
    let mut bits = 0;
    while bits < table.len() {
        let first = single[bits] as usize;
        if first > 0 {
            let second = single[(bits << first) & (table.len() - 1)] as usize;
            if first + second <= LOOK {
                table[bits] = (first + second) as u8;
            }
        }
        bits += 1;
    }
    table
}

/// What is left to decode, its next bits first.
struct Bits<'e> {
    rest: &'e [u8],
    window: u64,
    count: u32,
}

impl<'e> Bits<'e> {
    const fn of(encoded: &'e [u8]) -> Self {
        Self {
            rest: encoded,
            window: 0,
            count: 0,
        }
    }

    /// Looks at as many as the longest code may have, or at all that are left;
    /// behind the last are ones, as in the padding.
    #[inline]
    fn look(&mut self) -> u64 {
        if self.count < 32 {
            if let Some((word, rest)) = self.rest.split_first_chunk() {
                let word = u64::from(u32::from_be_bytes(*word));
                self.window |= word << 32_u32.wrapping_sub(self.count);
                self.count = self.count.wrapping_add(32);
                self.rest = rest;
            } else {
                while let Some((&byte, rest)) = self.rest.split_first() {
                    self.window |= u64::from(byte) << 56_u32.wrapping_sub(self.count);
                    self.count = self.count.wrapping_add(8);
                    self.rest = rest;
                }
            }
        }
        self.window | u64::MAX.checked_shr(self.count).unwrap_or_default()
    }

    /// Passes over some; `None` if there are not so many.
    #[inline]
    fn skip(&mut self, count: u32) -> Option<()> {
        self.count = self.count.checked_sub(count)?;
        self.window = self.window.wrapping_shl(count);
        Some(())
    }

    /// Whether only padding is left.
    #[inline]
    const fn is_end(&self, window: u64) -> bool {
        self.count < 8 && window == u64::MAX
    }

    /// The next byte; `None` if there is none.
    fn symbol(&mut self, window: u64) -> Option<u8> {
        for (length, codes) in (0_u32..).zip(&CODE.by_length).skip(SHORTEST) {
            let code = window.wrapping_shr(64_u32.wrapping_sub(length));
            let nth = code.checked_sub(u64::from(codes.first))?;
            if nth < u64::from(codes.count) {
                self.skip(length)?;
                let at = usize::from(codes.symbols).saturating_add(usize::try_from(nth).ok()?);
                return CODE.symbols.get(at).copied();
            }
        }
        // The end of the string is not for strings (section 5.2).
        None
    }
}

/// Decodes a string; `None` if it is none.
#[must_use]
pub fn decode(encoded: &[u8]) -> Option<Vec<u8>> {
    let mut bits = Bits::of(encoded);
    let mut out = Vec::with_capacity(encoded.len().saturating_mul(2));
    loop {
        let window = bits.look();
        if bits.is_end(window) {
            return Some(out);
        }
        out.push(bits.symbol(window)?);
    }
}

/// Whether a string decodes to bytes that h2 takes in a path, all of them.
#[must_use]
pub fn is_all_taken(encoded: &[u8]) -> bool {
    let mut bits = Bits::of(encoded);
    loop {
        let window = bits.look();
        let place = usize::try_from(window >> (64 - LOOK)).unwrap_or_default();
        let passed = match TAKEN.get(place) {
            Some(&count @ 1..) => bits.skip(u32::from(count)),
            _ if bits.is_end(window) => return true,
            _ => bits
                .symbol(window)
                .and_then(|byte| is_taken(byte).then_some(())),
        };
        if passed.is_none() {
            return false;
        }
    }
}

/// Encodes a string.
#[cfg(test)]
pub(in crate::http2) fn encode(text: &[u8]) -> Vec<u8> {
    let bits = text.iter().map(|&byte| {
        let width = usize::from(LENGTHS[usize::from(byte)]);
        let codes = CODE.by_length[width];
        let all = &CODE.symbols[usize::from(codes.symbols)..];
        let nth = all.iter().position(|&symbol| symbol == byte).unwrap();
        let code = codes.first.saturating_add(u32::try_from(nth).unwrap());
        format!("{code:0width$b}")
    });
    let bits: String = bits.collect();
    let bytes = bits.as_bytes().chunks(8);
    bytes
        .map(|byte| format!("{:1<8}", str::from_utf8(byte).unwrap()))
        .map(|byte| u8::from_str_radix(&byte, 2).unwrap())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decodes_what_the_rfc_encodes() {
        // RFC 7541, appendices C.4 and C.6.
        let cases: [(&str, &[u8]); 8] = [
            ("www.example.com", b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"),
            ("no-cache", b"\xa8\xeb\x10\x64\x9c\xbf"),
            ("custom-value", b"\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf"),
            ("302", b"\x64\x02"),
            ("307", b"\x64\x0e\xff"),
            (
                "Mon, 21 Oct 2013 20:13:21 GMT",
                b"\xd0\x7a\xbe\x94\x10\x54\xd4\x44\xa8\x20\x05\x95\x04\x0b\x81\x66\xe0\x82\xa6\x2d\x1b\xff",
            ),
            ("gzip", b"\x9b\xd9\xab"),
            (
                "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
                b"\x94\xe7\x82\x1d\xd7\xf2\xe6\xc7\xb3\x35\xdf\xdf\xcd\x5b\x39\x60\xd5\xaf\x27\x08\x7f\x36\x72\xc1\xab\x27\x0f\xb5\x29\x1f\x95\x87\x31\x60\x65\xc0\x03\xed\x4e\xe5\xb1\x06\x3d\x50\x07",
            ),
        ];
        for (text, encoded) in cases {
            assert_eq!(decode(encoded).as_deref(), Some(text.as_bytes()), "{text}");
            assert_eq!(encode(text.as_bytes()), encoded, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_string() {
        for (name, encoded) in [
            ("a byte of padding", &b"\xff"[..]),
            ("the end of the string", b"\xff\xff\xff\xff"),
            ("padding that is not ones", b"\x00"),
            ("eight bits of padding behind a byte", b"\x1f\xff"),
            ("a code cut off", b"\xff\xfe"),
        ] {
            assert_eq!(decode(encoded), None, "case: {name}");
            assert!(!is_all_taken(encoded), "case: {name}");
        }
    }

    /// Bytes with short codes as a rule, and any.
    fn text() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![
            20 => prop::sample::select(&b"aeiost012/=&%-_.?ABXYZ:;,~$@{}\\^|[]!()'+*"[..]),
            1 => any::<u8>(),
        ];
        prop::collection::vec(byte, 0..80)
    }

    proptest! {
        #[test]
        fn is_its_own_inverse(text in text()) {
            let encoded = encode(&text);
            let all = text.iter().all(|&byte| is_taken(byte));
            prop_assert_eq!(is_all_taken(&encoded), all);
            prop_assert_eq!(decode(&encoded), Some(text));
        }

        #[test]
        fn takes_any_bytes(encoded in prop::collection::vec(any::<u8>(), 0..40)) {
            let decoded = decode(&encoded);
            let all = decoded.as_ref().is_some_and(|text| text.iter().all(|&byte| is_taken(byte)));
            prop_assert_eq!(is_all_taken(&encoded), all);
            if let Some(text) = decoded {
                prop_assert_eq!(encode(&text), encoded);
            }
        }
    }
}
