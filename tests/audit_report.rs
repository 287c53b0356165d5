//! Reports in every format, made from sightings as a scan of logs gives them.

#![expect(
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

#[path = "audit_report/advice.rs"]
mod advice;
#[path = "audit_report/whole.rs"]
mod whole;

use std::{fs, net::IpAddr, path::Path, process::Command};

use jiff::{Timestamp, civil::date};
use serde_json::Value;
use tokenshim::{
    audit::{
        baseline::Baseline,
        line::{Field, Format},
        merge,
        report::{self, Life, Lives, Meta, Report, ReportFormat},
        sighting::{Outcome, Place, Sighting, TokenId},
        tally::Tally,
    },
    redact::Confidence,
};

/// Written by attackers, wherever a report may show it.
const HOSTILE: &str = "=<img src=x onerror=alert(1)>\u{1b}[31m\u{9b}31m\u{202e}\"'&";

fn id(number: u128) -> TokenId {
    // Spread out, as a hash is.
    let bits = number
        .wrapping_add(1)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    format!("h:{bits:032x}").parse().unwrap()
}

fn names() -> Vec<String> {
    vec![
        "/var/log/nginx/access.log.1".to_owned(),
        "/var/log/nginx/access.log".to_owned(),
        format!("/var/log/{HOSTILE}"),
    ]
}

fn sighting(number: u128) -> Sighting<'static> {
    Sighting {
        id: id(number),
        kind: "synapse_access",
        confidence: Confidence::Verified,
        user: Some("@alice:example.org"),
        place: Place { input: 0, line: 12 },
        field: Field::Request,
        time: Some("2026-01-31T10:00:00Z".parse().unwrap()),
        client: Some(IpAddr::from([203, 0, 113, 7])),
        family: "matrix-nio",
        method: "GET",
        endpoint: "/_matrix/client/v3/sync",
        is_admin: false,
        status: Some(200),
        outcome: Outcome::Accepted,
    }
}

/// Five secrets from the worst to the least.
fn tally() -> Tally {
    let mut tally = Tally::for_inputs(&names());
    let mut see = |sighting: Sighting<'_>| {
        tally.line(sighting.place.input, Format::Combined, true, sighting.time);
        tally.add(&sighting);
    };
    see(sighting(0));
    see(Sighting {
        place: Place { input: 1, line: 99 },
        time: Some("2026-02-03T23:59:59.9Z".parse().unwrap()),
        status: Some(401),
        outcome: Outcome::Refused,
        ..sighting(0)
    });
    see(Sighting {
        user: Some("@admin:example.org"),
        endpoint: "/_synapse/admin/v2/users",
        is_admin: true,
        family: "python-requests",
        ..sighting(1)
    });
    see(Sighting {
        kind: "appservice_as",
        user: None,
        confidence: Confidence::Context,
        outcome: Outcome::Unproven,
        status: None,
        ..sighting(2)
    });
    see(Sighting {
        user: Some(HOSTILE),
        kind: "mas_access",
        place: Place { input: 2, line: 1 },
        outcome: Outcome::Unproven,
        field: Field::Referer,
        ..sighting(3)
    });
    see(Sighting {
        outcome: Outcome::Refused,
        status: Some(403),
        time: None,
        client: None,
        ..sighting(4)
    });
    tally.line(1, Format::Text, false, None);
    for input in 0..3 {
        tally.lines_read(input, 1000, 120_000);
    }
    tally
}

fn meta() -> Meta {
    Meta {
        key_id: "0a0a0a0a".to_owned(),
        is_complete: true,
        ..Meta::default()
    }
}

fn written(report: &Report<'_>, format: ReportFormat) -> String {
    let mut out = Vec::new();
    report::write(report, format, &mut out, false).unwrap();
    String::from_utf8(out).unwrap()
}

