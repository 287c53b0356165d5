//! Asks a running proxy whether it answers, as a container's health check.
//!
//! The administrator's listener is asked if there is one: it answers when clients
//! have taken every place. Else the first listener that speaks plain HTTP is. What
//! begins with TLS or a PROXY header, is there for other proxies to ask, or was handed
//! over to another process, is not spoken to: that would need certificates, trust or a
//! socket that we lack.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    time::Duration,
};

use crate::{
    config::{Address, Config, Role},
    exit::Failure,
};

/// A container runtime would give up after 30 seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whom to ask, and for what.
#[derive(Debug, PartialEq, Eq)]
struct Question<'c> {
    address: &'c Address,
    path: &'static str,
}

/// Asks the proxy that was started with `config`.
///
/// # Errors
///
/// If nobody answers, or not with 200, or nobody can be asked.
pub fn run(config: &Config) -> Result<(), Failure> {
    let question = question(config).ok_or_else(|| {
        Failure::config(
            "no listener can be asked by plain HTTP: set `admin.listen`, which can, \
             or add a [[listen]] on loopback or a unix socket",
        )
    })?;
    let address = question.address;
    match ask(&question) {
        Ok(answer) if answer.starts_with(b"HTTP/1.1 200 ") => Ok(()),
        Ok(_) => Err(Failure::Unhealthy(format!(
            "{address}: does not answer with 200"
        ))),
        Err(error) => Err(Failure::Unhealthy(format!("{address}: {error}"))),
    }
}

fn question(config: &Config) -> Option<Question<'_>> {
    if let Some(address) = &config.admin {
        return Some(Question {
            address,
            path: "/healthz",
        });
    }
    let listen = config.listen.iter().find(|listen| {
        let is_ours = !matches!(listen.address, Address::Inherited { .. });
        let is_plain = !listen.tls && !listen.proxy_protocol;
        is_ours && is_plain && listen.role == Role::Proxy
    })?;
    Some(Question {
        address: &listen.address,
        path: "/_tokenshim/health",
    })
}

fn ask(question: &Question<'_>) -> io::Result<Vec<u8>> {
    match question.address {
        Address::Tcp(address) => say(connect_tcp(*address)?, question.path),
        Address::Unix { path, .. } => say(connect_unix(path)?, question.path),
        // Never a question: the socket is another process's.
        Address::Inherited { .. } => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn connect_tcp(address: SocketAddr) -> io::Result<TcpStream> {
    let reachable = match address.ip() {
        // Listening on every address, but none to connect to.
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        address => address,
    };
    let stream = TcpStream::connect_timeout(&SocketAddr::new(reachable, address.port()), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn connect_unix(path: &std::path::Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn say(mut stream: impl Read + Write, path: &str) -> io::Result<Vec<u8>> {
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(4096).read_to_end(&mut answer)?;
    Ok(answer)
}
