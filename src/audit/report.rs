//! What an audit has found, for people and for programs.
//!
//! A report is made once and then only written down, in any of the formats. It has no
//! secret and nothing of one but what its issuer puts in front of all of them (`syt_`), so
//! a report may be sent where its logs may not. Nothing in it tells when or where it was
//! made: equal findings are equal bytes.
//!
//! Tokens become rows while they are written, one at a time: a hundred thousand of them
//! fit in memory as a [`Tally`] and nowhere else.

mod csv;
mod deliver;
mod html;
mod json;
mod kind;
mod row;
mod safe;
mod sarif;
mod summary;
mod text;

use std::{
    cmp::Reverse,
    io::{self, Write},
};

use jiff::Timestamp;

use super::{
    advice::{self, Step},
    baseline::{Baseline, Known},
    live_set::{BY_LIST, State},
    sighting::TokenId,
    tally::{Tally, TokenView, moment},
};
pub use deliver::deliver;
pub(in crate::audit) use json::Visible;
pub(in crate::audit) use kind::{Remedy, prefix_of, remedy_of};
pub(in crate::audit) use row::{Rank, Severity};
use row::{SourceRow, TokenRow};
pub(in crate::audit) use safe::{quoted, shell};
use summary::{ClientRow, DayRow, FormatRow, MetaRow};
pub(in crate::audit) use summary::{FileRow, STOPPED, Totals, name_of};

/// The version of the JSON formats: `docs/audit-report.schema.json`.
const SCHEMA_VERSION: u32 = 1;

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ReportFormat {
    /// For people: the worst first, then what to do.
    Text,
    /// Everything in one object.
    Json,
    /// One object for each token, and one of totals; also a baseline.
    Ndjson,
    /// One row for each token, and for what could not be read.
    Csv,
    /// For code scanning: one result for each token and file, up to eight of each token.
    Sarif,
    /// One page without scripts.
    Html,
}

/// What is known of a run beside what it found.
#[derive(Clone, Debug, Default)]
pub struct Meta {
    /// Which key the ids were made with.
    pub key_id: String,
    /// Whether nobody has that key any more.
    pub is_ephemeral: bool,
    /// Whether it came to its end.
    pub is_complete: bool,
    /// Only lines from then on.
    pub since: Option<Timestamp>,
    /// Only lines until then.
    pub until: Option<Timestamp>,
    /// What stdin is called, if it was read: no command can name it.
    pub stdin: Option<String>,
}

/// The state of a token that nobody asked about.
const NOT_CHECKED: &str = "not_checked";

/// Whether a token works, as far as somebody said so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// `alive`, `dead` or `unknown`.
    pub state: &'static str,
    /// Whose it is, in its issuer's words.
    pub user: Option<String>,
    /// Of which device.
    pub device: Option<String>,
    /// Why nobody knows, or what else there is to say.
    pub reason: Option<String>,
    /// What was done about it.
    pub revocation: Option<&'static str>,
    /// When, and who said it.
    pub checked: Option<(Timestamp, String)>,
}

impl Life {
    /// What a report says of a token of which this is known.
    fn state_of(life: Option<&Self>) -> &'static str {
        life.map_or(NOT_CHECKED, |life| life.state)
    }

    /// A list says nothing of a token that came after it.
    fn if_told_later_than(self, first_seen: Option<i64>) -> Self {
        let is_too_old = self
            .checked
            .as_ref()
            .zip(first_seen)
            .is_some_and(|((at, who), first)| who.starts_with(BY_LIST) && at.as_second() < first);
        if self.state != State::Dead.name() || !is_too_old {
            return self;
        }
        Self {
            state: State::Unknown.name(),
            reason: Some("first seen after the live set was made".to_owned()),
            ..self
        }
    }
}

/// Who knows whether tokens work.
pub trait Lives {
    /// What is known of one; `None` if nobody was asked.
    fn life(&self, id: TokenId, kind: &str) -> Option<Life>;
}

/// What an audit has found.
#[expect(
    missing_debug_implementations,
    reason = "whoever knows of lives need not print"
)]
pub struct Report<'a> {
    tally: &'a Tally,
    names: &'a [String],
    live: Option<&'a dyn Lives>,
    baseline: Option<&'a Baseline>,
    meta: MetaRow,
    totals: Totals,
    days: Vec<DayRow>,
    files: Vec<FileRow>,
    formats: Vec<FormatRow>,
    /// Places in the tally, the worst first.
    order: Vec<usize>,
    clients: Vec<ClientRow>,
    advice: Vec<Step>,
}

