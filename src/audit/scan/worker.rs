//! One worker: takes a task, reads it, looks at it, and takes the next.

use std::{io, sync::atomic::Ordering};

use super::{
    Common, Queue, Search, Task,
    chunk::{Plain, as_u64},
    ends::Ends,
    eye::Eye,
    lines::{Buffer, Lines, Piece},
};
use crate::audit::{input::Raw, sighting::Place};

/// Bytes read behind a chunk at once, for the rest of its last line.
const REST: usize = 4096;

pub(super) struct Worker<'w> {
    search: &'w Search<'w>,
    queue: &'w Queue<'w>,
    common: &'w Common,
    eye: Eye<'w>,
    buffer: Buffer,
    /// Made for the first stream.
    lines: Option<Lines>,
}

impl<'w> Worker<'w> {
    pub(super) fn new(search: &'w Search<'w>, queue: &'w Queue<'w>, common: &'w Common) -> Self {
        let sizes = search.sizes;
        let room = sizes.block.saturating_add(sizes.longest).max(REST);
        Self {
            search,
            queue,
            common,
            eye: Eye::new(search, common.jobs),
            buffer: Buffer::new(0, room.saturating_add(REST)),
            lines: None,
        }
    }

    pub(super) fn run(mut self) {
        while let Some(task) = self.queue.take(self.search.sizes) {
            match task {
                Task::Chunk(plain, index) => self.chunk(&plain, index),
                Task::Stream(input, stream) => self.stream(input, stream),
                Task::Unread(input, why) => self.eye.tally.incomplete(Some(input), why),
            }
            relieve(&mut self.eye, self.common);
        }
        self.common.add(self.eye.take());
    }

    fn chunk(&mut self, plain: &Plain, index: u64) {
        let turn = Turn {
            plain,
            index,
            is_counted: false,
        };
        if let Err(error) = self.read_chunk(plain, turn) {
            self.eye
                .tally
                .incomplete(Some(plain.input), format!("cannot be read: {error}"));
        }
    }

    fn read_chunk(&mut self, plain: &Plain, mut turn: Turn<'_>) -> io::Result<()> {
        let block = self.search.sizes.block;
        let start = turn.index.saturating_mul(as_u64(block));
        let room = self.buffer.behind();
        let mut filled = plain.read(
            room.get_mut(..block.saturating_add(REST))
                .unwrap_or_default(),
            start,
        )?;
        let own = filled.min(block);
        let text = room.get(..filled).unwrap_or_default();
        let ends = Ends::of(text.get(..own).unwrap_or_default());
        turn.count(ends.total());
        let last = text.get(own.saturating_sub(1)) != Some(&b'\n');
        let is_end = start.saturating_add(as_u64(own)) >= plain.size();
        let lines = ends
            .total()
            .saturating_add(u64::from(is_end && last && own > 0));
        self.eye.tally.lines_read(plain.input, lines, as_u64(own));
        self.queue
            .watch
            .done
            .fetch_add(as_u64(own), Ordering::Relaxed);
        if own < block && !is_end {
            let why = "became shorter while it was read".to_owned();
            self.eye.tally.incomplete(Some(plain.input), why);
        }
        let Some(first) = first_line(plain, start, text.get(..own).unwrap_or_default())? else {
            plain.forget(turn.index);
            return Ok(());
        };
        let room = self.buffer.behind();
        let longest = block.saturating_add(self.search.sizes.longest);
        let end = loop {
            let rest = room.get(own.saturating_sub(1)..filled).unwrap_or_default();
            if let Some(end) = memchr::memchr(b'\n', rest) {
                break Some(own.saturating_add(end));
            }
            // The chunk ends within a line, and so does all that was read.
            let more = room.get_mut(filled..longest).unwrap_or_default();
            let wanted = more.len().min(block);
            let more = more.get_mut(..wanted).unwrap_or_default();
            let read = plain.read(more, start.saturating_add(as_u64(filled)))?;
            if read == 0 {
                break (filled < longest).then_some(filled);
            }
            filled = filled.saturating_add(read);
        };
        self.look(&turn, ends, first, start, own, end)
    }

