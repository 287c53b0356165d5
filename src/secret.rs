//! Secrets as types that cannot print.

use std::{borrow::Cow, fmt};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::{audit::sighting::TokenId, percent, scan};

/// A Matrix access token, borrowed from the request that carried it where its
/// spelling allows.
///
/// There is no `Display`, `Serialize`, `Deref` or `PartialEq`, so each use of
/// the secret is a visible [`expose`](Self::expose).
#[derive(Clone)]
pub struct AccessToken<'r>(Cow<'r, str>);

/// The text cannot be a token: it cannot be carried in a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("access token has bytes that no header can carry")]
pub struct BadToken;

impl<'r> AccessToken<'r> {
    /// Reads the value of a query or form parameter: decodes once, keeps `+`.
    ///
    /// # Errors
    ///
    /// [`BadToken`] if an escape is wrong or a byte is not visible ASCII.
    pub fn from_parameter(raw: &'r [u8]) -> Result<Self, BadToken> {
        if memchr::memchr(b'%', raw).is_none() {
            return visible(raw).map(Cow::Borrowed).map(Self).ok_or(BadToken);
        }
        if !percent::is_well_formed(raw) {
            return Err(BadToken);
        }
        let decoded: Vec<u8> = percent::decode(raw).collect();
        let token = visible(&decoded).ok_or(BadToken)?;
        Ok(Self(Cow::Owned(token.to_owned())))
    }

    /// Reads the credentials of an `Authorization: Bearer` field; the scheme in
    /// any case (RFC 9110 section 11.1), any number of spaces.
    #[must_use]
    pub fn from_bearer(field: &'r [u8]) -> Option<Self> {
        let (scheme, token) = field.split_at_checked(BEARER.len())?;
        if !scheme.eq_ignore_ascii_case(BEARER) {
            return None;
        }
        visible(trim_spaces(token)).map(Cow::Borrowed).map(Self)
    }

    /// Reads a token as it stands, where nothing is around it.
    ///
    /// # Errors
    ///
    /// [`BadToken`] if it is empty or a byte is not visible ASCII.
    pub fn from_text(raw: &'r [u8]) -> Result<Self, BadToken> {
        visible(raw).map(Cow::Borrowed).map(Self).ok_or(BadToken)
    }

    /// Reveals the secret. Reviewers grep for this name.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether both are the same token.
    #[must_use]
    pub fn is_same(&self, other: &AccessToken<'_>) -> bool {
        self.0 == other.0
    }
}

/// The scheme and the first of the spaces behind it.
const BEARER: &[u8] = b"bearer ";

/// Text that a field can carry byte for byte: at least one byte, all of them
/// visible ASCII.
fn visible(text: &[u8]) -> Option<&str> {
    let is_visible = !text.is_empty() && scan::is_all(text, b'!'..=b'~', []);
    // What is ASCII is UTF-8.
    is_visible.then(|| str::from_utf8(text).ok()).flatten()
}

fn trim_spaces(mut text: &[u8]) -> &[u8] {
    while let [b' ', rest @ ..] | [rest @ .., b' '] = text {
        text = rest;
    }
    text
}

impl fmt::Debug for AccessToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(<redacted>)")
    }
}

/// The key under which tokens are shown in logs.
#[derive(Clone)]
pub struct FingerprintKey(Hmac<Sha256>);

/// The key is too short to keep fingerprints from being guessed.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a fingerprint key has at least {} bytes", FingerprintKey::LEAST)]
pub struct ShortKey;

impl FingerprintKey {
    /// The fewest bytes a key may have.
    pub const LEAST: usize = 16;

    /// Takes the key as it stands in its file.
    ///
    /// # Errors
    ///
    /// [`ShortKey`] below [`LEAST`](Self::LEAST) bytes.
    pub fn new(key: &[u8]) -> Result<Self, ShortKey> {
        if key.len() < Self::LEAST {
            return Err(ShortKey);
        }
        Hmac::new_from_slice(key).map(Self).map_err(|_| ShortKey)
    }

    /// The fingerprint of a token: the first four bytes of HMAC-SHA-256, so
    /// that `openssl dgst -sha256 -hmac` gives an admin the same.
    #[must_use]
    pub fn fingerprint(&self, token: &AccessToken<'_>) -> Fingerprint {
        self.recognise(token).0
    }

    /// What a log shows of a token, and what we know it by in memory.
    #[must_use]
    pub fn recognise(&self, token: &AccessToken<'_>) -> (Fingerprint, TokenKey) {
        let [a, b, c, d, behind @ ..] = self.digest(token.expose().as_bytes());
        let key = behind.first_chunk().copied().unwrap_or_default();
        (Fingerprint(u32::from_be_bytes([a, b, c, d])), TokenKey(key))
    }

    /// What an audit calls a secret: the first 16 bytes of the same HMAC, so that its first
    /// eight digits are the [`fingerprint`](Self::fingerprint).
    #[must_use]
    pub fn id(&self, secret: &[u8]) -> TokenId {
        let digest = self.digest(secret);
        TokenId(digest.first_chunk().copied().unwrap_or_default())
    }

