//! How much one client, and all of them, may ask for: each limit just kept, just
//! passed, what is said then, and that it is counted.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test that panics is a test that fails"
)]

#[path = "limits/connections.rs"]
mod connections;
#[path = "support/edge.rs"]
mod edge;
#[path = "support/engine.rs"]
mod engine;

use std::{
    thread,
    time::{Duration, Instant},
};

use edge::{Admin, assert_refused};
use engine::{PATIENCE, Shim, Upstream, get, ok, until, with_body};

const MS: Duration = Duration::from_millis(1);

const CHUNKED: &str = "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n";

/// How often this limit turned somebody away.
fn hits(limit: &str) -> String {
    format!("tokenshim_limits_hit_total{{limit=\"{limit}\"}}")
}

/// A head of exactly this many bytes, with its empty line.
fn head_of(length: usize) -> String {
    let start = "GET /h HTTP/1.1\r\nHost: h\r\nX: ";
    let filler = "x".repeat(length - start.len() - 4);
    format!("{start}{filler}\r\n\r\n")
}

#[test]
fn heads_have_a_size() {
    let upstream = Upstream::echo();
    let admin = Admin::new();
    let limits = "[limits]\nhead_size = \"1KiB\"\nhead_fields = 3\ntarget_length = \"64B\"\n";
    let shim = Shim::start(&upstream, &(limits.to_owned() + &admin.section()));
    let fields = |count: usize| {
        let more = "X: y\r\n".repeat(count - 1);
        format!("GET / HTTP/1.1\r\nHost: h\r\n{more}\r\n")
    };
    let target = |length: usize| get(&format!("/{}", "t".repeat(length - 1)));
    let line_only = format!("GET /{}", "t".repeat(1023));
    let large = (431, "Request header fields too large");
    let many = (431, "Too many request header fields");
    let long = (414, "Request target too long");
    let fine = (200, "");
    let cases = [
        ("the largest head", head_of(1024), fine, ""),
        ("one byte more", head_of(1025), large, "head_size"),
        (
            "a head without an end",
            head_of(1100).replace("\r\n\r\n", "\r\n"),
            large,
            "head_size",
        ),
        ("the most fields", fields(3), fine, ""),
        ("one field more", fields(4), many, "head_fields"),
        ("a hundred more", fields(101), many, "head_fields"),
        ("the longest target", target(64), fine, ""),
        ("one byte more", target(65), long, "target_length"),
        (
            "a request line without an end",
            line_only,
            long,
            "target_length",
        ),
    ];
    for (name, request, (status, error), limit) in cases {
        let mut client = shim.connect();
        let before = (!limit.is_empty()).then(|| admin.number(&hits(limit)));
        client.send(request);
        let answer = client.response();
        let Some(before) = before else {
            assert_eq!(answer.status(), status, "case: {name}");
            continue;
        };
        assert_refused(name, &answer, status, "M_TOO_LARGE", error);
        if answer.value("connection") == Some("close") {
            assert!(client.is_closed_within(PATIENCE), "case: {name}");
        } else {
            client.send(get("/next"));
            assert_eq!(client.response().text(), "GET /next 0", "case: {name}");
        }
        admin.wait_for(&hits(limit), before + 1);
    }
}

#[test]
fn bodies_have_a_size() {
    let upstream = Upstream::echo();
    let admin = Admin::new();
    let limits = "[limits]\nbody_size = \"10B\"\n[relocate]\nprofile = \"generic\"\n";
    let shim = Shim::start(&upstream, &(limits.to_owned() + &admin.section()));
    let sized = |length: usize, more: &str| {
        format!("POST /s HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n{more}\r\n")
    };
    let expecting = "Expect: 100-continue\r\n";
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let chunked = |more: &str, body: &str| format!("{CHUNKED}{more}\r\n{body}");
    let (ten, eleven) = (
        "5\r\nabcde\r\n5\r\nabcde\r\n0\r\n\r\n",
        "5\r\nabcde\r\n6\r\nabcdef\r\n",
    );
    let cases = [
        ("sized, the largest", sized(10, "") + "0123456789", true),
        ("sized, refused before it comes", sized(11, ""), false),
        (
            "sized, far more than memory",
            sized(usize::MAX / 2, ""),
            false,
        ),
        (
            "sized, nobody is told to go on",
            sized(11, expecting),
            false,
        ),
        ("a sized form", sized(11, form), false),
        ("chunked, the largest", chunked("", ten), true),
        ("chunked, one byte more", chunked("", eleven), false),
        ("a chunked form, the largest", chunked(form, ten), true),
        (
            "a chunked form, one byte more",
            chunked(form, eleven),
            false,
        ),
    ];
    for (name, request, is_fine) in cases {
        let before = admin.number(&hits("body_size"));
        let mut client = shim.connect();
        client.send(request);
        let answer = client.response();
        if is_fine {
            assert!(
                answer.text().ends_with(" 10"),
                "case: {name}: {}",
                answer.text()
            );
        } else {
            assert_refused(name, &answer, 413, "M_TOO_LARGE", "Request body too large");
            admin.wait_for(&hits("body_size"), before + 1);
        }
        until("no upstream connection is left with half a request", || {
            upstream.requests().len() + 1 >= upstream.connections()
        });
    }
    assert_eq!(
        upstream.requests().len(),
        3,
        "and no refused one came whole"
    );
}

