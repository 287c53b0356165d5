//! Dates as logs write them.

use jiff::{
    SignedDuration, Timestamp, Zoned,
    civil::DateTime,
    tz::{Offset, TimeZone},
};

/// What lines leave out of their dates.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    now: Option<Zoned>,
    zone: TimeZone,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            now: None,
            zone: TimeZone::UTC,
        }
    }
}

impl Clock {
    pub(super) fn at(now: &Zoned) -> Self {
        Self {
            now: Some(now.clone()),
            zone: now.time_zone().clone(),
        }
    }

    fn local(&self, time: DateTime) -> Option<Timestamp> {
        self.zone.to_timestamp(time).ok()
    }

    /// The last such day before now. A clock ahead of ours does not cost a year.
    pub(super) fn date(&self, date: &Yearless) -> Option<Timestamp> {
        let Yearless {
            month,
            day,
            time: [hour, minute, second],
        } = *date;
        let now = self.now.as_ref()?;
        let latest = now
            .timestamp()
            .checked_add(SignedDuration::from_hours(24))
            .ok()?;
        // The 29th of February comes every four years, or after eight.
        (0..=8).find_map(|back| {
            let year = now.year().checked_sub(back)?;
            let time = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
            self.local(time).filter(|time| *time <= latest)
        })
    }
}

/// `10/Oct/2000:13:55:36 -0700`, and HAProxy's `10/Oct/2000:13:55:36.789`, of its own zone.
pub(super) fn clf(text: &[u8], clock: &Clock) -> Option<Timestamp> {
    let [day, month, rest] = [text.get(..2)?, text.get(3..6)?, text.get(6..)?];
    let (b"/", b"/") = (text.get(2..3)?, rest.get(..1)?) else {
        return None;
    };
    let year = i16::try_from(number(rest.get(1..5)?)?).ok()?;
    let b":" = rest.get(5..6)? else { return None };
    let [hour, minute, second] = time_of_day(rest.get(6..14)?)?;
    let (nanosecond, width) = fraction(rest.get(14..)?);
    let (month, day) = (self::month(month)?, small(day)?);
    let time = DateTime::new(year, month, day, hour, minute, second, nanosecond).ok()?;
    match rest.get(width.saturating_add(14)..)? {
        [b' ', zone @ ..] => offset(zone)?.0.to_timestamp(time).ok(),
        [] => clock.local(time),
        _ => None,
    }
}

/// `2000-10-10T13:55:36.789+02:00` and its like at the start of `text`, with its length.
/// Python's comma is a point, and a date without a zone is local.
pub(super) fn iso(text: &[u8], clock: &Clock) -> Option<(Timestamp, usize)> {
    let (date, rest) = text.split_at_checked(10)?;
    let [
        [year @ .., b'-', m1, m2, b'-', d1, d2],
        [b'T' | b't' | b' ', rest @ ..],
    ] = [date, rest]
    else {
        return None;
    };
    let year = i16::try_from(number(year)?).ok()?;
    let (month, day) = (small(&[*m1, *m2])?, small(&[*d1, *d2])?);
    let [hour, minute, second] = time_of_day(rest.get(..8)?)?;
    let rest = rest.get(8..)?;
    let (nanosecond, width) = fraction(rest);
    let rest = rest.get(width..)?;
    let time = DateTime::new(year, month, day, hour, minute, second, nanosecond).ok()?;
    let (time, zone) = match offset(rest) {
        Some((offset, zone)) => (offset.to_timestamp(time).ok()?, zone),
        None => (clock.local(time)?, 0),
    };
    Some((time, width.saturating_add(19).saturating_add(zone)))
}

/// `2000/10/10 13:55:36` of nginx's error log, which has no zone.
pub(super) fn nginx_error(text: &[u8], clock: &Clock) -> Option<Timestamp> {
    let [y1, y2, y3, y4, b'/', m1, m2, b'/', d1, d2, b' ', rest @ ..] = text else {
        return None;
    };
    let year = i16::try_from(number(&[*y1, *y2, *y3, *y4])?).ok()?;
    let (month, day) = (small(&[*m1, *m2])?, small(&[*d1, *d2])?);
    let [hour, minute, second] = time_of_day(rest)?;
    clock.local(DateTime::new(year, month, day, hour, minute, second, 0).ok()?)
}

