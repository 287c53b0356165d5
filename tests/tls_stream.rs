//! What the engine relies on in an encrypted stream: how it ends, and what a
//! write puts on the wire.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod tls;

use std::{io::IoSlice, sync::Arc};

use tls::{Authority, Files, PATIENCE, client, plain};
use tokenshim::tls::{Ending, Server, Stream, accept};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, duplex},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Both ends over `near` and `far`.
async fn join<S, C>(near: S, far: C) -> (Stream<S>, TlsStream<C>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    C: AsyncRead + AsyncWrite + Unpin,
{
    let (authority, files) = (Authority::new("root"), Files::new());
    let pair = files.write_pair("hs", &authority.issue(&["hs.example"]));
    let server = Server::new(&[pair], &plain()).unwrap();
    let connector = TlsConnector::from(Arc::new(client(&authority, None)));
    let config = server.config(false);
    let both = async {
        tokio::join!(
            accept(near, &config),
            connector.connect("hs.example".try_into().unwrap(), far)
        )
    };
    let (accepted, client) = timeout(PATIENCE, both).await.unwrap();
    (accepted.unwrap().stream, client.unwrap())
}

/// Both ends of a TCP connection.
async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let far = TcpStream::connect(listener.local_addr().unwrap());
    let (far, near) = tokio::join!(far, listener.accept());
    (near.unwrap().0, far.unwrap())
}

#[tokio::test]
async fn the_end_is_told_by_the_peer_or_by_nobody() {
    #[derive(Clone, Copy)]
    enum End {
        Farewell,
        Fin,
        FinWithinARecord,
    }
    let cases = [
        ("farewell", End::Farewell, Ending::Declared),
        ("end of the socket", End::Fin, Ending::Cut),
        ("end within a record", End::FinWithinARecord, Ending::Cut),
    ];
    for (case, end, expected) in cases {
        let (near, far) = sockets().await;
        let (mut stream, mut client) = join(near, far).await;
        client.write_all(b"all of it").await.unwrap();
        client.flush().await.unwrap();
        match end {
            End::Farewell => client.shutdown().await.unwrap(),
            End::Fin => client.into_inner().0.shutdown().await.unwrap(),
            End::FinWithinARecord => {
                let mut socket = client.into_inner().0;
                socket.write_all(b"\x17\x03\x03\x00\x20half").await.unwrap();
                socket.shutdown().await.unwrap();
            }
        }
        let mut bytes = Vec::new();
        assert_eq!(stream.ending(), None, "case: {case}");
        let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
        read.unwrap().unwrap();
        assert_eq!(bytes, b"all of it", "case: {case}");
        assert_eq!(stream.ending(), Some(expected), "case: {case}");
        // Whoever asks again learns the same.
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
        assert_eq!(stream.ending(), Some(expected), "case: {case}");
    }
}

#[tokio::test]
async fn a_read_into_no_room_is_no_end() {
    let (near, far) = duplex(64 * 1024);
    let (mut stream, mut client) = join(near, far).await;
    client.write_all(b"x").await.unwrap();
    assert_eq!(stream.read(&mut []).await.unwrap(), 0);
    assert_eq!(stream.ending(), None);
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 1);
}

#[tokio::test]
async fn a_half_closed_stream_goes_on_the_other_way() {
    let (near, far) = sockets().await;
    let (mut stream, mut client) = join(near, far).await;
    let mut bytes = Vec::new();
    client.shutdown().await.unwrap();
    stream.read_to_end(&mut bytes).await.unwrap();
    stream.write_all(b"later").await.unwrap();
    stream.shutdown().await.unwrap();
    // Clean for the peer as well: our farewell came.
    timeout(PATIENCE, client.read_to_end(&mut bytes))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(bytes, b"later");
}

/// The lengths of the records on the wire.
fn records(mut wire: &[u8]) -> Vec<usize> {
    let mut found = Vec::new();
    while let [0x17, 3, 3, high, low, rest @ ..] = wire {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        found.push(length);
        wire = rest.get(length..).unwrap();
    }
    assert!(wire.is_empty(), "{} bytes left", wire.len());
    found
}

/// What it proves, the parts of one write, and the lengths of its records.
type Case<'a> = (&'a str, [&'a [u8]; 3], &'a [usize]);

#[tokio::test]
async fn the_parts_of_one_write_share_a_record() {
    let (near, far) = duplex(256 * 1024);
    let (mut stream, client) = join(near, far).await;
    let (mut wire, mut session) = client.into_inner();
    // The tickets.
    let mut block = vec![0; 64 * 1024];
    let count = wire.read(&mut block).await.unwrap();
    session.read_tls(&mut &block[..count]).unwrap();
    session.process_new_packets().unwrap();

    let (head, body) = ([b'h'; 300], vec![b'b'; 40_000]);
    // A record adds its kind and its seal.
    let cases: [Case<'_>; 3] = [
        ("head alone", [&head, b"", b""], &[317]),
        ("head, body, end", [&head, &body[..5000], b"\r\n"], &[5319]),
        (
            "more than a record holds",
            [&head, &body, b""],
            &[16_401, 16_401, 7549],
        ),
    ];
    for (case, parts, expected) in cases {
        let total: usize = parts.iter().map(|part| part.len()).sum();
        let written = stream
            .write_vectored(&parts.map(IoSlice::new))
            .await
            .unwrap();
        assert_eq!(written, total, "case: {case}");
        // No flush: with room in the socket nothing stays behind.
        let mut block = vec![0; 64 * 1024];
        let count = wire.read(&mut block).await.unwrap();
        assert_eq!(records(&block[..count]), expected, "case: {case}");
    }
}

#[tokio::test]
async fn what_a_full_socket_does_not_take_waits_for_a_flush() {
    let (near, far) = duplex(4096);
    let (mut stream, mut client) = join(near, far).await;
    let body = vec![b'b'; 20_000];
    let written = stream.write(&body).await.unwrap();
    assert_eq!(written, body.len(), "taken whole, and not sent whole");
    let mut got = vec![0; body.len()];
    let reading = async {
        client.read_exact(&mut got).await.unwrap();
    };
    let flushing = async {
        stream.flush().await.unwrap();
    };
    timeout(PATIENCE, async { tokio::join!(reading, flushing) })
        .await
        .unwrap();
    assert_eq!(got, body);
}
