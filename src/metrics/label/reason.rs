//! Why an answer is our own, as a label: a name for each refusal.

use super::Label;
use crate::refusal::{Malformed, Refusal};

/// Makes a list of the refusals. One that has no row does not compile.
macro_rules! reasons {
    ($($variant:ident = $text:literal for $refusal:pat,)+) => {
        labels! {
            /// Why an answer is our own.
            Reason {
                $(
                    #[doc = concat!("`", stringify!($refusal), "`.")]
                    $variant = $text,
                )+
            }
        }

        impl From<Refusal> for Reason {
            fn from(refusal: Refusal) -> Self {
                match refusal {
                    $($refusal => Self::$variant,)+
                }
            }
        }
    };
}

reasons! {
    MissingToken = "missing_token" for Refusal::MissingToken,
    MixedToken = "mixed_token" for Refusal::MixedToken,
    RepeatedToken = "repeated_token" for Refusal::RepeatedToken,
    SeveralAuthorizations = "several_authorizations" for Refusal::SeveralAuthorizations,
    FormToken = "form_token" for Refusal::FormToken,
    QueryToken = "query_token" for Refusal::QueryToken,
    UnusableToken = "unusable_token" for Refusal::UnusableToken,
    UnknownToken = "unknown_token" for Refusal::UnknownToken { .. },
    LockedUser = "locked_user" for Refusal::LockedUser,
    Forbidden = "forbidden" for Refusal::Forbidden,
    TooManyBadTokens = "too_many_bad_tokens" for Refusal::TooManyBadTokens { .. },
    Unverified = "unverified" for Refusal::Unverified,
    MalformedRequestLine = "malformed_request_line" for Refusal::Malformed(Malformed::RequestLine),
    MalformedTarget = "malformed_target" for Refusal::Malformed(Malformed::Target),
    MalformedField = "malformed_field" for Refusal::Malformed(Malformed::Field),
    MalformedHost = "malformed_host" for Refusal::Malformed(Malformed::Host),
    MalformedLength = "malformed_length" for Refusal::Malformed(Malformed::Length),
    MalformedChunk = "malformed_chunk" for Refusal::Malformed(Malformed::Chunk),
    MalformedQuestion = "malformed_question" for Refusal::Malformed(Malformed::Question),
    RefusedMethod = "refused_method" for Refusal::RefusedMethod,
    HeadTimeout = "head_timeout" for Refusal::HeadTimeout,
    BodyTimeout = "body_timeout" for Refusal::BodyTimeout,
    BodyTooSlow = "body_too_slow" for Refusal::BodyTooSlow,
    BodyTooLarge = "body_too_large" for Refusal::BodyTooLarge,
    FormTooLarge = "form_too_large" for Refusal::FormTooLarge,
    TargetTooLong = "target_too_long" for Refusal::TargetTooLong,
    HeadTooLarge = "head_too_large" for Refusal::HeadTooLarge,
    TooManyFields = "too_many_fields" for Refusal::TooManyFields,
    NoRoute = "no_route" for Refusal::NoRoute,
    TooManyConnections = "too_many_connections" for Refusal::TooManyConnections,
    TooManyFromAddress = "too_many_from_address" for Refusal::TooManyFromAddress,
    Busy = "busy" for Refusal::Busy,
    TransferCoding = "transfer_coding" for Refusal::TransferCoding,
    Version = "version" for Refusal::Version,
    UpstreamDown = "upstream_down" for Refusal::UpstreamDown,
    UpstreamBroken = "upstream_broken" for Refusal::UpstreamBroken,
    UpstreamTimeout = "upstream_timeout" for Refusal::UpstreamTimeout,
    Draining = "draining" for Refusal::Draining,
    Internal = "internal" for Refusal::Internal,
}
