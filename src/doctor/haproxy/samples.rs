//! Expressions and log formats: whether they hold a query, or a field that carries tokens.

use std::collections::{BTreeMap, BTreeSet};

use super::lines::Line;

/// Samples that have the query, or credentials.
const WHOLE: [&str; 20] = [
    "query",
    "url",
    "pathq",
    "baseq",
    "capture.req.uri",
    "urlp",
    "urlp_val",
    "url_param",
    "req.body",
    "req.body_param",
    "req.payload",
    "payload",
    "req.hdrs",
    "req.hdrs_bin",
    "res.hdrs",
    "req.cook",
    "cook",
    "http_auth_bearer",
    "http_auth_pass",
    "path_qs",
];

/// Fields that carry tokens.
pub(super) const FIELDS: [&str; 9] = [
    "referer",
    "authorization",
    "cookie",
    "x-original-uri",
    "x-original-url",
    "x-forwarded-uri",
    "x-rewrite-url",
    "x-access-token",
    "location",
];

/// What a format or an expression does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Leak {
    /// It writes this, for this reason.
    Found(String, &'static str),
    /// What it writes cannot be told.
    Unknown(String),
}

/// The variables that are set somewhere.
#[derive(Debug, Default)]
pub(super) struct Variables {
    /// Those that hold a query.
    tainted: BTreeSet<String>,
    /// Those of which nothing is known.
    unknown: BTreeSet<String>,
    clean: BTreeSet<String>,
}

struct Setting {
    name: String,
    value: String,
    is_format: bool,
}

impl Variables {
    /// Of all sections, since what a backend sets, a frontend logs.
    pub(super) fn of<'l, 't: 'l>(lines: impl Iterator<Item = &'l Line<'t>>) -> Self {
        let settings: Vec<_> = lines.flat_map(settings).collect();
        let mut variables = Self {
            clean: settings.iter().map(|it| it.name.clone()).collect(),
            ..Self::default()
        };
        // What has got worse may have made others worse.
        let mut users: BTreeMap<&str, Vec<&Setting>> = BTreeMap::new();
        for setting in &settings {
            for (name, _) in variable_names(&setting.value, &variables.clean) {
                users.entry(name).or_default().push(setting);
            }
        }
        let mut waiting: Vec<&Setting> = settings.iter().collect();
        while let Some(setting) = waiting.pop() {
            let leak = if setting.is_format {
                variables.format(&setting.value)
            } else {
                variables.sample(&setting.value)
            };
            let is_new = match leak {
                Some(Leak::Found(..)) => variables.tainted.insert(setting.name.clone()),
                Some(Leak::Unknown(_)) => variables.unknown.insert(setting.name.clone()),
                None => false,
            };
            if is_new {
                waiting.extend(users.get(setting.name.as_str()).into_iter().flatten());
            }
        }
        variables
    }

    /// The first part of a log format that writes a query; else the first that is not
    /// understood.
    pub(super) fn format(&self, text: &str) -> Option<Leak> {
        let mut unknown = has_environment(text)
            .then(|| Leak::Unknown("a format with a variable of the environment".into()));
        for part in parts(text) {
            let leak = match part {
                Part::Sample(sample) => self.sample(sample).map(|leak| match leak {
                    Leak::Found(name, why) => Leak::Found(format!("%[{name}]"), why),
                    Leak::Unknown(what) => Leak::Unknown(what),
                }),
                Part::Name("r") => {
                    Some(found("%r", "it is the whole request line, with the query"))
                }
                Part::Name("HU") => Some(found("%HU", "it is the URL with its query")),
                Part::Name("HQ") => Some(found("%HQ", "it is the query")),
                Part::Name(_) => None,
            };
            match leak {
                Some(Leak::Found(..)) => return leak,
                Some(Leak::Unknown(_)) => unknown = unknown.or(leak),
                None => {}
            }
        }
        unknown
    }

    /// The same of an expression.
    pub(super) fn sample(&self, sample: &str) -> Option<Leak> {
        const MADE: &str = "the variable was made of the URL with its query";
        if let Some(name) = fetch(sample) {
            let why = "it has the query, or a field that carries tokens";
            return Some(Leak::Found(name, why));
        }
        let used = || variable_names(sample, &self.clean);
        if let Some((name, _)) = used().find(|(name, _)| self.tainted.contains(*name)) {
            return Some(Leak::Found(format!("var({name})"), MADE));
        }
        if let Some((name, _)) = used().find(|(name, _)| self.unknown.contains(*name)) {
            return Some(Leak::Unknown(format!("the variable {name}")));
        }
        // Lua and agents set variables, and make samples.
        if let Some(name) = asked(sample).find(|name| !self.clean.contains(*name)) {
            return Some(Leak::Unknown(format!(
                "the variable {name}, which is set nowhere here"
            )));
        }
        sample
            .contains("lua.")
            .then(|| Leak::Unknown("a sample made by Lua".into()))
    }
}

fn found(what: &str, why: &'static str) -> Leak {
    Leak::Found(what.to_owned(), why)
}

/// What a line sets, by a rule or within an expression.
fn settings(line: &Line<'_>) -> Vec<Setting> {
    let is_condition = |word: &String| word == "if" || word == "unless";
    let mut found = Vec::new();
    for (at, word) in line.words.iter().enumerate() {
        for (start, is_format) in [("set-var(", false), ("set-var-fmt(", true)] {
            for (place, _) in word.match_indices(start) {
                let inside = word
                    .get(place.saturating_add(start.len())..)
                    .unwrap_or_default();
                let name = inside.split([')', ',']).next().unwrap_or_default();
                let behind = line.words.get(at.saturating_add(1)..).unwrap_or_default();
                // As a converter it keeps what stands in front of it.
                let value = if place == 0 {
                    let end = behind.iter().position(is_condition);
                    let value = behind.get(..end.unwrap_or(behind.len()));
                    value.unwrap_or_default().join(" ")
                } else {
                    word.get(..place).unwrap_or_default().to_owned()
                };
                found.push(Setting {
                    name: name.to_owned(),
                    value,
                    is_format,
                });
            }
        }
    }
    found
}

