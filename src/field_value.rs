//! Reads field values: lists, media types, hosts.
//!
//! Pure functions over bytes, for whoever carries the fields: our own connections or
//! another server's.

/// The members of a comma-separated field value (RFC 9110 section 5.6.1).
pub fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|&byte| byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|member| !member.is_empty())
}

/// Whether a `Content-Type` is this one, with or without parameters.
#[must_use]
pub fn is_media_type(value: &[u8], wanted: &[u8]) -> bool {
    let end = memchr::memchr(b';', value).unwrap_or(value.len());
    value
        .get(..end)
        .unwrap_or_default()
        .trim_ascii()
        .eq_ignore_ascii_case(wanted)
}

/// Whether `value` is one host and perhaps a port (RFC 9110 section 7.2), and
/// nothing that another server could read as userinfo, path or list.
#[must_use]
pub fn is_host(value: &[u8]) -> bool {
    let (host, port) = match value {
        [b'[', ..] => match memchr::memchr(b']', value).and_then(|end| value.split_at_checked(end))
        {
            Some((address, rest)) => (
                address.get(1..).unwrap_or_default(),
                rest.get(1..).unwrap_or_default(),
            ),
            None => return false,
        },
        _ => value
            .split_at_checked(memchr::memchr(b':', value).unwrap_or(value.len()))
            .unwrap_or((value, b"")),
    };
    let is_address = value.first() == Some(&b'[');
    let is_name = |byte: &u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'%')
    };
    let is_hex = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    let is_port = match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let is_known = if is_address {
        host.iter().all(is_hex)
    } else {
        host.iter().all(is_name)
    };
    !host.is_empty() && is_known && is_port
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_a_host() {
        for host in [
            "example.org",
            "h:8448",
            "127.0.0.1:80",
            "[::1]:80",
            "[2001:db8::1]",
            "a_b",
            "h:",
        ] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in [
            "", ":80", "user@h", "h/path", "a,b", "a b", "h:80:80", "h:x", "[::1", "[]", "[x]",
            "h?", "h\\",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }
}
