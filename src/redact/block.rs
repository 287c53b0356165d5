//! Says quickly which places of a large block may belong to a secret.
//!
//! It finds less than the [`prefilter`](super::prefilter) says of one text, and all that
//! matters: of each fragment of a name, and of each prefix of a token, three bytes. They are
//! written as they are, in some mixture of cases, or one of them is encoded. So the needles
//! are all mixtures of the three, and all first bytes of an encoded letter; a line without
//! a needle has no finding.
//!
//! The search is vectorised and sorts needles into eight buckets. It is quick where the
//! needles of one bucket together look like nothing else that is frequent, so they are handed
//! over in such an order that they do. Our own needles fit one search; with an operator's
//! names there are two, one for what is written as it is, one for encoded letters.

use aho_corasick::{
    Span,
    packed::{Config, MatchKind, Searcher},
};

use super::prefilter;

/// Bytes of a needle here.
const NEEDLE: usize = 3;

/// Buckets of a search.
const BUCKETS: usize = 8;

/// The most needles a search takes.
const MOST: usize = 128;

/// Letters that are rare at the end of a fragment: what shares its bucket is seldom taken
/// for it.
const RARE: &[u8] = b"zxqj";

/// The bucket of each of our own fragments in a search for everything. What is in one was
/// chosen by what honest logs have: the halves of one's bytes go with those of the others.
const HOMES: [(&[u8; NEEDLE], usize); 8] = [
    (b"oke", 1),
    (b"sec", 1),
    (b"cod", 1),
    (b"riz", 2),
    (b"ick", 3),
    (b"bea", 3),
    (b"ssw", 4),
    (b"ssi", 4),
];

/// Begins an encoded letter of JSON.
const JSON: Needle = *b"\\u0";

type Needle = [u8; NEEDLE];
type Buckets = [Vec<Needle>; BUCKETS];

/// The search of blocks, built once.
#[derive(Debug)]
pub(super) struct Block {
    /// For everything, or for what is written as it is.
    first: Searcher,
    /// For encoded letters, where they have a search of their own.
    second: Option<Searcher>,
}

impl Block {
    /// `None` where the machine has no such search, or there are too many or too short
    /// fragments for it.
    pub(super) fn new(fragments: &[Vec<u8>]) -> Option<Self> {
        let mut threes = Vec::new();
        for fragment in fragments {
            threes.push(*fragment.first_chunk::<NEEDLE>()?);
        }
        let prefixes: Vec<Needle> = prefilter::PREFIXES
            .iter()
            .filter_map(|prefix| prefix.last_chunk().copied())
            .collect();
        let filler = *threes.first()?;
        if let Some(first) = search(together(&threes, &prefixes), filler) {
            let second = None;
            return Some(Self { first, second });
        }
        let letters = encoded(&threes, &prefixes, bucket_of);
        Some(Self {
            first: search(plain(&threes, &prefixes), filler)?,
            second: Some(search(letters, JSON)?),
        })
    }
}

fn first(search: &Searcher, block: &[u8], from: usize) -> Option<usize> {
    let span = Span {
        start: from.min(block.len()),
        end: block.len(),
    };
    search.find_in(block, span).map(|found| found.start())
}

/// The places of one block, asked for from left to right.
#[derive(Clone, Debug)]
pub(super) struct Places<'a> {
    search: &'a Block,
    block: &'a [u8],
    /// The next of either search, once it is known; the block's end if there is none.
    first: Option<usize>,
    second: Option<usize>,
}

impl<'a> Places<'a> {
    pub(super) fn new(search: &'a Block, block: &'a [u8]) -> Self {
        Self {
            search,
            block,
            first: None,
            second: None,
        }
    }

    /// The first place at or behind `from`.
    pub(super) fn next(&mut self, from: usize) -> Option<usize> {
        let end = self.block.len();
        let known = |place: Option<usize>| place.filter(|place| *place >= from);
        let search = |search| first(search, self.block, from).unwrap_or(end);
        let one = known(self.first).unwrap_or_else(|| search(&self.search.first));
        let other = match &self.search.second {
            Some(second) => known(self.second).unwrap_or_else(|| search(second)),
            None => end,
        };
        (self.first, self.second) = (Some(one), Some(other));
        Some(one.min(other)).filter(|place| *place < end)
    }
}

/// Everything, by [`HOMES`].
fn together(threes: &[Needle], prefixes: &[Needle]) -> Buckets {
    let mut buckets = encoded(threes, prefixes, |high, low| match (high, low) {
        (b'4' | b'6', _) => 5,
        (b'7', b'0'..=b'9') => 7,
        (b'5' | b'7' | b'u' | b'x', _) => 6,
        _ => 2,
    });
    for (place, three) in threes.iter().enumerate() {
        let home = HOMES.iter().find(|(known, _)| *known == three);
        let home = home.map_or(place % BUCKETS, |(_, home)| *home);
        if let Some(bucket) = buckets.get_mut(home) {
            bucket.extend(mixtures(*three));
        }
    }
    for prefix in prefixes {
        let home = if prefix.ends_with(b"_") { 0 } else { 7 };
        if let Some(bucket) = buckets.get_mut(home) {
            bucket.push(*prefix);
        }
    }
    buckets
}

