//! Lines between those who read and the one who writes.
//!
//! Bounded by bytes: a burst of short lines has as much room as one of long ones. What
//! has no room is lost and counted, so that no reader ever waits.

use std::sync::{
    Condvar, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

/// Whole lines that are to be written.
#[derive(Debug)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    wake: Condvar,
    most: usize,
    lost: AtomicU64,
    lines: AtomicU64,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: Vec<u8>,
    reopen: bool,
    is_ended: bool,
}

/// What the writer is to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Task {
    /// Before anything is written.
    pub(super) reopen: bool,
    /// There will be no more.
    pub(super) is_last: bool,
}

impl Queue {
    /// With room for `most` bytes.
    pub(super) fn new(most: usize) -> Self {
        Self {
            inner: Mutex::default(),
            wake: Condvar::new(),
            most,
            lost: AtomicU64::new(0),
            lines: AtomicU64::new(0),
        }
    }

    /// Takes whole lines, as many as there is room for.
    pub(super) fn push(&self, lines: &[u8]) {
        let mut inner = self.lock();
        let room = if inner.is_ended {
            0
        } else {
            self.most.saturating_sub(inner.waiting.len())
        };
        let fits = match lines.get(..room) {
            None => lines.len(),
            Some(part) => memchr::memrchr(b'\n', part).map_or(0, |feed| feed.saturating_add(1)),
        };
        let (taken, lost) = lines.split_at_checked(fits).unwrap_or((lines, &[]));
        inner.waiting.extend_from_slice(taken);
        drop(inner);
        self.wake.notify_one();
        self.lines.fetch_add(count(taken), Ordering::Relaxed);
        self.lose(lost);
    }

    /// Counts lines that nobody will see.
    pub(super) fn lose(&self, lines: &[u8]) {
        self.lost.fetch_add(count(lines), Ordering::Relaxed);
    }

    /// Waits for something to do; what is to be written comes into `block`.
    pub(super) fn take(&self, block: &mut Vec<u8>) -> Task {
        block.clear();
        let mut inner = self.lock();
        while inner.waiting.is_empty() && !inner.reopen && !inner.is_ended {
            inner = self
                .wake
                .wait(inner)
                .unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::swap(block, &mut inner.waiting);
        Task {
            reopen: std::mem::take(&mut inner.reopen),
            is_last: inner.is_ended,
        }
    }

    /// Has the output opened anew.
    pub(super) fn reopen(&self) {
        self.lock().reopen = true;
        self.wake.notify_one();
    }

    /// Takes no more.
    pub(super) fn end(&self) {
        self.lock().is_ended = true;
        self.wake.notify_one();
    }

    pub(super) fn is_ended(&self) -> bool {
        self.lock().is_ended
    }

    /// Lines that were lost since the start.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Lines that were taken since the start.
    pub(super) fn lines(&self) -> u64 {
        self.lines.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(lines: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', lines).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_counted() {
        let queue = Queue::new(10);
        let mut block = Vec::new();
        for (name, lines, lost) in [
            ("fits", "one\n", 0),
            ("one of two", "two\nthree\n", 1),
            ("full", "x\ny\n", 2),
            ("nothing", "", 2),
        ] {
            queue.push(lines.as_bytes());
            assert_eq!(queue.lost(), lost, "case: {name}");
        }
        let task = queue.take(&mut block);
        assert_eq!(block, b"one\ntwo\nx\n");
        assert_eq!(
            (task.reopen, task.is_last, queue.lines()),
            (false, false, 3)
        );
        queue.push(b"again\n");
        queue.take(&mut block);
        assert_eq!(block, b"again\n", "there is room again");
    }

    #[test]
    fn the_end_comes_behind_the_last_line() {
        let queue = Queue::new(100);
        let mut block = Vec::new();
        queue.push(b"last\n");
        queue.reopen();
        queue.end();
        queue.push(b"too late\n");
        let task = queue.take(&mut block);
        assert_eq!(
            (block.as_slice(), task),
            (
                &b"last\n"[..],
                Task {
                    reopen: true,
                    is_last: true
                }
            )
        );
        assert_eq!(queue.lost(), 1);
    }
}
