//! What the connections of one worker share: settings, upstream connections,
//! buffers, log lines. Nothing on the request path is shared with another worker.

use std::{
    cell::{Cell, RefCell},
    fmt,
    num::NonZeroUsize,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Waker,
};

use slab::Slab;
use tokio::sync::Notify;

use crate::{
    access_log::{Lines, sink::Sink},
    admission::Admission,
    config::AccessLogFormat,
    http1::buffer,
    metrics,
    settings::{Settings, Site},
    upstream::Pool,
};

/// How far the shutdown is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Not begun.
    #[default]
    Running,
    /// Each connection ends with its next answer, so that a client which is
    /// just sending a request gets it answered.
    LastRequests,
    /// Who waits for a request is closed.
    Draining,
    /// Waiting ends now.
    Cut,
}

/// What one request is served with, from its first byte to its last.
#[derive(Debug)]
pub struct Setup {
    /// The configuration.
    pub settings: Arc<Settings>,
    /// One for each site, in the same order.
    pools: Vec<Rc<Pool>>,
}

impl Setup {
    fn new(settings: Arc<Settings>, previous: Option<&Self>) -> Rc<Self> {
        let mut pools: Vec<Rc<Pool>> = Vec::new();
        let idle = settings.timeouts.upstream_idle;
        for Site { upstream, .. } in &settings.sites {
            // Idle connections outlive a reload, but not a change of whom to believe.
            let kept = previous.filter(|_| !upstream.is_tls());
            let known = pools
                .iter()
                .chain(kept.into_iter().flat_map(|previous| &previous.pools))
                .find(|pool| pool.is_for(upstream, idle));
            let pool = known.map_or_else(|| Pool::new(upstream, idle), Rc::clone);
            pools.push(pool);
        }
        Rc::new(Self { settings, pools })
    }

    /// A site, and the connections to its upstream.
    #[must_use]
    pub fn site(&self, index: usize) -> Option<(&Site, &Rc<Pool>)> {
        self.settings.sites.get(index).zip(self.pools.get(index))
    }
}

/// What a worker starts with.
#[derive(Debug)]
pub struct Outfit {
    /// The configuration.
    pub settings: Arc<Settings>,
    /// How the access log looks, and where it goes.
    pub log: (AccessLogFormat, Sink),
    /// Its counters.
    pub metrics: metrics::Worker,
    /// Who may come in.
    pub admission: Arc<Admission>,
    /// How many workers there are.
    pub workers: NonZeroUsize,
}

/// What the connections of one worker share.
pub struct Worker {
    setup: RefCell<Rc<Setup>>,
    /// The access log.
    pub lines: Rc<Lines>,
    /// Read buffers.
    pub buffers: Rc<buffer::Pool>,
    /// What this worker counts.
    pub metrics: Rc<metrics::Worker>,
    /// Who may come in; shared by all workers.
    pub admission: Arc<Admission>,
    /// How many tasks there are, for the acceptor to see.
    load: Arc<AtomicUsize>,
    /// Spare memory for heads.
    heads: RefCell<Vec<Vec<u8>>>,
    /// How many workers there are.
    workers: NonZeroUsize,
    in_flight: Cell<usize>,
    phase: Cell<Phase>,
    tasks: RefCell<Slab<Waker>>,
    ended: Notify,
}

/// A request that counts as in flight.
#[derive(Debug)]
pub struct InFlight(Rc<Worker>);

impl Drop for InFlight {
    fn drop(&mut self) {
        let count = self.0.in_flight.get();
        self.0.in_flight.set(count.saturating_sub(1));
    }
}

/// A task's place in its worker: it can be woken, and it is counted until it
/// ends, by panic too.
struct Place {
    worker: Rc<Worker>,
    key: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.worker.load.fetch_sub(1, Ordering::Relaxed);
        self.worker.tasks.borrow_mut().try_remove(self.key);
        self.worker.ended.notify_one();
    }
}

