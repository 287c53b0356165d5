//! The names that give a secret away, and how each of them must stand.
//!
//! What is on the list, and why:
//! - the token parameters of Matrix and OAuth, and passwords, wherever they
//!   stand, and with anything in front (`x-access-token`, `new_password`);
//! - `as_token`, `hs_token`, `id_token` and `token` (registration, e-mail and
//!   `OpenID` tokens) as whole names: `has_token`, `next_token` are something else;
//! - `code`, `ticket` and `session` only as parameters of a query or form: each
//!   can be exchanged for a login, but in prose and fields they are common words.
//!
//! Not on it: `state` and `sid`. A login's `state` is worth nothing without the
//! browser's cookie, a `sid` nothing without its `client_secret`; both are
//! ordinary filters in other tools.
//!
//! Case does not matter, nor the difference between `-`, `_` and `.`, which PHP takes for `_`.

use std::ops::Range;

use super::{prefilter, unit};

/// Decoded bytes kept of what was read; the oldest half goes when it is full.
const TAIL: usize = 128;

/// The longest name compared; of a longer one its last bytes are.
const LONGEST: usize = 60;

/// What may follow a name for its value to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// `=`, or `:` with or without quotes.
    Credential,
    /// `=`, or `:` and a quoted value: a word of prose without the quotes.
    Field,
    /// Only `=`, and the name directly behind `?`, `&`, `;` or `#`.
    Query,
    /// A header field: the value begins with a scheme.
    Authorization,
    /// A scheme: a blank, then something that looks like a token.
    Bearer,
}

/// What may stand before a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    Anything,
    /// No letter, digit, `_`, `-` or `.`.
    Boundary,
}

#[derive(Debug)]
struct Name {
    text: Box<[u8]>,
    start: Start,
    rule: Rule,
    kind: &'static str,
}

/// What a name that was read asks for, and what reports call its value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    pub(super) rule: Rule,
    pub(super) kind: &'static str,
}

/// What reports call the value of a parameter that the operator named.
const PARAMETER: &str = "parameter";

/// Name, what may stand before it, what must follow, a part of it that is rare in
/// other words (and so are the first three bytes of that), and what reports call
/// its value.
const KNOWN: &[(&str, Start, Rule, &str, &str)] = &[
    (
        "access_token",
        Start::Anything,
        Rule::Credential,
        "oken",
        "access_token",
    ),
    (
        "accesstoken",
        Start::Anything,
        Rule::Credential,
        "oken",
        "access_token",
    ),
    (
        "refresh_token",
        Start::Anything,
        Rule::Credential,
        "oken",
        "refresh_token",
    ),
    (
        "refreshtoken",
        Start::Anything,
        Rule::Credential,
        "oken",
        "refresh_token",
    ),
    (
        "login_token",
        Start::Anything,
        Rule::Credential,
        "oken",
        "login_token",
    ),
    (
        "logintoken",
        Start::Anything,
        Rule::Credential,
        "oken",
        "login_token",
    ),
    (
        "as_token",
        Start::Boundary,
        Rule::Credential,
        "oken",
        "as_token",
    ),
    (
        "hs_token",
        Start::Boundary,
        Rule::Credential,
        "oken",
        "hs_token",
    ),
    (
        "id_token",
        Start::Boundary,
        Rule::Credential,
        "oken",
        "id_token",
    ),
    ("token", Start::Boundary, Rule::Field, "oken", "token"),
    (
        "client_secret",
        Start::Anything,
        Rule::Credential,
        "secr",
        "client_secret",
    ),
    (
        "clientsecret",
        Start::Anything,
        Rule::Credential,
        "secr",
        "client_secret",
    ),
    ("password", Start::Anything, Rule::Field, "sswo", "password"),
    ("code", Start::Boundary, Rule::Query, "code", "code"),
    ("ticket", Start::Boundary, Rule::Query, "icke", "ticket"),
    ("session", Start::Boundary, Rule::Query, "ssio", "session"),
    (
        "authorization",
        Start::Anything,
        Rule::Authorization,
        "riza",
        "authorization",
    ),
    (
        "bearer",
        Start::Boundary,
        Rule::Bearer,
        "bear",
        "authorization",
    ),
];

/// A letter, digit or mark that names are made of.
pub(super) const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// All names of one engine.
#[derive(Debug)]
pub(super) struct Names {
    known: Vec<Name>,
    fragments: Vec<Vec<u8>>,
    /// Which bytes some name ends with: the cheap first question.
    last: Box<[bool; 256]>,
    /// Which raw bytes continue a word: names and what they are encoded with.
    joins: Box<[bool; 256]>,
}