impl<'a> Report<'a> {
    /// The report of a tally whose inputs have these names.
    #[must_use]
    pub fn of(
        tally: &'a Tally,
        names: &'a [String],
        meta: &Meta,
        live: Option<&'a dyn Lives>,
        baseline: Option<&'a Baseline>,
    ) -> Self {
        let files = summary::file_rows(tally, names);
        let mut report = Self {
            tally,
            names,
            live,
            baseline,
            meta: summary::meta_row(tally, names, meta),
            totals: Totals::of(&files),
            days: summary::day_rows(tally),
            files,
            formats: summary::format_rows(tally),
            order: Vec::new(),
            clients: summary::client_rows(tally),
            advice: Vec::new(),
        };
        let mut found = advice::Found::default();
        report.rank(&mut found);
        report.totals.first_seen = report.totals.seen.map(|(first, _)| moment(first));
        report.totals.last_seen = report.totals.seen.map(|(_, last)| moment(last));
        let stdin = meta.stdin.as_deref();
        report.advice = advice::steps(&found, &report.totals, &report.files, stdin);
        report
    }

    /// 0 clean, 1 leaks that no baseline has, 3 if something was not read, leaks or
    /// not: incomplete never looks like clean.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if self.meta.complete {
            u8::from(self.totals.tokens > self.totals.tokens_known)
        } else {
            3
        }
    }

    /// The tokens, the worst first.
    fn tokens(&self) -> impl Iterator<Item = TokenRow<'a>> {
        let tokens = self
            .order
            .iter()
            .filter_map(|place| self.tally.token(*place));
        tokens.map(|token| {
            let known = self.known(&token);
            TokenRow::of(&token, self.names, self.life(&token), known)
        })
    }

    fn life(&self, token: &TokenView<'_>) -> Option<Life> {
        let life = self.live?.life(token.id(), token.kind())?;
        Some(life.if_told_later_than(token.seen().map(|(first, _)| first)))
    }

    fn known(&self, token: &TokenView<'_>) -> Option<&'a Known> {
        self.baseline?.get(token.id())
    }

    /// Puts the worst tokens first, and counts on the way.
    fn rank(&mut self, found: &mut advice::Found) {
        let mut keys = Vec::with_capacity(self.tally.distinct());
        for place in 0..self.tally.distinct() {
            let Some(token) = self.tally.token(place) else {
                continue;
            };
            let life = self.life(&token);
            let state = Life::state_of(life.as_ref());
            let is_known = self.known(&token).is_some();
            self.totals.count(&token, state, is_known);
            let rank: Rank = (is_known, Reverse(row::severity(&token, state)));
            keys.push((rank, Reverse(token.count()), token.id(), place));
        }
        keys.sort_unstable();
        for (rank, .., place) in &keys {
            if let Some(token) = self.tally.token(*place) {
                found.note(&token, *rank, self.life(&token).as_ref());
            }
        }
        self.order = keys.into_iter().map(|(.., place)| place).collect();
    }
}

/// Says on stderr what a table does not speak for, in whose rows nobody may look for it.
///
/// # Errors
///
/// What writing gives.
pub fn warn(report: &Report<'_>, format: ReportFormat, stderr: &mut dyn Write) -> io::Result<()> {
    if format != ReportFormat::Csv {
        return Ok(());
    }
    for gap in &report.meta.incomplete {
        writeln!(
            stderr,
            "tokenshim: incomplete: {}",
            safe::plain(&gap.to_string())
        )?;
    }
    Ok(())
}

/// Writes a report; to a terminal with colours, as wide as that is.
///
/// # Errors
///
/// What writing gives.
pub fn write(
    report: &Report<'_>,
    format: ReportFormat,
    out: &mut dyn Write,
    is_terminal: bool,
) -> io::Result<()> {
    match format {
        ReportFormat::Text => text::write(report, out, text::Screen::of(is_terminal)),
        ReportFormat::Json => json::write(report, out),
        ReportFormat::Ndjson => json::write_lines(report, out),
        ReportFormat::Csv => csv::write(report, out),
        ReportFormat::Sarif => sarif::write(report, out),
        ReportFormat::Html => html::write(report, out),
    }
}
