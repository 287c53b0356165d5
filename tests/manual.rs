//! Completions and manual pages: whole, and taken by the programs that read them.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{
    fs,
    io::{ErrorKind, Write as _},
    path::Path,
    process::{Command, Output, Stdio},
};

fn tokenshim(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tokenshim"))
        .args(arguments)
        .output()
        .unwrap()
}

/// What a program says of a text; `None` where there is no such program.
fn read_by(program: &str, arguments: &[&str], text: &[u8]) -> Option<Output> {
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        child => child.unwrap(),
    };
    child.stdin.take().unwrap().write_all(text).unwrap();
    Some(child.wait_with_output().unwrap())
}

/// The commands that the help names.
fn commands() -> Vec<String> {
    let help = String::from_utf8(tokenshim(&["--help"]).stdout).unwrap();
    let (_, rest) = help.split_once("Commands:\n").unwrap();
    let lines = rest.lines().take_while(|line| line.starts_with("  "));
    // What is further in goes on with the text of the line before.
    let commands: Vec<_> = lines
        .filter(|line| !line.starts_with("   "))
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .filter(|name| name != "help")
        .collect();
    assert!(commands.len() >= 11, "{commands:?}");
    commands
}

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = tokenshim(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        let text = String::from_utf8(output.stdout).unwrap();
        for command in commands() {
            assert!(text.contains(&command), "{shell}: {command}");
        }
        for flag in ["yes-remote", "error-log"] {
            assert!(text.contains(flag), "{shell}: {flag}");
        }
    }
    assert_eq!(tokenshim(&["completions", "csh"]).status.code(), Some(64));
}

#[test]
fn shells_take_their_completions() {
    for (shell, check) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
        let text = tokenshim(&["completions", shell]).stdout;
        if let Some(output) = read_by(shell, &[check], &text) {
            assert!(output.status.success(), "{shell}: {output:?}");
            assert_eq!(output.stderr, b"", "{shell}");
        }
    }
    let script = "source <(\"$1\" completions bash); COMP_WORDS=(tokenshim emit ''); COMP_CWORD=2; \
                  _tokenshim tokenshim '' emit; echo \"${COMPREPLY[*]}\"";
    let output = Command::new("bash")
        .args(["-c", script, "bash", env!("CARGO_BIN_EXE_tokenshim")])
        .output()
        .unwrap();
    let offered = String::from_utf8(output.stdout).unwrap();
    assert!(
        offered.contains("nginx") && offered.contains("haproxy"),
        "{offered}"
    );
}

#[test]
fn a_page_for_each_command() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("man1");
    let output = tokenshim(&["man", "--output", folder.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let mut expected: Vec<_> = commands()
        .into_iter()
        .map(|command| format!("tokenshim-{command}.1"))
        .collect();
    expected.push("tokenshim.1".into());
    expected.sort();
    let mut pages: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.sort();
    assert_eq!(pages, expected);
    for page in pages {
        no_complaints(&folder.join(page));
    }
    let first = tokenshim(&["man"]).stdout;
    assert_eq!(first, fs::read(folder.join("tokenshim.1")).unwrap());
}

/// man reads it without a warning, where there is one.
fn no_complaints(page: &Path) {
    let output = Command::new("man")
        .args(["--warnings=all", "-E", "UTF-8", "-l", "-Tutf8", "-Z"])
        .arg(page)
        .env("LC_ALL", "C.UTF-8")
        .output();
    match output {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        output => {
            let said = String::from_utf8(output.unwrap().stderr).unwrap();
            assert_eq!(said, "", "{}", page.display());
        }
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let output = tokenshim(&["man", "--output", "/dev/null/x"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("/dev/null/x")
    );
}
