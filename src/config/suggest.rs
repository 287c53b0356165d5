//! "Did you mean": the known name nearest to an unknown one.

use super::key::{self, Key};

/// The longest name worth comparing: the comparison is quadratic, the text a stranger's.
const LONGEST: usize = 64;

/// The key or section the operator meant by `typed`.
///
/// A right name in the wrong section is the usual mistake in TOML, so names are
/// compared with and without their section.
pub(super) fn key(typed: &str) -> Option<&'static str> {
    let known = key::ALL.iter().map(|key| key.path()).chain(key::sections());
    // What is in the same table comes first, what is in another [[table]] last:
    // [[route]] repeats the names of [relocate].
    let section = split(typed, ".").0;
    let distance = |name: &str| {
        let is_here = split(name, ".").0 == section;
        let is_in_table = key::find(name).is_some_and(Key::is_in_table);
        (!is_here, !is_here && is_in_table)
    };
    nearest(typed, known, ".", distance)
}

/// The section the operator meant by `typed`, below which there were keys.
pub(super) fn section(typed: &str) -> Option<&'static str> {
    nearest(typed, key::sections(), ".", |_| ())
}

/// The variable the operator meant by `typed`.
pub(super) fn variable(typed: &str) -> Option<String> {
    let typed = typed.to_uppercase();
    let typed = typed.strip_prefix(key::VARIABLE_PREFIX)?;
    let variables: Vec<String> = key::ALL.iter().filter_map(|key| key.variable()).collect();
    let known = variables
        .iter()
        .filter_map(|name| name.strip_prefix(key::VARIABLE_PREFIX));
    // Two underscores: a single one may be part of a key's own name.
    let name = nearest(typed, known, "__", |_| ())?;
    Some(format!("{}{name}", key::VARIABLE_PREFIX))
}

/// The name with the fewest slips, at most one for each three letters of the last part.
///
/// Among those with equally many, the one at the least `distance`.
fn nearest<'k, D: Ord>(
    typed: &str,
    known: impl Iterator<Item = &'k str>,
    separator: &str,
    distance: impl Fn(&str) -> D,
) -> Option<&'k str> {
    if typed.len() > LONGEST {
        return None;
    }
    let last = split(typed, separator).1;
    let allowed = (last.chars().count() / 3).max(1);
    known
        .map(|name| {
            let whole = strsim::damerau_levenshtein(typed, name);
            let slips = strsim::damerau_levenshtein(last, split(name, separator).1).min(whole);
            (slips, whole, name)
        })
        .filter(|(slips, ..)| *slips <= allowed)
        .min_by_key(|(slips, whole, name)| (*slips, distance(name), *whole))
        .map(|(.., name)| name)
}

/// Section and name.
fn split<'n>(name: &'n str, separator: &str) -> (&'n str, &'n str) {
    name.rsplit_once(separator).unwrap_or(("", name))
}
