//! Who sends too many unknown tokens.
//!
//! Counted by address, in windows that begin with an address' first unknown token. Only
//! unknown tokens are counted, and only they meet the limit: a valid token from the same
//! address is never slowed, so who guesses slows nobody but himself.

use std::{
    convert::Infallible,
    fmt,
    hash::{BuildHasher, DefaultHasher, Hasher as _},
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use quick_cache::{
    UnitWeighter,
    sync::{Cache, DefaultLifecycle},
};

/// How many unknown tokens came from where. Several threads may use it.
pub struct BadTokens {
    limit: Option<u32>,
    window: Duration,
    counts: Cache<IpAddr, Arc<Mutex<Count>>, UnitWeighter, Seeded>,
}

/// The window of one address.
struct Count {
    began: Instant,
    tokens: u32,
}

impl BadTokens {
    /// `limit` unknown tokens in a `window`, `None` for any number. `seed` should be
    /// nobody's to guess: clients with many addresses can choose them.
    #[must_use]
    pub fn new(limit: Option<u32>, window: Duration, seed: u64) -> Self {
        let counts = Cache::with(
            ADDRESSES,
            ADDRESSES as u64,
            UnitWeighter,
            Seeded(seed),
            DefaultLifecycle::default(),
        );
        Self {
            limit,
            window,
            counts,
        }
    }

    /// Counts one more unknown token from `address`. If that is too many, says in how many
    /// seconds the window ends, at least 1.
    ///
    /// `None` is no address, as of a peer on a unix socket: it is not limited.
    #[must_use]
    pub fn count(&self, address: Option<IpAddr>, now: Instant) -> Option<u32> {
        let limit = self.limit?;
        let count = self.window_of(network(address?), now);
        let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
        // Workers read their clocks at slightly different times.
        let mut passed = now.saturating_duration_since(count.began);
        if passed >= self.window {
            *count = Count::new(now);
            passed = Duration::ZERO;
        }
        count.tokens = count.tokens.saturating_add(1);
        (count.tokens > limit).then(|| whole_seconds(self.window.saturating_sub(passed)))
    }

    fn window_of(&self, network: IpAddr, now: Instant) -> Arc<Mutex<Count>> {
        let begin = || Ok::<_, Infallible>(Arc::new(Mutex::new(Count::new(now))));
        match self.counts.get_or_insert_with(&network, begin) {
            Ok(count) => count,
            Err(never) => match never {},
        }
    }
}

impl fmt::Debug for BadTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BadTokens")
            .field("limit", &self.limit)
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}

impl Count {
    fn new(began: Instant) -> Self {
        Self { began, tokens: 0 }
    }
}

/// What counts as one sender. An IPv6 host has a /64, and can use any address in it.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// Rounded up, and at least one.
fn whole_seconds(time: Duration) -> u32 {
    let has_more = u64::from(time.subsec_nanos() > 0);
    let seconds = time.as_secs().saturating_add(has_more).max(1);
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

/// Hashes so that nobody without the seed can make two addresses meet.
#[derive(Clone)]
struct Seeded(u64);

impl BuildHasher for Seeded {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher
    }
}

/// How many senders are remembered at once.
const ADDRESSES: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_limit_for_each_address() {
        let start = Instant::now();
        // Address, second, answer; one after the other, two tokens a minute.
        let cases = [
            ("first", address("192.0.2.1"), 0, None),
            ("second", address("192.0.2.1"), 10, None),
            ("third", address("192.0.2.1"), 10, Some(50)),
            (
                "to ask again does not help",
                address("192.0.2.1"),
                59,
                Some(1),
            ),
            ("another address", address("192.0.2.2"), 59, None),
            (
                "the same, written in IPv6",
                address("::ffff:192.0.2.1"),
                59,
                Some(1),
            ),
            ("a new window", address("192.0.2.1"), 60, None),
            ("which begins then", address("192.0.2.1"), 119, None),
            ("and ends then", address("192.0.2.1"), 119, Some(1)),
            ("a network", address("2001:db8::1"), 120, None),
            ("its other address", address("2001:db8::2"), 120, None),
            ("its third", address("2001:db8::ffff:1:1:1"), 120, Some(60)),
            ("its neighbour", address("2001:db8:0:1::1"), 120, None),
        ];
        let bad = BadTokens::new(Some(2), MINUTE, 1);
        for (name, address, second, expected) in cases {
            let now = start + Duration::from_secs(second);
            assert_eq!(bad.count(Some(address), now), expected, "case: {name}");
        }
    }

    #[test]
    fn the_wait_is_rounded_up() {
        let start = Instant::now();
        let bad = BadTokens::new(Some(1), Duration::from_millis(1500), 1);
        let count = |ms| {
            bad.count(
                Some(address("192.0.2.1")),
                start + Duration::from_millis(ms),
            )
        };
        assert_eq!(
            [count(0), count(1), count(501), count(1499)],
            [None, Some(2), Some(1), Some(1)]
        );
    }

    #[test]
    fn who_has_no_address_is_not_limited() {
        let now = Instant::now();
        let bad = BadTokens::new(Some(1), MINUTE, 1);
        assert!((0..10).all(|_| bad.count(None, now).is_none()));
        let any = BadTokens::new(None, MINUTE, 1);
        assert!((0..10).all(|_| any.count(Some(address("192.0.2.1")), now).is_none()));
    }

    #[test]
    fn a_clock_that_is_behind_starts_no_window() {
        let start = Instant::now();
        let bad = BadTokens::new(Some(1), MINUTE, 1);
        let later = start + Duration::from_secs(1);
        assert_eq!(bad.count(Some(address("192.0.2.1")), later), None);
        assert_eq!(bad.count(Some(address("192.0.2.1")), start), Some(60));
    }

    #[test]
    fn threads_count_together() {
        let now = Instant::now();
        let bad = BadTokens::new(Some(100), MINUTE, 1);
        let refused = || {
            let count = |_: &u32| bad.count(Some(address("192.0.2.1")), now).is_some();
            (0..100_u32).filter(count).count()
        };
        let total: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(refused)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert_eq!(total, 300);
    }

    #[test]
    fn a_thousand_networks_a_second_fill_no_memory() {
        let now = Instant::now();
        let bad = BadTokens::new(Some(1), MINUTE, 1);
        for network in 0..200_000_u128 {
            let address = IpAddr::V6(Ipv6Addr::from_bits(network << 64));
            let _ = bad.count(Some(address), now);
        }
        assert!(bad.counts.len() <= ADDRESSES, "{}", bad.counts.len());
    }
}
