//! HTTP/1.1 on the wire: heads and body framing, in and out (RFC 9112).
//!
//! Field lines are read by httparse. The request line is read here, because
//! clients send, and nginx takes, bytes that no URI may have; framing is
//! decided here, in one place for both directions. No peer's byte reaches an
//! index or an unchecked sum.

pub mod body;
pub mod buffer;
pub mod chunked;
pub mod head;
pub mod length;
pub mod pace;
pub mod response;
pub mod socket;
pub mod splice;
pub mod stream;
pub mod survey;
