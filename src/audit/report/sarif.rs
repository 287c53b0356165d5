//! SARIF 2.1.0, for code scanning: one result for each token and file, and no line's text.

use std::{
    collections::BTreeSet,
    io::{self, Write},
};

use serde::Serialize;
use serde_json::{Value, json};

use super::{Report, Severity, TokenRow, Visible, safe};

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
    invocations: [Invocation<'r, 'a>; 1],
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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation<'r, 'a> {
    execution_successful: bool,
    tool_execution_notifications: Notifications<'r, 'a>,
}

/// What was not read, and secrets that are in more files than have results.
struct Notifications<'r, 'a>(&'r Report<'a>);

impl Serialize for Notifications<'_, '_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let report = self.0;
        let note = |level: &str, text: &str| json!({ "level": level, "message": { "text": message(text) } });
        let gaps = report.meta.incomplete.iter();
        let gaps = gaps.map(|gap| note("error", &gap.to_string()));
        let elsewhere = report.tokens().filter(|token| token.count_elsewhere > 0);
        let elsewhere = elsewhere.map(|token| {
            let times = times(token.count_elsewhere);
            let text = format!(
                "{} ({}) was seen {times} more in other files, which have no result here",
                token.kind,
                token.short_id()
            );
            note("note", &text)
        });
        serializer.collect_seq(gaps.chain(elsewhere))
    }
}

pub(super) fn write(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let kinds: BTreeSet<&str> = report.tokens().map(|token| token.kind).collect();
    let rules: Vec<Value> = kinds
        .iter()
        .map(|kind| {
            json!({
                "id": rule(kind),
                "shortDescription": { "text": message(&format!("A secret in a log: {kind}")) },
                "help": { "text": "Revoke it, then clean the file: the report's advice has the commands." },
            })
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
            invocations: [Invocation {
                execution_successful: report.meta.complete,
                tool_execution_notifications: Notifications(report),
            }],
            column_kind: "unicodeCodePoints",
            results: Results(report),
        }],
    };
    serde_json::to_writer_pretty(Visible(&mut *out), &log)?;
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
        // Of what became of it in this file nothing is known: outcomes are of all of them.
        let text = format!(
            "{} ({}), {} in this file",
            token.kind,
            token.short_id(),
            times(source.count.into())
        );
        let mut result = json!({
            "ruleId": rule(token.kind),
            "level": level,
            "message": { "text": message(&text) },
            "locations": [{ "physicalLocation": {
                "artifactLocation": { "uri": uri(&source.file) },
                "region": { "startLine": source.first_line.max(1) },
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

/// `once`, `2 times`.
fn times(count: u64) -> String {
    if count == 1 {
        "once".to_owned()
    } else {
        format!("{} times", safe::number(count))
    }
}

/// Text in which nothing is a link or a placeholder (SARIF 2.1.0 §3.11.5 and §3.11.6).
fn message(text: &str) -> String {
    let mut message = String::with_capacity(text.len());
    for character in safe::plain(text).chars() {
        match character {
            '[' | ']' | '\\' => message.push('\\'),
            '{' | '}' => message.push(character),
            _ => {}
        }
        message.push(character);
    }
    message
}

/// A path as a URI reference.
fn uri(path: &str) -> String {
    use std::fmt::Write as _;
    let mut uri = String::with_capacity(path.len());
    // Behind two slashes stands the name of a host.
    let is_absolute = path.starts_with('/');
    let path = path.trim_start_matches('/');
    uri.extend(is_absolute.then_some('/'));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_text_and_paths_are_paths() {
        let cases = [
            (
                "a link",
                "[click](https:x.example){0}.gz",
                r"\[click\](https:x.example){{0}}.gz",
            ),
            ("one that was escaped", r"\[x\]", r"\\\[x\\\]"),
        ];
        for (name, text, expected) in cases {
            assert_eq!(message(text), expected, "case: {name}");
        }
        let cases = [
            ("absolute", "/tmp/a b", "/tmp/a%20b"),
            ("no host", "//tmp/a", "/tmp/a"),
            ("relative", "a/b:c", "a/b%3Ac"),
        ];
        for (name, path, expected) in cases {
            assert_eq!(uri(path), expected, "case: {name}");
        }
        assert_eq!([times(1), times(2)], ["once", "2 times"]);
    }
}
