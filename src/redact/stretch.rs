//! The stretches of a word that need no look: letters that stand for themselves, and begin
//! no token.

use super::names;

/// What a byte is to a word.
#[derive(Clone, Copy)]
enum Role {
    /// It ends the word, or begins an escape.
    Other,
    Word,
    /// A token may begin with it.
    First,
}

/// How many bytes of such a stretch `text` begins with.
pub(super) fn length(text: &[u8]) -> usize {
    static ROLES: [Role; 256] = roles();
    let ends = |(at, byte): (usize, &u8)| match ROLES.get(usize::from(*byte)) {
        Some(Role::Word) => false,
        Some(Role::First) => may_start(text, at, *byte, 1),
        _ => true,
    };
    text.iter().enumerate().position(ends).unwrap_or(text.len())
}

/// A table, so that a byte costs one look.
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "evaluated by the compiler"
)]
const fn roles() -> [Role; 256] {
    let mut table = [Role::Other; 256];
    let mut byte = 0_u8;
    loop {
        if names::is_word(byte) {
            table[byte as usize] = match second(byte) {
                b"" => Role::Word,
                _ => Role::First,
            };
        }
        if byte == u8::MAX {
            return table;
        }
        byte += 1;
    }
}

/// Whether a token may begin at `at`, where `byte` takes `width` raw bytes: it does not in
/// most places of a word. An escape behind it may say anything, so it is read in full.
#[inline]
pub(super) fn may_start(text: &[u8], at: usize, byte: u8, width: usize) -> bool {
    let second = second(byte);
    if second.is_empty() {
        return false;
    }
    let next = text.get(at.saturating_add(width));
    next.is_some_and(|next| matches!(next, b'%' | b'\\') || second.contains(next))
}

/// What may follow the first letter of a token's prefix; nothing behind all others.
const fn second(first: u8) -> &'static [u8] {
    match first {
        b's' => b"y",
        b'm' => b"acp",
        b'M' => b"D",
        b'r' => b"e",
        b't' => b"s",
        _ => b"",
    }
}
