//! One stream, as the engine sees it: a connection that carries one request.
//!
//! Reading gives the request, then waits; the stream's reset is the connection's,
//! and its end comes only behind the answer. Writing takes one answer. A stream
//! that is dropped before the end of its answer is reset, so that no client takes
//! half an answer for a whole one.
//!
//! Shutting down ends the answer alone: what still comes of the request can be read.
//! A client that is told to stop right behind an early answer is told so lawfully
//! (RFC 9113 section 8.1), but curl then drops the answer, too. Who does not stop by
//! itself is told when the stream is dropped: h2 resets one that nobody holds with
//! `NO_ERROR`, if its answer is whole.

use std::{
    fmt,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use h2::{Reason, RecvStream, server::SendResponse};
use http::{Method, Request};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{incoming::Incoming, outgoing::Outgoing, request, sending::Message as _};

/// What most heads fit in.
const USUAL_HEAD: usize = 768;

/// One request and its answer.
pub struct Stream {
    incoming: Incoming,
    outgoing: Outgoing,
    /// Whether the engine has seen anything of the request.
    is_read: bool,
}

impl Stream {
    /// `path` is the path, if h2 got a copy.
    pub(super) fn new(
        request: Request<RecvStream>,
        path: Option<&[u8]>,
        respond: SendResponse<Bytes>,
    ) -> Self {
        let mut head = Vec::with_capacity(USUAL_HEAD);
        let is_ended = request.body().is_end_stream();
        let framing = request::push_head(&mut head, &request, path, is_ended);
        let to_head = *request.method() == Method::HEAD;
        Self {
            incoming: Incoming::new(head, framing, request.into_body()),
            outgoing: Outgoing::new(respond, to_head),
            is_read: false,
        }
    }

    /// Whether the client has reset it, or its connection is gone.
    #[must_use]
    pub fn is_reset(&mut self, cx: &mut Context<'_>) -> bool {
        self.outgoing.poll_reset(cx).is_ready()
    }
}

/// What the engine is told when the stream or its connection is gone.
pub(super) fn gone(error: h2::Error) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, error)
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        stream.is_read = true;
        if !stream.incoming.is_ended() {
            let before = buf.filled().len();
            let polled = stream.incoming.poll_read(cx, buf);
            if polled.is_pending() || buf.filled().len() > before || buf.remaining() == 0 {
                return polled;
            }
            // It ended without another byte.
        }
        if stream.outgoing.is_ended() {
            return Poll::Ready(Ok(()));
        }
        stream.outgoing.poll_reset(cx).map(Err)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The connection writes when it is polled.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().outgoing.shutdown();
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().outgoing.poll_take(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // A request that nobody has seen may be sent again.
        self.outgoing.reset(if self.is_read {
            Reason::INTERNAL_ERROR
        } else {
            Reason::REFUSED_STREAM
        });
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("is_answered", &self.outgoing.is_ended())
            .finish_non_exhaustive()
    }
}
