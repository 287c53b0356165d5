//! Reads a stream in blocks of whole lines, in bounded memory.
//!
//! A block is read into the same place each time. That place is 64 bytes behind the start of
//! a page: kernels copy several times slower to the first bytes of one, where allocators put
//! large buffers. What is left of a line is moved in front of it.
//!
//! A line longer than the longest is handed over in parts that overlap, each with the range
//! of places that are its own: a secret that begins in it is nobody else's.

use std::{
    io::{self, Read},
    ops::Range,
};

/// How much is read and kept at once.
#[derive(Clone, Copy, Debug)]
pub(in crate::audit) struct Sizes {
    /// Bytes read at once, which fit the cache of a core.
    pub(in crate::audit) block: usize,
    /// The longest line that is looked at as a whole.
    pub(in crate::audit) longest: usize,
    /// What two parts of a longer one have in common; no secret is half as long.
    pub(in crate::audit) overlap: usize,
    /// Secrets that several workers together may have before they hand them in.
    pub(in crate::audit) kept: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            block: 256 * 1024,
            longest: 1024 * 1024,
            overlap: 64 * 1024,
            kept: 20 * 1024,
        }
    }
}

/// Where a page may begin.
const PAGE: usize = 4096;

/// How far behind it copies are quick.
const BEHIND: usize = 64;

/// Bytes with a good place among them.
#[derive(Debug)]
pub(in crate::audit) struct Buffer {
    bytes: Vec<u8>,
    point: usize,
}

impl Buffer {
    /// Room for `before` bytes in front of a good place, and for `behind` from there on.
    pub(super) fn new(before: usize, behind: usize) -> Self {
        let slack = PAGE.saturating_add(BEHIND);
        let room = before.saturating_add(slack).saturating_add(behind);
        let bytes = vec![0; room];
        let first = before.saturating_add(BEHIND);
        let place = bytes.get(before..).unwrap_or_default();
        let point = first.saturating_add(place.as_ptr().align_offset(PAGE).min(PAGE));
        Self { bytes, point }
    }

    /// From the good place on.
    pub(super) fn behind(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.point..).unwrap_or_default()
    }
}

/// What comes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::audit) enum Piece<'t> {
    /// Whole lines; the last may lack its end.
    Lines(&'t [u8]),
    /// Part of a line that is too long.
    Part {
        text: &'t [u8],
        /// The places that no other part has.
        own: Range<usize>,
        /// Whether the line ends with it.
        is_last: bool,
    },
}

/// The reader of one stream after another.
#[derive(Debug)]
pub(in crate::audit) struct Lines {
    buffer: Buffer,
    sizes: Sizes,
    /// What was read and not handed over, in front of the good place.
    kept: usize,
    /// Whether that is the rest of a line of which a part was handed over.
    is_inside: bool,
}

impl Lines {
    pub(in crate::audit) fn new(sizes: Sizes) -> Self {
        // A line is too long as soon as it is longer, which is seen a block later.
        let before = sizes.longest.saturating_add(sizes.block);
        Self {
            buffer: Buffer::new(before, sizes.block),
            sizes,
            kept: 0,
            is_inside: false,
        }
    }

    /// Forgets the stream before.
    pub(in crate::audit) fn reset(&mut self) {
        (self.kept, self.is_inside) = (0, false);
    }

    /// Whether the line that was read last has no end, and is short enough to be whole.
    pub(in crate::audit) fn has_open_line(&self) -> bool {
        self.kept > 0 && !self.is_inside
    }

