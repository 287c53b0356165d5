//! A Caddyfile: what its loggers write, and what its handlers do to URLs.

mod filters;
mod handlers;
mod imports;
mod tokens;

use std::{collections::HashMap, path::PathBuf};

use self::{
    filters::Verdict,
    handlers::{Handlers, Matchers},
    imports::Importer,
    tokens::Block,
};
use super::{Files, Finding, Harm, Outcome, recognition};

const FIX: &str =
    "a filter on the default logger and a bare `log` in the site: `tokenshim emit caddy`";
const PASS_ON: &str = "`reverse_proxy 127.0.0.1:8009` and nothing that touches the URL: tokenshim \
                       moves the token";

/// Handlers that write an error with the URL into the default logger when nobody answers.
const PROXIES: [&str; 3] = ["reverse_proxy", "forward_auth", "php_fastcgi"];

pub(super) fn inspect(texts: &[(PathBuf, String)], files: &dyn Files) -> Outcome {
    let mut outcome = Outcome::default();
    let mut importer = Importer {
        files,
        outcome: &mut outcome,
        snippets: HashMap::new(),
        lines: 0,
    };
    let blocks: Vec<Block> = texts
        .iter()
        .flat_map(|(path, text)| importer.file(path, text))
        .collect();
    let snippets = importer.snippets;
    let is_caddys = |block: &Block| mentions(block, &recognition::is_caddys);
    if let Some((path, _)) = texts.first()
        && !blocks.iter().chain(snippets.values()).any(is_caddys)
    {
        let what = "no directive of Caddy's is in it: not recognised as a Caddyfile";
        let place = path.display();
        outcome.incomplete.push(format!("{place}: {what}"));
    }
    let (options, sites): (Vec<_>, Vec<_>) =
        blocks.iter().partition(|block| block.words.is_empty());
    let default_is_clean = global(&options, &mut outcome);
    for site in &sites {
        site_logs(site, default_is_clean, &mut outcome);
        handle(site, &mut outcome);
    }
    // Snippets are used by sites, which may be elsewhere.
    for snippet in snippets.values() {
        handle(snippet, &mut outcome);
        if sites.is_empty() {
            for log in snippet.inside.iter().filter(|it| it.name() == "log") {
                if !log.inside.is_empty() {
                    logger(log, "log", &mut outcome);
                }
            }
        }
    }
    outcome
}

fn handle(block: &Block, outcome: &mut Outcome) {
    let matchers = Matchers::of(block);
    Handlers {
        matchers: &matchers,
        outcome,
    }
    .block(block, true);
}

/// The global options. Tells whether the default logger is clean.
fn global(options: &[&Block], outcome: &mut Outcome) -> bool {
    let mut default_is_clean = false;
    for option in options.iter().flat_map(|it| &it.inside) {
        match option.name() {
            "log" => {
                let is_clean = logger(option, "log of the global options", outcome);
                default_is_clean |= is_clean && matches!(option.word(1), "" | "default");
            }
            "servers" => {
                for inside in option
                    .inside
                    .iter()
                    .filter(|it| it.name() == "log_credentials")
                {
                    let why = "Authorization, Cookie and Set-Cookie are then written as they are";
                    let fix = "remove it";
                    let found = finding(inside, Harm::Logs, "log_credentials", why, fix);
                    outcome.findings.push(found);
                }
            }
            _ => {}
        }
    }
    default_is_clean
}

/// Judges a logger; tells whether it is clean. One that is not known is named already.
fn logger(log: &Block, what: &str, outcome: &mut Outcome) -> bool {
    match filters::of(log) {
        Verdict::Clean => true,
        Verdict::Leaks(why) => {
            let found = finding(log, Harm::Logs, what, why, FIX);
            outcome.findings.push(found);
            false
        }
        Verdict::Unknown => {
            let place = format!("{}:{}", log.file.display(), log.line);
            let what = "what the environment puts into this log is not known";
            outcome.incomplete.push(format!("{place}: {what}"));
            true
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

fn site_logs(site: &Block, default_is_clean: bool, outcome: &mut Outcome) {
    for log in site.inside.iter().filter(|it| it.name() == "log") {
        if !log.inside.is_empty() {
            logger(log, "log", outcome);
        } else if !default_is_clean {
            // Without anything of its own it is the default logger.
            let why = "the default logger has no filter, and writes URL and Referer";
            let found = finding(log, Harm::Logs, "log", why, FIX);
            outcome.findings.push(found);
        }
    }
    let has_proxy = mentions(site, &|name| PROXIES.contains(&name));
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

fn mentions(block: &Block, is_meant: &dyn Fn(&str) -> bool) -> bool {
    is_meant(block.name()) || block.inside.iter().any(|it| mentions(it, is_meant))
}
