//! What must hold for any bytes; a law that is broken panics.
//!
//! The fuzzer runs them for hours, `tests/fuzz_seeds.rs` for a moment on every
//! build: on the seeds, and on random bytes made of what confuses parsers.

#![allow(
    dead_code,
    unused_imports,
    reason = "each fuzz target uses one of them"
)]

mod http2;
mod issuers;
mod lists;
mod logs;

use std::{
    io::Write as _,
    pin::pin,
    task::{Context, Poll, Waker},
};

use flate2::{Compression, write::GzEncoder};
use http::HeaderValue;
use tokenshim::{
    http1::{
        chunked::{Chunks, Piece},
        head,
        length::Length,
        survey,
    },
    percent,
    proxy_protocol::{self, Parsed, ReadError, Version},
    redact::{self, MASK},
    relocate::{
        appservice, field,
        query::{self, Lookup, Names},
    },
    requirement,
    secret::AccessToken,
    target::{self, Part, RawTarget},
    verify::{
        learn::{self, Lesson, Touch},
        tokens::{Line, Tokens},
    },
};

pub(crate) use self::{
    http2::{http2_answer, http2_heads, http2_request, http2_upstream},
    issuers::{introspection, whoami},
    lists::live_set,
    logs::{log_format, log_line, redaction},
};

/// A query: nothing is left behind the cut, and nothing else is changed.
pub(crate) fn relocation(text: &[u8]) {
    let names = Names::default();
    let mut cut = Vec::new();
    let is_left = query::push_cut(&mut cut, text, &names);
    assert_eq!(tokens(&cut), 0, "left behind");
    assert_eq!(by_another_parser(&cut), 0, "another parser finds one");
    assert_eq!(tokens(text), by_another_parser(text), "parsers disagree");
    assert_eq!(
        kept(text, &names),
        kept(&cut, &names),
        "another pair changed"
    );
    assert!(
        is_left || cut.is_empty(),
        "a query without its question mark"
    );
    if tokens(text) == 0 {
        assert_eq!(cut, text, "cut without need");
    }
    let mut again = Vec::new();
    query::push_cut(&mut again, &cut, &names);
    assert_eq!(again, cut, "twice is once");
    for part in [Part::Path, Part::Query] {
        let mut strict = Vec::new();
        target::push_strict(&mut strict, &cut, part);
        assert!(!target::has_sloppy(&strict, part), "still sloppy");
        assert_eq!(tokens(&strict), 0, "encoding made a token");
    }
    to_a_bridge(text, &cut);
}

/// The same query on its way to an old bridge: one token, and the rest is as it was.
fn to_a_bridge(text: &[u8], cut: &[u8]) {
    const TOKEN: &str = "SECRET+/&;%41#=";
    let mut target = [b"/?", cut].concat();
    appservice::push_token(&mut target, 0, b"access_token", TOKEN);
    assert!(target[2..].starts_with(cut), "another byte changed");
    let query = &target[2..];
    let found = Lookup::default().and(query, &Names::default());
    let value = percent::decode(found.first.unwrap());
    assert_eq!(found.pairs, 1, "not one token");
    assert!(value.eq(TOKEN.bytes()), "another token");
    assert_eq!(by_another_parser(query), 1, "another parser finds more");
    let (front, rest) = appservice::legacy(text);
    assert!(text.ends_with(rest), "not the end of the path");
    assert!(front.is_empty() || !rest.is_empty(), "only a front");
}

fn tokens(query: &[u8]) -> usize {
    Lookup::default().and(query, &Names::default()).pairs
}

/// Pairs with the name, found by a parser that shares no code with ours.
fn by_another_parser(query: &[u8]) -> usize {
    query
        .split(|byte| matches!(byte, b'&' | b';'))
        .filter_map(|pair| form_urlencoded::parse(pair).next())
        .filter(|(name, _)| name == "access_token")
        .count()
}

fn kept<'q>(text: &'q [u8], names: &Names) -> Vec<(&'q [u8], Option<&'q [u8]>)> {
    query::pairs(text)
        .filter(|pair| !names.contain(pair) && !pair.span.is_empty())
        .map(|pair| (pair.name, pair.value))
        .collect()
}

