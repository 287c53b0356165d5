//! Splits a query or a form body into its pairs, without changing a byte.
//!
//! Both `&` and `;` separate: Twisted, under Synapse, splits on both, and a
//! token left behind a `;` would reach it raw. Redaction reads whole log lines and
//! has a reader of its own; its laws are tested against this one, so what is moved
//! and what is masked cannot drift apart.

use std::ops::Range;

use crate::percent;

/// One `name=value` of a query, where it stands and what it says, still encoded.
#[derive(Clone, Debug)]
pub struct Pair<'q> {
    /// The bytes of the pair without its separators.
    pub span: Range<usize>,
    /// What stands before the first `=`.
    pub name: &'q [u8],
    /// What stands behind it; `None` where there is no `=`.
    pub value: Option<&'q [u8]>,
}

impl Pair<'_> {
    /// Whether the name, percent-decoded once, is `wanted` to the letter.
    #[must_use]
    pub fn is_named(&self, wanted: &[u8]) -> bool {
        // The plain spelling is nearly every request; the decoder is for the rest.
        self.name == wanted
            || (self.name.len() > wanted.len()
                && percent::decode(self.name).eq(wanted.iter().copied()))
    }
}

/// The pairs of a query (without its `?`), empty ones included, in order.
#[must_use]
pub fn pairs(query: &[u8]) -> Pairs<'_> {
    Pairs {
        query,
        next: Some(0),
    }
}

/// Iterator of [`pairs`].
#[derive(Clone, Debug)]
pub struct Pairs<'q> {
    query: &'q [u8],
    next: Option<usize>,
}

impl<'q> Iterator for Pairs<'q> {
    type Item = Pair<'q>;

    fn next(&mut self) -> Option<Pair<'q>> {
        let start = self.next?;
        let rest = self.query.get(start..)?;
        let length = memchr::memchr2(b'&', b';', rest);
        let text = length.map_or(rest, |length| rest.get(..length).unwrap_or(rest));
        let end = start.saturating_add(text.len());
        self.next = length.map(|_| end.saturating_add(1));
        let (name, value) = match memchr::memchr(b'=', text) {
            Some(at) => (
                text.get(..at).unwrap_or(text),
                text.get(at.saturating_add(1)..),
            ),
            None => (text, None),
        };
        Some(Pair {
            span: start..end,
            name,
            value,
        })
    }
}

/// Appends `query` to `out` without the pairs that have one of `names`, and
/// says whether a query is left, so that the caller knows about its `?`.
///
/// Each cut takes one separator with it. Nothing is left that was not there
/// before: no separator at either end, no `?` without a query.
pub fn push_cut(out: &mut Vec<u8>, query: &[u8], names: &Names) -> bool {
    push_cut_from(out, query, names, 0)
}

/// The same, where no pair that begins before `first` has one of the names.
pub fn push_cut_from(out: &mut Vec<u8>, query: &[u8], names: &Names, first: usize) -> bool {
    let start = out.len();
    let mut kept_any = first > 0;
    let (mut cut_any, mut cut_last) = (false, false);
    let before = first.saturating_sub(1);
    out.extend_from_slice(query.get(..before).unwrap_or_default());
    let behind = Pairs {
        query,
        next: Some(first),
    };
    for pair in behind {
        if names.contain(&pair) {
            (cut_any, cut_last) = (true, true);
            continue;
        }
        let from = match (kept_any, cut_any) {
            // An empty pair behind a cut start would be a separator up front.
            (false, true) if pair.span.is_empty() => continue,
            (false, _) => pair.span.start,
            (true, _) => pair.span.start.saturating_sub(1),
        };
        out.extend_from_slice(query.get(from..pair.span.end).unwrap_or_default());
        (kept_any, cut_last) = (true, false);
    }
    while cut_last && out.len() > start && matches!(out.last(), Some(b'&' | b';')) {
        out.pop();
    }
    !cut_any || out.len() > start
}

/// The parameter names that carry a token, `access_token` unless configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names(Vec<Vec<u8>>);

impl Names {
    /// Names as they read when percent-decoded.
    #[must_use]
    pub fn new(names: Vec<Vec<u8>>) -> Self {
        Self(names)
    }

    /// Whether `pair` carries a token.
    #[must_use]
    pub fn contain(&self, pair: &Pair<'_>) -> bool {
        self.0.iter().any(|name| pair.is_named(name))
    }

    /// The names, decoded.
    #[must_use]
    pub fn as_slice(&self) -> &[Vec<u8>] {
        &self.0
    }
}

impl Default for Names {
    fn default() -> Self {
        Self(vec![b"access_token".to_vec()])
    }
}

/// What one look at one or two texts (query, form body) finds: the tokens, before
/// any is trusted, and how long the request asks to wait.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lookup<'q> {
    /// Pairs with a token's name, empty ones included.
    pub pairs: usize,
    /// The first value that is not empty, still encoded.
    pub first: Option<&'q [u8]>,
    /// Whether a later value says something else.
    pub differs: bool,
    /// Where the first pair with a token's name begins, in the text it was found in.
    pub at: usize,
    /// The first `timeout`.
    timeout: Option<&'q [u8]>,
}

