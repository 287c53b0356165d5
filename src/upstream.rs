//! Connections to an upstream, and the pool that each worker keeps of them.
//!
//! A pooled connection may be closed by the upstream at any moment. So it is
//! kept for less time than any server keeps it, it is asked for a sign of
//! closing before it is used, and the exchange may try once more on a new one.

pub(crate) mod addresses;
mod connect;
mod http2;

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use tokio::time;

pub use self::connect::ConnectError;
use self::{addresses::Addresses, http2::Trunks};
use crate::{
    clock,
    config::Upstream,
    http1::{
        buffer::{self, Buffer},
        head,
        stream::{Shared, Stream},
    },
};

/// No connection is used for longer.
const OLDEST: Duration = Duration::from_secs(300);

/// A connection to the upstream, for one exchange at a time.
#[derive(Debug)]
pub struct Link {
    /// The socket, or a stream on one that others use as well.
    pub stream: Shared,
    /// What was read of the response and not yet used.
    pub input: Buffer,
    /// Whether an earlier exchange used it: only such a connection can have
    /// been closed before this request came.
    pub is_reused: bool,
    /// `None` for a unix socket.
    address: Option<SocketAddr>,
    opened: Instant,
}

impl Link {
    /// Whether it is one of several streams on a connection, and can be used once.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        matches!(*self.stream.borrow(), Stream::Http2Upstream(_))
    }
}

/// One upstream as one worker knows it: its addresses, and idle connections.
#[derive(Debug)]
pub struct Pool {
    upstream: Upstream,
    /// `None` for a unix socket.
    addresses: Option<Addresses>,
    idle: RefCell<Vec<Idle>>,
    trunks: Trunks,
    idle_timeout: Duration,
    is_reaping: Cell<bool>,
}

#[derive(Debug)]
struct Idle {
    link: Link,
    since: Instant,
}

impl Pool {
    /// An empty pool whose connections wait for no longer than `idle_timeout`.
    #[must_use]
    pub fn new(upstream: &Upstream, idle_timeout: Duration) -> Rc<Self> {
        let addresses = match upstream {
            Upstream::Tcp { host, port, .. } => Some(Addresses::new(host, *port)),
            Upstream::Unix { .. } => None,
        };
        Rc::new(Self {
            upstream: upstream.clone(),
            addresses,
            idle: RefCell::default(),
            trunks: Trunks::default(),
            idle_timeout,
            is_reaping: Cell::default(),
        })
    }

    /// Whether it serves for this upstream, too.
    #[must_use]
    pub fn is_for(&self, upstream: &Upstream, idle_timeout: Duration) -> bool {
        self.upstream == *upstream && self.idle_timeout == idle_timeout
    }

    /// A connection that serves others at the same time, if the request may share
    /// one; else the one that was used last. `None` if there is none alive.
    pub fn take(self: &Rc<Self>, buffers: &Rc<buffer::Pool>, may_share: bool) -> Option<Link> {
        let mut idle = self.idle.borrow_mut();
        if idle.is_empty() && self.trunks.is_empty() {
            return None;
        }
        let now = clock::now();
        self.refresh(now);
        if may_share && let Some(link) = self.share(buffers) {
            return Some(link);
        }
        loop {
            let Idle { mut link, since } = idle.pop()?;
            let is_young = now.duration_since(since) < self.idle_timeout;
            if is_young && self.is_current(link.address) && is_silent(&mut link) {
                return Some(link);
            }
        }
    }

    /// Keeps a connection whose exchange ended cleanly.
    pub fn put(self: &Rc<Self>, mut link: Link) {
        let now = clock::now();
        let is_old = now.duration_since(link.opened) > OLDEST;
        if link.is_stream() || !link.input.is_empty() || is_old {
            return;
        }
        link.input.release();
        link.is_reused = true;
        self.idle.borrow_mut().push(Idle { link, since: now });
        self.watch();
    }

    /// Starts looking for connections that nobody needs.
    fn watch(self: &Rc<Self>) {
        if !self.is_reaping.replace(true) {
            tokio::task::spawn_local(Rc::clone(self).reap());
        }
    }

    /// Closes connections that have waited for too long, until none waits.
    async fn reap(self: Rc<Self>) {
        while !self.idle.borrow().is_empty() || !self.trunks.is_empty() {
            time::sleep(self.idle_timeout.div_f32(2.0)).await;
            let now = clock::now();
            self.idle
                .borrow_mut()
                .retain(|idle| now.duration_since(idle.since) < self.idle_timeout);
            self.trunks.retain(now, self.idle_timeout);
        }
        self.is_reaping.set(false);
    }

    /// Asks the resolver again, beside the requests, when it is time to.
    fn refresh(self: &Rc<Self>, now: Instant) {
        if self
            .addresses
            .as_ref()
            .is_some_and(|known| known.is_stale(now))
        {
            let pool = Rc::clone(self);
            tokio::task::spawn_local(async move {
                if let Some(addresses) = &pool.addresses {
                    // Only fails where nothing is known, and then there is no pool either.
                    let _ = addresses.resolve().await;
                }
            });
        }
    }

    /// Whether the upstream's name still has a connection's address.
    fn is_current(&self, address: Option<SocketAddr>) -> bool {
        match (&self.addresses, address) {
            (Some(addresses), Some(address)) => addresses.contain(address),
            (None, _) | (_, None) => true,
        }
    }
}

/// Whether an idle connection neither closed nor spoke out of turn. Without a
/// readiness event this costs no system call.
fn is_silent(link: &mut Link) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    matches!(
        link.input
            .poll_fill(&mut context, &mut link.stream.borrow_mut(), head::LONGEST),
        Poll::Pending
    )
}
