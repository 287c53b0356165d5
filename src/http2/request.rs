//! The head and the trailers of a request, written as HTTP/1.1.
//!
//! What two readers could understand differently must reach the engine as
//! something that it refuses, so that the client gets an answer and the log a
//! line. So a target that is none is left out, and so is a `Host` that
//! contradicts `:authority`.

use http::{HeaderMap, HeaderName, Method, Request, header};

use super::paths;
use crate::{http1::chunked, target};

/// How the engine will see the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// `Content-Length`; h2 resets a stream whose DATA frames do not add up.
    Sized,
    /// `Transfer-Encoding: chunked`, in chunks of ours.
    Chunked,
}

/// A head that the engine refuses: its target is empty.
const REFUSED: &[u8] = b"GET  HTTP/1.1\r\n\r\n";

/// Appends the head. `path` is the path, if h2 got a copy ([`paths`]); `is_ended`
/// tells that no body follows.
pub fn push_head<B>(
    out: &mut Vec<u8>,
    request: &Request<B>,
    path: Option<&[u8]>,
    is_ended: bool,
) -> Framing {
    let begin = out.len();
    out.extend_from_slice(request.method().as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(target(request, path).unwrap_or_default());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let mut lines = 2_usize;
    if let Some(host) = host(request) {
        push(out, "host", host);
        lines = lines.saturating_add(1);
    }
    lines = lines.saturating_add(push_fields(out, request.headers()));
    let framing = match (
        is_ended,
        request.headers().contains_key(header::CONTENT_LENGTH),
    ) {
        (true, _) => Framing::None,
        (false, true) => Framing::Sized,
        (false, false) => {
            push(out, "transfer-encoding", b"chunked");
            lines = lines.saturating_add(1);
            Framing::Chunked
        }
    };
    out.extend_from_slice(b"\r\n");
    // The types promise that no value has a line break. It costs nothing not
    // to believe them: a second line would be a second request.
    let head = out.get(begin..).unwrap_or_default();
    let is_split = |byte| memchr::memchr_iter(byte, head).count() != lines;
    if is_split(b'\r') || is_split(b'\n') || memchr::memchr(0, head).is_some() {
        out.truncate(begin);
        out.extend_from_slice(REFUSED);
    }
    framing
}

fn push(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    for piece in [name.as_bytes(), b": ", value, b"\r\n"] {
        out.extend_from_slice(piece);
    }
}

/// The target and the authority, as h2 gives them.
#[expect(
    clippy::disallowed_methods,
    reason = "the engine is to get the raw target, from which relocation takes the token"
)]
fn uri<B>(request: &Request<B>) -> &http::Uri {
    request.uri()
}

/// The target; `None` for one that no request of its method may have.
fn target<'r, B>(request: &'r Request<B>, path: Option<&'r [u8]>) -> Option<&'r [u8]> {
    let uri = uri(request);
    if let Some(path) = path {
        // Bytes that may not be there are for the engine to refuse, as over HTTP/1.
        let is_its = paths::is_copy(uri.path_and_query()?.as_str().as_bytes(), path);
        return (is_its && path.starts_with(b"/")).then_some(path);
    }
    let target = match *request.method() {
        // The engine refuses the method, and needs a line to do so.
        Method::CONNECT => uri.authority().map_or("*", |authority| authority.as_str()),
        _ => uri.path_and_query()?.as_str(),
    }
    .as_bytes();
    let is_form = match target {
        // Not an absolute URL: that would overrule Host.
        [b'/', ..] => true,
        b"*" => *request.method() == Method::OPTIONS || *request.method() == Method::CONNECT,
        _ => *request.method() == Method::CONNECT,
    };
    (is_form && target::is_accepted(target)).then_some(target)
}

/// What names the host (RFC 9113 section 8.3.1); `None` if nothing does, or two do.
fn host<B>(request: &Request<B>) -> Option<&[u8]> {
    let authority = (uri(request).authority()).map(|authority| authority.as_str().as_bytes());
    let mut fields = request.headers().get_all(header::HOST).iter();
    let field = fields.next().map(http::HeaderValue::as_bytes);
    if fields.next().is_some() {
        return None;
    }
    match (authority, field) {
        (Some(authority), Some(field)) if !authority.eq_ignore_ascii_case(field) => None,
        (Some(host), _) | (None, Some(host)) => Some(host),
        (None, None) => None,
    }
}

/// Appends the fields; returns how many lines that makes.
fn push_fields(out: &mut Vec<u8>, fields: &HeaderMap) -> usize {
    let mut lines = 0_usize;
    // RFC 9113 section 8.2.3: a client may split its cookie, HTTP/1.1 may not.
    let mut is_in_cookie = false;
    for (name, value) in fields {
        if *name == header::COOKIE {
            let before = if is_in_cookie { "; " } else { "cookie: " };
            out.extend_from_slice(before.as_bytes());
            out.extend_from_slice(value.as_bytes());
            lines = lines.saturating_add(usize::from(!is_in_cookie));
            is_in_cookie = true;
            continue;
        }
        if std::mem::take(&mut is_in_cookie) {
            out.extend_from_slice(b"\r\n");
        }
        if *name != header::HOST && !is_for_one_hop(name) {
            push(out, name.as_str(), value.as_bytes());
            lines = lines.saturating_add(1);
        }
    }
    if is_in_cookie {
        out.extend_from_slice(b"\r\n");
    }
    lines
}

/// Fields that HTTP/2 does not have (RFC 9113 section 8.2.2); h2 resets a
/// stream that sends them, and refuses to send them.
pub(super) fn is_for_one_hop(name: &HeaderName) -> bool {
    match name.as_str().len() {
        7 => *name == header::UPGRADE,
        10 => *name == header::CONNECTION || name.as_str() == "keep-alive",
        16 => name.as_str() == "proxy-connection",
        17 => *name == header::TRANSFER_ENCODING,
        _ => false,
    }
}

/// Appends the end of a chunked body with the trailers that may be passed on.
pub fn push_end(out: &mut Vec<u8>, trailers: Option<&HeaderMap>) {
    let mut section = Vec::new();
    for (name, value) in trailers.into_iter().flatten() {
        push(&mut section, name.as_str(), value.as_bytes());
    }
    section.extend_from_slice(b"\r\n");
    let begin = out.len();
    if chunked::push_end(out, &section).is_err() {
        // Too many: no size line begins like this, so the engine refuses it.
        out.truncate(begin);
        out.extend_from_slice(b"!\r\n");
    }
}

#[cfg(test)]
mod tests;
