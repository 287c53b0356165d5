//! The line ends of a text, counted once.

use super::chunk::as_u64;

/// Bytes between two places whose count is remembered.
const STEP: usize = 16 * 1024;

/// How many lines end before a place of one text.
#[derive(Debug)]
pub(super) struct Ends {
    /// Before each multiple of a step, and in the whole text.
    marks: Vec<u64>,
    /// The place that was asked for last, and how many end before it.
    last: (usize, u64),
}

impl Ends {
    pub(super) fn of(text: &[u8]) -> Self {
        let steps = text.chunks(STEP).scan(0_u64, |ends, step| {
            *ends = ends.saturating_add(count(step));
            Some(*ends)
        });
        Self {
            marks: std::iter::once(0).chain(steps).collect(),
            last: (0, 0),
        }
    }

    /// In all of it.
    pub(super) fn total(&self) -> u64 {
        self.marks.last().copied().unwrap_or_default()
    }

    /// Before a place of `text`, which is the one that was counted. It is quick from left to
    /// right.
    pub(super) fn before(&mut self, text: &[u8], place: usize) -> u64 {
        let (mut from, mut ends) = self.last;
        let mark = place / STEP;
        let marked = mark.saturating_mul(STEP);
        if from > place || from < marked {
            (from, ends) = (marked, self.marks.get(mark).copied().unwrap_or_default());
        }
        ends = ends.saturating_add(count(text.get(from..place).unwrap_or_default()));
        self.last = (place, ends);
        ends
    }
}

fn count(text: &[u8]) -> u64 {
    as_u64(bytecount::count(text, b'\n'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever place is asked for behind which other one.
        #[test]
        fn counts_before_every_place(
            lines in proptest::collection::vec(0..2000_usize, 0..60),
            places in proptest::collection::vec(0..70_000_usize, 1..20),
        ) {
            let lines = lines.iter().map(|length| "x".repeat(*length));
            let text = lines.collect::<Vec<_>>().join("\n").into_bytes();
            let slow = |end: usize| as_u64(memchr::memchr_iter(b'\n', &text[..end]).count());
            let mut ends = Ends::of(&text);
            prop_assert_eq!(ends.total(), slow(text.len()));
            for place in places {
                let place = place.min(text.len());
                prop_assert_eq!(ends.before(&text, place), slow(place));
            }
        }
    }
}
