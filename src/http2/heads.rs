//! Finds the heads in what a client sends, and lets h2 read what it can
//! ([`paths`](super::paths)).
//!
//! Bytes go on as they came, and where they are, but for the head of a request
//! that has not arrived whole: that is kept back until it has. A head whose path
//! h2 must not see is sent on in frames of ours.

use std::{borrow::Cow, fmt, ops::Range};

use super::{
    PREFACE,
    frames::{self, Frame},
    paths::Paths,
};

/// What is heard of while reading.
pub enum Event {
    /// A frame came.
    Frame(Frame),
    /// The path of this stream, which h2 does not know.
    Path(u32, Vec<u8>),
    /// What h2 is not to read on for: more CONTINUATION frames than it takes, or
    /// a push, which no client may send.
    Hostile,
}

/// Reads what a client sends, from the preface on.
pub struct Heads {
    /// Bytes of the preface or of a frame that are passed over.
    skip: usize,
    paths: Paths,
    /// The newest stream.
    newest: u32,
    most_continuations: usize,
    /// The beginning of a head, or of a frame's header.
    kept: Vec<u8>,
    ready: Vec<u8>,
    given: usize,
}

/// What may become of bytes.
enum Look {
    /// They go on.
    Pass,
    /// From here on they are kept.
    Keep(usize),
    /// These are replaced.
    Replace(Range<usize>, Vec<u8>),
}

impl Heads {
    /// For a connection whose header lists may have `list` bytes.
    #[must_use]
    pub fn new(list: usize) -> Self {
        // As h2 counts them: a quarter more than are needed, and five.
        let needed = list.checked_div(frames::LARGEST).unwrap_or(1).max(1);
        Self {
            skip: PREFACE.len(),
            paths: Paths::default(),
            newest: 0,
            most_continuations: needed.saturating_add(needed / 4).max(5),
            kept: Vec::new(),
            ready: Vec::new(),
            given: 0,
        }
    }

    /// Reads what has arrived. As many of its first bytes as are returned go on;
    /// the others are here now, and go on as what is [`ready`](Self::ready).
    pub fn read(&mut self, arrived: &[u8], mut hear: impl FnMut(Event)) -> usize {
        if !self.kept.is_empty() || !self.ready().is_empty() {
            self.kept.extend_from_slice(arrived);
            self.look_at_kept(&mut hear);
            return 0;
        }
        match self.look(arrived, &mut hear) {
            Look::Pass => arrived.len(),
            Look::Keep(from) => {
                self.keep(arrived, from);
                from
            }
            Look::Replace(span, with) => {
                self.ready = with;
                self.keep(arrived, span.end);
                self.look_at_kept(&mut hear);
                span.start
            }
        }
    }

    /// What goes on next.
    #[must_use]
    pub fn ready(&self) -> &[u8] {
        self.ready.get(self.given..).unwrap_or_default()
    }

    /// The first bytes of it have gone.
    pub fn gave(&mut self, count: usize) {
        self.given = self.given.saturating_add(count);
        if self.given >= self.ready.len() {
            self.ready = Vec::new();
            self.given = 0;
        }
    }

    /// Nothing more comes: what was kept goes on as it is.
    pub fn end(&mut self) {
        let kept = std::mem::take(&mut self.kept);
        self.ready.extend_from_slice(&kept);
    }

    fn keep(&mut self, bytes: &[u8], from: usize) {
        let kept = bytes.get(from..).unwrap_or_default();
        self.kept.extend_from_slice(kept);
    }

    fn look_at_kept(&mut self, hear: &mut impl FnMut(Event)) {
        let kept = std::mem::take(&mut self.kept);
        let mut rest = &kept[..];
        while !rest.is_empty() {
            let (end, with, next) = match self.look(rest, hear) {
                Look::Pass => (rest.len(), Vec::new(), rest.len()),
                Look::Keep(from) => {
                    self.keep(rest, from);
                    (from, Vec::new(), rest.len())
                }
                Look::Replace(span, with) => (span.start, with, span.end),
            };
            self.ready
                .extend_from_slice(rest.get(..end).unwrap_or_default());
            self.ready.extend_from_slice(&with);
            rest = rest.get(next..).unwrap_or_default();
        }
    }

