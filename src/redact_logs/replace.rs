//! Masks what a rotated file holds: a new file is written beside it and takes its place.
//!
//! A file without a secret is only read. One that somebody may still write to is left
//! alone: he would go on in the old file, which has no name any more. Whatever goes
//! wrong, the old file is there as it was.

use std::{
    fs::{self, File, Metadata},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::{
    beside::{Beside, Parent},
    cleaner::{Broken, pour},
    compressed::{Packing, unpack},
    output::{Any, Counts, Masked},
    writers::{self, Hidden, Process, Writers},
};
use crate::redact::Redactor;

/// What the operator takes upon himself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Permissions {
    /// Clean the file that a symbolic link leads to.
    pub(super) follow_symlinks: bool,
    /// Give the file of this name a copy of its own.
    pub(super) break_hard_links: bool,
    /// Go on where nobody can tell whether the file is still written.
    pub(super) force: bool,
}

/// Why a file was not cleaned; it is as it was.
#[derive(Debug, thiserror::Error)]
pub(super) enum LeftAlone {
    #[error("left alone: it is a symbolic link (--follow-symlinks cleans what it leads to)")]
    Symlink,
    #[error("left alone: it is no regular file")]
    NotAFile,
    #[error(
        "left alone: it has {0} names, of which the others would keep the secrets \
         (--break-hard-links cleans this one)"
    )]
    HardLinks(u64),
    #[error(
        "left alone: it has secrets, and {0} still writes to it. Rotate it first (logrotate; \
         `nginx -s reopen` behind a rename), or mask it in its place with --live"
    )]
    Written(Process),
    #[error(
        "left alone: it has secrets, and nobody can tell whether it is still written: {0} \
         (run as root, or say --force if it is not)"
    )]
    Unknown(Hidden),
    #[error("left alone: it changed meanwhile")]
    Changed,
    #[error("something was found again in what was masked: please report this")]
    Unverified,
    #[error(transparent)]
    Stream(#[from] Broken),
    #[error("left alone")]
    Io(#[from] io::Error),
}

/// What became of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cleaned {
    /// Secrets that were masked.
    pub(super) secrets: u64,
    /// Whether all of it looked like text: in what does not, nothing is seen.
    pub(super) is_text: bool,
}

/// Cleans one file.
pub(super) fn clean(
    path: &Path,
    redactor: &Redactor,
    permissions: Permissions,
) -> Result<Cleaned, LeftAlone> {
    let path = resolve(path, permissions)?;
    let parent = Parent::of(&path)?;
    let file = parent.open().map_err(|error| match error.raw_os_error() {
        Some(code) if code == rustix::io::Errno::LOOP.raw_os_error() => LeftAlone::Symlink,
        _ => error.into(),
    })?;
    let looks = file.metadata()?;
    if !looks.is_file() {
        return Err(LeftAlone::NotAFile);
    }
    if let Some(clean) = without_secrets(&file, redactor)? {
        return Ok(clean);
    }
    let links = looks.nlink();
    if links > 1 && !permissions.break_hard_links {
        return Err(LeftAlone::HardLinks(links));
    }
    nobody_writes(&file, permissions)?;
    let new = Beside::new(&parent)?;
    let masked = write_masked(&file, &new, redactor)?;
    new.dress(&file, &looks)?;
    // Takes long for a large file, so before the last look at the old one.
    new.file().sync_all()?;
    // Rotation may have moved, replaced or reopened it while it was read.
    nobody_writes(&file, permissions)?;
    if !is_same(&looks, &file.metadata()?) || parent.identity()? != (looks.dev(), looks.ino()) {
        return Err(LeftAlone::Changed);
    }
    if !new.take_place((looks.dev(), looks.ino()))? {
        return Err(LeftAlone::Changed);
    }
    Ok(masked)
}

fn resolve(path: &Path, permissions: Permissions) -> io::Result<PathBuf> {
    if permissions.follow_symlinks {
        fs::canonicalize(path)
    } else {
        Ok(path.to_owned())
    }
}

/// Reads up to the first secret; `None` if there is one.
fn without_secrets(file: &File, redactor: &Redactor) -> Result<Option<Cleaned>, LeftAlone> {
    let (_, mut text) = unpack(file).map_err(Broken::Read)?;
    let mut any = Any::default();
    let is_text = pour(redactor, &mut text, &mut any)?;
    let secrets = 0;
    Ok((!any.0).then_some(Cleaned { secrets, is_text }))
}

fn nobody_writes(file: &File, permissions: Permissions) -> Result<(), LeftAlone> {
    match writers::of(file)? {
        Writers::Nobody => Ok(()),
        Writers::Somebody(process) => Err(LeftAlone::Written(process)),
        Writers::Unknown(_) if permissions.force => Ok(()),
        Writers::Unknown(hidden) => Err(LeftAlone::Unknown(hidden)),
    }
}

/// Writes the masked text and reads it again.
fn write_masked(old: &File, new: &Beside<'_>, redactor: &Redactor) -> Result<Cleaned, LeftAlone> {
    use std::io::Seek as _;
    let mut input = old;
    input.rewind()?;
    let (packing, mut text) = unpack(input).map_err(Broken::Read)?;
    let mut masked = Masked::counting(packing.pack(new.file())?);
    let is_text = pour(redactor, &mut text, &mut masked)?;
    let had = masked.counts;
    masked.into_inner().finish().map_err(Broken::Write)?;
    if had.is_masked_as(&count(new, redactor, &packing)?) {
        let secrets = had.secrets;
        Ok(Cleaned { secrets, is_text })
    } else {
        Err(LeftAlone::Unverified)
    }
}

fn count(new: &Beside<'_>, redactor: &Redactor, expected: &Packing) -> Result<Counts, LeftAlone> {
    let (packing, mut text) = unpack(new.read_again()?).map_err(Broken::Read)?;
    if packing.is_plain() != expected.is_plain() {
        return Err(LeftAlone::Unverified);
    }
    let mut counts = Counts::default();
    pour(redactor, &mut text, &mut counts)?;
    Ok(counts)
}

/// Whether nothing was written in between.
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    let state = |looks: &Metadata| (looks.size(), looks.mtime(), looks.mtime_nsec());
    state(one) == state(other)
}
