//! The process under test.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use rustix::process::{Pid, Signal, kill_process};

use super::{End, Upstream, until};

/// A running tokenshim; killed when dropped.
pub struct Shim {
    child: Child,
    /// As the start line told them.
    pub addresses: Vec<String>,
    stderr: Arc<Mutex<String>>,
    log: PathBuf,
    /// Holds configuration and log.
    pub directory: tempfile::TempDir,
}

impl Shim {
    /// Starts with one worker, one TCP listener and a JSON log, unless `config` says otherwise.
    pub fn start(upstream: &Upstream, config: &str) -> Self {
        Self::start_with(&upstream.address, config, None)
    }

    pub fn start_with(upstream: &str, config: &str, descriptors: Option<u32>) -> Self {
        let binary = env!("CARGO_BIN_EXE_tokenshim");
        let command = match descriptors {
            None => Command::new(binary),
            Some(limit) => {
                let mut shell = Command::new("sh");
                let line = format!("ulimit -n {limit}; exec \"$@\"");
                shell.args(["-c", &line, "sh", binary]);
                shell
            }
        };
        Self::start_by(command, upstream, config)
    }

    /// Starts it by a command that has everything but the program's arguments;
    /// without an upstream, `config` has routes for everything.
    pub fn start_by(mut command: Command, upstream: &str, config: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("tokenshim.toml");
        let mut text = config.to_owned();
        if !config.contains("workers") {
            text.insert_str(0, "workers = 1\n");
        }
        if !upstream.is_empty() {
            text.insert_str(0, &format!("upstream = \"{upstream}\"\n"));
        }
        fs::write(&file, text).unwrap();
        command.arg("serve").arg("--config").arg(&file);
        if !config.contains("[[listen]]") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        let log = directory.path().join("access.log");
        if !config.contains("[access_log]") {
            command
                .env("TOKENSHIM_ACCESS_LOG__FILE", &log)
                .env("TOKENSHIM_ACCESS_LOG__FORMAT", "json");
        }
        Self::run(command, directory, log)
    }

    /// Runs a command that serves and writes its lines to `log`; `directory` lives as long.
    pub fn run(mut command: Command, directory: tempfile::TempDir, log: PathBuf) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipe = child.stderr.take().unwrap();
        let stderr = Arc::new(Mutex::new(String::new()));
        let collected = Arc::clone(&stderr);
        thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = pipe.read(&mut piece) {
                let text = String::from_utf8_lossy(&piece[..count]).into_owned();
                collected.lock().unwrap().push_str(&text);
            }
        });
        let mut shim = Self {
            child,
            addresses: Vec::new(),
            stderr,
            log,
            directory,
        };
        until("the shim serves", || shim.read_addresses());
        shim
    }

    fn read_addresses(&mut self) -> bool {
        let text = self.diagnostics();
        if let Ok(Some(status)) = self.child.try_wait() {
            panic!("ended at once, {status}: {text}");
        }
        let Some((_, rest)) = text.split_once("listen=[") else {
            return false;
        };
        let Some((list, _)) = rest.split_once(']') else {
            return false;
        };
        self.addresses = list
            .split(", ")
            .map(|item| item.trim_matches('"').to_owned())
            .collect();
        true
    }

    /// A new client connection.
    pub fn connect(&self) -> End {
        End::connect(&self.addresses[0])
    }

    /// Everything on standard error so far.
    pub fn diagnostics(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Stops the process where it stands, all threads of it.
    pub fn halt(&self) {
        self.signal(Signal::STOP);
        let tasks = format!("/proc/{}/task", self.pid().as_raw_nonzero());
        until("it stands still", || {
            fs::read_dir(&tasks).unwrap().all(|task| {
                let stat = fs::read_to_string(task.unwrap().path().join("stat")).unwrap();
                stat.rsplit(") ").next().unwrap().starts_with('T')
            })
        });
    }

    /// Waits for the process to end.
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        until("the shim ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    fn proc(&self, file: &str) -> PathBuf {
        Path::new("/proc")
            .join(self.child.id().to_string())
            .join(file)
    }

    /// A `kB` line of `/proc/PID/status`.
    pub fn kib(&self, name: &str) -> u64 {
        let text = fs::read_to_string(self.proc("status")).unwrap();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// How many descriptors are open.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(self.proc("fd")).unwrap().count()
    }

    /// User and system time, in clock ticks of 10 ms.
    pub fn cpu_ticks(&self) -> u64 {
        let text = fs::read_to_string(self.proc("stat")).unwrap();
        let (_, fields) = text.rsplit_once(") ").unwrap();
        let field = |number: usize| -> u64 {
            let text = fields.split(' ').nth(number).unwrap();
            text.parse().unwrap()
        };
        field(11) + field(12)
    }

    /// The access log, when it has at least `count` lines.
    pub fn log(&self, count: usize) -> Vec<serde_json::Value> {
        let mut text = String::new();
        until("the log is written", || {
            text = fs::read_to_string(&self.log).unwrap_or_default();
            text.matches('\n').count() >= count
        });
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Where the log is.
    pub fn log_path(&self) -> &Path {
        &self.log
    }
}

impl Drop for Shim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- the shim's diagnostics:\n{}", self.diagnostics());
        }
    }
}
