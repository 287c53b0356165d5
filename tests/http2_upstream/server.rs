//! An upstream by TLS that speaks HTTP/2, or HTTP/1.1 where that was agreed on.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, server::SendResponse};
use http::{HeaderMap, Request, Response};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::tls::{Authority, Files};

/// How a server is different from the usual one.
#[derive(Clone, Copy)]
pub struct Options {
    /// What is agreed to, by ALPN.
    pub protocols: &'static [&'static [u8]],
    pub streams: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            protocols: &[b"h2", b"http/1.1"],
            streams: 100,
        }
    }
}

/// What a server saw of a request.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Which connection it came by.
    pub connection: usize,
    pub protocol: &'static str,
    /// The first line of HTTP/1.1, or what is it in HTTP/2.
    pub line: String,
    pub fields: HeaderMap,
}

#[derive(Default)]
pub struct Diary {
    pub requests: Vec<Seen>,
    /// Connections that have ended.
    pub ended: usize,
    pub connections: usize,
    /// Why streams were reset by the client.
    pub resets: Vec<Reason>,
    /// Bytes of bodies that were taken.
    pub received: usize,
}

type Shared = Arc<Mutex<Diary>>;

pub struct Server {
    pub address: SocketAddr,
    pub ca_file: PathBuf,
    diary: Shared,
    go_away: Arc<Notify>,
    _files: Files,
}

impl Server {
    pub fn start(options: Options) -> Self {
        let (authority, files) = (Authority::new("root"), Files::new());
        let pair = authority.issue(&["localhost", "127.0.0.1"]);
        let chain = CertificateDer::pem_slice_iter(pair.chain.as_bytes()).map(Result::unwrap);
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain.collect(), key)
            .unwrap();
        config.alpn_protocols = options.protocols.iter().map(|name| name.to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (diary, go_away) = (Shared::default(), Arc::<Notify>::default());
        let (noting, told) = (Arc::clone(&diary), Arc::clone(&go_away));
        let (bound, address) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                bound.send(listener.local_addr().unwrap()).unwrap();
                loop {
                    let (socket, _) = listener.accept().await.unwrap();
                    let serving = serve(
                        socket,
                        acceptor.clone(),
                        options,
                        Arc::clone(&noting),
                        Arc::clone(&told),
                    );
                    tokio::spawn(serving);
                }
            });
        });
        Self {
            address: address.recv().unwrap(),
            ca_file: files.write("ca.pem", &authority.pem),
            diary,
            go_away,
            _files: files,
        }
    }

    /// For `upstream`.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    pub fn diary<T>(&self, read: impl FnOnce(&Diary) -> T) -> T {
        read(&self.diary.lock().unwrap())
    }

    pub fn requests(&self) -> Vec<Seen> {
        self.diary(|diary| diary.requests.clone())
    }

    /// Tells every client to send its next request by another connection.
    pub fn go_away(&self) {
        self.go_away.notify_waiters();
    }
}

async fn serve(
    socket: TcpStream,
    acceptor: TlsAcceptor,
    options: Options,
    diary: Shared,
    go_away: Arc<Notify>,
) {
    socket.set_nodelay(true).unwrap();
    let Ok(stream) = acceptor.accept(socket).await else {
        return;
    };
    let number = {
        let mut diary = diary.lock().unwrap();
        diary.connections += 1;
        diary.connections
    };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        serve_http2(stream, options, number, &diary, &go_away).await;
    } else {
        serve_http1(stream, number, &diary).await;
    }
    diary.lock().unwrap().ended += 1;
}

/// Upgrades who asks for it, and repeats what comes then; tells others their line.
async fn serve_http1(mut stream: TlsStream<TcpStream>, connection: usize, diary: &Shared) {
    let mut input = Vec::new();
    while stream
        .read_buf(&mut input)
        .await
        .is_ok_and(|count| count > 0)
    {
        let Some(end) = tokenshim::http1::head::end(&input, 0) else {
            continue;
        };
        let head = String::from_utf8_lossy(&input[..end]).into_owned();
        input.drain(..end);
        let line = head.lines().next().unwrap().to_owned();
        diary.lock().unwrap().requests.push(Seen {
            connection,
            protocol: "http/1.1",
            line: line.clone(),
            fields: HeaderMap::new(),
        });
        if head.to_ascii_lowercase().contains("upgrade: websocket") {
            let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                          Upgrade: websocket\r\n\r\n";
            stream.write_all(switch.as_bytes()).await.unwrap();
            let (mut reader, mut writer) = tokio::io::split(stream);
            let _ = tokio::io::copy(&mut reader, &mut writer).await;
            return;
        }
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{line}",
            line.len()
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
    }
}

async fn serve_http2(
    stream: TlsStream<TcpStream>,
    options: Options,
    number: usize,
    diary: &Shared,
    go_away: &Notify,
) {
    let handshake = h2::server::Builder::new()
        .max_concurrent_streams(options.streams)
        .initial_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .max_pending_accept_reset_streams(1000)
        .handshake(stream);
    let Ok(mut connection) = handshake.await else {
        return;
    };
    let mut is_leaving = false;
    loop {
        let accepted = tokio::select! {
            accepted = connection.accept() => accepted,
            () = go_away.notified(), if !is_leaving => {
                is_leaving = true;
                connection.graceful_shutdown();
                continue;
            }
        };
        let Some(Ok((request, respond))) = accepted else {
            return;
        };
        let line = format!("{} {}", request.method(), path(&request));
        let earlier = {
            let mut diary = diary.lock().unwrap();
            let earlier = (diary.requests.iter())
                .filter(|seen| seen.line == line)
                .count();
            diary.requests.push(Seen {
                connection: number,
                protocol: "h2",
                line,
                fields: request.headers().clone(),
            });
            earlier
        };
        let diary = Arc::clone(diary);
        tokio::spawn(async move {
            // A stream that was reset has been noted.
            let _ = answer(request, respond, earlier, diary).await;
        });
    }
}

