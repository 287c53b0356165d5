//! What was worked out of secrets that were seen before.
//!
//! A log has most of its secrets many times over, and what a secret is costs more to tell
//! than all else of its line: its checksum, its HMAC, whose it is. Each spelling has one
//! place here, which the next with the same place takes from it. No secret is kept: 128 bits
//! of keyed hashes stand for each.

use std::hash::{BuildHasher as _, RandomState};

use crate::{
    audit::sighting::TokenId,
    redact::{Confidence, Finding, Kind},
};

/// Spellings that are remembered: as many as two bytes of a hash can tell apart.
const PLACES: usize = 1 << 16;

/// The longest of them: attackers make up their own.
const LONGEST: usize = 256;

/// What there is to say of a secret, whatever line it is in.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) id: TokenId,
    pub(super) kind: &'static str,
    pub(super) confidence: Confidence,
    /// Whose it is, if it says so itself.
    pub(super) user: Option<Box<[u8]>>,
}

/// The memory of one worker.
#[derive(Default)]
pub(super) struct Memory {
    hashers: [RandomState; 2],
    /// Empty until something is remembered.
    places: Vec<Option<Box<Spelling>>>,
    /// What is not remembered.
    other: Option<Known>,
}

struct Spelling {
    hashes: [u64; 2],
    known: Known,
}

/// What gave the secret away; its name may say the same of a field and a parameter.
#[derive(Clone, Copy, Hash)]
enum Way {
    Name,
    Shape,
}

impl Memory {
    /// What is known of a finding in `line`, from `tell` if nothing is.
    pub(super) fn of(
        &mut self,
        finding: &Finding,
        line: &[u8],
        tell: impl FnOnce() -> Known,
    ) -> &Known {
        let raw = line.get(finding.span.clone()).unwrap_or_default();
        // What ends with its line may be half of a secret: that is for the line to say.
        let is_whole = finding.span.end < line.len();
        if raw.len() > LONGEST || !is_whole {
            return self.other.insert(tell());
        }
        let way = match finding.kind {
            Kind::Token(_) => Way::Shape,
            Kind::Parameter(_) | Kind::Field(_) | Kind::Authorization(_) => Way::Name,
        };
        let spelling = (raw, finding.name(), way);
        let hashes = self
            .hashers
            .each_ref()
            .map(|hasher| hasher.hash_one(spelling));
        if self.places.is_empty() {
            self.places.resize_with(PLACES, || None);
        }
        // The low bits are as good as any.
        let [hash, _] = hashes;
        let [low, middle, ..] = hash.to_le_bytes();
        let place = usize::from(u16::from_le_bytes([low, middle]));
        let Some(place) = self.places.get_mut(place) else {
            return self.other.insert(tell());
        };
        place.take_if(|spelling| spelling.hashes != hashes);
        let spelling = place.get_or_insert_with(|| {
            let known = tell();
            Box::new(Spelling { hashes, known })
        });
        &spelling.known
    }
}
