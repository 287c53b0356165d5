//! Where messages end on a stream: at a line feed or NUL, or where their length says.
//!
//! RFC 6587 has both ways; each message says by its beginning which one it is: a number
//! and a space directly before `<` are a length. A message that is longer than
//! [`LONGEST`] is cut, and what is cut off is dropped: it could begin within a secret.

use std::ops::Range;

/// The longest message that is kept whole.
pub const LONGEST: usize = 256 * 1024;

/// Written behind what is left of a longer one.
pub const CUT: &[u8] = b" [cut]";

/// Digits of a length, its space, and the `<` behind it.
const HEAD: usize = 8;

/// A stream's unfinished message.
#[derive(Debug)]
pub struct Framing {
    has_lengths: bool,
    held: Vec<u8>,
    left_out: LeftOut,
}

/// What is dropped of a message that was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LeftOut {
    Nothing,
    Bytes(usize),
    Line,
}

/// What begins a text.
enum Next {
    Message {
        text: Range<usize>,
        end: usize,
    },
    /// One that is too long, and not all here.
    Begun {
        from: usize,
        left_out: LeftOut,
    },
    More,
}

impl Framing {
    /// Lines, whatever they begin with.
    #[must_use]
    pub const fn lines() -> Self {
        Self {
            has_lengths: false,
            held: Vec::new(),
            left_out: LeftOut::Nothing,
        }
    }

    /// Syslog messages, of which each may be a line or have its length.
    #[must_use]
    pub const fn syslog() -> Self {
        Self {
            has_lengths: true,
            held: Vec::new(),
            left_out: LeftOut::Nothing,
        }
    }

    /// Takes what a stream gave; calls `message` with each that is whole.
    pub fn read(&mut self, bytes: &[u8], mut message: impl FnMut(&[u8])) {
        let bytes = self.leave_out(bytes);
        self.held.extend_from_slice(bytes);
        let mut done = 0;
        while let Some(rest) = self.held.get(done..) {
            match self.next(rest) {
                Next::Message { text, end } => {
                    hand_over(rest.get(text).unwrap_or_default(), &mut message);
                    done = done.saturating_add(end);
                }
                Next::Begun { from, left_out } => {
                    hand_over(rest.get(from..).unwrap_or_default(), &mut message);
                    self.left_out = left_out;
                    done = self.held.len();
                }
                Next::More => break,
            }
        }
        self.held.drain(..done);
    }

    /// The stream has ended: what is left is a message.
    pub fn finish(self, mut message: impl FnMut(&[u8])) {
        let skip = self.length(&self.held).map_or(0, |(skip, _)| skip);
        let left = self.held.get(skip..).unwrap_or_default();
        if !left.is_empty() {
            hand_over(left, &mut message);
        }
    }

    fn next(&self, text: &[u8]) -> Next {
        if let Some((skip, length)) = self.length(text) {
            let end = skip.saturating_add(length);
            let begun = text.len().saturating_sub(skip);
            return match end.checked_sub(text.len()).filter(|left| *left > 0) {
                None => Next::Message {
                    text: skip..end,
                    end,
                },
                Some(left) if begun > LONGEST => Next::Begun {
                    from: skip,
                    left_out: LeftOut::Bytes(left),
                },
                Some(_) => Next::More,
            };
        }
        match memchr::memchr2(b'\n', 0, text) {
            Some(end) => Next::Message {
                text: 0..end,
                end: end.saturating_add(1),
            },
            None if text.len() > LONGEST => Next::Begun {
                from: 0,
                left_out: LeftOut::Line,
            },
            None => Next::More,
        }
    }

    /// The length that a message begins with, behind so many bytes.
    fn length(&self, text: &[u8]) -> Option<(usize, usize)> {
        let head = text.get(..HEAD).unwrap_or(text);
        let digits = head.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = head.split_at_checked(digits)?;
        let is_length = self.has_lengths && digits > 0 && rest.starts_with(b" <");
        let length = str::from_utf8(number).ok()?.parse().ok()?;
        is_length.then_some((digits.saturating_add(1), length))
    }

