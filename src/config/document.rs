//! The text of the file as TOML, with the lines that are not.
//!
//! The parser goes on behind a mistake. What it makes of a broken line is a
//! guess, and guesses are not reported: [`Document::vouches_for`] tells which
//! further problems are the operator's and which are only echoes.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::DeTable;

use super::problem::{Place, Problem};

/// A parsed file, complete or not.
pub(super) struct Document<'a> {
    name: String,
    text: &'a str,
    table: DeTable<'a>,
    /// By line: the first syntax error on it, the others follow from it.
    broken: BTreeMap<usize, Problem>,
    /// The first line that is broken and was to open a section.
    broken_header: Option<usize>,
}

impl<'a> Document<'a> {
    pub(super) fn parse(path: &Path, text: &'a str) -> Self {
        let (table, mut errors) = DeTable::parse_recoverable(text);
        // The parser reports by kind of mistake, not by position.
        errors.sort_by_key(|error| error.span().map_or(text.len(), |span| span.start));
        let name = path.display().to_string().escape_debug().to_string();
        let mut broken = BTreeMap::new();
        for error in errors {
            let offset = error.span().map_or(text.len(), |span| span.start);
            let (line, column) = position(text, offset);
            let place = Place::Line {
                file: name.clone(),
                line,
                column: Some(column),
            };
            let message = format!("TOML syntax: {}", error.message());
            broken
                .entry(line)
                .or_insert_with(|| Problem::new(place, message));
        }
        let lines = text.lines().zip(1_usize..);
        let mut headers = lines.filter(|(text, _)| text.trim_start().starts_with('['));
        let broken_header = headers.find(|(_, line)| broken.contains_key(line));
        Self {
            name,
            text,
            table: table.into_inner(),
            broken_header: broken_header.map(|(_, line)| line),
            broken,
        }
    }

    pub(super) fn table(&self) -> &DeTable<'a> {
        &self.table
    }

    /// The line of the byte at `offset`.
    pub(super) fn place(&self, offset: usize) -> Place {
        Place::Line {
            file: self.name.clone(),
            line: position(self.text, offset).0,
            column: None,
        }
    }

    /// The file as a whole.
    pub(super) fn whole(&self) -> Place {
        Place::Nowhere {
            file: Some(self.name.clone()),
        }
    }

    pub(super) fn syntax_problems(&self) -> impl Iterator<Item = &Problem> {
        self.broken.values()
    }

    pub(super) fn is_broken(&self) -> bool {
        !self.broken.is_empty()
    }

    /// Whether a problem found in what was parsed is really in the text.
    ///
    /// Not on a broken line, and not behind a broken `[section]` line, where keys
    /// have gone to a section that they were not written in.
    pub(super) fn vouches_for(&self, problem: &Problem) -> bool {
        problem.line().is_none_or(|line| {
            !self.broken.contains_key(&line)
                && self
                    .broken_header
                    .is_none_or(|broken_header| line < broken_header)
        })
    }
}

/// Line and column of a byte, from one; columns count characters.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    let line_start = memchr::memrchr(b'\n', before).map_or(0, |at| at.saturating_add(1));
    let line = memchr::memchr_iter(b'\n', before).count().saturating_add(1);
    let in_line = before.get(line_start..).unwrap_or_default();
    (
        line,
        String::from_utf8_lossy(in_line)
            .chars()
            .count()
            .saturating_add(1),
    )
}
