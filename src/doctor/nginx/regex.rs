//! As much of an expression as is needed to know whether a capture may hold a query: that
//! is so if it may match a question mark.

/// The text of a capture: by its number from 1, or by its name.
pub(super) fn capture<'r>(regex: &'r str, wanted: &str) -> Option<&'r str> {
    let number = wanted.parse::<usize>().ok();
    let mut count = 0_usize;
    let mut open: Vec<(usize, bool)> = Vec::new();
    let mut found = None;
    for (at, byte) in plain(regex) {
        match byte {
            b'(' => {
                let behind = regex.get(at.saturating_add(1)..)?;
                let name = group_name(behind);
                let is_capture = !behind.starts_with('?') || name.is_some();
                count = count.saturating_add(usize::from(is_capture));
                let is_wanted = is_capture && (number == Some(count) || name == Some(wanted));
                open.push((at, is_wanted));
            }
            b')' => {
                if let Some((start, true)) = open.pop() {
                    found = regex.get(start.saturating_add(1)..at);
                }
            }
            _ => {}
        }
    }
    let inside = found?;
    Some(match group_name(inside) {
        Some(_) => inside
            .split_once(['>', '\''])
            .map_or(inside, |(head, rest)| {
                // `?'name'` has two of them.
                if head == "?" {
                    rest.split_once('\'').map_or(rest, |(_, it)| it)
                } else {
                    rest
                }
            }),
        None => inside,
    })
}

/// The names of its captures.
pub(super) fn names(regex: &str) -> impl Iterator<Item = &str> {
    plain(regex).filter_map(|(at, byte)| {
        let behind = regex.get(at.saturating_add(1)..)?;
        (byte == b'(').then(|| group_name(behind)).flatten()
    })
}

fn group_name(behind: &str) -> Option<&str> {
    let rest = ["?<", "?P<", "?'"]
        .iter()
        .find_map(|start| behind.strip_prefix(start))?;
    let end = rest.find(['>', '\''])?;
    rest.get(..end)
        .filter(|name| !name.is_empty() && !name.starts_with(['=', '!']))
}

/// Bytes that are neither escaped nor in a class.
fn plain(regex: &str) -> impl Iterator<Item = (usize, u8)> + '_ {
    let mut is_escaped = false;
    let mut class_from: Option<usize> = None;
    regex.bytes().enumerate().filter(move |(at, byte)| {
        if is_escaped {
            is_escaped = false;
            return false;
        }
        match (byte, class_from) {
            (b'\\', _) => {
                is_escaped = true;
                false
            }
            // A bracket that comes first is one of the class.
            (b']', Some(start)) if *at > start.saturating_add(1) => {
                class_from = None;
                false
            }
            (b'^', Some(start)) if *at == start.saturating_add(1) => {
                class_from = Some(*at);
                false
            }
            (_, Some(_)) => false,
            (b'[', None) => {
                class_from = Some(*at);
                false
            }
            _ => true,
        }
    })
}

/// Whether a part of an expression may match a question mark. In doubt it may.
pub(super) fn may_hold_query(part: &str) -> bool {
    let mut letters = part.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '.' => return true,
            '\\' => match letters.next() {
                Some(plain) if "dwshvbBAzZGtnrfea".contains(plain) => {}
                Some(plain) if plain.is_ascii_punctuation() && plain != '?' => {}
                Some(_) | None => return true,
            },
            '[' => {
                let is_not = letters.next_if_eq(&'^').is_some();
                let has = class(&mut letters);
                if has == Has::Perhaps || (has == Has::Yes) != is_not {
                    return true;
                }
            }
            // Otherwise a question mark is a quantifier.
            _ => {}
        }
    }
    false
}

/// Whether a question mark is in a class.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Has {
    No,
    Perhaps,
    Yes,
}

