//! How much, how many and how long.

use std::time::Duration;

use super::key::{self, Key};
use super::reader::Reader;
use super::{parse, size};

/// The `[limits]` section; `None` is no limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a whole request head, 1 KiB to 1 MiB.
    pub head_size: usize,
    /// Field lines of a request head, 1 to 100.
    pub head_fields: usize,
    /// Bytes of a request target, 64 B to 1 MiB.
    pub target_length: usize,
    /// Bytes of a request body.
    pub body_size: Option<u64>,
    /// Bytes a second, on average over [`Timeouts::body`], below which a request body is too slow.
    pub body_rate: Option<u64>,
    /// Client connections in all.
    pub connections: Option<usize>,
    /// Connections of one client address that is not a trusted proxy's.
    pub connections_per_address: Option<usize>,
    /// Requests at the same time.
    pub in_flight: Option<usize>,
    /// Streams at the same time in one HTTP/2 connection, 1 to 1000.
    pub h2_streams: u32,
}

/// The `[timeouts]` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// PROXY header and TLS handshake together.
    pub handshake: Duration,
    /// From the first byte of a request to the end of its head.
    pub head: Duration,
    /// A kept-alive client connection without a request.
    pub idle: Duration,
    /// Between two reads of a request body.
    pub body: Duration,
    /// Between two writes to a client that does not read.
    pub send: Duration,
    /// Connecting to the upstream.
    pub connect: Duration,
    /// The upstream's silence, on top of what the request itself allows.
    pub response: Duration,
    /// A pooled upstream connection without a request.
    pub upstream_idle: Duration,
    /// An upgraded connection without traffic.
    pub tunnel: Duration,
}

impl Limits {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        const KIB: u64 = 1 << 10;
        const MIB: u64 = 1 << 20;
        Self {
            head_size: reader
                .text(key::HEAD_SIZE, |text| size::within(text, KIB, MIB))
                .unwrap_or(32 << 10),
            head_fields: reader
                .integer(key::HEAD_FIELDS, |digits| parse::number(digits, 1..=100))
                .unwrap_or(100),
            target_length: reader
                .text(key::TARGET_LENGTH, |text| size::within(text, 64, MIB))
                .unwrap_or(16 << 10),
            body_size: reader.text(key::BODY_SIZE, size::limit).flatten(),
            body_rate: reader
                .text(key::BODY_RATE, size::limit)
                .unwrap_or(Some(240)),
            connections: count(reader, key::CONNECTIONS, 20_000),
            connections_per_address: count(reader, key::CONNECTIONS_PER_ADDRESS, 1000),
            in_flight: count(reader, key::IN_FLIGHT, 20_000),
            h2_streams: reader
                .integer(key::H2_STREAMS, |digits| parse::number(digits, 1..=1000))
                .unwrap_or(100),
        }
    }
}

impl Timeouts {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            handshake: duration(reader, key::HANDSHAKE, 10),
            head: duration(reader, key::HEAD, 10),
            idle: duration(reader, key::IDLE, 75),
            body: duration(reader, key::BODY, 60),
            send: duration(reader, key::SEND, 60),
            connect: duration(reader, key::CONNECT, 5),
            response: duration(reader, key::RESPONSE, 200),
            upstream_idle: duration(reader, key::UPSTREAM_IDLE, 3),
            tunnel: duration(reader, key::TUNNEL, 3600),
        }
    }
}

pub(super) fn duration(reader: &mut Reader<'_>, key: Key, default_seconds: u64) -> Duration {
    reader
        .text(key, parse::duration)
        .unwrap_or(Duration::from_secs(default_seconds))
}

/// A number of things, where 0 stands for no limit.
fn count(reader: &mut Reader<'_>, key: Key, default: usize) -> Option<usize> {
    // More than there can be descriptors; a typing mistake ends here.
    const MOST: usize = 1_000_000_000;
    let count = reader.integer(key, |digits| parse::number(digits, 0..=MOST));
    Some(count.unwrap_or(default)).filter(|count| *count != 0)
}
