//! Masks a file that somebody is appending to, in its place.
//!
//! Each byte of a secret becomes a `*`: length and offsets stay, and so do the file and
//! the place at which its writer goes on. What is appended meanwhile is not touched: it is
//! the next run's. Directly before a secret is overwritten it is read once more:
//! where the file was emptied or rewritten meanwhile, nothing is.
//!
//! It declines to touch what is compressed, which has no place for a mask.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::Path,
};

use rustix::fs::OFlags;

use super::{
    cleaner::{Output, Secret, pour},
    compressed::unpack,
    replace::{Cleaned, LeftAlone, Permissions},
};
use crate::redact::{Redactor, STRIKE};

/// What is masked may make something else look like a secret; seldom, and not for ever.
const ROUNDS: usize = 8;

/// What is overwritten at once.
const STRIKES: [u8; 4096] = [STRIKE; 4096];

/// Masks what the file has now, until a whole reading finds nothing.
pub(super) fn strike(
    path: &Path,
    redactor: &Redactor,
    permissions: Permissions,
) -> Result<Cleaned, LiveError> {
    let file = open(path, permissions)?;
    if !file.metadata()?.is_file() {
        return Err(LeftAlone::NotAFile.into());
    }
    let (packing, _) = unpack(&file)?;
    if !packing.is_plain() {
        return Err(LiveError::Compressed);
    }
    let size = file.metadata()?.len();
    let mut struck = 0_u64;
    for _ in 0..ROUNDS {
        (&file).rewind()?;
        let mut strikes = Strikes::new(&file);
        let is_text = pour(redactor, &mut (&file).take(size), &mut strikes);
        let is_text = is_text.map_err(LeftAlone::Stream)?;
        if strikes.secrets == 0 {
            file.sync_data()?;
            let secrets = struck;
            return Ok(Cleaned { secrets, is_text });
        }
        struck = struck.saturating_add(strikes.secrets);
    }
    Err(LeftAlone::Unverified.into())
}

/// Why a file was not masked in its place, or not all of it.
#[derive(Debug, thiserror::Error)]
pub(super) enum LiveError {
    #[error("left alone: it is compressed, so nobody appends to it (--in-place cleans it)")]
    Compressed,
    #[error(transparent)]
    Left(#[from] LeftAlone),
}

impl From<io::Error> for LiveError {
    fn from(error: io::Error) -> Self {
        Self::Left(LeftAlone::Io(error))
    }
}

fn open(path: &Path, permissions: Permissions) -> Result<File, LiveError> {
    let mut flags = OFlags::NONBLOCK;
    if !permissions.follow_symlinks {
        flags |= OFlags::NOFOLLOW;
    }
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    // Not for appending: that would write at the end, whatever place is given.
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(flags)
        .open(path);
    opened.map_err(|error| match error.raw_os_error() {
        Some(code) if code == rustix::io::Errno::LOOP.raw_os_error() => LeftAlone::Symlink.into(),
        _ => error.into(),
    })
}

/// Overwrites the secrets of the text that it is shown.
struct Strikes<'f> {
    file: &'f File,
    /// Where the next text stands in the file.
    offset: u64,
    secrets: u64,
    again: Vec<u8>,
}

impl<'f> Strikes<'f> {
    fn new(file: &'f File) -> Self {
        Self {
            file,
            offset: 0,
            secrets: 0,
            again: Vec::new(),
        }
    }

    fn strike(&mut self, secret: &[u8], mut at: u64) -> io::Result<()> {
        self.again.resize(secret.len(), 0);
        self.file
            .read_exact_at(&mut self.again, at)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => changed(),
                _ => error,
            })?;
        if self.again != secret {
            return Err(changed());
        }
        for part in secret.chunks(STRIKES.len()) {
            let strikes = STRIKES.get(..part.len()).unwrap_or(&STRIKES);
            self.file.write_all_at(strikes, at)?;
            at = at.saturating_add(part.len() as u64);
        }
        Ok(())
    }
}

fn changed() -> io::Error {
    io::Error::other("it was rewritten meanwhile: run again when its rotation is over")
}

impl Output for Strikes<'_> {
    fn block(&mut self, text: &[u8], secrets: &[Secret]) -> io::Result<()> {
        for Secret { span, is_continued } in secrets {
            let secret = text.get(span.clone()).unwrap_or_default();
            self.strike(secret, self.offset.saturating_add(span.start as u64))?;
            self.secrets = self.secrets.saturating_add(u64::from(!is_continued));
        }
        self.offset = self.offset.saturating_add(text.len() as u64);
        Ok(())
    }
}
