//! Tokens of the toy homeserver.

use std::io;

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};

/// A token that only the toy homeserver takes.
#[derive(Clone)]
pub(super) struct Token {
    full: String,
    /// The part that says whose it is.
    public: usize,
}

impl Token {
    /// Makes one for `user`, in Synapse's shape with a checksum that is wrong, so
    /// that nobody takes it for a real one.
    pub(super) fn mint(user: &str) -> io::Result<Self> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let letters: String = random
            .iter()
            .map(|byte| char::from(b'A'.saturating_add(byte % 26)))
            .collect();
        Ok(Self::read(&format!(
            "syt_{}_FAKE{letters}_000000",
            STANDARD_NO_PAD.encode(user)
        )))
    }

    /// Takes one that the homeserver gave.
    pub(super) fn read(full: &str) -> Self {
        let public = full
            .match_indices('_')
            .nth(1)
            .map_or(0, |(at, separator)| at.saturating_add(separator.len()));
        Self {
            full: full.to_owned(),
            public,
        }
    }

    /// The whole token.
    pub(super) fn expose(&self) -> &str {
        &self.full
    }

    /// `text` with the token cut down to its public part.
    pub(super) fn shorten(&self, text: &str) -> String {
        let public = self.full.get(..self.public).unwrap_or_default();
        text.replace(&self.full, &format!("{public}..."))
    }
}
