//! One plain file, read by several workers at once.
//!
//! Each takes the next chunk. A line belongs to the chunk in which it starts, so every
//! worker reads on to the end of its last line. The number of a line needs the line ends of
//! all chunks before, which are counted as soon as a chunk is read: who has found something
//! waits for those who took theirs before, never for what comes later.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt as _,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::lines::Sizes;

/// A plain file.
#[derive(Debug)]
pub(super) struct Plain {
    pub(super) input: u32,
    file: File,
    /// When it was opened: what is written later is not read.
    size: u64,
    cursor: AtomicU64,
    order: Mutex<Order>,
    counted: Condvar,
}

/// How many lines end before each chunk that somebody has in hand.
#[derive(Debug, Default)]
struct Order {
    /// The first chunk that nobody counted yet.
    next: u64,
    /// Line ends before it.
    lines: u64,
    /// Counts of later ones.
    early: BTreeMap<u64, u64>,
    /// Line ends before chunks that somebody has in hand.
    before: BTreeMap<u64, u64>,
    /// Chunks in which nothing is to be numbered.
    unwanted: BTreeSet<u64>,
}

impl Plain {
    pub(super) fn new(input: u32, file: File, size: u64) -> Self {
        Self {
            input,
            file,
            size,
            cursor: AtomicU64::new(0),
            order: Mutex::default(),
            counted: Condvar::new(),
        }
    }

    /// The next chunk that nobody has taken.
    pub(super) fn take(&self, sizes: Sizes) -> Option<u64> {
        let block = as_u64(sizes.block);
        let index = self.cursor.fetch_add(1, Ordering::Relaxed);
        (index.checked_mul(block)? < self.size).then_some(index)
    }

    /// Reads from `at` until `room` is full, or the file ends; never past the size it had.
    pub(super) fn read(&self, room: &mut [u8], at: u64) -> io::Result<usize> {
        let left = self.size.saturating_sub(at);
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(room.len());
        let mut filled = 0;
        while filled < most {
            let rest = room.get_mut(filled..most).unwrap_or_default();
            match self.file.read_at(rest, at.saturating_add(as_u64(filled))) {
                Ok(0) => break,
                Ok(read) => filled = filled.saturating_add(read),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The same file as a stream from `at` on.
    pub(super) fn stream(&self, at: u64) -> Stream<'_> {
        Stream { plain: self, at }
    }

    /// A chunk has so many line ends.
    pub(super) fn count(&self, chunk: u64, lines: u64) {
        let mut order = self.order();
        order.early.insert(chunk, lines);
        loop {
            let next = order.next;
            let Some(lines) = order.early.remove(&next) else {
                break;
            };
            let before = order.lines;
            if !order.unwanted.remove(&next) {
                order.before.insert(next, before);
            }
            order.lines = before.saturating_add(lines);
            order.next = next.saturating_add(1);
        }
        drop(order);
        self.counted.notify_all();
    }

    /// The line ends before a chunk, once all before it are counted.
    pub(super) fn before(&self, chunk: u64) -> u64 {
        let mut order = self.order();
        loop {
            if let Some(lines) = order.before.remove(&chunk) {
                return lines;
            }
            order = self
                .counted
                .wait(order)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Nobody will ask.
    pub(super) fn forget(&self, chunk: u64) {
        let mut order = self.order();
        if order.before.remove(&chunk).is_none() {
            order.unwanted.insert(chunk);
        }
    }

    fn order(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A plain file from some place on.
#[derive(Debug)]
pub(super) struct Stream<'p> {
    plain: &'p Plain,
    at: u64,
}

impl Read for Stream<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let read = self.plain.read(room, self.at)?;
        self.at = self.at.saturating_add(as_u64(read));
        Ok(read)
    }
}

pub(super) fn as_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
