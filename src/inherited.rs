//! Listening sockets that the service manager has bound for us, by name.
//!
//! systemd holds the sockets, so clients wait instead of being refused while one
//! process ends and the next starts, and a port below 1024 needs no privilege of
//! ours. All sockets are taken at the start, before this process opens descriptors
//! that could be mistaken for them, and are closed when a program is executed.
//!
//! `LISTEN_PID` and `LISTEN_FDS` are taken out of the environment with them.
//! `LISTEN_FDNAMES` and `NOTIFY_SOCKET` stay: without the first two they mean
//! nothing to anybody, and we start no processes.
//!
//! Protocol: `sd_listen_fds(3)`. One extension comes with `listenfd`: without
//! `LISTEN_PID` the sockets are ours, as development tools want it.

use std::{
    env, fmt, io,
    net::TcpListener as StdTcpListener,
    os::{fd::AsFd, unix::net::UnixListener as StdUnixListener},
    process,
};

use listenfd::ListenFd;
use rustix::net::sockopt::socket_acceptconn;
use tokio::net::{TcpListener, UnixListener};

/// The name of sockets that came without names.
const UNNAMED: &str = "unknown";

/// More than any unit has; a bound for what the environment may claim.
const MOST: usize = 1024;

/// What was handed over and has not been taken yet.
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Vec<(String, Handed)>,
    there: There,
}

/// A socket, ready to accept within a tokio runtime.
#[derive(Debug)]
pub enum Socket {
    /// TCP over IPv4 or IPv6.
    Tcp(TcpListener),
    /// A unix stream socket; its file belongs to whoever bound it.
    Unix(UnixListener),
}

