//! What is said of what cannot be read: that it was not, and nothing of what is in it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, os::unix::fs::symlink, process::Command};

const LEAK: &str = "192.0.2.7 - - [20/Nov/2026:10:00:00 +0000] \"GET /_matrix/client/v3/sync?access_token=FAKE-SECRET-0 \
                    HTTP/1.1\" 200 5 \"-\" \"x\"\n";

/// The exit code, and all that was said.
fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tokenshim"))
        .args(arguments)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn no_error_and_no_report_quotes_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    // The name of a page that was saved from its URL.
    let page = path("sync?access_token=FAKE-SECRET-0");
    let odd = path("odd");
    fs::write(&page, LEAK).unwrap();
    fs::write(&odd, "\"/sync?access_token=FAKE-SECRET-0\"\n").unwrap();
    let missing = path("gone?access_token=FAKE-SECRET-0");
    let cases: [(&str, &[&str], i32); 8] = [
        ("a part that is none", &["audit-merge", &odd], 2),
        (
            "a baseline that is none",
            &["audit", "--baseline", &odd, &page],
            2,
        ),
        (
            "a live set that is none",
            &["audit", "--live-set", &odd, &page],
            2,
        ),
        ("a file that is not there", &["audit", &missing], 3),
        (
            "a key that is not there",
            &["audit", "--key", &missing, &page],
            2,
        ),
        ("a name in text", &["audit", &page], 1),
        ("a name in JSON", &["audit", "--format", "json", &page], 1),
        ("a name of redact's", &["redact", "--in-place", &missing], 2),
    ];
    for (name, arguments, code) in cases {
        let (ended, said) = run(arguments);
        assert_eq!(ended, Some(code), "case: {name}: {said}");
        assert!(!said.contains("SECRET"), "case: {name}: {said}");
        assert!(!said.is_empty(), "case: {name}");
    }
}

#[test]
fn what_nothing_here_can_read_is_named() {
    let cases: [(&str, &[u8]); 5] = [
        ("zip", b"PK\x03\x04\x14\0\0\0"),
        ("lzma", b"\x5d\0\0\x80\0\xff\xff\xff"),
        ("lz4", b"\x04\x22\x4d\x18\x64\x40\xa7\0"),
        ("UTF-16", b"\xff\xfeG\0E\0T\0"),
        ("RAR", b"Rar!\x1a\x07\x01\0"),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in cases {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let path = path.to_str().unwrap();
        let (code, said) = run(&["audit", path]);
        assert_eq!(code, Some(3), "case: {name}: {said}");
        assert!(
            said.contains("unpack it") || said.contains("convert it"),
            "case: {name}: {said}"
        );
        for how in [&["redact", path][..], &["redact", "--in-place", path]] {
            let (code, said) = run(how);
            assert_eq!(code, Some(2), "case: {name}: {said}");
        }
    }
}

/// Nothing says what it is, but text it is not.
#[test]
fn what_is_no_text_is_never_clean() {
    let folder = tempfile::tempdir().unwrap();
    let utf16: Vec<u8> = LEAK.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let line = "192.0.2.1 - - [22/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 1\n";
    let text = line.repeat(1 << 14).into_bytes();
    let cases = [
        ("UTF-16 without a mark", utf16.clone(), Some(3)),
        (
            "text, and then UTF-16",
            [&text[..], &utf16.repeat(9000)].concat(),
            Some(3),
        ),
        (
            "one long line of bytes",
            (0..=255)
                .filter(|byte| *byte != b'\n')
                .cycle()
                .take(3 << 20)
                .collect(),
            Some(3),
        ),
        (
            "text with a hole",
            [&text[..], &vec![0; 300_000], &text].concat(),
            Some(0),
        ),
    ];
    for (name, bytes, expected) in cases {
        let path = folder.path().join("access.log");
        fs::write(&path, bytes).unwrap();
        let (code, said) = run(&["audit", path.to_str().unwrap()]);
        assert_eq!(code, expected, "case: {name}: {said}");
        let is_said = said.contains("INCOMPLETE") && said.contains("access.log: is not all text");
        assert_eq!(is_said, expected == Some(3), "case: {name}: {said}");
        for how in [
            &["redact"][..],
            &["redact", "--in-place"],
            &["redact", "--live"],
        ] {
            let (code, said) = run(&[how, &[path.to_str().unwrap()]].concat());
            let is_said = said.contains("access.log: masked 0; is not all text")
                || said.contains("access.log: is not all text");
            assert_eq!(
                is_said,
                expected == Some(3),
                "case: {how:?} {name}: {said:.300}"
            );
            assert_eq!(
                code == Some(2),
                is_said,
                "case: {how:?} {name}: {said:.300}"
            );
        }
    }
}

/// What can be seen is masked all the same.
#[test]
fn text_beside_what_is_none_is_masked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let noise: Vec<u8> = "none"
        .repeat(1 << 17)
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    for how in ["--in-place", "--live"] {
        fs::write(&path, [LEAK.as_bytes(), &noise].concat()).unwrap();
        let (code, said) = run(&["redact", how, path.to_str().unwrap()]);
        assert_eq!(code, Some(2), "{how}: {said}");
        assert!(
            said.contains("access.log: masked 1; is not all text"),
            "{how}: {said}"
        );
        let masked = fs::read(&path).unwrap();
        assert!(masked.ends_with(&noise), "{how}");
        let line = String::from_utf8_lossy(&masked[..LEAK.len() / 2]).into_owned();
        assert!(!line.contains("FAKE"), "{how}: {line}");
    }
}

#[test]
fn folders_behind_links_are_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let logs = folder.path().join("logs");
    let real = folder.path().join("real");
    fs::create_dir(&logs).unwrap();
    fs::create_dir(&real).unwrap();
    fs::write(real.join("access.log"), LEAK).unwrap();
    symlink(&real, logs.join("nginx")).unwrap();
    symlink(&real, logs.join("again")).unwrap();
    symlink(&logs, real.join("around")).unwrap();
    symlink(folder.path().join("nowhere"), logs.join("dangling")).unwrap();
    let (code, said) = run(&["audit", "--format", "json", logs.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{said}");
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(report["totals"]["lines"], 1, "{said}");
}

#[test]
fn a_line_that_may_be_of_any_year_is_in_every_window() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("syslog");
    let line = "Mar  3 10:00:00 host app: GET /x?access_token=FAKE-SECRET-0 HTTP/1.1\n";
    fs::write(&path, line).unwrap();
    let path = path.to_str().unwrap();
    for window in [["--until", "2020-01-01"], ["--since", "2099-01-01"]] {
        let (code, said) = run(&["audit", window[0], window[1], path]);
        assert_eq!(code, Some(1), "{window:?}: {said}");
    }
    let dated = folder.path().join("access.log");
    fs::write(&dated, LEAK).unwrap();
    let dated = dated.to_str().unwrap();
    let (code, said) = run(&["audit", "--until", "2020-01-01", "-j", "2", dated]);
    assert_eq!(code, Some(0), "{said}");
}
