//! Paths over HTTP/2, through the real binary: the upstream and the log get what
//! they get over HTTP/1.1.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

#[path = "support/engine.rs"]
mod engine;
mod http2;

use engine::{End, Shim, Upstream, until};
use http2::{
    encoder::{Encoder, Spelling},
    raw,
};
use tokenshim::http2::PREFACE;

const CONFIG: &str =
    "[log]\nlevel = \"trace\"\n[[listen]]\naddress = \"127.0.0.1:0\"\nhttp2 = true\n";

const TOKEN: &str = "syt_RkFLRQ_CANARYCANARYCANARYCA_000000";

/// Sends one request over HTTP/2 with prior knowledge; returns when it is answered
/// or reset.
fn ask(shim: &Shim, authority: &[u8], path: &[u8], is_compressed: bool) {
    let mut end: End = shim.connect();
    let (mut encoder, mut block) = (Encoder::new(), Vec::new());
    for (name, value) in [
        (&b":method"[..], &b"GET"[..]),
        (b":scheme", b"http"),
        (b":authority", authority),
        (b":path", path),
    ] {
        let how = Spelling {
            is_indexed: true,
            name: 0,
            keeping: 0,
            is_compressed,
        };
        encoder.push(&mut block, name, value, how);
    }
    let flags = raw::END_STREAM | raw::END_HEADERS;
    end.send([PREFACE, &raw::frame(raw::SETTINGS, 0, 0, b"")].concat());
    end.send(raw::frame(raw::HEADERS, flags, 1, &block));
    loop {
        let head = end.exactly(9);
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        end.exactly(length);
        let is_last = matches!(head[3], raw::DATA | raw::HEADERS) && head[4] & 1 == 1;
        if is_last || matches!(head[3], raw::RST_STREAM | raw::GOAWAY) {
            return;
        }
    }
}

#[test]
fn paths_arrive_as_over_http1() {
    let upstream = Upstream::echo();
    let shim = Shim::start(&upstream, CONFIG);
    let paths: [&[u8]; 13] = [
        b"/_matrix/client/v3/sync?filter={\"a\":1}&access_token=TOKEN",
        b"/_matrix/client/v3/sync?access_token=TOKEN&filter=<>`",
        b"/_matrix/client/v3/rooms/#a:h/state?access_token=TOKEN",
        b"/_matrix/client/v3/sync?a#b&access_token=TOKEN",
        b"/<>\"`{}|\\^?<>\"`{}|\\^",
        b"/\xe9?\xe9=\xff",
        "/\u{e9}?\u{e9}".as_bytes(),
        b"/plain?access_token=TOKEN",
        b"/a b?access_token=TOKEN",
        b"/a\x7f?access_token=TOKEN",
        b"/a\x01",
        b"/#",
        b"/%zz",
    ];
    let mut lines = 0;
    for path in paths {
        let path = path.escape_ascii().to_string().replace("TOKEN", TOKEN);
        let path = unescape(&path);
        let name = path.escape_ascii().to_string();
        let mut end = shim.connect();
        end.send(
            [
                b"GET ",
                &path[..],
                b" HTTP/1.1\r\nHost: h.example\r\nConnection: close\r\n\r\n",
            ]
            .concat(),
        );
        end.rest();
        ask(&shim, b"h.example", &path, true);
        ask(&shim, b"h.example", &path, false);
        lines += 3;
        let log = shim.log(lines);
        let seen: Vec<_> = log[lines - 3..]
            .iter()
            .map(|line| ["status", "target", "token"].map(|key| line[key].to_string()))
            .collect();
        assert_eq!(seen[0], seen[1], "{name}: {:?}", log[lines - 1]);
        assert_eq!(seen[0], seen[2], "{name}");
        let arrived = upstream.requests();
        if seen[0][0] == "200" {
            let [.., first, second, third] = &arrived[..] else {
                panic!("{name}")
            };
            for other in [second, third] {
                assert_eq!(first.target(), other.target(), "{name}");
                assert_eq!(
                    first.value("authorization"),
                    other.value("authorization"),
                    "{name}"
                );
            }
            assert_eq!(
                name.contains("CANARY"),
                first.value("authorization").is_some(),
                "{name}"
            );
            assert!(!first.target().contains("CANARY"), "{name}");
        } else {
            assert_eq!(seen[0][0], "400", "{name}");
        }
    }
    assert!(upstream.requests().len() >= 27);
    assert!(
        !shim.diagnostics().contains("CANARY"),
        "{}",
        shim.diagnostics()
    );
}

/// `escape_ascii`, undone.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        (out, rest) = match (first, tail) {
            (b'\\', [b'x', high, low, tail @ ..]) => {
                let digits = [*high, *low];
                let byte = u8::from_str_radix(str::from_utf8(&digits).unwrap(), 16).unwrap();
                ([out, vec![byte]].concat(), tail)
            }
            (b'\\', [byte, tail @ ..]) => ([out, vec![*byte]].concat(), tail),
            _ => ([out, vec![*first]].concat(), tail),
        };
    }
    out
}

/// h2 tells at `debug` what it finds malformed.
#[test]
fn h2_does_not_repeat_what_clients_send() {
    let upstream = Upstream::echo();
    let shim = Shim::start(&upstream, CONFIG);
    ask(&shim, b"<CANARY>", b"/", false);
    ask(&shim, b"h.example", b"/CANARY\"<>", true);
    ask(&shim, b"CANARY\xff", b"/", false);
    ask(&shim, b"h.example", b"CANARY", true);
    // All of it was written.
    let mut end = shim.connect();
    end.send("GET /_tokenshim/nothing HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    end.rest();
    until("the trace is there", || {
        shim.diagnostics().contains("TRACE") || shim.diagnostics().contains("DEBUG")
    });
    let diagnostics = shim.diagnostics();
    assert!(!diagnostics.contains("CANARY"), "{diagnostics}");
    assert!(!diagnostics.contains(" h2::"), "{diagnostics}");
}
