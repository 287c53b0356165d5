//! Large bodies pass, and whoever is slow stops the other side.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

mod http2;

use std::{cell::Cell, rc::Rc};

use bytes::Bytes;
use http::Request;
use tokenshim::http2::{CONNECTION_WINDOW, STREAM_WINDOW, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use http2::{
    LIMITS, client,
    raw::{self, Raw},
    run, serve,
};

/// What is sent in both directions.
const LARGE: usize = 100 << 20;

/// Bytes that tell where they stand.
fn piece(at: usize, length: usize) -> Bytes {
    const ROUND: usize = 251;
    thread_local! {
        static PATTERN: Bytes = (0..251).cycle().take(32 << 20).collect();
    }
    PATTERN.with(|pattern| pattern.slice(at % ROUND..at % ROUND + length))
}

#[test]
fn large_bodies_pass_both_ways() {
    run(async {
        let (io, _end) = serve(LIMITS, |mut stream: Stream| async move {
            let (mut buffer, mut moved) = (vec![0; 64 * 1024], 0_usize);
            let head = format!("content-length: {LARGE}\r\n\r\n");
            while !buffer[..moved].ends_with(head.as_bytes()) {
                moved += stream.read(&mut buffer[moved..=moved]).await.unwrap();
            }
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            moved = 0;
            while moved < LARGE {
                let count = stream.read(&mut buffer).await.unwrap();
                assert!(count > 0);
                stream.write_all(&buffer[..count]).await.unwrap();
                moved += count;
            }
        });
        let mut client = client(io).await;
        let request = Request::put("http://h/").header("content-length", LARGE);
        let (response, mut send) = client
            .send_request(request.body(()).unwrap(), false)
            .unwrap();
        tokio::task::spawn_local(async move {
            let mut begun = 0;
            while begun < LARGE {
                send.reserve_capacity(LARGE - begun);
                let room = std::future::poll_fn(|cx| send.poll_capacity(cx))
                    .await
                    .unwrap()
                    .unwrap();
                send.send_data(piece(begun, room), begun + room == LARGE)
                    .unwrap();
                begun += room;
            }
        });
        let mut body = response.await.unwrap().into_body();
        let mut received = 0;
        while let Some(data) = body.data().await {
            let data = data.unwrap();
            body.flow_control().release_capacity(data.len()).unwrap();
            assert!(data == piece(received, data.len()));
            received += data.len();
        }
        assert_eq!(received, LARGE);
    });
}

#[test]
fn a_slow_upstream_stops_the_client() {
    run(async {
        // An engine that reads the head and no more.
        let (io, _end) = serve(LIMITS, |mut stream: Stream| async move {
            let mut head = [0; 64];
            let _ = stream.read(&mut head).await.unwrap();
            std::future::pending::<()>().await;
        });
        let mut raw = Raw::open(io).await;
        let mut sent = 0;
        // Two streams fill the connection's window, a third one gets nothing.
        for stream in [1, 3, 5] {
            raw.send(raw::HEADERS, raw::END_HEADERS, stream, &raw::get(b"/"))
                .await;
        }
        // What is granted at once: windows, no promise of more.
        raw.send(raw::PING, 0, 0, &[0; 8]).await;
        let (mut connection, mut updates) = (65_535_u64, 0);
        loop {
            let frame = raw.next().await.unwrap();
            match frame.kind {
                raw::PING => break,
                raw::WINDOW_UPDATE => {
                    assert_eq!(frame.stream, 0);
                    connection += u64::from(frame.code());
                    updates += 1;
                }
                _ => {}
            }
        }
        assert!(updates <= 1 && connection <= u64::from(CONNECTION_WINDOW));
        let chunk = vec![0; 16 * 1024];
        for stream in [1, 3] {
            let mut left = STREAM_WINDOW as usize;
            while left > 0 && sent + chunk.len() <= CONNECTION_WINDOW as usize {
                raw.send(raw::DATA, 0, stream, &chunk).await;
                left -= chunk.len();
                sent += chunk.len();
            }
        }
        raw.send(raw::PING, 0, 0, &[1; 8]).await;
        loop {
            let frame = raw.next().await.unwrap();
            assert_ne!(
                frame.kind,
                raw::WINDOW_UPDATE,
                "nothing was taken, so nothing more is wanted"
            );
            if frame.kind == raw::PING {
                break;
            }
        }
        // Whoever sends all the same is cut off.
        raw.send(raw::DATA, 0, 5, &chunk).await;
        let frame = raw.next_of_interest().await.unwrap();
        assert_eq!(
            (frame.kind, frame.code()),
            (raw::GOAWAY, 3),
            "FLOW_CONTROL_ERROR"
        );
    });
}

#[test]
fn a_slow_client_stops_the_engine() {
    run(async {
        let written = Rc::new(Cell::new(0));
        let counted = Rc::clone(&written);
        let (io, _end) = serve(LIMITS, move |mut stream: Stream| {
            let written = Rc::clone(&counted);
            async move {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n")
                    .await
                    .unwrap();
                while let Ok(count) = stream.write(&[0; 16 * 1024]).await {
                    written.set(written.get() + count);
                }
            }
        });
        let mut raw = Raw::open(io).await;
        // Windows without end, and a client that does not read.
        raw.send(raw::WINDOW_UPDATE, 0, 0, &0x7000_0000_u32.to_be_bytes())
            .await;
        raw.send(
            raw::HEADERS,
            raw::END_STREAM | raw::END_HEADERS,
            1,
            &raw::get(b"/"),
        )
        .await;
        raw.send(raw::WINDOW_UPDATE, 0, 1, &0x7000_0000_u32.to_be_bytes())
            .await;
        for _ in 0..10_000 {
            tokio::task::yield_now().await;
        }
        let most = 64 * 1024 + tokenshim::http2::MOST_UNSENT + 32 * 1024;
        assert!(
            (1..=most).contains(&written.get()),
            "{} bytes",
            written.get()
        );
    });
}
