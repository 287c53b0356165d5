//! Goes on with files that are still written, through every rotation.
//!
//! A file that was renamed is read to its end, and for a while longer: its writer goes on
//! until it is told to reopen its log. One that was copied and truncated is shorter than
//! what was read of it, or begins with other bytes; then it is read from the start.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read},
    mem,
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use super::{
    input::{Input, Source, is_rotated},
    scan::{Eye, Found, Lines, Search, Watch},
    sighting::Place,
};
use crate::redact::STRIKE;

/// How often files are looked at.
const PERIOD: Duration = Duration::from_millis(250);

/// How many bytes of a file are read behind the order to stop.
const AT_THE_END: u64 = 64 << 20;

/// How long a renamed file is read on after the last line that came.
const GRACE: Duration = Duration::from_secs(10);

/// Bytes by which a file is known again.
const HEAD: usize = 256;

/// The files that are followed: those that somebody may still write to.
pub(super) struct Following<'f> {
    search: &'f Search<'f>,
    watch: &'f Watch,
    files: Vec<Followed>,
}

/// One path, and what is behind it.
struct Followed {
    input: u32,
    path: PathBuf,
    now: Option<Reading>,
    /// Renamed ones, until nobody writes to them any more.
    before: Vec<(Reading, Instant)>,
}

/// One file, open, and how far it was read.
struct Reading {
    file: File,
    id: (u64, u64),
    at: u64,
    head: Vec<u8>,
    lines: Lines,
    line: u64,
}

impl<'f> Following<'f> {
    /// Opens those of the inputs that will be followed, before anything is read: no line is
    /// lost between. The others are returned, with gaps where these were.
    pub(super) fn open(
        search: &'f Search<'f>,
        watch: &'f Watch,
        inputs: &[Input],
    ) -> (Self, Vec<Option<Input>>) {
        let mut files = Vec::new();
        let mut others = Vec::new();
        for (number, input) in inputs.iter().enumerate() {
            let opened = match &input.source {
                Source::File(path) if !is_rotated(path) && input.is_plain() => {
                    Reading::open(path, search)
                        .ok()
                        .map(|now| (path.clone(), now))
                }
                _ => None,
            };
            if let Some((path, now)) = opened {
                files.push(Followed {
                    input: u32::try_from(number).unwrap_or(u32::MAX),
                    path,
                    now: Some(now),
                    before: Vec::new(),
                });
                others.push(None);
            } else {
                others.push(Some(input.clone()));
            }
        }
        let following = Self {
            search,
            watch,
            files,
        };
        (following, others)
    }

    /// Reads until it is told to stop.
    pub(super) fn run(mut self) -> Found {
        let mut eye = Eye::new(self.search, 1);
        loop {
            // The last look is behind the order to stop: what was written before it counts.
            let is_last = self.watch.is_stopped();
            for file in &mut self.files {
                file.look(&mut eye, self.search, self.watch);
            }
            if is_last || self.files.is_empty() {
                break;
            }
            self.watch.wait(PERIOD);
        }
        for file in self.files {
            file.finish(&mut eye);
        }
        eye.take()
    }
}

impl Followed {
    fn look(&mut self, eye: &mut Eye<'_>, search: &Search<'_>, watch: &Watch) {
        let input = self.input;
        let mut gone = |reading: &mut Reading| reading.advance(input, eye, search, watch);
        let now = Instant::now();
        for (reading, since) in &mut self.before {
            if gone(reading) {
                *since = now;
            }
        }
        if let Some(reading) = &mut self.now {
            gone(reading);
        }
        let (kept, ended) = mem::take(&mut self.before)
            .into_iter()
            .partition(|(_, since)| now.saturating_duration_since(*since) < GRACE);
        self.before = kept;
        let ended: Vec<(Reading, Instant)> = ended;
        for (reading, _) in ended {
            reading.finish(input, eye);
        }
        self.change_over(eye, search, watch, now);
    }

    /// Takes up another file that has got the path.
    fn change_over(&mut self, eye: &mut Eye<'_>, search: &Search<'_>, watch: &Watch, now: Instant) {
        let Ok(found) = fs::metadata(&self.path) else {
            // Renamed, and nothing is in its place yet.
            return;
        };
        if self
            .now
            .as_ref()
            .is_some_and(|reading| reading.id == id(&found))
        {
            return;
        }
        match Reading::open(&self.path, search) {
            Ok(mut next) => {
                next.advance(self.input, eye, search, watch);
                let before = self.now.replace(next);
                self.before.extend(before.map(|reading| (reading, now)));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let why = format!("cannot be read after its rotation: {error}");
                eye.tally.incomplete(Some(self.input), why);
            }
        }
    }

