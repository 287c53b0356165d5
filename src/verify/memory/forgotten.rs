//! Since when what is void: one number for each of some thousand places.
//!
//! To forget the tokens of a user, one would have to look at all of them, in every
//! worker's way. Instead each act of forgetting is numbered, and notes its number in the
//! place that belongs to the token or the user. A verdict remembers how many acts there
//! were when it was asked for; it is void once one of its places has a later one.
//!
//! Several tokens and users share a place, so now and then one more is forgotten than was
//! asked for. That costs a question. Which ones share it depends on a seed, so nobody can
//! choose a name that shares another's.

use std::{
    hash::{DefaultHasher, Hash, Hasher as _},
    sync::atomic::{AtomicU64, Ordering},
};

/// How many times something had been forgotten, at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(u64);

/// Where forgetting is noted.
#[derive(Clone, Copy)]
pub(super) struct Place(u32);

/// What was forgotten, and when.
pub(super) struct Forgotten {
    acts: AtomicU64,
    /// A power of two of them; the act that last hit the place.
    places: Box<[AtomicU64]>,
    somebody: AtomicU64,
    all: AtomicU64,
    seed: u64,
}

/// The place of those whose user is not known.
const SOMEBODY: u32 = u32::MAX;
const FEWEST_PLACES: usize = 1 << 10;
/// 512 KiB. A hundred logouts a second hit a tenth of them in a minute.
const MOST_PLACES: usize = 1 << 16;

impl Forgotten {
    pub(super) fn new(entries: usize, seed: u64) -> Self {
        let places = entries.clamp(FEWEST_PLACES, MOST_PLACES);
        let places = places.next_power_of_two();
        Self {
            acts: AtomicU64::new(0),
            places: (0..places).map(|_| AtomicU64::new(0)).collect(),
            somebody: AtomicU64::new(0),
            all: AtomicU64::new(0),
            seed,
        }
    }

    pub(super) fn moment(&self) -> Moment {
        Moment(self.acts.load(Ordering::Acquire))
    }

    /// The place of a token; `bits` of its key, which are random.
    pub(super) fn token(&self, bits: u64) -> Place {
        // The cache finds its shards and places by the other bits.
        self.place(bits.rotate_left(16))
    }

    pub(super) fn user(&self, user: &str) -> Place {
        let mut hasher = DefaultHasher::new();
        self.seed.hash(&mut hasher);
        user.hash(&mut hasher);
        self.place(hasher.finish())
    }

    /// The place of all whose user is not known.
    #[expect(clippy::unused_self, reason = "beside `token` and `user`")]
    pub(super) fn somebody(&self) -> Place {
        Place(SOMEBODY)
    }

    /// What belongs to `place` and was asked for until now is void.
    pub(super) fn note(&self, place: Place) {
        self.note_in(self.at(place));
    }

    /// All that was asked for until now is void.
    pub(super) fn note_all(&self) {
        self.note_in(&self.all);
    }

    pub(super) fn is_void(&self, place: Place, asked: Moment) -> bool {
        // Nothing was forgotten since: the usual case, and the places may be far away.
        if self.moment() == asked {
            return false;
        }
        let last = |noted: &AtomicU64| noted.load(Ordering::Acquire);
        last(self.at(place)) > asked.0 || last(&self.all) > asked.0
    }

    fn note_in(&self, noted: &AtomicU64) {
        // Counted first: a question that is sent from here on sees what the issuer has
        // done already. One number for two acts would void too little.
        let act = self.acts.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        noted.fetch_max(act, Ordering::AcqRel);
    }

    fn place(&self, bits: u64) -> Place {
        let most = u64::try_from(self.places.len()).unwrap_or(1);
        let at = bits & most.saturating_sub(1);
        Place(u32::try_from(at).unwrap_or_default())
    }

    fn at(&self, place: Place) -> &AtomicU64 {
        let index = usize::try_from(place.0).unwrap_or(usize::MAX);
        self.places.get(index).unwrap_or(&self.somebody)
    }
}
