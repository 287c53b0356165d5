//! Sizes with their unit: `32KiB`.

use std::fmt;

use super::problem::show;

/// A number of bytes, written in the largest unit that leaves no fraction.
pub(super) struct Size(pub(super) u64);

/// From large to small; powers of 1024 only, so that nobody has to ask which `K` is meant.
const UNITS: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(bytes) = *self;
        let unit = UNITS.iter().find(|(_, unit)| bytes.is_multiple_of(*unit));
        match unit {
            Some((name, unit)) if bytes != 0 => {
                write!(f, "{}{name}", bytes.checked_div(*unit).unwrap_or_default())
            }
            Some(_) | None => bytes.fmt(f),
        }
    }
}

/// A whole number with a unit, or `0`.
pub(super) fn parse(text: &str) -> Result<u64, String> {
    if text == "0" {
        return Ok(0);
    }
    let (digits, unit) = UNITS
        .iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))
        .filter(|(digits, _)| digits.bytes().all(|byte| byte.is_ascii_digit()))
        .ok_or_else(|| expected(text))?;
    let number: u64 = digits.parse().map_err(|_| expected(text))?;
    number.checked_mul(unit).ok_or_else(|| expected(text))
}

/// A size from `least` to `most`.
pub(super) fn within(text: &str, least: u64, most: u64) -> Result<usize, String> {
    let bytes = parse(text)?;
    let size = usize::try_from(bytes).ok();
    size.filter(|_| (least..=most).contains(&bytes))
        .ok_or_else(|| {
            format!(
                "must be from \"{}\" to \"{}\", not {}",
                Size(least),
                Size(most),
                show(text)
            )
        })
}

/// A size, where `0` stands for no limit.
pub(super) fn limit(text: &str) -> Result<Option<u64>, String> {
    parse(text).map(|bytes| (bytes != 0).then_some(bytes))
}

fn expected(text: &str) -> String {
    format!(
        "must be a whole number with B, KiB, MiB or GiB such as \"32KiB\", or \"0\", not {}",
        show(text)
    )
}
