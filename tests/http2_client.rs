//! HTTP/2 as a client, against a peer that is made of raw frames.

#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "tests fail by panicking"
)]

use std::{future::poll_fn, io, pin::Pin, task::Poll, time::Duration};

use tokenshim::http2::client::{self, Connection, PING_PERIOD, Room, Stream, is_unprocessed};
use tokio::{
    io::{AsyncRead as _, AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadBuf},
    task::LocalSet,
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(20);

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

const NO_ERROR: u32 = 0;
const INTERNAL_ERROR: u32 = 2;
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;

/// `:status: 200`, from HPACK's own table.
const OK: &[u8] = &[0x88];

/// An upstream that does what it is told, and nothing else but to acknowledge.
struct Peer {
    io: DuplexStream,
    answers_pings: bool,
}

#[derive(Debug, PartialEq, Eq)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Peer {
    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        self.io.write_all(&[&head, payload].concat()).await.unwrap();
    }

    async fn code(&mut self, kind: u8, stream: u32, code: u32) {
        self.send(kind, 0, stream, &code.to_be_bytes()).await;
    }

    async fn goaway(&mut self, last: u32) {
        let payload = [last.to_be_bytes(), NO_ERROR.to_be_bytes()].concat();
        self.send(GOAWAY, 0, 0, &payload).await;
    }

    async fn ok(&mut self, stream: u32) {
        self.send(HEADERS, END_HEADERS | END_STREAM, stream, OK)
            .await;
    }

    /// The next frame that belongs to a stream.
    async fn next(&mut self) -> Option<Frame> {
        loop {
            let mut head = [0; 9];
            self.io.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            self.io.read_exact(&mut payload).await.ok()?;
            let frame = Frame {
                kind: head[3],
                flags: head[4],
                stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
                payload,
            };
            match (frame.kind, frame.flags & ACK) {
                (SETTINGS, 0) => self.send(SETTINGS, ACK, 0, b"").await,
                (PING, 0) if self.answers_pings => self.send(PING, ACK, 0, &frame.payload).await,
                (DATA | HEADERS | RST_STREAM, _) => return Some(frame),
                _ => {}
            }
        }
    }

    /// The next one, of this kind.
    #[track_caller]
    fn expect(&mut self, kind: u8) -> impl Future<Output = u32> {
        let caller = std::panic::Location::caller();
        async move {
            let frame = timeout(PATIENCE, self.next()).await.unwrap().unwrap();
            assert_eq!(frame.kind, kind, "{caller}: {frame:?}");
            frame.stream
        }
    }
}

/// A connection and its peer, which has sent these settings.
async fn connect(settings: &[u8]) -> (Connection, Peer) {
    // Room for all that one side says while the other does not listen.
    let (near, far) = tokio::io::duplex(1 << 20);
    let mut peer = Peer {
        io: far,
        answers_pings: true,
    };
    let greet = async {
        let mut preface = [0; 24];
        peer.io.read_exact(&mut preface).await.unwrap();
        peer.send(SETTINGS, 0, 0, settings).await;
    };
    let (connection, ()) = tokio::join!(client::connect(near), greet);
    (connection.unwrap(), peer)
}

fn run<T>(is_paused: bool, test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(is_paused)
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, test)
}

async fn ask(connection: &Connection, method: &str) -> Stream {
    let mut stream = connection.open();
    let head = format!("{method} / HTTP/1.1\r\nHost: h\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

async fn read(stream: &mut Stream) -> io::Result<String> {
    let mut all = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut all)).await??;
    Ok(String::from_utf8(all).unwrap())
}

const EMPTY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

#[test]
fn cancelled_requests_do_not_end_the_connection() {
    const MANY: u32 = 2000;
    run(false, async {
        let (connection, mut peer) = connect(b"").await;
        // Somebody waits all the time.
        let mut waiting = ask(&connection, "GET").await;
        let first = peer.expect(HEADERS).await;
        for _ in 0..MANY {
            let stream = ask(&connection, "GET").await;
            let id = peer.expect(HEADERS).await;
            drop(stream);
            let reset = timeout(PATIENCE, peer.next()).await.unwrap().unwrap();
            assert_eq!((reset.kind, reset.stream), (RST_STREAM, id));
            assert_eq!(reset.payload, CANCEL.to_be_bytes());
        }
        // All answers were on the way, and were forgotten.
        for number in 1..=MANY {
            peer.send(HEADERS, END_HEADERS, first + 2 * number, OK)
                .await;
            peer.send(DATA, END_STREAM, first + 2 * number, b"late")
                .await;
        }
        peer.ok(first).await;
        assert_eq!(read(&mut waiting).await.unwrap(), EMPTY);
        let mut last = ask(&connection, "GET").await;
        let id = loop {
            let frame = timeout(PATIENCE, peer.next()).await.unwrap().unwrap();
            if frame.kind == HEADERS {
                break frame.stream;
            }
        };
        peer.ok(id).await;
        assert_eq!(read(&mut last).await.unwrap(), EMPTY);
    });
}

#[test]
fn tells_what_was_certainly_not_processed() {
    enum Act {
        Goaway(u32),
        Reset(u32),
        Close,
    }
    let cases = [
        ("goaway below", Act::Goaway(0), true, Room::Gone),
        ("refused", Act::Reset(REFUSED_STREAM), true, Room::Gone),
        ("reset", Act::Reset(INTERNAL_ERROR), false, Room::Free),
        ("closed", Act::Close, false, Room::Gone),
    ];
    for (name, act, expected, room) in cases {
        run(false, async {
            let (mut connection, mut peer) = connect(b"").await;
            let mut stream = ask(&connection, "GET").await;
            let id = peer.expect(HEADERS).await;
            let mut peer = Some(peer);
            match act {
                Act::Goaway(last) => peer.as_mut().unwrap().goaway(last).await,
                Act::Reset(code) => peer.as_mut().unwrap().code(RST_STREAM, id, code).await,
                Act::Close => drop(peer.take()),
            }
            let error = read(&mut stream).await.unwrap_err();
            assert_eq!(is_unprocessed(&error), expected, "case: {name}: {error}");
            assert_eq!(connection.room(), room, "case: {name}");
        });
    }
}

