//! The directive itself, in nginx's syntax.

use super::{LogFormat, Meaning, Piece, VARIABLES};
use crate::{audit::line::escape::Escape, redact};

/// Why a `log_format` cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLogFormat {
    /// It is something else.
    #[error("it begins with `{0}`; give the whole directive: log_format NAME 'FORMAT';")]
    NoDirective(String),
    /// Apache spells it so.
    #[error("this is Apache's LogFormat; give nginx's log_format that writes the same lines")]
    Apache,
    /// It ends too early.
    #[error("the directive has no {0}")]
    Missing(&'static str),
    /// A string without its end.
    #[error("the quote {0} at byte {1} is never closed")]
    Unclosed(char, usize),
    /// nginx knows three.
    #[error("`escape={0}` is none of default, json and none")]
    Escape(String),
    /// `$` with nothing behind it.
    #[error("`$` without a variable's name in `{0}`")]
    NoName(String),
    /// More than the directive.
    #[error("`{0}` stands behind the end of the directive")]
    Behind(String),
    /// Nothing we could read.
    #[error("no variable in it tells of a request; known are {}", known())]
    Nothing,
}

impl BadLogFormat {
    /// For a directive with a secret in it, of which a word may be a part.
    fn without_quote(self) -> Self {
        let nothing = || "…".to_owned();
        match self {
            Self::NoDirective(_) => Self::NoDirective(nothing()),
            Self::Escape(_) => Self::Escape(nothing()),
            Self::NoName(_) => Self::NoName(nothing()),
            Self::Behind(_) => Self::Behind(nothing()),
            other => other,
        }
    }
}

fn known() -> String {
    VARIABLES.map(|(name, _)| format!("${name}")).join(", ")
}

pub(super) fn parse(directive: &str) -> Result<LogFormat, BadLogFormat> {
    read(directive).map_err(|error| {
        if redact::find(directive.as_bytes()).is_empty() {
            error
        } else {
            error.without_quote()
        }
    })
}

fn read(directive: &str) -> Result<LogFormat, BadLogFormat> {
    let mut words = Words {
        text: directive,
        at: 0,
    };
    match words.next()? {
        Some(word) if word == "log_format" => {}
        Some(word) if word.eq_ignore_ascii_case("logformat") => return Err(BadLogFormat::Apache),
        Some(word) => return Err(BadLogFormat::NoDirective(shortened(&word))),
        None => return Err(BadLogFormat::Missing("text")),
    }
    let name = words.next()?.ok_or(BadLogFormat::Missing("name"))?;
    let mut escape = Escape::Backslash;
    let mut template = String::new();
    let mut is_first = true;
    while let Some(word) = words.next()? {
        match word.strip_prefix("escape=").filter(|_| is_first) {
            Some("default" | "json") => {}
            Some("none") => escape = Escape::None,
            Some(other) => return Err(BadLogFormat::Escape(shortened(other))),
            None => template.push_str(&word),
        }
        is_first = false;
    }
    let rest = words.rest().trim();
    if !rest.is_empty() {
        return Err(BadLogFormat::Behind(shortened(rest)));
    }
    if template.is_empty() {
        return Err(BadLogFormat::Missing("format"));
    }
    let (pieces, end) = pieces(&template)?;
    if pieces.iter().all(|piece| says_nothing(piece.meaning)) {
        return Err(BadLogFormat::Nothing);
    }
    Ok(LogFormat {
        name,
        escape,
        pieces,
        end,
    })
}

fn says_nothing(meaning: Meaning) -> bool {
    matches!(meaning, Meaning::Upstream | Meaning::Other)
}

/// A message is one line.
fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Words of nginx's configuration: plain, or quoted with `'` or `"`.
struct Words<'t> {
    text: &'t str,
    at: usize,
}

