//! Upstreams by `https`: whom to believe, and why one is not believed.
//!
//! There is no switch to believe anybody: an authority of one's own is a file in
//! `upstream_tls.ca_file`, another name is `upstream_tls.server_name`.

use std::{fmt, io, sync::Arc};

use jiff::Timestamp;
use rustls::{AlertDescription, CertificateError, ClientConfig, Error, InvalidMessage};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use super::{
    authority,
    certificate::timestamp,
    error::{TlsError, Wrong},
    handshake::{HTTP_1, HTTP_2, Protocol, is_gone, split},
    provider,
    stream::Stream,
};
use crate::config::UpstreamTls;

const CA_FILE: &str = "upstream_tls.ca_file";
const SERVER_NAME: &str = "upstream_tls.server_name";

/// How many of a certificate's names a message shows.
const MOST_NAMES: usize = 5;

/// The upstreams' side of TLS: one for all of them.
///
/// To be made only where an upstream needs it: it reads the system's
/// authorities, and a machine may have none.
#[derive(Clone, Debug)]
pub struct Client {
    config: Arc<ClientConfig>,
    /// Offers HTTP/2 besides HTTP/1.1; there only if that is wanted.
    with_http2: Option<Arc<ClientConfig>>,
    server_name: Option<ServerName<'static>>,
}

impl Client {
    /// Reads the authorities of `upstream_tls`, or the system's.
    ///
    /// # Errors
    ///
    /// [`TlsError`] names the key and the file.
    pub fn new(upstream_tls: &UpstreamTls) -> Result<Self, TlsError> {
        let roots = match &upstream_tls.ca_file {
            Some(file) => authority::of_file(CA_FILE, file)?.0,
            None => authority::of_system(CA_FILE)?,
        };
        let server_name = match &upstream_tls.server_name {
            Some(name) => Some(
                parse_name(name)
                    .ok_or_else(|| TlsError::new(SERVER_NAME, Wrong::BadName(name.clone())))?,
            ),
            None => None,
        };
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::setup(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![HTTP_1.to_vec()];
        let with_http2 = upstream_tls.http2.then(|| {
            let mut config = config.clone();
            config.alpn_protocols.insert(0, HTTP_2.to_vec());
            Arc::new(config)
        });
        Ok(Self {
            config: Arc::new(config),
            with_http2,
            server_name,
        })
    }

    /// Whether HTTP/2 may be spoken.
    #[must_use]
    pub fn offers_http2(&self) -> bool {
        self.with_http2.is_some()
    }

    /// As [`connect`](Self::connect), but HTTP/2 is offered as well, if it may be
    /// spoken. Tells whether the upstream agreed to it.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_by_either<S>(
        &self,
        stream: S,
        host: &str,
    ) -> Result<(Stream<S>, Protocol), ConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = self.with_http2.as_ref().unwrap_or(&self.config);
        let stream = self.shake_hands(config, stream, host).await?;
        let protocol = match stream.session().alpn_protocol() {
            Some(protocol) if protocol == HTTP_2 => Protocol::Http2,
            _ => Protocol::Http1,
        };
        Ok((stream, protocol))
    }

    /// Completes the handshake on `stream`, which leads to `host`: a name, or
    /// an IP address with or without brackets. HTTP/1.1 is what will be spoken. The
    /// deadline is the caller's.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] names the host and what is wrong.
    pub async fn connect<S>(&self, stream: S, host: &str) -> Result<Stream<S>, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.shake_hands(&self.config, stream, host).await
    }

    async fn shake_hands<S>(
        &self,
        config: &Arc<ClientConfig>,
        stream: S,
        host: &str,
    ) -> Result<Stream<S>, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => parse_name(host).ok_or_else(|| ConnectError::BadName { host: host.into() })?,
        };
        let shown = name.to_str().into_owned();
        let connector = TlsConnector::from(Arc::clone(config));
        match connector.connect(name, stream).await {
            Ok(stream) => Ok(Stream::new(stream.into())),
            Err(error) => Err(ConnectError::new(shown, error)),
        }
    }
}

/// Names are compared without a final dot, and TLS sends none (RFC 6066 §3).
fn parse_name(name: &str) -> Option<ServerName<'static>> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let name = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .unwrap_or(name);
    ServerName::try_from(name.to_owned()).ok()
}

