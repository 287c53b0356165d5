//! The tokens of application services, from the files that register them.
//!
//! They never expire, speak for every user in their namespace, and have no shape: a found
//! value is one of them only if its fingerprint is. The fingerprints are made at once and
//! the file's text is wiped; what the YAML parser copied on its way is not ours to wipe.

mod yaml;

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use self::yaml::Fields;
use super::sighting::TokenId;
use crate::secret::FingerprintKey;

/// The longest registration, in bytes: namespaces may be lists of thousands.
const LONGEST: u64 = 4 * 1024 * 1024;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// With which the service comes to the homeserver.
    As,
    /// With which the homeserver comes to the service.
    Hs,
}

impl Which {
    /// What reports call the kind.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::As => "appservice_as",
            Self::Hs => "appservice_hs",
        }
    }
}

/// A token of an application service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Which of the two.
    pub which: Which,
    /// The `id` of the registration.
    pub service: String,
    /// The `sender_localpart`.
    pub sender: Option<String>,
    /// The file it was read from.
    pub file: PathBuf,
}

impl Registered {
    /// What to do if it leaked.
    #[must_use]
    pub fn advice(&self) -> String {
        let (key, harm) = match self.which {
            Which::As => ("as_token", "speak for every user in its namespace"),
            Which::Hs => ("hs_token", "pass for the homeserver at the service"),
        };
        format!(
            "{key} of the application service {}: whoever has it can {harm}, until you write new \
             tokens into {} and the service's own configuration and restart both",
            self.service,
            self.file.display()
        )
    }
}

/// The tokens of all registrations, by their names under the key.
#[derive(Clone, Debug, Default)]
pub struct Registrations(HashMap<TokenId, Registered>);

/// Why a registration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// The file's.
    #[error("--registration {path} cannot be read", path = .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    /// Not YAML.
    #[error("--registration {path}, line {line}: not valid YAML", path = .path.display())]
    NotYaml {
        /// The file.
        path: PathBuf,
        /// Where.
        line: usize,
    },
    /// Not what it should be.
    #[error(
        "--registration {path} is no registration of an application service: it has no {what}",
        path = .path.display()
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// What it lacks.
        what: &'static str,
    },
}

impl Registrations {
    /// Reads them all, or none.
    ///
    /// # Errors
    ///
    /// [`RegistrationError`], of the first that cannot be used.
    pub fn load(files: &[PathBuf], key: &FingerprintKey) -> Result<Self, RegistrationError> {
        let mut found = Self::default();
        for path in files {
            let text = read(path)?;
            found.add(path, &text, key)?;
        }
        Ok(found)
    }

    fn add(
        &mut self,
        path: &Path,
        text: &str,
        key: &FingerprintKey,
    ) -> Result<(), RegistrationError> {
        let fields = Fields::parse(text).map_err(|line| RegistrationError::NotYaml {
            path: path.to_owned(),
            line,
        })?;
        let missing = |what| RegistrationError::Missing {
            path: path.to_owned(),
            what,
        };
        let service = fields.id.ok_or_else(|| missing("id"))?;
        let tokens = [
            (
                Which::As,
                fields.as_token.ok_or_else(|| missing("as_token"))?,
            ),
            (
                Which::Hs,
                fields.hs_token.ok_or_else(|| missing("hs_token"))?,
            ),
        ];
        for (which, token) in tokens {
            // One that is both is worse as the first.
            self.0
                .entry(key.id(token.as_bytes()))
                .or_insert_with(|| Registered {
                    which,
                    service: service.clone(),
                    sender: fields.sender_localpart.clone(),
                    file: path.to_owned(),
                });
        }
        Ok(())
    }

