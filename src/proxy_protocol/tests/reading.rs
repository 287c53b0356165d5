//! A header that comes by a connection, with something behind it or cut short.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    super::{Bad, ReadError, read},
    samples::{IPV4, good, ipv6, v2},
};

#[tokio::test]
async fn not_a_byte_more_is_read() {
    for (name, header, endpoints) in good() {
        // However it arrives: byte by byte, in small pieces, or with what follows.
        for piece in [1, 7, 64, 8192] {
            let (mut sender, mut receiver) = tokio::io::duplex(piece);
            let bytes = [&header[..], b"\x16\x03\x01 follows"].concat();
            let sending = async move { sender.write_all(&bytes).await.unwrap() };
            let receiving = async {
                let found = read(&mut receiver).await.unwrap();
                let mut rest = Vec::new();
                receiver.read_to_end(&mut rest).await.unwrap();
                (found, rest)
            };
            let ((), (found, rest)) = tokio::join!(sending, receiving);
            assert_eq!(found, endpoints, "case: {name}, pieces of {piece}");
            assert_eq!(
                rest, b"\x16\x03\x01 follows",
                "case: {name}, pieces of {piece}"
            );
        }
    }
}

#[tokio::test]
async fn what_ends_early_says_where() {
    for (name, header, _) in good() {
        for end in 0..header.len() {
            let error = read(&mut &header[..end]).await.unwrap_err();
            let is_right = if end == 0 {
                matches!(error, ReadError::Closed)
            } else {
                matches!(error, ReadError::Truncated)
            };
            assert!(is_right, "case: {name}, {end} bytes: {error}");
        }
    }
    let error = read(&mut &b"GET / HTTP/1.1\r\n"[..]).await.unwrap_err();
    assert!(matches!(error, ReadError::Bad(Bad::Signature)), "{error}");
}

#[tokio::test]
async fn few_reads_are_enough() {
    let cases = [
        ("v2", v2([0x21, 0x11, 0, 12], &IPV4), 2),
        ("v2, IPv6", v2([0x21, 0x21, 0, 36], &ipv6()), 2),
        (
            "v2 with a TLV",
            v2([0x21, 0x11, 0, 17], &[&IPV4[..], b"\x04\0\x02xx"].concat()),
            3,
        ),
        (
            "v1",
            b"PROXY TCP4 192.168.100.200 198.51.100.2 56324 443\r\n".to_vec(),
            8,
        ),
        ("v1, unknown", b"PROXY UNKNOWN\r\n".to_vec(), 1),
    ];
    for (name, header, most) in cases {
        let mut reader = Counting {
            left: &header,
            reads: 0,
        };
        read(&mut reader).await.unwrap();
        assert!(reader.reads <= most, "case: {name}: {} reads", reader.reads);
    }
}

/// Bytes that count how often they are asked for.
struct Counting<'b> {
    left: &'b [u8],
    reads: usize,
}

impl tokio::io::AsyncRead for Counting<'_> {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        self.reads = self.reads.saturating_add(1);
        std::pin::Pin::new(&mut self.left).poll_read(context, buffer)
    }
}
