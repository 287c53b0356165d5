//! What is wrong with a configuration, for the one who wrote it.

use std::fmt;

use super::key::Key;

/// Everything that is wrong, in the order of the file, then variables, then flags.
///
/// `Display` is one line for each problem, without a line feed at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

/// One thing that is wrong: where, which key, and what a right value looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    place: Place,
    key: Option<String>,
    message: String,
}

/// Where something was typed; the order is that of the report.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// No place in particular: something that is missing.
    Nowhere { file: Option<String> },
    /// A line of the file; the column only where the line itself cannot be read.
    Line {
        file: String,
        line: usize,
        column: Option<usize>,
    },
    /// An environment variable.
    Variable(String),
    /// A flag of the command line.
    Flag(&'static str),
}

impl Problems {
    pub(super) fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|one, other| one.place.cmp(&other.place));
        Self(problems)
    }

    /// The problems one by one.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl Problem {
    pub(super) fn new(place: Place, message: impl Into<String>) -> Self {
        Self {
            place,
            key: None,
            message: message.into(),
        }
    }

    pub(super) fn with_key(place: Place, key: Key, message: impl Into<String>) -> Self {
        Self::with_path(place, key.path(), message)
    }

    /// For a key that is not one of ours.
    pub(super) fn with_path(place: Place, path: &str, message: impl Into<String>) -> Self {
        Self {
            key: Some(path.to_owned()),
            ..Self::new(place, message)
        }
    }

    /// The line of the file, where the problem is in the file.
    pub(super) fn line(&self) -> Option<usize> {
        match self.place {
            Place::Line { line, .. } => Some(line),
            Place::Nowhere { .. } | Place::Variable(_) | Place::Flag(_) => None,
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for problem in &self.0 {
            write!(f, "{between}{problem}")?;
            between = "\n";
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Nowhere { file: None } => {}
            Place::Nowhere { file: Some(file) } => write!(f, "{file}: ")?,
            Place::Line {
                file,
                line,
                column: None,
            } => write!(f, "{file}:{line}: ")?,
            Place::Line {
                file,
                line,
                column: Some(column),
            } => write!(f, "{file}:{line}:{column}: ")?,
            Place::Variable(name) => write!(f, "{}: ", escape(name))?,
            Place::Flag(name) => write!(f, "{name}: ")?,
        }
        // A variable or a flag is its own name; a line may hold any key.
        if let (Some(key), Place::Nowhere { .. } | Place::Line { .. }) = (&self.key, &self.place) {
            write!(f, "`{}`: ", escape(key))?;
        }
        f.write_str(&self.message)
    }
}

/// A value in a message: quoted, escaped, and no more of it than tells which it is.
pub(super) fn show(value: &str) -> String {
    format!("\"{}\"", escape(value))
}

fn escape(text: &str) -> String {
    const LONGEST: usize = 48;
    let mut characters = text.chars();
    let mut shown: String = characters
        .by_ref()
        .take(LONGEST)
        .flat_map(char::escape_debug)
        .collect();
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}