/// Why an upstream is not spoken to. `host` is the name that was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// No chain leads to an authority.
    #[error(
        "certificate of {host} is signed by no trusted authority (`upstream_tls.ca_file` names one's own)"
    )]
    Untrusted {
        /// The name that was asked for.
        host: String,
    },
    /// It is for somebody else.
    #[error("certificate of {host} is for other names ({names})")]
    WrongName {
        /// The name that was asked for.
        host: String,
        /// Some of the names that it has.
        names: String,
    },
    /// Its time is over.
    #[error("certificate of {host} has expired{}", Date(" on ", *.on))]
    Expired {
        /// The name that was asked for.
        host: String,
        /// When that was.
        on: Option<Timestamp>,
    },
    /// Its time has not come; or our clock is wrong.
    #[error("certificate of {host} is not valid yet{}", Date(", but from ", *.from))]
    NotYetValid {
        /// The name that was asked for.
        host: String,
        /// When it will be.
        from: Option<Timestamp>,
    },
    /// Anything else that is wrong with it.
    #[error("certificate of {host} is not accepted: {reason}")]
    BadCertificate {
        /// The name that was asked for.
        host: String,
        /// The library's words.
        reason: CertificateError,
    },
    /// Most often the port of plain HTTP.
    #[error("{host} does not speak TLS on this port")]
    NotTls {
        /// The name that was asked for.
        host: String,
    },
    /// It does not like ours: no version in common, an unknown name, a client
    /// certificate that it wants.
    #[error("{host} refused the TLS handshake: {alert:?}")]
    Refused {
        /// The name that was asked for.
        host: String,
        /// Its words.
        alert: AlertDescription,
    },
    /// It left.
    #[error("{host} closed the connection during the TLS handshake")]
    Closed {
        /// The name that was asked for.
        host: String,
    },
    /// A fault in the protocol.
    #[error("TLS handshake with {host} failed: {error}")]
    Faulty {
        /// The name that was asked for.
        host: String,
        /// The library's words.
        error: Error,
    },
    /// The socket's.
    #[error("connection to {host} failed during the TLS handshake")]
    Failed {
        /// The name that was asked for.
        host: String,
        /// The socket's reason.
        source: io::Error,
    },
    /// The host cannot be asked for.
    #[error("{host} is no name that TLS could check")]
    BadName {
        /// The upstream's host.
        host: String,
    },
}

impl ConnectError {
    fn new(host: String, error: io::Error) -> Self {
        match split(error) {
            Ok(Error::InvalidCertificate(error)) => Self::of_certificate(host, error),
            Ok(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => Self::NotTls { host },
            Ok(Error::AlertReceived(alert)) => Self::Refused { host, alert },
            Ok(error) => Self::Faulty { host, error },
            Err(error) if is_gone(&error) => Self::Closed { host },
            Err(source) => Self::Failed { host, source },
        }
    }

    fn of_certificate(host: String, error: CertificateError) -> Self {
        match error {
            CertificateError::UnknownIssuer => Self::Untrusted { host },
            CertificateError::NotValidForName => Self::WrongName {
                host,
                names: "?".into(),
            },
            CertificateError::NotValidForNameContext { presented, .. } => Self::WrongName {
                host,
                names: list(&presented),
            },
            CertificateError::Expired => Self::Expired { host, on: None },
            CertificateError::ExpiredContext { not_after, .. } => Self::Expired {
                host,
                on: Some(timestamp(not_after)),
            },
            CertificateError::NotValidYet => Self::NotYetValid { host, from: None },
            CertificateError::NotValidYetContext { not_before, .. } => Self::NotYetValid {
                host,
                from: Some(timestamp(not_before)),
            },
            reason => Self::BadCertificate { host, reason },
        }
    }
}

/// The first few of a certificate's names, which a stranger wrote.
fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "none".into();
    }
    let mut shown: Vec<String> = names
        .iter()
        .take(MOST_NAMES)
        .map(|name| {
            // The library shows the kind of each: `DnsName("hs.example")`.
            let bare = name
                .strip_prefix("DnsName(\"")
                .and_then(|name| name.strip_suffix("\")"));
            bare.unwrap_or(name).escape_debug().to_string()
        })
        .collect();
    let rest = names.len().saturating_sub(MOST_NAMES);
    if rest > 0 {
        shown.push(format!("and {rest} more"));
    }
    shown.join(", ")
}

/// A date that may be unknown, behind some words.
struct Date(&'static str, Option<Timestamp>);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(date) => write!(f, "{}{date}", self.0),
            None => Ok(()),
        }
    }
}
