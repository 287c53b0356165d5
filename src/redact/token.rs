//! Tokens that need no name beside them: their own shape says what they are.
//!
//! Synapse and MAS end a token with a CRC-32 in base 62, so a right one is
//! proof. A `syt_` that is cut, or made up, is masked all the same: behind one
//! of Synapse's prefixes six characters are enough, behind one of MAS's twelve
//! with a digit and a capital among them, since `mat_` begins ordinary names.

use super::names::Tail;
use super::stretch;
use super::unit::{self, Unit};
use super::value::{self, Source};
use super::{Finding, Kind};

/// A token recognised by its shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Who mints such tokens, and for what.
    pub kind: TokenKind,
    /// What its checksum says.
    pub checksum: Checksum,
}

/// Who mints a token, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// `syt_`.
    SynapseAccess,
    /// `syr_`.
    SynapseRefresh,
    /// `syl_`.
    SynapseLogin,
    /// `MDAx`: Synapse's macaroons, for guests and old sessions.
    SynapseMacaroon,
    /// `mat_`.
    MasAccess,
    /// `mar_`.
    MasRefresh,
    /// `mct_`: MAS for clients of the old login.
    MasCompatAccess,
    /// `mcr_`.
    MasCompatRefresh,
    /// `mpt_`.
    MasPersonal,
    /// `refresh_` and 32 characters, Tuwunel.
    TuwunelRefresh,
    /// `tsh_`: our own, by `hash-token --generate`.
    Tokenshim,
}

impl TokenKind {
    /// What reports call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SynapseAccess => "synapse_access",
            Self::SynapseRefresh => "synapse_refresh",
            Self::SynapseLogin => "synapse_login",
            Self::SynapseMacaroon => "synapse_macaroon",
            Self::MasAccess => "mas_access",
            Self::MasRefresh => "mas_refresh",
            Self::MasCompatAccess => "mas_compat_access",
            Self::MasCompatRefresh => "mas_compat_refresh",
            Self::MasPersonal => "mas_personal",
            Self::TuwunelRefresh => "tuwunel_refresh",
            Self::Tokenshim => "tokenshim",
        }
    }

    /// What reports call one that was cut; `None` where nobody can tell, since such
    /// tokens have no checksum.
    #[must_use]
    pub const fn cut_name(self) -> Option<&'static str> {
        Some(match self {
            Self::SynapseAccess => "synapse_access_cut",
            Self::SynapseRefresh => "synapse_refresh_cut",
            Self::SynapseLogin => "synapse_login_cut",
            Self::MasAccess => "mas_access_cut",
            Self::MasRefresh => "mas_refresh_cut",
            Self::MasCompatAccess => "mas_compat_access_cut",
            Self::MasCompatRefresh => "mas_compat_refresh_cut",
            Self::MasPersonal => "mas_personal_cut",
            Self::Tokenshim => "tokenshim_cut",
            Self::SynapseMacaroon | Self::TuwunelRefresh => return None,
        })
    }
}

/// What the checksum of a token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Checksum {
    /// Right.
    Verified,
    /// The whole shape is there and the checksum is wrong.
    Wrong,
    /// The format has none, or the token is cut.
    Absent,
}

/// The shape behind a prefix.
#[derive(Clone, Copy)]
enum Shape {
    /// Base64 of the localpart, then a random part.
    Localpart,
    /// 20 letters, then the checksum.
    Letters,
    /// 30 letters or digits, then the checksum.
    Mixed,
    Macaroon,
    /// 32 letters or digits, no checksum.
    Plain,
}

/// Characters of a token by MAS behind its prefix.
const TOKEN: usize = 37;

/// The finding for a token that begins at `at`, where `unit` was just read.
pub(super) fn starting(source: Source<'_>, at: usize, unit: Unit, tail: &Tail) -> Option<Finding> {
    if !stretch::may_start(source.text, at, unit.byte, unit.width) {
        return None;
    }
    let (mut end, token) = recognise(source.text, at, tail.is_open())?;
    // A token in the place of a name: what it is given may be as secret.
    if let Some(sign) = unit::read(source.text, end).filter(|sign| sign.byte == b'=') {
        let from = end.saturating_add(sign.width);
        end = value::of_parameter(source, from, sign).map_or(end, |span| span.end);
    }
    Some(Finding {
        span: at..end,
        kind: Kind::Token(token),
        name: None,
    })
}

/// The token that fills `text`, whole or as far as it was not cut.
pub(super) fn alone(text: &[u8]) -> Option<Token> {
    let (kind, shape, from) = prefix(text, 0)?;
    let whole = strict(text, 0, from, shape);
    let (end, checksum) = whole.or_else(|| Some((loose(text, from, shape)?, Checksum::Absent)))?;
    (end == text.len()).then_some(Token { kind, checksum })
}

