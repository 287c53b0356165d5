//! Writes log lines from a thread of its own, and never makes a request wait.
//!
//! The queue is bounded. When the disk is full or nobody reads the pipe, lines
//! are lost and counted; the count is reported when writing works again.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

/// How many blocks may wait for the writer.
const QUEUE: usize = 64;

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A file that is appended to, and opened anew on [`Sink::reopen`].
    File(PathBuf),
}

/// The near end of a writer thread; clones share it.
#[derive(Clone, Debug)]
pub struct Sink {
    queue: SyncSender<Message>,
    shared: Arc<Shared>,
}

/// How many lines were lost in all.
#[derive(Clone, Debug)]
pub struct Losses(Arc<Shared>);

impl Losses {
    /// Since the start.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.lost_ever.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
struct Shared {
    /// Not yet reported.
    lost: AtomicU64,
    lost_ever: AtomicU64,
    reopen: AtomicBool,
}

/// What the writer is handed.
#[derive(Debug)]
enum Message {
    /// Whole lines.
    Block(Vec<u8>),
    /// Send word when everything before it is written.
    Flush(SyncSender<()>),
}

impl Sink {
    /// Opens `to` and starts its writer.
    ///
    /// # Errors
    ///
    /// The file's, or the thread's.
    pub fn open(to: Destination) -> io::Result<Self> {
        let output = Output::open(to)?;
        let (queue, messages) = sync_channel(QUEUE);
        let shared = Arc::new(Shared::default());
        let writer = Writer {
            output,
            messages,
            shared: Arc::clone(&shared),
        };
        thread::Builder::new()
            .name("log".into())
            .spawn(move || writer.run())?;
        Ok(Self { queue, shared })
    }

    /// Hands over whole lines; a full queue loses them.
    pub fn send(&self, block: Vec<u8>) {
        if let Err(TrySendError::Full(message) | TrySendError::Disconnected(message)) =
            self.queue.try_send(Message::Block(block))
            && let Message::Block(block) = message
        {
            self.shared.lose(&block);
        }
    }

    /// Waits until everything handed over is written, but no longer than `most`:
    /// a blocked pipe must not keep the process from ending.
    pub fn flush(&self, most: Duration) {
        /// How often a full queue is tried.
        const PAUSE: Duration = Duration::from_millis(5);
        let deadline = Instant::now().checked_add(most);
        let left = || {
            deadline
                .map(|deadline| deadline.saturating_duration_since(Instant::now()))
                .unwrap_or_default()
        };
        let (written, word) = sync_channel(1);
        while self
            .queue
            .try_send(Message::Flush(written.clone()))
            .is_err()
        {
            if left().is_zero() {
                return;
            }
            thread::sleep(PAUSE.min(left()));
        }
        // Out of time is out of time.
        let _ = word.recv_timeout(left());
    }

    /// What it loses from now on, too.
    #[must_use]
    pub fn losses(&self) -> Losses {
        Losses(Arc::clone(&self.shared))
    }

    /// Makes the writer open its file anew, for log rotation.
    pub fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn lose(&self, block: &[u8]) {
        let lines = memchr::memchr_iter(b'\n', block).count();
        self.lost.fetch_add(lines as u64, Ordering::Relaxed);
        self.lost_ever.fetch_add(lines as u64, Ordering::Relaxed);
    }
}

enum Output {
    Stdout,
    Stderr,
    File { path: PathBuf, file: File },
}

impl Output {
    fn open(to: Destination) -> io::Result<Self> {
        Ok(match to {
            Destination::Stdout => Self::Stdout,
            Destination::Stderr => Self::Stderr,
            Destination::File(path) => {
                let file = append_to(&path)?;
                Self::File { path, file }
            }
        })
    }

    fn write(&mut self, block: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(block)?;
                stdout.flush()
            }
            Self::Stderr => io::stderr().lock().write_all(block),
            Self::File { file, .. } => file.write_all(block),
        }
    }

    fn reopen(&mut self) {
        if let Self::File { path, file } = self {
            match append_to(path) {
                Ok(new) => *file = new,
                // The old file still takes lines: better there than nowhere.
                Err(error) => tracing::error!(%error, "log file cannot be opened anew"),
            }
        }
    }
}

fn append_to(path: &PathBuf) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    // Addresses and paths are personal data: for the owner and his group.
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)
}

/// The far end, on its thread.
struct Writer {
    output: Output,
    messages: Receiver<Message>,
    shared: Arc<Shared>,
}

impl Writer {
    fn run(mut self) {
        let mut after_failure = false;
        loop {
            let message = self.messages.recv_timeout(Duration::from_secs(1));
            if self.shared.reopen.swap(false, Ordering::Relaxed) {
                self.output.reopen();
            }
            match message {
                Ok(Message::Block(block)) => after_failure = !self.write(&block, after_failure),
                Ok(Message::Flush(written)) => {
                    self.report_lost();
                    // Whoever asked may have run out of time.
                    let _ = written.try_send(());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Writes a block, or counts it as lost; says whether it was written.
    fn write(&mut self, block: &[u8], after_failure: bool) -> bool {
        // A failed write may have left half a line.
        let separator: &[u8] = if after_failure { b"\n" } else { b"" };
        let written = self
            .output
            .write(separator)
            .and_then(|()| self.output.write(block));
        match &written {
            Ok(()) => self.report_lost(),
            Err(error) => {
                self.shared.lose(block);
                // Once, until it works again: what fails is often a full disk.
                if !after_failure {
                    tracing::error!(%error, "log cannot be written, its lines are lost");
                }
            }
        }
        written.is_ok()
    }

    fn report_lost(&self) {
        let lost = self.shared.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            tracing::warn!(
                lines = lost,
                "log lines were lost: the log could not be written"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotated_file_is_opened_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        let sink = Sink::open(Destination::File(path.clone())).unwrap();
        sink.send(b"one\n".to_vec());
        sink.flush(Duration::from_secs(10));
        std::fs::rename(&path, directory.path().join("access.log.1")).unwrap();
        sink.reopen();
        sink.send(b"two\n".to_vec());
        sink.flush(Duration::from_secs(10));
        assert_eq!(
            std::fs::read(directory.path().join("access.log.1")).unwrap(),
            b"one\n"
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"two\n");
    }

    #[test]
    fn a_blocked_reader_costs_lines_and_no_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .unwrap();
        // Opened for both, a pipe can be opened without a reader.
        let _reader = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        let sink = Sink::open(Destination::File(path)).unwrap();
        let block = b"line\n".repeat(20_000);
        for _ in 0..(QUEUE * 2) {
            sink.send(block.clone());
        }
        assert!(sink.losses().total() > 0, "counted");
    }
}
