//! "Did you mean": the known name nearest to an unknown one.

use super::key;

/// The longest name worth comparing: the comparison is quadratic, the text a stranger's.
const LONGEST: usize = 64;

/// The key or section the operator meant by `typed`.
///
/// A right name in the wrong section is the usual mistake in TOML, so names are
/// compared with and without their section.
pub(super) fn key(typed: &str) -> Option<&'static str> {
    let known = key::ALL.iter().map(|key| key.path()).chain(key::sections());
    nearest(typed, known, |name| name.rsplit('.').next().unwrap_or(name))
}

/// The variable the operator meant by `typed`.
pub(super) fn variable(typed: &str) -> Option<String> {
    let typed = typed.to_uppercase();
    let typed = typed.strip_prefix(key::VARIABLE_PREFIX)?;
    let variables: Vec<String> = key::ALL.iter().filter_map(|key| key.variable()).collect();
    let known = variables
        .iter()
        .filter_map(|name| name.strip_prefix(key::VARIABLE_PREFIX));
    // `rsplit("__")`: a single underscore may be part of a key's own name.
    let name = nearest(typed, known, |name| {
        name.rsplit("__").next().unwrap_or(name)
    })?;
    Some(format!("{}{name}", key::VARIABLE_PREFIX))
}

/// The name with the fewest slips, at most one for each three letters of the last part.
fn nearest<'k>(
    typed: &str,
    known: impl Iterator<Item = &'k str>,
    last_part: impl Fn(&str) -> &str,
) -> Option<&'k str> {
    if typed.len() > LONGEST {
        return None;
    }
    let last = last_part(typed);
    let allowed = (last.chars().count() / 3).max(1);
    known
        .map(|name| {
            let whole = strsim::damerau_levenshtein(typed, name);
            let slips = strsim::damerau_levenshtein(last, last_part(name)).min(whole);
            (slips, whole, name)
        })
        .filter(|(slips, ..)| *slips <= allowed)
        .min_by_key(|(slips, whole, _)| (*slips, *whole))
        .map(|(.., name)| name)
}
