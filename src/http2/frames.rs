//! Finds the frames in what a client sends, and counts those that ask for
//! nothing.
//!
//! Every PING is answered and every SETTINGS frame acknowledged, however many
//! come. A client needs a few of them for each request and each window of data;
//! what goes far beyond is a flood.

use super::PREFACE;

/// How many such frames a connection may send for nothing.
const FREE: u64 = 10_000;

/// How many bytes, in either direction, earn one more. A PING and its answer
/// must not pay for the next one; a `WINDOW_UPDATE` for a whole frame of data may.
const BYTES_EACH: u64 = 32;

/// How many streams a client may reset, beside every second one it opens: who
/// opens and resets without end makes us begin what nobody wants.
const FREE_RESETS: u64 = 500;

/// The first bytes of a frame (RFC 9113 section 4.1).
const HEADER: usize = 9;

/// A frame that begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The length behind the header.
    pub length: u32,
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream.
    pub stream: u32,
}

/// RFC 9113 section 6.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const CONTINUATION: u8 = 9;

/// Where in the client's bytes we are.
#[derive(Clone, Copy, Debug)]
pub struct Frames {
    /// Bytes of the preface or of a frame that are passed over.
    skip: usize,
    header: [u8; HEADER],
    filled: usize,
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            skip: PREFACE.len(),
            header: [0; HEADER],
            filled: 0,
        }
    }
}

impl Frames {
    /// Passes over what has arrived; `begins` hears of each frame.
    pub fn read(&mut self, mut bytes: &[u8], mut begins: impl FnMut(Frame)) {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len());
                self.skip = self.skip.saturating_sub(skipped);
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            let room = self.header.get_mut(self.filled..).unwrap_or_default();
            let taken = room.len().min(bytes.len());
            for (to, from) in room.iter_mut().zip(bytes) {
                *to = *from;
            }
            bytes = bytes.get(taken..).unwrap_or_default();
            self.filled = self.filled.saturating_add(taken);
            if self.filled == HEADER {
                self.filled = 0;
                let [high, middle, low, kind, flags, stream @ ..] = self.header;
                let frame = Frame {
                    length: u32::from_be_bytes([0, high, middle, low]),
                    kind,
                    flags,
                    // Its first bit is reserved.
                    stream: u32::from_be_bytes(stream) & 0x7fff_ffff,
                };
                self.skip = usize::try_from(frame.length).unwrap_or(usize::MAX);
                begins(frame);
            }
        }
    }
}

/// What a connection has asked for, and how often for nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    has_begun: bool,
    idle: u64,
    bytes: u64,
    opened: u64,
    reset: u64,
}

impl Tally {
    /// A frame came.
    pub fn received(&mut self, frame: Frame) {
        self.has_begun = true;
        match frame.kind {
            // Small ones are for h2 to judge: it has a budget for their framing.
            DATA | HEADERS | CONTINUATION if frame.length > 0 => {
                self.bytes = self.bytes.saturating_add(u64::from(frame.length));
                self.opened = self.opened.saturating_add(u64::from(frame.kind == HEADERS));
            }
            RST_STREAM => {
                self.reset = self.reset.saturating_add(1);
                self.idle = self.idle.saturating_add(1);
            }
            _ => self.idle = self.idle.saturating_add(1),
        }
    }

    /// The client took this many bytes.
    pub fn sent(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }

    /// Whether a frame came at all.
    #[must_use]
    pub const fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Whether there were far too many.
    #[must_use]
    pub const fn is_flood(&self) -> bool {
        self.idle > FREE.saturating_add(self.bytes / BYTES_EACH)
            || self.reset > FREE_RESETS.saturating_add(self.opened / 2)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, length: u32) -> Frame {
        Frame {
            length,
            kind,
            flags: 0,
            stream: 1,
        }
    }

    #[test]
    fn tells_work_from_floods() {
        type Case<'a> = (&'a str, u64, &'a [(u8, u32)], usize, bool);
        let cases: [Case<'_>; 8] = [
            ("pings", 25_000, &[(6, 8)], 17, true),
            (
                "a ping each second for two hours",
                7_200,
                &[(6, 8)],
                17,
                false,
            ),
            ("window updates for nothing", 10_001, &[(8, 4)], 0, true),
            (
                "window updates for a gigabyte",
                65_536,
                &[(8, 4), (8, 4)],
                16_393,
                false,
            ),
            (
                "a small request with updates and a ping",
                1_000_000,
                &[(1, 60), (8, 4), (8, 4), (6, 8)],
                150,
                false,
            ),
            ("empty DATA", 10_001, &[(0, 0)], 0, true),
            ("every request reset", 1_200, &[(1, 60), (3, 4)], 0, true),
            (
                "every third request reset",
                1_000_000,
                &[(1, 60), (1, 60), (1, 60), (3, 4)],
                100,
                false,
            ),
        ];
        for (name, rounds, frames, sent, expected) in cases {
            let mut tally = Tally::default();
            for _ in 0..rounds {
                for &(kind, length) in frames {
                    tally.received(frame(kind, length));
                }
                tally.sent(sent);
            }
            assert_eq!(tally.is_flood(), expected, "case: {name}");
        }
    }

    proptest! {
        #[test]
        fn finds_every_frame(frames in prop::collection::vec((0..12_u8, 0..70_u32, any::<u8>(), 0..9_u32), 0..9), step in 1..40_usize) {
            let mut wire = PREFACE.to_vec();
            let mut expected = Vec::new();
            for (kind, length, flags, stream) in frames {
                wire.extend_from_slice(&length.to_be_bytes()[1..]);
                wire.extend_from_slice(&[kind, flags]);
                wire.extend_from_slice(&stream.to_be_bytes());
                wire.extend(std::iter::repeat_n(0xff, usize::try_from(length).unwrap()));
                expected.push(Frame { length, kind, flags, stream });
            }
            let (mut found, mut reader) = (Vec::new(), Frames::default());
            for piece in wire.chunks(step) {
                reader.read(piece, |frame| found.push(frame));
            }
            prop_assert_eq!(found, expected);
        }
    }
}
