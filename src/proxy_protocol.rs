//! The PROXY protocol, versions 1 and 2: who the client of a proxy in front is.
//!
//! The header stands before the first byte of TLS or HTTP. Whoever may send one
//! chooses the address that logs and limits see, so the caller decides by the
//! peer's address whether to look for a header at all; it is never guessed from
//! the bytes. Parsing is pure and bounded, one byte off is a refusal, and
//! [`read()`] takes the header and nothing of what follows it.
//!
//! Only the addresses are used. Of what version 2 may add behind them (TLVs) the
//! form is checked and the content is skipped, the CRC-32C too: TCP has a checksum,
//! and a proxy that we believe has no reason to damage its own header.
//!
//! Spec: HAProxy's `doc/proxy-protocol.txt`.

mod read;
mod v1;
mod v2;

use std::net::{IpAddr, SocketAddr};

pub use read::{ReadError, read};

/// The longest header we take, in bytes.
///
/// Version 1 ends at 107 by definition. Version 2 could have 65,551; a TLV with a
/// client's name and certificate fits into what nginx takes, so it is our bound too.
pub const LONGEST: usize = v2::LONGEST;

/// Both ends of the client's connection to the proxy in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// The client.
    pub source: SocketAddr,
    /// What the client connected to; of the same family.
    pub destination: SocketAddr,
}

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The beginning of a header; more bytes have to come.
    Partial,
    /// A whole header.
    Done {
        /// Its bytes, at most [`LONGEST`]; whatever comes behind is the client's.
        length: usize,
        /// `None` if the header names no TCP connection: a health check of the
        /// proxy (`LOCAL`), `UNKNOWN`, a unix socket. The connection is good then,
        /// and its own addresses are the true ones.
        endpoints: Option<Endpoints>,
    },
}

/// Why bytes are no PROXY header; the connection has to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Bad {
    /// It starts with something else.
    #[error("the connection does not begin with a PROXY header")]
    Signature,
    /// Longer than a header may be.
    #[error("the PROXY header is too long")]
    TooLong,
    /// A line of version 1 that is not spelled as it must be.
    #[error("the line of the PROXY header is malformed")]
    Line,
    /// A version other than 1 and 2.
    #[error("the PROXY header has an unknown version")]
    Version,
    /// A command that is neither `LOCAL` nor `PROXY`.
    #[error("the PROXY header has an unknown command")]
    Command,
    /// An address family or a transport that does not exist.
    #[error("the PROXY header has an unknown address family or transport")]
    Family,
    /// Shorter than its addresses, or the parts behind them do not add up.
    #[error("the lengths in the PROXY header contradict each other")]
    Length,
}

/// The two ways to write a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// Looks for a header at the start of `bytes`.
///
/// More bytes never change a verdict other than [`Parsed::Partial`].
///
/// # Errors
///
/// [`Bad`] as soon as no further byte could make it a header.
pub fn parse(bytes: &[u8]) -> Result<Parsed, Bad> {
    if v2::begins(bytes) {
        v2::parse(bytes)
    } else {
        v1::parse(bytes)
    }
}

/// Appends a header that names `source` and `destination`.
///
/// Where one is missing (a unix socket) or they are of two families, it says that
/// there is no address to name, which receivers take for a health check of ours.
pub fn push(
    out: &mut Vec<u8>,
    version: Version,
    source: Option<SocketAddr>,
    destination: Option<SocketAddr>,
) {
    let endpoints = source.zip(destination).and_then(one_family);
    match version {
        Version::V1 => v1::push(out, endpoints),
        Version::V2 => v2::push(out, endpoints),
    }
}

/// The same addresses as the header can name them.
fn one_family((source, destination): (SocketAddr, SocketAddr)) -> Option<Endpoints> {
    // A listener on `[::]` has its IPv4 clients, and itself, as `::ffff:a.b.c.d`.
    let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let (source, destination) = (plain(source), plain(destination));
    (source.is_ipv4() == destination.is_ipv4()).then_some(Endpoints {
        source,
        destination,
    })
}

impl Endpoints {
    fn new(source: (impl Into<IpAddr>, u16), destination: (impl Into<IpAddr>, u16)) -> Self {
        Self {
            source: source.into(),
            destination: destination.into(),
        }
    }
}

#[cfg(test)]
mod tests;
