//! What a logger writes.

use super::tokens::Block;

/// What is said of a logger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It writes neither URL nor Referer.
    Clean,
    /// It writes one of them, for this reason.
    Leaks(&'static str),
    /// It has a part that is not known before it runs.
    Unknown,
}

/// What a logger writes.
pub(super) fn of(log: &Block) -> Verdict {
    if has_environment(log) {
        return Verdict::Unknown;
    }
    let inside = || log.inside.iter();
    if inside().any(|it| it.name() == "output" && it.word(1) == "discard") {
        return Verdict::Clean;
    }
    // The last one is in force.
    let format = inside().rfind(|it| it.name() == "format");
    let Some(format) = format.filter(|it| it.word(1) == "filter") else {
        return Verdict::Leaks("it has no `format filter`, and writes URL and Referer");
    };
    let fields = |wanted: &str| {
        // `wrap` and `fields` are the older way to write it.
        let nested = format.inside.iter().filter(|it| it.name() == "fields");
        let all: Vec<&Block> = format
            .inside
            .iter()
            .chain(nested.flat_map(|it| &it.inside))
            .filter(|it| it.name() == wanted)
            .collect();
        all
    };
    let uri = fields("request>uri");
    if uri.iter().any(|it| it.word(1) == "query") {
        return Verdict::Leaks(
            "the `query` filter knows names: a token in a nested URL, or glued to the path, passes it by",
        );
    }
    let is_clean = |names: &[&str]| {
        names
            .iter()
            .any(|name| fields(name).iter().any(|filter| removes(filter)))
    };
    let by_expression = "an expression takes out what it knows: another spelling of the name, or a \
                         second token, passes it by";
    if !is_clean(&["request", "request>uri"]) {
        let is_expression = uri.iter().any(|it| it.word(1) == "regexp");
        return Verdict::Leaks(if is_expression {
            by_expression
        } else {
            "its filter leaves `request>uri` as it is"
        });
    }
    if !is_clean(&["request", "request>headers", "request>headers>Referer"]) {
        return Verdict::Leaks(
            "its filter leaves the Referer (`request>headers>Referer`) as it is, or some of it",
        );
    }
    Verdict::Clean
}

/// Whether nothing of a query is left behind it.
fn removes(filter: &Block) -> bool {
    match filter.word(1) {
        "delete" | "hash" | "replace" => true,
        "regexp" => cuts(filter.word(2)) && !filter.word(3).contains('$'),
        _ => false,
    }
}

/// Whether an expression matches all from the first question mark on: it begins with a
/// class that has one, and goes on to the end.
fn cuts(expression: &str) -> bool {
    let expression = expression.strip_prefix("(?i)").unwrap_or(expression);
    let head = expression.strip_suffix('$').unwrap_or(expression);
    let Some(head) = head.strip_suffix(".*") else {
        return false;
    };
    let is_mark = |part: &str| {
        let inside = part
            .strip_prefix('[')
            .and_then(|part| part.strip_suffix(']'));
        let is_class = inside.is_some_and(|inside| {
            !inside.starts_with('^') && !inside.contains(['[', ']', '\\']) && inside.contains('?')
        });
        is_class || part == r"\?"
    };
    // The first of several in parentheses.
    let group = head
        .strip_prefix('(')
        .and_then(|head| head.strip_suffix(')'))
        .filter(|inside| is_balanced(inside));
    match group {
        Some(inside) => inside.split('|').next().is_some_and(is_mark),
        None => is_mark(head),
    }
}

/// Whether no parenthesis closes one that is outside.
fn is_balanced(inside: &str) -> bool {
    let mut depth = 0_usize;
    for letter in inside.chars() {
        match letter {
            '(' => depth = depth.saturating_add(1),
            ')' if depth == 0 => return false,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    depth == 0
}

fn has_environment(block: &Block) -> bool {
    // Where it is written to changes nothing.
    block.name() != "output"
        && (block.words.iter().any(|word| word.contains("{$"))
            || block.inside.iter().any(has_environment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_cuts() {
        for expression in [
            r"(?i)([?&;=]|%(25)*(3f|26|3b|3d)).*$",
            r"\?.*",
            "[?].*$",
            "[?#].*$",
        ] {
            assert!(cuts(expression), "{expression}");
        }
        for expression in [
            "access_token=[^&]*",
            "[^?].*$",
            r"\?a.*$",
            "(a)|([?]).*$",
            "(x|[?]).*x",
            r"\?.*?",
            "",
        ] {
            assert!(!cuts(expression), "{expression}");
        }
    }
}
