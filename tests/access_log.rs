//! The access log as an operator reads it.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

mod support;

use std::{fs, io::Write as _};

use support::{Shim, text, upstream::Upstream};

/// The pieces of a `combined` line: client, user, request, status, bytes, referrer, agent.
fn pieces(line: &str) -> [&str; 7] {
    let (client, rest) = line.split_once(" - ").unwrap();
    let (user, rest) = rest.split_once(" [").unwrap();
    let (time, rest) = rest.split_once("] \"").unwrap();
    assert_eq!(time.len(), "21/Nov/2026:22:43:27 +0000".len(), "{time}");
    let (request, rest) = rest.split_once("\" ").unwrap();
    let (figures, rest) = rest.split_once(" \"").unwrap();
    let (status, bytes) = figures.split_once(' ').unwrap();
    let (referrer, agent) = rest.split_once("\" \"").unwrap();
    [
        client,
        user,
        request,
        status,
        bytes,
        referrer,
        agent.strip_suffix('"').unwrap(),
    ]
}

#[test]
fn a_line_has_the_fields_of_nginx() {
    let upstream = Upstream::plain();
    let shim = Shim::start(&upstream.url(), "");
    let mut wire = shim.connect();
    wire.ask(
        "GET /p?a=%22&access_token=SECRET HTTP/1.1\r\nHost: h\r\nUser-Agent: old \"one\"\r\n\r\n",
    );
    drop(wire);
    let written = shim.stop();
    let line = text(&written.stdout).trim_end().to_owned();
    let [client, user, request, status, _, referrer, agent] = pieces(&line);
    assert_eq!((client, status, referrer), ("127.0.0.1", "200", "-"));
    assert_eq!(request, "GET /p?a=%22&access_token=<redacted> HTTP/1.1");
    assert!(user.starts_with("h:") && user.len() == 10, "{user}");
    assert_eq!(agent, r"old \x22one\x22");
}

#[test]
fn a_key_file_makes_fingerprints_last() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("key");
    // The line break at the end is the editor's.
    fs::File::create(&key)
        .unwrap()
        .write_all(b"0123456789abcdef\n")
        .unwrap();
    let upstream = Upstream::plain();
    for _ in 0..2 {
        let config = format!(
            "[access_log]\nfingerprint_key_file = \"{}\"\n",
            key.display()
        );
        let shim = Shim::start(&upstream.url(), &config);
        let mut wire = shim.connect();
        wire.ask("GET /p?access_token=FAKE HTTP/1.1\r\nHost: h\r\n\r\n");
        drop(wire);
        // printf FAKE | openssl dgst -sha256 -hmac 0123456789abcdef
        assert!(text(&shim.stop().stdout).contains(" - h:406daced ["));
    }
}

#[test]
fn a_full_disk_is_reported() {
    let upstream = Upstream::plain();
    let shim = Shim::start(&upstream.url(), "[access_log]\nfile = \"/dev/full\"\n");
    let mut wire = shim.connect();
    for _ in 0..3 {
        assert_eq!(wire.ask("GET /p HTTP/1.1\r\nHost: h\r\n\r\n").status(), 200);
    }
    drop(wire);
    let written = shim.stop();
    let said = text(&written.stderr);
    assert!(said.contains("log cannot be written"), "{said}");
    assert!(said.contains("lines=3"), "{said}");
}
