//! The other direction of a stream: the engine's answer, sent as frames.

use std::{
    io::{self, IoSlice},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{Reason, SendStream, server::SendResponse};
use http::{HeaderMap, Response};

use super::{
    MOST_UNSENT,
    answer::{self, BadAnswer, Body, Step},
    stream::gone,
};
use crate::http1::head;

/// The longest head that is put together from several writes.
const LONGEST_HEAD: usize = 128 * 1024;

/// An answer on its way to the client.
pub(super) struct Outgoing {
    state: State,
    to_head: bool,
}

enum State {
    /// The final head is to come; with the begin of one.
    Head(SendResponse<Bytes>, Vec<u8>),
    Body(SendStream<Bytes>, Body),
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
            State::Body(send, _) => ready!(send.poll_reset(cx)),
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
            State::Body(send, _) => send.send_reset(reason),
            State::Ended | State::Reset => return,
        }
        self.state = State::Reset;
    }

    /// The engine writes no more.
    pub(super) fn shutdown(&mut self) {
        match &mut self.state {
            State::Body(send, body) if body.ends_by_closing() => {
                // A stream that is gone needs no end.
                let _ = send.send_data(Bytes::new(), true);
                self.state = State::Ended;
            }
            _ => self.reset(Reason::INTERNAL_ERROR),
        }
    }

    /// Takes of `parts` what there is room for.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut rest = Rest::new(parts);
        let mut taken = 0_usize;
        while matches!(self.state, State::Head(..)) && !rest.front().is_empty() {
            let count = self.take_head(rest.front())?;
            rest.skip(count);
            taken = taken.saturating_add(count);
        }
        if rest.front().is_empty() {
            return Poll::Ready(Ok(taken));
        }
        match self.poll_body(cx, rest) {
            Poll::Ready(Ok(count)) => Poll::Ready(Ok(taken.saturating_add(count))),
            // The head has left.
            Poll::Pending if taken > 0 => Poll::Ready(Ok(taken)),
            polled => polled,
        }
    }

    /// Takes a head from the front of `bytes`, or all of them if it has no end.
    fn take_head(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let State::Head(respond, begun) = &mut self.state else {
            return Ok(0);
        };
        let (parsed, count) = if begun.is_empty()
            && let Some(end) = head::end(bytes, 0)
        {
            let whole = bytes.get(..end).unwrap_or_default();
            (answer::parse(whole, self.to_head)?, end)
        } else {
            let before = begun.len();
            begun.extend_from_slice(bytes);
            let Some(end) = head::end(begun, before) else {
                if begun.len() > LONGEST_HEAD {
                    return Err(BadAnswer.into());
                }
                return Ok(bytes.len());
            };
            let whole = begun.get(..end).unwrap_or_default();
            let parsed = answer::parse(whole, self.to_head)?;
            begun.clear();
            (parsed, end.saturating_sub(before))
        };
        let mut response = Response::new(());
        *response.status_mut() = parsed.status;
        *response.headers_mut() = parsed.fields;
        if parsed.status.is_informational() {
            respond.send_informational(response).map_err(gone)?;
            return Ok(count);
        }
        let body = Body::new(parsed.length);
        let send = respond
            .send_response(response, body.is_ended())
            .map_err(gone)?;
        self.state = if body.is_ended() {
            State::Ended
        } else {
            State::Body(send, body)
        };
        Ok(count)
    }

    fn poll_body(&mut self, cx: &mut Context<'_>, mut rest: Rest<'_>) -> Poll<io::Result<usize>> {
        let State::Body(send, body) = &mut self.state else {
            return Poll::Ready(Err(match self.state {
                State::Reset => io::ErrorKind::ConnectionReset.into(),
                _ => BadAnswer.into(),
            }));
        };
        let most = body.data_in(rest.parts()).min(MOST_UNSENT);
        let mut room = match most {
            0 => 0,
            most => ready!(poll_room(send, most, cx))?.min(most),
        };
        let (mut data, mut taken) = (Vec::with_capacity(room), 0_usize);
        let mut trailers = None;
        while !body.is_ended() && !rest.front().is_empty() {
            let count = match body.next(rest.front(), room)? {
                Step::Framing(count) => count,
                Step::Data(count) => {
                    data.extend_from_slice(rest.front().get(..count).unwrap_or_default());
                    room = room.saturating_sub(count);
                    count
                }
                Step::Full => break,
                Step::End(count, found) => {
                    trailers = found;
                    count
                }
            };
            rest.skip(count);
            taken = taken.saturating_add(count);
        }
        let is_ended = body.is_ended();
        transmit(send, data, is_ended, trailers)?;
        if is_ended {
            self.state = State::Ended;
            if !rest.front().is_empty() {
                return Poll::Ready(Err(BadAnswer.into()));
            }
        }
        Poll::Ready(Ok(taken))
    }
}

/// Waits until the client takes data; at most `wanted` bytes are asked for, so
/// that what other streams could use is not kept.
fn poll_room(
    send: &mut SendStream<Bytes>,
    wanted: usize,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    send.reserve_capacity(wanted);
    loop {
        let room = send.capacity();
        if room > 0 {
            return Poll::Ready(Ok(room));
        }
        match ready!(send.poll_capacity(cx)) {
            Some(Ok(_)) => {}
            Some(Err(error)) => return Poll::Ready(Err(gone(error))),
            None => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }
}

fn transmit(
    send: &mut SendStream<Bytes>,
    data: Vec<u8>,
    is_ended: bool,
    trailers: Option<HeaderMap>,
) -> io::Result<()> {
    match (is_ended, trailers) {
        (true, Some(trailers)) => {
            if !data.is_empty() {
                send.send_data(data.into(), false).map_err(gone)?;
            }
            send.send_trailers(trailers).map_err(gone)
        }
        (true, None) => send.send_data(data.into(), true).map_err(gone),
        (false, _) => {
            if !data.is_empty() {
                send.send_data(data.into(), false).map_err(gone)?;
            }
            // What was asked for and not used is for others.
            send.reserve_capacity(0);
            Ok(())
        }
    }
}

/// Parts of one write, up to three, and how far they were taken.
struct Rest<'a> {
    parts: [&'a [u8]; 3],
}

impl<'a> Rest<'a> {
    fn new(parts: &'a [IoSlice<'_>]) -> Self {
        let mut filled = parts.iter().filter(|part| !part.is_empty());
        Self {
            parts: std::array::from_fn(|_| filled.next().map_or(&b""[..], |part| &**part)),
        }
    }

    fn parts(&self) -> &[&'a [u8]] {
        &self.parts
    }

    /// The first part with bytes; empty at the end.
    fn front(&self) -> &'a [u8] {
        let [front, ..] = self.parts;
        front
    }

    /// Passes over bytes of the front.
    fn skip(&mut self, count: usize) {
        let [front, second, third] = self.parts;
        let front = front.get(count..).unwrap_or_default();
        self.parts = if front.is_empty() {
            [second, third, b""]
        } else {
            [front, second, third]
        };
    }
}
