//! The chunked coding, read strictly (RFC 9112 section 7.1).
//!
//! The reader is a state machine without input of its own, so it can be fed a
//! byte at a time and fuzzed. Extensions are skipped: what we send on is framed
//! anew, so a lax reader behind us sees only our chunks.

use crate::hygiene;

/// The longest size line and the longest trailer section that are read.
const LONGEST_LINE: usize = 1024;
const LONGEST_TRAILERS: usize = 8 * 1024;

/// The most trailer fields that are read.
const MOST_TRAILERS: usize = 32;

/// What the next bytes of a chunked body are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// A line with a size.
    #[default]
    Size,
    /// This many bytes of data, at least one.
    Data(u64),
    /// The line break behind the data.
    DataEnd,
    /// Trailer fields and the last empty line.
    Trailers,
    Done,
}

/// Reads a chunked body.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chunks(State);

/// What stands at the front of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Nothing whole yet: read more.
    Partial,
    /// `len` bytes of framing to pass over.
    Framing(usize),
    /// `len` bytes of the body.
    Data(usize),
    /// The trailer section, its last empty line included: `len` bytes. The body
    /// ends behind it.
    Trailers(usize),
}

/// The chunks break the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed chunked body")]
pub struct BadChunk;

impl Chunks {
    /// Reads the front of `input` and moves past it.
    ///
    /// # Errors
    ///
    /// [`BadChunk`] if no continuation can make it valid.
    pub fn next(&mut self, input: &[u8]) -> Result<Piece, BadChunk> {
        match self.0 {
            State::Size => self.size(input),
            State::Data(left) => {
                let available = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                if available == 0 {
                    return Ok(Piece::Partial);
                }
                self.0 = match left.saturating_sub(available as u64) {
                    0 => State::DataEnd,
                    left => State::Data(left),
                };
                Ok(Piece::Data(available))
            }
            State::DataEnd => match input {
                [b'\r', b'\n', ..] => {
                    self.0 = State::Size;
                    Ok(Piece::Framing(2))
                }
                [] | [b'\r'] => Ok(Piece::Partial),
                _ => Err(BadChunk),
            },
            State::Trailers => self.trailers(input),
            State::Done => Ok(Piece::Partial),
        }
    }

    fn size(&mut self, input: &[u8]) -> Result<Piece, BadChunk> {
        let Some(end) = memchr::memchr(b'\n', input) else {
            return if input.len() > LONGEST_LINE {
                Err(BadChunk)
            } else {
                Ok(Piece::Partial)
            };
        };
        let line = input
            .get(..end)
            .and_then(|line| line.strip_suffix(b"\r"))
            .ok_or(BadChunk)?;
        let digits = line
            .iter()
            .take_while(|byte| byte.is_ascii_hexdigit())
            .count();
        let (digits, extension) = line.split_at_checked(digits).ok_or(BadChunk)?;
        let well_formed = match extension.iter().find(|byte| !matches!(byte, b' ' | b'\t')) {
            None => extension.is_empty(),
            Some(first) => {
                *first == b';' && !extension.iter().any(|&byte| byte < b' ' && byte != b'\t')
            }
        };
        if !well_formed || line.len() > LONGEST_LINE {
            return Err(BadChunk);
        }
        let digits = str::from_utf8(digits).map_err(|_| BadChunk)?;
        self.0 = match u64::from_str_radix(digits, 16).map_err(|_| BadChunk)? {
            0 => State::Trailers,
            size => State::Data(size),
        };
        Ok(Piece::Framing(end.saturating_add(1)))
    }

    fn trailers(&mut self, input: &[u8]) -> Result<Piece, BadChunk> {
        let length = match input {
            [b'\r', b'\n', ..] => Some(2),
            _ => memchr::memmem::find(input, b"\r\n\r\n").map(|at| at.saturating_add(4)),
        };
        match length {
            Some(length) if length <= LONGEST_TRAILERS => {
                let section = input.get(..length).unwrap_or_default();
                if !is_field_section(section) {
                    return Err(BadChunk);
                }
                self.0 = State::Done;
                Ok(Piece::Trailers(length))
            }
            None if input.len() < LONGEST_TRAILERS => Ok(Piece::Partial),
            _ => Err(BadChunk),
        }
    }
}

/// Whether a trailer section is made of field lines, each with its CR: a lax
/// reader would end the body at a bare LF and take the rest for a request.
fn is_field_section(section: &[u8]) -> bool {
    let mut before = 0;
    let has_bare_feed = section
        .iter()
        .any(|&byte| std::mem::replace(&mut before, byte) != b'\r' && byte == b'\n');
    let mut fields = [httparse::EMPTY_HEADER; MOST_TRAILERS];
    !has_bare_feed
        && matches!(
            httparse::parse_headers(section, &mut fields),
            Ok(httparse::Status::Complete((length, _))) if length == section.len()
        )
}

/// Appends the line that opens a chunk of `size` bytes.
pub fn push_size(out: &mut Vec<u8>, size: usize) {
    use std::io::Write as _;
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{size:x}\r\n");
}

