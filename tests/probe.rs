//! `tokenshim probe` before a hop of the test's own, which logs what it is told to.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{
    fs::{self, OpenOptions},
    io::{Read, Write},
    net::TcpListener,
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Arc, Mutex},
    thread,
};

/// What a hop writes of a request, and what it answers.
type Logs = fn(&str) -> String;

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// The usual line: target, Referer and user agent.
fn combined(head: &str) -> String {
    let first = head.lines().next().unwrap();
    let field = |name: &str| {
        let mut lines = head.lines();
        let value = lines.find_map(|line| line.strip_prefix(name));
        value.unwrap_or("-").to_owned()
    };
    let (referer, agent) = (field("Referer: "), field("User-Agent: "));
    format!(
        "127.0.0.1 - - [22/Nov/2026:09:00:00 +0000] \"{first}\" 200 0 \"{referer}\" \"{agent}\"\n"
    )
}

/// The same, cut behind the path.
fn clean(head: &str) -> String {
    let line = combined(head);
    let agent = line.rsplit('"').nth(1).unwrap();
    format!(
        "127.0.0.1 - - [22/Nov/2026:09:00:00 +0000] \"GET - HTTP/1.1\" 200 0 \"-\" \"{agent}\"\n"
    )
}

/// One that answers every connection once, and logs before it does.
struct Hop {
    heads: Arc<Mutex<Vec<Vec<u8>>>>,
    directory: tempfile::TempDir,
    url: String,
}

impl Hop {
    fn start(logs: Logs, answer: fn(&str) -> String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        Self::serve(url, logs, answer, move || listener.accept().unwrap().0)
    }

    fn serve<S: Read + Write>(
        url: String,
        logs: Logs,
        answer: fn(&str) -> String,
        accept: impl Fn() -> S + Send + 'static,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("access.log");
        fs::write(&log, "a line from before\n").unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&heads);
        thread::spawn(move || {
            loop {
                let mut stream = accept();
                let head = read_head(&mut stream);
                let text = String::from_utf8_lossy(&head).into_owned();
                let mut file = OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(&log)
                    .unwrap();
                file.write_all(logs(&text).as_bytes()).unwrap();
                seen.lock().unwrap().push(head);
                // Whoever asked may be gone.
                let _ = stream.write_all(answer(&text).as_bytes());
            }
        });
        Self {
            heads,
            directory,
            url,
        }
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("access.log")
    }

    fn probe(&self, arguments: &[&str]) -> Output {
        let log = self.log();
        let named = ["--log", log.to_str().unwrap()];
        probe(&[&[self.url.as_str()], &named[..], arguments].concat())
    }
}

fn read_head(stream: &mut impl Read) -> Vec<u8> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        head.push(byte[0]);
    }
    head
}

fn probe(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tokenshim"))
        .arg("probe")
        .args(arguments)
        .output()
        .unwrap()
}