/// A request head: whatever passes is what HTTP says a head is.
pub(crate) fn head(bytes: &[u8]) {
    let whole = head::end(bytes, 0);
    for searched in 0..=whole.map_or(bytes.len(), |end| end - 1) {
        assert_eq!(head::end(bytes, searched), whole, "searched {searched}");
    }
    let Some(end) = whole else { return };
    let mut fields = [httparse::EMPTY_HEADER; head::MOST_FIELDS];
    let Ok(head) = head::parse(&bytes[..end], &mut fields) else {
        return;
    };
    assert!(!head.method.is_empty() && head.method.iter().all(|&byte| head::is_token(byte)));
    for field in head.fields {
        assert!(
            !field.name.is_empty() && field.name.bytes().all(head::is_token),
            "name"
        );
        let breaks = |byte: &u8| matches!(byte, b'\r' | b'\n' | 0);
        assert!(!field.value.iter().any(breaks), "a value that is two lines");
    }
    let count = |name: &str| {
        let is = |field: &&head::Field<'_>| field.name.eq_ignore_ascii_case(name);
        head.fields.iter().filter(is).count()
    };
    if survey::survey(&head).is_ok() {
        let lengths = count("content-length") + count("transfer-encoding");
        assert!(lengths <= 1, "two readers could disagree about the body");
        assert!(count("host") <= 1, "two hosts");
    }
    // Must not panic; which forms are right is for the tests of the module.
    let _ = target::split(head.target);
}

/// A chunked body: how it arrives does not matter, and nothing is read twice.
pub(crate) fn chunks(bytes: &[u8]) {
    let whole = read_chunks(bytes, bytes.len().max(1));
    for step in [1, 2, 7] {
        assert_eq!(read_chunks(bytes, step), whole, "step {step}");
    }
}

/// The body and how much of the input it took; `None` while it has no end.
fn read_chunks(bytes: &[u8], step: usize) -> Result<Option<(Vec<u8>, usize)>, ()> {
    let (mut chunks, mut body) = (Chunks::default(), Vec::new());
    let (mut at, mut seen) = (0, 0);
    loop {
        let input = &bytes[at..seen];
        match chunks.next(input).map_err(|_| ())? {
            Piece::Partial if seen == bytes.len() => return Ok(None),
            Piece::Partial => seen = bytes.len().min(seen + step),
            Piece::Framing(length) => {
                assert!(length > 0 && length <= input.len(), "framing");
                at += length;
            }
            Piece::Data(length) => {
                assert!(length > 0 && length <= input.len(), "data");
                body.extend_from_slice(&input[..length]);
                at += length;
            }
            Piece::Trailers(length) => {
                assert!(length > 0 && length <= input.len(), "trailers");
                return Ok(Some((body, at + length)));
            }
        }
    }
}

/// `Referer` and `Location`: no token is left.
pub(crate) fn fields(url: &[u8]) {
    let names = Names::default();
    let referer = field::clean_referer(url, &names, &redact::Redactor::default());
    assert_eq!(redact::find(&referer), [], "Referer");
    // A mask may swallow the question mark, and what is behind is read otherwise.
    if memchr::memmem::find(&referer, MASK).is_none() {
        assert_eq!(tokens_in_url(&referer), 0, "Referer");
    }
    if let Some(location) = field::clean_location(url, b"h", &names) {
        assert!(location.len() < url.len(), "cut");
        assert_eq!(tokens_in_url(&location), 0, "Location");
        assert_eq!(
            field::clean_location(&location, b"h", &names),
            None,
            "twice is once"
        );
    }
    // Must not panic, whatever it is.
    let _ = target::split(RawTarget::new(url));
}

/// Pairs with the name in the query of a URL.
fn tokens_in_url(url: &[u8]) -> usize {
    let head = url.split(|&byte| byte == b'#').next().unwrap_or_default();
    let at = head.iter().position(|&byte| byte == b'?');
    at.map_or(0, |at| tokens(&head[at + 1..]))
}

/// A PROXY header: how it arrives does not matter, nothing behind it is read, and
/// what it names can be said again.
pub(crate) fn proxy_protocol(bytes: &[u8]) {
    let parsed = proxy_protocol::parse(bytes);
    let mut left = bytes;
    let read = {
        let mut context = Context::from_waker(Waker::noop());
        match pin!(proxy_protocol::read(&mut left)).poll(&mut context) {
            Poll::Ready(read) => read,
            Poll::Pending => panic!("bytes in memory make nobody wait"),
        }
    };
    match (parsed, read) {
        (Ok(Parsed::Done { length, endpoints }), Ok(found)) => {
            assert!(length <= bytes.len().min(proxy_protocol::LONGEST), "length");
            assert_eq!(found, endpoints, "read otherwise");
            assert_eq!(left, &bytes[length..], "what follows");
            for end in 0..length {
                let part = proxy_protocol::parse(&bytes[..end]);
                assert_eq!(part, Ok(Parsed::Partial), "{end} bytes");
            }
            say_again(endpoints);
        }
        (Ok(Parsed::Partial), Err(ReadError::Closed)) => assert!(bytes.is_empty()),
        (Ok(Parsed::Partial), Err(ReadError::Truncated)) => assert!(left.is_empty()),
        (Err(bad), Err(ReadError::Bad(same))) => assert_eq!(bad, same),
        (parsed, read) => panic!("{parsed:?}, but {read:?}"),
    }
}

