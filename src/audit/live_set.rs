//! Which of the tokens still work, whoever said so: a list made from the issuer's database
//! (`tokenshim fingerprint`), or the homeserver, asked about each
//! ([`verify_live`](super::verify_live)).
//!
//! "Dead" is never a guess. A token that is not in a list is dead only if the list is whole
//! and has tokens of that kind; one that nobody could answer for is unknown.

mod read;
mod write;

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
};

use jiff::Timestamp;

use super::{registration::Registrations, sighting::TokenId};
use crate::redact::{self, TokenKind};

pub use self::{
    read::{LiveFile, LiveSetError},
    write::{Format, Row, Writer},
};

/// Whether a token works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It does: whoever has the log can use it.
    Alive,
    /// It does not, and never will again.
    Dead,
    /// Nobody could say.
    Unknown,
}

impl State {
    /// As reports have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Dead => "dead",
            Self::Unknown => "unknown",
        }
    }
}

/// What `--revoke` did about a token that was alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revocation {
    /// Nothing yet: it would be logged out with `--yes`.
    Planned,
    /// It was logged out, and the homeserver does not know it any more.
    Revoked,
    /// It was logged out, and the homeserver still takes it.
    StillAlive,
    /// It was logged out, and nobody could say what came of it.
    Unknown,
    /// It cannot be logged out; the reason says what to do instead.
    NotThisWay,
}

impl Revocation {
    /// As reports have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Revoked => "revoked",
            Self::StillAlive => "still_alive",
            Self::Unknown => "unknown",
            Self::NotThisWay => "not_this_way",
        }
    }
}

/// What is known of one token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Live<'s> {
    /// Whether it works.
    pub state: State,
    /// Whose it is, in the issuer's words.
    pub user: Option<&'s str>,
    /// Of which device.
    pub device: Option<&'s str>,
    /// Why nobody knows, or what else there is to say.
    pub reason: Option<&'s str>,
    /// What was done about it, if anything was asked for.
    pub revocation: Option<Revocation>,
    /// When that was so.
    pub checked_at: Timestamp,
    /// Who said it: `live-set FILE`, or the homeserver's URL.
    pub checked_by: &'s str,
}

/// What is known of many tokens.
#[derive(Clone, Debug)]
pub struct LiveSet {
    known: HashMap<TokenId, Known>,
    coverage: Coverage,
    checked_at: Timestamp,
    checked_by: String,
}

/// What is kept of one token.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) state: State,
    pub(super) user: Option<Box<str>>,
    pub(super) device: Option<Box<str>>,
    pub(super) reason: Option<Cow<'static, str>>,
    pub(super) revocation: Option<Revocation>,
    /// `None`: with all others.
    pub(super) at: Option<Timestamp>,
}

impl Known {
    /// A state, as of now.
    pub(super) fn now(state: State) -> Self {
        Self {
            state,
            user: None,
            device: None,
            reason: None,
            revocation: None,
            at: Some(Timestamp::now()),
        }
    }

    /// Nobody could say.
    pub(super) fn unknown(why: &'static str) -> Self {
        Self {
            reason: Some(why.into()),
            ..Self::now(State::Unknown)
        }
    }
}

/// What it means that a token is not in the set.
#[derive(Clone, Debug)]
enum Coverage {
    /// Nothing: these were asked about one by one.
    Asked {
        /// Some were found and not kept, since there were too many.
        has_left_out: bool,
        /// Somebody wanted an end before all of them were.
        is_interrupted: bool,
    },
    /// All tokens of these kinds are in it.
    Database {
        kinds: BTreeSet<Box<str>>,
        /// Why the list says nothing of what is not in it.
        broken: Option<&'static str>,
        /// Whether application services' tokens are known, so that a token without a
        /// shape is not one of them.
        has_registrations: bool,
    },
}

impl LiveSet {
    /// An empty one, for a check that begins now.
    pub(super) fn asked(checked_by: String, has_left_out: bool) -> Self {
        Self {
            known: HashMap::new(),
            coverage: Coverage::Asked {
                has_left_out,
                is_interrupted: false,
            },
            checked_at: Timestamp::now(),
            checked_by,
        }
    }

    /// Notes that somebody wanted an end.
    pub(super) fn interrupt(&mut self) {
        if let Coverage::Asked { is_interrupted, .. } = &mut self.coverage {
            *is_interrupted = true;
        }
    }

    pub(super) fn insert(&mut self, id: TokenId, known: Known) {
        self.known.insert(id, known);
    }

