//! Says quickly where in a text a secret's name or prefix may stand.
//!
//! Complete by construction: a fragment of a name is written as it is, in some
//! mixture of cases, or at least one of its letters is encoded, and then a
//! needle for that letter's escape is there. All deeper encodings hold a `%25`.
//! Encoders leave letters alone, so these needles are rare in honest text.

use std::fmt;

use aho_corasick::{AhoCorasick, Input, packed};

/// What the known tokens and the encodings of every name have in common.
const FIXED: &[&[u8]] = &[
    b"syt_", b"syr_", b"syl_", b"mat_", b"mar_", b"mct_", b"mcr_", b"mpt_", b"MDAx", b"esh_",
    b"%5f", b"%5F", b"%25",
];

/// The vectorised search takes no more; and no shorter needles without slowing down.
const MOST: usize = 128;
const SHORTEST: usize = 3;

/// The search for candidates.
pub(super) enum Prefilter {
    Vectorised(packed::Searcher),
    Automaton(AhoCorasick),
    /// No search could be built: every place is a candidate.
    Everywhere,
}

impl Prefilter {
    /// Finds every spelling of the `fragments`, and of the known tokens.
    pub(super) fn new(fragments: &[Vec<u8>]) -> Self {
        let needles = needles(fragments);
        Self::vectorised(&needles)
            .unwrap_or_else(|| AhoCorasick::new(&needles).map_or(Self::Everywhere, Self::Automaton))
    }

    fn vectorised(needles: &[Vec<u8>]) -> Option<Self> {
        if needles.len() > MOST || needles.iter().any(|needle| needle.len() < SHORTEST) {
            return None;
        }
        // The limits it sets itself are about its own worth beside an automaton;
        // here the case variants share their buckets, and it was measured faster.
        let mut builder = packed::Config::new()
            .heuristic_pattern_limits(false)
            .builder();
        builder.extend(needles).build().map(Self::Vectorised)
    }

    /// The first candidate at or behind `from`.
    #[inline]
    pub(super) fn find(&self, text: &[u8], from: usize) -> Option<usize> {
        let span = from..text.len();
        match self {
            Self::Vectorised(searcher) => {
                searcher.find_in(text, span.into()).map(|hit| hit.start())
            }
            Self::Automaton(automaton) => automaton
                .find(Input::new(text).span(span))
                .map(|hit| hit.start()),
            Self::Everywhere => (from < text.len()).then_some(from),
        }
    }
}

impl fmt::Debug for Prefilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vectorised(_) => "Prefilter(vectorised)",
            Self::Automaton(_) => "Prefilter(automaton)",
            Self::Everywhere => "Prefilter(everywhere)",
        })
    }
}

pub(super) fn needles(fragments: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut needles: Vec<Vec<u8>> = FIXED.iter().map(|needle| needle.to_vec()).collect();
    for fragment in fragments {
        needles.extend(spellings(fragment));
        needles.extend(fragment.iter().flat_map(|byte| escapes(*byte)));
    }
    needles.sort_unstable();
    needles.dedup();
    needles
}

/// `fragment` in every mixture of cases.
fn spellings(fragment: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![Vec::new()];
    for byte in fragment {
        all = all
            .iter()
            .flat_map(|head| variants(*byte).map(|byte| [head.as_slice(), &[byte]].concat()))
            .collect();
    }
    all
}

/// The bytes that name comparison takes for the same.
fn variants(byte: u8) -> [u8; 2] {
    match byte {
        b'-' | b'_' => [b'-', b'_'],
        _ => [byte.to_ascii_lowercase(), byte.to_ascii_uppercase()],
    }
}

/// How either case of one byte looks encoded once, in a URL and in JSON.
fn escapes(byte: u8) -> impl Iterator<Item = Vec<u8>> {
    variants(byte).into_iter().flat_map(|byte| {
        // The last digit of `\u006b` does not matter, and so its case neither.
        let json = format!("\\u00{:x}", byte >> 4);
        [format!("%{byte:02x}"), format!("%{byte:02X}"), json].map(String::into_bytes)
    })
}
