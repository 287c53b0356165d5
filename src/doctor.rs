//! Reads the configuration of another proxy, and names the lines that put query strings
//! into logs or change URLs on their way.
//!
//! It knows what the lines mean that are known to harm, and says nothing of the rest: a
//! configuration without a finding is not proved to be clean. `tokenshim probe` tells what
//! the running chain does. What could not be read or understood is named; then the result
//! is incomplete, and never looks like a clean one.

mod caddy;
mod disk;
mod haproxy;
mod nginx;
mod recognition;
mod report;

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{emit::print, exit::Failure};

pub use self::{disk::Disk, report::Report};

/// What `doctor` is asked for.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The configuration: for nginx and Caddy the main file, for `HAProxy` all of them.
    #[arg(required = true)]
    file: Vec<PathBuf>,
    /// Whose configuration it is, where that cannot be told from the file.
    #[arg(long, value_enum)]
    program: Option<Program>,
    /// Where the paths of nginx's `include` begin, instead of the directory of the file.
    #[arg(long, value_name = "DIR")]
    prefix: Option<PathBuf>,
    /// How the result is written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Whose configuration can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Program {
    /// nginx.
    Nginx,
    /// `HAProxy`.
    Haproxy,
    /// A Caddyfile.
    Caddy,
}

/// What a line does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Harm {
    /// It puts query strings, or what may hold one, into a log.
    Logs,
    /// It changes URLs on the way, or takes tokens out of them in a way that fails.
    Breaks,
    /// It hands the URL back to the client, or stores it.
    Repeats,
}

/// One line that harms.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Finding {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// What it does.
    pub harm: Harm,
    /// The word or directive.
    pub what: String,
    /// Why that harms.
    pub why: String,
    /// What to do instead.
    pub fix: String,
}

/// What there is to say of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// In the order of files and lines.
    pub findings: Vec<Finding>,
    /// What could not be read or understood.
    pub incomplete: Vec<String>,
}

/// Where files come from.
pub trait Files {
    /// All of a file; what is not UTF-8 in it is replaced.
    ///
    /// # Errors
    ///
    /// The system's.
    fn read(&self, path: &Path) -> io::Result<String>;

    /// The files that a pattern with `*`, `?` and `[…]` stands for, in order.
    ///
    /// # Errors
    ///
    /// The system's, for a directory that cannot be listed.
    fn expand(&self, pattern: &Path) -> io::Result<Vec<PathBuf>>;
}

/// Exit codes besides [`Failure`]'s.
const FOUND: u8 = 1;
const INCOMPLETE: u8 = 3;

/// Reads the files; returns 0 if there is nothing to say, 1 if there is, 3 if something
/// could not be read or understood.
///
/// # Errors
///
/// If a file of the command line cannot be read.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let disk = Disk;
    let texts = arguments.file.iter().map(|path| {
        disk.read(path)
            .map(|text| (path.clone(), text))
            .map_err(|error| Failure::other(format!("{}: {error}", path.display())))
    });
    let texts: Vec<_> = texts.collect::<Result<_, _>>()?;
    let program = arguments.program.or_else(|| {
        texts
            .iter()
            .find_map(|(path, text)| recognition::program_of(path, text))
    });
    let json = texts.iter().find(|(_, text)| recognition::is_json(text));
    let outcome = match (program, json, texts.first()) {
        (_, Some((path, _)), _) => not_recognised(path, "it is JSON, which is not read here"),
        (Some(program), None, _) => inspect(program, &texts, arguments.prefix.as_deref(), &disk),
        (None, None, Some((path, _))) => not_recognised(
            path,
            "not recognised as nginx's, HAProxy's or Caddy's; --program tells whose it is",
        ),
        (None, None, None) => Outcome::default(),
    };
    let report = Report::new(program, outcome);
    let text = match arguments.format {
        Format::Text => report.to_string(),
        Format::Json => {
            let mut text = serde_json::to_string_pretty(&report).map_err(Failure::other)?;
            text.push('\n');
            text
        }
    };
    print(text.as_bytes())?;
    Ok(if !report.incomplete.is_empty() {
        INCOMPLETE
    } else if !report.findings.is_empty() {
        FOUND
    } else {
        0
    })
}

/// Looks through the configuration that begins with `texts`.
#[must_use]
pub fn inspect(
    program: Program,
    texts: &[(PathBuf, String)],
    prefix: Option<&Path>,
    files: &dyn Files,
) -> Outcome {
    let mut outcome = match program {
        Program::Nginx => nginx::inspect(texts, prefix, files),
        Program::Haproxy => haproxy::inspect(texts),
        Program::Caddy => caddy::inspect(texts, files),
    };
    outcome.findings.sort();
    outcome.findings.dedup();
    outcome.incomplete.sort();
    outcome.incomplete.dedup();
    outcome
}

fn not_recognised(path: &Path, why: &str) -> Outcome {
    Outcome {
        findings: Vec::new(),
        incomplete: vec![format!("{}: {why}", path.display())],
    }
}
