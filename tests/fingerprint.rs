//! `tokenshim fingerprint` as an admin uses it: what databases write goes in, and no token
//! comes out.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests fail by panicking"
)]

use std::{
    fs,
    io::{BufWriter, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use tempfile::TempDir;
use tokenshim::{
    audit::{
        key::Key,
        live_set::{LiveFile, State},
    },
    secret::FingerprintKey,
};

const CANARY: &str = "CANARY-FAKE-SECRET-0123456789";
const KEY: &[u8] = b"FAKE-KEY-FAKE-KEY-FAKE-KEY\n";

/// A folder with a key in it.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let key = folder.path().join("key");
    fs::write(&key, KEY).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    folder
}

fn start(folder: &Path, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_tokenshim"))
        .arg("fingerprint")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs")
}

fn run(folder: &Path, arguments: &[&str], stdin: &[u8]) -> Output {
    let mut child = start(folder, arguments);
    // Whoever refuses at once may be gone already.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    let output = child.wait_with_output().unwrap();
    for bytes in [&output.stdout, &output.stderr] {
        assert!(!text(bytes).contains("CANARY"), "{}", text(bytes));
    }
    output
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}

const USUAL: [&str; 3] = ["--stdin", "--key", "key"];

#[test]
fn a_database_becomes_a_live_set() {
    let folder = folder();
    let inputs = [
        (
            "sqlite3",
            format!("{CANARY}|@alice:hs|DEVICE\n{CANARY}2|@bob:hs|\n"),
        ),
        (
            "COPY",
            format!("{CANARY}\t@alice:hs\tDEVICE\n{CANARY}2\t@bob:hs\t\\N\n"),
        ),
        (
            "psql --csv",
            format!("token,user_id,device_id\n{CANARY},@alice:hs,DEVICE\n{CANARY}2,@bob:hs,\n"),
        ),
    ];
    let key = FingerprintKey::new(KEY.trim_ascii_end()).unwrap();
    let list = folder.path().join("list");
    for (name, input) in inputs {
        for format in ["tsv", "ndjson"] {
            let arguments = [&USUAL[..], &["--format", format]].concat();
            let output = run(folder.path(), &arguments, input.as_bytes());
            assert_eq!(output.status.code(), Some(0), "case: {name}");
            assert_eq!(text(&output.stderr), "", "case: {name}");
            fs::write(&list, &output.stdout).unwrap();
            let key_of_the_audit = Key::load(Some(&folder.path().join("key"))).unwrap();
            let file = LiveFile::open(&list, &key_of_the_audit).unwrap();
            let set = file.join(|_| true).unwrap();
            let live = set.of(key.id(CANARY.as_bytes()), "access_token");
            assert_eq!(live.state, State::Alive, "case: {name}");
            assert_eq!(
                (live.user, live.device),
                (Some("@alice:hs"), Some("DEVICE"))
            );
            assert_eq!(set.count(State::Alive), 2, "case: {name}");
        }
    }
    let other = Key::load(None).unwrap();
    assert!(LiveFile::open(&list, &other).is_err(), "a key of one run");
    fs::write(
        folder.path().join("other"),
        b"FAKE-OTHER-KEY-FAKE-OTHER-KEY",
    )
    .unwrap();
    fs::set_permissions(
        folder.path().join("other"),
        fs::Permissions::from_mode(0o600),
    )
    .unwrap();
    let other = Key::load(Some(&folder.path().join("other"))).unwrap();
    let error = LiveFile::open(&list, &other).unwrap_err().to_string();
    assert!(error.contains("another key"), "{error}");
}

#[test]
fn names_are_those_of_the_access_log() {
    let folder = folder();
    let output = run(folder.path(), &USUAL, format!("{CANARY}\n").as_bytes());
    let key = FingerprintKey::new(KEY.trim_ascii_end()).unwrap();
    let token = tokenshim::secret::AccessToken::from_text(CANARY.as_bytes()).unwrap();
    let short = key.fingerprint(&token).to_string();
    let line = text(&output.stdout).lines().nth(1).unwrap();
    assert!(line.starts_with(&short), "{short} in {line}");
}

#[test]
fn refuses_what_would_show_a_token() {
    let folder = folder();
    fs::write(folder.path().join("open"), KEY).unwrap();
    fs::set_permissions(
        folder.path().join("open"),
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    let cases: [(&str, &[&str], &str, i32, &str); 6] = [
        (
            "a token as an argument",
            &["--stdin", "--key", "key", CANARY],
            "",
            2,
            "takes no token as an argument",
        ),
        ("no key", &["--stdin"], "", 64, "--key <FILE>"),
        ("no --stdin", &["--key", "key"], "", 2, "--stdin is needed"),
        (
            "a key for everybody",
            &["--stdin", "--key", "open"],
            "",
            2,
            "chmod 600 open",
        ),
        (
            "columns in another order",
            &USUAL,
            "@alice:hs|CANARY|D\n",
            2,
            "line 1: the first column is a user",
        ),
        (
            "one bad line of two",
            &USUAL,
            "CANARY\nCANARY CANARY\n",
            2,
            "1 of 2 lines hold no token",
        ),
    ];
    for (name, arguments, stdin, code, expected) in cases {
        let output = run(folder.path(), arguments, stdin.as_bytes());
        assert_eq!(output.status.code(), Some(code), "case: {name}");
        let stderr = text(&output.stderr);
        assert!(stderr.contains(expected), "case: {name}: {stderr}");
    }
}

#[test]
fn memory_does_not_grow_with_the_input() {
    const LINES: u32 = 200_000;
    let folder = folder();
    let list = fs::File::create(folder.path().join("list")).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_tokenshim"))
        .arg("fingerprint")
        .args(USUAL)
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(list)
        .spawn()
        .unwrap();
    let peak = |child: &Child| -> u32 {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let mut input = BufWriter::new(child.stdin.take().unwrap());
    let mut write = |from: u32, to: u32| {
        for number in from..to {
            writeln!(
                input,
                "{CANARY}{number}|@user{number}:hs.example|DEVICE{number}"
            )
            .unwrap();
        }
        input.flush().unwrap();
    };
    // All but what a pipe holds has been read when the writer is done.
    write(0, LINES / 10);
    let before = peak(&child);
    write(LINES / 10, LINES);
    let after = peak(&child);
    drop(input);
    assert!(child.wait().unwrap().success());
    assert!(after < before + 2_048, "{before} KiB, then {after} KiB");
    let list = fs::read_to_string(folder.path().join("list")).unwrap();
    assert_eq!(list.lines().count(), usize::try_from(LINES).unwrap() + 2);
    assert!(!list.contains("CANARY"));
}

#[test]
fn a_closed_pipe_is_no_error() {
    let folder = folder();
    let mut child = start(folder.path(), &USUAL);
    drop(child.stdout.take());
    let lines = format!("{CANARY}\n").repeat(10_000);
    let _ = child.stdin.take().unwrap().write_all(lines.as_bytes());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
}
