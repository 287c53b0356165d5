//! What `tokenshim audit` is told.

use std::{num::NonZeroUsize, path::PathBuf, str::FromStr as _};

use jiff::{Timestamp, civil, tz::TimeZone};

use super::{report::ReportFormat, verify_live::VerifyArgs};

/// Finds the secrets that logs hold already.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// How the report is written.
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub(super) format: ReportFormat,
    /// Where to, instead of stdout.
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// The key that names secrets in reports, of 16 bytes or more; without it, one for this run.
    #[arg(long, value_name = "FILE")]
    pub(super) key: Option<PathBuf>,
    /// An application service's registration, whose tokens have no shape to know them by.
    #[arg(long = "registration", value_name = "FILE")]
    pub(super) registrations: Vec<PathBuf>,
    /// A `log_format` of yours, as nginx has it: `log_format main '…';`.
    #[arg(long = "log-format", value_name = "DIRECTIVE")]
    pub(super) log_formats: Vec<String>,
    /// Only lines from then on: `2026-11-22`, a time, or how long ago (`7d`).
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(super) since: Option<Timestamp>,
    /// Only lines until then. Lines that tell no time, or a day without a year, count in
    /// either case.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(super) until: Option<Timestamp>,
    /// How many read at once; as many as there are cores.
    #[arg(short, long, value_name = "N")]
    pub(super) jobs: Option<NonZeroUsize>,
    /// Go on with what is written later, through rotation, and print each new secret as a
    /// line of JSON; the report comes at Ctrl-C.
    #[arg(long, conflicts_with_all = ["partial", "verify_live"])]
    pub(super) follow: bool,
    /// Write all that this run knows, for `audit-merge` to add up.
    #[arg(long, conflicts_with_all = ["format", "baseline", "live_set", "verify_live"])]
    pub(super) partial: bool,
    /// What reports call stdin.
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    /// The number of the first line, where the input is a piece of a file.
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) first_line: u64,
    /// Secrets that are known already, as `--format ndjson` writes them.
    #[arg(long, value_name = "FILE")]
    pub(super) baseline: Option<PathBuf>,
    /// Which tokens a database has, by `tokenshim fingerprint` under the same key.
    #[arg(long, value_name = "FILE", conflicts_with = "verify_live")]
    pub(super) live_set: Option<PathBuf>,
    /// Keep addresses of clients whole.
    #[arg(long)]
    pub(super) full_addresses: bool,
    #[command(flatten)]
    pub(super) verify: VerifyArgs,
    /// A further parameter whose value is a secret.
    #[arg(long = "parameter", value_name = "NAME")]
    pub(super) parameters: Vec<String>,
    /// Logs: files, directories, or `-` for stdin; compressed ones too.
    #[arg(required = true, value_name = "FILE")]
    pub(super) inputs: Vec<PathBuf>,
}

/// A time, a date (its first moment, UTC), or how long ago.
fn moment(text: &str) -> Result<Timestamp, String> {
    moment_at(text, Timestamp::now())
}

fn moment_at(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let utc = |time: civil::DateTime| time.to_zoned(TimeZone::UTC).ok();
    let wrong = || format!("{text:?} is no time: 2026-11-22, 2026-11-22T09:00:00Z, or 7d");
    if let Ok(time) = Timestamp::from_str(text) {
        return Ok(time);
    }
    // A date is the beginning of its day; a time without a zone is UTC, as servers' logs are.
    if let Some(time) = civil::DateTime::from_str(text).ok().and_then(utc) {
        return Ok(time.timestamp());
    }
    let ago = humantime::parse_duration(text).map_err(|_| wrong())?;
    now.checked_sub(ago).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times() {
        let now = Timestamp::from_str("2026-11-22T12:00:00Z").unwrap();
        let cases = [
            ("date", "2026-11-20", Some("2026-11-20T00:00:00Z")),
            (
                "time",
                "2026-11-20T10:30:00+02:00",
                Some("2026-11-20T08:30:00Z"),
            ),
            (
                "time without a zone",
                "2026-11-20T10:30",
                Some("2026-11-20T10:30:00Z"),
            ),
            ("days ago", "2d", Some("2026-11-20T12:00:00Z")),
            ("nonsense", "yesterday", None),
            ("empty", "", None),
        ];
        for (name, text, expected) in cases {
            let read = moment_at(text, now).ok().map(|time| time.to_string());
            assert_eq!(read.as_deref(), expected, "case: {name}");
        }
    }
}
