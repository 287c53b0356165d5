//! What is counted, and how Prometheus reads it.
//!
//! Counting is on the path of every request, so it costs a few stores and
//! nothing else: each thread has counters of its own ([`worker`]), and whoever
//! asks adds them up. What is counted is a fixed list ([`family`]), and what it
//! is counted by are closed lists ([`label`]): no token, user, path or
//! `User-Agent` can come into a series.

pub mod exposition;
pub mod family;
pub mod label;
pub mod worker;

mod code;
mod counters;
mod process;

use std::{
    fmt::Display,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::SystemTime,
};

use self::{
    counters::{BOUNDS, ConnectionKind, Counter, Counters, Durations, Judged, Row},
    exposition::{Seconds, Text},
    family::Family,
    process::Process,
};
pub use self::{
    label::{
        Attempt, ConnectFailure, Handshake, Judgement, Label, Limit, Log, Method, Protocol, Reason,
        Reload, Rewrite, Timeout, Tls, TokenSource, Witness,
    },
    worker::{Finished, Open, Worker},
};
use crate::{access_log::sink::Losses, requirement::RouteClass};

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The revision it was built from, where whoever built it said so.
pub const REVISION: &str = match option_env!("TOKENSHIM_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// Where all counters are read.
#[derive(Debug)]
pub struct Registry {
    workers: usize,
    /// Locked when a thread starts and when somebody reads, never to count.
    threads: Mutex<Vec<Arc<Counters>>>,
    losses: OnceLock<[Losses; 2]>,
    started: SystemTime,
    reloads: Reloads,
}

/// What became of reloads; too rare to be counted by thread.
#[derive(Debug)]
struct Reloads {
    ok: AtomicU64,
    failed: AtomicU64,
    is_last_ok: AtomicBool,
    last_ok_micros: AtomicU64,
}

impl Registry {
    /// For a process with this many worker threads, whose configuration was
    /// read just now.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        let started = SystemTime::now();
        Self {
            workers,
            threads: Mutex::default(),
            losses: OnceLock::new(),
            started,
            reloads: Reloads {
                ok: AtomicU64::new(0),
                failed: AtomicU64::new(0),
                is_last_ok: AtomicBool::new(true),
                last_ok_micros: AtomicU64::new(since_1970(started)),
            },
        }
    }

    /// New counters for a thread: a worker, or the one that accepts.
    pub fn worker(&self) -> Worker {
        let worker = Worker::new();
        self.threads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(worker.counters());
        worker
    }

    /// From now on, what the two logs lose is exposed. Only the first call counts.
    pub fn watch_logs(&self, access: Losses, diagnostic: Losses) {
        let _ = self.losses.set([access, diagnostic]);
    }

    /// The configuration was read anew.
    pub fn reloaded(&self, reload: Reload) {
        let reloads = &self.reloads;
        match reload {
            Reload::Ok => {
                reloads.ok.fetch_add(1, Ordering::Relaxed);
                let now = since_1970(SystemTime::now());
                reloads.last_ok_micros.store(now, Ordering::Relaxed);
            }
            Reload::Failed => {
                reloads.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
        reloads
            .is_last_ok
            .store(reload == Reload::Ok, Ordering::Relaxed);
    }

    /// Appends everything in Prometheus' text format. Reads files of the
    /// kernel, so it is not for a thread that must not wait.
    pub fn expose(&self, out: &mut String) {
        let threads = self
            .threads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut text = Text::new(out);
        text.family(&family::BUILD_INFO)
            .push(&[VERSION, REVISION], 1);
        text.single(&family::WORKERS, self.workers);
        let sums = Sums { threads: &threads };
        sums.requests(&mut text);
        sums.upstream(&mut text);
        sums.connections(&mut text);
        sums.row(&mut text, &family::LIMITS, |thread| &thread.limits);
        sums.row(&mut text, &family::TIMEOUTS, |thread| &thread.timeouts);
        self.expose_losses(&mut text);
        self.reloads.expose(&mut text);
        self.expose_process(&mut text);
    }

    fn expose_losses(&self, text: &mut Text<'_>) {
        let mut samples = text.family(&family::LINES_LOST);
        for log in Log::ALL {
            let lost = self
                .losses
                .get()
                .and_then(|losses| losses.get(log.index()))
                .map_or(0, Losses::total);
            samples.push(&[log.as_str()], lost);
        }
    }

    fn expose_process(&self, text: &mut Text<'_>) {
        let process = Process::read();
        if let Some(micros) = process.cpu_micros {
            text.single(&family::CPU, Seconds(micros));
        }
        for (family, value) in [
            (&family::OPEN_FDS, process.open_fds),
            (&family::MAX_FDS, process.max_fds),
            (&family::RESIDENT, process.resident_bytes),
            (&family::VIRTUAL, process.virtual_bytes),
            (&family::THREADS, process.threads),
        ] {
            if let Some(value) = value {
                text.single(family, value);
            }
        }
        text.single(&family::START_TIME, Seconds(since_1970(self.started)));
    }
}

impl Reloads {
    fn expose(&self, text: &mut Text<'_>) {
        let mut samples = text.family(&family::RELOADS);
        for reload in Reload::ALL {
            let count = match reload {
                Reload::Ok => &self.ok,
                Reload::Failed => &self.failed,
            };
            samples.push(&[reload.as_str()], count.load(Ordering::Relaxed));
        }
        let is_ok = self.is_last_ok.load(Ordering::Relaxed);
        text.single(&family::LAST_RELOAD, u8::from(is_ok));
        let micros = self.last_ok_micros.load(Ordering::Relaxed);
        text.single(&family::LAST_RELOAD_TIME, Seconds(micros));
    }
}

/// The counters of all threads, read as if they were one's.
struct Sums<'t> {
    threads: &'t [Arc<Counters>],
}

impl Sums<'_> {
    /// Wraps as each counter does, so that the sum of a gauge stays right.
    fn of(&self, read: impl Fn(&Counters) -> u64) -> u64 {
        self.threads
            .iter()
            .fold(0, |sum, thread| sum.wrapping_add(read(thread)))
    }

    fn counter(
        &self,
        text: &mut Text<'_>,
        family: &'static Family,
        counter: impl Fn(&Counters) -> &Counter,
    ) {
        text.single(family, self.of(|thread| counter(thread).get()));
    }

    fn row<L: Label, const N: usize>(
        &self,
        text: &mut Text<'_>,
        family: &'static Family,
        row: impl Fn(&Counters) -> &Row<L, N>,
    ) {
        let mut samples = text.family(family);
        for label in L::ALL {
            let sum = self.of(|thread| row(thread).get(*label));
            samples.push(&[label.as_str()], sum);
        }
    }

    fn requests(&self, text: &mut Text<'_>) {
        self.requests_by_code(text);
        self.row(text, &family::ENDED, |thread| &thread.ended);
        self.row(text, &family::IN_FLIGHT, |thread| &thread.in_flight);
        self.durations(text);
        self.counter(text, &family::REQUEST_BYTES, |thread| {
            &thread.request_body_bytes
        });
        self.counter(text, &family::RESPONSE_BYTES, |thread| {
            &thread.response_body_bytes
        });
        self.row(text, &family::TOKEN_SOURCE, |thread| &thread.token_source);
        self.row(text, &family::REWRITES, |thread| &thread.rewrites);
        self.row(text, &family::REJECTIONS, |thread| &thread.rejections);
        self.verdicts(text);
    }

    /// Of some three thousand, those that occurred.
    fn verdicts(&self, text: &mut Text<'_>) {
        let mut samples = text.family(&family::VERDICTS);
        for judged in Judged::ALL {
            let Judged(judgement, witness) = judged;
            let count = self.of(|thread| thread.judged.get(*judged));
            samples.push(&[judgement.as_str(), witness.as_str()], count);
        }
    }

    fn requests_by_code(&self, text: &mut Text<'_>) {
        let mut samples = text.family(&family::REQUESTS);
        for route in RouteClass::ALL {
            for method in Method::ALL {
                for (place, label) in code::labels().enumerate() {
                    let sum = self.of(|thread| {
                        thread
                            .requests(*route, *method, place)
                            .map_or(0, Counter::get)
                    });
                    if sum > 0 {
                        samples.push(&[method.as_str(), &label, route.as_str()], sum);
                    }
                }
            }
        }
    }

    fn durations(&self, text: &mut Text<'_>) {
        let mut samples = text.family(&family::DURATION);
        for route in RouteClass::ALL {
            let sum = |read: &dyn Fn(&Durations) -> Option<&Counter>| {
                self.of(|thread| {
                    let durations = thread.durations.get(route.index());
                    durations.and_then(read).map_or(0, Counter::get)
                })
            };
            let bounds = BOUNDS.iter().map(|(_, bound)| *bound).chain(["+Inf"]);
            let buckets = bounds
                .enumerate()
                .map(|(place, bound)| (bound, sum(&|durations| durations.buckets.get(place))));
            let total = sum(&|durations| Some(&durations.sum_micros));
            samples.histogram(&[route.as_str()], buckets, Seconds(total));
        }
    }

    fn upstream(&self, text: &mut Text<'_>) {
        self.row(text, &family::UPSTREAM_REQUESTS, |thread| &thread.attempts);
        self.counter(text, &family::UPSTREAM_CONNECTS, |thread| {
            &thread.upstream_connects
        });
        self.row(text, &family::CONNECT_ERRORS, |thread| {
            &thread.connect_errors
        });
    }

    fn connections(&self, text: &mut Text<'_>) {
        self.counter(text, &family::ACCEPTED, |thread| &thread.accepted);
        // In this order: what closes meanwhile must not make fewer than none open.
        let closed = self.by_kind(|thread, kind| thread.closed.get(kind));
        let opened = self.by_kind(|thread, kind| thread.opened.get(kind));
        let open = opened
            .iter()
            .zip(&closed)
            .map(|((kind, opened), (_, closed))| (*kind, opened.saturating_sub(*closed)))
            .collect();
        for (family, counts) in [
            (&family::OPENED, opened),
            (&family::CLOSED, closed),
            (&family::CONNECTIONS, open),
        ] {
            push_by_kind(text, family, counts);
        }
        self.row(text, &family::HANDSHAKES, |thread| &thread.handshakes);
    }

    fn by_kind(
        &self,
        read: impl Fn(&Counters, ConnectionKind) -> u64,
    ) -> Vec<(ConnectionKind, u64)> {
        let count = |kind: &ConnectionKind| (*kind, self.of(|thread| read(thread, *kind)));
        ConnectionKind::ALL.iter().map(count).collect()
    }
}

fn push_by_kind(
    text: &mut Text<'_>,
    family: &'static Family,
    counts: Vec<(ConnectionKind, impl Display)>,
) {
    let mut samples = text.family(family);
    for (ConnectionKind(protocol, tls), count) in counts {
        samples.push(&[protocol.as_str(), tls.as_str()], count);
    }
}

/// Microseconds since 1970.
fn since_1970(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .ok()
        .and_then(|since| u64::try_from(since.as_micros()).ok())
        .unwrap_or_default()
}
