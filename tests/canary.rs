//! No token enters a log: fake ones, sent everywhere, are absent from every sink.
//!
//! The process runs at `trace`, in both formats of both logs. Whatever it wrote
//! is judged by code that knows the token and none of the masking.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::format_collect,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

#[path = "canary/judge.rs"]
mod judge;
#[path = "canary/places.rs"]
mod places;
mod support;

use std::{
    io::Write as _,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use judge::Canary;
use support::{
    Shim, Written, text,
    upstream::{Then, Upstream, nobody},
    wire::{Message, Wire, find},
};

const TEXT: &str =
    "[log]\nlevel = \"trace\"\nformat = \"text\"\n[access_log]\nformat = \"combined\"\n";
const JSON: &str = "[log]\nlevel = \"trace\"\nformat = \"json\"\n[access_log]\nformat = \"json\"\nfile = \"access.log\"\n";

fn canaries() -> [(Canary, bool); 2] {
    [(Canary::opaque(), false), (Canary::synapse(), true)]
}

/// Fails with every line that leaks.
fn judge(canary: &Canary, what: &str, written: &[u8]) {
    let leaks = canary.leaks(written);
    assert!(
        leaks.is_empty(),
        "{what}: {} lines leak {}:\n{}",
        leaks.len(),
        canary.token,
        leaks.join("\n")
    );
}

/// All it wrote is clean, and has one line for each of `requests`.
fn judge_written(canary: &Canary, written: &Written, requests: usize) {
    judge(canary, "log", &written.all());
    let lines = text(&[&written.stdout[..], &written.files].concat())
        .lines()
        .count();
    assert_eq!(lines, requests, "one line for each request");
}

#[test]
fn every_place_and_spelling_in_text() {
    everywhere(TEXT);
}

#[test]
fn every_place_and_spelling_in_json() {
    everywhere(JSON);
}

fn everywhere(config: &str) {
    for (canary, has_shape) in canaries() {
        let upstream = Upstream::plain();
        let shim = Shim::start(&upstream.url(), config);
        let places = places::all(&canary.token, has_shape);
        for place in &places {
            let mut wire = shim.connect();
            // A head too long may be refused before its end was sent.
            let _ = wire.try_send(&place.request);
            let answer = wire.try_response(place.request.starts_with(b"HEAD "));
            let answer = answer
                .map(|answer| [answer.head, answer.body].concat())
                .unwrap_or_default();
            assert!(!answer.is_empty(), "{}", place.name);
            assert!(!canary.is_in(&answer), "{}: {}", place.name, text(&answer));
        }
        let moved = format!("Authorization: Bearer {}\r\n", canary.token);
        let arrived = upstream.take();
        let arrived = arrived
            .iter()
            .filter(|seen| find(&seen.head, moved.as_bytes()).is_some());
        assert!(arrived.count() > 20, "the homeserver does get it");
        let written = shim.stop();
        assert!(
            find(&written.stderr, b"answered by ourselves").is_some(),
            "the log is on"
        );
        judge_written(&canary, &written, places.len());
    }
}

/// An upstream that fails in the way the path says, and repeats what it got.
fn treacherous() -> Upstream {
    Upstream::start(|request, wire| {
        let secret = request.field("authorization").unwrap_or_default();
        let path = text(request.target());
        let path = path.split('?').next().unwrap_or_default();
        let answer = match path {
            "/close" => return Then::Close,
            "/hang" => return Then::Keep,
            "/no-http" => format!("Authorization: {secret}\r\n\r\n"),
            "/half-head" => format!("HTTP/1.1 200 OK\r\nX-Echo: {secret}\r\n"),
            "/bad-field" => format!("HTTP/1.1 200 OK\r\nAuthorization {secret}\r\n\r\n"),
            "/bad-length" => format!("HTTP/1.1 200 OK\r\nContent-Length: {secret}\r\n\r\n"),
            "/reason" => format!("HTTP/1.1 500 {secret}\r\nContent-Length: 0\r\n\r\n"),
            "/half-body" => format!("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{secret}"),
            "/bad-chunk" => {
                format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{secret}\r\n")
            }
            "/redirect" => format!(
                "HTTP/1.1 302 Found\r\nLocation: /q?access_token={secret}\r\nContent-Length: 0\r\n\r\n"
            ),
            "/switch" => format!(
                "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n{secret}"
            ),
            _ => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".into(),
        };
        let _ = wire.stream.write_all(answer.as_bytes());
        Then::Close
    })
}

const FAILURES: [&str; 11] = [
    "/close",
    "/hang",
    "/no-http",
    "/half-head",
    "/bad-field",
    "/bad-length",
    "/reason",
    "/half-body",
    "/bad-chunk",
    "/redirect",
    "/switch",
];

const SHORT: &str = "drain_timeout = \"300ms\"\n[timeouts]\nhead = \"300ms\"\nbody = \"300ms\"\nresponse = \"300ms\"\n";

#[test]
fn whatever_the_upstream_does() {
    for (config, (canary, _)) in [TEXT, JSON]
        .iter()
        .flat_map(|config| canaries().map(|canary| (config, canary)))
    {
        let upstream = treacherous();
        let shim = Shim::start(&upstream.url(), &format!("{SHORT}{config}"));
        for path in FAILURES {
            let mut wire = shim.connect();
            wire.send(format!(
                "GET {path}?access_token={} HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
                canary.token
            ));
            // The client sees what it asked for: only that it ends is of interest.
            let _ = wire.try_response(false);
        }
        let written = shim.stop();
        judge_written(&canary, &written, FAILURES.len());
        assert!(
            find(&written.stderr, b"upstream failed").is_some(),
            "the log is on"
        );
    }
}

#[test]
fn an_upstream_that_is_not_there() {
    for (canary, _) in canaries() {
        let shim = Shim::start(&nobody(), JSON);
        let request = format!(
            "GET /p?access_token={} HTTP/1.1\r\nHost: h\r\n\r\n",
            canary.token
        );
        let answer = shim.connect().ask(request);
        assert_eq!(answer.status(), 502);
        judge(&canary, "answer", &answer.body);
        judge_written(&canary, &shim.stop(), 1);
    }
}

#[test]
fn a_client_that_stops_or_leaves() {
    let request = |method: &str, path: &str, token: &str| {
        format!(
            "{method} {path}?access_token={token} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nReferer: /?access_token={token}\r\n"
        )
    };
    for (config, (canary, _)) in [TEXT, JSON]
        .iter()
        .flat_map(|config| canaries().map(|canary| (config, canary)))
    {
        let upstream = treacherous();
        let shim = Shim::start(&upstream.url(), &format!("{SHORT}{config}"));
        let token = &canary.token;
        let form = "Content-Type: application/x-www-form-urlencoded\r\n";
        let begun = [
            format!("GET /p?access_token={token}"),
            request("GET", "/p", token),
            format!(
                "{}Content-Length: 99\r\n\r\nhalf a body",
                request("POST", "/p", token)
            ),
            format!(
                "{}{form}Content-Length: 99\r\n\r\naccess_token={token}",
                request("POST", "/p", token)
            ),
            format!(
                "{}Transfer-Encoding: chunked\r\n\r\n5\r\nhe",
                request("POST", "/p", token)
            ),
            format!("{}\r\n", request("GET", "/hang", token)),
        ];
        let mut waiting = Vec::new();
        for begin in &begun {
            // One waits for its timeout, one says that no more is coming, one resets.
            let mut wire = shim.connect();
            wire.send(begin);
            waiting.push(wire);
            let mut wire = shim.connect();
            wire.send(begin);
            wire.finish();
            judge(&canary, "answer", &wire.rest().unwrap_or_default());
            shim.connect().send(begin);
        }
        for mut wire in waiting {
            judge(&canary, "answer", &wire.rest().unwrap_or_default());
        }
        judge_written(&canary, &shim.stop(), 3 * begun.len());
    }
}

#[test]
fn a_request_that_waits_at_the_end() {
    for (config, (canary, _)) in [TEXT, JSON]
        .iter()
        .flat_map(|config| canaries().map(|canary| (config, canary)))
    {
        let upstream = treacherous();
        let shim = Shim::start(&upstream.url(), &format!("{SHORT}{config}"));
        let mut wire = shim.connect();
        wire.send(format!(
            "GET /hang?timeout=60000&access_token={} HTTP/1.1\r\nHost: h\r\n\r\n",
            canary.token
        ));
        let seen = support::poll("the request at the upstream", || upstream.take().pop());
        assert!(canary.is_in(&seen.head));
        let answering = std::thread::spawn(move || answer(&mut wire));
        judge_written(&canary, &shim.stop(), 1);
        assert_eq!(answering.join().unwrap().status(), 503);
    }
}

fn answer(wire: &mut Wire) -> Message {
    wire.response(false)
}

/// Tells the test below, started once more as a process, to panic.
const PANIC: &str = "TOKENSHIM_TEST_PANIC";

#[test]
fn a_panic_names_its_place_only() {
    if let Ok(token) = std::env::var(PANIC) {
        return panic_with(&token);
    }
    for (canary, _) in canaries() {
        let output = Command::new(std::env::current_exe().unwrap())
            .args([
                "a_panic_names_its_place_only",
                "--exact",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(PANIC, &canary.token)
            .env("RUST_BACKTRACE", "full")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let written = [output.stdout, output.stderr].concat();
        assert!(
            find(&written, b"panicked; please report this").is_some(),
            "{}",
            text(&written)
        );
        assert!(find(&written, b"canary.rs").is_some(), "{}", text(&written));
        judge(&canary, "panic", &written);
    }
}

/// Panics in several ways under the log of the product.
fn panic_with(token: &str) {
    use tokenshim::{
        access_log::sink::{Destination, Sink},
        config::{Log, LogFormat, LogLevel},
        diagnostics,
        redact::Redactor,
    };
    let log = Log {
        level: LogLevel::Trace,
        format: LogFormat::Text,
    };
    let sink = Sink::open(Destination::Stderr).unwrap();
    diagnostics::start(&log, Arc::new(Redactor::default()), sink.clone()).unwrap();
    let token = token.to_owned();
    let panics: [fn(String); 3] = [
        |token| panic!("while moving {token}"),
        |token| token.parse::<u8>().map(drop).map_err(|_| token).unwrap(),
        |token| std::panic::panic_any(token),
    ];
    for panic in panics {
        let token = token.clone();
        std::thread::spawn(move || panic(token)).join().unwrap_err();
    }
    sink.flush(Duration::from_secs(10));
}
