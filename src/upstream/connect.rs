//! Opens a connection: an address, a socket, a PROXY header, TLS.

use std::{
    cell::RefCell,
    io,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpStream, UnixStream},
    time,
};

use super::{Addresses, Link, Pool, http2::Opened};
use crate::{
    clock,
    config::{ProxyHeader, Upstream},
    http1::{
        buffer::{self, Buffer},
        socket::Socket,
        stream::Stream,
    },
    http2, proxy_protocol,
    settings::Settings,
    tls,
};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name has no address.
    #[error("upstream's name cannot be resolved")]
    Unresolved(#[source] io::Error),
    /// The socket's reason.
    #[error("upstream cannot be reached")]
    Refused(#[source] io::Error),
    /// It took too long.
    #[error("upstream did not accept the connection in time")]
    Timeout,
    /// No TLS, or with somebody else.
    #[error(transparent)]
    Tls(#[from] tls::ConnectError),
}

impl Pool {
    /// Opens a new connection, on behalf of `client`. A request that may share one
    /// gets a stream of somebody else's if that was opened in the meantime.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] of the address that was tried last.
    pub async fn connect(
        self: &Rc<Self>,
        settings: &Settings,
        buffers: &Rc<buffer::Pool>,
        client: Option<IpAddr>,
        may_share: bool,
    ) -> Result<Link, ConnectError> {
        let connect = async {
            let _turn = if may_share {
                self.trunks.turn().await
            } else {
                None
            };
            if may_share && let Some(link) = self.share(buffers) {
                return Ok(link);
            }
            let (opened, address) = self.open(settings, client, may_share).await?;
            if may_share {
                self.trunks.learn(matches!(opened, Opened::Trunk(_)));
            }
            Ok(match opened {
                Opened::Trunk(connection) => self.add_trunk(connection, address, buffers),
                Opened::Single(stream) => Link {
                    stream: RefCell::new(stream),
                    input: Buffer::new(buffers),
                    is_reused: false,
                    address,
                    opened: clock::now(),
                },
            })
        };
        time::timeout(settings.timeouts.connect, connect)
            .await
            .map_err(|_| ConnectError::Timeout)?
    }

    async fn open(
        &self,
        settings: &Settings,
        client: Option<IpAddr>,
        may_share: bool,
    ) -> Result<(Opened, Option<SocketAddr>), ConnectError> {
        match (&self.upstream, &self.addresses) {
            (Upstream::Unix { path }, _) => {
                let socket = UnixStream::connect(path)
                    .await
                    .map_err(ConnectError::Refused)?;
                let opened = self
                    .introduce(Socket::Unix(socket), settings, client, may_share)
                    .await?;
                Ok((opened, None))
            }
            (Upstream::Tcp { .. }, Some(addresses)) => {
                self.try_each(addresses, settings, client, may_share).await
            }
            // `new` makes addresses for every TCP upstream.
            (Upstream::Tcp { .. }, None) => {
                Err(ConnectError::Refused(io::ErrorKind::NotFound.into()))
            }
        }
    }

    /// Tries one address after the other; each gets its share of the time.
    async fn try_each(
        &self,
        addresses: &Addresses,
        settings: &Settings,
        client: Option<IpAddr>,
        may_share: bool,
    ) -> Result<(Opened, Option<SocketAddr>), ConnectError> {
        if addresses.is_stale(clock::now()) {
            addresses
                .resolve()
                .await
                .map_err(ConnectError::Unresolved)?;
        }
        let order = addresses.in_order(clock::now());
        let share = share(settings.timeouts.connect, order.len());
        let mut last = ConnectError::Timeout;
        for address in order {
            let attempt = async {
                let socket = TcpStream::connect(address)
                    .await
                    .map_err(ConnectError::Refused)?;
                socket.set_nodelay(true).map_err(ConnectError::Refused)?;
                self.introduce(Socket::Tcp(socket), settings, client, may_share)
                    .await
            };
            let outcome = time::timeout(share, attempt)
                .await
                .unwrap_or(Err(ConnectError::Timeout));
            addresses.note(address, outcome.is_ok(), clock::now());
            match outcome {
                Ok(opened) => return Ok((opened, Some(address))),
                Err(error) => {
                    tracing::debug!(%address, %error, "upstream address failed");
                    last = error;
                }
            }
        }
        Err(last)
    }

    /// What comes before the first request: a PROXY header, then TLS, then the
    /// settings of HTTP/2.
    async fn introduce(
        &self,
        mut socket: Socket,
        settings: &Settings,
        client: Option<IpAddr>,
        may_share: bool,
    ) -> Result<Opened, ConnectError> {
        let version = match settings.upstream_proxy_protocol {
            ProxyHeader::Off => None,
            ProxyHeader::V1 => Some(proxy_protocol::Version::V1),
            ProxyHeader::V2 => Some(proxy_protocol::Version::V2),
        };
        if let Some(version) = version {
            let mut header = Vec::new();
            // The port is not known of clients behind another proxy, so of none.
            let source = client.map(|client| SocketAddr::new(client, 0));
            proxy_protocol::push(&mut header, version, source, destination(&socket));
            socket
                .write_all(&header)
                .await
                .map_err(ConnectError::Refused)?;
        }
        match (&self.upstream, &settings.upstream_tls) {
            (
                Upstream::Tcp {
                    tls: true, host, ..
                },
                Some(tls),
            ) => {
                if !may_share {
                    let stream = tls.connect(socket, host).await?;
                    return Ok(Opened::Single(Stream::Tls(Box::new(stream))));
                }
                match tls.connect_by_either(socket, host).await? {
                    (stream, tls::Protocol::Http1) => {
                        Ok(Opened::Single(Stream::Tls(Box::new(stream))))
                    }
                    (stream, tls::Protocol::Http2) => http2::client::connect(stream)
                        .await
                        .map(Opened::Trunk)
                        .map_err(ConnectError::Refused),
                }
            }
            // Never in plain text where TLS was asked for.
            (Upstream::Tcp { tls: true, .. }, None) => {
                Err(ConnectError::Refused(io::ErrorKind::Unsupported.into()))
            }
            (Upstream::Tcp { tls: false, .. } | Upstream::Unix { .. }, _) => {
                Ok(Opened::Single(Stream::Plain(socket)))
            }
        }
    }
}

fn destination(socket: &Socket) -> Option<SocketAddr> {
    match socket {
        Socket::Tcp(socket) => socket.peer_addr().ok(),
        Socket::Unix(_) => None,
    }
}

/// With several addresses, one that does not answer must leave time for the others.
fn share(whole: Duration, count: usize) -> Duration {
    whole.div_f64(f64::from(u32::try_from(count.max(1)).unwrap_or(u32::MAX)))
}
