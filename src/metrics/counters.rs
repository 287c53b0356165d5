//! Where one thread counts: plain numbers, a place for each label.
//!
//! Only their thread writes them, so counting is a load, an addition and a
//! store: no lock, no locked instruction, and no cache line that another thread
//! writes. Whoever reads sees a number that was right a moment ago.

use std::{
    marker::PhantomData,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::{
    code,
    label::{
        Attempt, ConnectFailure, Handshake, Judgement, Label, Limit, Method, Protocol, Reason,
        Rewrite, Timeout, Tls, TokenSource, Witness,
    },
};
use crate::{access_log::Ending, requirement::RouteClass};

/// The upper bounds of the duration histogram, in microseconds, and as text in
/// seconds. From what a proxy on the same machine adds to what a long poll waits.
pub(super) const BOUNDS: [(u64, &str); 15] = [
    (1_000, "0.001"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (5_000_000, "5"),
    (10_000_000, "10"),
    (30_000_000, "30"),
    (60_000_000, "60"),
    (120_000_000, "120"),
];

/// The bounds and what is beyond them.
pub(super) const BUCKETS: usize = BOUNDS.len() + 1;

const ROUTES: usize = RouteClass::ALL.len();
const METHODS: usize = Method::ALL.len();

/// A number that one thread writes and all may read.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Right only as long as one thread writes.
    pub(super) fn add(&self, more: u64) {
        self.0
            .store(self.get().wrapping_add(more), Ordering::Relaxed);
    }

    pub(super) fn subtract(&self, less: u64) {
        self.0
            .store(self.get().wrapping_sub(less), Ordering::Relaxed);
    }
}

/// A counter for each label.
#[derive(Debug)]
pub(super) struct Row<L, const N: usize> {
    counters: [Counter; N],
    labels: PhantomData<fn(L)>,
}

impl<L, const N: usize> Default for Row<L, N> {
    fn default() -> Self {
        Self {
            counters: [const { Counter(AtomicU64::new(0)) }; N],
            labels: PhantomData,
        }
    }
}

impl<L: Label, const N: usize> Row<L, N> {
    pub(super) fn get(&self, label: L) -> u64 {
        self.counters.get(label.index()).map_or(0, Counter::get)
    }

    pub(super) fn add(&self, label: L, more: u64) {
        if let Some(counter) = self.counters.get(label.index()) {
            counter.add(more);
        }
    }

    pub(super) fn subtract(&self, label: L, less: u64) {
        if let Some(counter) = self.counters.get(label.index()) {
            counter.subtract(less);
        }
    }
}

/// The durations of one route class.
#[derive(Debug, Default)]
pub(super) struct Durations {
    pub(super) buckets: [Counter; BUCKETS],
    pub(super) sum_micros: Counter,
}

impl Durations {
    pub(super) fn note(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|(bound, _)| *bound < micros);
        if let Some(counter) = self.buckets.get(bucket) {
            counter.add(1);
        }
        self.sum_micros.add(micros);
    }
}

/// Requests by the place of their code.
#[derive(Debug)]
#[repr(align(128))]
struct Codes([Counter; code::COUNT]);

impl Default for Codes {
    fn default() -> Self {
        Self([const { Counter(AtomicU64::new(0)) }; code::COUNT])
    }
}

/// What a connection is counted as.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionKind(pub(super) Protocol, pub(super) Tls);

impl Label for ConnectionKind {
    const ALL: &'static [Self] = &[
        Self(Protocol::Http1, Tls::No),
        Self(Protocol::Http1, Tls::Yes),
        Self(Protocol::Http2, Tls::No),
        Self(Protocol::Http2, Tls::Yes),
    ];

    fn index(self) -> usize {
        self.0.index() << 1 | self.1.index()
    }

    fn as_str(self) -> &'static str {
        self.0.as_str()
    }
}

/// What was said of a token, and by whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judged(pub(super) Judgement, pub(super) Witness);

impl Label for Judged {
    const ALL: &'static [Self] = &[
        Self(Judgement::Valid, Witness::Memory),
        Self(Judgement::Valid, Witness::Issuer),
        Self(Judgement::Valid, Witness::Upstream),
        Self(Judgement::Unknown, Witness::Memory),
        Self(Judgement::Unknown, Witness::Issuer),
        Self(Judgement::Unknown, Witness::Upstream),
        Self(Judgement::Locked, Witness::Memory),
        Self(Judgement::Locked, Witness::Issuer),
        Self(Judgement::Locked, Witness::Upstream),
        Self(Judgement::NoAnswer, Witness::Memory),
        Self(Judgement::NoAnswer, Witness::Issuer),
        Self(Judgement::NoAnswer, Witness::Upstream),
    ];

    fn index(self) -> usize {
        let Self(judgement, witness) = self;
        let before = judgement.index().saturating_mul(Witness::ALL.len());
        before.saturating_add(witness.index())
    }

    fn as_str(self) -> &'static str {
        self.0.as_str()
    }
}

