//! Our own answers, byte for byte.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

#[path = "answers/connection.rs"]
mod connection;
#[path = "answers/malformed.rs"]
mod malformed;
mod support;

use malformed::MALFORMED;
use support::{
    Shim, text,
    upstream::Upstream,
    wire::{Message, find},
};

const WHOAMI: &str = "/_matrix/client/v3/account/whoami";

const MISSING: &str = r#"{"errcode":"M_MISSING_TOKEN","error":"Missing access token"}"#;
const MIXED: &str = r#"{"errcode":"M_MISSING_TOKEN","error":"Mixing Authorization headers and access_token query parameters."}"#;
const UNKNOWN: &str =
    r#"{"errcode":"M_UNKNOWN_TOKEN","error":"Invalid access token passed.","soft_logout":true}"#;

const CHALLENGE: &str = "Bearer realm=\"matrix\"";
const INVALID: &str = "Bearer realm=\"matrix\", error=\"invalid_token\"";

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n")
}

/// The answer's head without its date, which is looked at here.
fn without_date(answer: &Message) -> String {
    let date = answer.field("date").unwrap();
    let moment = httpdate::parse_http_date(&date).unwrap();
    let age = moment.elapsed().unwrap_or_default();
    assert!(age.as_secs() < 60, "{date}");
    text(&answer.head).replace(&format!("Date: {date}\r\n"), "")
}

/// The whole head of a 401 with `body`.
fn head_of_401(challenge: &str, allowed: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 401 Unauthorized\r\n\
         WWW-Authenticate: {challenge}\r\n\
         Content-Type: application/json\r\n\
         Content-Length: {}\r\n\
         Cache-Control: no-store\r\n\
         Access-Control-Allow-Origin: *\r\n\
         Access-Control-Allow-Methods: GET, POST, PUT, DELETE, OPTIONS\r\n\
         Access-Control-Allow-Headers: {allowed}\r\n\
         Connection: keep-alive\r\n\r\n",
        body.len()
    )
}

const CLIENT: &str = "X-Requested-With, Content-Type, Authorization";
const IDENTITY: &str = "Origin, X-Requested-With, Content-Type, Accept, Authorization";

