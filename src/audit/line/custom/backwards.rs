//! Reads a line from its end too.
//!
//! A format without quotes has separators that values may have as well: `/p|200|x` in a
//! target moves the status. Read from the start, each value ends as early as it can, and
//! from the end, as late: where both say the same, it is so. What they do not agree on is
//! not known, and proves nothing.

use std::ops::Range;

use super::{LogFormat, Meaning, Piece, typed};
use crate::audit::line::{Record, escape::Escape, time::Clock};

impl LogFormat {
    /// Takes back what is only said from the start on. `spans` are the values that were read.
    pub(super) fn doubt(
        &self,
        record: &mut Record<'_>,
        line: &[u8],
        spans: &[Range<usize>],
        clock: &Clock,
    ) {
        let mut end = spans.last().map_or(0, |span| span.end);
        let pieces = self.pieces.iter().zip(spans);
        let before = self.pieces.iter().zip(spans);
        for ((piece, span), (ahead, earlier)) in pieces.skip(1).zip(before).rev() {
            let is_sure = end == span.end && self.is_sure(piece);
            let begin = if is_sure {
                Some(span.start)
            } else {
                self.begin(line, (piece, end), (ahead, earlier), clock)
            };
            // Both parts of one target: a query may have the mark that is between them.
            let is_one = piece.before == b"?"
                && [piece, ahead].map(|piece| piece.meaning) == [Meaning::Target; 2];
            if begin != Some(span.start) && !is_one {
                forget(record, piece.meaning);
                forget(record, ahead.meaning);
            }
            let Some(begin) = begin else {
                for piece in &self.pieces {
                    forget(record, piece.meaning);
                }
                return;
            };
            end = begin.saturating_sub(piece.before.len());
        }
    }

    /// Whether a value that ends where it was read to end begins where it was read to begin:
    /// its length is fixed, or a quote is in front of it, which no value has.
    fn is_sure(&self, piece: &Piece) -> bool {
        typed::width(piece.meaning).is_some()
            || (self.escape == Escape::Backslash && piece.before.contains(&b'"'))
    }

    /// Where the value that ends at `end` begins at the latest.
    fn begin(
        &self,
        line: &[u8],
        (piece, end): (&Piece, usize),
        (ahead, earlier): (&Piece, &Range<usize>),
        clock: &Clock,
    ) -> Option<usize> {
        let literal = &piece.before;
        // No earlier than it was read from the start.
        let window = line.get(earlier.end..end)?;
        let found = memchr::memmem::rfind_iter(window, literal).find(|at| {
            let value = at.saturating_add(literal.len());
            let value = window.get(value..).unwrap_or_default();
            let at = earlier.end.saturating_add(*at);
            let is_first = self
                .pieces
                .first()
                .is_some_and(|first| std::ptr::eq(first, ahead));
            let head = line.get(earlier.start..at).unwrap_or_default();
            let fits = if is_first {
                typed::fits(ahead.meaning, head, clock)
            } else {
                let from = earlier.start.saturating_sub(ahead.before.len());
                let head = line.get(from..at).unwrap_or_default();
                typed::may_end(ahead.meaning, head, &ahead.before, clock)
            };
            fits && typed::fits(piece.meaning, value, clock) && !self.is_escaped(literal, head)
        })?;
        Some(
            earlier
                .end
                .saturating_add(found)
                .saturating_add(literal.len()),
        )
    }

    /// Whether the quote behind `head` is a part of the value.
    fn is_escaped(&self, literal: &[u8], head: &[u8]) -> bool {
        let slashes = || head.iter().rev().take_while(|byte| **byte == b'\\').count();
        self.escape == Escape::Backslash && literal.starts_with(b"\"") && slashes() % 2 == 1
    }
}

/// A secret in a target that may be shorter is not known to be the request's own either.
fn forget(record: &mut Record<'_>, meaning: Meaning) {
    match meaning {
        Meaning::Status | Meaning::Line | Meaning::Target | Meaning::Authorization => {
            record.status = None;
        }
        Meaning::LocalTime | Meaning::IsoTime | Meaning::Epoch => record.time = None,
        Meaning::Client => record.client = None,
        Meaning::User => record.user = None,
        Meaning::Method
        | Meaning::Referer
        | Meaning::UserAgent
        | Meaning::Upstream
        | Meaning::Other => {}
    }
}
