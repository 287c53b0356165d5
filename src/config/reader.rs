//! Gathers what was typed, key by key, and turns it into values.
//!
//! Every source is walked first, against the list of known keys; what is not on
//! it is a problem. Then each key is read from every source that has it, and the
//! strongest source wins.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use toml::de::{DeTable, DeValue};

use super::address::Listen;
use super::choice::Choice;
use super::document::Document;
use super::key::{self, Key};
use super::problem::{Place, Problem, Problems};
use super::typed::{Entry, Typed, kind};
use super::{Config, Sources, parse, suggest};

/// All that was typed, and all that is wrong with it so far.
pub(super) struct Reader<'a> {
    document: Option<&'a Document<'a>>,
    /// Weakest source first.
    entries: Vec<Entry<'a>>,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(document: Option<&'a Document<'a>>, sources: &'a Sources<'_>) -> Self {
        let mut reader = Self {
            document,
            entries: Vec::new(),
            problems: Vec::new(),
        };
        if let Some(document) = document {
            reader.walk(document, "", document.table());
        }
        for (name, value) in &sources.environment {
            reader.take_variable(name, value);
        }
        if !sources.flags.listen.is_empty() {
            reader.add(
                key::LISTEN,
                Place::Flag("--listen"),
                Typed::Words(&sources.flags.listen),
            );
        }
        if let Some(upstream) = &sources.flags.upstream {
            reader.add(
                key::UPSTREAM,
                Place::Flag("--upstream"),
                Typed::Word(upstream),
            );
        }
        reader
    }

    /// A string; `None` where no source has a right one.
    pub(super) fn text<T>(
        &mut self,
        key: Key,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.strongest(key, |entry| entry.text(&parse))
    }

    /// A string without which there is no configuration.
    pub(super) fn required<T>(
        &mut self,
        key: Key,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        if self.is_missing(key) {
            let place = self
                .document
                .map_or(Place::Nowhere { file: None }, Document::whole);
            let variable = key.variable().unwrap_or_default();
            let message = format!(
                "is required: set it in the file, as {variable} or with --{}",
                key.path()
            );
            self.problems.push(Problem::with_key(place, key, message));
        }
        self.text(key, parse)
    }

    /// A string that may be empty, and then is as if it were not there.
    pub(super) fn optional<T>(
        &mut self,
        key: Key,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let parse = |text: &str| {
            if text.is_empty() {
                Ok(None)
            } else {
                parse(text).map(Some)
            }
        };
        self.text(key, parse).flatten()
    }

    /// One word out of a few.
    pub(super) fn choice<C: Choice>(&mut self, key: Key, default: C) -> C {
        self.text(key, parse::choice).unwrap_or(default)
    }

    /// A whole number, handed to `parse` in decimal.
    pub(super) fn integer<T>(
        &mut self,
        key: Key,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.strongest(key, |entry| {
            let value = entry.typed.digits().and_then(|digits| parse(&digits));
            value.map_err(|message| entry.problem(message))
        })
    }

    /// A list of strings with a number of entries out of `count`.
    pub(super) fn list<T>(
        &mut self,
        key: Key,
        count: RangeInclusive<usize>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let document = self.document;
        self.strongest(key, |entry| {
            let items = entry.items(document, "must be a list of strings")?;
            if !count.contains(&items.len()) {
                let (least, most) = (count.start(), count.end());
                return Err(entry.problem(format!(
                    "must have {least} to {most} entries, not {}",
                    items.len()
                )));
            }
            all(items.iter().map(|item| item.text(&parse)))
        })
    }

    /// The listeners; a stronger source replaces all of a weaker one.
    pub(super) fn listen(&mut self, default: Listen) -> Vec<Listen> {
        let document = self.document;
        let listeners = self.strongest(key::LISTEN, |entry| {
            let items = entry.items(
                document,
                "must be written [[listen]], with `address` below it",
            )?;
            if items.is_empty() {
                return Err(entry.problem("must have an address"));
            }
            let listeners = all(items.iter().map(|item| match (item.typed, document) {
                (Typed::Toml(DeValue::Table(table)), Some(document)) => {
                    listener(document, item, table)
                }
                _ => item.text(parse::listen),
            }))?;
            all(items
                .iter()
                .enumerate()
                .zip(&listeners)
                .map(|((index, item), listener)| {
                    let is_taken = listeners
                        .iter()
                        .take(index)
                        .any(|earlier| earlier.is_same_address(listener));
                    if is_taken {
                        Err(item.problem("has this address twice"))
                    } else {
                        Ok(listener.clone())
                    }
                }))
        });
        listeners.unwrap_or_else(|| vec![default])
    }

    /// Reports `key`, where its strongest source has it.
    pub(super) fn refuse(&mut self, key: Key, message: &str) {
        let entry = self.entries.iter().rfind(|entry| entry.key == key);
        self.problems
            .extend(entry.into_iter().flat_map(|entry| entry.problem(message)));
    }

    /// The configuration, unless something is wrong with it.
    pub(super) fn finish(mut self, config: Option<Config>) -> Result<Config, Problems> {
        if let Some(document) = self.document {
            self.problems
                .retain(|problem| document.vouches_for(problem));
            self.problems.extend(document.syntax_problems().cloned());
        }
        config
            .filter(|_| self.problems.is_empty())
            .ok_or_else(|| Problems::new(self.problems))
    }

    /// Takes every known key of a table, and reports the others.
    fn walk(&mut self, document: &Document<'_>, section: &str, table: &'a DeTable<'a>) {
        for (name, value) in table {
            let place = document.place(name.span().start);
            let path = join(section, name.get_ref());
            if let Some(key) = key::find(&path) {
                self.add(key, place, Typed::Toml(value.get_ref()));
            } else if !key::sections().any(|section| section == path) {
                let meant = suggest::key(&path);
                let meant = meant
                    .map(|meant| format!(", did you mean `{meant}`?"))
                    .unwrap_or_default();
                self.problems.push(Problem::with_path(
                    place,
                    &path,
                    format!("unknown key{meant}"),
                ));
            } else if let DeValue::Table(table) = value.get_ref() {
                self.walk(document, &path, table);
            } else {
                let message = format!("must be a section, [{path}], not {}", kind(value.get_ref()));
                self.problems
                    .push(Problem::with_path(place, &path, message));
            }
        }
    }

    fn take_variable(&mut self, name: &str, value: &'a str) {
        if !name.starts_with(key::VARIABLE_PREFIX) {
            return;
        }
        let place = Place::Variable(name.to_owned());
        let known = key::ALL
            .iter()
            .find(|key| key.variable().is_some_and(|variable| variable == name));
        if let Some(key) = known {
            self.add(*key, place, Typed::Word(value));
        } else {
            let meant = suggest::variable(name);
            let meant = meant
                .map(|meant| format!(", did you mean {meant}?"))
                .unwrap_or_default();
            self.problems
                .push(Problem::new(place, format!("unknown variable{meant}")));
        }
    }

    fn add(&mut self, key: Key, place: Place, typed: Typed<'a>) {
        self.entries.push(Entry { key, place, typed });
    }

    /// Whether no source has `key`; a line that cannot be read may be the one.
    fn is_missing(&self, key: Key) -> bool {
        let is_broken = self.document.is_some_and(Document::is_broken);
        !is_broken && !self.entries.iter().any(|entry| entry.key == key)
    }

    /// Reads `key` from every source that has it: all problems, the last right value.
    fn strongest<T>(
        &mut self,
        key: Key,
        read: impl Fn(&Entry<'a>) -> Result<T, Vec<Problem>>,
    ) -> Option<T> {
        let mut strongest = None;
        for entry in self.entries.iter().filter(|entry| entry.key == key) {
            match read(entry) {
                Ok(value) => strongest = Some(value),
                Err(problems) => self.problems.extend(problems),
            }
        }
        strongest
    }
}

