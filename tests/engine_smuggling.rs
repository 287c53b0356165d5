//! The forwarding oracle: whatever a client sends, the upstream gets well-formed
//! requests only, and exactly as many as were answered.
//!
//! Every malformed message carries a whole request behind it. It must never be
//! read as one: not by us, and not by the upstream.

#[path = "support/engine.rs"]
mod engine;

use std::time::Duration;

use engine::{End, PATIENCE, Shim, Upstream, get, ok};

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";

/// Sends `bytes` and a smuggled request; the answer must be `status`, and the last.
#[track_caller]
fn refused(shim: &Shim, name: &str, bytes: &[u8], status: u16) {
    let mut client = shim.connect();
    client.send([bytes, SMUGGLED.as_bytes()].concat());
    let answer = client.response();
    assert_eq!(answer.status(), status, "case: {name}");
    answer.errcode();
    assert_eq!(answer.value("connection"), Some("close"), "case: {name}");
    assert!(client.is_closed_within(PATIENCE), "case: {name}");
}

fn check(upstream: &Upstream) {
    for request in upstream.requests() {
        assert_ne!(request.target(), "/smuggled", "{request:?}");
    }
    assert!(upstream.requests().is_empty(), "{:?}", upstream.requests());
}

#[test]
fn what_can_be_framed_in_two_ways_is_refused() {
    let cases: [(&str, &str, u16); 32] = [
        (
            "length and coding",
            "Content-Length: 4\r\nTransfer-Encoding: chunked",
            400,
        ),
        (
            "coding and length",
            "Transfer-Encoding: chunked\r\nContent-Length: 4",
            400,
        ),
        (
            "coding and zero length",
            "Transfer-Encoding: chunked\r\nContent-Length: 0",
            400,
        ),
        ("identity", "Transfer-Encoding: identity", 501),
        (
            "gzip before chunked",
            "Transfer-Encoding: gzip, chunked",
            501,
        ),
        (
            "chunked before gzip",
            "Transfer-Encoding: chunked, gzip",
            501,
        ),
        (
            "chunked listed twice",
            "Transfer-Encoding: chunked, chunked",
            501,
        ),
        (
            "chunked on two lines",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            501,
        ),
        (
            "identity and chunked lines",
            "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
            501,
        ),
        ("almost chunked", "Transfer-Encoding: xchunked", 501),
        ("quoted", "Transfer-Encoding: \"chunked\"", 501),
        ("with a parameter", "Transfer-Encoding: chunked;q=1", 501),
        ("empty coding", "Transfer-Encoding:", 501),
        ("empty list member", "Transfer-Encoding: ,chunked", 501),
        ("vertical tab", "Transfer-Encoding: \x0bchunked", 400),
        ("space before the colon", "Transfer-Encoding : chunked", 400),
        ("tab before the colon", "Content-Length\t: 4", 400),
        ("folded", "X-A: a\r\n Transfer-Encoding: chunked", 400),
        ("folded value", "Transfer-Encoding:\r\n chunked", 400),
        ("bare return", "X-A: a\rTransfer-Encoding: chunked", 400),
        ("signed", "Content-Length: +4", 400),
        ("negative", "Content-Length: -4", 400),
        ("two numbers", "Content-Length: 4 4", 400),
        ("a list", "Content-Length: 4, 4", 400),
        ("hexadecimal", "Content-Length: 0x4", 400),
        ("exponent", "Content-Length: 4e1", 400),
        ("underscore", "Content-Length: 4_0", 400),
        ("empty length", "Content-Length:", 400),
        ("two lengths", "Content-Length: 4\r\nContent-Length: 5", 400),
        (
            "the same length twice",
            "Content-Length: 4\r\nContent-Length: 4",
            400,
        ),
        ("past 64 bits", "Content-Length: 18446744073709551620", 400),
        ("NUL", "Content-Length: 4\0", 400),
    ];
    let upstream = Upstream::echo();
    let shim = Shim::start(&upstream, "");
    for (name, fields, status) in cases {
        let head = format!("POST /x HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n0\r\n\r\n");
        refused(&shim, name, head.as_bytes(), status);
    }
    let head = b"POST /x HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    refused(&shim, "1.0 knows no chunks", head, 400);
    check(&upstream);
}

