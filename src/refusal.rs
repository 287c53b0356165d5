//! Every answer of our own, in one place.
//!
//! Here is each reason for one, in the words of our log. What a client is told of
//! it is in `refusal/meaning.rs`, and how that goes over the wire in
//! `refusal/answer.rs`. A new reason is one variant here; the compiler then asks
//! for its meaning, and for its label in [`metrics`](crate::metrics).

mod answer;
mod meaning;

pub(crate) use answer::push_answer;
pub use answer::{Body, Field, Reply, Value};
pub use meaning::Dialect;

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
    /// A token that came in a URL or form only, where the configuration refuses that.
    #[error("access token in the query")]
    QueryToken,
    /// A token that no header can carry, so no server can have issued it.
    #[error("access token has bytes that no header can carry")]
    UnusableToken,
    /// Who issues tokens says that this one is none, or none any more.
    #[error("access token unknown")]
    UnknownToken {
        /// What they say of the session behind it: whether it lives on.
        soft_logout: bool,
    },
    /// The token is good, but its user is locked.
    #[error("user locked")]
    LockedUser,
    /// The token is good, but its user may not come in here.
    #[error("user not allowed")]
    Forbidden,
    /// Too many unknown tokens from one address, and this is another.
    #[error("too many unknown access tokens from one address")]
    TooManyBadTokens {
        /// When the address is heard again, in seconds.
        retry_after: u32,
    },
    /// Who issues tokens could not be asked about this one.
    #[error("access token cannot be verified")]
    Unverified,
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
    /// A question of another proxy does not say what it is about, or says it twice.
    #[error("question about a request")]
    Question,
}
