//! Asks a running proxy whether it answers, as a container's health check.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    time::Duration,
};

use crate::{
    config::{Address, Config},
    exit::Failure,
};

/// A container runtime would give up after 30 seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks the first listener of `config`.
///
/// # Errors
///
/// If nobody answers, or not with 200.
pub fn run(config: &Config) -> Result<(), Failure> {
    let listen = config
        .listen
        .first()
        .map(|listen| &listen.address)
        .ok_or_else(|| Failure::other("no listener"))?;
    let answer = match listen {
        Address::Tcp(address) => connect_tcp(*address).and_then(ask),
        Address::Unix { path, .. } => connect_unix(path).and_then(ask),
        Address::Inherited { .. } => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "an inherited socket is not supported yet",
        )),
    };
    match answer {
        Ok(answer) if answer.starts_with(b"HTTP/1.1 200 ") => Ok(()),
        Ok(_) => Err(Failure::Unhealthy(format!(
            "{listen}: does not answer with 200"
        ))),
        Err(error) => Err(Failure::Unhealthy(format!("{listen}: {error}"))),
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

fn ask(mut stream: impl Read + Write) -> io::Result<Vec<u8>> {
    stream.write_all(
        b"GET /_tokenshim/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    )?;
    let mut answer = Vec::new();
    stream.take(4096).read_to_end(&mut answer)?;
    Ok(answer)
}
