//! Lines of any input in one buffer that is wiped, and never copied elsewhere.

use std::{
    io::{self, Read},
    ops::Range,
};

use memchr::memchr;
use zeroize::Zeroizing;

/// The size of the buffer, which is that of the longest line.
const CAPACITY: usize = 64 * 1024;

/// One line of the input.
pub(super) enum Piece<'l> {
    /// Without its line feed.
    Line(&'l [u8]),
    /// Longer than the buffer; passed over.
    TooLong,
}

/// Reads lines.
pub(super) struct Lines<R> {
    input: R,
    buffer: Zeroizing<Vec<u8>>,
    /// What was read and not given out.
    held: Range<usize>,
    has_ended: bool,
}

impl<R: Read> Lines<R> {
    /// Nothing is read yet.
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            buffer: Zeroizing::new(vec![0; CAPACITY]),
            held: 0..0,
            has_ended: false,
        }
    }

    /// The next line, `None` at the end.
    pub(super) fn read(&mut self) -> io::Result<Option<Piece<'_>>> {
        let mut is_too_long = false;
        let line = loop {
            let held = self.held.clone();
            let text = self.buffer.get(held.clone()).unwrap_or_default();
            if let Some(length) = memchr(b'\n', text) {
                let end = held.start.saturating_add(length);
                self.held.start = end.saturating_add(1);
                break held.start..end;
            }
            if self.has_ended {
                self.held = 0..0;
                if held.is_empty() && !is_too_long {
                    return Ok(None);
                }
                break held;
            }
            if held.len() == CAPACITY {
                is_too_long = true;
                self.held = 0..0;
            }
            self.fill()?;
        };
        let text = self.buffer.get(line).unwrap_or_default();
        Ok(Some(if is_too_long {
            Piece::TooLong
        } else {
            Piece::Line(text)
        }))
    }

    /// Reads more behind what is held, which moves to the front.
    fn fill(&mut self) -> io::Result<()> {
        let length = self.held.len();
        self.buffer.copy_within(self.held.clone(), 0);
        self.held = 0..length;
        let room = self.buffer.get_mut(length..).unwrap_or_default();
        let read = loop {
            match self.input.read(room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.has_ended = read == 0;
        self.held.end = length.saturating_add(read);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives as many bytes at a time as it is told.
    struct Drops<'t>(&'t [u8], usize);

    impl Read for Drops<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(self.0.len()).min(into.len());
            let (now, later) = self.0.split_at(length);
            into[..length].copy_from_slice(now);
            self.0 = later;
            Ok(length)
        }
    }

    fn all(text: &[u8], at_once: usize) -> Vec<Option<Vec<u8>>> {
        let mut lines = Lines::new(Drops(text, at_once));
        let mut found = Vec::new();
        while let Some(piece) = lines.read().unwrap() {
            found.push(match piece {
                Piece::Line(line) => Some(line.to_vec()),
                Piece::TooLong => None,
            });
        }
        found
    }

    #[test]
    fn splits_like_the_standard_library() {
        let long = "x".repeat(CAPACITY - 1);
        for text in [
            "",
            "\n",
            "a",
            "a\n",
            "a\n\nb",
            "a\nb\n\n",
            &long,
            &format!("{long}\nb"),
        ] {
            let expected: Vec<_> = text
                .split_terminator('\n')
                .map(|line| Some(line.as_bytes().to_vec()))
                .collect();
            // One at a time would take long for the long ones.
            let least = if text.len() > 100 { 997 } else { 1 };
            for at_once in [least, CAPACITY] {
                assert_eq!(all(text.as_bytes(), at_once), expected, "{at_once} at once");
            }
        }
    }

    #[test]
    fn passes_over_what_is_too_long() {
        let long = "x".repeat(3 * CAPACITY);
        let text = format!("a\n{long}\nb\n{long}");
        let expected = [Some(b"a".to_vec()), None, Some(b"b".to_vec()), None];
        for at_once in [1000, CAPACITY] {
            assert_eq!(all(text.as_bytes(), at_once), expected);
        }
    }
}
