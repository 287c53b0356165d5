//! In front of an application service, on real sockets: what is not in a row of
//! `relocation-cases.toml`.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

mod support;

use proptest::prelude::*;
use std::{io::Write as _, os::unix::net::UnixListener, thread};

use rustix::process::{Signal, kill_process};
use support::{
    Shim, text,
    upstream::{Then, Upstream, nobody},
    wire::{Message, Wire, find},
};
use tokenshim::{
    config::{self, Mode, Profile, TokenPlacement},
    relocate::{self, Authorization, Edit, Policy, Request},
    target::{self, RawTarget},
};

const SECRET: &[u8] = b"SECRET";

const TO_QUERY: &str = "workers = 1\n[log]\nlevel = \"trace\"\n[timeouts]\nresponse = \"1s\"\n\
                        [relocate]\nprofile = \"appservice\"\ntoken = \"to-query\"\n";

const TRANSACTION: &str = "PUT /_matrix/app/v1/transactions/1 HTTP/1.1\r\nHost: as\r\n\
                           Authorization: Bearer SECRET-hs\r\nContent-Length: 2\r\n\r\n{}";

fn answer(wire: &mut Wire, answer: &str) {
    let _ = wire.stream.write_all(answer.as_bytes());
}

/// Whatever goes wrong behind us: nothing that we write has the token, and the log
/// shows the target as the homeserver sent it.
#[test]
fn no_failure_writes_the_token() {
    type Script = fn(&Message, &mut Wire) -> Then;
    let cases: [(&str, Option<Script>, u16); 6] = [
        ("nobody is there", None, 502),
        ("closed at once", Some(|_, _| Then::Close), 502),
        (
            "not HTTP, and the request in it",
            Some(|request, wire| {
                let _ = wire.stream.write_all(&request.head);
                Then::Close
            }),
            502,
        ),
        ("silence", Some(|_, _| Then::Keep), 504),
        (
            "a bad request",
            Some(|_, wire| {
                answer(
                    wire,
                    "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
                );
                Then::Keep
            }),
            400,
        ),
        (
            "half an answer",
            Some(|_, wire| {
                answer(wire, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}");
                Then::Close
            }),
            200,
        ),
    ];
    for (name, script, status) in cases {
        let upstream = script.map(Upstream::start);
        let url = upstream.as_ref().map_or_else(nobody, Upstream::url);
        let shim = Shim::start(&url, TO_QUERY);
        let got = shim.connect().ask(TRANSACTION);
        assert_eq!(got.status(), status, "case: {name}");
        assert_eq!(find(&got.head, SECRET), None, "case: {name}");
        assert_eq!(find(&got.body, SECRET), None, "case: {name}");
        if let Some(upstream) = upstream {
            let seen = upstream.take();
            assert!(!seen.is_empty(), "case: {name}");
            for request in seen {
                let line = "PUT /_matrix/app/v1/transactions/1?access_token=SECRET-hs HTTP/1.1";
                assert_eq!(text(request.line()), line, "case: {name}");
            }
        }
        let written = shim.stop();
        let lines = written.access_lines();
        assert_eq!(lines.len(), 1, "case: {name}");
        let target = "\"PUT /_matrix/app/v1/transactions/1 HTTP/1.1\"";
        assert!(lines[0].contains(target), "case: {name}: {}", lines[0]);
        let all = text(&written.all());
        assert!(!all.contains("SECRET"), "case: {name}: {all}");
    }
}

/// Newer libraries answer the paths of old with a redirect that repeats the query.
#[test]
fn a_redirect_does_not_repeat_the_token() {
    let upstream = Upstream::start(|_, wire| {
        answer(
            wire,
            "HTTP/1.1 308 Permanent Redirect\r\n\
             Location: /_matrix/app/v1/transactions/1?a=1&access_token=SECRET-hs\r\n\
             Cache-Control: public\r\nContent-Length: 0\r\n\r\n",
        );
        Then::Keep
    });
    let shim = Shim::start(&upstream.url(), TO_QUERY);
    let got = shim.connect().ask(TRANSACTION);
    let location = "/_matrix/app/v1/transactions/1?a=1";
    assert_eq!(got.field("location").as_deref(), Some(location));
    assert_eq!(got.field("cache-control").as_deref(), Some("private"));
    shim.stop();
}

#[test]
fn a_bridge_may_be_behind_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bridge.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let bridge = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut seen = Vec::new();
        while find(&seen, b"\r\n\r\n{}").is_none() {
            let mut piece = [0; 512];
            let count = std::io::Read::read(&mut stream, &mut piece).unwrap();
            assert_ne!(count, 0);
            seen.extend_from_slice(&piece[..count]);
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            .unwrap();
        seen
    });
    let config = format!("{TO_QUERY}legacy_paths = true\n");
    let shim = Shim::start(&format!("unix:{}", path.display()), &config);
    assert_eq!(shim.connect().ask(TRANSACTION).status(), 200);
    let seen = text(&bridge.join().unwrap());
    let line = "PUT /transactions/1?access_token=SECRET-hs HTTP/1.1\r\n";
    assert!(seen.starts_with(line), "{seen}");
    shim.stop();
}