/// A date of RFC 3164.
pub(super) struct Yearless {
    month: i8,
    day: i8,
    time: [i8; 3],
}

/// `Oct  5 13:55:36`, if there is one at the start.
pub(super) fn without_year(text: &[u8]) -> Option<Yearless> {
    let [m1, m2, m3, b' ', d1, d2, b' ', rest @ ..] = text else {
        return None;
    };
    let tens = if *d1 == b' ' { b'0' } else { *d1 };
    Some(Yearless {
        month: month(&[*m1, *m2, *m3])?,
        day: small(&[tens, *d2])?,
        time: time_of_day(rest.get(..8)?)?,
    })
}

/// Seconds since 1970 with a fraction, or so many thousandths and millionths of them.
pub(super) fn epoch(text: &[u8]) -> Option<Timestamp> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = i128::from(number(text.get(..digits)?).filter(|_| digits <= 19)?);
    // Each of them means a year from 1973 to 5138; less is a duration.
    let unit = match whole {
        0..100_000_000 => return None,
        100_000_000..100_000_000_000 => 1_000_000_000,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1000,
        _ => 1,
    };
    let rest = text.get(digits..)?;
    let (part, width) = fraction(rest);
    let part = if unit == 1_000_000_000 { part } else { 0 };
    if width < rest.len() {
        return None;
    }
    Timestamp::from_nanosecond(whole.checked_mul(unit)?.checked_add(part.into())?).ok()
}

/// `13:55:36`. A leap second counts with the one before it.
fn time_of_day(text: &[u8]) -> Option<[i8; 3]> {
    let [h1, h2, b':', m1, m2, b':', s1, s2] = text else {
        return None;
    };
    Some([
        small(&[*h1, *h2])?,
        small(&[*m1, *m2])?,
        small(&[*s1, *s2])?.min(59),
    ])
}

/// `.789` at the start in nanoseconds, and its width. Nobody needs more than nine digits.
fn fraction(text: &[u8]) -> (i32, usize) {
    let Some((b'.' | b',', digits)) = text.split_first() else {
        return (0, 0);
    };
    let count = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if count == 0 {
        return (0, 0);
    }
    let nanoseconds = (0..9).fold(0_i32, |sum, place| {
        let digit = digits.get(place).filter(|_| place < count);
        let digit = digit.map_or(0, |byte| i32::from(byte.saturating_sub(b'0')));
        sum.saturating_mul(10).saturating_add(digit)
    });
    (nanoseconds, count.saturating_add(1))
}

/// `Z`, `+0200`, `+02:00` or `+02` at the start, and its width.
fn offset(text: &[u8]) -> Option<(Offset, usize)> {
    let (sign, rest) = match text.split_first()? {
        (b'Z' | b'z', _) => return Some((Offset::UTC, 1)),
        (b'+', rest) => (1, rest),
        (b'-', rest) => (-1, rest),
        _ => return None,
    };
    let hours = i32::from(small(rest.get(..2)?)?);
    let (minutes, width) = match rest.get(2..) {
        Some([b':', m1, m2, ..]) => (small(&[*m1, *m2]), 6),
        Some([m1, m2, ..]) => (small(&[*m1, *m2]), 5),
        _ => (None, 3),
    };
    let (minutes, width) = minutes.map_or((0, 3), |minutes| (i32::from(minutes), width));
    let seconds = hours
        .saturating_mul(60)
        .saturating_add(minutes)
        .saturating_mul(60);
    let offset = Offset::from_seconds(seconds.saturating_mul(sign)).ok()?;
    Some((offset, width))
}

fn month(name: &[u8]) -> Option<i8> {
    Some(match name {
        b"Jan" => 1,
        b"Feb" => 2,
        b"Mar" => 3,
        b"Apr" => 4,
        b"May" => 5,
        b"Jun" => 6,
        b"Jul" => 7,
        b"Aug" => 8,
        b"Sep" => 9,
        b"Oct" => 10,
        b"Nov" => 11,
        b"Dec" => 12,
        _ => return None,
    })
}

