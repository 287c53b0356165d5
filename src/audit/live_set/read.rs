//! Reads a live set that `tokenshim fingerprint` wrote, in either of its two formats.
//! Several in one file are read as one.

use std::{
    collections::{BTreeSet, HashMap},
    fs::File,
    io::{self, BufRead as _, BufReader, Read},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::Deserialize;

use super::{
    BY_LIST, Coverage, Known, LiveSet, State,
    write::{END, HEAD, VERSION},
};
use crate::audit::{key::Key, sighting::TokenId};

/// The longest line, in bytes: far more than a user and a device have.
const LONGEST_LINE: u64 = 64 * 1024;

/// How many kinds of tokens there are at most; no more are kept.
const MOST_KINDS: usize = 32;

/// Why a live set cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LiveSetError {
    /// The file's.
    #[error("--live-set {path} cannot be read", path = .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    /// Names of one run are in no file.
    #[error("--live-set needs --key FILE, with the key that the live set was made under")]
    NoKey,
    /// Nothing in it could be compared.
    #[error(
        "--live-set {path} was made under another key ({theirs}, not {ours}): \
         give the same --key to both",
        path = .path.display()
    )]
    OtherKey {
        /// The file.
        path: PathBuf,
        /// The key that it was made under.
        theirs: String,
        /// The key of this run.
        ours: String,
    },
    /// It is something else.
    #[error(
        "--live-set {path}, line {line}: not what `tokenshim fingerprint` writes for it \
         (--format tsv or ndjson)",
        path = .path.display()
    )]
    Bad {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
    },
}

/// A live set that was looked at, and not read yet.
#[derive(Debug)]
pub struct LiveFile<R = File> {
    path: PathBuf,
    input: BufReader<R>,
    key_id: String,
    head: Head,
}

impl LiveFile {
    /// Opens it, and sees to it that it was made under the same key. That is worth knowing
    /// before years of logs are read.
    ///
    /// # Errors
    ///
    /// [`LiveSetError`].
    pub fn open(path: &Path, key: &Key) -> Result<Self, LiveSetError> {
        if key.is_ephemeral() {
            return Err(LiveSetError::NoKey);
        }
        let file =
            File::open(path).map_err(|error| LiveSetError::Unreadable(path.to_owned(), error))?;
        Self::begin(path, file, &key.id())
    }
}

impl<R: Read> LiveFile<R> {
    /// The same of any input; `path` is what messages call it.
    ///
    /// # Errors
    ///
    /// [`LiveSetError`].
    pub fn begin(path: &Path, input: R, key_id: &str) -> Result<Self, LiveSetError> {
        let mut input = BufReader::new(input);
        let mut line = Vec::new();
        let head = match read_line(&mut input, &mut line) {
            Err(error) => return Err(LiveSetError::Unreadable(path.to_owned(), error)),
            Ok(false) => None,
            Ok(true) => Line::parse(&line),
        };
        let Some(Line::Head(head)) = head else {
            return Err(LiveSetError::Bad {
                path: path.to_owned(),
                line: 1,
            });
        };
        let file = Self {
            path: path.to_owned(),
            input,
            key_id: key_id.to_owned(),
            head,
        };
        file.check_key(&file.head)?;
        Ok(file)
    }

    /// Reads it, and keeps what is `wanted`: a homeserver has many more tokens than leaked.
    ///
    /// # Errors
    ///
    /// [`LiveSetError`].
    pub fn join(mut self, wanted: impl Fn(TokenId) -> bool) -> Result<LiveSet, LiveSetError> {
        let mut known = HashMap::new();
        let mut kinds = BTreeSet::new();
        let mut made_at = self.head.made_at;
        let mut is_open = true;
        let mut bad_lines: u64 = 0;
        let (mut rows, mut number): (u64, u64) = (0, 1);
        let mut line = Vec::new();
        loop {
            number = number.saturating_add(1);
            let has_line = read_line(&mut self.input, &mut line)
                .map_err(|error| LiveSetError::Unreadable(self.path.clone(), error))?;
            if !has_line {
                break;
            }
            let bad = || LiveSetError::Bad {
                path: self.path.clone(),
                line: number,
            };
            match Line::parse(&line) {
                Some(Line::Token {
                    id,
                    known: row,
                    kind,
                }) if is_open => {
                    rows = rows.saturating_add(1);
                    if kinds.len() < MOST_KINDS && !kinds.contains(kind.as_ref()) {
                        kinds.insert(kind);
                    }
                    if wanted(id) {
                        known.insert(id, row);
                    }
                }
                Some(Line::End(end)) if is_open && end.tokens == rows => {
                    bad_lines = bad_lines.saturating_add(end.bad_lines);
                    (is_open, rows) = (false, 0);
                }
                Some(Line::Head(head)) if !is_open => {
                    self.check_key(&head)?;
                    made_at = made_at.min(head.made_at);
                    is_open = true;
                }
                // The last line of a file that was cut may be half a line.
                None if is_open && !line.ends_with(b"\n") => break,
                Some(_) | None => return Err(bad()),
            }
        }
        let broken = match (is_open, bad_lines) {
            (true, _) => Some("the live set is cut: it has no end"),
            (false, 0) => None,
            (false, _) => Some("not in the live set, but not all of its input could be read"),
        };
        Ok(LiveSet {
            known,
            coverage: Coverage::Database {
                kinds,
                broken,
                has_registrations: false,
            },
            checked_at: made_at,
            checked_by: format!("{BY_LIST}{}", self.path.display()),
        })
    }

