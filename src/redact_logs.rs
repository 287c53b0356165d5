//! The `redact` command: logs without their secrets.
//!
//! Three ways, for three kinds of log. A *stream* is filtered: lines come out as soon as
//! they are complete (`filter`). A *rotated file* is replaced by a masked copy, which
//! nobody can see half of (`replace`). A *file that is still written* is masked in its
//! place, without a change of its length (`live`).
//!
//! All of them find what the access log's own mask finds, line by line
//! (`cleaner`). A byte outside a secret never changes.

mod beside;
mod cleaner;
mod compressed;
mod filter;
mod lease;
mod lines;
mod live;
mod long_line;
mod output;
mod replace;
#[cfg(test)]
mod tests;
mod writers;

use std::{
    error::Error,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use self::{
    cleaner::{Output as _, Secret},
    live::strike,
    output::Masked,
    replace::{Cleaned, Permissions},
};
use crate::{audit::input::text, exit::Failure, redact::Redactor};

/// What to mask, and how.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Files to read, `-` for standard input; none is standard input.
    #[arg(value_name = "FILE", required_if_eq_any = [("in_place", "true"), ("live", "true")])]
    files: Vec<PathBuf>,
    /// Replace each file by a masked one; for files that nobody writes to any more.
    #[arg(long, conflicts_with = "live")]
    in_place: bool,
    /// Overwrite the secrets with `*` in the file itself; for one that is still written.
    #[arg(long)]
    live: bool,
    /// Mask the values of this parameter as well. May be given several times.
    #[arg(long, value_name = "NAME", value_parser = parameter)]
    parameter: Vec<String>,
    /// Clean the file that a symbolic link leads to.
    #[arg(long)]
    follow_symlinks: bool,
    /// With --in-place: clean a file that has other names, which keep the old content.
    #[arg(long, requires = "in_place")]
    break_hard_links: bool,
    /// With --in-place: clean a file of which nobody can tell whether it is still written.
    #[arg(long, requires = "in_place")]
    force: bool,
}

/// Does it.
///
/// # Errors
///
/// [`Failure::Other`] if anything may be left unmasked; what, is said on stderr.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let redactor = Redactor::with_parameters(&arguments.parameter);
    if !arguments.in_place && !arguments.live {
        return filter::run(&arguments.files, &redactor);
    }
    let permissions = Permissions {
        follow_symlinks: arguments.follow_symlinks,
        break_hard_links: arguments.break_hard_links,
        force: arguments.force,
    };
    let mut report = Report::default();
    for path in &arguments.files {
        let cleaned: Result<Cleaned, Box<dyn Error + Send + Sync>> = if arguments.live {
            strike(path, &redactor, permissions).map_err(Into::into)
        } else {
            replace::clean(path, &redactor, permissions).map_err(Into::into)
        };
        match cleaned {
            Ok(Cleaned { secrets, is_text }) if !is_text => report.odd(path, Some(secrets)),
            Ok(Cleaned { secrets: 0, .. }) => Report::say(path, "nothing to mask"),
            Ok(Cleaned { secrets, .. }) => Report::say(path, &format!("masked {secrets}")),
            Err(error) => report.failed(path, &*error),
        }
    }
    report.end()
}

/// Writes `lines` with a mask in the place of each secret.
pub(crate) fn write_masked(
    redactor: &Redactor,
    lines: &[u8],
    to: impl io::Write,
) -> io::Result<()> {
    let mut secrets = Vec::new();
    lines::find(redactor, lines, |span| {
        secrets.push(Secret {
            span,
            is_continued: false,
        });
    });
    Masked::new(to).block(lines, &secrets)
}

/// A name that can stand in a line.
pub(crate) fn parameter(name: &str) -> Result<String, String> {
    if name.is_empty() || name.contains(char::is_control) {
        return Err(
            "a parameter's name has at least one character, and no control character".into(),
        );
    }
    Ok(name.to_owned())
}

/// One line for each file, and in the end whether all is well.
#[derive(Debug, Default)]
struct Report {
    failures: usize,
}

impl Report {
    fn say(path: &Path, what: &str) {
        let shown = crate::redact::mask(path.display().to_string().as_bytes()).into_owned();
        // A closed stderr is no reason to leave files unmasked.
        let _ = writeln!(io::stderr(), "{}: {what}", String::from_utf8_lossy(&shown));
    }

    /// Says that not all of it was text, and how many secrets the rest had.
    fn odd(&mut self, path: &Path, masked: Option<u64>) {
        self.failures = self.failures.saturating_add(1);
        let masked = masked.map_or(String::new(), |masked| format!("masked {masked}; "));
        Self::say(path, &format!("{masked}{}", text::ODD));
    }

    /// Says why, with all causes.
    fn failed(&mut self, path: &Path, error: &dyn Error) {
        self.failures = self.failures.saturating_add(1);
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        Self::say(path, &text);
    }

    fn end(self) -> Result<(), Failure> {
        match self.failures {
            0 => Ok(()),
            1 => Err(Failure::other("one file may still hold secrets")),
            many => Err(Failure::other(format!(
                "{many} files may still hold secrets"
            ))),
        }
    }
}
