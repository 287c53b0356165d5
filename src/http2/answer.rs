//! What the engine writes, read back: heads, and bodies out of their framing.
//!
//! It is our own output, so whatever does not parse is a defect of ours; it ends
//! the stream, and never becomes half an answer. Bodies and fields of requests to
//! an upstream ([`super::client`]) are read back here, too.

use std::{io, mem::MaybeUninit};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::request;
use crate::http1::{
    chunked::{Chunks, Piece},
    length::Length,
    response,
};

/// The most fields of an answer: an upstream's, and those that we add.
const MOST_FIELDS: usize = response::MOST_FIELDS + 16;

/// The most trailers.
const FEW_FIELDS: usize = 32;

/// The engine wrote what is not an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed answer")]
pub struct BadAnswer;

impl From<BadAnswer> for io::Error {
    fn from(error: BadAnswer) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

/// An answer's head.
#[derive(Debug)]
pub struct Head {
    /// 100 to 999, but not 101.
    pub status: StatusCode,
    /// Without those of HTTP/1.1 alone.
    pub fields: HeaderMap,
    /// How the body is framed.
    pub length: Length,
}

/// Reads a complete head; `to_head` if it answers a `HEAD`.
///
/// # Errors
///
/// [`BadAnswer`]; a `101` is one, since nothing is upgraded here.
pub fn parse(head: &[u8], to_head: bool) -> Result<Head, BadAnswer> {
    let mut room = [MaybeUninit::uninit(); MOST_FIELDS];
    translate(&response::parse(head, to_head, &mut room).map_err(|_| BadAnswer)?)
}

fn translate(head: &response::ResponseHead<'_, '_>) -> Result<Head, BadAnswer> {
    if head.status == 101 {
        return Err(BadAnswer);
    }
    Ok(Head {
        status: StatusCode::from_u16(head.status).map_err(|_| BadAnswer)?,
        fields: fields(head.fields, |name| *name == header::TE)?,
        length: head.length,
    })
}

/// Trailers, from a section that [`Chunks`] has checked.
fn trailers(section: &[u8]) -> Result<HeaderMap, BadAnswer> {
    let mut room = [httparse::EMPTY_HEADER; FEW_FIELDS];
    match httparse::parse_headers(section, &mut room) {
        Ok(httparse::Status::Complete((_, lines))) => fields(lines, |name| *name == header::TE),
        _ => Err(BadAnswer),
    }
}

/// The fields that HTTP/2 has, without those that `is_kept_back` names.
pub(super) fn fields(
    lines: &[httparse::Header<'_>],
    is_kept_back: impl Fn(&HeaderName) -> bool,
) -> Result<HeaderMap, BadAnswer> {
    let mut fields = HeaderMap::with_capacity(lines.len());
    for line in lines {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| BadAnswer)?;
        // `trailers` is all that TE may say (RFC 9113 section 8.2.2).
        let is_coding = name == header::TE && !line.value.eq_ignore_ascii_case(b"trailers");
        if request::is_for_one_hop(&name) || is_coding || is_kept_back(&name) {
            continue;
        }
        let mut value = HeaderValue::from_bytes(line.value).map_err(|_| BadAnswer)?;
        // Never in a compression table, where guesses can be confirmed
        // (RFC 7541 section 7.1).
        value.set_sensitive(is_secret(&name));
        fields.try_append(name, value).map_err(|_| BadAnswer)?;
    }
    Ok(fields)
}

/// Fields whose values are credentials.
fn is_secret(name: &HeaderName) -> bool {
    *name == header::AUTHORIZATION
        || *name == header::PROXY_AUTHORIZATION
        || *name == header::SET_COOKIE
        || *name == header::COOKIE
        || name.as_str() == "authentication-info"
}

/// Where in its body an answer is.
#[derive(Clone, Debug)]
pub struct Body(State);

#[derive(Clone, Debug)]
enum State {
    Sized(u64),
    /// With what came of a line that is not whole.
    Chunked(Chunks, Vec<u8>),
    UntilClose,
    Ended,
}

/// What the front of the engine's bytes is.
#[derive(Debug)]
pub enum Step {
    /// Framing to pass over.
    Framing(usize),
    /// Data for the client.
    Data(usize),
    /// Data for which there was no room.
    Full,
    /// The last framing.
    End(usize, Option<HeaderMap>),
}

impl Body {
    /// A body of this length.
    #[must_use]
    pub fn new(length: Length) -> Self {
        Self(match length {
            Length::Zero => State::Ended,
            Length::Sized(length) => State::Sized(length),
            Length::Chunked => State::Chunked(Chunks::default(), Vec::new()),
            Length::UntilClose => State::UntilClose,
        })
    }