    /// Whether `id` is such a token: `appservice_as` or `appservice_hs`.
    #[must_use]
    pub fn kind_of(&self, id: TokenId) -> Option<&'static str> {
        self.find(id).map(|registered| registered.which.kind())
    }

    /// Whose it is.
    #[must_use]
    pub fn find(&self, id: TokenId) -> Option<&Registered> {
        self.0.get(&id)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (TokenId, &Registered)> {
        self.0.iter().map(|(id, registered)| (*id, registered))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn read(path: &Path) -> Result<Zeroizing<String>, RegistrationError> {
    let unreadable = |error| RegistrationError::Unreadable(path.to_owned(), error);
    let file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len().min(LONGEST);
    // With room for all of it nothing is moved, which would leave a copy behind.
    let room = usize::try_from(length).unwrap_or(0).saturating_add(1);
    let mut text = Zeroizing::new(String::with_capacity(room));
    file.take(LONGEST.saturating_add(1))
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > LONGEST {
        return Err(unreadable(io::ErrorKind::FileTooLarge.into()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> FingerprintKey {
        FingerprintKey::new(b"0123456789abcdef").unwrap()
    }

    fn load(text: &str) -> Result<Registrations, RegistrationError> {
        let mut found = Registrations::default();
        found
            .add(Path::new("bridge.yaml"), text, &key())
            .map(|()| found)
    }

    #[test]
    fn reads_registrations() {
        let usual = "# a bridge\nid: bridge\nurl: http://127.0.0.1:29999\nas_token: FAKE-as\n\
                     hs_token: FAKE-hs\nsender_localpart: bot\nrate_limited: false\n\
                     namespaces:\n  users:\n  - exclusive: true\n    regex: '@b_.*'\n    \
                     as_token: wrong\n  rooms: []\n";
        let cases = [
            ("as bridges write it", usual),
            (
                "quoted",
                "\"id\": 'bridge'\nas_token: \"FAKE\\x2das\"\n? hs_token\n: 'FAKE-hs'\n--- {id: no}\n",
            ),
            (
                "JSON",
                r#"{"id":"bridge","url":null,"as_token":"FAKE-as","namespaces":{"users":[{"as_token":"no"}]},"hs_token":"FAKE-hs"}"#,
            ),
            (
                "the last of two counts, as in PyYAML",
                "id: bridge\nas_token: old\nas_token: FAKE-as\nhs_token: FAKE-hs\n",
            ),
            (
                "a tag, a comment and a document's start",
                "---\nid: !!str bridge\nas_token: FAKE-as # secret\nhs_token: \"FAKE-hs\"\n...\n",
            ),
        ];
        for (name, text) in cases {
            let found = load(text).unwrap();
            let of = |token: &str| found.find(key().id(token.as_bytes()));
            assert_eq!(of("FAKE-as").unwrap().which, Which::As, "case: {name}");
            assert_eq!(of("FAKE-hs").unwrap().which, Which::Hs, "case: {name}");
            assert_eq!(of("FAKE-as").unwrap().service, "bridge", "case: {name}");
            assert_eq!(found.iter().count(), 2, "case: {name}");
            assert!(!format!("{found:?}").contains("FAKE-"), "case: {name}");
        }
        let found = load(usual).unwrap();
        let id = key().id(b"FAKE-as");
        assert_eq!(found.kind_of(id), Some("appservice_as"));
        assert_eq!(found.find(id).unwrap().sender.as_deref(), Some("bot"));
        assert_eq!(found.kind_of(key().id(b"FAKE")), None);
        assert!(found.find(id).unwrap().advice().contains("bridge.yaml"));
    }

    #[test]
    fn refuses_what_is_no_registration() {
        let cases = [
            ("nothing", "", "has no id"),
            ("a list", "- id: x\n- as_token: y\n", "has no id"),
            ("one token", "id: x\nhs_token: FAKE\n", "has no as_token"),
            (
                "no value",
                "id: x\nas_token:\nhs_token: FAKE\n",
                "has no as_token",
            ),
            (
                "empty",
                "id: x\nas_token: ''\nhs_token: FAKE\n",
                "has no as_token",
            ),
            (
                "null",
                "id: x\nas_token: ~\nhs_token: FAKE\n",
                "has no as_token",
            ),
            (
                "an alias, which is no text",
                "id: &a x\nas_token: *a\nhs_token: FAKE\n",
                "has no as_token",
            ),
            (
                "a list of tokens",
                "id: x\nas_token: [FAKE]\nhs_token: FAKE\n",
                "has no as_token",
            ),
            ("broken", "id: x\nas_token: 'FAKE\n", "not valid YAML"),
            ("a tab", "id: x\n\tas_token: FAKE\n", "not valid YAML"),
        ];
        for (name, text, expected) in cases {
            let error = load(text).unwrap_err().to_string();
            assert!(error.contains(expected), "case: {name}: {error}");
            assert!(!error.contains("FAKE"), "case: {name}: {error}");
        }
    }
}
