//! The frames that a client sends, and how many of them ask for nothing.
//!
//! Every PING is answered and every SETTINGS frame acknowledged, however many
//! come. A client needs a few of them for each request and each window of data;
//! what goes far beyond is a flood.

/// How many such frames a connection may send for nothing.
const FREE: u64 = 10_000;

/// How many bytes, in either direction, earn one more. A PING and its answer
/// must not pay for the next one; a `WINDOW_UPDATE` for a whole frame of data may.
const BYTES_EACH: u64 = 32;

/// How many streams a client may reset, beside every second one it opens: who
/// opens and resets without end makes us begin what nobody wants.
const FREE_RESETS: u64 = 500;

/// The first bytes of a frame (RFC 9113 section 4.1).
pub const HEADER: usize = 9;

/// The longest payload that is taken; h2 does not offer more.
pub const LARGEST: usize = 16 * 1024;

/// RFC 9113 section 6.
const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const CONTINUATION: u8 = 9;

/// The flags of HEADERS.
pub(super) const END_STREAM: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;
pub(super) const PADDED: u8 = 0x8;
pub(super) const PRIORITY: u8 = 0x20;

/// A stream's number; the bit above is reserved, or says something else.
pub(super) const STREAM: u32 = 0x7fff_ffff;

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

impl Frame {
    /// Reads the header that `bytes` begin with; `None` if it is not whole.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let [high, middle, low, kind, flags, stream @ ..] = *bytes.first_chunk::<HEADER>()?;
        Some(Self {
            length: u32::from_be_bytes([0, high, middle, low]),
            kind,
            flags,
            stream: u32::from_be_bytes(stream) & STREAM,
        })
    }

    /// Appends the header.
    pub fn push_header(&self, out: &mut Vec<u8>) {
        let [_, length @ ..] = self.length.to_be_bytes();
        out.extend_from_slice(&length);
        out.extend_from_slice(&[self.kind, self.flags]);
        out.extend_from_slice(&self.stream.to_be_bytes());
    }

    /// How many bytes follow its header.
    #[must_use]
    pub fn payload(&self) -> usize {
        usize::try_from(self.length).unwrap_or(usize::MAX)
    }

    /// How many bytes it has.
    #[must_use]
    pub fn whole(&self) -> usize {
        self.payload().saturating_add(HEADER)
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
}
