//! Version 1: one line of text.

use std::{
    io::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use memchr::{memchr_iter, memchr2};

use super::{Bad, Endpoints, Parsed};

/// With two full IPv6 addresses behind `UNKNOWN`, and the line's end.
pub(super) const LONGEST: usize = 107;

/// Where the CR must have come.
const WITHOUT_LF: usize = LONGEST - 1;

/// The shortest one is `PROXY UNKNOWN` and the line's end.
pub(super) const SHORTEST: usize = 15;

const UNKNOWN: &[u8] = b"PROXY UNKNOWN";

/// All that a line can begin with.
const BEGINNINGS: [&[u8]; 3] = [b"PROXY TCP4 ", b"PROXY TCP6 ", UNKNOWN];

pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, Bad> {
    let is_beginning = |word: &&[u8]| word.starts_with(bytes) || bytes.starts_with(word);
    if !BEGINNINGS.iter().any(is_beginning) {
        return Err(Bad::Signature);
    }
    let searched = bytes.get(..WITHOUT_LF).unwrap_or(bytes);
    let Some(end) = memchr2(b'\r', b'\n', searched) else {
        return if bytes.len() < WITHOUT_LF {
            Ok(Parsed::Partial)
        } else {
            Err(Bad::TooLong)
        };
    };
    let (text, rest) = bytes.split_at_checked(end).ok_or(Bad::Line)?;
    match rest {
        [b'\r'] => Ok(Parsed::Partial),
        [b'\r', b'\n', ..] => Ok(Parsed::Done {
            length: end.saturating_add(2),
            endpoints: line(text)?,
        }),
        // "The receiver must not tolerate a single CR or LF."
        _ => Err(Bad::Line),
    }
}

/// The line without its end.
fn line(text: &[u8]) -> Result<Option<Endpoints>, Bad> {
    if let Some(rest) = text.strip_prefix(UNKNOWN) {
        // Whatever stands behind is to be ignored, if it is a word of its own.
        return match rest {
            [] | [b' ', ..] => Ok(None),
            _ => Err(Bad::Line),
        };
    }
    let text = str::from_utf8(text).map_err(|_| Bad::Line)?;
    let mut words = text.split(' ').skip(1);
    let mut word = || words.next().ok_or(Bad::Line);
    let (family, source, destination) = (word()?, word()?, word()?);
    let (source_port, destination_port) = (port(word()?)?, port(word()?)?);
    if words.next().is_some() {
        return Err(Bad::Line);
    }
    let addresses = match family {
        "TCP4" => pair::<Ipv4Addr>(source, destination),
        _ => pair::<Ipv6Addr>(source, destination),
    };
    let (source, destination) = addresses.ok_or(Bad::Line)?;
    Ok(Some(Endpoints::new(
        (source, source_port),
        (destination, destination_port),
    )))
}

fn pair<A: FromStr + Into<IpAddr>>(source: &str, destination: &str) -> Option<(IpAddr, IpAddr)> {
    let address = |text: &str| text.parse::<A>().ok().map(Into::into);
    address(source).zip(address(destination))
}

/// Decimal, without a sign and without leading zeros.
fn port(text: &str) -> Result<u16, Bad> {
    let is_canonical = text == "0" || matches!(text.as_bytes(), [b'1'..=b'9', ..]);
    let port = text.parse().ok().filter(|_| is_canonical);
    port.ok_or(Bad::Line)
}

/// How many bytes at least are missing from a line that is not whole.
pub(super) fn missing(line: &[u8]) -> usize {
    let end = if line.ends_with(b"\r") { 1 } else { 2 };
    // The shortest of what comes behind the word that we are in: spaces, an
    // address (`1.1.1.1` or `::`), ports of one digit, the line's end.
    let is_v4 = line.starts_with(b"PROXY TCP4");
    match memchr_iter(b' ', line).count() {
        _ if line.starts_with(UNKNOWN) => end,
        2 if is_v4 => 14,
        2 => 9,
        3 => 6,
        4 => 4,
        _ => end,
    }
}

pub(super) fn push(out: &mut Vec<u8>, endpoints: Option<Endpoints>) {
    let Some(Endpoints {
        source,
        destination,
    }) = endpoints
    else {
        out.extend_from_slice(UNKNOWN);
        out.extend_from_slice(b"\r\n");
        return;
    };
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    // Writing to memory cannot fail.
    let _ = write!(
        out,
        "PROXY {family} {} {} {} {}\r\n",
        source.ip(),
        destination.ip(),
        source.port(),
        destination.port()
    );
}
