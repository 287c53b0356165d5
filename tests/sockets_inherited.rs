//! Sockets that were handed over, and messages to the service manager: each by a
//! process of its own, because both come by the environment.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and its child reports by printing"
)]

#[path = "support/inherit.rs"]
mod inherit;

use std::{
    env,
    io::Read,
    net::{TcpListener, TcpStream, UdpSocket},
    os::{
        fd::OwnedFd,
        unix::net::{UnixDatagram, UnixListener, UnixStream},
    },
    process::{Command, Stdio},
    time::Duration,
};

use tokenshim::{
    inherited::{Inherited, Socket},
    systemd,
};
use tokio::io::AsyncWriteExt as _;

const PATIENCE: Duration = Duration::from_secs(20);

/// What the child is told to do, in words.
const TASK: &str = "TASK";

/// Lets a process of its own do `task`; returns the lines that it reports.
fn run(task: &str, mut command: Command) -> Vec<String> {
    let output = command
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env(TASK, task)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    reports(&String::from_utf8(output.stdout).unwrap())
}

fn reports(text: &str) -> Vec<String> {
    // The harness prints without a line's end before.
    let (_, text) = text.split_once(BEGIN).unwrap_or(("", text));
    let lines = text.lines().filter_map(|line| line.strip_prefix("> "));
    lines.map(ToOwned::to_owned).collect()
}

const BEGIN: &str = "[begin]";

fn this_program() -> std::path::PathBuf {
    env::current_exe().unwrap()
}

