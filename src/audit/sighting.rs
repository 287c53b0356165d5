//! One secret in one line: all that is kept of it.

use std::{fmt, net::IpAddr};

use jiff::Timestamp;

use super::line::Field;
use crate::redact::Confidence;

/// What a report calls a secret: 128 bits of HMAC-SHA-256 under the audit's key.
///
/// Its first eight digits are the `h:…` of access logs under the same key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(pub(crate) [u8; 16]);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "h:{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What became of the request that carried a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// 2xx, where the specification requires a token.
    Accepted,
    /// 401 or 403.
    Refused,
    /// All else proves nothing.
    Unproven,
}

/// Where a line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The input, by its position in the order of inputs.
    pub input: u32,
    /// The line, from 1.
    pub line: u64,
}

/// One secret in one line.
#[derive(Clone, Debug)]
pub struct Sighting<'l> {
    /// Which secret.
    pub id: TokenId,
    /// What it is: `synapse_access`, `password`, … (a fixed set).
    pub kind: &'static str,
    /// How sure that is.
    pub confidence: Confidence,
    /// Whose, if the token or the line tells.
    pub user: Option<&'l str>,
    /// Where.
    pub place: Place,
    /// In which part of the line.
    pub field: Field,
    /// When.
    pub time: Option<Timestamp>,
    /// Who sent it.
    pub client: Option<IpAddr>,
    /// The software that sent it, from a fixed set.
    pub family: &'static str,
    /// `GET`, from a fixed set.
    pub method: &'static str,
    /// The endpoint's template, from the endpoint table; `other` for all else.
    pub endpoint: &'static str,
    /// Whether that belongs to an administration API.
    pub is_admin: bool,
    /// What it was answered.
    pub status: Option<u16>,
    /// What that proves.
    pub outcome: Outcome,
}
