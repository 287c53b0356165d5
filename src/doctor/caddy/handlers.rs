//! What handlers do to URLs, in places that a Matrix request may come to.

use std::collections::HashMap;

use super::{Harm, Outcome, PASS_ON, finding, tokens::Block};

/// Placeholders without anything of the query, by their beginnings.
const HARMLESS: [&str; 30] = [
    "client_ip",
    "dir",
    "err.",
    "file",
    "host",
    "hostport",
    "http.auth.",
    "http.error.",
    "http.request.duration",
    "http.request.host",
    "http.request.hostport",
    "http.request.method",
    "http.request.port",
    "http.request.proto",
    "http.request.remote",
    "http.request.scheme",
    "http.request.tls",
    "http.request.uri.path",
    "http.request.uuid",
    "http.response.duration",
    "labels.",
    "method",
    "path",
    "port",
    "remote",
    "scheme",
    "system.",
    "time.",
    "tls_",
    "upstream_hostport",
];

/// Placeholders that have the query, or carry tokens, by their beginnings.
const TAINTED: [&str; 18] = [
    "?",
    "%",
    "cookie.",
    "header.authorization",
    "header.cookie",
    "header.referer",
    "header.x-",
    "http.request.body",
    "http.request.cookie.",
    "http.request.header.authorization",
    "http.request.header.cookie",
    "http.request.header.referer",
    "http.request.header.x-",
    "http.request.orig_uri",
    "http.request.uri",
    "orig_uri",
    "query",
    "uri",
];

/// The named matchers of a site that ask for paths.
pub(super) struct Matchers<'b>(HashMap<&'b str, Vec<&'b str>>);

impl<'b> Matchers<'b> {
    /// Those that stand anywhere in a block.
    pub(super) fn of(block: &'b Block) -> Self {
        let mut found = HashMap::new();
        collect(block, &mut found);
        Self(found)
    }

    /// Whether a Matrix request may come to what is in this directive: it has no path of
    /// its own, or theirs.
    fn takes_matrix(&self, directive: &Block) -> bool {
        let word = directive.word(1);
        if let Some(paths) = self.0.get(word) {
            return paths.iter().any(|path| is_matrix(path));
        }
        !word.starts_with('/') || is_matrix(word)
    }
}

fn collect<'b>(block: &'b Block, found: &mut HashMap<&'b str, Vec<&'b str>>) {
    for inside in &block.inside {
        if inside.name().starts_with('@') {
            let words: Vec<&str> = inside.words.iter().map(String::as_str).collect();
            let paths = match words.as_slice() {
                [_, "path", paths @ ..] => Some(paths.to_vec()),
                // All conditions of a block have to hold, so one that is not met is enough.
                [_] => inside
                    .inside
                    .iter()
                    .find(|it| it.name() == "path")
                    .map(|it| it.words.iter().skip(1).map(String::as_str).collect()),
                _ => None,
            };
            // Of a name that is given twice it is not known which is meant.
            if let Some(paths) = paths {
                let known: &mut Vec<&str> = found.entry(inside.name()).or_default();
                known.extend(paths);
            } else {
                found.insert(inside.name(), vec!["*"]);
            }
        }
        collect(inside, found);
    }
}

fn is_matrix(path: &str) -> bool {
    !path.starts_with('/')
        || matches!(path, "/" | "/*")
        || path.starts_with("/_matrix")
        || path.starts_with("/_synapse")
}

/// Looks through the directives of a site.
pub(super) struct Handlers<'h> {
    pub(super) matchers: &'h Matchers<'h>,
    pub(super) outcome: &'h mut Outcome,
}

impl Handlers<'_> {
    /// All in a block that a Matrix request may or may not come to.
    pub(super) fn block(&mut self, block: &Block, is_meant: bool) {
        for directive in &block.inside {
            let is_meant = is_meant && self.matchers.takes_matrix(directive);
            match directive.name() {
                "log_append" => self.appended(directive),
                _ if is_meant => self.judge(directive),
                _ => {}
            }
            self.block(directive, is_meant);
        }
    }

    /// A field of the access log.
    fn appended(&mut self, directive: &Block) {
        let value = directive.words.last().map_or("", String::as_str);
        let mut is_unknown = false;
        for (name, _) in value.split('{').skip(1).filter_map(|it| it.split_once('}')) {
            let name = name.to_ascii_lowercase();
            let starts = |names: &[&str]| names.iter().any(|start| name.starts_with(start));
            if starts(&HARMLESS) {
                continue;
            }
            if !starts(&TAINTED) {
                is_unknown = true;
                continue;
            }
            let why = "it writes the query, or a field that carries tokens, as a field of its own, \
                       which no filter of the others takes out";
            let fix = "append {path}, or nothing";
            let found = finding(directive, Harm::Logs, "log_append", why, fix);
            self.outcome.findings.push(found);
        }
        if is_unknown {
            let place = format!("{}:{}", directive.file.display(), directive.line);
            let what = "what log_append writes is not known";
            self.outcome.incomplete.push(format!("{place}: {what}"));
        }
    }

    fn judge(&mut self, directive: &Block) {
        let text = directive.words.join(" ");
        let (harm, why) = match directive.name() {
            "uri" => (
                Harm::Breaks,
                "it sorts and encodes the whole query anew, or changes the path; with a `;` or a bad \
                 escape it leaves the token or loses every parameter",
            ),
            "rewrite" | "handle_path" => (
                Harm::Breaks,
                "the path is written anew: its beginning is cut off, or %2F becomes a slash, and room ids \
                 and signatures break",
            ),
            "redir"
                if text.contains("{uri}")
                    || text.contains("{query}")
                    || text.contains("request.uri}")
                    || text.contains("{?") =>
            {
                (
                    Harm::Repeats,
                    "the answer's Location gives the token back, into the client's history and its next \
                     request",
                )
            }
            "request_header" | "header_up" if text.contains("query.access_token") => (
                Harm::Breaks,
                "several tokens are joined with commas, and `uri` in the order of directives comes \
                 first and takes the token away",
            ),
            _ => return,
        };
        let fix = if harm == Harm::Repeats {
            "redirect to {path}, or answer 404"
        } else {
            PASS_ON
        };
        let found = finding(directive, harm, directive.name(), why, fix);
        self.outcome.findings.push(found);
    }
}
