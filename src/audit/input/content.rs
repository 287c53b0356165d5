//! What a file or stream is, by its first bytes.

use std::io::{BufReader, Read};

use super::{Problem, Raw};

/// First bytes that tell what it is.
pub(crate) const HEAD: usize = 8;

/// Compressed bytes read at once: more than the answer to one block takes.
const BEFORE: usize = 128 * 1024;

/// What it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Plain,
    Gzip,
    Zstd,
    Xz,
    Bzip2,
    /// Nothing that is read here; to call it clean would be wrong.
    Foreign(&'static str),
}

/// Beginnings, and what they mean.
const KNOWN: &[(&[u8], Content)] = &[
    (b"\x1f\x8b", Content::Gzip),
    (b"\x28\xb5\x2f\xfd", Content::Zstd),
    (b"\xfd7zXZ\x00", Content::Xz),
    (
        b"LPKSHHRH",
        Content::Foreign("a journal: export it with `journalctl -o export --file`"),
    ),
    (
        b"PK\x03\x04",
        Content::Foreign("a zip archive: unpack it first"),
    ),
    (
        b"7z\xbc\xaf\x27\x1c",
        Content::Foreign("a 7z archive: unpack it first"),
    ),
    (
        b"\x04\x22\x4d\x18",
        Content::Foreign("compressed with lz4: unpack it first"),
    ),
    (
        b"\x1f\x9d",
        Content::Foreign("compressed with compress: unpack it first"),
    ),
    (
        b"\x1f\xa0",
        Content::Foreign("compressed with compress: unpack it first"),
    ),
    (
        b"\x5d\x00\x00",
        Content::Foreign("compressed with lzma: unpack it first"),
    ),
    (
        b"LZIP",
        Content::Foreign("compressed with lzip: unpack it first"),
    ),
    (
        b"Rar!\x1a\x07",
        Content::Foreign("a RAR archive: unpack it first"),
    ),
];

/// Whether more bytes may tell that it is something else than text.
pub(crate) fn is_undecided(head: &[u8]) -> bool {
    let may_begin = |start: &[u8]| start.len() > head.len() && start.starts_with(head);
    KNOWN.iter().any(|(start, _)| may_begin(start))
        || may_begin(b"BZh")
        || matches!(
            head,
            [b'B', b'Z', b'h']
                | [b'B', b'Z', b'h', b'1'..=b'9']
                | [0x50..=0x5f | 0xfe | 0xff]
                | [0x50..=0x5f, 0x2a]
                | [0x50..=0x5f, 0x2a, 0x4d]
                | [0xff, 0xfe]
                | [0xff, 0xfe, _]
                | [0xfe, 0xff]
        )
}

impl Content {
    pub(crate) fn of(head: &[u8]) -> Self {
        match head {
            // The level is one digit, and then comes a block, or the end.
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31 | 0x17, ..] => Self::Bzip2,
            // A frame that says nothing may stand before all others.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            // The mark alone may begin a line of odd bytes; every other byte of text is NUL.
            [0xff, 0xfe, _, 0, ..] | [0xfe, 0xff, 0, ..] => {
                Self::Foreign("UTF-16 text: convert it to UTF-8 first")
            }
            _ => KNOWN
                .iter()
                .find(|(start, _)| head.starts_with(start))
                .map_or(Self::Plain, |(_, content)| *content),
        }
    }

    /// `raw` without the compression. Of all members, where there are several; one that is
    /// damaged or cut is an error when it is read.
    pub(super) fn decoded(self, raw: Box<dyn Read + Send>) -> Result<Raw, Problem> {
        let buffered = |raw| BufReader::with_capacity(BEFORE, raw);
        Ok(match self {
            Self::Plain => raw,
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(buffered(raw))),
            Self::Zstd => Box::new(
                zstd::stream::read::Decoder::with_buffer(buffered(raw)).map_err(Problem::Read)?,
            ),
            Self::Xz => Box::new(liblzma::bufread::XzDecoder::new_multi_decoder(buffered(
                raw,
            ))),
            Self::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(buffered(raw))),
            Self::Foreign(what) => return Err(Problem::Content(what)),
        })
    }
}
