//! The listener for administrators: its socket, and what it may ask us.

use std::sync::Arc;

use tokio::{
    net::{TcpStream, UnixStream},
    sync::watch,
    task::JoinHandle,
};

use super::reload::Reloadable;
use crate::{
    admin::{self, Admin, Door, Readiness},
    config::Upstream,
    exit::Failure,
    inherited::{Inherited, Socket},
    listen::{Listener, SocketFile},
    metrics::ConnectFailure,
};

/// The listener, before anybody is let in.
pub(super) struct Administration {
    door: Door,
    file: Option<SocketFile>,
    admin: Arc<Admin>,
}

/// The listener at work; to drop it is to close it.
pub(super) struct Running {
    admin: Arc<Admin>,
    task: JoinHandle<()>,
    _file: Option<SocketFile>,
}

impl Administration {
    /// Binds `admin.listen`, if it is set.
    pub(super) fn bind(
        reloadable: &Reloadable,
        inherited: &mut Inherited,
    ) -> Result<Option<Self>, Failure> {
        let Some(address) = &reloadable.config().admin else {
            return Ok(None);
        };
        let bound = Listener::bind(address, inherited).map_err(Failure::other)?;
        let upstream = reloadable.default_upstream();
        let admin = Admin::new(
            Arc::clone(reloadable.registry()),
            Readiness::new(Box::new(move || {
                // Another one after a reload.
                let upstream = upstream.borrow().clone();
                Box::pin(probe(upstream))
            })),
        );
        Ok(bound.into_iter().next().map(|listener| {
            let (socket, file) = listener.into_parts();
            let door = match socket {
                Socket::Tcp(listener) => Door::Tcp(listener),
                Socket::Unix(listener) => Door::Unix(listener),
            };
            Self { door, file, admin }
        }))
    }

    /// Lets administrators in.
    pub(super) fn start(self) -> Running {
        self.admin.readiness().serving();
        Running {
            task: tokio::spawn(admin::serve(self.door, Arc::clone(&self.admin))),
            admin: self.admin,
            _file: self.file,
        }
    }
}

impl Running {
    /// From now on, nobody should send requests here.
    pub(super) fn draining(&self) {
        self.admin.readiness().draining();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Connects, and hangs up.
async fn probe(upstream: Option<Upstream>) -> Result<(), ConnectFailure> {
    let connected = match upstream {
        // Only routes, so none of them speaks for all.
        None => return Ok(()),
        Some(Upstream::Unix { path }) => UnixStream::connect(path).await.map(drop),
        Some(Upstream::Tcp { host, port, .. }) => {
            TcpStream::connect((host.as_str(), port)).await.map(drop)
        }
    };
    connected.map_err(|error| ConnectFailure::of(&error))
}

/// The upstream of requests that no route names.
pub(super) type DefaultUpstream = watch::Receiver<Option<Upstream>>;
