//! What a report says beside its tokens: of the run, of all of it together, of its days,
//! files, formats and clients.

use std::{borrow::Cow, cmp::Reverse, fmt};

use serde::Serialize;

use super::Meta;
use crate::audit::tally::{Tally, TokenView, field_name, moment};

#[derive(Debug, Serialize)]
pub(super) struct MetaRow {
    pub(super) tool: String,
    pub(super) key_id: String,
    pub(super) ephemeral_key: bool,
    pub(super) full_addresses: bool,
    pub(super) since: Option<String>,
    pub(super) until: Option<String>,
    pub(super) complete: bool,
    pub(super) incomplete: Vec<GapRow>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct GapRow {
    pub(super) file: Option<String>,
    pub(super) why: String,
}

impl fmt::Display for GapRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{file}: {}", self.why),
            None => f.write_str(&self.why),
        }
    }
}

/// Sums over everything.
#[derive(Debug, Default, Serialize)]
pub(in crate::audit) struct Totals {
    pub(super) lines: u64,
    pub(super) bytes: u64,
    pub(super) lines_with_secrets: u64,
    pub(super) lines_not_understood: u64,
    pub(super) files: u64,
    pub(super) files_with_secrets: u64,
    pub(super) findings: u64,
    pub(super) accepted: u64,
    pub(super) refused: u64,
    pub(super) unproven: u64,
    pub(in crate::audit) tokens: u64,
    pub(in crate::audit) tokens_known: u64,
    pub(in crate::audit) tokens_alive: u64,
    pub(super) tokens_dead: u64,
    pub(super) tokens_accepted: u64,
    pub(super) tokens_admin: u64,
    pub(super) tokens_admin_accepted: u64,
    pub(super) first_seen: Option<String>,
    pub(super) last_seen: Option<String>,
    #[serde(skip)]
    pub(super) seen: Option<(i64, i64)>,
}

#[derive(Debug, Serialize)]
pub(super) struct DayRow {
    pub(super) day: String,
    pub(super) lines_with_secrets: u64,
    pub(super) accepted: u64,
    pub(super) refused: u64,
    pub(super) unproven: u64,
}

