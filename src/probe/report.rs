//! What was found, for people and for programs.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Write as _},
    path::Path,
};

use serde::Serialize;

use super::{
    cases,
    hop::Hop,
    marks::{Found, Marks},
};

/// A run's result; the names are an interface.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Of this layout.
    version: u32,
    /// `clean`, `leaks`, or `unknown` if some log could not tell.
    pub(super) verdict: Verdict,
    url: String,
    requests: usize,
    /// How many requests had which status; `none` stands for no answer.
    answers: BTreeMap<String, usize>,
    /// The cases whose answer sends a client to a URL with the token in it.
    redirects: Vec<NamedCase>,
    logs: Vec<LogReport>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Clean,
    Leaks,
    Unknown,
}

#[derive(Debug, Serialize)]
struct LogReport {
    file: String,
    verdict: Verdict,
    /// Why it could not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// Who wrote it.
    hop: &'static str,
    /// Requests that are in it.
    seen: usize,
    leaks: Vec<NamedCase>,
    /// A token is in it of which the end is cut off.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<Fix>,
}

#[derive(Debug, Serialize)]
struct NamedCase {
    case: usize,
    name: &'static str,
}

#[derive(Debug, Serialize)]
struct Fix {
    advice: &'static str,
    /// Commands that print the configuration to use.
    commands: Vec<String>,
}

/// What one log has told so far.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) found: Found,
    /// The first line that leaks, or else the first that is ours.
    hop: Option<(bool, Hop)>,
    /// Whether it has to show our requests to prove anything.
    must_show: bool,
}

impl Told {
    pub(super) fn new(must_show: bool) -> Self {
        Self {
            found: Found::default(),
            hop: None,
            must_show,
        }
    }

    /// Takes a line.
    pub(super) fn look(&mut self, line: &[u8], marks: &Marks, path: &Path) {
        let found = marks.find(line);
        let leaks = !found.leaked.is_empty() || found.is_cut;
        let is_ours = leaks || !found.seen.is_empty();
        let is_better = self.hop.is_none_or(|(had_leaked, _)| leaks && !had_leaked);
        if is_ours && is_better {
            self.hop = Some((leaks, Hop::of(line, path)));
        }
        self.found.leaked.extend(found.leaked);
        self.found.seen.extend(found.seen);
        self.found.is_cut |= found.is_cut;
    }

    /// Whether nothing more can come that matters. Of an error log nobody knows.
    pub(super) fn is_done(&self, log: &super::logs::Log) -> bool {
        let is_whole = self.must_show && self.found.seen.len() == cases::ALL.len();
        is_whole || log.trouble().is_some()
    }

    fn leaks(&self) -> bool {
        !self.found.leaked.is_empty() || self.found.is_cut
    }
}

impl Report {
    pub(super) fn new(
        url: &str,
        answers: BTreeMap<String, usize>,
        redirects: &BTreeSet<usize>,
        logs: &[(super::logs::Log, Told)],
    ) -> Self {
        let logs: Vec<_> = logs
            .iter()
            .map(|(log, told)| LogReport::new(log, told))
            .collect();
        let verdict = if logs.is_empty() || logs.iter().any(|it| it.verdict == Verdict::Unknown) {
            Verdict::Unknown
        } else if !redirects.is_empty() || logs.iter().any(|it| it.verdict == Verdict::Leaks) {
            Verdict::Leaks
        } else {
            Verdict::Clean
        };
        Self {
            version: 1,
            verdict,
            url: url.to_owned(),
            requests: cases::ALL.len(),
            answers,
            redirects: named(redirects),
            logs,
        }
    }
}

impl LogReport {
    fn new(log: &super::logs::Log, told: &Told) -> Self {
        let why = if let Some(trouble) = log.trouble() {
            Some(trouble.to_owned())
        } else if !log.is_there() {
            Some("there is no such file".to_owned())
        } else if told.must_show && told.found.seen.is_empty() && !told.leaks() {
            Some(
                "none of the requests can be found in it, neither by path nor by User-Agent: \
                 is it the log of this chain? One that has errors alone is an --error-log"
                    .to_owned(),
            )
        } else {
            None
        };
        let hop = told.hop.map_or(Hop::Unknown, |(_, hop)| hop);
        let verdict = match (&why, told.leaks()) {
            (Some(_), _) => Verdict::Unknown,
            (None, true) => Verdict::Leaks,
            (None, false) => Verdict::Clean,
        };
        let fix = told.leaks().then(|| Fix {
            advice: hop.advice(),
            commands: hop
                .programs()
                .iter()
                .map(|program| format!("tokenshim emit {program}"))
                .collect(),
        });
        Self {
            file: log.path().display().to_string(),
            verdict,
            why,
            hop: hop.name(),
            seen: told.found.seen.len(),
            leaks: named(&told.found.leaked),
            cut: told.found.is_cut,
            fix,
        }
    }
}

fn named(numbers: &BTreeSet<usize>) -> Vec<NamedCase> {
    let name = |number: usize| cases::ALL.get(number.checked_sub(1)?);
    numbers
        .iter()
        .filter_map(|number| {
            Some(NamedCase {
                case: *number,
                name: name(*number)?.name,
            })
        })
        .collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} requests, each with a fake token of its own",
            self.url, self.requests
        )?;
        let mut answers = String::new();
        for (status, count) in &self.answers {
            write!(answers, ", {count} x {status}")?;
        }
        writeln!(f, "answers: {}", answers.trim_start_matches(", "))?;
        if !self.redirects.is_empty() {
            writeln!(f, "\nanswers send clients to a URL with the token in it:")?;
            list(f, &self.redirects)?;
        }
        for log in &self.logs {
            writeln!(f, "\n{log}")?;
        }
        if self.logs.is_empty() {
            writeln!(
                f,
                "\nno log was named (--log FILE), so nothing is known of any"
            )?;
        }
        let count = |verdict| {
            self.logs
                .iter()
                .filter(|log| log.verdict == verdict)
                .count()
        };
        writeln!(
            f,
            "\n{} leaking, {} clean, {} could not tell",
            count(Verdict::Leaks),
            count(Verdict::Clean),
            count(Verdict::Unknown)
        )
    }
}

impl fmt::Display for LogReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requests = cases::ALL.len();
        match (self.verdict, &self.why) {
            (Verdict::Unknown, why) => {
                let why = why.as_deref().unwrap_or_default();
                write!(f, "{}: COULD NOT TELL: {why}", self.file)?;
            }
            (Verdict::Clean, _) => write!(
                f,
                "{}: clean ({}; {} of {requests} requests are in it)",
                self.file, self.hop, self.seen
            )?,
            (Verdict::Leaks, _) => write!(
                f,
                "{}: LEAKS ({}; {} of {requests} requests are in it)",
                self.file, self.hop, self.seen
            )?,
        }
        if !self.leaks.is_empty() {
            writeln!(f, "\n  with the token of {}:", self.leaks.len())?;
            list(f, &self.leaks)?;
        } else if self.cut {
            writeln!(f, "\n  with a part of a token")?;
        }
        if let Some(fix) = &self.fix {
            write!(f, "  fix: {}", fix.advice)?;
            for command in &fix.commands {
                write!(f, "\n       {command}")?;
            }
        }
        Ok(())
    }
}

fn list(f: &mut fmt::Formatter<'_>, cases: &[NamedCase]) -> fmt::Result {
    cases
        .iter()
        .try_for_each(|it| writeln!(f, "    {:2} {}", it.case, it.name))
}
