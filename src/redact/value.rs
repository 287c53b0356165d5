//! Where a value ends, and whether there is anything in it to mask.
//!
//! A separator counts where it is written at the encoding of the `=` in front
//! of the value, or plainer: inside `next=%2Fq%3Faccess_token%3Dx%26b` the
//! `%26` ends it, behind a raw `=` it is part of the value. White space ends a
//! value only when it is raw, so that a smuggled CR LF takes its tail along.

use std::ops::Range;

use super::unit::{self, Escape, Unit};
use super::{MASK, STRIKE};

/// The text, and how far it is nothing but a request target or a URL.
///
/// In such a stretch only `&`, `;` and its end close a value, as they do for
/// relocation: a quote there is data. A text that begins with a URL has the
/// stretch up to the first white space. No finding crosses its end and a mask
/// has no white space, so masking cannot move it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'t> {
    pub(super) text: &'t [u8],
    target_end: usize,
    /// Whether a named value is looked at for the shape of a token.
    pub(super) is_classified: bool,
}

impl<'t> Source<'t> {
    pub(super) fn new(text: &'t [u8], is_classified: bool) -> Self {
        let is_target = text.starts_with(b"/")
            || [&b"http://"[..], b"https://"].iter().any(|scheme| {
                text.get(..scheme.len())
                    .is_some_and(|head| head.eq_ignore_ascii_case(scheme))
            });
        let target_end = if is_target { blank_in(text) } else { 0 };
        Self {
            text,
            target_end,
            is_classified,
        }
    }

    pub(super) fn is_target(self, at: usize) -> bool {
        at < self.target_end
    }
}

/// What surrounds a value that is not quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Around {
    /// Only `&` and `;` are not the value's own.
    Target,
    /// Any text: quotes, angles and `#` close a value too.
    Text,
    /// A list or a record: commas and brackets as well.
    Record,
}

/// The value of `name=value` that begins at `from`; `sign` is the `=`.
pub(super) fn of_parameter(source: Source<'_>, from: usize, sign: Unit) -> Option<Range<usize>> {
    if !source.is_target(from)
        && let Some(opening) =
            Opening::read(source.text, from).filter(|opening| opening.opens(source.text))
    {
        return quoted(source, opening);
    }
    let around = if source.is_target(from) {
        Around::Target
    } else {
        Around::Text
    };
    plain(source, from, sign, around)
}

/// The word at `from`, whatever it is, unless a mask or a quoted part follows
/// within it.
pub(super) fn of_word(source: Source<'_>, from: usize, sign: Unit) -> Option<Range<usize>> {
    let end = plain_end(source, from, sign, Around::Text);
    let word = source.text.get(from..end).filter(|word| !word.is_empty())?;
    let is_over = unit::read(source.text, end).is_none_or(|unit| match unit.byte {
        b'<' | b'>' => false,
        _ if unit.is_quote() || unit.byte == b'\\' => {
            memchr::memchr3(b'=', b'%', b'\\', word).is_none()
        }
        _ => true,
    });
    (is_over && !is_struck_out(source.text, from..end)).then_some(from..end)
}

/// The value behind a `:`, or where `=` stands for one, without quotes.
pub(super) fn of_record(source: Source<'_>, from: usize, sign: Unit) -> Option<Range<usize>> {
    plain(source, from, sign, around_record(source, from, sign))
}

/// Where such a value ends, were it to go on at `from`.
pub(super) fn record_end(source: Source<'_>, from: usize, sign: Unit) -> usize {
    plain_end(source, from, sign, around_record(source, from, sign))
}

fn around_record(source: Source<'_>, from: usize, sign: Unit) -> Around {
    match (sign.byte, source.is_target(from)) {
        (b'=', true) => Around::Target,
        (b'=', false) => Around::Text,
        _ => Around::Record,
    }
}

