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
mod html;
mod json;
mod kind;
mod row;
mod safe;
mod sarif;
mod text;

use std::{
    fs::{self, File},
    io::{self, BufWriter, IsTerminal as _, Write},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::Serialize;

use super::{
    advice::{self, Step},
    baseline::Baseline,
    live_set::{BY_LIST, State},
    sighting::TokenId,
    tally::{Tally, field_name, moment},
};
pub(in crate::audit) use kind::{Remedy, prefix_of, remedy_of};
pub(in crate::audit) use row::TokenRow;
use row::{Severity, SourceRow};
pub(in crate::audit) use safe::shell;

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
    /// One row for each token.
    Csv,
    /// For code scanning: one result for each token and file.
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
}

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

#[derive(Debug, Serialize)]
struct MetaRow {
    tool: String,
    key_id: String,
    ephemeral_key: bool,
    full_addresses: bool,
    since: Option<String>,
    until: Option<String>,
    complete: bool,
    incomplete: Vec<GapRow>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct GapRow {
    file: Option<String>,
    why: String,
}

/// Sums over everything.
#[derive(Debug, Default, Serialize)]
pub(in crate::audit) struct Totals {
    lines: u64,
    bytes: u64,
    lines_with_secrets: u64,
    lines_not_understood: u64,
    files: u64,
    files_with_secrets: u64,
    findings: u64,
    accepted: u64,
    refused: u64,
    unproven: u64,
    pub(in crate::audit) tokens: u64,
    pub(in crate::audit) tokens_known: u64,
    pub(in crate::audit) tokens_alive: u64,
    tokens_dead: u64,
    tokens_accepted: u64,
    tokens_admin: u64,
    tokens_admin_accepted: u64,
    first_seen: Option<String>,
    last_seen: Option<String>,
    #[serde(skip)]
    seen: Option<(i64, i64)>,
}

#[derive(Debug, Serialize)]
struct DayRow {
    day: String,
    lines_with_secrets: u64,
    accepted: u64,
    refused: u64,
    unproven: u64,
}

#[derive(Debug, Serialize)]
pub(in crate::audit) struct FileRow {
    pub(in crate::audit) name: String,
    lines: u64,
    bytes: u64,
    pub(in crate::audit) lines_with_secrets: u64,
    lines_not_understood: u64,
    findings: u64,
}

#[derive(Debug, Serialize)]
struct FormatRow {
    name: String,
    lines: u64,
    lines_with_secrets: u64,
}

#[derive(Debug, Serialize)]
struct ClientRow {
    client: String,
    kind: String,
    field: &'static str,
    endpoint: String,
    count: u64,
    accepted: u64,
    tokens: u64,
    tokens_exact: bool,
    first_seen: Option<String>,
    last_seen: Option<String>,
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
        let mut report = Self {
            tally,
            names,
            live,
            baseline,
            meta: meta_row(tally, names, meta),
            totals: Totals::default(),
            days: day_rows(tally),
            files: file_rows(tally, names),
            formats: format_rows(tally),
            order: Vec::new(),
            clients: client_rows(tally),
            advice: Vec::new(),
        };
        report.sum_files();
        let mut found = advice::Found::default();
        report.order = report.rank(&mut found);
        report.totals.first_seen = report.totals.seen.map(|(first, _)| moment(first));
        report.totals.last_seen = report.totals.seen.map(|(_, last)| moment(last));
        report.advice = advice::steps(&found, &report.totals, &report.files);
        report
    }

    /// 0 clean, 1 leaks that no baseline has, 3 if something was not read or understood,
    /// leaks or not: incomplete never looks like clean.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if self.meta.complete {
            u8::from(self.totals.tokens > self.totals.tokens_known)
        } else {
            3
        }
    }

    /// The tokens, the worst first.
    fn tokens(&self) -> impl Iterator<Item = TokenRow> {
        let rows = self.order.iter();
        rows.filter_map(|place| self.row(*place))
    }

    fn row(&self, place: usize) -> Option<TokenRow> {
        let token = self.tally.token(place)?;
        let life = self
            .live
            .and_then(|lives| lives.life(token.id(), token.kind()))
            .map(|life| life.if_told_later_than(token.seen().map(|(first, _)| first)));
        let known = self.baseline.and_then(|baseline| baseline.get(token.id()));
        Some(TokenRow::of(&token, self.names, life, known))
    }

    /// Puts the worst tokens first, and counts on the way.
    fn rank(&mut self, found: &mut advice::Found) -> Vec<usize> {
        let mut keys = Vec::with_capacity(self.tally.distinct());
        for place in 0..self.tally.distinct() {
            let Some(row) = self.row(place) else { continue };
            self.totals
                .count(&row, self.tally.token(place).and_then(|token| token.seen()));
            found.note(&row);
            let id = self.tally.token(place).map(|token| token.id());
            let key = (
                row.known,
                std::cmp::Reverse(row.severity),
                std::cmp::Reverse(row.count),
            );
            keys.push((key, id, place));
        }
        keys.sort_unstable();
        keys.into_iter().map(|(_, _, place)| place).collect()
    }

    fn sum_files(&mut self) {
        for file in &self.files {
            let totals = &mut self.totals;
            totals.lines = totals.lines.saturating_add(file.lines);
            totals.bytes = totals.bytes.saturating_add(file.bytes);
            totals.lines_with_secrets = totals
                .lines_with_secrets
                .saturating_add(file.lines_with_secrets);
            totals.lines_not_understood = totals
                .lines_not_understood
                .saturating_add(file.lines_not_understood);
            totals.files = totals.files.saturating_add(1);
            totals.files_with_secrets = totals
                .files_with_secrets
                .saturating_add(u64::from(file.findings > 0));
        }
    }
}

