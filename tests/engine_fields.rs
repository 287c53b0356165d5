//! Which fields go on, who says who the client is, and the odd corners of `Host`.

#![expect(
    clippy::unwrap_used,
    reason = "tests fail by panicking, and so do their helpers"
)]

#[path = "support/engine.rs"]
mod engine;

use std::os::unix::fs::PermissionsExt as _;

use engine::{Message, Shim, Upstream, get, ok};

const FORGED: &str = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n\
     X-Forwarded-Port: 1\r\nX-Real-IP: 192.0.2.1\r\nForwarded: for=192.0.2.1;proto=https\r\n";

/// Sends one request and returns what the upstream got.
fn forwarded(shim: &Shim, upstream: &Upstream, request: &str) -> Message {
    let mut client = shim.connect();
    client.send(request);
    assert_eq!(client.response().status(), 200, "{request}");
    upstream.requests().pop().unwrap()
}

fn request(fields: &str) -> String {
    format!("POST /f HTTP/1.1\r\nHost: h:8448\r\n{fields}Content-Length: 5\r\n\r\nhello")
}

#[test]
fn a_client_cannot_strip_what_frames_or_authorizes() {
    let upstream = Upstream::echo();
    let shim = Shim::start(&upstream, "");
    let got = forwarded(
        &shim,
        &upstream,
        &request(
            "Connection: authorization, host, content-length, x-hop, transfer-encoding\r\n\
             Connection: X-Other\r\nAuthorization: Bearer FAKE_CANARY\r\nX-Hop: 1\r\nX-Other: 2\r\nX-Stays: 3\r\n",
        ),
    );
    assert_eq!(got.value("authorization"), Some("Bearer FAKE_CANARY"));
    assert_eq!(got.value("host"), Some("h:8448"));
    assert_eq!(
        (got.value("content-length"), &*got.body),
        (Some("5"), &b"hello"[..])
    );
    assert_eq!(got.value("x-stays"), Some("3"));
    for gone in ["connection", "x-hop", "x-other"] {
        assert_eq!(got.value(gone), None, "{gone}");
    }
    // The same for a field that we add.
    let moved = forwarded(
        &shim,
        &upstream,
        "GET /m?access_token=FAKE_CANARY HTTP/1.1\r\nHost: h\r\nConnection: authorization, x-forwarded-for\r\n\r\n",
    );
    assert_eq!(moved.value("authorization"), Some("Bearer FAKE_CANARY"));
    let coded = forwarded(
        &shim,
        &upstream,
        "POST /c HTTP/1.1\r\nHost: h\r\nConnection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    );
    assert_eq!(coded.body, b"hello");
}

#[test]
fn fields_of_one_hop_go_no_further_and_others_keep_order_and_case() {
    let upstream = Upstream::answer(|_| {
        b"HTTP/1.1 200 OK\r\nx-B: 1\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\n\
          Set-Cookie: a\r\nUpgrade: h2\r\nProxy-Connection: x\r\nSet-Cookie: b\r\nContent-Length: 0\r\n\r\n"
            .to_vec()
    });
    let shim = Shim::start(&upstream, "");
    let mut client = shim.connect();
    client.send(request(
        "x-B: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nProxy-Authorization: x\r\nTE: gzip\r\n\
         Upgrade: h2c\r\nX-a: 2\r\nx-B: 3\r\nHTTP2-Settings: x\r\nConnection: HTTP2-Settings\r\n",
    ));
    let answer = client.response();
    let names = |message: &Message| -> Vec<String> {
        message
            .fields
            .iter()
            .map(|(name, _)| name.clone())
            .collect()
    };
    assert_eq!(
        names(&answer),
        ["x-B", "Set-Cookie", "Set-Cookie", "Content-Length"]
    );
    let got = upstream.requests().pop().unwrap();
    assert_eq!(names(&got), ["Host", "x-B", "X-a", "x-B", "Content-Length"]);
}

#[test]
fn a_trusted_peer_says_who_its_client_is() {
    let upstream = Upstream::echo();
    let shim = Shim::start(&upstream, "");
    let got = forwarded(&shim, &upstream, &request(FORGED));
    assert_eq!(got.value("x-forwarded-for"), Some("192.0.2.1"));
    assert_eq!(got.value("x-forwarded-proto"), Some("https"));
    assert_eq!(got.value("x-forwarded-host"), Some("evil"));
    assert_eq!(got.value("x-forwarded-port"), Some("1"));
    assert_eq!(got.value("x-real-ip"), Some("192.0.2.1"));
    assert_eq!(got.value("forwarded"), Some("for=192.0.2.1;proto=https"));
    assert_eq!(shim.log(1)[0]["remote"], "192.0.2.1");
    let silent = forwarded(&shim, &upstream, &request(""));
    assert_eq!(silent.value("x-forwarded-for"), None, "nothing is made up");
}

#[test]
fn a_stranger_is_named_by_us() {
    let upstream = Upstream::echo();
    let shim = Shim::start(&upstream, "trusted_proxies = []\n");
    for fields in [
        FORGED,
        "",
        &format!("Connection: x-forwarded-for\r\n{FORGED}{FORGED}"),
    ] {
        let got = forwarded(&shim, &upstream, &request(fields));
        assert_eq!(got.value("x-forwarded-for"), Some("127.0.0.1"));
        assert_eq!(got.value("x-forwarded-proto"), Some("http"));
        assert_eq!(got.value("x-forwarded-host"), Some("h:8448"));
        assert_eq!(got.value("x-forwarded-port"), None);
        assert_eq!(got.value("x-real-ip"), Some("127.0.0.1"));
        let forwarded = got.value("forwarded").unwrap();
        assert_eq!(forwarded, "for=127.0.0.1;proto=http;host=\"h:8448\"");
    }
    assert!(shim.log(3).iter().all(|line| line["remote"] == "127.0.0.1"));
}

#[test]
fn unix_sockets_on_both_sides() {
    let directory = tempfile::tempdir().unwrap();
    let upstream = Upstream::start_unix(&directory.path().join("up"), |mut end| {
        while let Some(request) = end.request() {
            let _ = end.try_send(ok(request.target()));
        }
    });
    let path = directory.path().join("shim");
    let listen = format!(
        "[[listen]]\naddress = \"unix:{}\"\nmode = \"0600\"\n",
        path.display()
    );
    let shim = Shim::start(&upstream, &listen);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut client = shim.connect();
    client.send(request(FORGED));
    assert_eq!(client.response().text(), "/f");
    client.send("GET /old HTTP/1.0\r\n\r\n");
    assert_eq!(client.response().text(), "/old");
    let requests = upstream.requests();
    assert_eq!(
        requests[0].value("x-forwarded-for"),
        Some("192.0.2.1"),
        "trusted by default"
    );
    assert_eq!(requests[1].value("host"), Some("localhost"));
    drop((client, shim));

    let shim = Shim::start(&upstream, &format!("trusted_proxies = []\n{listen}"));
    let got = forwarded(&shim, &upstream, &request(FORGED));
    assert_eq!(got.value("x-forwarded-for"), None, "it has no address");
    assert_eq!(got.value("x-real-ip"), None);
    let forwarded = got.value("forwarded").unwrap();
    assert_eq!(forwarded, "for=unknown;proto=http;host=\"h:8448\"");
}

#[test]
fn a_unix_socket_is_taken_over_from_the_dead_and_removed_at_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shim");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "left by a process that was killed");
    let upstream = Upstream::echo();
    let listen = format!("[[listen]]\naddress = \"unix:{}\"\n", path.display());
    let mut shim = Shim::start(&upstream, &listen);
    let mut client = shim.connect();
    client.send(get("/"));
    assert_eq!(client.response().status(), 200);
    shim.signal(rustix::process::Signal::TERM);
    assert_eq!(shim.wait().code(), Some(0));
    assert!(!path.exists());
}

