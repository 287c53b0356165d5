//! `HAProxy`'s words, lines and sections.

use std::path::PathBuf;

use crate::doctor::Outcome;

/// One line's words, with its place.
#[derive(Clone, Debug)]
pub(super) struct Line<'t> {
    pub(super) file: &'t PathBuf,
    pub(super) number: usize,
    pub(super) words: Vec<String>,
}

impl Line<'_> {
    /// The word at `at`; empty if there is none.
    pub(super) fn word(&self, at: usize) -> &str {
        self.words.get(at).map_or("", String::as_str)
    }

    /// All words from `at` on.
    pub(super) fn rest(&self, at: usize) -> String {
        self.words.get(at..).unwrap_or_default().join(" ")
    }
}

/// A section: its first line, and those in it.
#[derive(Debug)]
pub(super) struct Section<'t> {
    pub(super) kind: String,
    pub(super) name: String,
    /// File and line.
    pub(super) place: (&'t PathBuf, usize),
    /// It has no first line: the text is a part of some section.
    pub(super) is_part: bool,
    /// The `defaults` named by `from`.
    pub(super) from: Option<String>,
    pub(super) lines: Vec<Line<'t>>,
}

const SECTIONS: [&str; 20] = [
    "global",
    "defaults",
    "frontend",
    "backend",
    "listen",
    "userlist",
    "peers",
    "resolvers",
    "program",
    "cache",
    "mailers",
    "http-errors",
    "ring",
    "log-forward",
    "crt-list",
    "fcgi-app",
    "log-profile",
    "crt-store",
    "traces",
    "acme",
];

/// All sections of all files, in their order.
pub(super) fn sections<'t>(
    texts: &'t [(PathBuf, String)],
    outcome: &mut Outcome,
) -> Vec<Section<'t>> {
    let mut sections: Vec<Section<'t>> = Vec::new();
    for (file, text) in texts {
        for (number, line) in (1..).zip(text.lines()) {
            let Some(words) = words(line) else {
                let place = format!("{}:{number}: a quotation without its end", file.display());
                outcome.incomplete.push(place);
                continue;
            };
            let Some(first) = words.first() else { continue };
            // Blanks in front of it mean nothing to HAProxy.
            if SECTIONS.contains(&first.as_str()) {
                let from = words.iter().position(|word| word == "from");
                sections.push(Section {
                    kind: first.clone(),
                    name: words.get(1).cloned().unwrap_or_default(),
                    place: (file, number),
                    is_part: false,
                    from: from.and_then(|at| words.get(at.saturating_add(1)).cloned()),
                    lines: Vec::new(),
                });
                continue;
            }
            let line = Line {
                file,
                number,
                words,
            };
            match sections.last_mut() {
                Some(section) => section.lines.push(line),
                // Part of a section, as `emit` prints it.
                None => sections.push(Section {
                    kind: "frontend".into(),
                    name: String::new(),
                    place: (file, number),
                    is_part: true,
                    from: None,
                    lines: vec![line],
                }),
            }
        }
    }
    sections
}

/// The words of a line without its comment; `None` if a quotation has no end.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            (end, Some(open)) if end == open => quote = None,
            ('\\', None | Some('"')) => {
                let next = letters.next().unwrap_or('\\');
                word.get_or_insert_default().push(next);
            }
            ('"' | '\'', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            ('#', None) => break,
            (' ' | '\t' | '\r', None) => words.extend(word.take()),
            (letter, _) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_words() {
        let rows = [
            ("a b # c", Some("a|b")),
            (r#"a "b # c" d"#, Some("a|b # c|d")),
            (r"a b\ c \#d", Some("a|b c|#d")),
            (r"a 'b\' c", Some(r"a|b\|c")),
            ("a \"b", None),
            ("", Some("")),
        ];
        for (line, expected) in rows {
            let shown = words(line).map(|words| words.join("|"));
            assert_eq!(shown.as_deref(), expected, "{line}");
        }
    }
}
