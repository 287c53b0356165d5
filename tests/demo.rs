//! The show as a user sees it: the real binary, what it prints, how it ends.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
    sync::{
        Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, channel},
    },
    thread,
    time::Duration,
};

use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(20);

/// Two demos that start in the same instant would both take the usual port.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn demo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tokenshim"));
    // A port of its own: other tests give the show at the same time.
    command
        .args(["demo", "--listen", "127.0.0.1:0"])
        .args(arguments)
        .stdin(Stdio::null());
    command
}

/// A demo that serves on; killed when the test is over.
struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    fn start() -> Self {
        let mut child = demo(&[])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in stdout.lines() {
                if sender.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// The printed lines up to the first that has `text` in it.
    fn until(&self, text: &str) -> Vec<String> {
        let mut read = Vec::new();
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                panic!("no {text:?} in {read:#?}");
            };
            read.push(line);
            if read.last().is_some_and(|line| line.contains(text)) {
                return read;
            }
        }
    }

    fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal)
            .unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Most have ended by then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Does what a printed `curl 'http://HOST/TARGET'` does.
fn curl(line: &str) -> String {
    let url = line.split('\'').nth(1).expect("a quoted URL");
    let (host, target) = url
        .strip_prefix("http://")
        .and_then(|rest| rest.split_once('/'))
        .expect("an http URL");
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "GET /{target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The values behind a label, with what was folded put together again.
fn values<'s>(shown: &'s str, label: &str) -> Vec<String> {
    let is_more = |line: &&'s str| line.starts_with("                   ");
    let lines: Vec<&str> = shown.lines().collect();
    (0..lines.len())
        .filter_map(|at| {
            let (first, rest) = lines.get(at..)?.split_first()?;
            let first = first.trim_start().strip_prefix(label)?;
            let folded = rest.iter().copied().take_while(is_more).map(str::trim);
            Some(folded.fold(first.trim().to_owned(), |value, more| value + more))
        })
        .collect()
}

/// Whether a whole token of the toy homeserver is in `text`.
fn has_token(text: &str) -> bool {
    text.contains("_FAKE") || text.contains("_000000")
}

#[test]
fn the_show_comes_out_as_promised() {
    let _alone = alone();
    let output = demo(&["--once"]).output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    let diagnostics = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{shown}{diagnostics}");
    assert_eq!(diagnostics, "", "nothing worth a warning");
    assert!(!has_token(&shown), "{shown}");
    for line in [
        "   homeserver saw  GET /_matrix/client/r0/account/whoami",
        "                   Authorization: Bearer syt_YWxpY2U_...",
        "   homeserver saw  nothing: tokenshim answered",
        "   answer          HTTP/1.1 401 Unauthorized",
        "                   WWW-Authenticate: Bearer realm=\"matrix\"",
        "                   {\"errcode\":\"M_MISSING_TOKEN\",\"error\":\"Missing access token\"}",
    ] {
        assert!(shown.lines().any(|it| it == line), "{line:?} in\n{shown}");
    }
    assert!(shown.contains("All 10 requests came out as promised"));
    assert!(shown.is_ascii() && shown.lines().all(|line| line.len() <= 96));
}

#[test]
fn every_request_is_shown_from_three_sides() {
    let _alone = alone();
    let output = demo(&["--once"]).output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    let (sent, seen, logged) = (
        values(&shown, "client sent"),
        values(&shown, "homeserver saw"),
        values(&shown, "access log"),
    );
    assert_eq!((sent.len(), seen.len(), logged.len()), (10, 10, 9));
    let with_token = |lines: &[String]| {
        lines
            .iter()
            .filter(|it| it.contains("access_token="))
            .count()
    };
    assert_eq!(with_token(&sent), 8);
    assert_eq!(with_token(&seen), 1, "only where the homeserver was asked");
    assert!(logged.iter().all(|line| !line.contains("syt_")));
    assert_eq!(
        logged
            .iter()
            .filter(|line| line.contains("access_token=<redacted>"))
            .count(),
        7
    );
    assert!(
        seen.iter().any(|it| it
            .contains("/sync?timeout=0&filter={%22room%22:{%22timeline%22:{%22limit%22:1}}}")),
        "{seen:#?}"
    );
}

