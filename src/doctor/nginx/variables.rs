//! What a variable may hold: known ones, and those that `map` and `set` make of them.

use std::collections::{HashMap, HashSet};

use super::{regex, tree::Directive, walk};

/// Variables that hold the query or a whole URL, or credentials.
const KNOWN: [&str; 15] = [
    "request",
    "request_uri",
    "args",
    "query_string",
    "request_body",
    "http_referer",
    "http_cookie",
    "http_authorization",
    "http_x_access_token",
    "http_x_original_uri",
    "http_x_original_url",
    "http_x_forwarded_uri",
    "http_x_rewrite_url",
    "sent_http_location",
    "upstream_http_location",
];

/// Parts of a parameter's name that mean a secret.
const SECRETS: [&str; 6] = ["token", "secret", "password", "code", "sig", "key"];

/// Why something may be in a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Taint {
    /// It has it as it is: the variable's name.
    Whole(String),
    /// It has what an expression left of it: the name, and the line of the map.
    Masked(String, usize),
}

/// All that are made in the configuration.
pub(super) struct Variables<'d> {
    made: HashMap<String, Vec<Making<'d>>>,
}

enum Making<'d> {
    /// A `map`.
    Map(&'d Directive),
    /// The value of a `set`.
    Set(&'d str),
}

/// The names on the way to an answer: one that was looked at has nothing new to say.
type Seen<'s> = HashSet<&'s str>;

/// Variables of variables.
const DEEPEST: usize = 64;

impl<'d> Variables<'d> {
    pub(super) fn of(directives: &'d [Directive]) -> Self {
        let mut made: HashMap<String, Vec<Making<'d>>> = HashMap::new();
        walk(directives, &mut |directive, _| {
            let (name, making) = match directive.name() {
                "map" => (directive.word(2), Making::Map(directive)),
                "set" => (directive.word(1), Making::Set(directive.word(2))),
                _ => return,
            };
            if let Some(name) = name.strip_prefix('$') {
                made.entry(name.to_owned()).or_default().push(making);
            }
        });
        Self { made }
    }

    /// What a text with variables may hold of a URL's query or of credentials.
    pub(super) fn taint(&self, text: &str) -> Option<Taint> {
        let mut seen = Seen::new();
        names(text).find_map(|(_, name)| self.of_names(name, &mut seen))
    }

    /// The same of one variable.
    pub(super) fn of_name(&self, name: &str) -> Option<Taint> {
        self.of_names(name, &mut Seen::new())
    }

    fn of_names<'s>(&'s self, name: &'s str, seen: &mut Seen<'s>) -> Option<Taint> {
        if is_known(name) {
            return Some(Taint::Whole(name.to_owned()));
        }
        if seen.len() > DEEPEST || !seen.insert(name) {
            return None;
        }
        self.made.get(name)?.iter().find_map(|making| match making {
            Making::Set(value) => names(value).find_map(|(_, name)| self.of_names(name, seen)),
            Making::Map(map) => self.of_map(map, seen),
        })
    }

    fn of_map<'s>(&'s self, map: &'s Directive, seen: &mut Seen<'s>) -> Option<Taint> {
        let source =
            names(map.word(1)).find_map(|(_, name)| self.of_names(name, &mut seen.clone()));
        let is_total = |entry: &Directive| expression(entry.name()).is_some_and(regex::is_total);
        let has_total = map.inside().iter().any(is_total);
        map.inside().iter().find_map(|entry| {
            // Nothing is left for it.
            if entry.name() == "default" && has_total {
                return None;
            }
            names(entry.word(1)).find_map(|(_, name)| {
                let capture =
                    expression(entry.name()).and_then(|regex| regex::capture(regex, name));
                match (capture, &source) {
                    (Some(part), Some(source)) if regex::may_hold_query(part) => {
                        let name = match source {
                            Taint::Whole(name) | Taint::Masked(name, _) => name,
                        };
                        Some(Taint::Masked(name.clone(), entry.line()))
                    }
                    (Some(_), _) => None,
                    (None, _) => self.of_names(name, seen),
                }
            })
        })
    }

    /// Whether a text is made of the query's own `access_token`.
    pub(super) fn is_lifted(&self, text: &str) -> bool {
        self.has_lifted(text, &mut Seen::new())
    }

    fn has_lifted<'s>(&'s self, text: &'s str, seen: &mut Seen<'s>) -> bool {
        names(text).any(|(_, name)| self.is_name_lifted(name, seen))
    }

    fn is_name_lifted<'s>(&'s self, name: &'s str, seen: &mut Seen<'s>) -> bool {
        if name.eq_ignore_ascii_case("arg_access_token") {
            return true;
        }
        if seen.len() > DEEPEST || !seen.insert(name) {
            return false;
        }
        let making = self.made.get(name).into_iter().flatten();
        making.into_iter().any(|making| match making {
            Making::Set(value) => self.has_lifted(value, seen),
            Making::Map(map) => map.inside().iter().any(|entry| {
                // A capture is a part of what the map is asked with.
                let is_capture = expression(entry.name()).is_some() && entry.word(1).contains('$');
                self.has_lifted(entry.word(1), seen)
                    || (is_capture && self.has_lifted(map.word(1), seen))
            }),
        })
    }
}

fn is_known(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    if KNOWN.contains(&name.as_str()) || name.starts_with("cookie_") {
        return true;
    }
    name.strip_prefix("arg_")
        .is_some_and(|argument| SECRETS.iter().any(|word| argument.contains(word)))
}

/// The expression of a map's entry.
fn expression(pattern: &str) -> Option<&str> {
    let rest = pattern.strip_prefix('~')?;
    Some(rest.strip_prefix('*').unwrap_or(rest))
}

/// The variables of a text, each with the place where it begins.
pub(super) fn names(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.match_indices('$').filter_map(|(at, _)| {
        let rest = text.get(at.saturating_add(1)..)?;
        let name = if let Some(rest) = rest.strip_prefix('{') {
            rest.split_once('}')?.0
        } else {
            let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
            rest.get(..rest.find(|letter| !is_part(letter)).unwrap_or(rest.len()))?
        };
        (!name.is_empty()).then_some((at, name))
    })
}
