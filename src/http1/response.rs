//! Reads a response head.

use std::mem::MaybeUninit;

use super::{
    head::{Field, Version, is_named},
    length::{Framing, Length},
};
use crate::field_value;

/// The most fields an upstream may send; more generous than for clients.
pub const MOST_FIELDS: usize = 128;

/// Room for them, which costs nothing to make: to write empty fields into all of it
/// takes longer than to read those that come.
pub type Room<'b> = [MaybeUninit<Field<'b>>; MOST_FIELDS];

/// No field yet.
pub const EMPTY_ROOM: Room<'static> = [const { MaybeUninit::uninit() }; MOST_FIELDS];

/// A response head, as the upstream sent it.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'b, 'f> {
    /// The version.
    pub version: Version,
    /// 100 to 999.
    pub status: u16,
    /// The reason phrase, perhaps empty.
    pub reason: &'b str,
    /// The fields, in order.
    pub fields: &'f [Field<'b>],
    /// Where the body ends.
    pub length: Length,
    /// Whether the upstream keeps the connection open behind it.
    pub keep_alive: bool,
    /// Whether `Connection` names fields that go no further.
    pub has_nominated: bool,
    /// Whether what is said of the length contradicts itself, or says nothing; only
    /// where there is no body, or chunks.
    pub has_bad_length: bool,
}

/// The upstream's answer is not HTTP/1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed response head")]
pub struct BadResponse;

/// Reads a complete head into `fields`; `to_head` if it answers a `HEAD`.
///
/// # Errors
///
/// [`BadResponse`] if it is none, or if its body's end cannot be told.
pub fn parse<'b, 'f>(
    head: &'b [u8],
    to_head: bool,
    fields: &'f mut [MaybeUninit<Field<'b>>],
) -> Result<ResponseHead<'b, 'f>, BadResponse> {
    let mut parsed = httparse::Response::new(&mut []);
    let Ok(httparse::Status::Complete(_)) = httparse::ParserConfig::default()
        .parse_response_with_uninit_headers(&mut parsed, head, fields)
    else {
        return Err(BadResponse);
    };
    let (Some(minor), Some(status)) = (parsed.version, parsed.code) else {
        return Err(BadResponse);
    };
    if status < 100 {
        return Err(BadResponse);
    }
    let version = if minor == 0 {
        Version::Http10
    } else {
        Version::Http11
    };
    let mut framing = Framing::default();
    let (mut close, mut keep_alive, mut has_nominated) = (false, false, false);
    for field in parsed.headers.iter() {
        match field.name.len() {
            10 if is_named(field.name, b"connection") => {
                for option in field_value::list(field.value) {
                    let is = |name: &[u8]| option.eq_ignore_ascii_case(name);
                    close |= is(b"close");
                    keep_alive |= is(b"keep-alive");
                    has_nominated |= ![&b"close"[..], b"keep-alive", b"upgrade"]
                        .iter()
                        .any(|name| is(name));
                }
            }
            14 if is_named(field.name, b"content-length") => {
                framing.content_length(field.value);
            }
            17 if is_named(field.name, b"transfer-encoding") => {
                framing.transfer_encoding(field.value);
            }
            _ => {}
        }
    }
    let length = framing
        .of_response(version, status, to_head)
        .ok_or(BadResponse)?;
    // Both lengths at once may be an attempt to desynchronise the pool.
    let is_double = length == Length::Chunked && framing.is_double();
    let keeps = !close
        && !is_double
        && length != Length::UntilClose
        && (version == Version::Http11 || keep_alive);
    Ok(ResponseHead {
        version,
        status,
        reason: parsed.reason.unwrap_or_default(),
        fields: parsed.headers,
        length,
        keep_alive: keeps,
        has_nominated,
        has_bad_length: framing.is_conflict(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_heads() {
        type Case<'a> = (&'a str, &'a str, Option<(u16, Length, bool)>);
        let cases: [Case<'_>; 11] = [
            (
                "sized",
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
                Some((200, Length::Sized(2), true)),
            ),
            (
                "no reason",
                "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
                Some((200, Length::Zero, true)),
            ),
            (
                "closing",
                "HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 2\r\n\r\n",
                Some((200, Length::Sized(2), false)),
            ),
            (
                "until close",
                "HTTP/1.1 200 OK\r\n\r\n",
                Some((200, Length::UntilClose, false)),
            ),
            (
                "1.0 closes",
                "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n",
                Some((200, Length::Sized(2), false)),
            ),
            (
                "both lengths: read, not reused",
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
                Some((200, Length::Chunked, false)),
            ),
            (
                "a length that is none counts as one",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: x\r\n\r\n",
                Some((200, Length::Chunked, false)),
            ),
            (
                "two that are equal, too",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2, 2\r\n\r\n",
                Some((200, Length::Chunked, false)),
            ),
            (
                "chunks of HTTP/1.0",
                "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n",
                None,
            ),
            ("not HTTP", "SSH-2.0-OpenSSH\r\n\r\n", None),
            (
                "two lengths",
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n",
                None,
            ),
        ];
        for (name, head, expected) in cases {
            let mut fields = EMPTY_ROOM;
            let found = parse(head.as_bytes(), false, &mut fields).ok();
            assert_eq!(
                found.map(|head| (head.status, head.length, head.keep_alive)),
                expected,
                "case: {name}"
            );
        }
    }
}
