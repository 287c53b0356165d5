use http::{HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;
use crate::{
    http1::{head, survey},
    refusal::{Malformed, Refusal},
};

fn request(
    method: &str,
    authority: Option<&str>,
    path: &str,
    fields: &[(&str, &str)],
) -> Request<()> {
    let mut uri = http::uri::Parts::default();
    if let Some(authority) = authority {
        uri.scheme = (method != "CONNECT").then_some(http::uri::Scheme::HTTPS);
        uri.authority = Some(authority.parse().unwrap());
    }
    if method != "CONNECT" {
        uri.path_and_query = Some(path.parse().unwrap());
    }
    let mut request = Request::builder()
        .method(method)
        .uri(http::Uri::from_parts(uri).unwrap());
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

fn written(request: &Request<()>, is_ended: bool) -> (String, Framing) {
    let mut out = Vec::new();
    let framing = push_head(&mut out, request, None, is_ended);
    (String::from_utf8(out).unwrap(), framing)
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn writes_heads() {
    type Case<'a> = (&'a str, Request<()>, bool, Framing, &'a str);
    let h = Some("h.example");
    let cases: [Case<'_>; 15] = [
        (
            "least",
            request("GET", h, "/p?a=b", &[]),
            true,
            Framing::None,
            "GET /p?a=b HTTP/1.1\r\nhost: h.example\r\n\r\n",
        ),
        (
            "names in lower case, values and order as they came",
            request(
                "GET",
                h,
                "/",
                &[("x-b", "2"), ("x-a", "1"), ("te", "trailers")],
            ),
            true,
            Framing::None,
            "GET / HTTP/1.1\r\nhost: h.example\r\nx-b: 2\r\nx-a: 1\r\nte: trailers\r\n\r\n",
        ),
        (
            "one cookie",
            request(
                "GET",
                h,
                "/",
                &[
                    ("cookie", "a=b"),
                    ("x", "1"),
                    ("cookie", "c=d"),
                    ("cookie", "e"),
                ],
            ),
            true,
            Framing::None,
            "GET / HTTP/1.1\r\nhost: h.example\r\ncookie: a=b; c=d; e\r\nx: 1\r\n\r\n",
        ),
        (
            "a length",
            request("PUT", h, "/", &[("content-length", "3")]),
            false,
            Framing::Sized,
            "PUT / HTTP/1.1\r\nhost: h.example\r\ncontent-length: 3\r\n\r\n",
        ),
        (
            "a length of nothing",
            request("POST", h, "/", &[("content-length", "0")]),
            true,
            Framing::None,
            "POST / HTTP/1.1\r\nhost: h.example\r\ncontent-length: 0\r\n\r\n",
        ),
        (
            "a length that is not told",
            request("POST", h, "/", &[]),
            false,
            Framing::Chunked,
            "POST / HTTP/1.1\r\nhost: h.example\r\ntransfer-encoding: chunked\r\n\r\n",
        ),
        (
            "the same host twice",
            request("GET", h, "/", &[("host", "H.EXAMPLE")]),
            true,
            Framing::None,
            "GET / HTTP/1.1\r\nhost: h.example\r\n\r\n",
        ),
        (
            "two hosts: none",
            request("GET", h, "/", &[("host", "evil")]),
            true,
            Framing::None,
            "GET / HTTP/1.1\r\n\r\n",
        ),
        (
            "two Host fields: none",
            request("GET", None, "/", &[("host", "a"), ("host", "a")]),
            true,
            Framing::None,
            "GET / HTTP/1.1\r\n\r\n",
        ),
        (
            "Host alone",
            request("GET", None, "/", &[("host", "a:1")]),
            true,
            Framing::None,
            "GET / HTTP/1.1\r\nhost: a:1\r\n\r\n",
        ),
        (
            "no host",
            request("GET", None, "/", &[]),
            true,
            Framing::None,
            "GET / HTTP/1.1\r\n\r\n",
        ),
        (
            "asterisk",
            request("OPTIONS", h, "*", &[]),
            true,
            Framing::None,
            "OPTIONS * HTTP/1.1\r\nhost: h.example\r\n\r\n",
        ),
        (
            "asterisk of another method",
            request("GET", h, "*", &[]),
            true,
            Framing::None,
            "GET  HTTP/1.1\r\nhost: h.example\r\n\r\n",
        ),
        (
            "CONNECT, to be refused",
            request("CONNECT", Some("h:1"), "", &[]),
            false,
            Framing::Chunked,
            "CONNECT h:1 HTTP/1.1\r\nhost: h:1\r\ntransfer-encoding: chunked\r\n\r\n",
        ),
        (
            "fields that HTTP/2 does not have",
            request(
                "GET",
                h,
                "/",
                &[
                    ("connection", "x"),
                    ("keep-alive", "1"),
                    ("upgrade", "h2c"),
                    ("proxy-connection", "x"),
                    ("transfer-encoding", "chunked"),
                ],
            ),
            true,
            Framing::None,
            "GET / HTTP/1.1\r\nhost: h.example\r\n\r\n",
        ),
    ];
    for (name, request, is_ended, framing, expected) in cases {
        assert_eq!(
            written(&request, is_ended),
            (expected.to_owned(), framing),
            "case: {name}"
        );
    }
}

#[test]
fn takes_the_path_that_h2_did_not_get() {
    for (name, copy, path, line) in [
        ("its own", "????", &b"/a#b"[..], "GET /a#b HTTP/1.1\r\n"),
        ("not UTF-8", "??", b"/\xe9", "GET /\u{fffd} HTTP/1.1\r\n"),
        (
            "a space, for the engine",
            "????",
            b"/a b",
            "GET /a b HTTP/1.1\r\n",
        ),
        ("another's", "???", b"/a#b", "GET  HTTP/1.1\r\n"),
        ("h2 got one", "/a", b"/<", "GET  HTTP/1.1\r\n"),
        ("none", "????", b"a#bc", "GET  HTTP/1.1\r\n"),
        ("two lines", "????", b"/\r\nb", "GET  HTTP/1.1\r\n"),
    ] {
        let mut out = Vec::new();
        push_head(
            &mut out,
            &request("GET", Some("h"), copy, &[]),
            Some(path),
            true,
        );
        let head = String::from_utf8_lossy(&out).into_owned();
        assert!(head.starts_with(line), "case: {name}: {head}");
        let mut room = [httparse::EMPTY_HEADER; head::MOST_FIELDS];
        let is_served = path.starts_with(b"/") && target::is_accepted(path) && !line.contains("  ");
        assert_eq!(
            head::parse(&out, &mut room).is_ok(),
            is_served,
            "case: {name}"
        );
    }
}

#[test]
fn refuses_targets_that_are_none() {
    for path in ["?q", "nothing", "http://evil/x", "http:/x"] {
        let Ok(path) = path.parse::<http::uri::PathAndQuery>() else {
            continue;
        };
        let (head, _) = written(&request("GET", Some("h"), path.as_str(), &[]), true);
        let mut room = [httparse::EMPTY_HEADER; head::MOST_FIELDS];
        assert_eq!(
            head::parse(head.as_bytes(), &mut room).unwrap_err(),
            Refusal::Malformed(Malformed::Target),
            "{path}"
        );
    }
}

#[test]
fn ends_bodies() {
    let trailers = |fields: &[(&'static str, &str)]| -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    };
    let many: HeaderMap = (0..40)
        .map(|number| {
            (
                format!("x-{number}").parse().unwrap(),
                HeaderValue::from_static("v"),
            )
        })
        .collect();
    for (name, trailers, expected) in [
        ("none", None, "0\r\n\r\n"),
        (
            "a checksum",
            Some(trailers(&[("x-sum", "1")])),
            "0\r\nx-sum: 1\r\n\r\n",
        ),
        (
            "a credential, a host, a length",
            Some(trailers(&[
                ("authorization", "Bearer SECRET"),
                ("host", "h"),
                ("content-length", "1"),
                ("x", "y"),
            ])),
            "0\r\nx: y\r\n\r\n",
        ),
        ("too many: refused", Some(many), "!\r\n"),
    ] {
        let mut out = Vec::new();
        push_end(&mut out, trailers.as_ref());
        assert_eq!(String::from_utf8(out).unwrap(), expected, "case: {name}");
    }
}

/// Names of which some are read by the engine.
fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "host",
            "cookie",
            "content-length",
            "te",
            "expect",
            "authorization",
            "x-forwarded-for",
            "connection",
            "transfer-encoding",
            "content-type"
        ])
        .prop_map(str::to_owned),
        "[a-z!#$%&'*+.^_`|~-]{1,12}",
    ]
}

fn values() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(
        prop_oneof![
            Just(b' '),
            Just(b'\r'),
            Just(b'\n'),
            Just(0),
            Just(b':'),
            Just(b','),
            any::<u8>()
        ],
        0..20,
    )
}

