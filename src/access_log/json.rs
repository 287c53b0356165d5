//! One JSON object a line.

use std::{borrow::Cow, net::IpAddr, ops::Range};

use jiff::Timestamp;
use serde::Serialize;

use super::Entry;

/// The fields; the names are an interface.
#[derive(Serialize)]
struct Line<'e> {
    /// When the exchange ended, RFC 3339.
    time: String,
    /// The client's address; null behind a unix socket that did not say.
    remote: Option<IpAddr>,
    /// Null where the request line did not parse.
    method: Option<Cow<'e, str>>,
    /// The request target, or all there is of a request line that did not parse; masked.
    target: Cow<'e, str>,
    /// `HTTP/1.1`, `HTTP/2.0`; null where the request line did not parse.
    protocol: Option<&'e str>,
    status: u16,
    /// Of the body, as sent to the client.
    bytes: u64,
    duration_ms: f64,
    /// The fingerprint.
    token: Option<String>,
    token_source: &'e str,
    referer: Option<Cow<'e, str>>,
    user_agent: Option<Cow<'e, str>>,
    ending: &'e str,
}

/// Appends one line.
pub(super) fn push(out: &mut Vec<u8>, entry: &Entry) {
    let text = |range: &Range<usize>| String::from_utf8_lossy(entry.part(range));
    let line = Line {
        time: format!("{:.3}", Timestamp::now()),
        remote: entry.client,
        method: (!entry.method.is_empty()).then(|| text(&entry.method)),
        target: text(&entry.target),
        protocol: entry.protocol(),
        status: entry.status(),
        bytes: entry.bytes,
        duration_ms: (entry.started.elapsed().as_secs_f64() * 1_000_000.0).round() / 1000.0,
        token: entry.fingerprint.map(|fingerprint| fingerprint.to_string()),
        token_source: entry.source.as_str(),
        referer: entry.referer.as_ref().map(text),
        user_agent: entry.user_agent.as_ref().map(text),
        ending: entry.ending.as_str(),
    };
    // Strings and numbers always serialise, and a Vec takes them.
    let _ = serde_json::to_writer(&mut *out, &line);
    out.push(b'\n');
}
