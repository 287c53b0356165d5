//! Read buffers that are lent for as long as there is something in them.
//!
//! Ten thousand waiting long polls hold ten thousand sockets but no buffers: a
//! buffer takes its memory from the worker's [`Pool`] when the socket is polled
//! and gives it back when that brings nothing.

use std::{
    cell::RefCell,
    fmt, io,
    rc::Rc,
    task::{Context, Poll, ready},
};

use super::{
    splice::Pipes,
    stream::{Shared, Stream},
};

/// What a buffer has at first.
const SIZE: usize = 16 * 1024;

/// What a buffer may grow to where reads fill it: fewer system calls for each
/// gigabyte, and still little for each slow reader.
const LARGEST: usize = 64 * 1024;

/// How many spare blocks a worker keeps.
const MOST_SPARE: usize = 256;

/// The spare memory of one worker.
#[derive(Default)]
pub struct Pool {
    spare: RefCell<Vec<Vec<u8>>>,
    /// For what needs no buffer.
    pub pipes: Pipes,
}

impl Pool {
    fn lend(&self) -> Vec<u8> {
        self.spare
            .borrow_mut()
            .pop()
            .unwrap_or_else(|| vec![0; SIZE])
    }

    fn take_back(&self, block: Vec<u8>) {
        let mut spare = self.spare.borrow_mut();
        if block.len() == SIZE && spare.len() < MOST_SPARE {
            spare.push(block);
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("spare", &self.spare.borrow().len())
            .field("pipes", &self.pipes)
            .finish()
    }
}

/// Bytes that were read and not yet used.
pub struct Buffer {
    pool: Rc<Pool>,
    /// Initialised memory; empty while none is lent.
    block: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// An empty buffer without memory.
    #[must_use]
    pub fn new(pool: &Rc<Pool>) -> Self {
        Self {
            pool: Rc::clone(pool),
            block: Vec::new(),
            start: 0,
            end: 0,
        }
    }

    /// Where its memory comes from.
    #[must_use]
    pub fn pool(&self) -> Rc<Pool> {
        Rc::clone(&self.pool)
    }

    /// What was read and not yet used.
    #[must_use]
    pub fn filled(&self) -> &[u8] {
        self.block.get(self.start..self.end).unwrap_or_default()
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Marks the first `count` bytes as used.
    pub fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Gives the memory back if nothing is in it.
    pub fn release(&mut self) {
        if self.is_empty() && !self.block.is_empty() {
            (self.start, self.end) = (0, 0);
            self.pool.take_back(std::mem::take(&mut self.block));
        }
    }

    /// Reads once. `Ok(0)` is the end of the stream.
    ///
    /// # Errors
    ///
    /// The socket's, or `OutOfMemory` when `most` bytes are waiting unused.
    pub fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut Stream,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        // Most looks at a socket bring nothing, and need no memory to find that out.
        if stream.poll_readable(cx)?.is_pending() {
            self.release();
            return Poll::Pending;
        }
        self.make_room(most)?;
        let Some(room) = self.block.get_mut(self.end..) else {
            return Poll::Ready(Err(io::ErrorKind::OutOfMemory.into()));
        };
        let polled = stream.poll_read_ready(cx, room);
        match &polled {
            Poll::Pending => self.release(),
            Poll::Ready(Ok(count)) => self.end = self.end.saturating_add(*count),
            Poll::Ready(Err(_)) => {}
        }
        polled
    }

    /// Reads once from a shared stream; see [`poll_fill`](Self::poll_fill).
    ///
    /// # Errors
    ///
    /// As [`poll_fill`](Self::poll_fill).
    pub async fn fill(&mut self, stream: &Shared, most: usize) -> io::Result<usize> {
        std::future::poll_fn(|cx| self.poll_fill(cx, &mut stream.borrow_mut(), most)).await
    }

    /// Reads once for a body: grows while reads fill the buffer.
    ///
    /// # Errors
    ///
    /// As [`poll_fill`](Self::poll_fill).
    pub async fn fill_body(&mut self, stream: &Shared) -> io::Result<usize> {
        std::future::poll_fn(|cx| {
            let count = ready!(self.poll_fill(cx, &mut stream.borrow_mut(), LARGEST))?;
            if self.end == self.block.len() && self.block.len() < LARGEST {
                let larger = self.block.len().saturating_mul(2).min(LARGEST);
                self.block.resize(larger, 0);
            }
            Poll::Ready(Ok(count))
        })
        .await
    }

    /// Makes sure that at least one byte can be read.
    fn make_room(&mut self, most: usize) -> io::Result<()> {
        if self.block.is_empty() {
            self.block = self.pool.lend();
        }
        if self.end < self.block.len() {
            return Ok(());
        }
        if self.start > 0 {
            self.block.copy_within(self.start..self.end, 0);
            self.end = self.end.saturating_sub(self.start);
            self.start = 0;
            return Ok(());
        }
        if self.block.len() >= most {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let larger = self.block.len().saturating_mul(2).min(most);
        self.block.resize(larger, 0);
        Ok(())
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        (self.start, self.end) = (0, 0);
        self.release();
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer")
            .field("filled", &self.filled().len())
            .finish_non_exhaustive()
    }
}
