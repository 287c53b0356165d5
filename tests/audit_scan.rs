//! `tokenshim audit` over logs whose secrets are known: all of them are found, however the
//! files are stored, cut, rotated and interrupted; and what could not be read is told.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests fail by panicking"
)]

#[path = "audit_scan/follow.rs"]
mod follow;
#[path = "audit_scan/log.rs"]
mod log;
#[path = "audit_scan/stored.rs"]
mod stored;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use log::Log;
use serde_json::Value;
use stored::gzip;
use tokenshim::secret::FingerprintKey;

const KEY: &[u8] = b"FAKE-KEY-FAKE-KEY-FAKE-KEY";

/// A folder with a key in it.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.file("key", KEY);
        fs::set_permissions(place.path("key"), PermissionsExt::from_mode(0o600)).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, text: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn command(&self, arguments: &[&str], inputs: &[&Path]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tokenshim"));
        command
            .args(["audit", "--key"])
            .arg(self.path("key"))
            .args(arguments)
            .args(inputs)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn audit(&self, arguments: &[&str], inputs: &[&Path]) -> Output {
        self.command(arguments, inputs).output().unwrap()
    }

    fn report(&self, arguments: &[&str], inputs: &[&Path]) -> (Value, i32) {
        let arguments = [&["--format", "json"], arguments].concat();
        let output = self.audit(&arguments, inputs);
        read(&output)
    }
}

fn read(output: &Output) -> (Value, i32) {
    let errors = String::from_utf8_lossy(&output.stderr);
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{errors}"));
    (report, output.status.code().expect(&errors))
}

/// Each id with its count.
fn found(report: &Value) -> Vec<(String, u64)> {
    let tokens = report["tokens"].as_array().unwrap();
    let mut found: Vec<_> = tokens
        .iter()
        .map(|token| {
            (
                token["id"].as_str().unwrap().to_owned(),
                token["count"].as_u64().unwrap(),
            )
        })
        .collect();
    found.sort();
    found
}

/// What is known of a log, `times` over.
fn known(log: &Log, times: u64) -> Vec<(String, u64)> {
    let key = FingerprintKey::new(KEY).unwrap();
    let mut known: Vec<_> = log
        .secrets
        .iter()
        .map(|(secret, count)| (key.id(secret.as_bytes()).to_string(), count * times))
        .collect();
    known.sort();
    known
}

/// Found exactly, and read whole.
fn assert_exact(log: &Log, report: &Value, times: u64, case: &str) {
    assert_eq!(found(report), known(log, times), "case: {case}");
    assert_eq!(report["totals"]["lines"], log.lines * times, "case: {case}");
    assert_eq!(
        report["totals"]["lines_with_secrets"],
        log.leaking * times,
        "case: {case}"
    );
    assert_eq!(report["meta"]["complete"], true, "case: {case}");
}

#[test]
fn every_secret_is_found_and_nothing_else() {
    let place = Place::new();
    for (lines, every, seed) in [(30_000, 7, 1), (30_000, 1000, 2), (1, 1, 3), (500, 1, 4)] {
        let log = log::make(lines, every, seed);
        let path = place.file("access.log", &log.text);
        for jobs in ["1", "2", "5"] {
            let case = format!("{lines} lines, every {every}th, {jobs} jobs");
            let (report, code) = place.report(&["--jobs", jobs], &[&path]);
            assert_exact(&log, &report, 1, &case);
            assert_eq!(code, 1, "case: {case}");
            assert_eq!(report["totals"]["lines_not_understood"], 0, "case: {case}");
        }
    }
}

#[test]
fn no_report_holds_a_secret() {
    let place = Place::new();
    let log = log::make(2_000, 3, 5);
    let path = place.file("access.log", &log.text);
    for format in ["text", "json", "ndjson", "csv", "sarif", "html"] {
        let output = place.audit(&["--format", format], &[&path]);
        assert_eq!(output.status.code(), Some(1), "{format}");
        let text = String::from_utf8(output.stdout).unwrap();
        for secret in log.secrets.keys() {
            let tail = &secret[secret.len() - 12..];
            assert!(!text.contains(tail), "{format} has {tail}");
        }
    }
}