    /// Takes note of application services' tokens: they are in no database, and live as
    /// long as the registration has them.
    #[must_use]
    pub fn with_registrations(mut self, registrations: &Registrations) -> Self {
        if let Coverage::Database {
            has_registrations, ..
        } = &mut self.coverage
        {
            *has_registrations = !registrations.is_empty();
        }
        for (id, registered) in registrations.iter() {
            self.known.entry(id).or_insert_with(|| Known {
                state: State::Alive,
                user: None,
                device: None,
                reason: Some(registered.advice().into()),
                revocation: None,
                at: None,
            });
        }
        self
    }

    /// What is known of the token `id`, whose kind is `kind`.
    #[must_use]
    pub fn of(&self, id: TokenId, kind: &str) -> Live<'_> {
        let nobody = |(state, reason)| Live {
            state,
            user: None,
            device: None,
            reason: Some(reason),
            revocation: None,
            checked_at: self.checked_at,
            checked_by: &self.checked_by,
        };
        match self.known.get(&id) {
            None => nobody(self.coverage.of(kind)),
            Some(known) => Live {
                state: known.state,
                user: known.user.as_deref(),
                device: known.device.as_deref(),
                reason: known.reason.as_deref(),
                revocation: known.revocation,
                checked_at: known.at.unwrap_or(self.checked_at),
                checked_by: &self.checked_by,
            },
        }
    }

    /// When it was made, or begun.
    #[must_use]
    pub fn checked_at(&self) -> Timestamp {
        self.checked_at
    }

    /// How many tokens it has something to say of, for each state.
    #[must_use]
    pub fn count(&self, state: State) -> usize {
        let is_so = |known: &&Known| known.state == state;
        self.known.values().filter(is_so).count()
    }

    /// How many tokens came to this end.
    #[must_use]
    pub fn count_revocations(&self, revocation: Revocation) -> usize {
        let is_so = |known: &&Known| known.revocation == Some(revocation);
        self.known.values().filter(is_so).count()
    }

    /// Why it says less than it was meant to: a report with it is not complete.
    #[must_use]
    pub fn is_broken(&self) -> Option<&'static str> {
        match &self.coverage {
            Coverage::Database { broken, .. } => *broken,
            Coverage::Asked {
                is_interrupted: true,
                ..
            } => Some("interrupted before every token was asked about or ended"),
            Coverage::Asked { has_left_out, .. } => has_left_out.then_some(TOO_MANY),
        }
    }
}

const TOO_MANY: &str = "not asked: more tokens were found than are kept in memory";

impl Coverage {
    fn of(&self, kind: &str) -> (State, &'static str) {
        let (kinds, broken, has_registrations) = match self {
            Self::Asked { .. } if !is_askable(kind) => {
                return (
                    State::Unknown,
                    "not asked: it is no access token, or not surely",
                );
            }
            Self::Asked {
                has_left_out: true, ..
            } => return (State::Unknown, TOO_MANY),
            Self::Asked { .. } => return (State::Unknown, "not asked"),
            Self::Database {
                kinds,
                broken,
                has_registrations,
            } => (kinds, *broken, *has_registrations),
        };
        let why = match (broken, kind) {
            (Some(why), _) => why,
            (None, GUEST) => "not in the live set, but guests' tokens are in no database",
            (None, NAMELESS) if !has_registrations => {
                "not in the live set, but it may be an application service's: give --registration"
            }
            (None, _) if kinds.contains(kind) => return (State::Dead, GONE),
            (None, _) => {
                "not in the live set, which has no tokens of this kind: it may be from another database"
            }
        };
        (State::Unknown, why)
    }
}

const GONE: &str = "not in the live set";

/// Synapse's macaroons: those of guests are signed and stored nowhere.
const GUEST: &str = "synapse_macaroon";

/// What begins the name of a list that told it.
pub(in crate::audit) const BY_LIST: &str = "live-set ";

/// A token that only its name gave away, so that any issuer may have made it.
const NAMELESS: &str = "access_token";

/// Whether a homeserver can be asked with a token of this kind: as the credentials that
/// it is. Refresh tokens, login tokens and passwords are none, and what stood in an
/// `Authorization` field without a shape may be somebody's password for another service.
#[must_use]
pub fn is_askable(kind: &str) -> bool {
    matches!(
        kind,
        NAMELESS
            | GUEST
            | "synapse_access"
            | "mas_access"
            | "mas_compat_access"
            | "mas_personal"
            | "as_token"
            | "appservice_as"
    )
}

/// The kind that the shape of a token tells.
#[must_use]
pub fn kind_of(token: &[u8]) -> &'static str {
    shape_of(token).map_or(NAMELESS, TokenKind::name)
}

fn shape_of(token: &[u8]) -> Option<TokenKind> {
    let first = redact::find(token).into_iter().next()?;
    let is_all = first.span == (0..token.len());
    first
        .kind
        .token()
        .filter(|_| is_all)
        .map(|token| token.kind)
}

#[cfg(test)]
mod tests;
