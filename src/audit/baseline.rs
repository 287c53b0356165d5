//! Secrets that somebody knows of already, so that a report tells the new ones.
//!
//! One JSON object a line: the id, the key's id, and if wanted a reason and the last day on
//! which it is to be passed over. That is what `audit --format ndjson` writes, and other
//! fields do not matter. Ids under another key mean nothing, so a baseline with another key
//! is an error, and never "nothing known".

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
    path::{Path, PathBuf},
};

use jiff::civil::Date;
use serde::Deserialize;

use super::sighting::TokenId;

/// No line of ours comes near it.
const LONGEST: u64 = 4 << 20;

/// Known secrets.
#[derive(Debug, Default)]
pub struct Baseline {
    known: HashMap<TokenId, Known>,
}

/// What a baseline says of a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::audit) struct Known {
    pub(in crate::audit) reason: Option<String>,
}

/// Why a baseline cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// The file.
    #[error("{}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        #[source]
        /// Why.
        source: io::Error,
    },
    /// A line.
    #[error("{}:{line}: not a line of a baseline", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line.
        line: u64,
    },
    /// Its ids mean nothing here.
    #[error(
        "{}:{line}: made with the key {theirs}, and this audit has the key {ours}: give the same --key",
        path.display()
    )]
    OtherKey {
        /// Which file.
        path: PathBuf,
        /// Which line.
        line: u64,
        /// Its key.
        theirs: String,
        /// Ours.
        ours: String,
    },
}

#[derive(Deserialize)]
struct Line {
    id: Option<String>,
    key_id: Option<String>,
    reason: Option<String>,
    expires: Option<String>,
}

impl Baseline {
    /// Reads a baseline for the key `key_id`; what has expired before `today` is not known.
    ///
    /// # Errors
    ///
    /// [`BaselineError`].
    pub fn load(path: &Path, key_id: &str, today: Date) -> Result<Self, BaselineError> {
        let unreadable = |source| BaselineError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let mut from = BufReader::new(File::open(path).map_err(unreadable)?);
        let mut baseline = Self::default();
        let mut text = Vec::new();
        for line in 1.. {
            text.clear();
            let read = (&mut from).take(LONGEST).read_until(b'\n', &mut text);
            if read.map_err(unreadable)? == 0 {
                break;
            }
            if text.trim_ascii().is_empty() {
                continue;
            }
            // The parser's own words would quote the line, and it may hold anything.
            let wrong = || BaselineError::Line {
                path: path.to_owned(),
                line,
            };
            let entry: Line = serde_json::from_slice(&text).map_err(|_| wrong())?;
            let theirs = entry.key_id.ok_or_else(wrong)?;
            if theirs != key_id {
                return Err(BaselineError::OtherKey {
                    path: path.to_owned(),
                    line,
                    theirs,
                    ours: key_id.to_owned(),
                });
            }
            // The line of totals has none.
            let Some(id) = entry.id else { continue };
            let id = id.parse().map_err(|_| wrong())?;
            let expires = match entry.expires.map(|day| day.parse::<Date>()) {
                Some(Err(_)) => return Err(wrong()),
                Some(Ok(last)) => Some(last),
                None => None,
            };
            if expires.is_none_or(|last| last >= today) {
                let reason = entry.reason;
                baseline.known.insert(id, Known { reason });
            }
        }
        Ok(baseline)
    }

    pub(in crate::audit) fn get(&self, id: TokenId) -> Option<&Known> {
        self.known.get(&id)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use jiff::civil::date;

    use super::*;

    fn load(text: &str) -> Result<Baseline, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        Baseline::load(file.path(), "0a0a0a0a", date(2026, 2, 1)).map_err(|error| {
            let path = file.path().display().to_string();
            error.to_string().replace(&path, "FILE")
        })
    }

    #[test]
    fn reads_what_reports_write_and_nothing_of_another_key() {
        let id = "h:000102030405060708090a0b0c0d0e0f";
        let line = |rest: &str| format!("{{\"id\":\"{id}\",\"key_id\":\"0a0a0a0a\"{rest}}}\n");
        let cases = [
            ("empty", String::new(), Ok(false)),
            ("known", line(""), Ok(true)),
            (
                "other fields",
                line(",\"count\":3,\"type\":\"token\""),
                Ok(true),
            ),
            (
                "totals have no id",
                "{\"type\":\"totals\",\"key_id\":\"0a0a0a0a\"}\n".to_owned(),
                Ok(false),
            ),
            (
                "its last day",
                line(",\"expires\":\"2026-02-01\""),
                Ok(true),
            ),
            ("expired", line(",\"expires\":\"2026-01-31\""), Ok(false)),
            (
                "no key",
                format!("{{\"id\":\"{id}\"}}"),
                Err("FILE:1: not a line of a baseline"),
            ),
            (
                "cut",
                line("")[..20].to_owned(),
                Err("FILE:1: not a line of a baseline"),
            ),
            (
                "no id",
                "{\"id\":\"h:12\",\"key_id\":\"0a0a0a0a\"}".to_owned(),
                Err("FILE:1: not a line of a baseline"),
            ),
            (
                "another key",
                line("") + "{\"key_id\":\"0b0b0b0b\"}",
                Err(
                    "FILE:2: made with the key 0b0b0b0b, and this audit has the key 0a0a0a0a: give the same --key",
                ),
            ),
        ];
        for (name, text, expected) in cases {
            let is_known = load(&text).map(|known| known.get(id.parse().unwrap()).is_some());
            assert_eq!(is_known, expected.map_err(str::to_owned), "case: {name}");
        }
    }

    #[test]
    fn keeps_the_reason() {
        let text = "{\"id\":\"h:000102030405060708090a0b0c0d0e0f\",\"key_id\":\"0a0a0a0a\",\"reason\":\"rotated\"}";
        let baseline = load(text).unwrap();
        let known = baseline.known.values().next().unwrap();
        assert_eq!(known.reason.as_deref(), Some("rotated"));
    }
}
