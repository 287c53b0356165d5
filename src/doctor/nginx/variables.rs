//! What a variable may hold: known ones, and those that the configuration makes of them.

mod known;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use self::known::{is_harmless, is_known};
use super::{is_foreign, regex, tree::Directive, walk};

/// Why something may be in a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Taint {
    /// It has it as it is: the variable's name.
    Whole(String),
    /// It has what an expression left of it: the name, and the line of the map.
    Masked(String, usize),
    /// Something makes it that is not understood here: the variable's name.
    Unknown(String),
}

impl Taint {
    /// The graver ones first.
    const fn rank(&self) -> u8 {
        match self {
            Self::Whole(_) => 3,
            Self::Masked(..) => 2,
            Self::Unknown(_) => 1,
        }
    }
}

/// The graver one of two.
fn worse(one: Option<Taint>, other: Option<Taint>) -> Option<Taint> {
    let rank = |taint: &Option<Taint>| taint.as_ref().map_or(0, Taint::rank);
    if rank(&other) > rank(&one) {
        other
    } else {
        one
    }
}

/// What is said of one variable; it only gets worse while others are looked at.
#[derive(Clone, Debug, Default)]
struct State {
    taint: Option<Taint>,
    /// Whether it is made of the query's own `access_token`.
    is_lifted: bool,
}

/// All that are made in the configuration.
pub(super) struct Variables {
    states: HashMap<String, State>,
}

/// One way in which a variable gets its value.
enum Making<'d> {
    /// A `map`.
    Map(&'d Directive),
    /// The value of a `set`, with the conditions whose captures it may mean.
    Set(&'d str, Vec<&'d Directive>),
    /// A named capture of an expression: what it was asked with, and the expression.
    Capture(&'d str, &'d str),
    /// One of constants, or of the decoded path.
    Constant,
}

/// In the order of names: which of two sources is named must not change from run to run.
type Made<'d> = BTreeMap<String, Vec<Making<'d>>>;

impl Variables {
    /// Looks at each variable again when one that it is made of got worse: time is about
    /// the number of mentions, however they are chained.
    pub(super) fn of(directives: &[Directive]) -> Self {
        let made = makings(directives);
        let mut users: HashMap<&str, Vec<&str>> = HashMap::new();
        for (name, makings) in &made {
            let mentioned: HashSet<&str> = makings.iter().flat_map(Making::mentions).collect();
            for one in mentioned.into_iter().filter(|it| made.contains_key(*it)) {
                users.entry(one).or_default().push(name);
            }
        }
        let names = made.keys().map(|name| (name.clone(), State::default()));
        let mut variables = Self {
            states: names.collect(),
        };
        let mut waiting: VecDeque<&str> = made.keys().map(String::as_str).collect();
        while let Some(name) = waiting.pop_front() {
            let Some(state) = made.get(name).map(|it| variables.look(it)) else {
                continue;
            };
            let Some(known) = variables.states.get_mut(name) else {
                continue;
            };
            let rank = |state: &State| state.taint.as_ref().map_or(0, Taint::rank);
            if rank(&state) > rank(known) || (state.is_lifted && !known.is_lifted) {
                known.is_lifted |= state.is_lifted;
                known.taint = worse(known.taint.take(), state.taint);
                waiting.extend(users.get(name).into_iter().flatten());
            }
        }
        variables
    }

    /// What a text with variables may hold of a URL's query or of credentials.
    pub(super) fn of_text(&self, text: &str) -> Option<Taint> {
        names(text).fold(None, |found, (_, name)| worse(found, self.of_name(name)))
    }

    /// The same of one variable.
    pub(super) fn of_name(&self, name: &str) -> Option<Taint> {
        if is_known(name) {
            return Some(Taint::Whole(name.to_owned()));
        }
        match self.states.get(name) {
            Some(state) => state.taint.clone(),
            None if is_harmless(name) => None,
            None => Some(Taint::Unknown(name.to_owned())),
        }
    }

    /// Whether a text is made of the query's own `access_token`.
    pub(super) fn is_lifted(&self, text: &str) -> bool {
        names(text).any(|(_, name)| {
            name.eq_ignore_ascii_case("arg_access_token")
                || self.states.get(name).is_some_and(|state| state.is_lifted)
        })
    }

