//! What formats write of a request in one piece: request lines, addresses, statuses.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::Range,
};

use super::{
    Record,
    escape::{Escape, part},
};

/// Takes `GET /path?query HTTP/1.1` apart. What is no request line is all target: it is
/// what the client sent in its place.
pub(super) fn read_line<'l>(
    record: &mut Record<'l>,
    line: &'l [u8],
    span: Range<usize>,
    escape: Escape,
) {
    let text = line.get(span.clone()).unwrap_or_default();
    let method = memchr::memchr(b' ', text).unwrap_or_default();
    let is_method = (1..=32).contains(&method)
        && text
            .iter()
            .take(method)
            .all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_'));
    if !is_method {
        record.target = part(line, span, escape);
        return;
    }
    let behind_method = span.start.saturating_add(method);
    record.method = part(line, span.start..behind_method, Escape::None);
    let target = text.get(method.saturating_add(1)..).unwrap_or_default();
    let length = memchr::memrchr(b' ', target)
        .filter(|blank| {
            let behind = target.get(blank.saturating_add(1)..).unwrap_or_default();
            behind.starts_with(b"HTTP/")
        })
        .unwrap_or(target.len());
    let from = behind_method.saturating_add(1);
    record.target = self::target(line, from..from.saturating_add(length), escape);
}

/// Path and query, of a URL too.
pub(super) fn target(line: &[u8], span: Range<usize>, escape: Escape) -> Option<super::Part<'_>> {
    let text = line.get(span.clone())?;
    let from = span.start.saturating_add(path_in(text));
    part(line, from..span.end, escape)
}

/// Where the path of a URL begins; of all else, the start.
fn path_in(text: &[u8]) -> usize {
    let scheme = text
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
        .take(16)
        .count();
    let Some(rest) = text
        .get(scheme..)
        .filter(|_| scheme > 0)
        .and_then(|rest| rest.strip_prefix(b"://"))
    else {
        return 0;
    };
    let authority = memchr::memchr2(b'/', b'?', rest);
    authority.map_or(0, |length| scheme.saturating_add(3).saturating_add(length))
}

/// An address, with or without port, brackets or zone; the first of a list.
pub(super) fn address(text: &[u8]) -> Option<IpAddr> {
    // The longest with all of that.
    if text.len() > 512 {
        return None;
    }
    let first = text.split(|byte| *byte == b',').next()?.trim_ascii();
    if let Some(bracketed) = first.strip_prefix(b"[") {
        let end = memchr::memchr(b']', bracketed)?;
        return v6(bracketed.get(..end)?);
    }
    match (memchr::memchr(b':', first), memchr::memrchr(b':', first)) {
        (Some(colon), Some(last)) if colon == last => plain(first.get(..colon)?),
        (Some(_), _) => v6(first),
        (None, _) => plain(first),
    }
}

/// Whether an address has its port behind it.
pub(super) fn has_port(address: &[u8]) -> bool {
    match memchr::memchr(b':', address) {
        Some(first) => address.starts_with(b"[") || memchr::memrchr(b':', address) == Some(first),
        None => false,
    }
}

fn plain(text: &[u8]) -> Option<IpAddr> {
    if let Some(address) = v4(text) {
        return Some(IpAddr::V4(address));
    }
    let address: IpAddr = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some(address)
}

/// What nearly every line has, read ten times as fast as the standard library does; what is
/// unusual is for that.
fn v4(text: &[u8]) -> Option<Ipv4Addr> {
    let mut parts = text.split(|byte| *byte == b'.');
    let mut octets = [0_u8; 4];
    for octet in &mut octets {
        let digits = parts.next()?;
        if digits.len() > 3 || !matches!(digits, [b'0'] | [b'1'..=b'9', ..]) {
            return None;
        }
        for digit in digits {
            let digit = digit.is_ascii_digit().then(|| digit.saturating_sub(b'0'))?;
            *octet = octet.checked_mul(10)?.checked_add(digit)?;
        }
    }
    parts.next().is_none().then(|| octets.into())
}

