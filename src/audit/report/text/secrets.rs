//! The secrets of a report, the worst first.
//!
//! What decides what to do (severity, state, outcome) stands where no terminal is too
//! narrow for it; the rest has lines of its own.

use std::io;

use super::{
    super::{Report, Severity, TokenRow, csv},
    MOST, Page, Paint, day,
    safe::{number, plain},
    table::{Column, Table},
};

/// Files and endpoints in a line of details.
const DETAILS: usize = 6;

impl Page<'_> {
    pub(super) fn tokens(&mut self, report: &Report<'_>) -> io::Result<()> {
        if report.order.is_empty() {
            return Ok(());
        }
        self.heading("Secrets, the worst first")?;
        let rows: Vec<TokenRow<'_>> = report.tokens().take(MOST).collect();
        let mut table = Table::new(vec![
            Column::new(""),
            Column::new("id"),
            Column::new("state"),
            Column::flexible("outcome", 16),
            Column::number("seen"),
            Column::flexible("whose", 12),
        ]);
        for row in &rows {
            table.push(vec![
                if row.known {
                    "known"
                } else {
                    row.severity.name()
                }
                .to_owned(),
                row.short_id().to_owned(),
                row.state.replace('_', " "),
                row.outcome(),
                number(row.count),
                plain(&row.owners()),
            ]);
        }
        let lines = table.lines(self.screen.width);
        let mut lines = lines.into_iter();
        if let Some(head) = lines.next() {
            writeln!(self.out, "{}", self.paint(Paint::Faint, &head))?;
        }
        for (row, line) in rows.iter().zip(lines) {
            let paint = match row.severity {
                _ if row.known => Paint::Faint,
                Severity::Critical => Paint::Bad,
                Severity::High => Paint::Warn,
                Severity::Medium | Severity::Low => Paint::None,
            };
            writeln!(self.out, "{}", self.paint(paint, &line))?;
            self.details(row)?;
        }
        self.rest(report.order.len())
    }

    fn details(&mut self, row: &TokenRow<'_>) -> io::Result<()> {
        let mut sources: Vec<String> = row.sources.iter().map(csv::source).collect();
        if row.count_elsewhere > 0 {
            let elsewhere = number(row.count_elsewhere);
            sources.push(format!("{elsewhere} more in other files"));
        }
        let networks = if row.networks_exact {
            String::new()
        } else {
            format!(" (of about {})", number(row.networks_count))
        };
        let statuses: Vec<String> = row.statuses.iter().map(u16::to_string).collect();
        let reason = row.known_reason.or(row.state_reason.as_deref());
        let seen = [&row.first_seen, &row.last_seen].map(|moment| day(moment.as_deref()));
        let details = [
            ("kind", format!("{} ({})", row.kind, row.confidence)),
            (
                "when",
                match seen {
                    _ if row.first_seen.is_none() => String::new(),
                    [first, last] if first == last => first,
                    [first, last] => format!("{first} to {last}"),
                },
            ),
            (
                "admin",
                if row.admin {
                    "an administration API was asked with it".to_owned()
                } else {
                    String::new()
                },
            ),
            ("in", few(&sources)),
            ("at", few(&row.endpoints)),
            ("by", few(&row.clients)),
            ("from", few(&row.networks) + &networks),
            ("answered", statuses.join(" ")),
            ("note", reason.unwrap_or_default().to_owned()),
        ];
        for (name, text) in details.iter().filter(|(_, text)| !text.trim().is_empty()) {
            self.line(&format!("      {name:<8} {text}"))?;
        }
        Ok(())
    }
}

fn few(words: &[impl AsRef<str>]) -> String {
    let more = words.len().saturating_sub(DETAILS);
    let mut text = words
        .iter()
        .take(DETAILS)
        .map(AsRef::as_ref)
        .collect::<Vec<&str>>()
        .join(", ");
    if more > 0 {
        text = format!("{text}, and {more} more");
    }
    text
}
