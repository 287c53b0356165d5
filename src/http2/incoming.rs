//! One direction of a stream: what comes in by it, read as HTTP/1.1.

use std::{
    io,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes};
use h2::RecvStream;
use tokio::io::ReadBuf;

use super::request::{self, Framing};
use crate::http1::chunked;

/// Bytes of our own that are to be read.
#[derive(Default)]
pub(super) struct Text {
    /// Empty when all was read.
    pub(super) bytes: Vec<u8>,
    read: usize,
}

impl Text {
    /// Copies what there is room for, and forgets the bytes with the last one.
    pub(super) fn take(&mut self, buf: &mut ReadBuf<'_>) {
        let rest = self.bytes.get(self.read..).unwrap_or_default();
        let count = rest.len().min(buf.remaining());
        buf.put_slice(rest.get(..count).unwrap_or_default());
        self.read = self.read.saturating_add(count);
        if self.read >= self.bytes.len() {
            self.read = 0;
            self.bytes.clear();
        }
    }
}

/// A message on its way to the engine.
pub(super) struct Incoming {
    /// Where the body comes from; `None` when it has ended.
    body: Option<RecvStream>,
    is_chunked: bool,
    /// Head or framing that is to be read before the data.
    text: Text,
    data: Bytes,
}

impl Incoming {
    /// A message whose head is `head`.
    pub(super) fn new(head: Vec<u8>, framing: Framing, body: RecvStream) -> Self {
        Self {
            body: (framing != Framing::None).then_some(body),
            is_chunked: framing == Framing::Chunked,
            text: Text {
                bytes: head,
                read: 0,
            },
            data: Bytes::new(),
        }
    }

    /// Whether all of the message was read.
    pub(super) fn is_ended(&self) -> bool {
        self.body.is_none() && self.text.bytes.is_empty()
    }

    /// The body, if its end was not read.
    pub(super) fn into_body(self) -> Option<RecvStream> {
        self.body
    }

    /// Fills `buf` with what is there, at least one byte unless the message has
    /// ended.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let begin = buf.filled().len();
        while buf.remaining() > 0 {
            if !self.text.bytes.is_empty() {
                self.take_text(buf);
            } else if !self.data.is_empty() {
                self.take_data(buf)?;
            } else if self.body.is_some() {
                match self.poll_next(cx) {
                    Poll::Pending if buf.filled().len() > begin => break,
                    polled => ready!(polled)?,
                }
            } else {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn take_text(&mut self, buf: &mut ReadBuf<'_>) {
        self.text.take(buf);
        if self.text.bytes.is_empty() && self.body.is_none() {
            // A long poll waits without its head.
            self.text = Text::default();
        }
    }

    fn take_data(&mut self, buf: &mut ReadBuf<'_>) -> io::Result<()> {
        let count = self.data.len().min(buf.remaining());
        buf.put_slice(self.data.get(..count).unwrap_or_default());
        self.data.advance(count);
        if self.data.is_empty() {
            // The last small piece may hold on to a large block.
            self.data = Bytes::new();
            if self.is_chunked {
                self.text.bytes.extend_from_slice(b"\r\n");
            }
        }
        if let Some(body) = &mut self.body {
            // The engine took it, so the peer may send as much again.
            body.flow_control()
                .release_capacity(count)
                .map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// Waits for the next piece of the body, or its end.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(Ok(()));
        };
        match ready!(body.poll_data(cx)) {
            Some(Err(error)) => return Poll::Ready(Err(super::stream::gone(error))),
            // An empty chunk would be the end of the body.
            Some(Ok(data)) if data.is_empty() => {}
            Some(Ok(data)) => {
                if self.is_chunked {
                    chunked::push_size(&mut self.text.bytes, data.len());
                }
                self.data = data;
            }
            None => {
                let trailers = ready!(body.poll_trailers(cx)).map_err(super::stream::gone)?;
                if self.is_chunked {
                    request::push_end(&mut self.text.bytes, trailers.as_ref());
                }
                self.body = None;
            }
        }
        Poll::Ready(Ok(()))
    }
}