#[test]
fn what_is_no_request_is_refused() {
    let long = "x".repeat(40_000);
    let many = "X: y\r\n".repeat(101);
    let cases: [(&str, &str, u16); 27] = [
        ("no host", "GET / HTTP/1.1\r\nX: y", 400),
        ("two hosts", "GET / HTTP/1.1\r\nHost: h\r\nHost: i", 400),
        (
            "the same host twice",
            "GET / HTTP/1.1\r\nHost: h\r\nHost: h",
            400,
        ),
        ("empty host", "GET / HTTP/1.1\r\nHost:", 400),
        ("user in host", "GET / HTTP/1.1\r\nHost: user@h", 400),
        ("path in host", "GET / HTTP/1.1\r\nHost: h/path", 400),
        ("list of hosts", "GET / HTTP/1.1\r\nHost: h, i", 400),
        ("space in host", "GET / HTTP/1.1\r\nHost: h i", 400),
        ("two ports", "GET / HTTP/1.1\r\nHost: h:1:2", 400),
        ("method is no token", "G@T / HTTP/1.1\r\nHost: h", 400),
        ("tab for space", "GET\t/ HTTP/1.1\r\nHost: h", 400),
        ("two spaces", "GET  / HTTP/1.1\r\nHost: h", 400),
        ("space in the target", "GET /a b HTTP/1.1\r\nHost: h", 400),
        ("space at the end", "GET / HTTP/1.1 \r\nHost: h", 400),
        ("NUL in the target", "GET /\0 HTTP/1.1\r\nHost: h", 400),
        ("DEL in the target", "GET /\x7f HTTP/1.1\r\nHost: h", 400),
        ("return in the target", "GET /\r/ HTTP/1.1\r\nHost: h", 400),
        ("no version", "GET /\r\nHost: h", 400),
        ("0.9", "GET / HTTP/0.9\r\nHost: h", 505),
        ("2.0", "GET / HTTP/2.0\r\nHost: h", 505),
        ("1.10", "GET / HTTP/1.10\r\nHost: h", 400),
        ("small letters", "GET / http/1.1\r\nHost: h", 400),
        ("preface of HTTP/2", "PRI * HTTP/2.0", 505),
        ("no colon", "GET / HTTP/1.1\r\nHost: h\r\nX", 400),
        ("no name", "GET / HTTP/1.1\r\nHost: h\r\n: y", 400),
        (
            "space in a name",
            "GET / HTTP/1.1\r\nHost: h\r\nX Y: z",
            400,
        ),
        ("first line folded", "GET / HTTP/1.1\r\n Host: h", 400),
    ];
    let upstream = Upstream::echo();
    let shim = Shim::start(&upstream, "");
    for (name, head, status) in cases {
        refused(&shim, name, format!("{head}\r\n\r\n").as_bytes(), status);
    }
    let too_long = [
        (
            "many fields",
            format!("GET / HTTP/1.1\r\nHost: h\r\n{many}\r\n"),
            431,
        ),
        (
            "long field",
            format!("GET / HTTP/1.1\r\nHost: h\r\nX: {long}\r\n\r\n"),
            431,
        ),
        (
            "long target",
            format!("GET /{long} HTTP/1.1\r\nHost: h\r\n\r\n"),
            414,
        ),
    ];
    for (name, head, status) in &too_long {
        refused(&shim, name, head.as_bytes(), *status);
    }
    check(&upstream);
    // Each left its line, though none had a request that could be forwarded.
    assert_eq!(shim.log(30).len(), 30);
}

