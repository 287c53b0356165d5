//! Gathers what was typed, key by key, and turns it into values.
//!
//! Every source is walked first, against the list of known keys; what is not on
//! it is a problem. Then each key is read from every source that has it, and the
//! strongest source wins.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use toml::de::{DeTable, DeValue};

use super::choice::Choice;
use super::document::Document;
use super::key::{self, Key};
use super::problem::{Place, Problem, Problems};
use super::typed::{Entry, Typed, kind};
use super::{Config, Sources, parse, suggest};

/// All that was typed, and all that is wrong with it so far.
///
/// Each table of a `[[key]]` has a reader of its own, for the keys inside of it.
pub(super) struct Reader<'a> {
    document: Option<&'a Document<'a>>,
    /// Where to report what is missing.
    place: Place,
    /// Weakest source first.
    entries: Vec<Entry<'a>>,
    problems: Vec<Problem>,
}

/// Text to a value, or to what is wrong with it.
type Parse<T> = fn(&str) -> Result<T, String>;

impl<'a> Reader<'a> {
    pub(super) fn new(document: Option<&'a Document<'a>>, sources: &'a Sources<'_>) -> Self {
        let mut reader = Self {
            document,
            place: document.map_or(Place::Nowhere { file: None }, Document::whole),
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

    /// Reports that `key` is not there.
    pub(super) fn require(&mut self, key: Key, message: &str) {
        if self.is_missing(key) {
            let problem = Problem::with_key(self.place.clone(), key, message);
            self.problems.push(problem);
        }
    }

    /// A string that may be empty, and then stands for nothing.
    pub(super) fn optional<T>(
        &mut self,
        key: Key,
        parse: impl Fn(&str) -> Result<T, String>,
        default: Option<T>,
    ) -> Option<T> {
        let parse = |text: &str| {
            if text.is_empty() {
                Ok(None)
            } else {
                parse(text).map(Some)
            }
        };
        self.text(key, parse).unwrap_or(default)
    }

    /// One word out of a few.
    pub(super) fn choice<C: Choice>(&mut self, key: Key, default: C) -> C {
        self.text(key, parse::choice).unwrap_or(default)
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, key: Key) -> Option<bool> {
        self.strongest(key, |entry| {
            let value = entry.typed.boolean();
            value.map_err(|message| entry.problem(message))
        })
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

    /// The tables of a `[[key]]`; a stronger source replaces all of a weaker one.
    ///
    /// `table` reads one, `word` what stands for one in a variable or a flag, and
    /// `objection` is what there is to say against one after `earlier` ones.
    pub(super) fn tables<T>(
        &mut self,
        key: Key,
        expected: &str,
        table: impl Fn(&mut Reader<'a>) -> Option<T>,
        word: Option<Parse<T>>,
        objection: impl Fn(&T, &[T]) -> Option<&'static str>,
    ) -> Option<Vec<T>> {
        let document = self.document;
        self.strongest(key, |entry| {
            let items = entry.items(document, expected)?;
            if items.is_empty() {
                return Err(entry.problem("must have at least one entry"));
            }
            let values = all(items.iter().map(|item| match (item.typed, document, word) {
                (Typed::Toml(DeValue::Table(fields)), Some(document), _) => {
                    let mut reader = Self::within(document, item, fields);
                    let value = table(&mut reader).filter(|_| reader.problems.is_empty());
                    value.ok_or(reader.problems)
                }
                (_, _, Some(word)) => item.text(word),
                (Typed::Toml(other), ..) => {
                    Err(item.problem(format!("{expected}, not {}", kind(other))))
                }
                // No variable and no flag has such a key.
                (Typed::Word(_) | Typed::Words(_), ..) => Err(item.problem(expected)),
            }))?;
            let problems: Vec<Problem> = items
                .iter()
                .zip(values.iter().enumerate())
                .filter_map(|(item, (index, value))| {
                    let message = objection(value, values.get(..index)?)?;
                    Some(item.problem(message))
                })
                .flatten()
                .collect();
            if problems.is_empty() {
                Ok(values)
            } else {
                Err(problems)
            }
        })
    }

    /// Reports `key`, where its strongest source has it.
    pub(super) fn refuse(&mut self, key: Key, message: &str) {
        let entry = self.entries.iter().rfind(|entry| entry.key == key);
        self.problems
            .extend(entry.into_iter().flat_map(|entry| entry.problem(message)));
    }

    /// Whether some source has `key`, rightly or not.
    pub(super) fn has(&self, key: Key) -> bool {
        self.entries.iter().any(|entry| entry.key == key)
    }

    /// Whether no source has `key`; a line that cannot be read may be the one.
    pub(super) fn is_missing(&self, key: Key) -> bool {
        let is_broken = self.document.is_some_and(Document::is_broken);
        !is_broken && !self.has(key)
    }

    /// The configuration, unless something is wrong with it.
    pub(super) fn finish(mut self, config: Config) -> Result<Config, Problems> {
        if let Some(document) = self.document {
            self.problems
                .retain(|problem| document.vouches_for(problem));
            self.problems.extend(document.syntax_problems().cloned());
        }
        if self.problems.is_empty() {
            Ok(config)
        } else {
            Err(Problems::new(self.problems))
        }
    }

    /// A reader of what is inside one table of a `[[key]]`.
    fn within(document: &'a Document<'a>, item: &Entry<'a>, table: &'a DeTable<'a>) -> Self {
        let mut reader = Self {
            document: Some(document),
            place: item.place.clone(),
            entries: Vec::new(),
            problems: Vec::new(),
        };
        reader.walk(document, item.key.path(), table);
        reader
    }

    /// Takes every known key of a table, and reports the others.
    fn walk(&mut self, document: &Document<'_>, section: &str, table: &'a DeTable<'a>) {
        for (name, value) in table {
            let place = document.place(name.span().start);
            let path = join(section, name.get_ref());
            if let Some(key) = key::find(&path) {
                self.add(key, place, Typed::Toml(value.get_ref()));
            } else if !key::sections().any(|section| section == path) {
                let is_section = matches!(value.get_ref(), DeValue::Table(_));
                let section = is_section.then(|| suggest::section(&path)).flatten();
                let meant = section.or_else(|| suggest::key(&path));
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
        } else if let Some(table) = key::table_of(name) {
            let message = format!("unknown variable: write what is in [[{table}]] into the file");
            self.problems.push(Problem::new(place, message));
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
