//! Reads a request head.

use crate::{
    refusal::{Malformed, Refusal},
    target::{self, RawTarget},
};

/// The most bytes a head may have; nginx's `large_client_header_buffers`.
pub const LONGEST: usize = 32 * 1024;

/// The most fields a head may have.
pub const MOST_FIELDS: usize = 100;

/// One field line: a name that is a token, and a value without its outer space.
pub type Field<'b> = httparse::Header<'b>;

/// Whether a field's name, in any case, is `known`, which is in lower case.
///
/// All of it at once, where `eq_ignore_ascii_case` takes one byte after the other: in a
/// token (RFC 9110 section 5.6.2) one bit makes a capital small, and no other byte a
/// letter or a hyphen.
#[inline]
#[must_use]
pub fn is_named<const N: usize>(name: &str, known: &[u8; N]) -> bool {
    let unlike = |unlike: u8, (byte, known): (&u8, &u8)| unlike | ((byte | 0x20) ^ known);
    <&[u8; N]>::try_from(name.as_bytes())
        .is_ok_and(|name| name.iter().zip(known).fold(0, unlike) == 0)
}

/// The versions of HTTP/1 that differ for us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// No chunks, no 1xx, closed unless asked otherwise.
    Http10,
    /// And everything later within HTTP/1 (RFC 9110 section 2.5).
    #[default]
    Http11,
}

/// A request head, as it was sent.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'b, 'f> {
    /// A token, in the case it came in.
    pub method: &'b [u8],
    /// Holds only bytes that nginx takes, too ([`target::is_accepted`]).
    pub target: RawTarget<'b>,
    /// The version.
    pub version: Version,
    /// The fields, in order.
    pub fields: &'f [Field<'b>],
}

/// How many bytes a complete head has, its empty line included.
///
/// `searched` bytes are known to hold no end.
#[must_use]
pub fn end(bytes: &[u8], searched: usize) -> Option<usize> {
    let from = searched.saturating_sub(3);
    let tail = bytes.get(from..)?;
    memchr::memchr_iter(b'\n', tail).find_map(|at| {
        let after = tail.get(at.saturating_add(1)..)?;
        let width = match after {
            [b'\n', ..] => 2,
            [b'\r', b'\n', ..] => 3,
            _ => return None,
        };
        Some(from.saturating_add(at).saturating_add(width))
    })
}

/// How many bytes of empty lines stand before a head (RFC 9112 section 2.2).
#[must_use]
pub fn leading_empty_lines(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .take_while(|byte| matches!(byte, b'\r' | b'\n'))
        .count()
}

/// What a head is that fills the buffer without an end.
#[must_use]
pub fn overflow(bytes: &[u8]) -> Refusal {
    if memchr::memchr(b'\n', bytes).is_some() {
        Refusal::HeadTooLarge
    } else {
        Refusal::TargetTooLong
    }
}

/// The request line alone: method, target, version.
///
/// # Errors
///
/// 400 for a line that is none, 505 for another major version.
pub fn request_line(line: &[u8]) -> Result<(&[u8], RawTarget<'_>, Version), Refusal> {
    let malformed = Refusal::Malformed(Malformed::RequestLine);
    let space = memchr::memchr(b' ', line).ok_or(malformed)?;
    let (method, rest) = line.split_at_checked(space).ok_or(malformed)?;
    let rest = rest.get(1..).unwrap_or_default();
    let space = memchr::memrchr(b' ', rest).ok_or(malformed)?;
    let (target, version) = rest.split_at_checked(space).ok_or(malformed)?;
    let version = match version.get(1..).unwrap_or_default() {
        b"HTTP/1.0" => Version::Http10,
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1'..=b'9'] => Version::Http11,
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
            return Err(Refusal::Version);
        }
        _ => return Err(malformed),
    };
    if method.is_empty() || !method.iter().all(|&byte| is_token(byte)) {
        return Err(malformed);
    }
    if target.is_empty() || !target::is_accepted(target) {
        return Err(Refusal::Malformed(Malformed::Target));
    }
    Ok((method, RawTarget::new(target), version))
}

/// Splits a head into its request line and its field lines.
fn split(head: &[u8]) -> Option<(&[u8], &[u8])> {
    let (line, rest) = head.split_at_checked(memchr::memchr(b'\n', head)?)?;
    Some((line.strip_suffix(b"\r").unwrap_or(line), rest.get(1..)?))
}

/// Reads a complete head into `fields`.
///
/// # Errors
///
/// The [`Refusal`] to answer with.
pub fn parse<'b, 'f>(
    head: &'b [u8],
    fields: &'f mut [Field<'b>],
) -> Result<RequestHead<'b, 'f>, Refusal> {
    let (line, rest) = split(head).ok_or(Refusal::Malformed(Malformed::RequestLine))?;
    let (method, target, version) = request_line(line)?;
    match httparse::parse_headers(rest, fields) {
        Ok(httparse::Status::Complete((_, fields))) => Ok(RequestHead {
            method,
            target,
            version,
            fields,
        }),
        Err(httparse::Error::TooManyHeaders) => Err(Refusal::TooManyFields),
        Ok(httparse::Status::Partial) | Err(_) => Err(Refusal::Malformed(Malformed::Field)),
    }
}