/// A tokens file: labels are single and fit into a field, the ends of lines do not
/// matter, and a line more is found.
pub(crate) fn tokens_file(text: &[u8]) {
    let tokens = match Tokens::parse(text) {
        Ok(tokens) => tokens,
        Err(bad) => {
            let lines = text.split(|&byte| byte == b'\n').count();
            return assert!((1..=lines).contains(&bad.line), "no such line");
        }
    };
    let mut labels: Vec<_> = tokens.labels().map(str::to_owned).collect();
    let is_visible = |label: &String| label.bytes().all(|byte| byte.is_ascii_graphic());
    assert!(labels.iter().all(is_visible), "a label that is no word");
    let lines: Vec<_> = text.split(|&byte| byte == b'\n').collect();
    let windows = Tokens::parse(&lines.join(&b"\r\n"[..])).unwrap();
    assert!(windows.labels().eq(&labels), "CRLF");
    let token = AccessToken::from_text(b"FAKE").unwrap();
    let line = Line::new("one-more", [7; 16], &token).unwrap();
    if !labels.iter().any(|label| label == "one-more") {
        let more = [text, b"\n", line.to_string().as_bytes()].concat();
        let more = Tokens::parse(&more).unwrap();
        assert_eq!(more.find(&token), Some("one-more"));
    }
    labels.sort_unstable();
    labels.dedup();
    assert_eq!(labels.len(), tokens.len(), "a label twice");
}

fn say_again(endpoints: Option<proxy_protocol::Endpoints>) {
    for version in [Version::V1, Version::V2] {
        let mut header = Vec::new();
        let source = endpoints.map(|endpoints| endpoints.source);
        let destination = endpoints.map(|endpoints| endpoints.destination);
        proxy_protocol::push(&mut header, version, source, destination);
        let Ok(Parsed::Done { length, endpoints }) = proxy_protocol::parse(&header) else {
            panic!("not understood: {}", header.escape_ascii());
        };
        assert_eq!(length, header.len(), "its length");
        // IPv4 within IPv6 is said as IPv4.
        let plain = |address: Option<std::net::SocketAddr>| {
            address.map(|address| (address.ip().to_canonical(), address.port()))
        };
        if let Some(found) = endpoints {
            assert_eq!(plain(Some(found.source)), plain(source));
            assert_eq!(plain(Some(found.destination)), plain(destination));
        }
    }
}

/// A homeserver's answer, and a path: nothing is learned but what another reader sees as
/// well, and compression changes nothing.
pub(crate) fn lesson(bytes: &[u8]) {
    let json = Some(&b"application/json"[..]);
    let plain = learn::lesson(401, json, None, bytes);
    if let Some(Lesson { soft_logout }) = plain {
        assert!(bytes.len() <= learn::LONGEST_BODY, "length");
        let told: serde_json::Value = serde_json::from_slice(bytes).unwrap();
        assert_eq!(told["errcode"], "M_UNKNOWN_TOKEN");
        assert!(told.get("flows").is_none() && told.get("session").is_none());
        let expected = told.get("soft_logout").is_some_and(|told| told == true);
        assert_eq!(soft_logout, expected, "soft_logout");
    }
    for status in [200, 400, 403, 429, 500, 502, 503, 504] {
        assert_eq!(learn::lesson(status, json, None, bytes), None, "{status}");
    }
    assert_eq!(learn::lesson(401, None, None, bytes), None, "no type");

    let gzip = Some(&b"gzip"[..]);
    // Must not panic, and not take longer than a bomb's first 8 KiB.
    let as_gzip = learn::lesson(401, json, gzip, bytes);
    assert!(as_gzip.is_none() || bytes.starts_with(b"\x1f\x8b"), "gzip");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    let zipped = encoder.finish().unwrap();
    if zipped.len() <= learn::LONGEST_BODY {
        assert_eq!(learn::lesson(401, json, gzip, &zipped), plain, "compressed");
    }

    for method in [&b"GET"[..], b"POST", b"PUT", b"DELETE"] {
        if let Some(Touch::Named(user)) = learn::touches(method, bytes) {
            assert!(user.starts_with('@'), "no user");
        }
        // Must not panic, and teach only where a token is required.
        let endpoint = requirement::of(method, bytes);
        if learn::may_teach(endpoint, method, bytes) {
            assert_eq!(endpoint.class, requirement::Class::Required);
        }
    }
}
