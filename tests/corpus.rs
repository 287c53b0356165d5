//! A corpus with a known truth: every format, spelling and kind of credential, and what
//! only looks like one.
//!
//! It is made anew on every run, the same each time, so that no token is ever committed.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

#[path = "corpus/formats.rs"]
mod formats;
#[path = "corpus/lookalikes.rs"]
mod lookalikes;
#[path = "corpus/random.rs"]
mod random;
#[path = "corpus/spellings.rs"]
mod spellings;
#[path = "corpus/tokens.rs"]
mod tokens;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
};

use tokenshim::{
    audit::line::{Field, LineReader, LogFormat},
    redact::{self, Confidence, Finding},
};

use formats::{Request, WRITERS, Writer};
use random::Random;
use spellings::{Place, SPELLINGS, Spelling};
use tokens::KINDS;

/// Lines without a secret, in all formats together.
const LOOKALIKES: usize = 1_000_000;

fn reader() -> LineReader {
    let given = formats::DIRECTIVES.map(|directive| LogFormat::parse(directive).unwrap());
    LineReader::new(&given).at(&"2026-12-31T12:00:00Z[UTC]".parse().unwrap())
}

/// A line, and what is in it.
struct Case {
    line: Vec<u8>,
    request: Request,
    /// The secret as the line has it.
    spelled: String,
    confidence: Confidence,
    writer: &'static Writer,
    spelling: &'static Spelling,
}

/// Every format that can carry it, times every spelling, times every kind.
fn cases() -> Vec<Case> {
    let mut random = Random::new(1);
    let mut cases = Vec::new();
    for writer in WRITERS {
        for spelling in SPELLINGS {
            for kind in KINDS {
                if !writer.carries(spelling.place) || (spelling.is_bare && !kind.has_shape) {
                    continue;
                }
                let token = (kind.make)(&mut random);
                let spelled = (spelling.value)(&token);
                let mut request = Request::of(&mut random);
                request.put(spelling.place, &(spelling.write)(&spelled));
                cases.push(Case {
                    line: (writer.write)(&request),
                    request,
                    spelled,
                    confidence: kind.confidence,
                    writer,
                    spelling,
                });
            }
        }
    }
    cases
}

impl Case {
    fn name(&self) -> String {
        let line = String::from_utf8_lossy(&self.line);
        format!("{} in {}: {line}", self.spelling.name, self.writer.name)
    }

    /// Of a line that says so.
    fn field(&self) -> Field {
        match self.spelling.place {
            Place::Query => Field::Request,
            Place::Referer if self.writer.has_referer => Field::Referer,
            _ => Field::Other,
        }
    }
}

/// Those of a line, each ending with the part of the line that it is in.
fn findings(reader: &LineReader, line: &[u8]) -> Vec<Finding> {
    let (_, record) = reader.read(line);
    let cut = |finding: Finding| {
        let span = record.cut(finding.span.clone());
        // What it is depends on all of it.
        let again = redact::find(&line[..span.end]);
        again
            .into_iter()
            .find(|again| again.span.start == span.start)
            .unwrap_or(finding)
    };
    redact::find(line).into_iter().map(cut).collect()
}

#[test]
fn every_credential_is_found() {
    let cases = cases();
    assert!(cases.len() > 3000, "{} cases", cases.len());
    let reader = reader();
    for case in &cases {
        let found = findings(&reader, &case.line);
        let ours: Vec<_> = found
            .iter()
            .filter(|finding| case.line[finding.span.clone()] == *case.spelled.as_bytes())
            .collect();
        assert!(
            ours.len() >= case.spelling.times,
            "{} of {}: {}",
            ours.len(),
            case.spelling.times,
            case.name()
        );
        assert_eq!(
            ours.len(),
            found.len(),
            "more than is there: {}",
            case.name()
        );
        for finding in ours {
            assert_eq!(finding.confidence(), case.confidence, "{}", case.name());
        }
    }
}

#[test]
fn every_line_is_understood() {
    let reader = reader();
    for case in cases() {
        let (format, record) = reader.read(&case.line);
        assert_eq!(format.name(), case.writer.format, "{}", case.name());
        let finding = redact::find(&case.line).pop().unwrap();
        if !case.writer.is_twice {
            let field = record.field_at(finding.span.start);
            assert_eq!(field, case.field(), "{}", case.name());
        }
        if case.writer.has_status {
            assert_eq!(record.status, Some(case.request.status), "{}", case.name());
        }
        if case.writer.has_client {
            let client = record.client.map(|client| client.to_string());
            assert_eq!(client, Some(case.request.client.clone()), "{}", case.name());
        }
        let time = record.time.map(jiff::Timestamp::as_second);
        assert_eq!(time, Some(case.request.time), "{}", case.name());
    }
}

#[test]
fn formats_and_kinds_are_all_there() {
    let cases = cases();
    let formats: BTreeSet<_> = cases.iter().map(|case| case.writer.format).collect();
    assert!(formats.len() >= 13, "{formats:?}");
    let sure: BTreeSet<_> = cases.iter().map(|case| case.confidence).collect();
    assert_eq!(sure.len(), 3);
}

/// The same by the command, which gives nothing of a token away.
#[test]
fn the_report_has_every_token() {
    let cases = cases();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("corpus.log");
    let lines: Vec<_> = cases.iter().map(|case| case.line.clone()).collect();
    fs::write(&log, [lines.join(&b'\n'), vec![b'\n']].concat()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tokenshim"));
    command.args(["audit", "--format", "json"]).arg(&log);
    for directive in formats::DIRECTIVES {
        command.args(["--log-format", directive]);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let text = String::from_utf8(output.stdout).unwrap();
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    let tokens = report["tokens"].as_array().unwrap();
    let mut found = BTreeMap::new();
    for token in tokens {
        let confidence = token["confidence"].as_str().unwrap();
        *found.entry(confidence).or_insert(0) += 1;
    }
    let mut expected = BTreeMap::new();
    for case in &cases {
        let confidence = match case.confidence {
            Confidence::Verified => "verified",
            Confidence::Shape => "shape",
            Confidence::Context => "context",
        };
        *expected.entry(confidence).or_insert(0) += 1;
        assert!(!text.contains(&case.spelled), "{} is in it", case.name());
    }
    assert_eq!(found, expected);
    let formats: BTreeSet<_> = report["formats"]
        .as_array()
        .unwrap()
        .iter()
        .map(|format| format["name"].as_str().unwrap())
        .collect();
    let expected: BTreeSet<_> = cases.iter().map(|case| case.writer.format).collect();
    assert_eq!(formats, expected);
}

/// A million lines: no finding is verified, and at most one is there at all. A session id
/// of 40 random letters may begin with `syt_`, after all.
#[test]
fn what_looks_like_one_is_none() {
    let mut random = Random::new(2);
    let mut block = Vec::new();
    let mut found = 0;
    for number in 0..LOOKALIKES {
        let writer = &WRITERS[number % WRITERS.len()];
        let mut request = Request::of(&mut random);
        lookalikes::dress(&mut request, &mut random);
        block.extend((writer.write)(&request));
        block.push(b'\n');
        // As an audit reads: many lines at once.
        if block.len() > 1 << 20 || number + 1 == LOOKALIKES {
            for finding in redact::find(&block) {
                let from = finding.span.start.saturating_sub(200);
                let to = block.len().min(finding.span.end + 100);
                let around = String::from_utf8_lossy(&block[from..to]);
                found += 1;
                let is_verified = finding.confidence() == Confidence::Verified;
                assert!(found <= 1 && !is_verified, "{finding:?} in {around}");
            }
            block.clear();
        }
    }
}
