//! The fuzz targets' laws, on their seeds and on random bytes.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

#[path = "../fuzz/beside_hyper/mod.rs"]
mod beside_hyper;
#[path = "../fuzz/configurations.rs"]
mod configurations;
#[path = "../fuzz/laws.rs"]
mod laws;
#[path = "../fuzz/questions.rs"]
mod questions;
#[path = "../fuzz/relayed.rs"]
mod relayed;

use std::{fmt, fs, path::Path};

use proptest::{
    prelude::*,
    sample::select,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};

type Law = fn(&[u8]);

/// Every target with the name of its seeds.
const TARGETS: [(&str, Law); 23] = [
    ("relocation", laws::relocation),
    ("redaction", laws::redaction),
    ("log_line", laws::log_line),
    ("log_format", laws::log_format),
    ("head", laws::head),
    ("chunks", laws::chunks),
    ("fields", laws::fields),
    ("proxy_protocol", laws::proxy_protocol),
    ("tokens_file", laws::tokens_file),
    ("http2_request", laws::http2_request),
    ("http2_answer", laws::http2_answer),
    ("http2_heads", laws::http2_heads),
    ("http2_upstream", laws::http2_upstream),
    ("hyper_requests", |bytes| {
        beside_hyper::requests(bytes);
    }),
    ("hyper_responses", |bytes| {
        beside_hyper::responses(bytes);
    }),
    ("original", questions::original),
    ("check_request", questions::check_request),
    ("messages", relayed::messages),
    ("lesson", laws::lesson),
    ("whoami", laws::whoami),
    ("introspection", laws::introspection),
    ("live_set", laws::live_set),
    ("configuration", configurations::configuration),
];

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/seeds")
        .join(target);
    let seeds: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| fs::read(entry.unwrap().path()).unwrap())
        .collect();
    assert!(seeds.len() > 10, "{target}: {} seeds", seeds.len());
    seeds
}

#[test]
fn the_laws_hold_on_the_seeds() {
    for (name, law) in TARGETS {
        for seed in seeds(name) {
            law(&seed);
            // What a short read leaves of it.
            for end in 0..seed.len() {
                law(&seed[..end]);
                law(&seed[end..]);
            }
        }
    }
}

