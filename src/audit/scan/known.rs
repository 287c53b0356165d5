//! What was worked out of secrets that were seen before.
//!
//! A log has most of its secrets many times over, and what a secret is costs more to tell
//! than all else of its line: its checksum, its HMAC, whose it is. Each spelling has one
//! place here, which the next with the same place takes from it. No secret is kept: 128 bits
//! of keyed hashes stand for each.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use crate::{
    audit::sighting::TokenId,
    redact::{Confidence, Finding, Kind},
};

/// Spellings that all workers together remember, which takes them up to 8 MB.
const PLACES: usize = 1 << 16;

/// Spellings in a row. A row is made when something is put into it, and has all there is to
/// say, so that one look elsewhere is enough.
const ROW: usize = 1 << 4;

/// The longest of them: attackers make up their own.
const LONGEST: usize = 256;

/// What there is to say of a secret, whatever line it is in.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) id: TokenId,
    pub(super) kind: &'static str,
    pub(super) confidence: Confidence,
    /// Whose it is, if it says so itself.
    pub(super) user: Option<Box<str>>,
    /// Whether the tally has been told of that user: he does not change.
    pub(super) is_user_told: bool,
}

/// The memory of one worker.
pub(super) struct Memory {
    hashers: [RandomState; 2],
    rows: Vec<Vec<Option<Spelling>>>,
    /// What is not remembered.
    other: Option<Known>,
}

struct Spelling {
    hashes: [u64; 2],
    given: Given,
    known: Known,
}

/// What gave the secret away: its name, the same for a field and a parameter, or its shape.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Given {
    name: Option<&'static str>,
    is_shape: bool,
}

impl Memory {
    /// For one of so many workers.
    pub(super) fn new(jobs: usize) -> Self {
        let rows = (PLACES / ROW).checked_div(jobs).unwrap_or(1).max(1);
        Self {
            hashers: Default::default(),
            rows: std::iter::repeat_with(Vec::new).take(rows).collect(),
            other: None,
        }
    }

    /// What is known of a finding in `line`, from `tell` if nothing is.
    pub(super) fn of(
        &mut self,
        finding: &Finding,
        line: &[u8],
        tell: impl FnOnce() -> Known,
    ) -> &mut Known {
        let raw = line.get(finding.span.clone()).unwrap_or_default();
        // What ends with its line may be half of a secret: that is for the line to say.
        let is_whole = finding.span.end < line.len();
        if raw.len() > LONGEST || !is_whole {
            return self.other.insert(tell());
        }
        let given = Given {
            name: finding.name(),
            is_shape: matches!(finding.kind, Kind::Token(_)),
        };
        let hashes = self.hashers.each_ref().map(|hasher| {
            let mut hash = hasher.build_hasher();
            hash.write(raw);
            hash.finish()
        });
        // These bits are as good as any; what one secret is by two names has two places.
        let [low, middle, high, ..] = hashes[0].to_le_bytes();
        let row = usize::from(u16::from_le_bytes([low, middle]));
        let row = row.checked_rem(self.rows.len()).unwrap_or_default();
        let name = given.name.map_or(0, str::len);
        let place = (usize::from(high) ^ name ^ usize::from(given.is_shape)) % ROW;
        let Some(place) = self.rows.get_mut(row).and_then(|spellings| {
            if spellings.is_empty() {
                spellings.resize_with(ROW, || None);
            }
            spellings.get_mut(place)
        }) else {
            return self.other.insert(tell());
        };
        place.take_if(|spelling| spelling.hashes != hashes || spelling.given != given);
        let spelling = place.get_or_insert_with(|| {
            let known = tell();
            Spelling {
                hashes,
                given,
                known,
            }
        });
        &mut spelling.known
    }
}