impl Names {
    /// The known names and `parameters`.
    pub(super) fn with<'p>(parameters: impl Iterator<Item = &'p [u8]>) -> Self {
        let mut names = Self {
            known: Vec::new(),
            fragments: Vec::new(),
            last: Box::new([false; 256]),
            joins: Box::new(std::array::from_fn(|byte| {
                u8::try_from(byte).is_ok_and(|byte| is_word(byte) || matches!(byte, b'%' | b'\\'))
            })),
        };
        // First, since relocation lifts their whole value whatever they are called.
        for parameter in parameters {
            let text = last(parameter, LONGEST);
            // A name cut short, or one that begins with a mark, needs no boundary.
            let whole = text.len() == parameter.len() && text.first().copied().is_some_and(is_word);
            let start = if whole {
                Start::Boundary
            } else {
                Start::Anything
            };
            let fragment = last(text, prefilter::NEEDLE);
            names.add(text, start, Rule::Credential, fragment, PARAMETER);
        }
        for (text, start, rule, fragment, kind) in KNOWN {
            names.add(text.as_bytes(), *start, *rule, fragment.as_bytes(), kind);
        }
        names
    }

    fn add(&mut self, text: &[u8], start: Start, rule: Rule, fragment: &[u8], kind: &'static str) {
        let text: Box<[u8]> = text.iter().copied().map(fold).collect();
        let Some(end) = text.last() else {
            return;
        };
        set(&mut self.last, *end);
        for byte in &text {
            set(&mut self.joins, *byte);
            set(&mut self.joins, byte.to_ascii_uppercase());
        }
        self.known.push(Name {
            text,
            start,
            rule,
            kind,
        });
        if !self.fragments.iter().any(|known| known == fragment) {
            self.fragments.push(fragment.to_vec());
        }
    }

    /// Of every name a part that each of its spellings shows, or shows encoded.
    pub(super) fn fragments(&self) -> &[Vec<u8>] {
        &self.fragments
    }

    /// Whether a raw byte continues the word it follows.
    pub(super) fn joins(&self, byte: u8) -> bool {
        self.joins
            .get(usize::from(byte))
            .copied()
            .unwrap_or_default()
    }

    /// What the name that was just read asks for, if it was one.
    pub(super) fn at_end_of(&self, tail: &Tail) -> Option<Read> {
        let last = tail.last()?;
        if !self
            .last
            .get(usize::from(fold(last)))
            .copied()
            .unwrap_or_default()
        {
            return None;
        }
        let found = self.known.iter().find(|name| name.ends(tail));
        found.map(|name| Read {
            rule: name.rule,
            kind: name.kind,
        })
    }

    /// Whether one of them stands in a word of the text.
    pub(super) fn are_in(&self, text: &[u8], word: Range<usize>) -> bool {
        let mut tail = Tail::behind(text, word.start);
        let mut at = word.start;
        while let Some(unit) = unit::read(text, at).filter(|_| at < word.end) {
            if !is_word(unit.byte) && self.at_end_of(&tail).is_some() {
                return true;
            }
            tail.push(unit.byte);
            at = at.saturating_add(unit.width);
        }
        self.at_end_of(&tail).is_some()
    }
}

impl Name {
    fn ends(&self, tail: &Tail) -> bool {
        let bytes = tail.bytes();
        let head = bytes.len().checked_sub(self.text.len());
        let Some((head, end)) = head.and_then(|head| bytes.split_at_checked(head)) else {
            return false;
        };
        let mut pairs = end.iter().zip(&self.text).rev();
        if !pairs.all(|(byte, own)| fold(*byte) == *own) {
            return false;
        }
        let before = head.last().copied().or(tail.before);
        match self.rule {
            Rule::Query => before.is_none_or(|byte| matches!(byte, b'?' | b'&' | b';' | b'#')),
            _ => self.start == Start::Anything || !before.is_some_and(is_word),
        }
    }
}

/// The last decoded bytes of a word.
pub(super) struct Tail {
    buffer: [u8; TAIL],
    length: usize,
    /// The raw byte before the word.
    before: Option<u8>,
}

impl Tail {
    /// Nothing read yet of the word at `start`.
    pub(super) fn behind(text: &[u8], start: usize) -> Self {
        let before = start.checked_sub(1).and_then(|at| text.get(at).copied());
        Self {
            buffer: [0; TAIL],
            length: 0,
            before,
        }
    }

    pub(super) fn push(&mut self, byte: u8) {
        if self.length == TAIL {
            let kept = TAIL / 2;
            self.buffer.copy_within(kept.., 0);
            self.length = kept;
        }
        if let Some(place) = self.buffer.get_mut(self.length) {
            *place = byte;
            self.length = self.length.saturating_add(1);
        }
    }

    /// The same for many at once.
    pub(super) fn extend(&mut self, run: &[u8]) {
        let run = last(run, TAIL / 2);
        let (from, kept) = (self.length, TAIL / 2);
        if from.saturating_add(run.len()) > TAIL {
            self.buffer.copy_within(from.saturating_sub(kept)..from, 0);
            self.length = kept;
        }
        let end = self.length.saturating_add(run.len());
        if let Some(place) = self.buffer.get_mut(self.length..end) {
            place.copy_from_slice(run);
            self.length = end;
        }
    }

    /// Whether the next byte begins something: no letter or digit stands before it.
    pub(super) fn is_open(&self) -> bool {
        !self
            .last()
            .or(self.before)
            .is_some_and(|byte| byte.is_ascii_alphanumeric())
    }

    fn last(&self) -> Option<u8> {
        self.bytes().last().copied()
    }

    fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }
}

/// One byte for all the ways to write it in a name.
fn fold(byte: u8) -> u8 {
    if matches!(byte, b'-' | b'.') {
        b'_'
    } else {
        byte.to_ascii_lowercase()
    }
}

/// The last `count` bytes, or all of them.
fn last(bytes: &[u8], count: usize) -> &[u8] {
    bytes
        .get(bytes.len().saturating_sub(count)..)
        .unwrap_or(bytes)
}

fn set(table: &mut [bool; 256], byte: u8) {
    if let Some(place) = table.get_mut(usize::from(byte)) {
        *place = true;
    }
}
