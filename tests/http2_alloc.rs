//! What looking for paths costs a usual head: no memory.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

mod http2;

use http2::encoder::{Encoder, Spelling};
use tokenshim::http2::paths::Paths;

#[test]
fn a_usual_head_allocates_nothing() {
    let mut encoder = Encoder::new();
    let mut block = || {
        let mut out = Vec::new();
        let path = b"/_matrix/client/v3/sync?timeout=30000&since=s72595_4483_1934&filter=%7B%22room%22%3A1%7D";
        for (name, value) in [
            (&b":method"[..], &b"GET"[..]),
            (b":scheme", b"https"),
            (b":authority", b"hs.example"),
            (b":path", path),
            (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:128.0)"),
            (b"accept", b"*/*"),
            (b"accept-language", b"en"),
            (b"accept-encoding", b"gzip, deflate, br"),
            (b"authorization", b"Bearer FAKE"),
            (b"origin", b"https://app.example"),
            (b"referer", b"https://app.example/"),
        ] {
            let is_path = name == b":path";
            let how = Spelling {
                is_indexed: !is_path,
                name: 0,
                keeping: u8::from(is_path),
                is_compressed: true,
            };
            encoder.push(&mut out, name, value, how);
        }
        out
    };
    let (first, next) = (block(), block());
    let mut paths = Paths::default();
    let info = allocation_counter::measure(|| {
        assert!(paths.read(&first).unwrap().raw.is_none());
        for _ in 0..100 {
            assert!(paths.read(&next).unwrap().block.is_none());
        }
    });
    assert_eq!(info.count_total, 0, "{info:?}");
    if std::env::var_os("TOKENSHIM_TIME").is_some() {
        for (name, block) in [("first", &first), ("next", &next)] {
            let begun = std::time::Instant::now();
            for _ in 0..1_000_000 {
                std::hint::black_box(paths.read(std::hint::black_box(block)).unwrap());
            }
            eprintln!(
                "{name}: {} bytes, {:?} each",
                block.len(),
                begun.elapsed() / 1_000_000
            );
        }
    }
}
