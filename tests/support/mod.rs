//! A running `tokenshim` between raw sockets, for tests that look at bytes.
//!
//! Everything the process writes is kept, and nothing here waits by sleeping
//! for a time that is hoped to be long enough: it polls, up to [`PATIENCE`].

#![allow(dead_code, reason = "each test uses its own part of this")]

pub(crate) mod upstream;
pub(crate) mod wire;

use std::{
    fs,
    io::{self, Read},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use wire::Wire;

/// The longest wait for anything; who gets there has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The proxy as a process of its own.
pub(crate) struct Shim {
    child: Child,
    address: SocketAddr,
    directory: TempDir,
    stdout: Capture,
    stderr: Capture,
}

impl Shim {
    /// Starts it before `upstream` with `config` in its file, top-level keys
    /// first, and waits until it serves.
    pub(crate) fn start(upstream: &str, config: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(CONFIG);
        let text =
            format!("upstream = \"{upstream}\"\n{config}\n[[listen]]\naddress = \"127.0.0.1:0\"\n");
        fs::write(&file, text).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_tokenshim"))
            .args(["serve", "--config"])
            .arg(&file)
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = Capture::of(child.stdout.take().unwrap());
        let stderr = Capture::of(child.stderr.take().unwrap());
        let address = stderr.wait_for("the line that says `serving`", bound_address);
        Self {
            child,
            address,
            directory,
            stdout,
            stderr,
        }
    }

    /// A new connection to it.
    pub(crate) fn connect(&self) -> Wire {
        Wire::connect(self.address)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A path in its working directory, which is read at the end.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Its process, for signals.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// What it wrote to stderr so far.
    pub(crate) fn stderr(&self) -> &Capture {
        &self.stderr
    }

    /// What it wrote to stdout so far.
    pub(crate) fn stdout(&self) -> &Capture {
        &self.stdout
    }

    /// Stops it by SIGTERM, requires exit code 0, and returns all it wrote.
    pub(crate) fn stop(mut self) -> Written {
        kill_process(self.pid(), Signal::TERM).unwrap();
        let status = poll("the process to end", || self.child.try_wait().unwrap());
        assert_eq!(status.code(), Some(0), "{status}");
        let mut files = Vec::new();
        for entry in fs::read_dir(self.directory.path()).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name() != CONFIG {
                files.extend(fs::read(entry.path()).unwrap());
            }
        }
        Written {
            stdout: self.stdout.finish(),
            stderr: self.stderr.finish(),
            files,
        }
    }
}

const CONFIG: &str = "tokenshim.toml";

impl Drop for Shim {
    fn drop(&mut self) {
        // After a clean stop there is nothing left to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the first bound address from the diagnostic log.
fn bound_address(log: &[u8]) -> Option<SocketAddr> {
    let text = String::from_utf8_lossy(log);
    let line = text
        .split_inclusive('\n')
        .find(|line| line.contains("serving") && line.ends_with('\n'))?;
    let (_, listen) = line.split_once("listen")?;
    let start = listen.find("127.0.0.1:")?;
    let address = &listen[start..];
    let end = address.find(['"', '\\'])?;
    address[..end].parse().ok()
}

/// All that a process wrote, to its end.
pub(crate) struct Written {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    /// Files in its working directory.
    pub(crate) files: Vec<u8>,
}

impl Written {
    /// Every byte of it.
    pub(crate) fn all(&self) -> Vec<u8> {
        [&self.stdout[..], &self.stderr, &self.files].concat()
    }

    /// The access log, if it went to stdout, line by line.
    pub(crate) fn access_lines(&self) -> Vec<String> {
        text(&self.stdout).lines().map(ToOwned::to_owned).collect()
    }
}

/// Bytes as text for messages and comparisons.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A pipe, read to its end by a thread.
pub(crate) struct Capture {
    shared: Arc<(Mutex<Vec<u8>>, Condvar)>,
    reader: JoinHandle<()>,
}

impl Capture {
    fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let shared = Arc::<(Mutex<Vec<u8>>, Condvar)>::default();
        let sink = Arc::clone(&shared);
        let reader = thread::spawn(move || {
            let mut block = [0; 4096];
            loop {
                match pipe.read(&mut block) {
                    Ok(0) => return,
                    Ok(count) => {
                        sink.0.lock().unwrap().extend_from_slice(&block[..count]);
                        sink.1.notify_all();
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => panic!("{error}"),
                }
            }
        });
        Self { shared, reader }
    }

    /// Waits until `find` finds something in what was written.
    pub(crate) fn wait_for<T>(&self, what: &str, find: impl Fn(&[u8]) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut bytes = self.shared.0.lock().unwrap();
        loop {
            if let Some(found) = find(&bytes) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no sign of {what} in:\n{}", text(&bytes));
            bytes = self.shared.1.wait_timeout(bytes, left).unwrap().0;
        }
    }

    fn finish(&mut self) -> Vec<u8> {
        poll("the end of a pipe", || {
            self.reader.is_finished().then_some(())
        });
        std::mem::take(&mut *self.shared.0.lock().unwrap())
    }
}

/// Asks again and again, up to [`PATIENCE`].
pub(crate) fn poll<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(2));
    }
}