#[test]
fn the_host_is_kept_or_given() {
    let upstream = Upstream::echo();
    let shim = Shim::start(&upstream, "");
    let authority = upstream.address.strip_prefix("http://").unwrap().to_owned();
    let cases = [
        (
            "kept",
            "GET / HTTP/1.1\r\nHost: Example.org:8448\r\n\r\n",
            "Example.org:8448",
        ),
        (
            "an address",
            "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
            "[::1]:80",
        ),
        (
            "absolute form",
            "GET http://a.example/ HTTP/1.1\r\nHost: b.example\r\n\r\n",
            "a.example",
        ),
        ("1.0 without one", "GET / HTTP/1.0\r\n\r\n", &authority),
        ("empty port", "GET / HTTP/1.1\r\nHost: h:\r\n\r\n", "h:"),
    ];
    for (name, request, host) in cases {
        let got = forwarded(&shim, &upstream, request);
        assert_eq!(got.value("host"), Some(host), "case: {name}");
        // First, where servers look for it.
        assert_eq!(got.fields[0].0, "Host", "case: {name}");
    }
}

#[test]
fn options_may_ask_the_whole_server() {
    let upstream = Upstream::echo();
    let shim = Shim::start(&upstream, "");
    let got = forwarded(&shim, &upstream, "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(got.start, "OPTIONS * HTTP/1.1");
}

#[test]
fn a_target_without_a_path_gets_one() {
    let upstream = Upstream::echo();
    let shim = Shim::start(&upstream, "");
    let got = forwarded(
        &shim,
        &upstream,
        "GET http://h?x=1 HTTP/1.1\r\nHost: h\r\n\r\n",
    );
    assert_eq!(got.target(), "/?x=1");
}

#[test]
fn every_byte_of_a_target_that_nginx_takes_is_served() {
    let upstream = Upstream::echo();
    let shim = Shim::start(&upstream, "");
    let mut client = shim.connect();
    let mut expected = 0;
    for byte in (0x21..=0x7e).chain(0x80..=0xff_u8) {
        for target in [[b"/a", &[byte][..], b"z"], [b"/?a", &[byte][..], b"z"]] {
            client.send([b"GET ", &*target.concat(), b" HTTP/1.1\r\nHost: h\r\n\r\n"].concat());
            assert_eq!(client.response().status(), 200, "byte {byte:02x}");
            expected += 1;
        }
    }
    // Each arrived in the strict form that the oracle asks for.
    assert_eq!(upstream.requests().len(), expected);
    assert!(
        upstream
            .requests()
            .iter()
            .all(|request| request.target().ends_with('z'))
    );
}
