//! The layer for other servers: every row of `relocation-cases.toml` that an `http::Uri`
//! can hold, beside the proxy on a socket; the example's axum server; and what the page
//! about it says.

#![allow(
    clippy::allow_attributes,
    clippy::arithmetic_side_effects,
    clippy::format_push_string,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test that panics is a test that fails"
)]

#[path = "layer/cases.rs"]
mod cases;
#[path = "layer/probe.rs"]
mod probe;
#[path = "layer/rows.rs"]
mod rows;
#[path = "layer/server.rs"]
mod server;
mod support;

use bytes::Bytes;
use http::{Request, Response, Version, header::AUTHORIZATION};
use probe::{pass, pass_to};
use proptest::prelude::*;
use tokenshim::layer::{Moved, RelocateLayer, Repeated};

/// A token may be in a form, so that there is no 401 of our own where a form may be.
#[test]
fn what_may_hide_a_token_is_for_the_service_to_judge() {
    const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";
    let http1 = Version::HTTP_11;
    let cases = [
        ("form", "POST", http1, FORM, ("content-length", "5"), true),
        (
            "form in chunks",
            "POST",
            http1,
            FORM,
            ("transfer-encoding", "chunked"),
            true,
        ),
        (
            "multipart",
            "POST",
            http1,
            "multipart/form-data; boundary=b",
            ("content-length", "5"),
            true,
        ),
        (
            "no length in HTTP/2",
            "POST",
            Version::HTTP_2,
            FORM,
            ("x", "y"),
            true,
        ),
        (
            "empty form",
            "POST",
            http1,
            FORM,
            ("content-length", "0"),
            false,
        ),
        (
            "empty form in HTTP/2",
            "POST",
            Version::HTTP_2,
            FORM,
            ("content-length", "0"),
            false,
        ),
        ("no body", "POST", http1, FORM, ("x", "y"), false),
        (
            "JSON",
            "POST",
            http1,
            "application/json",
            ("content-length", "5"),
            false,
        ),
        (
            "nobody reads a form of a GET",
            "GET",
            http1,
            FORM,
            ("content-length", "5"),
            false,
        ),
    ];
    for (name, method, version, media_type, (field, value), passes) in cases {
        let path = match method {
            "POST" => "/_matrix/client/v3/logout",
            _ => "/_matrix/client/v3/account/whoami",
        };
        let request = Request::builder()
            .method(method)
            .version(version)
            .uri(path)
            .header("content-type", media_type)
            .header(field, value)
            .body(b"a=b&c".to_vec())
            .unwrap();
        let (seen, answer) = pass(&RelocateLayer::new(), request);
        assert_eq!(seen.is_some(), passes, "case: {name}");
        assert_eq!(
            answer.status(),
            if passes { 200 } else { 401 },
            "case: {name}"
        );
    }
}

/// HTTP/2 servers put scheme and host into the URI.
#[test]
fn the_rest_of_the_uri_stays() {
    let cases = [
        (
            "HTTP/2",
            "GET",
            "https://h:8448/p?access_token=SECRET&b",
            Some("https://h:8448/p?b"),
        ),
        (
            "no path",
            "GET",
            "http://h?access_token=SECRET",
            Some("http://h/"),
        ),
        (
            "WebSocket over HTTP/2",
            "CONNECT",
            "https://h/p?access_token=SECRET",
            Some("https://h/p"),
        ),
        ("tunnel", "CONNECT", "h:443", Some("h:443")),
        ("tunnel by another method", "GET", "h:443", None),
        ("userinfo", "GET", "http://u:SECRET@h/p", None),
        ("not ASCII, no token", "GET", "/é?é", Some("/é?é")),
        (
            "not ASCII beside a token",
            "GET",
            "/é?access_token=SECRET&é",
            Some("/%C3%A9?%C3%A9"),
        ),
        ("no token", "GET", "https://h/p?", Some("https://h/p?")),
    ];
    for (name, method, uri, expected) in cases {
        let request = Request::builder().method(method).uri(uri);
        let (seen, answer) = pass(&RelocateLayer::new(), request.body(Vec::new()).unwrap());
        let seen = seen.map(|seen| seen.parts.uri.to_string());
        assert_eq!(seen.as_deref(), expected, "case: {name}");
        assert_eq!(
            answer.status(),
            if expected.is_some() { 200 } else { 400 },
            "case: {name}"
        );
    }
}

#[test]
fn a_cut_that_makes_no_uri_is_refused() {
    // Escapes are longer than what they stand for, and a URI has 64 KiB.
    let uri = format!("/?access_token=SECRET&{}", "é".repeat(16_000));
    let request = Request::get(uri).body(Vec::new()).unwrap();
    let (seen, answer) = pass(&RelocateLayer::new(), request);
    assert!(seen.is_none());
    assert_eq!(answer.status(), 400);
    assert_eq!(
        answer.body(),
        &br#"{"errcode":"M_UNKNOWN","error":"Malformed request target"}"#[..]
    );
}

