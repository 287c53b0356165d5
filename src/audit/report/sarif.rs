//! SARIF 2.1.0, for code scanning: one result for each token and file, and no line's text.

use std::{
    collections::BTreeSet,
    io::{self, Write},
};

use serde::Serialize;
use serde_json::{Value, json};

use super::{Report, Severity, TokenRow};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

#[derive(Serialize)]
struct Log<'r, 'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run<'r, 'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'r, 'a> {
    tool: Value,
    invocations: [Value; 1],
    column_kind: &'static str,
    results: Results<'r, 'a>,
}

struct Results<'r, 'a>(&'r Report<'a>);

impl Serialize for Results<'_, '_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let report = self.0;
        serializer.collect_seq(report.tokens().flat_map(|token| results(report, &token)))
    }
}

pub(super) fn write(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let kinds: BTreeSet<&str> = report.tokens().map(|token| token.kind).collect();
    let rules: Vec<Value> = kinds
        .iter()
        .map(|kind| {
            json!({
                "id": rule(kind),
                "shortDescription": { "text": format!("A secret in a log: {kind}") },
                "help": { "text": "Revoke it, then clean the file: the report's advice has the commands." },
            })
        })
        .collect();
    let notifications: Vec<Value> = report
        .meta
        .incomplete
        .iter()
        .map(|gap| {
            let file = gap.file.as_deref().map(|file| format!("{file}: "));
            let text = format!("{}{}", file.unwrap_or_default(), gap.why);
            json!({ "level": "error", "message": { "text": text } })
        })
        .collect();
    let log = Log {
        schema: SCHEMA,
        version: "2.1.0",
        runs: [Run {
            tool: json!({ "driver": {
                "name": "tokenshim",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }}),
            invocations: [json!({
                "executionSuccessful": report.meta.complete,
                "toolExecutionNotifications": notifications,
            })],
            column_kind: "unicodeCodePoints",
            results: Results(report),
        }],
    };
    serde_json::to_writer_pretty(&mut *out, &log)?;
    out.write_all(b"\n")
}

fn rule(kind: &str) -> String {
    format!("secret-in-log/{kind}")
}

fn results(report: &Report<'_>, token: &TokenRow<'_>) -> Vec<Value> {
    let level = match token.severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low => "note",
    };
    let baseline = if token.known { "unchanged" } else { "new" };
    let result = |source: &super::SourceRow<'_>| {
        let text = format!(
            "{} ({}), {} times: {}",
            token.kind,
            token.short_id(),
            source.count,
            token.outcome()
        );
        let mut result = json!({
            "ruleId": rule(token.kind),
            "level": level,
            "message": { "text": text },
            "locations": [{ "physicalLocation": {
                "artifactLocation": { "uri": uri(&source.file) },
                "region": { "startLine": source.first_line },
            }}],
            "partialFingerprints": { "tokenId/v1": format!("{}/{}", report.meta.key_id, token.id) },
            "occurrenceCount": source.count,
            "properties": { "severity": token.severity, "state": token.state },
        });
        if report.baseline.is_some()
            && let Some(result) = result.as_object_mut()
        {
            result.insert("baselineState".to_owned(), json!(baseline));
        }
        result
    };
    token.sources.iter().map(result).collect()
}

/// A path as a URI reference.
fn uri(path: &str) -> String {
    use std::fmt::Write as _;
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/') {
            uri.push(char::from(byte));
        } else {
            // A string takes everything.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}
