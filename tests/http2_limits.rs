//! What a connection may cost: floods, silence, and its end.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

#[path = "http2_limits/floods.rs"]
mod floods;
mod http2;

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

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