/// What can be told of a head that does not parse, for the log: method and path, as far
/// as nothing in them is out of the ordinary. Behind that anything may be a secret, cut in
/// a way that no mask knows: what a wrong `Content-Length` left of a body, say.
#[must_use]
pub fn first_line(bytes: &[u8]) -> RawTarget<'_> {
    let is_plain = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'/' | b'-' | b'.' | b'_' | b'~' | b':' | b'@' | b'!' | b'$'
            )
    };
    let count = |bytes: &[u8], is: &dyn Fn(&u8) -> bool| bytes.iter().take_while(|b| is(b)).count();
    let method = count(bytes, &u8::is_ascii_uppercase);
    let rest = bytes.get(method..).unwrap_or_default();
    let [b' ', path @ ..] = rest else {
        return RawTarget::new(b"");
    };
    if method == 0 || !path.starts_with(b"/") {
        return RawTarget::new(b"");
    }
    let plain = count(path, &is_plain);
    let behind = path.get(plain..).unwrap_or_default();
    let version = [&b" HTTP/1.1"[..], b" HTTP/1.0"]
        .into_iter()
        .find(|version| behind.starts_with(version))
        .map_or(0, <[u8]>::len);
    let length = [method, 1, plain, version]
        .into_iter()
        .fold(0, usize::saturating_add);
    RawTarget::new(bytes.get(..length).unwrap_or_default())
}

/// RFC 9110 section 5.6.2.
#[must_use]
pub const fn is_token(byte: u8) -> bool {
    matches!(byte,
        b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z')
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests look at fake targets")]
mod tests {
    use super::*;

    #[test]
    fn tells_of_a_broken_head_what_is_no_secret() {
        let cases: [(&str, &[u8], &str); 8] = [
            (
                "usual",
                b"GET /a/b HTTP/1.1\r\nx\r\n\r\n",
                "GET /a/b HTTP/1.1",
            ),
            (
                "a query",
                b"GET /p?access_token=FAKE SECRET HTTP/1.1",
                "GET /p",
            ),
            (
                "a parameter of the path",
                b"GET /p;access_token=FAKE x",
                "GET /p",
            ),
            (
                "escapes, which may be of anything",
                b"GET /p%3Fa%3DFAKE",
                "GET /p",
            ),
            (
                "the rest of a body",
                b"h_token\":\"FAKE\"}GET / HTTP/1.1",
                "",
            ),
            ("the rest of a form", b"oken=FAKE", ""),
            ("capitals alone", b"FAKE", ""),
            ("nothing", b"", ""),
        ];
        for (name, bytes, expected) in cases {
            assert_eq!(
                first_line(bytes).expose(),
                expected.as_bytes(),
                "case: {name}"
            );
        }
    }

    #[test]
    fn a_name_is_known_in_any_case_and_no_other_is() {
        for token in (0..=u8::MAX).filter(|byte| is_token(*byte)) {
            let name = format!("x{}y", char::from(token));
            for known in [b"x-y", b"xay", b"xzy"] {
                let expected = name.as_bytes().eq_ignore_ascii_case(known);
                assert_eq!(is_named(&name, known), expected, "{name}");
            }
        }
        assert!(is_named("CONTENT-length", b"content-length"));
        assert!(!is_named("content-lengt", b"content-length"));
        assert!(!is_named("content-length1", b"content-length"));
    }

    #[test]
    fn finds_the_end() {
        let cases: [(&str, &[u8], Option<usize>); 6] = [
            ("CR LF", b"GET / HTTP/1.1\r\n\r\nrest", Some(18)),
            ("LF alone", b"GET / HTTP/1.1\n\nrest", Some(16)),
            ("mixed", b"GET / HTTP/1.1\r\nA: b\n\r\n", Some(23)),
            ("not yet", b"GET / HTTP/1.1\r\nA: b\r\n", None),
            ("half of it", b"GET / HTTP/1.1\r\n\r", None),
            ("nothing", b"", None),
        ];
        for (name, bytes, expected) in cases {
            for searched in 0..=bytes.len() {
                let searched = searched.min(expected.map_or(bytes.len(), |end| end - 1));
                assert_eq!(
                    end(bytes, searched),
                    expected,
                    "case: {name}, searched {searched}"
                );
            }
        }
    }

    #[test]
    fn reads_request_lines() {
        let cases: [(&str, &str, Result<&str, Refusal>); 9] = [
            ("plain", "GET /p HTTP/1.1", Ok("/p")),
            (
                "quotes and braces",
                "GET /s?f={\"a\":1} HTTP/1.1",
                Ok("/s?f={\"a\":1}"),
            ),
            ("next minor version", "GET / HTTP/1.7", Ok("/")),
            (
                "space in the target",
                "GET /a b HTTP/1.1",
                Err(Refusal::Malformed(Malformed::Target)),
            ),
            (
                "no version",
                "GET /",
                Err(Refusal::Malformed(Malformed::RequestLine)),
            ),
            ("HTTP/2 preface", "PRI * HTTP/2.0", Err(Refusal::Version)),
            (
                "no method",
                " / HTTP/1.1",
                Err(Refusal::Malformed(Malformed::RequestLine)),
            ),
            (
                "control byte",
                "GET /\u{7f} HTTP/1.1",
                Err(Refusal::Malformed(Malformed::Target)),
            ),
            (
                "version in lower case",
                "GET / http/1.1",
                Err(Refusal::Malformed(Malformed::RequestLine)),
            ),
        ];
        for (name, line, expected) in cases {
            let found = request_line(line.as_bytes()).map(|(_, target, _)| target.expose());
            assert_eq!(found, expected.map(str::as_bytes), "case: {name}");
        }
    }
}
