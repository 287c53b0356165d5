//! The endpoint table as a tree of path segments.
//!
//! A literal segment wins over a variable, a variable over a rest (`*`). A path
//! that matches with another method only is searched further, as Synapse does
//! with its own routes, so that `GET /registration_tokens/new` finds the token
//! called `new` although `new` itself takes nothing but `POST`.

use std::{collections::HashMap, hash::BuildHasherDefault};

use memchr::memchr;

use super::row::{Method, Row};
use super::{Class, Endpoint, Template};
use crate::{fold::Fold, percent};

/// Where nearly all requests go: found at one stroke, and searched from the
/// root only if nothing behind it fits.
const HOT: &[u8] = b"/_matrix/client/";

/// The rows of `endpoints.txt`, ready to be searched.
#[derive(Debug)]
pub(super) struct Table {
    /// The first is the root. Nodes name each other by position.
    nodes: Vec<Node>,
    /// What reports say of each row.
    rows: Vec<Template>,
    /// Lines that were not understood. A test keeps this at none.
    skipped: usize,
    /// The node behind [`HOT`].
    hot: Option<usize>,
}

/// What may follow one path prefix.
#[derive(Debug, Default)]
struct Node {
    /// Segments that have to be there byte for byte, and the nodes behind them.
    literals: HashMap<&'static [u8], usize, BuildHasherDefault<Fold>>,
    variable: Option<usize>,
    /// For a path that ends here.
    here: Answers,
    /// For any path that goes on from here.
    below: Answers,
}

/// The endpoints of one path, by method.
#[derive(Clone, Copy, Debug, Default)]
struct Answers {
    get: Option<Answer>,
    post: Option<Answer>,
    put: Option<Answer>,
    delete: Option<Answer>,
    /// For every method that has no answer of its own.
    any: Option<Answer>,
}

/// What one row says.
#[derive(Clone, Copy, Debug)]
struct Answer {
    endpoint: Endpoint,
    /// The row's place among all.
    row: u16,
}

impl Table {
    pub(super) fn parse(text: &'static str) -> Self {
        let mut table = Self {
            nodes: vec![Node::default()],
            rows: Vec::new(),
            skipped: 0,
            hot: None,
        };
        let rows = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        for line in rows {
            if Row::parse(line).and_then(|row| table.add(&row)).is_none() {
                table.skipped = table.skipped.saturating_add(1);
            }
        }
        for node in &mut table.nodes {
            node.here.seal();
            node.below.seal();
        }
        table.hot = HOT
            .strip_prefix(b"/")
            .and_then(|path| path.strip_suffix(b"/"))
            .and_then(|path| {
                path.split(|byte| *byte == b'/')
                    .try_fold(0, |at, segment| table.nodes.get(at)?.literal(segment))
            });
        table
    }

    fn add(&mut self, row: &Row) -> Option<()> {
        let answer = Answer {
            endpoint: row.endpoint,
            row: u16::try_from(self.rows.len()).ok()?,
        };
        self.rows.push(Template {
            text: row.path,
            is_admin: row.path.split('/').any(|segment| segment == "admin"),
        });
        let mut at = 0;
        let mut rest = Some(row.path.strip_prefix('/')?);
        while let Some(path) = rest {
            let (segment, after) = match path.split_once('/') {
                Some((segment, after)) => (segment, Some(after)),
                None => (path, None),
            };
            if segment == "*" && after.is_none() {
                return self.nodes.get_mut(at)?.below.put(row, answer);
            }
            at = self.child(at, segment)?;
            rest = after;
        }
        self.nodes.get_mut(at)?.here.put(row, answer)
    }

    /// The node behind `segment`, made if it is not there yet.
    fn child(&mut self, at: usize, segment: &'static str) -> Option<usize> {
        let fresh = self.nodes.len();
        let node = self.nodes.get_mut(at)?;
        let child = if segment.starts_with('{') && segment.ends_with('}') {
            *node.variable.get_or_insert(fresh)
        } else if segment.contains(['{', '}', '*', '%', '?']) {
            return None;
        } else {
            *node.literals.entry(segment.as_bytes()).or_insert(fresh)
        };
        if child == fresh {
            self.nodes.push(Node::default());
        }
        Some(child)
    }

    pub(super) fn find(&self, method: &[u8], path: &[u8]) -> Endpoint {
        let method = Method::of(method);
        endpoint(self.answer(path, Some(method)), method)
    }

    /// The same, and the row for `path`; of another method if only that says more than a
    /// prefix.
    pub(super) fn find_row(&self, method: &[u8], path: &[u8]) -> (Endpoint, Option<Template>) {
        let method = Method::of(method);
        let answer = self.answer(path, Some(method));
        let row = |answer: Answer| self.rows.get(usize::from(answer.row)).copied();
        let own = answer.and_then(row);
        let is_whole = |row: &Template| !row.text.ends_with('*');
        let row = own.filter(is_whole).or_else(|| {
            let others = self.answer(path, None).and_then(row);
            others.filter(is_whole).or(own)
        });
        (endpoint(answer, method), row)
    }

    /// What a row says of `path` with this method, or with the first that has one.
    fn answer(&self, path: &[u8], method: Option<Method>) -> Option<Answer> {
        let (b'/', rest) = path.split_first()? else {
            return None;
        };
        self.find_hot(path, method)
            .or_else(|| self.walk(self.nodes.first()?, Some(rest), method))
    }

