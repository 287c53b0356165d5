//! What happens to URLs that are passed on.
//!
//! Only places are looked at that a Matrix request may come to: nobody else's `rewrite` is
//! of interest here. `merge_slashes` is not among them: by itself it decides which location
//! is taken, and a URL that nothing rebuilds is passed on with all its slashes.

use super::{
    Finding, Outcome, finding,
    tree::Directive,
    variables::{Taint, Variables},
};
use crate::doctor::Harm;

const PASS_ON: &str = "let tokenshim move the token, and write `proxy_pass http://127.0.0.1:8009;` \
                       with nothing behind the port";

const REBUILT: &str = "nginx then makes the URL anew of the decoded path: %2F becomes a slash, two \
                       slashes one, and `..` is resolved, so that room ids, state keys and \
                       signatures break";

pub(super) fn inspect(directives: &[Directive], variables: &Variables, outcome: &mut Outcome) {
    let mut servers = directives
        .iter()
        .flat_map(|directive| {
            let inside = directive.inside().iter();
            std::iter::once(directive)
                .chain(inside.filter(|_| directive.name() == "http"))
                .filter(|it| it.name() == "server")
        })
        .peekable();
    let mut judge = Judge { variables, outcome };
    if servers.peek().is_none() {
        // Part of a server.
        judge.server(directives);
    }
    for server in servers {
        judge.server(server.inside());
    }
    // What servers take over from around them.
    for http in directives.iter().filter(|it| it.name() == "http") {
        let fields = http.inside().iter();
        judge.rules(fields.filter(|it| it.name() == "proxy_set_header"));
    }
}

struct Judge<'j> {
    variables: &'j Variables,
    outcome: &'j mut Outcome,
}

impl Judge<'_> {
    fn server(&mut self, server: &[Directive]) {
        let mut places = Vec::new();
        locations(server, &mut places);
        let has_own = places.iter().any(|place| takes_matrix(place));
        let is_meant =
            |place: &&Directive| names_matrix(place) || (!has_own && may_take_all(place));
        let meant: Vec<_> = places.iter().copied().filter(is_meant).collect();
        // It may still send everything somewhere else.
        self.answers(server);
        if meant.is_empty() && !places.is_empty() {
            return;
        }
        self.rules(server.iter());
        for place in meant {
            self.rules(place.inside().iter());
            self.answers(place.inside());
        }
    }

    /// The directives of a block, and of the conditions in it.
    fn rules<'d>(&mut self, block: impl Iterator<Item = &'d Directive>) {
        for directive in block {
            if let Some(found) = self.judge(directive) {
                self.outcome.findings.push(found);
            }
            if directive.name() == "if" {
                self.rules(directive.inside().iter());
            }
        }
    }

    /// What is sent back.
    fn answers(&mut self, block: &[Directive]) {
        for directive in block {
            if directive.name() == "if" {
                self.answers(directive.inside());
            }
            let target = match directive.name() {
                "return" => directive.word(2),
                "rewrite" if matches!(directive.word(3), "redirect" | "permanent") => {
                    // It appends the query by itself, unless told not to.
                    if directive.word(2).ends_with('?') {
                        directive.word(2)
                    } else {
                        "$args"
                    }
                }
                _ => continue,
            };
            let code = directive.word(1);
            let is_redirect =
                directive.name() == "rewrite" || code.starts_with('3') || code.contains("://");
            let target = if code.contains("://") { code } else { target };
            if is_redirect
                && let Some(Taint::Whole(name) | Taint::Masked(name, _)) =
                    self.variables.of_text(target)
            {
                let what = format!("{} with ${name}", directive.name());
                self.outcome.findings.push(
                    finding(directive, directive.line(), Harm::Repeats, what).because(
                        "the answer's Location gives the token back, into the client's history and \
                         its next request; and the first request came as it was, perhaps in clear text",
                        "answer 404 or 421 instead, or redirect without the query",
                    ),
                );
            }
        }
    }

    fn judge(&self, directive: &Directive) -> Option<Finding> {
        let found = |what: String| finding(directive, directive.line(), Harm::Breaks, what);
        match directive.name() {
            "proxy_pass" => {
                let what = passed(directive.word(1))?;
                Some(found(what).because(REBUILT, PASS_ON))
            }
            "rewrite" => Some(found("rewrite".into()).because(REBUILT, PASS_ON)),
            "set" if matches!(directive.word(1), "$args" | "$query_string" | "$uri") => {
                let what = format!("set {}", directive.word(1));
                let why = format!(
                    "{REBUILT}; and a `map` of $arg_access_token is read only later, when the token \
                     is gone"
                );
                Some(found(what).because(why, PASS_ON))
            }
            "if" if directive
                .arguments()
                .iter()
                .any(|word| self.variables.is_lifted(&word.text)) =>
            {
                Some(found("if with $arg_access_token".into()).because(LIFTED, PASS_ON))
            }
            "proxy_set_header" if self.variables.is_lifted(directive.word(2)) => {
                let what = format!(
                    "proxy_set_header {} of $arg_access_token",
                    directive.word(1)
                );
                Some(found(what).because(LIFTED, PASS_ON))
            }
            _ => None,
        }
    }
}

