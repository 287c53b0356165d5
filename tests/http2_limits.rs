//! What a connection may cost: floods, silence, and its end.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

mod http2;

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::Request;
use tokenshim::http2::{ConnectionError, Limits, Stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Notify,
};

use http2::{
    LIMITS, client, echo, get,
    raw::{self, Raw},
    read_answer, run, serve, serve_until,
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
                    let mut byte = [0; 1];
                    if raw.0.write(&[]).await.is_err() || opened.get() > 2_000 {
                        break;
                    }
                    let _ = &mut byte;
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

#[test]
fn heads_have_a_size() {
    // A little over the engine's limit: the engine is to say so.
    run(async {
        let (io, _end) = serve(LIMITS, |mut stream: Stream| async move {
            let mut all = vec![0; 40 * 1024];
            let mut read = 0;
            while read < 33 * 1024 {
                read += stream.read(&mut all[read..]).await.unwrap();
            }
            stream
                .write_all(b"HTTP/1.1 431 x\r\nContent-Length: 0\r\n\r\n")
                .await
                .unwrap();
        });
        let request = Request::get("http://h/").header("x-a", "v".repeat(34 * 1024));
        let (response, _) = client(io)
            .await
            .send_request(request.body(()).unwrap(), true)
            .unwrap();
        assert_eq!(read_answer(response).await.unwrap().status, 431);
    });
    // Far over it: h2 says so, and the engine never sees it.
    run(async {
        let (io, _end) = serve(LIMITS, |_| async { panic!("it was accepted") });
        let mut client = client(io).await;
        let request = Request::get("http://h/").header("x-a", "v".repeat(70 * 1024));
        let (response, _) = client
            .send_request(request.body(()).unwrap(), true)
            .unwrap();
        assert_eq!(read_answer(response).await.unwrap().status, 431);
    });
}

#[test]
fn more_streams_than_allowed_are_refused() {
    run(async {
        let limits = Limits {
            streams: 2,
            ..LIMITS
        };
        let (io, _end) = serve(limits, |mut stream: Stream| async move {
            let _ = stream.read_u8().await;
            std::future::pending::<()>().await;
        });
        let mut raw = Raw::open(io).await;
        for stream in [1, 3, 5] {
            raw.send(
                raw::HEADERS,
                raw::END_STREAM | raw::END_HEADERS,
                stream,
                &raw::get(b"/"),
            )
            .await;
        }
        let frame = raw.next_of_interest().await.unwrap();
        assert_eq!(
            (frame.kind, frame.stream, frame.code()),
            (raw::RST_STREAM, 5, 7),
            "REFUSED_STREAM"
        );
    });
}

#[test]
fn silence_ends_a_connection() {
    let short = Duration::from_millis(60);
    // (what is proven, limits, bytes sent, whether GOAWAY is expected)
    let hello = [
        tokenshim::http2::PREFACE,
        &raw::frame(raw::SETTINGS, 0, 0, b""),
    ]
    .concat();
    let cases: [(&str, Limits, &[u8], &str); 4] = [
        (
            "no preface",
            Limits {
                handshake: short,
                ..LIMITS
            },
            b"",
            "Err(Handshake)",
        ),
        (
            "half a preface",
            Limits {
                handshake: short,
                ..LIMITS
            },
            b"PRI * HTTP/2.0\r\n",
            "Err(Handshake)",
        ),
        (
            "a preface alone",
            Limits {
                handshake: short,
                ..LIMITS
            },
            tokenshim::http2::PREFACE,
            "Err(Handshake)",
        ),
        (
            "no request",
            Limits {
                idle: short,
                ..LIMITS
            },
            &hello,
            "Ok(())",
        ),
    ];
    for (name, limits, bytes, expected) in cases {
        run(async {
            let (mut io, end) = serve(limits, echo);
            io.write_all(bytes).await.unwrap();
            let mut all = Vec::new();
            let begun = Instant::now();
            // A client that reads and says nothing more; not even to GOAWAY.
            io.read_to_end(&mut all).await.unwrap();
            assert!(begun.elapsed() >= short, "case: {name}");
            assert_eq!(
                format!("{:?}", end.await.unwrap()),
                expected,
                "case: {name}"
            );
        });
    }
}

#[test]
fn a_client_that_takes_nothing_is_cut() {
    run(async {
        let limits = Limits {
            send: Duration::from_millis(60),
            ..LIMITS
        };
        let (io, end) = serve(limits, |mut stream: Stream| async move {
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n")
                .await;
            while stream.write(&[0; 16 * 1024]).await.is_ok() {}
        });
        let mut raw = Raw::open(io).await;
        raw.send(raw::WINDOW_UPDATE, 0, 0, &0x7000_0000_u32.to_be_bytes())
            .await;
        raw.send(raw::SETTINGS, 0, 0, &[0, 4, 0x70, 0, 0, 0]).await;
        raw.send(
            raw::HEADERS,
            raw::END_STREAM | raw::END_HEADERS,
            1,
            &raw::get(b"/"),
        )
        .await;
        assert!(matches!(end.await.unwrap(), Err(ConnectionError::Stalled)));
    });
}

#[test]
fn a_stop_waits_for_what_was_begun() {
    run(async {
        let (stop, go) = (Rc::new(Notify::new()), Rc::new(Notify::new()));
        let gone = Rc::clone(&go);
        let (io, end) = serve_until(LIMITS, Rc::clone(&stop), move |mut stream: Stream| {
            let go = Rc::clone(&gone);
            async move {
                let mut head = [0; 64];
                let _ = stream.read(&mut head).await.unwrap();
                go.notified().await;
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
                    .await
                    .unwrap();
            }
        });
        let mut client = client(io).await;
        let (response, _) = client.send_request(get("/"), true).unwrap();
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        stop.notify_one();
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        assert!(client.clone().ready().await.is_err(), "GOAWAY has come");
        assert!(!end.is_finished());
        go.notify_one();
        assert_eq!(read_answer(response).await.unwrap().text(), "hi");
        assert!(end.await.unwrap().is_ok());
    });
}

#[test]
fn what_was_read_before_is_not_lost() {
    for cut in [1, 24, 30, 60] {
        run(async {
            let request = raw::frame(
                raw::HEADERS,
                raw::END_STREAM | raw::END_HEADERS,
                1,
                &raw::get(b"/p"),
            );
            let all = [
                tokenshim::http2::PREFACE,
                &raw::frame(raw::SETTINGS, 0, 0, b""),
                &request,
            ]
            .concat();
            let (before, behind) = all.split_at(cut);
            let (near, mut far) = tokio::io::duplex(64 * 1024);
            let before = before.to_vec();
            tokio::task::spawn_local(async move {
                let never = |_: &mut std::task::Context<'_>| std::task::Poll::Pending;
                tokenshim::http2::serve(near, before, &LIMITS, never, |stream| {
                    tokio::task::spawn_local(echo(stream));
                })
                .await
            });
            far.write_all(behind).await.unwrap();
            let body = Raw(far).body(1).await.unwrap();
            assert_eq!(body, b"GET /p HTTP/1.1\r\nhost: h\r\n\r\n", "cut at {cut}");
        });
    }
}

#[test]
fn many_streams_at_once_keep_apart() {
    run(async {
        let (io, _end) = serve(LIMITS, echo);
        let client = client(io).await;
        let mut answers = tokio::task::JoinSet::new();
        for number in 0..500 {
            let client = client.clone();
            answers.spawn_local(async move {
                let request = Request::post(format!("http://h/{number}"))
                    .body(())
                    .unwrap();
                let (response, mut send) = client
                    .ready()
                    .await
                    .unwrap()
                    .send_request(request, false)
                    .unwrap();
                send.send_data(Bytes::from(format!("body {number}")), true)
                    .unwrap();
                let text = read_answer(response).await.unwrap().text();
                assert!(
                    text.starts_with(&format!("POST /{number} "))
                        && text.ends_with(&format!("body {number}"))
                );
            });
        }
        while let Some(done) = answers.join_next().await {
            done.unwrap();
        }
    });
}
