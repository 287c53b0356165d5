//! Paths that h2 would refuse, or cut, before anybody sees them.
//!
//! h2 gives a `:path` to the `http` crate, which resets the stream for `<`, `>`,
//! a backtick, a quote, for control bytes and for what does not begin with a
//! slash, ends the whole connection for bytes that are not UTF-8, and cuts the
//! target at `#`. So h2 gets a *copy* instead: as long as the path, and made of
//! question marks. The path itself goes around h2, by the number of its stream.
//!
//! # Why question marks
//!
//! `http` takes them, and no request may have a target that begins with one. So
//! a copy whose path got lost, or one that a client sends by itself, is refused
//! by the engine, and never served as something else. Each copy is checked
//! against its path before the path is used ([`is_copy`]).
//!
//! # The dynamic table
//!
//! A client may put a path into the dynamic table, and name it by its index
//! later. Client and h2 agree on what the table holds because an entry's size is
//! that of its name and value, decoded; the copy has the same. What has to be
//! known here is which index is which path, and for that it is enough to count
//! what enters: the table always holds the newest entries, without a gap, so
//! index 62 is the newest and each later one shifts it by one. What was evicted
//! is an index that h2 does not have, and it ends the connection. (A field larger
//! than the table empties it and does not enter; it is counted, and all indices
//! behind it are such that h2 does not have.) No sizes and no contents are kept
//! but those of refused paths, of which at most a table full can be alive.
//!
//! A literal may also take only its *name* from the table. 128 entries are more
//! than 4096 bytes hold at 32 each, so a bit for each of the last 128 tells
//! whether it is a path.

use std::{collections::VecDeque, fmt};

use super::hpack::{self, Broken, Name, Piece, Pieces, Text, huffman};
use crate::scan;

/// The size of the dynamic table until told otherwise, and h2 does not tell
/// (RFC 9113 section 6.5.2).
const TABLE: usize = 4096;

/// What an entry counts beside its name and value (RFC 7541 section 4.1).
const ENTRY: usize = 32;

const NAME: &[u8] = b":path";

/// The same, compressed; there is only one way.
const NAME_IN_HUFFMAN: &[u8] = b"\xb9\x58\xd3\x3f";

/// What a copy is made of.
const FILLER: u8 = b'?';

/// The ASCII bytes that `http` refuses in a path or a query, beside control
/// bytes, or cuts at. In the other of the two some are taken, and go around h2
/// for nothing.
const REFUSED: [u8; 5] = *b"\"<>#`";

/// Whether h2 takes this byte wherever it stands in a path.
#[must_use]
pub const fn is_taken(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e) && !matches!(byte, b'"' | b'<' | b'>' | b'#' | b'`')
}

/// Whether `path` is what h2 got in place of `raw`.
#[must_use]
pub fn is_copy(path: &[u8], raw: &[u8]) -> bool {
    path.len() == raw.len() && path.iter().all(|&byte| byte == FILLER)
}

/// What was found in one block.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The first path that h2 must not see.
    pub raw: Option<Vec<u8>>,
    /// What h2 is to read instead, if the block had one.
    pub block: Option<Vec<u8>>,
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found")
            .field("raw", &self.raw.as_ref().map(Vec::len))
            .finish_non_exhaustive()
    }
}

/// Reads the blocks of one connection, all of them and in order.
#[derive(Default)]
pub struct Paths {
    /// Which of the newest 128 entries are paths; the newest is the lowest bit.
    named: u128,
    /// How many entries there have been.
    entries: u64,
    /// Refused paths among them, each with the count before it, the oldest first.
    raw: VecDeque<(u64, Vec<u8>)>,
}

impl Paths {
    /// Reads a block.
    ///
    /// # Errors
    ///
    /// [`Broken`]; h2 ends the connection for it.
    pub fn read(&mut self, block: &[u8]) -> Result<Found, Broken> {
        let mut found = Found::default();
        let mut copied = 0;
        for piece in Pieces::of(block) {
            match piece? {
                Piece::Indexed(index) => {
                    if found.raw.is_none()
                        && let Some(raw) = self.refused(index)
                    {
                        found.raw = Some(raw.to_vec());
                    }
                }
                Piece::Literal {
                    name,
                    value,
                    at,
                    is_kept,
                } => {
                    let is_path = self.is_path(name);
                    let raw = if is_path { refusal(value) } else { None };
                    if is_kept {
                        self.enter(is_path, raw.as_deref());
                    }
                    if let Some(raw) = raw {
                        let out = found.block.get_or_insert_default();
                        out.extend_from_slice(block.get(copied..at.start).unwrap_or_default());
                        hpack::push_length(out, raw.len());
                        out.resize(out.len().saturating_add(raw.len()), FILLER);
                        copied = at.end;
                        found.raw.get_or_insert(raw);
                    }
                }
                Piece::Size => {}
            }
        }
        if let Some(out) = &mut found.block {
            out.extend_from_slice(block.get(copied..).unwrap_or_default());
        }
        Ok(found)
    }

    #[inline]
    fn is_path(&self, name: Name<'_>) -> bool {
        match name {
            Name::Indexed(index) => match index.checked_sub(hpack::STATIC.saturating_add(1)) {
                None => matches!(index, 4 | 5),
                Some(age) => u32::try_from(age)
                    .is_ok_and(|age| self.named.checked_shr(age).unwrap_or(0) & 1 == 1),
            },
            Name::Literal(Text::Plain(name)) => name == NAME,
            Name::Literal(Text::Huffman(name)) => name == NAME_IN_HUFFMAN,
        }
    }

    /// The refused path that an index stands for.
    #[inline]
    fn refused(&self, index: usize) -> Option<&[u8]> {
        if self.raw.is_empty() {
            return None;
        }
        let age = u64::try_from(index.checked_sub(hpack::STATIC)?).ok()?;
        let number = self.entries.checked_sub(age)?;
        let (_, raw) = self.raw.iter().find(|(before, _)| *before == number)?;
        Some(raw)
    }

    /// An entry enters the dynamic table.
    #[inline]
    fn enter(&mut self, is_path: bool, raw: Option<&[u8]>) {
        if let Some(raw) = raw {
            self.raw.push_back((self.entries, raw.to_vec()));
            let mut size = 0_usize;
            let alive = self.raw.iter().rev().take_while(|(_, raw)| {
                let entry = raw.len().saturating_add(NAME.len()).saturating_add(ENTRY);
                size = size.saturating_add(entry);
                size <= TABLE
            });
            let alive = alive.count();
            self.raw.drain(..self.raw.len().saturating_sub(alive));
        }
        self.named = self.named << 1 | u128::from(is_path);
        self.entries = self.entries.saturating_add(1);
    }
}

/// The path, if h2 must not see it.
#[inline]
fn refusal(value: Text<'_>) -> Option<Vec<u8>> {
    match value {
        // An empty one has no room for a copy: h2 resets its stream.
        Text::Plain(b"" | b"*") | Text::Huffman(b"" | b"\xf9") => None,
        Text::Plain(path @ [b'/', ..]) if scan::is_all(path, 0x21..=0x7e, REFUSED) => None,
        Text::Plain(path) => Some(path.to_vec()),
        // A slash is 011000.
        Text::Huffman(path @ [0b0110_0000..=0b0110_0011, ..]) if huffman::is_all_taken(path) => {
            None
        }
        // What does not decode ends the connection.
        Text::Huffman(path) => huffman::decode(path).filter(|path| !path.is_empty()),
    }
}

impl fmt::Debug for Paths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Paths")
            .field("entries", &self.entries)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
