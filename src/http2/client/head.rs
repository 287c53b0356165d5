//! Heads on the way to an upstream and back: HTTP/1.1 of ours into HTTP/2, and
//! HTTP/2 into HTTP/1.1 for the engine.

use std::{fmt, mem::MaybeUninit};

use http::{
    HeaderMap, Method, Request, StatusCode, Uri, Version, header,
    uri::{Authority, PathAndQuery, Scheme},
};

use crate::{
    http1::{head, length::Length},
    http2::{
        answer,
        request::{Framing, is_for_one_hop},
    },
};

/// The most fields of a request: a client's, and those that we add.
const MOST_FIELDS: usize = head::MOST_FIELDS + 16;

/// A head that HTTP/2 cannot carry as it is; HTTP/1.1 can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("request cannot go by HTTP/2")]
pub struct Unfit;

/// A request's head.
pub struct Head {
    /// What h2 sends.
    pub request: Request<()>,
    /// How the body is framed.
    pub length: Length,
}

impl fmt::Debug for Head {
    /// Without the target: where the parameter is the API, a token is left in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

/// Reads a complete head, which the engine wrote.
///
/// # Errors
///
/// [`Unfit`] if anything in it would arrive changed: `http` refuses some bytes in
/// a target (`<`, `"`, all that is not UTF-8) and cuts it at `#`.
pub fn parse(head: &[u8]) -> Result<Head, Unfit> {
    let mut room = [MaybeUninit::uninit(); MOST_FIELDS];
    let mut parsed = httparse::Request::new(&mut []);
    let Ok(httparse::Status::Complete(_)) = parsed.parse_with_uninit_headers(head, &mut room)
    else {
        return Err(Unfit);
    };
    let (method, target) = parsed.method.zip(parsed.path).ok_or(Unfit)?;
    let uri = uri(target, host(parsed.headers)?)?;
    let is_sent_otherwise = |name: &http::HeaderName| *name == header::HOST;
    let fields = answer::fields(parsed.headers, is_sent_otherwise).map_err(|_| Unfit)?;
    let length = length(parsed.headers, &fields)?;
    let mut request = Request::builder()
        .method(Method::from_bytes(method.as_bytes()).map_err(|_| Unfit)?)
        .uri(uri)
        .version(Version::HTTP_2)
        .body(())
        .map_err(|_| Unfit)?;
    *request.headers_mut() = fields;
    Ok(Head { request, length })
}

/// The one `Host`.
fn host<'h>(lines: &[httparse::Header<'h>]) -> Result<&'h str, Unfit> {
    let mut hosts = lines
        .iter()
        .filter(|line| line.name.eq_ignore_ascii_case("host"));
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => str::from_utf8(host.value).map_err(|_| Unfit),
        _ => Err(Unfit),
    }
}

fn uri(target: &str, host: &str) -> Result<Uri, Unfit> {
    let path = PathAndQuery::try_from(target).map_err(|_| Unfit)?;
    let authority = Authority::try_from(host).map_err(|_| Unfit)?;
    let is_form = target.starts_with('/') || target == "*";
    if !is_form || path.as_str() != target || authority.as_str() != host {
        return Err(Unfit);
    }
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(Scheme::HTTPS);
    parts.authority = Some(authority);
    parts.path_and_query = Some(path);
    Uri::from_parts(parts).map_err(|_| Unfit)
}

fn length(lines: &[httparse::Header<'_>], fields: &HeaderMap) -> Result<Length, Unfit> {
    // Only ever `chunked`: it is what the engine writes.
    let is_chunked = lines
        .iter()
        .any(|line| line.name.eq_ignore_ascii_case("transfer-encoding"));
    let sized = match fields.get(header::CONTENT_LENGTH) {
        Some(value) => value.to_str().ok().and_then(|value| value.parse().ok()),
        None => Some(0),
    };
    match (is_chunked, sized.ok_or(Unfit)?) {
        (true, _) => Ok(Length::Chunked),
        (false, 0) => Ok(Length::Zero),
        (false, length) => Ok(Length::Sized(length)),
    }
}

/// Appends the head of an interim response.
///
/// # Errors
///
/// As [`push_response`].
pub fn push_interim(
    out: &mut Vec<u8>,
    status: StatusCode,
    fields: &HeaderMap,
) -> Result<(), Split> {
    push(out, status, fields, "")
}

/// Appends the head of a response, to a `HEAD` if `to_head`. `is_ended` tells that
/// no body follows.
///
/// # Errors
///
/// [`Split`], and `out` has nothing of it.
pub fn push_response(
    out: &mut Vec<u8>,
    status: StatusCode,
    fields: &HeaderMap,
    to_head: bool,
    is_ended: bool,
) -> Result<Framing, Split> {
    let has_none = to_head || matches!(status.as_u16(), 204 | 304);
    let is_sized = fields.contains_key(header::CONTENT_LENGTH);
    let (framing, line) = match (has_none, is_sized, is_ended) {
        (true, _, _) | (false, true, true) => (Framing::None, ""),
        (false, false, true) => (Framing::None, "content-length: 0\r\n"),
        (false, true, false) => (Framing::Sized, ""),
        (false, false, false) => (Framing::Chunked, "transfer-encoding: chunked\r\n"),
    };
    push(out, status, fields, line).map(|()| framing)
}

/// A field has a line break in it. The types promise that none has, but it costs
/// nothing not to believe them: behind one, the upstream could write what it likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("field with a line break")]
pub struct Split;

fn push(
    out: &mut Vec<u8>,
    status: StatusCode,
    fields: &HeaderMap,
    framing: &str,
) -> Result<(), Split> {
    let begin = out.len();
    let mut add = |pieces: [&[u8]; 4]| pieces.iter().for_each(|piece| out.extend_from_slice(piece));
    let reason = status.canonical_reason().unwrap_or_default().as_bytes();
    add([b"HTTP/1.1 ", status.as_str().as_bytes(), b" ", reason]);
    add([b"\r\n", framing.as_bytes(), b"", b""]);
    let mut lines = if framing.is_empty() { 2_usize } else { 3 };
    for (name, value) in fields {
        if !is_for_one_hop(name) {
            add([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
            lines = lines.saturating_add(1);
        }
    }
    add([b"\r\n", b"", b"", b""]);
    let head = out.get(begin..).unwrap_or_default();
    let is_split = |byte| memchr::memchr_iter(byte, head).count() != lines;
    if is_split(b'\r') || is_split(b'\n') {
        out.truncate(begin);
        return Err(Split);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