fn ok(_: &str) -> String {
    ANSWER.to_owned()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

#[test]
fn a_log_with_queries_leaks() {
    let hop = Hop::start(combined, ok);
    let output = hop.probe(&[]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("access.log: LEAKS (nginx or Apache; 37 of 37 requests are in it)"),
        "{said}"
    );
    assert!(said.contains("  9 behind a semicolon"), "{said}");
    assert!(
        said.contains("tokenshim emit nginx\n       tokenshim emit apache"),
        "{said}"
    );
    assert!(!said.contains("Authorization, as it should be"), "{said}");
    assert!(!said.contains("FAKE"), "no token is printed: {said}");
}

#[test]
fn a_log_without_them_is_clean() {
    let hop = Hop::start(clean, ok);
    let output = hop.probe(&[]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("access.log: clean"), "{said}");
    assert!(said.contains("answers: 37 x 200"), "{said}");
}

#[test]
fn the_report_for_programs() {
    let hop = Hop::start(combined, ok);
    let output = hop.probe(&["--format", "json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["version"], 1);
    assert_eq!(report["verdict"], "leaks");
    assert_eq!(report["answers"]["200"], 37);
    let log = &report["logs"][0];
    assert_eq!(log["leaks"][0]["name"], "plain");
    assert_eq!(log["fix"]["commands"][0], "tokenshim emit nginx");
}

#[test]
fn a_log_that_shows_nothing_proves_nothing() {
    let silent = Hop::start(|_| String::new(), ok);
    let output = silent.probe(&["--wait", "200ms"]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(text(&output).contains("COULD NOT TELL: none of the requests"));
    // Of errors there may be none.
    let log = silent.log();
    let output = probe(&[
        &silent.url,
        "--error-log",
        log.to_str().unwrap(),
        "--wait",
        "200ms",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let output = probe(&[&silent.url, "--wait", "200ms"]);
    assert_eq!(output.status.code(), Some(3), "no log is no proof");
}

#[test]
fn a_log_that_cannot_be_read_is_named() {
    let hop = Hop::start(combined, ok);
    for path in ["/nowhere/access.log", "/dev/null", "/"] {
        let output = hop.probe(&["--log", path, "--wait", "200ms"]);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(said.contains(&format!("{path}: COULD NOT TELL")), "{said}");
        assert!(
            said.contains("access.log: LEAKS"),
            "what is known is told: {said}"
        );
    }
}

#[test]
fn a_rotated_log_is_read_whole() {
    let hop = Hop::start(combined, |head| {
        // In the middle of the run.
        if head.contains("c09)") {
            rotate();
        }
        ANSWER.to_owned()
    });
    *ROTATED.lock().unwrap() = Some(hop.log());
    let output = hop.probe(&["--format", "json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(hop.directory.path().join("access.log.1").exists());
    assert_eq!(report["logs"][0]["seen"], 37, "{report}");
}

static ROTATED: Mutex<Option<PathBuf>> = Mutex::new(None);

fn rotate() {
    if let Some(path) = ROTATED.lock().unwrap().take() {
        fs::rename(&path, path.with_extension("log.1")).unwrap();
    }
}

#[test]
fn an_answer_that_repeats_the_token_is_a_leak() {
    let hop = Hop::start(clean, |head| {
        let target = head.split(' ').nth(1).unwrap();
        format!("HTTP/1.1 301 Moved\r\nLocation: https://h{target}\r\nContent-Length: 0\r\n\r\n")
    });
    let output = hop.probe(&[]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("answers send clients to a URL with the token in it"),
        "{said}"
    );
}

#[test]
fn bytes_go_out_as_they_are() {
    let hop = Hop::start(clean, ok);
    hop.probe(&[]);
    let heads = hop.heads.lock().unwrap();
    assert_eq!(heads.len(), 37);
    let has = |text: &str| {
        let found = heads
            .iter()
            .any(|head| String::from_utf8_lossy(head).contains(text));
        assert!(found, "{text}");
    };
    has("?filter={\"access_token\":\"FAKE");
    has("?q={a|b}&x=\"y\"&access_token=FAKE");
    has("%zz HTTP/1.1\r\n");
    has(" x HTTP/1.1\r\n");
    has("HTTP/1.0\r\n");
    has(&format!("GET {}/_matrix/", hop.url));
}

#[test]
fn a_unix_socket_is_asked_as_well() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hop.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let url = format!("unix:{}", path.display());
    let hop = Hop::serve(url, clean, ok, move || listener.accept().unwrap().0);
    let output = hop.probe(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
}

#[test]
fn nothing_goes_far_away_unasked() {
    // Documentation's address: nobody would answer, and nothing is sent.
    for arguments in [
        &["http://192.0.2.1"][..],
        &["http://127.0.0.1", "--connect", "192.0.2.1:80"],
    ] {
        let output = probe(arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output).contains("--yes-remote"), "{}", text(&output));
    }
}

#[test]
fn without_an_answer_there_is_no_verdict() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let output = probe(&[&format!("http://{port}")]);
    assert_eq!(output.status.code(), Some(2), "refused: {}", text(&output));
    let mute = Hop::start(clean, |_| String::new());
    let output = mute.probe(&[]);
    assert_eq!(output.status.code(), Some(2), "mute: {}", text(&output));
    for url in ["example.org", "http://h/?a=b", "ftp://h"] {
        assert_eq!(probe(&[url]).status.code(), Some(2), "{url}");
    }
    assert!(Path::new(&mute.log()).exists());
}