#[test]
fn a_sound_message_with_a_refused_target_ends_where_it_says() {
    let cases: [(&str, &str, u16); 7] = [
        (
            "user in authority",
            "GET http://user@h/ HTTP/1.1\r\nHost: h",
            400,
        ),
        ("empty authority", "GET http:/// HTTP/1.1\r\nHost: h", 400),
        ("other scheme", "GET ftp://h/ HTTP/1.1\r\nHost: h", 400),
        ("relative path", "GET x HTTP/1.1\r\nHost: h", 400),
        ("asterisk without OPTIONS", "GET * HTTP/1.1\r\nHost: h", 400),
        ("CONNECT", "CONNECT h:80 HTTP/1.1\r\nHost: h", 405),
        ("TRACE", "TRACE / HTTP/1.1\r\nHost: h", 405),
    ];
    let upstream = Upstream::echo();
    let shim = Shim::start(&upstream, "");
    for (name, head, status) in cases {
        let mut client = shim.connect();
        client.send(format!("{head}\r\nContent-Length: 5\r\n\r\nhello") + &get("/next"));
        let answer = client.response();
        assert_eq!(answer.status(), status, "case: {name}");
        answer.errcode();
        // Its body was read as its body, or the connection ends here.
        if answer.value("connection") == Some("close") {
            assert!(client.is_closed_within(PATIENCE), "case: {name}");
        } else {
            assert_eq!(client.response().text(), "GET /next 0", "case: {name}");
        }
    }
    assert!(
        upstream
            .requests()
            .iter()
            .all(|request| request.target() == "/next")
    );
}

#[test]
fn a_broken_chunked_body_is_the_clients_fault() {
    let long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(2000));
    let cases: [(&str, &str); 22] = [
        ("size ends with a bare line feed", "5\nhello\r\n0\r\n\r\n"),
        ("size ends with a bare return", "5\rhello\r\n0\r\n\r\n"),
        ("data ends with a bare line feed", "5\r\nhello\n0\r\n\r\n"),
        ("longer than it says", "5\r\nhello!\r\n0\r\n\r\n"),
        ("shorter than it says", "6\r\nhello\r\n0\r\n\r\n"),
        ("negative", "-5\r\nhello\r\n0\r\n\r\n"),
        ("signed", "+5\r\nhello\r\n0\r\n\r\n"),
        ("with a prefix", "0x5\r\nhello\r\n0\r\n\r\n"),
        ("underscore", "0_5\r\nhello\r\n0\r\n\r\n"),
        ("no size", "\r\nhello\r\n0\r\n\r\n"),
        ("extension without a size", ";a\r\nhello\r\n0\r\n\r\n"),
        ("space before", " 5\r\nhello\r\n0\r\n\r\n"),
        ("space behind", "5 \r\nhello\r\n0\r\n\r\n"),
        ("two sizes", "5 5\r\nhello\r\n0\r\n\r\n"),
        ("no digit", "g\r\nhello\r\n0\r\n\r\n"),
        ("past 64 bits", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
        ("NUL in an extension", "5;\0\r\nhello\r\n0\r\n\r\n"),
        ("endless extension", &long),
        ("trailer without a colon", "0\r\nbad\r\n\r\n"),
        ("trailer with a space", "0\r\nX : y\r\n\r\n"),
        ("end with a bare line feed", "0\r\n\n"),
        ("trailers end with bare line feeds", "0\r\nX: y\n\n"),
    ];
    let upstream = Upstream::echo();
    let shim = Shim::start(&upstream, "");
    for (name, body) in cases {
        let head = "POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
        refused(&shim, name, format!("{head}{body}").as_bytes(), 400);
        // Neither is the upstream to blame, nor can its connection be used again.
        let before = upstream.requests().len();
        let mut client = shim.connect();
        client.send(get("/sound"));
        assert_eq!(client.response().text(), "GET /sound 0", "behind: {name}");
        assert_eq!(upstream.requests().len(), before + 1, "behind: {name}");
    }
    assert!(
        upstream
            .requests()
            .iter()
            .all(|request| request.target() == "/sound")
    );
    let lines = shim.log(44);
    let statuses: Vec<_> = lines.iter().filter(|line| line["status"] == 400).collect();
    assert_eq!(statuses.len(), 22);
}

