//! The token of a request that is on its way, held in one place only.

use std::ops::Range;

use crate::secret::{AccessToken, TokenKey};

/// The token that a request is authorized with.
#[derive(Clone, Debug)]
pub struct Bearer {
    /// What it is known by.
    pub key: TokenKey,
    /// Where it stands in the head for the upstream, so that it is held only once;
    /// empty where nobody will ask for it.
    place: Range<usize>,
}

impl Bearer {
    /// Finds the token in the `head` that it was written to. A place before the field
    /// would do as well: what matters is the bytes.
    pub(super) fn find(key: TokenKey, token: &AccessToken<'_>, head: &[u8]) -> Option<Self> {
        let bytes = token.expose().as_bytes();
        let start = memchr::memmem::find(head, bytes)?;
        let place = start..start.saturating_add(bytes.len());
        Some(Self { key, place })
    }

    /// One that nobody will ask for.
    pub(super) const fn known(key: TokenKey) -> Self {
        Self { key, place: 0..0 }
    }

    /// The token itself.
    #[must_use]
    pub fn token<'h>(&self, head: &'h [u8]) -> Option<AccessToken<'h>> {
        AccessToken::from_text(head.get(self.place.clone())?).ok()
    }
}
