//! A client that leaves is not worked for any longer, and leaves a line.

#[path = "support/edge.rs"]
mod edge;
#[path = "support/engine.rs"]
mod engine;

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::Arc,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use edge::{Authority, tls_client};
use engine::{End, Shim, Upstream, full_queue, get, ok, until, with_body};
use rustix::process::Signal;

/// How soon the upstream has to learn of it.
const SOON: Duration = Duration::from_secs(1);

/// Answers `/stream` without an end, everything else never.
fn unhurried() -> Upstream {
    Upstream::start(|mut end| {
        let Some(request) = end.request_head() else {
            return;
        };
        if request.target() == "/stream" {
            let _ =
                end.try_send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
        }
        while matches!(end.fill(), Ok(1..)) {}
        assert!(!end.input.ends_with(b"0\r\n\r\n"), "a cut body looks whole");
    })
}

#[track_caller]
fn upstream_learns(upstream: &Upstream, began: Instant) {
    until("the upstream is released", || upstream.open() == 0);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[test]
fn the_upstream_learns_of_it_at_once() {
    let cases: [(&str, String, u16, u64); 6] = [
        ("waiting for the answer", get("/wait"), 499, 0),
        (
            "sized body half sent",
            with_body("POST", "/b", "hello").replace("hello", "he"),
            499,
            0,
        ),
        (
            "chunked body half sent",
            "POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe".into(),
            499,
            0,
        ),
        (
            "waiting to continue",
            "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
                .into(),
            499,
            0,
        ),
        ("answer half received", get("/stream"), 200, 4),
        (
            "the next request sent already",
            get("/wait") + &get("/next"),
            499,
            0,
        ),
    ];
    thread::scope(|scope| {
        for (name, request, status, bytes) in &cases {
            for is_half_closed in [false, true] {
                scope.spawn(move || {
                    let line = leave(request, *status, is_half_closed);
                    assert_eq!(line["status"], *status, "case: {name}");
                    assert_eq!(line["ending"], "client_gone", "case: {name}");
                    assert_eq!(line["bytes"], *bytes, "case: {name}");
                });
            }
        }
    });
}

/// Sends `request`, leaves once the upstream is busy with it, and returns the line.
fn leave(request: &str, status: u16, is_half_closed: bool) -> serde_json::Value {
    let upstream = unhurried();
    let shim = Shim::start(&upstream, "");
    let mut client = shim.connect();
    client.send(request);
    until("the upstream has it", || upstream.open() == 1);
    if status == 200 {
        until("the answer began", || {
            client.fill().is_ok() && client.input.ends_with(b"half\r\n")
        });
    }
    let began = Instant::now();
    // For HTTP half an end is the same as leaving; only a tunnel knows it.
    client.finish();
    if !is_half_closed {
        drop(client);
    }
    upstream_learns(&upstream, began);
    let mut lines = shim.log(1);
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines.remove(0)
}

#[test]
fn a_reset_is_leaving_too() {
    let upstream = Upstream::answer(|_| ok(&"x".repeat(40_000_000)));
    let shim = Shim::start(&upstream, "");
    let mut client = shim.connect();
    client.send(get("/big"));
    client.exactly(100_000);
    let began = Instant::now();
    // Unread data makes it a reset.
    drop(client);
    upstream_learns(&upstream, began);
    let lines = shim.log(1);
    assert_eq!(
        (&lines[0]["status"], &lines[0]["ending"]),
        (&200.into(), &"client_gone".into())
    );
}

/// What waits behind the request fills the buffer, so the end cannot be read.
#[test]
fn who_sent_more_than_there_is_room_for_may_leave_too() {
    let (authority, directory) = (Authority::new("edge"), tempfile::tempdir().unwrap());
    let pair = authority.issue("hs.example").section(directory.path());
    let listeners = format!("{pair}[[listen]]\naddress = \"127.0.0.1:0\"\ntls = ");
    let cases = [
        ("by an end", false, false),
        ("by a reset", false, true),
        ("by an end below TLS", true, false),
        ("by a reset below TLS", true, true),
    ];
    for (name, is_tls, is_reset) in cases {
        let upstream = unhurried();
        let shim = Shim::start(&upstream, &format!("{listeners}{is_tls}\n"));
        let socket = TcpStream::connect(&shim.addresses[0]).unwrap();
        let below = socket.try_clone().unwrap();
        let mut client = if is_tls {
            tls_client(socket, &authority, "hs.example", &["http/1.1"])
        } else {
            End::from_tcp(socket)
        };
        let next = format!("GET /next HTTP/1.1\r\nHost: {}", "x".repeat(40_000));
        client.send(get("/wait?timeout=4294967295") + &next);
        until("the upstream has it", || upstream.open() == 1);
        if is_reset {
            rustix::net::sockopt::set_socket_linger(&below, Some(Duration::ZERO)).unwrap();
        }
        drop((client, below));
        until("the upstream is released", || upstream.open() == 0);
        let line = &shim.log(1)[0];
        assert_eq!(line["ending"], "client_gone", "case: {name}");
    }
}

/// Closing upon bytes that nobody read would reset the connection, and the answer with it.
#[test]
fn what_comes_with_the_answer_does_not_reset_it() {
    let cases = [
        ("asked for", "1.1", "Connection: close\r\n"),
        (
            "no other end of the body",
            "1.0",
            "Connection: keep-alive\r\n",
        ),
    ];
    for (name, version, field) in cases {
        let is_open = Arc::new(AtomicBool::new(false));
        let (gate, sent) = (Arc::clone(&is_open), Arc::new(AtomicBool::new(false)));
        let done = Arc::clone(&sent);
        let upstream = Upstream::start(move |mut end| {
            while end.request().is_some() {
                until("the gate opens", || gate.load(Ordering::SeqCst));
                end.send(
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
                );
                done.store(true, Ordering::SeqCst);
            }
        });
        let shim = Shim::start(&upstream, "");
        let mut client = TcpStream::connect(&shim.addresses[0]).unwrap();
        let request = format!("GET / HTTP/{version}\r\nHost: h\r\n{field}\r\n");
        client.write_all(request.as_bytes()).unwrap();
        until("the upstream has it", || upstream.requests().len() == 1);
        // It wakes up to both at once.
        shim.halt();
        client.write_all(get("/next").as_bytes()).unwrap();
        is_open.store(true, Ordering::SeqCst);
        until("it is answered", || sent.load(Ordering::SeqCst));
        shim.signal(Signal::CONT);
        let mut answer = Vec::new();
        let end = client.read_to_end(&mut answer);
        assert!(end.is_ok(), "case: {name}: {end:?}");
        let body = answer.windows(4).filter(|part| part == b"body").count();
        assert_eq!(body, 1, "case: {name}");
    }
}

#[test]
fn who_leaves_before_the_upstream_is_asked_leaves_a_line() {
    let upstream = Upstream::echo();
    let shim = Shim::start(&upstream, "");
    let begins = [
        "GET /half HT",
        "GET /half HTTP/1.1\r\nHost: h\r\n",
        "POST /half HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\na=",
    ];
    for (count, begin) in begins.into_iter().enumerate() {
        let mut client = shim.connect();
        client.send(begin);
        drop(client);
        let lines = shim.log(count + 1);
        assert_eq!(lines[count]["status"], 499, "{begin}");
        assert_eq!(lines[count]["ending"], "client_gone", "{begin}");
    }
    // A connection without a byte is a probe and no request.
    drop(shim.connect());
    let mut client = shim.connect();
    client.send(get("/next"));
    client.response();
    assert_eq!(shim.log(begins.len() + 1).len(), begins.len() + 1);
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn a_request_is_not_sent_for_a_client_that_left() {
    let (listener, queued) = full_queue();
    let address = listener.local_addr().unwrap();
    let shim = Shim::start_with(&format!("http://{address}"), "", None);
    let mut client = shim.connect();
    client.send(with_body("POST", "/charge", "once"));
    thread::sleep(Duration::from_millis(100));
    drop(client);
    let began = Instant::now();
    assert_eq!(shim.log(1)[0]["status"], 499);
    assert!(began.elapsed() < 2 * SOON, "{:?}", began.elapsed());
    drop(queued);
    // Whoever is accepted from here on has nothing to say.
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut end = End::from_tcp(stream.unwrap());
            end.limit(Duration::from_secs(3));
            if end.request_head().is_some() {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    thread::sleep(Duration::from_millis(1500));
    assert_eq!(requests.load(Ordering::SeqCst), 0);
}

#[test]
fn descriptors_come_back() {
    let upstream = unhurried();
    let shim = Shim::start(&upstream, "");
    // The least of several looks: starting up opens a file for a moment.
    let looks = (0..10).map(|_| {
        thread::sleep(Duration::from_millis(10));
        shim.descriptors()
    });
    let before = looks.min().unwrap();
    let mut clients: Vec<End> = (0..100).map(|_| shim.connect()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(match number % 4 {
            0 => get("/wait"),
            1 => get("/stream"),
            2 => with_body("POST", "/b", "hello").replace("hello", "he"),
            _ => "GET / HT".into(),
        });
    }
    until("they are served", || upstream.open() == 75);
    until("all are accepted", || shim.descriptors() >= before + 175);
    drop(clients);
    until("all are closed", || shim.descriptors() <= before);
    assert_eq!(shim.log(100).len(), 100);
}
