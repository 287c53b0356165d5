//! `HAProxy`: the format that each section logs in, and what its rules do to URLs.

mod lines;
mod samples;

use std::{
    collections::{BTreeSet, HashMap},
    path::PathBuf,
};

use self::{
    lines::{Line, Section, sections},
    samples::{FIELDS, Leak, Part, Variables, fetch, has_environment, parts},
};
use super::{Finding, Harm, Outcome, recognition};

const FIX: &str = "log the path without the query: `tokenshim emit haproxy`";
const PASS_ON: &str = "pass the URL on as it came, and let tokenshim move the token";

/// Defaults made from defaults.
const DEEPEST: usize = 64;

/// Looks through all files, which belong together as after `-f`.
pub(super) fn inspect(texts: &[(PathBuf, String)]) -> Outcome {
    let mut outcome = Outcome::default();
    let sections = sections(texts, &mut outcome);
    recognise(&sections, texts, &mut outcome);
    let mut judge = Judge {
        variables: Variables::of(sections.iter().flat_map(|it| &it.lines)),
        // A backend's rules can fill the slots that a frontend declares.
        captures: sections
            .iter()
            .filter(|it| it.kind == "backend")
            .flat_map(|it| &it.lines)
            .filter(|it| is_capture(it))
            .collect(),
        outcome: &mut outcome,
        judged: BTreeSet::new(),
    };
    let mut defaults = Defaults::default();
    for (at, section) in sections.iter().enumerate() {
        let lines = defaults.lines(at, &sections, judge.outcome);
        if section.kind == "defaults" {
            defaults.last = Some(at);
            defaults.by_name.insert(&section.name, at);
        }
        if matches!(section.kind.as_str(), "frontend" | "listen") {
            judge.logs(&lines);
        }
        if matches!(section.kind.as_str(), "frontend" | "listen" | "backend") {
            for line in &section.lines {
                judge.url(line);
            }
        }
        if section.kind == "log-profile" {
            for line in &section.lines {
                judge.format(line);
            }
        }
    }
    // Only defaults, for sections in files that we were not given.
    if !sections
        .iter()
        .any(|it| matches!(it.kind.as_str(), "frontend" | "listen"))
    {
        let lines: Vec<_> = sections.iter().flat_map(|it| &it.lines).collect();
        judge.logs(&lines);
    }
    outcome
}

/// Names a file in which there is nothing that could be judged.
fn recognise(sections: &[Section<'_>], texts: &[(PathBuf, String)], outcome: &mut Outcome) {
    let is_meant = |section: &Section<'_>| {
        matches!(
            section.kind.as_str(),
            "frontend" | "listen" | "backend" | "defaults"
        ) && (!section.is_part
            || section
                .lines
                .iter()
                .any(|line| recognition::is_haproxys(line.word(0), line.word(1))))
    };
    if let Some((path, _)) = texts.first()
        && !sections.iter().any(is_meant)
    {
        let what = "no section that takes requests is in it: not recognised as HAProxy's";
        outcome
            .incomplete
            .push(format!("{}: {what}", path.display()));
    }
}

/// The `defaults` that were read so far, by their places among the sections.
#[derive(Default)]
struct Defaults<'s> {
    last: Option<usize>,
    by_name: HashMap<&'s str, usize>,
    /// What each is made from; by the time it is read, as a name may come twice.
    parents: HashMap<usize, usize>,
}

impl<'s> Defaults<'s> {
    /// The lines in force in a section: those of its defaults, outermost first, and its own.
    fn lines<'t>(
        &mut self,
        own: usize,
        sections: &'s [Section<'t>],
        outcome: &mut Outcome,
    ) -> Vec<&'s Line<'t>> {
        let Some(section) = sections.get(own) else {
            return Vec::new();
        };
        let complain = |outcome: &mut Outcome, what: String| {
            let (file, line) = section.place;
            let place = format!("{}:{line}: {what}", file.display());
            outcome.incomplete.push(place);
        };
        let parent = match &section.from {
            Some(name) => {
                let found = self.by_name.get(name.as_str()).copied();
                if found.is_none() {
                    complain(
                        outcome,
                        format!("the defaults {name} are in none of the files"),
                    );
                }
                found
            }
            // Defaults without `from` begin anew.
            None if section.kind == "defaults" => None,
            None => self.last,
        };
        let mut chain = vec![section];
        let mut next = parent;
        while let Some(at) = next {
            let Some(one) = sections.get(at) else { break };
            if chain.len() > DEEPEST {
                complain(outcome, "too many defaults within defaults".into());
                break;
            }
            chain.push(one);
            next = self.parents.get(&at).copied();
        }
        if section.kind == "defaults"
            && let Some(parent) = parent
        {
            self.parents.insert(own, parent);
        }
        chain.iter().rev().flat_map(|it| &it.lines).collect()
    }
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

