//! Clients that send without end what costs them nothing.

use std::{cell::Cell, rc::Rc};

use tokenshim::http2::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::http2::{
    LIMITS,
    raw::{self, Raw},
    run, serve,
};

const ENHANCE_YOUR_CALM: u32 = 11;

#[test]
fn floods_are_cut() {
    let request = raw::get(b"/");
    let many = raw::block(
        &(0..2000)
            .map(|_| (&b"x"[..], &b"yyyyyyyyyy"[..]))
            .collect::<Vec<_>>(),
    );
    let cases: [(&str, Vec<u8>, usize); 7] = [
        ("pings", raw::frame(raw::PING, 0, 0, &[0; 8]), 200_000),
        ("settings", raw::frame(raw::SETTINGS, 0, 0, b""), 200_000),
        (
            "window updates",
            raw::frame(raw::WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()),
            50_000,
        ),
        ("priorities", raw::frame(2, 0, 1, &[0, 0, 0, 3, 0]), 50_000),
        ("empty frames", raw::frame(raw::DATA, 0, 1, b""), 200_000),
        (
            "one-byte frames",
            raw::frame(raw::DATA, 0, 1, b"x"),
            2_000_000,
        ),
        (
            "continuations",
            raw::frame(raw::CONTINUATION, 0, 3, &raw::field(b"x", b"y")),
            200_000,
        ),
    ];
    for (name, flood, most) in cases {
        run(async {
            let (io, _end) = serve(LIMITS, |mut stream: Stream| async move {
                let mut head = [0; 64];
                let _ = stream.read(&mut head).await.unwrap();
                std::future::pending::<()>().await;
            });
            let mut raw = Raw::open(io).await;
            raw.send(raw::HEADERS, raw::END_HEADERS, 1, &request).await;
            if name == "continuations" {
                raw.send(raw::HEADERS, 0, 3, &many[..980]).await;
            }
            let (mut from, mut to) = tokio::io::split(raw.0);
            let reading = tokio::task::spawn_local(async move {
                let mut all = Vec::new();
                let _ = from.read_to_end(&mut all).await;
                all
            });
            let mut sent = 0;
            while sent < most && to.write_all(&flood).await.is_ok() {
                sent += 1;
            }
            assert!(sent < most, "case: {name}");
            let all = reading.await.unwrap();
            // Frame by frame to the last.
            let mut rest = &all[..];
            let mut last = None;
            while rest.len() >= 9 {
                let length = usize::from(rest[1]) << 8 | usize::from(rest[2]);
                last = Some((rest[3], rest[9..9 + length].to_vec()));
                rest = &rest[9 + length..];
            }
            let (kind, payload) = last.unwrap();
            assert_eq!(kind, raw::GOAWAY, "case: {name}");
            assert_eq!(
                payload[4..8],
                ENHANCE_YOUR_CALM.to_be_bytes(),
                "case: {name}"
            );
        });
    }
}

#[test]
fn rapid_resets_are_cut() {
    for (name, is_accepted) in [("before they are accepted", false), ("after", true)] {
        run(async {
            let opened = Rc::new(Cell::new(0_u32));
            let counted = Rc::clone(&opened);
            let (io, _end) = serve(LIMITS, move |mut stream: Stream| {
                counted.set(counted.get() + 1);
                async move {
                    let mut all = Vec::new();
                    let _ = stream.read_to_end(&mut all).await;
                }
            });
            let mut raw = Raw::open(io).await;
            let mut id = 1;
            loop {
                let before = opened.get();
                raw.send(
                    raw::HEADERS,
                    raw::END_STREAM | raw::END_HEADERS,
                    id,
                    &raw::get(b"/"),
                )
                .await;
                if is_accepted {
                    for _ in 0..50 {
                        tokio::task::yield_now().await;
                    }
                    if opened.get() == before {
                        break;
                    }
                }
                raw.send(raw::RST_STREAM, 0, id, &8_u32.to_be_bytes()).await;
                id += 2;
                assert!(id < 10_000, "{name}");
                if !is_accepted && id % 200 == 1 {
                    tokio::task::yield_now().await;
                    if raw.0.write(&[]).await.is_err() || opened.get() > 2_000 {
                        break;
                    }
                }
            }
            let frame = raw.next_of_interest().await.unwrap();
            assert_eq!(
                (frame.kind, frame.payload[4..8].to_vec()),
                (raw::GOAWAY, ENHANCE_YOUR_CALM.to_be_bytes().to_vec()),
                "{name}"
            );
            assert!(opened.get() < 1_100, "{name}: {}", opened.get());
        });
    }
}
