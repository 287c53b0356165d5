//! What the client gets back: the upstream's head, for this client's framing.
//!
//! An answer to a request whose token we moved is the answer to a URL that held
//! a secret: shared caches must not keep it (RFC 6750 section 2.3), pages must
//! not send it on as a referrer, and a redirect must not repeat it.

use crate::{
    decimal, field_value,
    http1::{
        body::Outgoing,
        head::{Version, is_named},
        length::Length,
        response::ResponseHead,
    },
    hygiene::push,
    relocate::{
        narrow::{self, Narrowed},
        query::Names,
    },
};

/// What the request has to do with its response.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The client's version.
    pub version: Version,
    /// Whether the client's connection stays open if the framing allows it.
    pub keep_alive: bool,
    /// What to add because the request's URL or form held a token.
    pub moved: Option<&'a Moved>,
    /// The request's `Host`.
    pub host: &'a [u8],
    /// Parameter names that carry a token.
    pub names: &'a Names,
}

/// What answers to moved requests gain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// RFC 9745.
    pub deprecation: Option<String>,
    /// RFC 8594.
    pub sunset: Option<String>,
}

/// How the response goes on behind its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Continuation {
    /// The body's framing towards the client.
    pub outgoing: Outgoing,
    /// Whether the client's connection stays open.
    pub keep_alive: bool,
}

/// Appends the head for the client.
pub fn push_head(
    out: &mut Vec<u8>,
    head: &ResponseHead<'_, '_>,
    context: &Context<'_>,
) -> Continuation {
    let next = continuation(head, context);
    push_status(out, head);
    push_fields(out, head, context, next.outgoing);
    if let Some(moved) = context.moved {
        let has = |name: &str| {
            head.fields
                .iter()
                .any(|field| field.name.eq_ignore_ascii_case(name))
        };
        if has("expires") && !has("cache-control") {
            push(out, "Cache-Control", b"private");
        }
        push_moved(out, moved);
    }
    if next.outgoing == Outgoing::Chunked {
        push(out, "Transfer-Encoding", b"chunked");
    }
    match (next.keep_alive, context.version) {
        (false, _) => push(out, "Connection", b"close"),
        (true, Version::Http10) => push(out, "Connection", b"keep-alive"),
        (true, Version::Http11) => {}
    }
    out.extend_from_slice(b"\r\n");
    next
}

