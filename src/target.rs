//! Request targets: the raw one, which may hold a token, and the clean one.

use std::fmt;

use crate::scan;

/// A request target as the client sent it (RFC 9112 section 3.2).
///
/// It may hold a token, so it cannot print, and [`expose`](Self::expose) is
/// banned by lint outside relocation and the masking log.
#[derive(Clone, Copy)]
pub struct RawTarget<'r>(&'r [u8]);

impl<'r> RawTarget<'r> {
    /// Wraps what stood between method and version.
    #[must_use]
    pub fn new(bytes: &'r [u8]) -> Self {
        Self(bytes)
    }

    /// Its length in bytes.
    #[must_use]
    pub const fn len(self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing of it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Reveals the target, tokens included.
    #[must_use]
    pub fn expose(self) -> &'r [u8] {
        self.0
    }
}

impl fmt::Debug for RawTarget<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawTarget(<redacted>)")
    }
}

/// Which of the four forms of RFC 9112 section 3.2 a target has.
///
/// The parts are still raw.
#[derive(Clone, Copy, Debug)]
pub enum Form<'r> {
    /// `/path?query`, or what is left of `http://authority/path?query`.
    Origin {
        /// The path; behind `http://host` it may lack its `/`.
        path: RawTarget<'r>,
        /// What follows the first `?`, if there is one.
        query: Option<RawTarget<'r>>,
        /// The authority of an absolute-form target; it overrules `Host`.
        authority: Option<&'r [u8]>,
    },
    /// `*`, for `OPTIONS` only.
    Asterisk,
}

impl<'r> Form<'r> {
    /// What follows the first `?`.
    #[must_use]
    pub const fn query(&self) -> Option<RawTarget<'r>> {
        match self {
            Self::Origin { query, .. } => *query,
            Self::Asterisk => None,
        }
    }

    /// The authority of an absolute-form target.
    #[must_use]
    pub const fn authority(&self) -> Option<&'r [u8]> {
        match self {
            Self::Origin { authority, .. } => *authority,
            Self::Asterisk => None,
        }
    }
}

/// Splits a target into its parts; `None` for a form that no request but
/// `CONNECT` may have.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that takes a target apart, for relocation"
)]
pub fn split(target: RawTarget<'_>) -> Option<Form<'_>> {
    let bytes = target.expose();
    if bytes == b"*" {
        return Some(Form::Asterisk);
    }
    let (authority, rest) = match bytes.first()? {
        b'/' => (None, bytes),
        _ => absolute(bytes)?,
    };
    let (path, query) = match memchr::memchr(b'?', rest) {
        Some(at) => {
            let (path, query) = rest.split_at_checked(at)?;
            (path, query.get(1..))
        }
        None => (rest, None),
    };
    Some(Form::Origin {
        path: RawTarget::new(path),
        query: query.map(RawTarget::new),
        authority,
    })
}

/// `http://authority` and what follows it.
fn absolute(bytes: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let rest = [&b"http://"[..], b"https://"].iter().find_map(|scheme| {
        let (head, rest) = bytes.split_at_checked(scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then_some(rest)
    })?;
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?' | b'#'))
        .unwrap_or(rest.len());
    let (authority, rest) = rest.split_at_checked(end)?;
    Some((Some(authority), rest))
}

/// Where a byte stands decides what may stay as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Before the `?`.
    Path,
    /// Behind it.
    Query,
}

/// The ASCII bytes that nginx forwards raw and that must be percent-encoded, as the
/// others must, to make a URI that every server parses; the set is what the `http`
/// crate refuses or, for `#`, silently cuts off.
const fn sloppy(part: Part) -> [u8; 4] {
    match part {
        Part::Path => *b"<>#`",
        Part::Query => *b"<>#\"",
    }
}

/// Whether [`push_strict`] would change anything.
#[must_use]
pub fn has_sloppy(bytes: &[u8], part: Part) -> bool {
    !scan::is_all(bytes, 0..=0x7f, sloppy(part))
}

/// Appends `bytes` to `out`, percent-encoding the sloppy ones and only those.
pub fn push_strict(out: &mut Vec<u8>, bytes: &[u8], part: Part) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |nibble: u8| {
        DIGITS
            .get(usize::from(nibble & 0xf))
            .copied()
            .unwrap_or(b'0')
    };
    if !has_sloppy(bytes, part) {
        out.extend_from_slice(bytes);
        return;
    }
    for &byte in bytes {
        if !byte.is_ascii() || sloppy(part).contains(&byte) {
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte)]);
        } else {
            out.push(byte);
        }
    }
}

/// Whether nginx would take these bytes as a request target.
#[must_use]
pub fn is_accepted(bytes: &[u8]) -> bool {
    scan::is_all(bytes, 0x21..=0xff, [0x7f])
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests look at fake targets")]
mod tests {
    use super::*;

    #[test]
    fn takes_the_four_forms_apart() {
        type Parts<'a> = Option<(&'a str, Option<&'a str>, Option<&'a str>)>;
        let cases: [(&str, &str, Parts<'_>); 9] = [
            ("origin", "/p?a=1", Some(("/p", Some("a=1"), None))),
            ("no query", "/p", Some(("/p", None, None))),
            ("empty query", "/p?", Some(("/p", Some(""), None))),
            (
                "second question mark",
                "/p?a?b",
                Some(("/p", Some("a?b"), None)),
            ),
            (
                "absolute",
                "http://h:1/p?a",
                Some(("/p", Some("a"), Some("h:1"))),
            ),
            (
                "absolute, no path",
                "HTTPS://h?a",
                Some(("", Some("a"), Some("h"))),
            ),
            ("hash is path", "/#a?b", Some(("/#a", Some("b"), None))),
            ("authority form", "h:443", None),
            ("other scheme", "ftp://h/", None),
        ];
        for (name, raw, expected) in cases {
            let found = split(RawTarget::new(raw.as_bytes())).map(|form| match form {
                Form::Origin {
                    path,
                    query,
                    authority,
                } => (
                    str::from_utf8(path.expose()).unwrap(),
                    query.map(|query| str::from_utf8(query.expose()).unwrap()),
                    authority.map(|authority| str::from_utf8(authority).unwrap()),
                ),
                Form::Asterisk => panic!("asterisk"),
            });
            assert_eq!(found, expected, "case: {name}");
        }
        assert!(matches!(split(RawTarget::new(b"*")), Some(Form::Asterisk)));
    }

    #[test]
    fn encodes_sloppy_bytes_only() {
        let cases: [(&str, Part, &[u8], &str); 5] = [
            (
                "quote in a query",
                Part::Query,
                b"f={\"a\":1}",
                "f={%22a%22:1}",
            ),
            ("quote in a path", Part::Path, b"/\"", "/\""),
            ("backtick", Part::Path, b"/`", "/%60"),
            ("backtick in a query", Part::Query, b"`", "`"),
            ("Latin-1 and hash", Part::Path, b"/#\xe9<>", "/%23%E9%3C%3E"),
        ];
        for (name, part, raw, expected) in cases {
            let mut out = Vec::new();
            push_strict(&mut out, raw, part);
            assert_eq!(str::from_utf8(&out).unwrap(), expected, "case: {name}");
        }
    }
}
