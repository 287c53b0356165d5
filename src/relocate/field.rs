//! Takes the token out of URLs that travel in fields: `Referer` and `Location`.

use std::borrow::Cow;

use super::query::{self, Lookup, Names};
use crate::redact::Redactor;

/// A `Referer` without the token it carries.
///
/// What the cut leaves is masked as well: a page address is information, not
/// an instruction, so a hidden spelling may be blotted out here where the
/// request's own target may not.
#[must_use]
pub fn clean_referer<'f>(referer: &'f [u8], names: &Names, redactor: &Redactor) -> Cow<'f, [u8]> {
    match cut_url(referer, names) {
        Some(cut) => Cow::Owned(redactor.mask(&cut).into_owned()),
        None => redactor.mask(referer),
    }
}

/// A `Location` of our own origin without the token it repeats; `None` where
/// there is nothing to clean.
#[must_use]
pub fn clean_location(location: &[u8], host: &[u8], names: &Names) -> Option<Vec<u8>> {
    // A relative reference has no colon before its first slash (RFC 3986 section 4.2).
    let first = location
        .iter()
        .find(|byte| matches!(byte, b':' | b'/' | b'?' | b'#'));
    let is_relative = first != Some(&b':') && !location.starts_with(b"//");
    let is_ours = is_relative
        || authority(location).is_some_and(|authority| {
            without_default_port(authority).eq_ignore_ascii_case(without_default_port(host))
        });
    if is_ours {
        cut_url(location, names)
    } else {
        None
    }
}

/// `url` without the pairs of its query that carry a token.
fn cut_url(url: &[u8], names: &Names) -> Option<Vec<u8>> {
    let fragment = memchr::memchr(b'#', url).unwrap_or(url.len());
    let (head, fragment) = url.split_at_checked(fragment)?;
    let (path, query) = head.split_at_checked(memchr::memchr(b'?', head)?)?;
    let query = query.get(1..)?;
    if Lookup::default().and(query, names).pairs == 0 {
        return None;
    }
    let mut out = Vec::with_capacity(url.len());
    out.extend_from_slice(path);
    out.push(b'?');
    if !query::push_cut(&mut out, query, names) {
        out.pop();
    }
    out.extend_from_slice(fragment);
    Some(out)
}

/// The front may speak either scheme to the client.
fn without_default_port(authority: &[u8]) -> &[u8] {
    authority
        .strip_suffix(b":443")
        .or(authority.strip_suffix(b":80"))
        .unwrap_or(authority)
}

/// `host:port` of an absolute `http` or `https` URL.
fn authority(url: &[u8]) -> Option<&[u8]> {
    let colon = memchr::memchr(b':', url)?;
    let (scheme, rest) = url.split_at_checked(colon)?;
    let rest = rest.strip_prefix(b"://")?;
    let known = scheme.eq_ignore_ascii_case(b"http") || scheme.eq_ignore_ascii_case(b"https");
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?' | b'#'))
        .unwrap_or(rest.len());
    known.then(|| rest.get(..end)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleans_a_referer() {
        let cases = [
            (
                "token cut",
                "https://c.example/x?access_token=SECRET&y=1",
                "https://c.example/x?y=1",
            ),
            (
                "alone",
                "https://c.example/x?access_token=SECRET",
                "https://c.example/x",
            ),
            (
                "fragment stays",
                "https://c.example/x?access_token=SECRET#y",
                "https://c.example/x#y",
            ),
            (
                "other case masked",
                "https://c.example/?Access_Token=SECRET",
                "https://c.example/?Access_Token=<redacted>",
            ),
            (
                "in the fragment masked",
                "https://c.example/#access_token=SECRET",
                "https://c.example/#access_token=<redacted>",
            ),
            (
                "nothing",
                "https://c.example/?y=1",
                "https://c.example/?y=1",
            ),
        ];
        for (name, raw, expected) in cases {
            let cleaned = clean_referer(raw.as_bytes(), &Names::default(), &Redactor::default());
            assert_eq!(str::from_utf8(&cleaned).unwrap(), expected, "case: {name}");
        }
    }

    #[test]
    fn cleans_a_location_of_our_own() {
        let cases = [
            ("relative", "/a?access_token=SECRET&b", Some("/a?b")),
            (
                "same host",
                "https://H:1/a?access_token=SECRET",
                Some("https://H:1/a"),
            ),
            ("another host", "https://other/a?access_token=SECRET", None),
            ("relative to the page", "x?access_token=SECRET", Some("x")),
            ("query alone", "?a=1&access_token=SECRET", Some("?a=1")),
            ("scheme-relative", "//other/a?access_token=SECRET", None),
            ("no token", "/a?b", None),
        ];
        for (name, raw, expected) in cases {
            let cleaned = clean_location(raw.as_bytes(), b"h:1", &Names::default());
            assert_eq!(
                cleaned
                    .map(|bytes| String::from_utf8(bytes).unwrap())
                    .as_deref(),
                expected,
                "case: {name}"
            );
        }
    }
}
