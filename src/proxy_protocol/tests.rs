use std::net::{Ipv6Addr, SocketAddr};

use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

fn tcp(source: &str, destination: &str) -> Endpoints {
    Endpoints {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
    }
}

/// Signature, the four bytes behind it, and the rest.
fn v2(fixed: [u8; 4], rest: &[u8]) -> Vec<u8> {
    [&b"\r\n\r\n\0\r\nQUIT\n"[..], &fixed, rest].concat()
}

const IPV4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 2, 0xdc, 0x04, 0x01, 0xbb];

fn ipv6() -> Vec<u8> {
    let [source, destination] = ["2001:db8::1", "2001:db8::2"].map(|text| {
        let ip: Ipv6Addr = text.parse().unwrap();
        ip.octets()
    });
    [&source[..], &destination, &[0xdc, 0x04, 0x01, 0xbb]].concat()
}

/// Good headers: name, bytes, addresses.
fn good() -> Vec<(&'static str, Vec<u8>, Option<Endpoints>)> {
    let both = Some(tcp("192.0.2.1:56324", "198.51.100.2:443"));
    let both_6 = Some(tcp("[2001:db8::1]:56324", "[2001:db8::2]:443"));
    let full = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let longest = format!("PROXY UNKNOWN {full} {full} 65535 65535\r\n");
    let edge = format!("[{full}]:65535");
    let tlvs = [
        &IPV4[..],
        b"\x04\0\x02xx",
        b"\x03\0\x04\0\0\0\0",
        b"\x05\0\0",
    ]
    .concat();
    let most = [&IPV4[..], b"\x04\x0f\xe1", &[0; 0xfe1]].concat();
    vec![
        (
            "v1, IPv4",
            b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n".to_vec(),
            both,
        ),
        (
            "v1, IPv6",
            b"PROXY TCP6 2001:db8::1 2001:DB8::2 56324 443\r\n".to_vec(),
            both_6,
        ),
        (
            "v1, the shortest IPv4",
            b"PROXY TCP4 1.1.1.1 1.1.1.1 0 0\r\n".to_vec(),
            Some(tcp("1.1.1.1:0", "1.1.1.1:0")),
        ),
        (
            "v1, the shortest IPv6",
            b"PROXY TCP6 :: :: 1 1\r\n".to_vec(),
            Some(tcp("[::]:1", "[::]:1")),
        ),
        (
            "v1, the longest IPv6",
            format!("PROXY TCP6 {full} {full} 65535 65535\r\n").into_bytes(),
            Some(tcp(&edge, &edge)),
        ),
        (
            "v1, the shortest of all",
            b"PROXY UNKNOWN\r\n".to_vec(),
            None,
        ),
        ("v1, the longest of all", longest.into_bytes(), None),
        (
            "v1, unknown: whatever comes is ignored",
            b"PROXY UNKNOWN \0\xff  x\r\n".to_vec(),
            None,
        ),
        ("v2, IPv4", v2([0x21, 0x11, 0, 12], &IPV4), both),
        ("v2, IPv6", v2([0x21, 0x21, 0, 36], &ipv6()), both_6),
        ("v2, IPv4 and TLVs", v2([0x21, 0x11, 0, 27], &tlvs), both),
        (
            "v2, the longest of all",
            v2([0x21, 0x11, 0x0f, 0xf0], &most),
            both,
        ),
        ("v2, a health check", v2([0x20, 0, 0, 0], b""), None),
        (
            "v2, a health check with addresses",
            v2([0x20, 0x11, 0, 12], &IPV4),
            None,
        ),
        (
            "v2, a health check: the family is ignored",
            v2([0x20, 0xff, 0, 3], b"abc"),
            None,
        ),
        ("v2, unspecified", v2([0x21, 0, 0, 0], b""), None),
        (
            "v2, unspecified with something",
            v2([0x21, 0, 0, 3], b"abc"),
            None,
        ),
        (
            "v2, a unix socket",
            v2([0x21, 0x31, 0, 216], &[b'/'; 216]),
            None,
        ),
        (
            "v2, UDP is no connection",
            v2([0x21, 0x12, 0, 12], &IPV4),
            None,
        ),
    ]
}

#[test]
fn good_headers() {
    for (name, bytes, endpoints) in good() {
        let done = Parsed::Done {
            length: bytes.len(),
            endpoints,
        };
        assert_eq!(parse(&bytes), Ok(done), "case: {name}");
        let followed = [&bytes[..], b"\x16\x03\x01"].concat();
        assert_eq!(parse(&followed), Ok(done), "case: {name}, followed");
        for end in 0..bytes.len() {
            let parsed = parse(&bytes[..end]);
            assert_eq!(parsed, Ok(Parsed::Partial), "case: {name}, {end} bytes");
        }
    }
}

