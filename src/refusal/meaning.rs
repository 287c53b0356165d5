//! What a client is told of each reason: a status, an `errcode` and a plain
//! sentence; sometimes what it may do next.
//!
//! Ambiguity is `M_MISSING_TOKEN`, which harms nobody; `M_UNKNOWN_TOKEN` without
//! `soft_logout` makes clients throw away their encryption keys, so it is said only
//! in the words of whoever issued the token. No `_` arm where a reason chooses: a
//! new one has to, too.

use super::{Malformed, Refusal};

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
    /// The status code.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::MissingToken
            | Self::MixedToken
            | Self::RepeatedToken
            | Self::SeveralAuthorizations
            | Self::FormToken
            | Self::QueryToken
            | Self::UnusableToken
            | Self::UnknownToken { .. }
            | Self::LockedUser => 401,
            Self::Forbidden => 403,
            Self::Malformed(_) => 400,
            Self::NoRoute => 404,
            Self::RefusedMethod => 405,
            Self::HeadTimeout | Self::BodyTimeout | Self::BodyTooSlow => 408,
            Self::FormTooLarge | Self::BodyTooLarge => 413,
            Self::TargetTooLong => 414,
            Self::TooManyFromAddress | Self::TooManyBadTokens { .. } => 429,
            Self::HeadTooLarge | Self::TooManyFields => 431,
            Self::Internal => 500,
            Self::TransferCoding => 501,
            Self::UpstreamDown | Self::UpstreamBroken => 502,
            Self::Draining | Self::TooManyConnections | Self::Busy | Self::Unverified => 503,

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
            | Self::FormToken
            | Self::QueryToken => match dialect {
                Dialect::Client => "M_MISSING_TOKEN",
                Dialect::Identity => "M_UNAUTHORIZED",
            },
            Self::UnusableToken | Self::UnknownToken { .. } => match dialect {
                Dialect::Client => "M_UNKNOWN_TOKEN",
                Dialect::Identity => "M_UNAUTHORIZED",
            },
            Self::LockedUser => "M_USER_LOCKED",
            Self::Forbidden => "M_FORBIDDEN",
            Self::NoRoute | Self::RefusedMethod | Self::TransferCoding => "M_UNRECOGNIZED",
            Self::FormTooLarge
            | Self::BodyTooLarge
            | Self::TargetTooLong
            | Self::HeadTooLarge
            | Self::TooManyFields => "M_TOO_LARGE",
            Self::TooManyFromAddress | Self::TooManyBadTokens { .. } => "M_LIMIT_EXCEEDED",
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
            | Self::Unverified
            | Self::Version => "M_UNKNOWN",
        }
    }

    /// The sentence for people; where Synapse has one, Synapse's.
    pub(super) const fn error(self) -> &'static str {
        match self {
            Self::MissingToken => "Missing access token",
            Self::MixedToken => "Mixing Authorization headers and access_token query parameters.",
            Self::RepeatedToken => "Several different access tokens passed.",
            Self::SeveralAuthorizations => "Too many Authorization headers.",
            Self::FormToken => "Access tokens are not accepted in form bodies.",
            Self::QueryToken => {
                "Access tokens in the URL are not accepted any more. \
                 Send the token as Authorization: Bearer, or update this client."
            }
            Self::UnusableToken | Self::UnknownToken { .. } => "Invalid access token passed.",
            Self::LockedUser => "User account has been locked",
            Self::Forbidden => "You are not allowed in here",
            Self::TooManyBadTokens { .. } => "Too many invalid access tokens",
            Self::Unverified => "The access token cannot be verified at the moment",
            Self::Malformed(Malformed::RequestLine) => "Malformed request line",
            Self::Malformed(Malformed::Target) => "Malformed request target",
            Self::Malformed(Malformed::Field) => "Malformed header field",
            Self::Malformed(Malformed::Host) => "Missing or malformed Host",
            Self::Malformed(Malformed::Length) => "Malformed message length",
            Self::Malformed(Malformed::Chunk) => "Malformed chunked body",
            Self::Malformed(Malformed::Question) => {
                "The proxy in front does not say which request it asks about"
            }
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

    /// Whether the client is asked to log in again and keep its keys; `None` where
    /// nobody expects a word about it. The session behind an unusable token, if there
    /// is one, lives on, and that of a locked user does (client-server API, "Account
    /// locking").
    pub(super) const fn soft_logout(self, dialect: Dialect) -> Option<bool> {
        match (self, dialect) {
            (Self::UnusableToken, Dialect::Client) | (Self::LockedUser, _) => Some(true),
            (Self::UnknownToken { soft_logout }, Dialect::Client) => Some(soft_logout),
            _ => None,
        }
    }

    /// Whether a token came that is none; without credentials the challenge has no
    /// error code (RFC 6750 section 3.1).
    pub(super) const fn is_invalid_token(self) -> bool {
        matches!(self, Self::UnusableToken | Self::UnknownToken { .. })
    }

    /// After how many seconds the same request may fare better.
    pub(super) const fn retry_after(self) -> Option<u64> {
        match (self, self.status()) {
            (Self::TooManyBadTokens { retry_after }, _) => Some(retry_after as u64),
            (_, 429 | 502 | 503 | 504) => Some(5),
            _ => None,
        }
    }
}
