//! One request to an upstream, as the engine sees it: a connection of HTTP/1.1
//! that serves one request.
//!
//! Writing takes the request, reading gives the answer. A stream that is dropped
//! before both are through is cancelled, so that the upstream can stop working.

use std::{
    error::Error,
    fmt,
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use h2::{
    Reason,
    client::{ResponseFuture, SendRequest},
};
use http::{Method, header};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{State, head};
use crate::http2::{
    answer::{BadAnswer, Body},
    incoming::{Incoming, Text},
    request::Framing,
    sending::{Message, Rest, Sender, take_head},
    stream::gone,
};

/// One request and its answer.
pub struct Stream {
    sending: Sending,
    receiving: Receiving,
    /// Heads of the answer that are to be read.
    text: Text,
    /// Who waits for an answer although nothing was asked.
    waiting: Option<Waker>,
    connection: Rc<State>,
}

enum Sending {
    /// The head is to come; with the begin of one.
    Head(SendRequest<Bytes>, Vec<u8>),
    Body(Sender),
    Failed,
}

enum Receiving {
    Nothing,
    Head {
        response: ResponseFuture,
        to_head: bool,
        /// Whether an interim response came.
        has_begun: bool,
    },
    /// With what is left of a body whose length is known.
    Body(Incoming, Option<u64>),
    Ended,
}

/// The upstream has certainly not begun with the request: sending it once more is
/// sending it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("upstream did not take up the request")]
struct Unprocessed;

impl From<Unprocessed> for io::Error {
    fn from(error: Unprocessed) -> Self {
        Self::new(io::ErrorKind::ConnectionAborted, error)
    }
}

/// Whether reading failed because the upstream has certainly not begun with the
/// request.
#[must_use]
pub fn is_unprocessed(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(<dyn Error + Send + Sync>::is::<Unprocessed>)
}

impl Stream {
    pub(super) fn new(send: SendRequest<Bytes>, connection: &Rc<State>) -> Self {
        connection.begin();
        Self {
            sending: Sending::Head(send, Vec::new()),
            receiving: Receiving::Nothing,
            text: Text::default(),
            waiting: None,
            connection: Rc::clone(connection),
        }
    }

    /// Waits for the next head.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Receiving::Head {
            response,
            to_head,
            has_begun,
        } = &mut self.receiving
        else {
            return Poll::Ready(Ok(()));
        };
        if let Poll::Ready(Some(interim)) = response.poll_informational(cx) {
            let interim = interim.map_err(|error| self.connection.blame(error, *has_begun))?;
            *has_begun = true;
            head::push_interim(&mut self.text.bytes, interim.status(), interim.headers())
                .map_err(invalid)?;
            return Poll::Ready(Ok(()));
        }
        let response = ready!(Pin::new(response).poll(cx))
            .map_err(|error| self.connection.blame(error, *has_begun))?;
        let (parts, body) = response.into_parts();
        let is_ended = body.is_end_stream();
        let text = &mut self.text.bytes;
        let framing = head::push_response(text, parts.status, &parts.headers, *to_head, is_ended)
            .map_err(invalid)?;
        self.receiving = if framing == Framing::None {
            if !is_ended {
                self.connection.leave(body);
            }
            Receiving::Ended
        } else {
            let length = parts.headers.get(header::CONTENT_LENGTH);
            let left = length.and_then(|length| length.to_str().ok()?.parse().ok());
            Receiving::Body(Incoming::new(Vec::new(), framing, body), left)
        };
        Poll::Ready(Ok(()))
    }
}

impl Message for Stream {
    fn expects_head(&self) -> bool {
        matches!(self.sending, Sending::Head(..))
    }

    fn take_head(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Sending::Head(send, begun) = &mut self.sending else {
            return Ok(0);
        };
        let parse = |bytes: &[u8]| head::parse(bytes).map_err(|_| BadAnswer);
        let (head, count) = take_head(begun, bytes, parse)?;
        let Some(head) = head else {
            return Ok(count);
        };
        let to_head = *head.request.method() == Method::HEAD;
        let body = Body::new(head.length);
        let opened = send.send_request(head.request, body.is_ended());
        if let Some(waiting) = self.waiting.take() {
            waiting.wake();
        }
        match opened {
            Ok((response, send)) => {
                self.sending = Sending::Body(Sender::new(send, body));
                self.receiving = Receiving::Head {
                    response,
                    to_head,
                    has_begun: false,
                };
                Ok(count)
            }
            Err(error) => {
                self.sending = Sending::Failed;
                Err(gone(error))
            }
        }
    }

    fn poll_body(&mut self, cx: &mut Context<'_>, rest: Rest<'_>) -> Poll<io::Result<usize>> {
        let Sending::Body(sender) = &mut self.sending else {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        };
        sender.poll_write(cx, rest)
    }
}

impl State {
    /// What the engine is told of an answer that does not come.
    fn blame(&self, error: h2::Error, has_begun: bool) -> io::Error {
        // h2 fails a stream with the peer's GOAWAY only if that is above the last
        // one that the peer has looked at (RFC 9113 section 6.8).
        let is_refused = error.is_remote()
            && (error.is_go_away() || error.reason() == Some(Reason::REFUSED_STREAM));
        if !is_refused {
            return gone(error);
        }
        self.retire();
        if has_begun {
            gone(error)
        } else {
            Unprocessed.into()
        }
    }
}

fn invalid(error: head::Split) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        if let (Sending::Failed, Receiving::Nothing) = (&stream.sending, &stream.receiving) {
            return Poll::Ready(Err(Unprocessed.into()));
        }
        loop {
            if !stream.text.bytes.is_empty() {
                stream.text.take(buf);
                if stream.text.bytes.is_empty() {
                    stream.text = Text::default();
                }
                return Poll::Ready(Ok(()));
            }
            match &mut stream.receiving {
                Receiving::Nothing => {
                    stream.waiting = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                Receiving::Head { .. } => ready!(stream.poll_head(cx))?,
                Receiving::Body(incoming, left) => {
                    let before = buf.filled().len();
                    ready!(incoming.poll_read(cx, buf))?;
                    let count = buf.filled().len().saturating_sub(before) as u64;
                    *left = left.map(|left| left.saturating_sub(count));
                    return Poll::Ready(Ok(()));
                }
                Receiving::Ended => return Poll::Ready(Ok(())),
            }
        }
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

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_take(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The connection's own task writes.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A request says itself where it ends.
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let receiving = std::mem::replace(&mut self.receiving, Receiving::Ended);
        let is_received = match receiving {
            Receiving::Ended => true,
            Receiving::Body(incoming, Some(0)) => {
                if let Some(body) = incoming.into_body() {
                    self.connection.leave(body);
                }
                true
            }
            Receiving::Body(incoming, _) => incoming.is_ended(),
            Receiving::Head { .. } | Receiving::Nothing => false,
        };
        if let Sending::Body(sender) = &mut self.sending
            && !(is_received && sender.is_ended())
        {
            sender.reset(Reason::CANCEL);
        }
        self.connection.end();
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}