    /// Eight digits that tell keys apart, and give nothing of the key away: the HMAC of a
    /// text that no token can be, since it has spaces.
    ///
    /// `printf 'tokenshim key id' | openssl dgst -sha256 -hmac KEY` begins with them.
    #[must_use]
    pub fn key_id(&self) -> String {
        let [a, b, c, d, ..] = self.digest(b"tokenshim key id");
        format!("{:08x}", u32::from_be_bytes([a, b, c, d]))
    }

    fn digest(&self, text: &[u8]) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(text);
        mac.finalize().into_bytes().into()
    }
}

/// What a token is known by in memory: 128 bits of a keyed hash, so that nobody
/// who reads the memory has the token, and nobody can make two tokens that meet.
///
/// It shares no bit with the [`Fingerprint`] that logs show.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenKey([u8; 16]);

impl TokenKey {
    /// The same token as one `Host` knows it, in any case of letters: what stands for it is
    /// the key and a hash (FNV-1a, of eight bytes at a time) of the name, and the key is
    /// nobody's to guess.
    #[must_use]
    pub fn at_host(self, host: &[u8]) -> Self {
        const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
        const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
        // No host has a NUL, so short words differ from long ones.
        let word = |bytes: &[u8]| {
            bytes.iter().fold(0, |word: u64, byte| {
                word << 8 | u64::from(byte.to_ascii_lowercase())
            })
        };
        let name = host.chunks(8).fold(BASIS, |name, bytes| {
            (name ^ u128::from(word(bytes))).wrapping_mul(PRIME)
        });
        Self((u128::from_ne_bytes(self.0) ^ name).to_ne_bytes())
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(…)")
    }
}

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintKey(<redacted>)")
    }
}

/// What a log shows of a token: `h:9f31c2ab`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(u32);

impl Fingerprint {
    /// As logs have it.
    #[must_use]
    pub fn text(self) -> [u8; 10] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = *b"h:00000000";
        let mut rest = self.0;
        for place in text.iter_mut().skip(2).rev() {
            if let Some(digit) = DIGITS.get((rest & 0xf) as usize) {
                *place = *digit;
            }
            rest >>= 4;
        }
        text
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().escape_ascii().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_parameters() {
        let cases: [(&str, &[u8], Option<&str>); 9] = [
            ("plain", b"SECRET", Some("SECRET")),
            ("escaped", b"SECRET%2BRET%2F05%3D", Some("SECRET+RET/05=")),
            ("plus stays plus", b"SECRET+RET", Some("SECRET+RET")),
            ("wrong escape", b"SECRET%zz", None),
            ("line break", b"SECRET%0d%0aX:%20y", None),
            ("NUL", b"SECRET%00", None),
            ("space", b"SECRET%20", None),
            ("not ASCII", b"SECRET%C3%A9", None),
            ("raw Latin-1", b"SECRET\xe9", None),
        ];
        for (name, raw, expected) in cases {
            let token = AccessToken::from_parameter(raw);
            assert_eq!(
                token.as_ref().ok().map(AccessToken::expose),
                expected,
                "case: {name}"
            );
        }
    }

    #[test]
    fn nothing_prints() {
        let token = AccessToken::from_parameter(b"SECRET").unwrap();
        let key = FingerprintKey::new(b"SECRET-SECRET-SECRET").unwrap();
        assert!(!format!("{token:?} {key:?} {}", key.fingerprint(&token)).contains("SECRET"));
    }

    #[test]
    fn each_host_has_its_own_key_of_a_token() {
        let key = TokenKey([7; 16]);
        let hosts = [
            "",
            "a",
            "b",
            "ab",
            "ba",
            "h:80",
            "abcdefgh",
            "abcdefghi",
            "abcdefgi",
            "bcdefgha",
            "matrix.example.org",
            "matrix.example.org:8448",
            "matrix.example.com",
        ];
        for (at, one) in hosts.iter().enumerate() {
            let capitals = one.to_ascii_uppercase();
            assert_eq!(
                key.at_host(one.as_bytes()),
                key.at_host(capitals.as_bytes())
            );
            for other in hosts.iter().skip(at + 1) {
                assert_ne!(
                    key.at_host(one.as_bytes()),
                    key.at_host(other.as_bytes()),
                    "{one}, {other}"
                );
            }
        }
    }

    #[test]
    fn openssl_gives_the_same_fingerprint() {
        // printf FAKE | openssl dgst -sha256 -hmac 0123456789abcdef
        let key = FingerprintKey::new(b"0123456789abcdef").unwrap();
        let token = AccessToken::from_parameter(b"FAKE").unwrap();
        assert_eq!(key.fingerprint(&token).to_string(), "h:406daced");
        assert_eq!(
            key.id(b"FAKE").to_string(),
            "h:406daced4dbca5638d73bcb14c573145"
        );
        // printf 'tokenshim key id' | openssl dgst -sha256 -hmac 0123456789abcdef
        assert_eq!(key.key_id(), "4bc3f57e");
    }
}