/// End and kind of the token at `at`; `open` says that a loose one may begin here.
fn recognise(text: &[u8], at: usize, open: bool) -> Option<(usize, Token)> {
    let (kind, shape, from) = prefix(text, at)?;
    if let Some((end, checksum)) = strict(text, at, from, shape) {
        return Some((end, Token { kind, checksum }));
    }
    let end = open.then(|| loose(text, from, shape)).flatten()?;
    Some((
        end,
        Token {
            kind,
            checksum: Checksum::Absent,
        },
    ))
}

/// What a prefix announces, and where the rest begins.
fn prefix(text: &[u8], at: usize) -> Option<(TokenKind, Shape, usize)> {
    let (head, from) = take::<4>(text, at)?;
    let (kind, shape) = match &head {
        b"syt_" => (TokenKind::SynapseAccess, Shape::Localpart),
        b"syr_" => (TokenKind::SynapseRefresh, Shape::Localpart),
        b"syl_" => (TokenKind::SynapseLogin, Shape::Letters),
        b"mat_" => (TokenKind::MasAccess, Shape::Mixed),
        b"mar_" => (TokenKind::MasRefresh, Shape::Mixed),
        b"mct_" => (TokenKind::MasCompatAccess, Shape::Mixed),
        b"mcr_" => (TokenKind::MasCompatRefresh, Shape::Mixed),
        b"mpt_" => (TokenKind::MasPersonal, Shape::Mixed),
        b"tsh_" => (TokenKind::Tokenshim, Shape::Mixed),
        b"MDAx" => (TokenKind::SynapseMacaroon, Shape::Macaroon),
        b"refr" => {
            let (rest, from) = take::<4>(text, from)?;
            return (&rest == b"esh_").then_some((TokenKind::TuwunelRefresh, Shape::Plain, from));
        }
        _ => return None,
    };
    Some((kind, shape, from))
}

/// End and checksum, where the shape is whole. What runs on behind it is masked
/// too, but then the six characters are no checksum.
fn strict(text: &[u8], at: usize, from: usize, shape: Shape) -> Option<(usize, Checksum)> {
    let body = match shape {
        Shape::Localpart => {
            let localpart = run(text, from, usize::MAX, is_base64);
            exactly(20, text, underscore(text, localpart.end)?, is_letter)?
        }
        Shape::Letters => exactly(20, text, from, is_letter)?,
        Shape::Mixed => exactly(30, text, from, is_mixed)?,
        Shape::Plain => exactly(32, text, from, is_mixed)?,
        Shape::Macaroon => macaroon(text, from)?,
    };
    if matches!(shape, Shape::Plain | Shape::Macaroon) {
        return Some((run(text, body, usize::MAX, is_part).end, Checksum::Absent));
    }
    let (written, end) = take::<6>(text, underscore(text, body)?)?;
    if !written.iter().all(u8::is_ascii_alphanumeric) {
        return None;
    }
    let further = run(text, end, usize::MAX, is_part).end;
    if further > end {
        return Some((further, Checksum::Absent));
    }
    let signed = text.get(at..body).unwrap_or_default();
    let right = written == signature(signed, matches!(shape, Shape::Mixed));
    Some((
        end,
        if right {
            Checksum::Verified
        } else {
            Checksum::Wrong
        },
    ))
}

/// Where the run of token characters ends that is long enough to be masked.
fn loose(text: &[u8], from: usize, shape: Shape) -> Option<usize> {
    let class = |unit: Unit| is_part(unit) || (unit.depth > 0 && is_base64(unit));
    // The decision looks at a token's length only: a longer run that is refused
    // may hold the next candidate, and is not to be read for each of them.
    let head = run(text, from, TOKEN, class);
    let enough = match shape {
        Shape::Localpart | Shape::Letters => head.count >= 6,
        Shape::Mixed => {
            // Of what it says: the digits of its escapes do not count.
            let has = |class: fn(&u8) -> bool| {
                run(text, from, head.count, |unit| !class(&unit.byte)).count < head.count
            };
            head.count >= 12 && has(u8::is_ascii_digit) && has(u8::is_ascii_uppercase)
        }
        Shape::Macaroon | Shape::Plain => false,
    };
    enough.then(|| run(text, head.end, usize::MAX, class).end)
}

