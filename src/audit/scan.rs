//! Reads inputs with several workers, each with a tally of its own.
//!
//! A plain file is read in chunks by all of them, a compressed one by a single worker while
//! the others go on with the next. What could not be read is said in the tally.

mod chunk;
mod ends;
mod eye;
mod families;
mod journal;
mod known;
mod lines;
mod request;
#[cfg(test)]
mod tests;
mod worker;

use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use chunk::Plain;
pub(in crate::audit) use eye::{Eye, Told, Window};
pub(in crate::audit) use lines::{Lines, Sizes};
use worker::Worker;

use super::{
    input::{Input, Opened, Raw},
    line::LineReader,
    registration::Registrations,
    tally::Tally,
    verify_live::Held,
};
use crate::{redact::Redactor, secret::FingerprintKey};

/// What is looked for, and how.
pub(in crate::audit) struct Search<'s> {
    pub(in crate::audit) redactor: Redactor,
    pub(in crate::audit) key: &'s FingerprintKey,
    pub(in crate::audit) registrations: &'s Registrations,
    pub(in crate::audit) window: Window,
    /// What each worker's reader begins as.
    pub(in crate::audit) lines: LineReader,
    /// What each worker's tally begins as.
    pub(in crate::audit) tally: Tally,
    /// Whether living tokens are asked about: then found ones are kept until that is done.
    pub(in crate::audit) is_kept: bool,
    pub(in crate::audit) told: Option<&'s dyn Told>,
    pub(in crate::audit) sizes: Sizes,
    /// The number of the first line, where an input is a piece of a file.
    pub(in crate::audit) first_line: u64,
}

/// What others may see of a scan, and tell it.
#[derive(Debug, Default)]
pub(in crate::audit) struct Watch {
    /// Bytes read so far, as they are on disk.
    pub(in crate::audit) done: AtomicU64,
    is_stopped: AtomicBool,
    sleep: Mutex<()>,
    woken: Condvar,
}

impl Watch {
    /// Ends it early.
    pub(in crate::audit) fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
        let _asleep = self.sleep.lock().unwrap_or_else(PoisonError::into_inner);
        self.woken.notify_all();
    }

    pub(in crate::audit) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }

    /// Waits for so long, or until it is stopped.
    pub(in crate::audit) fn wait(&self, time: Duration) {
        let asleep = self.sleep.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_stopped() {
            let _awake = self.woken.wait_timeout(asleep, time);
        }
    }
}

/// What a scan found.
#[derive(Debug)]
pub(in crate::audit) struct Found {
    pub(in crate::audit) tally: Tally,
    pub(in crate::audit) held: Held,
}

impl Found {
    pub(in crate::audit) fn add(&mut self, other: Self) {
        self.tally.merge(other.tally);
        self.held.absorb(other.held);
    }
}

/// Reads all `inputs` with so many workers; what somebody else reads has a gap among them.
pub(in crate::audit) fn scan(
    search: &Search<'_>,
    inputs: &[Option<Input>],
    jobs: usize,
    watch: &Arc<Watch>,
) -> Found {
    let jobs = jobs.max(1);
    let queue = Queue::new(inputs, watch);
    let common = Common::new(jobs, search.sizes);
    let is_whole = thread::scope(|scope| {
        let work = || Worker::new(search, &queue, &common).run();
        let workers: Vec<_> = (1..jobs).map(|_| scope.spawn(work)).collect();
        // This thread is the first of them.
        work();
        let ends = workers.into_iter().map(thread::ScopedJoinHandle::join);
        ends.filter(Result::is_err).count() == 0
    });
    let mut all = common.into_found().unwrap_or_else(|| Found {
        tally: search.tally.clone(),
        held: Held::new(),
    });
    if !is_whole {
        all.tally
            .incomplete(None, "a worker ended before its time".to_owned());
    }
    if watch.is_stopped() {
        all.tally
            .incomplete(None, "interrupted before all was read".to_owned());
    }
    all
}

/// What workers have handed in. Who has found many secrets does so at times, so that what
/// is kept of each is not kept by every worker.
struct Common {
    found: Mutex<Option<Found>>,
    jobs: usize,
    kept: usize,
}

impl Common {
    fn new(jobs: usize, sizes: Sizes) -> Self {
        Self {
            found: Mutex::new(None),
            jobs,
            kept: sizes.kept,
        }
    }

    /// Whether a worker with so many secrets should hand them in. One alone need not.
    fn is_due(&self, secrets: usize) -> bool {
        self.jobs > 1 && secrets.saturating_mul(self.jobs) > self.kept
    }

    fn add(&self, found: Found) {
        let mut all = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *all {
            Some(all) => all.add(found),
            None => *all = Some(found),
        }
    }

    fn into_found(self) -> Option<Found> {
        self.found
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is left to be read.
struct Queue<'q> {
    inputs: &'q [Option<Input>],
    watch: &'q Arc<Watch>,
    next: Mutex<Next>,
}

#[derive(Default)]
struct Next {
    /// The first input that nobody has opened.
    input: usize,
    /// The file whose chunks are being taken.
    plain: Option<Arc<Plain>>,
}

/// What a worker does next.
enum Task {
    Chunk(Arc<Plain>, u64),
    Stream(u32, Raw),
    /// An input that cannot be read.
    Unread(u32, String),
}

impl<'q> Queue<'q> {
    fn new(inputs: &'q [Option<Input>], watch: &'q Arc<Watch>) -> Self {
        Self {
            inputs,
            watch,
            next: Mutex::default(),
        }
    }

    fn take(&self, sizes: Sizes) -> Option<Task> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if self.watch.is_stopped() {
                return None;
            }
            if let Some(plain) = &next.plain {
                if let Some(index) = plain.take(sizes) {
                    return Some(Task::Chunk(Arc::clone(plain), index));
                }
                next.plain = None;
            }
            let input = self.inputs.get(next.input)?;
            let number = u32::try_from(next.input).unwrap_or(u32::MAX);
            next.input = next.input.saturating_add(1);
            let Some(input) = input else {
                continue;
            };
            match input.open(self.watch) {
                Ok(Opened::Plain(file, size)) => {
                    next.plain = Some(Arc::new(Plain::new(number, file, size)));
                }
                Ok(Opened::Stream(stream)) => return Some(Task::Stream(number, stream)),
                Err(problem) => return Some(Task::Unread(number, problem.to_string())),
            }
        }
    }
}
