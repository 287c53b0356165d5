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

mod http2;

use std::{cell::RefCell, rc::Rc};

use bytes::Bytes;
use h2::Reason;
use http::{HeaderMap, Request};
use tokenshim::http2::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use http2::{
    LIMITS, Seen, client, echo, get,
    raw::{self, Raw},
    read_answer, read_request, run, serve,
};

/// An engine that answers with these writes, each of one piece.
fn answering(writes: &'static [&'static str]) -> impl Fn(Stream) -> futures::Done + 'static {
    move |mut stream| {
        Box::pin(async move {
            let _ = read_request(&mut stream).await;
            for write in writes {
                if stream.write_all(write.as_bytes()).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        })
    }
}

/// Names what a closure cannot.
mod futures {
    pub(crate) type Done = std::pin::Pin<Box<dyn Future<Output = ()>>>;
}

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

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn answers_leave_in_every_framing() {
    type Case<'a> = (
        &'a str,
        &'a str,
        &'static [&'static str],
        u16,
        &'a str,
        Option<&'a str>,
    );
    let cases: [Case<'_>; 9] = [
        (
            "head and body at once",
            "GET",
            &["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"],
            200,
            "hello",
            None,
        ),
        (
            "head, then body",
            "GET",
            &["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "he", "llo"],
            200,
            "hello",
            None,
        ),
        (
            "no body",
            "GET",
            &["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"],
            200,
            "",
            None,
        ),
        (
            "to HEAD",
            "HEAD",
            &["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"],
            200,
            "",
            None,
        ),
        (
            "no content",
            "GET",
            &["HTTP/1.1 204 No Content\r\n\r\n"],
            204,
            "",
            None,
        ),
        (
            "chunks",
            "GET",
            &[
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n",
                "3\r\n",
                "llo",
                "\r\n0\r\n\r\n",
            ],
            200,
            "hello",
            None,
        ),
        (
            "chunks with trailers",
            "GET",
            &[
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
            ],
            200,
            "hello",
            Some("1"),
        ),
        (
            "a head in pieces",
            "GET",
            &["HTTP/1.1 200", " OK\r\nContent-Le", "ngth: 2\r\n\r", "\nhi"],
            200,
            "hi",
            None,
        ),
        (
            "fields for one hop",
            "GET",
            &["HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"],
            200,
            "hi",
            None,
        ),
    ];
    for (name, method, writes, status, body, trailer) in cases {
        run(async {
            let (io, _end) = serve(LIMITS, answering(writes));
            let request = Request::builder()
                .method(method)
                .uri("http://h/")
                .body(())
                .unwrap();
            let (response, _) = client(io).await.send_request(request, true).unwrap();
            let answer = read_answer(response).await.unwrap();
            assert_eq!(
                (answer.status, answer.text().as_str()),
                (status, body),
                "case: {name}"
            );
            let trailers = answer.trailers.unwrap_or_default();
            assert_eq!(
                trailers.get("x-sum").map(|sum| sum.to_str().unwrap()),
                trailer,
                "case: {name}"
            );
            assert!(!answer.fields.contains_key("connection"), "case: {name}");
        });
    }
}

#[test]
fn the_last_data_ends_the_stream() {
    type Case<'a> = (&'a str, &'static [&'static str], &'a [(u8, bool)]);
    let cases: [Case<'_>; 4] = [
        (
            "sized",
            &["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"],
            &[(raw::HEADERS, false), (raw::DATA, true)],
        ),
        (
            "no body",
            &["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"],
            &[(raw::HEADERS, true)],
        ),
        (
            "chunks in one write",
            &["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"],
            &[(raw::HEADERS, false), (raw::DATA, true)],
        ),
        (
            "trailers",
            &["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX: y\r\n\r\n"],
            &[
                (raw::HEADERS, false),
                (raw::DATA, false),
                (raw::HEADERS, true),
            ],
        ),
    ];
    for (name, writes, expected) in cases {
        run(async {
            let (io, _end) = serve(LIMITS, answering(writes));
            let mut raw = Raw::open(io).await;
            raw.send(
                raw::HEADERS,
                raw::END_STREAM | raw::END_HEADERS,
                1,
                &raw::get(b"/"),
            )
            .await;
            let mut found = Vec::new();
            while found.last().is_none_or(|(_, ended)| !ended) {
                let frame = raw.next_of_interest().await.unwrap();
                found.push((frame.kind, frame.flags & raw::END_STREAM != 0));
            }
            assert_eq!(found, expected, "case: {name}");
        });
    }
}

#[test]
fn a_cut_answer_is_a_reset() {
    let cases: [(&str, &'static [&'static str]); 5] = [
        (
            "sized",
            &["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"],
        ),
        (
            "chunks",
            &["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"],
        ),
        (
            "a head alone",
            &["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"],
        ),
        ("no answer", &[]),
        ("not an answer", &["HTTP/1.1 101 x\r\n\r\n"]),
    ];
    for (name, writes) in cases {
        run(async {
            let (io, _end) = serve(LIMITS, answering(writes));
            let (response, _) = client(io).await.send_request(get("/"), true).unwrap();
            let error = read_answer(response).await.unwrap_err();
            assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR), "case: {name}");
        });
    }
}

#[test]
fn interim_answers_are_passed_on() {
    run(async {
        let (io, _end) = serve(
            LIMITS,
            answering(&[
                "HTTP/1.1 100 Continue\r\n\r\n",
                "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            ]),
        );
        let (mut response, _) = client(io).await.send_request(get("/"), true).unwrap();
        let mut statuses = Vec::new();
        while let Some(interim) = std::future::poll_fn(|cx| response.poll_informational(cx)).await {
            statuses.push(interim.unwrap().status().as_u16());
        }
        assert_eq!(statuses, [100, 103]);
        assert_eq!(response.await.unwrap().status(), 200);
    });
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

#[test]
fn an_early_answer_stops_the_request_without_blame() {
    run(async {
        let (io, _end) = serve(LIMITS, |mut stream: Stream| async move {
            let mut head = vec![0; 64];
            let _ = stream.read(&mut head).await;
            let answer =
                b"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno";
            stream.write_all(answer).await.unwrap();
            // What the engine does with a client that is still sending.
            stream.shutdown().await.unwrap();
            assert_eq!(
                stream.read(&mut head).await.unwrap(),
                0,
                "the end behind the answer"
            );
        });
        let mut raw = Raw::open(io).await;
        raw.send(raw::HEADERS, raw::END_HEADERS, 1, &raw::get(b"/"))
            .await;
        assert_eq!(raw.body(1).await.unwrap(), b"no", "all of the answer");
        let reset = raw.next_of_interest().await.unwrap();
        assert_eq!((reset.kind, reset.code()), (raw::RST_STREAM, 0), "NO_ERROR");
    });
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
