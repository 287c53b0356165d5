//! The socket under a connection: bytes that were read before, a look at the
//! frames and heads that arrive, and how long the client has taken nothing.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{self, Instant, Sleep},
};

use super::{
    frames::Tally,
    heads::{Event, Heads},
};

/// How many bytes of paths wait for their requests, over which the oldest are
/// forgotten and their requests refused. Only requests that h2 refuses, and does
/// not show, let so many come together.
const MOST_WAITING: usize = 1024 * 1024;

/// What a path costs beside its bytes.
const WAITING_EACH: usize = 64;

/// What is known of a connection's frames; read beside the connection, since h2
/// owns the socket. It cannot print: it holds paths.
#[derive(Default)]
pub(super) struct Ledger {
    tally: Cell<Tally>,
    is_hostile: Cell<bool>,
    waiting: RefCell<Waiting>,
    stalled: Cell<Option<Instant>>,
}

impl Ledger {
    /// Whether a frame came.
    pub(super) fn has_begun(&self) -> bool {
        self.tally.get().has_begun()
    }

    /// Whether too many came for nothing.
    pub(super) fn is_flood(&self) -> bool {
        self.is_hostile.get() || self.tally.get().is_flood()
    }

    /// The path of a stream of which h2 got a copy. Streams are asked for in their
    /// order.
    pub(super) fn take_path(&self, stream: u32) -> Option<Vec<u8>> {
        self.waiting.borrow_mut().take(stream)
    }

    fn hear(&self, event: Event) {
        match event {
            Event::Frame(frame) => {
                let mut tally = self.tally.get();
                tally.received(frame);
                self.tally.set(tally);
            }
            Event::Path(stream, path) => self.waiting.borrow_mut().push(stream, path),
            Event::Hostile => self.is_hostile.set(true),
        }
    }

    /// Since when the client takes nothing, although there is something.
    pub(super) fn stalled_since(&self) -> Option<Instant> {
        self.stalled.get()
    }

    fn wrote(&self, polled: &Poll<io::Result<usize>>) {
        match polled {
            Poll::Ready(Ok(count)) => {
                let mut tally = self.tally.get();
                tally.sent(*count);
                self.tally.set(tally);
                self.stalled.set(None);
            }
            Poll::Pending if self.stalled.get().is_none() => {
                self.stalled.set(Some(Instant::now()));
            }
            Poll::Pending | Poll::Ready(Err(_)) => {}
        }
    }
}

/// Paths of which h2 got copies, by their streams, which only grow.
#[derive(Default)]
struct Waiting {
    paths: VecDeque<(u32, Vec<u8>)>,
    size: usize,
}

impl Waiting {
    fn push(&mut self, stream: u32, path: Vec<u8>) {
        self.size = self.size.saturating_add(cost(&path));
        self.paths.push_back((stream, path));
        while self.size > MOST_WAITING && self.pop(u32::MAX).is_some() {}
    }

    fn take(&mut self, stream: u32) -> Option<Vec<u8>> {
        loop {
            let (number, path) = self.pop(stream)?;
            if number == stream {
                return Some(path);
            }
        }
    }

    /// The oldest, if its stream is not newer than this one.
    fn pop(&mut self, newest: u32) -> Option<(u32, Vec<u8>)> {
        self.paths.front().filter(|oldest| oldest.0 <= newest)?;
        let oldest = self.paths.pop_front()?;
        self.size = self.size.saturating_sub(cost(&oldest.1));
        Some(oldest)
    }
}

fn cost(path: &[u8]) -> usize {
    path.len().saturating_add(WAITING_EACH)
}

/// A socket that h2 reads and writes.
pub(super) struct Wire<IO> {
    io: IO,
    /// What was read before; empty when it was replayed.
    before: Vec<u8>,
    replayed: usize,
    heads: Heads,
    ledger: Rc<Ledger>,
    /// Runs since we said our last word; and how much came since.
    lingering: Option<Pin<Box<Sleep>>>,
    dropped: usize,
}

/// How long a client may go on sending behind our last word. To close on what is not
/// read is a reset, which can overtake that word.
const LINGER: Duration = Duration::from_millis(500);

/// How much of it is read: some requests that crossed our last word, and no flood.
const MOST_DROPPED: usize = 64 * 1024;

impl<IO> Wire<IO> {
    /// `list` is how long a header list may be.
    pub(super) fn new(io: IO, before: Vec<u8>, list: usize, ledger: Rc<Ledger>) -> Self {
        Self {
            io,
            before,
            replayed: 0,
            heads: Heads::new(list),
            ledger,
            lingering: None,
            dropped: 0,
        }
    }

    /// Copies of what is ready as much as there is room for; `false` if nothing is.
    fn give(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let ready = self.heads.ready();
        let count = ready.len().min(buf.remaining());
        buf.put_slice(ready.get(..count).unwrap_or_default());
        self.heads.gave(count);
        count > 0
    }

    /// Copies of `before` what there is room for; `false` if nothing is left.
    fn replay(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let rest = self.before.get(self.replayed..).unwrap_or_default();
        let count = rest.len().min(buf.remaining());
        buf.put_slice(rest.get(..count).unwrap_or_default());
        self.replayed = self.replayed.saturating_add(count);
        if self.replayed >= self.before.len() {
            self.before = Vec::new();
            self.replayed = 0;
        }
        count > 0
    }
}

impl<IO: AsyncRead + Unpin> Wire<IO> {
    /// Drops what still comes, until the client closes, or it is too long or too much.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let end = self
            .lingering
            .get_or_insert_with(|| Box::pin(time::sleep(LINGER)));
        let mut room = [0; 1024];
        while self.dropped < MOST_DROPPED && end.as_mut().poll(cx).is_pending() {
            let mut room = ReadBuf::new(&mut room);
            let read = ready!(Pin::new(&mut self.io).poll_read(cx, &mut room));
            if read.is_err() || room.filled().is_empty() {
                break;
            }
            self.dropped = self.dropped.saturating_add(room.filled().len());
        }
        Poll::Ready(())
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Wire<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        loop {
            if wire.give(buf) || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            if wire.ledger.is_flood() {
                // Whoever polls the connection looks at the ledger next.
                return Poll::Pending;
            }
            let begin = buf.filled().len();
            if !wire.replay(buf) {
                ready!(Pin::new(&mut wire.io).poll_read(cx, buf))?;
            }
            let arrived = buf.filled().get(begin..).unwrap_or_default();
            if arrived.is_empty() {
                wire.heads.end();
                wire.give(buf);
                return Poll::Ready(Ok(()));
            }
            let passed = wire.heads.read(arrived, |event| wire.ledger.hear(event));
            buf.set_filled(begin.saturating_add(passed));
            if passed > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<IO> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        let polled = Pin::new(&mut wire.io).poll_write(cx, buf);
        wire.ledger.wrote(&polled);
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if wire.lingering.is_none() {
            ready!(Pin::new(&mut wire.io).poll_shutdown(cx))?;
        }
        wire.poll_linger(cx).map(Ok)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        let polled = Pin::new(&mut wire.io).poll_write_vectored(cx, bufs);
        wire.ledger.wrote(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