impl Worker {
    /// A worker without connections.
    #[must_use]
    pub fn new(outfit: Outfit, load: Arc<AtomicUsize>) -> Rc<Self> {
        let Outfit {
            settings,
            log: (format, sink),
            metrics,
            admission,
            workers,
        } = outfit;
        let metrics = Rc::new(metrics);
        let redactor = Arc::clone(&settings.redactor);
        Rc::new(Self {
            lines: Lines::new(format, redactor, sink, Rc::clone(&metrics)),
            metrics,
            setup: RefCell::new(Setup::new(settings, None)),
            buffers: Rc::default(),
            admission,
            load,
            workers,
            heads: RefCell::default(),
            in_flight: Cell::default(),
            phase: Cell::default(),
            tasks: RefCell::default(),
            ended: Notify::new(),
        })
    }

    /// What a request that begins now is served with.
    pub fn setup(&self) -> Rc<Setup> {
        Rc::clone(&self.setup.borrow())
    }

    /// From now on, requests are served with these settings.
    pub fn reload(&self, settings: Arc<Settings>) {
        self.lines.mask_with(Arc::clone(&settings.redactor));
        let setup = Setup::new(settings, Some(&*self.setup()));
        self.setup.replace(setup);
    }

    /// How far the shutdown is.
    pub fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Counts a request, unless this worker's share of `most` is in flight: workers
    /// are equally loaded, and do not have to ask each other.
    pub fn begin(self: &Rc<Self>, most: Option<usize>) -> Option<InFlight> {
        let count = self.in_flight.get();
        if most.is_some_and(|most| count >= most.div_ceil(self.workers.get())) {
            return None;
        }
        self.in_flight.set(count.saturating_add(1));
        Some(InFlight(Rc::clone(self)))
    }

    /// An empty vector to write a head into.
    pub fn lend_head(&self) -> Vec<u8> {
        self.heads.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes a vector back.
    pub fn return_head(&self, mut head: Vec<u8>) {
        /// Enough for the busiest moment of a homeserver.
        const MOST: usize = 256;
        /// One huge head must not be remembered for ever.
        const LARGEST: usize = 16 * 1024;
        let mut heads = self.heads.borrow_mut();
        if heads.len() < MOST && head.capacity() <= LARGEST {
            head.clear();
            heads.push(head);
        }
    }

    /// Runs a task that is woken when the phase changes, and waited for when we
    /// stop. What it returns is dropped after it was counted out: a client must
    /// not see its connection closed before.
    pub fn spawn<T: 'static>(self: &Rc<Self>, task: impl Future<Output = T> + 'static) {
        self.load.fetch_add(1, Ordering::Relaxed);
        // Registered before the task runs, so that a drain cannot overlook it.
        let key = self.tasks.borrow_mut().insert(Waker::noop().clone());
        let place = Place {
            worker: Rc::clone(self),
            key,
        };
        // Boxed: what a block takes in and then awaits, it has room for twice.
        let task = Box::pin(task);
        tokio::task::spawn_local(async move {
            let waker = std::future::poll_fn(|cx| std::task::Poll::Ready(cx.waker().clone())).await;
            place.worker.wake(place.key, waker);
            if place.worker.phase() > Phase::Running {
                // What has arrived is seen only after a turn of the reactor.
                tokio::task::yield_now().await;
            }
            let rest = task.await;
            drop(place);
            drop(rest);
        });
    }

    /// A connection that the acceptor counted has a task, which counts itself.
    pub fn took_up(&self) {
        self.load.fetch_sub(1, Ordering::Relaxed);
    }

    /// From now on, the task with this key is woken when the phase changes.
    fn wake(&self, key: usize, waker: Waker) {
        if let Some(slot) = self.tasks.borrow_mut().get_mut(key) {
            *slot = waker;
        }
    }

    /// Moves on and lets every task see it.
    pub fn advance(&self, phase: Phase) {
        self.phase.set(phase);
        if phase == Phase::Cut {
            self.lines.stop();
        }
        for (_, waker) in &*self.tasks.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Waits for the last task to end.
    pub async fn drained(&self) {
        while !self.tasks.borrow().is_empty() {
            self.ended.notified().await;
        }
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}
