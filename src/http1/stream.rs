//! One connected stream of any kind, and writing to it whole.
//!
//! What is behind the door does not have to know whether bytes go through TLS,
//! or through one stream of an HTTP/2 connection.

use std::{
    cell::RefCell,
    io::{self, IoSlice},
    os::fd::{AsFd as _, BorrowedFd},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use rustix::net;
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::{TcpStream, UnixStream},
};

use crate::{clock, http2, tls};

/// A connected socket of either family.
#[derive(Debug)]
pub enum Socket {
    /// TCP, with Nagle's algorithm off.
    Tcp(TcpStream),
    /// A unix socket.
    Unix(UnixStream),
}

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

/// Does the same with whichever stream it is.
macro_rules! delegate {
    ($self:ident, $kind:ident { $($variant:ident),+ }, |$stream:ident| $call:expr) => {
        match $self.get_mut() {
            $($kind::$variant(stream) => {
                let $stream = Pin::new(stream);
                $call
            })+
        }
    };
}

impl Socket {
    /// Waits until it is ready, to be read or to be written, and does `io` with it.
    pub(super) fn poll_io<T>(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
        mut io: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            ready!(self.poll_ready(cx, interest))?;
            let done = self.try_io(interest, &mut io);
            if !matches!(&done, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
                return Poll::Ready(done);
            }
        }
    }

    /// As [`poll_io`](Self::poll_io), where `io` moves up to `most` bytes. If it moves
    /// fewer, the kernel has no more (or no more room): the socket counts as not
    /// ready from then on, without a system call that would only say so.
    fn poll_move(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
        most: usize,
        mut io: impl FnMut(BorrowedFd<'_>) -> rustix::io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_ready(cx, interest))?;
            let mut last = None;
            let done = self.try_io(interest, |socket| {
                let count = io(socket)?;
                if 0 < count && count < most {
                    last = Some(count);
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                Ok(count)
            });
            match (last, done) {
                (Some(count), _) => return Poll::Ready(Ok(count)),
                (None, Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
                (None, done) => return Poll::Ready(done),
            }
        }
    }

    fn poll_ready(&self, cx: &mut Context<'_>, interest: Interest) -> Poll<io::Result<()>> {
        match (self, interest.is_readable()) {
            (Self::Tcp(stream), true) => stream.poll_read_ready(cx),
            (Self::Tcp(stream), false) => stream.poll_write_ready(cx),
            (Self::Unix(stream), true) => stream.poll_read_ready(cx),
            (Self::Unix(stream), false) => stream.poll_write_ready(cx),
        }
    }

    fn try_io<T>(
        &self,
        interest: Interest,
        io: impl FnOnce(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        match self {
            Self::Tcp(stream) => stream.try_io(interest, || io(stream.as_fd())),
            Self::Unix(stream) => stream.try_io(interest, || io(stream.as_fd())),
        }
    }
}

// Reads and writes are system calls of our own, not the C library's: in a process
// with threads, those begin and end with an atomic instruction, for a thread that
// might be cancelled.

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = buf.initialize_unfilled();
        let count = ready!(
            self.poll_move(cx, Interest::READABLE, room.len(), |socket| {
                net::recv(socket, &mut *room, net::RecvFlags::empty()).map(|(count, _)| count)
            })
        )?;
        buf.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_move(cx, Interest::WRITABLE, buf.len(), |socket| {
            net::send(socket, buf, net::SendFlags::NOSIGNAL)
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Sockets have no buffer of their own in this process.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, Self { Tcp, Unix }, |stream| stream.poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let most = bufs
            .iter()
            .fold(0_usize, |most, part| most.saturating_add(part.len()));
        self.poll_move(cx, Interest::WRITABLE, most, |socket| {
            rustix::io::writev(socket, bufs)
        })
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        delegate!(
            self,
            Self {
                Plain,
                Tls,
                Http2,
                Http2Upstream
            },
            |stream| stream.poll_read(cx, buf)
        )
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        delegate!(
            self,
            Self {
                Plain,
                Tls,
                Http2,
                Http2Upstream
            },
            |stream| stream.poll_write(cx, buf)
        )
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(
            self,
            Self {
                Plain,
                Tls,
                Http2,
                Http2Upstream
            },
            |stream| stream.poll_flush(cx)
        )
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(
            self,
            Self {
                Plain,
                Tls,
                Http2,
                Http2Upstream
            },
            |stream| stream.poll_shutdown(cx)
        )
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        delegate!(
            self,
            Self {
                Plain,
                Tls,
                Http2,
                Http2Upstream
            },
            |stream| stream.poll_write_vectored(cx, bufs)
        )
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
