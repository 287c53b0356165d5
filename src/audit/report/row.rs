//! One token, ready to be written.

use std::{borrow::Cow, cmp::Reverse};

use serde::Serialize;

use super::{Life, Remedy, name_of, prefix_of, remedy_of};
use crate::audit::{
    baseline::Known,
    tally::{TokenView, confidence_name, field_name, moment},
};

/// How bad a leak is, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::audit) enum Severity {
    /// It is dead, or was only ever refused.
    Low,
    /// Nothing proves that it worked, nor that it did not.
    Medium,
    /// It worked, or works.
    High,
    /// It did so as an administrator, or is of those that never expire.
    Critical,
}

/// How much a token needs care, what needs most first: what nobody knew yet, and how bad
/// it is.
pub(in crate::audit) type Rank = (bool, Reverse<Severity>);

impl Severity {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// One token, ready to be written.
#[derive(Debug, Serialize)]
pub(in crate::audit) struct TokenRow<'r> {
    pub(super) id: String,
    pub(super) severity: Severity,
    pub(in crate::audit) kind: &'r str,
    /// What all of its kind begin with.
    pub(super) prefix: &'static str,
    pub(super) confidence: &'static str,
    pub(in crate::audit) users: Vec<&'r str>,
    pub(super) count: u64,
    pub(super) accepted: u64,
    pub(super) refused: u64,
    pub(super) unproven: u64,
    pub(super) first_seen: Option<String>,
    pub(super) last_seen: Option<String>,
    pub(super) admin: bool,
    pub(super) admin_accepted: bool,
    pub(super) fields: Vec<&'static str>,
    pub(super) statuses: Vec<u16>,
    pub(super) methods: Vec<&'r str>,
    pub(super) endpoints: Vec<&'r str>,
    pub(super) clients: Vec<&'r str>,
    /// Some of them, where there are many.
    pub(super) networks: Vec<String>,
    pub(super) networks_count: u64,
    pub(super) networks_exact: bool,
    /// The first files by name.
    pub(super) sources: Vec<SourceRow<'r>>,
    /// Sightings in further files.
    pub(super) count_elsewhere: u64,
    /// `alive`, `dead`, `unknown` or `not_checked`.
    pub(in crate::audit) state: &'static str,
    pub(in crate::audit) live_user: Option<String>,
    pub(in crate::audit) device: Option<String>,
    pub(super) state_reason: Option<String>,
    pub(super) revocation: Option<&'static str>,
    pub(super) checked_at: Option<String>,
    pub(super) checked_by: Option<String>,
    /// Whether the baseline has it.
    pub(super) known: bool,
    pub(super) known_reason: Option<&'r str>,
}

/// Lines of one file.
#[derive(Debug, Serialize)]
pub(super) struct SourceRow<'r> {
    pub(super) file: Cow<'r, str>,
    pub(super) first_line: u64,
    pub(super) last_line: u64,
    pub(super) count: u32,
}

impl<'r> TokenRow<'r> {
    pub(super) fn of(
        token: &TokenView<'r>,
        names: &'r [String],
        life: Option<Life>,
        known: Option<&'r Known>,
    ) -> Self {
        let sources: Vec<SourceRow<'_>> = token
            .spots()
            .map(|spot| SourceRow {
                file: name_of(names, spot.input),
                first_line: spot.first,
                last_line: spot.last,
                count: spot.count,
            })
            .collect();
        let listed = sources
            .iter()
            .fold(0_u64, |sum, source| sum.saturating_add(source.count.into()));
        let (networks_count, networks_exact) = token.distinct_networks();
        let kind = token.kind();
        let state = Life::state_of(life.as_ref());
        let life = life.unwrap_or_default();
        Self {
            id: token.id().to_string(),
            severity: severity(token, state),
            prefix: prefix_of(kind),
            kind,
            confidence: confidence_name(token.confidence()),
            users: token.users().collect(),
            count: token.count(),
            accepted: token.accepted(),
            refused: token.refused(),
            unproven: token.unproven(),
            first_seen: token.seen().map(|(first, _)| moment(first)),
            last_seen: token.seen().map(|(_, last)| moment(last)),
            admin: token.is_admin(),
            admin_accepted: token.is_admin_accepted(),
            fields: token.fields().map(field_name).collect(),
            statuses: token.statuses().collect(),
            methods: token.methods(),
            endpoints: token.endpoints(),
            clients: token.families(),
            networks: token.networks(),
            networks_count,
            networks_exact,
            count_elsewhere: token.count().saturating_sub(listed),
            sources,
            state,
            live_user: life.user,
            device: life.device,
            state_reason: life.reason,
            revocation: life.revocation,
            checked_at: life.checked.as_ref().map(|(time, _)| time.to_string()),
            checked_by: life.checked.map(|(_, who)| who),
            known: known.is_some(),
            known_reason: known.and_then(|known| known.reason.as_deref()),
        }
    }

    /// The first digits of its id: what access logs under the same key have.
    pub(super) fn short_id(&self) -> &str {
        self.id.get(..10).unwrap_or(&self.id)
    }

    /// Whose it is, the issuer's word first.
    pub(super) fn owners(&self) -> String {
        match &self.live_user {
            Some(user) => user.clone(),
            None => self.users.join(", "),
        }
    }

    /// `accepted 3, refused 1`.
    pub(super) fn outcome(&self) -> String {
        let counts = [
            ("accepted", self.accepted),
            ("refused", self.refused),
            ("unproven", self.unproven),
        ];
        let words = counts.into_iter().filter(|(_, count)| *count > 0);
        let words: Vec<_> = words
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        words.join(", ")
    }
}

pub(super) fn severity(token: &TokenView<'_>, state: &str) -> Severity {
    let is_alive = state == "alive";
    if state == "dead" {
        Severity::Low
    } else if remedy_of(token.kind()) == Remedy::Appservice
        || token.is_admin_accepted()
        || (is_alive && token.is_admin())
    {
        Severity::Critical
    } else if is_alive || token.accepted() > 0 {
        Severity::High
    } else if token.unproven() > 0 {
        Severity::Medium
    } else {
        Severity::Low
    }
}
