//! Listening sockets, and the acceptor that hands their connections to the
//! workers.

pub(crate) mod owner;
pub(crate) mod unix;

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{net::TcpListener, sync::watch, time};

use crate::{
    config::Address,
    door::Door,
    inherited::{Inherited, InheritedError, Socket},
    thread::{Accepted, Handle},
};

pub use self::unix::SocketFile;

/// What nginx asks for; the kernel's own limit still applies.
const BACKLOG: u32 = 4096;

/// How long to wait when there is no descriptor for a new connection.
const BACK_OFF: Duration = Duration::from_millis(50);

/// How long one report of that is enough.
const QUIET: Duration = Duration::from_secs(10);

/// A socket to accept from.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    /// Made by us, and removed at the end.
    file: Option<SocketFile>,
}

/// There is no socket to listen on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// It cannot be bound.
    #[error("cannot listen on {address}")]
    Bind {
        /// Where.
        address: Address,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It was not handed over.
    #[error(transparent)]
    Inherited(#[from] InheritedError),
}

impl From<Socket> for Listener {
    fn from(socket: Socket) -> Self {
        Self { socket, file: None }
    }
}

impl Listener {
    /// Binds `address`, or takes the sockets that have its name.
    ///
    /// # Errors
    ///
    /// [`ListenError`] names the address.
    pub fn bind(address: &Address, inherited: &mut Inherited) -> Result<Vec<Self>, ListenError> {
        let failed = |source| ListenError::Bind {
            address: address.clone(),
            source,
        };
        match address {
            Address::Tcp(address) => Ok(vec![
                Socket::Tcp(bind_tcp(*address).map_err(failed)?).into(),
            ]),
            Address::Unix { path, mode, owner } => {
                let (listener, file) = unix::bind(path, *mode, owner.as_ref()).map_err(failed)?;
                Ok(vec![Self {
                    socket: Socket::Unix(listener),
                    file: Some(file),
                }])
            }
            Address::Inherited { name } => {
                let sockets = inherited.take(name)?;
                Ok(sockets.into_iter().map(Self::from).collect())
            }
        }
    }

    /// The address as it is, with the port that the kernel chose for port 0.
    #[must_use]
    pub fn address(&self) -> String {
        match &self.file {
            Some(file) => format!("unix:{}", file.path().display()),
            None => self.socket.address(),
        }
    }

    /// The socket alone, for those who look after administrators.
    #[must_use]
    pub fn into_parts(self) -> (Socket, Option<SocketFile>) {
        (self.socket, self.file)
    }

    async fn accept(&self) -> io::Result<Accepted> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // Fails only for a client that has gone again; the worker will see.
                let _ = stream.set_nodelay(true);
                Ok(Accepted::Tcp(stream.into_std()?))
            }
            Socket::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok(Accepted::Unix(stream.into_std()?))
            }
        }
    }
}

fn bind_tcp(address: std::net::SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        tokio::net::TcpSocket::new_v4()
    } else {
        tokio::net::TcpSocket::new_v6()
    }?;
    // A restart must not wait for the last connections' TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts until it is told to stop and nobody waits; each connection goes to
/// the worker that has the fewest.
pub async fn accept(
    listener: Listener,
    door: Arc<Door>,
    workers: Arc<[Handle]>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut reported: Option<Instant> = None;
    loop {
        let accepted = tokio::select! {
            biased;
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|stopped| *stopped) => return,
        };
        match accepted {
            Ok(socket) => {
                if let Some(worker) = workers.iter().min_by_key(|worker| worker.load()) {
                    worker.serve(socket, Arc::clone(&door));
                }
            }
            // A client that left while it waited.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                // Out of descriptors, most likely: spinning would make it worse,
                // and one line tells as much as a thousand.
                if reported.is_none_or(|at| at.elapsed() > QUIET) {
                    tracing::error!(%error, "connections cannot be accepted");
                    reported = Some(Instant::now());
                }
                time::sleep(BACK_OFF).await;
            }
        }
    }
}