fn is_capture(line: &Line<'_>) -> bool {
    line.word(0) == "capture"
        || (matches!(
            line.word(0),
            "http-request" | "http-response" | "tcp-request"
        ) && (line.word(1) == "capture" || line.word(2) == "capture"))
}

struct Judge<'j, 'l, 't> {
    variables: Variables,
    captures: Vec<&'l Line<'t>>,
    outcome: &'j mut Outcome,
    /// A line is judged once, however many sections have it from their defaults.
    judged: BTreeSet<(PathBuf, usize)>,
}

impl Judge<'_, '_, '_> {
    /// The format that is in force is the last one that is set, in the section or before
    /// it.
    fn logs(&mut self, lines: &[&Line<'_>]) {
        let (mut format, mut others) = (None, Vec::new());
        for line in lines {
            match (line.word(0), line.word(1)) {
                ("option", "httplog" | "httpslog" | "tcplog") | ("log-format", _) => {
                    format = Some(*line);
                }
                ("no", "option") if matches!(line.word(2), "httplog" | "httpslog") => format = None,
                ("error-log-format" | "log-format-sd" | "unique-id-format", _) => {
                    others.push(*line);
                }
                ("option" | "no", option) if has_environment(option) => {
                    self.not_understood(line, "an option with a variable of the environment");
                }
                (name, _) if has_environment(name) => {
                    self.not_understood(line, "a line made of a variable of the environment");
                }
                _ => {}
            }
        }
        let mut shows_captures = false;
        for line in format.into_iter().chain(others) {
            if line.word(0) == "option" {
                shows_captures |= line.word(1) != "tcplog";
                if line.word(1) != "tcplog" {
                    let why = "its format ends in %r, the whole request line with the query";
                    self.push(line, Harm::Logs, format!("option {}", line.word(1)), why);
                }
                continue;
            }
            self.format(line);
            // Captured fields show in %hr, %hs, %CC and in the captures of samples.
            shows_captures |= parts(&line.rest(1)).iter().any(|part| match part {
                Part::Sample(sample) => sample.contains("capture."),
                Part::Name(name) => ["hr", "hs", "CC", "CS"]
                    .iter()
                    .any(|it| name.starts_with(it)),
            });
        }
        if shows_captures {
            let elsewhere = self.captures.clone();
            for line in elsewhere {
                self.capture(line);
            }
            for line in lines.iter().filter(|it| is_capture(it)) {
                self.capture(line);
            }
        }
    }

    /// A line with a log format.
    fn format(&mut self, line: &Line<'_>) {
        match self.variables.format(&line.rest(1)) {
            Some(Leak::Found(what, why)) => {
                let what = format!("{what} in {}", line.word(0));
                self.push(line, Harm::Logs, what, why);
            }
            Some(Leak::Unknown(what)) => self.not_understood(line, &what),
            None => {}
        }
    }

    fn capture(&mut self, line: &Line<'_>) {
        const WHY: &str = "it is written with each line, and carries tokens";
        let text = line.rest(1).to_ascii_lowercase();
        if let Some(name) = FIELDS.into_iter().find(|name| text.contains(name)) {
            self.push(line, Harm::Logs, format!("capture of {name}"), WHY);
            return;
        }
        match self.variables.sample(&line.rest(1)) {
            Some(Leak::Found(..)) => {
                self.push(line, Harm::Logs, "capture of the URL".into(), WHY);
            }
            Some(Leak::Unknown(what)) => self.not_understood(line, &what),
            None => {}
        }
    }

    fn push(&mut self, line: &Line<'_>, harm: Harm, what: String, why: &str) {
        if self.judged.insert((line.file.clone(), line.number)) {
            let found = finding(line, harm, what, why, FIX);
            self.outcome.findings.push(found);
        }
    }

    fn not_understood(&mut self, line: &Line<'_>, what: &str) {
        let place = format!("{}:{}", line.file.display(), line.number);
        let what = format!(
            "{place}: whether {} leaks cannot be told: {what}",
            line.word(0)
        );
        self.outcome.incomplete.push(what);
    }

    /// What a rule does to the URL.
    fn url(&mut self, line: &Line<'_>) {
        if matches!(line.word(0), "http-request" | "http-response") && has_environment(line.word(1))
        {
            self.not_understood(line, "a rule with a variable of the environment");
        }
        let found = url(line, &self.variables);
        self.outcome.findings.extend(found);
    }
}

fn url(line: &Line<'_>, variables: &Variables) -> Option<Finding> {
    let word = |at: usize| line.word(at);
    let rest = line.rest(2);
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
            let text = line.rest(0);
            let is_leaking = matches!(variables.format(&text), Some(Leak::Found(..)));
            let keeps = text.contains(" scheme ")
                || text.contains(" prefix ")
                || is_leaking
                || fetch(&text).is_some();
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
