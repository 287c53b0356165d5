//! Who is this? What is known of a token, and who knows it.
//!
//! A [`Verdict`] comes from whoever issued the token, and from nobody else: the
//! homeserver behind us, whose own 401 is remembered ([`learn`]); a homeserver that is
//! asked ([`whoami`]); an OAuth server ([`introspect`]); a file of ours ([`tokens`]).
//! Whatever goes wrong on the way is [`NoAnswer`], which is never told as "unknown": a
//! client that believes its session gone throws away its encryption keys.
//!
//! Verdicts are kept in [`memory`] under keyed hashes. No token is kept. Who sends too
//! many unknown tokens is known to [`bad_tokens`], and an issuer that is down to
//! [`breaker`].

pub mod ask;
pub mod bad_tokens;
pub mod breaker;
pub mod client;
pub mod evidence;
pub mod introspect;
pub mod learn;
pub mod memo;
pub mod memory;
pub mod rules;
pub mod tokens;
pub mod verifier;
pub mod verifiers;
pub mod whoami;

pub use self::{
    evidence::Evidence,
    verifier::Verifier,
    verifiers::{Verifiers, VerifyError},
};

/// What the issuer says of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is good.
    Valid(Identity),
    /// It is none, or none any more.
    Unknown {
        /// Whether the session behind it lives on, in the issuer's words.
        soft_logout: bool,
    },
    /// It is good, but its user is locked.
    Locked,
    /// It is good, but not for what is behind us: it lacks a scope that is asked for, or
    /// belongs to somebody whom we cannot name.
    Unfit,
}

/// Whose a token is. What the issuer did not say is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The Matrix user, or what the issuer calls him. Fit for a field value, as all text here.
    pub user: Option<String>,
    /// The device.
    pub device: Option<String>,
    /// What the token is for (RFC 6749 section 3.3).
    pub scope: Option<String>,
    /// The label in the tokens file.
    pub label: Option<String>,
    /// Whether the user is a guest.
    pub is_guest: bool,
    /// Whether the user is an administrator of the server.
    pub admin: Admin,
}

/// A verdict, fresh from the issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What it says.
    pub verdict: Verdict,
    /// When it is void, if the issuer sets a time (`exp`).
    pub valid_for: Option<std::time::Duration>,
}

impl NoAnswer {
    /// Whether nobody else gets an answer, either. What has to do with one token, or comes
    /// of too many of them, a client could bring about.
    #[must_use]
    pub const fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Timeout | Self::Unusable(_) | Self::Open => true,
            Self::Odd(_) | Self::Busy => false,
        }
    }
}

/// Whether somebody is an administrator of the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Admin {
    /// He is none, or it makes no difference.
    #[default]
    No,
    /// He is.
    Yes,
    /// The issuer does not know the question: he is not let in as one, nor past a rule
    /// against them.
    Unknown,
}

/// Nobody could say anything about the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// No connection, or it broke.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// It took too long.
    #[error("took too long")]
    Timeout,
    /// An answer that is none: another status, or a body that says nothing.
    #[error("gave no usable answer: {0}")]
    Unusable(String),
    /// The same, and it has to do with this token alone.
    #[error("gave no usable answer about this token: {0}")]
    Odd(String),
    /// So many others are asked about that this one was not.
    #[error("is asked about too many tokens at once")]
    Busy,
    /// It failed so often that it is left alone for a while.
    #[error("is not asked for a while, after several failures")]
    Open,
}
