//! What is different in front of an application service.
//!
//! There the homeserver is the client, and its token is the `hs_token` of the
//! registration. Since v1.4 the specification has it in `Authorization`. Bridges on
//! older libraries read nothing but the query, and some homeservers never stopped
//! sending it there.
//!
//! The rules: a token is in the upstream's query only where the operator said so, and
//! then exactly one, the same as in `Authorization`, which stays for whoever reads it.
//! Whether one is needed, and what is said without, is left to the bridge: the
//! `errcode` of that answer is its own.
//!
//! Spec: application service API, "Authorization" and "Legacy routes".

use super::Authorization;

/// Whether a homeserver asks for `path` as part of the API. Nothing is decoded:
/// what is spelt in another way belongs to somebody else.
#[must_use]
pub fn is_endpoint(path: &[u8]) -> bool {
    [
        &b"/_matrix/app/"[..],
        b"/transactions/",
        b"/users/",
        b"/rooms/",
    ]
    .iter()
    .any(|prefix| path.starts_with(prefix))
}

/// `path` as it was before v1 of the API: what stands in front, and what is left of
/// it, byte for byte.
#[must_use]
pub fn legacy(path: &[u8]) -> (&'static [u8], &[u8]) {
    let Some(rest) = path.strip_prefix(b"/_matrix/app/v1") else {
        return (b"", path);
    };
    let is_below = |prefix: &[u8]| rest.starts_with(prefix);
    if is_below(b"/transactions/") || is_below(b"/users/") || is_below(b"/rooms/") {
        (b"", rest)
    } else if is_below(b"/thirdparty/") {
        (b"/_matrix/app/unstable", rest)
    } else {
        // `ping` is younger than the legacy routes.
        (b"", path)
    }
}

