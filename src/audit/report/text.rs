//! For people at a terminal: what is worst stands first, and what to do stands last, where
//! the eye is when the prompt comes back.

mod secrets;
mod table;

use std::{
    env,
    io::{self, Write},
};

use super::{ClientRow, FileRow, Report, safe};
use safe::{cut, number, plain};
use table::{Column, Table};

/// Rows of a table; the other formats have them all.
const MOST: usize = 200;
/// What the text is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Screen {
    /// Characters in a line; a file takes any number.
    pub(super) width: Option<usize>,
    pub(super) has_colours: bool,
}

impl Screen {
    pub(super) fn of(is_terminal: bool) -> Self {
        let width = is_terminal.then(|| {
            let told = console::Term::stdout().size_checked();
            told.map_or(80, |(_, columns)| usize::from(columns).max(40))
        });
        let is_plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let has_colours = is_terminal && !is_plain;
        Self { width, has_colours }
    }
}

pub(super) fn write(report: &Report<'_>, out: &mut dyn Write, screen: Screen) -> io::Result<()> {
    let mut page = Page { out, screen };
    page.summary(report)?;
    page.tokens(report)?;
    page.clients(&report.clients)?;
    page.files(&report.files)?;
    page.advice(report)
}

struct Page<'o> {
    out: &'o mut dyn Write,
    screen: Screen,
}