fn all_formats() -> [(ReportFormat, &'static str); 6] {
    [
        (ReportFormat::Text, "txt"),
        (ReportFormat::Json, "json"),
        (ReportFormat::Ndjson, "ndjson"),
        (ReportFormat::Csv, "csv"),
        (ReportFormat::Sarif, "sarif"),
        (ReportFormat::Html, "html"),
    ]
}

/// The ids of a JSON report, in its order.
fn ids(json: &Value) -> Vec<TokenId> {
    let tokens = json["tokens"].as_array().unwrap().iter();
    tokens
        .map(|token| token["id"].as_str().unwrap().parse().unwrap())
        .collect()
}

#[test]
fn the_worst_stands_first() {
    let (tally, names) = (tally(), names());
    let report = Report::of(&tally, &names, &meta(), None, None);
    let json: Value = serde_json::from_str(&written(&report, ReportFormat::Json)).unwrap();
    let severities: Vec<_> = json["tokens"]
        .as_array()
        .unwrap()
        .iter()
        .map(|token| &token["severity"])
        .collect();
    assert_eq!(
        severities,
        ["critical", "critical", "high", "medium", "low"]
    );
    assert_eq!(ids(&json)[2..], [id(0), id(3), id(4)]);
    assert_eq!(report.exit_code(), 1);
}

#[test]
fn a_token_is_told_whole() {
    let (tally, names) = (tally(), names());
    let report = Report::of(&tally, &names, &meta(), None, None);
    let json: Value = serde_json::from_str(&written(&report, ReportFormat::Json)).unwrap();
    let token = &json["tokens"][2];
    let expected = serde_json::json!({
        "id": id(0).to_string(), "severity": "high", "kind": "synapse_access", "prefix": "syt_",
        "confidence": "verified", "users": ["@alice:example.org"], "count": 2, "accepted": 1, "refused": 1,
        "unproven": 0, "first_seen": "2026-01-31T10:00:00Z", "last_seen": "2026-02-03T23:59:59Z",
        "admin": false, "admin_accepted": false, "fields": ["request"], "statuses": [200, 401],
        "methods": ["GET"], "endpoints": ["/_matrix/client/v3/sync"], "clients": ["matrix-nio"],
        "networks": ["203.0.113.0/24"], "networks_count": 1, "networks_exact": true,
        "sources": [
            {"file": "/var/log/nginx/access.log", "first_line": 99, "last_line": 99, "count": 1},
            {"file": "/var/log/nginx/access.log.1", "first_line": 12, "last_line": 12, "count": 1},
        ],
        "count_elsewhere": 0, "state": "not_checked", "live_user": null, "device": null, "state_reason": null,
        "revocation": null, "checked_at": null, "checked_by": null, "known": false, "known_reason": null,
    });
    assert_eq!(token, &expected);
    let totals = &json["totals"];
    assert_eq!(
        (&totals["tokens"], &totals["findings"], &totals["lines"]),
        (&5.into(), &6.into(), &3000.into())
    );
    assert_eq!(totals["lines_not_understood"], 1);
    assert_eq!(json["days"][0]["day"], "2026-01-31");
    assert_eq!(json["clients"][0]["client"], "matrix-nio");
}

struct Said(TokenId, &'static str);

impl Lives for Said {
    fn life(&self, id: TokenId, _: &str) -> Option<Life> {
        let state = if id == self.0 { self.1 } else { "dead" };
        let device = Some("DEVICE".to_owned());
        let checked = Some((Timestamp::UNIX_EPOCH, "live-set".to_owned()));
        Some(Life {
            state,
            device,
            checked,
            ..Life::default()
        })
    }
}

/// Somebody who calls everything dead, and when.
struct Dead(&'static str, &'static str);

impl Lives for Dead {
    fn life(&self, _: TokenId, _: &str) -> Option<Life> {
        Some(Life {
            state: "dead",
            checked: Some((self.1.parse().unwrap(), self.0.to_owned())),
            ..Life::default()
        })
    }
}

#[test]
fn a_list_says_nothing_of_a_token_that_came_later() {
    let (tally, names) = (tally(), names());
    let cases = [
        (
            "an older list",
            Dead("live-set list", "2025-01-01T00:00:00Z"),
            "unknown",
        ),
        (
            "a newer one",
            Dead("live-set list", "2027-01-01T00:00:00Z"),
            "dead",
        ),
        (
            "whoever was asked",
            Dead("https://hs", "2025-01-01T00:00:00Z"),
            "dead",
        ),
    ];
    for (name, told, state) in cases {
        let report = Report::of(&tally, &names, &meta(), Some(&told), None);
        let json: Value = serde_json::from_str(&written(&report, ReportFormat::Json)).unwrap();
        let mut rows = json["tokens"].as_array().unwrap().iter();
        let row = rows.find(|row| row["first_seen"].is_string()).unwrap();
        assert_eq!(row["state"], state, "case: {name}: {row}");
    }
}

#[test]
fn what_is_alive_comes_before_what_is_dead() {
    let (tally, names) = (tally(), names());
    let alive = Said(id(4), "alive");
    let report = Report::of(&tally, &names, &meta(), Some(&alive), None);
    let json: Value = serde_json::from_str(&written(&report, ReportFormat::Json)).unwrap();
    assert_eq!(ids(&json)[0], id(4));
    assert_eq!(json["tokens"][0]["device"], "DEVICE");
    assert_eq!(
        (
            &json["totals"]["tokens_alive"],
            &json["totals"]["tokens_dead"]
        ),
        (&1.into(), &4.into())
    );
    // Nobody needs to be told how to find out what is known, nor to revoke what is dead.
    let advice = json["advice"].to_string();
    assert!(
        !advice.contains("alive.ndjson")
            && !advice.contains("mas-cli")
            && advice.contains("--revoke"),
        "{advice}"
    );
}

#[test]
fn a_report_is_a_baseline() {
    let (tally, names) = (tally(), names());
    let report = Report::of(&tally, &names, &meta(), None, None);
    let file = tempfile::NamedTempFile::new().unwrap();
    let lines = written(&report, ReportFormat::Ndjson);
    let but_the_worst: Vec<&str> = lines.lines().skip(1).collect();
    fs::write(file.path(), but_the_worst.join("\n")).unwrap();
    let load = |key: &str| Baseline::load(file.path(), key, date(2026, 2, 4));
    let baseline = load("0a0a0a0a").unwrap();
    let again = Report::of(&tally, &names, &meta(), None, Some(&baseline));
    let json: Value = serde_json::from_str(&written(&again, ReportFormat::Json)).unwrap();
    assert_eq!(json["totals"]["tokens_known"], 4);
    assert_eq!(
        (json["tokens"][0]["known"].as_bool(), again.exit_code()),
        (Some(false), 1)
    );
    fs::write(file.path(), lines).unwrap();
    let baseline = load("0a0a0a0a").unwrap();
    assert_eq!(
        Report::of(&tally, &names, &meta(), None, Some(&baseline)).exit_code(),
        0
    );
    assert!(load("0b0b0b0b").is_err());
}

#[test]
fn incomplete_never_looks_like_clean() {
    let names = names();
    let clean = Tally::for_inputs(&names);
    let mut gaps = clean.clone();
    gaps.incomplete(Some(1), "permission denied".to_owned());
    let stopped = Meta {
        is_complete: false,
        ..meta()
    };
    let cases = [
        ("clean", &clean, meta(), 0, "No secret was found."),
        (
            "a file was not read",
            &gaps,
            meta(),
            3,
            "/var/log/nginx/access.log: permission denied",
        ),
        (
            "stopped",
            &clean,
            stopped,
            3,
            "it was stopped before its end",
        ),
    ];
    for (name, tally, meta, code, expected) in cases {
        let report = Report::of(tally, &names, &meta, None, None);
        assert_eq!(report.exit_code(), code, "case: {name}");
        let text = written(&report, ReportFormat::Text);
        assert!(text.contains(expected), "case: {name}: {text}");
        for (format, _) in all_formats() {
            let text = written(&report, format);
            let is_told = text.to_lowercase().contains("incomplete")
                || text.contains("executionSuccessful\": false");
            // JSON has the word in every report.
            let is_json = matches!(format, ReportFormat::Json | ReportFormat::Ndjson);
            assert!(is_told == (code == 3) || is_json, "{name}: {text}");
        }
    }
}

#[test]
fn attackers_write_text_and_nothing_else() {
    let (tally, names) = (tally(), names());
    let report = Report::of(&tally, &names, &meta(), None, None);
    for (format, extension) in all_formats() {
        let text = written(&report, format);
        for moves in ['\u{1b}', '\u{9b}', '\u{202e}'] {
            assert!(!text.contains(moves), "{extension}: {text}");
        }
        if let Some(folder) = option_env!("AUDIT_REPORT_SAMPLES") {
            fs::write(Path::new(folder).join(format!("report.{extension}")), &text).unwrap();
        }
    }
    let html = written(&report, ReportFormat::Html);
    assert!(!html.contains("<img") && html.contains("&lt;img src=x onerror"));
    let csv = written(&report, ReportFormat::Csv);
    assert!(csv.contains("'=<img"), "{csv}");
    // What is to be copied into a shell is one word there.
    let json: Value = serde_json::from_str(&written(&report, ReportFormat::Json)).unwrap();
    let mut files = json["files"].as_array().unwrap().iter();
    assert!(
        files.any(|file| file["name"] == names[2]),
        "parsers read it as it was"
    );
    let advice = json["advice"].as_array().unwrap();
    let clean = advice
        .iter()
        .find(|step| step["title"] == "Clean the files")
        .unwrap();
    let command = clean["commands"][0].as_str().unwrap();
    let echo = command.replace("tokenshim redact --in-place", "printf '%s\\n'");
    let said = Command::new("bash").args(["-c", &echo]).output().unwrap();
    let mut expected = names.clone();
    expected.sort();
    assert_eq!(
        String::from_utf8(said.stdout).unwrap(),
        expected.join("\n") + "\n"
    );
}

#[test]
fn sarif_has_a_result_for_each_token_and_file() {
    let (tally, names) = (tally(), names());
    let report = Report::of(&tally, &names, &meta(), None, None);
    let sarif: Value = serde_json::from_str(&written(&report, ReportFormat::Sarif)).unwrap();
    let run = &sarif["runs"][0];
    let results = run["results"].as_array().unwrap();
    assert_eq!(
        (sarif["version"].as_str(), results.len()),
        (Some("2.1.0"), 6)
    );
    let rules: Vec<_> = run["tool"]["driver"]["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| &rule["id"])
        .collect();
    for result in results {
        assert!(rules.contains(&&result["ruleId"]));
        assert!(
            result["locations"][0]["physicalLocation"]["region"]
                .get("snippet")
                .is_none()
        );
        let uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
            .as_str()
            .unwrap();
        assert!(
            uri.bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'<'),
            "{uri}"
        );
    }
}

/// As many rows as a page may have, all of them long.
#[test]
fn a_full_page_stays_small() {
    let names: Vec<String> = (0..60)
        .map(|number| format!("/var/log/nginx/access.log.{number}.gz"))
        .collect();
    let mut tally = Tally::for_inputs(&names);
    for number in 0..3000_u32 {
        let place = Place {
            input: number % 60,
            line: u64::from(number) * 1000,
        };
        let user = format!("@user{}:example.org", number % 500);
        let second = 1_760_000_000 + i64::from(number) * 20_000;
        tally.add(&Sighting {
            place,
            user: Some(&user),
            time: Some(Timestamp::from_second(second).unwrap()),
            client: Some(IpAddr::from([10, 1, (number % 200) as u8, 1])),
            endpoint: [
                "/_matrix/client/v3/sync",
                "/_matrix/client/v3/rooms/{roomId}/messages",
                "other",
            ][number as usize % 3],
            ..sighting(u128::from(number % 500))
        });
    }
    let report = Report::of(&tally, &names, &meta(), None, None);
    let html = written(&report, ReportFormat::Html);
    assert!(html.len() < 100_000, "{}", html.len());
    assert!(html.contains("440 more are left out here"));
    if let Some(folder) = option_env!("AUDIT_REPORT_SAMPLES") {
        fs::write(Path::new(folder).join("full.html"), &html).unwrap();
        fs::write(
            Path::new(folder).join("full.txt"),
            written(&report, ReportFormat::Text),
        )
        .unwrap();
    }
}

#[test]
fn a_terminal_has_colours_and_an_edge() {
    let (tally, names) = (tally(), names());
    let report = Report::of(&tally, &names, &meta(), None, None);
    let mut out = Vec::new();
    report::write(&report, ReportFormat::Text, &mut out, true).unwrap();
    let text = String::from_utf8(out).unwrap();
    // Who wants none says so by this variable, also to the tests.
    let wants_none = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    assert_eq!(text.contains("\u{1b}[1;31m"), !wants_none);
    assert!(!text.contains("\u{1b}[31m"), "ours alone");
    let table = text
        .lines()
        .skip_while(|line| !line.contains("the worst first"))
        .skip(1);
    for line in table.take_while(|line| !line.is_empty()) {
        let shown = line
            .replace("\u{1b}[1;31m", "")
            .replace("\u{1b}[33m", "")
            .replace("\u{1b}[2m", "");
        assert!(
            shown.replace("\u{1b}[0m", "").chars().count() <= 80,
            "{line}"
        );
    }
}

#[test]
fn parts_become_a_report_on_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, names) = (tally(), names());
    let mut parts = Vec::new();
    for input in 0..3 {
        let mut tally = Tally::for_inputs(&names[input..=input]);
        tally.lines_read(0, 10, 1000);
        tally.add(&Sighting {
            place: Place { input: 0, line: 1 },
            ..sighting(input as u128)
        });
        let path = folder.path().join(format!("{input}.part"));
        let mut file = fs::File::create(&path).unwrap();
        merge::write_part(&tally, &names[input..=input], &meta(), &mut file).unwrap();
        parts.push(path);
    }
    drop(whole);
    let merge = |arguments: &[&str], parts: &[std::path::PathBuf]| {
        let run = Command::new(env!("CARGO_BIN_EXE_tokenshim"))
            .arg("audit-merge")
            .args(arguments)
            .args(parts)
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            run.status.code().unwrap(),
            text(run.stdout),
            text(run.stderr),
        )
    };
    let (code, json, stderr) = merge(&["--format", "json"], &parts);
    assert_eq!((code, stderr.as_str()), (1, ""));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["totals"]["tokens"], &json["totals"]["lines"]),
        (&3.into(), &30.into())
    );
    // In two steps, and from a file to a file.
    let some = folder.path().join("some.part");
    let (code, stdout, _) = merge(&["--partial", "-o", some.to_str().unwrap()], &parts[..2]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    let (_, again, _) = merge(&["--format", "json"], &[parts[2].clone(), some.clone()]);
    assert_eq!(serde_json::from_str::<Value>(&again).unwrap(), json);
    // Twice the same.
    let (code, stdout, stderr) = merge(&[], &[parts[0].clone(), some]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.contains("would count double"), "{stderr}");
}
