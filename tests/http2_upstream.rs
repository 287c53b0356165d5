//! HTTP/2 to an upstream, from the client's socket to the upstream's.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    unreachable_pub,
    reason = "tests fail by panicking, and so do their helpers"
)]

#[path = "support/engine.rs"]
mod engine;
#[path = "http2_upstream/server.rs"]
mod server;
mod tls;

use std::time::Duration;

use engine::{End, Shim, get, until, with_body};
use h2::Reason;
use server::{FLOOD, Options, Server};

/// The shim before `server`; `config` may have sections.
fn shim(server: &Server, config: &str) -> Shim {
    let config = format!(
        "{config}\n[upstream_tls]\nhttp2 = true\nca_file = \"{}\"\n",
        server.ca_file.display()
    );
    Shim::start_with(&server.url(), &config, None)
}

#[test]
fn answers_arrive_as_by_http1() {
    type Case<'a> = (&'a str, &'a str, &'a str, u16, &'a str, Option<&'a str>);
    let server = Server::start(Options::default());
    let shim = shim(&server, "");
    let cases: [Case<'_>; 8] = [
        ("chunks", "GET", "/plain", 200, "/plain", None),
        ("length", "GET", "/sized", 200, "hello", None),
        ("trailers", "GET", "/trailers", 200, "hello", Some("5")),
        ("fields alone", "GET", "/fields-alone", 200, "", None),
        ("no content", "GET", "/no-content", 204, "", None),
        ("not modified", "GET", "/not-modified", 304, "", None),
        ("to HEAD", "HEAD", "/sized", 200, "", None),
        ("to HEAD, no length", "HEAD", "/fields-alone", 200, "", None),
    ];
    let mut client = shim.connect();
    for (name, method, path, status, body, trailer) in cases {
        client.send(format!(
            "{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: TE\r\nTE: trailers\r\n\r\n"
        ));
        let answer = client.response_to(method == "HEAD");
        assert_eq!(
            (answer.status(), answer.text().as_str()),
            (status, body),
            "{name}"
        );
        assert_eq!(answer.value("x-kind"), Some("test"), "case: {name}");
        let found = answer.trailers.first().map(|(_, value)| value.as_str());
        assert_eq!(found, trailer, "case: {name}");
    }
    client.send(get("/hints"));
    let hints = client.head().unwrap();
    assert_eq!((hints.status(), hints.value("link")), (103, Some("</a>")));
    assert_eq!(client.response().status(), 200);
    // Nothing was cancelled, and nothing needed another connection.
    assert_eq!(server.diary(|diary| diary.connections), 1);
    assert!(server.requests().iter().all(|seen| seen.protocol == "h2"));
}

#[test]
fn requests_arrive_as_by_http1() {
    let server = Server::start(Options::default());
    let shim = shim(&server, "");
    let mut client = shim.connect();
    let cases = [
        ("GET", "", "", "", None),
        ("POST", "Content-Length: 3", "abc", "abc", None),
        ("POST", "Content-Length: 0", "", "", None),
        (
            "PUT",
            "Transfer-Encoding: chunked",
            "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
            "abcde",
            None,
        ),
        (
            "PUT",
            "Transfer-Encoding: chunked\r\nTrailer: x-sum",
            "1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n",
            "a",
            Some("1"),
        ),
    ];
    for (method, fields, body, seen, trailer) in cases {
        let end = if fields.is_empty() { "" } else { "\r\n" };
        client.send(format!(
            "{method} /echo HTTP/1.1\r\nHost: H.example:8\r\nX-One: 1\r\n\
             Connection: x-two\r\nX-Two: 2\r\n{fields}{end}\r\n{body}"
        ));
        let answer = client.response();
        let expected = format!("{method} H.example:8\n{seen}\n{trailer:?}");
        assert_eq!(answer.text(), expected, "{method} {fields}");
    }
    for seen in server.requests() {
        let names: Vec<&str> = seen.fields.keys().map(http::HeaderName::as_str).collect();
        assert!(names.contains(&"x-one"), "{names:?}");
        for unwanted in ["x-two", "host", "connection", "transfer-encoding"] {
            assert!(!names.contains(&unwanted), "{unwanted} in {names:?}");
        }
    }
    client.send(
        "POST /continue HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
    );
    assert_eq!(client.head().unwrap().status(), 100);
    client.send("ok");
    assert_eq!(client.response().text(), "ok");
    assert_eq!(server.diary(|diary| diary.connections), 1);
}

