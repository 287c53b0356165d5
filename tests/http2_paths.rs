//! A path arrives over HTTP/2 as over HTTP/1.1, however it is spelt.

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
    encoder::{Encoder, Spelling},
    raw::{self, Raw},
    run, serve,
};
use proptest::prelude::*;

/// One request of a connection.
#[derive(Clone, Debug)]
struct Asked {
    path: Vec<u8>,
    field: Vec<u8>,
    resize: Option<usize>,
    spellings: Vec<Spelling>,
    /// Where its block is split.
    splits: Vec<prop::sample::Index>,
}

/// Few of them, so that they come again.
fn paths() -> impl Strategy<Value = Vec<u8>> {
    let few: Vec<Vec<u8>> = [
        &b"/"[..],
        b"/clean?a=b",
        b"/a#b",
        b"#",
        b"/<",
        b"/`",
        b"/>",
        b"/?\"",
        b"/\xe9",
        "/\u{e9}".as_bytes(),
        b"/a b",
        b"/\x7f",
        b"/\r\n",
        b"/\0",
        b"nothing",
        b"????",
        b"*",
    ]
    .map(<[u8]>::to_vec)
    .into();
    prop_oneof![
        8 => prop::sample::select(few),
        1 => (1..5000_usize, prop::sample::select(&b"0<\xff"[..]))
            .prop_map(|(length, byte)| [&b"/"[..], &vec![byte; length]].concat()),
        1 => prop::collection::vec(any::<u8>(), 1..60),
    ]
}

fn spellings() -> impl Strategy<Value = Spelling> {
    (any::<bool>(), 0..3_u8, 0..3_u8, any::<bool>()).prop_map(
        |(is_indexed, name, keeping, is_compressed)| Spelling {
            is_indexed,
            name,
            keeping,
            is_compressed,
        },
    )
}

fn asked() -> impl Strategy<Value = Asked> {
    (
        paths(),
        "[a-z\"<]{0,40}",
        prop::option::weighted(0.1, 0..=4096_usize),
        prop::collection::vec(spellings(), 5),
        prop::collection::vec(any::<prop::sample::Index>(), 0..3),
    )
        .prop_map(|(path, field, resize, spellings, splits)| Asked {
            path,
            field: field.into_bytes(),
            resize,
            spellings,
            splits,
        })
}

impl Asked {
    fn block(&self, encoder: &mut Encoder) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(most) = self.resize {
            encoder.resize(&mut out, most);
        }
        let fields: [(&[u8], &[u8]); 5] = [
            (b":method", b"GET"),
            (b":scheme", b"http"),
            (b":authority", b"h.example"),
            (b":path", &self.path),
            (b"x-field", &self.field),
        ];
        for ((name, value), how) in fields.into_iter().zip(&self.spellings) {
            encoder.push(&mut out, name, value, *how);
        }
        out
    }

    /// As the engine gets it.
    fn head(&self) -> String {
        let path = &self.path;
        let cannot_be = |byte: &u8| matches!(byte, b'\r' | b'\n' | 0);
        let is_one = path.starts_with(b"/") && !path.iter().any(cannot_be);
        let target = if is_one { &path[..] } else { b"" };
        let field = String::from_utf8_lossy(&self.field);
        let rest = if path.iter().any(cannot_be) && path.starts_with(b"/") {
            // Two lines: all of it is refused.
            String::new()
        } else {
            format!("host: h.example\r\nx-field: {field}\r\n")
        };
        let target = String::from_utf8_lossy(target);
        format!("GET {target} HTTP/1.1\r\n{rest}\r\n")
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_spelling_of_every_path(all in prop::collection::vec(asked(), 1..40)) {
        run(async {
            let (io, _end) = serve(LIMITS, echo);
            let mut raw = Raw::open(io).await;
            raw.send(raw::WINDOW_UPDATE, 0, 0, &(16_u32 << 20).to_be_bytes()).await;
            let mut encoder = Encoder::new();
            for (asked, stream) in all.iter().zip((1_u32..).step_by(2)) {
                let block = asked.block(&mut encoder);
                let mut cuts: Vec<_> = asked.splits.iter().map(|split| split.index(block.len())).collect();
                cuts.extend([0, block.len()]);
                cuts.sort_unstable();
                for (number, cut) in cuts.windows(2).enumerate() {
                    let kind = if number == 0 { raw::HEADERS } else { raw::CONTINUATION };
                    let first = if number == 0 { raw::END_STREAM } else { 0 };
                    let last = if number + 2 == cuts.len() { raw::END_HEADERS } else { 0 };
                    raw.send(kind, first | last, stream, &block[cut[0]..cut[1]]).await;
                }
                let body = raw.body(stream).await;
                let head = body.map(|body| String::from_utf8_lossy(&body).into_owned());
                prop_assert_eq!(head, Ok(asked.head()), "{:?}", asked);
            }
            Ok(())
        })?;
    }
}
