//! How many different ones, and a few of them: the `K` with the smallest hashes.
//!
//! What two samples together hold is the sample of the whole, so parts add up exactly.
//! Below `K` the number is exact; from there on it is estimated from how close the hashes
//! lie.

use smallvec::SmallVec;

/// Up to `K` numbers, those with the smallest hashes of all that were put in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::audit) struct Sample<const K: usize>(SmallVec<[u64; 2]>);

impl<const K: usize> Sample<K> {
    pub(in crate::audit) fn put(&mut self, value: u64) {
        let hash = mix(value);
        // Nearly always it is larger than all of them, or one of them already.
        if self.0.len() >= K && self.0.last().is_some_and(|last| mix(*last) < hash) {
            return;
        }
        let place = self.0.partition_point(|known| mix(*known) < hash);
        if place >= K || self.0.get(place) == Some(&value) {
            return;
        }
        if self.0.len() >= K {
            self.0.pop();
        }
        self.0.insert(place, value);
    }

    pub(in crate::audit) fn merge(&mut self, other: &Self) {
        for value in &other.0 {
            self.put(*value);
        }
    }

    /// How many different ones there were, and whether that is no estimate.
    pub(in crate::audit) fn distinct(&self) -> (u64, bool) {
        let least = u64::try_from(self.0.len()).unwrap_or(u64::MAX);
        match self.0.last() {
            Some(largest) if self.0.len() >= K => {
                let span = u128::from(mix(*largest)).saturating_add(1);
                let numerator = u128::from(least.saturating_sub(1)) << 64;
                let estimate = numerator.checked_div(span).unwrap_or_default();
                (
                    u64::try_from(estimate).unwrap_or(u64::MAX).max(least),
                    false,
                )
            }
            _ => (least, true),
        }
    }

    pub(in crate::audit) fn values(&self) -> &[u64] {
        &self.0
    }
}

/// Each number to another one, none twice, so that equal hashes are equal numbers
/// (the finaliser of splitmix64).
fn mix(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: impl IntoIterator<Item = u64>) -> Sample<16> {
        let mut sample = Sample::default();
        values.into_iter().for_each(|value| sample.put(value));
        sample
    }

    #[test]
    fn counts_exactly_while_it_can_and_well_beyond() {
        assert_eq!(of([]).distinct(), (0, true));
        assert_eq!(of([3, 3, 1]).distinct(), (2, true));
        assert_eq!(of(0..15).distinct(), (15, true));
        let (about, is_exact) = of(0..100_000).distinct();
        assert!(!is_exact && (50_000..200_000).contains(&about), "{about}");
    }

    proptest! {
        #[test]
        fn parts_add_up_to_the_whole(values in proptest::collection::vec(0..60_u64, 0..80), at in 0..80_usize) {
            let (left, right) = values.split_at(at.min(values.len()));
            let mut merged = of(right.iter().copied());
            merged.merge(&of(left.iter().copied()));
            prop_assert_eq!(merged, of(values));
        }
    }
}
