//! One object, or one a line: `docs/audit-report.schema.json`.

use std::io::{self, Write};

use serde::{Serialize, Serializer, ser::SerializeStruct as _};

use super::{MetaRow, Report, SCHEMA_VERSION, TokenRow, Totals, safe};
use crate::scan;

pub(super) fn write(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(Visible(&mut *out), report)?;
    out.write_all(b"\n")
}

/// Takes JSON, and writes by number what would move a cursor or turn the direction of
/// reading: a terminal shows JSON, too. To a parser both are the same.
#[derive(Debug)]
pub(in crate::audit) struct Visible<W>(pub(in crate::audit) W);

impl<W: Write> Write for Visible<W> {
    /// Whole characters come at once; JSON has no such ones but in strings.
    fn write(&mut self, json: &[u8]) -> io::Result<usize> {
        if scan::is_all(json, 0..=0x7e, []) {
            self.0.write_all(json)?;
            return Ok(json.len());
        }
        let text = str::from_utf8(json)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let mut rest = text;
        while let Some((at, character)) = rest.char_indices().find(|(_, one)| is_hidden(*one)) {
            let (before, from) = rest.split_at(at);
            self.0.write_all(before.as_bytes())?;
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(self.0, "\\u{unit:04x}")?;
            }
            rest = from.strip_prefix(character).unwrap_or_default();
        }
        self.0.write_all(rest.as_bytes())?;
        Ok(json.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// What is left of such characters: the serializer escapes those below the blank, and
/// those between its strings are its own.
fn is_hidden(character: char) -> bool {
    character >= ' ' && safe::is_invisible(character)
}

impl Serialize for Report<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut report = serializer.serialize_struct("Report", 9)?;
        report.serialize_field("schema_version", &SCHEMA_VERSION)?;
        report.serialize_field("meta", &self.meta)?;
        report.serialize_field("totals", &self.totals)?;
        report.serialize_field("advice", &self.advice)?;
        report.serialize_field("days", &self.days)?;
        report.serialize_field("files", &self.files)?;
        report.serialize_field("formats", &self.formats)?;
        report.serialize_field("clients", &self.clients)?;
        report.serialize_field("tokens", &Tokens(self))?;
        report.end()
    }
}

/// Makes each row when it is its turn.
struct Tokens<'r, 'a>(&'r Report<'a>);

impl Serialize for Tokens<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.tokens())
    }
}

/// A line of NDJSON. Each has the key's id, so that lines may be taken apart.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'r> {
    Token {
        schema_version: u32,
        key_id: &'r str,
        #[serde(flatten)]
        token: Box<TokenRow<'r>>,
    },
    Totals {
        schema_version: u32,
        key_id: &'r str,
        meta: &'r MetaRow,
        totals: &'r Totals,
    },
}

pub(super) fn write_lines(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let key_id = report.meta.key_id.as_str();
    let schema_version = SCHEMA_VERSION;
    let tokens = report.tokens().map(|token| Line::Token {
        schema_version,
        key_id,
        token: Box::new(token),
    });
    let totals = Line::Totals {
        schema_version,
        key_id,
        meta: &report.meta,
        totals: &report.totals,
    };
    // The serializer writes a few bytes at a time, which a vector takes best.
    let mut text = Vec::new();
    for line in tokens.chain([totals]) {
        serde_json::to_writer(&mut text, &line)?;
        text.push(b'\n');
        Visible(&mut *out).write_all(&text)?;
        text.clear();
    }
    Ok(())
}