impl<'q> Lookup<'q> {
    /// Adds the tokens of one more text.
    #[must_use]
    pub fn and(mut self, text: &'q [u8], names: &Names) -> Self {
        for pair in pairs(text) {
            if !names.contain(&pair) {
                if pair.name == b"timeout" {
                    self.timeout = self.timeout.or(pair.value);
                }
                continue;
            }
            if self.pairs == 0 {
                self.at = pair.span.start;
            }
            self.pairs = self.pairs.saturating_add(1);
            let Some(value) = pair.value.filter(|value| !value.is_empty()) else {
                continue;
            };
            match self.first {
                None => self.first = Some(value),
                Some(first) => self.differs |= !percent::decode(first).eq(percent::decode(value)),
            }
        }
        self
    }

    /// The client's own `timeout=` in milliseconds: how long a long poll asks to
    /// wait (client-server API, `GET /sync`).
    #[must_use]
    pub fn long_poll_ms(&self) -> Option<u32> {
        str::from_utf8(self.timeout?).ok()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(query: &str) -> Option<String> {
        let mut out = Vec::new();
        let left = push_cut(&mut out, query.as_bytes(), &Names::default());
        left.then(|| String::from_utf8(out).unwrap())
    }

    #[test]
    fn cuts_and_leaves_no_trace() {
        let cases = [
            ("nothing to cut", "a=1&b", Some("a=1&b")),
            ("empty query stays", "", Some("")),
            ("alone", "access_token=T", None),
            ("first", "access_token=T&a=1", Some("a=1")),
            ("middle", "a=1&access_token=T&b=2", Some("a=1&b=2")),
            ("last", "a=1&access_token=T", Some("a=1")),
            ("semicolons", "a=1;access_token=T;b=2", Some("a=1;b=2")),
            (
                "empty pairs between stay",
                "a=1&&access_token=T&&b=2",
                Some("a=1&&&b=2"),
            ),
            ("no new separator in front", "access_token=T&&b", Some("b")),
            ("no new separator behind", "a&&access_token=T", Some("a")),
            ("no new lone question mark", "access_token=T&", None),
            ("nor this way", "&access_token=T", None),
            (
                "separator in front was there",
                "&access_token=T&b",
                Some("&b"),
            ),
            (
                "separator behind was there",
                "a&access_token=T&",
                Some("a&"),
            ),
            (
                "several",
                "access_token=T&a&access_token=T&access_token&b",
                Some("a&b"),
            ),
            ("encoded name", "a&%61ccess%5ftoken=T", Some("a")),
            (
                "longer name",
                "xaccess_token=T&access_tokens=T",
                Some("xaccess_token=T&access_tokens=T"),
            ),
        ];
        for (name, query, expected) in cases {
            assert_eq!(cut(query).as_deref(), expected, "case: {name}");
        }
    }

    /// Queries made of what confuses splitters, so that random ones hit.
    pub(crate) fn nasty() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("access_token"),
            Just("access%5Ftoken"),
            Just("%61ccess_token"),
            Just("access_token="),
            Just("Access_Token="),
            Just("xaccess_token="),
            Just("&"),
            Just(";"),
            Just("="),
            Just("?"),
            Just("%"),
            Just("%26"),
            Just("%3D"),
            Just("+"),
            Just("SECRET"),
            Just("SECRET%2B"),
            Just("a=1"),
            Just("\u{e9}"),
            Just("#"),
        ];
        prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    /// A form parser that shares no code with ours.
    fn tokens_by_another_parser(query: &[u8]) -> usize {
        query
            .split(|byte| matches!(byte, b'&' | b';'))
            .flat_map(|pair| {
                form_urlencoded::parse(pair)
                    .map(|(name, _)| name.into_owned())
                    .collect::<Vec<_>>()
            })
            .filter(|name| name == "access_token")
            .count()
    }

    proptest! {
        #[test]
        fn nothing_is_found_after_the_cut(query in nasty()) {
            let names = Names::default();
            let mut out = Vec::new();
            push_cut(&mut out, query.as_bytes(), &names);
            prop_assert_eq!(Lookup::default().and(&out, &names).pairs, 0);
            prop_assert_eq!(tokens_by_another_parser(&out), 0);
        }

        #[test]
        fn another_parser_finds_no_more_than_we(query in nasty()) {
            let ours = Lookup::default().and(query.as_bytes(), &Names::default()).pairs;
            prop_assert_eq!(ours, tokens_by_another_parser(query.as_bytes()));
        }

        #[test]
        fn kept_pairs_are_the_same_in_the_same_order(query in nasty()) {
            let names = Names::default();
            let mut out = Vec::new();
            push_cut(&mut out, query.as_bytes(), &names);
            let kept = |text: &[u8]| {
                pairs(text)
                    .filter(|pair| !names.contain(pair) && !pair.span.is_empty())
                    .map(|pair| text[pair.span].to_vec())
                    .collect::<Vec<_>>()
            };
            prop_assert_eq!(kept(query.as_bytes()), kept(&out));
        }

        #[test]
        fn no_separator_is_new(query in nasty()) {
            let mut out = Vec::new();
            let left = push_cut(&mut out, query.as_bytes(), &Names::default());
            let separates = |byte: Option<&u8>| matches!(byte, Some(b'&' | b';'));
            prop_assert!(!separates(out.first()) || separates(query.as_bytes().first()));
            prop_assert!(!separates(out.last()) || separates(query.as_bytes().last()));
            prop_assert!(left || out.is_empty());
            prop_assert!(!left || !out.is_empty() || query.is_empty());
        }
    }
}
