//! All that is kept of one token: about 250 bytes, however often it was seen.

use jiff::Timestamp;
use smallvec::SmallVec;

use super::{
    names::{Adopted, Names},
    network,
    sample::Sample,
};
use crate::{
    audit::{
        line::Field,
        sighting::{Outcome, Sighting, TokenId},
    },
    redact::Confidence,
};

/// Networks that are kept of each token.
pub(super) const NETWORKS: usize = 8;
/// Files that are kept of each token, the first by name.
const FILES: usize = 8;
/// Users that are kept of each token, the first by name.
const USERS: usize = 4;

const LONGEST_USER: usize = 255;

const ADMIN: u8 = 1 << 6;
const ADMIN_ACCEPTED: u8 = 1 << 7;
pub(super) const FIELDS: [Field; 4] = [
    Field::Request,
    Field::Referer,
    Field::UserAgent,
    Field::Other,
];

/// From when to when; the first is after the last while nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    first: i64,
    last: i64,
}

impl Default for Span {
    fn default() -> Self {
        let (first, last) = (i64::MAX, i64::MIN);
        Self { first, last }
    }
}

impl Span {
    pub(super) fn of(first: Option<i64>, last: Option<i64>) -> Self {
        match (first, last) {
            (Some(first), Some(last)) => Self { first, last },
            _ => Self::default(),
        }
    }

    pub(super) fn put(&mut self, time: Option<Timestamp>) {
        if let Some(second) = time.map(Timestamp::as_second) {
            self.first = self.first.min(second);
            self.last = self.last.max(second);
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }

    /// In seconds since 1970.
    pub(super) fn ends(self) -> Option<(i64, i64)> {
        (self.first <= self.last).then_some((self.first, self.last))
    }
}

/// Where in one file a token stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) input: u32,
    pub(super) count: u32,
    pub(super) first: u64,
    pub(super) last: u64,
}

/// One token.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) id: TokenId,
    pub(super) count: u64,
    pub(super) accepted: u64,
    pub(super) refused: u64,
    pub(super) span: Span,
    pub(super) kind: u16,
    pub(super) confidence: Confidence,
    /// Bits of the fields, and of administration.
    marks: u8,
    /// Statuses, methods, endpoints and families, sorted by number.
    pub(super) labels: SmallVec<[u16; 8]>,
    pub(super) users: SmallVec<[Box<str>; 1]>,
    pub(super) networks: Sample<NETWORKS>,
    pub(super) spots: SmallVec<[Spot; 1]>,
}

impl Token {
    pub(super) fn new(id: TokenId, kind: u16, confidence: Confidence) -> Self {
        Self {
            id,
            count: 0,
            accepted: 0,
            refused: 0,
            span: Span::default(),
            kind,
            confidence,
            marks: 0,
            labels: SmallVec::new(),
            users: SmallVec::new(),
            networks: Sample::default(),
            spots: SmallVec::new(),
        }
    }

    pub(super) fn add(&mut self, seen: &Sighting<'_>, codes: Codes, to: &Context<'_>) {
        self.count = self.count.saturating_add(1);
        match seen.outcome {
            Outcome::Accepted => self.accepted = self.accepted.saturating_add(1),
            Outcome::Refused => self.refused = self.refused.saturating_add(1),
            Outcome::Unproven => {}
        }
        self.span.put(seen.time);
        self.call(codes.kind, seen.confidence, to.names);
        self.mark(seen.field);
        if seen.is_admin {
            self.mark_admin(seen.outcome == Outcome::Accepted);
        }
        for code in [codes.family, codes.method, codes.endpoint] {
            self.label(code);
        }
        if let Some(status) = seen.status.filter(|status| *status < 1000) {
            self.label(status);
        }
        if let Some(user) = seen.user {
            self.user(user);
        }
        if let Some(client) = seen.client {
            self.networks.put(network::pack(client, to.is_full));
        }
        let line = seen.place.line;
        let spot = Spot {
            input: seen.place.input,
            count: 1,
            first: line,
            last: line,
        };
        self.spot(spot, to.ranks);
    }

