//! `HAProxy`: the format that each section logs in, and what its rules do to URLs.

mod lines;

use std::{collections::BTreeSet, path::PathBuf};

use self::lines::{Line, Section, sections};
use super::{Finding, Harm, Outcome};

const FIX: &str = "log the path without the query: `tokenshim emit haproxy`";
const PASS_ON: &str = "pass the URL on as it came, and let tokenshim move the token";

/// Looks through all files, which belong together as after `-f`.
pub(super) fn inspect(texts: &[(PathBuf, String)]) -> Outcome {
    let mut outcome = Outcome::default();
    let sections = sections(texts, &mut outcome);
    let mut defaults: Vec<&Section<'_>> = Vec::new();
    let mut judged = BTreeSet::new();
    for section in &sections {
        if section.kind == "defaults" {
            defaults.push(section);
            continue;
        }
        let own = match &section.from {
            Some(name) => defaults.iter().rfind(|it| it.name == *name),
            None => defaults.last(),
        };
        if matches!(section.kind.as_str(), "frontend" | "listen") {
            let lines = own
                .into_iter()
                .flat_map(|it| &it.lines)
                .chain(&section.lines);
            logs(lines, &mut judged, &mut outcome);
        }
        if matches!(section.kind.as_str(), "frontend" | "listen" | "backend") {
            outcome
                .findings
                .extend(section.lines.iter().filter_map(url));
        }
    }
    // Only defaults, for sections in files that we were not given.
    if !sections
        .iter()
        .any(|it| matches!(it.kind.as_str(), "frontend" | "listen"))
    {
        logs(
            sections.iter().flat_map(|it| &it.lines),
            &mut judged,
            &mut outcome,
        );
    }
    outcome
}

fn finding(line: &Line<'_>, harm: Harm, what: String, why: &str, fix: &str) -> Finding {
    Finding {
        file: line.file.clone(),
        line: line.number,
        harm,
        what,
        why: why.to_owned(),
        fix: fix.to_owned(),
    }
}

/// The format that is in force is the last one that is set, in the section or before it.
fn logs<'l, 't: 'l>(
    lines: impl Iterator<Item = &'l Line<'t>>,
    judged: &mut BTreeSet<(PathBuf, usize)>,
    outcome: &mut Outcome,
) {
    let (mut format, mut errors) = (None, None);
    let mut tainted: BTreeSet<String> = BTreeSet::new();
    let mut captures = Vec::new();
    for line in lines {
        let word = |at: usize| line.words.get(at).map_or("", String::as_str);
        match (word(0), word(1)) {
            ("option", "httplog" | "httpslog" | "tcplog") | ("log-format", _) => {
                format = Some(line);
            }
            ("no", "option") if matches!(word(2), "httplog" | "httpslog") => format = None,
            ("error-log-format", _) => errors = Some(line),
            ("capture", _) | ("http-request", "capture") => captures.push(line),
            ("http-request" | "tcp-request", rule) => {
                if let Some(name) = rule
                    .strip_prefix("set-var(")
                    .and_then(|it| it.strip_suffix(')'))
                {
                    let value = line.words.get(2..).unwrap_or_default().concat();
                    // `path` and what is made of it has no query.
                    if fetch(&value).is_some() {
                        tainted.insert(name.to_owned());
                    }
                }
            }
            _ => {}
        }
    }
    let mut push = |line: &Line<'_>, found: Finding| {
        if judged.insert((line.file.clone(), line.number)) {
            outcome.findings.push(found);
        }
    };
    for line in format.into_iter().chain(errors) {
        let option = line.words.get(1).map_or("", String::as_str);
        if line.words.first().is_some_and(|word| word == "option") {
            if option != "tcplog" {
                let what = format!("option {option}");
                push(
                    line,
                    finding(
                        line,
                        Harm::Logs,
                        what,
                        "its format ends in %r, the whole request line with the query",
                        FIX,
                    ),
                );
            }
            continue;
        }
        let text = line.words.get(1..).unwrap_or_default().join(" ");
        if let Some((what, why)) = format_leak(&text, &tainted) {
            let what = format!(
                "{what} in {}",
                line.words.first().map_or("", String::as_str)
            );
            push(line, finding(line, Harm::Logs, what, why, FIX));
        }
        // Captured fields show in %hr, %hs and in the captures of samples.
        for line in captures
            .iter()
            .filter(|_| text.contains("%h") || text.contains("capture.req"))
        {
            capture(line, &mut push);
        }
    }
    if format.is_some_and(|line| line.words.first().is_some_and(|word| word == "option")) {
        for line in captures {
            capture(line, &mut push);
        }
    }
}