/// Appends an interim or switching head (1xx) as it came, but for this hop.
pub fn push_interim(out: &mut Vec<u8>, head: &ResponseHead<'_, '_>) {
    push_status(out, head);
    for field in head.fields {
        let name = field.name;
        let is_switch =
            head.status == 101 && (is_named(name, b"connection") || is_named(name, b"upgrade"));
        // No length either (RFC 9110 section 8.6): HTTP/2 clients take it for a breach.
        let is_dropped = is_hop_by_hop(name) || is_named(name, b"content-length");
        if is_switch || !is_dropped {
            push(out, field.name, field.value);
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn push_status(out: &mut Vec<u8>, head: &ResponseHead<'_, '_>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    decimal::push(out, head.status.into());
    out.push(b' ');
    out.extend_from_slice(head.reason.as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn continuation(head: &ResponseHead<'_, '_>, context: &Context<'_>) -> Continuation {
    let knows_chunks = context.version == Version::Http11;
    let (outgoing, needs_close) = match head.length {
        Length::Zero | Length::Sized(_) => (Outgoing::Raw, false),
        Length::Chunked | Length::UntilClose if knows_chunks => (Outgoing::Chunked, false),
        Length::Chunked | Length::UntilClose => (Outgoing::Raw, true),
    };
    Continuation {
        outgoing,
        keep_alive: context.keep_alive && !needs_close,
    }
}

/// Whether a field is for one hop only; `connection` itself is read by the parser.
fn is_hop_by_hop(name: &str) -> bool {
    match name.len() {
        2 => is_named(name, b"te"),
        7 => is_named(name, b"upgrade"),
        10 => is_named(name, b"connection") || is_named(name, b"keep-alive"),
        16 => is_named(name, b"proxy-connection"),
        17 => is_named(name, b"transfer-encoding"),
        18 => is_named(name, b"proxy-authenticate"),
        _ => false,
    }
}

fn push_fields(
    out: &mut Vec<u8>,
    head: &ResponseHead<'_, '_>,
    context: &Context<'_>,
    outgoing: Outgoing,
) {
    // Behind chunks of ours a length of theirs would be a second one; to a
    // body that cannot be, it would be a lie (RFC 9110 section 8.6).
    let drops_length = outgoing == Outgoing::Chunked
        || head.length == Length::Chunked
        || head.status == 204
        || head.has_bad_length;
    for field in head.fields {
        let name = field.name;
        let is_dropped = if is_named(name, b"content-length") {
            drops_length
        } else {
            is_hop_by_hop(name) || is_nominated(name, head)
        };
        if is_dropped {
            continue;
        }
        let narrowed = match context.moved {
            Some(_) => narrow::narrow(name, field.value, context.host, context.names),
            None => Narrowed::Stays,
        };
        match narrowed {
            Narrowed::Stays => push(out, name, field.value),
            Narrowed::Becomes(value) => push(out, name, &value),
            Narrowed::Goes => {}
        }
    }
}

/// Whether a `Connection` field of the response names this field.
fn is_nominated(name: &str, head: &ResponseHead<'_, '_>) -> bool {
    head.has_nominated
        && head
            .fields
            .iter()
            .filter(|field| field.name.eq_ignore_ascii_case("connection"))
            .flat_map(|field| field_value::list(field.value))
            .any(|option| option.eq_ignore_ascii_case(name.as_bytes()))
}

fn push_moved(out: &mut Vec<u8>, moved: &Moved) {
    push(out, "Referrer-Policy", narrow::REFERRER_POLICY.as_bytes());
    if let Some(deprecation) = &moved.deprecation {
        push(out, "Deprecation", deprecation.as_bytes());
    }
    if let Some(sunset) = &moved.sunset {
        push(out, "Sunset", sunset.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::response;

    fn answered(head: &str, version: Version, moved: bool) -> (String, Continuation) {
        let mut fields = response::EMPTY_ROOM;
        let head = response::parse(head.as_bytes(), false, &mut fields).unwrap();
        let gains = Moved {
            deprecation: Some("@1".into()),
            sunset: None,
        };
        let context = Context {
            version,
            keep_alive: true,
            moved: moved.then_some(&gains),
            host: b"h",
            names: &Names::default(),
        };
        let mut out = Vec::new();
        let next = push_head(&mut out, &head, &context);
        (String::from_utf8(out).unwrap(), next)
    }

    #[test]
    fn frames_for_the_client() {
        let raw = Outgoing::Raw;
        let chunked = Outgoing::Chunked;
        let cases = [
            (
                "sized",
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-a: 1\r\n\r\n",
                Version::Http11,
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-a: 1\r\n\r\n",
                raw,
                true,
            ),
            (
                "chunked",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close, x-b\r\nX-B: 1\r\n\r\n",
                Version::Http11,
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                chunked,
                true,
            ),
            (
                "chunked to 1.0",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                Version::Http10,
                "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
                raw,
                false,
            ),
            (
                "until close",
                "HTTP/1.1 200 OK\r\n\r\n",
                Version::Http11,
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                chunked,
                true,
            ),
            (
                "sized to 1.0",
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
                Version::Http10,
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n",
                raw,
                true,
            ),
            (
                "304 keeps its length",
                "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n",
                Version::Http11,
                "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n",
                raw,
                true,
            ),
            (
                "204 has none",
                "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n",
                Version::Http11,
                "HTTP/1.1 204 No Content\r\n\r\n",
                raw,
                true,
            ),
        ];
        for (name, head, version, expected, outgoing, keep_alive) in cases {
            assert_eq!(
                answered(head, version, false),
                (
                    expected.into(),
                    Continuation {
                        outgoing,
                        keep_alive
                    }
                ),
                "case: {name}"
            );
        }
    }

    #[test]
    fn keeps_the_secret_of_a_moved_request() {
        let (head, _) = answered(
            "HTTP/1.1 302 Found\r\nCache-Control: public,max-age=86400,s-maxage=0\r\nLocation: /x?access_token=SECRET&a\r\n\
             Referrer-Policy: unsafe-url\r\nContent-Length: 0\r\n\r\n",
            Version::Http11,
            true,
        );
        assert_eq!(
            head,
            "HTTP/1.1 302 Found\r\nCache-Control: private, max-age=86400\r\nLocation: /x?a\r\nContent-Length: 0\r\n\
             Referrer-Policy: no-referrer\r\nDeprecation: @1\r\n\r\n"
        );
    }
}