    fn look(&self, makings: &[Making<'_>]) -> State {
        let mut found = State::default();
        for making in makings {
            let (taint, is_lifted) = match making {
                Making::Set(value, conditions) => {
                    (self.of_set(value, conditions), self.is_lifted(value))
                }
                Making::Map(map) => (self.of_map(map), self.is_map_lifted(map)),
                Making::Capture(source, part) => {
                    let taint = self.of_text(source).filter(|_| regex::may_hold_query(part));
                    (taint, false)
                }
                Making::Constant => (None, false),
            };
            found.taint = worse(found.taint, taint);
            found.is_lifted |= is_lifted;
        }
        found
    }

    fn of_set(&self, value: &str, conditions: &[&Directive]) -> Option<Taint> {
        names(value).fold(None, |found, (_, name)| {
            let taint = if is_number(name) {
                conditions.iter().fold(None, |found, condition| {
                    let Some((source, expression)) = matched(condition) else {
                        return found;
                    };
                    let holds = regex::capture(expression, name).is_some_and(regex::may_hold_query);
                    worse(found, self.of_text(source).filter(|_| holds))
                })
            } else {
                self.of_name(name)
            };
            worse(found, taint)
        })
    }

    fn of_map(&self, map: &Directive) -> Option<Taint> {
        let source = self.of_text(map.word(1));
        let is_total = |entry: &Directive| expression(entry.name()).is_some_and(regex::is_total);
        let has_total = map.inside().iter().any(is_total);
        let mut found = None;
        for entry in map.inside() {
            // Nothing is left for it.
            if entry.name() == "default" && has_total {
                continue;
            }
            for (_, name) in names(entry.word(1)) {
                let capture =
                    expression(entry.name()).and_then(|regex| regex::capture(regex, name));
                let taint = match (capture, &source) {
                    (Some(part), Some(source)) if regex::may_hold_query(part) => match source {
                        Taint::Whole(name) | Taint::Masked(name, _) => {
                            Some(Taint::Masked(name.clone(), entry.line()))
                        }
                        Taint::Unknown(_) => Some(source.clone()),
                    },
                    (Some(_), _) => None,
                    (None, _) => self.of_name(name),
                };
                found = worse(found, taint);
            }
        }
        found
    }

    fn is_map_lifted(&self, map: &Directive) -> bool {
        map.inside().iter().any(|entry| {
            // A capture is a part of what the map is asked with.
            let is_capture = expression(entry.name()).is_some() && entry.word(1).contains('$');
            self.is_lifted(entry.word(1)) || (is_capture && self.is_lifted(map.word(1)))
        })
    }
}

impl<'d> Making<'d> {
    /// The variables that it looks at.
    fn mentions(&self) -> Vec<&'d str> {
        let of = |text: &'d str| names(text).map(|(_, name)| name);
        match self {
            Self::Map(map) => {
                let values = map.inside().iter().flat_map(|entry| of(entry.word(1)));
                of(map.word(1)).chain(values).collect()
            }
            Self::Set(value, conditions) => {
                let asked = conditions.iter().copied().filter_map(matched);
                let asked = asked.flat_map(|(source, _)| of(source));
                of(value).chain(asked).collect()
            }
            Self::Capture(source, _) => of(source).collect(),
            Self::Constant => Vec::new(),
        }
    }
}

fn makings(directives: &[Directive]) -> Made<'_> {
    let mut made = Made::new();
    let mut add = |name: &str, making| {
        if let Some(name) = name.strip_prefix('$') {
            made.entry(name.to_owned()).or_default().push(making);
        }
    };
    let mut captured = Vec::new();
    walk(directives, &mut |directive, around| {
        if is_foreign(around) {
            return;
        }
        match directive.name() {
            "map" => {
                add(directive.word(2), Making::Map(directive));
                let patterns = directive.inside().iter().map(Directive::name);
                captured.extend(
                    patterns
                        .filter_map(expression)
                        .map(|it| (directive.word(1), it)),
                );
            }
            "set" => {
                let value = directive.word(2);
                let has_number = names(value).any(|(_, name)| is_number(name));
                let conditions = if has_number {
                    conditions(around)
                } else {
                    Vec::new()
                };
                add(directive.word(1), Making::Set(value, conditions));
            }
            "auth_request_set" => {
                add(
                    directive.word(1),
                    Making::Set(directive.word(2), Vec::new()),
                );
            }
            "geo" => {
                let name = directive.words.last().map_or("", |word| word.text.as_str());
                add(name, Making::Constant);
            }
            "split_clients" => add(directive.word(2), Making::Constant),
            "if" => captured.extend(matched(directive)),
            // The decoded path, which has no query, and the host.
            "location" | "rewrite" | "server_name" => {
                let words = directive.arguments().iter();
                captured.extend(words.map(|word| ("$uri", word.text.as_str())));
            }
            _ => {}
        }
    });
    for (source, expression) in captured {
        for name in regex::names(expression) {
            if let Some(part) = regex::capture(expression, name) {
                let making = Making::Capture(source, part);
                made.entry(name.to_owned()).or_default().push(making);
            }
        }
    }
    made
}

/// The conditions whose captures may be in force in a place: those around it, and those
/// beside these.
fn conditions<'d>(around: &[&'d Directive]) -> Vec<&'d Directive> {
    let beside = around
        .iter()
        .filter(|it| it.name() != "http")
        .flat_map(|it| it.inside());
    around
        .iter()
        .copied()
        .chain(beside)
        .filter(|it| it.name() == "if")
        .collect()
}

/// What a condition asks with an expression, and the expression: `if ($a ~ b)`.
fn matched(condition: &Directive) -> Option<(&str, &str)> {
    // Its parentheses are words of their own only behind blanks and quotes.
    let words = condition.arguments();
    let words = match words {
        [open, rest @ ..] if open.text == "(" => rest,
        _ => words,
    };
    let [source, operator, expression, rest @ ..] = words else {
        return None;
    };
    let is_match = matches!(operator.text.as_str(), "~" | "~*" | "!~" | "!~*");
    let expression = expression.text.as_str();
    let expression = if rest.is_empty() {
        expression.strip_suffix(')').unwrap_or(expression)
    } else {
        expression
    };
    is_match.then_some((source.text.as_str(), expression))
}

fn is_number(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_digit())
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
