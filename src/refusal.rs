//! Every answer of our own, in one place.
//!
//! A client learns the status, the `errcode` and a plain sentence. Ambiguity is
//! `M_MISSING_TOKEN`, which harms nobody; `M_UNKNOWN_TOKEN` without
//! `soft_logout` makes clients throw away their encryption keys, so it is never
//! made here. Bodies are canonical JSON: sorted keys, no spaces.

use crate::decimal;

/// Why we answer a request ourselves instead of forwarding it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The endpoint requires a token and none came.
    #[error("access token missing")]
    MissingToken,
    /// Header and query carry different credentials.
    #[error("access token in header and query differ")]
    MixedToken,
    /// The query carries different tokens.
    #[error("several access tokens")]
    RepeatedToken,
    /// More than one `Authorization` field.
    #[error("several authorization fields")]
    SeveralAuthorizations,
    /// A token in a form body, where the configuration refuses that.
    #[error("access token in a form body")]
    FormToken,
    /// A token that no header can carry, so no server can have issued it.
    #[error("access token has bytes that no header can carry")]
    UnusableToken,
    /// The request breaks HTTP's grammar.
    #[error("malformed request: {0}")]
    Malformed(Malformed),
    /// `CONNECT`, since we are nobody's forward proxy, and `TRACE`, whose answer
    /// would repeat the `Authorization` we send.
    #[error("method refused")]
    RefusedMethod,
    /// The head did not come in time.
    #[error("request head timed out")]
    HeadTimeout,
    /// The body stopped coming.
    #[error("request body timed out")]
    BodyTimeout,
    /// The body comes slower than `limits.body_rate`.
    #[error("request body too slow")]
    BodyTooSlow,
    /// The body is longer than `limits.body_size`.
    #[error("request body too large")]
    BodyTooLarge,
    /// A form body is too long to look into.
    #[error("form body too large")]
    FormTooLarge,
    /// The request line alone fills the head buffer.
    #[error("request target too long")]
    TargetTooLong,
    /// The head is longer than we take.
    #[error("request head too large")]
    HeadTooLarge,
    /// The head has more fields than we take.
    #[error("request head has too many fields")]
    TooManyFields,
    /// No route is for this host and path.
    #[error("no route")]
    NoRoute,
    /// `limits.connections` are open.
    #[error("too many connections")]
    TooManyConnections,
    /// `limits.connections_per_address` are open.
    #[error("too many connections from one address")]
    TooManyFromAddress,
    /// `limits.in_flight` requests are being served.
    #[error("too many requests in flight")]
    Busy,
    /// A transfer coding other than `chunked`.
    #[error("transfer coding not supported")]
    TransferCoding,
    /// Not HTTP/1.
    #[error("HTTP version not supported")]
    Version,
    /// No connection to the upstream.
    #[error("upstream refused the connection")]
    UpstreamDown,
    /// The upstream broke off, or its answer is not HTTP.
    #[error("upstream gave no valid answer")]
    UpstreamBroken,
    /// The upstream stayed silent for too long.
    #[error("upstream timed out")]
    UpstreamTimeout,
    /// We stop, and this long poll would outlast us.
    #[error("shutting down")]
    Draining,
    /// A defect of ours.
    #[error("internal error")]
    Internal,
}

/// What is wrong with a malformed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The request line.
    #[error("request line")]
    RequestLine,
    /// The target has bytes or a form that no request may have.
    #[error("request target")]
    Target,
    /// A field line.
    #[error("header field")]
    Field,
    /// No `Host`, several, or one that names no host.
    #[error("host")]
    Host,
    /// `Content-Length` and `Transfer-Encoding` do not say where the body ends.
    #[error("message length")]
    Length,
    /// The chunks of a body.
    #[error("chunked body")]
    Chunk,
}

/// Which Matrix API an answer speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// The client-server API and all others.
    #[default]
    Client,
    /// The identity service API says `M_UNAUTHORIZED` where others say
    /// `M_MISSING_TOKEN` (its section "Authentication").
    Identity,
}

