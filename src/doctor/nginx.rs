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
    let variables = Variables::of(&directives);
    logs::inspect(&directives, &variables, &mut outcome);
    urls::inspect(&directives, &variables, &mut outcome);
    outcome
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
