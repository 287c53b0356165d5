//! Puts what is imported into the places where it is, at any depth. What cannot be put
//! there may do anything, and is named.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use super::tokens::{self, Block};
use crate::doctor::{Files, Outcome, disk};

/// Imports within imports.
const DEEPEST: usize = 32;

/// Lines in all, after imports.
const MOST: usize = 100_000;

/// What a file says once nothing is left to import.
pub(super) struct Importer<'r> {
    pub(super) files: &'r dyn Files,
    pub(super) outcome: &'r mut Outcome,
    /// By name, in the order of the text: Caddy knows none before it is defined.
    pub(super) snippets: HashMap<String, Block>,
    pub(super) lines: usize,
}

/// What is being read: files and snippets, outermost first.
type Open = Vec<PathBuf>;

impl Importer<'_> {
    /// All of a main file.
    pub(super) fn file(&mut self, path: &Path, text: &str) -> Vec<Block> {
        self.parse(path, text, None, true, &mut vec![path.to_owned()])
    }

    fn parse(
        &mut self,
        path: &Path,
        text: &str,
        import: Option<&Block>,
        is_top: bool,
        open: &mut Open,
    ) -> Vec<Block> {
        let mut blocks = match tokens::parse(path, text) {
            Ok(blocks) => blocks,
            Err((line, what)) => {
                self.complain(path, line, what);
                return Vec::new();
            }
        };
        if let Some(import) = import {
            blocks = self.filled(blocks, import);
        }
        if is_top {
            blocks = tokens::site_without_braces(blocks);
        }
        self.expand(blocks, is_top, open)
    }

    fn complain(&mut self, file: &Path, line: usize, what: &str) {
        let place = format!("{}:{line}: {what}", file.display());
        self.outcome.incomplete.push(place);
    }

    fn expand(&mut self, blocks: Vec<Block>, is_top: bool, open: &mut Open) -> Vec<Block> {
        let mut found = Vec::new();
        for mut block in blocks {
            self.lines = self.lines.saturating_add(1);
            if self.lines > MOST {
                self.complain(&block.file, block.line, "too much is imported");
                break;
            }
            let snippet = block
                .name()
                .strip_prefix('(')
                .and_then(|name| name.strip_suffix(')'));
            if let Some(name) = snippet.filter(|_| is_top) {
                self.snippets.insert(name.to_owned(), block);
                continue;
            }
            if block.name() == "import" {
                found.extend(self.import(&block, is_top, open));
                continue;
            }
            // An address is no directive; what one is asked for is judged elsewhere.
            let is_directive = !is_top || (!block.opens && block.inside.is_empty());
            if block.name().starts_with("{$") && is_directive {
                let what = format!("what {} stands for is not known", block.name());
                self.complain(&block.file, block.line, &what);
            }
            block.inside = self.expand(std::mem::take(&mut block.inside), false, open);
            found.push(block);
        }
        found
    }

    fn import(&mut self, import: &Block, is_top: bool, open: &mut Open) -> Vec<Block> {
        let name = import.word(1);
        let (file, line) = (&import.file, import.line);
        if let Some(snippet) = self.snippets.get(name).cloned() {
            let place = PathBuf::from(format!("({name})"));
            return self.within(import, place, open, |importer, open| {
                let blocks = importer.filled(snippet.inside, import);
                importer.expand(blocks, is_top, open)
            });
        }
        if name.is_empty() || name.contains('{') {
            self.complain(
                file,
                line,
                &format!("what import {name} means is not known"),
            );
            return Vec::new();
        }
        let pattern = file.parent().unwrap_or(Path::new("")).join(name);
        let paths = match self.files.expand(&pattern) {
            Ok(paths) => paths,
            Err(error) => {
                self.complain(file, line, &format!("import {name}: {error}"));
                return Vec::new();
            }
        };
        if paths.is_empty() && !disk::is_pattern(name) {
            self.complain(
                file,
                line,
                &format!("import {name}: no such file or snippet"),
            );
        }
        let mut found = Vec::new();
        for path in paths {
            match self.files.read(&path) {
                Ok(text) => {
                    let blocks = self.within(import, path.clone(), open, |importer, open| {
                        importer.parse(&path, &text, Some(import), is_top, open)
                    });
                    found.extend(blocks);
                }
                Err(error) => {
                    self.complain(file, line, &format!("import {}: {error}", path.display()));
                }
            }
        }
        found
    }

    /// Reads what is imported, unless it is open already.
    fn within(
        &mut self,
        import: &Block,
        place: PathBuf,
        open: &mut Open,
        read: impl FnOnce(&mut Self, &mut Open) -> Vec<Block>,
    ) -> Vec<Block> {
        let what = if open.contains(&place) {
            "imports itself"
        } else if open.len() >= DEEPEST {
            "too many files within files"
        } else {
            open.push(place);
            let blocks = read(self, open);
            open.pop();
            return blocks;
        };
        let place = format!("{} {what}", place.display());
        self.complain(&import.file, import.line, &place);
        Vec::new()
    }

    /// With the arguments and the block of an import in their places.
    fn filled(&mut self, blocks: Vec<Block>, import: &Block) -> Vec<Block> {
        let mut found = Vec::new();
        for mut block in blocks {
            if block.words == ["{block}"] {
                found.extend(import.inside.iter().cloned());
                continue;
            }
            let mut words = Vec::new();
            for word in std::mem::take(&mut block.words) {
                if word == "{args[:]}" {
                    words.extend(import.words.iter().skip(2).cloned());
                } else {
                    words.push(with_arguments(word, import));
                }
            }
            block.words = words;
            let is_open = |word: &String| word.contains("{args") || word.contains("{blocks.");
            if block.words.iter().any(is_open) {
                let what = "what an argument of an import stands for is not known";
                self.complain(&block.file, block.line, what);
            }
            block.inside = self.filled(std::mem::take(&mut block.inside), import);
            found.push(block);
        }
        found
    }
}

/// `{args[0]}`, and as it was written before.
fn with_arguments(word: String, import: &Block) -> String {
    if !word.contains("{args") {
        return word;
    }
    let arguments = import.words.iter().skip(2).enumerate();
    arguments.fold(word, |word, (at, argument)| {
        word.replace(&format!("{{args[{at}]}}"), argument)
            .replace(&format!("{{args.{at}}}"), argument)
    })
}
