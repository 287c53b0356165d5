//! The tokens of the mode `file`: salted hashes, one on each line.
//!
//! ```text
//! # LABEL ALGORITHM:SALT:HASH
//! backup sha256:00112233445566778899aabbccddeeff:9f…
//! ```
//!
//! A label is what a rule can name, so that `deny` reaches every line.

mod line;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fmt, fs, io,
    io::Read as _,
    path::{Path, PathBuf},
};

pub use line::{BadLabel, Line, Wrong};

use crate::secret::AccessToken;

/// The tokens file, read.
///
/// `Debug` shows how many tokens there are, and nothing of them.
#[derive(Default)]
pub struct Tokens {
    lines: Vec<Line>,
}

/// Why a tokens file cannot be used. No content of the file is in it.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// It is not there, or not ours to read.
    #[error("{}: cannot be read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// It cannot be a tokens file.
    #[error("{}: is larger than {MOST_BYTES} bytes", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// One of its lines is wrong.
    #[error("{}:{}: {}", .path.display(), .bad.line, .bad.wrong)]
    Line {
        /// The file.
        path: PathBuf,
        /// The line.
        bad: BadLine,
    },
}

/// A line that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Its number, from one.
    pub line: usize,
    /// What is wrong with it.
    pub wrong: Wrong,
}

/// The most tokens in a file.
pub const MOST_TOKENS: usize = 10_000;

/// The most bytes of a file, comments included.
const MOST_BYTES: u64 = 8 << 20;

impl Tokens {
    /// Reads the file.
    ///
    /// Who else may read or write it is not looked at: the hashes are no tokens, and the
    /// file may come from a mount whose modes say nothing.
    ///
    /// # Errors
    ///
    /// [`TokensError`], with the file and the first line that is wrong.
    pub fn read(path: &Path) -> Result<Self, TokensError> {
        let failed = |source| TokensError::Read {
            path: path.to_owned(),
            source,
        };
        let file = fs::File::open(path).map_err(failed)?;
        let mut text = Vec::new();
        let taken = file
            .take(MOST_BYTES.saturating_add(1))
            .read_to_end(&mut text)
            .map_err(failed)?;
        if u64::try_from(taken).is_ok_and(|taken| taken > MOST_BYTES) {
            return Err(TokensError::TooLarge {
                path: path.to_owned(),
            });
        }
        Self::parse(&text).map_err(|bad| TokensError::Line {
            path: path.to_owned(),
            bad,
        })
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    ///
    /// The first line that is wrong.
    pub fn parse(text: &[u8]) -> Result<Self, BadLine> {
        let mut lines = Vec::new();
        let mut seen = HashMap::new();
        for (text, line) in text.split(|byte| *byte == b'\n').zip(1_usize..) {
            let text = text.trim_ascii();
            if text.is_empty() || text.starts_with(b"#") {
                continue;
            }
            let bad = |wrong| BadLine { line, wrong };
            let entry = Line::parse(text).map_err(bad)?;
            if lines.len() == MOST_TOKENS {
                return Err(bad(Wrong::TooMany));
            }
            if let Some(earlier) = seen.insert(entry.label().to_owned(), line) {
                return Err(bad(Wrong::Twice(earlier)));
            }
            lines.push(entry);
        }
        Ok(Self { lines })
    }

    /// The label of a token; `None` if it is in no line.
    ///
    /// Every line is compared to its end, also behind the one that fits, so that the
    /// time says how many lines there are, and nothing of any of them.
    #[must_use]
    pub fn find(&self, token: &AccessToken<'_>) -> Option<&str> {
        let mut found = None;
        for line in &self.lines {
            if line.is_for(token) {
                found = Some(line.label());
            }
        }
        found
    }

    /// Every label, in the order of the file.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(Line::label)
    }

    /// How many tokens there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is none, so that nobody comes in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({})", self.lines.len())
    }
}