#[test]
fn requests_share_a_connection_as_far_as_the_upstream_allows() {
    let cases = [(100, 20, 1), (4, 10, 3)];
    for (streams, requests, connections) in cases {
        let server = Server::start(Options {
            streams,
            ..Options::default()
        });
        let shim = shim(&server, "");
        let mut clients: Vec<End> = (0..requests).map(|_| shim.connect()).collect();
        for (number, client) in clients.iter_mut().enumerate() {
            client.send(get(&format!("/wait/{number}")));
        }
        until("all wait", || server.requests().len() == requests);
        assert_eq!(
            server.diary(|diary| diary.connections),
            connections,
            "{streams} streams, {requests} requests"
        );
        drop(clients);
        until("all are cancelled", || {
            server.diary(|diary| diary.resets.len()) == requests
        });
        assert!(server.diary(|diary| diary.resets.iter().all(|reason| *reason == Reason::CANCEL)));
        let mut client = shim.connect();
        client.send(get("/plain"));
        assert_eq!(client.response().status(), 200);
        assert_eq!(
            server.diary(|diary| diary.connections),
            connections,
            "they live on"
        );
    }
}

#[test]
fn only_what_was_not_processed_is_sent_again() {
    let server = Server::start(Options::default());
    let shim = shim(&server, "");
    let cases = [
        ("refused once", "POST", "/refuse-once", 200, 2),
        ("refused always", "POST", "/refuse", 502, 2),
        ("refused always, safe", "GET", "/refuse", 502, 2),
        ("taken, then reset", "POST", "/fail-behind-body", 502, 1),
        (
            "taken, then reset, safe",
            "GET",
            "/fail-behind-body",
            502,
            1,
        ),
    ];
    for (name, method, path, status, attempts) in cases {
        let mut client = shim.connect();
        // So that it goes by a connection that was used.
        client.send(get("/plain"));
        assert_eq!(client.response().status(), 200, "case: {name}");
        client.send(with_body(method, path, "body"));
        assert_eq!(client.response().status(), status, "case: {name}");
        let line = format!("{method} {path}");
        let requests = server.requests();
        let seen = requests.iter().filter(|seen| seen.line == line).count();
        assert_eq!(seen, attempts, "case: {name}");
    }
}

#[test]
fn half_an_answer_is_not_passed_on_as_a_whole() {
    let server = Server::start(Options::default());
    let shim = shim(&server, "");
    let mut client = shim.connect();
    client.send(get("/fail-in-body"));
    let mut answer = client.head().unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(client.body(&mut answer, true), None, "{answer:?}");
    assert_eq!(answer.text(), "half");
}

#[test]
fn an_answer_may_come_before_the_body() {
    let server = Server::start(Options::default());
    let shim = shim(&server, "");
    let mut client = shim.connect();
    client.send("POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 10000000\r\n\r\nbegin");
    let answer = client.response();
    assert_eq!((answer.status(), answer.text().as_str()), (401, "no"));
    let mut other = shim.connect();
    other.send(get("/plain"));
    assert_eq!(other.response().status(), 200);
    assert_eq!(server.diary(|diary| diary.connections), 1);
}

#[test]
fn a_goaway_moves_the_next_request() {
    let server = Server::start(Options::default());
    let shim = shim(&server, "");
    let mut waiting = shim.connect();
    waiting.send(get("/wait"));
    until("it waits", || server.requests().len() == 1);
    server.go_away();
    // The upstream says it in two steps, with a PING between them.
    let mut client = shim.connect();
    until("requests go elsewhere", || {
        client.send(get("/plain"));
        assert_eq!(client.response().status(), 200);
        server.requests().last().unwrap().connection == 2
    });
    assert!(
        waiting.is_silent_for(Duration::from_millis(50)),
        "it waits on"
    );
    drop(waiting);
    until("the first one closes", || {
        server.diary(|diary| diary.ended) == 1
    });
}

#[test]
fn idle_connections_are_closed() {
    let server = Server::start(Options::default());
    let shim = shim(&server, "[timeouts]\nupstream_idle = \"200ms\"\n");
    let mut waiting = shim.connect();
    waiting.send(get("/wait"));
    until("it waits", || server.requests().len() == 1);
    // Waiting is not being idle.
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(server.diary(|diary| diary.ended), 0);
    drop(waiting);
    until("it closes", || server.diary(|diary| diary.ended) == 1);
}

