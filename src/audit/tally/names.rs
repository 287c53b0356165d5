//! Words of fixed sets as small numbers, since each token has several of them.

use std::{borrow::Cow, collections::HashMap, hash::BuildHasherDefault};

use crate::fold::Fold;

/// Which set a word is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Set {
    Kind,
    Family,
    Method,
    Endpoint,
    Format,
}

/// Numbers below stand for statuses.
const FIRST: u16 = 1000;
/// Of words for which there is no number any more.
const OTHER: u16 = u16::MAX;

/// The words so far, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    words: Vec<(Set, Cow<'static, str>)>,
    by_word: HashMap<(Set, Cow<'static, str>), u16>,
    /// By where the text stands: most words come from a table, thousands of times.
    by_place: HashMap<(usize, usize, Set), u16, BuildHasherDefault<Fold>>,
}

impl Names {
    pub(super) fn code(&mut self, set: Set, word: &'static str) -> u16 {
        let place = (word.as_ptr().addr(), word.len(), set);
        if let Some(code) = self.by_place.get(&place) {
            return *code;
        }
        let code = self.code_of(set, Cow::Borrowed(word));
        self.by_place.insert(place, code);
        code
    }

    pub(super) fn code_of(&mut self, set: Set, word: Cow<'static, str>) -> u16 {
        let key = (set, word);
        if let Some(code) = self.by_word.get(&key) {
            return *code;
        }
        let code = u16::try_from(self.words.len())
            .ok()
            .and_then(|count| count.checked_add(FIRST))
            .unwrap_or(OTHER);
        if code < OTHER {
            self.words.push(key.clone());
            self.by_word.insert(key, code);
        }
        code
    }

    /// The word of a number, and its set; `None` for a status.
    pub(super) fn get(&self, code: u16) -> Option<(Set, &str)> {
        let place = usize::from(code.checked_sub(FIRST)?);
        self.words.get(place).map(|(set, word)| (*set, &**word))
    }

    pub(super) fn word(&self, code: u16) -> &str {
        self.get(code).map_or("other", |(_, word)| word)
    }

    /// The numbers here of another's numbers.
    pub(super) fn adopt(&mut self, other: &Self) -> Adopted {
        let codes = other
            .words
            .iter()
            .map(|(set, word)| self.code_of(*set, word.clone()));
        Adopted(codes.collect())
    }
}

/// From another's numbers to ours.
pub(super) struct Adopted(Vec<u16>);

impl Adopted {
    pub(super) fn of(&self, code: u16) -> u16 {
        match code.checked_sub(FIRST) {
            None => code,
            Some(place) => self.0.get(usize::from(place)).copied().unwrap_or(OTHER),
        }
    }
}
