//! What both sides' senders share: heads put together from writes, and bodies
//! taken out of the engine's framing and sent as frames.

use std::{
    io::{self, IoSlice},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http::HeaderMap;

use super::{
    MOST_UNSENT,
    answer::{BadAnswer, Body, Step},
    stream::gone,
};
use crate::http1::head;

/// The longest head that is put together from several writes.
const LONGEST_HEAD: usize = 128 * 1024;

/// Takes a head from the front of `bytes`, or all of them if it has no end;
/// `begun` is what came before. Gives back how many were taken.
pub(super) fn take_head<T>(
    begun: &mut Vec<u8>,
    bytes: &[u8],
    parse: impl FnOnce(&[u8]) -> Result<T, BadAnswer>,
) -> Result<(Option<T>, usize), BadAnswer> {
    if begun.is_empty()
        && let Some(end) = head::end(bytes, 0)
    {
        let whole = bytes.get(..end).unwrap_or_default();
        return Ok((Some(parse(whole)?), end));
    }
    let before = begun.len();
    begun.extend_from_slice(bytes);
    let Some(end) = head::end(begun, before) else {
        if begun.len() > LONGEST_HEAD {
            return Err(BadAnswer);
        }
        return Ok((None, bytes.len()));
    };
    let parsed = parse(begun.get(..end).unwrap_or_default())?;
    begun.clear();
    Ok((Some(parsed), end.saturating_sub(before)))
}

/// A message that the engine writes as HTTP/1.1: heads, then a body.
pub(super) trait Message {
    /// Whether a head is to come.
    fn expects_head(&self) -> bool;

    /// Takes a head from the front of `bytes`, or all of them if it has no end;
    /// gives back how many were taken.
    fn take_head(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Takes of `rest`, which is not empty, what there is room for.
    fn poll_body(&mut self, cx: &mut Context<'_>, rest: Rest<'_>) -> Poll<io::Result<usize>>;

    /// Takes of `parts` what there is room for.
    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut rest = Rest::new(parts);
        let mut taken = 0_usize;
        while self.expects_head() && !rest.front().is_empty() {
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
}

/// A body on its way to the peer.
pub(super) struct Sender {
    send: SendStream<Bytes>,
    body: Body,
}

impl Sender {
    pub(super) const fn new(send: SendStream<Bytes>, body: Body) -> Self {
        Self { send, body }
    }

    /// Whether all of it was given to h2.
    pub(super) fn is_ended(&self) -> bool {
        self.body.is_ended()
    }

    /// Whether the end of the engine's connection is its end.
    pub(super) fn ends_by_closing(&self) -> bool {
        self.body.ends_by_closing()
    }

    /// Ends the stream behind what was sent.
    pub(super) fn finish(&mut self) {
        // A stream that is gone needs no end.
        let _ = self.send.send_data(Bytes::new(), true);
    }

    pub(super) fn reset(&mut self, reason: Reason) {
        self.send.send_reset(reason);
    }

    pub(super) fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reason, h2::Error>> {
        self.send.poll_reset(cx)
    }

    /// Takes of `rest`, which is not empty, what there is room for.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        mut rest: Rest<'_>,
    ) -> Poll<io::Result<usize>> {
        let Self { send, body } = self;
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
        transmit(send, data, body.is_ended(), trailers)?;
        if body.is_ended() && !rest.front().is_empty() {
            return Poll::Ready(Err(BadAnswer.into()));
        }
        Poll::Ready(Ok(taken))
    }
}

/// Waits until the peer takes data; at most `wanted` bytes are asked for, so
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
pub(super) struct Rest<'a> {
    parts: [&'a [u8]; 3],
}

impl<'a> Rest<'a> {
    pub(super) fn new(parts: &'a [IoSlice<'_>]) -> Self {
        let mut filled = parts.iter().filter(|part| !part.is_empty());
        Self {
            parts: std::array::from_fn(|_| filled.next().map_or(&b""[..], |part| &**part)),
        }
    }

    fn parts(&self) -> &[&'a [u8]] {
        &self.parts
    }

    /// The first part with bytes; empty at the end.
    pub(super) fn front(&self) -> &'a [u8] {
        let [front, ..] = self.parts;
        front
    }

    /// Passes over bytes of the front.
    pub(super) fn skip(&mut self, count: usize) {
        let [front, second, third] = self.parts;
        let front = front.get(count..).unwrap_or_default();
        self.parts = if front.is_empty() {
            [second, third, b""]
        } else {
            [front, second, third]
        };
    }
}
