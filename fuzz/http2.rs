//! HTTP/2 that becomes HTTP/1.1, and back.

use http::{HeaderName, HeaderValue, Method, Request, Uri};
use tokenshim::{
    http1::{head, length::Length},
    http2::{
        PREFACE,
        answer::{self, Body, Step},
        client,
        heads::{Event, Heads},
        paths, request,
    },
};

/// A request over HTTP/2, its parts on lines: one head, and nothing added to it.
pub(crate) fn http2_request(bytes: &[u8]) {
    let mut lines = bytes.split(|&byte| byte == b'\n');
    let mut next = || lines.next().unwrap_or_default();
    let Ok(method) = Method::from_bytes(next()) else {
        return;
    };
    let mut uri = http::uri::Parts::default();
    uri.path_and_query = http::uri::PathAndQuery::try_from(next()).ok();
    if let Ok(authority) = http::uri::Authority::try_from(next()) {
        uri.scheme = uri
            .path_and_query
            .is_some()
            .then_some(http::uri::Scheme::HTTP);
        uri.authority = Some(authority);
    }
    let mut head = Request::new(());
    *head.method_mut() = method;
    *head.uri_mut() = Uri::from_parts(uri).unwrap_or_default();
    for line in lines {
        let at = memchr::memchr(b'=', line).unwrap_or(line.len());
        let (name, value) = line.split_at(at);
        let value = HeaderValue::from_bytes(value.get(1..).unwrap_or_default());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), value) {
            head.headers_mut().append(name, value);
        }
    }
    for is_ended in [true, false] {
        let mut out = Vec::new();
        let framing = request::push_head(&mut out, &head, None, is_ended);
        assert_eq!(head::end(&out, 0), Some(out.len()), "one head");
        let mut fields = vec![httparse::EMPTY_HEADER; 1000];
        let Ok(parsed) = head::parse(&out, &mut fields) else {
            continue;
        };
        assert_eq!(parsed.method, head.method().as_str().as_bytes());
        assert!(
            parsed.fields.len() <= head.headers().len() + 2,
            "a field more"
        );
        let count = |name: &str| {
            let is = |field: &&head::Field<'_>| field.name == name;
            parsed.fields.iter().filter(is).count()
        };
        assert!(count("host") <= 1 && count("cookie") <= 1);
        let is_chunked = framing == request::Framing::Chunked;
        assert_eq!(count("transfer-encoding"), usize::from(is_chunked));
        assert!(!is_chunked || count("content-length") == 0, "two lengths");
    }
}

/// A request to an upstream: what goes by HTTP/2 arrives as it was written.
pub(crate) fn http2_upstream(bytes: &[u8]) {
    let Ok(client::Head { request, .. }) = client::parse(bytes) else {
        return;
    };
    let (parts, ()) = request.into_parts();
    let uri = parts.uri.into_parts();
    let (path, host) = (uri.path_and_query.unwrap(), uri.authority.unwrap());
    let line = format!("{} {path} HTTP/1.", parts.method);
    // Some readers skip empty lines in front of a message.
    let begin = bytes.iter().position(|byte| !b"\r\n".contains(byte));
    assert!(bytes[begin.unwrap()..].starts_with(line.as_bytes()));
    assert!(String::from_utf8_lossy(bytes).contains(host.as_str()));
    for name in ["host", "connection", "transfer-encoding", "upgrade"] {
        assert!(!parts.headers.contains_key(name), "{name}");
    }
    let secret = parts.headers.get("authorization");
    assert!(secret.is_none_or(HeaderValue::is_sensitive));
}

/// An answer of the engine: how it is written does not matter, and no more comes
/// out of it than went in.
pub(crate) fn http2_answer(bytes: &[u8]) {
    let end = head::end(bytes, 0).unwrap_or(0);
    let (head, body) = bytes.split_at(end);
    let length = answer::parse(head, false).map_or(Length::Chunked, |head| head.length);
    let whole = read_answer(body, length, usize::MAX, usize::MAX);
    for (step, room) in [(1, 1), (2, 7), (7, 2)] {
        assert_eq!(read_answer(body, length, step, room), whole, "step {step}");
    }
}

/// The body, and whether it ended; `None` for one that is not framed so.
fn read_answer(wire: &[u8], length: Length, step: usize, room: usize) -> Option<(Vec<u8>, bool)> {
    let (mut body, mut out) = (Body::new(length), Vec::new());
    for piece in wire.chunks(step.min(wire.len().max(1))) {
        let mut rest = piece;
        while !rest.is_empty() {
            let promised = body.data_in(&[rest]);
            let count = match body.next(rest, room).ok()? {
                Step::Framing(count) | Step::End(count, _) => count,
                Step::Data(count) => {
                    assert!(count <= room && count <= promised, "more than promised");
                    out.extend_from_slice(&rest[..count]);
                    count
                }
                Step::Full => panic!("there is room"),
            };
            rest = &rest[count..];
        }
    }
    Some((out, body.is_ended()))
}

/// Frames of a client: how they arrive does not matter, those without a path to
/// replace go on as they came, and what goes on has nothing left to replace.
pub(crate) fn http2_heads(bytes: &[u8]) {
    let wire = [PREFACE, bytes].concat();
    let whole = pass(&wire, wire.len());
    for step in [1, 2, 7] {
        assert!(pass(&wire, step) == whole, "step {step}");
    }
    let (out, paths, is_hostile) = whole;
    if is_hostile {
        return;
    }
    let again = pass(&out, out.len());
    assert!(again.0 == out, "replaced twice");
    for (_, path) in &paths {
        assert!(!path.is_empty(), "there is no copy of nothing");
        let is_taken = path.iter().all(|&byte| paths::is_taken(byte));
        assert!(!path.starts_with(b"/") || !is_taken, "h2 takes it");
    }
}

type Passed = (Vec<u8>, Vec<(u32, Vec<u8>)>, bool);

fn pass(wire: &[u8], step: usize) -> Passed {
    let mut heads = Heads::new(0);
    let (mut out, mut paths, mut is_hostile) = (Vec::new(), Vec::new(), false);
    for piece in wire.chunks(step) {
        let passed = heads.read(piece, |event| match event {
            Event::Frame(_) => {}
            Event::Path(stream, path) => paths.push((stream, path)),
            Event::Hostile => is_hostile = true,
        });
        out.extend_from_slice(&piece[..passed]);
        let ready = heads.ready().len();
        out.extend_from_slice(heads.ready());
        heads.gave(ready);
        if is_hostile {
            return (out, paths, true);
        }
    }
    heads.end();
    out.extend_from_slice(heads.ready());
    (out, paths, false)
}
