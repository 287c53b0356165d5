//! A quick hash for maps whose keys no stranger chooses, or which have few: words of fixed
//! sets, numbers, what is a keyed hash already.

use std::hash::Hasher;

/// Eight bytes with each multiplication.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fold(u64);

impl Fold {
    fn push(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(23) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for Fold {
    fn finish(&self) -> u64 {
        // The table looks at the highest bits and the lowest.
        self.0 ^ self.0 >> 32
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        for word in words {
            self.push(u64::from_le_bytes(*word));
        }
        let shifted = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        match bytes.last_chunk() {
            // It overlaps the word before it.
            Some(last) => self.push(u64::from_le_bytes(*last)),
            None => self.push(rest.iter().fold(0, shifted)),
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.push(u64::from(value));
    }

    fn write_u16(&mut self, value: u16) {
        self.push(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.push(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.push(u64::try_from(value).unwrap_or(u64::MAX));
    }

    fn write_isize(&mut self, value: isize) {
        self.push(u64::from_ne_bytes(
            i64::try_from(value).unwrap_or_default().to_ne_bytes(),
        ));
    }
}
