//! Every byte that a request target can hold: served or refused, and how it arrives.
//!
//! The set is nginx's: what it forwards today has to be served behind it, too.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

mod support;

use support::{Shim, text, upstream::Upstream, wire::Wire};

/// A request with `target`, whatever is in it.
fn get(target: &[u8]) -> Vec<u8> {
    [b"GET ", target, b" HTTP/1.1\r\nHost: h\r\n\r\n"].concat()
}

/// A target with `byte` in the middle of its path, or of its query.
fn around(byte: u8, in_query: bool) -> (Vec<u8>, &'static [u8]) {
    let front: &[u8] = if in_query { b"/p?a=b" } else { b"/p" };
    ([front, &[byte], b"c"].concat(), front)
}

/// How `byte` has to arrive; `None` where the request is refused.
fn arrives(byte: u8, in_query: bool) -> Option<Vec<u8>> {
    let is_encoded = match byte {
        b'<' | b'>' | b'#' | 0x80..=0xff => true,
        b'`' => !in_query,
        b'"' => in_query,
        _ => false,
    };
    match byte {
        0x00..=0x20 | 0x7f => None,
        _ if is_encoded => Some(format!("%{byte:02X}").into_bytes()),
        _ => Some(vec![byte]),
    }
}

#[test]
fn every_byte_in_path_and_query() {
    let upstream = Upstream::plain();
    let shim = Shim::start(&upstream.url(), "workers = 1\n");
    let mut served = shim.connect();
    let mut refused = 0;
    for (byte, in_query) in (0..=u8::MAX).flat_map(|byte| [(byte, false), (byte, true)]) {
        let (target, front) = around(byte, in_query);
        let name = format!("{byte:#04x}, in the query: {in_query}");
        if let Some(arriving) = arrives(byte, in_query) {
            assert_eq!(served.ask(get(&target)).status(), 200, "{name}");
            let expected = [front, &arriving, b"c"].concat();
            let seen = upstream.take();
            assert_eq!(text(seen[0].target()), text(&expected), "{name}");
        } else {
            check_refused(&mut shim.connect(), &target, &name);
            refused += 1;
        }
    }
    assert_eq!(refused, 2 * 34);
    assert!(upstream.take().is_empty());
    let lines = shim.stop().access_lines();
    assert_eq!(lines.len(), 512, "one line each");
    let refusals = lines.iter().filter(|line| line.contains("\" 400 "));
    assert_eq!(refusals.count(), refused);
    for line in lines {
        assert!(
            line.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
            "{line}"
        );
    }
}

/// An answer that a browser can read, not an empty one.
fn check_refused(wire: &mut Wire, target: &[u8], name: &str) {
    let answer = wire.ask(get(target));
    assert_eq!(answer.status(), 400, "{name}");
    assert_eq!(answer.errcode(), "M_UNKNOWN", "{name}");
    let origin = answer.field("access-control-allow-origin");
    assert_eq!(origin.as_deref(), Some("*"), "{name}");
}

#[test]
fn what_old_clients_send() {
    let cases: [(&str, &[u8], &str); 10] = [
        (
            "filter in plain JSON",
            br#"/_matrix/client/v3/sync?filter={"room":{}}&access_token=SECRET"#,
            "/_matrix/client/v3/sync?filter={%22room%22:{}}",
        ),
        (
            "filter behind the token",
            br#"/_matrix/client/v3/sync?access_token=SECRET&filter={"a":["<",">"]}"#,
            "/_matrix/client/v3/sync?filter={%22a%22:[%22%3C%22,%22%3E%22]}",
        ),
        (
            "alias with its hash",
            b"/_matrix/client/v3/directory/room/#alias:x",
            "/_matrix/client/v3/directory/room/%23alias:x",
        ),
        (
            "alias and token",
            b"/_matrix/client/v3/directory/room/#a:x?access_token=SECRET&b=#",
            "/_matrix/client/v3/directory/room/%23a:x?b=%23",
        ),
        (
            "Latin-1",
            b"/_matrix/client/v3/profile/@j\xf6rg:x/displayname",
            "/_matrix/client/v3/profile/@j%F6rg:x/displayname",
        ),
        (
            "UTF-8",
            "/_matrix/client/v3/profile/@jörg:x/displayname?q=€".as_bytes(),
            "/_matrix/client/v3/profile/@j%C3%B6rg:x/displayname?q=%E2%82%AC",
        ),
        (
            "what is encoded stays so",
            b"/%23%c3%b6/%2f?q=%22%3c",
            "/%23%c3%b6/%2f?q=%22%3c",
        ),
        (
            "a lone percent sign stays",
            b"/%/100%?q=%zz",
            "/%/100%?q=%zz",
        ),
        (
            "braces, pipes, backslashes, carets stay",
            br"/{a|b}\^[c]?{a|b}\^[c]",
            r"/{a|b}\^[c]?{a|b}\^[c]",
        ),
        (
            "signed: not a byte",
            b"/_matrix/federation/v1/event/$a?x=\"<#\xe9",
            "/_matrix/federation/v1/event/$a?x=\"<#\u{fffd}",
        ),
    ];
    let upstream = Upstream::plain();
    let shim = Shim::start(&upstream.url(), "");
    let mut wire = shim.connect();
    for (name, target, expected) in cases {
        assert_eq!(wire.ask(get(target)).status(), 200, "case: {name}");
        let seen = upstream.take();
        assert_eq!(text(seen[0].target()), expected, "case: {name}");
    }
    shim.stop();
}