/// Reads a class up to its end.
fn class(letters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Has {
    let mut has = Has::No;
    let mut is_first = true;
    // What a range may begin with.
    let mut low: Option<char> = None;
    loop {
        let item = match letters.next() {
            None => return Has::Perhaps,
            Some(']') if !is_first => return has,
            Some('[') if letters.peek() == Some(&':') => {
                has = has.max(named(letters));
                None
            }
            Some('-') if low.is_some() && letters.peek().is_some_and(|it| *it != ']') => {
                match (low, letters.next()) {
                    (Some(low), Some(high)) if high != '\\' => {
                        if (low..=high).contains(&'?') {
                            has = Has::Yes;
                        }
                    }
                    // An escape: of what it stands for nothing is known here.
                    _ => has = has.max(Has::Perhaps),
                }
                None
            }
            Some('\\') => match letters.next() {
                Some('S' | 'W' | 'D' | 'H' | 'V' | 'N') => {
                    has = Has::Yes;
                    None
                }
                Some('d' | 'w' | 's' | 'h' | 'v' | 't' | 'n' | 'r' | 'f') => None,
                Some(plain) if plain.is_ascii_punctuation() => Some(plain),
                Some(_) | None => {
                    has = has.max(Has::Perhaps);
                    None
                }
            },
            Some(plain) => Some(plain),
        };
        if item == Some('?') {
            has = Has::Yes;
        }
        low = item;
        is_first = false;
    }
}

/// `[:alpha:]` and its like, up to its end.
fn named(letters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Has {
    letters.next();
    let mut name = String::new();
    while let Some(letter) = letters.next_if(|it| *it != ':') {
        name.push(letter);
    }
    letters.next();
    if letters.next_if_eq(&']').is_none() {
        return Has::Perhaps;
    }
    match name.as_str() {
        "alnum" | "alpha" | "blank" | "cntrl" | "digit" | "lower" | "space" | "upper" | "word"
        | "xdigit" => Has::No,
        "ascii" | "graph" | "print" | "punct" => Has::Yes,
        _ => Has::Perhaps,
    }
}

/// Whether an expression matches everything: `^` and as much as there is up to a `?`.
pub(super) fn is_total(regex: &str) -> bool {
    let start = regex.strip_prefix('^').unwrap_or(regex);
    if start == "[^?]*" || start.is_empty() || start == ".*" {
        return true;
    }
    start
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
        .is_some_and(|inside| {
            let inside = match group_name(inside) {
                Some(_) => inside.split_once('>').map_or(inside, |(_, rest)| rest),
                None => inside,
            };
            inside == "[^?]*" || inside == ".*"
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_captures() {
        let rows = [
            ("^(a)(b)", "2", Some("b")),
            ("^(?:a)(b)", "1", Some("b")),
            ("^(?<n>[^?]*)", "n", Some("[^?]*")),
            ("^(?P<n>x(y))", "n", Some("x(y)")),
            ("^(?<n>x(y))", "2", Some("y")),
            (r"\((a)[(](b)", "2", Some("b")),
            ("^(?'n'x)", "n", Some("x")),
            ("(?<!a)(b)", "1", Some("b")),
            ("a", "1", None),
        ];
        for (regex, wanted, expected) in rows {
            assert_eq!(capture(regex, wanted), expected, "{regex} {wanted}");
        }
    }

    #[test]
    fn knows_what_may_hold_a_query() {
        let rows = [
            ("[^?]*", false),
            ("https?://[^/?#]+", false),
            ("[a-z0-9_]+", false),
            (r"/\w+\.", false),
            (".*", true),
            ("[^&]*", true),
            (r"\?", true),
            (r"\S+", true),
            ("[?]", true),
            ("[!-~]", true),
            ("[!-z]+", true),
            ("[A-Za-z0-9_-]+", false),
            ("[[:print:]]+", true),
            ("[[:alnum:]_]+", false),
            ("[^[:space:]]+", true),
            ("[^[:print:]]+", false),
            (r"\H+", true),
            (r"[\x21-\x7e]", true),
            (r"[^\x3f]", true),
            (r"(a)\1", true),
            (r"[\w.~-]+", false),
            ("[", true),
        ];
        for (part, expected) in rows {
            assert_eq!(may_hold_query(part), expected, "{part}");
        }
    }

    #[test]
    fn knows_what_matches_all() {
        for regex in ["^(?<raw>[^?]*)", "^([^?]*)", "^[^?]*", ".*"] {
            assert!(is_total(regex), "{regex}");
        }
        for regex in ["^(?<raw>[^?]+)", "^/(.*)", "^(a)(b)"] {
            assert!(!is_total(regex), "{regex}");
        }
    }
}
