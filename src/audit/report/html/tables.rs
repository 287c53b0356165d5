//! The tables of the page, with the charts beside them.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{
    chart::{Bar, columns, key, lying},
    left_out, short,
};
use crate::audit::report::{
    ClientRow, NOT_CHECKED, Report, TokenRow, csv, safe,
    text::{about, day},
};

const MOST_TOKENS: usize = 60;
const MOST_CLIENTS: usize = 40;
const MOST_FILES: usize = 40;
/// Days that have a bar of their own; beyond, months have.
const MOST_DAYS: usize = 62;
/// Endpoints, sources and networks of one token.
const MOST_DETAILS: usize = 3;

pub(super) fn tokens(report: &Report<'_>) -> Markup {
    html! {
        h2 { "Secrets, the worst first" }
        div.scroll tabindex="0" {
            table data-testid="tokens-table" {
                caption { "Secrets, the worst first" }
                thead { tr {
                    th { "id" } th { "kind" } th { "whose" } th.n { "seen" } th { "first, last" }
                    th { "outcome" } th { "where" } th { "files" }
                } }
                tbody { @for row in report.tokens().take(MOST_TOKENS) { (token(&row)) } }
            }
        }
        (left_out(report.order.len(), MOST_TOKENS))
    }
}

fn token(row: &TokenRow<'_>) -> Markup {
    let severity = if row.known {
        "known"
    } else {
        row.severity.name()
    };
    let sources: Vec<String> = row.sources.iter().map(csv::source).collect();
    html! {
        tr {
            td.w { code title=(row.id) { (row.short_id()) } br; span.tag.(severity) { (severity) } }
            td.w {
                (safe::plain(row.kind))
                small { @if !row.prefix.is_empty() { code { (row.prefix) "…" } " " } (row.confidence) }
            }
            td.any {
                (safe::plain(&row.owners()))
                @if let Some(device) = &row.device { small { "device " (safe::plain(device)) } }
            }
            td.n { (safe::number(row.count)) }
            td.w { (short(row.first_seen.as_deref())) br; (short(row.last_seen.as_deref())) }
            td.any {
                (row.outcome())
                @if row.state != NOT_CHECKED { small { "now " span class=(row.state) { (row.state) } } }
                @if let Some(revocation) = row.revocation { small { "revocation: " (revocation.replace('_', " ")) } }
                @if let Some(reason) = row.known_reason.or(row.state_reason.as_deref()) {
                    small { (safe::plain(reason)) }
                }
            }
            td.wide {
                @if row.admin { span.tag.critical { "administration" } }
                (few(&row.endpoints))
                small { (joined(&row.clients)) }
                small { (joined(&row.networks)) }
                @if !row.networks_exact { small { "of " (about(row.networks_count, false)) " networks" } }
            }
            td.wide {
                (few(&sources))
                @if row.count_elsewhere > 0 { small { (safe::number(row.count_elsewhere)) " more in other files" } }
            }
        }
    }
}

fn few(words: &[impl AsRef<str>]) -> Markup {
    let more = words.len().saturating_sub(MOST_DETAILS);
    html! {
        @for word in words.iter().take(MOST_DETAILS) { small { (safe::plain(word.as_ref())) } }
        @if more > 0 { small { "and " (more) " more" } }
    }
}

fn joined(words: &[impl AsRef<str>]) -> String {
    let shown: Vec<String> = words
        .iter()
        .take(MOST_DETAILS)
        .map(|word| safe::plain(word.as_ref()))
        .collect();
    match words.len().saturating_sub(MOST_DETAILS) {
        0 => shown.join(", "),
        more => format!("{}, and {more} more", shown.join(", ")),
    }
}

