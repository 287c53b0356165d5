//! Carries a body from socket to socket inside the kernel: splice(2).
//!
//! Nearly all that a large body costs is copying it out of the kernel and back,
//! and between two plain sockets nobody has to. What is read goes into a pipe,
//! and from there to the other socket, before anything else is read.
//!
//! A pipe is lent for one piece: a sender that we wait for holds none. A receiver
//! that is slow holds one, so there are few, and whoever gets none copies.

use std::{
    cell::{Cell, RefCell},
    io,
    os::fd::{AsFd, OwnedFd},
    task::{Poll, ready},
    time::Duration,
};

use rustix::{
    io::Errno,
    pipe::{self, PipeFlags, SpliceFlags},
};
use tokio::{io::Interest, sync::Notify, time};

use super::stream::{Shared, Stream};
use crate::clock;

/// What a pipe holds, if the system lets us ask for it; else it is 64 KiB.
const SIZE: usize = 256 * 1024;

/// How many pipes a worker lends at once: two descriptors and [`SIZE`] bytes of
/// the kernel's memory for each.
const MOST: usize = 32;

/// How many it keeps for later.
const MOST_SPARE: usize = 4;

/// How long it keeps them while nobody wants one.
const IDLE: Duration = Duration::from_secs(1);

/// What it takes for a pipe to be worth its system calls.
const LEAST: u64 = 64 * 1024;

/// The pipes of one worker.
#[derive(Debug, Default)]
pub struct Pipes {
    spare: RefCell<Vec<Ends>>,
    /// Tells of the first spare one.
    kept: Notify,
    lent: Cell<usize>,
    /// Whether one was lent since the last look.
    is_used: Cell<bool>,
    /// Whether the system has told us that it does not splice.
    is_useless: Cell<bool>,
}

#[derive(Debug)]
struct Ends {
    reader: OwnedFd,
    writer: OwnedFd,
}

impl Ends {
    fn new() -> rustix::io::Result<Self> {
        let (reader, writer) = pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // Refused to users with many pipes; a smaller one does as well.
        let _ = pipe::fcntl_setpipe_size(&writer, SIZE);
        Ok(Self { reader, writer })
    }
}

impl Pipes {
    /// An empty pipe; `None` if there are enough, or none can be had.
    fn lend(&self) -> Option<Pipe<'_>> {
        if self.lent.get() >= MOST {
            return None;
        }
        let spare = self.spare.borrow_mut().pop();
        let ends = spare.map_or_else(|| Ends::new().ok(), Some)?;
        self.lent.set(self.lent.get().saturating_add(1));
        self.is_used.set(true);
        Some(Pipe {
            pipes: self,
            ends: Some(ends),
            filled: 0,
        })
    }

    fn take_back(&self, ends: Ends) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < MOST_SPARE {
            spare.push(ends);
            self.kept.notify_one();
        }
    }

    /// Closes spare pipes that nobody has wanted for a while; runs for ever.
    pub async fn keep_tidy(&self) {
        loop {
            self.kept.notified().await;
            while self.is_used.replace(false) {
                time::sleep(IDLE).await;
            }
            self.spare.borrow_mut().clear();
        }
    }

    /// Whether the next piece of `length` bytes can go this way, and it is worth it.
    #[must_use]
    pub fn can_carry(&self, source: &Shared, sink: &Shared, length: u64) -> bool {
        let is_plain = |stream: &Shared| matches!(*stream.borrow(), Stream::Plain(_));
        length >= LEAST
            && !self.is_useless.get()
            && self.lent.get() < MOST
            && is_plain(source)
            && is_plain(sink)
    }

    /// Reads once from `source`, at most `most` bytes. `None` if that is not
    /// possible after all: then copy.
    ///
    /// # Errors
    ///
    /// The source's.
    pub async fn fill(&self, source: &Shared, most: u64) -> io::Result<Option<Pipe<'_>>> {
        std::future::poll_fn(|cx| {
            let (Stream::Plain(source), Some(mut pipe)) = (&*source.borrow(), self.lend()) else {
                return Poll::Ready(Ok(None));
            };
            let most = usize::try_from(most).unwrap_or(SIZE).min(SIZE);
            match ready!(source.poll_io(cx, Interest::READABLE, |fd| pipe.fill(fd, most))) {
                Ok(()) => Poll::Ready(Ok(Some(pipe))),
                Err(error) if is_unknown(&error) => {
                    self.is_useless.set(true);
                    Poll::Ready(Ok(None))
                }
                Err(error) => Poll::Ready(Err(error)),
            }
        })
        .await
    }
}

