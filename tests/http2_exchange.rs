//! A request over HTTP/2 is one request of HTTP/1.1 to the engine, and its
//! answer comes back whole or as a reset.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

#[path = "http2_exchange/answers.rs"]
mod answers;
mod http2;

use std::{cell::RefCell, future::poll_fn, rc::Rc};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http::{HeaderMap, Request};
use tokenshim::http2::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use http2::{
    LIMITS, Seen, client, echo, get,
    raw::{self, Raw},
    read_answer, read_request, run, serve,
};

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn bodies_arrive_in_every_framing() {
    type Case<'a> = (
        &'a str,
        Option<usize>,
        &'a [&'a str],
        bool,
        Option<(&'static str, &'static str)>,
        &'a str,
        &'a str,
    );
    let cases: [Case<'_>; 6] = [
        (
            "of a known length",
            Some(5),
            &["he", "llo"],
            false,
            None,
            "content-length: 5\r\n",
            "hello",
        ),
        (
            "of unknown length",
            None,
            &["he", "llo"],
            false,
            None,
            "transfer-encoding: chunked\r\n",
            "hello",
        ),
        // An empty frame that ends the stream must end the body once.
        (
            "that an empty frame ends",
            None,
            &["hello"],
            true,
            None,
            "transfer-encoding: chunked\r\n",
            "hello",
        ),
        (
            "that is one empty frame",
            None,
            &[],
            true,
            None,
            "transfer-encoding: chunked\r\n",
            "",
        ),
        (
            "of a known length that an empty frame ends",
            Some(5),
            &["hello"],
            true,
            None,
            "content-length: 5\r\n",
            "hello",
        ),
        (
            "with trailers",
            None,
            &["hello"],
            false,
            Some(("x-sum", "1")),
            "transfer-encoding: chunked\r\n",
            "hello",
        ),
    ];
    for (name, length, pieces, ends_empty, trailer, framing, body) in cases {
        run(async {
            let (io, _end) = serve(LIMITS, echo);
            let mut client = client(io).await;
            let mut request = Request::post("http://h/p");
            if let Some(length) = length {
                request = request.header("content-length", length);
            }
            let (response, mut send) = client
                .send_request(request.body(()).unwrap(), false)
                .unwrap();
            for (number, piece) in pieces.iter().enumerate() {
                let ends = number + 1 == pieces.len() && !ends_empty && trailer.is_none();
                send.send_data(Bytes::from(piece.to_string()), ends)
                    .unwrap();
            }
            if ends_empty {
                send.send_data(Bytes::new(), true).unwrap();
            }
            if let Some((name, value)) = trailer {
                let mut trailers = HeaderMap::new();
                trailers.insert(name, value.parse().unwrap());
                trailers.insert("authorization", "Bearer FAKE_CANARY".parse().unwrap());
                send.send_trailers(trailers).unwrap();
            }
            let answer = read_answer(response).await.unwrap();
            let trailers = trailer.map_or(String::new(), |(name, value)| {
                format!("{name}: {value}\r\n")
            });
            assert_eq!(
                answer.text(),
                format!("POST /p HTTP/1.1\r\nhost: h\r\n{framing}\r\n{body}{trailers}"),
                "a body {name}"
            );
        });
    }
}

/// What the engine read, and what reading said after that.
type Log = Rc<RefCell<Vec<String>>>;

