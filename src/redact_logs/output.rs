//! What becomes of text whose secrets are known: written with masks, or only counted.

use std::io::{self, IoSlice, Write};

use super::cleaner::{Output, Secret};
use crate::redact::MASK;

/// Writes the text with a mask in the place of each secret, copying nothing.
#[derive(Debug)]
pub(crate) struct Masked<W> {
    to: W,
    /// Whether somebody will want to know how much there was: lines take time to count.
    is_counting: bool,
    pub(crate) counts: Counts,
}

impl<W: Write> Masked<W> {
    pub(crate) fn new(to: W) -> Self {
        Self {
            to,
            is_counting: false,
            counts: Counts::default(),
        }
    }

    pub(crate) fn counting(to: W) -> Self {
        Self {
            is_counting: true,
            ..Self::new(to)
        }
    }

    pub(crate) fn into_inner(self) -> W {
        self.to
    }
}

impl<W: Write> Output for Masked<W> {
    fn block(&mut self, text: &[u8], secrets: &[Secret]) -> io::Result<()> {
        if self.is_counting {
            self.counts.add(text, secrets);
        }
        let mut slices = Vec::with_capacity(secrets.len().saturating_mul(2).saturating_add(1));
        let mut at = 0;
        for Secret { span, is_continued } in secrets {
            slices.push(IoSlice::new(text.get(at..span.start).unwrap_or_default()));
            if !is_continued {
                slices.push(IoSlice::new(MASK));
            }
            at = span.end;
        }
        slices.push(IoSlice::new(text.get(at..).unwrap_or_default()));
        write_all(&mut self.to, &mut slices)
    }
}

fn write_all(to: &mut impl Write, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
    // Leaves out those that are empty.
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        match to.write_vectored(slices) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut slices, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// How much there was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) bytes: u64,
    pub(crate) lines: u64,
    pub(crate) secrets: u64,
    /// Bytes of all secrets.
    secret_bytes: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, text: &[u8], secrets: &[Secret]) {
        let lines = memchr::memchr_iter(b'\n', text).count();
        self.bytes = self.bytes.saturating_add(text.len() as u64);
        self.lines = self.lines.saturating_add(lines as u64);
        for secret in secrets {
            self.secrets = self.secrets.saturating_add(u64::from(!secret.is_continued));
            self.secret_bytes = self.secret_bytes.saturating_add(secret.span.len() as u64);
        }
    }

    /// Whether `masked` is what is left of this: as many lines, as long as it must be, and
    /// without a secret.
    pub(crate) fn is_masked_as(&self, masked: &Self) -> bool {
        let masks = self.secrets.saturating_mul(MASK.len() as u64);
        let expected = self
            .bytes
            .saturating_sub(self.secret_bytes)
            .saturating_add(masks);
        masked.secrets == 0 && masked.lines == self.lines && masked.bytes == expected
    }
}

impl Output for Counts {
    fn block(&mut self, text: &[u8], secrets: &[Secret]) -> io::Result<()> {
        self.add(text, secrets);
        Ok(())
    }
}

/// Whether there is any secret; no more is read than that takes.
#[derive(Debug, Default)]
pub(crate) struct Any(pub(crate) bool);

impl Output for Any {
    fn block(&mut self, _: &[u8], secrets: &[Secret]) -> io::Result<()> {
        self.0 |= !secrets.is_empty();
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.0
    }
}
