//! Tokens that are kept until the homeserver has been asked, and wiped then.

use std::{collections::HashMap, fmt};

use zeroize::Zeroizing;

use crate::{
    audit::{
        live_set::{is_askable, kind_of},
        sighting::TokenId,
    },
    secret::AccessToken,
};

/// How many are kept.
const MOST: usize = 100_000;

/// The longest that is kept, in bytes: what a server takes in one field.
const LONGEST: usize = 7 * 1024;

/// How many bytes all of them may have.
const MOST_BYTES: usize = 32 * 1024 * 1024;

/// The found tokens with which a homeserver can be asked.
///
/// `Debug` shows how many there are. It is filled only for `--verify-live`.
#[derive(Default)]
pub struct Held {
    tokens: HashMap<TokenId, Zeroizing<Vec<u8>>>,
    bytes: usize,
    has_left_out: bool,
}

impl Held {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a token of this kind is worth keeping; refresh tokens, login tokens and
    /// passwords are not.
    #[must_use]
    pub fn wants(kind: &str) -> bool {
        is_askable(kind)
    }

    /// Keeps a token, decoded, unless its shape says that nobody can be asked with it or
    /// no field can carry it.
    pub fn keep(&mut self, id: TokenId, token: &[u8]) {
        if self.tokens.contains_key(&id)
            || token.len() > LONGEST
            || AccessToken::from_text(token).is_err()
            || !is_askable(kind_of(token))
        {
            return;
        }
        let bytes = self.bytes.saturating_add(token.len());
        if self.tokens.len() >= MOST || bytes > MOST_BYTES {
            self.has_left_out = true;
            return;
        }
        self.bytes = bytes;
        self.tokens.insert(id, Zeroizing::new(token.to_vec()));
    }

    /// Takes over what another worker kept.
    pub fn absorb(&mut self, other: Self) {
        self.has_left_out |= other.has_left_out;
        for (id, token) in other.tokens {
            self.keep(id, &token);
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Whether some were found and not kept, since there were too many.
    #[must_use]
    pub fn has_left_out(&self) -> bool {
        self.has_left_out
    }

    /// Their names, in an order that is the same in every run.
    pub(in crate::audit) fn ids(&self) -> Vec<TokenId> {
        let mut ids: Vec<_> = self.tokens.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    pub(in crate::audit) fn get(&self, id: TokenId) -> Option<AccessToken<'_>> {
        AccessToken::from_text(self.tokens.get(&id)?).ok()
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Held({} tokens)", self.tokens.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> TokenId {
        TokenId(u128::from(number).to_be_bytes())
    }

    #[test]
    fn keeps_what_a_homeserver_can_be_asked_with() {
        let long = "F".repeat(LONGEST + 1);
        let cases: [(&str, &[u8], bool); 9] = [
            ("Synapse's", b"syt_ZmFrZQ_FAKEFAKEFAKEFAKEFAKE_0aaaaa", true),
            ("no shape", b"FAKEFAKEFAKEFAKE", true),
            ("refresh", b"syr_ZmFrZQ_FAKEFAKEFAKEFAKEFAKE_0aaaaa", false),
            ("login", b"syl_FAKEFAKEFAKEFAKEFAKE_0aaaaa", false),
            (
                "MAS's refresh",
                b"mar_FAKEFAKEFAKEFAKEFAKEFAKEFAKE00_0aaaaa",
                false,
            ),
            (
                "our own",
                b"tsh_FAKEFAKEFAKEFAKEFAKEFAKEFAKE00_0aaaaa",
                false,
            ),
            ("nothing", b"", false),
            ("not for a field", b"FAKE\r\nX: y", false),
            ("too long", long.as_bytes(), false),
        ];
        for (name, token, expected) in cases {
            let mut held = Held::new();
            held.keep(id(1), token);
            held.keep(id(1), token);
            assert_eq!(held.len(), usize::from(expected), "case: {name}");
            assert!(!format!("{held:?}").contains("FAKE"), "case: {name}");
        }
    }

    #[test]
    fn is_bounded() {
        let mut held = Held::new();
        for number in 0..=u32::try_from(MOST).unwrap() {
            held.keep(id(number), b"FAKE");
        }
        assert_eq!(held.len(), MOST);
        assert!(held.has_left_out());
        let mut held = Held::new();
        let long = "F".repeat(LONGEST);
        for number in 0..5_000 {
            held.keep(id(number), long.as_bytes());
        }
        assert!(held.has_left_out());
        assert_eq!(held.len(), MOST_BYTES / LONGEST);
        let mut all = Held::new();
        all.keep(id(6_000), b"FAKE");
        all.absorb(held);
        assert!(all.has_left_out() && all.len() > 1);
    }
}