    /// Looks at the lines from `first` to `end`, or, where the last one is too long, at
    /// those before it and then at that one in parts.
    fn look(
        &mut self,
        turn: &Turn<'_>,
        mut ends: Ends,
        first: usize,
        start: u64,
        own: usize,
        end: Option<usize>,
    ) -> io::Result<()> {
        let plain = turn.plain;
        let text = self.buffer.behind();
        let last = end.unwrap_or_else(|| {
            let own = text.get(first..own).unwrap_or_default();
            memchr::memrchr(b'\n', own)
                .map_or(first, |end| first.saturating_add(end).saturating_add(1))
        });
        let from = self.search.first_line;
        let mut base = None;
        let mut line = |at: usize| {
            let base = *base.get_or_insert_with(|| plain.before(turn.index).saturating_add(from));
            base.saturating_add(ends.before(text, first.saturating_add(at)))
        };
        let block = text.get(first..last).unwrap_or_default();
        self.eye.block(plain.input, block, &mut line);
        if end.is_some() {
            if base.is_none() {
                plain.forget(turn.index);
            }
            return Ok(());
        }
        let line = line(block.len());
        let mut place = Place {
            input: plain.input,
            line,
        };
        let mut stream = plain.stream(start.saturating_add(as_u64(last)));
        let lines = self
            .lines
            .get_or_insert_with(|| Lines::new(self.search.sizes));
        lines.reset();
        let eye = &mut self.eye;
        loop {
            let read = lines.read(&mut stream, &mut |piece| {
                if place.line == line {
                    eye.piece(&mut place, &only_first_line(piece));
                }
            })?;
            if read == 0 || place.line > line {
                break;
            }
        }
        if place.line == line {
            lines.finish(&mut |piece| eye.piece(&mut place, &piece));
        }
        lines.reset();
        Ok(())
    }

    fn stream(&mut self, input: u32, mut stream: Raw) {
        let lines = self
            .lines
            .get_or_insert_with(|| Lines::new(self.search.sizes));
        lines.reset();
        let mut place = Place {
            input,
            line: self.search.first_line,
        };
        let mut bytes = 0_u64;
        let eye = &mut self.eye;
        loop {
            if self.queue.watch.is_stopped() {
                break;
            }
            match lines.read(&mut *stream, &mut |piece| eye.piece(&mut place, &piece)) {
                Ok(0) => break,
                Ok(read) => {
                    bytes = bytes.saturating_add(as_u64(read));
                    relieve(eye, self.common);
                }
                Err(error) => {
                    let why = format!("cannot be read behind byte {bytes} of its text: {error}");
                    eye.tally.incomplete(Some(input), why);
                    break;
                }
            }
        }
        let is_open = lines.has_open_line();
        lines.finish(&mut |piece| eye.piece(&mut place, &piece));
        let ends = place.line.saturating_sub(self.search.first_line);
        eye.tally
            .lines_read(input, ends.saturating_add(u64::from(is_open)), bytes);
    }
}

/// Hands in what was found, where that is much.
fn relieve(eye: &mut Eye<'_>, common: &Common) {
    if common.is_due(eye.tally.distinct()) {
        common.add(eye.take());
    }
}

/// Without the lines behind, which the next chunk has as its own.
fn only_first_line(piece: Piece<'_>) -> Piece<'_> {
    match piece {
        Piece::Lines(text) => {
            let end = memchr::memchr(b'\n', text).map_or(text.len(), |end| end.saturating_add(1));
            Piece::Lines(text.get(..end).unwrap_or_default())
        }
        part @ Piece::Part { .. } => part,
    }
}

/// Where the first line that begins in a chunk does so.
fn first_line(plain: &Plain, start: u64, text: &[u8]) -> io::Result<Option<usize>> {
    if text.is_empty() {
        return Ok(None);
    }
    let Some(before) = start.checked_sub(1) else {
        return Ok(Some(0));
    };
    let mut byte = [0];
    plain.read(&mut byte, before)?;
    if byte == *b"\n" {
        return Ok(Some(0));
    }
    let end = memchr::memchr(b'\n', text).map(|end| end.saturating_add(1));
    Ok(end.filter(|first| *first < text.len()))
}

/// A chunk in hand: whatever happens, others do not wait for its count for ever.
struct Turn<'t> {
    plain: &'t Plain,
    index: u64,
    is_counted: bool,
}

impl Turn<'_> {
    fn count(&mut self, ends: u64) {
        self.plain.count(self.index, ends);
        self.is_counted = true;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.is_counted {
            self.plain.forget(self.index);
            self.plain.count(self.index, 0);
        }
    }
}
