//! Where requests go.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::str::FromStr;

use rustls_pki_types::ServerName;

use super::address;

/// The server behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// HTTP over TCP.
    Tcp {
        /// A name or an address, without the brackets of IPv6; with TLS, a name
        /// that a certificate can have.
        host: String,
        /// Never zero; 80, or 443 with TLS, where none was written.
        port: u16,
        /// Host and port as they were written, brackets included.
        authority: String,
        /// Whether it is `https`.
        tls: bool,
    },
    /// HTTP over a unix socket.
    Unix {
        /// Absolute, and short enough for a socket address.
        path: PathBuf,
    },
}

impl Upstream {
    /// Whether it is reached by TLS.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        matches!(self, Self::Tcp { tls: true, .. })
    }

    /// Whether what is sent to it stays on this machine, as far as its name says.
    #[must_use]
    pub fn is_on_this_machine(&self) -> bool {
        match self {
            Self::Unix { .. } => true,
            Self::Tcp { host, .. } => {
                host.eq_ignore_ascii_case("localhost")
                    || host
                        .parse()
                        .is_ok_and(|address: IpAddr| address.to_canonical().is_loopback())
            }
        }
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { authority, tls, .. } => {
                let scheme = if *tls { HTTPS } else { HTTP };
                write!(f, "{scheme}{authority}")
            }
            Self::Unix { path } => write!(f, "unix:{}", path.display()),
        }
    }
}

/// As it is written in a configuration; the message names what is wrong, and shows no
/// password.
impl FromStr for Upstream {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text)
    }
}

const HTTP: &str = "http://";
const HTTPS: &str = "https://";

/// `http://HOST[:PORT]`, `https://HOST[:PORT]` or `unix:/PATH`.
pub(crate) fn parse(text: &str) -> Result<Upstream, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return Ok(Upstream::Unix {
            path: address::socket(path)?,
        });
    }
    let (scheme, authority) = [HTTP, HTTPS]
        .into_iter()
        .find_map(|scheme| {
            let (start, rest) = text.split_at_checked(scheme.len())?;
            start.eq_ignore_ascii_case(scheme).then_some((scheme, rest))
        })
        .ok_or("must be http://HOST[:PORT], https://HOST[:PORT] or unix:/PATH")?;
    // First of all, so that no password gets into one of the messages below.
    if authority.contains('@') {
        return Err("must not have a user name or password".to_owned());
    }
    if authority.starts_with("unix:") {
        return Err(format!("must be unix:/PATH, without {scheme} in front"));
    }
    if authority.contains(['/', '?', '#']) {
        return Err(
            "must end behind host and port: no path, no query, not even a last slash".to_owned(),
        );
    }
    let tls = scheme == HTTPS;
    let (host, port) = host_and_port(authority, if tls { 443 } else { 80 })?;
    if tls && ServerName::try_from(host).is_err() {
        return Err("must have a host name that a certificate can have, or an address".to_owned());
    }
    Ok(Upstream::Tcp {
        host: host.to_owned(),
        port,
        authority: authority.to_owned(),
        tls,
    })
}

/// Splits an authority; the host comes without its brackets.
pub(super) fn host_and_port(authority: &str, default_port: u16) -> Result<(&str, u16), String> {
    const BAD_HOST: &str = "must have a host name, an IPv4 address or an [IPv6] address";
    let (host, rest) = if let Some(bracketed) = authority.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']').ok_or(BAD_HOST)?;
        host.parse::<Ipv6Addr>().map_err(|_| BAD_HOST)?;
        (host, rest)
    } else {
        let (host, rest) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
        if !is_name_or_ipv4(host) {
            return Err(BAD_HOST.to_owned());
        }
        (host, rest)
    };
    let port = match rest.strip_prefix(':') {
        None if rest.is_empty() => Some(default_port),
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok(),
        Some(_) | None => None,
    };
    let port = port
        .filter(|port| *port != 0)
        .ok_or_else(|| format!("must have a port from 1 to 65535, or none for {default_port}"))?;
    Ok((host, port))
}

pub(super) fn is_name_or_ipv4(host: &str) -> bool {
    let is_name = host
        .split('.')
        .all(|label| !label.is_empty() && label.len() <= 63)
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
        && host.len() <= 253;
    // A last label of digits is an address, and resolvers read a wrong one in odd ways.
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_numeric = last.bytes().all(|byte| byte.is_ascii_digit());
    is_name && (!is_numeric || host.parse::<Ipv4Addr>().is_ok())
}

/// The name that a certificate must be for.
pub(super) fn server_name(text: &str) -> Result<String, String> {
    let is_right = text.parse::<IpAddr>().is_ok()
        || (is_name_or_ipv4(text) && ServerName::try_from(text).is_ok());
    if !is_right {
        return Err("must be a host name or an address, without port or brackets".to_owned());
    }
    Ok(text.to_owned())
}
