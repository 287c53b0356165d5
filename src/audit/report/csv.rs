//! One row for each token, for spreadsheets: nothing in it is a formula. What could not be
//! read has rows too, so that a table without tokens does not look like clean logs.

use std::io::{self, Write};

use super::{Report, SourceRow, TokenRow, safe};

const COLUMNS: [&str; 22] = [
    "severity",
    "id",
    "kind",
    "prefix",
    "confidence",
    "users",
    "state",
    "device",
    "known",
    "count",
    "accepted",
    "refused",
    "unproven",
    "first_seen",
    "last_seen",
    "admin",
    "statuses",
    "endpoints",
    "clients",
    "networks",
    "networks_count",
    "sources",
];

pub(super) fn write(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut table = csv::Writer::from_writer(out);
    table.write_record(COLUMNS)?;
    for token in report.tokens() {
        let cells = cells(&token);
        table.write_record(cells.iter().map(|cell| safe::cell(cell)))?;
    }
    for gap in &report.meta.incomplete {
        let told = gap.to_string();
        table.write_record(COLUMNS.map(|column| match column {
            "severity" => "incomplete".to_owned(),
            "sources" => safe::cell(&told),
            _ => String::new(),
        }))?;
    }
    table.flush()
}

fn cells(token: &TokenRow<'_>) -> [String; COLUMNS.len()] {
    let statuses: Vec<String> = token.statuses.iter().map(u16::to_string).collect();
    let sources: Vec<String> = token.sources.iter().map(source).collect();
    [
        token.severity.name().to_owned(),
        token.id.clone(),
        token.kind.to_owned(),
        token.prefix.to_owned(),
        token.confidence.to_owned(),
        token.owners(),
        token.state.to_owned(),
        token.device.clone().unwrap_or_default(),
        token.known.to_string(),
        token.count.to_string(),
        token.accepted.to_string(),
        token.refused.to_string(),
        token.unproven.to_string(),
        token.first_seen.clone().unwrap_or_default(),
        token.last_seen.clone().unwrap_or_default(),
        token.admin.to_string(),
        statuses.join(" "),
        token.endpoints.join(" "),
        token.clients.join("; "),
        token.networks.join(" "),
        token.networks_count.to_string(),
        sources.join("; "),
    ]
}

/// `access.log:12-99`.
pub(super) fn source(source: &SourceRow<'_>) -> String {
    let SourceRow {
        file,
        first_line,
        last_line,
        ..
    } = source;
    if first_line == last_line {
        format!("{file}:{first_line}")
    } else {
        format!("{file}:{first_line}-{last_line}")
    }
}