/// Inherited sockets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InheritedError {
    /// `LISTEN_FDS` is no number, or an absurd one.
    #[error("`LISTEN_FDS` is {0:?}, which is not a number of sockets up to {MOST}")]
    Count(String),
    /// `LISTEN_FDNAMES` does not fit.
    #[error("`LISTEN_FDNAMES` has {names} names for {sockets} sockets")]
    Names {
        /// How many there are.
        names: usize,
        /// How many there should be.
        sockets: usize,
    },
    /// The configuration asks for something else.
    #[error("no inherited socket is named `{name}`: {there}")]
    NoSuchName {
        /// What was asked for.
        name: String,
        /// What it could have been.
        there: There,
    },
    /// Nothing that connections come from.
    #[error("the inherited socket `{name}` is {what}")]
    Kind {
        /// Its name.
        name: String,
        /// What it is instead.
        what: &'static str,
    },
    /// The kernel refuses.
    #[error("the inherited socket `{name}` cannot be used")]
    Io {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What was handed over, for messages.
#[derive(Clone, Debug, Default)]
pub enum There {
    /// Nothing.
    #[default]
    Nothing,
    /// Something, but to this process, which is not us.
    NotOurs(String),
    /// Sockets with these names.
    Names(Vec<String>),
}

#[derive(Debug)]
enum Handed {
    Tcp(StdTcpListener),
    Unix(StdUnixListener),
    /// Only a message is left of it.
    Unusable(&'static str),
}

impl Inherited {
    /// Takes over every socket that the environment names.
    ///
    /// To be called once, first of all: it changes the environment, which no other
    /// thread may be reading, and trusts that descriptors 3 and up are not ours.
    ///
    /// # Errors
    ///
    /// [`InheritedError::Count`] or [`InheritedError::Names`]. What a socket is
    /// matters only when it is taken.
    pub fn from_env() -> Result<Self, InheritedError> {
        let variable = |name| env::var_os(name).map(|text| text.to_string_lossy().into_owned());
        let claimed = variable("LISTEN_FDS");
        let process = variable("LISTEN_PID").filter(|process| !process.is_empty());
        let names = variable("LISTEN_FDNAMES");
        let is_ours = process
            .as_ref()
            .is_none_or(|process| process.parse() == Ok(process::id()));
        // Before listenfd, which would make room for any number.
        if let Some(count) = claimed.as_ref().filter(|_| is_ours)
            && !count.parse().is_ok_and(|count: usize| count <= MOST)
        {
            return Err(InheritedError::Count(count.clone()));
        }
        // Removes the variables, whoever they are for.
        let mut descriptors = ListenFd::from_env();
        match (claimed, process) {
            (Some(_), Some(process)) if !is_ours => Ok(Self {
                sockets: Vec::new(),
                there: There::NotOurs(process),
            }),
            _ => Self::with_names(&mut descriptors, names),
        }
    }

    fn with_names(
        descriptors: &mut ListenFd,
        names: Option<String>,
    ) -> Result<Self, InheritedError> {
        let count = descriptors.len();
        if count == 0 {
            return Ok(Self::default());
        }
        let names: Vec<String> = match names {
            Some(names) => names.split(':').map(ToOwned::to_owned).collect(),
            None => vec![UNNAMED.to_owned(); count],
        };
        if names.len() != count {
            return Err(InheritedError::Names {
                names: names.len(),
                sockets: count,
            });
        }
        let handed = (0..count).map(|index| Handed::take(descriptors, index));
        Ok(Self {
            sockets: names.iter().cloned().zip(handed).collect(),
            there: There::Names(names),
        })
    }

    /// Takes the sockets with this name, of which a unit may have several, in the
    /// order of the unit. Needs a tokio runtime around it.
    ///
    /// # Errors
    ///
    /// [`InheritedError`] if there is none, or one that no connections come from.
    pub fn take(&mut self, name: &str) -> Result<Vec<Socket>, InheritedError> {
        let named = self.sockets.extract_if(.., |(own, _)| own == name);
        let sockets = named
            .map(|(_, handed)| handed.listen(name))
            .collect::<Result<Vec<_>, _>>()?;
        if sockets.is_empty() {
            return Err(InheritedError::NoSuchName {
                name: name.to_owned(),
                there: self.there.clone(),
            });
        }
        Ok(sockets)
    }

    /// The names of sockets that nobody has taken.
    #[must_use]
    pub fn left(&self) -> Vec<&str> {
        self.sockets.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// Closes what nobody has taken, with a warning: as long as the service manager
    /// has it open, its clients wait for an answer that will not come.
    pub fn finish(self) {
        let left = self.left();
        if !left.is_empty() {
            tracing::warn!(sockets = ?left, there = %self.there, "inherited sockets that no `listen` asks for (`fd:NAME`)");
        }
    }
}

impl Handed {
    /// Owns the descriptor, whatever it is. Its kind is asked of the kernel
    /// (`fstat`, `getsockname`, `SO_TYPE`), by listenfd.
    fn take(descriptors: &mut ListenFd, index: usize) -> Self {
        if let Ok(Some(listener)) = descriptors.take_tcp_listener(index) {
            return if is_listening(&listener) {
                Self::Tcp(listener)
            } else {
                Self::Unusable(NOT_LISTENING)
            };
        }
        if let Ok(Some(listener)) = descriptors.take_unix_listener(index) {
            return if is_listening(&listener) {
                Self::Unix(listener)
            } else {
                Self::Unusable(NOT_LISTENING)
            };
        }
        let is_udp = matches!(descriptors.take_udp_socket(index), Ok(Some(_)));
        if is_udp || matches!(descriptors.take_unix_datagram(index), Ok(Some(_))) {
            return Self::Unusable("a datagram socket (`ListenDatagram=`), not a stream socket");
        }
        Self::Unusable("neither a TCP nor a unix stream socket")
    }

    fn listen(self, name: &str) -> Result<Socket, InheritedError> {
        let socket = match self {
            Self::Tcp(listener) => listener
                .set_nonblocking(true)
                .and_then(|()| TcpListener::from_std(listener))
                .map(Socket::Tcp),
            Self::Unix(listener) => listener
                .set_nonblocking(true)
                .and_then(|()| UnixListener::from_std(listener))
                .map(Socket::Unix),
            Self::Unusable(what) => {
                let name = name.to_owned();
                return Err(InheritedError::Kind { name, what });
            }
        };
        socket.map_err(|source| InheritedError::Io {
            name: name.to_owned(),
            source,
        })
    }
}

/// What `Accept=yes` hands over.
const NOT_LISTENING: &str = "a connection (`Accept=yes`), not a listening socket";

fn is_listening(socket: impl AsFd) -> bool {
    socket_acceptconn(socket).unwrap_or(false)
}

impl Socket {
    /// The address as the kernel has it: `IP:PORT` or `unix:/PATH`.
    #[must_use]
    pub fn address(&self) -> String {
        let address = match self {
            Self::Tcp(listener) => listener.local_addr().map(|address| address.to_string()),
            Self::Unix(listener) => listener.local_addr().map(|address| {
                let path = address.as_pathname();
                path.map_or_else(
                    || "unix:?".into(),
                    |path| format!("unix:{}", path.display()),
                )
            }),
        };
        address.unwrap_or_else(|_| "?".into())
    }
}

impl fmt::Display for There {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("none was handed over (is there a socket unit?)"),
            Self::NotOurs(process) => {
                write!(f, "`LISTEN_PID` says that they are for process {process}")
            }
            Self::Names(names) => write!(f, "there are `{}`", names.join("`, `")),
        }
    }
}