/// A value without quotes, unless it is empty or masked already.
fn plain(source: Source<'_>, from: usize, sign: Unit, around: Around) -> Option<Range<usize>> {
    // A mask has angles of its own.
    let masked = mask_end(source.text, from);
    let start = masked.unwrap_or(from);
    let end = plain_end(source, start, sign, around);
    (end > start && !is_struck_out(source.text, from..end)).then_some(from..end)
}

fn plain_end(source: Source<'_>, from: usize, sign: Unit, around: Around) -> usize {
    let text = source.text;
    if around == Around::Target && sign.is_raw() {
        let value = text.get(from..source.target_end).unwrap_or_default();
        return memchr::memchr2(b'&', b';', value)
            .map_or(source.target_end, |at| from.saturating_add(at));
    }
    let mut at = from;
    while let Some(byte) = text.get(at) {
        if !is_notable(*byte) {
            at = at.saturating_add(1);
            continue;
        }
        let Some(unit) = unit::read(text, at) else {
            break;
        };
        if closes(unit, sign, around) {
            // The backslashes in front of a closing quote belong to it.
            return if unit.is_raw() && unit.is_quote() {
                unescaped(text, from, at)
            } else {
                at
            };
        }
        at = at.saturating_add(unit.width);
    }
    at
}

/// Bytes that may close a value, or begin the spelling of one that does.
fn is_notable(byte: u8) -> bool {
    static NOTABLE: [bool; 256] = notable();
    NOTABLE.get(usize::from(byte)).copied().unwrap_or_default()
}

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "runs at compile time only"
)]
const fn notable() -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte.is_ascii() {
        let is_own = byte.is_ascii_alphanumeric()
            || matches!(byte, b'_' | b'-' | b'.' | b'/' | b'+' | b'=' | b':');
        table[byte as usize] = !is_own;
        byte += 1;
    }
    table
}

fn closes(unit: Unit, sign: Unit, around: Around) -> bool {
    let understood = match unit.escape {
        Escape::None => unit.depth <= sign.depth,
        // In a URL a backslash is data, unless the `=` was written with one too.
        Escape::Json => around != Around::Target || sign.escape == Escape::Json,
        // Written by a log for a byte of the value itself.
        Escape::Hex => sign.escape == Escape::Hex,
    };
    understood
        && match unit.byte {
            b'&' | b';' => true,
            b' ' | b'\t' | b'\r' | b'\n' => unit.depth == 0 && unit.escape != Escape::Hex,
            b'"' | b'\'' | b'`' | b'<' | b'>' | b'#' => around != Around::Target || !unit.is_raw(),
            b',' | b'}' | b']' | b')' => around == Around::Record,
            _ => false,
        }
}

/// `at`, or the first of the backslashes that stand directly before it.
fn unescaped(text: &[u8], from: usize, at: usize) -> usize {
    let value = text.get(from..at).unwrap_or_default();
    at.saturating_sub(
        value
            .iter()
            .rev()
            .take_while(|byte| **byte == b'\\')
            .count(),
    )
}

/// The quote that opens a string, with the backslashes in front of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    quote: Unit,
    slashes: usize,
    /// Where the string begins.
    pub(super) from: usize,
}

impl Opening {
    /// The quote at `at`, if there is one.
    pub(super) fn read(text: &[u8], mut at: usize) -> Option<Self> {
        // More than JSON in JSON in JSON needs are not an escaped quote.
        for slashes in 0..=8 {
            let unit = unit::read(text, at)?;
            at = at.saturating_add(unit.width);
            if unit.is_quote() {
                return Some(Self {
                    quote: unit,
                    slashes,
                    from: at,
                });
            }
            if unit.byte != b'\\' {
                return None;
            }
        }
        None
    }

    /// Whether it opens a value rather than closing what stood before it: the
    /// Referer of a log line may end in `access_token="`.
    fn opens(self, text: &[u8]) -> bool {
        unit::read(text, self.from).is_some_and(|unit| {
            !unit.is_quote()
                && !matches!(
                    unit.byte,
                    b',' | b':' | b';' | b'&' | b')' | b']' | b'}' | b'>'
                )
                && !unit.byte.is_ascii_whitespace()
        })
    }

