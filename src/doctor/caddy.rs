//! A Caddyfile: what its loggers write, and what its handlers do to URLs.

mod tokens;

use std::path::{Path, PathBuf};

use self::tokens::Block;
use super::{Files, Finding, Harm, Outcome};

const FIX: &str =
    "a filter on the default logger and a bare `log` in the site: `tokenshim emit caddy`";
const PASS_ON: &str = "`reverse_proxy 127.0.0.1:8009` and nothing that touches the URL: tokenshim \
                       moves the token";

/// Files within files.
const DEEPEST: usize = 8;

pub(super) fn inspect(texts: &[(PathBuf, String)], files: &dyn Files) -> Outcome {
    let mut outcome = Outcome::default();
    let mut blocks = Vec::new();
    for (path, text) in texts {
        read(path, text, files, 0, &mut outcome, &mut blocks);
    }
    let is_options = |block: &&Block| block.words.is_empty();
    let default_is_clean = blocks
        .iter()
        .filter(is_options)
        .flat_map(|options| &options.inside)
        .filter(|log| log.name() == "log" && matches!(log.word(1), "" | "default"))
        .any(|log| filter_of(log, &blocks).is_none());
    for options in blocks.iter().filter(is_options) {
        for log in options.inside.iter().filter(|it| it.name() == "log") {
            if let Some(why) = filter_of(log, &blocks) {
                outcome.findings.push(finding(
                    log,
                    Harm::Logs,
                    "log of the global options",
                    why,
                    FIX,
                ));
            }
        }
    }
    let sites = blocks
        .iter()
        .filter(|block| !block.words.is_empty() && !block.name().starts_with('('));
    for site in sites {
        site_logs(site, default_is_clean, &blocks, &mut outcome);
        handlers(site, true, &mut outcome);
    }
    // Snippets are used by sites.
    for snippet in blocks.iter().filter(|block| block.name().starts_with('(')) {
        handlers(snippet, true, &mut outcome);
    }
    outcome
}

fn read(
    path: &Path,
    text: &str,
    files: &dyn Files,
    depth: usize,
    outcome: &mut Outcome,
    blocks: &mut Vec<Block>,
) {
    let complain = |line: usize, what: String| format!("{}:{line}: {what}", path.display());
    let parsed = match tokens::parse(path, text) {
        Ok(parsed) => parsed,
        Err((line, what)) => {
            outcome.incomplete.push(complain(line, what.to_owned()));
            return;
        }
    };
    for block in parsed {
        if block.name() != "import" || block.opens {
            blocks.push(block);
            continue;
        }
        let pattern = path.parent().unwrap_or(Path::new("")).join(block.word(1));
        if depth >= DEEPEST {
            outcome
                .incomplete
                .push(complain(block.line, "too many files within files".into()));
            continue;
        }
        let found = files.expand(&pattern).unwrap_or_default();
        if found.is_empty() && !super::disk::is_pattern(block.word(1)) {
            let what = format!("import {}: no such file", block.word(1));
            outcome.incomplete.push(complain(block.line, what));
        }
        for file in found {
            match files.read(&file) {
                Ok(text) => read(
                    &file,
                    &text,
                    files,
                    depth.saturating_add(1),
                    outcome,
                    blocks,
                ),
                Err(error) => {
                    let what = format!("import {}: {error}", file.display());
                    outcome.incomplete.push(complain(block.line, what));
                }
            }
        }
    }
}

fn finding(block: &Block, harm: Harm, what: &str, why: &str, fix: &str) -> Finding {
    Finding {
        file: block.file.clone(),
        line: block.line,
        harm,
        what: what.to_owned(),
        why: why.to_owned(),
        fix: fix.to_owned(),
    }
}

fn site_logs(site: &Block, default_is_clean: bool, blocks: &[Block], outcome: &mut Outcome) {
    let expanded = with_snippets(site, blocks);
    let mut logs = expanded.iter().filter(|it| it.name() == "log").peekable();
    for log in &mut logs {
        // Without anything of its own it is the default logger.
        let why = if log.inside.is_empty() {
            (!default_is_clean)
                .then_some("the default logger has no filter, and writes URL and Referer")
        } else {
            filter_of(log, blocks)
        };
        if let Some(why) = why {
            outcome
                .findings
                .push(finding(log, Harm::Logs, "log", why, FIX));
        }
    }
    let has_proxy = expanded.iter().any(|it| mentions(it, "reverse_proxy"));
    if has_proxy && !default_is_clean {
        outcome.findings.push(finding(
            site,
            Harm::Logs,
            "reverse_proxy without a filter on the default logger",
            "each 502 is written into `http.log.error` with the whole URL, whatever the site's own \
             `log` says",
            FIX,
        ));
    }
}

