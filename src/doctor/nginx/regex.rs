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
                Some('?' | 'S' | 'W' | 'D' | 'N' | 'x' | 'Q' | 'X') | None => return true,
                Some(_) => {}
            },
            '[' => {
                let is_not = letters.next_if_eq(&'^').is_some();
                let mut has = false;
                let mut is_first = true;
                loop {
                    match letters.next() {
                        None => return true,
                        Some(']') if !is_first => break,
                        Some('?') => has = true,
                        Some('\\') => match letters.next() {
                            Some('?') => has = true,
                            Some('S' | 'W' | 'D') if !is_not => return true,
                            _ => {}
                        },
                        // `!-~` has it in its middle.
                        Some('-')
                            if letters.peek().is_some_and(|it| *it > '?')
                                && !is_not
                                && !is_first =>
                        {
                            if !letters.peek().is_some_and(char::is_ascii_alphabetic) {
                                return true;
                            }
                        }
                        Some(_) => {}
                    }
                    is_first = false;
                }
                if has != is_not {
                    return true;
                }
            }
            // Otherwise a question mark is a quantifier.
            _ => {}
        }
    }
    false
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
