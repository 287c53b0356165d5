//! Finds secrets in any bytes, and masks them.
//!
//! The access log, the diagnostic log's last writer and every report read
//! through this one engine. It is wider than relocation on purpose: whatever
//! relocation would lift is found, and beside it every spelling a log may hold
//! (any case, three levels of percent-encoding, JSON escapes, nested URLs,
//! `Authorization` values, JSON and debug fields, tokens known by their shape).
//! It decodes with relocation's own `crate::percent`, but has a splitter of its
//! own, since a log line is more than one query; the tests hold what it finds
//! against the pairs of `crate::relocate::query`.
//!
//! Rules that hold for every text: after masking nothing is left to find,
//! masking twice is masking once, and no byte outside a finding changes.
//! In doubt more is masked, but a value without quotes ends at a white space,
//! and one in quotes with them. Time is linear in the text; a text without a
//! secret costs one quick pass and no allocation.
//!
//! It declines to guess: a random string with no name beside it and no known
//! shape is left alone.

mod assignment;
mod authorization;
mod block;
mod finding;
mod names;
mod placeholder;
mod prefilter;
mod stretch;
#[cfg(test)]
mod tests;
mod token;
mod unit;
mod value;

use std::borrow::Cow;
use std::fmt;
use std::sync::{LazyLock, OnceLock};

use block::{Block, Places};
pub use finding::{Confidence, Finding, Kind};
use names::{Names, Tail};
use prefilter::{Candidates, Prefilter};
pub(crate) use token::push_ours;
pub use token::{Checksum, Token, TokenKind};
use value::Source;

/// What a secret's bytes are replaced with.
pub const MASK: &[u8] = b"<redacted>";

/// What each byte of a secret is replaced with where the length must stay. A value of
/// nothing else is none.
pub const STRIKE: u8 = b'*';

static DEFAULT: LazyLock<Redactor> = LazyLock::new(Redactor::default);

/// The secrets in `text`, in order, none overlapping another.
///
/// With the parameter names of [`Redactor::default`].
#[must_use]
pub fn find(text: &[u8]) -> Vec<Finding> {
    DEFAULT.find(text)
}

/// `text` with each finding replaced by [`MASK`]; borrowed if there is none.
///
/// With the parameter names of [`Redactor::default`].
#[must_use]
pub fn mask(text: &[u8]) -> Cow<'_, [u8]> {
    DEFAULT.mask(text)
}

/// The engine with its parameter names, built once at start.
#[derive(Debug)]
pub struct Redactor {
    names: Names,
    prefilter: Prefilter,
    /// Made when the first block comes: a proxy has none.
    block: OnceLock<Option<Block>>,
}

impl Default for Redactor {
    fn default() -> Self {
        Self::with_parameters::<&[u8]>(&[])
    }
}

impl Redactor {
    /// Knows the given parameter names beside its own.
    ///
    /// They are compared as a whole and in any case. A name of one or two bytes
    /// works, and makes every text slower to search.
    #[must_use]
    pub fn with_parameters<N: AsRef<[u8]>>(parameters: &[N]) -> Self {
        let names = Names::with(parameters.iter().map(AsRef::as_ref));
        let prefilter = Prefilter::new(names.fragments());
        Self {
            names,
            prefilter,
            block: OnceLock::new(),
        }
    }

    /// The secrets in `text`, in order, none overlapping another.
    #[must_use]
    pub fn find(&self, text: &[u8]) -> Vec<Finding> {
        self.findings(text).collect()
    }

    /// The same, one at a time and without allocating.
    #[must_use]
    pub fn findings<'a>(&'a self, text: &'a [u8]) -> Findings<'a> {
        self.scan(text, self.all(text), true)
    }

    /// The same for one line of a block, all of whose [`suspects`](Self::suspects) `next`
    /// gives: the first at or behind a place of the line, which never goes back.
    ///
    /// What a name gave away is not looked at for the shape of a token: that is for
    /// [`Finding::classified`], if somebody asks.
    #[must_use]
    pub fn findings_among<'a>(
        &'a self,
        line: &'a [u8],
        next: &'a mut dyn FnMut(usize) -> Option<usize>,
    ) -> Findings<'a> {
        self.scan(line, Next::Given(next), false)
    }

    /// The places of a large block of lines that may belong to a secret. A line without
    /// one has none; of the others most have.
    ///
    /// It reads a block several times as fast as [`findings`](Self::findings).
    #[must_use]
    pub fn suspects<'a>(&'a self, block: &'a [u8]) -> Suspects<'a> {
        let quick = self
            .block
            .get_or_init(|| Block::new(self.names.fragments()));
        Suspects(match quick {
            Some(search) => Search::Quick(Places::new(search, block)),
            None => Search::Plain(self.prefilter.candidates(block)),
        })
    }

    fn all<'a>(&'a self, text: &'a [u8]) -> Next<'a> {
        Next::All(self.prefilter.candidates(text))
    }

    fn scan<'a>(
        &'a self,
        text: &'a [u8],
        candidates: Next<'a>,
        is_classified: bool,
    ) -> Findings<'a> {
        Findings {
            redactor: self,
            candidates,
            text,
            is_classified,
            source: None,
            at: 0,
        }
    }

    /// `text` with each finding replaced by [`MASK`]; borrowed if there is none.
    #[must_use]
    pub fn mask<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        let mut findings = self.scan(text, self.all(text), false);
        let Some(first) = findings.next() else {
            return Cow::Borrowed(text);
        };
        let mut masked = Vec::with_capacity(text.len().saturating_add(MASK.len()));
        write_masked(text, std::iter::once(first).chain(findings), &mut masked);
        Cow::Owned(masked)
    }

    /// Appends what [`mask`](Self::mask) would return.
    pub fn mask_into(&self, text: &[u8], out: &mut Vec<u8>) {
        write_masked(text, self.scan(text, self.all(text), false), out);
    }
}

