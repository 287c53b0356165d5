//! Compressed logs: known by their first bytes, never by their names.

use std::{
    fmt,
    io::{self, BufReader, Read, Write},
};

use bzip2::{bufread::MultiBzDecoder, write::BzEncoder};
use flate2::{
    Compression, GzBuilder, bufread::GzDecoder, bufread::MultiGzDecoder, write::GzEncoder,
};
use liblzma::{bufread::XzDecoder, write::XzEncoder};

use crate::audit::input::content::{self, Content};

/// How a file is compressed, with what a new one needs to be alike.
#[derive(Clone, Debug, Default)]
pub(crate) enum Packing {
    #[default]
    Plain,
    Gzip(Box<Gzip>),
    Zstd,
    Xz,
    Bzip2 {
        level: u32,
    },
}

/// What the header of the first gzip member says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gzip {
    name: Option<Vec<u8>>,
    comment: Option<Vec<u8>>,
    extra: Option<Vec<u8>>,
    mtime: u32,
    system: u8,
    level: u32,
}

/// As many bytes as tell what a file is.
const MAGIC: usize = content::HEAD;

/// As many as the header of a gzip file may take, if it is to be kept.
const HEADER: usize = 4096;

/// What decoders read at once.
const READ: usize = 64 * 1024;

impl Packing {
    /// What begins with `head`, or what it is that nothing here can read.
    fn of(head: &[u8]) -> Result<Self, &'static str> {
        Ok(match Content::of(head) {
            Content::Plain => Self::Plain,
            Content::Gzip => Self::Gzip(Box::default()),
            Content::Zstd => Self::Zstd,
            Content::Xz => Self::Xz,
            Content::Bzip2 => {
                let digit = head.get(3).copied().unwrap_or(b'9');
                let level = u32::from(digit.saturating_sub(b'0'));
                Self::Bzip2 { level }
            }
            Content::Foreign(what) => return Err(what),
        })
    }

    fn with_gzip_header(self, head: &[u8]) -> Self {
        let Self::Gzip(_) = self else { return self };
        let decoder = GzDecoder::new(head);
        let Some(header) = decoder.header() else {
            return self;
        };
        let level = match head.get(8) {
            Some(2) => 9,
            Some(4) => 1,
            _ => 6,
        };
        Self::Gzip(Box::new(Gzip {
            name: header.filename().map(<[u8]>::to_vec),
            comment: header.comment().map(<[u8]>::to_vec),
            extra: header.extra().map(<[u8]>::to_vec),
            mtime: header.mtime(),
            system: header.operating_system(),
            level,
        }))
    }

    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, Self::Plain)
    }

    /// Writes to `to` as this is packed.
    pub(crate) fn pack<W: Write>(&self, to: W) -> io::Result<Packer<W>> {
        Ok(match self {
            Self::Plain => Packer::Plain(to),
            Self::Gzip(gzip) => Packer::Gzip(gzip.encoder(to)),
            Self::Zstd => {
                let mut encoder = zstd::Encoder::new(to, 0)?;
                encoder.include_checksum(true)?;
                Packer::Zstd(encoder)
            }
            Self::Xz => Packer::Xz(XzEncoder::new(to, 6)),
            Self::Bzip2 { level } => {
                Packer::Bzip2(BzEncoder::new(to, bzip2::Compression::new(*level)))
            }
        })
    }
}

impl Gzip {
    fn encoder<W: Write>(&self, to: W) -> GzEncoder<W> {
        let mut header = GzBuilder::new()
            .mtime(self.mtime)
            .operating_system(self.system);
        if let Some(name) = &self.name {
            header = header.filename(name.as_slice());
        }
        if let Some(comment) = &self.comment {
            header = header.comment(comment.as_slice());
        }
        if let Some(extra) = &self.extra {
            header = header.extra(extra.as_slice());
        }
        header.write(to, Compression::new(self.level))
    }
}

impl fmt::Display for Packing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Gzip(_) => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::Bzip2 { .. } => "bzip2",
        })
    }
}

/// The text of `input`, and how it is packed.
pub(crate) fn unpack<'i>(mut input: impl Read + 'i) -> io::Result<(Packing, Box<dyn Read + 'i>)> {
    let mut head = Vec::with_capacity(HEADER);
    // No more is read than that takes: a stream may have no more than its first line yet.
    while content::is_undecided(&head) && read_some(&mut input, &mut head, MAGIC)? {}
    let packing = Packing::of(&head).map_err(io::Error::other)?;
    if packing.is_plain() {
        return Ok((packing, Box::new(io::Cursor::new(head).chain(input))));
    }
    while head.len() < HEADER && read_some(&mut input, &mut head, HEADER)? {}
    let packing = packing.with_gzip_header(&head);
    let input = BufReader::with_capacity(READ, io::Cursor::new(head).chain(input));
    let text: Box<dyn Read + 'i> = match &packing {
        Packing::Plain => Box::new(input),
        Packing::Gzip(_) => Box::new(MultiGzDecoder::new(input)),
        Packing::Zstd => Box::new(zstd::Decoder::with_buffer(input)?),
        Packing::Xz => Box::new(XzDecoder::new_multi_decoder(input)),
        Packing::Bzip2 { .. } => Box::new(MultiBzDecoder::new(input)),
    };
    Ok((packing, text))
}

/// Appends what one read gives, up to `most` bytes in all; `false` at the end.
fn read_some(input: &mut impl Read, head: &mut Vec<u8>, most: usize) -> io::Result<bool> {
    let start = head.len();
    head.resize(most, 0);
    let read = loop {
        match input.read(head.get_mut(start..).unwrap_or_default()) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => break result,
        }
    };
    head.truncate(start.saturating_add(*read.as_ref().unwrap_or(&0)));
    read.map(|read| read > 0)
}

/// Compresses what is written to it.
pub(crate) enum Packer<W: Write> {
    Plain(W),
    Gzip(GzEncoder<W>),
    Zstd(zstd::Encoder<'static, W>),
    Xz(XzEncoder<W>),
    Bzip2(BzEncoder<W>),
}

impl<W: Write> Packer<W> {
    /// Writes what is left.
    pub(crate) fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(to) => Ok(to),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
            Self::Xz(encoder) => encoder.finish(),
            Self::Bzip2(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Packer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(to) => to.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
            Self::Xz(encoder) => encoder.write(bytes),
            Self::Bzip2(encoder) => encoder.write(bytes),
        }
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        if let Self::Plain(to) = self {
            return to.write_vectored(slices);
        }
        let first = slices.iter().find(|slice| !slice.is_empty());
        first.map_or(Ok(0), |slice| self.write(slice))
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(to) => to.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
            Self::Xz(encoder) => encoder.flush(),
            Self::Bzip2(encoder) => encoder.flush(),
        }
    }
}
