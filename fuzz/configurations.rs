//! What must hold for any configuration of another program.

use std::{
    io,
    path::{Path, PathBuf},
};

use tokenshim::doctor::{self, Files, Outcome, Program};

/// A configuration: there is an answer, about lines that there are, and a comment in
/// front changes nothing but their numbers.
pub(crate) fn configuration(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.lines().count() + 1;
    for program in [Program::Nginx, Program::Haproxy, Program::Caddy] {
        let outcome = inspect(program, &text);
        let shifted = inspect(program, &format!("# a comment\n{text}"));
        assert_eq!(
            outcome.findings.len(),
            shifted.findings.len(),
            "a comment changed something"
        );
        for (one, other) in outcome.findings.iter().zip(&shifted.findings) {
            assert!((1..=lines).contains(&one.line), "no such line");
            assert_eq!(one.line + 1, other.line, "another line");
            assert_eq!(
                (one.harm, &one.what),
                (other.harm, &other.what),
                "another finding"
            );
        }
        assert_eq!(
            outcome.incomplete.len(),
            shifted.incomplete.len(),
            "a comment is not understood"
        );
    }
}

fn inspect(program: Program, text: &str) -> Outcome {
    let texts = [(PathBuf::from("main"), text.to_owned())];
    doctor::inspect(program, &texts, None, &Nothing)
}

/// A machine without files.
struct Nothing;

impl Files for Nothing {
    fn read(&self, _: &Path) -> io::Result<String> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn expand(&self, _: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(Vec::new())
    }
}
