//! Header blocks, taken apart without being decoded (RFC 7541 section 6).
//!
//! No table is needed to tell where a representation ends, so whoever looks for
//! one field passes over the others at the price of their lengths. Integers are
//! read as h2 reads them: what it refuses is refused here, and what it takes is
//! taken, or the two would count differently.

pub mod huffman;

use std::{fmt, ops::Range};

/// The static table ends here; behind it the dynamic one begins (appendix A).
pub const STATIC: usize = 61;

/// One representation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece<'b> {
    /// A field from a table.
    Indexed(usize),
    /// A field whose value is spelt out.
    Literal {
        /// Its name.
        name: Name<'b>,
        /// Its value.
        value: Text<'b>,
        /// Where in the block the value stands, its length included.
        at: Range<usize>,
        /// Whether it enters the dynamic table.
        is_kept: bool,
    },
    /// A new size for the dynamic table.
    Size,
}

/// The name of a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name<'b> {
    /// That of a field in a table.
    Indexed(usize),
    /// Spelt out.
    Literal(Text<'b>),
}

/// A string, as it was sent. It may be a raw target or a credential, so it cannot
/// print.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Text<'b> {
    /// As it is.
    Plain(&'b [u8]),
    /// Compressed.
    Huffman(&'b [u8]),
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Text(<redacted>)")
    }
}

/// The pieces of a block, one after the other.
#[derive(Clone)]
pub struct Pieces<'b> {
    block: &'b [u8],
    at: usize,
}

impl fmt::Debug for Pieces<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pieces")
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// A block that ends within a piece, or has an integer that nobody needs; h2 ends
/// the connection for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

impl<'b> Pieces<'b> {
    /// Those of `block`.
    #[must_use]
    pub const fn of(block: &'b [u8]) -> Self {
        Self { block, at: 0 }
    }

    #[inline]
    fn piece(&mut self, first: u8) -> Result<Piece<'b>, Broken> {
        Ok(match first {
            0b1000_0000.. => Piece::Indexed(self.integer(7)?),
            0b0100_0000.. => self.literal(6, true)?,
            0b0010_0000.. => {
                self.integer(5)?;
                Piece::Size
            }
            // Whether it may ever be indexed is for its next hop.
            _ => self.literal(4, false)?,
        })
    }

    #[inline]
    fn literal(&mut self, prefix: u32, is_kept: bool) -> Result<Piece<'b>, Broken> {
        let name = match self.integer(prefix)? {
            0 => Name::Literal(self.text()?),
            index => Name::Indexed(index),
        };
        let begin = self.at;
        let value = self.text()?;
        Ok(Piece::Literal {
            name,
            value,
            at: begin..self.at,
            is_kept,
        })
    }

    #[inline]
    fn text(&mut self) -> Result<Text<'b>, Broken> {
        let is_huffman = *self.block.get(self.at).ok_or(Broken)? >= 0x80;
        let length = self.integer(7)?;
        let end = self.at.saturating_add(length);
        let bytes = self.block.get(self.at..end).ok_or(Broken)?;
        self.at = end;
        Ok(if is_huffman {
            Text::Huffman(bytes)
        } else {
            Text::Plain(bytes)
        })
    }

    /// An integer in the last `prefix` bits of a byte and up to four more
    /// (section 5.1).
    #[inline]
    fn integer(&mut self, prefix: u32) -> Result<usize, Broken> {
        let most = 0xff_usize.wrapping_shr(8_u32.wrapping_sub(prefix));
        let first = usize::from(self.byte()?) & most;
        if first < most {
            return Ok(first);
        }
        let mut value = first;
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            value = value.saturating_add(usize::from(byte & 0x7f) << shift);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Broken)
    }

    #[inline]
    fn byte(&mut self) -> Result<u8, Broken> {
        let byte = *self.block.get(self.at).ok_or(Broken)?;
        self.at = self.at.saturating_add(1);
        Ok(byte)
    }
}

impl<'b> Iterator for Pieces<'b> {
    type Item = Result<Piece<'b>, Broken>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let &first = self.block.get(self.at)?;
        Some(self.piece(first))
    }
}

/// Appends the length of a string that is sent as it is.
pub fn push_length(out: &mut Vec<u8>, length: usize) {
    let Some(mut rest) = length.checked_sub(0x7f) else {
        out.push(u8::try_from(length).unwrap_or(0x7f));
        return;
    };
    out.push(0x7f);
    while rest >= 0x80 {
        out.push(u8::try_from(rest & 0x7f).unwrap_or_default() | 0x80);
        rest >>= 7;
    }
    out.push(u8::try_from(rest).unwrap_or_default());
}

#[cfg(test)]
mod tests;
