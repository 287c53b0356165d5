//! A client of two kinds, h2's and raw frames, and a small engine behind
//! [`tokenshim::http2`].

#![allow(dead_code, reason = "each test uses a part")]

pub(crate) mod encoder;
pub(crate) mod raw;

use std::{future::Future, pin::Pin, rc::Rc, task::Poll, time::Duration};

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Request, Response};
use tokenshim::{
    http1::{
        chunked::{Chunks, Piece},
        head,
    },
    http2::{self, ConnectionError, Limits, Stream},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    task::{JoinHandle, LocalSet},
};

/// Generous: no test waits for one of them unless it says so.
pub(crate) const LIMITS: Limits = Limits {
    streams: 100,
    head_size: 32 * 1024,
    handshake: Duration::from_secs(10),
    idle: Duration::from_secs(60),
    send: Duration::from_secs(30),
};

/// What became of the connection.
pub(crate) type End = JoinHandle<Result<(), ConnectionError>>;

/// Runs a test with everything on one thread, as a worker does.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, test)
}

/// Serves one end of a pipe with `engine`; gives back the other end.
pub(crate) fn serve<F, T>(limits: Limits, engine: F) -> (DuplexStream, End)
where
    F: Fn(Stream) -> T + 'static,
    T: Future<Output = ()> + 'static,
{
    serve_until(limits, Rc::default(), engine)
}

/// The same, until `stop` says so. Setting it wakes nobody.
pub(crate) fn serve_until<F, T>(
    limits: Limits,
    stop: Rc<tokio::sync::Notify>,
    engine: F,
) -> (DuplexStream, End)
where
    F: Fn(Stream) -> T + 'static,
    T: Future<Output = ()> + 'static,
{
    let (near, far) = tokio::io::duplex(64 * 1024);
    let end = tokio::task::spawn_local(async move {
        let stopped = stop.notified();
        let mut stopped: Pin<Box<dyn Future<Output = ()>>> = Box::pin(stopped);
        let mut is_stopped = false;
        let stopping = |cx: &mut std::task::Context<'_>| {
            is_stopped = is_stopped || stopped.as_mut().poll(cx).is_ready();
            if is_stopped {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        };
        http2::serve(near, Vec::new(), &limits, stopping, |stream| {
            tokio::task::spawn_local(engine(stream));
        })
        .await
    });
    (far, end)
}

/// h2's own client.
pub(crate) async fn client(io: DuplexStream) -> SendRequest<Bytes> {
    let (client, connection) = h2::client::Builder::new()
        .initial_window_size(4 << 20)
        .initial_connection_window_size(16 << 20)
        .max_concurrent_streams(1000)
        .handshake(io)
        .await
        .unwrap();
    tokio::task::spawn_local(async move {
        // How it ends is for the test to see elsewhere.
        let _ = connection.await;
    });
    client.ready().await.unwrap()
}

/// A request, as the engine sees it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// The trailer section without its last empty line.
    pub(crate) trailers: String,
}

/// Reads one request whole; `Err` with what came of it.
pub(crate) async fn read_request(stream: &mut Stream) -> Result<Seen, (Vec<u8>, std::io::Error)> {
    let mut all = Vec::new();
    let end = loop {
        if let Some(end) = head::end(&all, 0) {
            break end;
        }
        match stream.read_buf(&mut all).await {
            Ok(0) => return Err((all, std::io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => {}
            Err(error) => return Err((all, error)),
        }
    };
    let mut seen = Seen {
        head: String::from_utf8_lossy(&all[..end]).into_owned(),
        ..Seen::default()
    };
    let mut rest = all.split_off(end);
    let value = |name: &str| {
        (seen.head.lines().find_map(|line| line.strip_prefix(name))).map(str::to_owned)
    };
    let sized = value("content-length: ").map(|length| length.parse::<usize>().unwrap());
    let mut chunks = value("transfer-encoding: ").map(|_| Chunks::default());
    loop {
        match (&mut chunks, sized) {
            (Some(chunks), _) => match chunks.next(&rest).expect("chunks of ours") {
                Piece::Framing(length) => drop(rest.drain(..length)),
                Piece::Data(length) => {
                    seen.body.extend(rest.drain(..length));
                }
                Piece::Trailers(length) => {
                    let section = String::from_utf8_lossy(&rest[..length - 2]).into_owned();
                    assert_eq!(rest.len(), length, "nothing behind the end");
                    seen.trailers = section;
                    return Ok(seen);
                }
                Piece::Partial => match stream.read_buf(&mut rest).await {
                    Ok(count) if count > 0 => {}
                    Ok(_) => return Err((rest, std::io::ErrorKind::UnexpectedEof.into())),
                    Err(error) => return Err((seen.body, error)),
                },
            },
            (None, Some(length)) if seen.body.len() + rest.len() < length => {
                seen.body.append(&mut rest);
                match stream.read_buf(&mut rest).await {
                    Ok(count) if count > 0 => {}
                    Ok(_) => return Err((rest, std::io::ErrorKind::UnexpectedEof.into())),
                    Err(error) => return Err((seen.body, error)),
                }
            }
            (None, _) => {
                seen.body.append(&mut rest);
                assert_eq!(
                    seen.body.len(),
                    sized.unwrap_or(0),
                    "nothing behind the end"
                );
                return Ok(seen);
            }
        }
    }
}

/// Answers every request with its own head and body.
pub(crate) async fn echo(mut stream: Stream) {
    let Ok(seen) = read_request(&mut stream).await else {
        return;
    };
    let body = format!(
        "{}{}{}",
        seen.head,
        String::from_utf8_lossy(&seen.body),
        seen.trailers
    );
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    // A client that left is no defect.
    let _ = stream.write_all(&[head, body].concat().into_bytes()).await;
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
}

/// An answer, as the client sees it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Reads an answer whole.
pub(crate) async fn read_answer(
    response: impl Future<Output = Result<Response<h2::RecvStream>, h2::Error>>,
) -> Result<Answer, h2::Error> {
    let (parts, mut body) = response.await?.into_parts();
    let mut all = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        all.extend_from_slice(&data);
    }
    Ok(Answer {
        status: parts.status.as_u16(),
        fields: parts.headers,
        body: all,
        trailers: body.trailers().await?,
    })
}

/// A request without a body to `path`.
pub(crate) fn get(path: &str) -> Request<()> {
    Request::builder()
        .uri(format!("http://h{path}"))
        .body(())
        .unwrap()
}
