//! Directives in their blocks, with the files that are included in the places where they are.

use std::path::{Path, PathBuf};

use super::tokens::{self, Token, Word};
use crate::doctor::{Files, Outcome, disk};

/// One directive; the first word is its name.
#[derive(Clone, Debug)]
pub(super) struct Directive {
    pub(super) words: Vec<Word>,
    pub(super) file: PathBuf,
    pub(super) block: Option<Vec<Self>>,
}

impl Directive {
    pub(super) fn name(&self) -> &str {
        self.word(0)
    }

    /// The word at `at`; empty if there is none.
    pub(super) fn word(&self, at: usize) -> &str {
        self.words.get(at).map_or("", |word| word.text.as_str())
    }

    /// All behind the name.
    pub(super) fn arguments(&self) -> &[Word] {
        self.words.get(1..).unwrap_or_default()
    }

    pub(super) fn line(&self) -> usize {
        self.words.first().map_or(0, |word| word.line)
    }

    /// What is in its block.
    pub(super) fn inside(&self) -> &[Self] {
        self.block.as_deref().unwrap_or_default()
    }
}

/// Files within files, and blocks within the blocks of one.
const DEEPEST: usize = 16;

/// Files in all.
const MOST: usize = 2000;

/// Reads files into a tree.
pub(super) struct Reader<'r> {
    pub(super) files: &'r dyn Files,
    /// Where relative paths begin.
    pub(super) prefix: &'r Path,
    pub(super) outcome: &'r mut Outcome,
    pub(super) read: usize,
}

impl Reader<'_> {
    /// The directives of one file.
    pub(super) fn parse(&mut self, file: &Path, text: &str, depth: usize) -> Vec<Directive> {
        match tokens::tokens(text) {
            Ok(tokens) => self.build(file, tokens, depth),
            Err(broken) => {
                self.complain(file, broken.line, broken.what);
                Vec::new()
            }
        }
    }

    fn complain(&mut self, file: &Path, line: usize, what: &str) {
        let place = format!("{}:{line}: {what}", file.display());
        self.outcome.incomplete.push(place);
    }

    fn build(&mut self, file: &Path, tokens: Vec<tokens::Placed>, depth: usize) -> Vec<Directive> {
        // The blocks that are open, outermost first, each with the words in front of it,
        // what stands outside, and the line of its brace.
        let mut open: Vec<(Vec<Word>, Vec<Directive>, usize)> = Vec::new();
        let mut here: Vec<Directive> = Vec::new();
        let mut words: Vec<Word> = Vec::new();
        for (token, line) in tokens {
            match token {
                Token::Word(word) => words.push(word),
                Token::End => {
                    let words = std::mem::take(&mut words);
                    let directive = Directive {
                        words,
                        file: file.to_owned(),
                        block: None,
                    };
                    match directive.name() {
                        "" => {}
                        "include" => here.extend(self.include(&directive, depth)),
                        _ => here.push(directive),
                    }
                }
                Token::Open if open.len() >= DEEPEST => {
                    self.complain(file, line, "too many blocks within blocks");
                    break;
                }
                Token::Open => {
                    open.push((std::mem::take(&mut words), std::mem::take(&mut here), line));
                }
                Token::Close => {
                    if !words.is_empty() {
                        self.complain(file, line, "a directive without its semicolon");
                        words.clear();
                    }
                    let Some((words, outside, _)) = open.pop() else {
                        self.complain(file, line, "a brace closes nothing");
                        continue;
                    };
                    let block = std::mem::replace(&mut here, outside);
                    here.push(Directive {
                        words,
                        file: file.to_owned(),
                        block: Some(block),
                    });
                }
            }
        }
        if !words.is_empty() || !open.is_empty() {
            let brace = open.last().map_or(0, |(_, _, line)| *line);
            let line = words.first().map_or(brace, |word| word.line);
            self.complain(file, line, "ends in the middle of a directive or block");
        }
        // What is there is looked at all the same.
        while let Some((words, mut outside, _)) = open.pop() {
            outside.push(Directive {
                words,
                file: file.to_owned(),
                block: Some(here),
            });
            here = outside;
        }
        here
    }

    fn include(&mut self, directive: &Directive, depth: usize) -> Vec<Directive> {
        let (file, line) = (&directive.file, directive.line());
        let pattern = self.prefix.join(directive.word(1));
        if depth >= DEEPEST || self.read >= MOST {
            self.complain(file, line, "too many files within files");
            return Vec::new();
        }
        let paths = if disk::is_pattern(directive.word(1)) {
            self.files.expand(&pattern)
        } else {
            Ok(vec![pattern.clone()])
        };
        let paths = match paths {
            Ok(paths) => paths,
            Err(error) => {
                self.complain(
                    file,
                    line,
                    &format!("include {}: {error}", pattern.display()),
                );
                return Vec::new();
            }
        };
        let mut found = Vec::new();
        for path in paths {
            // What can be included in thousands of lines is no configuration of a log.
            if path.ends_with("mime.types") {
                continue;
            }
            self.read = self.read.saturating_add(1);
            match self.files.read(&path) {
                Ok(text) => found.extend(self.parse(&path, &text, depth.saturating_add(1))),
                Err(error) => {
                    self.complain(file, line, &format!("include {}: {error}", path.display()));
                }
            }
        }
        found
    }
}
