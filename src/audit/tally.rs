//! Adds sightings up. To add is associative and commutative, so that parts of a log, in
//! any split and order, give the same as the whole.
//!
//! A token costs about 250 bytes, and no more for being seen more often: of addresses and
//! files a few are kept, chosen so that parts choose as the whole does. Words of fixed sets
//! are numbers here. Times are whole seconds.

mod names;
mod network;
mod part;
mod sample;
mod token;
mod view;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::BuildHasherDefault,
    sync::Arc,
};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::{
    line::{Field, Format},
    sighting::{Outcome, Place, Sighting, TokenId},
};
use crate::fold::Fold;
use names::{Adopted, Names, Set};
pub use part::BadId;
pub(in crate::audit) use part::{Header, Part, PartError, Reader, confidence_name, field_name};
use sample::Sample;
use token::{Codes, Context, Span, Token};
pub(in crate::audit) use view::{TokenView, moment};

/// What a log, or a part of one, tells.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    names: Names,
    places: HashMap<TokenId, u32, BuildHasherDefault<Fold>>,
    tokens: Vec<Token>,
    clients: HashMap<ClientKey, Client, BuildHasherDefault<Fold>>,
    /// By days since 1970.
    days: BTreeMap<i32, Day>,
    formats: BTreeMap<u16, FormatTotal>,
    files: BTreeMap<u32, File>,
    gaps: BTreeSet<(Option<u32>, String)>,
    ranks: Arc<[u32]>,
    is_full: bool,
}

/// What one day has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::audit) struct Day {
    /// Lines with a secret.
    pub(in crate::audit) lines: u64,
    pub(in crate::audit) accepted: u64,
    pub(in crate::audit) refused: u64,
    pub(in crate::audit) unproven: u64,
}

/// Lines of one format, of those that were looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::audit) struct FormatTotal {
    pub(in crate::audit) lines: u64,
    pub(in crate::audit) lines_with_secrets: u64,
}

/// What one file has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::audit) struct File {
    /// The first line that was read; 1 if nobody says.
    pub(in crate::audit) first_line: u64,
    pub(in crate::audit) lines: u64,
    pub(in crate::audit) bytes: u64,
    pub(in crate::audit) lines_with_secrets: u64,
    pub(in crate::audit) lines_not_understood: u64,
    pub(in crate::audit) findings: u64,
    /// The lines that parts cover, first and last; empty for what was read here.
    ranges: Vec<(u64, u64)>,
}

/// A client to fix: which software puts what where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct ClientKey {
    family: u16,
    kind: u16,
    endpoint: u16,
    field: Field,
}

/// What one client did.
#[derive(Clone, Debug, Default)]
struct Client {
    count: u64,
    accepted: u64,
    refused: u64,
    span: Span,
    tokens: Sample<64>,
}

impl Tally {
    /// Nothing so far.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing so far, of inputs with these names.
    ///
    /// Of a token that is in many files the first by name are kept. Without the names the
    /// first by number are, which other machines may number otherwise.
    #[must_use]
    pub fn for_inputs(names: &[String]) -> Self {
        Self {
            ranks: ranks(names),
            ..Self::default()
        }
    }

    /// Keeps IPv4 addresses whole, and of IPv6 the first 64 bits; by default 24 and 48.
    ///
    /// Set before the first [`add`](Self::add), and alike for all that will be merged.
    #[must_use]
    pub fn with_full_addresses(self, is_full: bool) -> Self {
        Self { is_full, ..self }
    }