#[test]
fn a_401_is_exact() {
    let several =
        r#"{"errcode":"M_MISSING_TOKEN","error":"Several different access tokens passed."}"#;
    let fields = r#"{"errcode":"M_MISSING_TOKEN","error":"Too many Authorization headers."}"#;
    let identity = r#"{"errcode":"M_UNAUTHORIZED","error":"Invalid access token passed."}"#;
    let mixed = r#"{"errcode":"M_UNAUTHORIZED","error":"Mixing Authorization headers and access_token query parameters."}"#;
    let account = "/_matrix/identity/v2/account?access_token=SECRET";
    let cases = [
        ("missing", WHOAMI.into(), "", CHALLENGE, CLIENT, MISSING),
        (
            "unusable",
            "/p?access_token=SECRET%00".into(),
            "",
            INVALID,
            CLIENT,
            UNKNOWN,
        ),
        (
            "mixed",
            "/p?access_token=SECRET".into(),
            "Authorization: Basic RkFLRTo=\r\n",
            CHALLENGE,
            CLIENT,
            MIXED,
        ),
        (
            "several",
            "/p?access_token=SECRET&access_token=SECRET2".into(),
            "",
            CHALLENGE,
            CLIENT,
            several,
        ),
        (
            "two fields",
            "/p".into(),
            "Authorization: Bearer SECRET\r\nAuthorization: Bearer SECRET\r\n",
            CHALLENGE,
            CLIENT,
            fields,
        ),
        (
            "identity, unusable",
            format!("{account}%00"),
            "",
            INVALID,
            IDENTITY,
            identity,
        ),
        (
            "identity, mixed",
            account.into(),
            "Authorization: Bearer SECRET2\r\n",
            CHALLENGE,
            IDENTITY,
            mixed,
        ),
    ];
    let upstream = Upstream::plain();
    let shim = Shim::start(&upstream.url(), "");
    let mut wire = shim.connect();
    for (name, target, fields, challenge, allowed, body) in cases {
        let request = format!("{target} HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
        let head = head_of_401(challenge, allowed, body);
        let answer = wire.ask(format!("GET {request}"));
        assert_eq!(without_date(&answer), head, "case: {name}");
        assert_eq!(text(&answer.body), body, "case: {name}");
        // The same head, and nothing behind it: the next answer would show it.
        let answer = wire.ask(format!("HEAD {request}"));
        assert_eq!(without_date(&answer), head, "case: HEAD, {name}");
    }
    assert!(upstream.take().is_empty());
    let lines = shim.stop().access_lines();
    assert_eq!(lines.len(), 2 * 7);
    assert!(
        lines[0].contains(&format!("\"GET {WHOAMI} HTTP/1.1\" 401 {} ", MISSING.len())),
        "{}",
        lines[0]
    );
    assert!(
        lines[1].contains(&format!("\"HEAD {WHOAMI} HTTP/1.1\" 401 0 ")),
        "{}",
        lines[1]
    );
}

/// A preflight has no credentials by definition; answering it 401 breaks every browser.
#[test]
fn a_preflight_is_never_refused() {
    let upstream = Upstream::plain();
    let shim = Shim::start(&upstream.url(), "[relocate]\nform_body = \"refuse\"\n");
    let mut wire = shim.connect();
    for (target, fields) in [
        (WHOAMI, ""),
        ("/p?access_token=SECRET&access_token=SECRET2", ""),
        ("/p?access_token=SECRET%00", ""),
        (
            "/p?access_token=SECRET",
            "Authorization: Basic RkFLRTo=\r\n",
        ),
        (
            "/p",
            "Authorization: Bearer SECRET\r\nAuthorization: Bearer SECRET2\r\n",
        ),
        (
            "/_matrix/identity/v2/account?access_token=SECRET;access_token=SECRET2",
            "",
        ),
    ] {
        let answer = wire.ask(format!(
            "OPTIONS {target} HTTP/1.1\r\nHost: h\r\n{fields}\r\n"
        ));
        assert_eq!(answer.status(), 200, "{target}");
        let seen = upstream.take();
        assert!(find(seen[0].line(), b"SECRET").is_none(), "{target}");
    }
    shim.stop();
}

/// An answer of our own that a browser can read, whatever went wrong.
fn check_own(name: &str, answer: &Message, status: u16, error: &str) {
    let errcode = match status {
        405 | 501 => "M_UNRECOGNIZED",
        413 | 414 | 431 => "M_TOO_LARGE",
        _ => "M_UNKNOWN",
    };
    assert_eq!(answer.status(), status, "case: {name}");
    let body = format!(r#"{{"errcode":"{errcode}","error":"{error}"}}"#);
    assert_eq!(text(&answer.body), body, "case: {name}");
    for (field, value) in [
        ("content-type", "application/json"),
        ("cache-control", "no-store"),
        ("access-control-allow-origin", "*"),
        ("access-control-allow-headers", CLIENT),
        (
            "access-control-allow-methods",
            "GET, POST, PUT, DELETE, OPTIONS",
        ),
    ] {
        assert_eq!(answer.field(field).as_deref(), Some(value), "case: {name}");
    }
    assert_eq!(answer.field("www-authenticate"), None, "case: {name}");
    assert_eq!(
        answer.field("allow").is_some(),
        status == 405,
        "case: {name}"
    );
    without_date(answer);
}

#[test]
fn a_malformed_request_gets_a_readable_answer_and_a_line() {
    let upstream = Upstream::plain();
    let shim = Shim::start(&upstream.url(), "workers = 1\n");
    let mut kept = 0;
    for (name, request, status, error) in MALFORMED {
        let mut wire = shim.connect();
        let answer = wire.ask(request);
        check_own(name, &answer, status, error);
        // Kept only where head and framing are sound, so that the next request's begin is known.
        let stays = answer.field("connection").as_deref() == Some("keep-alive");
        assert!(!stays || matches!(status, 400 | 405), "case: {name}");
        if stays {
            assert_eq!(wire.ask(get("/next")).status(), 200, "case: {name}");
            kept += 1;
        } else {
            assert_eq!(wire.rest().unwrap(), b"", "case: {name}");
        }
    }
    assert_eq!(kept, 4, "bad targets and methods");
    for seen in upstream.take() {
        let is_known = seen.target() == b"/next" || find(&seen.head, b"chunked").is_some();
        assert!(
            is_known,
            "only the bad chunk is seen too late: {}",
            text(&seen.head)
        );
    }
    let mut lines = shim.stop().access_lines();
    lines.retain(|line| !line.contains("/next"));
    assert_eq!(lines.len(), MALFORMED.len());
    for ((name, request, status, _), line) in MALFORMED.iter().zip(lines) {
        assert!(
            line.contains(&format!("\" {status} ")),
            "case: {name}: {line}"
        );
        if request.starts_with("GET /p HTTP/1.1") {
            assert!(line.contains("\"GET /p HTTP/1.1\""), "case: {name}: {line}");
        }
    }
}

#[test]
fn a_head_has_limits() {
    let long = "a".repeat(40_000);
    let many = |count| "X-A: b\r\n".repeat(count);
    let head = |length: usize| {
        let frame = "GET /p HTTP/1.1\r\nHost: h\r\nX-A: \r\n\r\n";
        frame.replace(
            "X-A: ",
            &format!("X-A: {}", "b".repeat(length - frame.len())),
        )
    };
    let too_large = "Request header fields too large";
    let cases = [
        (
            "long target",
            format!("GET /{long} HTTP/1.1\r\nHost: h\r\n\r\n"),
            414,
            "Request target too long",
        ),
        (
            "long method",
            format!("{long} / HTTP/1.1\r\nHost: h\r\n\r\n"),
            414,
            "Request target too long",
        ),
        (
            "long field",
            format!("GET /p HTTP/1.1\r\nHost: h\r\nX-A: {long}\r\n\r\n"),
            431,
            too_large,
        ),
        ("one byte too long", head(32 * 1024 + 1), 431, too_large),
        (
            "one field too many",
            format!("GET /p HTTP/1.1\r\nHost: h\r\n{}\r\n", many(100)),
            431,
            "Too many request header fields",
        ),
    ];
    let upstream = Upstream::plain();
    let shim = Shim::start(&upstream.url(), "");
    for (name, request, status, error) in &cases {
        check_own(name, &shim.connect().ask(request), *status, error);
    }
    assert!(upstream.take().is_empty());
    for (name, request) in [
        ("longest head", head(32 * 1024)),
        (
            "most fields",
            format!("GET /p HTTP/1.1\r\nHost: h\r\n{}\r\n", many(99)),
        ),
        ("empty lines in front", format!("\r\n\r\n{}", get("/p"))),
        ("LF alone", "GET /p HTTP/1.1\nHost: h\n\n".into()),
        ("HTTP/1.0 without Host", "GET /p HTTP/1.0\r\n\r\n".into()),
        (
            "a later minor version",
            "GET /p HTTP/1.3\r\nHost: h\r\n\r\n".into(),
        ),
    ] {
        assert_eq!(shim.connect().ask(request).status(), 200, "case: {name}");
    }
    assert_eq!(shim.stop().access_lines().len(), cases.len() + 6);
}

#[test]
fn a_slow_head_gets_408() {
    let upstream = Upstream::plain();
    let shim = Shim::start(
        &upstream.url(),
        "[timeouts]\nhead = \"300ms\"\nbody = \"300ms\"\n",
    );
    for (name, request, error) in [
        (
            "half a request line",
            "GET /p?access_token=SECR",
            "The request head took too long",
        ),
        (
            "half a field",
            "GET /p HTTP/1.1\r\nHost: h\r\nX-",
            "The request head took too long",
        ),
        (
            "half a form",
            "POST /p HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\na=1",
            "The request body took too long",
        ),
    ] {
        let mut wire = shim.connect();
        check_own(name, &wire.ask(request), 408, error);
        assert_eq!(wire.rest().unwrap(), b"", "case: {name}");
    }
    // Nothing was begun, so there is nobody to answer.
    let idle = shim.connect();
    let lines = shim.stop().access_lines();
    drop(idle);
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(lines[0].contains("\"GET /p\" 408 "), "{}", lines[0]);
}
