//! What the fields of a response may not do with a URL that held a token: keep it in
//! a shared cache, send it on as a referrer, or repeat it in a redirect.
//!
//! Sources: RFC 6750 section 2.3, RFC 9111 section 5.2.2.

use super::{field, query::Names};
use crate::field_value;

/// `Referrer-Policy` of an answer to such a URL.
pub const REFERRER_POLICY: &str = "no-referrer";

/// What becomes of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Narrowed {
    /// It passes as it came.
    Stays,
    /// It passes with this value.
    Becomes(Vec<u8>),
    /// [`REFERRER_POLICY`] takes its place, or a weaker one could win.
    Goes,
}

/// Decides about one field of the response; `host` is that of the request.
#[must_use]
pub fn narrow(name: &str, value: &[u8], host: &[u8], names: &Names) -> Narrowed {
    let is = |known: &str| name.eq_ignore_ascii_case(known);
    match name.len() {
        8 | 16 if is("location") || is("content-location") => {
            field::clean_location(value, host, names).map_or(Narrowed::Stays, Narrowed::Becomes)
        }
        13 if is("cache-control") => Narrowed::Becomes(without_shared_caching(value)),
        15 if is("referrer-policy") => Narrowed::Goes,
        _ => Narrowed::Stays,
    }
}

/// `Cache-Control` for this client alone: a shared cache in front of us saw no
/// `Authorization` that would have kept it from storing.
fn without_shared_caching(value: &[u8]) -> Vec<u8> {
    let is = |directive: &[u8], name: &[u8]| {
        let end = memchr::memchr(b'=', directive).unwrap_or(directive.len());
        directive
            .get(..end)
            .unwrap_or_default()
            .trim_ascii()
            .eq_ignore_ascii_case(name)
    };
    if field_value::list(value)
        .any(|directive| is(directive, b"private") || is(directive, b"no-store"))
    {
        return value.to_vec();
    }
    let is_shared = |directive: &[u8]| {
        [&b"public"[..], b"s-maxage", b"proxy-revalidate"]
            .iter()
            .any(|name| is(directive, name))
    };
    let mut out = b"private".to_vec();
    for directive in field_value::list(value).filter(|directive| !is_shared(directive)) {
        out.extend_from_slice(b", ");
        out.extend_from_slice(directive);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrows() {
        let becomes = |value: &str| Narrowed::Becomes(value.as_bytes().to_vec());
        let cases = [
            (
                "not kept at all",
                "Cache-Control",
                "no-store",
                becomes("no-store"),
            ),
            (
                "private already",
                "cache-control",
                "Private, max-age=1",
                becomes("Private, max-age=1"),
            ),
            (
                "kept for a time",
                "cache-control",
                "max-age=1",
                becomes("private, max-age=1"),
            ),
            (
                "shared",
                "cache-control",
                "public,max-age=86400,s-maxage=0",
                becomes("private, max-age=86400"),
            ),
            (
                "redirect of our own",
                "Location",
                "/x?access_token=SECRET&a",
                becomes("/x?a"),
            ),
            (
                "redirect of others",
                "location",
                "https://other/x?access_token=SECRET",
                Narrowed::Stays,
            ),
            (
                "where the content is",
                "Content-Location",
                "/x?access_token=SECRET",
                becomes("/x"),
            ),
            (
                "weaker policy",
                "Referrer-Policy",
                "unsafe-url",
                Narrowed::Goes,
            ),
            (
                "any other",
                "x-location",
                "/x?access_token=SECRET",
                Narrowed::Stays,
            ),
        ];
        for (case, name, value, expected) in cases {
            let narrowed = narrow(name, value.as_bytes(), b"h", &Names::default());
            assert_eq!(narrowed, expected, "case: {case}");
        }
    }
}
