//! Upstream connections that carry many requests at once.
//!
//! Only one is being opened at a time: requests that come in the meantime wait for
//! it, since it will have room for them. An upstream that turned out to know no
//! HTTP/2 is connected to as before, by each for itself.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::sync::{Mutex, MutexGuard};

use super::{Link, OLDEST, Pool};
use crate::{
    clock,
    http1::{
        buffer::{self, Buffer},
        stream::Stream,
    },
    http2::client::{Connection, Room, fits},
    settings::Settings,
};

/// What came of connecting.
pub(super) enum Opened {
    /// A connection for one request at a time.
    Single(Stream),
    /// One for many.
    Trunk(Connection),
}

/// The connections to one upstream that carry many requests at once.
#[derive(Debug)]
pub(super) struct Trunks {
    open: RefCell<Vec<Trunk>>,
    opening: Mutex<()>,
    /// Whether the upstream is thought to know HTTP/2: until it says no.
    is_known: Cell<bool>,
}

#[derive(Debug)]
struct Trunk {
    connection: Connection,
    /// What a stream on it says of its connection.
    address: Option<SocketAddr>,
    opened: Instant,
}

impl Default for Trunks {
    fn default() -> Self {
        Self {
            open: RefCell::default(),
            opening: Mutex::default(),
            is_known: Cell::new(true),
        }
    }
}

impl Trunks {
    pub(super) fn is_empty(&self) -> bool {
        self.open.borrow().is_empty()
    }

    /// Lets go of those that nobody needs. They close behind their last stream.
    pub(super) fn retain(&self, now: Instant, idle_timeout: Duration) {
        self.open.borrow_mut().retain_mut(|trunk| {
            let quiet = trunk.connection.quiet_since();
            trunk.is_young(now)
                && quiet.is_none_or(|since| now.duration_since(since) < idle_timeout)
                && trunk.connection.room() != Room::Gone
        });
    }

    /// Waits while somebody else opens a connection that may do for us, too.
    pub(super) async fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        if self.is_known.get() {
            Some(self.opening.lock().await)
        } else {
            None
        }
    }

    /// Notes whether the upstream agreed to HTTP/2 when it was asked.
    pub(super) fn learn(&self, is_known: bool) {
        self.is_known.set(is_known);
    }
}

impl Trunk {
    fn is_young(&self, now: Instant) -> bool {
        now.duration_since(self.opened) <= OLDEST
    }

    fn link(&self, buffers: &Rc<buffer::Pool>, is_reused: bool) -> Link {
        Link {
            stream: RefCell::new(Stream::Http2Upstream(Box::new(self.connection.open()))),
            input: Buffer::new(buffers),
            is_reused,
            address: self.address,
            opened: self.opened,
        }
    }
}

impl Pool {
    /// Whether the request with this head may share a connection with others.
    #[must_use]
    pub fn may_share(&self, settings: &Settings, head: &[u8], wants_upgrade: bool) -> bool {
        let is_offered = settings
            .upstream_tls
            .as_ref()
            .is_some_and(|tls| tls.offers_http2());
        let is_tls = self.upstream.is_tls();
        is_tls && is_offered && !wants_upgrade && fits(head)
    }

    /// A stream of a connection that has room for it.
    pub(super) fn share(&self, buffers: &Rc<buffer::Pool>) -> Option<Link> {
        if self.trunks.is_empty() {
            return None;
        }
        let now = clock::now();
        self.trunks.retain(now, self.idle_timeout);
        let mut trunks = self.trunks.open.borrow_mut();
        trunks.retain(|trunk| self.is_current(trunk.address));
        trunks.iter_mut().find_map(|trunk| {
            let is_free = trunk.connection.room() == Room::Free;
            is_free.then(|| trunk.link(buffers, true))
        })
    }

    /// Keeps a new connection and opens its first stream.
    pub(super) fn add_trunk(
        self: &Rc<Self>,
        connection: Connection,
        address: Option<SocketAddr>,
        buffers: &Rc<buffer::Pool>,
    ) -> Link {
        let trunk = Trunk {
            connection,
            address,
            opened: clock::now(),
        };
        let link = trunk.link(buffers, false);
        self.trunks.open.borrow_mut().push(trunk);
        self.watch();
        link
    }
}
