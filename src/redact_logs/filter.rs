//! From files or standard input to standard output.

use std::{
    fs::File,
    io,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
};

use super::{
    Report,
    cleaner::{Broken, pour},
    compressed::unpack,
    output::Masked,
};
use crate::{exit::Failure, redact::Redactor};

/// What a pipe is asked to hold: fewer, larger turns on both of its sides.
const PIPE: usize = 1024 * 1024;

/// Masks all of `files`, or standard input if there are none.
pub(super) fn run(files: &[PathBuf], redactor: &Redactor) -> Result<(), Failure> {
    let stdin = [PathBuf::from("-")];
    let files = if files.is_empty() { &stdin } else { files };
    // As files: what is behind them for the whole program has a buffer of its own.
    let stdout = io::stdout().as_fd().try_clone_to_owned();
    let mut output = Masked::new(File::from(stdout.map_err(Failure::other)?));
    enlarge(&io::stdout());
    let mut report = Report::default();
    for path in files {
        let opened = open(path).and_then(unpack).map_err(Broken::Read);
        match opened.and_then(|(_, mut text)| pour(redactor, &mut text, &mut output)) {
            Ok(true) => {}
            Ok(false) => report.odd(path, None),
            Err(Broken::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => break,
            Err(Broken::Write(error)) => {
                return Err(Failure::other(format!("standard output: {error}")));
            }
            Err(error) => report.failed(path, &error),
        }
    }
    report.end()
}

fn open(path: &Path) -> io::Result<File> {
    if path == Path::new("-") {
        enlarge(&io::stdin());
        let stdin = io::stdin().as_fd().try_clone_to_owned()?;
        return Ok(File::from(stdin));
    }
    File::open(path)
}

/// Nothing is wrong if it is no pipe, or has all the room it may have.
fn enlarge(pipe: &impl std::os::fd::AsFd) {
    let _ = rustix::pipe::fcntl_setpipe_size(pipe, PIPE);
}
