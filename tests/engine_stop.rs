//! Stopping: nothing new, nothing lost, nobody waited for too long.

#[path = "support/engine.rs"]
mod engine;

use std::{
    net::TcpStream,
    sync::Arc,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use engine::{PATIENCE, Shim, Upstream, get, ok, until};
use rustix::process::Signal;

const MS: Duration = Duration::from_millis(1);

/// Answers when the gate opens; the head of a streamed answer comes at once.
fn gated() -> (Upstream, Arc<AtomicBool>) {
    let gate = Arc::new(AtomicBool::new(false));
    let opened = Arc::clone(&gate);
    let upstream = Upstream::start(move |mut end| {
        while let Some(request) = end.request() {
            let mut answer = ok(request.target());
            if request.target() == "/stream" {
                let rest = answer.split_off(answer.len().saturating_sub(3));
                let _ = end.try_send(answer);
                answer = rest;
            }
            while !opened.load(Ordering::SeqCst) && request.target() != "/quick" {
                thread::sleep(MS);
            }
            if end.try_send(answer).is_err() {
                return;
            }
        }
    });
    (upstream, gate)
}

#[test]
fn a_drain_closes_idle_connections_and_finishes_requests() {
    let (upstream, gate) = gated();
    let mut shim = Shim::start(&upstream, "drain_timeout = \"20s\"\n");
    let (mut fresh, mut kept) = (shim.connect(), shim.connect());
    kept.send(get("/quick"));
    kept.response();
    let (mut waiting, mut streaming, mut uploading) =
        (shim.connect(), shim.connect(), shim.connect());
    waiting.send(get("/wait"));
    streaming.send(get("/stream"));
    assert_eq!(streaming.head().unwrap().status(), 200);
    uploading.send("POST /quick HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nxx");
    until("all have arrived", || upstream.connections() == 3);
    shim.signal(Signal::TERM);
    for idle in [&mut fresh, &mut kept] {
        assert!(idle.is_closed_within(1000 * MS), "at once");
    }
    assert!(TcpStream::connect(&shim.addresses[0]).is_err(), "refused");
    assert!(waiting.is_silent_for(300 * MS), "still waiting");
    uploading.send("yy");
    let answer = uploading.response();
    assert_eq!(
        (answer.status(), answer.value("connection")),
        (200, Some("close"))
    );
    gate.store(true, Ordering::SeqCst);
    let answer = waiting.response();
    assert_eq!(
        (answer.text(), answer.value("connection")),
        ("/wait".into(), Some("close"))
    );
    assert!(waiting.is_closed_within(PATIENCE));
    assert_eq!(streaming.rest(), b"/stream");
    assert_eq!(shim.wait().code(), Some(0));
    let lines = shim.log(4);
    assert_eq!(lines.len(), 4);
    assert!(
        lines.iter().all(|line| line["ending"] == "complete"),
        "{lines:?}"
    );
}

#[test]
fn a_long_poll_that_outlasts_the_drain_is_told() {
    let (upstream, _gate) = gated();
    let mut shim = Shim::start(&upstream, "drain_timeout = \"600ms\"\n");
    let mut client = shim.connect();
    client.send(get("/sync?timeout=30000"));
    until("it has arrived", || upstream.requests().len() == 1);
    let began = Instant::now();
    shim.signal(Signal::TERM);
    let answer = client.response();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.errcode(), "M_UNKNOWN");
    assert_eq!(answer.value("retry-after"), Some("5"));
    assert!(client.is_closed_within(PATIENCE));
    assert_eq!(shim.wait().code(), Some(0));
    assert!(
        (500 * MS..2500 * MS).contains(&began.elapsed()),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(shim.log(1)[0]["status"], 503);
}

#[test]
fn a_second_signal_does_not_wait() {
    for signals in [[Signal::TERM, Signal::TERM], [Signal::INT, Signal::TERM]] {
        let (upstream, _gate) = gated();
        let mut shim = Shim::start(&upstream, "drain_timeout = \"30s\"\n");
        let mut client = shim.connect();
        client.send(get("/wait"));
        until("it has arrived", || upstream.requests().len() == 1);
        shim.signal(signals[0]);
        assert!(client.is_silent_for(200 * MS));
        let began = Instant::now();
        shim.signal(signals[1]);
        assert_eq!(client.response().status(), 503);
        assert_eq!(shim.wait().code(), Some(0));
        assert!(began.elapsed() < 1000 * MS, "{:?}", began.elapsed());
    }
}

#[test]
fn nothing_keeps_a_stopped_shim_alive() {
    let (upstream, _gate) = gated();
    let mut shim = Shim::start(&upstream, "drain_timeout = \"300ms\"\n");
    let (mut streaming, mut half_a_head, mut uploading) =
        (shim.connect(), shim.connect(), shim.connect());
    streaming.send(get("/stream"));
    assert_eq!(streaming.head().unwrap().status(), 200);
    half_a_head.send("GET / HT");
    uploading.send("POST /quick HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nxx");
    until("all have arrived", || upstream.connections() == 2);
    let began = Instant::now();
    shim.signal(Signal::TERM);
    assert_eq!(shim.wait().code(), Some(0));
    assert!(began.elapsed() < 3000 * MS, "{:?}", began.elapsed());
    assert_eq!(streaming.rest(), b"/str", "cut, not completed");
    // The half head is no request yet; the other two were ended by us.
    let lines = shim.log(2);
    assert!(
        lines.iter().all(|line| line["ending"] != "client_gone"),
        "{lines:?}"
    );
    let streamed = lines
        .iter()
        .find(|line| line["target"] == "/stream")
        .unwrap();
    assert_eq!(streamed["ending"], "drained");
}

#[test]
fn a_pipelined_request_is_not_left_behind() {
    let (upstream, gate) = gated();
    let mut shim = Shim::start(&upstream, "");
    let mut client = shim.connect();
    client.send(get("/one") + &get("/quick"));
    until("the first has arrived", || upstream.requests().len() == 1);
    shim.signal(Signal::TERM);
    assert!(client.is_silent_for(200 * MS));
    gate.store(true, Ordering::SeqCst);
    let answer = client.response();
    assert_eq!(
        (answer.status(), answer.value("connection")),
        (200, Some("close"))
    );
    assert!(
        client.is_closed_within(PATIENCE),
        "it knows that the second was not read"
    );
    assert_eq!(shim.wait().code(), Some(0));
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn what_had_arrived_before_the_stop_is_answered() {
    let upstream = Upstream::echo();
    let mut shim = Shim::start(&upstream, "drain_timeout = \"5s\"\n");
    let mut kept = shim.connect();
    kept.send(get("/first"));
    kept.response();
    // While the process stands still, the kernel takes connections and requests for it.
    shim.signal(Signal::STOP);
    let mut queued = shim.connect();
    queued.send(get("/queued"));
    kept.send(get("/kept"));
    shim.signal(Signal::TERM);
    shim.signal(Signal::CONT);
    for (client, target) in [(&mut queued, "/queued"), (&mut kept, "/kept")] {
        assert_eq!(client.response().status(), 200, "{target}");
    }
    assert!(shim.wait().success());
}