#[test]
fn bad_lines() {
    let too_long = [b"PROXY UNKNOWN ", &[b'x'; 92][..]].concat();
    let end_too_late = [&too_long[..], b"\r\n"].concat();
    let cases: [(&str, &[u8], Bad); 10] = [
        ("HTTP", b"GET / HTTP/1.1\r\n\r\n", Bad::Signature),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\n", Bad::Signature),
        ("TLS", b"\x16\x03\x01\x02", Bad::Signature),
        ("lower case", b"proxy TCP4 ", Bad::Signature),
        ("no such family", b"PROXY TCP5 ", Bad::Signature),
        ("UDP has no line", b"PROXY UDP4 ", Bad::Signature),
        ("two spaces", b"PROXY  TCP4 ", Bad::Signature),
        ("a tab", b"PROXY\tTCP4 ", Bad::Signature),
        ("a line without end", &too_long, Bad::TooLong),
        ("an end one byte late", &end_too_late, Bad::TooLong),
    ];
    for (name, bytes, bad) in cases {
        assert_eq!(parse(bytes), Err(bad), "case: {name}");
    }
    let lines: [(&str, &[u8]); 25] = [
        ("LF alone", b"UNKNOWN\n"),
        ("CR alone", b"UNKNOWN\rx"),
        ("LF within", b"UNKNOWN a\nb\r\n"),
        ("a longer word", b"UNKNOWNS\r\n"),
        ("nothing named", b"TCP4 \r\n"),
        ("no ports", b"TCP4 1.1.1.1 1.1.1.1\r\n"),
        ("one port", b"TCP4 1.1.1.1 1.1.1.1 1\r\n"),
        ("a word too many", b"TCP4 1.1.1.1 1.1.1.1 1 1 1\r\n"),
        ("a space at the end", b"TCP4 1.1.1.1 1.1.1.1 1 1 \r\n"),
        ("a double space", b"TCP4 1.1.1.1  1.1.1.1 1 1\r\n"),
        ("IPv6 as IPv4", b"TCP4 ::1 ::1 1 1\r\n"),
        ("IPv4 as IPv6", b"TCP6 1.1.1.1 1.1.1.1 1 1\r\n"),
        ("two families", b"TCP6 ::1 1.1.1.1 1 1\r\n"),
        ("octal", b"TCP4 01.1.1.1 1.1.1.1 1 1\r\n"),
        ("three numbers", b"TCP4 1.1.1 1.1.1.1 1 1\r\n"),
        ("a number too large", b"TCP4 1.1.1.256 1.1.1.1 1 1\r\n"),
        ("brackets", b"TCP6 [::1] [::1] 1 1\r\n"),
        ("a scope", b"TCP6 fe80::1%eth0 ::1 1 1\r\n"),
        ("a port too large", b"TCP4 1.1.1.1 1.1.1.1 65536 1\r\n"),
        ("a port with zeros", b"TCP4 1.1.1.1 1.1.1.1 01 1\r\n"),
        ("a port with a sign", b"TCP4 1.1.1.1 1.1.1.1 +1 1\r\n"),
        ("a negative port", b"TCP4 1.1.1.1 1.1.1.1 1 -1\r\n"),
        ("a hexadecimal port", b"TCP4 1.1.1.1 1.1.1.1 1 0x1\r\n"),
        ("NUL", b"TCP4 1.1.1.1\0 1.1.1.1 1 1\r\n"),
        ("no UTF-8", b"TCP4 1.1.1.1 1.1.1.1 1 \xff\r\n"),
    ];
    for (name, line) in lines {
        let parsed = parse(&[b"PROXY ", line].concat());
        assert_eq!(parsed, Err(Bad::Line), "case: {name}");
    }
}

