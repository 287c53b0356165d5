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

use engine::{End, Shim, Upstream, response, until};
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

/// A connection whose windows are as we say: they count once our settings are agreed to.
fn open(shim: &Shim) -> End {
    let mut end = shim.connect();
    end.send([PREFACE, &raw::frame(raw::SETTINGS, 0, 0, b"")].concat());
    let head = end.exactly(9);
    assert_eq!(head[3], raw::SETTINGS);
    end.exactly(head[2].into());
    end.send(raw::frame(raw::SETTINGS, 1, 0, b""));
    end
}

/// The next frame of a stream, or of the connection's end.
fn next_frame(end: &mut End) -> raw::Frame {
    loop {
        let head = end.exactly(9);
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        let frame = raw::Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes(head[5..9].try_into().unwrap()),
            payload: end.exactly(length),
        };
        if matches!(
            frame.kind,
            raw::DATA | raw::HEADERS | raw::RST_STREAM | raw::GOAWAY
        ) {
            return frame;
        }
    }
}

/// Begins an upload and reads the answer to its last byte.
fn begin_upload(end: &mut End, stream: u32, path: &[u8], length: usize) -> Vec<u8> {
    let block = raw::block(&[
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":authority", b"h"),
        (b":path", path),
        (b"content-length", length.to_string().as_bytes()),
    ]);
    end.send(raw::frame(raw::HEADERS, raw::END_HEADERS, stream, &block));
    let mut body = Vec::new();
    loop {
        let frame = next_frame(end);
        assert_eq!(frame.stream, stream, "{frame:?}");
        assert_ne!(frame.kind, raw::RST_STREAM, "{}", frame.code());
        if frame.kind == raw::DATA {
            body.extend(frame.payload);
        }
        if frame.flags & raw::END_STREAM != 0 {
            return body;
        }
    }
}

/// curl drops an answer right behind which its upload is reset.
#[test]
fn early_answers_to_uploads_can_be_read() {
    const LENGTH: usize = 320_000;
    let upstream = Upstream::start(|mut end| {
        if end.request_head().is_some() {
            let _ = end.try_send(response("413 Content Too Large", "theirs"));
        }
    });
    let limits = "[limits]\nbody_size = \"1MiB\"\n";
    let shim = Shim::start(&upstream, &(limits.to_owned() + CONFIG));
    let mut end = open(&shim);
    let cases: [(&str, &[u8], usize, &str, u32); 3] = [
        (
            "no token: ours",
            b"/_matrix/media/v3/upload",
            LENGTH,
            "M_MISSING_TOKEN",
            1,
        ),
        ("too large: ours", b"/large", 2 << 20, "M_TOO_LARGE", 5),
        ("the upstream's", b"/theirs", LENGTH, "theirs", 9),
    ];
    for (name, path, length, text, stream) in cases {
        let body = begin_upload(&mut end, stream, path, length);
        assert!(
            String::from_utf8_lossy(&body).contains(text),
            "case: {name}"
        );
        // The rest as if nothing had been said, in what the windows hold, then
        // another request: what comes next is its answer, and no reset.
        let piece = vec![b'x'; 16_000];
        for _ in 0..20 {
            end.send(raw::frame(raw::DATA, 0, stream, &piece));
        }
        if length == LENGTH {
            end.send(raw::frame(raw::DATA, raw::END_STREAM, stream, b""));
        }
        let flags = raw::END_STREAM | raw::END_HEADERS;
        let ask = raw::get(b"/_tokenshim/health");
        end.send(raw::frame(raw::HEADERS, flags, stream + 2, &ask));
        let next = next_frame(&mut end);
        assert_eq!(
            (next.stream, next.kind),
            (stream + 2, raw::HEADERS),
            "case: {name}: {next:?}"
        );
        assert_eq!(next_frame(&mut end).kind, raw::DATA, "case: {name}");
    }
}

#[test]
fn an_upload_that_stalls_behind_its_answer_is_reset_in_the_end() {
    let upstream = Upstream::echo();
    let shim = Shim::start(&upstream, CONFIG);
    let mut end = open(&shim);
    begin_upload(&mut end, 1, b"/_matrix/media/v3/upload", 320_000);
    let reset = next_frame(&mut end);
    assert_eq!((reset.kind, reset.code()), (raw::RST_STREAM, 0), "NO_ERROR");
}
