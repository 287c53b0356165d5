//! Another protocol on the connection: only when asked for, and only behind a 101.

#![expect(
    clippy::unwrap_used,
    reason = "tests fail by panicking, and so do their helpers"
)]

#[path = "support/engine.rs"]
mod engine;

use std::{
    thread,
    time::{Duration, Instant},
};

use engine::{End, PATIENCE, Shim, Upstream, get, ok, until};
use rustix::process::Signal;

const MS: Duration = Duration::from_millis(1);

const ASKING: &str = "GET /socket HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: FAKE\r\n\r\n";

const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n";

/// Switches, says `hello`, and gives the connection to `script`.
fn switching(script: impl Fn(End) + Send + Sync + 'static) -> Upstream {
    Upstream::start(move |mut end| {
        let request = end.request().unwrap();
        assert_eq!(request.value("upgrade"), Some("websocket"));
        assert_eq!(request.value("connection"), Some("Upgrade"));
        assert_eq!(request.value("sec-websocket-key"), Some("FAKE"));
        end.send(format!("{SWITCHING}hello"));
        script(end);
    })
}

/// Repeats what comes until it ends, and ends too.
fn echo(mut end: End) {
    loop {
        let input = std::mem::take(&mut end.input);
        if end.try_send(input).is_err() || !matches!(end.fill(), Ok(1..)) {
            return;
        }
    }
}

#[track_caller]
fn switched(client: &mut End) {
    let answer = client.response();
    assert_eq!(answer.status(), 101);
    assert_eq!(answer.value("upgrade"), Some("websocket"));
    assert_eq!(answer.value("connection"), Some("Upgrade"));
    assert_eq!(answer.value("sec-websocket-accept"), Some("x"));
    assert_eq!(client.exactly(5), b"hello", "what came with the 101");
}

#[test]
fn bytes_pass_both_ways_behind_a_101() {
    let upstream = switching(echo);
    let shim = Shim::start(&upstream, "");
    let mut client = shim.connect();
    // The client does not wait: what it sends early is kept for the tunnel.
    client.send(format!("{ASKING}\0early\r\n\r\n"));
    switched(&mut client);
    assert_eq!(client.exactly(10), b"\0early\r\n\r\n");
    let all: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
    let mut sender = client.twin();
    let sent = all.clone();
    let sending = thread::spawn(move || sender.send(sent));
    assert!(client.exactly(all.len()) == all);
    sending.join().unwrap();
    drop(client);
    until("the upstream is released", || upstream.open() == 0);
    let line = &shim.log(1)[0];
    assert_eq!(
        (&line["status"], &line["bytes"]),
        (&101.into(), &3_000_015.into())
    );
}

#[test]
fn one_side_may_end_before_the_other() {
    let upstream = switching(|mut end| {
        assert_eq!(end.rest(), b"last words");
        thread::sleep(100 * MS);
        end.send("farewell");
    });
    let shim = Shim::start(&upstream, "");
    let mut client = shim.connect();
    client.send(ASKING);
    switched(&mut client);
    client.send("last words");
    client.finish();
    assert_eq!(client.rest(), b"farewell");

    let upstream = switching(|mut end| {
        end.finish();
        assert_eq!(end.rest(), b"still sending");
    });
    let shim = Shim::start(&upstream, "");
    let mut client = shim.connect();
    client.send(ASKING);
    switched(&mut client);
    assert!(client.is_closed_within(PATIENCE));
    client.send("still sending");
    client.finish();
    until("the upstream has it", || upstream.open() == 0);
}

#[test]
fn a_silent_tunnel_ends() {
    let upstream = switching(echo);
    let shim = Shim::start(&upstream, "[timeouts]\ntunnel = \"400ms\"\n");
    let mut client = shim.connect();
    client.send(ASKING);
    switched(&mut client);
    let began = Instant::now();
    for _ in 0..6 {
        thread::sleep(120 * MS);
        client.send("ping");
        assert_eq!(client.exactly(4), b"ping");
    }
    assert!(began.elapsed() > 600 * MS, "traffic keeps it");
    assert!(client.is_closed_within(3000 * MS));
    until("the upstream is released", || upstream.open() == 0);
}

#[test]
fn a_half_closed_tunnel_ends_too() {
    let upstream = switching(|mut end| {
        end.rest();
        assert!(end.is_closed_within(PATIENCE));
        thread::sleep(PATIENCE);
    });
    let shim = Shim::start(&upstream, "[timeouts]\ntunnel = \"400ms\"\n");
    let mut client = shim.connect();
    client.send(ASKING);
    switched(&mut client);
    client.finish();
    assert!(client.is_closed_within(3000 * MS));
}

#[test]
fn a_refused_change_leaves_http() {
    let upstream = Upstream::answer(|request| ok(request.target()));
    let shim = Shim::start(&upstream, "");
    let mut client = shim.connect();
    // What follows at once is HTTP, since nobody switched.
    client.send(ASKING.to_owned() + &get("/behind"));
    assert_eq!(client.response().text(), "/socket");
    assert_eq!(client.response().text(), "/behind");
    assert_eq!(upstream.requests().len(), 2);
    assert_eq!(upstream.requests()[1].value("upgrade"), None);
}

#[test]
fn who_did_not_ask_is_not_switched() {
    let asking = [
        ("not at all", get("/")),
        (
            "not nominated",
            get("/").replace("\r\n\r\n", "\r\nUpgrade: websocket\r\n\r\n"),
        ),
        (
            "nothing named",
            get("/").replace("\r\n\r\n", "\r\nConnection: Upgrade\r\n\r\n"),
        ),
        ("1.0", ASKING.replace("1.1", "1.0")),
        (
            "with a body",
            ASKING.replace("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\nhello"),
        ),
    ];
    for (name, request) in asking {
        let upstream = Upstream::start(move |mut end| {
            let request = end.request().unwrap();
            assert_eq!(request.value("upgrade"), None, "case: {name}");
            end.send(format!("{SWITCHING}hello"));
            assert_eq!(end.rest(), b"", "case: {name}");
        });
        let shim = Shim::start(&upstream, "");
        let mut client = shim.connect();
        client.send(request);
        let answer = client.response();
        assert_eq!(answer.status(), 502, "case: {name}");
        answer.errcode();
        until("the connection is closed", || upstream.open() == 0);
    }
}

#[test]
fn a_tunnel_lasts_as_long_as_the_drain() {
    let upstream = switching(echo);
    let mut shim = Shim::start(&upstream, "drain_timeout = \"500ms\"\n");
    let mut client = shim.connect();
    client.send(ASKING);
    switched(&mut client);
    let began = Instant::now();
    shim.signal(Signal::TERM);
    client.send("ping");
    assert_eq!(client.exactly(4), b"ping");
    assert!(client.is_closed_within(PATIENCE));
    assert_eq!(shim.wait().code(), Some(0));
    assert!((400 * MS..2500 * MS).contains(&began.elapsed()));
}
