//! Adds partial reports up to exactly the report of one run over all of it.
//!
//! Parts say under which key they were made, which lines they cover, and what they are (a
//! hash). Other keys name other secrets; a key of one run names none. The same part twice,
//! or the same lines in two parts, would count double: all of these are errors that name
//! the parts, and nothing is added up by halves.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
};

use jiff::civil::Date;

use super::{
    baseline::{Baseline, BaselineError},
    report::{self, Meta, Report, ReportFormat, STOPPED},
    tally::{Header, Part, PartError, Reader, Tally},
};

/// What `tokenshim audit-merge` was told.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// How the report is written.
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    format: ReportFormat,
    /// Where to, instead of stdout.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write a part again, for the next machine to add up.
    #[arg(long, conflicts_with = "format")]
    partial: bool,
    /// Secrets that are known already, as `audit --format ndjson` writes them.
    #[arg(long, value_name = "FILE", conflicts_with = "partial")]
    baseline: Option<PathBuf>,
    /// What `tokenshim audit --partial` wrote; `-` is stdin, and may hold several.
    #[arg(required = true, value_name = "PART")]
    parts: Vec<PathBuf>,
}

/// Why parts do not add up.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// A file.
    #[error("{}", .0.display())]
    Io(PathBuf, #[source] io::Error),
    /// Something that is no part.
    #[error("{}: not a whole part", .0.display())]
    Part(PathBuf, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// Ids of one key mean nothing under another.
    #[error("{what} and {other} cannot be added up: {why}", what = .0.display(), other = .1.display(), why = .2)]
    Unlike(PathBuf, PathBuf, &'static str),
    /// The same secrets have other ids in each.
    #[error(
        "{} was made without --key: its ids mean nothing beside others; make it again with the key of all",
        .0.display()
    )]
    Ephemeral(PathBuf),
    /// Twice the same.
    #[error("{} is the same part as {}: it would count double", .0.display(), .1.display())]
    Twice(PathBuf, PathBuf),
    /// The same lines in two parts.
    #[error(
        "{} and {} both have lines {from} to {to} of {name}: they would count double \
         (other files of that name need --name)", .parts.0.display(), .parts.1.display()
    )]
    Overlap {
        /// Which parts.
        parts: (PathBuf, PathBuf),
        /// Which input.
        name: String,
        /// Its first line in both.
        from: u64,
        /// Its last line in both.
        to: u64,
    },
    /// No part at all.
    #[error("there is no part in {}", .0.display())]
    Empty(PathBuf),
    /// The baseline.
    #[error(transparent)]
    Baseline(#[from] BaselineError),
}

/// Adds parts up and writes the report; the exit code is the report's.
///
/// # Errors
///
/// [`MergeError`].
pub fn run(arguments: &Arguments, today: Date) -> Result<u8, MergeError> {
    let mut sum = Sum::default();
    for path in &arguments.parts {
        if path == Path::new("-") {
            sum.add_all(path, io::stdin().lock())?;
        } else {
            let file = File::open(path).map_err(|error| MergeError::Io(path.clone(), error))?;
            sum.add_all(path, BufReader::new(file))?;
        }
    }
    sum.write(arguments, today)
}

/// Writes all that a run knows, for [`run`] to add up.
///
/// # Errors
///
/// What writing gives.
pub fn write_part(
    tally: &Tally,
    names: &[String],
    meta: &Meta,
    out: &mut dyn Write,
) -> io::Result<()> {
    let header = Header {
        version: 1,
        key_id: meta.key_id.clone(),
        ephemeral_key: meta.is_ephemeral,
        full_addresses: tally.has_full_addresses(),
        since: meta.since.map(|time| time.to_string()),
        until: meta.until.map(|time| time.to_string()),
    };
    if meta.is_complete {
        return tally.write_part(header, names, out);
    }
    let mut tally = tally.clone();
    tally.incomplete(None, STOPPED.to_owned());
    tally.write_part(header, names, out)
}

/// What was added up so far.
#[derive(Debug, Default)]
struct Sum {
    first: Option<(PathBuf, Header)>,
    tally: Tally,
    names: Vec<String>,
    numbers: HashMap<String, u32>,
    parts: HashMap<String, PathBuf>,
    /// Of each input the lines that are covered, and by which part.
    covered: HashMap<String, Vec<(u64, u64, PathBuf)>>,
}

