//! Each phase has its own limit, and no phase borrows another's.

#[path = "support/engine.rs"]
mod engine;

use std::{
    thread,
    time::{Duration, Instant},
};

use engine::{End, PATIENCE, Shim, Upstream, full_queue, get, ok, until};

const MS: Duration = Duration::from_millis(1);

#[test]
fn slow_heads_are_evicted() {
    let upstream = Upstream::echo();
    let shim = Shim::start(&upstream, "[timeouts]\nhead = \"600ms\"\n");
    let mut clients: Vec<End> = (0..50).map(|_| shim.connect()).collect();
    let began = Instant::now();
    // Progress buys no time: the limit is for the whole head.
    for byte in b"GET / HTTP/1.1".chunks(1) {
        for client in &mut clients {
            let _ = client.try_send(byte);
        }
        thread::sleep(30 * MS);
    }
    for client in &mut clients {
        let answer = client.response();
        assert_eq!(answer.status(), 408);
        assert_eq!(answer.errcode(), "M_UNKNOWN");
        assert!(client.is_closed_within(PATIENCE));
    }
    assert!(began.elapsed() >= 500 * MS && began.elapsed() < 4000 * MS);
    assert_eq!(upstream.connections(), 0);
    let lines = shim.log(50);
    assert!(lines.iter().all(|line| line["status"] == 408), "{lines:?}");
}

#[test]
fn idle_clients_are_closed() {
    let upstream = Upstream::echo();
    let shim = Shim::start(&upstream, "[timeouts]\nidle = \"400ms\"\n");
    let (mut fresh, mut kept) = (shim.connect(), shim.connect());
    kept.send(get("/"));
    assert_eq!(kept.response().status(), 200);
    let began = Instant::now();
    for client in [&mut fresh, &mut kept] {
        assert!(client.is_closed_within(3000 * MS), "without a byte");
    }
    assert!(began.elapsed() > 200 * MS);
    // Nobody asked, so there is nothing to log.
    assert_eq!(shim.log(1).len(), 1);
}

#[test]
fn empty_lines_are_no_requests_and_buy_no_time() {
    let upstream = Upstream::echo();
    let shim = Shim::start(&upstream, "[timeouts]\nidle = \"600ms\"\n");
    let mut client = shim.connect();
    let began = Instant::now();
    while client.is_silent_for(50 * MS) && client.try_send("\r\n").is_ok() {
        assert!(began.elapsed() < PATIENCE, "it goes on for ever");
    }
    assert!(began.elapsed() > 400 * MS);
}

#[test]
fn a_body_may_be_slow_but_not_stop() {
    let upstream = Upstream::echo();
    let shim = Shim::start(
        &upstream,
        "[timeouts]\nbody = \"500ms\"\n[limits]\nbody_rate = \"0\"\n",
    );
    let head = "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\n";
    let mut slow = shim.connect();
    slow.send(head);
    for _ in 0..8 {
        thread::sleep(120 * MS);
        slow.send("x");
    }
    assert_eq!(slow.response().text(), "POST /b 8");
    for (name, begin) in [
        ("sized", format!("{head}xx")),
        (
            "chunked",
            "POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nxx".into(),
        ),
        (
            "form",
            "POST /b HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\na=".into(),
        ),
    ] {
        let mut stalled = shim.connect();
        stalled.send(begin);
        let answer = stalled.response();
        assert_eq!(answer.status(), 408, "case: {name}");
        assert_eq!(answer.errcode(), "M_UNKNOWN");
        // Or the rest of the body, if it comes, would be read as a request.
        assert_eq!(answer.value("connection"), Some("close"), "case: {name}");
        assert!(stalled.is_closed_within(PATIENCE));
    }
    assert_eq!(upstream.requests().len(), 1, "none of them came whole");
}

#[test]
fn an_upload_is_not_the_upstreams_silence() {
    let upstream = Upstream::echo();
    let shim = Shim::start(&upstream, "[timeouts]\nresponse = \"500ms\"\n");
    let mut client = shim.connect();
    client.send("POST /u HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n");
    for _ in 0..10 {
        thread::sleep(120 * MS);
        client.send("x");
    }
    let answer = client.response();
    assert_eq!(answer.text(), "POST /u 10");
}

#[test]
fn a_client_that_reads_nothing_is_given_up() {
    let upstream = Upstream::answer(|_| ok(&"x".repeat(40_000_000)));
    let shim = Shim::start(&upstream, "[timeouts]\nsend = \"500ms\"\n");
    let mut client = shim.connect();
    client.send(get("/big"));
    until("the answer began", || upstream.open() == 1);
    until("the upstream is released", || upstream.open() == 0);
    let lines = shim.log(1);
    assert_eq!(lines[0]["ending"], "client_timeout");
    assert_eq!(lines[0]["status"], 200);
    assert!(client.rest().len() < 40_000_000, "cut");
}

#[test]
fn a_silent_upstream_is_given_up() {
    let upstream = Upstream::start(|mut end| {
        if end.request().is_some() {
            end.request();
        }
    });
    let shim = Shim::start(&upstream, "[timeouts]\nresponse = \"400ms\"\n");
    let mut client = shim.connect();
    let began = Instant::now();
    client.send(get("/silent"));
    let answer = client.response();
    assert_eq!(answer.status(), 504);
    assert_eq!(answer.errcode(), "M_UNKNOWN");
    assert!((300 * MS..3000 * MS).contains(&began.elapsed()));
    until("its connection is closed", || upstream.open() == 0);
}

#[test]
fn a_long_poll_says_how_long_it_waits() {
    let upstream = Upstream::answer(|_| {
        thread::sleep(900 * MS);
        ok("patience")
    });
    let shim = Shim::start(&upstream, "[timeouts]\nresponse = \"300ms\"\n");
    let mut client = shim.connect();
    client.send(get("/sync?since=s1&timeout=2000&x=1"));
    assert_eq!(client.response().text(), "patience");
    let mut client = shim.connect();
    client.send(get("/sync?since=s1&timeouts=2000"));
    assert_eq!(client.response().status(), 504);
}

#[test]
fn an_answer_that_stops_is_cut_and_not_finished() {
    let upstream = Upstream::start(|mut end| {
        end.request();
        let _ = end.try_send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
        end.request();
    });
    let shim = Shim::start(&upstream, "[timeouts]\nresponse = \"400ms\"\n");
    let mut client = shim.connect();
    client.send(get("/"));
    let got = String::from_utf8(client.rest()).unwrap();
    assert!(got.ends_with("abc\r\n"), "no last chunk: {got:?}");
    let lines = shim.log(1);
    assert_eq!(lines[0]["ending"], "upstream_timeout");
}

#[test]
fn connecting_has_a_limit() {
    let (listener, _queued) = full_queue();
    let address = listener.local_addr().unwrap();
    let config = "[timeouts]\nconnect = \"300ms\"\n";
    let shim = Shim::start_with(&format!("http://{address}"), config, None);
    let mut client = shim.connect();
    let began = Instant::now();
    client.send(get("/"));
    assert_eq!(client.response().status(), 504);
    assert!((200 * MS..3000 * MS).contains(&began.elapsed()));
}

#[test]
fn a_refused_connection_is_an_answer_at_once() {
    let address = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let shim = Shim::start_with(&format!("http://{address}"), "", None);
    let mut client = shim.connect();
    client.send(get("/"));
    let answer = client.response();
    assert_eq!(answer.status(), 502);
    assert_eq!(answer.value("retry-after"), Some("5"));
    // The connection goes on: the next request may find the upstream.
    client.send(get("/"));
    assert_eq!(client.response().status(), 502);
}
