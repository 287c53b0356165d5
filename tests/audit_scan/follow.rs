//! Logs that are written while they are read, and runs that are ended.

use std::{
    fs::{self, OpenOptions},
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::Value;
use tokenshim::secret::FingerprintKey;

use crate::{KEY, Place};

const PATIENCE: Duration = Duration::from_secs(60);

/// A run that is under way.
struct Running {
    child: std::process::Child,
    lines: mpsc::Receiver<String>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (told, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines() {
                let _ = told.send(line.unwrap());
            }
        });
        Self { child, lines }
    }

    /// The next new secret.
    fn news(&self) -> Value {
        let line = self.lines.recv_timeout(PATIENCE).expect("no news");
        serde_json::from_str(&line).unwrap()
    }

    fn interrupt(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    }

    /// What comes until it ends, and its exit code.
    fn end(mut self) -> (String, i32) {
        let mut text = String::new();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            text.push_str(&line);
            text.push('\n');
        }
        (text, self.child.wait().unwrap().code().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn leak(secret: &str) -> String {
    format!(
        "192.0.2.1 - - [22/Nov/2026:10:00:00 +0000] \"GET /?access_token={secret} HTTP/1.1\" 200 1 \"-\" \"x\"\n"
    )
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn id(secret: &str) -> String {
    FingerprintKey::new(KEY)
        .unwrap()
        .id(secret.as_bytes())
        .to_string()
}

#[test]
fn a_log_is_followed_through_every_rotation() {
    let place = Place::new();
    let path = place.file("access.log", leak("FAKE-SECRET-0").as_bytes());
    let report = place.path("report.json");
    let arguments = [
        "--follow",
        "--format",
        "json",
        "-o",
        report.to_str().unwrap(),
    ];
    let running = Running::start(place.command(&arguments, &[&path]));
    let expect = |secret: &str| {
        let news = running.news();
        assert_eq!(news["id"], id(secret), "{secret}");
        assert_eq!(news["event"], "new");
    };
    expect("FAKE-SECRET-0");
    append(&path, &leak("FAKE-SECRET-0"));
    append(&path, &leak("FAKE-SECRET-1"));
    expect("FAKE-SECRET-1");
    // A line that comes in two.
    let two = leak("FAKE-SECRET-2");
    let (head, rest) = two.split_at(70);
    append(&path, head);
    append(&path, rest);
    expect("FAKE-SECRET-2");
    // Renamed; its writer goes on for a while.
    let old = place.path("access.log.1");
    fs::rename(&path, &old).unwrap();
    append(&old, &leak("FAKE-SECRET-3"));
    expect("FAKE-SECRET-3");
    append(&path, &leak("FAKE-SECRET-4"));
    expect("FAKE-SECRET-4");
    append(&old, &leak("FAKE-SECRET-5"));
    expect("FAKE-SECRET-5");
    // Copied and truncated; then it grows beyond what it was.
    fs::copy(&path, place.path("access.log.copy")).unwrap();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(0).unwrap();
    append(&path, &leak("FAKE-SECRET-6").repeat(40));
    expect("FAKE-SECRET-6");
    // A last line without its end.
    append(&path, leak("FAKE-SECRET-7").trim_end());
    running.interrupt();
    let (_, code) = running.end();
    assert_eq!(code, 1);
    let report: Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    assert_eq!(report["totals"]["tokens"], 8);
    assert_eq!(report["meta"]["complete"], true);
}

#[test]
fn a_log_that_is_masked_meanwhile_is_not_read_again() {
    let place = Place::new();
    let path = place.file("access.log", leak("FAKE-SECRET-0").as_bytes());
    let report = place.path("report.json");
    let output = report.to_str().unwrap();
    let arguments = ["--follow", "--format", "json", "-o", output];
    let running = Running::start(place.command(&arguments, &[&path]));
    assert_eq!(running.news()["id"], id("FAKE-SECRET-0"));
    let masked = Command::new(env!("CARGO_BIN_EXE_tokenshim"))
        .args(["redact", "--live"])
        .arg(&path)
        .output()
        .unwrap();
    assert!(masked.status.success());
    assert!(fs::read_to_string(&path).unwrap().contains("=***"));
    append(&path, &leak("FAKE-SECRET-1"));
    assert_eq!(running.news()["id"], id("FAKE-SECRET-1"));
    running.interrupt();
    assert_eq!(running.end().1, 1);
    let report: Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    let totals = &report["totals"];
    assert_eq!(totals["lines"], 2, "the first line was read twice");
    assert_eq!(totals["findings"], 2);
}

#[test]
fn who_interrupts_gets_the_report_so_far() {
    let place = Place::new();
    let mut command = place.command(&["--format", "json"], &[Path::new("-")]);
    command.stdin(Stdio::piped());
    let mut running = Running::start(command);
    let mut stdin = running.child.stdin.take().unwrap();
    stdin.write_all(leak("FAKE-SECRET-0").as_bytes()).unwrap();
    // The pipe stays open: nothing but the signal ends it. One that comes before it is
    // heeded ends the process, so it is sent again and again.
    let stopped = loop {
        let pid = rustix::process::Pid::from_child(&running.child);
        let heeds = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap();
        let caught = heeds
            .lines()
            .find_map(|line| line.strip_prefix("SigCgt:"))
            .unwrap();
        if u64::from_str_radix(caught.trim(), 16).unwrap() & 0b10 != 0 {
            running.interrupt();
            break running.end();
        }
        thread::yield_now();
    };
    let (text, code) = stopped;
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(code, 3);
    assert_eq!(report["meta"]["complete"], false);
    drop(stdin);
}
