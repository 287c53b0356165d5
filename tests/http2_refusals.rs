//! What HTTP/2 refuses before the engine sees a request.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

mod http2;

use http2::{
    LIMITS, echo,
    raw::{self, Raw},
    run, serve,
};

#[test]
fn malformed_requests_never_reach_the_engine() {
    type Case<'a> = (&'a str, &'a [(&'a [u8], &'a [u8])]);
    let cases: [Case<'_>; 9] = [
        ("connection", &[(b"connection", b"close")]),
        ("keep-alive", &[(b"keep-alive", b"1")]),
        ("proxy-connection", &[(b"proxy-connection", b"x")]),
        ("transfer-encoding", &[(b"transfer-encoding", b"chunked")]),
        ("upgrade", &[(b"upgrade", b"websocket")]),
        ("te other than trailers", &[(b"te", b"gzip")]),
        ("upper case", &[(b"X-A", b"1")]),
        ("a length that is none", &[(b"content-length", b"x")]),
        ("a length without a body", &[(b"content-length", b"3")]),
    ];
    for (name, fields) in cases {
        run(async {
            let (io, _end) = serve(LIMITS, |_| async { panic!("it was accepted") });
            let mut raw = Raw::open(io).await;
            let block = [raw::get(b"/"), raw::block(fields)].concat();
            raw.send(raw::HEADERS, raw::END_STREAM | raw::END_HEADERS, 1, &block)
                .await;
            let frame = raw.next_of_interest().await.unwrap();
            assert!(
                matches!(frame.kind, raw::RST_STREAM | raw::GOAWAY),
                "case: {name}: {frame:?}"
            );
        });
    }
}

#[test]
fn a_value_cannot_add_a_line() {
    for value in [&b"a\r\nx-evil: 1"[..], b"a\nx", b"a\0b", b"a\rb"] {
        for name in [&b"x-a"[..], b":authority", b":method", b"cookie"] {
            run(async {
                let (io, _end) = serve(LIMITS, |_| async { panic!("it was accepted") });
                let mut raw = Raw::open(io).await;
                let mut fields = vec![
                    (&b":method"[..], &b"GET"[..]),
                    (b":scheme", b"http"),
                    (b":authority", b"h"),
                    (b":path", b"/"),
                ];
                match fields.iter_mut().find(|field| field.0 == name) {
                    Some(field) => field.1 = value,
                    None => fields.push((name, value)),
                }
                raw.send(
                    raw::HEADERS,
                    raw::END_STREAM | raw::END_HEADERS,
                    1,
                    &raw::block(&fields),
                )
                .await;
                let frame = raw.next_of_interest().await.unwrap();
                assert!(matches!(frame.kind, raw::RST_STREAM | raw::GOAWAY));
            });
        }
    }
}

/// What the module's header says of targets: those that no request may have reach
/// the engine as one that it refuses, and one does not reach it at all.
#[test]
fn targets_that_are_none() {
    let flags = raw::END_STREAM | raw::END_HEADERS;
    for path in [
        &b"nothing"[..],
        b"http://evil/",
        b"*",
        b"?a",
        b"???",
        b"/a\nb",
        b"/\0",
    ] {
        run(async {
            let (io, _end) = serve(LIMITS, echo);
            let mut raw = Raw::open(io).await;
            raw.send(raw::HEADERS, flags, 1, &raw::get(path)).await;
            let head = raw.body(1).await.unwrap();
            assert!(
                head.starts_with(b"GET  HTTP/1.1\r\n"),
                "{}",
                path.escape_ascii()
            );
        });
    }
    run(async {
        let (io, _end) = serve(LIMITS, echo);
        let mut raw = Raw::open(io).await;
        raw.send(raw::HEADERS, flags, 1, &raw::get(b"")).await;
        let frame = raw.next_of_interest().await.unwrap();
        assert_eq!((frame.kind, frame.code()), (raw::RST_STREAM, 1));
    });
}
