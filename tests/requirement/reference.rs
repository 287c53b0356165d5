//! The endpoint data, and a slow matcher over it: split, compare, sort.
//!
//! It shares nothing with the crate but the two answers' types, so the table
//! and its search are both on trial.

use std::sync::LazyLock;

use tokenshim::requirement::{Api, Class, Endpoint};

const DATA: &str = include_str!("../endpoints.tsv");

/// Rows of `endpoints.txt` that the data does not have.
pub(crate) const ADDITIONS: [(&str, &str, &str); 11] = [
    // Signed requests and the homeserver's own token: also on paths to come.
    ("ANY", "never other", "/_matrix/federation/*"),
    ("ANY", "never other", "/_matrix/key/*"),
    ("ANY", "never other", "/_matrix/app/*"),
    // What homeservers call on an appservice that knows no `/_matrix/app`.
    ("PUT", "never other", "/transactions/{}"),
    ("GET", "never other", "/users/{}"),
    ("GET", "never other", "/rooms/{}"),
    // So that a refusal there has the identity service's error code.
    ("ANY", "optional identity", "/_matrix/identity/*"),
    // The specification lets an empty state key leave its slash behind.
    (
        "GET",
        "required client",
        "/_matrix/client/r0/rooms/{}/state/{}/",
    ),
    (
        "PUT",
        "required client",
        "/_matrix/client/r0/rooms/{}/state/{}/",
    ),
    (
        "GET",
        "required client",
        "/_matrix/client/v3/rooms/{}/state/{}/",
    ),
    (
        "PUT",
        "required client",
        "/_matrix/client/v3/rooms/{}/state/{}/",
    ),
];

/// One line of the data with one of its paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) method: String,
    pub(crate) endpoint: Endpoint,
    /// Variables are `{}`, a rest is `*`.
    pub(crate) path: String,
    /// What Synapse answered to a request without a token, if it was asked.
    pub(crate) measured: String,
    /// The authentication service's own rows for paths a homeserver has too;
    /// the homeserver's rows come first in the data and win.
    pub(crate) compat: bool,
}

/// Every row in every version, as the data has it.
pub(crate) fn data() -> Vec<Row> {
    DATA.lines().skip(1).flat_map(rows_of).collect()
}

/// The data without the rows that lose to an earlier one, and the additions.
pub(crate) fn table() -> &'static [Row] {
    static TABLE: LazyLock<Vec<Row>> = LazyLock::new(build);
    &TABLE
}

fn build() -> Vec<Row> {
    let mut table: Vec<Row> = Vec::new();
    let additions = ADDITIONS.map(|(method, words, path)| Row {
        method: method.into(),
        endpoint: endpoint(words),
        path: path.into(),
        measured: String::new(),
        compat: false,
    });
    for row in data().into_iter().chain(additions) {
        let known = table
            .iter()
            .find(|known| known.method == row.method && known.path == row.path);
        match known {
            None => table.push(row),
            Some(known) => assert!(
                row.compat || known.endpoint == row.endpoint,
                "two meanings: {known:?} and {row:?}"
            ),
        }
    }
    table
}

/// What `tokenshim::requirement::of` has to say, according to the data.
pub(crate) fn of(method: &[u8], path: &[u8]) -> Endpoint {
    let mut matching: Vec<&Row> = table().iter().filter(|row| matches(row, path)).collect();
    matching.sort_by_key(|row| specificity(&row.path));
    for same_path in matching.chunk_by(|a, b| a.path == b.path) {
        let name = if method == b"HEAD" { b"GET" } else { method };
        let exact = same_path.iter().find(|row| row.method.as_bytes() == name);
        let any = same_path.iter().find(|row| row.method == "ANY");
        if let Some(row) = exact.or(any) {
            let mut found = row.endpoint;
            if method == b"OPTIONS" && found.class == Class::Required {
                found.class = Class::Optional;
            }
            return found;
        }
        if same_path
            .iter()
            .all(|row| row.endpoint.class == Class::Never)
        {
            return same_path[0].endpoint;
        }
    }
    Endpoint::UNLISTED
}

pub(crate) fn matches(row: &Row, path: &[u8]) -> bool {
    let mut segments = path.split(|byte| *byte == b'/');
    for expected in row.path.split('/') {
        if expected == "*" {
            let rest: Vec<&[u8]> = segments.collect();
            let strict = row.endpoint.class == Class::Required;
            let nothing_empty = rest.iter().all(|segment| !segment.is_empty());
            return !rest.is_empty() && !has_dots(&rest) && (nothing_empty || !strict);
        }
        let Some(segment) = segments.next() else {
            return false;
        };
        let fits = match expected {
            "{}" => !segment.is_empty() && !is_dots(&lower(segment).replace("%2e", ".")),
            literal => literal.as_bytes() == segment,
        };
        if !fits {
            return false;
        }
    }
    segments.next().is_none()
}

