//! Says quickly where in a text a secret's name or prefix may stand.
//!
//! Complete by construction: a fragment of a name, or a token's prefix, is
//! written as it is, in some mixture of cases, or at least one of its letters is
//! encoded. The first is a look at every second place of the text, in two small
//! sets; the second a look behind each `%` and `\`. All deeper encodings show as
//! `%25`. Encoders leave letters alone, so both are rare in honest text.
//!
//! A vectorised search for many needles is quicker over megabytes, but its start and
//! end cost more than a request target takes here: [`block`](super::block) has it.

use std::fmt;

use super::unit;

/// What the known tokens begin with, or have in common.
pub(super) const PREFIXES: [&[u8]; 11] = [
    b"syt_", b"syr_", b"syl_", b"mat_", b"mar_", b"mct_", b"mcr_", b"mpt_", b"MDAx", b"esh_",
    b"tsh_",
];

/// Bytes of a needle.
pub(super) const NEEDLE: usize = 4;

/// What may follow a name that is too short to be a needle: all that an
/// assignment begins with.
const BEHIND: &[u8] = b"=:%\"'`\\ \t+";

/// Bytes read at once, and how many of them are then done with.
const LOAD: usize = 8;
const STEP: usize = 6;

/// Bytes looked at one by one.
const NEAR: usize = 8;

/// The search for candidates, built once.
#[derive(Debug)]
pub(super) struct Prefilter {
    /// The needles' first and last three bytes, and the whole of them.
    threes: Set,
    fours: Set,
    /// Which bytes of a name or prefix are a candidate when they are encoded.
    encoded: Box<[bool; 256]>,
    /// Some name has no needle: every place is a candidate.
    is_everywhere: bool,
}

impl Prefilter {
    /// Finds every spelling of the `fragments`, and of the known tokens.
    pub(super) fn new(fragments: &[Vec<u8>]) -> Self {
        let mut encoded = Box::new([false; 256]);
        let letters = fragments.iter().flatten().flat_map(|byte| variants(*byte));
        let marked = PREFIXES.iter().copied().flatten().copied();
        for byte in letters.chain(marked).chain([b'%']) {
            if let Some(place) = encoded.get_mut(usize::from(byte)) {
                *place = true;
            }
        }
        let is_everywhere = fragments.iter().any(|fragment| fragment.len() < NEEDLE - 1);
        let mut prefilter = Self {
            threes: Set::new(),
            fours: Set::new(),
            encoded,
            is_everywhere,
        };
        for prefix in PREFIXES {
            prefilter.add(prefix);
        }
        for spelling in fragments.iter().flat_map(|fragment| spellings(fragment)) {
            prefilter.add(&spelling);
            for end in BEHIND {
                prefilter.add(&[spelling.as_slice(), &[*end]].concat());
            }
        }
        prefilter
    }

    /// Of a fragment and what follows it only what has the length of a needle.
    fn add(&mut self, needle: &[u8]) {
        if let [first, second, third, fourth] = *needle {
            let word = u32::from_le_bytes([first, second, third, fourth]);
            self.threes.insert(three(word.into()));
            self.threes.insert(three(u64::from(word >> 8)));
            self.fours.insert(four(word));
        }
    }

    /// The candidates in `text`.
    pub(super) fn candidates<'a>(&'a self, text: &'a [u8]) -> Candidates<'a> {
        Candidates {
            prefilter: self,
            text,
            plain: None,
        }
    }

    /// The first needle in `text` that begins at or behind `from`.
    fn plain(&self, text: &[u8], from: usize) -> Option<usize> {
        if self.is_everywhere {
            return (from < text.len()).then_some(from);
        }
        let mut at = from;
        let mut rest = text.get(from..)?;
        while let Some(chunk) = rest.first_chunk::<LOAD>() {
            let word = u64::from_le_bytes(*chunk);
            if self.is_near(word)
                && let Some(hit) = self.needle(text, from, at)
            {
                return Some(hit);
            }
            at = at.wrapping_add(STEP);
            rest = rest.split_at_checked(STEP)?.1;
        }
        self.needle(text, from, at)
    }

    /// Whether a needle may begin at one of the six places of a chunk.
    #[inline]
    fn is_near(&self, word: u64) -> bool {
        let [first, second, third] = [word, word >> 16, word >> 32].map(three);
        self.threes.contains(first) | self.threes.contains(second) | self.threes.contains(third)
    }

