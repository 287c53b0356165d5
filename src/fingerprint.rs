//! Names the tokens of a database, so that an audit can tell which of those it found are
//! still alive, and no credential is used for it.
//!
//! Tokens come on stdin, one a line, with their users and devices behind them as `sqlite3`
//! and `psql` write them. What comes out is the same list with each token's name under the
//! key instead of the token: nobody who has the list has a token. Memory does not grow
//! with the input, and what held a part of it is wiped.
//!
//! A line that cannot be read makes the list one that proves nobody dead: the last line
//! says so, and the exit code.

mod line;
mod lines;

use std::{
    ffi::OsString,
    fs::File,
    io::{self, BufWriter, IsTerminal as _, Read, Write},
    os::fd::AsFd as _,
    path::PathBuf,
};

use jiff::Timestamp;

pub use self::line::{BadLine, Columns, Token};
use self::lines::{Lines, Piece};
use crate::{
    audit::{
        key::Key,
        live_set::{Format, Row, Writer, kind_of},
    },
    exit::Failure,
};

/// How many bad lines are named.
const MOST_NAMED: u64 = 20;

/// What `fingerprint` takes.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Read lines from stdin: `token`, or `token|user_id|device_id` with tabs, commas or bars.
    #[arg(long)]
    stdin: bool,
    /// The key that the audit uses too (at least 16 bytes, not readable by others).
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// How the list is written.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    // Taken, so that the refusal does not repeat it.
    #[arg(hide = true)]
    tokens: Vec<OsString>,
}

/// Why there is no list, or no whole one.
#[derive(Debug, thiserror::Error)]
enum FingerprintError {
    #[error(
        "takes no token as an argument, where everybody on this machine could see it: write \
         tokens to stdin, and count those that were given here as leaked"
    )]
    Argument,
    #[error("--stdin is needed: the tokens are read from there")]
    NoStdin,
    #[error("cannot read stdin")]
    Read(#[source] io::Error),
    #[error("cannot write the list")]
    Write(#[source] io::Error),
    #[error("{bad} of {all} lines hold no token that could be read, so the list is not whole")]
    BadLines { bad: u64, all: u64 },
}

/// Reads stdin to its end and writes the list to stdout.
///
/// # Errors
///
/// [`Failure::Other`]; the lines that could be read are written all the same.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    if !arguments.tokens.is_empty() {
        return Err(Failure::other(FingerprintError::Argument));
    }
    if !arguments.stdin {
        return Err(Failure::other(FingerprintError::NoStdin));
    }
    let key = Key::load(Some(&arguments.key)).map_err(Failure::other)?;
    keep_out_of_core_dumps();
    // Not by way of the standard library's buffer, which nobody wipes.
    let stdin = io::stdin();
    if stdin.is_terminal() {
        let _ = writeln!(io::stderr(), "Type tokens, one a line, then Ctrl-D:");
    }
    let input = stdin.as_fd().try_clone_to_owned();
    let input = File::from(input.map_err(|error| Failure::other(FingerprintError::Read(error)))?);
    let output = BufWriter::new(io::stdout().lock());
    match copy(
        input,
        output,
        &mut io::stderr().lock(),
        &key,
        arguments.format,
    ) {
        // Whoever reads the list has had enough.
        Err(FingerprintError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.map_err(Failure::other),
    }
}

fn copy(
    input: impl Read,
    output: impl Write,
    complaints: &mut impl Write,
    key: &Key,
    format: Format,
) -> Result<(), FingerprintError> {
    let mut writer =
        Writer::new(output, format, key.id(), Timestamp::now()).map_err(FingerprintError::Write)?;
    let mut lines = Lines::new(input);
    let (mut all, mut bad): (u64, u64) = (0, 0);
    while let Some(piece) = lines.read().map_err(FingerprintError::Read)? {
        all = all.saturating_add(1);
        let columns = match piece {
            Piece::TooLong => Err(BadLine::TooLong),
            Piece::Line(text) => Columns::parse(text, all == 1),
        };
        match columns {
            Ok(None) => {}
            Ok(Some(columns)) => writer
                .row(&Row {
                    id: key.fingerprints().id(columns.token.as_ref()),
                    user: columns.user.as_deref(),
                    device: columns.device.as_deref(),
                    kind: kind_of(columns.token.as_ref()),
                })
                .map_err(FingerprintError::Write)?,
            Err(why) => {
                bad = bad.saturating_add(1);
                if bad <= MOST_NAMED {
                    let _ = writeln!(complaints, "tokenshim: stdin, line {all}: {why}");
                }
            }
        }
    }
    if bad > MOST_NAMED {
        let more = bad.saturating_sub(MOST_NAMED);
        let _ = writeln!(complaints, "tokenshim: and {more} more such lines");
    }
    writer.end(bad).map_err(FingerprintError::Write)?;
    if bad > 0 {
        return Err(FingerprintError::BadLines { bad, all });
    }
    Ok(())
}

/// What is read here is worth every session of a homeserver.
fn keep_out_of_core_dumps() {
    // As well as can be: not every kernel lets us.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

#[cfg(test)]
mod tests;
