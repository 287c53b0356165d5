//! `tokenshim relay`: sockets and pipes in, masked lines out.
#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

use std::{
    fs::{self, OpenOptions},
    io::{Read as _, Write as _},
    os::unix::{
        fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
        net::{UnixDatagram, UnixStream},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// A relay in a folder of its own; ends with the test.
struct Relay {
    folder: tempfile::TempDir,
    child: Child,
}

impl Relay {
    /// With a place of the kind at `in`, and the output `log`.
    fn start(kind: &str, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let child = spawn(
            &folder.path().join("in"),
            kind,
            log.to_str().unwrap(),
            arguments,
        );
        let relay = Self { folder, child };
        relay.wait_for_place();
        relay
    }

    fn wait_for_place(&self) {
        // It is there before it may be used.
        until("the place", || {
            fs::metadata(self.at("in")).is_ok_and(|file| file.mode() & 0o777 != 0o600)
        });
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.at("log")).unwrap()
    }

    fn signal(&self, signal: Signal) {
        let process = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(process, signal).unwrap();
    }

    /// Stops it; what it said.
    fn stop(mut self) -> (String, String) {
        self.signal(Signal::TERM);
        let mut told = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut told)
            .unwrap();
        assert!(self.child.wait().unwrap().success(), "{told}");
        assert!(!told.contains("FAKE"), "{told}");
        (self.log(), told)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(place: &Path, kind: &str, output: &str, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_tokenshim"))
        .args(["relay", "--mode", "0620", "--output", output, "--listen"])
        .arg(format!("{kind}:{}", place.display()))
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "gave up: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

const ERROR: &str = "<187>Nov 22 09:00:00 nginx: 2026/11/22 09:00:00 [error] 7#7: *1 connect() failed, request: \"GET /p?access_token=FAKE_SECRET HTTP/1.1\", referrer: \"https://c/?loginToken=FAKE2\"";
const CLEAN: &str = "2026/11/22 09:00:00 [error] 7#7: *1 connect() failed, request: \"GET /p?access_token=<redacted> HTTP/1.1\", referrer: \"https://c/?loginToken=<redacted>\"";

#[test]
fn datagrams_become_masked_lines() {
    let relay = Relay::start("unixgram", &["--format", "message"]);
    let file = fs::metadata(relay.at("in")).unwrap();
    assert!(file.file_type().is_socket() && file.mode() & 0o777 == 0o620);
    let socket = UnixDatagram::unbound().unwrap();
    socket.connect(relay.at("in")).unwrap();
    for _ in 0..3 {
        socket.send(ERROR.as_bytes()).unwrap();
    }
    socket
        .send(b"<13>Nov 22 09:00:00 app: two\nlines\n")
        .unwrap();
    until("the lines", || relay.log().lines().count() == 4);
    assert_eq!(
        fs::metadata(relay.at("log")).unwrap().permissions().mode() & 0o777,
        0o640
    );
    let place = relay.at("in");
    let (log, told) = relay.stop();
    assert_eq!(log, format!("{CLEAN}\n{CLEAN}\n{CLEAN}\ntwo\\nlines\n"));
    assert!(
        told.contains("ended") && told.contains("lines=4") && told.contains("lost=0"),
        "{told}"
    );
    assert!(!place.exists(), "its socket goes with it");
}

#[test]
fn streams_of_many() {
    let relay = Relay::start("unix", &[]);
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let mut stream = UnixStream::connect(relay.at("in")).unwrap();
            thread::spawn(move || {
                for number in 0..200 {
                    let message = format!("<13>{writer}-{number} token=FAKE");
                    if number % 2 == 0 {
                        writeln!(stream, "{message}").unwrap();
                    } else {
                        write!(stream, "{} {message}", message.len()).unwrap();
                    }
                }
                // The last one has no end, and its writer leaves.
                write!(stream, "<13>{writer}-last token=FAKE").unwrap();
            })
        })
        .collect();
    for writer in writers {
        writer.join().unwrap();
    }
    let (log, _) = relay.stop();
    let mut lines: Vec<_> = log.lines().collect();
    assert_eq!(lines.len(), 8 * 201);
    assert!(
        lines.iter().all(|line| line.ends_with(" token=<redacted>")),
        "{log}"
    );
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), 8 * 201, "each of them once");
}