impl Page<'_> {
    fn summary(&mut self, report: &Report<'_>) -> io::Result<()> {
        let totals = &report.totals;
        if totals.tokens == 0 {
            let found = if report.meta.complete {
                self.paint(Paint::Good, "No secret was found.")
            } else {
                self.paint(Paint::Bad, "No secret was found in what could be read.")
            };
            writeln!(self.out, "{found}")?;
        } else {
            let text = format!(
                "{} in {} of {}",
                counted(totals.tokens, "distinct secret"),
                counted(totals.lines_with_secrets, "line"),
                counted(totals.files_with_secrets, "file"),
            );
            writeln!(self.out, "{}", self.paint(Paint::Bad, &text))?;
            self.line(&format!(
                "  sightings: {} accepted, {} refused, {} unproven",
                number(totals.accepted),
                number(totals.refused),
                number(totals.unproven)
            ))?;
            if let (Some(first), Some(last)) = (&totals.first_seen, &totals.last_seen) {
                self.line(&format!("  from {first} to {last}"))?;
            }
            let counts = [
                (totals.tokens_admin, "seen at an administration API"),
                (totals.tokens_alive, "still alive"),
                (totals.tokens_dead, "dead"),
                (totals.tokens_known, "known already"),
            ];
            for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
                self.line(&format!("  {} {what}", number(count)))?;
            }
        }
        self.line(&format!(
            "  read: {} ({}) of {}; {} looked at and not understood",
            counted(totals.lines, "line"),
            safe::bytes(totals.bytes),
            counted(totals.files, "file"),
            number(totals.lines_not_understood),
        ))?;
        self.gaps(report)?;
        let key = &report.meta.key_id;
        self.line(&if report.meta.ephemeral_key {
            format!("  ids are of this run only (key {key}); give --key to compare runs")
        } else {
            format!("  ids are made with the key {key}")
        })
    }

    fn gaps(&mut self, report: &Report<'_>) -> io::Result<()> {
        let gaps = &report.meta.incomplete;
        if gaps.is_empty() {
            return Ok(());
        }
        let heading = self.paint(Paint::Bad, "INCOMPLETE");
        writeln!(
            self.out,
            "\n{heading}: this report does not speak for all of it"
        )?;
        for gap in gaps.iter().take(MOST) {
            // The reason stands last, and is what nobody may miss.
            let told = plain(&gap.to_string());
            let lines = match self.screen.width {
                Some(_) => wrapped(&told, self.room(2)),
                None => vec![told],
            };
            for line in lines {
                writeln!(self.out, "  {line}")?;
            }
        }
        self.rest(gaps.len())
    }

    fn clients(&mut self, clients: &[ClientRow]) -> io::Result<()> {
        if clients.is_empty() {
            return Ok(());
        }
        self.heading("Clients to fix")?;
        let mut table = Table::new(vec![
            Column::flexible("client", 12),
            Column::new("sends"),
            Column::new("in"),
            Column::number("times"),
            Column::number("secrets"),
            Column::new("last"),
            Column::flexible("at", 20),
        ]);
        for client in clients.iter().take(MOST) {
            table.push(vec![
                plain(&client.client),
                plain(&client.kind),
                client.field.to_owned(),
                number(client.count),
                about(client.tokens, client.tokens_exact),
                day(client.last_seen.as_deref()),
                plain(&client.endpoint),
            ]);
        }
        self.table(&table)?;
        self.rest(clients.len())
    }

    fn files(&mut self, files: &[FileRow]) -> io::Result<()> {
        let leaking: Vec<&FileRow> = files.iter().filter(|file| file.findings > 0).collect();
        if leaking.is_empty() {
            return Ok(());
        }
        self.heading("Files with secrets")?;
        let mut table = Table::new(vec![
            Column::number("lines with"),
            Column::number("of lines"),
            Column::flexible("file", 30),
        ]);
        for file in leaking.iter().take(MOST) {
            table.push(vec![
                number(file.lines_with_secrets),
                number(file.lines),
                plain(&file.name),
            ]);
        }
        self.table(&table)?;
        self.rest(leaking.len())
    }

    fn advice(&mut self, report: &Report<'_>) -> io::Result<()> {
        if report.advice.is_empty() {
            return Ok(());
        }
        self.heading("What to do now")?;
        for (place, step) in (1..).zip(&report.advice) {
            writeln!(self.out, "{place:>2}. {}", step.title)?;
            for line in wrapped(&step.text, self.room(4)) {
                writeln!(self.out, "    {line}")?;
            }
            // A command is never cut: it is there to be copied.
            for command in &step.commands {
                writeln!(
                    self.out,
                    "      {}",
                    self.paint(Paint::Faint, &plain(command))
                )?;
            }
        }
        Ok(())
    }

    fn table(&mut self, table: &Table) -> io::Result<()> {
        for (place, line) in table.lines(self.screen.width).into_iter().enumerate() {
            let paint = if place == 0 {
                Paint::Faint
            } else {
                Paint::None
            };
            writeln!(self.out, "{}", self.paint(paint, &line))?;
        }
        Ok(())
    }

    /// What is left of a line behind so many blanks.
    fn room(&self, blanks: usize) -> usize {
        self.screen.width.unwrap_or(100).saturating_sub(blanks)
    }

    fn heading(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "\n{}", self.paint(Paint::Strong, text))
    }

    fn rest(&mut self, count: usize) -> io::Result<()> {
        match count.checked_sub(MOST) {
            None | Some(0) => Ok(()),
            Some(more) => self.line(&format!(
                "  … and {more} more: --format json has all of them"
            )),
        }
    }

    fn line(&mut self, text: &str) -> io::Result<()> {
        let text = plain(text);
        let text = self
            .screen
            .width
            .map_or(text.clone(), |width| cut(&text, width));
        writeln!(self.out, "{text}")
    }

    fn paint(&self, paint: Paint, text: &str) -> String {
        let code = match paint {
            _ if !self.screen.has_colours => return text.to_owned(),
            Paint::None => return text.to_owned(),
            Paint::Strong => "1",
            Paint::Faint => "2",
            Paint::Good => "32",
            Paint::Warn => "33",
            Paint::Bad => "1;31",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

#[derive(Clone, Copy)]
enum Paint {
    None,
    Strong,
    Faint,
    Good,
    Warn,
    Bad,
}

/// `1 line`, `2 lines`.
pub(super) fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {what}{plural}", number(count))
}

/// An estimate does not look like a count.
pub(super) fn about(count: u64, is_exact: bool) -> String {
    let number = number(count);
    if is_exact {
        number
    } else {
        format!("~{number}")
    }
}

/// The day of a moment.
pub(super) fn day(moment: Option<&str>) -> String {
    let moment = moment.unwrap_or("-");
    moment.split('T').next().unwrap_or(moment).to_owned()
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0_usize;
    for word in words(text, width) {
        let length = word.chars().count();
        if used > 0 && used.saturating_add(length) >= width {
            lines.push(String::new());
            used = 0;
        }
        if let Some(line) = lines.last_mut() {
            if used > 0 {
                line.push(' ');
            }
            line.push_str(&word);
        }
        used = used.saturating_add(length).saturating_add(1);
    }
    lines
}

/// The words of a text, those that fit no line in pieces.
fn words(text: &str, width: usize) -> impl Iterator<Item = String> {
    text.split_whitespace().flat_map(move |word| {
        let letters: Vec<char> = word.chars().collect();
        let pieces = letters.chunks(width.max(2).saturating_sub(1));
        pieces.map(String::from_iter).collect::<Vec<String>>()
    })
}
