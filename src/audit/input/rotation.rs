//! The files of one log, which rotation has named, in the order of time.
//!
//! `access.log.10.gz` … `access.log.1`, `access.log`; or `access.log-20261122.gz`, and dates
//! with marks between. A log's files stand where the first of them was named.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use super::{Input, Source};

/// Endings of compressed files.
const COMPRESSED: [&str; 6] = [".gz", ".zst", ".xz", ".bz2", ".lzma", ".bz"];

/// How old a file is beside others of its log, the oldest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Age {
    /// The digits of a date, and what numbers come behind it.
    Date(String),
    /// Counted down: the highest number is the oldest.
    Number(std::cmp::Reverse<u64>),
    /// Still written.
    Now,
}

/// Brings the files of each log in the order of time.
pub(super) fn sort(inputs: &mut Vec<Input>) {
    let mut logs: HashMap<PathBuf, usize> = HashMap::new();
    let mut keyed: Vec<_> = inputs
        .drain(..)
        .enumerate()
        .map(|(place, input)| {
            let (log, age) = match &input.source {
                Source::Stdin => (PathBuf::new(), Age::Now),
                Source::File(path) => read(path),
            };
            let log = *logs.entry(log).or_insert(place);
            ((log, age, place), input)
        })
        .collect();
    keyed.sort_by(|(left, _), (right, _)| left.cmp(right));
    inputs.extend(keyed.into_iter().map(|(_, input)| input));
}

/// Whether nobody writes to a file any more, by its name.
pub(in crate::audit) fn is_rotated(path: &Path) -> bool {
    read(path).1 != Age::Now
}

/// The log that a file belongs to, and its age.
fn read(path: &Path) -> (PathBuf, Age) {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return (path.to_owned(), Age::Now);
    };
    let whole = COMPRESSED
        .iter()
        .find_map(|ending| name.strip_suffix(ending))
        .unwrap_or(name);
    let (log, age) = number(whole)
        .or_else(|| date(whole))
        .unwrap_or((whole, Age::Now));
    (path.with_file_name(log), age)
}

/// `access.log.10`.
fn number(name: &str) -> Option<(&str, Age)> {
    let (log, digits) = name.rsplit_once('.')?;
    let is_number = (1..=5).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let number = digits
        .parse()
        .ok()
        .filter(|_| is_number && !log.is_empty())?;
    Some((log, Age::Number(std::cmp::Reverse(number))))
}

/// `access.log-20261122`, `access.log-20261122-1718000000`, `access.log.2026-11-22`,
/// `access-20261122.log`.
fn date(name: &str) -> Option<(&str, Age)> {
    let (stem, _ending) = match name.rsplit_once('.') {
        Some((stem, ending)) if !ending.bytes().any(|byte| byte.is_ascii_digit()) => (stem, ending),
        _ => (name, ""),
    };
    let is_stamp = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'T' | b':');
    let length = stem
        .bytes()
        .rev()
        .take_while(|byte| is_stamp(*byte))
        .count();
    let (log, stamp) = stem.split_at_checked(stem.len().checked_sub(length)?)?;
    let digits: String = stamp.chars().filter(char::is_ascii_digit).collect();
    let log = log.trim_end_matches('.');
    let is_date = digits.len() >= 8 && (digits.starts_with("19") || digits.starts_with("20"));
    (is_date && !log.is_empty()).then_some((log, Age::Date(digits)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn puts_the_files_of_a_log_in_the_order_of_time() {
        let cases = [
            (
                "numbers",
                "access.log access.log.1 access.log.10.gz access.log.2.gz",
                "access.log.10.gz access.log.2.gz access.log.1 access.log",
            ),
            (
                "dates",
                "access.log access.log-20261122 access.log-20261121.gz access.log-20251231.zst",
                "access.log-20251231.zst access.log-20261121.gz access.log-20261122 access.log",
            ),
            (
                "dates with marks, and times",
                "a.log a.log.2026-11-02 a.log.2026-10-30 b-20261122-10.log b-20261122-09.log",
                "a.log.2026-10-30 a.log.2026-11-02 a.log b-20261122-09.log b-20261122-10.log",
            ),
            (
                "logs stay in the order in which they were named",
                "error.log.1 access.log error.log access.log.1",
                "error.log.1 error.log access.log.1 access.log",
            ),
            (
                "the port of a host and a version are no numbers",
                "host.1234567 host app-1.2.log",
                "host.1234567 host app-1.2.log",
            ),
            (
                "another directory is another log",
                "a/x.log b/x.log.1 a/x.log.1",
                "a/x.log.1 a/x.log b/x.log.1",
            ),
        ];
        for (name, given, expected) in cases {
            let mut inputs: Vec<Input> = given
                .split(' ')
                .map(|name| Input {
                    name: name.to_owned(),
                    source: Source::File(name.into()),
                    size: 0,
                })
                .collect();
            sort(&mut inputs);
            let names: Vec<_> = inputs.iter().map(|input| input.name.as_str()).collect();
            assert_eq!(names.join(" "), expected, "case: {name}");
        }
    }
}
