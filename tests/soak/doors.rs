//! Connections to the shim, by each of its listeners.

use std::{
    cell::Cell,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    rc::Rc,
    sync::Arc,
};

use rustls::{ClientConfig, HandshakeKind, client::Resumption};
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::seals::Seals;

/// Both directions of a connection.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

/// Where the shim listens, and whom to believe.
pub(crate) struct Doors {
    /// Of TCP, TLS, the unix socket, and the two for proxies.
    addresses: Vec<String>,
    pub(crate) admin: String,
    seals: Rc<Seals>,
    http1: TlsConnector,
    http2: TlsConnector,
    /// Connections by a proxy so far.
    proxied: Cell<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Plain,
    Tls,
    Local,
    /// The client is a proxy, and says so by a PROXY header.
    Proxied,
    /// The same, and TLS follows.
    ProxiedTls,
}

impl Door {
    pub(crate) const ALL: &[Self] = &[
        Self::Plain,
        Self::Tls,
        Self::Local,
        Self::Proxied,
        Self::ProxiedTls,
    ];
}

/// Where a proxy says that a connection comes from.
pub(crate) type Source = Option<IpAddr>;

pub(crate) struct Opened {
    pub(crate) io: Box<dyn Io>,
    pub(crate) source: Source,
}

impl Doors {
    pub(crate) fn new(addresses: Vec<String>, admin: String, seals: Rc<Seals>) -> Rc<Self> {
        let connector = |protocol: &[u8], resumption| {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let mut config = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(seals.roots())
                .with_no_client_auth();
            config.alpn_protocols = vec![protocol.to_vec()];
            config.resumption = resumption;
            TlsConnector::from(Arc::new(config))
        };
        Rc::new(Self {
            addresses,
            admin,
            // Each of them is shown a certificate.
            http1: connector(b"http/1.1", Resumption::disabled()),
            http2: connector(b"h2", Resumption::default()),
            seals,
            proxied: Cell::default(),
        })
    }

    pub(crate) fn address(&self, door: Door) -> &str {
        self.addresses[door as usize].trim_start_matches("unix:")
    }

    pub(crate) async fn open(&self, door: Door) -> io::Result<Opened> {
        self.enter(door, &self.http1, false).await
    }

    /// For a client that closes by a reset, or politely.
    pub(crate) async fn open_to_leave(&self, door: Door, is_reset: bool) -> io::Result<Opened> {
        self.enter(door, &self.http1, is_reset).await
    }

    /// For HTTP/2: chosen by ALPN, or known beforehand.
    pub(crate) async fn open_http2(&self, door: Door) -> io::Result<Opened> {
        self.enter(door, &self.http2, false).await
    }

    async fn enter(&self, door: Door, tls: &TlsConnector, is_reset: bool) -> io::Result<Opened> {
        let address = self.address(door);
        if door == Door::Local {
            let io = Box::new(UnixStream::connect(address).await?);
            return Ok(Opened { io, source: None });
        }
        // Which certificate there is may be settled when a connection is taken.
        let oldest = self.seals.oldest();
        let mut socket = tcp(address).await?;
        if is_reset {
            socket.set_zero_linger()?;
        }
        let source = match door {
            Door::Proxied | Door::ProxiedTls => self.introduce(&mut socket).await?,
            Door::Plain | Door::Tls | Door::Local => None,
        };
        let io: Box<dyn Io> = match door {
            Door::Tls | Door::ProxiedTls => Box::new(self.shake_hands(socket, tls, oldest).await?),
            Door::Plain | Door::Proxied | Door::Local => Box::new(socket),
        };
        Ok(Opened { io, source })
    }

    async fn shake_hands(
        &self,
        socket: TcpStream,
        tls: &TlsConnector,
        oldest: usize,
    ) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from("h.example").unwrap();
        let stream = tls.connect(name, socket).await?;
        let state = stream.get_ref().1;
        let shown = state.peer_certificates().and_then(<[_]>::first);
        // One that is resumed shows none; the library tells that of before.
        let is_full = state.handshake_kind() != Some(HandshakeKind::Resumed);
        if is_full && !shown.is_some_and(|shown| self.seals.check(shown, oldest)) {
            return Err(io::Error::other("a certificate of before"));
        }
        Ok(stream)
    }

    /// Sends a PROXY header, of another kind each time.
    async fn introduce(&self, socket: &mut TcpStream) -> io::Result<Source> {
        let number = self.proxied.get();
        self.proxied.set(number.wrapping_add(1));
        let host = number / 8;
        let (v4, v6) = (
            Ipv4Addr::new(198, 18, (host / 200) as u8, (host % 200) as u8),
            Ipv6Addr::new(0x2001, 0xdb8, 0, host, 0, 0, 0, 1),
        );
        let own = Ipv4Addr::LOCALHOST;
        let (header, source) = match number % 8 {
            0 | 1 => (line("TCP4", v4.into(), own.into()), v4.into()),
            2 => (
                line("TCP6", v6.into(), Ipv6Addr::LOCALHOST.into()),
                v6.into(),
            ),
            // Nothing is told: the proxy asks for itself.
            3 => (b"PROXY UNKNOWN\r\n".to_vec(), own.into()),
            4 => (binary(0x20, 0, &[]), own.into()),
            5 => (
                binary(0x21, 0x21, &[v6.octets(), v6.octets()].concat()),
                v6.into(),
            ),
            _ => (
                binary(0x21, 0x11, &[v4.octets(), own.octets()].concat()),
                v4.into(),
            ),
        };
        // In one piece, or in two.
        let (begin, rest) = header.split_at(number as usize * 5 % header.len());
        socket.write_all(begin).await?;
        tokio::task::yield_now().await;
        socket.write_all(rest).await?;
        Ok(Some(source))
    }
}

/// A header of version 1.
fn line(family: &str, client: IpAddr, proxy: IpAddr) -> Vec<u8> {
    format!("PROXY {family} {client} {proxy} 4711 443\r\n").into_bytes()
}

/// A header of version 2: command, family, and addresses, to which ports are added.
fn binary(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
    let ports: &[u8] = if addresses.is_empty() { &[] } else { &[1; 4] };
    let length = (addresses.len() + ports.len()) as u16;
    [
        b"\r\n\r\n\0\r\nQUIT\n",
        &[command, family][..],
        &length.to_be_bytes(),
        addresses,
        ports,
    ]
    .concat()
}

pub(crate) async fn tcp(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