fn capture(line: &Line<'_>, push: &mut impl FnMut(&Line<'_>, Finding)) {
    let text = line.words.join(" ").to_ascii_lowercase();
    let held = [
        "referer",
        "authorization",
        "x-original-uri",
        "x-access-token",
        "cookie",
    ];
    let has_url = fetch(&text).is_some();
    if let Some(name) = held.into_iter().find(|name| text.contains(name)) {
        let what = format!("capture of {name}");
        push(
            line,
            finding(
                line,
                Harm::Logs,
                what,
                "it is written with each line, and carries tokens",
                FIX,
            ),
        );
    } else if has_url {
        push(
            line,
            finding(
                line,
                Harm::Logs,
                "capture of the URL".into(),
                "it is written with each line, and carries tokens",
                FIX,
            ),
        );
    }
}

/// The first part of a log format that writes a query.
fn format_leak(text: &str, tainted: &BTreeSet<String>) -> Option<(String, &'static str)> {
    for (at, _) in text.match_indices('%') {
        let rest = text.get(at.saturating_add(1)..).unwrap_or_default();
        // `%{+Q}r` and `%[…]` and `%(name)HU`.
        let rest = match rest.strip_prefix('{') {
            Some(flags) => flags.split_once('}').map_or("", |(_, rest)| rest),
            None => rest,
        };
        if let Some(sample) = rest.strip_prefix('[') {
            let sample = sample.split_once(']').map_or(sample, |(sample, _)| sample);
            if let Some(name) = fetch(sample) {
                return Some((
                    format!("%[{name}]"),
                    "it has the query, or a field that carries tokens",
                ));
            }
            if let Some(name) = tainted
                .iter()
                .find(|name| sample.contains(&format!("var({name})")))
            {
                return Some((
                    format!("%[var({name})]"),
                    "the variable was made of the URL with its query",
                ));
            }
            continue;
        }
        let name: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
        match name.as_str() {
            "r" => return Some(("%r".into(), "it is the whole request line, with the query")),
            "HU" => return Some(("%HU".into(), "it is the URL with its query")),
            "HQ" => return Some(("%HQ".into(), "it is the query")),
            _ => {}
        }
    }
    None
}

/// The sample of an expression that has the query, or carries tokens.
fn fetch(expression: &str) -> Option<&'static str> {
    const WHOLE: [&str; 12] = [
        "query",
        "url",
        "pathq",
        "baseq",
        "capture.req.uri",
        "urlp",
        "url_param",
        "req.body",
        "req.hdr(referer",
        "req.hdr(authorization",
        "req.cook",
        "path_qs",
    ];
    let text = expression.to_ascii_lowercase().replace(['"', '\''], "");
    WHOLE.into_iter().find(|name| {
        text.match_indices(name).any(|(at, _)| {
            let is_part = |letter: char| letter.is_ascii_alphanumeric() || "_.".contains(letter);
            let before = text.get(..at).and_then(|it| it.chars().next_back());
            let behind = text
                .get(at.saturating_add(name.len())..)
                .and_then(|it| it.chars().next());
            let ends = name.contains('(') || !behind.is_some_and(is_part);
            !before.is_some_and(is_part) && ends
        })
    })
}

/// What a rule does to the URL.
fn url(line: &Line<'_>) -> Option<Finding> {
    let word = |at: usize| line.words.get(at).map_or("", String::as_str);
    let rest = line.words.get(2..).unwrap_or_default().join(" ");
    let found = |harm, why, fix| {
        let what = format!("{} {}", word(0), word(1));
        Some(finding(line, harm, what, why, fix))
    };
    match (word(0), word(1)) {
        (
            "http-request",
            "set-query" | "set-uri" | "replace-uri" | "replace-pathq" | "set-pathq",
        ) => found(
            Harm::Breaks,
            "an expression over the query misses encoded names, takes a wrong parameter for the \
             right one, and leaves a second token or a lone question mark",
            PASS_ON,
        ),
        ("http-request", "set-path" | "replace-path" | "normalize-uri") => found(
            Harm::Breaks,
            "room ids, state keys and signatures need the path byte for byte",
            PASS_ON,
        ),
        ("http-request", rule)
            if rule.starts_with("set-header") || rule.starts_with("add-header") =>
        {
            let is_lifted = rest.contains("access_token") && fetch(&rest).is_some();
            if !is_lifted {
                return None;
            }
            found(
                Harm::Breaks,
                "urlp() reads behind `;` and inside of other parameters as well, so that a link can \
                 plant a token; it does not decode, and overrules a real header",
                PASS_ON,
            )
        }
        ("http-request" | "http-response", "redirect") | ("redirect", _) => {
            let text = line.words.join(" ");
            let keeps =
                text.contains(" scheme ") || text.contains(" prefix ") || fetch(&text).is_some();
            if !keeps || text.contains("drop-query") {
                return None;
            }
            found(
                Harm::Repeats,
                "the answer's Location gives the token back, into the client's history and its next \
                 request; and the first request came as it was, perhaps in clear text",
                "answer 404 or 421 instead, or redirect with drop-query",
            )
        }
        _ => None,
    }
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
            "capture.req.uri",
            "urlp(access_token)",
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
}