    /// Reads once, and hands over the lines that are whole. Returns the bytes that were
    /// read: none at the end.
    pub(in crate::audit) fn read(
        &mut self,
        source: &mut (impl Read + ?Sized),
        take: &mut dyn FnMut(Piece<'_>),
    ) -> io::Result<usize> {
        let block = self.sizes.block;
        let room = self.buffer.behind().get_mut(..block).unwrap_or_default();
        let read = loop {
            match source.read(room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.hand_over(read, take);
        Ok(read)
    }

    /// The stream has ended: hands over what is left.
    pub(in crate::audit) fn finish(&mut self, take: &mut dyn FnMut(Piece<'_>)) {
        let point = self.buffer.point;
        let rest = point.saturating_sub(self.kept)..point;
        let text = self.buffer.bytes.get(rest).unwrap_or_default();
        if self.is_inside {
            take(self.part(text, true));
        } else if !text.is_empty() {
            take(Piece::Lines(text));
        }
        self.reset();
    }

    fn hand_over(&mut self, read: usize, take: &mut dyn FnMut(Piece<'_>)) {
        let end = self.buffer.point.saturating_add(read);
        let mut from = self.buffer.point.saturating_sub(self.kept);
        if self.is_inside
            && let Some(line) = self.line_end(from, end)
        {
            let text = self.buffer.bytes.get(from..line).unwrap_or_default();
            take(self.part(text, true));
            self.is_inside = false;
            from = line;
        }
        let text = self.buffer.bytes.get(from..end).unwrap_or_default();
        if !self.is_inside
            && let Some(last) = memchr::memrchr(b'\n', text)
        {
            let (whole, _) = text
                .split_at_checked(last.saturating_add(1))
                .unwrap_or_default();
            take(Piece::Lines(whole));
            from = from.saturating_add(whole.len());
        }
        if end.saturating_sub(from) > self.sizes.longest {
            let text = self.buffer.bytes.get(from..end).unwrap_or_default();
            take(self.part(text, false));
            self.is_inside = true;
            from = end.saturating_sub(self.sizes.overlap).max(from);
        }
        self.keep(from..end);
    }

    /// Behind the first end of a line.
    fn line_end(&self, from: usize, end: usize) -> Option<usize> {
        let text = self.buffer.bytes.get(from..end)?;
        let found = memchr::memchr(b'\n', text)?;
        Some(from.saturating_add(found).saturating_add(1))
    }

    /// Half of what it has in common with another part is its own.
    fn part<'t>(&self, text: &'t [u8], is_last: bool) -> Piece<'t> {
        let half = self.sizes.overlap / 2;
        let start = if self.is_inside { half } else { 0 };
        let end = if is_last {
            text.len()
        } else {
            text.len().saturating_sub(half)
        };
        Piece::Part {
            text,
            own: start..end,
            is_last,
        }
    }

    fn keep(&mut self, rest: Range<usize>) {
        let point = self.buffer.point;
        self.kept = rest.len();
        let to = point.saturating_sub(self.kept);
        if rest.start != to {
            self.buffer.bytes.copy_within(rest, to);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const SMALL: Sizes = Sizes {
        block: 7,
        longest: 20,
        overlap: 8,
        kept: 0,
    };

    /// A source that gives as many bytes as it likes.
    struct Drip<'t>(&'t [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            let given = self.0.len().min(self.1).min(room.len());
            let (now, later) = self.0.split_at(given);
            room[..given].copy_from_slice(now);
            self.0 = later;
            Ok(given)
        }
    }

    proptest! {
        /// Each byte is some piece's own, once, and no piece of whole lines ends within one.
        #[test]
        fn hands_every_byte_over_once(
            lines in vec("[a-z]{0,60}", 0..12),
            step in 1_usize..12,
            has_end in any::<bool>(),
        ) {
            let mut text = lines.join("\n").into_bytes();
            if has_end {
                text.push(b'\n');
            }
            let mut source = Drip(&text, step);
            let mut got = Vec::new();
            let mut take = |piece: Piece<'_>| match piece {
                Piece::Lines(lines) => got.extend_from_slice(lines),
                Piece::Part { text, own, .. } => got.extend_from_slice(&text[own]),
            };
            let mut reader = Lines::new(SMALL);
            while reader.read(&mut source, &mut take).unwrap() > 0 {}
            reader.finish(&mut take);
            prop_assert_eq!(got, text);
        }
    }

    #[test]
    fn reads_to_a_place_that_is_quick_to_copy_to() {
        for before in [0, 1, 4096, 1 << 20] {
            let mut buffer = Buffer::new(before, 64);
            assert_eq!(buffer.behind().as_ptr().addr() % PAGE, BEHIND, "{before}");
            assert!(
                buffer.point >= before && buffer.behind().len() >= 64,
                "{before}"
            );
        }
    }
}