impl Refusal {
    /// The status code. No `_` arm: a new reason has to choose.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::MissingToken
            | Self::MixedToken
            | Self::RepeatedToken
            | Self::SeveralAuthorizations
            | Self::FormToken
            | Self::UnusableToken => 401,
            Self::Malformed(_) => 400,
            Self::NoRoute => 404,
            Self::RefusedMethod => 405,
            Self::HeadTimeout | Self::BodyTimeout | Self::BodyTooSlow => 408,
            Self::FormTooLarge | Self::BodyTooLarge => 413,
            Self::TargetTooLong => 414,
            Self::TooManyFromAddress => 429,
            Self::HeadTooLarge | Self::TooManyFields => 431,
            Self::Internal => 500,
            Self::TransferCoding => 501,
            Self::UpstreamDown | Self::UpstreamBroken => 502,
            Self::Draining | Self::TooManyConnections | Self::Busy => 503,
            Self::UpstreamTimeout => 504,
            Self::Version => 505,
        }
    }

    /// The Matrix error code.
    #[must_use]
    pub const fn errcode(self, dialect: Dialect) -> &'static str {
        match self {
            Self::MissingToken
            | Self::MixedToken
            | Self::RepeatedToken
            | Self::SeveralAuthorizations
            | Self::FormToken => match dialect {
                Dialect::Client => "M_MISSING_TOKEN",
                Dialect::Identity => "M_UNAUTHORIZED",
            },
            Self::UnusableToken => match dialect {
                Dialect::Client => "M_UNKNOWN_TOKEN",
                Dialect::Identity => "M_UNAUTHORIZED",
            },
            Self::NoRoute | Self::RefusedMethod | Self::TransferCoding => "M_UNRECOGNIZED",
            Self::FormTooLarge
            | Self::BodyTooLarge
            | Self::TargetTooLong
            | Self::HeadTooLarge
            | Self::TooManyFields => "M_TOO_LARGE",
            Self::TooManyFromAddress => "M_LIMIT_EXCEEDED",
            Self::Malformed(_)
            | Self::HeadTimeout
            | Self::BodyTimeout
            | Self::BodyTooSlow
            | Self::TooManyConnections
            | Self::Busy
            | Self::Internal
            | Self::UpstreamDown
            | Self::UpstreamBroken
            | Self::Draining
            | Self::UpstreamTimeout
            | Self::Version => "M_UNKNOWN",
        }
    }

    /// The sentence for people; where Synapse has one, Synapse's.
    const fn error(self) -> &'static str {
        match self {
            Self::MissingToken => "Missing access token",
            Self::MixedToken => "Mixing Authorization headers and access_token query parameters.",
            Self::RepeatedToken => "Several different access tokens passed.",
            Self::SeveralAuthorizations => "Too many Authorization headers.",
            Self::FormToken => "Access tokens are not accepted in form bodies.",
            Self::UnusableToken => "Invalid access token passed.",
            Self::Malformed(Malformed::RequestLine) => "Malformed request line",
            Self::Malformed(Malformed::Target) => "Malformed request target",
            Self::Malformed(Malformed::Field) => "Malformed header field",
            Self::Malformed(Malformed::Host) => "Missing or malformed Host",
            Self::Malformed(Malformed::Length) => "Malformed message length",
            Self::Malformed(Malformed::Chunk) => "Malformed chunked body",
            Self::RefusedMethod => "Method not supported",
            Self::HeadTimeout => "The request head took too long",
            Self::BodyTimeout => "The request body took too long",
            Self::BodyTooSlow => "The request body came too slowly",
            Self::BodyTooLarge => "Request body too large",
            Self::FormTooLarge => "Form body too large",
            Self::TargetTooLong => "Request target too long",
            Self::HeadTooLarge => "Request header fields too large",
            Self::TooManyFields => "Too many request header fields",
            Self::NoRoute => "Unrecognized request",
            Self::TooManyConnections | Self::Busy => "Too busy",
            Self::TooManyFromAddress => "Too many connections",
            Self::Internal => "Internal error",
            Self::TransferCoding => "Transfer coding not supported",
            Self::UpstreamDown => "The homeserver cannot be reached",
            Self::UpstreamBroken => "The homeserver gave no valid answer",
            Self::Draining => "Shutting down",
            Self::UpstreamTimeout => "The homeserver took too long",
            Self::Version => "HTTP version not supported",
        }
    }

    /// The line after `HTTP/1.1` and the fields that belong to the status alone.
    const fn status_line(self) -> &'static str {
        match self.status() {
            400 => "400 Bad Request",
            401 => match self {
                // RFC 6750 section 3.1: no error code where no credentials came.
                Self::UnusableToken => {
                    "401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"matrix\", error=\"invalid_token\""
                }
                _ => "401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"matrix\"",
            },
            404 => "404 Not Found",
            405 => "405 Method Not Allowed\r\nAllow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH",
            408 => "408 Request Timeout",
            413 => "413 Content Too Large",
            414 => "414 URI Too Long",
            429 => "429 Too Many Requests\r\nRetry-After: 5",
            431 => "431 Request Header Fields Too Large",
            501 => "501 Not Implemented",
            502 => "502 Bad Gateway\r\nRetry-After: 5",
            503 => "503 Service Unavailable\r\nRetry-After: 5",
            504 => "504 Gateway Timeout\r\nRetry-After: 5",
            505 => "505 HTTP Version Not Supported",
            _ => "500 Internal Server Error",
        }
    }

    /// The JSON body, in pieces.
    const fn body(self, dialect: Dialect) -> [&'static str; 5] {
        // The session behind it, if there is one, lives on: keep the keys.
        let end = match (self, dialect) {
            (Self::UnusableToken, Dialect::Client) => r#"","soft_logout":true}"#,
            _ => r#""}"#,
        };
        [
            r#"{"errcode":""#,
            self.errcode(dialect),
            r#"","error":""#,
            self.error(),
            end,
        ]
    }

    /// Appends the whole answer to `out` and returns the length of its body.
    pub fn write(self, to: &Reply<'_>, out: &mut Vec<u8>) -> usize {
        push_answer(self.status_line(), &self.body(to.dialect), to, out)
    }
}

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