/// What makes parsers stumble, and what our own look for.
const PIECES: [&[u8]; 106] = [
    b"access_token",
    b"access_token=",
    b"access%5Ftoken=",
    b"%61ccess_token=",
    b"access%255Ftoken=",
    b"Access_Token=",
    b"SECRET",
    b"SECRET%2B",
    b"refresh_token",
    b"Bearer ",
    b"Authorization: ",
    b"Basic ",
    b"syt_RkFLRQ_",
    b"FAKEFAKEFAKEFAKEFAKE_",
    b"000000",
    b"mat_",
    b"MDAx",
    b"<redacted>",
    b"&",
    b";",
    b"=",
    b"?",
    b"#",
    b"%",
    b"%25",
    b"%26",
    b"%3D",
    b"%22",
    b"\"",
    b"\\\"",
    b"\\u0026",
    b"'",
    b": ",
    b" ",
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"GET / HTTP/1.1\r\nHost: h\r\n",
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.0 200 \r\n",
    b"HTTP/1.1 100 \r\n\r\n",
    b"HTTP/1.1 204 \r\n",
    b"POST /p HTTP/1.1\r\nHost: h\r\n",
    b"GET / HTTP/1.0\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"http://h/",
    b"3\r\nabc\r\n",
    b"0\r\n\r\n",
    b"PROXY TCP4 ",
    b"PROXY TCP6 ",
    b"PROXY UNKNOWN",
    b"192.0.2.1 ",
    b"2001:db8::1 ",
    b"56324 443\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c",
    b"\0\0\x05\x01\x05\0\0\0\x01\x82\x04\x02/<",
    b"\0\0\x05\x01\x04\0\0\0\x03\x82\x44\x02/#",
    b"\0\0\x02\x01\0\0\0\0\x05",
    b"\0\0\x01\x09\x04\0\0\0\x05",
    b"GET /auth HTTP/1.1\r\nHost: h\r\n",
    b"X-Original-URI: /p\r\nX-Original-Method: GET\r\n",
    b"X-Forwarded-Uri: /p\r\n",
    b"\x0a\x14\x22\x12\x12\x10\x12\x03GET\x22\x02/p\x2a\x01h\x6a\x02\x0a\0",
    b"\x6a\x0a\x0a\x08\x0a\x03x-a\x1a\x011",
    b"\x1a\x08\x0a\x03x-a\x12\x011",
    b"200\napplication/json\n{",
    b"401\napplication/json\n{",
    b"404\napplication/json\n{",
    b"200\ntext/html\n{",
    b"}",
    b",",
    b"true",
    b"false",
    b"\"errcode\":\"M_UNKNOWN_TOKEN\"",
    b"\"errcode\":\"M_USER_LOCKED\"",
    b"\"soft_logout\":",
    b"\"user_id\":\"@a:hs\"",
    b"\"is_guest\":",
    b"\"admin\":",
    b"\"active\":",
    b"\"active\":true,\"username\":\"a\",\"scope\":\"b\"",
    b"\"sub\":\"c\"",
    b"\"exp\":1",
    b"\"expires_in\":9",
    b"\"device_id\":\"D\"",
    b"192.0.2.1 - - ",
    b"[22/Nov/2026:09:02:38 +0000] ",
    b"\"GET /p?access_token=SECRET HTTP/1.1\" 200 5 ",
    b"\"https://c/?a\" \"curl/8\"",
    b"2026-11-22T09:02:38.5Z ",
    b"2026-11-22 09:02:38,123 - ",
    b"2026/11/22 09:02:38 [error] 1#1: *1 ",
    b", client: 192.0.2.1, request: \"GET /p",
    b"Nov 22 09:02:38 host app[1]: ",
    b"<134>1 ",
    b"MESSAGE=",
    b"{\"log\":\"",
    b"\",\"stream\":\"stdout\"}",
    b"{\"request\":{\"uri\":\"/p\\u0026",
    b"{@a:h} Processed request: ",
    b"https 2026-11-22T09:02:38.5Z lb 192.0.2.1:1 h:1 0 0 0 200 200 1 1 \"",
    b"192.0.2.1:1 [22/Nov/2026:09:02:38.123] in in/s 0/0/0/1/1 200 5 - - ---- 1/1/0/0/0 0/0 {",
];

/// Bytes that a failure shows as one can type them.
#[derive(Clone)]
struct Nasty(Vec<u8>);

impl fmt::Debug for Nasty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

