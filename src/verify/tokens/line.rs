//! One line of the tokens file.
//!
//! The hash is SHA-256 over the salt, as it stands in the line, and the token behind it.
//! Hashes for passwords are slow on purpose, since people choose passwords that can be
//! guessed. These tokens are random and long, so that nobody can try them all, however
//! fast; and every look for one would pay. The salt keeps one table from serving for all files.

use std::fmt;

use hmac::digest::{CtOutput, Digest as _};
use sha2::Sha256;

use super::MOST_TOKENS;
use crate::{config::Who, secret::AccessToken};

/// One line of the file; `Display` writes it.
pub struct Line {
    label: String,
    /// In hexadecimal: the text is what is hashed, so that `sha256sum` can check a line.
    salt: [u8; SALT],
    /// A type that compares in constant time.
    hash: CtOutput<Sha256>,
}

impl Line {
    /// The line for a token.
    ///
    /// # Errors
    ///
    /// [`BadLabel`] if no rule could name it.
    pub fn new(label: &str, salt: [u8; 16], token: &AccessToken<'_>) -> Result<Self, BadLabel> {
        let mut digits = [b'0'; SALT];
        let random = salt.iter().flat_map(|byte| hex(*byte));
        for (to, from) in digits.iter_mut().zip(random) {
            *to = from;
        }
        Ok(Self {
            label: checked_label(label)?,
            salt: digits,
            hash: hash(&digits, token),
        })
    }

    pub(super) fn parse(text: &[u8]) -> Result<Self, Wrong> {
        let text = str::from_utf8(text).map_err(|_| Wrong::Form)?;
        let mut words = text.split_ascii_whitespace();
        let (Some(label), Some(rest), None) = (words.next(), words.next(), words.next()) else {
            return Err(Wrong::Form);
        };
        let mut parts = rest.split(':');
        let (Some(algorithm), Some(salt), Some(digits), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Wrong::Form);
        };
        let label = checked_label(label)?;
        if algorithm != ALGORITHM {
            return Err(Wrong::Algorithm);
        }
        let salt: [u8; SALT] = salt.as_bytes().try_into().map_err(|_| Wrong::Salt)?;
        if !salt.iter().all(u8::is_ascii_hexdigit) {
            return Err(Wrong::Salt);
        }
        let hash = unhex(digits.as_bytes()).ok_or(Wrong::Hash)?;
        Ok(Self {
            label,
            salt,
            hash: CtOutput::new(hash.into()),
        })
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// Takes the same time whether it fits or not, and wherever it differs.
    pub(super) fn is_for(&self, token: &AccessToken<'_>) -> bool {
        hash(&self.salt, token) == self.hash
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = |bytes: &[u8]| bytes.iter().copied().map(char::from).collect::<String>();
        let hash = self.hash.as_bytes().iter().flat_map(|byte| hex(*byte));
        write!(
            f,
            "{} {ALGORITHM}:{}:{}",
            self.label,
            digits(&self.salt),
            digits(&hash.collect::<Vec<_>>())
        )
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Line({})", self.label)
    }
}

/// Digits of a salt, and of a hash.
const SALT: usize = 32;
const HASH: usize = 64;

const ALGORITHM: &str = "sha256";

fn hash(salt: &[u8; SALT], token: &AccessToken<'_>) -> CtOutput<Sha256> {
    let hash = Sha256::new_with_prefix(salt).chain_update(token.expose());
    CtOutput::new(hash.finalize())
}

/// A label is whatever a rule reads as the name of one token.
fn checked_label(text: &str) -> Result<String, BadLabel> {
    match Who::parse(text) {
        Ok(Who::User(label)) => Ok(label),
        Ok(Who::Server(_) | Who::Admins | Who::Guests) | Err(_) => Err(BadLabel),
    }
}

fn hex(byte: u8) -> [u8; 2] {
    let digit = |value: u8| match value {
        0..=9 => b'0'.saturating_add(value),
        _ => b'a'.saturating_add(value).saturating_sub(10),
    };
    [digit(byte >> 4), digit(byte & 0xF)]
}

fn unhex(digits: &[u8]) -> Option<[u8; HASH / 2]> {
    let mut bytes = [0; HASH / 2];
    if digits.len() != HASH {
        return None;
    }
    for (to, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        let value = pair.iter().try_fold(0, |value: u32, digit| {
            Some(value << 4 | char::from(*digit).to_digit(16)?)
        })?;
        *to = u8::try_from(value).ok()?;
    }
    Some(bytes)
}

/// What is wrong with a line; it repeats none of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// Not two words, or no colons in the second.
    #[error("must be LABEL sha256:SALT:HASH, as `tokenshim hash-token` prints it")]
    Form,
    /// See [`BadLabel`].
    #[error("label {0}")]
    Label(#[from] BadLabel),
    /// Another hash.
    #[error("must have the algorithm sha256")]
    Algorithm,
    /// The salt.
    #[error("must have a salt of {SALT} hexadecimal digits")]
    Salt,
    /// The hash.
    #[error("must have a hash of {HASH} hexadecimal digits")]
    Hash,
    /// A label for two tokens.
    #[error("has the label of line {0}")]
    Twice(usize),
    /// Each look for a token pays for each line.
    #[error("is one token more than {MOST_TOKENS}")]
    TooMany,
}

/// A label that no rule could name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be visible ASCII, at most {} characters, without `*`, without `#` or `@` in front unless \
     it is a user ID, and not `admins` or `guests`",
    Who::LONGEST
)]
pub struct BadLabel;
