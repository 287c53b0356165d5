//! Tests every byte of a text, sixteen at a time.
//!
//! `Iterator::all` looks at one byte after the other, because it may stop at each.
//! Nearly every target, token and log text passes, so here a group of bytes is
//! looked at as a whole and without a branch, which the compiler turns into vector
//! instructions.

use std::ops::RangeInclusive;

/// Bytes that are looked at together.
const LANE: usize = 16;

/// Whether every byte of `text` is in `range` and none is one of `except`.
#[inline]
#[must_use]
pub fn is_all<const N: usize>(text: &[u8], range: RangeInclusive<u8>, except: [u8; N]) -> bool {
    let passes = |so_far: bool, byte: &u8| {
        let mut passes = so_far & range.contains(byte);
        for other in &except {
            passes &= byte != other;
        }
        passes
    };
    let lane_passes = |lane: &[u8; LANE]| lane.iter().fold(true, passes);
    match text.last_chunk() {
        // It overlaps the lane before it, so that no single bytes are left over.
        Some(last) => text.as_chunks().0.iter().all(lane_passes) && lane_passes(last),
        None => text.iter().fold(true, passes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_one_wrong_byte_wherever_it_stands() {
        for length in 0..=4 * LANE {
            let mut text = vec![b'b'; length];
            assert!(is_all(&text, b'b'..=b'd', [b'c']), "{length} right bytes");
            for at in 0..length {
                for wrong in *b"ace" {
                    text[at] = wrong;
                    assert!(!is_all(&text, b'b'..=b'd', [b'c']), "{at} of {length}");
                }
                text[at] = b'd';
            }
        }
    }
}
