//! The table alone; tests/requirement.rs holds it against the data it was made from.

use super::*;
use crate::requirement::Api;

#[test]
fn understands_every_line_of_the_table() {
    let table = Table::parse(include_str!("../endpoints.txt"));
    assert_eq!(table.skipped, 0);
    assert!(table.nodes.len() > 500, "{}", table.nodes.len());
}

#[test]
fn skips_what_it_cannot_read() {
    let lines = [
        ("unknown method", "FETCH open client /a"),
        ("unknown class", "GET closed client /a"),
        ("unknown api", "GET open matrix /a"),
        ("no path", "GET open client"),
        ("relative path", "GET open client a"),
        ("a word too many", "GET open client /a b"),
        ("a rest that is not last", "GET open client /*/a"),
        ("half a variable", "GET open client /{a"),
        ("a pattern", "GET open client /a*"),
        ("twice", "GET open client /known"),
    ];
    for (name, line) in lines {
        let text = format!("GET open client /known\n\n# comment\n{line}\n");
        let table = Table::parse(text.leak());
        assert_eq!(table.skipped, 1, "case: {name}");
    }
}

#[test]
fn literal_before_variable_before_rest() {
    let table = Table::parse(
        "POST required client /a/new\n\
         GET open client /a/{id}\n\
         GET required client /a/new/x\n\
         GET open client /a/{id}/y\n\
         ANY optional identity /a/*\n",
    );
    let cases = [
        ("literal", "POST", "/a/new", Class::Required, Api::Client),
        (
            "literal, other method",
            "GET",
            "/a/new",
            Class::Open,
            Api::Client,
        ),
        ("variable", "GET", "/a/b", Class::Open, Api::Client),
        (
            "out of the literal",
            "GET",
            "/a/new/y",
            Class::Open,
            Api::Client,
        ),
        ("rest", "GET", "/a/new/z", Class::Optional, Api::Identity),
        (
            "rest, other method",
            "PUT",
            "/a/b",
            Class::Optional,
            Api::Identity,
        ),
    ];
    for (name, method, path, class, api) in cases {
        let found = table.find(method.as_bytes(), path.as_bytes());
        assert_eq!(found, Endpoint { class, api }, "case: {name}");
    }
}

#[test]
fn dots_in_every_spelling() {
    for dots in [
        "x/..",
        ".",
        "%2e",
        "a/%2E%2e/b",
        ".%2e/",
        "a%2f..%2Fb",
        "..%2f",
    ] {
        assert!(climbs(dots.as_bytes()), "{dots}");
    }
    for plain in [
        "",
        "...",
        "a.b",
        "..a",
        "%2e%2e%2e",
        "%252e",
        "a//b",
        "a%2f%2fb",
    ] {
        assert!(!climbs(plain.as_bytes()), "{plain}");
        assert!(!is_dots(plain.as_bytes()), "{plain}");
    }
    for dots in [".", "..", "%2e", "%2E.", ".%2e", "%2e%2E"] {
        assert!(is_dots(dots.as_bytes()), "{dots}");
    }
}

proptest::proptest! {
    /// Segments alone tell what the whole path does, decoded.
    #[test]
    fn climbing_is_seen_segment_by_segment(path in "([.]|/|%2[eEfF5]|%|2|f|a){0,12}") {
        proptest::prop_assert_eq!(climbs(path.as_bytes()), climbs_decoded(path.as_bytes()));
    }
}

#[test]
fn templates_name_no_id() {
    let cases = [
        (
            "a room",
            "GET",
            "/_matrix/client/v3/rooms/!r:h/state",
            Some(("/_matrix/client/v3/rooms/{roomId}/state", false)),
        ),
        (
            "encoded",
            "PUT",
            "/_matrix/client/r0/rooms/%21r%3Ah/send/m.x/1",
            Some((
                "/_matrix/client/r0/rooms/{roomId}/send/{eventType}/{txnId}",
                false,
            )),
        ),
        (
            "HEAD is GET",
            "HEAD",
            "/_matrix/client/v3/sync",
            Some(("/_matrix/client/v3/sync", false)),
        ),
        (
            "another method's row",
            "OPTIONS",
            "/_matrix/client/v3/sync",
            Some(("/_matrix/client/v3/sync", false)),
        ),
        (
            "a prefix only",
            "GET",
            "/_matrix/client/v3/nothing/we/know",
            Some(("/_matrix/client/*", false)),
        ),
        (
            "Synapse's administration",
            "GET",
            "/_synapse/admin/v1/event_reports",
            Some(("/_synapse/admin/v1/event_reports", true)),
        ),
        (
            "Dendrite's",
            "POST",
            "/_dendrite/admin/x",
            Some(("/_dendrite/admin/*", true)),
        ),
        (
            "the specification's",
            "GET",
            "/_matrix/client/v3/admin/whois/@u:h",
            Some(("/_matrix/client/v3/admin/whois/{userId}", true)),
        ),
        (
            "a room called admin",
            "GET",
            "/_matrix/client/v3/rooms/admin/state",
            Some(("/_matrix/client/v3/rooms/{roomId}/state", false)),
        ),
        ("not Matrix", "GET", "/index.html", None),
        ("no path", "GET", "", None),
    ];
    for (name, method, path, expected) in cases {
        let (_, found) = crate::requirement::with_template(method.as_bytes(), path.as_bytes());
        let found = found.map(|template| (template.text, template.is_admin));
        assert_eq!(found, expected, "case: {name}");
    }
}
