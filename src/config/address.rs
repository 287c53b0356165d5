//! Where clients come in, where requests go, and whom to believe.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;

use super::problem::show;

/// An address that clients connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A TCP socket.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix {
        /// Absolute, and short enough for a socket address.
        path: PathBuf,
        /// Permission bits of the socket, at most `0o777`.
        mode: u32,
    },
}

/// The server behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// HTTP over TCP.
    Tcp {
        /// A name or an address, without the brackets of IPv6.
        host: String,
        /// Never zero; 80 where none was written.
        port: u16,
        /// Host and port as they were written, brackets included.
        authority: String,
    },
    /// HTTP over a unix socket.
    Unix {
        /// Absolute, and short enough for a socket address.
        path: PathBuf,
    },
}

/// The peers whose forwarding fields are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedProxies {
    nets: Vec<IpNet>,
    unix: bool,
}

/// One entry of `trusted_proxies`.
pub(super) enum Trusted {
    Net(IpNet),
    Unix,
}

impl Listen {
    /// What `mode` is where none was written.
    pub(super) const DEFAULT_MODE: u32 = 0o660;

    /// Whether binding `other` too would fail; port 0 is a new one each time.
    pub(super) fn is_same_address(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tcp(one), Self::Tcp(other)) => one == other && one.port() != 0,
            (Self::Unix { path: one, .. }, Self::Unix { path: other, .. }) => one == other,
            (Self::Tcp(_), Self::Unix { .. }) | (Self::Unix { .. }, Self::Tcp(_)) => false,
        }
    }
}

impl TrustedProxies {
    /// This machine only: loopback and unix sockets.
    pub(super) fn local() -> Self {
        const LOOPBACK: [IpNet; 2] = [
            IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
            IpNet::new_assert(IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
        ];
        Self {
            nets: LOOPBACK.to_vec(),
            unix: true,
        }
    }

    /// Whether a TCP peer is believed.
    #[must_use]
    pub fn trusts(&self, ip: IpAddr) -> bool {
        // A listener on `[::]` sees IPv4 peers as `::ffff:a.b.c.d`.
        let plain = ip.to_canonical();
        self.nets
            .iter()
            .any(|net| net.contains(&plain) || net.contains(&ip))
    }

    /// Whether the peers of unix sockets are believed.
    #[must_use]
    pub fn trusts_unix(&self) -> bool {
        self.unix
    }

    /// The list as it is written in a file.
    pub(super) fn entries(&self) -> impl Iterator<Item = String> {
        let unix = self.unix.then(|| UNIX.to_owned());
        self.nets.iter().map(ToString::to_string).chain(unix)
    }
}

impl FromIterator<Trusted> for TrustedProxies {
    fn from_iter<I: IntoIterator<Item = Trusted>>(entries: I) -> Self {
        let mut proxies = Self {
            nets: Vec::new(),
            unix: false,
        };
        for entry in entries {
            match entry {
                Trusted::Net(net) => proxies.nets.push(net),
                Trusted::Unix => proxies.unix = true,
            }
        }
        proxies
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix { path, .. } => write!(f, "unix:{}", path.display()),
        }
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { authority, .. } => write!(f, "http://{authority}"),
            Self::Unix { path } => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Reads an address, a net, or the word for unix sockets.
pub(super) fn trusted(text: &str) -> Result<Trusted, String> {
    if text == UNIX {
        return Ok(Trusted::Unix);
    }
    let net = text
        .parse()
        .or_else(|_| text.parse().map(|address: IpAddr| IpNet::from(address)));
    let net: IpNet = net.map_err(|_| {
        format!(
            "must be an address such as \"192.0.2.7\", a net such as \"10.0.0.0/8\", \
             or \"unix\", not {}",
            show(text),
        )
    })?;
    // "10.1.2.3/8" may mean one host or a whole net: trust is not the place to guess.
    if net.addr() != net.network() {
        return Err(format!(
            "must be \"{}\" for the net or \"{}\" for the host",
            net.trunc(),
            net.addr()
        ));
    }
    Ok(Trusted::Net(net))
}

const UNIX: &str = "unix";