/// Appends the end of a chunked body with those of its `trailers` that may be
/// passed on (RFC 9110 section 6.5.1: none that frames, routes or authorizes, and none that
/// says who somebody is).
///
/// # Errors
///
/// [`BadChunk`] if the section is not made of field lines.
pub fn push_end(out: &mut Vec<u8>, trailers: &[u8]) -> Result<(), BadChunk> {
    const KEPT_BACK: [&str; 21] = [
        "authorization",
        "cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "cookie",
        "forwarded",
        "host",
        "keep-alive",
        "proxy-authorization",
        "referer",
        "te",
        "transfer-encoding",
        "upgrade",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-proto",
        "x-real-ip",
    ];
    out.extend_from_slice(b"0\r\n");
    if trailers.len() > 2 {
        let mut fields = [httparse::EMPTY_HEADER; MOST_TRAILERS];
        let Ok(httparse::Status::Complete((_, fields))) =
            httparse::parse_headers(trailers, &mut fields)
        else {
            return Err(BadChunk);
        };
        for field in fields.iter().filter(|field| {
            !hygiene::is_identity(field.name)
                && !KEPT_BACK
                    .iter()
                    .any(|name| field.name.eq_ignore_ascii_case(name))
        }) {
            for piece in [field.name.as_bytes(), b": ", field.value, b"\r\n"] {
                out.extend_from_slice(piece);
            }
        }
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The body and its trailer section.
    type Whole = (Vec<u8>, Vec<u8>);

    /// Reads a whole body, `step` bytes more at a time.
    fn read(input: &[u8], step: usize) -> Result<Option<Whole>, BadChunk> {
        let (mut chunks, mut body) = (Chunks::default(), Vec::new());
        let (mut rest, mut seen) = (input, 0_usize);
        loop {
            let visible = rest.len().min(seen);
            let taken = match chunks.next(&rest[..visible])? {
                Piece::Partial if visible == rest.len() => return Ok(None),
                Piece::Partial => {
                    seen = seen.saturating_add(step);
                    continue;
                }
                Piece::Framing(length) => length,
                Piece::Data(length) => {
                    body.extend_from_slice(&rest[..length]);
                    length
                }
                Piece::Trailers(length) => return Ok(Some((body, rest[..length].to_vec()))),
            };
            rest = &rest[taken..];
            seen = seen.saturating_sub(taken);
        }
    }

    #[test]
    fn reads_chunks() {
        type Case<'a> = (&'a str, &'a str, Result<Option<&'a str>, BadChunk>);
        let cases: [Case<'_>; 18] = [
            (
                "two chunks",
                "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
                Ok(Some("abcde")),
            ),
            ("extension", "3;a=b\r\nabc\r\n0\r\n\r\n", Ok(Some("abc"))),
            ("trailers", "0\r\nA: b\r\n\r\n", Ok(Some(""))),
            ("not yet", "3\r\nab", Ok(None)),
            ("LF alone", "3\nabc\r\n0\r\n\r\n", Err(BadChunk)),
            ("no size", "\r\nabc", Err(BadChunk)),
            ("not a number", "x\r\nabc", Err(BadChunk)),
            ("sign", "+3\r\nabc\r\n", Err(BadChunk)),
            ("space before", " 3\r\nabc\r\n", Err(BadChunk)),
            ("space behind", "3 \r\nabc\r\n", Err(BadChunk)),
            ("past 64 bits", "10000000000000000\r\n", Err(BadChunk)),
            ("prefix", "0x3\r\nabc\r\n", Err(BadChunk)),
            ("data too long", "3\r\nabcd\r\n", Err(BadChunk)),
            ("no break behind data", "3\r\nabc0\r\n\r\n", Err(BadChunk)),
            (
                "bare LF ends no body",
                "0\r\n\nGET / HTTP/1.1\r\n\r\n",
                Err(BadChunk),
            ),
            (
                "nor the trailers",
                "0\r\nA: b\n\nGET / HTTP/1.1\r\n\r\n",
                Err(BadChunk),
            ),
            (
                "trailer that is no field",
                "0\r\nno field\r\n\r\n",
                Err(BadChunk),
            ),
            (
                "control byte in an extension",
                "3;\u{1}\r\nabc\r\n",
                Err(BadChunk),
            ),
        ];
        for (name, input, expected) in cases {
            for step in [1, 2, 3, 1000] {
                let body = read(input.as_bytes(), step).map(|done| done.map(|(body, _)| body));
                assert_eq!(
                    body,
                    expected.map(|body| body.map(|body| body.as_bytes().to_vec())),
                    "case: {name}, step {step}"
                );
            }
        }
    }

    #[test]
    fn passes_on_harmless_trailers_only() {
        let mut out = Vec::new();
        push_end(
            &mut out,
            b"X-Checksum: 1\r\nAuthorization: Bearer SECRET\r\nHost: x\r\n\
              X-Matrix-User: @root:hs\r\nx_token_scope: all\r\n\r\n",
        )
        .unwrap();
        assert_eq!(out, b"0\r\nX-Checksum: 1\r\n\r\n");
        assert!(push_end(&mut Vec::new(), b"no field line\r\n\r\n").is_err());
    }

    proptest! {
        #[test]
        fn what_we_write_we_read(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8), step in 1_usize..50) {
            let mut wire = Vec::new();
            for chunk in &chunks {
                push_size(&mut wire, chunk.len());
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(b"\r\n");
            }
            push_end(&mut wire, b"\r\n").unwrap();
            prop_assert_eq!(read(&wire, step).unwrap().unwrap().0, chunks.concat());
        }

        #[test]
        fn a_step_changes_nothing(input in prop::collection::vec(prop_oneof![Just(b'0'), Just(b'3'), Just(b'\r'), Just(b'\n'), Just(b';'), any::<u8>()], 0..60)) {
            let whole = read(&input, 1000);
            for step in [1, 2, 7] {
                let stepped = read(&input, step);
                prop_assert_eq!(&stepped, &whole);
            }
        }
    }
}