/// A letter of a name.
fn is_part(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "_.".contains(letter)
}

/// All words of an expression, with the places where they begin.
fn words(expression: &str) -> impl Iterator<Item = (&str, usize)> {
    let mut at = 0_usize;
    expression
        .split(|letter| !is_part(letter))
        .filter_map(move |word| {
            let start = at;
            // Each separator may be several bytes long.
            at = start.saturating_add(word.len());
            let separator = expression.get(at..).and_then(|rest| rest.chars().next());
            at = at.saturating_add(separator.map_or(0, char::len_utf8));
            (!word.is_empty()).then_some((word, start))
        })
}

/// The variables that an expression mentions, by `var()` or as a converter's argument.
fn variable_names<'e>(
    expression: &'e str,
    known: &BTreeSet<String>,
) -> impl Iterator<Item = (&'e str, usize)> {
    words(expression).filter(|(word, _)| known.contains(*word))
}

/// The variables that it asks for by `var()`.
fn asked(expression: &str) -> impl Iterator<Item = &str> {
    expression.match_indices("var(").filter_map(|(at, start)| {
        let before = expression.get(..at)?.chars().next_back();
        // `set-var()` is another thing.
        if before.is_some_and(|it| is_part(it) || it == '-') {
            return None;
        }
        let inside = expression.get(at.saturating_add(start.len())..)?;
        inside.split([')', ',']).next()
    })
}

/// The sample of an expression that has the query, or carries tokens.
pub(super) fn fetch(expression: &str) -> Option<String> {
    let text = expression.to_ascii_lowercase().replace(['"', '\''], "");
    let mut found = None;
    for (word, at) in words(&text) {
        if WHOLE.contains(&word) {
            found = Some(word.to_owned());
        } else if word.ends_with("hdr") {
            let behind = text
                .get(at.saturating_add(word.len())..)
                .unwrap_or_default();
            let name = behind
                .strip_prefix('(')
                .and_then(|inside| inside.split([')', ',']).next())
                .map(str::trim);
            // Without a name it is all of them.
            found = match name {
                Some(name) if FIELDS.contains(&name) => Some(format!("{word}({name})")),
                Some("") => Some(word.to_owned()),
                Some(_) | None => None,
            };
        }
        if found.is_some() {
            break;
        }
    }
    found
}

/// `${NAME}` or `$NAME`.
pub(super) fn has_environment(text: &str) -> bool {
    text.split('$').skip(1).any(|behind| {
        behind.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_' || it == '{')
    })
}

/// A part of a log format.
pub(super) enum Part<'t> {
    /// `%[…]`
    Sample(&'t str),
    /// `%HU`
    Name(&'t str),
}

/// What a log format writes.
pub(super) fn parts(text: &str) -> Vec<Part<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, behind)) = rest.split_once('%') {
        if let Some(behind) = behind.strip_prefix('%') {
            rest = behind;
            continue;
        }
        // `%{+Q}r` and `%[…]` and `%(name)HU`.
        let mut part = behind;
        for (open, close) in [('(', ')'), ('{', '}')] {
            if let Some((_, inner)) = part.strip_prefix(open).and_then(|it| it.split_once(close)) {
                part = inner;
            }
        }
        if let Some(sample) = part.strip_prefix('[') {
            let end = sample_end(sample);
            found.push(Part::Sample(sample.get(..end).unwrap_or(sample)));
            rest = sample.get(end..).unwrap_or_default();
        } else {
            let end = part.find(|it: char| !it.is_ascii_alphabetic());
            let end = end.unwrap_or(part.len());
            found.push(Part::Name(part.get(..end).unwrap_or(part)));
            rest = part.get(end..).unwrap_or_default();
        }
    }
    found
}

/// A bracket within the arguments of a converter ends nothing.
fn sample_end(sample: &str) -> usize {
    let mut depth = 0_usize;
    for (at, letter) in sample.char_indices() {
        match letter {
            '(' => depth = depth.saturating_add(1),
            ')' => depth = depth.saturating_sub(1),
            ']' if depth == 0 => return at,
            _ => {}
        }
    }
    sample.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_samples_with_a_query() {
        for text in [
            "query",
            "url,lower",
            "req.hdr(Referer)",
            "hdr(Referer)",
            "req.fhdr( 'Cookie',1)",
            "req.hdrs",
            "http_auth_bearer",
            "req.body_param(access_token)",
            "capture.req.uri",
            "urlp(access_token)",
            "str(é),concat(,url)",
        ] {
            assert!(fetch(text).is_some(), "{text}");
        }
        for text in [
            "path",
            "req.hdr(host)",
            "url_ip",
            "my_query",
            "path,regsub('a','b')",
        ] {
            assert!(fetch(text).is_none(), "{text}");
        }
    }

    #[test]
    fn reads_formats() {
        let rows = [
            ("%ci %{+Q}r %(x)HU", "ci r HU"),
            ("100%% %%r", ""),
            (
                "%[path,regsub([a],b),url] %HM",
                "[path,regsub([a],b),url] HM",
            ),
            ("%", ""),
        ];
        for (text, expected) in rows {
            let shown: Vec<_> = parts(text)
                .iter()
                .map(|part| match part {
                    Part::Sample(sample) => format!("[{sample}]"),
                    Part::Name(name) => (*name).to_owned(),
                })
                .collect();
            assert_eq!(shown.join(" "), expected, "{text}");
        }
    }
}
