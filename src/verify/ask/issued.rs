//! What issuers say, before anything of it is believed or put into a field.

use http::StatusCode;
use serde::de::DeserializeOwned;

use crate::{scan, verify::NoAnswer};

/// The longest text that goes into a field, in bytes.
const LONGEST_TEXT: usize = 4096;

/// The longest Matrix user (appendix "User Identifiers" of the specification), in bytes.
const LONGEST_USER: usize = 255;

/// Reads a JSON object that is said to be one.
///
/// # Errors
///
/// [`NoAnswer::Unusable`]; a byte of the body never shows in it.
pub(in crate::verify) fn object<T: DeserializeOwned>(
    content_type: Option<&[u8]>,
    body: &[u8],
) -> Result<T, NoAnswer> {
    if !content_type.is_some_and(is_json) {
        return Err(NoAnswer::Unusable("no JSON".into()));
    }
    // Arrays could be read as objects whose names go without saying.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(NoAnswer::Unusable("no JSON object".into()));
    }
    serde_json::from_slice(body)
        .map_err(|_| NoAnswer::Unusable("JSON without what was asked for".into()))
}

/// A status that says nothing of the token.
pub(in crate::verify) fn unusable(status: StatusCode) -> NoAnswer {
    NoAnswer::Unusable(format!("status {}", status.as_u16()))
}

fn is_json(content_type: &[u8]) -> bool {
    let kind = content_type.split(|byte| *byte == b';').next();
    kind.is_some_and(|kind| kind.trim_ascii().eq_ignore_ascii_case(b"application/json"))
}

/// Whether a field can carry it byte for byte: visible ASCII, and spaces within.
pub(in crate::verify) fn is_fit(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=LONGEST_TEXT).contains(&bytes.len())
        && scan::is_all(bytes, b' '..=b'~', [])
        && bytes.trim_ascii().len() == bytes.len()
}

/// Whether it looks like a Matrix user, of any age: `@localpart:server`.
pub(in crate::verify) fn is_matrix_user(text: &str) -> bool {
    let is_server = |server: &str| {
        let odd = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        !server.is_empty() && server.bytes().all(odd)
    };
    text.len() <= LONGEST_USER
        && scan::is_all(text.as_bytes(), b'!'..=b'~', [])
        && text
            .strip_prefix('@')
            .and_then(|rest| rest.split_once(':'))
            .is_some_and(|(_, server)| is_server(server))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_users() {
        let long = format!("@{}:hs", "a".repeat(252));
        let cases = [
            ("usual", "@alice:hs.example", true),
            ("with a port", "@alice:hs.example:8448", true),
            ("IPv6", "@alice:[2001:db8::1]:8448", true),
            ("of old", "@Al/ice=+!:hs", true),
            ("no localpart, as some had of old", "@:hs", true),
            ("longest", &long[1..], false),
            ("too long", &long, false),
            ("no sigil", "alice:hs", false),
            ("no server", "@alice", false),
            ("empty server", "@alice:", false),
            ("empty", "", false),
            ("space", "@al ice:hs", false),
            ("line break", "@alice:hs\r\nX-Matrix-User: @bob:hs", false),
            ("not ASCII", "@ålice:hs", false),
            ("server with a slash", "@alice:hs/x", false),
            ("two in one", "@alice:hs,@bob:hs", false),
        ];
        for (name, text, expected) in cases {
            assert_eq!(is_matrix_user(text), expected, "case: {name}");
        }
        assert!(is_matrix_user(&format!("@{}:hs", "a".repeat(251))));
    }

    #[test]
    fn knows_fields() {
        let cases = [
            ("plain", "DEVICE", true),
            ("several words", "openid urn:matrix:client:api:*", true),
            ("empty", "", false),
            ("space in front", " a", false),
            ("space behind", "a ", false),
            ("tab", "a\tb", false),
            ("line break", "a\nb", false),
            ("NUL", "a\0", false),
            ("DEL", "a\x7f", false),
            ("not ASCII", "é", false),
        ];
        for (name, text, expected) in cases {
            assert_eq!(is_fit(text), expected, "case: {name}");
        }
        assert!(!is_fit(&"a".repeat(4097)), "too long");
    }

    #[test]
    fn knows_json() {
        let cases: [(&str, &[u8], bool); 6] = [
            ("usual", b"application/json", true),
            ("with a charset", b"Application/JSON ; charset=utf-8", true),
            ("HTML", b"text/html", false),
            ("a JWT", b"application/token-introspection+jwt", false),
            ("a longer name", b"application/jsonp", false),
            ("nothing", b"", false),
        ];
        for (name, text, expected) in cases {
            assert_eq!(is_json(text), expected, "case: {name}");
        }
    }
}
