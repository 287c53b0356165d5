//! Brings a report to where it is wanted.

use std::{
    fs::{self, File},
    io::{self, BufWriter, IsTerminal as _, Write},
    path::{Path, PathBuf},
};

/// Writes to a file, which is there whole or not at all, or to stdout; a reader that has
/// read enough is no failure.
///
/// # Errors
///
/// The file's name, and what it gave.
pub fn deliver(
    path: Option<&Path>,
    write: impl FnOnce(&mut dyn Write, bool) -> io::Result<()>,
) -> Result<(), (PathBuf, io::Error)> {
    let Some(path) = path.filter(|path| *path != Path::new("-")) else {
        let stdout = io::stdout();
        let is_terminal = stdout.is_terminal();
        let mut out = BufWriter::new(stdout.lock());
        return match write(&mut out, is_terminal).and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(("stdout".into(), error))
            }
            Ok(()) | Err(_) => Ok(()),
        };
    };
    let named = |error| (path.to_owned(), error);
    // Beside it, so that renaming is all that is left to do.
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    let beside = PathBuf::from(name);
    let written = File::create(&beside).and_then(|file| {
        let mut out = BufWriter::new(file);
        write(&mut out, false)?;
        out.into_inner()?.sync_all()?;
        fs::rename(&beside, path)
    });
    if written.is_err() {
        // The reason is told; the rest of the file is of no use.
        let _ = fs::remove_file(&beside);
    }
    written.map_err(named)
}
