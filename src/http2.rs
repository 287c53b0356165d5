//! HTTP/2 in front of the HTTP/1.1 engine.
//!
//! The `h2` crate does frames, header compression and flow control. Each of its
//! streams is shown to the engine as a connection of HTTP/1.1 that carries one
//! request ([`Stream`]), so that there is one engine, with one set of rules, and
//! nothing behind the door knows how a request came.
//!
//! # What a connection may cost
//!
//! A client may have [`STREAM_WINDOW`] bytes of one request's body on their way
//! to us and [`CONNECTION_WINDOW`] bytes of all together; that is what a slow
//! upstream makes us keep. Towards the client [`MOST_UNSENT`] bytes of each
//! response wait for the socket. With 100 streams a connection whose client
//! uploads and does not read can hold 2 MiB and 6.4 MiB, beside the engine's own
//! buffers, until [`Limits::send`] ends it.
//!
//! # Floods
//!
//! `h2` bounds streams, resets of streams that nobody accepted, CONTINUATION
//! frames, header lists, and small DATA frames. It takes PING, SETTINGS,
//! `WINDOW_UPDATE` and PRIORITY for ever, and forgives resets of accepted
//! streams; [`frames`] counts those, and a connection that sends far more of
//! them than there is work for ends with `ENHANCE_YOUR_CALM`.
//!
//! # Request targets
//!
//! They may have any byte that they may have over HTTP/1. h2 reads them first, with
//! the `http` crate's grammar, and refuses or cuts some without a trace; those go
//! around it ([`paths`]). What the engine refuses gets its answer and its line in
//! the log. One is left that h2 refuses by itself, with a reset of the stream: an
//! empty one.
//!
//! # What is never offered
//!
//! Upgrades, extended CONNECT and server push. A `CONNECT` is refused by the
//! engine like any other.

pub mod answer;
pub mod client;
pub mod frames;
pub mod heads;
pub mod hpack;
mod incoming;
mod outgoing;
pub mod paths;
pub mod request;
mod sending;
mod stream;
mod wire;

use std::{
    future::poll_fn,
    pin::pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use h2::{Reason, server};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{self, Instant},
};

pub use self::stream::Stream;
use self::wire::{Ledger, Wire};

/// What a client may send of one request's body before the upstream takes it:
/// at 50 ms to the client, 160 Mbit/s.
pub const STREAM_WINDOW: u32 = 1024 * 1024;

/// The same for all requests of a connection, so that one stuck upload leaves
/// room for others.
pub const CONNECTION_WINDOW: u32 = 2 * 1024 * 1024;

/// What may wait of one response for the socket.
pub const MOST_UNSENT: usize = 64 * 1024;

/// How long a client without open requests may take to say that it knows that we
/// are leaving. Then it is told where we stopped reading, and what it sent behind
/// that it may send again.
const FAREWELL: Duration = Duration::from_secs(1);

/// What every client sends first (RFC 9113 section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The limits of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Requests at once.
    pub streams: u32,
    /// The longest head the engine takes; a longer one reaches it all the same,
    /// up to about twice the size, so that the engine can answer and log it.
    pub head_size: usize,
    /// From the start to the end of the preface and the first frame.
    pub handshake: Duration,
    /// How long a connection may be open without a request.
    pub idle: Duration,
    /// How long the client may take nothing of what is to be sent.
    pub send: Duration,
}

impl Limits {
    /// How long a header list may be, as h2 counts it: above what the engine
    /// takes, or h2 would answer in its place, unseen.
    fn header_list(&self) -> usize {
        self.head_size.saturating_mul(2).max(16 * 1024)
    }
}

/// Whether a connection begins with the preface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preface {
    /// It may: read more.
    Partial,
    /// It does.
    Yes,
    /// It does not.
    No,
}