/// Appends an answer of our own with `status_line`, the fields they all share
/// and `body`, in pieces; returns how many body bytes are sent.
pub(crate) fn push_answer(
    status_line: &str,
    body: &[&str],
    to: &Reply<'_>,
    out: &mut Vec<u8>,
) -> usize {
    // The specification's CORS fields: without them a browser client cannot
    // read the errcode (client-server API, "Web Browser Clients").
    let allowed = match to.dialect {
        Dialect::Client => "X-Requested-With, Content-Type, Authorization",
        Dialect::Identity => "Origin, X-Requested-With, Content-Type, Accept, Authorization",
    };
    let connection = if to.keep_alive { "keep-alive" } else { "close" };
    let push = |out: &mut Vec<u8>, pieces: &[&str]| {
        for piece in pieces {
            out.extend_from_slice(piece.as_bytes());
        }
    };
    let length = body
        .iter()
        .fold(0_usize, |length, piece| length.saturating_add(piece.len()));
    push(
        out,
        &[
            "HTTP/1.1 ",
            status_line,
            "\r\nDate: ",
            to.date,
            "\r\nContent-Type: application/json\r\nContent-Length: ",
        ],
    );
    decimal::push(out, length as u64);
    push(
        out,
        &[
            "\r\nCache-Control: no-store\r\n\
             Access-Control-Allow-Origin: *\r\n\
             Access-Control-Allow-Methods: GET, POST, PUT, DELETE, OPTIONS\r\n\
             Access-Control-Allow-Headers: ",
            allowed,
            "\r\nConnection: ",
            connection,
            "\r\n\r\n",
        ],
    );
    if to.is_head {
        return 0;
    }
    push(out, body);
    length
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