    fn check_key(&self, head: &Head) -> Result<(), LiveSetError> {
        if head.key_id == self.key_id {
            return Ok(());
        }
        Err(LiveSetError::OtherKey {
            path: self.path.clone(),
            theirs: head.key_id.clone(),
            ours: self.key_id.clone(),
        })
    }
}

/// Reads a line with its line feed, as far as a line may go; `false` at the end.
fn read_line(input: &mut BufReader<impl Read>, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    input.take(LONGEST_LINE).read_until(b'\n', line)?;
    Ok(!line.is_empty())
}

#[derive(Debug)]
struct Head {
    key_id: String,
    made_at: Timestamp,
}

#[derive(Debug, Deserialize)]
struct End {
    tokens: u64,
    bad_lines: u64,
}

enum Line {
    Head(Head),
    Token {
        id: TokenId,
        known: Known,
        kind: Box<str>,
    },
    End(End),
}

impl Line {
    fn parse(line: &[u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = str::from_utf8(line.strip_suffix(b"\r").unwrap_or(line)).ok()?;
        if line.starts_with('{') {
            return serde_json::from_str::<Json>(line).ok()?.line();
        }
        let mut columns = line.split('\t');
        let mut next = || columns.next();
        let first = next()?;
        let parsed = match first {
            HEAD => Self::head(next()?.parse().ok()?, next()?, next()?)?,
            END => Self::End(End {
                tokens: next()?.parse().ok()?,
                bad_lines: next()?.parse().ok()?,
            }),
            id => Self::token(id, next()?, next()?, next()?)?,
        };
        next().is_none().then_some(parsed)
    }

    fn head(version: u32, key_id: &str, made_at: &str) -> Option<Self> {
        let is_id = key_id.len() == 8 && key_id.bytes().all(|byte| byte.is_ascii_hexdigit());
        (version == VERSION && is_id).then_some(())?;
        Some(Self::Head(Head {
            key_id: key_id.to_owned(),
            made_at: made_at.parse().ok()?,
        }))
    }

    fn token(id: &str, user: &str, device: &str, kind: &str) -> Option<Self> {
        let is_kind = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        let some = |text: &str| (!text.is_empty()).then(|| text.into());
        ((1..=32).contains(&kind.len()) && kind.bytes().all(is_kind)).then_some(())?;
        Some(Self::Token {
            id: parse_id(id)?,
            known: Known {
                state: State::Alive,
                user: some(user),
                device: some(device),
                reason: None,
                revocation: None,
                at: None,
            },
            kind: kind.into(),
        })
    }
}

/// A line of NDJSON, whichever it is.
#[derive(Deserialize)]
struct Json {
    live_set: Option<u32>,
    key_id: Option<String>,
    made_at: Option<String>,
    id: Option<String>,
    user: Option<String>,
    device: Option<String>,
    kind: Option<String>,
    end: Option<End>,
}

impl Json {
    fn line(self) -> Option<Line> {
        match (self.live_set, self.id, self.end) {
            (Some(version), None, None) => Line::head(version, &self.key_id?, &self.made_at?),
            (None, Some(id), None) => Line::token(
                &id,
                &self.user.unwrap_or_default(),
                &self.device.unwrap_or_default(),
                &self.kind?,
            ),
            (None, None, Some(end)) => Some(Line::End(end)),
            _ => None,
        }
    }
}

/// `h:` and 32 digits.
fn parse_id(text: &str) -> Option<TokenId> {
    let digits = text.strip_prefix("h:")?;
    let is_whole = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = is_whole.then(|| u128::from_str_radix(digits, 16).ok())??;
    Some(TokenId(number.to_be_bytes()))
}
