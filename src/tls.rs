//! TLS on both sides: listeners with certificates of our own, and upstreams
//! whose certificate we check.
//!
//! A [`Server`] is made of the operator's files and makes itself anew when they
//! change; a [`Client`] knows whom to believe. Both end in a [`Stream`], which
//! tells the end that a peer declared from one that somebody else may have made.
//!
//! What this refuses: to leave a certificate unchecked, to take a request before
//! the handshake is complete (early data can be sent again by whoever saw it, and
//! a POST is not to happen twice), and to put a byte of a key into any message.
//! The cryptography is *ring*, named in every place that needs one: the process
//! has no default that a library could change.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

mod authority;
mod certificate;
mod choice;
mod client;
mod error;
mod files;
mod handshake;
mod pem;
mod server;
mod stream;
pub use client::{Client, ConnectError};
pub use error::{TlsError, Wrong};
pub use handshake::{Accepted, HandshakeError, Protocol, accept};
pub use server::{Changed, Server};
pub use stream::{Ending, Stream};
/// Where all cryptography comes from.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
