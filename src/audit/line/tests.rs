//! Lines of every format, and what they say.

use std::fmt::Write as _;

use super::{Field, Format, LineReader, LogFormat, Part, Record};

/// A reader for people in Berlin in 2026.
fn reader() -> LineReader {
    LineReader::new(&[]).at(&"2026-11-22T12:00:00+01:00[Europe/Berlin]"
        .parse()
        .expect("a time"))
}

/// What a record says, in one line, and what holds for every record.
fn said(line: &[u8], record: &Record<'_>) -> String {
    let mut said = String::new();
    if let Some(time) = record.time {
        let _ = write!(said, "{time}");
    }
    if let Some(client) = record.client {
        let _ = write!(said, " {client}");
    }
    let text = |part: &Option<Part<'_>>| {
        part.as_ref()
            .map(|part| String::from_utf8_lossy(&part.text).into_owned())
    };
    for part in [&record.method, &record.target] {
        if let Some(text) = text(part) {
            let _ = write!(said, " {text}");
        }
    }
    if let Some(status) = record.status {
        let _ = write!(said, " {status}");
    }
    for (name, part) in [
        ("from", &record.referer),
        ("by", &record.user_agent),
        ("of", &record.user),
    ] {
        if let Some(text) = text(part) {
            let _ = write!(said, " {name} {text}");
        }
    }
    for (part, field) in [
        (&record.target, Field::Request),
        (&record.referer, Field::Referer),
        (&record.user_agent, Field::UserAgent),
    ] {
        if let Some(part) = part {
            assert!(part.span.end <= line.len(), "{part:?}");
            assert_eq!(record.field_at(part.span.start), field, "{part:?}");
        }
    }
    said.trim_start().to_owned()
}

fn check(reader: &LineReader, cases: &[(&str, &str, Format, &str)]) {
    for (name, line, format, expected) in cases {
        let (found, record) = reader.read(line.as_bytes());
        assert_eq!(said(line.as_bytes(), &record), *expected, "case: {name}");
        assert_eq!(found, *format, "case: {name}");
    }
}

mod access;
mod captured;
mod carried;
mod forged;
mod given;
mod laws;
mod matrix;
mod objects;
