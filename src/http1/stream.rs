//! One connected stream of any kind, and writing to it whole.
//!
//! What is behind the door does not have to know whether bytes go through TLS,
//! or through one stream of an HTTP/2 connection.

use std::{
    cell::RefCell,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

use super::socket::Socket;
use crate::{clock, http2, tls};

/// What a request comes in by, or goes out by.
#[derive(Debug)]
pub enum Stream {
    /// The socket itself.
    Plain(Socket),
    /// TLS, with us at either end.
    Tls(Box<tls::Stream<Socket>>),
    /// One stream of a client's HTTP/2 connection.
    Http2(Box<http2::Stream>),
    /// One stream of an HTTP/2 connection to an upstream.
    Http2Upstream(Box<http2::client::Stream>),
}

impl Stream {
    /// Whether a read might bring something; says so too if nobody can tell.
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => socket.poll_ready(cx, Interest::READABLE),
            Self::Tls(_) | Self::Http2(_) | Self::Http2Upstream(_) => Poll::Ready(Ok(())),
        }
    }

    /// Reads once into `room`, behind [`poll_readable`](Self::poll_readable).
    pub(super) fn poll_read_ready(
        &mut self,
        cx: &mut Context<'_>,
        room: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if let Self::Plain(socket) = self {
            return socket.poll_read_ready(cx, room);
        }
        let mut room = ReadBuf::new(room);
        ready!(Pin::new(self).poll_read(cx, &mut room))?;
        Poll::Ready(Ok(room.filled().len()))
    }

    /// Whether the peer has left, as far as that can be told without reading: behind
    /// what it sent before. Nobody is woken when it does: look again.
    pub fn is_left(&mut self, cx: &mut Context<'_>) -> bool {
        match self {
            Self::Plain(socket) => socket.is_left(cx),
            Self::Tls(stream) => stream.below().is_left(cx),
            Self::Http2(stream) => stream.is_reset(cx),
            Self::Http2Upstream(_) => false,
        }
    }

    /// Whether it ended without a word, where the protocol has one for that.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        match self {
            Self::Tls(stream) => stream.ending() == Some(tls::Ending::Cut),
            Self::Plain(_) | Self::Http2(_) | Self::Http2Upstream(_) => false,
        }
    }
}

/// A stream whose two directions are driven by two futures of one task. A
/// borrow lasts for one poll.
pub type Shared = RefCell<Stream>;

/// Does the same with whichever stream it is. A `match` and no `dyn`: the socket's
/// own functions stay inlined on the path of every request.
macro_rules! whichever {
    ($self:ident.$call:ident($($argument:ident),+)) => {
        match $self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).$call($($argument),+),
            Self::Tls(stream) => Pin::new(stream).$call($($argument),+),
            Self::Http2(stream) => Pin::new(stream).$call($($argument),+),
            Self::Http2Upstream(stream) => Pin::new(stream).$call($($argument),+),
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        whichever!(self.poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        whichever!(self.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        whichever!(self.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        whichever!(self.poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        whichever!(self.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

/// Writes all of `parts`, in one system call if the socket takes it. The peer
/// may take nothing for as long as `patience`, time and again.
///
/// # Errors
///
/// The socket's, `TimedOut`, or `WriteZero`.
pub async fn write_all(stream: &Shared, parts: [&[u8]; 3], patience: Duration) -> io::Result<()> {
    let total = parts
        .iter()
        .fold(0_usize, |total, part| total.saturating_add(part.len()));
    let mut written = 0_usize;
    while written < total {
        let mut skip = written;
        let rest = parts.map(|part| {
            let skipped = skip.min(part.len());
            skip = skip.saturating_sub(skipped);
            IoSlice::new(part.get(skipped..).unwrap_or_default())
        });
        let write = std::future::poll_fn(|cx| {
            let mut stream = stream.borrow_mut();
            match &rest {
                // Without a vector the kernel has less to do.
                [only, second, third] if second.is_empty() && third.is_empty() => {
                    Pin::new(&mut *stream).poll_write(cx, only)
                }
                rest => Pin::new(&mut *stream).poll_write_vectored(cx, rest),
            }
        });
        match clock::timeout(patience, write)
            .await
            .map_err(|_| io::ErrorKind::TimedOut)??
        {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            count => written = written.saturating_add(count),
        }
    }
    if !matches!(*stream.borrow(), Stream::Plain(_)) {
        // TLS and HTTP/2 may have taken more than their socket has.
        let flush = std::future::poll_fn(|cx| Pin::new(&mut *stream.borrow_mut()).poll_flush(cx));
        clock::timeout(patience, flush)
            .await
            .map_err(|_| io::ErrorKind::TimedOut)??;
    }
    Ok(())
}

/// Says that nothing more will be written.
pub async fn shutdown(stream: &Shared) {
    // A peer that is gone already needs no farewell.
    let _ = std::future::poll_fn(|cx| Pin::new(&mut *stream.borrow_mut()).poll_shutdown(cx)).await;
}
