//! What the engine writes, as the client gets it: frames, or a reset.

use std::pin::Pin;

use h2::Reason;
use http::Request;
use tokenshim::http2::Stream;
use tokio::io::AsyncWriteExt;

use crate::http2::{
    LIMITS, client, get,
    raw::{self, Raw},
    read_answer, read_request, run, serve,
};

/// An engine that answers with these writes, each of one piece.
fn answering(writes: &'static [&'static str]) -> impl Fn(Stream) -> Done + 'static {
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
type Done = Pin<Box<dyn Future<Output = ()>>>;

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