const LIFTED: &str = "nginx takes the first of several, in any case of letters, and does not decode \
                      it: an encoded token fails, an encoded name is not found, and the URL keeps it";

/// All locations of a server, also those within others.
fn locations<'d>(block: &'d [Directive], found: &mut Vec<&'d Directive>) {
    for directive in block {
        if directive.name() == "location" {
            found.push(directive);
        }
        if matches!(directive.name(), "location" | "if") {
            locations(directive.inside(), found);
        }
    }
}

fn names_matrix(location: &Directive) -> bool {
    location
        .arguments()
        .iter()
        .any(|word| word.text.contains("_matrix") || word.text.contains("_synapse"))
}

/// Whether it takes all Matrix requests, so that none is left for `/`.
fn takes_matrix(location: &Directive) -> bool {
    let words = location.arguments();
    let is_exact = words.first().is_some_and(|word| word.text == "=");
    let pattern = words.last().map_or("", |word| word.text.as_str());
    !is_exact
        && pattern.split_once("_matrix").is_some_and(|(_, rest)| {
            let rest = rest.strip_prefix('/').unwrap_or(rest);
            rest.is_empty() || rest.starts_with([')', '|', '(', '$', '.', '?'])
        })
}

/// Whether it may be what a Matrix request comes to where no location is named for it.
fn may_take_all(location: &Directive) -> bool {
    let pattern = location.words.last().map_or("", |word| word.text.as_str());
    matches!(
        pattern,
        "/" | "^/" | ".*" | "^/.*" | "^/(.*)" | "^/(.*)$" | "^(.*)$" | ""
    ) || pattern.starts_with('@')
}

/// What a target of `proxy_pass` does to the URL; `None` for nothing.
fn passed(target: &str) -> Option<String> {
    let rest = target.split_once("://").map_or(target, |(_, rest)| rest);
    for name in ["$uri", "$document_uri", "${uri}"] {
        if let Some(at) = rest.find(name) {
            let behind = rest
                .get(at.saturating_add(name.len())..)
                .unwrap_or_default();
            if !behind.starts_with(|it: char| it.is_ascii_alphanumeric() || it == '_') {
                return Some(format!("proxy_pass with {name}"));
            }
        }
    }
    if let Some(digit) = rest
        .split('$')
        .skip(1)
        .find_map(|part| part.chars().next().filter(char::is_ascii_digit))
    {
        return Some(format!("proxy_pass with ${digit}"));
    }
    let path = match rest.strip_prefix("unix:") {
        // The socket's own path ends with a colon.
        Some(socket) => socket.split_once(':').map(|(_, path)| path),
        None => rest.find('/').and_then(|at| rest.get(at..)),
    }?;
    let is_raw = path.starts_with("$request_uri");
    // What is behind it may be somebody's key.
    let shown = path.split('?').next().unwrap_or(path);
    (!path.is_empty() && !is_raw).then(|| format!("proxy_pass with the path {shown}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_is_passed_as_it_came() {
        for target in [
            "http://127.0.0.1:8009",
            "http://up",
            "http://up$request_uri",
            "http://127.0.0.1:8008$raw_path$q",
            "https://$backend",
            "http://unix:/run/tokenshim.sock",
            "http://up$uri_raw",
        ] {
            assert_eq!(passed(target), None, "{target}");
        }
        for target in [
            "http://127.0.0.1:8009/",
            "http://up/_matrix/",
            "http://up$uri$is_args$args",
            "http://up/$1",
            "http://unix:/run/tokenshim.sock:/",
        ] {
            assert!(passed(target).is_some(), "{target}");
        }
    }
}