#[test]
fn printed_lines_work_until_a_signal() {
    let _alone = alone();
    let mut demo = Running::start();
    let invitation = demo.until("What arrives and what is logged");
    let lines: Vec<&String> = invitation
        .iter()
        .filter(|line| line.starts_with("curl "))
        .collect();
    let [whoami, sync, missing, direct] = lines.as_slice() else {
        panic!("{invitation:#?}");
    };
    assert!(has_token(whoami), "to be pasted");

    assert!(curl(whoami).ends_with("\"user_id\":\"@alice:localhost\"}"));
    let followed = demo.until("access_token=<redacted>").join("\n");
    assert!(!has_token(&followed), "{followed}");
    assert!(curl(sync).contains("\"limited\":true"));
    let refused = curl(missing);
    assert!(refused.starts_with("HTTP/1.1 401 Unauthorized\r\n"));
    assert!(refused.contains("\r\nWWW-Authenticate: Bearer realm=\"matrix\"\r\n"));
    assert!(
        curl(direct).ends_with(r#"{"errcode":"M_MISSING_TOKEN","error":"Missing access token"}"#)
    );

    demo.signal(rustix::process::Signal::TERM);
    assert_eq!(demo.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let _alone = alone();
    let mut child = demo(&["--once"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stderr, b"");
}

/// Sends one request to the toy homeserver and reads the answer's body.
fn ask(host: &str, method: &str, target: &str, token: Option<&str>, body: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let authorization = token.map_or_else(String::new, |token| {
        format!("Authorization: Bearer {token}\r\n")
    });
    let length = body.len();
    write!(
        stream,
        "{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         {authorization}Content-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    // A file is no JSON.
    let body = serde_json::from_str(body).unwrap_or_else(|_| body.into());
    (status, body)
}

/// Starts a demo; returns it with the address of its homeserver.
fn start_homeserver() -> (Running, String) {
    let demo = Running::start();
    let invitation = demo.until("What arrives and what is logged");
    // The last line to paste goes straight to it.
    let direct = invitation
        .iter()
        .rfind(|line| line.starts_with("curl "))
        .unwrap();
    let host = direct.split('/').nth(2).unwrap().to_owned();
    (demo, host)
}

fn log_in(host: &str, user: &str) -> String {
    let form = json!({
        "type": "m.login.password",
        "identifier": { "type": "m.id.user", "user": user }, "password": "any",
    });
    let target = "/_matrix/client/v3/login";
    let (status, body) = ask(host, "POST", target, None, &form.to_string());
    assert_eq!(status, 200, "{body}");
    body.get("access_token")
        .and_then(Value::as_str)
        .unwrap()
        .to_owned()
}

#[test]
fn the_toy_homeserver_speaks_matrix() {
    let _alone = alone();
    let (demo, host) = start_homeserver();
    let (alice, bob) = (log_in(&host, "alice"), log_in(&host, "@bob:localhost"));
    let as_alice = |method, target: &str, body| ask(&host, method, target, Some(&alice), body);
    let as_bob = |method, target: &str, body| ask(&host, method, target, Some(&bob), body);

    let (_, created) = as_alice("POST", "/_matrix/client/v3/createRoom", "{}");
    let room = created["room_id"].as_str().unwrap();
    let send = format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/7");
    let message = r#"{"msgtype":"m.text","body":"hello"}"#;
    assert_eq!(as_bob("PUT", &send, message).0, 403, "not in the room");
    let join = format!("/_matrix/client/v3/join/{}", room.replace('!', "%21"));
    assert_eq!(as_bob("POST", &join, "{}").1["room_id"], room);
    let since = as_bob("GET", "/_matrix/client/v3/sync", "").1;
    let since = since["next_batch"].as_str().unwrap();

    // A long poll ends with the message it waits for.
    let poll = format!("/_matrix/client/v3/sync?since={since}&timeout=4000");
    let news = thread::scope(|scope| {
        let poll = scope.spawn(|| as_bob("GET", &poll, "").1);
        demo.until("/sync?since=");
        let (_, first) = as_alice("PUT", &send, message);
        assert_eq!(as_alice("PUT", &send, message).1, first, "sent again");
        poll.join().unwrap()
    });
    let events = &news["rooms"]["join"][room]["timeline"]["events"];
    assert_eq!(events[0]["content"]["body"], "hello");
    assert_eq!(events.as_array().unwrap().len(), 1);
    let messages = format!("/_matrix/client/v3/rooms/{room}/messages?dir=b");
    assert_eq!(
        as_bob("GET", &messages, "").1["chunk"][0]["sender"],
        "@alice:localhost"
    );

    let (_, uploaded) = as_bob("POST", "/_matrix/media/v3/upload", "content");
    let media = uploaded["content_uri"]
        .as_str()
        .unwrap()
        .replace("mxc://", "");
    let download = format!("/_matrix/client/v1/media/download/{media}");
    assert_eq!(as_alice("GET", &download, ""), (200, "content".into()));
    assert_eq!(ask(&host, "GET", &download, None, "").0, 401);
}

#[test]
fn the_toy_homeserver_refuses_as_matrix_does() {
    let _alone = alone();
    let (_demo, host) = start_homeserver();
    let bob = log_in(&host, "bob");
    let (whoami, users) = (
        "/_matrix/client/v3/account/whoami",
        "/_synapse/admin/v2/users",
    );
    let in_query = format!("{whoami}?access_token={bob}");
    let file = "/_matrix/media/v3/download/localhost/x";
    let errors = [
        ("no token", whoami, None, 401, "M_MISSING_TOKEN"),
        ("in the query", &in_query, None, 401, "M_MISSING_TOKEN"),
        ("unknown", whoami, Some("none"), 401, "M_UNKNOWN_TOKEN"),
        ("no admin", users, Some(&*bob), 403, "M_FORBIDDEN"),
        ("no such file", file, None, 404, "M_NOT_FOUND"),
        ("no such endpoint", "/_x", None, 404, "M_UNRECOGNIZED"),
    ];
    for (name, target, token, status, errcode) in errors {
        let (given, body) = ask(&host, "GET", target, token, "");
        assert_eq!(
            (given, body["errcode"].as_str()),
            (status, Some(errcode)),
            "case: {name}"
        );
    }
    let (status, body) = ask(&host, "POST", "/_matrix/client/v3/login", None, "{");
    assert_eq!(
        (status, body["errcode"].as_str()),
        (400, Some("M_NOT_JSON"))
    );
    let logout = "/_matrix/client/v3/logout";
    assert_eq!(ask(&host, "POST", logout, Some(&bob), "").0, 200);
    assert_eq!(ask(&host, "GET", whoami, Some(&bob), "").0, 401);
}
