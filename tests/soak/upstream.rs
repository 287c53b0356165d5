//! The upstream: a process of its own, so that it can be killed.

use std::{
    env,
    future::poll_fn,
    io::Read as _,
    path::PathBuf,
    pin::{Pin, pin},
    process::{Child, Command, Stdio},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::{
    Request, Response,
    body::{Body, Bytes, Frame, Incoming, SizeHint},
    http::{HeaderMap, HeaderValue, request::Parts, response},
    rt::Executor,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener},
    time::{Sleep, sleep},
};
use tokio_rustls::TlsAcceptor;

use super::ask::{Ask, Check, Kind, SHORT, bytes, token};

/// What an upstream is, and where.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) name: &'static str,
    /// `IP:PORT` or `/PATH`.
    pub(crate) address: String,
    pub(crate) speaks: Speaks,
    /// Where its certificate is.
    pub(crate) directory: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    Plainly,
    /// HTTP/1.1 by TLS.
    Tls,
    /// HTTP/2 by TLS, or HTTP/1.1 for who wants that.
    Http2,
}

const NAME: &str = "SOAK_UPSTREAM";
const ADDRESS: &str = "SOAK_ADDRESS";
const PROTOCOLS: &str = "SOAK_PROTOCOLS";

/// Starts one. It ends with its standard input, so that none is left when the test
/// is killed.
pub(crate) fn spawn(server: &Server) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "upstream_process", "--ignored", "--nocapture"])
        .current_dir(&server.directory)
        .env(NAME, server.name)
        .env(ADDRESS, &server.address)
        .env(
            PROTOCOLS,
            match server.speaks {
                Speaks::Plainly => "",
                Speaks::Tls => "http/1.1",
                Speaks::Http2 => "h2 http/1.1",
            },
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// How it shakes hands, if it does.
fn acceptor() -> Option<TlsAcceptor> {
    let protocols = env::var(PROTOCOLS).ok().filter(|text| !text.is_empty())?;
    let chain = CertificateDer::pem_file_iter("chain.pem").unwrap();
    let key = PrivateKeyDer::from_pem_file("key.pem").unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.map(Result::unwrap).collect(), key)
        .unwrap();
    config.alpn_protocols = protocols.split(' ').map(Into::into).collect();
    Some(TlsAcceptor::from(Arc::new(config)))
}

/// What the process does.
pub(crate) async fn run() {
    let (Ok(name), Ok(address)) = (env::var(NAME), env::var(ADDRESS)) else {
        return;
    };
    let name: &'static str = name.leak();
    std::thread::spawn(end_with_parent);
    if address.starts_with('/') {
        // The one before was killed and could not tidy up.
        let _ = std::fs::remove_file(&address);
        let listener = UnixListener::bind(&address).unwrap();
        while let Ok((stream, _)) = listener.accept().await {
            tokio::task::spawn_local(serve(stream, name));
        }
    } else {
        let (listener, tls) = (TcpListener::bind(&address).await.unwrap(), acceptor());
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            match tls.clone() {
                Some(tls) => tokio::task::spawn_local(serve_tls(stream, name, tls)),
                None => tokio::task::spawn_local(serve(stream, name)),
            };
        }
    }
}

async fn serve_tls(stream: TcpStream, name: &'static str, tls: TlsAcceptor) {
    let Ok(stream) = tls.accept(stream).await else {
        return;
    };
    if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return serve(stream, name).await;
    }
    let service = service_fn(move |request: Request<Incoming>| async move {
        let (parts, body) = request.into_parts();
        answer(name, &parts, body).await
    });
    let _ = http2::Builder::new(Local)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Everything is in one thread.
#[derive(Clone)]
struct Local;

impl<F: Future<Output = ()> + 'static> Executor<F> for Local {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(task);
    }
}

