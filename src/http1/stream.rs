//! One socket of either family, and writing to it whole.

use std::{
    cell::RefCell,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
    time,
};

/// A connected stream socket.
#[derive(Debug)]
pub enum Stream {
    /// TCP, with Nagle's algorithm off.
    Tcp(TcpStream),
    /// A unix socket.
    Unix(UnixStream),
}

/// A stream whose two directions are driven by two futures of one task. A
/// borrow lasts for one poll.
pub type Shared = RefCell<Stream>;

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Sockets have no buffer of their own in this process.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

/// Writes all of `parts`, in one system call if the socket takes it. The socket
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
            Pin::new(&mut *stream.borrow_mut()).poll_write_vectored(cx, &rest)
        });
        match time::timeout(patience, write).await?? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            count => written = written.saturating_add(count),
        }
    }
    Ok(())
}

/// Says that nothing more will be written.
pub async fn shutdown(stream: &Shared) {
    // A peer that is gone already needs no farewell.
    let _ = std::future::poll_fn(|cx| Pin::new(&mut *stream.borrow_mut()).poll_shutdown(cx)).await;
}
