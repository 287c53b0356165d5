//! What is printed: plain text, no colour, ninety-six columns.

use std::io::{self, Write as _};

use crate::{exit::Failure, redact};

/// Where a value begins, behind its label.
const MARGIN: usize = 19;

/// Where it is folded.
const WIDTH: usize = 96 - MARGIN;

/// Standard output, until its reader has gone.
#[derive(Default)]
pub(super) struct Page {
    is_closed: bool,
}

impl Page {
    /// Whether nobody reads any more.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Prints a line.
    pub(super) fn line(&mut self, text: &str) -> Result<(), Failure> {
        if self.is_closed {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        match writeln!(stdout, "{}", text.trim_end()).and_then(|()| stdout.flush()) {
            Ok(()) => Ok(()),
            // A closed pipe ends the printing quietly, and changes no verdict.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.is_closed = true;
                Ok(())
            }
            Err(error) => Err(Failure::other(error)),
        }
    }

    /// Prints a value behind its label, each of its lines folded.
    pub(super) fn value(&mut self, label: &str, value: &str) -> Result<(), Failure> {
        let mut label = label;
        for line in value.lines() {
            for piece in fold(line) {
                self.line(&format!("   {label:<16}{piece}"))?;
                label = "";
            }
        }
        Ok(())
    }

    /// Prints a value that holds whatever somebody sent.
    pub(super) fn masked(&mut self, label: &str, value: &str) -> Result<(), Failure> {
        let masked = redact::mask(value.as_bytes());
        self.value(label, &String::from_utf8_lossy(&masked))
    }
}

/// Cuts a line into pieces that fit; where it can, before a part of a target or
/// behind a comma or a space.
fn fold(line: &str) -> Vec<&str> {
    let (mut pieces, mut rest) = (Vec::new(), line);
    while let Some((limit, _)) = rest.char_indices().nth(WIDTH) {
        let (head, _) = rest.split_at(limit);
        let before = head.rfind(['&', '?']);
        let behind = head.rfind([' ', ',']).map(|at| at.saturating_add(1));
        let end = before.max(behind).filter(|&end| end > WIDTH / 3);
        let (piece, left) = rest.split_at(end.unwrap_or(limit));
        pieces.push(piece.trim_end());
        rest = left;
    }
    pieces.push(rest);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_loses_nothing_and_fits() {
        let cases = [
            String::new(),
            "short".into(),
            "x".repeat(WIDTH),
            "x".repeat(WIDTH * 3 + 1),
            format!("GET /{} HTTP/1.1", "y".repeat(WIDTH)),
            "ä ".repeat(WIDTH),
        ];
        for line in cases {
            let pieces = fold(&line);
            let kept = |text: &str| text.replace(' ', "");
            assert_eq!(kept(&pieces.concat()), kept(&line));
            assert!(pieces.iter().all(|piece| piece.chars().count() <= WIDTH));
        }
    }
}