fn has_dots(rest: &[&[u8]]) -> bool {
    rest.iter()
        .map(|segment| lower(segment).replace("%2e", ".").replace("%2f", "/"))
        .any(|segment| segment.split('/').any(is_dots))
}

fn is_dots(segment: &str) -> bool {
    segment == "." || segment == ".."
}

/// Bytes that are not UTF-8 become something that is neither dot nor slash.
fn lower(segment: &[u8]) -> String {
    String::from_utf8_lossy(segment).to_ascii_lowercase()
}

/// Literals sort before variables, variables before a rest.
fn specificity(path: &str) -> Vec<u8> {
    path.split('/')
        .map(|segment| match segment {
            "*" => 2,
            "{}" => 1,
            _ => 0,
        })
        .collect()
}

fn rows_of(line: &str) -> Vec<Row> {
    let cells: Vec<&str> = line.split('\t').collect();
    let [method, path, _, _, api, class, others, measured] = cells[..] else {
        panic!("not eight columns: {line}");
    };
    let class = match class {
        "move+401" => "required",
        "move" => "optional",
        same => same,
    };
    let api_word = match api {
        identity if identity.starts_with("identity") => "identity",
        client if client.starts_with("client-server") => "client",
        "synapse-admin" | "media" | "dendrite" | "MAS compat" | "unstable client prefixes" => {
            "client"
        }
        _ => "other",
    };
    let others = others.split("; ").map(|path| {
        // Each is followed by where it comes from, in brackets.
        path.rsplit_once(" (").map_or(path, |(path, _)| path)
    });
    std::iter::once(path)
        .chain(others.filter(|path| !path.is_empty()))
        .flat_map(|path| expand(path.trim()))
        .map(|path| Row {
            method: method.into(),
            endpoint: endpoint(&format!("{class} {api_word}")),
            path,
            measured: measured.into(),
            compat: api == "MAS compat",
        })
        .collect()
}

/// The class and the API from the two words `endpoints.txt` has for them.
pub(crate) fn endpoint(words: &str) -> Endpoint {
    let (class, api) = words.split_once(' ').unwrap();
    Endpoint {
        class: match class {
            "required" => Class::Required,
            "optional" => Class::Optional,
            "open" => Class::Open,
            "never" => Class::Never,
            other => panic!("class {other}"),
        },
        api: match api.trim() {
            "client" => Api::Client,
            "identity" => Api::Identity,
            "other" => Api::Other,
            other => panic!("api {other}"),
        },
    }
}

/// All paths a template stands for: `{a|b}`, `(a|b)`, `(/x)?` and the named
/// groups of a Python regular expression are the notations in the data.
pub(crate) fn expand(path: &str) -> Vec<String> {
    let path = path.replace("<ns>.mscNNNN", "{msc}");
    let Some(start) = path.find(['(', '{']) else {
        return vec![path];
    };
    let end = start + group_length(&path[start..]);
    let inner = &path[start + 1..end - 1];
    let (optional, tail) = match path[end..].strip_prefix('?') {
        Some(tail) => (true, tail),
        None => (false, &path[end..]),
    };
    let body = match inner.strip_prefix("?P<") {
        Some(named) => named.split_once('>').unwrap().1,
        None => inner,
    };
    let mut choices: Vec<String> = match body {
        // The authentication service takes any word as a version there.
        // Clients say these two, and a version to come is nobody's guess.
        "version" if path.starts_with("/_matrix/client/{version}/") => {
            vec!["r0".into(), "v3".into()]
        }
        nested if nested.starts_with('/') => expand(nested),
        pattern if pattern.starts_with('[') => vec!["{}".into()],
        choice if choice.contains('|') || inner != body => {
            choice.split('|').map(Into::into).collect()
        }
        _ => vec!["{}".into()],
    };
    if optional {
        choices.push(String::new());
    }
    let tails = expand(tail);
    let heads = choices
        .iter()
        .map(|choice| format!("{}{choice}", &path[..start]));
    heads
        .flat_map(|head| tails.iter().map(move |tail| format!("{head}{tail}")))
        .collect()
}

/// Up to and including the bracket that closes the first one.
fn group_length(text: &str) -> usize {
    let mut depth = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' | b'{' => depth += 1,
            b')' | b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    panic!("unclosed group in {text}");
}
