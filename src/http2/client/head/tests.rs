use http::{HeaderValue, Response};
use proptest::prelude::*;

use super::*;
use crate::http1::response;

#[test]
fn reads_requests_of_ours() {
    type Case<'a> = (&'a str, &'a str, Option<(&'a str, Length)>);
    let get = |target: &'static str| format!("GET {target} HTTP/1.1\r\nHost: h:1\r\n\r\n");
    let targets = [
        ("plain", "/a?b=c", true),
        ("all there is", "*", true),
        ("two slashes", "//a//", true),
        ("sloppy, and carried", "/a|{}^\\?`{}|", true),
        ("UTF-8", "/\u{e9}", true),
        ("would be refused", "/a<b", false),
        ("would be refused in a query", "/a?\"", false),
        ("would be cut", "/a#b", false),
        ("another host", "http://other/", false),
    ];
    for (name, target, fits) in targets {
        let found = parse(get(target).as_bytes());
        assert_eq!(found.is_ok(), fits, "case: {name}");
    }
    let cases: [Case<'_>; 9] = [
        ("no body", "Host: h", Some(("", Length::Zero))),
        (
            "an empty one",
            "Host: h\r\nContent-Length: 0",
            Some(("content-length: 0", Length::Zero)),
        ),
        (
            "sized",
            "Host: h\r\nContent-Length: 7",
            Some(("content-length: 7", Length::Sized(7))),
        ),
        (
            "chunked",
            "Host: h\r\nTransfer-Encoding: chunked",
            Some(("", Length::Chunked)),
        ),
        (
            "in order, lower-cased",
            "B: 1\r\nHost: h\r\nA: 2\r\nB: 3",
            Some(("b: 1, b: 3, a: 2", Length::Zero)),
        ),
        (
            "of one hop",
            "Host: h\r\nConnection: TE\r\nTE: trailers\r\nKeep-Alive: 1\r\nUpgrade: x\r\nProxy-Connection: y",
            Some(("te: trailers", Length::Zero)),
        ),
        ("a coding", "Host: h\r\nTE: gzip", Some(("", Length::Zero))),
        ("no host", "A: b", None),
        ("no such host", "Host: a/b", None),
    ];
    for (name, fields, expected) in cases {
        let head = format!("POST / HTTP/1.1\r\n{fields}\r\n\r\n");
        let found = parse(head.as_bytes()).ok().map(|head| {
            let fields = head.request.headers();
            let line = |(name, value): (&http::HeaderName, &HeaderValue)| {
                format!("{name}: {}", value.to_str().unwrap())
            };
            (
                fields.iter().map(line).collect::<Vec<_>>().join(", "),
                head.length,
            )
        });
        let expected = expected.map(|(fields, length)| (fields.to_owned(), length));
        assert_eq!(found, expected, "case: {name}");
    }
}

#[test]
fn credentials_are_in_no_table() {
    let head = "GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer SECRET\r\nX: y\r\n\r\n";
    let request = parse(head.as_bytes()).unwrap().request;
    assert!(request.headers()["authorization"].is_sensitive());
    assert!(!request.headers()["x"].is_sensitive());
}

#[test]
fn writes_responses_for_the_engine() {
    let cases = [
        ("chunked", 200, "", false, false, Length::Chunked),
        ("sized", 200, "3", false, false, Length::Sized(3)),
        ("fields alone", 200, "", false, true, Length::Zero),
        ("of no length", 200, "0", false, true, Length::Zero),
        ("to HEAD", 200, "3", true, true, Length::Zero),
        ("to HEAD, end to come", 200, "", true, false, Length::Zero),
        ("no content", 204, "", false, true, Length::Zero),
        ("not modified", 304, "3", false, true, Length::Zero),
        ("unknown status", 299, "", false, false, Length::Chunked),
    ];
    for (name, status, length, to_head, is_ended, expected) in cases {
        let mut builder = Response::builder().status(status).header("a", "b");
        if !length.is_empty() {
            builder = builder.header("content-length", length);
        }
        let response = builder.body(()).unwrap();
        let mut out = Vec::new();
        push_response(
            &mut out,
            response.status(),
            response.headers(),
            to_head,
            is_ended,
        )
        .unwrap();
        let mut room = response::EMPTY_ROOM;
        let read = response::parse(&out, to_head, &mut room).unwrap();
        assert_eq!(
            (read.status, read.length, read.keep_alive),
            (status, expected, true),
            "case: {name}"
        );
    }
}

proptest! {
    #[test]
    fn what_fits_is_not_changed(target in prop::collection::vec(any::<u8>(), 0..20), host in "[ -~]{0,12}") {
        let head = [b"GET /", &target[..], b" HTTP/1.1\r\nHost: ", host.as_bytes(), b"\r\n\r\n"].concat();
        if let Ok(Head { request, .. }) = parse(&head) {
            let parts = request.into_parts().0.uri.into_parts();
            let (authority, path) = (parts.authority.unwrap(), parts.path_and_query.unwrap());
            prop_assert_eq!(authority.as_str(), host.trim());
            prop_assert_eq!(path.as_str().as_bytes(), [b"/", &target[..]].concat());
        }
    }

    #[test]
    fn fields_stay_as_they_are(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..6)) {
        let mut builder = Response::builder();
        let values: Vec<_> = values.iter().filter_map(|value| HeaderValue::from_bytes(value).ok()).collect();
        for value in &values {
            builder = builder.header("x", value);
        }
        let response = builder.body(()).unwrap();
        let mut out = Vec::new();
        push_response(&mut out, response.status(), response.headers(), false, true).unwrap();
        let mut room = response::EMPTY_ROOM;
        let read = response::parse(&out, false, &mut room).unwrap();
        let found: Vec<_> = read.fields.iter().filter(|field| field.name == "x").map(|field| field.value).collect();
        let expected: Vec<_> = values.iter().map(|value| value.as_bytes().trim_ascii()).collect();
        prop_assert_eq!(found, expected);
    }
}
