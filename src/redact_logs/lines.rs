//! The secrets of many lines at once, each line a text of its own.
//!
//! What stands at the beginning of a text is read in its own way, as a target is, and a
//! secret never goes beyond a line. So a block is looked over as a whole, which is quick,
//! and only a line in which something may be a secret is read.

use std::ops::Range;

use crate::redact::Redactor;

/// Calls `found` with the place of each secret in `block`, line by line.
pub(super) fn find(redactor: &Redactor, block: &[u8], mut found: impl FnMut(Range<usize>)) {
    let mut suspects = redactor.suspects(block);
    let mut at = 0_usize;
    while let Some(hit) = suspects.next(at) {
        let before = block.get(at..hit).unwrap_or_default();
        let begin = memchr::memrchr(b'\n', before)
            .map_or(at, |feed| at.saturating_add(feed).saturating_add(1));
        let behind = block.get(hit..).unwrap_or_default();
        let end =
            memchr::memchr(b'\n', behind).map_or(block.len(), |feed| hit.saturating_add(feed));
        let line = block.get(begin..end).unwrap_or_default();
        let mut next = |from: usize| {
            let hit = suspects.next(begin.saturating_add(from))?;
            (hit < end).then(|| hit.saturating_sub(begin))
        };
        for finding in redactor.findings_among(line, &mut next) {
            let place = |at: usize| begin.saturating_add(at);
            found(place(finding.span.start)..place(finding.span.end));
        }
        at = end.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_text_of_its_own() {
        let redactor = Redactor::default();
        let lines = [
            "code=SECRET",
            "/p?access_token=SEC\"RET&b=1",
            "nothing",
            "",
            "a token of prose",
            "GET /p?access_token=SECRET HTTP/1.1\r",
            "access_token=SECRET",
        ];
        let block = lines.join("\n");
        let mut cuts = Vec::new();
        find(&redactor, block.as_bytes(), |place| cuts.push(place));
        let mut masked = block.clone().into_bytes();
        for place in cuts.into_iter().rev() {
            masked.splice(place, *b"<redacted>");
        }
        let alone = lines.map(|line| redactor.mask(line.as_bytes()).into_owned());
        assert_eq!(masked, alone.join(&b'\n'));
        for nothing in ["", "\n", "\n\n"] {
            find(&redactor, nothing.as_bytes(), |place| panic!("{place:?}"));
        }
    }
}
