//! How an answer of our own goes over the wire.
//!
//! Bodies are canonical JSON: sorted keys, no spaces. Whatever went wrong, a
//! browser can read it, and no cache keeps it.

use smallvec::SmallVec;

use super::{Dialect, Refusal};
use crate::decimal;

/// How an answer of our own has to look to the client that gets it.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// The API that was asked.
    pub dialect: Dialect,
    /// `HEAD` gets the fields without the body.
    pub is_head: bool,
    /// Whether another request may follow on this connection.
    pub keep_alive: bool,
    /// The `Date` field's value.
    pub date: &'a str,
}

/// A body of ours; none is long enough to be allocated.
pub type Body = SmallVec<[u8; 192]>;

/// A field of an answer: its name and its value.
pub type Field = (&'static str, Value);

/// What a field of an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text of ours.
    Text(&'static str),
    /// A number.
    Number(u64),
}

impl Refusal {
    /// Appends the whole answer to `out` and returns the length of its body.
    pub fn write(self, to: &Reply<'_>, out: &mut Vec<u8>) -> usize {
        push(out, &["HTTP/1.1 ", status_line(self.status())]);
        for field in self.own_fields() {
            push_field(out, field);
        }
        push_shared(&self.body(to.dialect), to, out)
    }

    /// Every field of the answer but those of its connection and `Date`, which are for
    /// whoever sends it.
    pub fn fields(self, dialect: Dialect, body: &[u8]) -> impl Iterator<Item = Field> {
        self.own_fields().chain(shared_fields(dialect, body))
    }

    /// The fields that not every answer has.
    fn own_fields(self) -> impl Iterator<Item = Field> {
        let of_status = match (self.status(), self.is_invalid_token()) {
            (401, false) => Some(("WWW-Authenticate", r#"Bearer realm="matrix""#)),
            (401, true) => Some((
                "WWW-Authenticate",
                r#"Bearer realm="matrix", error="invalid_token""#,
            )),
            (405, _) => Some(("Allow", "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH")),
            _ => None,
        };
        let of_status = of_status.map(|(name, value)| (name, Value::Text(value)));
        let again = self
            .retry_after()
            .map(|seconds| ("Retry-After", Value::Number(seconds)));
        of_status.into_iter().chain(again)
    }

    /// The JSON body.
    #[must_use]
    pub fn body(self, dialect: Dialect) -> Body {
        let mut body = Body::new();
        let mut push = |piece: &str| body.extend_from_slice(piece.as_bytes());
        push(r#"{"errcode":""#);
        push(self.errcode(dialect));
        push(r#"","error":""#);
        push(self.error());
        push("\"");
        if self.status() == 429
            && let Some(seconds) = self.retry_after()
        {
            // Old clients know nothing of the field.
            push(r#","retry_after_ms":"#);
            push(&seconds.saturating_mul(1000).to_string());
        }
        match self.soft_logout(dialect) {
            Some(true) => push(r#","soft_logout":true"#),
            Some(false) => push(r#","soft_logout":false"#),
            None => {}
        }
        push("}");
        body
    }
}

/// What stands behind `HTTP/1.1` for each status that a refusal may have.
const fn status_line(status: u16) -> &'static str {
    match status {
        400 => "400 Bad Request",
        401 => "401 Unauthorized",
        403 => "403 Forbidden",
        404 => "404 Not Found",
        405 => "405 Method Not Allowed",
        408 => "408 Request Timeout",
        413 => "413 Content Too Large",
        414 => "414 URI Too Long",
        429 => "429 Too Many Requests",
        431 => "431 Request Header Fields Too Large",
        501 => "501 Not Implemented",
        502 => "502 Bad Gateway",
        503 => "503 Service Unavailable",
        504 => "504 Gateway Timeout",
        505 => "505 HTTP Version Not Supported",
        _ => "500 Internal Server Error",
    }
}

/// Appends an answer of our own that refuses nothing; returns how many body bytes
/// are sent.
pub(crate) fn push_answer(
    status_line: &str,
    body: &[u8],
    to: &Reply<'_>,
    out: &mut Vec<u8>,
) -> usize {
    push(out, &["HTTP/1.1 ", status_line]);
    push_shared(body, to, out)
}

/// The fields that all our answers share.
fn shared_fields(dialect: Dialect, body: &[u8]) -> [Field; 6] {
    // The specification's CORS fields: without them a browser client cannot
    // read the errcode (client-server API, "Web Browser Clients").
    let allowed = match dialect {
        Dialect::Client => "X-Requested-With, Content-Type, Authorization",
        Dialect::Identity => "Origin, X-Requested-With, Content-Type, Accept, Authorization",
    };
    [
        ("Content-Type", Value::Text("application/json")),
        ("Content-Length", Value::Number(body.len() as u64)),
        ("Cache-Control", Value::Text("no-store")),
        ("Access-Control-Allow-Origin", Value::Text("*")),
        (
            "Access-Control-Allow-Methods",
            Value::Text("GET, POST, PUT, DELETE, OPTIONS"),
        ),
        ("Access-Control-Allow-Headers", Value::Text(allowed)),
    ]
}

/// Appends what stands behind the fields of its own: the shared ones, those of the
/// connection, and `body`.
fn push_shared(body: &[u8], to: &Reply<'_>, out: &mut Vec<u8>) -> usize {
    push(out, &["\r\nDate: ", to.date]);
    for field in shared_fields(to.dialect, body) {
        push_field(out, field);
    }
    let connection = if to.keep_alive { "keep-alive" } else { "close" };
    push(out, &["\r\nConnection: ", connection, "\r\n\r\n"]);
    if to.is_head {
        return 0;
    }
    out.extend_from_slice(body);
    body.len()
}

/// Appends a field, with the line break before it.
fn push_field(out: &mut Vec<u8>, (name, value): Field) {
    push(out, &["\r\n", name, ": "]);
    match value {
        Value::Text(text) => push(out, &[text]),
        Value::Number(number) => decimal::push(out, number),
    }
}

fn push(out: &mut Vec<u8>, pieces: &[&str]) {
    for piece in pieces {
        out.extend_from_slice(piece.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(refusal: Refusal, dialect: Dialect, is_head: bool) -> String {
        let mut out = Vec::new();
        let reply = Reply {
            dialect,
            is_head,
            keep_alive: true,
            date: "DATE",
        };
        refusal.write(&reply, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn bodies_are_exact() {
        let cases = [
            (
                Refusal::MissingToken,
                Dialect::Client,
                r#"{"errcode":"M_MISSING_TOKEN","error":"Missing access token"}"#,
            ),
            (
                Refusal::UnusableToken,
                Dialect::Client,
                r#"{"errcode":"M_UNKNOWN_TOKEN","error":"Invalid access token passed.","soft_logout":true}"#,
            ),
            (
                Refusal::MixedToken,
                Dialect::Client,
                r#"{"errcode":"M_MISSING_TOKEN","error":"Mixing Authorization headers and access_token query parameters."}"#,
            ),
            (
                Refusal::SeveralAuthorizations,
                Dialect::Client,
                r#"{"errcode":"M_MISSING_TOKEN","error":"Too many Authorization headers."}"#,
            ),
            (
                Refusal::MissingToken,
                Dialect::Identity,
                r#"{"errcode":"M_UNAUTHORIZED","error":"Missing access token"}"#,
            ),
            (
                Refusal::UnknownToken { soft_logout: false },
                Dialect::Client,
                r#"{"errcode":"M_UNKNOWN_TOKEN","error":"Invalid access token passed.","soft_logout":false}"#,
            ),
            (
                Refusal::TooManyBadTokens { retry_after: 12 },
                Dialect::Client,
                r#"{"errcode":"M_LIMIT_EXCEEDED","error":"Too many invalid access tokens","retry_after_ms":12000}"#,
            ),
        ];
        for (refusal, dialect, body) in cases {
            let answer = written(refusal, dialect, false);
            assert_eq!(answer.split_once("\r\n\r\n").unwrap().1, body, "{refusal}");
            assert!(
                answer.contains(&format!("\r\nContent-Length: {}\r\n", body.len())),
                "{refusal}"
            );
        }
    }

    #[test]
    fn a_401_has_every_field() {
        assert_eq!(
            written(Refusal::MissingToken, Dialect::Client, true),
            "HTTP/1.1 401 Unauthorized\r\n\
             WWW-Authenticate: Bearer realm=\"matrix\"\r\n\
             Date: DATE\r\n\
             Content-Type: application/json\r\n\
             Content-Length: 60\r\n\
             Cache-Control: no-store\r\n\
             Access-Control-Allow-Origin: *\r\n\
             Access-Control-Allow-Methods: GET, POST, PUT, DELETE, OPTIONS\r\n\
             Access-Control-Allow-Headers: X-Requested-With, Content-Type, Authorization\r\n\
             Connection: keep-alive\r\n\r\n"
        );
        assert!(
            written(Refusal::UnusableToken, Dialect::Client, true)
                .contains("error=\"invalid_token\"")
        );
    }
}
