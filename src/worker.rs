//! What the connections of one worker share: configuration, upstream
//! connections, buffers, log lines. Nothing on the request path is shared with
//! another worker.

use std::{
    cell::{Cell, RefCell},
    fmt,
    rc::Rc,
    sync::Arc,
    task::Waker,
};

use slab::Slab;
use tokio::sync::Notify;

use crate::{
    access_log::{Lines, sink::Sink},
    config::AccessLogFormat,
    http1::buffer,
    settings::Settings,
    upstream::Pool,
};

/// How far the shutdown is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Not begun.
    #[default]
    Running,
    /// Each connection ends with its request.
    Draining,
    /// Waiting ends now.
    Cut,
}

/// What the connections of one worker share.
pub struct Worker {
    /// The configuration.
    pub settings: Arc<Settings>,
    /// The access log.
    pub lines: Rc<Lines>,
    /// Upstream connections.
    pub pool: Pool,
    /// Read buffers.
    pub buffers: Rc<buffer::Pool>,
    /// Spare memory for heads.
    heads: RefCell<Vec<Vec<u8>>>,
    phase: Cell<Phase>,
    tasks: RefCell<Slab<Waker>>,
    ended: Notify,
}

impl Worker {
    /// A worker without connections.
    #[must_use]
    pub fn new(settings: Arc<Settings>, format: AccessLogFormat, sink: Sink) -> Rc<Self> {
        Rc::new(Self {
            lines: Lines::new(format, Arc::clone(&settings.redactor), sink),
            pool: Pool::new(settings.timeouts.upstream_idle),
            buffers: Rc::default(),
            heads: RefCell::default(),
            phase: Cell::default(),
            tasks: RefCell::default(),
            ended: Notify::new(),
            settings,
        })
    }

    /// How far the shutdown is.
    pub fn phase(&self) -> Phase {
        self.phase.get()
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

    /// Makes room for one more connection; returns its key.
    pub fn enter(&self) -> usize {
        self.tasks.borrow_mut().insert(Waker::noop().clone())
    }

    /// From now on, the connection with this key is woken when the phase changes.
    pub fn wake(&self, key: usize, waker: Waker) {
        if let Some(slot) = self.tasks.borrow_mut().get_mut(key) {
            *slot = waker;
        }
    }

    /// Forgets a connection.
    pub fn leave(&self, key: usize) {
        self.tasks.borrow_mut().try_remove(key);
        self.ended.notify_one();
    }

    /// Moves on and lets every connection see it.
    pub fn advance(&self, phase: Phase) {
        self.phase.set(phase);
        if phase == Phase::Cut {
            self.lines.stop();
        }
        for (_, waker) in &*self.tasks.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Waits for the last connection to end.
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