    /// Whether a quote behind so many backslashes closes the string.
    ///
    /// At each nesting a quote of the string's own has fewer backslashes than
    /// one in its content, and a backslash of the content is doubled as well.
    fn closed_by(self, unit: Unit, slashes: usize) -> bool {
        let own = self.slashes;
        let period = own.saturating_add(1).saturating_mul(2);
        unit.byte == self.quote.byte
            && unit.depth <= self.quote.depth
            && (unit.escape == Escape::None || unit.escape == self.quote.escape)
            && (slashes <= own || slashes.checked_rem(period) == Some(own))
    }
}

/// The content of a string, unless it is empty or masked already.
///
/// A line may have been cut before the closing quote; then it ends with the line.
pub(super) fn quoted(source: Source<'_>, opening: Opening) -> Option<Range<usize>> {
    string(source, opening, opening.from)
}

/// The same from a place inside the string on.
pub(super) fn string(source: Source<'_>, opening: Opening, from: usize) -> Option<Range<usize>> {
    let end = string_end(source, opening, from);
    let is_masked =
        mask_end(source.text, from) == Some(end) || is_struck_out(source.text, from..end);
    (end > from && !is_masked).then_some(from..end)
}

/// The place behind the closing quote, or the end of a string without one.
pub(super) fn behind_string(source: Source<'_>, opening: Opening) -> usize {
    let end = string_end(source, opening, opening.from);
    Opening::read(source.text, end).map_or(end, |closing| closing.from)
}

fn string_end(source: Source<'_>, opening: Opening, from: usize) -> usize {
    let text = source.text;
    let is_target = source.is_target(from);
    let mut slashes = 0_usize;
    let mut run = from;
    let mut at = from;
    while let Some(unit) = unit::read(text, at) {
        if unit.byte == b'\\' {
            slashes = slashes.saturating_add(1);
        } else {
            if unit.is_quote() && opening.closed_by(unit, slashes) {
                return content_end(opening, run, at, slashes);
            }
            if unit.is_raw() && ends_string(unit.byte, opening, is_target) {
                return at;
            }
            slashes = 0;
            run = at.saturating_add(unit.width);
        }
        at = at.saturating_add(unit.width);
    }
    at
}

/// Leaves out the closing quote's own backslashes, which began at `run`.
fn content_end(opening: Opening, run: usize, quote: usize, slashes: usize) -> usize {
    if slashes > opening.slashes && opening.quote.is_raw() {
        quote.saturating_sub(opening.slashes)
    } else {
        run
    }
}

/// Raw bytes that a string cannot hold, given where and how it is written.
fn ends_string(byte: u8, opening: Opening, is_target: bool) -> bool {
    match byte {
        b'\n' | b'\r' => true,
        b' ' | b'\t' | b'&' | b';' => is_target || opening.quote.depth > 0,
        b'"' | b'\'' | b'<' | b'>' => !is_target && opening.quote.depth > 0,
        _ => false,
    }
}

/// The place behind a mask that stands at `from`, in whatever spelling.
fn mask_end(text: &[u8], from: usize) -> Option<usize> {
    MASK.iter().try_fold(from, |at, wanted| {
        let unit = unit::read(text, at).filter(|unit| unit.byte == *wanted)?;
        Some(at.saturating_add(unit.width))
    })
}

/// Whether a value was masked in its place, where the length of a file must not change.
fn is_struck_out(text: &[u8], value: Range<usize>) -> bool {
    text.get(value)
        .is_some_and(|value| value.iter().all(|byte| *byte == STRIKE))
}

/// The first white space, or the end.
fn blank_in(text: &[u8]) -> usize {
    let end = memchr::memchr3(b' ', b'\t', b'\n', text).unwrap_or(text.len());
    let line = text.get(..end).unwrap_or(text);
    memchr::memchr(b'\r', line).unwrap_or(end)
}