    fn leave_out<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let (out, left) = match self.left_out {
            LeftOut::Nothing => return bytes,
            LeftOut::Bytes(count) if count <= bytes.len() => (count, LeftOut::Nothing),
            LeftOut::Bytes(count) => (
                bytes.len(),
                LeftOut::Bytes(count.saturating_sub(bytes.len())),
            ),
            LeftOut::Line => match memchr::memchr2(b'\n', 0, bytes) {
                Some(end) => (end.saturating_add(1), LeftOut::Nothing),
                None => (bytes.len(), LeftOut::Line),
            },
        };
        self.left_out = left;
        bytes.get(out..).unwrap_or_default()
    }
}

fn hand_over(text: &[u8], message: &mut impl FnMut(&[u8])) {
    let Some(kept) = text.get(..LONGEST).filter(|kept| kept.len() < text.len()) else {
        return message(text);
    };
    // Back to a space: a word may be half a secret's name.
    let end = memchr::memrchr(b' ', kept).unwrap_or(0);
    message(&[kept.get(..end).unwrap_or_default(), CUT].concat());
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    fn read(mut framing: Framing, text: &[u8], piece: usize) -> Vec<Vec<u8>> {
        let mut read = Vec::new();
        for part in text.chunks(piece) {
            framing.read(part, |message| read.push(message.to_vec()));
        }
        framing.finish(|message| read.push(message.to_vec()));
        read
    }

    #[test]
    fn messages() {
        let cases: &[(&str, &str, &[&str])] = &[
            ("lines", "<13>a b\n<13>c\n", &["<13>a b", "<13>c"]),
            ("NUL", "<13>a\0<13>b\0", &["<13>a", "<13>b"]),
            ("lengths", "6 <13>a\n5 <13>b", &["<13>a\n", "<13>b"]),
            (
                "both",
                "5 <13>a<13>b\n5 <13>c",
                &["<13>a", "<13>b", "<13>c"],
            ),
            ("the last has no end", "<13>a\n<13>b", &["<13>a", "<13>b"]),
            ("a length that was not kept", "50 <13>a", &["<13>a"]),
            (
                "a line that begins with a number",
                "200 GET /\n7\n",
                &["200 GET /", "7"],
            ),
            ("no number at all", "12345678 <13>a\n", &["12345678 <13>a"]),
            ("nothing", "", &[]),
        ];
        for (name, text, expected) in cases {
            for piece in [1, 3, 100] {
                let read = read(Framing::syslog(), text.as_bytes(), piece);
                let read: Vec<_> = read
                    .iter()
                    .map(|message| String::from_utf8_lossy(message))
                    .collect();
                assert_eq!(read, *expected, "case: {name}, by {piece}");
            }
        }
        assert_eq!(
            read(Framing::lines(), b"5 <a>\nx", 1),
            [&b"5 <a>"[..], b"x"]
        );
    }

    #[test]
    fn what_is_too_long_is_cut_at_a_space() {
        let long = format!(
            "<13>{}access_token={}",
            "x ".repeat(LONGEST / 4),
            "S".repeat(LONGEST)
        );
        let counted = format!("{} {long}<13>next\n", long.len());
        let lines = format!("{long}\n<13>next\n");
        for text in [counted, lines] {
            for piece in [4096, 100_000, 10_000_000] {
                let read = read(Framing::syslog(), text.as_bytes(), piece);
                assert_eq!(read.len(), 2, "by {piece}");
                assert!(read[0].ends_with(b"x [cut]") && read[0].len() <= LONGEST + CUT.len());
                assert_eq!(read[1], b"<13>next");
            }
        }
        let word = "x".repeat(2 * LONGEST);
        assert_eq!(read(Framing::lines(), word.as_bytes(), 5000), [CUT]);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(
            parts in vec(select(&["<13>", "5 ", "12 ", "0 ", "\n", "\0", "a", " ", "999999 <"][..]), 0..40),
            piece in 1..20_usize,
        ) {
            let text = parts.concat().into_bytes();
            let whole = read(Framing::syslog(), &text, text.len().max(1));
            prop_assert_eq!(read(Framing::syslog(), &text, piece), whole);
        }
    }
}