    pub(super) fn merge(&mut self, other: &Self, codes: &Adopted, to: &Context<'_>) {
        self.count = self.count.saturating_add(other.count);
        self.accepted = self.accepted.saturating_add(other.accepted);
        self.refused = self.refused.saturating_add(other.refused);
        self.span.merge(other.span);
        self.call(codes.of(other.kind), other.confidence, to.names);
        self.marks |= other.marks;
        for label in &other.labels {
            self.label(codes.of(*label));
        }
        for user in &other.users {
            self.user(user);
        }
        self.networks.merge(&other.networks);
        for spot in &other.spots {
            self.spot(*spot, to.ranks);
        }
    }

    /// The surest word for what it is; of words as sure as each other the first.
    fn call(&mut self, kind: u16, confidence: Confidence, names: &Names) {
        let is_surer = confidence > self.confidence;
        let is_as_sure = confidence == self.confidence && kind != self.kind;
        if is_surer || (is_as_sure && names.word(kind) < names.word(self.kind)) {
            self.kind = kind;
            self.confidence = confidence;
        }
    }

    pub(super) fn mark(&mut self, field: Field) {
        self.marks |= bit(field);
    }

    pub(super) fn mark_admin(&mut self, is_accepted: bool) {
        self.marks |= if is_accepted {
            ADMIN | ADMIN_ACCEPTED
        } else {
            ADMIN
        };
    }

    pub(super) fn label(&mut self, code: u16) {
        // Nearly always, and a look at a few numbers takes no guess.
        if self.labels.contains(&code) {
            return;
        }
        if let Err(place) = self.labels.binary_search(&code) {
            self.labels.insert(place, code);
        }
    }

    pub(super) fn user(&mut self, user: &str) {
        // Matrix has no longer ones, but who writes a token may write anything.
        if user.len() > LONGEST_USER {
            return;
        }
        let place = match self.users.binary_search_by(|known| (**known).cmp(user)) {
            Err(place) if place < USERS => place,
            Ok(_) | Err(_) => return,
        };
        self.users.insert(place, user.into());
        self.users.truncate(USERS);
    }

    pub(super) fn spot(&mut self, spot: Spot, ranks: &[u32]) {
        let rank = |input: u32| rank(ranks, input);
        let wanted = rank(spot.input);
        match self
            .spots
            .binary_search_by_key(&wanted, |known| rank(known.input))
        {
            Ok(place) => {
                if let Some(known) = self.spots.get_mut(place) {
                    known.count = known.count.saturating_add(spot.count);
                    known.first = known.first.min(spot.first);
                    known.last = known.last.max(spot.last);
                }
            }
            Err(place) if place < FILES => {
                self.spots.insert(place, spot);
                self.spots.truncate(FILES);
            }
            Err(_) => {}
        }
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = Field> {
        FIELDS
            .into_iter()
            .filter(|field| self.marks & bit(*field) != 0)
    }

    pub(super) fn is_admin(&self) -> bool {
        self.marks & ADMIN != 0
    }

    pub(super) fn is_admin_accepted(&self) -> bool {
        self.marks & ADMIN_ACCEPTED != 0
    }
}

/// The words of a sighting as numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Codes {
    pub(super) kind: u16,
    pub(super) family: u16,
    pub(super) method: u16,
    pub(super) endpoint: u16,
}

/// What a token needs of the tally it is in.
pub(super) struct Context<'t> {
    pub(super) names: &'t Names,
    pub(super) ranks: &'t [u32],
    pub(super) is_full: bool,
}

/// The place of an input in the order of names, if names are known.
pub(super) fn rank(ranks: &[u32], input: u32) -> u32 {
    usize::try_from(input)
        .ok()
        .and_then(|input| ranks.get(input).copied())
        .unwrap_or(input)
}

fn bit(field: Field) -> u8 {
    match field {
        Field::Request => 1,
        Field::Referer => 1 << 1,
        Field::UserAgent => 1 << 2,
        Field::Other => 1 << 3,
    }
}
