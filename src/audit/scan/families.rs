//! Which software sent a line's request.

use std::{collections::HashMap, hash::BuildHasherDefault};

use crate::{
    audit::line::{Record, family_of},
    fold::Fold,
};

/// Families of names that were looked up already: a name is searched for many words, and
/// a log has few names. Strangers choose them, but there are no more than [`NAMES`].
#[derive(Debug, Default)]
pub(super) struct Families(HashMap<Box<[u8]>, &'static str, BuildHasherDefault<Fold>>);

/// The most names kept, and their greatest length: attackers make up their own.
const NAMES: usize = 512;
const NAME: usize = 512;

impl Families {
    /// Of the software that a record names.
    pub(super) fn of(&mut self, record: &Record<'_>) -> &'static str {
        let name = record.user_agent.as_ref().map(|part| &*part.text);
        let name = name.unwrap_or_default();
        if let Some(family) = self.0.get(name) {
            return family;
        }
        let family = family_of(name);
        if self.0.len() < NAMES && name.len() <= NAME {
            self.0.insert(name.into(), family);
        }
        family
    }
}
