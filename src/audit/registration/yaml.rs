//! Four texts at the top of a YAML document.
//!
//! A real parser, since people quote, fold and comment in every way there is; and its
//! events, not a tree, so that what is not asked for is never stored.

use std::borrow::Cow;

use saphyr_parser::{Event, Parser, ScalarStyle};
use zeroize::{Zeroize as _, Zeroizing};

/// What a registration says, as far as it matters here.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) id: Option<String>,
    pub(super) sender_localpart: Option<String>,
    pub(super) as_token: Option<Zeroizing<String>>,
    pub(super) hs_token: Option<Zeroizing<String>>,
}

impl Fields {
    /// Reads the first document of `text`; the line of what is no YAML otherwise.
    pub(super) fn parse(text: &str) -> Result<Self, usize> {
        let mut fields = Self::default();
        let mut place = Place::default();
        for event in Parser::new_from_str(text) {
            let (event, _) = event.map_err(|error| error.marker().line())?;
            match event {
                Event::Scalar(text, style, ..) => {
                    if let Some(key) = place.scalar(&text) {
                        fields.set(key, &text, style);
                    }
                    wipe(text);
                }
                Event::Alias(_) => drop(place.scalar("")),
                Event::MappingStart(..) => place.enter(true),
                Event::SequenceStart(..) => place.enter(false),
                Event::MappingEnd | Event::SequenceEnd => place.leave(),
                Event::DocumentEnd => break,
                Event::Nothing
                | Event::StreamStart
                | Event::StreamEnd
                | Event::DocumentStart(_) => {}
            }
        }
        Ok(fields)
    }

    fn set(&mut self, key: Key, text: &str, style: ScalarStyle) {
        let is_null =
            style == ScalarStyle::Plain && matches!(text, "" | "~" | "null" | "Null" | "NULL");
        let text = (!is_null && !text.is_empty()).then_some(text);
        match key {
            Key::Id => self.id = text.map(str::to_owned),
            Key::SenderLocalpart => self.sender_localpart = text.map(str::to_owned),
            Key::AsToken => self.as_token = text.map(|text| Zeroizing::new(text.to_owned())),
            Key::HsToken => self.hs_token = text.map(|text| Zeroizing::new(text.to_owned())),
        }
    }
}

/// What the parser had to unescape is a copy.
fn wipe(text: Cow<'_, str>) {
    if let Cow::Owned(mut text) = text {
        text.zeroize();
    }
}

#[derive(Clone, Copy)]
enum Key {
    Id,
    SenderLocalpart,
    AsToken,
    HsToken,
}

impl Key {
    fn of(text: &str) -> Option<Self> {
        match text {
            "id" => Some(Self::Id),
            "sender_localpart" => Some(Self::SenderLocalpart),
            "as_token" => Some(Self::AsToken),
            "hs_token" => Some(Self::HsToken),
            _ => None,
        }
    }
}

/// Where in the document the next event is.
#[derive(Default)]
struct Place {
    depth: usize,
    /// Whether the outermost collection has keys.
    is_mapping: bool,
    /// Whether the next node of it is a value.
    is_value: bool,
    key: Option<Key>,
}

impl Place {
    /// A scalar; gives the key that it is the value of, if that is one of ours.
    fn scalar(&mut self, text: &str) -> Option<Key> {
        if self.depth != 1 || !self.is_mapping {
            return None;
        }
        let key = self.key.take();
        if !self.is_value {
            self.key = Key::of(text);
        }
        self.is_value = !self.is_value;
        key
    }

    fn enter(&mut self, is_mapping: bool) {
        if self.depth == 0 {
            self.is_mapping = is_mapping;
        }
        self.depth = self.depth.saturating_add(1);
    }

    /// A collection has ended: in the outermost mapping it was a key or a value.
    fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        if self.depth == 1 {
            self.key = None;
            self.is_value = !self.is_value;
        }
    }
}
