//! Masks what the queue holds and writes it, on a thread of its own: whoever reads has
//! nothing else to do, for what it is too slow for is lost where nobody can count.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::{fd::AsFd as _, unix::fs::OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::queue::Queue;
use crate::{redact::Redactor, redact_logs::write_masked};

/// Where lines go.
#[derive(Debug)]
pub(super) struct Writer {
    /// `None` for standard output, which is never opened anew.
    path: Option<PathBuf>,
    file: File,
    redactor: Arc<Redactor>,
    /// A failed write may have left half a line.
    is_broken: bool,
}

impl Writer {
    pub(super) fn open(output: &Path, redactor: Arc<Redactor>) -> io::Result<Self> {
        let (path, file) = if output == Path::new("-") {
            (None, File::from(io::stdout().as_fd().try_clone_to_owned()?))
        } else {
            (Some(output.to_owned()), append_to(output)?)
        };
        Ok(Self {
            path,
            file,
            redactor,
            is_broken: false,
        })
    }

    /// Writes until the queue ends.
    ///
    /// # Errors
    ///
    /// Nobody reads standard output any more. A file may have room again.
    pub(super) fn run(mut self, queue: &Queue) -> io::Result<()> {
        let mut block = Vec::new();
        loop {
            let task = queue.take(&mut block);
            if task.reopen {
                self.reopen();
            }
            if let Err(error) = self.write(&block) {
                queue.lose(&block);
                if self.path.is_none() && error.kind() == io::ErrorKind::BrokenPipe {
                    queue.end();
                    return Err(error);
                }
                // Once, until it works again: what fails is often a full disk.
                if !std::mem::replace(&mut self.is_broken, true) {
                    tracing::error!(%error, "the output cannot be written, its lines are lost");
                }
            }
            if task.is_last {
                return Ok(());
            }
        }
    }

    fn write(&mut self, block: &[u8]) -> io::Result<()> {
        if block.is_empty() {
            return Ok(());
        }
        if self.is_broken {
            self.file.write_all(b"\n")?;
        }
        write_masked(&self.redactor, block, &self.file)?;
        if std::mem::take(&mut self.is_broken) {
            tracing::info!("the output is written again");
        }
        Ok(())
    }

    fn reopen(&mut self) {
        let Some(path) = &self.path else { return };
        match append_to(path) {
            Ok(file) => self.file = file,
            // The old file still takes lines: better there than nowhere.
            Err(error) => tracing::error!(%error, "the output cannot be opened anew"),
        }
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    // Addresses and paths are personal data: for the owner and his group.
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)
}