fn v6(text: &[u8]) -> Option<IpAddr> {
    let end = memchr::memchr(b'%', text).unwrap_or(text.len());
    let address: Ipv6Addr = std::str::from_utf8(text.get(..end)?).ok()?.parse().ok()?;
    Some(IpAddr::V6(address).to_canonical())
}

/// Three digits of an answer. nginx writes 000, and others 0 or -1, where there was none.
pub(super) fn status(text: &[u8]) -> Option<Answer> {
    let status = match text {
        b"0" | b"000" | b"-" | b"-1" => None,
        [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9'] => {
            Some(std::str::from_utf8(text).ok()?.parse().ok()?)
        }
        _ => return None,
    };
    Some(Answer { status })
}

/// What stands where a status stands.
pub(super) struct Answer {
    /// None where there was no answer.
    pub(super) status: Option<u16>,
}

/// Whether it is the id of a Matrix user.
pub(super) fn is_user(text: &[u8]) -> bool {
    text.first() == Some(&b'@') && memchr::memchr(b':', text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_request_lines() {
        let cases = [
            ("usual", "GET /p?q HTTP/1.1", Some("GET"), Some("/p?q")),
            (
                "blank in the target",
                "GET /a b HTTP/1.1",
                Some("GET"),
                Some("/a b"),
            ),
            ("without a version", "GET /p", Some("GET"), Some("/p")),
            (
                "cut in the version",
                "GET /p HTT",
                Some("GET"),
                Some("/p HTT"),
            ),
            (
                "absolute form",
                "GET http://h:80/p HTTP/1.1",
                Some("GET"),
                Some("/p"),
            ),
            (
                "URL without a path",
                "GET http://h?q HTTP/1.1",
                Some("GET"),
                Some("?q"),
            ),
            (
                "authority only",
                "CONNECT h:443 HTTP/1.1",
                Some("CONNECT"),
                Some("h:443"),
            ),
            (
                "TLS on a plain port",
                r"\x16\x03\x01",
                None,
                Some("\u{16}\u{3}\u{1}"),
            ),
            ("nothing", "-", None, None),
            ("bad request of HAProxy", "<BADREQ>", None, Some("<BADREQ>")),
        ];
        for (name, line, method, target) in cases {
            let mut record = Record::default();
            read_line(
                &mut record,
                line.as_bytes(),
                0..line.len(),
                Escape::Backslash,
            );
            let text = |part: Option<super::super::Part<'_>>| {
                part.map(|part| String::from_utf8_lossy(&part.text).into_owned())
            };
            assert_eq!(text(record.method).as_deref(), method, "case: {name}");
            assert_eq!(text(record.target).as_deref(), target, "case: {name}");
        }
    }

    #[test]
    fn reads_addresses() {
        let cases = [
            ("IPv4", "192.0.2.1", Some("192.0.2.1")),
            ("with a port", "192.0.2.1:80", Some("192.0.2.1")),
            ("IPv6", "2001:db8::1", Some("2001:db8::1")),
            ("in brackets", "[2001:db8::1]:80", Some("2001:db8::1")),
            ("with a zone", "fe80::1%eth0", Some("fe80::1")),
            ("IPv4 in IPv6", "::ffff:192.0.2.1", Some("192.0.2.1")),
            ("a list", "192.0.2.1, 198.51.100.1", Some("192.0.2.1")),
            ("unix socket", "unix:", None),
            ("name", "localhost", None),
            ("nothing", "", None),
        ];
        for (name, text, expected) in cases {
            let expected = expected.map(|address| address.parse::<IpAddr>().expect(name));
            assert_eq!(address(text.as_bytes()), expected, "case: {name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn reads_addresses_as_the_library_does(text in "[0-9]{0,4}(\\.[0-9x]{0,4}){2,4}") {
            let expected = text.parse::<Ipv4Addr>().ok().map(IpAddr::V4);
            proptest::prop_assert_eq!(plain(text.as_bytes()), expected);
        }

        #[test]
        fn reads_every_address(bits in proptest::prelude::any::<u32>()) {
            let address = Ipv4Addr::from_bits(bits);
            proptest::prop_assert_eq!(v4(address.to_string().as_bytes()), Some(address));
        }
    }
}
