//! Caddy's words and blocks. A brace opens a block only as the last word of a line.

use std::path::{Path, PathBuf};

use crate::doctor::recognition;

/// A line's words, with the lines in its block. The global options have no words.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) file: PathBuf,
    /// From 1.
    pub(super) line: usize,
    pub(super) words: Vec<String>,
    pub(super) opens: bool,
    pub(super) inside: Vec<Self>,
}

impl Block {
    pub(super) fn name(&self) -> &str {
        self.word(0)
    }

    /// The word at `at`; empty if there is none.
    pub(super) fn word(&self, at: usize) -> &str {
        self.words.get(at).map_or("", String::as_str)
    }
}

/// Blocks within blocks.
const DEEPEST: usize = 32;

type Broken = (usize, &'static str);

/// Reads a file.
pub(super) fn parse(path: &Path, text: &str) -> Result<Vec<Block>, Broken> {
    let mut open: Vec<(Block, Vec<Block>)> = Vec::new();
    let mut here: Vec<Block> = Vec::new();
    for (line, mut words) in lines(text)? {
        if words == ["}"] {
            let Some((mut block, outside)) = open.pop() else {
                return Err((line, "a brace closes nothing"));
            };
            block.inside = std::mem::replace(&mut here, outside);
            here.push(block);
            continue;
        }
        let opens = words.last().is_some_and(|word| word == "{");
        if opens {
            words.pop();
        }
        let block = Block {
            file: path.to_owned(),
            line,
            words,
            opens,
            inside: Vec::new(),
        };
        if !opens {
            here.push(block);
        } else if open.len() < DEEPEST {
            open.push((block, std::mem::take(&mut here)));
        } else {
            return Err((line, "too many blocks within blocks"));
        }
    }
    if let Some((block, _)) = open.last() {
        return Err((block.line, "a block without its end"));
    }
    Ok(here)
}

/// A file of one site needs no braces: all behind its address is in it.
pub(super) fn site_without_braces(mut here: Vec<Block>) -> Vec<Block> {
    let is_address = |block: &&Block| {
        // The global options have no name; snippets and imports may come before it.
        !(block.words.is_empty() || block.name().starts_with('(') || block.name() == "import")
    };
    let Some(first) = here.iter().position(|block| is_address(&block)) else {
        return here;
    };
    let rest = here.get(first..).unwrap_or_default();
    // Several addresses of a site with braces, one in each line.
    let mut head = rest
        .iter()
        .skip_while(|block| !block.opens && block.words.last().is_some_and(|it| it.ends_with(',')));
    // What the environment puts there may be anything, and sites follow it.
    let is_variable = rest.first().is_some_and(|it| it.name().starts_with("{$"))
        && rest
            .iter()
            .any(|it| it.opens && !recognition::is_caddys(it.name()));
    if is_variable || head.next().is_none_or(|block| block.opens) {
        return here;
    }
    let mut inside = here.split_off(first.saturating_add(1));
    if let Some(site) = here.last_mut() {
        site.inside.append(&mut inside);
    }
    here
}

/// The words of each line that has some; a quoted word may hold line feeds.
fn lines(text: &str) -> Result<Vec<(usize, Vec<String>)>, Broken> {
    let mut reader = Reader {
        rest: text.chars().peekable(),
        line: 1,
    };
    let mut found: Vec<(usize, Vec<String>)> = Vec::new();
    let mut last_line = 0;
    loop {
        // A backslash at the end of a line joins the next one to it.
        let is_joined = reader.skip_blanks();
        let line = reader.line;
        let Some(word) = reader.word()? else {
            return Ok(found);
        };
        match found.last_mut() {
            Some((_, words)) if line == last_line || is_joined => words.push(word),
            _ => found.push((line, vec![word])),
        }
        last_line = reader.line;
    }
}

struct Reader<'t> {
    rest: std::iter::Peekable<std::str::Chars<'t>>,
    line: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        if next == Some('\n') {
            self.line = self.line.saturating_add(1);
        }
        next
    }

    /// Blanks and comments. Tells whether a line was joined to the one before.
    fn skip_blanks(&mut self) -> bool {
        let mut is_joined = false;
        loop {
            match self.rest.peek() {
                Some('#') => {
                    while self.rest.peek().is_some_and(|it| *it != '\n') {
                        self.next();
                    }
                }
                Some('\\') => {
                    let mut ahead = self.rest.clone();
                    ahead.next();
                    if ahead.next_if_eq(&'\r').is_some() || ahead.peek() == Some(&'\n') {
                        self.next();
                        while self.next().is_some_and(|it| it != '\n') {}
                        is_joined = true;
                    } else {
                        return is_joined;
                    }
                }
                Some(blank) if blank.is_whitespace() => {
                    self.next();
                }
                Some(_) | None => return is_joined,
            }
        }
    }

    fn word(&mut self) -> Result<Option<String>, Broken> {
        let line = self.line;
        match self.rest.peek() {
            None => Ok(None),
            Some(quote @ ('"' | '`')) => {
                let quote = *quote;
                self.next();
                let mut text = String::new();
                loop {
                    match self.next() {
                        None => return Err((line, "a quotation without its end")),
                        Some(end) if end == quote => return Ok(Some(text)),
                        Some('\\') if quote == '"' => match self.next() {
                            Some('"') => text.push('"'),
                            Some(other) => text.extend(['\\', other]),
                            None => text.push('\\'),
                        },
                        Some(other) => text.push(other),
                    }
                }
            }
            Some(_) => {
                let mut text = String::new();
                while let Some(next) = self.rest.next_if(|it| !it.is_whitespace()) {
                    text.push(next);
                }
                match text.strip_prefix("<<") {
                    Some(mark) if !mark.is_empty() => self.heredoc(mark, line).map(Some),
                    Some(_) | None => Ok(Some(text)),
                }
            }
        }
    }

    /// All lines up to the one that begins with the mark.
    fn heredoc(&mut self, mark: &str, line: usize) -> Result<String, Broken> {
        while self.next().is_some_and(|it| it != '\n') {}
        let mut text = String::new();
        let mut here = String::new();
        loop {
            if here.trim_start() == mark && self.rest.peek().is_none_or(|it| it.is_whitespace()) {
                return Ok(text);
            }
            match self.next() {
                None => return Err((line, "a text without its end")),
                Some('\n') => {
                    text.push_str(&here);
                    text.push('\n');
                    here.clear();
                }
                Some(other) => here.push(other),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(blocks: &[Block]) -> String {
        let shown = blocks.iter().map(|block| {
            let inside = if block.inside.is_empty() {
                String::new()
            } else {
                format!("({})", shown(&block.inside))
            };
            format!("{}:{}{inside}", block.line, block.words.join("|"))
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn reads_as_caddy_does() {
        let rows = [
            ("site", "a.org {\n\tlog\n}\n", "1:a.org(2:log)"),
            (
                "options",
                "{\n\tdebug\n}\na.org {\n}\n",
                "1:(2:debug) 4:a.org",
            ),
            ("one site without braces", "a.org\nlog\n", "1:a.org(2:log)"),
            (
                "its directives have braces",
                "{\n d\n}\n:80\nlog {\n o\n}\nr\n",
                "1:(2:d) 4::80(5:log(6:o) 8:r)",
            ),
            ("two addresses", "a,\nb {\n}\nc {\n}\n", "1:a, 2:b 4:c"),
            ("comments", "a { # b\n c#d e # f\n}", "1:a(2:c#d|e)"),
            (
                "quotes",
                "a {\n b \"c d\" `e\n\"f`\n g\n}",
                "1:a(2:b|c d|e\n\"f 4:g)",
            ),
            ("placeholders", "a {\n b {uri}\n}", "1:a(2:b|{uri})"),
            ("joined lines", "a {\n b \\\n c\n}", "1:a(2:b|c)"),
            ("texts", "a {\n b <<X\n c }\n X d\n}", "1:a(2:b| c }\n|d)"),
        ];
        for (name, text, expected) in rows {
            let blocks = site_without_braces(parse(Path::new("f"), text).unwrap());
            assert_eq!(shown(&blocks), expected, "{name}");
        }
    }

    #[test]
    fn names_the_line_that_is_broken() {
        for (text, line) in [
            ("a {\n b\n", 1),
            ("}\n", 1),
            ("a \"b\n", 1),
            ("\n\na <<X\n", 3),
        ] {
            let (found, _) = parse(Path::new("f"), text).unwrap_err();
            assert_eq!(found, line, "{text}");
        }
    }
}
