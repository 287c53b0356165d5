//! Where we differ from hyper on purpose, and why.
//!
//! Each reason is looked for in the bytes: a refusal without it is a fault. What is
//! taken though hyper refuses it never decides where a message ends: a target, a
//! minor version and a bare CR in front, for which see the parent module, and the
//! extensions below.

use tokenshim::{
    http1::head,
    refusal::{Malformed, Refusal},
};

use super::ours::{Whole, Why, start_line};

/// hyper adds up the extensions of all chunks and stops at 16 KiB; we look at one
/// line at a time, which costs us nothing, and send none of it on.
pub(super) const MOST_FRAMING: usize = 16 * 1024;

/// Whether the connection stays as long as it does for hyper.
#[derive(Clone, Copy, Debug)]
pub(super) enum Keep {
    Same,
    /// It is closed here, whatever hyper does.
    NotOurs,
    Either,
}

/// hyper overlooks a `Connection` that has bytes beyond ASCII; we find `close` in it.
pub(super) fn to_keep_request(Whole { message, .. }: &Whole) -> Keep {
    if message.values("connection").all(<[u8]>::is_ascii) {
        Keep::Same
    } else {
        Keep::Either
    }
}

/// Both lengths at once: hyper goes by the chunks and uses the connection again,
/// which is how an upstream's connections get out of step.
pub(super) fn to_keep_response(whole: &Whole) -> Keep {
    let is_chunked = whole.framing > 0;
    if is_chunked && whole.message.values("content-length").next().is_some() {
        Keep::NotOurs
    } else {
        to_keep_request(whole)
    }
}

/// Whether a request is refused for a reason that we give on purpose.
pub(super) fn to_refuse_request(why: &Why, bytes: &[u8]) -> bool {
    let [_, target, version] = start_line(bytes).unwrap_or_default();
    match why {
        Why::Request(refusal) => with_fields(bytes, |fields| match refusal {
            // hyper leaves `Host` to who uses it. We route by it, and the upstream
            // must not read another host than we did.
            Refusal::Malformed(Malformed::Host) => match values(fields, "host").as_slice() {
                [] => version != b"HTTP/1.0",
                [host] => !is_plain(host),
                _ => true,
            },
            // Who gives a length twice, be it the same, may mean two things. hyper
            // takes equal ones, and chunks beside a length.
            Refusal::Malformed(Malformed::Length) => {
                let lengths = values(fields, "content-length").len();
                lengths + values(fields, "transfer-encoding").len() > 1
            }
            // hyper leaves what is behind a final `chunked` to who uses it; we
            // frame the body anew, and could not.
            Refusal::TransferCoding => !is_chunked(&values(fields, "transfer-encoding")),
            Refusal::HeadTooLarge => bytes.len() > head::LONGEST,
            _ => false,
        }),
        // `host:port` is for `CONNECT`, and other schemes for other proxies.
        Why::Form => {
            let is_http = |scheme: &[u8]| {
                let start = target.get(..scheme.len());
                start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
            };
            !target.starts_with(b"/") && !is_http(b"http://") && !is_http(b"https://")
        }
        Why::Size(at) => is_odd_size(&bytes[*at..]),
        Why::Trailers(at) => is_odd_trailers(&bytes[*at..]),
        Why::Response(_) => false,
    }
}

/// Whether a response is refused for a reason that we give on purpose.
pub(super) fn to_refuse_response(why: &Why, bytes: &[u8]) -> bool {
    match why {
        Why::Response(at) => {
            let bytes = &bytes[*at..];
            // hyper skips any number of empty lines; none of them is of use, and
            // behind a body they hint at a wrong length.
            let has_empty_line = bytes.starts_with(b"\n") || bytes.starts_with(b"\r\n");
            has_empty_line
                || with_fields(bytes, |fields| {
                    let codings = values(fields, "transfer-encoding");
                    let lengths = values(fields, "content-length");
                    // hyper reads other codings until the connection closes.
                    let has_other_coding = !codings.is_empty() && !is_chunked(&codings);
                    // hyper takes the same length twice.
                    let is_listed = lengths.iter().any(|value| value.contains(&b','));
                    has_other_coding || is_listed || lengths.len() > 1
                })
        }
        Why::Size(at) => is_odd_size(&bytes[*at..]),
        Why::Trailers(at) => is_odd_trailers(&bytes[*at..]),
        Why::Request(_) | Why::Form => false,
    }
}

/// What hyper passes over between size and line break: blanks that no extension
/// follows, control bytes, and more than a kilobyte.
fn is_odd_size(bytes: &[u8]) -> bool {
    let end = memchr::memchr(b'\n', bytes).unwrap_or(bytes.len());
    let line = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]);
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit());
    let behind = &line[digits.count()..];
    let is_blank = !behind.is_empty() && behind.iter().all(|byte| b" \t".contains(byte));
    let has_control = behind.iter().any(|&byte| byte < b' ' && byte != b'\t');
    is_blank || (has_control && memchr::memchr(b';', behind).is_some()) || line.len() > 1024
}

/// Trailers with a bare line feed, or more of them than we read.
fn is_odd_trailers(bytes: &[u8]) -> bool {
    let end = memchr::memmem::find(bytes, b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
    let section = &bytes[..end];
    let feeds = memchr::memchr_iter(b'\n', section).count();
    let whole = memchr::memmem::find_iter(section, b"\r\n").count();
    feeds != whole || whole > 32 || end > 8 * 1024
}

fn is_chunked(codings: &[&[u8]]) -> bool {
    matches!(codings, [coding] if coding.eq_ignore_ascii_case(b"chunked"))
}

/// A host that nobody can read in two ways.
fn is_plain(host: &[u8]) -> bool {
    let mut parts = host.splitn(2, |&byte| byte == b':');
    let name = parts.next().unwrap_or_default();
    let port = parts.next().unwrap_or_default();
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-.".contains(byte);
    !name.is_empty()
        && name.iter().all(is_name)
        && port.len() <= 5
        && port.iter().all(u8::is_ascii_digit)
}

/// Whether there are field lines for which this holds.
fn with_fields(bytes: &[u8], test: impl Fn(&[httparse::Header<'_>]) -> bool) -> bool {
    let start = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
    let mut room = [httparse::EMPTY_HEADER; 128];
    matches!(
        httparse::parse_headers(&bytes[start..], &mut room),
        Ok(httparse::Status::Complete((_, fields))) if test(fields)
    )
}

fn values<'f>(fields: &[httparse::Header<'f>], name: &str) -> Vec<&'f [u8]> {
    fields
        .iter()
        .filter(|field| field.name.eq_ignore_ascii_case(name))
        .map(|field| field.value)
        .collect()
}