/// One `[[listen]]` table.
fn listener<'a>(
    document: &'a Document<'a>,
    item: &Entry<'a>,
    table: &'a DeTable<'a>,
) -> Result<Listen, Vec<Problem>> {
    let mut fields = Reader {
        document: Some(document),
        entries: Vec::new(),
        problems: Vec::new(),
    };
    fields.walk(document, key::LISTEN.path(), table);
    if fields.is_missing(key::LISTEN_ADDRESS) {
        fields.problems.push(Problem::with_key(
            item.place.clone(),
            key::LISTEN_ADDRESS,
            "is required",
        ));
    }
    let mut address = fields.text(key::LISTEN_ADDRESS, parse::listen);
    if let Some(wanted) = fields.text(key::LISTEN_MODE, parse::mode) {
        match &mut address {
            Some(Listen::Unix { mode, .. }) => *mode = wanted,
            Some(Listen::Tcp(_)) => fields.refuse(key::LISTEN_MODE, "is for unix sockets only"),
            None => {}
        }
    }
    address
        .filter(|_| fields.problems.is_empty())
        .ok_or(fields.problems)
}

/// All the values, or else all the problems.
fn all<T>(results: impl Iterator<Item = Result<T, Vec<Problem>>>) -> Result<Vec<T>, Vec<Problem>> {
    let mut problems = Vec::new();
    let values = results
        .filter_map(|result| result.map_err(|more| problems.extend(more)).ok())
        .collect();
    if problems.is_empty() {
        Ok(values)
    } else {
        Err(problems)
    }
}

/// The path of a key; one that needs quotes keeps them, so that its dots part nothing.
fn join(section: &str, name: &str) -> String {
    let is_bare = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    let name = if name.chars().all(is_bare) {
        Cow::from(name)
    } else {
        Cow::from(format!("'{name}'"))
    };
    if section.is_empty() {
        name.into_owned()
    } else {
        format!("{section}.{name}")
    }
}
