//! Brings a report to where it is wanted.
//!
//! A regular file is replaced as a whole or not at all, and a link stays one: what it points
//! to gets the report. Whatever else has the name (a device, a pipe) is opened and written
//! to. Nothing beside it is touched.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, BufWriter, IsTerminal as _, Write},
    path::{Path, PathBuf},
};

/// Writes to a file or to stdout; a reader that has read enough is no failure.
///
/// # Errors
///
/// The file's name, and what it gave.
pub fn deliver(
    path: Option<&Path>,
    write: impl FnOnce(&mut dyn Write, bool) -> io::Result<()>,
) -> Result<(), (PathBuf, io::Error)> {
    let is_file = |path: &&Path| !matches!(path.to_str(), Some("-" | "/dev/stdout"));
    let Some(path) = path.filter(is_file) else {
        let stdout = io::stdout();
        let is_terminal = stdout.is_terminal();
        return pour(stdout.lock(), |out| write(out, is_terminal))
            .map_err(|error| ("stdout".into(), error));
    };
    let write = |out: &mut dyn Write| write(out, false);
    let written = match fs::metadata(path) {
        Ok(found) if !found.is_file() => OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|file| pour(file, write)),
        Ok(found) => {
            fs::canonicalize(path).and_then(|path| replace(&path, Some(found.permissions()), write))
        }
        // A link to what is not there yet.
        Err(_) if fs::symlink_metadata(path).is_ok() => {
            File::create(path).and_then(|file| pour(file, write))
        }
        Err(_) => replace(path, None, write),
    };
    written.map_err(|error| (path.to_owned(), error))
}

fn pour(into: impl Write, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::new(into);
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn replace(
    path: &Path,
    looks: Option<Permissions>,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let beside = beside(path)?;
    // Never a file that is there: any name may be that of somebody's logs or parts.
    let file = File::create_new(&beside)?;
    let written = (|| {
        if let Some(looks) = looks {
            file.set_permissions(looks)?;
        }
        let mut out = BufWriter::new(file);
        write(&mut out)?;
        out.into_inner()?.sync_all()?;
        fs::rename(&beside, path)
    })();
    if written.is_err() {
        // The reason is told; the rest of the file is of no use.
        let _ = fs::remove_file(&beside);
    }
    written
}

/// A name that nobody has, in the same folder: renaming is all that is left to do.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let number = u64::from_ne_bytes(random);
    Ok(path.with_file_name(format!(".tokenshim-{number:016x}")))
}

#[cfg(test)]
mod tests {
    use std::{io::Read as _, os::unix::fs::symlink, thread};

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    fn put(path: &Path) -> Result<(), (PathBuf, io::Error)> {
        deliver(Some(path), |out, _| out.write_all(b"report"))
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_and_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web1");
        let part = folder.path().join("web1.part");
        fs::write(&part, "a part").unwrap();
        for old in [None, Some("an older and longer report")] {
            if let Some(old) = old {
                fs::write(&path, old).unwrap();
            }
            put(&path).unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"report");
        }
        let failed = deliver(Some(&path), |_, _| Err(io::ErrorKind::StorageFull.into()));
        assert_eq!(failed.unwrap_err().0, path);
        assert_eq!(fs::read(&path).unwrap(), b"report", "whole, or as it was");
        assert_eq!(fs::read(&part).unwrap(), b"a part");
        assert_eq!(names(folder.path()), ["web1", "web1.part"]);
    }

    #[test]
    fn a_link_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (link, target) = (folder.path().join("link"), folder.path().join("target"));
        symlink("target", &link).unwrap();
        for name in ["to nothing", "to a file"] {
            put(&link).unwrap();
            assert!(link.is_symlink(), "case: {name}");
            assert_eq!(fs::read(&target).unwrap(), b"report", "case: {name}");
        }
        assert_eq!(names(folder.path()), ["link", "target"]);
    }

    #[test]
    fn what_is_no_file_is_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let null = folder.path().join("null");
        symlink("/dev/null", &null).unwrap();
        put(&null).unwrap();
        assert!(!fs::metadata(&null).unwrap().is_file() && null.is_symlink());
        let pipe = folder.path().join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let reader = thread::spawn({
            let pipe = pipe.clone();
            move || {
                let mut text = String::new();
                File::open(pipe).unwrap().read_to_string(&mut text).unwrap();
                text
            }
        });
        put(&pipe).unwrap();
        assert_eq!(reader.join().unwrap(), "report");
        assert_eq!(names(folder.path()), ["null", "pipe"]);
        assert!(put(folder.path()).is_err(), "a folder");
    }
}
