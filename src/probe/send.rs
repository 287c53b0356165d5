//! Puts the requests on the wire, byte for byte, each on a connection of its own.
//!
//! A client library would refuse or repair the very targets that this is about.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UnixStream, lookup_host},
    time,
};

use super::address::{self, Url};
use crate::{
    config::{Upstream, UpstreamTls},
    http1::{socket::Socket, stream::Stream},
    tls,
};

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the rest of an answer may take.
const EPILOGUE: Duration = Duration::from_secs(1);

/// How much of an answer is kept, and how much is read behind that.
const LONGEST_ANSWER: usize = 64 * 1024;
const MOST_REST: u64 = 1024 * 1024;

/// Why there is nobody to ask.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("{host} cannot be resolved")]
    Unresolved {
        host: String,
        #[source]
        source: io::Error,
    },
    #[error(
        "{address} is neither this machine nor a private network: --yes-remote if the requests may go there"
    )]
    Remote { address: std::net::IpAddr },
    #[error("the authorities cannot be read")]
    Authorities(#[source] tls::TlsError),
    #[error("nobody can be reached")]
    Unreachable(#[source] io::Error),
    #[error("TLS")]
    Tls(#[from] tls::ConnectError),
}

/// Whom the requests are sent to.
#[derive(Debug)]
pub(super) struct Server {
    upstream: Upstream,
    addresses: Vec<SocketAddr>,
    tls: Option<Arc<tls::Client>>,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// `None` if it was no HTTP, or nothing at all.
    pub(super) status: Option<u16>,
    /// Status line and fields.
    pub(super) head: Vec<u8>,
}

impl Server {
    /// Finds its addresses, and refuses those that are far. The requests go to these and
    /// to no others, whatever the resolver says later.
    pub(super) async fn find(
        url: &Url,
        connect: Option<(String, u16)>,
        ca: Option<PathBuf>,
        may_be_remote: bool,
    ) -> Result<Self, SendError> {
        let addresses = match (&url.server, connect) {
            (_, Some((host, port))) => resolve(&host, port).await?,
            (Upstream::Tcp { host, port, .. }, None) => resolve(host, *port).await?,
            (Upstream::Unix { .. }, None) => Vec::new(),
        };
        if !may_be_remote && let Some(address) = address::far(&addresses) {
            return Err(SendError::Remote { address });
        }
        let tls = if url.server.is_tls() {
            let settings = UpstreamTls {
                ca_file: ca,
                server_name: None,
                http2: false,
            };
            Some(Arc::new(
                tls::Client::new(&settings).map_err(SendError::Authorities)?,
            ))
        } else {
            None
        };
        Ok(Self {
            upstream: url.server.clone(),
            addresses,
            tls,
        })
    }

    /// Sends one request, and reads what comes back until the end.
    pub(super) async fn send(&self, request: &[u8]) -> Result<Answer, SendError> {
        let mut stream = time::timeout(PATIENCE, self.connect())
            .await
            .map_err(|_| SendError::Unreachable(io::ErrorKind::TimedOut.into()))??;
        let mut answer = Vec::new();
        let question = async {
            // Who refuses may close before the end of what is sent.
            let _ = stream.write_all(request).await;
            let _ = stream.flush().await;
            while !has_head(&answer) && answer.len() < LONGEST_ANSWER {
                if !matches!(stream.read_buf(&mut answer).await, Ok(1..)) {
                    break;
                }
            }
        };
        let _ = time::timeout(PATIENCE, question).await;
        // A hop that is left early may log something else. Whoever keeps the connection
        // open, although he was asked not to, is not waited for.
        let mut rest = Vec::new();
        let end = async { stream.take(MOST_REST).read_to_end(&mut rest).await };
        let _ = time::timeout(EPILOGUE, end).await;
        Ok(Answer::read(&answer))
    }

    async fn connect(&self) -> Result<Stream, SendError> {
        let (host, is_tls) = match &self.upstream {
            Upstream::Unix { path } if self.addresses.is_empty() => {
                let socket = UnixStream::connect(path)
                    .await
                    .map_err(SendError::Unreachable)?;
                return Ok(Stream::Plain(Socket::Unix(socket)));
            }
            Upstream::Unix { .. } => ("localhost", false),
            Upstream::Tcp { host, tls, .. } => (host.as_str(), *tls),
        };
        let socket = TcpStream::connect(&self.addresses[..])
            .await
            .map_err(SendError::Unreachable)?;
        socket.set_nodelay(true).map_err(SendError::Unreachable)?;
        let socket = Socket::Tcp(socket);
        match &self.tls {
            Some(tls) if is_tls => Ok(Stream::Tls(Box::new(tls.connect(socket, host).await?))),
            Some(_) | None => Ok(Stream::Plain(socket)),
        }
    }
}

fn has_head(answer: &[u8]) -> bool {
    memchr::memmem::find(answer, b"\r\n\r\n").is_some()
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, SendError> {
    let failed = |source| SendError::Unresolved {
        host: host.to_owned(),
        source,
    };
    let found: Vec<_> = lookup_host((host, port)).await.map_err(failed)?.collect();
    if found.is_empty() {
        return Err(failed(io::ErrorKind::NotFound.into()));
    }
    Ok(found)
}

impl Answer {
    fn read(bytes: &[u8]) -> Self {
        let end = memchr::memmem::find(bytes, b"\r\n\r\n").unwrap_or(bytes.len());
        let head = bytes.get(..end).unwrap_or_default().to_vec();
        let status = head
            .strip_prefix(b"HTTP/1.")
            .and_then(|rest| str::from_utf8(rest.get(2..5)?).ok())
            .and_then(|digits| digits.parse().ok());
        Self { status, head }
    }

    /// The field lines that tell a client to go elsewhere: a browser writes such a URL
    /// into its history, and asks for it without being asked.
    pub(super) fn places(&self) -> impl Iterator<Item = &[u8]> {
        const NAMES: [&[u8]; 4] = [b"location:", b"content-location:", b"refresh:", b"link:"];
        self.head.split(|byte| *byte == b'\n').filter(|line| {
            NAMES.iter().any(|name| {
                line.get(..name.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(name))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_answers() {
        let rows: [(&str, &[u8], Option<u16>, usize); 4] = [
            (
                "usual",
                b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nLocation: x",
                Some(200),
                0,
            ),
            (
                "a redirect",
                b"HTTP/1.1 301 Moved\r\nlocation: /x\r\n\r\n",
                Some(301),
                1,
            ),
            ("nothing", b"", None, 0),
            ("no HTTP", b"hello", None, 0),
        ];
        for (name, bytes, status, places) in rows {
            let answer = Answer::read(bytes);
            assert_eq!(answer.status, status, "{name}");
            assert_eq!(answer.places().count(), places, "{name}");
        }
    }
}