/// Whether this is how old kernels, sandboxes and filters of system calls say no.
fn is_unknown(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::INVAL | Errno::NOSYS | Errno::PERM | Errno::OPNOTSUPP)
    )
}

/// A piece of a body.
#[derive(Debug)]
pub struct Pipe<'p> {
    pipes: &'p Pipes,
    /// There until it is dropped.
    ends: Option<Ends>,
    filled: usize,
}

impl Pipe<'_> {
    /// How many bytes are in it; 0 was the end of the stream.
    #[must_use]
    pub fn filled(&self) -> usize {
        self.filled
    }

    fn fill(&mut self, source: impl AsFd, most: usize) -> io::Result<()> {
        let Some(Ends { writer, .. }) = &self.ends else {
            return Ok(());
        };
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        self.filled = pipe::splice(source, None, writer, None, most, flags)?;
        Ok(())
    }

    fn drain(&mut self, sink: impl AsFd) -> io::Result<()> {
        let Some(Ends { reader, .. }) = &self.ends else {
            return Ok(());
        };
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        let count = pipe::splice(reader, None, sink, None, self.filled, flags)?;
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.filled = self.filled.saturating_sub(count);
        Ok(())
    }

    /// Gives the piece to `sink`, which may take nothing for as long as
    /// `patience`, time and again; `moved` counts what it took.
    ///
    /// # Errors
    ///
    /// The sink's, `TimedOut`, or `WriteZero`.
    pub async fn empty(
        mut self,
        sink: &Shared,
        patience: Duration,
        moved: &mut u64,
    ) -> io::Result<()> {
        while self.filled > 0 {
            let before = self.filled;
            let write = std::future::poll_fn(|cx| {
                let Stream::Plain(sink) = &*sink.borrow() else {
                    return Poll::Ready(Err(io::ErrorKind::Unsupported.into()));
                };
                sink.poll_io(cx, Interest::WRITABLE, |fd| self.drain(fd))
            });
            clock::timeout(patience, write)
                .await
                .map_err(|_| io::ErrorKind::TimedOut)??;
            *moved = moved.saturating_add(before.saturating_sub(self.filled) as u64);
        }
        Ok(())
    }
}

impl Drop for Pipe<'_> {
    fn drop(&mut self) {
        self.pipes.lent.set(self.pipes.lent.get().saturating_sub(1));
        // One that is not empty has somebody's body in it.
        if let Some(ends) = self.ends.take()
            && self.filled == 0
        {
            self.pipes.take_back(ends);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, os::unix::net::UnixStream};

    use super::*;

    #[test]
    fn there_are_only_so_many() {
        let pipes = Pipes::default();
        let mut lent: Vec<_> = std::iter::from_fn(|| pipes.lend()).collect();
        assert_eq!(lent.len(), MOST);
        lent.pop();
        assert!(pipes.lend().is_some());
        drop(lent);
        assert_eq!(
            (pipes.lent.get(), pipes.spare.borrow().len()),
            (0, MOST_SPARE)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_keeps_what_nobody_wants() {
        let pipes = Pipes::default();
        drop(pipes.lend());
        let tidy = pipes.keep_tidy();
        assert!(time::timeout(IDLE / 2, tidy).await.is_err());
        assert_eq!(pipes.spare.borrow().len(), 1, "it may be wanted again");
        pipes.kept.notify_one();
        assert!(time::timeout(IDLE * 3, pipes.keep_tidy()).await.is_err());
        assert!(pipes.spare.borrow().is_empty());
    }

    #[test]
    fn what_was_left_in_a_pipe_is_never_seen_by_another() {
        let pipes = Pipes::default();
        let (source, mut sender) = UnixStream::pair().unwrap();
        sender.write_all(b"of somebody").unwrap();
        let mut pipe = pipes.lend().unwrap();
        pipe.fill(&source, SIZE).unwrap();
        assert_eq!(pipe.filled(), 11);
        drop(pipe);
        assert!(pipes.spare.borrow().is_empty());
    }

    #[test]
    fn a_piece_is_no_longer_than_asked_for() {
        let pipes = Pipes::default();
        let (source, mut sender) = UnixStream::pair().unwrap();
        sender.write_all(b"body and next request").unwrap();
        let mut pipe = pipes.lend().unwrap();
        pipe.fill(&source, 4).unwrap();
        assert_eq!(pipe.filled(), 4);
    }
}
