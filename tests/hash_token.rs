//! `tokenshim hash-token` as an admin uses it: what goes where, and what is refused.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests fail by panicking"
)]

use std::{
    io::Write as _,
    process::{Command, Output, Stdio},
};

use tokenshim::{redact, secret::AccessToken, verify::tokens::Tokens};

const CANARY: &str = "CANARY-FAKE-SECRET-0123456789";

fn hash_token(arguments: &[&str], stdin: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tokenshim"))
        .arg("hash-token")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    // Whoever refuses at once may be gone already.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}

/// The label that a file gives to a token.
fn find(file: &[u8], token: &str) -> Option<String> {
    let tokens = Tokens::parse(file).expect("a tokens file");
    let token = AccessToken::from_text(token.as_bytes()).unwrap();
    tokens.find(&token).map(str::to_owned)
}

#[test]
fn a_token_on_stdin_becomes_a_line() {
    let longest = "F".repeat(4096);
    let cases = [
        ("a line", format!("{CANARY}\n"), CANARY),
        ("without its end", CANARY.to_owned(), CANARY),
        ("from Windows", format!("{CANARY}\r\n"), CANARY),
        (
            "odd characters",
            format!("{CANARY}%41&=\n"),
            &format!("{CANARY}%41&="),
        ),
        (
            "the shortest",
            "FAKE-SECRET-FAKE-123".to_owned(),
            "FAKE-SECRET-FAKE-123",
        ),
        ("the longest", format!("{longest}\n"), &longest),
    ];
    for (name, stdin, token) in cases {
        let output = hash_token(&["--label", "backup"], stdin.as_bytes());
        assert_eq!(output.status.code(), Some(0), "case: {name}");
        assert_eq!(text(&output.stderr), "", "case: {name}");
        assert_eq!(text(&output.stdout).lines().count(), 1, "case: {name}");
        assert!(!text(&output.stdout).contains(token), "case: {name}");
        assert_eq!(
            find(&output.stdout, token).as_deref(),
            Some("backup"),
            "case: {name}"
        );
    }
    let once = hash_token(&["--label", "backup"], CANARY.as_bytes()).stdout;
    let twice = hash_token(&["--label", "backup"], CANARY.as_bytes()).stdout;
    assert_ne!(once, twice, "each line has its own salt");
}

#[test]
fn refuses_what_is_no_token() {
    let long = "F".repeat(4097);
    let short = "is shorter than 20 characters";
    let no_line = "is not one line of visible ASCII";
    let cases: [(&str, &[&str], Vec<u8>, &str); 10] = [
        ("nothing", &[], Vec::new(), no_line),
        ("an empty line", &[], b"\n".to_vec(), no_line),
        (
            "two lines",
            &[],
            format!("{CANARY}\n{CANARY}\n").into(),
            no_line,
        ),
        (
            "two line feeds",
            &[],
            format!("{CANARY}\n\n").into(),
            no_line,
        ),
        ("a space", &[], format!("{CANARY} ").into(), no_line),
        (
            "no text",
            &[],
            b"CANARY-FAKE-SECRET-\xff\xfe".to_vec(),
            no_line,
        ),
        ("a password", &[], b"CANARY-FAKE-SECRET1\n".to_vec(), short),
        (
            "too long",
            &[],
            long.into(),
            "is longer than 4096 characters",
        ),
        (
            "a label of rules",
            &["--label", "admins"],
            CANARY.into(),
            "--label must be",
        ),
        (
            "an empty label",
            &["--label", ""],
            CANARY.into(),
            "--label must be",
        ),
    ];
    for (name, arguments, stdin, expected) in cases {
        let output = hash_token(arguments, &stdin);
        assert_eq!(output.status.code(), Some(2), "case: {name}");
        assert_eq!(text(&output.stdout), "", "case: {name}");
        let stderr = text(&output.stderr);
        assert!(stderr.contains(expected), "case: {name}: {stderr}");
        assert!(!stderr.contains("CANARY"), "case: {name}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "case: {name}: {stderr}");
    }
    let argument = hash_token(&[CANARY], b"");
    assert_eq!(argument.status.code(), Some(64), "never from an argument");
}

#[test]
fn a_new_token_is_shown_once_and_apart() {
    let one = hash_token(&["--generate", "--label", "ci"], b"");
    let other = hash_token(&["--generate"], b"");
    let token = |output: &Output| {
        assert_eq!(output.status.code(), Some(0));
        let shown = text(&output.stderr).strip_prefix("token: ").unwrap();
        shown.strip_suffix('\n').unwrap().to_owned()
    };
    let (first, second) = (token(&one), token(&other));
    assert_ne!(first, second);
    // Both lines in one file, as `>>` would have it.
    let file = [one.stdout.as_slice(), &other.stdout].concat();
    assert_eq!(find(&file, &first).as_deref(), Some("ci"));
    let label = find(&file, &second).unwrap();
    assert!(label.starts_with("token-") && label.len() == 14, "{label}");
    for token in [&first, &second] {
        assert!(!text(&file).contains(token.as_str()));
        assert!(token.starts_with("tsh_") && token.len() == 41, "its shape");
        // Wherever it gets into a log, and with its checksum.
        let findings = redact::find(token.as_bytes());
        assert_eq!(findings[0].confidence(), redact::Confidence::Verified);
        for text in [format!("x {token}, y"), format!("/a/{token}/b")] {
            assert!(!String::from_utf8_lossy(&redact::mask(text.as_bytes())).contains("tsh_"));
        }
    }
}