    /// One secret in one line.
    pub fn add(&mut self, seen: &Sighting<'_>) {
        let codes = Codes {
            kind: self.names.code(Set::Kind, seen.kind),
            family: self.names.code(Set::Family, seen.family),
            method: self.names.code(Set::Method, seen.method),
            endpoint: self.names.code(Set::Endpoint, seen.endpoint),
        };
        let Codes { kind, family, .. } = codes;
        let place = self.place(seen.id, || Token::new(seen.id, kind, seen.confidence));
        let context = Context {
            names: &self.names,
            ranks: &self.ranks,
            is_full: self.is_full,
        };
        if let Some(token) = self.tokens.get_mut(place) {
            token.add(seen, codes, &context);
        }
        let key = ClientKey {
            family,
            kind,
            endpoint: codes.endpoint,
            field: seen.field,
        };
        let client = self.clients.entry(key).or_default();
        client.count = client.count.saturating_add(1);
        match seen.outcome {
            Outcome::Accepted => client.accepted = client.accepted.saturating_add(1),
            Outcome::Refused => client.refused = client.refused.saturating_add(1),
            Outcome::Unproven => {}
        }
        client.span.put(seen.time);
        client.tokens.put(first_half(seen.id));
        let file = self.files.entry(seen.place.input).or_default();
        file.findings = file.findings.saturating_add(1);
        if let Some(time) = seen.time {
            let day = self.days.entry(day_of(time)).or_default();
            let sum = match seen.outcome {
                Outcome::Accepted => &mut day.accepted,
                Outcome::Refused => &mut day.refused,
                Outcome::Unproven => &mut day.unproven,
            };
            *sum = sum.saturating_add(1);
        }
    }

    /// One line that was looked at, and what it was taken for.
    pub fn line(
        &mut self,
        input: u32,
        understood: Format,
        has_secret: bool,
        time: Option<Timestamp>,
    ) {
        let secret = u64::from(has_secret);
        let file = self.files.entry(input).or_default();
        file.lines_with_secrets = file.lines_with_secrets.saturating_add(secret);
        if understood == Format::Text {
            file.lines_not_understood = file.lines_not_understood.saturating_add(1);
        }
        let code = self.names.code(Set::Format, understood.name());
        let format = self.formats.entry(code).or_default();
        format.lines = format.lines.saturating_add(1);
        format.lines_with_secrets = format.lines_with_secrets.saturating_add(secret);
        if let Some(time) = time.filter(|_| has_secret) {
            let day = self.days.entry(day_of(time)).or_default();
            day.lines = day.lines.saturating_add(1);
        }
    }

    /// Lines and bytes that were read of an input, looked at or not.
    pub fn lines_read(&mut self, input: u32, lines: u64, bytes: u64) {
        let file = self.files.entry(input).or_default();
        file.lines = file.lines.saturating_add(lines);
        file.bytes = file.bytes.saturating_add(bytes);
    }

    /// The number of an input's first line, where it is a piece of a file.
    pub fn begins(&mut self, input: u32, first_line: u64) {
        self.files.entry(input).or_default().first_line = first_line;
    }

    /// Something was not read, or not understood; without an input it is about all of them.
    pub fn incomplete(&mut self, input: Option<u32>, why: String) {
        self.gaps.insert((input, why));
    }

    /// Distinct secrets so far.
    #[must_use]
    pub fn distinct(&self) -> usize {
        self.tokens.len()
    }

    /// Each of them.
    pub fn ids(&self) -> impl Iterator<Item = TokenId> {
        self.tokens.iter().map(|token| token.id)
    }

    /// Gives places their final numbers; `f` keeps their order.
    pub fn renumber(&mut self, f: &dyn Fn(Place) -> Place) {
        for spot in self.tokens.iter_mut().flat_map(|token| &mut token.spots) {
            let at = |line| {
                let input = spot.input;
                f(Place { input, line })
            };
            let (first, last) = (at(spot.first), at(spot.last));
            (spot.input, spot.first, spot.last) = (first.input, first.line, last.line);
        }
    }

    /// Adds what another tally knows of the same inputs.
    pub fn merge(&mut self, other: Self) {
        if self.ranks.is_empty() {
            self.ranks = Arc::clone(&other.ranks);
        }
        let codes = self.names.adopt(&other.names);
        for token in &other.tokens {
            self.merge_token(token, &codes);
        }
        for (key, client) in &other.clients {
            self.merge_client(*key, client, &codes);
        }
        for (number, day) in other.days {
            self.days.entry(number).or_default().merge(day);
        }
        for (code, format) in other.formats {
            self.formats
                .entry(codes.of(code))
                .or_default()
                .merge(format);
        }
        for (input, file) in other.files {
            self.files.entry(input).or_default().merge(&file);
        }
        self.gaps.extend(other.gaps);
    }

