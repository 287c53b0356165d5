//! The other direction of a stream: the engine's answer, sent as frames.

use std::{
    io,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{Reason, server::SendResponse};
use http::Response;

use super::{
    answer::{self, BadAnswer, Body},
    sending::{Message, Rest, Sender, take_head},
    stream::gone,
};

/// An answer on its way to the client.
pub(super) struct Outgoing {
    state: State,
    to_head: bool,
}

enum State {
    /// The final head is to come; with the begin of one.
    Head(SendResponse<Bytes>, Vec<u8>),
    Body(Sender),
    /// The client was sent all of it.
    Ended,
    /// The client was sent a reset, or has sent one.
    Reset,
}

impl Outgoing {
    /// The answer to a request, which was a `HEAD` if `to_head`.
    pub(super) const fn new(respond: SendResponse<Bytes>, to_head: bool) -> Self {
        Self {
            state: State::Head(respond, Vec::new()),
            to_head,
        }
    }

    /// Whether nothing more will be sent.
    pub(super) const fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended | State::Reset)
    }

    /// Waits for the client to reset the stream.
    pub(super) fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let reason = match &mut self.state {
            State::Head(respond, _) => ready!(respond.poll_reset(cx)),
            State::Body(sender) => ready!(sender.poll_reset(cx)),
            State::Ended | State::Reset => return Poll::Pending,
        };
        Poll::Ready(match reason {
            Ok(reason) => io::Error::new(io::ErrorKind::ConnectionReset, reason.description()),
            Err(error) => gone(error),
        })
    }

    /// Ends the stream so that the client cannot take what it has for a whole
    /// answer; does nothing to one that has ended.
    pub(super) fn reset(&mut self, reason: Reason) {
        match &mut self.state {
            State::Head(respond, _) => respond.send_reset(reason),
            State::Body(sender) => sender.reset(reason),
            State::Ended | State::Reset => return,
        }
        self.state = State::Reset;
    }

    /// The engine writes no more.
    pub(super) fn shutdown(&mut self) {
        match &mut self.state {
            State::Body(sender) if sender.ends_by_closing() => {
                sender.finish();
                self.state = State::Ended;
            }
            _ => self.reset(Reason::INTERNAL_ERROR),
        }
    }
}

impl Message for Outgoing {
    fn expects_head(&self) -> bool {
        matches!(self.state, State::Head(..))
    }

    fn take_head(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let State::Head(respond, begun) = &mut self.state else {
            return Ok(0);
        };
        let (head, count) = take_head(begun, bytes, |head| answer::parse(head, self.to_head))?;
        let Some(head) = head else {
            return Ok(count);
        };
        let mut response = Response::new(());
        *response.status_mut() = head.status;
        *response.headers_mut() = head.fields;
        if head.status.is_informational() {
            respond.send_informational(response).map_err(gone)?;
            return Ok(count);
        }
        let body = Body::new(head.length);
        let send = respond
            .send_response(response, body.is_ended())
            .map_err(gone)?;
        self.state = if body.is_ended() {
            State::Ended
        } else {
            State::Body(Sender::new(send, body))
        };
        Ok(count)
    }

    fn poll_body(&mut self, cx: &mut Context<'_>, rest: Rest<'_>) -> Poll<io::Result<usize>> {
        let State::Body(sender) = &mut self.state else {
            return Poll::Ready(Err(match self.state {
                State::Reset => io::ErrorKind::ConnectionReset.into(),
                _ => BadAnswer.into(),
            }));
        };
        let polled = sender.poll_write(cx, rest);
        if sender.is_ended() {
            self.state = State::Ended;
        }
        polled
    }
}
