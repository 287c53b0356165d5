//! What a tally tells, in words and in an order that says nothing of how it was added up.

use jiff::{Timestamp, civil::Date};

use super::{
    Client, ClientKey, Day, File, FormatTotal, Tally, date_of, names::Set, network, token::Token,
};
use crate::{
    audit::{line::Field, sighting::TokenId},
    redact::Confidence,
};

/// One token.
#[derive(Debug)]
pub(in crate::audit) struct TokenView<'t> {
    tally: &'t Tally,
    token: &'t Token,
}

/// One client to fix.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::audit) struct ClientView<'t> {
    pub(in crate::audit) family: &'t str,
    pub(in crate::audit) kind: &'t str,
    pub(in crate::audit) field: Field,
    pub(in crate::audit) endpoint: &'t str,
    pub(in crate::audit) count: u64,
    pub(in crate::audit) accepted: u64,
    pub(in crate::audit) refused: u64,
    pub(in crate::audit) seen: Option<(i64, i64)>,
    /// How many different tokens, and whether that is exact.
    pub(in crate::audit) tokens: (u64, bool),
    pub(super) sample: Vec<u64>,
}

/// Lines of one file in which a token stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::audit) struct SpotView {
    pub(in crate::audit) input: u32,
    pub(in crate::audit) count: u32,
    pub(in crate::audit) first: u64,
    pub(in crate::audit) last: u64,
}

impl Tally {
    /// The `place`th token; they have no order.
    pub(in crate::audit) fn token(&self, place: usize) -> Option<TokenView<'_>> {
        let token = self.tokens.get(place)?;
        Some(TokenView { tally: self, token })
    }

    pub(in crate::audit) fn clients(&self) -> Vec<ClientView<'_>> {
        let view = |(key, client): (&ClientKey, &Client)| {
            let mut sample = client.tokens.values().to_vec();
            sample.sort_unstable();
            ClientView {
                family: self.names.word(key.family),
                kind: self.names.word(key.kind),
                field: key.field,
                endpoint: self.names.word(key.endpoint),
                count: client.count,
                accepted: client.accepted,
                refused: client.refused,
                seen: client.span.ends(),
                tokens: client.tokens.distinct(),
                sample,
            }
        };
        let mut views: Vec<_> = self
            .clients
            .iter()
            .map(|(key, client)| view((key, client)))
            .collect();
        views.sort_unstable();
        views
    }

    pub(in crate::audit) fn days(&self) -> impl Iterator<Item = (Date, Day)> {
        self.days
            .iter()
            .map(|(number, day)| (date_of(*number), *day))
    }

    pub(in crate::audit) fn formats(&self) -> Vec<(&str, FormatTotal)> {
        let mut formats: Vec<_> = self
            .formats
            .iter()
            .map(|(code, total)| (self.names.word(*code), *total))
            .collect();
        formats.sort_unstable_by_key(|(name, _)| *name);
        formats
    }

    pub(in crate::audit) fn file(&self, input: u32) -> Option<&File> {
        self.files.get(&input)
    }

    pub(in crate::audit) fn gaps(&self) -> impl Iterator<Item = (Option<u32>, &str)> {
        self.gaps.iter().map(|(input, why)| (*input, why.as_str()))
    }

    pub(in crate::audit) fn has_full_addresses(&self) -> bool {
        self.is_full
    }
}

impl<'t> TokenView<'t> {
    pub(in crate::audit) fn id(&self) -> TokenId {
        self.token.id
    }

    pub(in crate::audit) fn kind(&self) -> &'t str {
        self.tally.names.word(self.token.kind)
    }

    pub(in crate::audit) fn confidence(&self) -> Confidence {
        self.token.confidence
    }

    pub(in crate::audit) fn count(&self) -> u64 {
        self.token.count
    }

    pub(in crate::audit) fn accepted(&self) -> u64 {
        self.token.accepted
    }

    pub(in crate::audit) fn refused(&self) -> u64 {
        self.token.refused
    }

    pub(in crate::audit) fn unproven(&self) -> u64 {
        self.token
            .count
            .saturating_sub(self.token.accepted)
            .saturating_sub(self.token.refused)
    }

    pub(in crate::audit) fn is_admin(&self) -> bool {
        self.token.is_admin()
    }

    pub(in crate::audit) fn is_admin_accepted(&self) -> bool {
        self.token.is_admin_accepted()
    }

    /// First and last time, in seconds since 1970.
    pub(in crate::audit) fn seen(&self) -> Option<(i64, i64)> {
        self.token.span.ends()
    }

    pub(in crate::audit) fn users(&self) -> impl Iterator<Item = &'t str> {
        self.token.users.iter().map(|user| &**user)
    }

    pub(in crate::audit) fn fields(&self) -> impl Iterator<Item = Field> {
        self.token.fields()
    }

    pub(in crate::audit) fn statuses(&self) -> impl Iterator<Item = u16> {
        let names = &self.tally.names;
        let labels = self.token.labels.iter().copied();
        labels.filter(|label| names.get(*label).is_none() && *label < 1000)
    }

    pub(in crate::audit) fn methods(&self) -> Vec<&'t str> {
        self.words(Set::Method)
    }

    pub(in crate::audit) fn endpoints(&self) -> Vec<&'t str> {
        self.words(Set::Endpoint)
    }

    pub(in crate::audit) fn families(&self) -> Vec<&'t str> {
        self.words(Set::Family)
    }

    fn words(&self, wanted: Set) -> Vec<&'t str> {
        let names = &self.tally.names;
        let labels = self
            .token
            .labels
            .iter()
            .filter_map(|label| names.get(*label));
        let mut words: Vec<_> = labels
            .filter(|(set, _)| *set == wanted)
            .map(|(_, word)| word)
            .collect();
        words.sort_unstable();
        words
    }

    /// Some of the networks it came from, in order.
    pub(in crate::audit) fn networks(&self) -> Vec<String> {
        let mut networks = self.token.networks.values().to_vec();
        networks.sort_unstable();
        let show = |value: u64| network::show(value, self.tally.is_full);
        networks.into_iter().map(show).collect()
    }

    /// How many networks it came from, and whether that is exact.
    pub(in crate::audit) fn distinct_networks(&self) -> (u64, bool) {
        self.token.networks.distinct()
    }

    /// The first files by name.
    pub(in crate::audit) fn spots(&self) -> impl Iterator<Item = SpotView> {
        self.token.spots.iter().map(|spot| SpotView {
            input: spot.input,
            count: spot.count,
            first: spot.first,
            last: spot.last,
        })
    }
}

/// `2026-01-31T23:59:59Z`.
pub(in crate::audit) fn moment(second: i64) -> String {
    Timestamp::from_second(second)
        .unwrap_or_default()
        .to_string()
}
