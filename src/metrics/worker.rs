//! What may happen in one thread, and what is counted for it.
//!
//! One thing that happens is one call here, whatever number of counters it moves.

use std::{cell::Cell, fmt, marker::PhantomData, sync::Arc, time::Duration};

use super::{
    code,
    counters::{ConnectionKind, Counters, Judged},
    label::{
        Attempt, ConnectFailure, Handshake, Judgement, Label as _, Limit, Method, Protocol, Reason,
        Rewrite, Timeout, Tls, TokenSource, Witness,
    },
};
use crate::{access_log::Ending, refusal::Refusal, requirement::RouteClass};

/// What is counted of a request when it is over.
#[derive(Clone, Copy, Debug)]
pub struct Finished {
    /// Its method.
    pub method: Method,
    /// The answer's status; 0 if none began.
    pub status: u16,
    /// The class it was last counted as in flight in.
    pub route: RouteClass,
    /// Where its token was; `None` if nobody looked.
    pub source: Option<TokenSource>,
    /// How it ended.
    pub ending: Ending,
    /// From the first byte of its head to the last of its answer.
    pub duration: Duration,
    /// Bytes of its body that we read.
    pub request_bytes: u64,
    /// Bytes of the answer's body that the client got.
    pub response_bytes: u64,
}

/// The near end of a thread's counters.
///
/// It can be sent to its thread, but not shared with another, nor cloned: that
/// is what makes a lock unnecessary. Put it into an `Rc`.
pub struct Worker {
    counters: Arc<Counters>,
    /// Keeps it on one thread.
    is_not_sync: PhantomData<Cell<()>>,
}

impl Worker {
    pub(super) fn new() -> Self {
        Self {
            counters: Arc::new(Counters::new()),
            is_not_sync: PhantomData,
        }
    }

    pub(super) fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// A request began. Until [`rerouted`](Self::rerouted) says more, its class
    /// is [`RouteClass::Other`].
    pub fn begun(&self) {
        self.counters.in_flight.add(RouteClass::Other, 1);
    }

    /// A request in flight turns out to be of another class.
    pub fn rerouted(&self, from: RouteClass, to: RouteClass) {
        self.counters.in_flight.subtract(from, 1);
        self.counters.in_flight.add(to, 1);
    }

    /// What [`begun`](Self::begun) was called for was no request.
    pub fn forgotten(&self, route: RouteClass) {
        self.counters.in_flight.subtract(route, 1);
    }

    /// A request that [`begun`](Self::begun) was called for is over.
    pub fn finished(&self, finished: &Finished) {
        let counters = &*self.counters;
        let Finished { method, route, .. } = *finished;
        counters.in_flight.subtract(route, 1);
        counters.ended.add(finished.ending, 1);
        if let Some(source) = finished.source {
            counters.token_source.add(source, 1);
        }
        counters.request_body_bytes.add(finished.request_bytes);
        counters.response_body_bytes.add(finished.response_bytes);
        if let Some(durations) = counters.durations.get(route.index()) {
            durations.note(finished.duration);
        }
        let place = code::place(finished.status);
        if let Some(counter) = counters.requests(route, method, place) {
            counter.add(1);
        }
    }

    /// A request is answered by ourselves.
    pub fn rejected(&self, refusal: Refusal) {
        self.counters.rejections.add(Reason::from(refusal), 1);
        self.cut(refusal);
    }

    /// A request ended for this reason, be it without an answer that says so.
    pub fn cut(&self, refusal: Refusal) {
        if let Some(limit) = Limit::of(refusal) {
            self.limited(limit);
        }
        if let Some(timeout) = Timeout::of(refusal) {
            self.timed_out(timeout);
        }
    }

    /// A token was moved or cut.
    pub fn rewritten(&self, rewrite: Rewrite) {
        self.counters.rewrites.add(rewrite, 1);
    }

    /// Something was said of a token.
    pub fn judged(&self, judgement: Judgement, witness: Witness) {
        self.counters.judged.add(Judged(judgement, witness), 1);
    }

    /// A request goes to the upstream.
    pub fn attempted(&self, attempt: Attempt) {
        self.counters.attempts.add(attempt, 1);
    }

    /// A connection to the upstream was opened.
    pub fn connected(&self) {
        self.counters.upstream_connects.add(1);
    }

    /// One could not be opened.
    pub fn not_connected(&self, failure: ConnectFailure) {
        self.counters.connect_errors.add(failure, 1);
    }

    /// A client connection was accepted; what it speaks is not known yet.
    pub fn accepted(&self) {
        self.counters.accepted.add(1);
    }

    /// A client connection begins to speak; it is open until the guard is dropped.
    #[must_use = "it counts as closed when this is dropped"]
    pub fn open(&self, protocol: Protocol, tls: Tls) -> Open<'_> {
        let kind = ConnectionKind(protocol, tls);
        self.counters.opened.add(kind, 1);
        Open { worker: self, kind }
    }

    /// A TLS handshake with a client ended.
    pub fn shook_hands(&self, handshake: Handshake) {
        self.counters.handshakes.add(handshake, 1);
    }

    /// A limit turned something away.
    pub fn limited(&self, limit: Limit) {
        self.counters.limits.add(limit, 1);
    }

    /// A time ran out.
    pub fn timed_out(&self, timeout: Timeout) {
        self.counters.timeouts.add(timeout, 1);
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

/// A client connection, as long as it is open.
#[derive(Debug)]
pub struct Open<'w> {
    worker: &'w Worker,
    kind: ConnectionKind,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.worker.counters.closed.add(self.kind, 1);
    }
}
