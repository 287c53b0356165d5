//! Connections to an upstream, and the pool that each worker keeps of them.
//!
//! A pooled connection may be closed by the upstream at any moment. So it is
//! kept for less time than any server keeps it, it is asked for a sign of
//! closing before it is used, and the exchange may try once more on a new one.

mod addresses;
mod connect;

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use tokio::time;

use self::addresses::Addresses;
pub use self::connect::ConnectError;
use crate::{
    clock,
    config::Upstream,
    http1::{buffer::Buffer, head, stream::Shared},
};

/// No connection is used for longer.
const OLDEST: Duration = Duration::from_secs(300);

/// A connection to the upstream, for one exchange at a time.
#[derive(Debug)]
pub struct Link {
    /// The socket.
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

/// One upstream as one worker knows it: its addresses, and idle connections.
#[derive(Debug)]
pub struct Pool {
    upstream: Upstream,
    /// `None` for a unix socket.
    addresses: Option<Addresses>,
    idle: RefCell<Vec<Idle>>,
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
            idle_timeout,
            is_reaping: Cell::default(),
        })
    }

    /// Whether it serves for this upstream, too.
    #[must_use]
    pub fn is_for(&self, upstream: &Upstream, idle_timeout: Duration) -> bool {
        self.upstream == *upstream && self.idle_timeout == idle_timeout
    }

    /// The connection that was used last, if one is alive.
    pub fn take(self: &Rc<Self>) -> Option<Link> {
        let mut idle = self.idle.borrow_mut();
        if idle.is_empty() {
            return None;
        }
        let now = clock::now();
        self.refresh(now);
        loop {
            let Idle { mut link, since } = idle.pop()?;
            let is_young = now.duration_since(since) < self.idle_timeout;
            if is_young && self.is_current(&link) && is_silent(&mut link) {
                return Some(link);
            }
        }
    }

    /// Keeps a connection whose exchange ended cleanly.
    pub fn put(self: &Rc<Self>, mut link: Link) {
        let now = clock::now();
        if !link.input.is_empty() || now.duration_since(link.opened) > OLDEST {
            return;
        }
        link.input.release();
        link.is_reused = true;
        self.idle.borrow_mut().push(Idle { link, since: now });
        if !self.is_reaping.replace(true) {
            tokio::task::spawn_local(Rc::clone(self).reap());
        }
    }

    /// Closes connections that have waited for too long, until none waits.
    async fn reap(self: Rc<Self>) {
        while !self.idle.borrow().is_empty() {
            time::sleep(self.idle_timeout.div_f32(2.0)).await;
            let now = clock::now();
            self.idle
                .borrow_mut()
                .retain(|idle| now.duration_since(idle.since) < self.idle_timeout);
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

    /// Whether the upstream's name still has the connection's address.
    fn is_current(&self, link: &Link) -> bool {
        match (&self.addresses, link.address) {
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
