//! Verdicts, kept for a while under the keyed hash of their token.
//!
//! All workers share one memory. It is bounded by a cache library, which drops what was
//! asked for least; a verdict's end is ours to see, so time is an argument everywhere.
//!
//! The rule to keep: a verdict that was asked for before something was forgotten is void
//! afterwards, even if the answer comes and is kept only then. Otherwise a logout that
//! overtakes a question would be undone by its answer. So nothing is searched and removed;
//! see `memory/forgotten.rs`.

mod forgotten;

use std::{
    fmt,
    hash::{BuildHasherDefault, Hasher},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use quick_cache::{UnitWeighter, sync::Cache};

use super::Verdict;
use crate::secret::TokenKey;
pub use forgotten::Moment;
use forgotten::{Forgotten, Place};

/// What is known of tokens. Several threads may use it.
pub struct Memory {
    cache: Cache<TokenKey, Kept, UnitWeighter, BuildHasherDefault<KeyHasher>>,
    forgotten: Forgotten,
    seed: u64,
    /// Whether anything was ever kept: where `learn` never learned, a look costs no lock.
    is_used: AtomicBool,
}

/// A verdict, and how long it stands.
#[derive(Clone)]
struct Kept {
    verdict: Arc<Verdict>,
    until: Instant,
    asked: Moment,
    /// Where the user's forgetting is noted; `None` if the verdict is about nobody.
    owner: Option<Place>,
}

impl Memory {
    /// A memory for `entries` verdicts. It grows as it is used.
    ///
    /// `seed` should be nobody's to guess: it decides which users are forgotten together.
    #[must_use]
    pub fn new(entries: usize, seed: u64) -> Self {
        let capacity = u64::try_from(entries).unwrap_or(u64::MAX);
        Self {
            cache: Cache::with(
                entries,
                capacity,
                UnitWeighter,
                BuildHasherDefault::default(),
                quick_cache::sync::DefaultLifecycle::default(),
            ),
            forgotten: Forgotten::new(entries, seed),
            seed,
            is_used: AtomicBool::new(false),
        }
    }

    /// What is known of a token; `None` if nothing is, or nothing any more.
    #[must_use]
    pub fn recall(&self, key: TokenKey, now: Instant) -> Option<Arc<Verdict>> {
        if !self.is_used.load(Ordering::Acquire) {
            return None;
        }
        let kept = self.cache.get(&key)?;
        let token = self.forgotten.token(half(key));
        let is_good = now < kept.until
            && !self.forgotten.is_void(token, kept.asked)
            && !(kept.owner).is_some_and(|owner| self.forgotten.is_void(owner, kept.asked));
        is_good.then_some(kept.verdict)
    }

    /// This moment. Take it before a question is sent to an issuer, and hand it to
    /// [`keep_if`](Self::keep_if) with the answer.
    #[must_use]
    pub fn moment(&self) -> Moment {
        self.forgotten.moment()
    }

    /// Keeps a verdict that was asked for at `asked`, unless it was forgotten since.
    ///
    /// It stands for at most `ttl`, and up to a tenth less, so that verdicts that were kept
    /// together do not end together.
    pub fn keep_if(
        &self,
        asked: Moment,
        key: TokenKey,
        verdict: Arc<Verdict>,
        ttl: Duration,
        now: Instant,
    ) {
        let ttl = shortened(ttl, self.seed ^ half(key));
        let Some(until) = now.checked_add(ttl).filter(|until| *until > now) else {
            return;
        };
        let owner = self.owner(&verdict);
        let kept = Kept {
            verdict,
            until,
            asked,
            owner,
        };
        self.cache.insert(key, kept);
        if !self.is_used.load(Ordering::Relaxed) {
            self.is_used.store(true, Ordering::Release);
        }
    }

    /// Keeps a verdict that nobody had to wait for. See [`keep_if`](Self::keep_if).
    pub fn keep(&self, key: TokenKey, verdict: Arc<Verdict>, ttl: Duration, now: Instant) {
        self.keep_if(self.moment(), key, verdict, ttl, now);
    }

    /// Forgets one token.
    pub fn forget(&self, key: TokenKey) {
        self.forgotten.note(self.forgotten.token(half(key)));
        self.cache.remove(&key);
    }

    /// Forgets the tokens of a user, and those that may be his: the locked ones, and the
    /// valid ones of which no Matrix user is known. Unknown tokens stay unknown.
    pub fn forget_user(&self, user: &str) {
        self.forgotten.note(self.forgotten.user(user));
        self.forgotten.note(self.forgotten.somebody());
    }

    /// Forgets everything.
    pub fn forget_all(&self) {
        self.forgotten.note_all();
    }

    /// How many verdicts are held, those that are void but not yet replaced among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cache.len()
    }

    /// Whether none is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cache.is_empty()
    }

    fn owner(&self, verdict: &Verdict) -> Option<Place> {
        match verdict {
            Verdict::Valid(identity) => Some(match identity.user.as_deref() {
                Some(user) if user.starts_with('@') => self.forgotten.user(user),
                // Forgetting is asked for by Matrix user: this one could be any.
                _ => self.forgotten.somebody(),
            }),
            Verdict::Locked | Verdict::Unfit => Some(self.forgotten.somebody()),
            Verdict::Unknown { .. } => None,
        }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

/// `ttl`, less up to a tenth of it.
fn shortened(ttl: Duration, random: u64) -> Duration {
    let step = ttl.checked_div(10 * 1024).unwrap_or_default();
    let steps = u32::try_from(mixed(random) % 1024).unwrap_or_default();
    ttl.saturating_sub(step.saturating_mul(steps))
}

/// Spreads what is in a few bits over all of them (the last step of splitmix64).
fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Half of the key's bits: as good as random, since they are of a keyed hash.
fn half(key: TokenKey) -> u64 {
    use std::hash::Hash as _;
    let mut hasher = KeyHasher::default();
    key.hash(&mut hasher);
    hasher.finish()
}

/// "Hashes" a [`TokenKey`] by taking bytes of it: it is a keyed hash already.
#[derive(Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    /// The length, which is always the same.
    fn write_usize(&mut self, _length: usize) {}
}