#[test]
fn a_clean_log_is_clean() {
    let place = Place::new();
    let log = log::make(20_000, u64::MAX, 6);
    let path = place.file("access.log", &log.text);
    let (report, code) = place.report(&[], &[&path]);
    assert_exact(&log, &report, 1, "clean");
    assert_eq!(code, 0);
}

/// A line with the token at the place, behind text and before text.
fn long_line(before: usize, after: usize) -> Vec<u8> {
    let token = "?access_token=FAKE-LONG-SECRET-0123456789&";
    [vec![b'a'; before], token.into(), vec![b'b'; after]].concat()
}

#[test]
fn odd_lines_are_read_all_the_same() {
    let place = Place::new();
    let line = b"x \"GET /?access_token=FAKE-LONG-SECRET-0123456789 HTTP/1.1\" y";
    let cases: Vec<(&str, Vec<u8>, u64)> = vec![
        ("no end", line.to_vec(), 1),
        (
            "not UTF-8",
            [b"x \xff\xfe\x80 ".as_slice(), line, b"\n"].concat(),
            1,
        ),
        (
            "a hole that a copied log has",
            [vec![0; 3_000_000], line.to_vec(), b"\n".to_vec()].concat(),
            1,
        ),
        (
            "NUL within",
            [b"a\0b".as_slice(), line, b"\0\n"].concat(),
            1,
        ),
        (
            "line ends of Windows",
            [line.as_slice(), b"\r\n"].concat(),
            1,
        ),
        (
            "longer than a block",
            [long_line(400_000, 400_000), b"\n".to_vec()].concat(),
            1,
        ),
        (
            "longer than is looked at whole",
            [long_line(1_500_000, 2_000_000), b"\n".to_vec()].concat(),
            1,
        ),
        ("and without an end", long_line(3_000_000, 10), 1),
        (
            "a long line between others",
            [
                b"x\n".to_vec(),
                long_line(0, 1_300_000),
                b"\ny\nz\n".to_vec(),
            ]
            .concat(),
            4,
        ),
        (
            "the secret where two parts meet",
            [long_line(1_300_000 - 40, 900_000), b"\n".to_vec()].concat(),
            1,
        ),
    ];
    for (name, text, lines) in cases {
        for (form, text) in [("plain", text.clone()), ("gzip", gzip(&text))] {
            let path = place.file("odd.log", &text);
            for jobs in ["1", "3"] {
                let (report, code) = place.report(&["--jobs", jobs], &[&path]);
                let case = format!("{name}, {form}, {jobs} jobs");
                assert_eq!(found(&report).len(), 1, "case: {case}");
                assert_eq!(found(&report)[0].1, 1, "case: {case}");
                assert_eq!(report["totals"]["lines"], lines, "case: {case}");
                assert_eq!(code, 1, "case: {case}");
            }
        }
    }
}

/// nginx cuts lines of its error log at 2 kB, and with them tokens.
#[test]
fn a_cut_token_is_told_and_not_counted_apart() {
    let place = Place::new();
    let token = "syt_RkFLRQ_FAKEFAKEFAKEFAKEFAKE_0";
    let line = |length: usize| {
        format!(
            "[error] upstream: \"http://h/?access_token={}\n",
            &token[..length]
        )
    };
    let text: String = [18, 22, 25, 30, 32].map(line).concat();
    let path = place.file("error.log", text.as_bytes());
    let (report, code) = place.report(&[], &[&path]);
    let [only] = &report["tokens"].as_array().unwrap()[..] else {
        panic!("{report:#}")
    };
    assert_eq!(only["kind"], "synapse_access_cut");
    assert_eq!(only["count"], 5);
    assert_eq!(only["users"][0], "FAKE");
    assert_eq!(code, 1);
}

