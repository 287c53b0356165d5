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