#[test]
fn a_pipe_outlives_its_writers() {
    let relay = Relay::start("fifo", &["--parameter", "key"]);
    assert!(fs::metadata(relay.at("in")).unwrap().file_type().is_fifo());
    for writer in 0..3 {
        let mut pipe = OpenOptions::new().write(true).open(relay.at("in")).unwrap();
        writeln!(pipe, "{writer} /p?access_token=FAKE&key=FAKE").unwrap();
        drop(pipe);
        until("its line", || relay.log().lines().count() == writer + 1);
    }
    let place = relay.at("in");
    let mut pipe = OpenOptions::new().write(true).open(&place).unwrap();
    write!(pipe, "last token=FAKE").unwrap();
    let (log, _) = relay.stop();
    let expected: Vec<_> = (0..3)
        .map(|writer| format!("{writer} /p?access_token=<redacted>&key=<redacted>\n"))
        .collect();
    assert_eq!(log, expected.concat() + "last token=<redacted>\n");
}

#[test]
fn rotation_while_lines_come_loses_none() {
    for signal in [Signal::USR1, Signal::HUP] {
        let relay = Relay::start("fifo", &[]);
        let mut pipe = OpenOptions::new().write(true).open(relay.at("in")).unwrap();
        let writer = thread::spawn(move || {
            for number in 0..50_000 {
                writeln!(pipe, "{number} token=FAKE").unwrap();
            }
        });
        let mut rotated = Vec::new();
        while !writer.is_finished() {
            let to = relay.at(&format!("log.{}", rotated.len()));
            fs::rename(relay.at("log"), &to).unwrap();
            rotated.push(to);
            relay.signal(signal);
            until("the new file", || relay.at("log").exists());
        }
        writer.join().unwrap();
        rotated.push(relay.at("log"));
        end_of_rotation(relay, &rotated);
    }
}

fn end_of_rotation(mut relay: Relay, rotated: &[PathBuf]) {
    relay.signal(Signal::TERM);
    assert!(relay.child.wait().unwrap().success());
    let all: String = rotated
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    let expected: Vec<_> = (0..50_000)
        .map(|number| format!("{number} token=<redacted>\n"))
        .collect();
    let expected = expected.concat();
    assert!(
        all == expected,
        "{} of {} bytes in {} files",
        all.len(),
        expected.len(),
        rotated.len()
    );
    assert!(rotated.len() > 1, "it was rotated");
}

#[test]
fn what_cannot_be_written_is_counted_and_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("in");
    // Nobody reads its standard output.
    let mut child = spawn(&place, "unixgram", "-", &["--queue", "10000"]);
    until("the socket", || place.exists());
    let socket = UnixDatagram::unbound().unwrap();
    until("a reader", || socket.connect(&place).is_ok());
    let message = [b"<13>token=FAKE ", "x".repeat(985).as_bytes()].concat();
    let started = Instant::now();
    for _ in 0..2000 {
        socket.send(&message).unwrap();
    }
    assert!(started.elapsed() < Duration::from_secs(20), "nobody waited");
    let process = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    let mut stdout = child.stdout.take().unwrap();
    kill_process(process, Signal::TERM).unwrap();
    // It is read in the end, so that it can say all.
    let reader = thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).unwrap();
        text
    });
    let mut told = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut told)
        .unwrap();
    assert!(child.wait().unwrap().success());
    let text = reader.join().unwrap();
    let written = text.lines().count();
    assert!(
        text.lines()
            .all(|line| line.starts_with("<13>token=<redacted> x"))
    );
    let lost: usize = told
        .split("lost=")
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(written + lost, 2000, "{told}");
    assert!(lost > 0 && told.contains("log lines were lost"), "{told}");
}