#[test]
fn what_is_only_sloppy_is_made_strict() {
    let cases: [(&str, &[u8], &str); 11] = [
        ("bare line feeds", b"GET /a HTTP/1.1\nHost: h\n\n", "GET /a 0"),
        ("empty lines before", b"\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n", "GET /b 0"),
        ("1.0 without host", b"GET /c HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET /c 0"),
        ("a later 1.x", b"GET /d HTTP/1.9\r\nHost: h\r\n\r\n", "GET /d 0"),
        ("space around a coding", b"POST /e HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \tChunked \r\n\r\n0\r\n\r\n", "POST /e 0"),
        ("extensions", b"POST /f HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n05;a=\"b\";c\r\nhello\r\n000\r\n\r\n", "POST /f 5"),
        ("leading zeros", b"POST /g HTTP/1.1\r\nHost: h\r\nContent-Length: 0005\r\n\r\nhello", "POST /g 5"),
        ("angles", b"GET /h<b>?{\"<\"} HTTP/1.1\r\nHost: h\r\n\r\n", "GET /h%3Cb%3E?{%22%3C%22} 0"),
        ("hash", b"GET /#alias:h HTTP/1.1\r\nHost: h\r\n\r\n", "GET /%23alias:h 0"),
        ("Latin-1", b"GET /\xe9?\xff HTTP/1.1\r\nHost: h\r\n\r\n", "GET /%E9?%FF 0"),
        ("absolute form", b"GET http://i:1/j?k HTTP/1.1\r\nHost: h\r\n\r\n", "GET /j?k 0"),
    ];
    let upstream = Upstream::echo();
    let shim = Shim::start(&upstream, "");
    for (count, (name, bytes, expected)) in cases.into_iter().enumerate() {
        let mut client = shim.connect();
        client.send(bytes);
        assert_eq!(client.response().text(), expected, "case: {name}");
        assert!(
            client.is_silent_for(Duration::from_millis(5)),
            "case: {name}"
        );
        assert_eq!(upstream.requests().len(), count + 1, "case: {name}");
    }
    assert_eq!(upstream.requests()[10].value("host"), Some("i:1"));
}

#[test]
fn an_upstream_that_speaks_no_http_is_not_passed_on() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(40_000));
    let cases: [(&str, &str); 17] = [
        (
            "chunks of HTTP/1.0",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        ),
        (
            "two lengths",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        ),
        (
            "signed length",
            "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
        ),
        (
            "list of lengths",
            "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello",
        ),
        (
            "other coding",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "space before the colon",
            "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello",
        ),
        (
            "folded",
            "HTTP/1.1 200 OK\r\nX: y\r\n z\r\nContent-Length: 0\r\n\r\n",
        ),
        (
            "NUL",
            "HTTP/1.1 200 OK\r\nX: \0\r\nContent-Length: 0\r\n\r\n",
        ),
        (
            "bare return",
            "HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\nContent-Length: 0\r\n\r\n",
        ),
        ("HTTP/2", "HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("two digits", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"),
        (
            "four digits",
            "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
        ),
        ("too small", "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n"),
        ("another protocol", "SSH-2.0-OpenSSH_9.6\r\n\r\n"),
        ("0.9", "<html>hello</html>\r\n\r\n"),
        (
            "change of protocol unasked",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        ),
        ("endless head", &long),
    ];
    for (name, answer) in cases {
        let answer = answer.to_owned();
        let upstream = Upstream::answer(move |request| match request.target() {
            "/bad" => answer.clone().into_bytes(),
            _ => ok("good"),
        });
        let shim = Shim::start(&upstream, "");
        let mut client: End = shim.connect();
        client.send(get("/bad"));
        let got = client.response();
        assert_eq!(got.status(), 502, "case: {name}");
        got.errcode();
        client.send(get("/good"));
        assert_eq!(client.response().text(), "good", "case: {name}");
        assert_eq!(upstream.connections(), 2, "case: {name}");
    }
}