    fn find_hot(&self, path: &[u8], method: Option<Method>) -> Option<Answer> {
        let rest = path.strip_prefix(HOT)?;
        self.walk(self.nodes.get(self.hot?)?, Some(rest), method)
    }

    /// Searches what follows `node`; `None` as `rest` is the end of the path.
    /// Goes no deeper than the table does, however long the path.
    fn walk(&self, node: &Node, rest: Option<&[u8]>, method: Option<Method>) -> Option<Answer> {
        let Some(rest) = rest else {
            return node.here.get(method);
        };
        let (segment, after) = split(rest);
        if let Some(child) = node.literal(segment).and_then(|at| self.nodes.get(at))
            && let Some(found) = self.walk(child, after, method)
        {
            return Some(found);
        }
        if let Some(child) = node.variable.and_then(|at| self.nodes.get(at))
            && fills_variable(segment)
            && let Some(found) = self.walk(child, after, method)
        {
            return Some(found);
        }
        node.below
            .get(method)
            .filter(|answer| fits_below(answer.endpoint, rest))
    }
}

impl Node {
    fn literal(&self, segment: &[u8]) -> Option<usize> {
        self.literals.get(segment).copied()
    }
}

impl Answers {
    /// `None` if the table already has a row for this method and path.
    fn put(&mut self, row: &Row, answer: Answer) -> Option<()> {
        let place = match row.method {
            Some(Method::Get) => &mut self.get,
            Some(Method::Post) => &mut self.post,
            Some(Method::Put) => &mut self.put,
            Some(Method::Delete) => &mut self.delete,
            Some(Method::Options | Method::Other) => return None,
            None => &mut self.any,
        };
        place.replace(answer).is_none().then_some(())
    }

    /// A path that is never ours with any listed method is not ours with an
    /// unlisted one either: touching what is signed or secret needs a reason.
    fn seal(&mut self) {
        let mut listed = [self.get, self.post, self.put, self.delete]
            .into_iter()
            .flatten()
            .peekable();
        let first = listed.peek().copied();
        if self.any.is_none() && listed.all(|answer| answer.endpoint.class == Class::Never) {
            self.any = first;
        }
    }

    fn get(&self, method: Option<Method>) -> Option<Answer> {
        let own = match method {
            Some(Method::Get) => self.get,
            Some(Method::Post) => self.post,
            Some(Method::Put) => self.put,
            Some(Method::Delete) => self.delete,
            Some(Method::Options | Method::Other) => None,
            None => self.get.or(self.post).or(self.put).or(self.delete),
        };
        own.or(self.any)
    }
}

fn split(rest: &[u8]) -> (&[u8], Option<&[u8]>) {
    let end = memchr(b'/', rest).unwrap_or(rest.len());
    match rest.split_at_checked(end) {
        Some((segment, [_, after @ ..])) => (segment, Some(after)),
        _ => (rest, None),
    }
}

fn endpoint(answer: Option<Answer>, method: Method) -> Endpoint {
    let found = answer.map_or(Endpoint::UNLISTED, |answer| answer.endpoint);
    if method == Method::Options {
        without_requirement(found)
    } else {
        found
    }
}

fn without_requirement(endpoint: Endpoint) -> Endpoint {
    match endpoint.class {
        Class::Required => Endpoint {
            class: Class::Optional,
            ..endpoint
        },
        Class::Optional | Class::Open | Class::Never => endpoint,
    }
}

/// Whether `segment` can stand for a variable. Encoded slashes may be in it,
/// as in room ids and state keys: the path was split before any decoding.
fn fills_variable(segment: &[u8]) -> bool {
    !segment.is_empty() && !is_dots(segment)
}

/// Whether a row that ends in `*` may speak for `rest`. To demand a token it
/// has to be one path in every reading, so nothing in it may be empty.
fn fits_below(endpoint: Endpoint, rest: &[u8]) -> bool {
    let has_empty = || rest.split(|byte| *byte == b'/').any(<[u8]>::is_empty);
    !climbs(rest) && (endpoint.class != Class::Required || !has_empty())
}

/// Whether `segment` is `.` or `..`, each dot plain or encoded.
fn is_dots(segment: &[u8]) -> bool {
    let mut rest = segment;
    for _ in 0..2 {
        rest = match rest {
            [b'.', rest @ ..] | [b'%', b'2', b'e' | b'E', rest @ ..] => rest,
            _ => return false,
        };
        if rest.is_empty() {
            return true;
        }
    }
    false
}

/// Whether `rest` has a `.` or `..` segment, also behind an encoded slash: a
/// server that resolves it may be led out of the prefix we know.
fn climbs(rest: &[u8]) -> bool {
    rest.split(|byte| *byte == b'/')
        .any(|segment| is_dots(segment) || (has_slash(segment) && climbs_decoded(segment)))
}

/// Whether a slash is encoded in `segment`.
fn has_slash(segment: &[u8]) -> bool {
    memchr::memchr_iter(b'%', segment)
        .filter_map(|at| segment.get(at..))
        .any(|rest| matches!(rest, [b'%', b'2', b'f' | b'F', ..]))
}

fn climbs_decoded(segment: &[u8]) -> bool {
    // How many dots a part is made of; `None` if of anything else.
    let mut dots = Some(0_u8);
    for byte in percent::decode(segment).chain([b'/']) {
        dots = match (byte, dots) {
            (b'/', Some(1 | 2)) => return true,
            (b'/', _) => Some(0),
            (b'.', Some(dots)) => dots.checked_add(1),
            _ => None,
        };
    }
    false
}

#[cfg(test)]
mod tests;