    fn finish(self, eye: &mut Eye<'_>) {
        let before = self.before.into_iter().map(|(reading, _)| reading);
        for reading in before.chain(self.now) {
            reading.finish(self.input, eye);
        }
    }
}

impl Reading {
    fn open(path: &Path, search: &Search<'_>) -> io::Result<Self> {
        let file = File::open(path)?;
        let found = file.metadata()?;
        Ok(Self {
            file,
            id: id(&found),
            at: 0,
            head: Vec::new(),
            lines: Lines::new(search.sizes),
            line: search.first_line,
        })
    }

    /// Reads to the end there is now. Says whether anything came.
    fn advance(
        &mut self,
        input: u32,
        eye: &mut Eye<'_>,
        search: &Search<'_>,
        watch: &Watch,
    ) -> bool {
        match self.try_advance(input, eye, search, watch) {
            Ok(bytes) => bytes > 0,
            Err(error) => {
                let why = format!("cannot be read: {error}");
                eye.tally.incomplete(Some(input), why);
                false
            }
        }
    }

    fn try_advance(
        &mut self,
        input: u32,
        eye: &mut Eye<'_>,
        search: &Search<'_>,
        watch: &Watch,
    ) -> io::Result<u64> {
        if self.was_truncated()? {
            self.end_line(input, eye);
            (self.at, self.line) = (0, search.first_line);
            self.head.clear();
        }
        let (from, first) = (self.at, self.line);
        let mut place = Place { input, line: first };
        loop {
            let mut source = At(&self.file, &mut self.at);
            let read = self
                .lines
                .read(&mut source, &mut |piece| eye.piece(&mut place, &piece))?;
            if read == 0 {
                break;
            }
            // What was written before the order to stop is read, unless there is very much.
            if watch.is_stopped() && self.at.saturating_sub(from) > AT_THE_END {
                if self.at < self.file.metadata()?.len() {
                    let why = "interrupted before its end was read".to_owned();
                    eye.tally.incomplete(Some(input), why);
                }
                break;
            }
        }
        self.line = place.line;
        let bytes = self.at.saturating_sub(from);
        if bytes > 0 {
            watch.done.fetch_add(bytes, Ordering::Relaxed);
            let lines = self.line.saturating_sub(first);
            eye.tally.lines_read(input, lines, bytes);
            self.know_head()?;
        }
        Ok(bytes)
    }

    fn was_truncated(&self) -> io::Result<bool> {
        if self.file.metadata()?.len() < self.at {
            return Ok(true);
        }
        // It may have grown past that place again.
        let mut head = vec![0; self.head.len()];
        let read = read_start(&self.file, &mut head)?;
        // What `redact --live` masked is the same line still.
        let is_same = |(now, before): (&u8, &u8)| now == before || *now == STRIKE;
        Ok(read != self.head.len() || !head.iter().zip(&self.head).all(is_same))
    }

    fn know_head(&mut self) -> io::Result<()> {
        if self.head.len() < HEAD {
            let known = usize::try_from(self.at).unwrap_or(HEAD).min(HEAD);
            self.head.resize(known, 0);
            let read = read_start(&self.file, &mut self.head)?;
            self.head.truncate(read);
        }
        Ok(())
    }

    /// A line that lacks its end will not get it any more.
    fn end_line(&mut self, input: u32, eye: &mut Eye<'_>) {
        let is_open = self.lines.has_open_line();
        let mut place = Place {
            input,
            line: self.line,
        };
        self.lines
            .finish(&mut |piece| eye.piece(&mut place, &piece));
        let ends = place.line.saturating_sub(self.line);
        let lines = ends.saturating_add(u64::from(is_open));
        eye.tally.lines_read(input, lines, 0);
    }

    fn finish(mut self, input: u32, eye: &mut Eye<'_>) {
        self.end_line(input, eye);
    }
}

/// A file from a place on, which moves.
struct At<'a>(&'a File, &'a mut u64);

impl Read for At<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read_at(room, *self.1)?;
        let bytes = u64::try_from(read).unwrap_or_default();
        *self.1 = self.1.saturating_add(bytes);
        Ok(read)
    }
}

fn read_start(file: &File, head: &mut [u8]) -> io::Result<usize> {
    At(file, &mut 0).read(head)
}

fn id(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}