    /// The first needle that begins in a chunk, or one byte before.
    #[cold]
    fn needle(&self, text: &[u8], from: usize, at: usize) -> Option<usize> {
        let first = at.saturating_sub(1).max(from);
        text.get(first..)?
            .windows(NEEDLE)
            .take(LOAD)
            .position(|window| {
                window
                    .first_chunk()
                    .is_some_and(|word| self.fours.contains(four(u32::from_le_bytes(*word))))
            })
            .map(|place| first.saturating_add(place))
    }

    /// The first encoded letter in `text`, which ends at `end`, from `from` on.
    fn encoded(&self, text: &[u8], mut from: usize, end: usize) -> Option<usize> {
        let mut found = memchr::memchr2(b'%', b'\\', text.get(from..end)?);
        while let Some(place) = found {
            let at = from.saturating_add(place);
            let letter = unit::once(text, at).map(usize::from);
            if letter.and_then(|letter| self.encoded.get(letter)) == Some(&true) {
                return Some(at);
            }
            from = at.saturating_add(1);
            found = next_escape(text.get(from..end)?);
        }
        None
    }
}

/// Where escapes are many they stand close together: a few bytes are looked at
/// one by one before the search that is quick over long stretches.
fn next_escape(text: &[u8]) -> Option<usize> {
    let near = text
        .iter()
        .take(NEAR)
        .position(|byte| matches!(byte, b'%' | b'\\'));
    near.or_else(|| {
        let far = memchr::memchr2(b'%', b'\\', text.get(NEAR..)?)?;
        Some(far.saturating_add(NEAR))
    })
}

/// The candidates of one text, asked for from left to right.
#[derive(Debug)]
pub(super) struct Candidates<'a> {
    prefilter: &'a Prefilter,
    text: &'a [u8],
    /// The next one that is not encoded, or the end; searched once, not again
    /// for each encoded one before it.
    plain: Option<usize>,
}

impl Candidates<'_> {
    /// The first candidate at or behind `from`.
    pub(super) fn next(&mut self, from: usize) -> Option<usize> {
        let plain = match self.plain {
            Some(at) if at >= from => at,
            _ => self
                .prefilter
                .plain(self.text, from)
                .unwrap_or(self.text.len()),
        };
        self.plain = Some(plain);
        let encoded = self.prefilter.encoded(self.text, from, plain);
        encoded.or_else(|| (plain < self.text.len()).then_some(plain))
    }
}

/// Hashes of twelve bits; a stranger is in it about once in a hundred.
struct Set(Box<[bool; 4096]>);

impl Set {
    fn new() -> Self {
        Self(Box::new([false; 4096]))
    }

    fn insert(&mut self, hash: u32) {
        if let Some(place) = self.0.get_mut((hash >> 20) as usize) {
            *place = true;
        }
    }

    #[inline]
    fn contains(&self, hash: u32) -> bool {
        self.0.get((hash >> 20) as usize) == Some(&true)
    }
}

impl fmt::Debug for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.0.iter().filter(|known| **known).count();
        write!(f, "Set({known})")
    }
}

/// The low three bytes, either case, spread over 32 bits.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "the upper bytes are another look's"
)]
fn three(word: u64) -> u32 {
    ((word as u32 | 0x0020_2020) << 8).wrapping_mul(0x9E37_79B1)
}

/// All four bytes, either case.
#[inline]
fn four(word: u32) -> u32 {
    (word | 0x2020_2020).wrapping_mul(0x85EB_CA6B)
}

/// `fragment` with `-` and `_` for one another; the sets fold case themselves.
fn spellings(fragment: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![Vec::new()];
    for byte in fragment {
        let [first, second] = variants(*byte);
        let ways = if first == b'-' {
            vec![first, second]
        } else {
            vec![first]
        };
        all = all
            .iter()
            .flat_map(|head| ways.iter().map(|way| [head.as_slice(), &[*way]].concat()))
            .collect();
    }
    all
}

/// The bytes that the comparison of names takes for the same.
pub(super) fn variants(byte: u8) -> [u8; 2] {
    match byte {
        b'-' | b'_' => [b'-', b'_'],
        _ => [byte.to_ascii_lowercase(), byte.to_ascii_uppercase()],
    }
}