#[test]
fn bad_binary_headers() {
    let half = [&IPV4[..], &[4, 0]].concat();
    let overlong = [&IPV4[..], &[4, 0, 2, 0]].concat();
    let cases: [(&str, [u8; 4], &[u8], Bad); 11] = [
        ("version 1", [0x11, 0x11, 0, 12], &IPV4, Bad::Version),
        ("version 3", [0x31, 0x11, 0, 12], &IPV4, Bad::Version),
        ("command", [0x22, 0x11, 0, 12], &IPV4, Bad::Command),
        ("family", [0x21, 0x41, 0, 12], &IPV4, Bad::Family),
        ("transport", [0x21, 0x13, 0, 12], &IPV4, Bad::Family),
        ("too long", [0x21, 0x11, 0x0f, 0xf1], b"", Bad::TooLong),
        (
            "a long health check",
            [0x20, 0, 0xff, 0xff],
            b"",
            Bad::TooLong,
        ),
        ("no IPv4", [0x21, 0x11, 0, 11], &IPV4[..11], Bad::Length),
        ("no IPv6", [0x21, 0x21, 0, 12], &IPV4, Bad::Length),
        ("half a TLV", [0x21, 0x11, 0, 14], &half, Bad::Length),
        (
            "an overlong TLV",
            [0x21, 0x11, 0, 16],
            &overlong,
            Bad::Length,
        ),
    ];
    for (name, fixed, rest, bad) in cases {
        assert_eq!(parse(&v2(fixed, rest)), Err(bad), "case: {name}");
    }
    assert_eq!(parse(b"\r\n\r\n\0\r\nQUIX"), Err(Bad::Signature));
}

#[test]
fn no_byte_can_be_another_one() {
    for (name, bytes, endpoints) in good() {
        // Behind binary addresses, and where none are, a byte may be anything.
        let is_text = bytes.starts_with(b"PROXY");
        let meant = match endpoints {
            None => continue,
            Some(_) if is_text => bytes.len(),
            Some(both) if both.source.is_ipv4() => 28,
            Some(_) => 52,
        };
        for (at, other) in (0..meant).flat_map(|at| (0..=255).map(move |byte| (at, byte))) {
            let mut mutant = bytes.clone();
            mutant[at] = other;
            // Hexadecimal digits have two spellings.
            let is_same = mutant == bytes || is_text && mutant.eq_ignore_ascii_case(&bytes);
            let parsed = parse(&mutant);
            assert!(
                is_same || parsed != parse(&bytes),
                "case: {name}, byte {at} as {other:#x}: {parsed:?}"
            );
        }
    }
}

#[test]
fn what_is_sent() {
    let address = |text: &str| Some(text.parse::<SocketAddr>().unwrap());
    let (client, shim) = (address("192.0.2.1:56324"), address("198.51.100.2:443"));
    let cases = [
        (
            "IPv4",
            client,
            shim,
            &b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"[..],
            v2([0x21, 0x11, 0, 12], &IPV4),
        ),
        (
            "IPv6",
            address("[2001:db8::1]:56324"),
            address("[2001:db8::2]:443"),
            b"PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n",
            v2([0x21, 0x21, 0, 36], &ipv6()),
        ),
        (
            "IPv4 on a socket for both",
            address("[::ffff:192.0.2.1]:56324"),
            shim,
            b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n",
            v2([0x21, 0x11, 0, 12], &IPV4),
        ),
        (
            "a unix socket",
            None,
            None,
            b"PROXY UNKNOWN\r\n",
            v2([0x20, 0, 0, 0], b""),
        ),
        (
            "one half",
            client,
            None,
            b"PROXY UNKNOWN\r\n",
            v2([0x20, 0, 0, 0], b""),
        ),
        (
            "two families",
            client,
            address("[::1]:443"),
            b"PROXY UNKNOWN\r\n",
            v2([0x20, 0, 0, 0], b""),
        ),
    ];
    for (name, source, destination, line, binary) in cases {
        for (version, expected) in [(Version::V1, line), (Version::V2, &binary)] {
            let mut out = b"before".to_vec();
            push(&mut out, version, source, destination);
            assert_eq!(
                out,
                [b"before", expected].concat(),
                "case: {name}, {version:?}"
            );
        }
    }
}

fn address() -> impl Strategy<Value = SocketAddr> {
    prop_oneof![
        any::<([u8; 4], u16)>().prop_map(SocketAddr::from),
        any::<([u8; 16], u16)>().prop_map(SocketAddr::from),
        any::<([u8; 4], u16)>().prop_map(|(ip, port)| {
            (std::net::Ipv4Addr::from(ip).to_ipv6_mapped(), port).into()
        }),
    ]
}

proptest! {
    #[test]
    fn what_is_sent_is_understood(source in address(), destination in address(), is_text: bool) {
        let version = if is_text { Version::V1 } else { Version::V2 };
        let mut header = Vec::new();
        push(&mut header, version, Some(source), Some(destination));
        let expected = one_family((source, destination));
        prop_assert_eq!(parse(&header), Ok(Parsed::Done { length: header.len(), endpoints: expected }));
        prop_assert_eq!(header.starts_with(b"PROXY "), is_text);
        prop_assert_eq!(expected.is_some(), source.ip().to_canonical().is_ipv4() == destination.ip().to_canonical().is_ipv4());
    }
}

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
