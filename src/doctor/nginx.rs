//! nginx: what `access_log` and `error_log` write, and what happens to URLs that are
//! passed on.

mod logs;
mod regex;
mod tokens;
mod tree;
mod urls;
mod variables;

use std::path::{Path, PathBuf};

use self::{
    tree::{Directive, Reader},
    variables::Variables,
};
use super::{Files, Finding, Harm, Outcome};

/// Looks through `texts`, each of them a main file or a part of the http block.
pub(super) fn inspect(
    texts: &[(PathBuf, String)],
    prefix: Option<&Path>,
    files: &dyn Files,
) -> Outcome {
    let mut outcome = Outcome::default();
    let mut directives = Vec::new();
    for (path, text) in texts {
        let beside = path.parent().unwrap_or(Path::new(""));
        let mut reader = Reader {
            files,
            prefix: prefix.unwrap_or(beside),
            outcome: &mut outcome,
            read: 0,
        };
        directives.extend(reader.parse(path, text, 0));
    }
    if !has_any(&directives, &RECOGNISED)
        && let Some((path, _)) = texts.first()
    {
        let place = path.display();
        let what = "no server, no location and no log is in it: not recognised as nginx's";
        outcome.incomplete.push(format!("{place}: {what}"));
    }
    let variables = Variables::of(&directives);
    logs::inspect(&directives, &variables, &mut outcome);
    urls::inspect(&directives, &variables, &mut outcome);
    outcome
}

/// Without any of these nothing can be said of a file.
const RECOGNISED: [&str; 6] = [
    "http",
    "server",
    "location",
    "access_log",
    "error_log",
    "log_format",
];

fn has_any(directives: &[Directive], names: &[&str]) -> bool {
    let mut found = false;
    walk(directives, &mut |directive, _| {
        found |= names.contains(&directive.name());
    });
    found
}

/// What is not HTTP has logs and variables of its own.
fn is_foreign(around: &[&Directive]) -> bool {
    around
        .first()
        .is_some_and(|outermost| matches!(outermost.name(), "stream" | "mail"))
}

/// A finding at a line of `directive`.
fn finding(directive: &Directive, line: usize, harm: Harm, what: String) -> Finding {
    Finding {
        file: directive.file.clone(),
        line,
        harm,
        what,
        why: String::new(),
        fix: String::new(),
    }
}

impl Finding {
    fn because(mut self, why: impl Into<String>, fix: impl Into<String>) -> Self {
        self.why = why.into();
        self.fix = fix.into();
        self
    }
}

/// Calls `look` for each directive, with those around it, outermost first.
fn walk<'d>(directives: &'d [Directive], look: &mut impl FnMut(&'d Directive, &[&'d Directive])) {
    fn step<'d>(
        directives: &'d [Directive],
        around: &mut Vec<&'d Directive>,
        look: &mut impl FnMut(&'d Directive, &[&'d Directive]),
    ) {
        for directive in directives {
            look(directive, around);
            around.push(directive);
            step(directive.inside(), around, look);
            around.pop();
        }
    }
    step(directives, &mut Vec::new(), look);
}
