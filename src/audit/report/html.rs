//! One page, to be opened from a disk, mailed and printed: no script, nothing from anywhere
//! else, and a policy that would stop both.
//!
//! User agents and paths in logs come from attackers. What a report has of them is from
//! fixed sets; users and file names are not, and everything is escaped alike.

mod chart;
mod tables;

use std::io::{self, Write};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use super::{Report, safe, text::counted};
use crate::audit::advice::Step;

const STYLE: &str = include_str!("html/style.css");

/// Reasons that are listed.
const MOST_GAPS: usize = 50;

pub(super) fn write(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(page(report).into_string().as_bytes())
}

fn page(report: &Report<'_>) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                title { "Secrets in logs" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Secrets in logs" }
                p.soft { (scope(report)) }
                (gaps(report))
                (figures(report))
                @if !report.advice.is_empty() { p { a href="#now" { "What to do now" } } }
                @if !report.order.is_empty() {
                    (tables::tokens(report))
                    (tables::days(report))
                    (tables::kinds(report))
                    (tables::clients(report))
                    (tables::files(report))
                    (steps(&report.advice))
                }
                (tables::formats(report))
                (method(report))
            }
        }
    }
}

/// Nothing but this style, by its hash.
fn policy() -> String {
    let hash = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
}

fn scope(report: &Report<'_>) -> String {
    let totals = &report.totals;
    let mut text = format!(
        "{} ({}) of {}",
        counted(totals.lines, "line"),
        safe::bytes(totals.bytes),
        counted(totals.files, "file")
    );
    for (word, moment) in [("since", &report.meta.since), ("until", &report.meta.until)] {
        if let Some(moment) = moment {
            text = format!("{text}, {word} {moment}");
        }
    }
    text
}

fn gaps(report: &Report<'_>) -> Markup {
    let gaps = &report.meta.incomplete;
    html! {
        @if !gaps.is_empty() {
            section.gap data-testid="incomplete" {
                h3 { "Incomplete: this report does not speak for all of it" }
                ul {
                    @for gap in gaps.iter().take(MOST_GAPS) {
                        li {
                            @if let Some(file) = &gap.file { code { (safe::plain(file)) } ": " }
                            (safe::plain(&gap.why))
                        }
                    }
                }
                (left_out(gaps.len(), MOST_GAPS))
            }
        }
    }
}

fn figures(report: &Report<'_>) -> Markup {
    let totals = &report.totals;
    let figure = |id: &str, name: &str, value: u64, is_bad: bool| {
        html! {
            div.card.bad[is_bad && value > 0] {
                dt { (name) }
                dd data-testid=(id) { (safe::number(value)) }
            }
        }
    };
    let moment = |id: &str, name: &str, value: &Option<String>| {
        html! {
            div.card { dt { (name) } dd.moment data-testid=(id) { (short(value.as_deref())) } }
        }
    };
    html! {
        @if report.order.is_empty() {
            p.card data-testid="clean" {
                @if report.meta.complete { strong.good { "No secret was found." } }
                @else { strong.medium { "No secret was found in what could be read." } }
            }
        }
        dl.figures {
            (figure("tokens", "distinct secrets", totals.tokens, true))
            (figure("tokens-accepted", "of them accepted", totals.tokens_accepted, true))
            (figure("tokens-admin", "at an administration API", totals.tokens_admin, true))
            @if totals.tokens_alive > 0 || totals.tokens_dead > 0 {
                (figure("tokens-alive", "still alive", totals.tokens_alive, true))
                (figure("tokens-dead", "dead", totals.tokens_dead, false))
            }
            @if report.baseline.is_some() {
                (figure("tokens-known", "known already", totals.tokens_known, false))
            }
            (figure("lines-with-secrets", "lines with secrets", totals.lines_with_secrets, false))
            (figure("files-with-secrets", "files with secrets", totals.files_with_secrets, false))
            (moment("first-seen", "first seen", &totals.first_seen))
            (moment("last-seen", "last seen", &totals.last_seen))
        }
    }
}

fn steps(steps: &[Step]) -> Markup {
    html! {
        h2 id="now" { "What to do now" }
        ol.steps {
            @for step in steps {
                li.card {
                    h3 { (step.title) }
                    p { (safe::plain(&step.text)) }
                    @if !step.commands.is_empty() {
                        pre tabindex="0" { code {
                            @for command in &step.commands { (safe::plain(command)) "\n" }
                        } }
                    }
                }
            }
        }
    }
}

fn method(report: &Report<'_>) -> Markup {
    let meta = &report.meta;
    html! {
        h2 { "How to read this" }
        p {
            "A secret is named by a keyed hash of it, and nothing else of it is here but what its issuer puts in "
            "front of all. " b { "Accepted" } " is only what was answered 2xx where the specification requires a "
            "token, " b { "refused" } " is 401 or 403; all else proves nothing. Days are UTC. "
            @if meta.ephemeral_key {
                "The key was made for this run, so no other report has the same names."
            } @else {
                "The key is " code { (meta.key_id) } ": reports and access logs under it have the same names."
            }
            @if !meta.full_addresses { " Addresses are cut to networks." }
        }
        p.soft { (meta.tool) }
    }
}

/// Says so, if a table has not everything.
fn left_out(count: usize, most: usize) -> Markup {
    let more = count.saturating_sub(most);
    html! {
        @if more > 0 {
            p.soft { (safe::number(u64::try_from(more).unwrap_or(u64::MAX))) " more are left out here; the JSON report has them." }
        }
    }
}

/// `2026-01-31 23:59`.
fn short(moment: Option<&str>) -> String {
    let moment = moment.unwrap_or("–");
    moment.get(..16).unwrap_or(moment).replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a browser hashes is the text between the tags, byte for byte.
    #[test]
    fn the_policy_allows_the_style_and_nothing_else() {
        let style = html! { style { (PreEscaped(STYLE)) } }.into_string();
        let inner = style
            .strip_prefix("<style>")
            .and_then(|rest| rest.strip_suffix("</style>"))
            .unwrap();
        let hash = BASE64_STANDARD.encode(Sha256::digest(inner));
        assert_eq!(
            policy(),
            format!(
                "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; form-action 'none'"
            )
        );
        assert!(!inner.contains("url(") && !inner.contains("@import") && !inner.contains('<'));
    }
}
