//! HTTP/2 behind the HTTP/1.1 engine: one connection to an upstream carries many
//! requests, each shown to the engine as a connection of its own ([`Stream`]).
//!
//! # Clients that leave
//!
//! A long poll whose client leaves is cancelled, and its answer may still be on
//! the way. h2 forgets the stream after a while and then takes the answer for a
//! fault, of which it forgives 1024 in a connection's life. Here they never end it:
//! the others on it have done nothing wrong, and the upstream is one that the
//! operator chose.
//!
//! # Clients that read slowly
//!
//! What an upstream sent and the client has not taken counts against the window
//! of the whole connection. That has room for the windows of all streams, so
//! nobody can hold up another.
//!
//! # Upstreams that vanish
//!
//! A connection that nobody answers on any more would swallow one request after
//! another. So the peer is asked for a sign of life while it has requests.

mod head;
mod stream;

use std::{
    cell::{Cell, RefCell},
    fmt,
    future::poll_fn,
    io,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use h2::{
    Ping, RecvStream,
    client::{self, SendRequest},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time,
};

pub use self::{
    head::{Head, Split, Unfit, parse, push_interim, push_response},
    stream::{Stream, is_unprocessed},
};
use super::MOST_UNSENT;
use crate::{clock, http1};

/// What an upstream may send of one response before the client takes it: at 1 ms
/// to the upstream, 1 Gbit/s.
pub const STREAM_WINDOW: u32 = 128 * 1024;

/// Requests at once on one connection, if the upstream allows so many.
pub const MOST_STREAMS: u32 = 100;

/// The same for all responses of a connection: nobody waits for another.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW.saturating_mul(MOST_STREAMS);

/// The peer is asked for a sign of life so often, and has as long to give it.
pub const PING_PERIOD: Duration = Duration::from_secs(20);

/// Whether HTTP/2 carries the request with this head as it is.
#[must_use]
pub fn fits(head: &[u8]) -> bool {
    parse(head).is_ok()
}

/// Whether a connection takes one more request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// It does.
    Free,
    /// Not now.
    Full,
    /// Never again.
    Gone,
}

/// A connection, for those who open streams on it. Its task goes on until the
/// last of them and the last stream are dropped.
pub struct Connection {
    send: SendRequest<Bytes>,
    state: Rc<State>,
}

/// What a connection's streams, its task and its owner know of it.
#[derive(Debug)]
struct State {
    open: Cell<usize>,
    /// When the last stream ended.
    quiet_since: Cell<std::time::Instant>,
    /// Whether it takes no more streams.
    is_retired: Cell<bool>,
    /// Responses that were read, but for the frame that ends them. To drop them
    /// would be to cancel them.
    endings: RefCell<Vec<RecvStream>>,
}

impl State {
    fn begin(&self) {
        self.open.set(self.open.get().saturating_add(1));
    }

    fn end(&self) {
        self.open.set(self.open.get().saturating_sub(1));
        self.quiet_since.set(clock::now());
    }

    fn retire(&self) {
        self.is_retired.set(true);
    }

    fn leave(&self, body: RecvStream) {
        self.endings.borrow_mut().push(body);
    }

    /// Lets go of responses that have ended.
    fn sweep(&self, cx: &mut Context<'_>) {
        let mut endings = self.endings.borrow_mut();
        // Data is more than was announced: that is a reason to cancel.
        endings.retain_mut(|body| match body.poll_data(cx) {
            Poll::Pending => true,
            Poll::Ready(Some(Ok(data))) => data.is_empty(),
            Poll::Ready(_) => false,
        });
    }
}

/// Begins HTTP/2 on a connection and waits for the upstream's settings. To be
/// called in a `LocalSet`, where the connection's task will be.
///
/// # Errors
///
/// The socket's, or the protocol's.
pub async fn connect<IO>(io: IO) -> io::Result<Connection>
where
    IO: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let (send, mut connection) = builder().handshake(io).await.map_err(io::Error::other)?;
    // How many streams there may be is in the settings. Before, it is none.
    poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
        Poll::Ready(Err(error)) => Poll::Ready(Err(io::Error::other(error))),
        Poll::Ready(Ok(())) => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
        Poll::Pending if connection.max_concurrent_send_streams() > 0 => Poll::Ready(Ok(())),
        Poll::Pending => Poll::Pending,
    })
    .await?;
    let state = Rc::new(State {
        open: Cell::default(),
        quiet_since: Cell::new(clock::now()),
        is_retired: Cell::default(),
        endings: RefCell::default(),
    });
    tokio::task::spawn_local(run(connection, Rc::clone(&state)));
    Ok(Connection { send, state })
}

fn builder() -> client::Builder {
    let mut builder = client::Builder::new();
    // Fields are counted larger than they are; what is longer all the same is
    // refused by the engine.
    let list = http1::head::LONGEST.saturating_mul(2);
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_max_send_streams(0)
        .max_header_list_size(u32::try_from(list).unwrap_or(u32::MAX))
        .max_send_buffer_size(MOST_UNSENT)
        .max_local_error_reset_streams(None)
        .enable_push(false);
    builder
}

/// Reads and writes for all streams, to the connection's end.
async fn run<IO>(mut connection: client::Connection<IO, Bytes>, state: Rc<State>)
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let mut pings = connection.ping_pong();
    let mut is_asked = false;
    let mut tick = pin!(time::sleep(PING_PERIOD));
    let end = poll_fn(|cx| {
        loop {
            if let Poll::Ready(end) = Pin::new(&mut connection).poll(cx) {
                return Poll::Ready(end.map_err(io::Error::other));
            }
            state.sweep(cx);
            if let Some(pings) = &mut pings
                && is_asked
                && pings.poll_pong(cx).is_ready()
            {
                is_asked = false;
            }
            ready!(tick.as_mut().poll(cx));
            if is_asked {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            // An end that did not come by now is none.
            state.endings.take();
            if let Some(pings) = &mut pings
                && state.open.get() > 0
            {
                is_asked = pings.send_ping(Ping::opaque()).is_ok();
            }
            tick.set(time::sleep(PING_PERIOD));
        }
    })
    .await;
    state.retire();
    if let Err(error) = end {
        tracing::debug!(%error, "HTTP/2 connection to upstream ended");
    }
}

impl Connection {
    /// Whether it takes one more request.
    pub fn room(&mut self) -> Room {
        let mut context = Context::from_waker(Waker::noop());
        // Ready in any case: an error is the peer's farewell.
        if self.state.is_retired.get()
            || !matches!(self.send.poll_ready(&mut context), Poll::Ready(Ok(())))
        {
            return Room::Gone;
        }
        let most = self
            .send
            .current_max_send_streams()
            .min(usize::try_from(MOST_STREAMS).unwrap_or(usize::MAX));
        if self.state.open.get() < most {
            Room::Free
        } else {
            Room::Full
        }
    }

    /// A stream for one request.
    #[must_use]
    pub fn open(&self) -> Stream {
        Stream::new(self.send.clone(), &self.state)
    }

    /// Since when it has no stream; `None` while it has one.
    #[must_use]
    pub fn quiet_since(&self) -> Option<std::time::Instant> {
        (self.state.open.get() == 0).then(|| self.state.quiet_since.get())
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