impl Sum {
    fn add_all(&mut self, path: &Path, from: impl BufRead) -> Result<(), MergeError> {
        let mut reader = Reader::new(from);
        let broken = |error: PartError| MergeError::Part(path.to_owned(), error.into());
        let mut is_empty = true;
        while let Some(part) = reader.next().map_err(broken)? {
            self.add(path, part)?;
            is_empty = false;
        }
        if is_empty {
            return Err(MergeError::Empty(path.to_owned()));
        }
        Ok(())
    }

    fn add(&mut self, path: &Path, part: Part) -> Result<(), MergeError> {
        self.compare(path, &part.header)?;
        if let Some(other) = self.parts.insert(part.id.clone(), path.to_owned()) {
            return Err(MergeError::Twice(path.to_owned(), other));
        }
        for (name, (from, to)) in part.coverage() {
            self.cover(path, name, from, to)?;
        }
        let Part {
            mut tally, names, ..
        } = part;
        let numbers: Vec<u32> = names.into_iter().map(|name| self.number(name)).collect();
        // Both know all the names before they meet.
        tally.place_inputs(&numbers, &self.names);
        self.tally.know_names(&self.names);
        self.tally.merge(tally);
        Ok(())
    }

    fn compare(&mut self, path: &Path, header: &Header) -> Result<(), MergeError> {
        let Some((other, first)) = &self.first else {
            self.tally = Tally::new().with_full_addresses(header.full_addresses);
            self.first = Some((path.to_owned(), header.clone()));
            return Ok(());
        };
        for (path, header) in [(path, header), (other, first)] {
            if header.ephemeral_key {
                return Err(MergeError::Ephemeral(path.to_owned()));
            }
        }
        let why = if header.key_id != first.key_id {
            "they were made with different keys"
        } else if header.full_addresses != first.full_addresses {
            "only one has full addresses"
        } else if (&header.since, &header.until) != (&first.since, &first.until) {
            "they are of different times (--since, --until)"
        } else {
            return Ok(());
        };
        Err(MergeError::Unlike(path.to_owned(), other.clone(), why))
    }

    fn cover(&mut self, path: &Path, name: &str, from: u64, to: u64) -> Result<(), MergeError> {
        let covered = self.covered.entry(name.to_owned()).or_default();
        if let Some((first, last, other)) = covered
            .iter()
            .find(|(first, last, _)| *first <= to && from <= *last)
        {
            return Err(MergeError::Overlap {
                parts: (path.to_owned(), other.clone()),
                name: name.to_owned(),
                from: from.max(*first),
                to: to.min(*last),
            });
        }
        covered.push((from, to, path.to_owned()));
        Ok(())
    }

    fn number(&mut self, name: String) -> u32 {
        let fresh = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(name.clone()).or_insert(fresh);
        if number == fresh {
            self.names.push(name);
        }
        number
    }

    fn write(self, arguments: &Arguments, today: Date) -> Result<u8, MergeError> {
        // There is at least one part, or reading had failed.
        let header = self.first.map(|(_, header)| header).unwrap_or_default();
        let baseline = match &arguments.baseline {
            Some(path) => Some(Baseline::load(path, &header.key_id, today)?),
            None => None,
        };
        let time = |text: &Option<String>| text.as_ref().and_then(|text| text.parse().ok());
        let meta = Meta {
            key_id: header.key_id.clone(),
            is_ephemeral: header.ephemeral_key,
            is_complete: true,
            since: time(&header.since),
            until: time(&header.until),
            // Parts do not tell.
            stdin: None,
        };
        let report = Report::of(&self.tally, &self.names, &meta, None, baseline.as_ref());
        let write = |out: &mut dyn Write, is_terminal| {
            if arguments.partial {
                write_part(&self.tally, &self.names, &meta, out)
            } else {
                report::write(&report, arguments.format, out, is_terminal)
            }
        };
        report::deliver(arguments.output.as_deref(), write)
            .map_err(|(path, error)| MergeError::Io(path, error))?;
        if !arguments.partial {
            // Who reads no stderr has the exit code.
            let _ = report::warn(&report, arguments.format, &mut io::stderr());
        }
        Ok(report.exit_code())
    }
}

#[cfg(test)]
mod tests;