fn write_masked(text: &[u8], findings: impl Iterator<Item = Finding>, out: &mut Vec<u8>) {
    let mut done = 0;
    for Finding { span, .. } in findings {
        out.extend_from_slice(text.get(done..span.start).unwrap_or_default());
        out.extend_from_slice(MASK);
        done = span.end;
    }
    out.extend_from_slice(text.get(done..).unwrap_or_default());
}

/// What [`Redactor::suspects`] found, asked for from left to right.
#[derive(Debug)]
pub struct Suspects<'a>(Search<'a>);

#[derive(Debug)]
enum Search<'a> {
    Quick(Places<'a>),
    /// The machine has no such search, or an operator's parameters are too many for it.
    Plain(Candidates<'a>),
}

impl Suspects<'_> {
    /// The first at or behind `from`, which never goes back.
    pub fn next(&mut self, from: usize) -> Option<usize> {
        match &mut self.0 {
            Search::Quick(places) => places.next(from),
            Search::Plain(candidates) => candidates.next(from),
        }
    }
}

/// Iterator of [`Redactor::findings`].
#[derive(Debug)]
pub struct Findings<'a> {
    redactor: &'a Redactor,
    candidates: Next<'a>,
    text: &'a [u8],
    is_classified: bool,
    /// Made for the first candidate: most texts have none.
    source: Option<Source<'a>>,
    /// Everything before is done with.
    at: usize,
}

/// Where the candidates come from.
enum Next<'a> {
    All(Candidates<'a>),
    Given(&'a mut dyn FnMut(usize) -> Option<usize>),
}

impl Next<'_> {
    /// The first at or behind `from`.
    fn next(&mut self, from: usize) -> Option<usize> {
        match self {
            Self::All(candidates) => candidates.next(from),
            Self::Given(next) => next(from),
        }
    }
}

impl fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(candidates) => candidates.fmt(f),
            Self::Given(_) => f.write_str("Given"),
        }
    }
}

impl Iterator for Findings<'_> {
    type Item = Finding;

    fn next(&mut self) -> Option<Finding> {
        loop {
            let hit = self.candidates.next(self.at)?;
            let source = *self
                .source
                .get_or_insert_with(|| Source::new(self.text, self.is_classified));
            let start = self.word_start(hit);
            match self.redactor.read_word(source, start) {
                Read::Found(finding) => {
                    self.at = finding.span.end;
                    return Some(finding);
                }
                // Always past the candidate, so that no byte is read a third time.
                Read::Nothing { end } => self.at = end.max(hit.saturating_add(1)),
            }
        }
    }
}

impl Findings<'_> {
    /// Where the word around a candidate begins: a raw byte that is in no word
    /// is in no escape either, so decoding may start behind it.
    fn word_start(&self, hit: usize) -> usize {
        let before = self.text.get(self.at..hit).unwrap_or_default();
        let length = before
            .iter()
            .rev()
            .take_while(|byte| self.redactor.names.joins(**byte));
        hit.saturating_sub(length.count())
    }
}

enum Read {
    Found(Finding),
    Nothing { end: usize },
}

impl Redactor {
    /// Reads one word, decoding as it goes, up to a secret or the word's end.
    fn read_word(&self, source: Source<'_>, start: usize) -> Read {
        let text = source.text;
        let mut tail = Tail::behind(text, start);
        let mut at = start;
        loop {
            // Nearly all of a word is letters that stand for themselves and begin no token.
            let run = text.get(at..).unwrap_or_default();
            let length = stretch::length(run);
            tail.extend(run.get(..length).unwrap_or_default());
            at = at.saturating_add(length);
            let Some(unit) = unit::read(text, at) else {
                break;
            };
            if names::is_word(unit.byte) {
                if let Some(finding) = token::starting(source, at, unit, &tail) {
                    return Read::Found(finding);
                }
            } else {
                let name = self.names.at_end_of(&tail);
                if let Some(name) = name
                    && let Some(found) = assignment::read(source, &self.names, at, name.rule)
                {
                    return Read::Found(found.named(name.kind));
                }
                if unit.is_raw() && !self.names.joins(unit.byte) {
                    break;
                }
            }
            tail.push(unit.byte);
            at = at.saturating_add(unit.width);
        }
        Read::Nothing { end: at }
    }
}
