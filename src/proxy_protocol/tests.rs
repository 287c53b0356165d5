//! The grammar: each good header, and everything a byte off.

mod reading;
mod samples;
mod writing;

use self::samples::{IPV4, good, v2};
use super::*;

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