    fn merge_token(&mut self, token: &Token, codes: &Adopted) {
        let kind = codes.of(token.kind);
        let place = self.place(token.id, || Token::new(token.id, kind, token.confidence));
        let context = Context {
            names: &self.names,
            ranks: &self.ranks,
            is_full: self.is_full,
        };
        if let Some(known) = self.tokens.get_mut(place) {
            known.merge(token, codes, &context);
        }
    }

    fn merge_client(&mut self, key: ClientKey, client: &Client, codes: &Adopted) {
        let key = ClientKey {
            family: codes.of(key.family),
            kind: codes.of(key.kind),
            endpoint: codes.of(key.endpoint),
            field: key.field,
        };
        let known = self.clients.entry(key).or_default();
        known.count = known.count.saturating_add(client.count);
        known.accepted = known.accepted.saturating_add(client.accepted);
        known.refused = known.refused.saturating_add(client.refused);
        known.span.merge(client.span);
        known.tokens.merge(&client.tokens);
    }

    /// Where a token is kept, from now on if it is new.
    fn place(&mut self, id: TokenId, new: impl FnOnce() -> Token) -> usize {
        let next = self.tokens.len();
        // More than four thousand million tokens fit no machine: the last place is as good.
        let fresh = u32::try_from(next).unwrap_or(u32::MAX);
        let place = *self.places.entry(id).or_insert(fresh);
        let place = usize::try_from(place).unwrap_or(next);
        if place == next {
            self.tokens.push(new());
        }
        place
    }
}

impl Day {
    fn merge(&mut self, other: Self) {
        self.lines = self.lines.saturating_add(other.lines);
        self.accepted = self.accepted.saturating_add(other.accepted);
        self.refused = self.refused.saturating_add(other.refused);
        self.unproven = self.unproven.saturating_add(other.unproven);
    }
}

impl FormatTotal {
    fn merge(&mut self, other: Self) {
        self.lines = self.lines.saturating_add(other.lines);
        self.lines_with_secrets = self
            .lines_with_secrets
            .saturating_add(other.lines_with_secrets);
    }
}

impl File {
    fn merge(&mut self, other: &Self) {
        // 0 is "nobody said".
        self.first_line = match (self.first_line, other.first_line) {
            (0, line) | (line, 0) => line,
            (left, right) => left.min(right),
        };
        self.lines = self.lines.saturating_add(other.lines);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.lines_with_secrets = self
            .lines_with_secrets
            .saturating_add(other.lines_with_secrets);
        self.lines_not_understood = self
            .lines_not_understood
            .saturating_add(other.lines_not_understood);
        self.findings = self.findings.saturating_add(other.findings);
        self.ranges.extend_from_slice(&other.ranges);
        self.ranges.sort_unstable();
    }
}

/// The place of each input in the order of names.
fn ranks(names: &[String]) -> Arc<[u32]> {
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by_key(|place| (names.get(*place), *place));
    let mut ranks = vec![u32::MAX; names.len()];
    for (rank, place) in (0..).zip(order) {
        if let Some(of) = ranks.get_mut(place) {
            *of = rank;
        }
    }
    ranks.into()
}

/// As good as random: it is half of a keyed hash.
fn first_half(id: TokenId) -> u64 {
    id.0.first_chunk().copied().map_or(0, u64::from_be_bytes)
}

fn day_of(time: Timestamp) -> i32 {
    i32::try_from(time.as_second().div_euclid(86_400)).unwrap_or_default()
}

fn number_of(date: Date) -> i32 {
    date.to_zoned(TimeZone::UTC)
        .map_or(0, |start| day_of(start.timestamp()))
}

fn date_of(day: i32) -> Date {
    Timestamp::from_second(i64::from(day).saturating_mul(86_400))
        .map_or(Date::ZERO, |start| start.to_zoned(TimeZone::UTC).date())
}