/// The directives of a block, with those of the snippets that it imports.
fn with_snippets<'b>(block: &'b Block, blocks: &'b [Block]) -> Vec<&'b Block> {
    let snippet = |name: &str| {
        let name = format!("({name})");
        blocks.iter().find(move |block| block.name() == name)
    };
    block
        .inside
        .iter()
        .flat_map(
            |it| match snippet(it.word(1)).filter(|_| it.name() == "import") {
                Some(snippet) => snippet.inside.iter().collect(),
                None => vec![it],
            },
        )
        .collect()
}

fn mentions(block: &Block, name: &str) -> bool {
    block.name() == name || block.inside.iter().any(|it| mentions(it, name))
}

/// Why what a logger writes is not clean; `None` if it is.
fn filter_of(log: &Block, blocks: &[Block]) -> Option<&'static str> {
    let expanded = with_snippets(log, blocks);
    if expanded
        .iter()
        .any(|it| it.name() == "output" && it.word(1) == "discard")
    {
        return None;
    }
    let Some(format) = expanded
        .iter()
        .find(|it| it.name() == "format" && it.word(1) == "filter")
    else {
        return Some("it has no `format filter`, and writes URL and Referer");
    };
    let fields = |wanted: &str| {
        // `wrap` and `fields` are the older way to write it.
        let nested = format.inside.iter().filter(|it| it.name() == "fields");
        let all: Vec<&Block> = format
            .inside
            .iter()
            .chain(nested.flat_map(|it| &it.inside))
            .filter(|it| it.name() == wanted)
            .collect();
        all
    };
    let uri = fields("request>uri");
    let removes = |it: &&Block| matches!(it.word(1), "delete" | "regexp" | "replace" | "hash");
    if uri.iter().any(|it| it.word(1) == "query") {
        return Some(
            "the `query` filter knows names: a token in a nested URL, or glued to the path, passes it by",
        );
    }
    if !uri.iter().any(removes) && fields("request").is_empty() {
        return Some("its filter leaves `request>uri` as it is");
    }
    let headers = ["request", "request>headers", "request>headers>Referer"];
    if !headers.iter().any(|name| fields(name).iter().any(removes)) {
        return Some("its filter leaves the Referer (`request>headers>Referer`) as it is");
    }
    None
}

/// What is done to URLs, in places that a Matrix request may come to.
fn handlers(block: &Block, is_meant: bool, outcome: &mut Outcome) {
    for directive in &block.inside {
        let text = directive.words.join(" ");
        let found = match directive.name() {
            "uri" if is_meant => Some((
                Harm::Breaks,
                "it sorts and encodes the whole query anew, or changes the path; with a `;` or a bad \
                 escape it leaves the token or loses every parameter",
            )),
            "rewrite" | "handle_path" if is_meant && takes_matrix(directive) => Some((
                Harm::Breaks,
                "the path is written anew: its beginning is cut off, or %2F becomes a slash, and room ids \
                 and signatures break",
            )),
            "redir"
                if text.contains("{uri}")
                    || text.contains("{query}")
                    || text.contains("request.uri}") =>
            {
                Some((
                    Harm::Repeats,
                    "the answer's Location gives the token back, into the client's history and its next \
                 request",
                ))
            }
            "request_header" | "header_up" if text.contains("query.access_token") => Some((
                Harm::Breaks,
                "several tokens are joined with commas, and `uri` in the order of directives comes \
                 first and takes the token away",
            )),
            _ => None,
        };
        if let Some((harm, why)) = found {
            let fix = if harm == Harm::Repeats {
                "redirect to {path}, or answer 404"
            } else {
                PASS_ON
            };
            outcome
                .findings
                .push(finding(directive, harm, directive.name(), why, fix));
        }
        handlers(directive, is_meant && takes_matrix(directive), outcome);
    }
}

/// Whether a Matrix request may come to what is in this directive: it has no path of its
/// own, or theirs.
fn takes_matrix(directive: &Block) -> bool {
    let path = directive.word(1);
    !path.starts_with('/')
        || matches!(path, "/" | "/*")
        || path.starts_with("/_matrix")
        || path.starts_with("/_synapse")
}
