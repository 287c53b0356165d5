//! The named logs, from where they ended when the probe began.
//!
//! A log may be rotated meanwhile: what was renamed is read to its end through the file
//! that is open, and the new one from its beginning. One that shrinks has lost lines, and
//! can prove nothing any more.

use std::{
    fs::{File, Metadata},
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// The longest line that is looked at in one piece.
const LONGEST_LINE: usize = 256 * 1024;

/// How much of a longer line is looked at twice, so that no mark is cut in two.
const OVERLAP: usize = 4 * 1024;

/// One log.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    open: Option<Open>,
    /// Why it cannot tell everything, once that is so.
    trouble: Option<String>,
}

#[derive(Debug)]
struct Open {
    file: File,
    at: u64,
    /// The beginning of a line whose end is not there yet.
    rest: Vec<u8>,
}

impl Log {
    /// Notes where it ends now. One that is not there yet may still come.
    pub(super) fn begin(path: &Path) -> Self {
        let mut log = Self {
            path: path.to_owned(),
            open: None,
            trouble: None,
        };
        match open(path) {
            Ok((file, metadata)) => {
                log.open = Some(Open {
                    file,
                    at: metadata.len(),
                    rest: Vec::new(),
                });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => log.trouble = Some(error.to_string()),
        }
        log
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Why it cannot tell everything.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Whether it could be opened.
    pub(super) fn is_there(&self) -> bool {
        self.open.is_some()
    }

    /// Gives each line that came since to `look`; the last one may still be growing, and
    /// is given only if this `is_last`.
    pub(super) fn read(&mut self, is_last: bool, look: &mut impl FnMut(&[u8])) {
        if self.trouble.is_some() {
            return;
        }
        if let Err(error) = self.try_read(is_last, look) {
            self.trouble = Some(error.to_string());
        }
    }

    fn try_read(&mut self, is_last: bool, look: &mut impl FnMut(&[u8])) -> io::Result<()> {
        let current = match open(&self.path) {
            Ok(found) => Some(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if let Some(open) = &mut self.open {
            let metadata = open.file.metadata()?;
            if metadata.len() < open.at {
                return Err(io::Error::other(
                    "was emptied meanwhile, and lines may be lost",
                ));
            }
            let is_rotated = current
                .as_ref()
                .is_some_and(|(_, new)| !is_same(new, &metadata));
            open.read(is_last || is_rotated, look)?;
            if !is_rotated {
                return Ok(());
            }
        }
        if let Some((file, _)) = current {
            let mut open = Open {
                file,
                at: 0,
                rest: Vec::new(),
            };
            open.read(is_last, look)?;
            self.open = Some(open);
        }
        Ok(())
    }
}

impl Open {
    fn read(&mut self, is_last: bool, look: &mut impl FnMut(&[u8])) -> io::Result<()> {
        let mut block = vec![0; 64 * 1024];
        self.file.seek(SeekFrom::Start(self.at))?;
        loop {
            let count = self.file.read(&mut block)?;
            if count == 0 {
                break;
            }
            self.at = self
                .at
                .saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
            self.rest
                .extend_from_slice(block.get(..count).unwrap_or_default());
            self.give_lines(look);
        }
        if is_last && !self.rest.is_empty() {
            look(&self.rest);
            self.rest.clear();
        }
        Ok(())
    }

    fn give_lines(&mut self, look: &mut impl FnMut(&[u8])) {
        let mut at = 0;
        for end in memchr::memchr_iter(b'\n', &self.rest) {
            look(self.rest.get(at..end).unwrap_or_default());
            at = end.saturating_add(1);
        }
        if self.rest.len().saturating_sub(at) > LONGEST_LINE {
            look(self.rest.get(at..).unwrap_or_default());
            at = self.rest.len().saturating_sub(OVERLAP);
        }
        self.rest.drain(..at);
    }
}

/// Only a file has a place from which it can be read again.
fn open(path: &Path) -> io::Result<(File, Metadata)> {
    // A pipe would keep us waiting for somebody who writes into it.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other(
            "is no file: let what it says be written into one",
        ));
    }
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    Ok((file, metadata))
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _};

    use super::*;

    fn append(path: &Path, text: &str) {
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn read(log: &mut Log, is_last: bool) -> Vec<String> {
        let mut lines = Vec::new();
        log.read(is_last, &mut |line| {
            lines.push(String::from_utf8_lossy(line).into_owned());
        });
        lines
    }

    #[test]
    fn gives_each_line_once_and_none_of_before() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        append(&path, "before\n");
        let mut log = Log::begin(&path);
        assert_eq!(read(&mut log, false), [""; 0]);
        append(&path, "one\ntw");
        assert_eq!(read(&mut log, false), ["one"]);
        append(&path, "o\nthr");
        assert_eq!(read(&mut log, false), ["two"]);
        assert_eq!(read(&mut log, true), ["thr"], "without its end");
        assert!(log.trouble().is_none());
    }

    #[test]
    fn follows_a_rotation() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        append(&path, "before\n");
        let mut log = Log::begin(&path);
        append(&path, "old\n");
        fs::rename(&path, directory.path().join("access.log.1")).unwrap();
        append(&directory.path().join("access.log.1"), "late\n");
        assert_eq!(read(&mut log, false), ["old", "late"], "nothing new yet");
        append(&path, "new\n");
        assert_eq!(read(&mut log, false), ["new"]);
    }

    #[test]
    fn one_that_comes_later_is_read_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        let mut log = Log::begin(&path);
        assert_eq!(read(&mut log, false), [""; 0]);
        assert!(!log.is_there());
        append(&path, "first\n");
        assert_eq!(read(&mut log, false), ["first"]);
        assert!(log.is_there());
    }

    #[test]
    fn says_what_it_cannot_tell() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        append(&path, "before\n");
        let mut log = Log::begin(&path);
        fs::write(&path, "a\n").unwrap();
        assert_eq!(read(&mut log, true), [""; 0]);
        assert!(log.trouble().unwrap().contains("emptied"));
        let folder = Log::begin(directory.path());
        assert!(folder.trouble().unwrap().contains("is no file"));
    }

    #[test]
    fn a_line_without_end_takes_no_room() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        let mut log = Log::begin(&path);
        append(&path, &"x".repeat(3 * LONGEST_LINE));
        let lines = read(&mut log, false);
        assert!(lines.len() >= 2 && lines.iter().all(|line| line.len() <= 2 * LONGEST_LINE));
        assert!(log.open.unwrap().rest.len() <= LONGEST_LINE + OVERLAP);
    }
}