/// Tells HTTP/2 with prior knowledge from HTTP/1 by a connection's first bytes.
#[must_use]
pub fn is_preface(prefix: &[u8]) -> Preface {
    let length = prefix.len().min(PREFACE.len());
    if prefix.get(..length) != PREFACE.get(..length) {
        Preface::No
    } else if length < PREFACE.len() {
        Preface::Partial
    } else {
        Preface::Yes
    }
}

/// Why a connection did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// No preface, or nothing behind it.
    #[error("HTTP/2 handshake timed out")]
    Handshake,
    /// Frames without work.
    #[error("flood of HTTP/2 control frames")]
    Flood,
    /// The client stopped reading.
    #[error("HTTP/2 client takes nothing")]
    Stalled,
    /// The client broke the protocol, or the socket failed.
    #[error("HTTP/2 connection failed")]
    Protocol(#[source] h2::Error),
}

/// Serves a connection to its end. `read` was read of it already.
///
/// Each request is given to `on_stream`, which starts a task for it; a stream
/// makes progress only while this future is polled. When `stopping` is ready, the
/// client is told to go elsewhere with its next request (GOAWAY), and the
/// connection ends with its last stream; without one, within about two seconds.
/// Dropping the future cuts all of them.
///
/// # Errors
///
/// [`ConnectionError`], for the log; there is nobody to answer.
pub async fn serve<IO>(
    io: IO,
    read: Vec<u8>,
    limits: &Limits,
    mut stopping: impl FnMut(&mut Context<'_>) -> Poll<()>,
    mut on_stream: impl FnMut(Stream),
) -> Result<(), ConnectionError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let ledger = Rc::new(Ledger::default());
    let begun = Instant::now();
    let wire = Wire::new(io, read, limits.header_list(), Rc::clone(&ledger));
    let handshake = time::timeout(limits.handshake, builder(limits).handshake(wire));
    let connection = match unless_stopped(handshake, &mut stopping).await {
        None => return Ok(()),
        Some(Err(_)) => return Err(ConnectionError::Handshake),
        Some(Ok(shaken)) => shaken.map_err(ConnectionError::Protocol)?,
    };
    let mut connection = Connection {
        frames: connection,
        limits,
        ledger,
        begun,
        state: State::Open,
        has_opened: false,
        quiet_since: None,
    };
    let mut tick = pin!(time::sleep(connection.period()));
    poll_fn(|cx| {
        if connection.state == State::Open && stopping(cx).is_ready() {
            connection.leave();
            tick.set(time::sleep(connection.period()));
        }
        loop {
            if let Poll::Ready(end) = connection.poll(cx, &mut on_stream) {
                return Poll::Ready(end);
            }
            ready!(tick.as_mut().poll(cx));
            if let Some(end) = connection.tick() {
                return Poll::Ready(end);
            }
            tick.set(time::sleep(connection.period()));
        }
    })
    .await
}

/// Waits for the handshake; `None` if it is not complete soon after we stop. Who has
/// just come may have a request on its way.
async fn unless_stopped<T>(
    handshake: impl Future<Output = T>,
    stopping: &mut impl FnMut(&mut Context<'_>) -> Poll<()>,
) -> Option<T> {
    let mut handshake = pin!(handshake);
    let mut end = pin!(None);
    poll_fn(|cx| {
        if let Poll::Ready(shaken) = handshake.as_mut().poll(cx) {
            return Poll::Ready(Some(shaken));
        }
        if end.is_none() {
            ready!(stopping(cx));
            end.set(Some(time::sleep(FAREWELL)));
        }
        match end.as_mut().as_pin_mut() {
            Some(end) => end.poll(cx).map(|()| None),
            None => Poll::Pending,
        }
    })
    .await
}

fn builder(limits: &Limits) -> server::Builder {
    let mut builder = server::Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(limits.header_list()).unwrap_or(u32::MAX))
        .max_send_buffer_size(MOST_UNSENT);
    builder
}

