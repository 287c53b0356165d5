//! Single values: text in, a value that can only be right out.
//!
//! An error says what a right value looks like. It repeats what was typed only
//! where that cannot hold a secret: neither a URL nor a path is repeated.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use httpdate::HttpDate;

use super::LogFile;
use super::address::{Listen, Upstream};
use super::choice::Choice;
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

/// The most worker threads there may be.
pub(super) const MOST_WORKERS: usize = 1024;

/// A number of worker threads.
pub(super) fn workers(digits: &str) -> Result<NonZeroUsize, String> {
    let workers: Option<NonZeroUsize> = digits.parse().ok();
    workers
        .filter(|workers| workers.get() <= MOST_WORKERS)
        .ok_or_else(|| {
            format!(
                "must be a whole number from 1 to {MOST_WORKERS}, not {}",
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
pub(super) fn parameter(text: &str) -> Result<Vec<u8>, String> {
    let is_name = |byte: u8| byte.is_ascii_graphic() && !b"&;=%".contains(&byte);
    if text.is_empty() || !text.bytes().all(is_name) {
        return Err(format!(
            "must be visible ASCII without & ; = %, not {}",
            show(text)
        ));
    }
    Ok(text.as_bytes().to_vec())
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

/// A path as the system takes it.
pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    if text.contains('\0') {
        return Err("must not contain a NUL character".to_owned());
    }
    Ok(PathBuf::from(text))
}

/// `IP:PORT`, or `unix:/PATH` with the default mode.
pub(super) fn listen(text: &str) -> Result<Listen, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return Ok(Listen::Unix {
            path: socket(path)?,
            mode: Listen::DEFAULT_MODE,
        });
    }
    text.parse().map(Listen::Tcp).map_err(|_| {
        format!(
            "must be IP:PORT such as \"127.0.0.1:8009\" or \"[::1]:8009\", \
             or \"unix:/PATH\", not {}",
            show(text),
        )
    })
}

/// The permission bits of a socket, in octal.
pub(super) fn mode(text: &str) -> Result<u32, String> {
    let is_octal = matches!(text.len(), 3 | 4) && text.bytes().all(|byte| byte.is_ascii_digit());
    let mode = u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| is_octal && *mode <= 0o777);
    mode.ok_or_else(|| {
        format!(
            "must be octal from \"0000\" to \"0777\" such as \"0660\", not {}",
            show(text)
        )
    })
}

/// `http://HOST[:PORT]` or `unix:/PATH`.
pub(super) fn upstream(text: &str) -> Result<Upstream, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return Ok(Upstream::Unix {
            path: socket(path)?,
        });
    }
    let lower = text.to_ascii_lowercase();
    if lower.starts_with("https://") {
        return Err("https:// is not supported yet: use http:// or unix:".to_owned());
    }
    let authority = if lower.starts_with("http://") {
        text.get("http://".len()..)
    } else {
        None
    };
    let authority = authority.ok_or("must be http://HOST[:PORT] or unix:/PATH")?;
    // First of all, so that no password gets into one of the messages below.
    if authority.contains('@') {
        return Err("must not have a user name or password".to_owned());
    }
    if authority.starts_with("unix:") {
        return Err("must be unix:/PATH, without http:// in front".to_owned());
    }
    if authority.contains(['/', '?', '#']) {
        return Err(
            "must end behind host and port: no path, no query, not even a last slash".to_owned(),
        );
    }
    let (host, port) = host_and_port(authority)?;
    Ok(Upstream::Tcp {
        host,
        port,
        authority: authority.to_owned(),
    })
}

/// Splits an authority; the host comes without its brackets.
fn host_and_port(authority: &str) -> Result<(String, u16), String> {
    const BAD_HOST: &str = "must have a host name, an IPv4 address or an [IPv6] address";
    const BAD_PORT: &str = "must have a port from 1 to 65535, or none for 80";
    let (host, rest) = if let Some(bracketed) = authority.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']').ok_or(BAD_HOST)?;
        host.parse::<Ipv6Addr>().map_err(|_| BAD_HOST)?;
        (host, rest)
    } else {
        let (host, rest) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
        if !is_name_or_ipv4(host) {
            return Err(BAD_HOST.to_owned());
        }
        (host, rest)
    };
    let port = match rest.strip_prefix(':') {
        None if rest.is_empty() => Some(80),
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok(),
        Some(_) | None => None,
    };
    let port = port.filter(|port| *port != 0).ok_or(BAD_PORT)?;
    Ok((host.to_owned(), port))
}

fn is_name_or_ipv4(host: &str) -> bool {
    let is_name = host
        .split('.')
        .all(|label| !label.is_empty() && label.len() <= 63)
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
        && host.len() <= 253;
    // A last label of digits is an address, and resolvers read a wrong one in odd ways.
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_numeric = last.bytes().all(|byte| byte.is_ascii_digit());
    is_name && (!is_numeric || host.parse::<Ipv4Addr>().is_ok())
}

/// The path of a unix socket.
fn socket(text: &str) -> Result<PathBuf, String> {
    // `sun_path` of Linux holds 108 bytes, the last of them a NUL.
    const LONGEST: usize = 107;
    if !text.starts_with('/') || text.ends_with('/') {
        return Err("must have the absolute path of a socket behind unix:".to_owned());
    }
    if text.len() > LONGEST {
        return Err(format!(
            "must have a socket path of at most {LONGEST} bytes"
        ));
    }
    path(text)
}