#[expect(clippy::disallowed_methods, reason = "an upstream sees no token in it")]
fn path(request: &Request<RecvStream>) -> String {
    request.uri().path_and_query().unwrap().to_string()
}

#[expect(clippy::disallowed_methods, reason = "an upstream sees no token in it")]
fn authority(request: &Request<RecvStream>) -> String {
    request.uri().authority().unwrap().to_string()
}

/// What the path asks for; `earlier` requests were the same.
async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    earlier: usize,
    diary: Shared,
) -> Result<(), h2::Error> {
    let response = || Response::builder().status(200).header("x-kind", "test");
    let path = path(&request);
    match path.as_str() {
        "/echo" => {
            let begin = format!("{} {}\n", request.method(), authority(&request));
            let (body, trailers) = read(request.into_body(), &diary).await?;
            let sum = trailers.and_then(|map| map.get("x-sum").cloned());
            let text = format!("{begin}{}\n{sum:?}", String::from_utf8_lossy(&body));
            let mut send = respond.send_response(response().body(()).unwrap(), false)?;
            send.send_data(text.into(), true)
        }
        "/fields-alone" => respond
            .send_response(response().body(()).unwrap(), true)
            .map(drop),
        "/no-content" | "/not-modified" => {
            let status = if path == "/no-content" { 204 } else { 304 };
            let answer = response().status(status).body(()).unwrap();
            respond.send_response(answer, true).map(drop)
        }
        "/sized" => {
            let head = response().header("content-length", 5).body(()).unwrap();
            let mut send = respond.send_response(head, false)?;
            send.send_data("hello".into(), false)?;
            tokio::task::yield_now().await;
            send.send_data(Bytes::new(), true)
        }
        "/trailers" => {
            let mut send = respond.send_response(response().body(()).unwrap(), false)?;
            send.send_data("he".into(), false)?;
            tokio::task::yield_now().await;
            send.send_data("llo".into(), false)?;
            let mut trailers = HeaderMap::new();
            trailers.insert("x-sum", "5".parse().unwrap());
            send.send_trailers(trailers)
        }
        "/hints" => {
            let hints = Response::builder().status(103).header("link", "</a>");
            respond.send_informational(hints.body(()).unwrap())?;
            respond
                .send_response(response().body(()).unwrap(), true)
                .map(drop)
        }
        "/continue" => {
            let go_on = Response::builder().status(100).body(()).unwrap();
            respond.send_informational(go_on)?;
            let (body, _) = read(request.into_body(), &diary).await?;
            let mut send = respond.send_response(response().body(()).unwrap(), false)?;
            send.send_data(body.into(), true)
        }
        // Before the body has come, which nobody reads.
        "/early" => {
            let head = response().status(401).header("content-length", 2);
            let mut send = respond.send_response(head.body(()).unwrap(), false)?;
            send.send_data("no".into(), true)
        }
        "/refuse" => {
            respond.send_reset(Reason::REFUSED_STREAM);
            Ok(())
        }
        "/refuse-once" if earlier == 0 => {
            respond.send_reset(Reason::REFUSED_STREAM);
            Ok(())
        }
        "/fail-behind-body" => {
            read(request.into_body(), &diary).await?;
            respond.send_reset(Reason::INTERNAL_ERROR);
            Ok(())
        }
        "/fail-in-body" => {
            let mut send = respond.send_response(response().body(()).unwrap(), false)?;
            send.send_data("half".into(), false)?;
            send.reserve_capacity(1);
            std::future::poll_fn(|cx| send.poll_capacity(cx)).await;
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            send.send_reset(Reason::INTERNAL_ERROR);
            Ok(())
        }
        "/flood" => {
            let head = response().header("content-length", FLOOD);
            let mut send = respond.send_response(head.body(()).unwrap(), false)?;
            flood(&mut send).await
        }
        // A long poll: until the client leaves.
        path if path.starts_with("/wait") => {
            let reason = std::future::poll_fn(|cx| respond.poll_reset(cx)).await?;
            diary.lock().unwrap().resets.push(reason);
            Ok(())
        }
        _ => {
            let mut send = respond.send_response(response().body(()).unwrap(), false)?;
            send.send_data(path.into(), true)
        }
    }
}

pub const FLOOD: usize = 100_000_000;

async fn flood(send: &mut SendStream<Bytes>) -> Result<(), h2::Error> {
    let block = Bytes::from(vec![b'x'; 1 << 16]);
    let mut left = FLOOD;
    while left > 0 {
        send.reserve_capacity(left.min(block.len()));
        let Some(room) = std::future::poll_fn(|cx| send.poll_capacity(cx)).await else {
            return Ok(());
        };
        let count = room?.min(left).min(block.len());
        left -= count;
        send.send_data(block.slice(..count), left == 0)?;
    }
    Ok(())
}

async fn read(
    mut body: RecvStream,
    diary: &Shared,
) -> Result<(Vec<u8>, Option<HeaderMap>), h2::Error> {
    let mut all = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        diary.lock().unwrap().received += data.len();
        // What is large is only counted.
        if all.len() < 1 << 16 {
            all.extend_from_slice(&data);
        }
    }
    Ok((all, body.trailers().await?))
}
