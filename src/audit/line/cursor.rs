//! A place in a line, and the steps that parsers make from it.

use std::ops::Range;

/// A place in a line. Spans are of the whole line.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'l> {
    line: &'l [u8],
    at: usize,
}

impl<'l> Cursor<'l> {
    pub(super) fn new(line: &'l [u8], at: usize) -> Self {
        Self { line, at }
    }

    pub(super) fn line(self) -> &'l [u8] {
        self.line
    }

    pub(super) fn at(self) -> usize {
        self.at
    }

    /// The same place of a line that ends at `end`.
    pub(super) fn ending(self, end: usize) -> Self {
        Self::new(self.line.get(..end).unwrap_or(self.line), self.at)
    }

    pub(super) fn rest(self) -> &'l [u8] {
        self.text(&(self.at..self.line.len()))
    }

    pub(super) fn is_over(self) -> bool {
        self.at >= self.line.len()
    }

    pub(super) fn text(self, span: &Range<usize>) -> &'l [u8] {
        self.line.get(span.clone()).unwrap_or_default()
    }

    pub(super) fn forward(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes).min(self.line.len());
    }

    /// Goes to a place further on.
    pub(super) fn jump(&mut self, at: usize) {
        self.at = at.max(self.at).min(self.line.len());
    }

    /// Goes behind `literal`, which must stand here.
    pub(super) fn skip(&mut self, literal: &[u8]) -> Option<()> {
        self.rest().starts_with(literal).then_some(())?;
        self.forward(literal.len());
        Some(())
    }

    /// What stands before the next `byte`; goes behind it.
    pub(super) fn until(&mut self, byte: u8) -> Option<Range<usize>> {
        let length = memchr::memchr(byte, self.rest())?;
        let span = self.ahead(length);
        self.forward(length.saturating_add(1));
        Some(span)
    }

    /// The next word; goes behind the blank that ends it.
    pub(super) fn word(&mut self) -> Option<Range<usize>> {
        if self.is_over() {
            return None;
        }
        let length = memchr::memchr(b' ', self.rest()).unwrap_or(self.rest().len());
        let span = self.ahead(length);
        self.forward(length.saturating_add(1));
        Some(span)
    }

    /// The string whose opening quote stands here; goes behind its closing one. One that
    /// was cut ends with the line.
    pub(super) fn string(&mut self) -> Option<Range<usize>> {
        self.skip(b"\"")?;
        let from = self.at;
        let end = string_end(self.line, from);
        self.at = end.saturating_add(1).min(self.line.len());
        Some(from..end)
    }

    /// The request line whose opening quote stands here, with what is a string otherwise;
    /// goes behind its closing quote. Where no status follows that, a quote of its own has
    /// ended it, and the one in front of a status is meant.
    pub(super) fn request_line(
        &mut self,
        string: fn(&mut Self) -> Option<Range<usize>>,
    ) -> Option<Range<usize>> {
        let start = *self;
        let span = string(self)?;
        if self.is_over() || is_answer(self.rest()) {
            return Some(span);
        }
        let Some(end) = start.request_end() else {
            return Some(span);
        };
        self.jump(end.saturating_add(1));
        Some(span.start..end)
    }

    /// The next quote behind a version of HTTP and before a status.
    pub(super) fn request_end(self) -> Option<usize> {
        const VERSION: &[u8] = b" HTTP/";
        let mut at = self.at;
        loop {
            let rest = self.line.get(at..)?;
            let found = memchr::memmem::find(rest, VERSION)?;
            at = at.saturating_add(found).saturating_add(VERSION.len());
            let rest = self.line.get(at..)?;
            let version = rest
                .iter()
                .take_while(|byte| byte.is_ascii_digit() || **byte == b'.')
                .count();
            let end = rest.get(version..)?;
            if version > 0 && end.strip_prefix(b"\"").is_some_and(is_answer) {
                return Some(at.saturating_add(version));
            }
        }
    }

    /// Goes behind blanks.
    pub(super) fn blanks(&mut self) {
        let blanks = self.rest().iter().take_while(|byte| **byte == b' ');
        self.forward(blanks.count());
    }

    fn ahead(self, length: usize) -> Range<usize> {
        self.at..self.at.saturating_add(length)
    }
}

/// A blank and what may be a status.
fn is_answer(text: &[u8]) -> bool {
    let Some(text) = text.strip_prefix(b" ") else {
        return false;
    };
    let length = memchr::memchr(b' ', text).unwrap_or(text.len());
    let word = text.get(..length).unwrap_or_default();
    super::request::status(word).is_some()
}

/// The first quote at or behind `from` that no backslash escapes, or the end.
pub(super) fn string_end(line: &[u8], from: usize) -> usize {
    let mut at = from;
    loop {
        let rest = line.get(at..).unwrap_or_default();
        let Some(length) = memchr::memchr2(b'"', b'\\', rest) else {
            return line.len();
        };
        at = at.saturating_add(length);
        if line.get(at) == Some(&b'"') {
            return at;
        }
        at = at.saturating_add(2);
    }
}
