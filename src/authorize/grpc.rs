//! gRPC, as far as one call without streams needs it.
//!
//! HTTP/2 is what the rest of the program speaks; here are the five bytes before a
//! message, and the trailers behind an answer.

use prost::Message;

use crate::{
    decimal,
    http1::{chunked, head::RequestHead},
    refusal::{Malformed, Refusal, Reply},
};

/// The one method that there is.
pub const CHECK: &[u8] = b"/envoy.service.auth.v3.Authorization/Check";

/// The longest question: Envoy's own limit for a head is 60 KiB.
pub const LONGEST: u64 = 1024 * 1024;

/// How a call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// With an answer.
    Ok = 0,
    /// The question cannot be read.
    InvalidArgument = 3,
    /// It is too long.
    ResourceExhausted = 8,
    /// There is no such method, or it is written in a way that we do not read.
    Unimplemented = 12,
    /// A defect of ours.
    Internal = 13,
}

impl From<Refusal> for Code {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoRoute | Refusal::TransferCoding => Self::Unimplemented,
            Refusal::BodyTooLarge => Self::ResourceExhausted,
            Refusal::Internal => Self::Internal,
            _ => Self::InvalidArgument,
        }
    }
}

/// Whether a request is a call by gRPC, of whatever method.
#[must_use]
pub fn is_call(head: &RequestHead<'_, '_>) -> bool {
    let mut types = head
        .fields
        .iter()
        .filter(|field| field.name.eq_ignore_ascii_case("content-type"));
    let is_grpc = types
        .next()
        .and_then(|field| field.value.strip_prefix(b"application/grpc"))
        .is_some_and(|rest| matches!(rest, b"" | b"+proto" | [b';', ..]));
    head.method == b"POST" && is_grpc && types.next().is_none()
}

const NO_MESSAGE: Refusal = Refusal::Malformed(Malformed::Question);

/// The message in a body, which is the only one.
///
/// # Errors
///
/// Why it is none.
pub fn message(body: &[u8]) -> Result<&[u8], Refusal> {
    let (&[is_compressed, a, b, c, d], message) = body.split_first_chunk().ok_or(NO_MESSAGE)?;
    match (
        is_compressed,
        usize::try_from(u32::from_be_bytes([a, b, c, d])),
    ) {
        (0, Ok(length)) if length == message.len() => Ok(message),
        // Nothing was said about compression, so nobody may use it.
        (1, _) => Err(Refusal::TransferCoding),
        _ => Err(NO_MESSAGE),
    }
}

/// Appends an answer with `message`, in the framing of HTTP/1.1; returns how many bytes
/// its body has.
pub fn push_answer(message: &impl Message, to: &Reply<'_>, out: &mut Vec<u8>) -> usize {
    let length = message.encoded_len();
    let prefix = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    push_head(to, out);
    let size = length.saturating_add(5);
    chunked::push_size(out, size);
    out.push(0);
    out.extend_from_slice(&prefix);
    // Only a lack of room is an error, and a vector has none.
    let _ = message.encode(out);
    out.extend_from_slice(b"\r\n");
    push_end(Code::Ok, out);
    size
}

/// Appends an answer without one.
pub fn push_failure(code: Code, to: &Reply<'_>, out: &mut Vec<u8>) -> usize {
    push_head(to, out);
    push_end(code, out);
    0
}

fn push_head(to: &Reply<'_>, out: &mut Vec<u8>) {
    let connection: &str = if to.keep_alive {
        ""
    } else {
        "Connection: close\r\n"
    };
    for piece in [
        "HTTP/1.1 200 OK\r\nDate: ",
        to.date,
        "\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n",
        connection,
        "\r\n",
    ] {
        out.extend_from_slice(piece.as_bytes());
    }
}

/// Appends the end of the body, and how the call ended.
fn push_end(code: Code, out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\ngrpc-status: ");
    decimal::push(out, code as u64);
    out.extend_from_slice(b"\r\n\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        authorize::check::{CheckResponse, Status},
        http1::head,
        refusal::Dialect,
    };

    const TO: Reply<'static> = Reply {
        dialect: Dialect::Client,
        is_head: false,
        keep_alive: true,
        date: "DATE",
    };

    type Case<'a> = (&'a str, &'a [u8], Result<&'a [u8], Refusal>);

    #[test]
    fn reads_the_one_message() {
        let cases: [Case<'_>; 7] = [
            ("a message", b"\0\0\0\0\x03abc", Ok(b"abc")),
            ("an empty one", b"\0\0\0\0\0", Ok(b"")),
            ("nothing", b"", Err(NO_MESSAGE)),
            ("half a prefix", b"\0\0\0\0", Err(NO_MESSAGE)),
            ("half a message", b"\0\0\0\0\x03ab", Err(NO_MESSAGE)),
            ("two", b"\0\0\0\0\x01a\0\0\0\0\0", Err(NO_MESSAGE)),
            (
                "compressed",
                b"\x01\0\0\0\x01a",
                Err(Refusal::TransferCoding),
            ),
        ];
        for (name, body, expected) in cases {
            assert_eq!(message(body), expected, "case: {name}");
        }
    }

    #[test]
    fn writes_message_and_trailers() {
        let mut out = Vec::new();
        let message = CheckResponse {
            status: Some(Status { code: 7 }),
            ..CheckResponse::default()
        };
        assert_eq!(push_answer(&message, &TO, &mut out), 9);
        let head = "HTTP/1.1 200 OK\r\nDate: DATE\r\nContent-Type: application/grpc\r\n\
                    Transfer-Encoding: chunked\r\n\r\n";
        let expected = [
            head.as_bytes(),
            b"9\r\n\0\0\0\0\x04\x0a\x02\x08\x07\r\n0\r\ngrpc-status: 0\r\n\r\n",
        ];
        assert_eq!(out, expected.concat());
        out.clear();
        push_failure(Code::Unimplemented, &TO, &mut out);
        assert_eq!(
            out,
            [head.as_bytes(), b"0\r\ngrpc-status: 12\r\n\r\n"].concat()
        );
    }

    #[test]
    fn knows_a_call() {
        let cases = [
            ("plain", "POST", "Content-Type: application/grpc\r\n", true),
            (
                "named",
                "POST",
                "content-type: application/grpc+proto\r\n",
                true,
            ),
            (
                "another message",
                "POST",
                "content-type: application/grpc+json\r\n",
                false,
            ),
            (
                "of browsers",
                "POST",
                "content-type: application/grpc-web\r\n",
                false,
            ),
            ("none", "POST", "", false),
            (
                "two",
                "POST",
                "content-type: application/grpc\r\ncontent-type: application/grpc\r\n",
                false,
            ),
            (
                "another method",
                "GET",
                "content-type: application/grpc\r\n",
                false,
            ),
        ];
        for (name, method, fields, expected) in cases {
            let bytes = format!("{method} / HTTP/1.1\r\n{fields}\r\n");
            let mut room = [httparse::EMPTY_HEADER; 4];
            let head = head::parse(bytes.as_bytes(), &mut room).unwrap();
            assert_eq!(is_call(&head), expected, "case: {name}");
        }
    }
}