    /// Reads up to the first bytes that cannot go on as they are.
    fn look(&mut self, bytes: &[u8], hear: &mut impl FnMut(Event)) -> Look {
        let mut at = 0_usize;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let skipped = self.skip.min(rest.len());
            self.skip = self.skip.saturating_sub(skipped);
            at = at.saturating_add(skipped);
            let rest = rest.get(skipped..).unwrap_or_default();
            if rest.is_empty() {
                return Look::Pass;
            }
            let Some(frame) = Frame::parse(rest) else {
                return Look::Keep(at);
            };
            let read = match frame.kind {
                frames::HEADERS => Block::read(rest, self.most_continuations),
                frames::PUSH_PROMISE => Read::Hostile,
                _ => Read::No,
            };
            match read {
                Read::Partial => return Look::Keep(at),
                Read::Hostile => {
                    hear(Event::Hostile);
                    return Look::Keep(at);
                }
                Read::No => {
                    hear(Event::Frame(frame));
                    self.skip = frame.whole();
                }
                Read::Whole(block) => {
                    let end = at.saturating_add(block.length);
                    let bytes = rest.get(..block.length).unwrap_or_default();
                    if let Some(with) = self.understand(frame, bytes, &block.fields, hear) {
                        return Look::Replace(at..end, with);
                    }
                    at = end;
                }
            }
        }
    }

    /// Reads a head whose frames are `bytes`; returns what is to go on in its place.
    fn understand(
        &mut self,
        first: Frame,
        mut bytes: &[u8],
        fields: &[u8],
        hear: &mut impl FnMut(Event),
    ) -> Option<Vec<u8>> {
        while let Some(frame) = Frame::parse(bytes) {
            hear(Event::Frame(frame));
            bytes = bytes.get(frame.whole()..).unwrap_or_default();
        }
        // Whatever is wrong with it, h2 says so.
        let found = self.paths.read(fields).unwrap_or_default();
        let is_new = first.stream > self.newest;
        self.newest = self.newest.max(first.stream);
        // Trailers have no path.
        if let Some(raw) = found.raw.filter(|_| is_new) {
            hear(Event::Path(first.stream, raw));
        }
        Some(frames_of(first, &found.block?))
    }
}

/// A block in as many frames as it needs, without padding and priority.
fn frames_of(first: Frame, block: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(block.len().saturating_add(frames::HEADER));
    let mut chunks = block.chunks(frames::LARGEST).peekable();
    let mut next = Frame {
        flags: first.flags & frames::END_STREAM,
        ..first
    };
    while let Some(chunk) = chunks.next() {
        if chunks.peek().is_none() {
            next.flags |= frames::END_HEADERS;
        }
        next.length = u32::try_from(chunk.len()).unwrap_or_default();
        next.push_header(&mut out);
        out.extend_from_slice(chunk);
        next.kind = frames::CONTINUATION;
        next.flags = 0;
    }
    out
}

/// What became of reading a block.
enum Read<'b> {
    /// It has not arrived whole.
    Partial,
    /// It is what h2 must not read on for.
    Hostile,
    /// It is none that h2 decodes: it resets the stream, or ends the connection.
    No,
    Whole(Block<'b>),
}

/// A header block that is there.
struct Block<'b> {
    /// Of all its frames.
    length: usize,
    fields: Cow<'b, [u8]>,
}

impl<'b> Block<'b> {
    /// Reads a HEADERS frame and the CONTINUATION frames behind it.
    fn read(bytes: &'b [u8], most_continuations: usize) -> Read<'b> {
        let mut rest = bytes;
        let mut fields: Option<Cow<'b, [u8]>> = None;
        let mut stream = 0;
        // h2 does not count the last one.
        for _ in 0..=most_continuations.saturating_add(1) {
            let Some(frame) = Frame::parse(rest) else {
                return Read::Partial;
            };
            let is_next =
                fields.is_none() || (frame.kind, frame.stream) == (frames::CONTINUATION, stream);
            if !is_next || frame.payload() > frames::LARGEST {
                return Read::No;
            }
            let Some(payload) = rest.get(frames::HEADER..frame.whole()) else {
                return Read::Partial;
            };
            rest = rest.get(frame.whole()..).unwrap_or_default();
            if let Some(fields) = &mut fields {
                fields.to_mut().extend_from_slice(payload);
            } else {
                let Some(fragment) = fragment(frame, payload) else {
                    return Read::No;
                };
                stream = frame.stream;
                fields = Some(Cow::Borrowed(fragment));
            }
            if frame.flags & frames::END_HEADERS != 0 {
                return Read::Whole(Self {
                    length: bytes.len().saturating_sub(rest.len()),
                    fields: fields.unwrap_or_default(),
                });
            }
        }
        Read::Hostile
    }
}

/// The fields in the payload of a HEADERS frame (RFC 9113 section 6.2).
fn fragment(frame: Frame, mut payload: &[u8]) -> Option<&[u8]> {
    let mut padding = 0;
    if frame.flags & frames::PADDED != 0 {
        let (length, rest) = payload.split_first()?;
        padding = usize::from(*length);
        payload = rest;
    }
    if frame.flags & frames::PRIORITY != 0 {
        let ([on @ .., _weight], rest) = payload.split_first_chunk::<5>()?;
        // h2 resets a stream that depends on itself, and reads no field of it.
        if u32::from_be_bytes(*on) & frames::STREAM == frame.stream {
            return None;
        }
        payload = rest;
    }
    payload.get(..payload.len().checked_sub(padding)?)
}

impl fmt::Debug for Heads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heads")
            .field("newest", &self.newest)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(frame) => frame.fmt(f),
            Self::Path(stream, _) => write!(f, "Path({stream}, ..)"),
            Self::Hostile => f.write_str("Hostile"),
        }
    }
}

#[cfg(test)]
mod tests;
