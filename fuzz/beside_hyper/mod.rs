//! The HTTP/1.1 parts beside hyper's: two readers of the same bytes have to see
//! the same messages, and have to agree where each of them ends.
//!
//! Every difference that is meant stands here or in `reasons`, each with its
//! reason; any other breaks the law. Field lines are no second opinion: both
//! read them by httparse.

#![allow(dead_code, reason = "each fuzz target uses one of the laws")]

mod ours;
mod reasons;
mod theirs;

use http::{Method, Uri};
use ours::Read;
use theirs::Told;

/// How many messages of one connection are looked at.
const MOST_MESSAGES: usize = 4;

/// Field lines by name; those of one name are in their order.
type Fields = Vec<(String, Vec<u8>)>;

/// A message, as either of us understands it.
#[derive(Debug, PartialEq, Eq)]
struct Message {
    /// Method or status, target or reason, and version.
    start: [String; 3],
    fields: Fields,
    body: Vec<u8>,
    trailers: Fields,
}

/// Brings the lines of one name together.
fn by_name<'f>(lines: impl Iterator<Item = (&'f str, &'f [u8])>) -> Fields {
    let mut fields: Fields = lines
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_vec()))
        .collect();
    fields.sort_by(|one, other| one.0.cmp(&other.0));
    fields
}

/// A client's bytes: requests, as hyper's server reads them. Tells how many were
/// read whole by both.
pub(crate) fn requests(mut bytes: &[u8]) -> usize {
    for count in 0..MOST_MESSAGES {
        // nginx passes over a bare CR before a request, too; hyper over whole
        // line breaks only. Nothing of it is sent on.
        bytes = &bytes[tokenshim::http1::head::leading_empty_lines(bytes)..];
        match ours::request(bytes) {
            Read::Whole(whole) => {
                whole_request(&bytes[..whole.end], &whole);
                if !whole.keep_alive {
                    return count + 1;
                }
                bytes = &bytes[whole.end..];
            }
            Read::Partial => {
                let told = theirs::requests(bytes);
                let is_whole = told.first().is_some_and(|first| !first.is_cut);
                assert!(!is_whole, "ends earlier for hyper: {told:?}");
                return count;
            }
            Read::Refused(why) => {
                let told = theirs::requests(bytes);
                if let Some(first) = told.first().filter(|first| why.is_head() || !first.is_cut) {
                    let is_meant = reasons::to_refuse_request(&why, bytes);
                    assert!(is_meant, "refused, {why:?}, but: {first:?}");
                }
                return count;
            }
        }
    }
    MOST_MESSAGES
}

/// hyper has to see this one request, and the next one right behind it.
fn whole_request(bytes: &[u8], whole: &ours::Whole) {
    if whole.framing >= reasons::MOST_FRAMING {
        return;
    }
    let [method, target, version] = ours::start_line(bytes).unwrap();
    let rest = &bytes[method.len() + target.len() + version.len() + 2..];
    // Old clients send targets that the `http` crate refuses, and nginx takes them.
    let uri = str::from_utf8(target)
        .ok()
        .and_then(|text| Uri::try_from(text).ok());
    let given = if uri.is_some() { target } else { b"/" };
    // A later minor version is the highest that we know (RFC 9110 section 2.5).
    let version = match whole.message.start[2].as_str() {
        "HTTP/1.0" => &b"HTTP/1.0"[..],
        _ => b"HTTP/1.1",
    };
    let next = b"NEXT /next HTTP/1.1\r\nHost: next\r\n\r\n";
    let wire = [method, b" ", given, b" ", version, rest, next].concat();

    let told = theirs::requests(&wire);
    let Some(first) = told.first().filter(|first| !first.is_cut) else {
        panic!("hyper refuses what is taken: {whole:?}");
    };
    let expected = uri.map_or_else(|| "/".to_owned(), |uri| uri.to_string());
    if given.starts_with(b"/") && !given.contains(&b'#') {
        assert_eq!(expected.as_bytes(), given, "the http crate changes it");
    }
    let mut message = whole.message.clone_with_target(expected);
    message.start[2] = String::from_utf8_lossy(version).into_owned();
    assert_eq!(first.message, message, "read otherwise");
    ends_here(&told, whole, "NEXT", reasons::to_keep_request(whole));
}

/// An upstream's bytes: a response, as hyper's client reads it. Tells whether both
/// read it whole, as an answer to `GET` and to `HEAD`.
pub(crate) fn responses(bytes: &[u8]) -> usize {
    let mut count = 0;
    for method in [Method::GET, Method::HEAD] {
        match ours::response(bytes, method == Method::HEAD) {
            Read::Whole(whole) => {
                whole_response(bytes, &method, &whole);
                count += 1;
            }
            Read::Partial => {
                let told = theirs::responses(&method, bytes, None);
                let is_whole = told.first().is_some_and(|first| !first.is_cut);
                assert!(!is_whole, "ends earlier for hyper: {told:?}");
            }
            Read::Refused(why) => {
                let told = theirs::responses(&method, bytes, None);
                if let Some(first) = told.first().filter(|first| why.is_head() || !first.is_cut) {
                    let is_meant = reasons::to_refuse_response(&why, bytes);
                    assert!(is_meant, "refused, {why:?}, but: {first:?}");
                }
            }
        }
    }
    count
}

/// hyper has to see this one response, and the next one right behind it.
fn whole_response(bytes: &[u8], method: &Method, whole: &ours::Whole) {
    if whole.framing >= reasons::MOST_FRAMING {
        return;
    }
    let next = b"HTTP/1.1 299 Next\r\nContent-Length: 0\r\n\r\n";
    let next = (!whole.is_until_close).then_some(&next[..]);
    let told = theirs::responses(method, &bytes[..whole.end], next);
    let Some(first) = told.first().filter(|first| !first.is_cut) else {
        panic!("hyper refuses what is taken: {whole:?}, {told:?}");
    };
    assert_eq!(first.message, whole.message, "read otherwise");
    // Behind a 101 there is no HTTP.
    if whole.message.start[0] != "101" {
        ends_here(&told, whole, "299", reasons::to_keep_response(whole));
    }
}

/// Behind the message stands the next one, if the connection stays.
fn ends_here(told: &[Told], whole: &ours::Whole, next: &str, keep: reasons::Keep) {
    let behind = told.get(1);
    if let Some(told) = behind {
        assert_eq!(told.message.start[0], next, "another end");
    }
    match keep {
        reasons::Keep::Same => {
            assert_eq!(behind.is_some(), whole.keep_alive, "stays open: {told:?}");
        }
        reasons::Keep::NotOurs => assert!(!whole.keep_alive, "stays open: {told:?}"),
        reasons::Keep::Either => {}
    }
}

impl Message {
    fn clone_with_target(&self, target: String) -> Self {
        let [method, _, version] = self.start.clone();
        Self {
            start: [method, target, version],
            fields: self.fields.clone(),
            body: self.body.clone(),
            trailers: self.trailers.clone(),
        }
    }

    /// The values of one field.
    fn values<'m>(&'m self, name: &str) -> impl Iterator<Item = &'m [u8]> {
        self.fields
            .iter()
            .filter(move |(other, _)| other == name)
            .map(|(_, value)| value.as_slice())
    }
}
