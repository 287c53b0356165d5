//! Single values: text in, a value that can only be right out.
//!
//! An error says what a right value looks like. It repeats what was typed only
//! where that cannot hold a secret: neither a URL nor a path is repeated.

use std::fmt;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use httpdate::HttpDate;
use jiff::civil::Date;

use super::LogFile;
use super::choice::{Choice, Mode};
use super::problem::show;

/// The value of a `Deprecation` field: when it began, as `@` and unix seconds.
///
/// Spec: RFC 9745 section 2.1, an `sf-date` of RFC 9651 section 3.3.7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deprecation {
    unix_seconds: i64,
}

impl Deprecation {
    pub(super) fn is_at_or_before(self, time: SystemTime) -> bool {
        // No HTTP-date is before 1970, so a negative time is before them all.
        let time = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(self.unix_seconds).map_or(true, |start| start <= time.as_secs())
    }
}

impl fmt::Display for Deprecation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}", self.unix_seconds)
    }
}

/// A duration with its unit, greater than zero.
///
/// A year is the end: an hour typed as a month is a mistake, and a deadline that
/// far away still fits into every clock.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);
    let duration = humantime::parse_duration(text).map_err(|_| {
        format!(
            "must be a number and a unit such as \"10s\", \"500ms\" or \"2m\", not {}",
            show(text)
        )
    })?;
    if duration.is_zero() {
        return Err("must be greater than zero".to_owned());
    }
    if duration > LONGEST {
        return Err(format!(
            "must not be longer than a year (365 days), not {}",
            show(text)
        ));
    }
    Ok(duration)
}

/// A duration with its unit, greater than zero and not above `most`.
pub(super) fn duration_up_to(text: &str, most: Duration) -> Result<Duration, String> {
    let duration = duration(text)?;
    if duration > most {
        return Err(format!(
            "must not be longer than \"{}s\", not {}",
            most.as_secs(),
            show(text)
        ));
    }
    Ok(duration)
}

/// The most worker threads there may be.
pub(super) const MOST_WORKERS: usize = 1024;

/// A number of worker threads.
pub(super) fn workers(digits: &str) -> Result<NonZeroUsize, String> {
    let workers = number(digits, 1..=MOST_WORKERS)?;
    NonZeroUsize::new(workers).ok_or_else(|| "must be greater than zero".to_owned())
}

/// A whole number out of `range`.
pub(super) fn number<N>(digits: &str, range: RangeInclusive<N>) -> Result<N, String>
where
    N: FromStr + PartialOrd + fmt::Display,
{
    let number: Option<N> = digits.parse().ok();
    number
        .filter(|number| range.contains(number))
        .ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            format!(
                "must be a whole number from {least} to {most}, not {}",
                show(digits)
            )
        })
}

/// One word out of a few.
pub(super) fn choice<C: Choice>(text: &str) -> Result<C, String> {
    C::ALL
        .iter()
        .copied()
        .find(|word| word.to_string() == text)
        .ok_or_else(|| {
            let words: Vec<String> = C::ALL.iter().map(|word| format!("\"{word}\"")).collect();
            format!("must be one of {}, not {}", words.join(", "), show(text))
        })
}

/// The name of a parameter that holds a token.
pub(crate) fn parameter(text: &str) -> Result<Vec<u8>, String> {
    let is_name = |byte: u8| byte.is_ascii_graphic() && !b"&;=%".contains(&byte);
    if text.is_empty() || !text.bytes().all(is_name) {
        return Err(format!(
            "must be visible ASCII without & ; = %, not {}",
            show(text)
        ));
    }
    Ok(text.as_bytes().to_vec())
}

/// How far one client has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientMode {
    /// What its `User-Agent` begins with, in any case.
    pub user_agent: String,
    /// What happens to its tokens.
    pub mode: Mode,
}

impl fmt::Display for ClientMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.user_agent, self.mode)
    }
}

/// `matrix-nio=refuse`.
pub(super) fn client_mode(text: &str) -> Result<ClientMode, String> {
    let is_visible = |name: &str| name.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let (name, mode) = text
        .rsplit_once('=')
        .filter(|(name, _)| !name.trim().is_empty() && is_visible(name))
        .ok_or_else(|| {
            format!(
                "must be the begin of a User-Agent, = and a mode, such as \"curl=refuse\", not {}",
                show(text)
            )
        })?;
    Ok(ClientMode {
        user_agent: name.to_owned(),
        mode: choice(mode)?,
    })
}

/// A day, as RFC 3339 writes it.
pub(super) fn date(text: &str) -> Result<Date, String> {
    // The library also reads a date with a time behind it.
    text.parse()
        .ok()
        .filter(|date: &Date| date.to_string() == text)
        .ok_or_else(|| format!("must be a date such as \"2027-01-31\", not {}", show(text)))
}

/// RFC 9745: a Structured Fields date, at most fifteen digits.
pub(super) fn deprecation(text: &str) -> Result<Deprecation, String> {
    let digits = text.strip_prefix('@').unwrap_or_default();
    let count = digits.strip_prefix('-').unwrap_or(digits).len();
    let seconds = digits
        .parse()
        .ok()
        .filter(|_| count <= 15 && !digits.starts_with('+'));
    let unix_seconds = seconds.ok_or_else(|| {
        format!(
            "must be @ and unix seconds such as \"@1767225600\", not {}",
            show(text)
        )
    })?;
    Ok(Deprecation { unix_seconds })
}

/// RFC 8594: an HTTP-date.
pub(super) fn sunset(text: &str) -> Result<HttpDate, String> {
    text.parse().map_err(|_| {
        format!(
            "must be an HTTP-date such as \"Thu, 31 Dec 2026 23:59:59 GMT\", not {}",
            show(text)
        )
    })
}

/// Where the access log goes.
pub(super) fn log_file(text: &str) -> Result<LogFile, String> {
    match text {
        "-" => Ok(LogFile::Stdout),
        "" => Err("must be a path, or \"-\" for stdout".to_owned()),
        path => self::path(path).map(LogFile::Path),
    }
}

/// The path of a file that there has to be.
pub(super) fn file(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("must be the path of a file".to_owned());
    }
    path(text)
}

/// A path as the system takes it.
pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    if text.contains('\0') {
        return Err("must not contain a NUL character".to_owned());
    }
    Ok(PathBuf::from(text))
}
