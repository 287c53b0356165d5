//! Listening sockets, and the acceptor that hands their connections to the
//! workers.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    net::{TcpListener, UnixListener},
    sync::watch,
    time,
};

use crate::{
    config::Address,
    door::Door,
    inherited::{Inherited, InheritedError, Socket},
    thread::{Accepted, Handle},
};

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

/// The file of a unix socket.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode: another process may have put its own in this place.
    identity: Option<(u64, u64)>,
}

impl SocketFile {
    fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            identity: identity(path),
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.identity.is_some() && identity(&self.path) == self.identity {
            // Whoever cannot remove it now finds it stale at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path)
        .ok()
        .map(|metadata| (metadata.dev(), metadata.ino()))
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
                Ok(vec![bind_unix(path, *mode).map_err(failed)?])
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
            Some(file) => format!("unix:{}", file.path.display()),
            None => self.socket.address(),
        }
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

fn bind_unix(path: &Path, mode: u32) -> io::Result<Listener> {
    remove_stale(path)?;
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(Listener {
        socket: Socket::Unix(listener),
        file: Some(SocketFile::new(path)),
    })
}

/// Removes a socket that nobody listens on, left by a process that was killed;
/// anything else stays and makes the bind fail.
fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket =
        fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    let is_refused = || {
        std::os::unix::net::UnixStream::connect(path)
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    };
    if is_socket && is_refused() {
        fs::remove_file(path)
    } else {
        Ok(())
    }
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