#[expect(clippy::exit, reason = "nothing here is worth a farewell")]
fn end_with_parent() {
    let _ = std::io::stdin().read(&mut [0]);
    std::process::exit(0);
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + 'static + Send, name: &'static str) {
    let service = service_fn(move |mut request| async move {
        let upgrade = hyper::upgrade::on(&mut request);
        let (parts, body) = request.into_parts();
        let answer = answer(name, &parts, body).await;
        if parts.headers.contains_key("upgrade") {
            tokio::task::spawn_local(async move {
                if let Ok(upgraded) = upgrade.await {
                    let (mut from, mut to) = tokio::io::split(TokioIo::new(upgraded));
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                }
            });
        }
        answer
    });
    // Clients and the shim leave as they like.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

/// `Err` closes the connection.
async fn answer(
    name: &str,
    parts: &Parts,
    body: Incoming,
) -> Result<Response<Reply>, std::io::Error> {
    let refuse = |status| {
        Ok(told(name, &parts.headers)
            .status(status)
            .body(Reply::new(0, SHORT))
            .unwrap())
    };
    let Some((kind, id, size)) = Ask::parse(parts.uri.path()) else {
        return refuse(404);
    };
    let wanted = format!("Bearer {}", token(id));
    let came = parts
        .headers
        .get("authorization")
        .map(HeaderValue::as_bytes);
    if parts.uri.query().is_some() || came != Some(wanted.as_bytes()) {
        return refuse(400);
    }
    let mut check = Check::new(id);
    let is_whole = take(body, &mut check).await;
    let reply = match kind {
        Kind::Get => Reply::new(id, size),
        Kind::Drip => Reply::dripping(id, size),
        Kind::Cut => Reply::cut(id, size),
        Kind::Put if !is_whole || check.length() != size => return refuse(422),
        Kind::Hold => {
            sleep(Duration::from_millis(size)).await;
            Reply::new(id, SHORT)
        }
        Kind::Hang => return poll_fn(|_| Poll::Pending).await,
        Kind::Mute => return Err(std::io::ErrorKind::Other.into()),
        Kind::Tunnel => {
            let told = told(name, &parts.headers).status(101);
            let told = told
                .header("connection", "upgrade")
                .header("upgrade", "echo");
            return Ok(told.body(Reply::new(id, 0)).unwrap());
        }
        Kind::Put => Reply::new(id, SHORT),
    };
    Ok(told(name, &parts.headers).body(reply).unwrap())
}

/// An answer that says who gives it, and to whom.
fn told(name: &str, headers: &HeaderMap) -> response::Builder {
    let mut told = Response::builder().header("x-upstream", name);
    if let Some(value) = headers.get("authorization") {
        told = told.header("x-came", value);
    }
    told
}

/// Reads a body; whether it is the right one, to its end.
async fn take(body: Incoming, check: &mut Check) -> bool {
    let mut body = pin!(body);
    loop {
        match poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            None => return true,
            Some(Err(_)) => return false,
            Some(Ok(frame)) => {
                if frame.data_ref().is_some_and(|data| !check.take(data)) {
                    return false;
                }
            }
        }
    }
}

/// The body with this number.
struct Reply {
    id: u64,
    offset: u64,
    size: u64,
    /// Where it breaks off.
    end: u64,
    /// Between pieces; then it has no length either.
    pause: Option<Pin<Box<Sleep>>>,
}

const PIECE: u64 = 16 * 1024;
const PAUSE: Duration = Duration::from_millis(20);

impl Reply {
    fn new(id: u64, size: u64) -> Self {
        Self {
            id,
            offset: 0,
            size,
            end: size,
            pause: None,
        }
    }

    fn dripping(id: u64, size: u64) -> Self {
        Self {
            pause: Some(Box::pin(sleep(PAUSE))),
            ..Self::new(id, size)
        }
    }

    fn cut(id: u64, size: u64) -> Self {
        Self {
            end: size / 2,
            ..Self::new(id, size)
        }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if self.offset == self.size {
            return Poll::Ready(None);
        }
        if self.offset == self.end {
            return Poll::Ready(Some(Err(std::io::ErrorKind::Other.into())));
        }
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = Some(Box::pin(sleep(PAUSE)));
        }
        let piece = bytes(self.id, self.offset, PIECE.min(self.end - self.offset));
        self.offset += piece.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.offset == self.size
    }

    fn size_hint(&self) -> SizeHint {
        if self.pause.is_some() {
            SizeHint::default()
        } else {
            SizeHint::with_exact(self.size - self.offset)
        }
    }
}
