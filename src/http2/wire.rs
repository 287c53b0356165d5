//! The socket under a connection: bytes that were read before, a look at the
//! frames that arrive, and how long the client has taken nothing.

use std::{
    cell::Cell,
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::frames::{Frames, Tally};

/// What is known of a connection's frames; read beside the connection, since h2
/// owns the socket.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    tally: Cell<Tally>,
    stalled: Cell<Option<Instant>>,
}

impl Ledger {
    /// Whether a frame came.
    pub(super) fn has_begun(&self) -> bool {
        self.tally.get().has_begun()
    }

    /// Whether too many came for nothing.
    pub(super) fn is_flood(&self) -> bool {
        self.tally.get().is_flood()
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

/// A socket that h2 reads and writes.
pub(super) struct Wire<IO> {
    io: IO,
    /// What was read before; empty when it was replayed.
    before: Vec<u8>,
    replayed: usize,
    frames: Frames,
    ledger: Rc<Ledger>,
}

impl<IO> Wire<IO> {
    pub(super) fn new(io: IO, before: Vec<u8>, ledger: Rc<Ledger>) -> Self {
        Self {
            io,
            before,
            replayed: 0,
            frames: Frames::default(),
            ledger,
        }
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

impl<IO: AsyncRead + Unpin> AsyncRead for Wire<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        let mut tally = wire.ledger.tally.get();
        if tally.is_flood() {
            // Whoever polls the connection looks at the ledger next.
            return Poll::Pending;
        }
        let begin = buf.filled().len();
        if !wire.replay(buf) {
            std::task::ready!(Pin::new(&mut wire.io).poll_read(cx, buf))?;
        }
        let arrived = buf.filled().get(begin..).unwrap_or_default();
        wire.frames.read(arrived, |frame| tally.received(frame));
        wire.ledger.tally.set(tally);
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Wire<IO> {
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
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
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