proptest! {
    /// Whatever the types take becomes one head, with these fields and no others.
    #[test]
    fn adds_no_line(
        path in "/[!-~]{0,30}",
        authority in prop::option::of("[a-z.:@0-9]{1,12}"),
        fields in prop::collection::vec((names(), values()), 0..8),
        is_ended in any::<bool>(),
    ) {
        let mut uri = http::uri::Parts::default();
        let Ok(path) = path.parse() else { return Ok(()) };
        uri.path_and_query = Some(path);
        if let Some(Ok(authority)) = authority.map(|authority| authority.parse()) {
            uri.authority = Some(authority);
            uri.scheme = Some(http::uri::Scheme::HTTP);
        }
        let mut request = Request::new(());
        *request.uri_mut() = http::Uri::from_parts(uri).unwrap();
        for (name, value) in &fields {
            if let Ok(value) = HeaderValue::from_bytes(value) {
                request.headers_mut().append(HeaderName::try_from(name).unwrap(), value);
            }
        }
        let mut out = Vec::new();
        let framing = push_head(&mut out, &request, None, is_ended);
        prop_assert_eq!(head::end(&out, 0), Some(out.len()));
        let mut room = [httparse::EMPTY_HEADER; head::MOST_FIELDS];
        let head = head::parse(&out, &mut room).unwrap();
        prop_assert_eq!(head.method, b"GET");
        let count = |name: &str| head.fields.iter().filter(|field| field.name == name).count();
        prop_assert!(count("host") <= 1 && count("cookie") <= 1);
        prop_assert_eq!(count("transfer-encoding"), usize::from(framing == Framing::Chunked));
        let sent = |name: &str| request.headers().get_all(name).iter().count();
        let others = request.headers().iter().filter(|(name, _)| {
            !is_for_one_hop(name) && **name != header::HOST && **name != header::COOKIE
        });
        let expected: usize = [others.count(), usize::from(sent("cookie") > 0), count("host"), count("transfer-encoding")].iter().sum();
        prop_assert_eq!(head.fields.len(), expected);
        if let Ok(survey) = survey::survey(&head) {
            prop_assert!(survey.keep_alive && survey.upgrade.is_none());
        }
    }
}
