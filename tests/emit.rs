//! `tokenshim emit` on the command line; the real programs are in tests/acceptance.

use std::process::{Command, Stdio};

use tokenshim::emit::Program;

#[test]
fn prints_the_text_and_nothing_else() {
    for program in Program::ALL {
        let output = Command::new(env!("CARGO_BIN_EXE_tokenshim"))
            .args(["emit", &program.to_string()])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{program}");
        assert_eq!(output.stdout, program.snippet().as_bytes(), "{program}");
        assert_eq!(output.stderr, b"", "{program}");
    }
}

#[test]
fn an_unknown_program_is_a_mistake_of_the_command_line() {
    for arguments in [&["emit"][..], &["emit", "lighttpd"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_tokenshim"))
            .args(arguments)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        assert_eq!(output.stdout, b"", "{arguments:?}");
    }
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tokenshim"))
        .args(["emit", "nginx"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}
