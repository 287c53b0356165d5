//! An encrypted stream.
//!
//! # How it ends
//!
//! TLS has a farewell of its own, `close_notify`: it is authenticated, and the
//! FIN below it is not, so without a farewell somebody on the way may have cut
//! the stream. Many peers leave without one all the same. Reading gives the plain
//! end of stream either way, and [`Stream::ending`] tells which it was. The one
//! place that has to ask is a response whose body ends with the connection:
//! RFC 9112 §9.8 calls it complete only behind a farewell, so without one it is
//! treated as cut, and the client's copy is cut as well. Where a length or a last
//! chunk tells the end, and between messages, the two endings mean the same.
//!
//! # Writing
//!
//! The parts of one vectored write become one record and one system call. What
//! a full socket does not take stays here, up to 64 KiB, though the write said
//! that it was taken: whoever has written a message whole has to flush, or its end
//! stays. A flush of nothing costs no system call. Shutting down says farewell
//! first; reading goes on.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsStream;

/// A stream whose handshake is complete, of either side.
#[derive(Debug)]
pub struct Stream<S> {
    /// Boxed: it is twenty times the size of a socket, and most sockets are plain.
    inner: Box<TlsStream<S>>,
    ending: Option<Ending>,
}

/// How a peer's sending ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By its farewell: what was read is all there is.
    Declared,
    /// By the end of the connection below, which proves nothing.
    Cut,
}

impl<S> Stream<S> {
    pub(super) fn new(inner: TlsStream<S>) -> Self {
        Self {
            inner: Box::new(inner),
            ending: None,
        }
    }

    /// How the peer's sending ended; `None` while reading has not come to an end.
    #[must_use]
    pub fn ending(&self) -> Option<Ending> {
        self.ending
    }

    /// The stream below.
    #[must_use]
    pub fn below(&self) -> &S {
        self.inner.get_ref().0
    }

    /// What was agreed, for logs and figures.
    #[must_use]
    pub fn session(&self) -> &rustls::CommonState {
        self.inner.get_ref().1
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.remaining();
        let ending = match ready!(Pin::new(&mut *self.inner).poll_read(cx, buf)) {
            Ok(()) if before > 0 && buf.remaining() == before => Ending::Declared,
            Ok(()) => return Poll::Ready(Ok(())),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ending::Cut,
            Err(error) => return Poll::Ready(Err(error)),
        };
        // The first verdict stays.
        self.ending.get_or_insert(ending);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}
