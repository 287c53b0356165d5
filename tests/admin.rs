//! The administrator's listener, on real sockets.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

#[path = "metrics/format.rs"]
#[expect(dead_code, reason = "only read here, not looked into")]
mod format;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokenshim::{
    admin::{self, Admin, Door, Probe, Readiness},
    metrics::{ConnectFailure, Registry},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    time::timeout,
};

/// The longest wait for anything; who gets there has failed.
const PATIENCE: Duration = Duration::from_secs(20);

fn probe(outcome: Result<(), ConnectFailure>) -> Probe {
    Box::new(move || Box::pin(async move { outcome }))
}

/// Serves with this probe until the runtime ends.
async fn start(probe: Probe) -> (SocketAddr, Arc<Admin>) {
    let admin = Admin::new(Arc::new(Registry::new(1)), Readiness::new(probe));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(admin::serve(Door::Tcp(listener), Arc::clone(&admin)));
    (address, admin)
}

/// Everything that comes for these bytes until the other side closes.
async fn say(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8]) -> String {
    // A refused head may be answered before all of it is written.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "no end: {}", answer.escape_ascii());
    String::from_utf8(answer).unwrap()
}

async fn ask(address: SocketAddr, method: &str, target: &str) -> (String, String) {
    let stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    let answer = say(stream, request.as_bytes()).await;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no head: {answer}"));
    (head.to_ascii_lowercase(), body.into())
}

#[tokio::test]
async fn every_path_has_its_answer() {
    let (address, admin) = start(probe(Ok(()))).await;
    admin.readiness().serving();
    let cases = [
        ("alive", "GET", "/healthz", "200", Some("ok\n")),
        ("ready", "GET", "/readyz", "200", Some("ok\n")),
        (
            "a query is no part of it",
            "GET",
            "/healthz?x",
            "200",
            Some("ok\n"),
        ),
        ("no body", "HEAD", "/healthz", "200", Some("")),
        ("no body", "HEAD", "/metrics", "200", Some("")),
        ("another method", "POST", "/metrics", "405", None),
        ("another method", "OPTIONS", "/healthz", "405", None),
        ("another path", "GET", "/", "404", Some("not found\n")),
        ("another path, any method", "DELETE", "/x", "404", None),
        ("below", "GET", "/metrics/", "404", None),
        ("another spelling", "GET", "/%6detrics", "404", None),
    ];
    for (name, method, path, status, body) in cases {
        let (head, found) = ask(address, method, path).await;
        let line = head.lines().next().unwrap();
        assert!(
            line.starts_with(&format!("http/1.1 {status} ")),
            "{name}: {line}"
        );
        for field in [
            "\r\ncache-control: no-store",
            "\r\nx-content-type-options: nosniff",
            "\r\ncontent-type: text/plain; ",
        ] {
            assert!(head.contains(field), "{name}: {head}");
        }
        assert_eq!(
            head.contains("\r\nallow: get, head"),
            status == "405",
            "{name}"
        );
        if let Some(body) = body {
            assert_eq!(found, body, "case: {name}");
        }
    }
}

#[tokio::test]
async fn metrics_are_in_the_format() {
    let (address, _admin) = start(probe(Ok(()))).await;
    let (head, body) = ask(address, "GET", "/metrics").await;
    assert!(
        head.contains("\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8"),
        "{head}"
    );
    assert!(format::read(&body).len() > 20);
}

#[tokio::test]
async fn the_version_is_that_of_the_package() {
    let (address, _admin) = start(probe(Ok(()))).await;
    let (head, body) = ask(address, "GET", "/version").await;
    assert!(
        head.contains("\r\ncontent-type: application/json"),
        "{head}"
    );
    let version: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(version["name"], "tokenshim");
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn readiness_says_why_not() {
    let (address, admin) = start(probe(Err(ConnectFailure::Refused))).await;
    let expect = async |status: &str, body: &str| {
        let (head, found) = ask(address, "GET", "/readyz").await;
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{head}");
        assert_eq!(found, body);
        let (head, _) = ask(address, "GET", "/healthz").await;
        assert!(
            head.starts_with("http/1.1 200 "),
            "alive all the same: {head}"
        );
    };
    expect("503", "starting\n").await;
    admin.readiness().serving();
    expect("503", "upstream cannot be connected: refused\n").await;
    admin.readiness().draining();
    expect("503", "draining\n").await;
}

#[tokio::test]
async fn an_upstream_that_stays_silent_is_not_waited_for() {
    let (address, admin) = start(Box::new(|| Box::pin(std::future::pending()))).await;
    admin.readiness().serving();
    let (_, body) = ask(address, "GET", "/readyz").await;
    assert_eq!(body, "upstream cannot be connected: timeout\n");
}

#[tokio::test]
async fn many_questions_are_one_connection_upstream() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let probe: Probe = Box::new(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Ok(()) })
    });
    let (address, admin) = start(probe).await;
    admin.readiness().serving();
    let begun = Instant::now();
    for _ in 0..100 {
        ask(address, "GET", "/readyz").await;
    }
    let seconds = usize::try_from(begun.elapsed().as_secs()).unwrap();
    let asked = asked.load(Ordering::Relaxed);
    assert!((1..=seconds + 1).contains(&asked), "{asked} in {seconds} s");
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_request() {
    let (address, _admin) = start(probe(Ok(()))).await;
    let stream = TcpStream::connect(address).await.unwrap();
    let both = "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n\
                GET /nothing HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let answers = say(stream, both.as_bytes()).await;
    assert!(answers.starts_with("HTTP/1.1 200 "), "{answers}");
    assert!(answers.contains("ok\nHTTP/1.1 404 "), "{answers}");
}

#[tokio::test]
async fn who_says_nothing_more_is_hung_up_on() {
    let (address, _admin) = start(probe(Ok(()))).await;
    let connect = || async { TcpStream::connect(address).await.unwrap() };
    let begun = Instant::now();
    let (_, half, idle) = tokio::join!(
        async { say(connect().await, b"").await },
        async { say(connect().await, b"GET /healthz HTTP/1.1\r\n").await },
        async { say(connect().await, b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n").await },
    );
    assert!(begun.elapsed() < PATIENCE);
    assert!(!half.contains(" 200 "), "{half}");
    assert!(idle.ends_with("ok\n"), "{idle}");
}

#[tokio::test]
async fn a_huge_head_is_refused() {
    let (address, _admin) = start(probe(Ok(()))).await;
    let stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "GET /healthz HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n",
        "x".repeat(32 * 1024)
    );
    let answer = say(stream, head.as_bytes()).await;
    assert!(!answer.contains(" 200 "), "{answer}");
}

/// Connections that hold all places delay the next one, and end.
#[tokio::test]
async fn no_more_than_so_many_at_once() {
    let (address, _admin) = start(probe(Ok(()))).await;
    let mut held = Vec::new();
    for _ in 0..64 {
        held.push(TcpStream::connect(address).await.unwrap());
    }
    let mut waiting = TcpStream::connect(address).await.unwrap();
    waiting
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut byte = [0];
    let early = timeout(Duration::from_secs(1), waiting.read(&mut byte)).await;
    assert!(early.is_err(), "the 65th was served beside 64 others");
    drop(held);
    assert!(say(waiting, b"").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_unix_socket_does_as_well() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("admin.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let admin = Admin::new(Arc::new(Registry::new(1)), Readiness::new(probe(Ok(()))));
    tokio::spawn(admin::serve(Door::Unix(listener), admin));
    let stream = UnixStream::connect(&path).await.unwrap();
    let answer = say(
        stream,
        b"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert!(answer.ends_with("ok\n"), "{answer}");
}
