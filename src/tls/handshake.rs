//! The server's handshake, and why one fails.

use std::{io, sync::Arc};

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use super::stream::Stream;

/// What is spoken inside.
///
/// The handshake alone decides (ALPN, RFC 7301): nothing that follows is looked
/// at to find out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1, also for a client that named no protocol.
    Http1,
    /// HTTP/2.
    Http2,
}

/// A connection whose handshake is complete.
#[derive(Debug)]
pub struct Accepted<S> {
    /// The connection.
    pub stream: Stream<S>,
    /// What the client will speak.
    pub protocol: Protocol,
}

/// Why a client's handshake failed. The client was told by an alert where TLS
/// has one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// It left.
    #[error("client closed the connection during the TLS handshake")]
    Closed,
    /// Plain HTTP, a scanner's probe, or noise.
    #[error("client does not speak TLS")]
    NotTls,
    /// It refuses ours: most often it does not trust the certificate.
    #[error("client refused the TLS handshake: {0:?}")]
    Refused(AlertDescription),
    /// `tls.client_certificates` demands one.
    #[error("client sent no certificate")]
    NoCertificate,
    /// It has one, and it is not good.
    #[error("client certificate is not accepted: {0}")]
    BadCertificate(CertificateError),
    /// Too old, or none of its protocols is ours.
    #[error("client and server have nothing in common: {0}")]
    Incompatible(#[source] Error),
    /// A fault in the protocol.
    #[error("TLS handshake failed: {0}")]
    Faulty(#[source] Error),
    /// The socket's.
    #[error("connection failed during the TLS handshake")]
    Failed(#[source] io::Error),
}

/// Completes the handshake on `stream`. It takes as long as the client likes:
/// the deadline is the caller's, who drops the future when it has passed.
///
/// # Errors
///
/// [`HandshakeError`]; the socket is closed.
pub async fn accept<S>(stream: S, config: &Arc<ServerConfig>) -> Result<Accepted<S>, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let stream = TlsAcceptor::from(Arc::clone(config))
        .accept(stream)
        .await
        .map_err(HandshakeError::from_io)?;
    let protocol = match stream.get_ref().1.alpn_protocol() {
        Some(protocol) if protocol == HTTP_2 => Protocol::Http2,
        Some(_) | None => Protocol::Http1,
    };
    Ok(Accepted {
        stream: Stream::new(stream.into()),
        protocol,
    })
}

pub(super) const HTTP_1: &[u8] = b"http/1.1";
pub(super) const HTTP_2: &[u8] = b"h2";

impl HandshakeError {
    fn from_io(error: io::Error) -> Self {
        match split(error) {
            Ok(error) => Self::from_tls(error),
            Err(error) if is_gone(&error) => Self::Closed,
            Err(error) => Self::Failed(error),
        }
    }

    fn from_tls(error: Error) -> Self {
        match error {
            Error::InvalidMessage(InvalidMessage::InvalidContentType) => Self::NotTls,
            Error::AlertReceived(alert) => Self::Refused(alert),
            Error::NoCertificatesPresented => Self::NoCertificate,
            Error::InvalidCertificate(error) => Self::BadCertificate(error),
            Error::PeerIncompatible(_) | Error::NoApplicationProtocol => Self::Incompatible(error),
            _ => Self::Faulty(error),
        }
    }
}

/// The library's own error out of the one it is wrapped in, or the socket's.
pub(super) fn split(error: io::Error) -> Result<Error, io::Error> {
    match error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>())
    {
        Some(inner) => Ok(inner.clone()),
        None => Err(error),
    }
}

/// Whether the peer ended the connection.
pub(super) fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}