    /// Whether all of it was read.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(self.0, State::Ended)
    }

    /// Whether the end of the connection is its end.
    #[must_use]
    pub fn ends_by_closing(&self) -> bool {
        matches!(self.0, State::UntilClose)
    }

    /// At least as many bytes as `parts` hold of the body, and no more than they
    /// have.
    #[must_use]
    pub fn data_in(&self, parts: &[&[u8]]) -> usize {
        let total = || {
            parts
                .iter()
                .fold(0_usize, |sum, part| sum.saturating_add(part.len()))
        };
        match &self.0 {
            State::Ended => 0,
            State::Sized(left) => total().min(usize::try_from(*left).unwrap_or(usize::MAX)),
            State::Chunked(chunks, line) if line.is_empty() => {
                let (mut chunks, mut data) = (*chunks, 0_usize);
                for part in parts {
                    let mut rest = *part;
                    while !rest.is_empty() {
                        let skip = match chunks.next(rest) {
                            Ok(Piece::Framing(length)) => length,
                            Ok(Piece::Data(length)) => {
                                data = data.saturating_add(length);
                                length
                            }
                            Ok(Piece::Trailers(_)) => return data,
                            Ok(Piece::Partial) | Err(_) => return total(),
                        };
                        rest = rest.get(skip..).unwrap_or_default();
                    }
                }
                data
            }
            State::UntilClose | State::Chunked(..) => total(),
        }
    }

    /// Reads the front of `input`, which is not empty, and moves past it; takes
    /// at most `room` bytes of data.
    ///
    /// # Errors
    ///
    /// [`BadAnswer`] for framing that is none, and for bytes behind the end.
    pub fn next(&mut self, input: &[u8], room: usize) -> Result<Step, BadAnswer> {
        match &mut self.0 {
            State::Ended => Err(BadAnswer),
            State::UntilClose => Ok(data(input.len().min(room))),
            State::Sized(left) => {
                let most = usize::try_from(*left).unwrap_or(usize::MAX);
                let length = input.len().min(room).min(most);
                *left = left.saturating_sub(length as u64);
                if *left == 0 {
                    self.0 = State::Ended;
                }
                Ok(data(length))
            }
            State::Chunked(chunks, line) => {
                let step = if line.is_empty() {
                    next_chunk(chunks, line, input, room)
                } else {
                    next_byte(chunks, line, input)
                }?;
                if matches!(step, Step::End(..)) {
                    self.0 = State::Ended;
                }
                Ok(step)
            }
        }
    }
}

const fn data(length: usize) -> Step {
    match length {
        0 => Step::Full,
        length => Step::Data(length),
    }
}

fn next_chunk(
    chunks: &mut Chunks,
    line: &mut Vec<u8>,
    input: &[u8],
    room: usize,
) -> Result<Step, BadAnswer> {
    let mut ahead = *chunks;
    match ahead.next(input).map_err(|_| BadAnswer)? {
        Piece::Framing(length) => {
            *chunks = ahead;
            Ok(Step::Framing(length))
        }
        Piece::Data(length) => {
            let length = length.min(room);
            // Once more, for no more than there is room for.
            let taken = input.get(..length).unwrap_or_default();
            chunks.next(taken).map_err(|_| BadAnswer)?;
            Ok(data(length))
        }
        Piece::Trailers(length) => {
            *chunks = ahead;
            let section = input.get(..length).unwrap_or_default();
            let trailers = (length > 2).then(|| trailers(section)).transpose()?;
            Ok(Step::End(length, trailers.filter(|map| !map.is_empty())))
        }
        Piece::Partial => {
            line.extend_from_slice(input);
            Ok(Step::Framing(input.len()))
        }
    }
}

/// Completes a line that came in pieces; the engine hardly ever writes one.
fn next_byte(chunks: &mut Chunks, line: &mut Vec<u8>, input: &[u8]) -> Result<Step, BadAnswer> {
    line.push(*input.first().ok_or(BadAnswer)?);
    let step = match chunks.next(line).map_err(|_| BadAnswer)? {
        Piece::Partial => return Ok(Step::Framing(1)),
        Piece::Framing(length) if length == line.len() => Step::Framing(1),
        Piece::Trailers(length) if length == line.len() => {
            let trailers = (length > 2).then(|| trailers(line)).transpose()?;
            Step::End(1, trailers.filter(|map| !map.is_empty()))
        }
        Piece::Framing(_) | Piece::Trailers(_) | Piece::Data(_) => return Err(BadAnswer),
    };
    line.clear();
    Ok(step)
}

#[cfg(test)]
mod tests;
