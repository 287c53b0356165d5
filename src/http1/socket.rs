//! A plain socket, read and written with system calls of our own.
//!
//! The C library's begin and end with an atomic instruction in a process with
//! threads, for a thread that might be cancelled.

use std::{
    io::{self, IoSlice},
    os::fd::{AsFd as _, BorrowedFd},
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use rustix::net;
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::{TcpStream, UnixStream},
};

/// A connected socket of either family.
#[derive(Debug)]
pub enum Socket {
    /// TCP, with Nagle's algorithm off.
    Tcp(TcpStream),
    /// A unix socket.
    Unix(UnixStream),
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

    /// Moves up to `most` bytes, at once if the socket is known to be ready, else when it is.
    /// If `io` moves fewer, the kernel has no more (or no more room): the socket counts as
    /// not ready from then on, without a system call that would only say so.
    fn poll_move(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
        most: usize,
        mut io: impl FnMut(BorrowedFd<'_>) -> rustix::io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
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
            ready!(self.poll_ready(cx, interest))?;
        }
    }

    /// Reads once. That it may be read was asked just before: it is not asked again.
    pub(super) fn poll_read_ready(
        &self,
        cx: &mut Context<'_>,
        room: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_move(cx, Interest::READABLE, room.len(), |socket| {
            net::recv(socket, &mut *room, net::RecvFlags::empty()).map(|(count, _)| count)
        })
    }

    pub(super) fn poll_ready(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
    ) -> Poll<io::Result<()>> {
        match (self, interest.is_readable()) {
            (Self::Tcp(stream), true) => stream.poll_read_ready(cx),
            (Self::Tcp(stream), false) => stream.poll_write_ready(cx),
            (Self::Unix(stream), true) => stream.poll_read_ready(cx),
            (Self::Unix(stream), false) => stream.poll_write_ready(cx),
        }
    }

    /// Whether the peer has closed it or reset it, whatever is still to be read.
    pub(super) fn is_left(&self, cx: &mut Context<'_>) -> bool {
        // To be readable is no news here, and `PRIORITY` is the interest that the end
        // of reading belongs to besides.
        let interest = Interest::PRIORITY.add(Interest::ERROR);
        let ready = match self {
            Self::Tcp(stream) => pin!(stream.ready(interest)).poll(cx),
            Self::Unix(stream) => pin!(stream.ready(interest)).poll(cx),
        };
        match ready {
            Poll::Ready(Ok(ready)) => ready.is_read_closed() || ready.is_error(),
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
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

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // To ask is what makes one task give way to the others (tokio's `coop`).
        ready!(self.poll_ready(cx, Interest::READABLE))?;
        let count = ready!(self.poll_read_ready(cx, buf.initialize_unfilled()))?;
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