#[test]
fn a_goaway_lets_earlier_requests_end() {
    run(false, async {
        let (mut connection, mut peer) = connect(b"").await;
        let mut early = ask(&connection, "GET").await;
        let first = peer.expect(HEADERS).await;
        let mut late = ask(&connection, "GET").await;
        peer.expect(HEADERS).await;
        peer.goaway(first).await;
        assert!(is_unprocessed(&read(&mut late).await.unwrap_err()));
        assert_eq!(connection.room(), Room::Gone);
        // One that comes now is not even sent.
        let mut unsent = connection.open();
        let written = unsent.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
        assert!(written.is_err());
        assert!(is_unprocessed(&read(&mut unsent).await.unwrap_err()));
        peer.ok(first).await;
        assert_eq!(read(&mut early).await.unwrap(), EMPTY);
    });
}

#[test]
fn the_peer_says_how_many() {
    run(false, async {
        // SETTINGS_MAX_CONCURRENT_STREAMS: 2
        let (mut connection, _peer) = connect(&[0, 3, 0, 0, 0, 2]).await;
        let first = connection.open();
        assert_eq!(connection.room(), Room::Free);
        let _second = connection.open();
        assert_eq!(connection.room(), Room::Full);
        assert_eq!(connection.quiet_since(), None);
        drop(first);
        assert_eq!(connection.room(), Room::Free);
    });
}

#[test]
fn an_answer_that_was_read_is_not_cancelled() {
    run(false, async {
        // content-length: 4, as a literal without indexing.
        let sized = [OK, &[0x0f, 0x0d, 1, b'4']].concat();
        let (connection, mut peer) = connect(b"").await;
        for method in ["GET", "HEAD"] {
            let mut stream = ask(&connection, method).await;
            let id = peer.expect(HEADERS).await;
            peer.send(HEADERS, END_HEADERS, id, &sized).await;
            let body = if method == "HEAD" { "" } else { "data" };
            if method == "GET" {
                peer.send(DATA, 0, id, b"data").await;
            }
            let expected = format!("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n{body}");
            let mut read = vec![0; expected.len()];
            timeout(PATIENCE, stream.read_exact(&mut read))
                .await
                .unwrap()
                .unwrap();
            assert_eq!(String::from_utf8(read).unwrap(), expected);
            drop(stream);
            tokio::task::yield_now().await;
            peer.send(DATA, END_STREAM, id, b"").await;
        }
        // The next frame is the next request: no reset came before it.
        let _stream = ask(&connection, "GET").await;
        peer.expect(HEADERS).await;
    });
}

#[test]
fn a_peer_without_a_sign_of_life_is_given_up() {
    run(true, async {
        let (mut connection, mut peer) = connect(b"").await;
        let mut stream = ask(&connection, "GET").await;
        peer.expect(HEADERS).await;
        let answering = async { while peer.next().await.is_some() {} };
        // As long as it answers, a request may take its time.
        let waiting = timeout(PING_PERIOD * 10, stream.read_u8());
        tokio::select! {
            waited = waiting => assert!(waited.is_err(), "{waited:?}"),
            () = answering => panic!("the connection ended"),
        }
        peer.answers_pings = false;
        let started = tokio::time::Instant::now();
        let silence = async { while peer.next().await.is_some() {} };
        let mut all = Vec::new();
        let (read, ()) = tokio::join!(stream.read_to_end(&mut all), silence);
        let error = read.unwrap_err();
        assert!(!is_unprocessed(&error), "it may have been processed");
        assert!(started.elapsed() <= PING_PERIOD * 2);
        assert_eq!(connection.room(), Room::Gone);
    });
}

#[test]
fn credentials_are_never_indexed() {
    run(false, async {
        let (connection, mut peer) = connect(b"").await;
        let head = "GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer FAKE\r\n\r\n";
        let mut streams = Vec::new();
        for _ in 0..2 {
            let mut stream = connection.open();
            stream.write_all(head.as_bytes()).await.unwrap();
            streams.push(stream);
            let frame = timeout(PATIENCE, peer.next()).await.unwrap().unwrap();
            // Never indexed, the name from HPACK's own table, then its value
            // (RFC 7541 section 6.2.3).
            let is_never_indexed = |window: &[u8]| window == [0x1f, 0x08];
            assert!(frame.payload.windows(2).any(is_never_indexed), "{frame:?}");
        }
    });
}

#[test]
fn reading_waits_for_a_request() {
    run(false, async {
        let (connection, mut peer) = connect(b"").await;
        let mut stream = connection.open();
        let mut block = [0; 16];
        let polled = poll_fn(|cx| {
            Poll::Ready(Pin::new(&mut stream).poll_read(cx, &mut ReadBuf::new(&mut block)))
        })
        .await;
        assert!(polled.is_pending());
        // In pieces, as no engine would.
        for piece in ["GET / HT", "TP/1.1\r\nHost: h\r", "\n\r\n"] {
            stream.write_all(piece.as_bytes()).await.unwrap();
        }
        let id = peer.expect(HEADERS).await;
        peer.ok(id).await;
        assert_eq!(read(&mut stream).await.unwrap(), EMPTY);
    });
}
