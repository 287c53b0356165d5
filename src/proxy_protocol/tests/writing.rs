//! Headers of our own.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::{
    super::{Parsed, Version, one_family, parse, push},
    samples::{IPV4, ipv6, v2},
};

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
