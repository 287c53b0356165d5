//! Whom to believe.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::problem::show;

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

    /// Whether there is any TCP peer that is believed.
    pub(super) fn trusts_some_address(&self) -> bool {
        !self.nets.is_empty()
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

/// Reads an address, a net, or the word for unix sockets.
pub(super) fn parse(text: &str) -> Result<Trusted, String> {
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