#[test]
fn a_status_proves_no_more_than_it_says() {
    let place = Place::new();
    let line = |target: &str, status: &str, referer: &str| {
        format!(
            "192.0.2.1 - - [22/Nov/2026:10:00:00 +0000] \"GET {target} HTTP/1.1\" {status} 1 \"{referer}\" \"x\"\n"
        )
    };
    let sync = "/_matrix/client/v3/sync?access_token=FAKE-SECRET-1";
    let nested = "/_matrix/client/v3/sync?next=%2F%3Faccess_token%3DFAKE-SECRET-1";
    let second = "/_matrix/client/v3/sync?access_token=FAKE-OTHER&access_token=FAKE-SECRET-1";
    let open = "/_matrix/client/versions?access_token=FAKE-SECRET-1";
    let away = "https://w.example/?access_token=FAKE-SECRET-1";
    let bearer = |status: &str| {
        let line = line("/_matrix/client/v3/sync", status, "-");
        format!("{} \"Bearer FAKE-SECRET-1\"\n", line.trim_end())
    };
    let caddy = |header: &str, status: u16| {
        format!(
            "{{\"ts\":1795341646,\"logger\":\"http.log.access\",\"request\":{{\"method\":\"GET\",\"uri\":\"/_matrix/client/v3/sync\",\"headers\":{{\"{header}\":[\"Bearer FAKE-SECRET-1\"]}}}},\"status\":{status}}}\n"
        )
    };
    let cases = [
        ("in a column without a name", bearer("200"), "unproven"),
        ("and not refused there", bearer("401"), "unproven"),
        (
            "in the header of that name",
            caddy("Authorization", 200),
            "accepted",
        ),
        ("in another header", caddy("X-Foo", 401), "unproven"),
        (
            "accepted where one is needed",
            line(sync, "200", "-"),
            "accepted",
        ),
        ("refused", line(sync, "401", "-"), "refused"),
        ("forbidden", line(sync, "403", "-"), "refused"),
        ("too many requests", line(sync, "429", "-"), "unproven"),
        (
            "no token is needed there",
            line(open, "200", "-"),
            "unproven",
        ),
        (
            "in a URL within the request",
            line(nested, "200", "-"),
            "unproven",
        ),
        (
            "in the Referer",
            line("/_matrix/client/v3/sync", "200", away),
            "unproven",
        ),
        (
            "the Referer is not refused",
            line("/_matrix/client/v3/sync", "401", away),
            "unproven",
        ),
        (
            "servers take the first of two",
            line(second, "200", "-"),
            "unproven",
        ),
    ];
    let id = FingerprintKey::new(KEY)
        .unwrap()
        .id(b"FAKE-SECRET-1")
        .to_string();
    for (name, text, expected) in cases {
        let path = place.file("access.log", text.as_bytes());
        let (report, _) = place.report(&[], &[&path]);
        let tokens = report["tokens"].as_array().unwrap();
        let token = tokens.iter().find(|token| token["id"] == *id).unwrap();
        for outcome in ["accepted", "refused", "unproven"] {
            let count = u64::from(outcome == expected);
            assert_eq!(token[outcome], count, "case: {name}, {outcome}");
        }
    }
}

/// The rest of a line that is too long to be looked at is no line, whatever it looks like.
#[test]
fn the_middle_of_a_long_line_forges_nothing() {
    let place = Place::new();
    let forged = "192.0.2.9 - - [22/Nov/2026:10:00:00 +0000] \"GET /_matrix/client/v3/sync?access_token=FAKE-SECRET-1 HTTP/1.1\" 200 1 \"-\" \"x\" ";
    let text = ["y y y ".to_owned(), forged.repeat(20_000), "\n".to_owned()].concat();
    assert!(text.len() > 2_000_000);
    for bytes in [text.clone().into_bytes(), gzip(text.as_bytes())] {
        let path = place.file("long.log", &bytes);
        let (report, _) = place.report(&["--full-addresses"], &[&path]);
        let token = &report["tokens"][0];
        assert_eq!(token["count"], 20_000, "{token:#}");
        assert_eq!(token["unproven"], 20_000, "{token:#}");
        assert!(!report.to_string().contains("192.0.2"), "{token:#}");
    }
}