#[test]
fn a_full_disk_is_survived() {
    if !Path::new("/dev/full").exists() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("in");
    let mut child = spawn(&place, "unixgram", "/dev/full", &[]);
    until("the socket", || place.exists());
    let socket = UnixDatagram::unbound().unwrap();
    until("a reader", || socket.connect(&place).is_ok());
    for _ in 0..10 {
        socket.send(b"<13>token=FAKE").unwrap();
    }
    let process = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    kill_process(process, Signal::TERM).unwrap();
    let mut told = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut told)
        .unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(
        told.matches("the output cannot be written").count(),
        1,
        "once: {told}"
    );
    assert!(told.contains("lost=10"), "{told}");
}

#[test]
fn one_that_was_killed_is_followed_by_the_next() {
    for kind in ["unixgram", "unix", "fifo"] {
        let mut first = Relay::start(kind, &[]);
        first.child.kill().unwrap();
        first.child.wait().unwrap();
        assert!(first.at("in").exists(), "it had no time to clear up");
        let log = first.at("log");
        first.child = spawn(&first.at("in"), kind, log.to_str().unwrap(), &[]);
        let send = |path: &Path| match kind {
            "unixgram" => UnixDatagram::unbound()
                .unwrap()
                .send_to(b"<13>next\n", path)
                .is_ok(),
            "unix" => UnixStream::connect(path)
                .is_ok_and(|mut stream| stream.write_all(b"<13>next\n").is_ok()),
            _ => fs::write(path, b"<13>next\n").is_ok(),
        };
        until(kind, || send(&first.at("in")));
        until(kind, || first.log() == "<13>next\n");
        if kind != "fifo" {
            // While it lives, nobody takes its place.
            let second = spawn(&first.at("in"), kind, log.to_str().unwrap(), &[]);
            let output = second.wait_with_output().unwrap();
            assert_eq!(output.status.code(), Some(2));
            assert!(
                String::from_utf8_lossy(&output.stderr).contains("in use"),
                "{kind}"
            );
        }
    }
}

#[test]
fn the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let precious = folder.path().join("precious");
    fs::write(&precious, "precious").unwrap();
    let place = format!("unixgram:{}", precious.display());
    let cases = [
        (vec!["--output", "-"], 64),
        (vec!["--output", "-", "--listen", "tcp:127.0.0.1:1"], 64),
        (vec!["--output", "-", "--listen", "unix:relative"], 64),
        (
            vec!["--output", "-", "--listen", "unix:/x", "--mode", "9"],
            64,
        ),
        (
            vec!["--output", "-", "--listen", "unix:/x", "--owner", ""],
            64,
        ),
        (vec!["--output", "-", "--listen", &place], 2),
        (
            vec!["--output", "/nowhere/log", "--listen", "unix:/nowhere/in"],
            2,
        ),
    ];
    for (arguments, expected) in cases {
        let output = Command::new(env!("CARGO_BIN_EXE_tokenshim"))
            .arg("relay")
            .args(&arguments)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(expected),
            "{arguments:?}: {told}"
        );
    }
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
}

/// As it is published, but for the program's place.
#[test]
fn systemd_takes_the_unit() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let unit = fs::read_to_string(root.join("contrib/systemd/tokenshim-relay@.service")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenshim-relay@matrix_error.service");
    let unit = unit.replace("/usr/bin/tokenshim", env!("CARGO_BIN_EXE_tokenshim"));
    fs::write(&path, unit).unwrap();
    let verified = Command::new("systemd-analyze")
        .arg("verify")
        .arg(&path)
        .output();
    if matches!(&verified, Err(error) if error.kind() == std::io::ErrorKind::NotFound) {
        // No systemd here.
        return;
    }
    let verified = verified.unwrap();
    assert_eq!(String::from_utf8_lossy(&verified.stderr), "");
    assert!(verified.status.success());
}
