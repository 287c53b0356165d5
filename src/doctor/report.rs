//! What was found, for people and for programs.

use std::fmt;

use serde::Serialize;

use super::{Finding, Harm, Outcome, Program};

/// A result; the names are an interface.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Of this layout.
    version: u32,
    program: &'static str,
    /// In the order of files and lines.
    pub findings: Vec<Finding>,
    /// What could not be read or understood.
    pub incomplete: Vec<String>,
}

impl Report {
    /// Of an outcome.
    #[must_use]
    pub fn new(program: Option<Program>, outcome: Outcome) -> Self {
        Self {
            version: 1,
            program: match program {
                Some(Program::Nginx) => "nginx",
                Some(Program::Haproxy) => "haproxy",
                Some(Program::Caddy) => "caddy",
                None => "unknown",
            },
            findings: outcome.findings,
            incomplete: outcome.incomplete,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}\n")?;
        }
        for why in &self.incomplete {
            writeln!(f, "INCOMPLETE: {why}\n")?;
        }
        match (self.findings.len(), self.incomplete.len()) {
            (0, 0) => writeln!(
                f,
                "nothing known to harm; `tokenshim probe` tells what the running chain does"
            ),
            (count, 0) => writeln!(f, "{count} found"),
            (count, unread) => writeln!(f, "{count} found, {unread} not understood"),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let harm = match self.harm {
            Harm::Logs => "logs",
            Harm::Breaks => "breaks",
            Harm::Repeats => "repeats",
        };
        let Self { line, what, .. } = self;
        writeln!(f, "{}:{line}: {harm}: {what}", self.file.display())?;
        writeln!(f, "  why: {}", self.why)?;
        write!(f, "  fix: {}", self.fix)
    }
}
