//! Connections to the upstream, and the pool that each worker keeps of them.
//!
//! A pooled connection may be closed by the upstream at any moment. So it is
//! kept for less time than any server keeps it, it is asked for a sign of
//! closing before it is used, and the exchange may try once more on a new one.

use std::{
    cell::RefCell,
    io,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{
    net::{TcpStream, UnixStream},
    sync::Notify,
    time::{self, Instant},
};

use crate::{
    config::Upstream,
    http1::{
        buffer::{self, Buffer},
        head,
        stream::{Shared, Stream},
    },
    settings::Settings,
};

/// No connection is used for longer, so that a name that moved is resolved anew.
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
    opened: Instant,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The socket's reason.
    #[error("upstream cannot be reached")]
    Refused(#[source] io::Error),
    /// It took too long.
    #[error("upstream did not accept the connection in time")]
    Timeout,
}

/// The idle connections of one worker.
#[derive(Debug)]
pub struct Pool {
    idle: RefCell<Vec<Idle>>,
    idle_timeout: Duration,
    filled: Notify,
}

#[derive(Debug)]
struct Idle {
    link: Link,
    since: Instant,
}

impl Pool {
    /// An empty pool whose connections wait for no longer than `idle_timeout`.
    #[must_use]
    pub fn new(idle_timeout: Duration) -> Self {
        Self {
            idle: RefCell::default(),
            idle_timeout,
            filled: Notify::new(),
        }
    }

    /// The connection that was used last, if one is alive.
    pub fn take(&self) -> Option<Link> {
        let now = Instant::now();
        loop {
            let Idle { mut link, since } = self.idle.borrow_mut().pop()?;
            if now.duration_since(since) < self.idle_timeout && is_silent(&mut link) {
                return Some(link);
            }
        }
    }

    /// Keeps a connection whose exchange ended cleanly.
    pub fn put(&self, mut link: Link) {
        let now = Instant::now();
        if !link.input.is_empty() || now.duration_since(link.opened) > OLDEST {
            return;
        }
        link.input.release();
        link.is_reused = true;
        let mut idle = self.idle.borrow_mut();
        if idle.is_empty() {
            self.filled.notify_one();
        }
        idle.push(Idle { link, since: now });
    }

    /// Closes connections that have waited for too long; runs for ever.
    pub async fn keep_reaping(&self) {
        loop {
            while self.idle.borrow().is_empty() {
                self.filled.notified().await;
            }
            time::sleep(self.idle_timeout.div_f32(2.0)).await;
            let now = Instant::now();
            self.idle
                .borrow_mut()
                .retain(|idle| now.duration_since(idle.since) < self.idle_timeout);
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

/// Opens a new connection.
///
/// # Errors
///
/// [`ConnectError`].
pub async fn connect(
    settings: &Settings,
    buffers: &Rc<buffer::Pool>,
) -> Result<Link, ConnectError> {
    let stream = time::timeout(settings.timeouts.connect, open(&settings.upstream))
        .await
        .map_err(|_| ConnectError::Timeout)?
        .map_err(ConnectError::Refused)?;
    Ok(Link {
        stream: Shared::new(stream),
        input: Buffer::new(buffers),
        is_reused: false,
        opened: Instant::now(),
    })
}

async fn open(upstream: &Upstream) -> io::Result<Stream> {
    match upstream {
        Upstream::Tcp { host, port, .. } => {
            // Every address of a name is tried in turn.
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            stream.set_nodelay(true)?;
            Ok(Stream::Tcp(stream))
        }
        Upstream::Unix { path } => Ok(Stream::Unix(UnixStream::connect(path).await?)),
    }
}