impl Totals {
    fn count(&mut self, row: &TokenRow, seen: Option<(i64, i64)>) {
        let add = |sum: &mut u64, number: u64| *sum = sum.saturating_add(number);
        add(&mut self.findings, row.count);
        add(&mut self.accepted, row.accepted);
        add(&mut self.refused, row.refused);
        add(&mut self.unproven, row.unproven);
        add(&mut self.tokens, 1);
        add(&mut self.tokens_known, u64::from(row.known));
        add(&mut self.tokens_alive, u64::from(row.state == "alive"));
        add(&mut self.tokens_dead, u64::from(row.state == "dead"));
        add(&mut self.tokens_accepted, u64::from(row.accepted > 0));
        add(&mut self.tokens_admin, u64::from(row.admin));
        add(
            &mut self.tokens_admin_accepted,
            u64::from(row.admin_accepted),
        );
        if let Some((first, last)) = seen {
            let (from, to) = self.seen.unwrap_or((first, last));
            self.seen = Some((from.min(first), to.max(last)));
        }
    }
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

fn meta_row(tally: &Tally, names: &[String], meta: &Meta) -> MetaRow {
    let mut incomplete: Vec<GapRow> = tally
        .gaps()
        .map(|(input, why)| GapRow {
            file: input.map(|input| name_of(names, input)),
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

fn day_rows(tally: &Tally) -> Vec<DayRow> {
    let rows = tally.days().map(|(date, day)| DayRow {
        day: date.to_string(),
        lines_with_secrets: day.lines,
        accepted: day.accepted,
        refused: day.refused,
        unproven: day.unproven,
    });
    rows.collect()
}

fn file_rows(tally: &Tally, names: &[String]) -> Vec<FileRow> {
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

fn format_rows(tally: &Tally) -> Vec<FormatRow> {
    let rows = tally.formats().into_iter().map(|(name, total)| FormatRow {
        name: name.to_owned(),
        lines: total.lines,
        lines_with_secrets: total.lines_with_secrets,
    });
    rows.collect()
}

fn client_rows(tally: &Tally) -> Vec<ClientRow> {
    let mut clients = tally.clients();
    clients.sort_by_key(|client| std::cmp::Reverse(client.count));
    let rows = clients.into_iter().map(|client| ClientRow {
        client: client.family.to_owned(),
        kind: client.kind.to_owned(),
        field: field_name(client.field),
        endpoint: client.endpoint.to_owned(),
        count: client.count,
        accepted: client.accepted,
        tokens: client.tokens.0,
        tokens_exact: client.tokens.1,
        first_seen: client.seen.map(|(first, _)| moment(first)),
        last_seen: client.seen.map(|(_, last)| moment(last)),
    });
    rows.collect()
}

/// The name of an input.
pub(in crate::audit) fn name_of(names: &[String], input: u32) -> String {
    usize::try_from(input)
        .ok()
        .and_then(|input| names.get(input).cloned())
        .unwrap_or_else(|| format!("input {input}"))
}

/// Writes to a file, which is there whole or not at all, or to stdout; a reader that has
/// read enough is no failure.
///
/// # Errors
///
/// The file's name, and what it gave.
pub fn deliver(
    path: Option<&Path>,
    write: impl FnOnce(&mut dyn Write, bool) -> io::Result<()>,
) -> Result<(), (PathBuf, io::Error)> {
    let Some(path) = path.filter(|path| *path != Path::new("-")) else {
        let stdout = io::stdout();
        let is_terminal = stdout.is_terminal();
        let mut out = BufWriter::new(stdout.lock());
        return match write(&mut out, is_terminal).and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(("stdout".into(), error))
            }
            Ok(()) | Err(_) => Ok(()),
        };
    };
    let named = |error| (path.to_owned(), error);
    // Beside it, so that renaming is all that is left to do.
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    let beside = PathBuf::from(name);
    let written = File::create(&beside).and_then(|file| {
        let mut out = BufWriter::new(file);
        write(&mut out, false)?;
        out.into_inner()?.sync_all()?;
        fs::rename(&beside, path)
    });
    if written.is_err() {
        // The reason is told; the rest of the file is of no use.
        let _ = fs::remove_file(&beside);
    }
    written.map_err(named)
}