/// All counters of one thread, apart from those of any other: two cache lines,
/// since processors fetch them in pairs.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Counters {
    pub(super) in_flight: Row<RouteClass, ROUTES>,
    pub(super) ended: Row<Ending, { Ending::ALL.len() }>,
    pub(super) token_source: Row<TokenSource, { TokenSource::ALL.len() }>,
    pub(super) rewrites: Row<Rewrite, { Rewrite::ALL.len() }>,
    pub(super) attempts: Row<Attempt, { Attempt::ALL.len() }>,
    pub(super) request_body_bytes: Counter,
    pub(super) response_body_bytes: Counter,
    pub(super) durations: [Durations; ROUTES],
    pub(super) rejections: Row<Reason, { Reason::ALL.len() }>,
    pub(super) judged: Row<Judged, { Judged::ALL.len() }>,
    pub(super) upstream_connects: Counter,
    pub(super) connect_errors: Row<ConnectFailure, { ConnectFailure::ALL.len() }>,
    pub(super) accepted: Counter,
    pub(super) opened: Row<ConnectionKind, { ConnectionKind::ALL.len() }>,
    pub(super) closed: Row<ConnectionKind, { ConnectionKind::ALL.len() }>,
    pub(super) handshakes: Row<Handshake, { Handshake::ALL.len() }>,
    pub(super) limits: Row<Limit, { Limit::ALL.len() }>,
    pub(super) timeouts: Row<Timeout, { Timeout::ALL.len() }>,
    /// By route class and method.
    requests: Box<[[Codes; METHODS]]>,
}

impl Counters {
    pub(super) fn new() -> Self {
        Self {
            in_flight: Row::default(),
            ended: Row::default(),
            token_source: Row::default(),
            rewrites: Row::default(),
            attempts: Row::default(),
            request_body_bytes: Counter::default(),
            response_body_bytes: Counter::default(),
            durations: Default::default(),
            rejections: Row::default(),
            judged: Row::default(),
            upstream_connects: Counter::default(),
            connect_errors: Row::default(),
            accepted: Counter::default(),
            opened: Row::default(),
            closed: Row::default(),
            handshakes: Row::default(),
            limits: Row::default(),
            timeouts: Row::default(),
            requests: (0..ROUTES).map(|_| Default::default()).collect(),
        }
    }

    /// The requests of one route class and method with the code in this place.
    pub(super) fn requests(
        &self,
        route: RouteClass,
        method: Method,
        place: usize,
    ) -> Option<&Counter> {
        let by_method = self.requests.get(route.index())?;
        by_method.get(method.index())?.0.get(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_threads_write_one_pair_of_cache_lines() {
        assert_eq!(align_of::<Counters>(), 128);
        assert_eq!(size_of::<Counters>() % 128, 0);
        assert_eq!(align_of::<[Codes; METHODS]>(), 128);
    }

    #[test]
    fn durations_fall_into_the_bucket_whose_bound_they_do_not_exceed() {
        let cases = [
            ("at once", 0, 0),
            ("the first bound itself", 1_000, 0),
            ("just above", 1_001, 1),
            ("a long poll", 30_000_000, 12),
            ("the last bound", 120_000_000, 14),
            ("beyond", 120_000_001, 15),
        ];
        for (name, micros, bucket) in cases {
            let durations = Durations::default();
            durations.note(Duration::from_micros(micros));
            let counts: Vec<_> = durations.buckets.iter().map(Counter::get).collect();
            let expected: Vec<_> = (0..BUCKETS).map(|n| u64::from(n == bucket)).collect();
            assert_eq!(counts, expected, "case: {name}");
            assert_eq!(durations.sum_micros.get(), micros, "case: {name}");
        }
        assert!(BOUNDS.is_sorted_by_key(|(bound, _)| *bound));
        for (micros, seconds) in BOUNDS {
            let bound = Duration::from_micros(micros).as_secs_f64();
            assert_eq!(bound.to_string(), seconds);
        }
    }
}