impl Words<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn forward(&mut self, char: char) {
        self.at = self.at.saturating_add(char.len_utf8());
    }

    /// The next word; none at the end, behind whose `;` the place is then.
    fn next(&mut self) -> Result<Option<String>, BadLogFormat> {
        loop {
            let rest = self.rest();
            let blanks = rest.len().saturating_sub(rest.trim_start().len());
            let comment = rest.trim_start().split('\n').next();
            let comment = comment.filter(|line| line.starts_with('#'));
            let comment = comment.map_or(0, str::len);
            self.at = self.at.saturating_add(blanks).saturating_add(comment);
            if comment == 0 {
                break;
            }
        }
        match self.rest().chars().next() {
            None => Ok(None),
            Some(';') => {
                self.forward(';');
                Ok(None)
            }
            Some(quote @ ('\'' | '"')) => {
                let from = self.at;
                self.forward(quote);
                let word = self.word(|char| char == quote);
                if !self.rest().starts_with(quote) {
                    return Err(BadLogFormat::Unclosed(quote, from));
                }
                self.forward(quote);
                Ok(Some(word))
            }
            Some(_) => Ok(Some(self.word(|char| char == ';' || char.is_whitespace()))),
        }
    }

    /// Up to what ends it, with nginx's own escapes.
    fn word(&mut self, is_end: impl Fn(char) -> bool) -> String {
        let mut word = String::new();
        while let Some(char) = self.rest().chars().next().filter(|char| !is_end(*char)) {
            self.forward(char);
            let escaped = self.rest().chars().next().filter(|_| char == '\\');
            let meant = match escaped {
                Some(quoted @ ('"' | '\'' | '\\')) => Some(quoted),
                Some('t') => Some('\t'),
                Some('r') => Some('\r'),
                Some('n') => Some('\n'),
                _ => None,
            };
            if let (Some(escaped), Some(_)) = (escaped, meant) {
                self.forward(escaped);
            }
            word.push(meant.unwrap_or(char));
        }
        word
    }
}

fn pieces(template: &str) -> Result<(Vec<Piece>, Vec<u8>), BadLogFormat> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut before = String::new();
    let mut rest = template;
    while let Some((literal, behind)) = rest.split_once('$') {
        before.push_str(literal);
        let (name, behind) = variable(behind).ok_or_else(|| {
            BadLogFormat::NoName(shortened(rest.get(literal.len()..).unwrap_or_default()))
        })?;
        rest = behind;
        let meaning = VARIABLES
            .iter()
            .find(|(known, _)| *known == name)
            .map_or(unknown(name), |(_, meaning)| *meaning);
        match pieces.last_mut().filter(|_| before.is_empty()) {
            Some(piece) => join(piece, meaning),
            None => pieces.push(Piece {
                before: std::mem::take(&mut before).into_bytes(),
                meaning,
                is_behind_other: false,
            }),
        }
    }
    before.push_str(rest);
    Ok((pieces, before.into_bytes()))
}

fn unknown(name: &str) -> Meaning {
    match name.strip_prefix("upstream_") {
        // Headers of a single one.
        Some(rest) if !rest.starts_with("http_") && !rest.starts_with("cookie_") => {
            Meaning::Upstream
        }
        _ => Meaning::Other,
    }
}

/// Two values with nothing between them cannot be told apart: a target says where it
/// begins, and all else is nothing.
fn join(piece: &mut Piece, meaning: Meaning) {
    match (piece.meaning, meaning) {
        (Meaning::Target, _) => {}
        (_, Meaning::Target) => {
            piece.meaning = Meaning::Target;
            piece.is_behind_other = true;
        }
        _ => piece.meaning = Meaning::Other,
    }
}

/// `name` or `{name}` at the start, and what is behind it.
fn variable(text: &str) -> Option<(&str, &str)> {
    if let Some(braced) = text.strip_prefix('{') {
        return braced.split_once('}').filter(|(name, _)| !name.is_empty());
    }
    let length = text
        .find(|char: char| !(char.is_ascii_alphanumeric() || char == '_'))
        .unwrap_or(text.len());
    text.split_at_checked(length)
        .filter(|(name, _)| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_wrong() {
        let cases = [
            ("empty", "", "the directive has no text"),
            (
                "only the format",
                "'$request'",
                "it begins with `$request`; give the whole directive: log_format NAME 'FORMAT';",
            ),
            (
                "Apache",
                "LogFormat \"%h\" x",
                "this is Apache's LogFormat; give nginx's log_format that writes the same lines",
            ),
            ("no name", "log_format;", "the directive has no name"),
            (
                "no format",
                "log_format main;",
                "the directive has no format",
            ),
            (
                "only an escape",
                "log_format main escape=json;",
                "the directive has no format",
            ),
            (
                "open quote",
                "log_format main '$request;",
                "the quote ' at byte 16 is never closed",
            ),
            (
                "unknown escape",
                "log_format main escape=xml '$request';",
                "`escape=xml` is none of default, json and none",
            ),
            (
                "dollar alone",
                "log_format main '$request $';",
                "`$` without a variable's name in `$`",
            ),
            (
                "two directives",
                "log_format main '$request'; access_log x main;",
                "`access_log x main;` stands behind the end of the directive",
            ),
        ];
        for (name, directive, expected) in cases {
            let error = parse(directive).expect_err(name);
            assert_eq!(error.to_string(), expected, "case: {name}");
        }
        let error = parse("log_format main '$host';").expect_err("nothing of a request");
        assert!(
            error
                .to_string()
                .contains("known are $request, $request_uri"),
            "{error}"
        );
    }
}