/// Every route, by its name, at the start and at every reload; and no other.
#[test]
fn tokens_in_urls_are_announced() {
    const SAID: &str = "tokens go to this upstream in URLs";
    let nobody = nobody();
    let config = format!(
        "workers = 1\n\
         [[route]]\nhost = \"old.bridge\"\npath = \"/irc\"\nupstream = \"{nobody}\"\n\
         profile = \"appservice\"\ntoken = \"to-query\"\n\
         [[route]]\nhost = \"new.bridge\"\nupstream = \"{nobody}\"\nprofile = \"appservice\"\n"
    );
    let shim = Shim::start(&nobody, &config);
    kill_process(shim.pid(), Signal::HUP).unwrap();
    shim.stderr().wait_for("the reload", |log| {
        find(log, b"configuration reloaded").map(|_| ())
    });
    let log = text(&shim.stop().stderr);
    let lines: Vec<_> = log.lines().filter(|line| line.contains(SAID)).collect();
    assert_eq!(lines.len(), 2, "{log}");
    for line in lines {
        assert!(line.contains("WARN"), "{line}");
        for part in ["old.bridge", "/irc", nobody.as_str()] {
            assert!(line.contains(part), "{part}: {line}");
        }
    }
}

/// What the bridge gets of a request, if we do not answer it ourselves.
fn rewritten(raw: &str, authorization: &str, token: TokenPlacement) -> Option<String> {
    let policy = Policy::from(&config::Relocate {
        profile: Profile::Appservice,
        token,
        ..config::Relocate::default()
    });
    let form = target::split(RawTarget::new(raw.as_bytes())).unwrap();
    let endpoint = relocate::endpoint(b"GET", &form, &policy);
    let request = Request {
        mode: Mode::Relocate,
        method: b"GET",
        query: form.query(),
        form: None,
        authorization: Authorization::One(authorization.as_bytes()),
        endpoint,
    };
    let relocated = relocate::relocate(&request, &policy);
    let credential = relocated.credential.ok()?;
    let edit = Edit {
        endpoint,
        cut_from: relocated.cut.then_some(relocated.cut_from),
        token: credential.token().filter(|_| relocated.to_query),
    };
    let mut out = Vec::new();
    relocate::push_target(&mut out, &form, &edit, &policy);
    String::from_utf8(out).ok()
}

/// Pairs as a browser's parser reads them, tokens and others.
fn read(target: &str) -> (Vec<String>, Vec<String>) {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split(['&', ';']).filter(|pair| !pair.is_empty());
    let (tokens, others): (Vec<_>, Vec<_>) = pairs.partition(|pair| {
        let mut read = form_urlencoded::parse(pair.as_bytes());
        read.next().is_some_and(|(name, _)| name == "access_token")
    });
    let value = |pair: &&str| {
        let mut read = form_urlencoded::parse(pair.as_bytes());
        read.next().unwrap().1.into_owned()
    };
    let others = others.into_iter().map(ToOwned::to_owned).collect();
    (tokens.iter().map(value).collect(), others)
}

/// Queries with and without the token, spelt in many ways.
fn queries() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("access_token=FAKE%2Bhs"),
        Just("%61ccess_token=FAKE%2bhs"),
        Just("access_token"),
        Just("access_token="),
        Just("Access_Token=x"),
        Just("a=1"),
        Just("b=%26+%C3%A9"),
        Just("c=?"),
        Just(""),
    ];
    let separated = (piece, prop_oneof![Just("&"), Just(";")]);
    prop::collection::vec(separated, 0..8).prop_map(|pieces| {
        let text: String = pieces
            .iter()
            .flat_map(|(piece, end)| [*piece, *end])
            .collect();
        text.trim_end_matches(['&', ';']).to_owned()
    })
}

proptest! {
    /// Whatever is in the query: one token, or none, and all else as it came.
    #[test]
    fn the_token_is_where_it_was_asked_for(query in queries(), has_header: bool) {
        let authorization = if has_header { "Bearer FAKE+hs" } else { "Bearer" };
        let target = format!("/_matrix/app/v1/users/%40a%3Ab?{query}");
        let (came, others) = read(&target);
        let is_known = has_header || came.iter().any(|token| !token.is_empty());
        let expected = if is_known { vec!["FAKE+hs".to_owned()] } else { vec![] };
        let in_query = rewritten(&target, authorization, TokenPlacement::ToQuery).unwrap();
        prop_assert_eq!(read(&in_query), (expected, others.clone()));
        let in_header = rewritten(&target, authorization, TokenPlacement::ToHeader).unwrap();
        prop_assert_eq!(read(&in_header), (vec![], others));
    }
}
