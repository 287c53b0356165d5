//! Reading a header from a connection, and not one byte more.
//!
//! TLS or HTTP reads on from the same socket, so nothing behind the header may be
//! taken. A socket could be peeked at, a stream in general cannot; so each read asks
//! for what must still come at least, however the header ends. For version 2 that
//! is two reads as a rule (fifteen bytes tell the family, and with it the addresses),
//! for a line of version 1 about eight, each half as long as the one before.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::{Bad, Endpoints, Parsed, parse, v1, v2};

/// Why there is no header.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The peer closed before its first byte, as a check of the port does.
    #[error("the connection was closed before the PROXY header")]
    Closed,
    /// The peer closed in the middle.
    #[error("the connection was closed within the PROXY header")]
    Truncated,
    /// It is something else.
    #[error(transparent)]
    Bad(#[from] Bad),
    /// The connection broke.
    #[error("the PROXY header cannot be read")]
    Io(#[from] io::Error),
}

/// Reads a header of either version; what follows it is left in `stream`.
///
/// `None` as in [`Parsed::Done`]. How long the peer may take is the caller's to say;
/// how much it may send is bounded by [`super::LONGEST`].
///
/// # Errors
///
/// [`ReadError`]; bytes may be gone from the stream then, it can only be closed.
pub async fn read<R: AsyncRead + Unpin>(stream: &mut R) -> Result<Option<Endpoints>, ReadError> {
    // Not an array: it would be part of every connection's future for good.
    let mut header = Vec::with_capacity(v1::LONGEST);
    loop {
        let most = missing(&header);
        header.reserve(most);
        let mut source = (&mut *stream).take(u64::try_from(most).unwrap_or(1));
        if source.read_buf(&mut header).await? == 0 {
            return Err(if header.is_empty() {
                ReadError::Closed
            } else {
                ReadError::Truncated
            });
        }
        if let Parsed::Done { endpoints, .. } = parse(&header)? {
            return Ok(endpoints);
        }
    }
}

/// How many bytes may be read without reading past the header; never zero.
fn missing(header: &[u8]) -> usize {
    match v1::SHORTEST.checked_sub(header.len()) {
        Some(rest @ 1..) => rest,
        _ if v2::begins(header) => v2::missing(header),
        _ => v1::missing(header),
    }
}
