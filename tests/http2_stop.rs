//! How a connection ends when the process stops, whatever its client does about it.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

mod http2;

use std::{rc::Rc, time::Duration};

use tokenshim::http2::{PREFACE, Stream};
use tokio::{
    io::{AsyncWriteExt, DuplexStream},
    sync::Notify,
    time::{self, Instant},
};

use http2::{
    End, LIMITS, echo,
    raw::{self, Raw},
    read_request, run, serve_until,
};

const HEAD: u8 = raw::END_STREAM | raw::END_HEADERS;

/// The last stream that a GOAWAY names, and its code.
fn farewell(frame: &raw::Frame) -> (u32, u32) {
    assert_eq!(frame.kind, raw::GOAWAY);
    let last = u32::from_be_bytes(frame.payload[..4].try_into().unwrap());
    (last, frame.code())
}

const ALL_STREAMS: (u32, u32) = (u32::MAX >> 1, 0);

/// The connection ends as it should, this long after now.
async fn ends(end: End) -> Duration {
    let begun = Instant::now();
    end.await.unwrap().unwrap();
    begun.elapsed()
}

/// What a silent client has been doing before the stop.
#[derive(Clone, Copy)]
struct Silent {
    requests: u32,
    idle: Duration,
}

#[test]
fn a_client_that_says_nothing_holds_no_stop_up() {
    let seconds = Duration::from_secs;
    let rows = [
        ("it has just come", 0, seconds(0)),
        ("it has not asked for long", 0, seconds(50)),
        ("it has asked", 3, seconds(0)),
        ("it asked long ago", 3, seconds(50)),
    ];
    for (name, requests, idle) in rows {
        run(silent(name, Silent { requests, idle }));
    }
}

async fn silent(name: &str, client: Silent) {
    time::pause();
    let stop = Rc::new(Notify::new());
    let (io, end) = serve_until(LIMITS, Rc::clone(&stop), echo);
    let mut raw = Raw::open(io).await;
    for number in 0..client.requests {
        let stream = 2 * number + 1;
        raw.send(raw::HEADERS, HEAD, stream, &raw::get(b"/")).await;
        assert!(raw.body(stream).await.is_ok(), "case: {name}");
    }
    time::sleep(client.idle).await;
    stop.notify_one();
    let took = ends(end).await;
    // Soon, but not before somebody far away can have had the word.
    assert!(
        (1000..2500).contains(&took.as_millis()),
        "case: {name}: {took:?}"
    );
    let first = raw.next_of_interest().await.expect("a farewell");
    assert_eq!(farewell(&first), ALL_STREAMS, "case: {name}");
    // What it sends behind this stream it may send again.
    let last = raw.next_of_interest().await.expect("another farewell");
    let stream = (2 * client.requests).saturating_sub(1);
    assert_eq!(farewell(&last), (stream, 0), "case: {name}");
    assert_eq!(raw.next().await, None, "case: {name}");
}

#[test]
fn a_client_that_reads_nothing_is_left_alone() {
    run(async {
        time::pause();
        let stop = Rc::new(Notify::new());
        let (io, end) = serve_until(LIMITS, Rc::clone(&stop), |mut stream: Stream| async move {
            let _ = read_request(&mut stream).await;
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
            stream.write_all(head).await.unwrap();
            // Until it is reset.
            let _ = stream.write_all(&vec![b'x'; 1_000_000]).await;
        });
        let mut raw = Raw::open(io).await;
        let more = (1_u32 << 24).to_be_bytes();
        raw.send(raw::WINDOW_UPDATE, 0, 0, &more).await;
        raw.send(raw::HEADERS, HEAD, 1, &raw::get(b"/")).await;
        raw.send(raw::WINDOW_UPDATE, 0, 1, &more).await;
        // The pipe is full, and h2 has begun a frame that does not go through.
        time::sleep(Duration::from_secs(1)).await;
        let cancel = 8_u32.to_be_bytes();
        raw.send(raw::RST_STREAM, 0, 1, &cancel).await;
        time::sleep(Duration::from_secs(1)).await;
        stop.notify_one();
        let took = ends(end).await;
        assert!((1000..3000).contains(&took.as_millis()), "{took:?}");
        drop(raw);
    });
}

#[test]
fn who_has_just_come_may_still_ask() {
    run(async {
        time::pause();
        let stop = Rc::new(Notify::new());
        let (io, end) = serve_until(LIMITS, Rc::clone(&stop), echo);
        stop.notify_one();
        time::sleep(Duration::from_millis(500)).await;
        let mut raw = Raw(begin(io).await);
        raw.send(raw::HEADERS, HEAD, 1, &raw::get(b"/late")).await;
        let goaway = raw.next_of_interest().await.expect("a farewell");
        assert_eq!(farewell(&goaway), ALL_STREAMS);
        let body = raw.body(1).await.expect("an answer");
        assert!(body.starts_with(b"GET /late HTTP/1.1\r\n"));
        end.await.unwrap().unwrap();
    });
}

async fn begin(mut io: DuplexStream) -> DuplexStream {
    let hello = [PREFACE, &raw::frame(raw::SETTINGS, 0, 0, b"")].concat();
    io.write_all(&hello).await.unwrap();
    io
}

#[test]
fn the_last_word_is_not_overtaken_by_a_reset() {
    run(async {
        time::pause();
        let stop = Rc::new(Notify::new());
        let (io, end) = serve_until(LIMITS, Rc::clone(&stop), echo);
        let mut raw = Raw::open(io).await;
        stop.notify_one();
        while raw.next().await.is_some() {}
        // A request that crosses the farewell: read, and known not to be served.
        let late = raw::frame(raw::HEADERS, HEAD, 1, &raw::get(b"/late"));
        raw.0.write_all(&late).await.expect("somebody reads");
        assert!(!end.is_finished());
        drop(raw);
        assert_eq!(ends(end).await, Duration::ZERO, "the client has left");
    });
}

#[test]
fn who_never_begins_holds_nothing_up() {
    run(async {
        time::pause();
        let stop = Rc::new(Notify::new());
        let (io, end) = serve_until(LIMITS, Rc::clone(&stop), echo);
        time::sleep(Duration::from_secs(5)).await;
        stop.notify_one();
        let took = ends(end).await;
        assert!((1000..1100).contains(&took.as_millis()), "{took:?}");
        drop(io);
    });
}