#[derive(Debug, Serialize)]
pub(in crate::audit) struct FileRow {
    pub(in crate::audit) name: String,
    pub(super) lines: u64,
    pub(super) bytes: u64,
    pub(in crate::audit) lines_with_secrets: u64,
    pub(super) lines_not_understood: u64,
    pub(super) findings: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct FormatRow {
    pub(super) name: String,
    pub(super) lines: u64,
    pub(super) lines_with_secrets: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct ClientRow {
    pub(super) client: String,
    pub(super) kind: String,
    pub(super) field: &'static str,
    pub(super) endpoint: String,
    pub(super) count: u64,
    pub(super) accepted: u64,
    pub(super) refused: u64,
    pub(super) tokens: u64,
    pub(super) tokens_exact: bool,
    pub(super) first_seen: Option<String>,
    pub(super) last_seen: Option<String>,
}

impl Totals {
    /// What files say for themselves; the rest is for their tokens to say.
    pub(super) fn of(files: &[FileRow]) -> Self {
        let mut totals = Self::default();
        for file in files {
            let add = |sum: &mut u64, number: u64| *sum = sum.saturating_add(number);
            add(&mut totals.lines, file.lines);
            add(&mut totals.bytes, file.bytes);
            add(&mut totals.lines_with_secrets, file.lines_with_secrets);
            add(&mut totals.lines_not_understood, file.lines_not_understood);
            add(&mut totals.files, 1);
            add(&mut totals.files_with_secrets, u64::from(file.findings > 0));
        }
        totals
    }

    pub(super) fn count(&mut self, token: &TokenView<'_>, state: &str, is_known: bool) {
        let add = |sum: &mut u64, number: u64| *sum = sum.saturating_add(number);
        add(&mut self.findings, token.count());
        add(&mut self.accepted, token.accepted());
        add(&mut self.refused, token.refused());
        add(&mut self.unproven, token.unproven());
        add(&mut self.tokens, 1);
        add(&mut self.tokens_known, u64::from(is_known));
        add(&mut self.tokens_alive, u64::from(state == "alive"));
        add(&mut self.tokens_dead, u64::from(state == "dead"));
        add(&mut self.tokens_accepted, u64::from(token.accepted() > 0));
        add(&mut self.tokens_admin, u64::from(token.is_admin()));
        add(
            &mut self.tokens_admin_accepted,
            u64::from(token.is_admin_accepted()),
        );
        if let Some((first, last)) = token.seen() {
            let (from, to) = self.seen.unwrap_or((first, last));
            self.seen = Some((from.min(first), to.max(last)));
        }
    }
}

pub(super) fn meta_row(tally: &Tally, names: &[String], meta: &Meta) -> MetaRow {
    let mut incomplete: Vec<GapRow> = tally
        .gaps()
        .map(|(input, why)| GapRow {
            file: input.map(|input| name_of(names, input).into_owned()),
            why: why.to_owned(),
        })
        .collect();
    if !meta.is_complete {
        incomplete.push(GapRow {
            file: None,
            why: STOPPED.to_owned(),
        });
    }
    incomplete.sort_unstable();
    incomplete.dedup();
    MetaRow {
        tool: concat!("tokenshim ", env!("CARGO_PKG_VERSION")).to_owned(),
        key_id: meta.key_id.clone(),
        ephemeral_key: meta.is_ephemeral,
        full_addresses: tally.has_full_addresses(),
        since: meta.since.map(|time| time.to_string()),
        until: meta.until.map(|time| time.to_string()),
        complete: incomplete.is_empty(),
        incomplete,
    }
}

/// Why a report is incomplete that nobody gave a reason for.
pub(in crate::audit) const STOPPED: &str = "it was stopped before its end";

pub(super) fn day_rows(tally: &Tally) -> Vec<DayRow> {
    let rows = tally.days().map(|(date, day)| DayRow {
        day: date.to_string(),
        lines_with_secrets: day.lines,
        accepted: day.accepted,
        refused: day.refused,
        unproven: day.unproven,
    });
    rows.collect()
}

pub(super) fn file_rows(tally: &Tally, names: &[String]) -> Vec<FileRow> {
    let mut rows: Vec<FileRow> = Vec::with_capacity(names.len());
    for (input, name) in (0_u32..).zip(names) {
        let file = tally.file(input);
        rows.push(FileRow {
            name: name.clone(),
            lines: file.map_or(0, |file| file.lines),
            bytes: file.map_or(0, |file| file.bytes),
            lines_with_secrets: file.map_or(0, |file| file.lines_with_secrets),
            lines_not_understood: file.map_or(0, |file| file.lines_not_understood),
            findings: file.map_or(0, |file| file.findings),
        });
    }
    rows.sort_by(|left, right| left.name.cmp(&right.name));
    rows
}

pub(super) fn format_rows(tally: &Tally) -> Vec<FormatRow> {
    let rows = tally.formats().into_iter().map(|(name, total)| FormatRow {
        name: name.to_owned(),
        lines: total.lines,
        lines_with_secrets: total.lines_with_secrets,
    });
    rows.collect()
}

pub(super) fn client_rows(tally: &Tally) -> Vec<ClientRow> {
    let mut clients = tally.clients();
    clients.sort_by_key(|client| Reverse(client.count));
    let rows = clients.into_iter().map(|client| ClientRow {
        client: client.family.to_owned(),
        kind: client.kind.to_owned(),
        field: field_name(client.field),
        endpoint: client.endpoint.to_owned(),
        count: client.count,
        accepted: client.accepted,
        refused: client.refused,
        tokens: client.tokens.0,
        tokens_exact: client.tokens.1,
        first_seen: client.seen.map(|(first, _)| moment(first)),
        last_seen: client.seen.map(|(_, last)| moment(last)),
    });
    rows.collect()
}

/// The name of an input.
pub(in crate::audit) fn name_of(names: &[String], input: u32) -> Cow<'_, str> {
    usize::try_from(input)
        .ok()
        .and_then(|input| names.get(input))
        .map_or_else(|| format!("input {input}").into(), Into::into)
}
