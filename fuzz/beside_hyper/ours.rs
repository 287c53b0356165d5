//! What our own parts make of the bytes, put together as the engine does.

use tokenshim::{
    http1::{
        chunked::{Chunks, Piece},
        head::{self, Field, Version},
        length::Length,
        response, survey,
    },
    refusal::Refusal,
    target,
};

use super::{Message, by_name};

/// What stands at the front of the bytes.
#[derive(Debug)]
pub(super) enum Read {
    Whole(Whole),
    Partial,
    Refused(Why),
}

/// A message that is there in full.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) message: Message,
    pub(super) end: usize,
    pub(super) keep_alive: bool,
    /// How many bytes stood between the data of chunks.
    pub(super) framing: usize,
    pub(super) is_until_close: bool,
}

/// Why a message was refused.
#[derive(Debug)]
pub(super) enum Why {
    Request(Refusal),
    /// The target has none of the forms that a request may have.
    Form,
    /// The head of a response, at this place.
    Response(usize),
    /// The line at this place of the message, or the trailers there.
    Size(usize),
    Trailers(usize),
}

impl Why {
    /// Whether the head was it, so that the body was not looked at.
    pub(super) fn is_head(&self) -> bool {
        matches!(self, Self::Request(_) | Self::Form | Self::Response(_))
    }
}

/// The parts of the first line.
pub(super) fn start_line(bytes: &[u8]) -> Option<[&[u8]; 3]> {
    let line = bytes.split(|&byte| byte == b'\n').next()?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let first = memchr::memchr(b' ', line)?;
    let last = memchr::memrchr(b' ', line).filter(|&last| last > first)?;
    Some([&line[..first], &line[first + 1..last], &line[last + 1..]])
}

pub(super) fn request(bytes: &[u8]) -> Read {
    let Some(end) = head::end(bytes, 0) else {
        return Read::Partial;
    };
    if end > head::LONGEST {
        return Read::Refused(Why::Request(Refusal::HeadTooLarge));
    }
    let mut room = [httparse::EMPTY_HEADER; head::MOST_FIELDS];
    let head = match head::parse(&bytes[..end], &mut room) {
        Ok(head) => head,
        Err(refusal) => return Read::Refused(Why::Request(refusal)),
    };
    let survey = match survey::survey(&head) {
        Ok(survey) => survey,
        Err(refusal) => return Read::Refused(Why::Request(refusal)),
    };
    if target::split(head.target).is_none() {
        return Read::Refused(Why::Form);
    }
    let target = start_line(bytes).map(|[_, target, _]| target);
    let start = [
        text(head.method),
        text(target.unwrap()),
        version(head.version),
    ];
    body(
        bytes,
        end,
        survey.length,
        survey.keep_alive,
        start,
        head.fields,
    )
}

/// The first response that is no interim one.
pub(super) fn response(bytes: &[u8], to_head: bool) -> Read {
    let mut at = 0;
    loop {
        let rest = &bytes[at..];
        let Some(end) = head::end(rest, 0) else {
            return Read::Partial;
        };
        let mut room = response::EMPTY_ROOM;
        let Ok(head) = response::parse(&rest[..end], to_head, &mut room) else {
            return Read::Refused(Why::Response(at));
        };
        at += end;
        if head.status < 200 && head.status != 101 {
            continue;
        }
        let start = [
            head.status.to_string(),
            head.reason.to_owned(),
            version(head.version),
        ];
        return body(bytes, at, head.length, head.keep_alive, start, head.fields);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn version(version: Version) -> String {
    let name = match version {
        Version::Http10 => "HTTP/1.0",
        Version::Http11 => "HTTP/1.1",
    };
    name.to_owned()
}

/// Reads the body that begins at `at`.
fn body(
    bytes: &[u8],
    at: usize,
    length: Length,
    keep_alive: bool,
    start: [String; 3],
    lines: &[Field<'_>],
) -> Read {
    let rest = &bytes[at..];
    let mut whole = Whole {
        message: Message {
            start,
            fields: fields(lines),
            body: Vec::new(),
            trailers: Vec::new(),
        },
        end: at,
        keep_alive,
        framing: 0,
        is_until_close: length == Length::UntilClose,
    };
    let size = match length {
        Length::Zero => 0,
        Length::Sized(size) => usize::try_from(size).unwrap_or(usize::MAX),
        Length::UntilClose => rest.len(),
        Length::Chunked => return chunks(bytes, whole),
    };
    let Some(body) = rest.get(..size) else {
        return Read::Partial;
    };
    whole.message.body = body.to_vec();
    whole.end += size;
    Read::Whole(whole)
}

fn chunks(bytes: &[u8], mut whole: Whole) -> Read {
    let mut chunks = Chunks::default();
    let mut is_last = false;
    loop {
        let rest = &bytes[whole.end..];
        match chunks.next(rest) {
            Err(_) if is_last => return Read::Refused(Why::Trailers(whole.end)),
            Err(_) => return Read::Refused(Why::Size(whole.end)),
            Ok(Piece::Partial) => return Read::Partial,
            Ok(Piece::Framing(length)) => {
                let digits = rest.iter().take_while(|byte| byte.is_ascii_hexdigit());
                is_last = length > 2 && digits.eq(rest.iter().take_while(|&&byte| byte == b'0'));
                whole.framing += length;
                whole.end += length;
            }
            Ok(Piece::Data(length)) => {
                whole.message.body.extend_from_slice(&rest[..length]);
                whole.end += length;
            }
            Ok(Piece::Trailers(length)) => {
                let mut room = [httparse::EMPTY_HEADER; head::MOST_FIELDS];
                let Ok(httparse::Status::Complete((_, lines))) =
                    httparse::parse_headers(&rest[..length], &mut room)
                else {
                    panic!("trailers that are no fields");
                };
                whole.message.trailers = fields(lines);
                whole.end += length;
                return Read::Whole(whole);
            }
        }
    }
}

fn fields(lines: &[Field<'_>]) -> super::Fields {
    by_name(lines.iter().map(|line| (line.name, line.value)))
}
