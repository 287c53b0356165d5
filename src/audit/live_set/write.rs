//! Writes a live set: a head with the key's id, a line for each token, and an end that
//! tells a whole list from one that was cut.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use jiff::Timestamp;

use crate::audit::sighting::TokenId;

/// The first column of the head of a list.
pub(super) const HEAD: &str = "#tokenshim-live-set";

/// The first column of its end.
pub(super) const END: &str = "#end";

/// The version of the format.
pub(super) const VERSION: u32 = 1;

/// How a list is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Columns between tabs, for `--live-set`.
    #[default]
    Tsv,
    /// For spreadsheets and databases; without an end, so not for `--live-set`.
    Csv,
    /// JSON, one object a line, for `--live-set` too.
    Ndjson,
}

/// One token of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'r> {
    /// The token's name under the key.
    pub id: TokenId,
    /// Whose it is.
    pub user: Option<&'r str>,
    /// Of which device.
    pub device: Option<&'r str>,
    /// The kind that its shape tells.
    pub kind: &'static str,
}

/// Writes one list.
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: W,
    format: Format,
    key_id: String,
    rows: u64,
}

impl<W: Write> Writer<W> {
    /// Writes the head.
    ///
    /// # Errors
    ///
    /// The output's.
    pub fn new(mut out: W, format: Format, key_id: String, now: Timestamp) -> io::Result<Self> {
        match format {
            Format::Tsv => writeln!(out, "{HEAD}\t{VERSION}\t{key_id}\t{now:.0}")?,
            Format::Csv => writeln!(out, "id,user,device,kind,key_id")?,
            Format::Ndjson => {
                let head = serde_json::json!({
                    "live_set": VERSION, "key_id": key_id, "made_at": format!("{now:.0}"),
                });
                writeln!(out, "{head}")?;
            }
        }
        Ok(Self {
            out,
            format,
            key_id,
            rows: 0,
        })
    }

    /// Writes a line.
    ///
    /// # Errors
    ///
    /// The output's.
    pub fn row(&mut self, row: &Row<'_>) -> io::Result<()> {
        self.rows = self.rows.saturating_add(1);
        let Row {
            id,
            user,
            device,
            kind,
        } = row;
        match self.format {
            Format::Tsv => {
                let (user, device) = (user.unwrap_or_default(), device.unwrap_or_default());
                writeln!(self.out, "{id}\t{user}\t{device}\t{kind}")
            }
            Format::Csv => {
                let user = csv(user.unwrap_or_default(), &['=', '+', '-']);
                let device = csv(device.unwrap_or_default(), &['=', '+', '-', '@']);
                writeln!(self.out, "{id},{user},{device},{kind},{}", self.key_id)
            }
            Format::Ndjson => {
                let line = serde_json::json!({
                    "id": id.to_string(), "user": user, "device": device, "kind": kind,
                });
                writeln!(self.out, "{line}")
            }
        }
    }

    /// Writes the end, with the number of lines of the input that had no token to read.
    ///
    /// # Errors
    ///
    /// The output's.
    pub fn end(mut self, bad_lines: u64) -> io::Result<()> {
        let rows = self.rows;
        match self.format {
            Format::Tsv => writeln!(self.out, "{END}\t{rows}\t{bad_lines}")?,
            Format::Csv => {}
            Format::Ndjson => {
                let end = serde_json::json!({ "end": { "tokens": rows, "bad_lines": bad_lines } });
                writeln!(self.out, "{end}")?;
            }
        }
        self.out.flush()
    }
}

/// One field (RFC 4180). What a spreadsheet would take for a formula gets an apostrophe in
/// front: users choose the names of their devices.
fn csv<'t>(text: &'t str, formulas: &[char]) -> Cow<'t, str> {
    let is_formula = text.starts_with(formulas);
    if !is_formula && !text.contains(['"', ',']) {
        return Cow::Borrowed(text);
    }
    let mark = if is_formula { "'" } else { "" };
    Cow::Owned(format!("\"{mark}{}\"", text.replace('"', "\"\"")))
}
