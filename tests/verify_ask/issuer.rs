//! An issuer that answers as it is told, and remembers what it was asked.

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokenshim::{
    config::Upstream,
    secret::TokenKey,
    verify::{
        memo::{Belief, Memo},
        memory::Memory,
    },
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, UnixListener},
    sync::Notify,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use crate::tls::{PATIENCE, Pair};

/// What it does about one request.
#[derive(Clone)]
pub(crate) enum Act {
    /// Sends these bytes and waits for the next request.
    Say(Vec<u8>),
    /// Sends them and closes.
    SayAndClose(Vec<u8>),
    /// Sends them when it is told to.
    SayWhenTold(Vec<u8>),
    /// Sends nothing more, ever.
    Keep,
}

/// A whole answer.
pub(crate) fn answer(status: u16, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// What `whoami` answers for a good token.
pub(crate) fn alice() -> Vec<u8> {
    answer(
        200,
        r#"{"user_id":"@alice:hs.example","device_id":"D","is_guest":false}"#,
    )
}

/// A request as it came, and by which connection.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) connection: usize,
    pub(crate) text: String,
}

type Script = dyn Fn(usize, &str) -> Act + Send + Sync;

pub(crate) struct Issuer {
    seen: Mutex<Vec<Seen>>,
    /// How many came, and how many ended.
    connections: Mutex<(usize, usize)>,
    /// Rung at each request, and at each end of a connection.
    news: Notify,
    told: Notify,
    script: Box<Script>,
}

impl Issuer {
    /// `script` has the number of the request, and its text.
    pub(crate) fn new(script: impl Fn(usize, &str) -> Act + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            seen: Mutex::default(),
            connections: Mutex::default(),
            news: Notify::new(),
            told: Notify::new(),
            script: Box::new(script),
        })
    }

    pub(crate) async fn on_tcp(self: &Arc<Self>) -> Upstream {
        let (upstream, listener) = bind(false).await;
        let issuer = Arc::clone(self);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&issuer).serve(stream));
            }
        });
        upstream
    }

    pub(crate) fn on_unix(self: &Arc<Self>, path: &Path) -> Upstream {
        let listener = UnixListener::bind(path).unwrap();
        let issuer = Arc::clone(self);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&issuer).serve(stream));
            }
        });
        Upstream::Unix { path: path.into() }
    }

    pub(crate) async fn on_tls(self: &Arc<Self>, pair: &Pair) -> Upstream {
        let (upstream, listener) = bind(true).await;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let chain = CertificateDer::pem_slice_iter(pair.chain.as_bytes())
            .map(Result::unwrap)
            .collect();
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let issuer = Arc::clone(self);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Ok(stream) = acceptor.accept(stream).await {
                    tokio::spawn(Arc::clone(&issuer).serve(stream));
                }
            }
        });
        upstream
    }

    /// What it was asked so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// How many connections have ended.
    pub(crate) fn ended(&self) -> usize {
        self.connections.lock().unwrap().1
    }

    /// Waits until it was asked this often.
    pub(crate) async fn wait_for(&self, count: usize) {
        self.wait_until(|issuer| issuer.seen.lock().unwrap().len() >= count)
            .await;
    }

    /// Waits until so many connections have ended.
    pub(crate) async fn wait_for_ends(&self, count: usize) {
        self.wait_until(|issuer| issuer.ended() >= count).await;
    }

    async fn wait_until(&self, is_true: impl Fn(&Self) -> bool) {
        let waiting = async {
            loop {
                let news = self.news.notified();
                if is_true(self) {
                    return;
                }
                news.await;
            }
        };
        timeout(PATIENCE, waiting).await.unwrap();
    }

    /// Has it answer what waits.
    pub(crate) fn tell(&self) {
        self.told.notify_one();
    }

    async fn serve(self: Arc<Self>, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let connection = {
            let mut connections = self.connections.lock().unwrap();
            connections.0 += 1;
            connections.0
        };
        while let Ok(text) = read(&mut stream).await {
            let act = {
                let mut seen = self.seen.lock().unwrap();
                seen.push(Seen {
                    connection,
                    text: text.clone(),
                });
                (self.script)(seen.len(), &text)
            };
            self.news.notify_waiters();
            let (Act::Say(bytes) | Act::SayAndClose(bytes) | Act::SayWhenTold(bytes)) = &act else {
                std::future::pending().await
            };
            if matches!(act, Act::SayWhenTold(_)) {
                self.told.notified().await;
            }
            if stream.write_all(bytes).await.is_err() || matches!(act, Act::SayAndClose(_)) {
                break;
            }
        }
        // A farewell, where there is TLS.
        let _ = stream.shutdown().await;
        self.connections.lock().unwrap().1 += 1;
        self.news.notify_waiters();
    }
}

async fn bind(tls: bool) -> (Upstream, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (tcp("127.0.0.1", port, tls), listener)
}

pub(crate) fn tcp(host: &str, port: u16, tls: bool) -> Upstream {
    Upstream::Tcp {
        host: host.into(),
        port,
        authority: format!("{host}:{port}"),
        tls,
    }
}

/// One request, head and body.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| {
                    line.to_lowercase()
                        .strip_prefix("content-length: ")?
                        .parse()
                        .ok()
                })
                .unwrap_or(0_usize);
            if body.len() >= length {
                return Ok(text);
            }
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// A place for one answer, which no other question looks into.
pub(crate) fn memo(key: TokenKey) -> Memo {
    let belief = Belief {
        valid: Duration::from_secs(60),
        other: Duration::from_secs(60),
    };
    Memo::new(&Arc::new(Memory::new(1000, 0)), key, belief)
}
