//! The administrator's listener: metrics, probes and the version.
//!
//! It answers what it is asked and changes nothing, so there is nothing to log
//! in to; it belongs on loopback or a unix socket all the same. It must not be
//! able to slow the proxy or stop it: few connections, short ones, one reading
//! of the metrics at a time and not on the thread that accepts clients, one
//! connection to the upstream in a second. Nothing of a request is logged or
//! said again.

mod answer;
mod readiness;

use std::{convert::Infallible, fmt, io, pin::pin, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::Mutex,
    task::JoinSet,
    time,
};

pub use self::readiness::{NotReady, Probe, Readiness};
use crate::metrics::Registry;

/// The most connections; more wait in the kernel's queue.
const MOST: usize = 64;

/// For a head to arrive, and between two requests.
const HEAD: Duration = Duration::from_secs(5);

/// For a connection in all.
const LONGEST: Duration = Duration::from_secs(60);

/// For the answer that is being sent when that has passed.
const GRACE: Duration = Duration::from_secs(5);

/// How long to wait when there is no descriptor for a new connection.
const BACK_OFF: Duration = Duration::from_secs(1);

/// The most bytes of a head.
const LONGEST_HEAD: usize = 16 * 1024;

/// Where administrators come in.
#[derive(Debug)]
pub enum Door {
    /// TCP.
    Tcp(TcpListener),
    /// A unix socket.
    Unix(UnixListener),
}

/// What is behind the door.
pub struct Admin {
    registry: Arc<Registry>,
    readiness: Readiness,
    /// Held by whoever reads the metrics.
    turn: Arc<Mutex<()>>,
}

impl Admin {
    /// Answers with the numbers of `registry`, and asks `readiness`.
    #[must_use]
    pub fn new(registry: Arc<Registry>, readiness: Readiness) -> Arc<Self> {
        Arc::new(Self {
            registry,
            readiness,
            turn: Arc::default(),
        })
    }

    /// Whether to send requests here, and how to change it.
    #[must_use]
    pub const fn readiness(&self) -> &Readiness {
        &self.readiness
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin")
            .field("readiness", &self.readiness)
            .finish_non_exhaustive()
    }
}

/// A connection of either kind.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Door {
    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Tcp(listener) => Box::new(listener.accept().await?.0),
            Self::Unix(listener) => Box::new(listener.accept().await?.0),
        })
    }
}

/// Serves for ever; to drop it is to close every connection.
pub async fn serve(door: Door, admin: Arc<Admin>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = door.accept(), if connections.len() < MOST => match accepted {
                Ok(stream) => {
                    connections.spawn(speak(stream, Arc::clone(&admin)));
                }
                Err(error) => {
                    tracing::warn!(%error, "admin connections cannot be accepted");
                    time::sleep(BACK_OFF).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection, request after request.
async fn speak(stream: Box<dyn Stream>, admin: Arc<Admin>) {
    let service = service_fn(|request| {
        let admin = Arc::clone(&admin);
        async move { Ok::<_, Infallible>(admin.answer(&request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(LONGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    // How it ends is the business of whoever asked.
    let ended = time::timeout(LONGEST, connection.as_mut()).await;
    if ended.is_err() {
        connection.as_mut().graceful_shutdown();
        let _ = time::timeout(GRACE, connection).await;
    }
}