#[test]
fn large_bodies_take_little_memory() {
    let server = Server::start(Options::default());
    let shim = shim(&server, "");
    // Slow readers, which must not hold up anybody.
    let mut slow: Vec<End> = (0..40).map(|_| shim.connect()).collect();
    for client in &mut slow {
        client.send(get("/flood"));
    }
    until("they are served", || server.requests().len() == slow.len());
    let mut client = shim.connect();
    client.limit(Duration::from_secs(60));
    client.send(get("/flood"));
    let answer = client.head().unwrap();
    assert_eq!(answer.value("content-length"), Some("100000000"));
    assert_eq!(client.exactly(FLOOD).len(), FLOOD);
    let mut uploading = shim.connect();
    uploading.limit(Duration::from_secs(60));
    uploading.send(format!(
        "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: {FLOOD}\r\n\r\n"
    ));
    let block = vec![b'y'; 1_000_000];
    for _ in 0..FLOOD / block.len() {
        uploading.send(&block);
    }
    assert_eq!(uploading.response().status(), 200);
    assert_eq!(server.diary(|diary| diary.received), FLOOD);
    let peak = shim.kib("VmHWM:");
    println!("peak: {peak} KiB");
    assert!(peak < 40 * 1024, "{peak} KiB");
    assert_eq!(server.diary(|diary| diary.connections), 1);
}

#[test]
fn what_http2_cannot_carry_goes_by_http1() {
    let server = Server::start(Options::default());
    let shim = shim(&server, "");
    let mut client = shim.connect();
    client.send(get("/plain"));
    assert_eq!(client.response().text(), "/plain");
    // Signed bytes, which nobody may change.
    let raw = "/_matrix/federation/v1/query/directory?room_alias=\"<#a>\"";
    client.send(get(raw));
    assert_eq!(client.response().text(), format!("GET {raw} HTTP/1.1"));
    client.send(
        "GET /socket HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    assert_eq!(client.head().unwrap().status(), 101);
    client.send("over the tunnel");
    assert_eq!(client.exactly(15), b"over the tunnel");
    let protocols: Vec<&str> = server.requests().iter().map(|seen| seen.protocol).collect();
    assert_eq!(protocols, ["h2", "http/1.1", "http/1.1"]);
}

#[test]
fn upstreams_without_http2_are_served() {
    let cases: [(&str, &'static [&'static [u8]]); 2] =
        [("HTTP/1.1 alone", &[b"http/1.1"]), ("no ALPN", &[])];
    for (name, protocols) in cases {
        let server = Server::start(Options {
            protocols,
            ..Options::default()
        });
        let shim = shim(&server, "");
        let mut client = shim.connect();
        for _ in 0..3 {
            client.send(get("/plain"));
            let answer = client.response();
            assert_eq!(answer.text(), "GET /plain HTTP/1.1", "case: {name}");
        }
        assert_eq!(server.diary(|diary| diary.connections), 1, "case: {name}");
    }
}

#[test]
fn http2_is_not_offered_unasked() {
    let server = Server::start(Options::default());
    let config = format!(
        "[upstream_tls]\nca_file = \"{}\"\n",
        server.ca_file.display()
    );
    let shim = Shim::start_with(&server.url(), &config, None);
    let mut client = shim.connect();
    client.send(get("/plain"));
    assert_eq!(client.response().text(), "GET /plain HTTP/1.1");
}

#[test]
fn a_token_is_in_no_log() {
    const CANARY: &str = "CANARY_FAKE_h2_upstream";
    let server = Server::start(Options::default());
    let shim = shim(&server, "[log]\nlevel = \"trace\"\n");
    let mut client = shim.connect();
    let paths = ["/sync", "/refuse", "/fail-behind-body", "/fail-in-body"];
    for path in paths {
        let target = format!("{path}?access_token={CANARY}");
        let mut client = shim.connect();
        client.send(get(&target));
        assert!(client.head().is_some());
    }
    client.send(get(&format!(
        "/_matrix/client/v3/sync?access_token={CANARY}"
    )));
    assert_eq!(client.response().text(), "/_matrix/client/v3/sync");
    let seen = server.requests().pop().unwrap();
    assert_eq!(seen.fields["authorization"], format!("Bearer {CANARY}"));
    let log = shim.log(paths.len() + 1);
    assert!(!format!("{log:?}").contains(CANARY));
    assert!(!shim.diagnostics().contains(CANARY));
}
