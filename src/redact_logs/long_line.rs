//! One line that is longer than any log's should be, in pieces.
//!
//! A piece is looked at with what stood before it, and only what stands well before its
//! end is decided: a name whose value may still come waits for the next piece. A secret
//! that is longer than a piece is shortened to its two ends, between which nothing could
//! have closed it. Where even that cannot be had, the rest of the line is masked: in
//! doubt more, as everywhere.

use std::{io, ops::Range};

use super::cleaner::{Output, Secret};
use crate::redact::Redactor;

/// Sizes of pieces; small ones are for tests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// A line up to here is looked at as a whole; no piece is longer.
    pub(crate) line: usize,
    /// How far before the end of a piece nothing more is decided.
    pub(crate) behind: usize,
    /// How much before a place may matter for what stands there.
    pub(crate) before: usize,
    /// How near to the end a secret may go on.
    pub(crate) edge: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line: 1024 * 1024,
            behind: 64 * 1024,
            before: 8 * 1024,
            edge: 2 * 1024,
        }
    }
}

/// Bytes without an escape that are enough to cut between them.
const PLAIN: usize = 24;

/// What is left of a line.
#[derive(Debug)]
pub(super) struct LongLine {
    limits: Limits,
    /// Context, then what is not decided.
    text: Vec<u8>,
    /// Everything before went to the output.
    done: usize,
    state: State,
    /// Whether the line is a target up to here: no white space has come.
    is_target: bool,
    is_first: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Text,
    /// Within a secret.
    Secret,
    /// Nobody can say where the secret ends.
    Lost,
}

impl LongLine {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            text: Vec::new(),
            done: 0,
            state: State::Text,
            is_target: false,
            is_first: true,
        }
    }

    /// Takes more of the line.
    pub(super) fn push(
        &mut self,
        redactor: &Redactor,
        more: &[u8],
        output: &mut impl Output,
    ) -> io::Result<()> {
        for chunk in more.chunks(self.limits.behind.max(1)) {
            self.text.extend_from_slice(chunk);
            if self.text.len() >= self.limits.line {
                self.decide(redactor, output)?;
                self.forget();
            }
        }
        Ok(())
    }

    /// The line is over.
    pub(super) fn finish(
        mut self,
        redactor: &Redactor,
        output: &mut impl Output,
    ) -> io::Result<()> {
        let end = self.text.len();
        for found in self.found(redactor) {
            self.text_until(found.start, output)?;
            self.secret_until(found.end, output)?;
            self.state = State::Text;
        }
        match self.state {
            State::Text => self.text_until(end, output),
            State::Secret | State::Lost => self.secret_until(end, output),
        }
    }

    /// Hands over what no further byte can change.
    fn decide(&mut self, redactor: &Redactor, output: &mut impl Output) -> io::Result<()> {
        let end = self.text.len();
        let horizon = end.saturating_sub(self.limits.behind);
        let sure = end.saturating_sub(self.limits.edge);
        let mut next = horizon;
        for found in self.found(redactor) {
            if found.start >= horizon {
                next = next.min(found.start);
                break;
            }
            self.text_until(found.start, output)?;
            self.secret_until(found.end.min(sure), output)?;
            if found.end > sure {
                self.state = State::Secret;
                self.shorten(found.start);
                return Ok(());
            }
            self.state = State::Text;
        }
        match self.state {
            State::Text => self.text_until(next, output),
            State::Secret | State::Lost => {
                self.state = State::Lost;
                self.secret_until(end, output)
            }
        }
    }

    /// The secrets that are not done with. Within a secret the first is that one; if it is
    /// not found again, there is none.
    fn found(&self, redactor: &Redactor) -> Vec<Range<usize>> {
        let spans = redactor.findings(&self.text).map(|finding| finding.span);
        let left = spans.filter(|span| span.end > self.done);
        match self.state {
            State::Text => left.collect(),
            State::Lost => Vec::new(),
            State::Secret => {
                let left: Vec<_> = left.collect();
                let goes_on = left.first().is_some_and(|first| first.start < self.done);
                if goes_on { left } else { Vec::new() }
            }
        }
    }

    fn text_until(&mut self, end: usize, output: &mut impl Output) -> io::Result<()> {
        let Some(text) = self
            .text
            .get(self.done..end)
            .filter(|text| !text.is_empty() && self.state == State::Text)
        else {
            return Ok(());
        };
        self.done = end;
        output.block(text, &[])
    }

    fn secret_until(&mut self, end: usize, output: &mut impl Output) -> io::Result<()> {
        let Some(text) = self
            .text
            .get(self.done..end)
            .filter(|text| !text.is_empty())
        else {
            return Ok(());
        };
        self.done = end;
        let secret = Secret {
            span: 0..text.len(),
            is_continued: self.state != State::Text,
        };
        output.block(text, &[secret])
    }

    /// Takes the middle out of the secret that began at `start`, all of which is done.
    fn shorten(&mut self, start: usize) {
        let head = self.plain_before(start.saturating_add(self.limits.edge), start);
        let tail = self.plain_before(
            self.done,
            self.done.saturating_sub(self.limits.edge / 2).max(start),
        );
        match (head, tail) {
            (Some(head), Some(tail)) if head <= tail => {
                self.text.drain(head..tail);
                self.done = self.done.saturating_sub(tail.saturating_sub(head));
            }
            (Some(_), Some(_)) => {}
            _ => self.state = State::Lost,
        }
    }

    /// The last place up to `at`, and behind `least`, before which no escape stands near.
    fn plain_before(&self, at: usize, least: usize) -> Option<usize> {
        let text = self.text.get(least..at)?;
        let is_plain = |window: &[u8]| !window.iter().any(|byte| matches!(byte, b'%' | b'\\'));
        let place = text.windows(PLAIN).rposition(is_plain)?;
        Some(least.saturating_add(place).saturating_add(PLAIN))
    }

    /// Drops what stands too far back to matter.
    fn forget(&mut self) {
        if self.is_first {
            self.is_first = false;
            self.is_target = is_target(&self.text);
        }
        let before = match self.state {
            State::Text => self.limits.before,
            // The name and its value's begin, and no more.
            State::Secret => self
                .limits
                .before
                .saturating_add(self.limits.edge.saturating_mul(2)),
            State::Lost => 0,
        };
        let cut = self.done.saturating_sub(before);
        if cut == 0 {
            return;
        }
        let gone = self.text.get(..cut).unwrap_or_default();
        self.is_target &= memchr::memchr3(b' ', b'\t', b'\r', gone).is_none();
        // What follows is read as it would be behind what is gone: within a target, or
        // possibly in a URL.
        let stand_in: &[u8] = if self.is_target { b"/" } else { b"x/" };
        self.text.splice(..cut, stand_in.iter().copied());
        self.done = self.done.saturating_sub(cut).saturating_add(stand_in.len());
    }
}

/// Whether the engine reads a text as a target up to its first white space.
fn is_target(text: &[u8]) -> bool {
    let begins = |with: &[u8]| {
        text.get(..with.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(with))
    };
    begins(b"/") || begins(b"http://") || begins(b"https://")
}
