//! Reads from pipes and terminals, which may give nothing for hours, until told to stop.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::AsFd as _,
    sync::Arc,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use crate::audit::scan::Watch;

/// How long a stop may take to be heard.
const PERIOD: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 200_000_000,
};

/// Waits for bytes; at a stop it is at its end.
pub(super) struct Patient {
    source: File,
    watch: Arc<Watch>,
}

impl Patient {
    pub(super) fn new(source: File, watch: &Arc<Watch>) -> Self {
        Self {
            source,
            watch: Arc::clone(watch),
        }
    }

    /// Stdin, without the buffer that the standard library has before it: bytes in there
    /// nobody would wait for.
    pub(super) fn stdin(watch: &Arc<Watch>) -> io::Result<Self> {
        let source = io::stdin().as_fd().try_clone_to_owned()?;
        Ok(Self::new(source.into(), watch))
    }
}

impl Read for Patient {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        while !self.watch.is_stopped() {
            let mut waits = [PollFd::new(&self.source, PollFlags::IN)];
            match poll(&mut waits, Some(&PERIOD)) {
                Ok(0) | Err(Errno::INTR) => {}
                // With no bytes and nobody at the other end a read says so.
                Ok(_) => return self.source.read(room),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(0)
    }
}