#[test]
#[ignore = "the other side of the other tests, in a process of its own"]
fn child() {
    let Ok(task) = env::var(TASK) else { return };
    println!("{BEGIN}");
    if task == "notify" {
        return notify();
    }
    // Before anything here opens descriptors of its own.
    match Inherited::from_env() {
        Ok(inherited) => runtime().block_on(take(inherited, &task)),
        Err(error) => println!("> {error}"),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// Takes each name, and serves one client at each socket.
async fn take(mut inherited: Inherited, names: &str) {
    for name in names.split_whitespace() {
        match inherited.take(name) {
            Ok(sockets) => {
                for socket in sockets {
                    println!("> {name}: {}", socket.address());
                    greet(name, socket).await;
                }
            }
            Err(error) => println!("> {error}"),
        }
    }
    println!("> left: {}", inherited.left().join(" "));
    for variable in ["LISTEN_PID", "LISTEN_FDS"] {
        println!("> {variable}: {:?}", env::var_os(variable));
    }
}

async fn greet(name: &str, socket: Socket) {
    let greeting = format!("{name} greets");
    match socket {
        Socket::Tcp(listener) => {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(greeting.as_bytes()).await.unwrap();
        }
        Socket::Unix(listener) => {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(greeting.as_bytes()).await.unwrap();
        }
    }
}

fn read_all(mut stream: impl Read) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn every_socket_is_found_by_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let one = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = TcpListener::bind("[::1]:0").unwrap();
    let unix = UnixListener::bind(&path).unwrap();
    let addresses = [&one, &other].map(|listener| listener.local_addr().unwrap());
    // Clients may come before anybody accepts: that is the point of it.
    let clients = addresses.map(|address| TcpStream::connect(address).unwrap());
    let admin = UnixStream::connect(&path).unwrap();
    for client in &clients {
        client.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    admin.set_read_timeout(Some(PATIENCE)).unwrap();
    let sockets = vec![
        ("client", one.into()),
        ("admin", unix.into()),
        ("client", other.into()),
        ("spare", TcpListener::bind("127.0.0.1:0").unwrap().into()),
    ];
    let lines = run("client admin", inherit::command(this_program(), sockets));
    let [one, other] = addresses;
    assert_eq!(
        lines,
        [
            format!("client: {one}"),
            format!("client: {other}"),
            format!("admin: unix:{}", path.display()),
            "left: spare".into(),
            "LISTEN_PID: None".into(),
            "LISTEN_FDS: None".into(),
        ]
    );
    for client in clients {
        assert_eq!(read_all(client), "client greets");
    }
    assert_eq!(read_all(admin), "admin greets");
}

type Sockets = Vec<(&'static str, OwnedFd)>;

fn tcp() -> OwnedFd {
    TcpListener::bind("127.0.0.1:0").unwrap().into()
}

#[test]
fn what_cannot_be_used_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connection = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (pair, _peer) = UnixStream::pair().unwrap();
    let cases: [(&str, Sockets, &str); 7] = [
        (
            "another name",
            vec![("admin", tcp()), ("client", tcp())],
            "no inherited socket is named `it`: there are `admin`, `client`",
        ),
        (
            "UDP",
            vec![("it", UdpSocket::bind("127.0.0.1:0").unwrap().into())],
            "the inherited socket `it` is a datagram socket (`ListenDatagram=`), not a stream socket",
        ),
        (
            "a unix datagram",
            vec![("it", UnixDatagram::bind(path("d")).unwrap().into())],
            "the inherited socket `it` is a datagram socket (`ListenDatagram=`), not a stream socket",
        ),
        (
            "a connection",
            vec![("it", connection.into())],
            "the inherited socket `it` is a connection (`Accept=yes`), not a listening socket",
        ),
        (
            "a unix connection",
            vec![("it", pair.into())],
            "the inherited socket `it` is a connection (`Accept=yes`), not a listening socket",
        ),
        (
            "a file",
            vec![("it", std::fs::File::create(path("f")).unwrap().into())],
            "the inherited socket `it` is neither a TCP nor a unix stream socket",
        ),
        (
            "no sockets",
            vec![],
            "no inherited socket is named `it`: none was handed over (is there a socket unit?)",
        ),
    ];
    for (name, sockets, expected) in cases {
        let lines = run("it", inherit::command(this_program(), sockets));
        assert_eq!(lines[0], expected, "case: {name}");
    }
}

#[test]
fn what_the_environment_claims_is_checked() {
    type Environment = &'static [(&'static str, &'static str)];
    let no_number = "which is not a number of sockets up to 1024";
    let many = format!("`LISTEN_FDS` is \"many\", {no_number}");
    let huge = format!("`LISTEN_FDS` is \"2147483647\", {no_number}");
    let negative = format!("`LISTEN_FDS` is \"-1\", {no_number}");
    let cases: [(&str, Sockets, Environment, &str); 5] = [
        ("no number", vec![], &[("LISTEN_FDS", "many")], &many),
        (
            "too many for the memory",
            vec![],
            &[("LISTEN_FDS", "2147483647")],
            &huge,
        ),
        ("negative", vec![], &[("LISTEN_FDS", "-1")], &negative),
        (
            "fewer names",
            vec![("it", tcp()), ("it", tcp())],
            &[("LISTEN_FDNAMES", "it")],
            "`LISTEN_FDNAMES` has 1 names for 2 sockets",
        ),
        (
            "closed descriptors",
            vec![],
            &[("LISTEN_FDS", "2"), ("LISTEN_FDNAMES", "it:it")],
            "the inherited socket `it` is neither a TCP nor a unix stream socket",
        ),
    ];
    for (name, sockets, environment, expected) in cases {
        let mut command = inherit::command(this_program(), sockets);
        command.envs(environment.iter().copied());
        assert_eq!(run("it", command)[0], expected, "case: {name}");
    }
}

#[test]
fn sockets_of_another_process_are_left_alone() {
    let command = inherit::command_for_another(this_program(), vec![("it", tcp())]);
    assert_eq!(
        run("it", command),
        [
            "no inherited socket is named `it`: `LISTEN_PID` says that they are for process 1",
            "left: ",
            "LISTEN_PID: None",
            "LISTEN_FDS: None",
        ]
    );
}

#[test]
fn sockets_without_names_are_unknown() {
    let mut command = inherit::command(this_program(), vec![("", tcp()), ("", tcp())]);
    command.env_remove("LISTEN_FDNAMES");
    let lines = run("it", command);
    assert_eq!(
        lines[0],
        "no inherited socket is named `it`: there are `unknown`, `unknown`"
    );
}

/// Everything that is ever sent, and the watchdog until it is told to end.
fn notify() {
    systemd::ready();
    systemd::status("reload failed\nREADY=0");
    systemd::reloading();
    systemd::stopping();
    let mut left = 3;
    runtime().block_on(async {
        let is_alive = async || {
            left = i32::saturating_sub(left, 1);
            if left == 0 {
                std::future::pending::<()>().await;
            }
            true
        };
        let telling = systemd::watchdog(is_alive);
        let _ = tokio::time::timeout(Duration::from_millis(500), telling).await;
    });
}

#[test]
fn the_manager_hears_everything() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = Command::new(this_program());
    command
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "20000")
        .env_remove("WATCHDOG_PID");
    run("notify", command);
    let next = || {
        let mut buffer = [0; 4096];
        let length = manager.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    assert_eq!(next(), "READY=1\n");
    assert_eq!(next(), "STATUS=reload failed READY=0\n");
    let reloading = next();
    let time = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
    assert!(time.unwrap().trim_end().parse::<u64>().unwrap() > 0);
    assert_eq!(next(), "STOPPING=1\n");
    assert_eq!(next(), "WATCHDOG=1\n");
    assert_eq!(next(), "WATCHDOG=1\n");
    manager.set_nonblocking(true).unwrap();
    assert!(manager.recv(&mut [0; 64]).is_err(), "and no more");
}

#[test]
fn without_a_manager_nothing_happens() {
    let mut command = Command::new(this_program());
    command
        .env_remove("NOTIFY_SOCKET")
        .env_remove("WATCHDOG_USEC");
    run("notify", command);
}
