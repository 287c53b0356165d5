//! From an accepted socket to a connection that speaks HTTP.
//!
//! In this order: is there room, who is it, TLS, which HTTP. Until then nothing
//! is answered, but where there is no room and no TLS to say it in.

use std::{
    io,
    net::IpAddr,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::time::{self, Instant};

use crate::{
    config::Role,
    connection::{self, Served},
    http1::{
        socket::Socket,
        stream::{Shared, Stream},
    },
    http2,
    hygiene::Peer,
    metrics::{self, Handshake, Protocol, Timeout, Tls},
    proxy_protocol,
    refusal::Refusal,
    settings::Settings,
    tls,
    worker::{Phase, Worker},
};

/// How the connections of one listener begin.
#[derive(Debug)]
pub struct Door {
    /// What is spoken behind it.
    pub role: Role,
    /// The certificates, for a listener with TLS.
    pub tls: Option<Arc<tls::Server>>,
    /// Whether HTTP/2 is spoken: by ALPN with TLS, by prior knowledge without.
    pub http2: bool,
    /// Whether a PROXY header comes first.
    pub proxy_protocol: bool,
}

/// Why a connection ended before it could speak HTTP.
#[derive(Debug, thiserror::Error)]
enum Closed {
    #[error("took too long to begin")]
    Timeout,
    #[error("took too long for the TLS handshake")]
    TlsTimeout,
    #[error("address of the socket is not known")]
    NoAddress(#[source] io::Error),
    #[error("no PROXY header that can be read")]
    NoHeader(#[source] proxy_protocol::ReadError),
    #[error("not a trusted proxy, and the listener is for such")]
    Stranger,
    #[error(transparent)]
    NoTls(#[from] tls::HandshakeError),
}

/// Serves one connection to its end; gives back what is still open of it.
pub async fn enter(worker: Rc<Worker>, mut socket: Socket, door: Arc<Door>) -> Option<Shared> {
    worker.metrics.accepted();
    let setup = worker.setup();
    let limits = &setup.settings.limits;
    let deadline = Instant::now().checked_add(setup.settings.timeouts.handshake);
    let mut ticket = match worker.admission.admit(limits) {
        Ok(ticket) => ticket,
        Err(refusal) => {
            let address = address(&socket).ok().flatten();
            return turn_away(&worker, &door, socket, address, refusal).await;
        }
    };
    let identified = identify(&mut socket, &door, &setup.settings);
    let peer = match within(deadline, identified, Closed::Timeout).await {
        Ok(peer) => peer,
        Err(closed) => return report(&closed, &worker.metrics),
    };
    // A trusted proxy has the connections of many.
    if let (Some(address), false) = (peer.address, peer.is_trusted)
        && let Err(refusal) = ticket.claim(address, limits)
    {
        return turn_away(&worker, &door, socket, peer.address, refusal).await;
    }
    // Without TLS there is nothing to wait for.
    let opened = open(socket, &door);
    let (stream, is_http2) = match within(deadline, opened, Closed::TlsTimeout).await {
        Ok(opened) => opened,
        Err(closed) => return report(&closed, &worker.metrics),
    };
    drop(setup);
    if door.tls.is_some() {
        worker.metrics.shook_hands(Handshake::Ok);
    }
    serve(worker, stream, peer, is_http2, &door).await
    // The ticket is given back here.
}

/// Who is at the other end.
async fn identify(socket: &mut Socket, door: &Door, settings: &Settings) -> Result<Peer, Closed> {
    let address = address(socket).map_err(Closed::NoAddress)?;
    let is_trusted = |address| match address {
        Some(address) => settings.trusted.trusts(address),
        None => settings.trusted.trusts_unix(),
    };
    let mut peer = Peer {
        address,
        is_trusted: is_trusted(address),
        is_tls: door.tls.is_some(),
    };
    if door.proxy_protocol {
        if !peer.is_trusted {
            return Err(Closed::Stranger);
        }
        let header = proxy_protocol::read(socket)
            .await
            .map_err(Closed::NoHeader)?;
        // Without addresses it is the proxy itself that asks.
        if let Some(endpoints) = header {
            let address = endpoints.source.ip().to_canonical();
            peer.address = Some(address);
            peer.is_trusted = settings.trusted.trusts(address);
        }
    }
    Ok(peer)
}

/// The socket's own idea; a unix socket has no address.
fn address(socket: &Socket) -> io::Result<Option<IpAddr>> {
    match socket {
        Socket::Tcp(socket) => Ok(Some(socket.peer_addr()?.ip().to_canonical())),
        Socket::Unix(_) => Ok(None),
    }
}

/// The stream behind the door, and whether HTTP/2 was agreed on.
async fn open(socket: Socket, door: &Door) -> Result<(Stream, bool), Closed> {
    let Some(tls) = &door.tls else {
        return Ok((Stream::Plain(socket), false));
    };
    // Boxed: a handshake is large, and must not be part of every connection for good.
    let accepted = Box::pin(tls::accept(socket, &tls.config(door.http2))).await?;
    let is_http2 = accepted.protocol == tls::Protocol::Http2;
    Ok((Stream::Tls(Box::new(accepted.stream)), is_http2))
}

async fn serve(
    worker: Rc<Worker>,
    stream: Stream,
    peer: Peer,
    is_http2: bool,
    door: &Door,
) -> Option<Shared> {
    if is_http2 {
        serve_http2(worker, stream, peer, door.role, Vec::new()).await;
        return None;
    }
    let knows_preface = door.http2 && door.tls.is_none();
    let metrics = Rc::clone(&worker.metrics);
    let open = metrics.open(Protocol::Http1, Tls::from(peer.is_tls));
    let served = connection::serve(&worker, stream, peer, door.role, knows_preface).await;
    drop(open);
    match served {
        Served::Ended(client) => Some(client),
        Served::Http2 { client, read } => {
            serve_http2(worker, client.into_inner(), peer, door.role, read).await;
            None
        }
    }
}

/// Each stream is a connection of its own to all that is behind the door.
async fn serve_http2(worker: Rc<Worker>, stream: Stream, peer: Peer, role: Role, read: Vec<u8>) {
    let _open = worker.metrics.open(Protocol::Http2, Tls::from(peer.is_tls));
    let setup = worker.setup();
    let (timeouts, limits) = (&setup.settings.timeouts, &setup.settings.limits);
    let limits = http2::Limits {
        streams: limits.h2_streams,
        head_size: limits.head_size,
        handshake: timeouts.handshake,
        idle: timeouts.idle,
        send: timeouts.send,
    };
    drop(setup);
    let stopping = |_: &mut Context<'_>| {
        if worker.phase() > Phase::Running {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    };
    let on_stream = |stream| {
        let within = Rc::clone(&worker);
        worker.spawn(async move {
            let stream = Stream::Http2(Box::new(stream));
            connection::serve(&within, stream, peer, role, false).await
        });
    };
    // Boxed: large, and most connections are not HTTP/2.
    let served = Box::pin(http2::serve(stream, read, &limits, stopping, on_stream)).await;
    if let Err(error) = served {
        tracing::debug!(%error, "HTTP/2 connection ended");
    }
}

/// Says why there is no room, where that can be said: a handshake would cost
/// more than the connection that is refused.
async fn turn_away(
    worker: &Rc<Worker>,
    door: &Door,
    socket: Socket,
    address: Option<IpAddr>,
    refusal: Refusal,
) -> Option<Shared> {
    if door.tls.is_some() {
        if let Some(limit) = metrics::Limit::of(refusal) {
            worker.metrics.limited(limit);
        }
        return None;
    }
    let peer = Peer {
        address,
        is_trusted: false,
        is_tls: false,
    };
    Some(connection::turn_away(worker, Stream::Plain(socket), peer, refusal).await)
}

fn report(closed: &Closed, metrics: &metrics::Worker) -> Option<Shared> {
    match closed {
        Closed::Timeout => metrics.timed_out(Timeout::Handshake),
        Closed::TlsTimeout => {
            metrics.timed_out(Timeout::Handshake);
            metrics.shook_hands(Handshake::Failed);
        }
        Closed::NoTls(_) => metrics.shook_hands(Handshake::Failed),
        Closed::NoAddress(_) | Closed::NoHeader(_) | Closed::Stranger => {}
    }
    let cause = std::error::Error::source(closed).map(ToString::to_string);
    tracing::debug!(reason = %closed, cause, "connection closed before it began");
    None
}

async fn within<T>(
    deadline: Option<Instant>,
    step: impl Future<Output = Result<T, Closed>>,
    late: Closed,
) -> Result<T, Closed> {
    match deadline {
        Some(deadline) => time::timeout_at(deadline, step).await.unwrap_or(Err(late)),
        None => step.await,
    }
}
