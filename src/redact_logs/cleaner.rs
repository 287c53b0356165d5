//! Finds the secrets of a stream, line by line, in large blocks and bounded memory.
//!
//! Whoever reads fills the free space of one buffer; what is whole of it goes to an
//! [`Output`] at once, so that a line which is complete never waits for the next. A line
//! that outgrows the buffer goes on in [`LongLine`].

use std::{
    io::{self, Read},
    ops::Range,
};

use super::{
    lines,
    long_line::{Limits, LongLine},
};
use crate::{audit::input::text, redact::Redactor};

/// How much is asked for at once: it stays within a core's own cache.
const READ: usize = 256 * 1024;

/// Where the kernel copies to four times as fast as to most other places.
const PAGE: usize = 4096;

/// One secret within a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Secret {
    /// Its bytes.
    pub(crate) span: Range<usize>,
    /// It began in an earlier block.
    pub(crate) is_continued: bool,
}

/// What is done with text whose secrets are known.
pub(crate) trait Output {
    /// Takes the next `text` of the input, which may end within a line or a secret.
    fn block(&mut self, text: &[u8], secrets: &[Secret]) -> io::Result<()>;

    /// Whether no more is needed.
    fn is_done(&self) -> bool {
        false
    }
}

/// What ended a stream early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error("cannot be read")]
    Read(#[source] io::Error),
    #[error("cannot be written")]
    Write(#[source] io::Error),
}

/// Reads `input` to its end; returns whether all of it looked like text. In what does not,
/// nothing is seen.
pub(crate) fn pour(
    redactor: &Redactor,
    input: &mut (impl Read + ?Sized),
    output: &mut impl Output,
) -> Result<bool, Broken> {
    let mut cleaner = Cleaner::new(redactor);
    let mut is_text = true;
    while !output.is_done() {
        let space = cleaner.space();
        match input.read(space) {
            Ok(0) => {
                cleaner.finish(output).map_err(Broken::Write)?;
                break;
            }
            Ok(read) => {
                is_text &= text::is_likely(space.get(..read).unwrap_or_default());
                cleaner.filled(read, output).map_err(Broken::Write)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                // What came before is still somebody's log.
                cleaner.finish(output).map_err(Broken::Write)?;
                return Err(Broken::Read(error));
            }
        }
    }
    Ok(is_text)
}

/// A stream and its unfinished line.
#[derive(Debug)]
pub(crate) struct Cleaner<'r> {
    redactor: &'r Redactor,
    limits: Limits,
    buffer: Vec<u8>,
    /// Where whole reads begin; a line's first part is kept in front of it.
    page: usize,
    /// The unfinished line.
    held: Range<usize>,
    long: Option<LongLine>,
    secrets: Vec<Secret>,
}

impl<'r> Cleaner<'r> {
    pub(crate) fn new(redactor: &'r Redactor) -> Self {
        Self::with_limits(redactor, Limits::default())
    }

    pub(super) fn with_limits(redactor: &'r Redactor, limits: Limits) -> Self {
        let size = limits
            .line
            .saturating_add(PAGE)
            .saturating_add(READ.min(limits.line));
        let buffer = vec![0; size];
        let page = match buffer.get(limits.line..) {
            Some(room) => limits.line.saturating_add(room.as_ptr().align_offset(PAGE)),
            None => limits.line,
        };
        // An allocator that cannot tell is only slower.
        let page = page.min(limits.line.saturating_add(PAGE));
        Self {
            redactor,
            limits,
            buffer,
            page,
            held: page..page,
            long: None,
            secrets: Vec::new(),
        }
    }

    /// Room for the next bytes of the input; never empty.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        let room = self.buffer.len().saturating_sub(self.page);
        let left = self.buffer.len().saturating_sub(self.held.end);
        if self.held.is_empty() || left < room.div_ceil(2) {
            let length = self.held.len();
            let start = self.page.saturating_sub(length);
            self.buffer.copy_within(self.held.clone(), start);
            self.held = start..start.saturating_add(length);
        }
        // Whole pages, so that the next begin with a page of the file as well.
        let end = self.held.end.saturating_add(READ).min(self.buffer.len());
        self.buffer.get_mut(self.held.end..end).unwrap_or_default()
    }

    /// Takes the first `read` bytes of the space as input.
    pub(crate) fn filled(&mut self, read: usize, output: &mut impl Output) -> io::Result<()> {
        let before = self.held.end;
        let end = before.saturating_add(read).min(self.buffer.len());
        self.held.end = end;
        let new = self.buffer.get(before..end).unwrap_or_default();
        let Some(last) = memchr::memrchr(b'\n', new) else {
            return self.keep(output);
        };
        let whole_end = before.saturating_add(last).saturating_add(1);
        if let Some(mut long) = self.long.take() {
            // It ends here, and what follows are lines again.
            let feed = memchr::memchr(b'\n', new).unwrap_or(last);
            let rest = self.held.start..before.saturating_add(feed);
            long.push(self.redactor, part(&self.buffer, rest.clone()), output)?;
            long.finish(self.redactor, output)?;
            self.held.start = rest.end;
        }
        self.whole_lines(self.held.start..whole_end, output)?;
        self.held.start = whole_end;
        self.keep(output)
    }

    /// Takes the last line, if nothing ended it.
    pub(crate) fn finish(&mut self, output: &mut impl Output) -> io::Result<()> {
        let held = std::mem::replace(&mut self.held, self.page..self.page);
        match self.long.take() {
            Some(mut long) => {
                long.push(self.redactor, part(&self.buffer, held), output)?;
                long.finish(self.redactor, output)
            }
            None if held.is_empty() => Ok(()),
            None => self.whole_lines(held, output),
        }
    }

    fn whole_lines(&mut self, range: Range<usize>, output: &mut impl Output) -> io::Result<()> {
        let text = part(&self.buffer, range);
        let secrets = &mut self.secrets;
        secrets.clear();
        lines::find(self.redactor, text, |span| {
            secrets.push(Secret {
                span,
                is_continued: false,
            });
        });
        output.block(text, secrets)
    }

    /// Lets a line go on elsewhere that has no room here.
    fn keep(&mut self, output: &mut impl Output) -> io::Result<()> {
        if self.long.is_none() && self.held.len() < self.limits.line {
            return Ok(());
        }
        let held = std::mem::replace(&mut self.held, self.page..self.page);
        let limits = self.limits;
        self.long.get_or_insert_with(|| LongLine::new(limits)).push(
            self.redactor,
            part(&self.buffer, held),
            output,
        )
    }
}

fn part(buffer: &[u8], range: Range<usize>) -> &[u8] {
    buffer.get(range).unwrap_or_default()
}
