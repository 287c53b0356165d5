//! No format says less than was found, nor lets a gap look like clean logs.

use super::*;

/// Exit code, stdout and stderr.
fn run(arguments: &[&str]) -> (i32, String, String) {
    let run = Command::new(env!("CARGO_BIN_EXE_tokenshim"))
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        run.status.code().unwrap(),
        text(run.stdout),
        text(run.stderr),
    )
}

#[test]
fn a_table_has_a_row_for_what_was_not_read() {
    let missing = "no such file; =1+1";
    let (code, csv, stderr) = run(&["audit", "--format", "csv", missing]);
    assert_eq!((code, csv.lines().count()), (3, 2), "{csv}");
    let row = csv.lines().last().unwrap();
    assert!(
        row.starts_with("incomplete,") && row.contains("no such file; '=1+1"),
        "{row}"
    );
    assert!(
        stderr.contains("tokenshim: incomplete: no such file; =1+1"),
        "{stderr}"
    );
}

#[test]
fn a_merge_leaves_its_parts_alone() {
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join("web1.part");
    let mut file = fs::File::create(&part).unwrap();
    merge::write_part(&tally(), &names(), &meta(), &mut file).unwrap();
    let before = fs::read(&part).unwrap();
    let output = folder.path().join("web1");
    let (output, named) = (output.to_str().unwrap(), part.to_str().unwrap());
    let (code, _, stderr) = run(&["audit-merge", "--format", "html", "-o", output, named]);
    assert_eq!((code, stderr.as_str()), (1, ""));
    assert_eq!(fs::read(&part).unwrap(), before);
    assert!(
        fs::read_to_string(output)
            .unwrap()
            .starts_with("<!DOCTYPE html>")
    );
}

#[test]
fn lines_are_counted_from_one() {
    let (code, _, stderr) = run(&["audit", "--first-line", "0", "-"]);
    assert!(
        code == 64 && stderr.contains("'0' for '--first-line"),
        "{stderr}"
    );
}

#[test]
fn sarif_says_what_has_no_result() {
    let names: Vec<String> = (0..17)
        .map(|number| format!("//tmp/log.{number:02}"))
        .collect();
    let mut tally = Tally::for_inputs(&names);
    for input in 0..17 {
        let place = Place { input, line: 1 };
        tally.add(&Sighting {
            place,
            ..sighting(0)
        });
    }
    tally.incomplete(None, "[click](https:x.example){0}.gz".to_owned());
    let report = Report::of(&tally, &names, &meta(), None, None);
    let sarif: Value = serde_json::from_str(&written(&report, ReportFormat::Sarif)).unwrap();
    let run = &sarif["runs"][0];
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 8);
    let text = results[0]["message"]["text"].as_str().unwrap();
    assert!(text.ends_with(", once in this file"), "{text}");
    let place = &results[0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "/tmp/log.00");
    let told = run["invocations"][0]["toolExecutionNotifications"]
        .as_array()
        .unwrap();
    let told: Vec<_> = told
        .iter()
        .map(|told| told["message"]["text"].as_str().unwrap())
        .collect();
    assert_eq!(told[0], r"\[click\](https:x.example){{0}}.gz");
    assert!(told[1].contains("9 times more in other files"), "{told:?}");
    assert_eq!(told.len(), 2);
}

#[test]
fn a_narrow_terminal_shows_what_decides() {
    let (tally, names) = (tally(), names());
    let mut gaps = tally.clone();
    let why = format!("{} and at last the reason", "very long ".repeat(20));
    gaps.incomplete(Some(1), why);
    let lives = Said(id(0), "alive");
    let report = Report::of(&gaps, &names, &meta(), Some(&lives), None);
    let mut out = Vec::new();
    report::write(&report, ReportFormat::Text, &mut out, true).unwrap();
    let text = String::from_utf8(out).unwrap();
    let row = text
        .lines()
        .find(|line| line.contains("high") && line.contains("h:"));
    let row = row.unwrap_or_else(|| panic!("{text}"));
    for word in ["alive", "accepted 1", "refused 1"] {
        assert!(row.contains(word), "{row}");
    }
    assert!(text.contains("at last the reason"), "{text}");
}

/// What was refused is not what nobody knows.
#[test]
fn clients_have_what_was_refused_also_from_parts() {
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join("a.part");
    let mut file = fs::File::create(&part).unwrap();
    merge::write_part(&tally(), &names(), &meta(), &mut file).unwrap();
    let (_, json, _) = run(&["audit-merge", "--format", "json", part.to_str().unwrap()]);
    let json: Value = serde_json::from_str(&json).unwrap();
    let client = &json["clients"][0];
    assert_eq!(
        [&client["count"], &client["accepted"], &client["refused"]],
        [&Value::from(3), &Value::from(1), &Value::from(2)],
        "{client}"
    );
    let (_, html, _) = run(&["audit-merge", "--format", "html", part.to_str().unwrap()]);
    assert!(html.contains("matrix-nio: 1 accepted, 2 refused"), "{html}");
}
