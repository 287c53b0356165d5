//! Headers as they should be, and the parts to make others of.

use std::net::Ipv6Addr;

use super::Endpoints;

/// Good headers: name, bytes, addresses.
pub(super) fn good() -> Vec<(&'static str, Vec<u8>, Option<Endpoints>)> {
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

fn tcp(source: &str, destination: &str) -> Endpoints {
    Endpoints {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
    }
}

/// Signature, the four bytes behind it, and the rest.
pub(super) fn v2(fixed: [u8; 4], rest: &[u8]) -> Vec<u8> {
    [&b"\r\n\r\n\0\r\nQUIT\n"[..], &fixed, rest].concat()
}

pub(super) const IPV4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 2, 0xdc, 0x04, 0x01, 0xbb];

pub(super) fn ipv6() -> Vec<u8> {
    let [source, destination] = ["2001:db8::1", "2001:db8::2"].map(|text| {
        let ip: Ipv6Addr = text.parse().unwrap();
        ip.octets()
    });
    [&source[..], &destination, &[0xdc, 0x04, 0x01, 0xbb]].concat()
}