/// Case mixtures, one fragment a bucket. The prefixes share two of them, chosen such that
/// `rix` of `_matrix` and the like are in none.
fn plain(threes: &[Needle], prefixes: &[Needle]) -> Buckets {
    let mut buckets = Buckets::default();
    for (place, three) in threes.iter().enumerate() {
        if let Some(bucket) = buckets.get_mut(place % BUCKETS) {
            bucket.extend(mixtures(*three));
        }
    }
    let is_rare = |three: &Needle| three.last().is_some_and(|last| RARE.contains(last));
    let shared = threes.iter().position(is_rare).unwrap_or_default() % BUCKETS;
    for prefix in prefixes {
        let home = if prefix.ends_with(b"_") { shared } else { 0 };
        if let Some(bucket) = buckets.get_mut(home) {
            bucket.push(*prefix);
        }
    }
    buckets
}

/// What an encoded letter of the needles begins with, in the buckets that `home` has for its
/// last two bytes.
fn encoded(threes: &[Needle], prefixes: &[Needle], home: fn(u8, u8) -> usize) -> Buckets {
    let mut letters: Vec<u8> = threes
        .iter()
        .flat_map(|three| mixtures(*three))
        .chain(prefixes.iter().copied())
        .flatten()
        // A percent sign begins a letter that is encoded once more.
        .chain([b'%'])
        .collect();
    letters.sort_unstable();
    letters.dedup();
    let mut buckets = Buckets::default();
    let mut add = |bucket: usize, needle: Needle| {
        let bucket = buckets.get_mut(bucket);
        if let Some(bucket) = bucket.filter(|bucket| !bucket.contains(&needle)) {
            bucket.push(needle);
        }
    };
    add(home(b'u', b'0'), JSON);
    for letter in letters {
        let [high, low] = digits(letter);
        for high in [high, high.to_ascii_uppercase()] {
            add(home(b'x', high), [b'\\', b'x', high]);
            for low in [low, low.to_ascii_uppercase()] {
                add(home(high, low), [b'%', high, low]);
            }
        }
    }
    buckets
}

/// Where the digits of one bucket go together, none in it is taken for another's letter.
fn bucket_of(high: u8, low: u8) -> usize {
    match (high, low.is_ascii_digit()) {
        (b'4' | b'6', true) => 0,
        (b'4' | b'6', false) => 1,
        (b'5' | b'7', true) => 2,
        (b'5' | b'7', false) => 3,
        (b'2', true) => 4,
        (b'u' | b'x', _) => 5,
        (b'2' | b'3', _) => 6,
        _ => 7,
    }
}

/// The hexadecimal digits of a byte.
fn digits(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [byte >> 4, byte & 0xf].map(|digit| DIGITS.get(usize::from(digit)).copied().unwrap_or(b'0'))
}

/// All that the comparison of names takes for the same as `three`.
fn mixtures(three: Needle) -> Vec<Needle> {
    let [first, second, third] = three.map(prefilter::variants);
    let mut all = Vec::new();
    for first in first {
        for second in second {
            all.extend(third.map(|third| [first, second, third]));
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// A search in which every needle has its bucket.
fn search(buckets: Buckets, filler: Needle) -> Option<Searcher> {
    let needles = in_order(buckets, filler);
    if needles.len() > MOST {
        return None;
    }
    let mut config = Config::new();
    config
        .match_kind(MatchKind::LeftmostFirst)
        // It counts needles, and knows nothing of their buckets.
        .heuristic_pattern_limits(false)
        // Twice the buckets take twice the time, and ours are as good as exact.
        .only_teddy_fat(Some(false));
    config.builder().extend(needles).build()
}

/// A needle gets the bucket of its position, counted round, unless one before it has the
/// same low halves of all bytes, with which it shares that one's. Where none of both is left
/// the `filler`, which is there already, takes a position once more.
fn in_order(mut buckets: Buckets, filler: Needle) -> Vec<Needle> {
    let mut seen: Vec<Needle> = Vec::new();
    let mut order = Vec::new();
    while buckets.iter().any(|bucket| !bucket.is_empty()) {
        let own = order.len() % BUCKETS;
        let needle = take(buckets.get_mut(own), |needle| !seen.contains(&low(*needle)))
            .or_else(|| {
                buckets
                    .iter_mut()
                    .find_map(|bucket| take(Some(bucket), |needle| seen.contains(&low(*needle))))
            })
            .unwrap_or(filler);
        seen.push(low(needle));
        order.push(needle);
    }
    order
}

/// The low halves of all bytes.
fn low(needle: Needle) -> Needle {
    needle.map(|byte| byte & 0xf)
}

fn take(bucket: Option<&mut Vec<Needle>>, is_fit: impl Fn(&Needle) -> bool) -> Option<Needle> {
    let bucket = bucket?;
    let place = bucket.iter().position(is_fit)?;
    Some(bucket.remove(place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::names::Names;

    #[test]
    fn our_own_needles_fit_one_search() {
        let names = Names::with(std::iter::empty());
        let search = Block::new(names.fragments());
        // A machine without such a search has none.
        assert!(search.is_none_or(|search| search.second.is_none()));
    }
}