fn small(digits: &[u8]) -> Option<i8> {
    number(digits).and_then(|number| i8::try_from(number).ok())
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| digit.saturating_sub(b'0'))?;
        number.checked_mul(10)?.checked_add(digit.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Read = fn(&[u8], &Clock) -> Option<Timestamp>;

    fn berlin() -> Clock {
        let now = "2026-01-02T12:00:00+01:00[Europe/Berlin]";
        Clock::at(&now.parse().expect(now))
    }

    fn check(read: Read, clock: &Clock, cases: &[(&str, &str, Option<&str>)]) {
        for (name, text, expected) in cases {
            let expected = expected.map(|time| time.parse::<Timestamp>().expect(name));
            assert_eq!(read(text.as_bytes(), clock), expected, "case: {name}");
        }
    }

    #[test]
    fn reads_dates_of_access_logs() {
        check(
            clf,
            &berlin(),
            &[
                (
                    "nginx",
                    "10/Oct/2000:13:55:36 -0700",
                    Some("2000-10-10T20:55:36Z"),
                ),
                (
                    "half an hour",
                    "01/Jan/2026:00:10:00 +0530",
                    Some("2025-12-31T18:40:00Z"),
                ),
                (
                    "HAProxy, winter",
                    "01/Jan/2026:00:10:00.250",
                    Some("2025-12-31T23:10:00.25Z"),
                ),
                (
                    "HAProxy, summer",
                    "01/Jul/2026:00:10:00.250",
                    Some("2026-06-30T22:10:00.25Z"),
                ),
                ("no such day", "31/Feb/2026:00:10:00 +0000", None),
                ("no such month", "01/Foo/2026:00:10:00 +0000", None),
                (
                    "leap second",
                    "30/Jun/2015:23:59:60 +0000",
                    Some("2015-06-30T23:59:59Z"),
                ),
                ("cut", "10/Oct/2000:13:55", None),
            ],
        );
        check(
            nginx_error,
            &berlin(),
            &[(
                "nginx error",
                "2026/07/01 00:10:00",
                Some("2026-06-30T22:10:00Z"),
            )],
        );
    }

    #[test]
    fn reads_dates_of_iso() {
        check(
            |text, clock| iso(text, clock).map(|(time, _)| time),
            &berlin(),
            &[
                (
                    "RFC 3339",
                    "2026-01-01T00:10:00.5+02:00 x",
                    Some("2025-12-31T22:10:00.5Z"),
                ),
                (
                    "journald",
                    "2026-01-01T00:10:00-0330 x",
                    Some("2026-01-01T03:40:00Z"),
                ),
                (
                    "Z",
                    "2026-01-01T00:10:00.123456Z",
                    Some("2026-01-01T00:10:00.123456Z"),
                ),
                (
                    "Python",
                    "2026-01-01 00:10:00,123 - x",
                    Some("2025-12-31T23:10:00.123Z"),
                ),
                (
                    "hours only",
                    "2026-01-01T00:10:00+02",
                    Some("2025-12-31T22:10:00Z"),
                ),
                ("no date", "2026-99-01T00:10:00Z", None),
            ],
        );
    }

    #[test]
    fn guesses_years() {
        let syslog: Read = |text, clock| clock.date(&without_year(text)?);
        check(
            syslog,
            &berlin(),
            &[
                (
                    "this year",
                    "Jan  1 00:10:00 h",
                    Some("2025-12-31T23:10:00Z"),
                ),
                (
                    "a clock ahead",
                    "Jan  3 00:10:00 h",
                    Some("2026-01-02T23:10:00Z"),
                ),
                (
                    "last year",
                    "Dec 31 23:50:00 h",
                    Some("2025-12-31T22:50:00Z"),
                ),
                (
                    "leap day",
                    "Feb 29 12:00:00 h",
                    Some("2024-02-29T11:00:00Z"),
                ),
            ],
        );
        let nobody_knows = Clock::default();
        check(
            syslog,
            &nobody_knows,
            &[("no now", "Jan  1 00:10:00 h", None)],
        );
    }

    #[test]
    fn reads_seconds() {
        check(
            |text, _| epoch(text),
            &Clock::default(),
            &[
                (
                    "seconds",
                    "1767225600.123",
                    Some("2026-01-01T00:00:00.123Z"),
                ),
                (
                    "thousandths",
                    "1767225600123",
                    Some("2026-01-01T00:00:00.123Z"),
                ),
                (
                    "millionths",
                    "1767225600123456",
                    Some("2026-01-01T00:00:00.123456Z"),
                ),
                (
                    "billionths",
                    "1767225600123456789",
                    Some("2026-01-01T00:00:00.123456789Z"),
                ),
                ("no number", "1767225600x", None),
            ],
        );
    }
}