/// Whether new requests are welcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// GOAWAY was sent, and the client may have more requests on their way.
    Leaving,
    /// It has not said that it knows: nothing more is read.
    Late,
    /// It sends frames without work: nothing more is read.
    Flooded,
}

struct Connection<'l, IO> {
    frames: server::Connection<Wire<IO>, bytes::Bytes>,
    limits: &'l Limits,
    ledger: Rc<Ledger>,
    begun: Instant,
    state: State,
    /// Whether a request came since the last tick.
    has_opened: bool,
    quiet_since: Option<Instant>,
}

impl<IO> Connection<'_, IO>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    /// How often a look is taken at what is late: a timer for each limit and
    /// request would cost more than being a little late.
    fn period(&self) -> Duration {
        if self.state != State::Open {
            return FAREWELL.div_f32(4.0);
        }
        let Limits {
            handshake,
            idle,
            send,
            ..
        } = *self.limits;
        let shortest = handshake.min(idle).min(send);
        shortest.div_f32(4.0).max(Duration::from_millis(10))
    }

    /// Tells the client to send its next request elsewhere.
    fn leave(&mut self) {
        self.state = State::Leaving;
        self.quiet_since = None;
        self.frames.graceful_shutdown();
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        on_stream: &mut impl FnMut(Stream),
    ) -> Poll<Result<(), ConnectionError>> {
        loop {
            let accepted = pin!(self.frames.accept()).poll(cx);
            match accepted {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    self.has_opened = true;
                    let path = self.ledger.take_path(respond.stream_id().as_u32());
                    on_stream(Stream::new(request, path.as_deref(), respond));
                }
                Poll::Ready(_) if self.state == State::Flooded => {
                    return Poll::Ready(Err(ConnectionError::Flood));
                }
                Poll::Ready(_) if self.state == State::Late => return Poll::Ready(Ok(())),
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Err(ConnectionError::Protocol(error)));
                }
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending if self.ledger.is_flood() && self.state != State::Flooded => {
                    self.state = State::Flooded;
                    self.quiet_since = None;
                    self.frames.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Looks for what is late.
    fn tick(&mut self) -> Option<Result<(), ConnectionError>> {
        let now = Instant::now();
        let since = |then: Instant| now.saturating_duration_since(then);
        if !self.ledger.has_begun() && since(self.begun) >= self.limits.handshake {
            return Some(Err(ConnectionError::Handshake));
        }
        if (self.ledger.stalled_since()).is_some_and(|then| since(then) >= self.limits.send) {
            return Some(Err(ConnectionError::Stalled));
        }
        if std::mem::take(&mut self.has_opened) || self.frames.has_streams() {
            self.quiet_since = None;
            return None;
        }
        let quiet = since(*self.quiet_since.get_or_insert(now));
        match self.state {
            State::Open if quiet >= self.limits.idle => {
                self.leave();
                None
            }
            State::Leaving if quiet >= FAREWELL => {
                self.state = State::Late;
                self.quiet_since = None;
                self.frames.abrupt_shutdown(Reason::NO_ERROR);
                None
            }
            // Nor does it take the farewell.
            State::Late | State::Flooded if quiet >= FAREWELL => Some(Ok(())),
            State::Open | State::Leaving | State::Late | State::Flooded => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_preface() {
        for (name, prefix, expected) in [
            ("nothing yet", &b""[..], Preface::Partial),
            ("a POST or a preface", b"P", Preface::Partial),
            ("a POST", b"PO", Preface::No),
            ("half", b"PRI * HTTP/2.0\r\n\r\n", Preface::Partial),
            ("whole", PREFACE, Preface::Yes),
            ("a request of its kind", b"PRI * HTTP/1.1\r\n", Preface::No),
            (
                "with a frame",
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0",
                Preface::Yes,
            ),
        ] {
            assert_eq!(is_preface(prefix), expected, "case: {name}");
        }
    }
}