/// Makes a token of ours out of `random`, 30 letters or digits: it ends as MAS's do.
pub(crate) fn push_ours(token: &mut String, random: &str) {
    let from = token.len();
    token.push_str("tsh_");
    token.push_str(random);
    let signed = token.get(from..).unwrap_or_default();
    let digits = signature(signed.as_bytes(), true);
    token.push('_');
    token.extend(digits.map(char::from));
}

/// Behind `location `, at its place in the base64 of a macaroon.
fn macaroon(text: &[u8], from: usize) -> Option<usize> {
    let (head, from) = take::<13>(text, from)?;
    head.ends_with(b"xvY2F0aW9uI").then_some(from)
}

/// The checksum that belongs behind `signed`. Synapse writes the most significant
/// digit first, MAS last; both fill up with zeros on the left.
fn signature(signed: &[u8], reversed: bool) -> [u8; 6] {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut rest = crc32(signed);
    let mut digits = [b'0'; 6];
    let mut used = 0_usize;
    for digit in &mut digits {
        if rest > 0 {
            let value = usize::try_from(rest % 62).unwrap_or_default();
            *digit = DIGITS.get(value).copied().unwrap_or(b'0');
            rest /= 62;
            used = used.saturating_add(1);
        }
    }
    if reversed {
        digits.rotate_left(used);
    } else {
        digits.reverse();
    }
    digits
}

/// CRC-32 as in zlib, over the decoded text.
fn crc32(text: &[u8]) -> u32 {
    const TABLE: [u32; 256] = crc_table();
    let mut crc = u32::MAX;
    let mut at = 0;
    while let Some(unit) = unit::read(text, at) {
        let [low, ..] = crc.to_le_bytes();
        crc = crc >> 8
            ^ TABLE
                .get(usize::from(low ^ unit.byte))
                .copied()
                .unwrap_or_default();
        at = at.saturating_add(unit.width);
    }
    !crc
}

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "runs at compile time only"
)]
const fn crc_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0_u32;
    while index < 256 {
        let mut value = index;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 {
                value >> 1 ^ 0xEDB8_8320
            } else {
                value >> 1
            };
            bit += 1;
        }
        table[index as usize] = value;
        index += 1;
    }
    table
}

fn is_letter(unit: Unit) -> bool {
    unit.byte.is_ascii_alphabetic()
}

fn is_mixed(unit: Unit) -> bool {
    unit.byte.is_ascii_alphanumeric()
}

fn is_base64(unit: Unit) -> bool {
    is_mixed(unit) || matches!(unit.byte, b'+' | b'/')
}

/// What a token runs on with, whatever its shape.
fn is_part(unit: Unit) -> bool {
    is_mixed(unit) || matches!(unit.byte, b'_' | b'-')
}

/// Behind the underscore at `at`.
fn underscore(text: &[u8], at: usize) -> Option<usize> {
    let unit = unit::read(text, at).filter(|unit| unit.byte == b'_')?;
    Some(at.saturating_add(unit.width))
}

/// The next `N` characters, decoded, and the place behind them.
fn take<const N: usize>(text: &[u8], mut at: usize) -> Option<([u8; N], usize)> {
    let mut taken = [0; N];
    for place in &mut taken {
        let unit = unit::read(text, at)?;
        *place = unit.byte;
        at = at.saturating_add(unit.width);
    }
    Some((taken, at))
}

struct Run {
    end: usize,
    count: usize,
}

/// As many characters of a class as there are, up to `most`.
fn run(text: &[u8], from: usize, most: usize, class: impl Fn(Unit) -> bool) -> Run {
    let mut run = Run {
        end: from,
        count: 0,
    };
    while run.count < most
        && let Some(unit) = unit::read(text, run.end).filter(|unit| class(*unit))
    {
        run.end = run.end.saturating_add(unit.width);
        run.count = run.count.saturating_add(1);
    }
    run
}

/// The end of `count` characters of a class.
fn exactly(count: usize, text: &[u8], from: usize, class: impl Fn(Unit) -> bool) -> Option<usize> {
    let run = run(text, from, count, class);
    (run.count == count).then_some(run.end)
}

#[cfg(test)]
pub(super) mod fake {
    //! Tokens made up at run time, with the checksum a server would give them.

    use super::signature;

    /// `body` with its checksum, as Synapse writes it.
    pub(crate) fn synapse(body: &str) -> String {
        with(body, false)
    }

    /// `body` with its checksum, as MAS writes it.
    pub(crate) fn mas(body: &str) -> String {
        with(body, true)
    }

    fn with(body: &str, reversed: bool) -> String {
        let digits = signature(body.as_bytes(), reversed);
        format!("{body}_{}", digits.escape_ascii())
    }
}