/// The `Authorization` fields, less one that has a scheme and no token: Conduit
/// sends such a field beside the token in the query.
#[must_use]
pub fn credentials(authorization: Authorization<'_>) -> Authorization<'_> {
    match authorization {
        Authorization::One(value) if value.trim_ascii().eq_ignore_ascii_case(b"bearer") => {
            Authorization::Absent
        }
        other => other,
    }
}

/// Appends a token as `name=token` to a target that ends with `out` and begins at
/// `start`.
pub fn push_token(out: &mut Vec<u8>, start: usize, name: &[u8], token: &str) {
    let target = out.get(start..).unwrap_or_default();
    match memchr::memchr(b'?', target) {
        None => out.push(b'?'),
        Some(at) if at.saturating_add(1) == target.len() => {}
        Some(_) => out.push(b'&'),
    }
    push_encoded(out, name);
    out.push(b'=');
    push_encoded(out, token.as_bytes());
}

/// Appends `text` so that every reader of queries gets it back: nothing but
/// unreserved characters stays (RFC 3986 section 2.3).
fn push_encoded(out: &mut Vec<u8>, text: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
    for &byte in text {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(byte);
        } else {
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 0xf)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn legacy_paths_lose_what_is_new() {
        let cases = [
            (
                "transaction",
                "/_matrix/app/v1/transactions/1",
                "/transactions/1",
            ),
            ("user", "/_matrix/app/v1/users/%40_b:h", "/users/%40_b:h"),
            ("alias", "/_matrix/app/v1/rooms/%23a%3Ah", "/rooms/%23a%3Ah"),
            (
                "the rest byte for byte",
                "/_matrix/app/v1/users/a//b/../%2f%2F",
                "/users/a//b/../%2f%2F",
            ),
            (
                "third party",
                "/_matrix/app/v1/thirdparty/user/irc",
                "/_matrix/app/unstable/thirdparty/user/irc",
            ),
            (
                "ping has none",
                "/_matrix/app/v1/ping",
                "/_matrix/app/v1/ping",
            ),
            ("legacy already", "/transactions/1", "/transactions/1"),
            (
                "longer name",
                "/_matrix/app/v1/usersx/1",
                "/_matrix/app/v1/usersx/1",
            ),
            (
                "no segment behind",
                "/_matrix/app/v1/users",
                "/_matrix/app/v1/users",
            ),
            (
                "another version",
                "/_matrix/app/v2/users/1",
                "/_matrix/app/v2/users/1",
            ),
            (
                "version goes on",
                "/_matrix/app/v11/users/1",
                "/_matrix/app/v11/users/1",
            ),
            (
                "escaped literal",
                "/_matrix/app/v1/user%73/1",
                "/_matrix/app/v1/user%73/1",
            ),
            (
                "further down",
                "/x/_matrix/app/v1/users/1",
                "/x/_matrix/app/v1/users/1",
            ),
        ];
        for (name, path, expected) in cases {
            let (front, rest) = legacy(path.as_bytes());
            assert_eq!([front, rest].concat(), expected.as_bytes(), "case: {name}");
        }
    }

    #[test]
    fn knows_its_endpoints() {
        let cases = [
            ("version 1", "/_matrix/app/v1/ping", true),
            (
                "unstable",
                "/_matrix/app/unstable/org.matrix.msc3984/keys/query",
                true,
            ),
            ("legacy", "/transactions/1", true),
            ("provisioning", "/_matrix/provision/v1/login", false),
            ("health", "/health", false),
            ("name alone", "/users", false),
            ("slashes", "//users/1", false),
            ("escaped", "/_matrix/%61pp/v1/ping", false),
            ("root", "/", false),
            ("nothing", "", false),
        ];
        for (name, path, expected) in cases {
            assert_eq!(is_endpoint(path.as_bytes()), expected, "case: {name}");
        }
    }

    #[test]
    fn a_scheme_alone_is_no_credential() {
        let cases: [(&str, &[u8], bool); 7] = [
            ("scheme alone", b"Bearer", true),
            ("and a space", b"Bearer ", true),
            ("another case", b"bearer", true),
            ("with a token", b"Bearer SECRET", false),
            ("no space", b"BearerSECRET", false),
            ("another scheme", b"Basic", false),
            ("nothing", b"", false),
        ];
        for (name, field, expected) in cases {
            let left = credentials(Authorization::One(field));
            assert_eq!(
                matches!(left, Authorization::Absent),
                expected,
                "case: {name}"
            );
        }
        let several = credentials(Authorization::Several);
        assert!(matches!(several, Authorization::Several));
    }

    fn with_token(target: &str, token: &str) -> String {
        let mut out = b"PUT ".to_vec();
        out.extend_from_slice(target.as_bytes());
        push_token(&mut out, 4, b"access_token", token);
        String::from_utf8(out.split_off(4)).unwrap()
    }

    #[test]
    fn a_token_is_appended() {
        let cases = [
            ("no query", "/p", "FAKE", "/p?access_token=FAKE"),
            ("a query", "/p?a=1", "FAKE", "/p?a=1&access_token=FAKE"),
            ("an empty query", "/p?", "FAKE", "/p?access_token=FAKE"),
            (
                "a question mark at its end",
                "/p?a?",
                "FAKE",
                "/p?a?&access_token=FAKE",
            ),
            (
                "only a question mark",
                "/p??",
                "FAKE",
                "/p??&access_token=FAKE",
            ),
            (
                "a separator at its end",
                "/p?a&",
                "FAKE",
                "/p?a&&access_token=FAKE",
            ),
            (
                "what a query would read in another way",
                "/p",
                "FAKE+/=&;%#?~",
                "/p?access_token=FAKE%2B%2F%3D%26%3B%25%23%3F~",
            ),
        ];
        for (name, target, token, expected) in cases {
            assert_eq!(with_token(target, token), expected, "case: {name}");
        }
    }

    proptest! {
        /// Parsers that share no code with ours read the token, and the rest is as it was.
        #[test]
        fn every_reader_gets_the_token_back(path in "/[a-z/%]{0,9}", query in "(\\?[a-z=&?+]{0,20})?", token in "[!-~]{1,40}") {
            let target = format!("{path}{query}");
            let out = with_token(&target, &token);
            prop_assert!(out.starts_with(&target));
            let (_, query) = out.split_once('?').unwrap();
            let read: Vec<_> = form_urlencoded::parse(query.as_bytes())
                .filter(|(name, _)| name == "access_token")
                .map(|(_, value)| value.into_owned())
                .collect();
            prop_assert_eq!(read, [token]);
        }

        /// The rest is an end of the path, to the byte.
        #[test]
        fn legacy_paths_end_alike(path in "(/_matrix/app/v1)?/(users|rooms|transactions|thirdparty|ping|x)[!-~]{0,20}") {
            let (front, rest) = legacy(path.as_bytes());
            prop_assert!(path.as_bytes().ends_with(rest));
            prop_assert!(front.is_empty() || front == b"/_matrix/app/unstable");
            // Twice is once.
            let once = [front, rest].concat();
            let (front, rest) = legacy(&once);
            prop_assert_eq!([front, rest].concat(), once);
        }
    }
}