#[test]
fn a_client_that_leaves_is_an_error_and_no_end() {
    // (what is proven, whether all of the request came)
    for (name, is_whole) in [("while it waits", true), ("in its body", false)] {
        for by_reset in [true, false] {
            run(async {
                let log = Log::default();
                let noted = Rc::clone(&log);
                let (io, _end) = serve(LIMITS, move |mut stream| {
                    let log = Rc::clone(&noted);
                    async move {
                        let error = match read_request(&mut stream).await {
                            Ok(_) => stream.read_u8().await.unwrap_err(),
                            Err((_, error)) => error,
                        };
                        log.borrow_mut().push(format!("{:?}", error.kind()));
                    }
                });
                let mut raw = Raw::open(io).await;
                let flags = raw::END_HEADERS | if is_whole { raw::END_STREAM } else { 0 };
                raw.send(raw::HEADERS, flags, 1, &raw::get(b"/")).await;
                // It was accepted when this is answered.
                raw.send(raw::PING, 0, 0, &[0; 8]).await;
                while raw.next().await.unwrap().kind != raw::PING {}
                if by_reset {
                    raw.send(raw::RST_STREAM, 0, 1, &8_u32.to_be_bytes()).await;
                    while log.borrow().is_empty() {
                        tokio::task::yield_now().await;
                    }
                }
                drop(raw);
                while log.borrow().is_empty() {
                    tokio::task::yield_now().await;
                }
                assert_eq!(
                    *log.borrow(),
                    ["ConnectionReset"],
                    "{name}, by reset: {by_reset}"
                );
            });
        }
    }
}

/// Sends `length` bytes, and the end; gives back what stopped it.
async fn upload(send: &mut SendStream<Bytes>, length: usize) -> Option<Reason> {
    let mut left = length;
    while left > 0 {
        send.reserve_capacity(left.min(16 * 1024));
        let Some(Ok(room)) = poll_fn(|cx| send.poll_capacity(cx)).await else {
            return Some(poll_fn(|cx| send.poll_reset(cx)).await.unwrap());
        };
        let count = room.min(left);
        send.send_data(Bytes::from(vec![0; count]), false).unwrap();
        left -= count;
    }
    send.send_data(Bytes::new(), true).unwrap();
    None
}

/// The request used to be reset right behind the answer, which RFC 9113 section 8.1
/// allows; but curl drops an answer that a reset follows while it still sends. So the
/// engine reads and drops what comes, and the reset is for those who do not stop.
#[test]
fn an_early_answer_stops_the_request_late_and_without_blame() {
    // More than both windows: they are opened for what is dropped.
    const LONG: usize = 3 << 20;
    let cases = [
        ("one that ends", usize::MAX, LONG, None),
        (
            "one that never ends",
            LONG,
            64 * LONG,
            Some(Reason::NO_ERROR),
        ),
        ("with no patience", 0, LONG, Some(Reason::NO_ERROR)),
    ];
    for (name, most, length, stopped_by) in cases {
        run(async {
            let (io, _end) = serve(LIMITS, move |mut stream: Stream| async move {
                let mut block = vec![0; 16 * 1024];
                let _ = stream.read(&mut block).await;
                let answer =
                    b"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno";
                stream.write_all(answer).await.unwrap();
                // What the engine does with a client that is still sending.
                stream.shutdown().await.unwrap();
                let mut dropped = 0;
                while dropped < most {
                    match stream.read(&mut block).await.unwrap() {
                        0 => break,
                        count => dropped += count,
                    }
                }
            });
            let request = Request::post("http://h/").body(()).unwrap();
            let (response, mut send) = client(io).await.send_request(request, false).unwrap();
            let answer = read_answer(response).await.unwrap();
            assert_eq!((answer.status, answer.text()), (401, "no".into()), "{name}");
            assert_eq!(upload(&mut send, length).await, stopped_by, "{name}");
        });
    }
}

#[test]
fn reading_ends_behind_a_whole_answer() {
    run(async {
        let (io, _end) = serve(LIMITS, |mut stream: Stream| async move {
            let Seen { head, .. } = read_request(&mut stream).await.unwrap();
            assert!(head.starts_with("GET / "));
            let mut rest = Vec::new();
            let early = tokio::time::timeout(
                std::time::Duration::from_millis(50),
                stream.read_to_end(&mut rest),
            );
            assert!(early.await.is_err(), "a client that waits has not gone");
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
                .await
                .unwrap();
            assert_eq!(stream.read_to_end(&mut rest).await.unwrap(), 0);
        });
        let (response, _) = client(io).await.send_request(get("/"), true).unwrap();
        assert_eq!(read_answer(response).await.unwrap().text(), "hi");
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
