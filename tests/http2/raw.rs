//! HTTP/2 spelt out, for what no client library would send.

use tokenshim::http2::PREFACE;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// A frame that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The error code of a reset or a farewell.
    pub(crate) fn code(&self) -> u32 {
        let code = &self.payload[self.payload.len() - 4..];
        u32::from_be_bytes(code.try_into().unwrap())
    }
}

/// The bytes of a frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut out = length[1..].to_vec();
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend(payload);
    out
}

/// A field, spelt out: not in any table, not compressed.
pub(crate) fn field(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = vec![0];
    for text in [name, value] {
        let length = text.len();
        if length < 127 {
            out.push(u8::try_from(length).unwrap());
        } else {
            out.push(127);
            let mut rest = length - 127;
            while rest >= 128 {
                out.push(u8::try_from(rest % 128 + 128).unwrap());
                rest /= 128;
            }
            out.push(u8::try_from(rest).unwrap());
        }
        out.extend(text);
    }
    out
}

/// The fields of a head.
pub(crate) fn block(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    fields
        .iter()
        .flat_map(|(name, value)| field(name, value))
        .collect()
}

/// The head of a `GET`.
pub(crate) fn get(path: &[u8]) -> Vec<u8> {
    block(&[
        (b":method", b"GET"),
        (b":scheme", b"http"),
        (b":authority", b"h"),
        (b":path", path),
    ])
}

/// A connection whose settings are exchanged.
pub(crate) struct Raw<IO = DuplexStream>(pub(crate) IO);

impl<IO: AsyncRead + AsyncWrite + Unpin> Raw<IO> {
    pub(crate) async fn open(mut io: IO) -> Self {
        let hello = [PREFACE, &frame(SETTINGS, 0, 0, b"")].concat();
        io.write_all(&hello).await.unwrap();
        let mut raw = Self(io);
        // Their settings, and that they saw ours.
        while raw.next().await.unwrap()
            != (Frame {
                kind: SETTINGS,
                flags: 1,
                stream: 0,
                payload: Vec::new(),
            })
        {}
        raw.send(SETTINGS, 1, 0, b"").await;
        raw
    }

    pub(crate) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        // Who was cut off reads why.
        let _ = self.0.write_all(&frame(kind, flags, stream, payload)).await;
    }

    /// The next frame; `None` at the end of the connection.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let [high, middle, low, kind, flags, stream @ ..] = head;
        let mut payload =
            vec![0; usize::try_from(u32::from_be_bytes([0, high, middle, low])).unwrap()];
        self.0.read_exact(&mut payload).await.ok()?;
        Some(Frame {
            kind,
            flags,
            stream: u32::from_be_bytes(stream),
            payload,
        })
    }

    /// The next frame that says something of a stream or of the connection's end.
    pub(crate) async fn next_of_interest(&mut self) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if matches!(frame.kind, DATA | HEADERS | RST_STREAM | GOAWAY) {
                return Some(frame);
            }
        }
    }

    /// All DATA of a stream up to its end; `Err` with the frame that cut it.
    pub(crate) async fn body(&mut self, stream: u32) -> Result<Vec<u8>, Option<Frame>> {
        let mut body = Vec::new();
        loop {
            match self.next_of_interest().await {
                Some(frame) if frame.stream == stream && frame.kind == DATA => {
                    body.extend(frame.payload);
                    if frame.flags & END_STREAM != 0 {
                        return Ok(body);
                    }
                }
                Some(frame) if frame.stream == stream && frame.kind == HEADERS => {
                    if frame.flags & END_STREAM != 0 {
                        return Ok(body);
                    }
                }
                other => return Err(other),
            }
        }
    }
}
