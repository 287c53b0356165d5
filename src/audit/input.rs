//! Which files there are to read, in the order of time, and what each of them is.
//!
//! Names say nothing of the content: that begins with what it is. Whatever cannot be read
//! is named, be it a file without permission or an archive; nothing is left out in silence.

pub(crate) mod content;
mod patience;
mod rotation;
#[cfg(test)]
mod tests;
pub(crate) mod text;

use std::{
    collections::HashSet,
    fs::{self, File, Metadata},
    io::{self, Read},
    os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
};

use content::Content;
use patience::Patient;
pub(in crate::audit) use rotation::is_rotated;

use super::scan::Watch;
use crate::redact;

/// A stream of bytes that a worker takes with it.
pub(in crate::audit) type Raw = Box<dyn Read + Send>;

/// One thing to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::audit) struct Input {
    /// What reports call it.
    pub(in crate::audit) name: String,
    pub(in crate::audit) source: Source,
    /// Bytes on disk, as far as known.
    pub(in crate::audit) size: u64,
}

/// Where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::audit) enum Source {
    Stdin,
    File(PathBuf),
}

/// An input that is open.
pub(in crate::audit) enum Opened {
    /// A plain file, and its size.
    Plain(File, u64),
    /// Anything else, without its compression.
    Stream(Raw),
}

/// Why an input cannot be read.
#[derive(Debug, thiserror::Error)]
pub(in crate::audit) enum Problem {
    #[error("cannot be opened: {0}")]
    Open(io::Error),
    #[error("cannot be read: {0}")]
    Read(io::Error),
    #[error("is {0}")]
    Content(&'static str),
}

/// All inputs, and what stood in the way.
#[derive(Debug, Default)]
pub(in crate::audit) struct Listed {
    pub(in crate::audit) inputs: Vec<Input>,
    /// For the report: each names a file or directory.
    pub(in crate::audit) problems: Vec<String>,
}

/// What the arguments of the command line name: each file once, however often it is named,
/// and the files of one log in the order of time.
pub(in crate::audit) fn list(arguments: &[PathBuf]) -> Listed {
    let mut walk = Walk::default();
    for argument in arguments {
        walk.argument(argument);
    }
    rotation::sort(&mut walk.listed.inputs);
    walk.listed
}

#[derive(Default)]
struct Walk {
    listed: Listed,
    /// Device and inode.
    seen: HashSet<(u64, u64)>,
}

impl Walk {
    fn argument(&mut self, path: &Path) {
        if path.as_os_str() == "-" {
            let is_new = !self
                .listed
                .inputs
                .iter()
                .any(|input| input.source == Source::Stdin);
            if is_new {
                self.listed.inputs.push(Input {
                    name: "-".to_owned(),
                    source: Source::Stdin,
                    size: 0,
                });
            }
            return;
        }
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => self.directory(path, &found),
            Ok(found) => self.file(path, &found),
            Err(error) => self.problem(path, &error),
        }
    }

    /// Everything below, but for what is no file; links are followed, each folder once.
    fn directory(&mut self, path: &Path, found: &Metadata) {
        if !self.seen.insert((found.dev(), found.ino())) {
            return;
        }
        let mut paths = match fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(entries) => entries,
            Err(error) => return self.problem(path, &error),
        };
        paths.sort_by_key(fs::DirEntry::file_name);
        for entry in paths {
            let path = entry.path();
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            match fs::metadata(&path) {
                Ok(found) if found.is_dir() => self.directory(&path, &found),
                Ok(found) if found.is_file() => self.file(&path, &found),
                // A socket or a device; a link into nothing holds nothing.
                Ok(_) => {}
                Err(error) if is_link && error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => self.problem(&path, &error),
            }
        }
    }

    fn file(&mut self, path: &Path, found: &Metadata) {
        if found.file_type().is_socket() {
            return self.problem(path, &io::Error::other("a socket"));
        }
        if self.seen.insert((found.dev(), found.ino())) {
            self.listed.inputs.push(Input {
                name: shown(path),
                source: Source::File(path.to_owned()),
                size: if found.is_file() { found.len() } else { 0 },
            });
        }
    }

    fn problem(&mut self, path: &Path, error: &io::Error) {
        let path = shown(path);
        self.listed
            .problems
            .push(format!("{path} cannot be read: {error}"));
    }
}

/// A path for people: the name of a page that was saved may hold its URL's token.
fn shown(path: &Path) -> String {
    let path = path.display().to_string();
    String::from_utf8_lossy(&redact::mask(path.as_bytes())).into_owned()
}

impl Input {
    /// Whether it is a file that begins as text does, or is empty still.
    pub(in crate::audit) fn is_plain(&self) -> bool {
        let Source::File(path) = &self.source else {
            return false;
        };
        let read = || {
            let file = File::open(path)?;
            let mut head = [0; content::HEAD];
            let length = read_start(&file, &mut head)?;
            let content = Content::of(head.get(..length).unwrap_or_default());
            io::Result::Ok(file.metadata()?.is_file() && content == Content::Plain)
        };
        read().unwrap_or_default()
    }

    /// Opens it and looks what it is; `watch` hears of the bytes of streams.
    pub(in crate::audit) fn open(&self, watch: &Arc<Watch>) -> Result<Opened, Problem> {
        let counted = |raw: Raw| Counted(raw, Arc::clone(watch));
        let path = match &self.source {
            Source::Stdin => {
                let stdin = Patient::stdin(watch).map_err(Problem::Open)?;
                return stream(counted(Box::new(stdin)));
            }
            Source::File(path) => path,
        };
        let file = File::open(path).map_err(Problem::Open)?;
        let found = file.metadata().map_err(Problem::Open)?;
        // A file of /proc says that it is empty.
        if !found.is_file() {
            return stream(counted(Box::new(Patient::new(file, watch))));
        }
        if found.len() == 0 {
            return stream(counted(Box::new(file)));
        }
        let mut head = [0; content::HEAD];
        let length = read_start(&file, &mut head).map_err(Problem::Read)?;
        match Content::of(head.get(..length).unwrap_or_default()) {
            Content::Plain => Ok(Opened::Plain(file, found.len())),
            content => content
                .decoded(Box::new(counted(Box::new(file))))
                .map(Opened::Stream),
        }
    }
}

fn read_start(file: &File, head: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while let Some(rest) = head.get_mut(length..).filter(|rest| !rest.is_empty()) {
        let at = u64::try_from(length).unwrap_or_default();
        match file.read_at(rest, at) {
            Ok(0) => break,
            Ok(read) => length = length.saturating_add(read),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// Of a stream the first bytes are taken off, and put before the rest again.
fn stream(mut raw: Counted) -> Result<Opened, Problem> {
    let mut head = Vec::with_capacity(content::HEAD);
    let most = u64::try_from(content::HEAD).unwrap_or_default();
    Read::by_ref(&mut raw)
        .take(most)
        .read_to_end(&mut head)
        .map_err(Problem::Read)?;
    let content = Content::of(&head);
    let whole: Raw = Box::new(io::Cursor::new(head).chain(raw));
    content.decoded(whole).map(Opened::Stream)
}

/// Counts what is read.
struct Counted(Raw, Arc<Watch>);

impl Read for Counted {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(room)?;
        self.1
            .done
            .fetch_add(u64::try_from(read).unwrap_or_default(), Ordering::Relaxed);
        Ok(read)
    }
}