/// journald's JSON has what is not for printing as numbers.
#[test]
fn a_message_of_numbers_is_read() {
    let place = Place::new();
    let numbers = |text: &str| {
        let numbers: Vec<_> = text.bytes().map(|byte| byte.to_string()).collect();
        numbers.join(",")
    };
    let entry = |text: &str| {
        format!(
            "{{\"__REALTIME_TIMESTAMP\":\"1795338159000000\",\"MESSAGE\":[{}],\"__CURSOR\":\"s\"}}\n",
            numbers(text)
        )
    };
    let plain = "{\"MESSAGE\":\"x\",\"__CURSOR\":\"s\"}\n";
    let secret = "\u{1b}[31mtoken access_token=FAKE-SECRET-0\u{7}";
    let request = "192.0.2.1 - - [22/Nov/2026:09:02:38 +0000] \"GET /_matrix/client/v3/sync?access_token=FAKE-SECRET-0 HTTP/1.1\" 200 1 \"-\" \"\u{1b}\"\n";
    let cases = [
        ("alone", entry(secret), 1, 0, "2026-11-22T09:02:39Z"),
        (
            "behind others, in its second line",
            [plain, &entry(&format!("first\n{secret}"))].concat(),
            2,
            0,
            "2026-11-22T09:02:39Z",
        ),
        (
            "a request",
            [plain, plain, &entry(request), plain].concat(),
            3,
            1,
            "2026-11-22T09:02:38Z",
        ),
    ];
    for (name, text, line, accepted, time) in cases {
        let path = place.file("journal.json", text.as_bytes());
        let (report, code) = place.report(&[], &[&path]);
        let token = &report["tokens"][0];
        assert_eq!(code, 1, "case: {name}");
        assert_eq!(token["count"], 1, "case: {name}");
        assert_eq!(token["accepted"], accepted, "case: {name}");
        assert_eq!(token["first_seen"], time, "case: {name}");
        assert_eq!(token["sources"][0]["first_line"], line, "case: {name}");
    }
}

/// A year that Docker wrote counts, and not the one that syslog's line left to be guessed.
#[test]
fn a_line_without_a_year_in_one_with_a_year_is_found() {
    let place = Place::new();
    let line = r#"{"log":"Mar  1 10:02:39 host app: token access_token=FAKE-SECRET-0 \"x\"\n","stream":"stdout","time":"2024-03-01T09:02:39.5Z"}"#;
    let path = place.file("docker.log", line.as_bytes());
    let (report, code) = place.report(&["--until", "2025-01-01"], &[&path]);
    assert_eq!(code, 1);
    assert_eq!(report["tokens"][0]["first_seen"], "2024-03-01T09:02:39Z");
}

#[test]
fn only_the_times_that_were_asked_for_count() {
    let place = Place::new();
    let days = ["20", "21", "22"].map(|day| {
        format!("192.0.2.1 - - [{day}/Nov/2026:10:00:00 +0000] \"GET /?access_token=FAKE-SECRET-{day} HTTP/1.1\" 200 1 \"-\" \"x\"\n")
    });
    let path = place.file("access.log", days.concat().as_bytes());
    let cases: [(&[&str], usize); 4] = [
        (&[], 3),
        (&["--since", "2026-11-21"], 2),
        (&["--until", "2026-11-21"], 1),
        (
            &["--since", "2026-11-21", "--until", "2026-11-22T00:00:00Z"],
            1,
        ),
    ];
    for (arguments, expected) in cases {
        let (report, _) = place.report(arguments, &[&path]);
        assert_eq!(found(&report).len(), expected, "{arguments:?}");
        assert_eq!(report["totals"]["lines"], 3, "{arguments:?}: all are read");
    }
}

#[test]
fn bad_arguments_are_told_before_anything_is_read() {
    let place = Place::new();
    let log = place.file("access.log", b"x\n");
    for arguments in [
        &["--since", "yesterday"][..],
        &["--format", "pdf"],
        &["--jobs", "0"],
        &["--log-format", "log_format x"],
        &["--registration", "/nonexistent"],
        &["--baseline", "/nonexistent"],
    ] {
        let output = place.audit(arguments, &[&log]);
        assert!(
            matches!(output.status.code(), Some(2 | 64)),
            "{arguments:?}: {output:?}"
        );
        assert!(
            output.stdout.is_empty() && !output.stderr.is_empty(),
            "{arguments:?}"
        );
    }
}