/// Pieces, seeds and single bytes in any order.
fn nasty(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Nasty> {
    let piece = prop_oneof![
        6 => select(&PIECES[..]).prop_map(<[u8]>::to_vec),
        2 => (select(seeds), any::<prop::sample::Index>()).prop_map(|(mut seed, at)| {
            seed.truncate(at.index(seed.len() + 1));
            seed
        }),
        2 => any::<u8>().prop_map(|byte| vec![byte]),
    ];
    prop::collection::vec(piece, 0..16).prop_map(|pieces| Nasty(pieces.concat()))
}

#[test]
fn the_laws_hold_on_random_bytes() {
    // The same bytes for every build: new ones are the fuzzer's business, and a
    // build that fails has a change to blame.
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    for (name, law) in TARGETS {
        let config = ProptestConfig {
            cases: 2000,
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        let checked = TestRunner::new_with_rng(config, random.clone()).run(
            &nasty(seeds(name)),
            |Nasty(bytes)| {
                law(&bytes);
                Ok(())
            },
        );
        if let Err(failure) = checked {
            panic!("{name}: {failure}");
        }
    }
}

/// Start lines, field lines and pieces of bodies, of which most messages are sound
/// and some are nearly so.
const REQUEST_LINES: [&str; 8] = [
    "GET / HTTP/1.1",
    "POST /p?a=b HTTP/1.1",
    "PUT http://h/p HTTP/1.1",
    "HEAD /<\"x\">#y HTTP/1.1",
    "OPTIONS * HTTP/1.0",
    "DELETE /\u{e4} HTTP/1.4",
    "CONNECT h:443 HTTP/1.1",
    "GET /a b HTTP/1.1",
];
const STATUS_LINES: [&str; 8] = [
    "HTTP/1.1 200 OK",
    "HTTP/1.1 404 Nothing here",
    "HTTP/1.1 200",
    "HTTP/1.0 200 OK",
    "HTTP/1.1 204 No Content",
    "HTTP/1.1 304 Not Modified",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK",
    "HTTP/1.1 101 Switching Protocols",
];
const FIELD_LINES: [&str; 20] = [
    "Content-Length: 3",
    "Content-Length: 3",
    "content-length:  0 ",
    "Content-Length: 3, 3",
    "Content-Length: +3",
    "Content-Length: 18446744073709551616",
    "Transfer-Encoding: chunked",
    "transfer-encoding: Chunked",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: identity",
    "Connection: close",
    "Connection: x-a, Close, keep-alive",
    "Connection: keep-alive",
    "Connection: upgrade\r\nUpgrade: websocket",
    "Expect: 100-continue",
    "X-A: 1\r\nx-a:2 ",
    "X-B:",
    "X-Folded: a\r\n b",
    "X-C : d",
    "Host: other",
];
const BODIES: [&str; 19] = [
    "",
    "abc",
    "3\r\nabc\r\n0\r\n\r\n",
    "03;a=\"b\"\r\nabc\r\n0;c\r\nX-Sum: 1\r\n\r\n",
    "A\r\n0123456789\r\n1 ;a\r\nb\r\n000\r\n\r\n",
    "0\r\n\r\n",
    "3 \r\nabc\r\n0\r\n\r\n",
    "3\nabc\n0\n\n",
    "3\nabc\r\n0\r\n\r\n",
    "3\r\nabc\n0\r\n\r\n",
    "0\r\n\n",
    "3\r\nabcd\r\n0\r\n\r\n",
    "0\r\nX-Sum: 1\n\r\n\r\n",
    "0\r\nX-Sum : 1\r\n\r\n",
    "0\r\n X-Sum: 1\r\n\r\n",
    "0x0\r\n\r\n",
    "-0\r\n\r\n",
    "0;a\rb\r\n\r\n",
    "FFFFFFFFFFFFFFFFF\r\n",
];

/// One message; of the requests, nearly all have a host.
fn message(
    start_lines: &'static [&'static str],
    host: &'static str,
) -> impl Strategy<Value = String> {
    let end = prop_oneof![9 => Just("\r\n"), 1 => Just("\n")];
    let host = prop_oneof![19 => Just(host), 1 => Just("")];
    let fields = prop::collection::vec((select(&FIELD_LINES[..]), end.clone()), 0..4);
    (select(start_lines), end, host, fields, select(&BODIES[..])).prop_map(
        |(start, end, host, fields, body)| {
            let fields: String = fields
                .into_iter()
                .flat_map(|(line, end)| [line, end])
                .collect();
            format!("{start}{end}{host}{fields}{end}{body}")
        },
    )
}

#[test]
fn http1_is_read_as_hyper_reads_it() {
    type Count = fn(&[u8]) -> usize;
    let cases: [(&str, &'static [&'static str], &'static str, Count); 2] = [
        (
            "requests",
            &REQUEST_LINES,
            "Host: h\r\n",
            beside_hyper::requests,
        ),
        ("responses", &STATUS_LINES, "", beside_hyper::responses),
    ];
    for (name, start_lines, host, law) in cases {
        let config = ProptestConfig {
            cases: 10_000,
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let messages = prop::collection::vec(message(start_lines, host), 1..4);
        let whole = std::cell::Cell::new(0_usize);
        let checked = TestRunner::new_with_rng(config, random).run(&messages, |messages| {
            whole.set(whole.get() + law(messages.concat().as_bytes()));
            Ok(())
        });
        if let Err(failure) = checked {
            panic!("{name}: {failure}");
        }
        // Two readers that refuse everything agree, too.
        assert!(whole.get() > 2500, "{name}: {} whole", whole.get());
    }
}
