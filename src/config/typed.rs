//! One value as it was typed, before it means anything.

use toml::de::DeValue;

use super::document::Document;
use super::key::Key;
use super::problem::{Place, Problem};

/// One key of one source.
pub(super) struct Entry<'a> {
    pub(super) key: Key,
    pub(super) place: Place,
    pub(super) typed: Typed<'a>,
}

/// A value before it means anything.
#[derive(Clone, Copy)]
pub(super) enum Typed<'a> {
    Toml(&'a DeValue<'a>),
    /// From a variable or a flag: its meaning depends on the key.
    Word(&'a str),
    /// From a flag that may be repeated.
    Words(&'a [String]),
}

impl Entry<'_> {
    /// A string.
    pub(super) fn text<T>(
        &self,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, Vec<Problem>> {
        self.typed
            .text()
            .and_then(parse)
            .map_err(|message| self.problem(message))
    }

    /// The entries of a list, each with its own line; `expected` is what to say of anything else.
    pub(super) fn items(
        &self,
        document: Option<&Document<'_>>,
        expected: &str,
    ) -> Result<Vec<Self>, Vec<Problem>> {
        let item = |place, typed| Entry {
            key: self.key,
            place,
            typed,
        };
        match self.typed {
            Typed::Toml(DeValue::Array(array)) => Ok(array
                .iter()
                .map(|value| {
                    let place = document.map(|document| document.place(value.span().start));
                    item(
                        place.unwrap_or_else(|| self.place.clone()),
                        Typed::Toml(value.get_ref()),
                    )
                })
                .collect()),
            Typed::Toml(other) => Err(self.problem(format!("{expected}, not {}", kind(other)))),
            Typed::Word(text) if text.trim().is_empty() => Ok(Vec::new()),
            Typed::Word(text) => Ok(text
                .split(',')
                .map(|word| item(self.place.clone(), Typed::Word(word.trim())))
                .collect()),
            Typed::Words(words) => Ok(words
                .iter()
                .map(|word| item(self.place.clone(), Typed::Word(word)))
                .collect()),
        }
    }

    pub(super) fn problem(&self, message: impl Into<String>) -> Vec<Problem> {
        vec![Problem::with_key(self.place.clone(), self.key, message)]
    }
}

impl<'a> Typed<'a> {
    pub(super) fn text(self) -> Result<&'a str, String> {
        match self {
            Self::Toml(DeValue::String(text)) => Ok(text),
            Self::Toml(other) => Err(format!("must be a string in quotes, not {}", kind(other))),
            Self::Word(text) => Ok(text),
            Self::Words(_) => Err("must be given once".to_owned()),
        }
    }

    pub(super) fn boolean(self) -> Result<bool, String> {
        const EXPECTED: &str = "must be true or false";
        match self {
            Self::Toml(DeValue::Boolean(value)) => Ok(*value),
            Self::Toml(other) => Err(format!("{EXPECTED}, not {}", kind(other))),
            Self::Word(_) | Self::Words(_) => self.text()?.parse().map_err(|_| EXPECTED.to_owned()),
        }
    }

    pub(super) fn digits(self) -> Result<String, String> {
        match self {
            Self::Toml(DeValue::Integer(number)) => {
                let value = i128::from_str_radix(number.as_str(), number.radix());
                Ok(value.map_or_else(|_| number.to_string(), |value| value.to_string()))
            }
            Self::Toml(other) => Err(format!("must be a whole number, not {}", kind(other))),
            Self::Word(_) | Self::Words(_) => self.text().map(str::to_owned),
        }
    }
}

/// A type of TOML, for a message.
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
