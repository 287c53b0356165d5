//! Chance that can be repeated: `SplitMix64`.

use std::time::Duration;

pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of 0 to `end` without `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    /// For somebody else.
    pub(crate) fn child(&mut self) -> Self {
        Self(self.next())
    }

    /// Mostly small, seldom large, as answers of a homeserver are.
    pub(crate) fn size(&mut self) -> u64 {
        match self.below(100) {
            0 => self.below(1 << 20),
            1..=5 => self.below(1 << 17),
            _ => self.below(1 << 12),
        }
    }

    pub(crate) async fn pause(&mut self, least: u64, most: u64) {
        let time = Duration::from_millis(least + self.below(most - least));
        tokio::time::sleep(time).await;
    }
}