#[test]
fn a_small_body_that_was_refused_is_no_request() {
    let upstream = Upstream::echo();
    let shim = Shim::start(&upstream, "[limits]\nbody_size = \"10B\"\n");
    let mut client = shim.connect();
    client.send(with_body("PUT", "/large", &get("/smuggled-11")));
    assert_eq!(client.response().status(), 413);
    client.send(get("/next"));
    assert_eq!(client.response().text(), "GET /next 0");
    client.send(with_body("PUT", "/huge", &"x".repeat(100_000)));
    let answer = client.response();
    assert_eq!(
        (answer.status(), answer.value("connection")),
        (413, Some("close"))
    );
}

#[test]
fn a_chunked_body_is_cut_where_it_passes_the_limit() {
    let upstream = Upstream::start(|mut end| {
        if end.request_head().is_some() {
            let _ = end.try_send("HTTP/1.1 100 Continue\r\n\r\n");
            end.rest();
        }
    });
    let shim = Shim::start(&upstream, "[limits]\nbody_size = \"100KiB\"\n");
    for expect in ["", "Expect: 100-continue\r\n"] {
        let mut client = shim.connect();
        client.send(format!("{CHUNKED}{expect}\r\n"));
        if !expect.is_empty() {
            assert_eq!(client.head().unwrap().status(), 100);
        }
        let chunk = format!("2800\r\n{}\r\n", "x".repeat(10 * 1024));
        for _ in 0..10 {
            client.send(&chunk);
        }
        assert!(client.is_silent_for(100 * MS), "100 KiB are not too many");
        assert_eq!(upstream.open(), 1);
        client.send(&chunk);
        let answer = client.response();
        assert_refused(
            "chunked",
            &answer,
            413,
            "M_TOO_LARGE",
            "Request body too large",
        );
        assert_eq!(answer.value("connection"), Some("close"));
        until("the upstream sees it cut", || upstream.open() == 0);
    }
}

#[test]
fn bodies_have_a_pace() {
    let upstream = Upstream::echo();
    let admin = Admin::new();
    let limits = "[limits]\nbody_rate = \"1000B\"\n[timeouts]\nbody = \"400ms\"\n";
    let shim = Shim::start(&upstream, &(limits.to_owned() + &admin.section()));
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let sized =
        |more: &str| format!("POST /s HTTP/1.1\r\nHost: h\r\nContent-Length: 40000\r\n{more}\r\n");
    let chunked = |more: &str| format!("{CHUNKED}{more}\r\n");
    // Each piece is worth two seconds, which nobody pauses here.
    let enough = "x".repeat(2000);
    let cases = [
        ("sized", sized(""), "xxxxx", false),
        ("chunked", chunked(""), "5\r\nxxxxx\r\n", false),
        ("chunks of one byte", chunked(""), "1\r\nx\r\n", false),
        ("a sized form", sized(form), "xxxxx", false),
        ("a chunked form", chunked(form), "5\r\nxxxxx\r\n", false),
        ("sized, fast enough", sized(""), &enough, true),
        ("a form, fast enough", sized(form), &enough, true),
    ];
    for (name, head, piece, is_fine) in cases {
        let before = admin.number(&hits("body_rate"));
        let mut client = shim.connect();
        let began = Instant::now();
        client.send(head + piece);
        // Never silent for as long as a body may be, but steady.
        for _ in 1..20 {
            if !client.is_silent_for(25 * MS) || client.try_send(piece).is_err() {
                break;
            }
        }
        let answer = client.response();
        if is_fine {
            assert_eq!(answer.text(), "POST /s 40000", "case: {name}");
        } else {
            assert_refused(
                name,
                &answer,
                408,
                "M_UNKNOWN",
                "The request body came too slowly",
            );
            assert!(
                began.elapsed() > 350 * MS,
                "case: {name}: only over the whole time"
            );
            assert_eq!(answer.value("connection"), Some("close"), "case: {name}");
            admin.wait_for(&hits("body_rate"), before + 1);
        }
    }
}

#[test]
fn an_upstream_that_takes_little_is_not_the_clients_pace() {
    const LENGTH: usize = 32 << 20;
    let upstream = Upstream::start(|mut end| {
        let Some(mut request) = end.request_head() else {
            return;
        };
        // Far less than the client has to send, for longer than it may.
        let mut taken = 0;
        for _ in 0..40 {
            thread::sleep(50 * MS);
            taken += end.exactly(16 * 1024).len();
        }
        let rest = (LENGTH - taken).to_string();
        request.fields = vec![("Content-Length".into(), rest)];
        if end.body(&mut request, false).is_some() {
            let _ = end.try_send(ok("whole"));
        }
    });
    let limits = "[limits]\nbody_rate = \"512KiB\"\n[timeouts]\nbody = \"500ms\"\n";
    let shim = Shim::start(&upstream, limits);
    let mut client = shim.connect();
    let mut request = format!("PUT /u HTTP/1.1\r\nHost: h\r\nContent-Length: {LENGTH}\r\n\r\n");
    request += &"x".repeat(LENGTH);
    client.send(request);
    assert_eq!(client.response().text(), "whole");
}
