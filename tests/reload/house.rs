//! A shim whose file is changed while it runs.

use std::{
    cell::Cell,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::process::Signal;

use super::engine::{Message, Shim, Upstream, ok, until};

/// The shim, and how often it spoke of a reload.
pub(crate) struct House {
    pub(crate) shim: Shim,
    words: Cell<usize>,
}

/// What every file here has: two workers, one listener, a log that can be read.
pub(crate) fn file(top: &str, sections: &str) -> String {
    format!(
        "{top}\nworkers = 2\n[access_log]\nfile = \"access.log\"\nformat = \"json\"\n{sections}\n\
         [[listen]]\naddress = \"127.0.0.1:0\"\nhttp2 = true\n"
    )
}

impl House {
    /// Starts with this file.
    pub(crate) fn start(text: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), text)
    }

    /// The same, in a directory that has what the file names.
    pub(crate) fn start_in(directory: tempfile::TempDir, text: &str) -> Self {
        let file = directory.path().join(FILE);
        fs::write(&file, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tokenshim"));
        command
            .current_dir(directory.path())
            .args(["serve", "--config", FILE]);
        let log = directory.path().join("access.log");
        Self {
            shim: Shim::run(command, directory, log),
            words: Cell::default(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.shim.directory.path().join(name)
    }

    /// Changes the file and asks for a reload; returns what is said of it.
    pub(crate) fn reload(&self, text: &str) -> String {
        fs::write(self.path(FILE), text).unwrap();
        self.hang_up()
    }

    /// Asks for a reload; returns what is said of it.
    pub(crate) fn hang_up(&self) -> String {
        let before = self.shim.diagnostics().len();
        self.words.set(self.words.get() + 1);
        self.shim.signal(Signal::HUP);
        until("there is word of the reload", || {
            let said = self.shim.diagnostics();
            let words = ["configuration reloaded", "configuration not reloaded"];
            let count: usize = words.iter().map(|word| said.matches(word).count()).sum();
            count == self.words.get() && said.ends_with('\n')
        });
        self.shim.diagnostics().split_off(before)
    }

    /// The answer to one request on a connection of its own.
    pub(crate) fn ask(&self, request: &str) -> Message {
        let mut client = self.shim.connect();
        client.send(request);
        client.response()
    }
}

/// The lines of a log, when there are so many.
pub(crate) fn lines(file: &Path, count: usize) -> Vec<serde_json::Value> {
    let mut text = String::new();
    until("the log is written", || {
        text = fs::read_to_string(file).unwrap_or_default();
        text.matches('\n').count() >= count
    });
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

/// For APIs of which nothing is known.
pub(crate) const GENERIC: &str = "[relocate]\nprofile = \"generic\"\n";

const FILE: &str = "tokenshim.toml";

/// What an upstream and a test tell each other.
#[derive(Default)]
pub(crate) struct Gate {
    /// Request heads that came.
    heads: AtomicUsize,
    is_open: AtomicBool,
}

impl Gate {
    pub(crate) fn heads(&self) -> usize {
        self.heads.load(Ordering::SeqCst)
    }

    /// Answers who is held.
    pub(crate) fn open(&self) {
        self.is_open.store(true, Ordering::SeqCst);
    }
}

/// An upstream that tells its name and what it saw of the request, and holds `/held`.
pub(crate) fn witness(name: &'static str) -> (Upstream, Arc<Gate>) {
    let gate = Arc::<Gate>::default();
    let held = Arc::clone(&gate);
    let upstream = Upstream::start(move |mut end| {
        while let Some(mut request) = end.request_head() {
            held.heads.fetch_add(1, Ordering::SeqCst);
            if end.body(&mut request, false).is_none() {
                return;
            }
            match request.target().split(['?', '/']).nth(1) {
                Some("held") => {
                    while !held.is_open.load(Ordering::SeqCst) {
                        thread::sleep(Duration::from_millis(1));
                    }
                }
                Some("slow") => thread::sleep(Duration::from_millis(400)),
                _ => {}
            }
            let field = |name| request.value(name).unwrap_or("-").to_owned();
            let saw = format!(
                "{name} {} {} {} {}",
                request.target(),
                field("authorization"),
                field("x-forwarded-for"),
                request.body.len()
            );
            if end.try_send(ok(&saw)).is_err() {
                return;
            }
        }
    });
    (upstream, gate)
}

/// The line of the file that this upstream is.
pub(crate) fn before(upstream: &Upstream) -> String {
    format!("upstream = \"{}\"", upstream.address)
}