/// Whatever the service inside logs of a request, it is no token.
#[test]
fn nothing_that_the_service_sees_prints_a_token() {
    let request = Request::get("/p?access_token=SECRET&b")
        .header("referer", "https://c.example/?access_token=SECRET")
        .body(Vec::new())
        .unwrap();
    let (seen, _) = pass(&RelocateLayer::new(), request);
    let parts = seen.unwrap().parts;
    assert_eq!(parts.headers[AUTHORIZATION], "Bearer SECRET");
    assert!(!format!("{parts:?}").contains("SECRET"), "{parts:?}");
    assert!(parts.extensions.get::<Moved>().is_some());

    let request = Request::get("/p").header("authorization", "Bearer SECRET");
    let (seen, _) = pass(&RelocateLayer::new(), request.body(Vec::new()).unwrap());
    let parts = seen.unwrap().parts;
    assert!(
        !format!("{parts:?}").contains("SECRET"),
        "one that was there is as secret"
    );
    assert!(parts.extensions.get::<Moved>().is_none());
}

#[test]
fn the_answer_to_a_moved_request_keeps_its_secret() {
    const REDIRECT: [(&str, &str); 4] = [
        ("cache-control", "public, max-age=60"),
        ("content-location", "https://H:443/b?access_token=SECRET"),
        ("location", "/a?access_token=SECRET&x"),
        ("referrer-policy", "unsafe-url"),
    ];
    type Fields<'a> = &'a [(&'a str, &'a str)];
    let cases: [(&str, &str, u16, Fields<'_>, Fields<'_>); 4] = [
        (
            "a redirect",
            "/p?access_token=SECRET",
            302,
            &REDIRECT,
            &[
                ("cache-control", "private, max-age=60"),
                ("content-location", "https://H:443/b"),
                ("location", "/a?x"),
                ("referrer-policy", "no-referrer"),
            ],
        ),
        (
            "an expiry alone would let it be shared",
            "/p?access_token=SECRET",
            200,
            &[("expires", "Thu, 01 Jan 2099 00:00:00 GMT")],
            &[
                ("cache-control", "private"),
                ("expires", "Thu, 01 Jan 2099 00:00:00 GMT"),
                ("referrer-policy", "no-referrer"),
            ],
        ),
        (
            "a change of protocol",
            "/p?access_token=SECRET",
            101,
            &[("upgrade", "websocket")],
            &[("upgrade", "websocket")],
        ),
        ("nothing was moved", "/p", 302, &REDIRECT, &REDIRECT),
    ];
    for (name, uri, status, said, expected) in cases {
        let mut answer = Response::builder().status(status);
        for (name, value) in said {
            answer = answer.header(*name, *value);
        }
        let request = Request::get(uri)
            .header("host", "h")
            .body(Vec::new())
            .unwrap();
        let answer = answer.body(Bytes::new()).unwrap();
        let (_, answer) = pass_to(&RelocateLayer::new(), request, answer);
        let mut fields: Vec<_> = answer
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        fields.sort_unstable();
        assert_eq!(fields, expected, "case: {name}");
    }
}

#[test]
fn a_name_that_no_parameter_has_is_an_error() {
    let cases: [(&[&str], &str); 3] = [
        (&[], "no parameter's name"),
        (
            &[""],
            "a parameter's name must be visible ASCII without & ; = %, not \"\"",
        ),
        (
            &["token", "a&b"],
            "a parameter's name must be visible ASCII without & ; = %, not \"a&b\"",
        ),
    ];
    for (names, expected) in cases {
        let error = RelocateLayer::builder().parameters(names).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

proptest! {
    /// An independent reader of queries finds no token in what the service inside sees.
    #[test]
    fn no_uri_inside_holds_a_token(
        query in "([a&;=%é]|access_token|access%5Ftoken|%61ccess_token|=FAKE){0,12}"
    ) {
        let Ok(request) = Request::get(format!("/p?{query}")).body(Vec::new()) else {
            return Ok(());
        };
        let layer = RelocateLayer::builder().repeated(Repeated::First).build();
        let (seen, _) = pass(&layer, request);
        let Some(seen) = seen else { return Ok(()) };
        let left = seen.parts.uri.query().unwrap_or_default();
        for part in left.split(';') {
            let found = form_urlencoded::parse(part.as_bytes()).any(|(name, _)| name == "access_token");
            prop_assert!(!found, "{query} became {left}");
        }
    }
}

/// The layer is for servers that have an engine.
#[test]
fn the_layer_needs_nothing_of_the_engine() {
    let sources = [
        include_str!("../src/layer.rs"),
        include_str!("../src/layer/answer.rs"),
        include_str!("../src/layer/future.rs"),
        include_str!("../src/layer/request.rs"),
    ];
    for module in [
        "http1",
        "http2",
        "worker",
        "exchange",
        "connection",
        "plan",
        "settings",
        "tokio",
    ] {
        for source in sources {
            let code = source
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            let uses = |line: &str| {
                line.contains(&format!("{module}::")) || line.contains(&format!("::{module}"))
            };
            assert_eq!(code.filter(|line| uses(line)).collect::<Vec<_>>(), [""; 0]);
        }
    }
}