pub(super) fn days(report: &Report<'_>) -> Markup {
    let (unit, bars) = bars_of_days(report);
    let most = bars.iter().map(Bar::sum).max().unwrap_or_default();
    html! {
        @if let (Some(first), Some(last)) = (bars.first(), bars.last()) {
            h2 { "Sightings per " (unit) }
            div.two {
                div.card {
                    (key())
                    (columns(&format!("Sightings per {unit}, at most {most}"), &bars))
                    div.axis { span { (first.label) } span { "at most " (safe::number(most)) } span { (last.label) } }
                }
                div.scroll.tall tabindex="0" {
                    table {
                        caption { "Sightings per " (unit) }
                        thead { tr { th { (unit) } th.n { "accepted" } th.n { "unproven" } th.n { "refused" } } }
                        tbody {
                            @for bar in &bars {
                                tr { td.w { (bar.label) } @for part in bar.parts { td.n { (safe::number(part)) } } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Days, or months if there are too many days.
fn bars_of_days(report: &Report<'_>) -> (&'static str, Vec<Bar>) {
    let (unit, length) = if report.days.len() > MOST_DAYS {
        ("month", 7)
    } else {
        ("day", 10)
    };
    let mut sums: BTreeMap<&str, [u64; 3]> = BTreeMap::new();
    for row in &report.days {
        let sum = sums
            .entry(row.day.get(..length).unwrap_or(&row.day))
            .or_default();
        for (sum, part) in sum
            .iter_mut()
            .zip([row.accepted, row.unproven, row.refused])
        {
            *sum = sum.saturating_add(part);
        }
    }
    let bars = sums.into_iter().map(|(label, parts)| Bar {
        label: label.to_owned(),
        parts,
    });
    (unit, bars.collect())
}

pub(super) fn kinds(report: &Report<'_>) -> Markup {
    let mut sums: BTreeMap<&str, ([u64; 3], u64)> = BTreeMap::new();
    for row in report.tokens() {
        let (parts, tokens) = sums.entry(row.kind).or_default();
        for (sum, part) in parts
            .iter_mut()
            .zip([row.accepted, row.unproven, row.refused])
        {
            *sum = sum.saturating_add(part);
        }
        *tokens = tokens.saturating_add(1);
    }
    let mut bars: Vec<(Bar, u64)> = sums
        .into_iter()
        .map(|(label, (parts, tokens))| {
            (
                Bar {
                    label: label.to_owned(),
                    parts,
                },
                tokens,
            )
        })
        .collect();
    bars.sort_by_key(|(bar, _)| std::cmp::Reverse(bar.sum()));
    let most = bars.first().map_or(0, |(bar, _)| bar.sum());
    html! {
        h2 { "Kinds and what became of them" }
        (key())
        div.scroll tabindex="0" {
            table {
                caption { "Kinds and what became of them" }
                thead { tr { th { "kind" } th.n { "secrets" } th.n { "accepted" } th.n { "unproven" } th.n { "refused" } th { "" } } }
                tbody {
                    @for (bar, tokens) in &bars {
                        tr {
                            td.w { (safe::plain(&bar.label)) }
                            td.n { (safe::number(*tokens)) }
                            @for part in bar.parts { td.n { (safe::number(part)) } }
                            td { (lying(bar, most)) }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn clients(report: &Report<'_>) -> Markup {
    let most = report.clients.first().map_or(0, |client| client.count);
    html! {
        h2 { "Clients to fix" }
        div.scroll tabindex="0" {
            table data-testid="clients-table" {
                caption { "Clients to fix" }
                thead { tr {
                    th { "client" } th { "sends" } th { "in" } th { "to" } th.n { "times" } th { "" } th.n { "secrets" } th { "last" }
                } }
                tbody {
                    @for client in report.clients.iter().take(MOST_CLIENTS) {
                        @let bar = Bar {
                            label: safe::plain(&client.client),
                            parts: [client.accepted, unproven(client), client.refused],
                        };
                        tr {
                            td.any { (safe::plain(&client.client)) }
                            td.w { (safe::plain(&client.kind)) }
                            td.w { (client.field.replace('_', " ")) }
                            td.any { code { (safe::plain(&client.endpoint)) } }
                            td.n { (safe::number(client.count)) }
                            td { (lying(&bar, most)) }
                            td.n { (about(client.tokens, client.tokens_exact)) }
                            td.w { (day(client.last_seen.as_deref())) }
                        }
                    }
                }
            }
        }
        (left_out(report.clients.len(), MOST_CLIENTS))
    }
}

fn unproven(client: &ClientRow) -> u64 {
    let proven = client.accepted.saturating_add(client.refused);
    client.count.saturating_sub(proven)
}

pub(super) fn files(report: &Report<'_>) -> Markup {
    let leaking = || report.files.iter().filter(|file| file.findings > 0);
    html! {
        h2 { "Files with secrets" }
        div.scroll tabindex="0" {
            table data-testid="files-table" {
                caption { "Files with secrets" }
                thead { tr { th { "file" } th.n { "lines with secrets" } th.n { "lines" } th.n { "not understood" } } }
                tbody {
                    @for file in leaking().take(MOST_FILES) {
                        tr {
                            td.any { (safe::plain(&file.name)) }
                            td.n { (safe::number(file.lines_with_secrets)) }
                            td.n { (safe::number(file.lines)) }
                            td.n { (safe::number(file.lines_not_understood)) }
                        }
                    }
                }
            }
        }
        (left_out(leaking().count(), MOST_FILES))
    }
}

pub(super) fn formats(report: &Report<'_>) -> Markup {
    html! {
        @if !report.formats.is_empty() {
            h2 { "Formats of the lines that were looked at" }
            div.scroll tabindex="0" {
                table {
                    caption { "Formats of the lines that were looked at" }
                    thead { tr { th { "format" } th.n { "lines" } th.n { "with secrets" } } }
                    tbody {
                        @for format in &report.formats {
                            tr {
                                td { (safe::plain(&format.name)) }
                                td.n { (safe::number(format.lines)) }
                                td.n { (safe::number(format.lines_with_secrets)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
