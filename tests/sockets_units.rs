//! The systemd units in `contrib/systemd`: that systemd takes them, and that they
//! fit the program.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tokenshim::config::{self, Flags, Sources};

const UNITS: [&str; 2] = ["tokenshim.service", "tokenshim.socket"];

/// What must stand in them, and why.
const REQUIRED: [(&str, &str, &str); 17] = [
    (
        "tokenshim.service",
        "Type=notify",
        "Debian 12 has no notify-reload",
    ),
    (
        "tokenshim.service",
        "WatchdogSec=30s",
        "a service that hangs is restarted",
    ),
    (
        "tokenshim.service",
        "Requires=tokenshim.socket",
        "the socket is there first",
    ),
    (
        "tokenshim.service",
        "RestartPreventExitStatus=64 78",
        "a mistake is not tried again",
    ),
    (
        "tokenshim.service",
        "ExecReload=/bin/kill -HUP $MAINPID",
        "reload is SIGHUP",
    ),
    (
        "tokenshim.service",
        "DynamicUser=yes",
        "no user of the system",
    ),
    (
        "tokenshim.service",
        "CapabilityBoundingSet=",
        "no privilege",
    ),
    (
        "tokenshim.service",
        "NoNewPrivileges=yes",
        "and no way to one",
    ),
    (
        "tokenshim.service",
        "ProtectSystem=strict",
        "nothing is written",
    ),
    (
        "tokenshim.service",
        "ProtectHome=yes",
        "nobody's files are read",
    ),
    ("tokenshim.service", "PrivateDevices=yes", "no devices"),
    (
        "tokenshim.service",
        "MemoryDenyWriteExecute=yes",
        "no code that was not there",
    ),
    (
        "tokenshim.service",
        "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
        "no other sockets",
    ),
    (
        "tokenshim.service",
        "SystemCallFilter=@system-service",
        "no other calls",
    ),
    (
        "tokenshim.service",
        "SystemCallFilter=~@privileged @resources",
        "nor these of them",
    ),
    (
        "tokenshim.socket",
        "FileDescriptorName=client",
        "the name of the comment",
    ),
    (
        "tokenshim.socket",
        "WantedBy=sockets.target",
        "started before the service",
    ),
];

/// In tenths; 0 is none. Without any sandbox a service has 96.
const MOST_EXPOSURE: &str = "15";

fn unit(name: &str) -> String {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/systemd");
    fs::read_to_string(directory.join(name)).unwrap()
}

#[test]
fn the_units_say_what_they_must() {
    for name in UNITS {
        check_grammar(name);
    }
    for (name, line, why) in REQUIRED {
        let has = unit(name).lines().any(|other| other == line);
        assert!(has, "{name}: `{line}` is missing: {why}");
    }
}

#[test]
fn systemd_takes_the_units() {
    // In a place of their own, with a program that exists.
    let directory = tempfile::tempdir().unwrap();
    let paths = UNITS.map(|name| directory.path().join(name));
    for (name, path) in UNITS.iter().zip(&paths) {
        let text = unit(name).replace("/usr/bin/tokenshim", env!("CARGO_BIN_EXE_tokenshim"));
        fs::write(path, text).unwrap();
    }
    let Some(verified) = systemd_analyze(&["verify"], &paths) else {
        // No systemd here: their grammar and the required lines are checked above.
        return;
    };
    let complaints = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success(), "{complaints}");
    assert_eq!(complaints, "");
    let threshold = format!("--threshold={MOST_EXPOSURE}");
    let arguments = ["security", "--offline=true", "--no-pager", &threshold];
    let security = systemd_analyze(&arguments, &paths[..1]).unwrap();
    let report = String::from_utf8_lossy(&security.stdout);
    assert!(security.status.success(), "{report}");
}

/// `None` where the program is not installed.
fn systemd_analyze(arguments: &[&str], units: &[PathBuf]) -> Option<Output> {
    let run = Command::new("systemd-analyze")
        .args(arguments)
        .args(units)
        .output();
    if matches!(&run, Err(error) if error.kind() == ErrorKind::NotFound) {
        return None;
    }
    Some(run.unwrap())
}

fn check_grammar(name: &str) {
    let mut section = None;
    for line in unit(name).lines() {
        let is_setting = line.split_once('=').is_some_and(|(key, _)| {
            !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric())
        });
        match line {
            "" => {}
            _ if line.starts_with('#') => {}
            "[Unit]" | "[Service]" | "[Socket]" | "[Install]" => section = Some(line),
            _ => assert!(is_setting && section.is_some(), "{name}: {line}"),
        }
    }
}

#[test]
fn a_reload_checks_the_file_first() {
    let service = unit("tokenshim.service");
    let mut reloads = service
        .lines()
        .filter_map(|line| line.strip_prefix("ExecReload="));
    let check = reloads.next().unwrap();
    let (_, command) = check.split_once("/usr/bin/tokenshim ").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    for (text, code) in [
        ("upstream = \"http://127.0.0.1:8008\"", 0),
        ("upstrem = 1", 78),
    ] {
        fs::write(&file, text).unwrap();
        let command = command.replace("/etc/tokenshim/config.toml", file.to_str().unwrap());
        let output = Command::new(env!("CARGO_BIN_EXE_tokenshim"))
            .args(command.split(' '))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
    }
    assert!(reloads.next().unwrap().contains("-HUP"), "and only then");
}

#[test]
fn a_stop_has_time_to_drain() {
    let sources = Sources {
        file: Some((
            Path::new("config.toml"),
            "upstream = \"http://127.0.0.1:8008\"",
        )),
        environment: Vec::new(),
        flags: Flags::default(),
    };
    let drain = config::load(&sources).unwrap().drain_timeout;
    let service = unit("tokenshim.service");
    let stop = service
        .lines()
        .find_map(|line| line.strip_prefix("TimeoutStopSec=")?.strip_suffix('s'));
    let stop: u64 = stop.unwrap().parse().unwrap();
    assert!(stop > drain.as_secs() + 5, "{stop} s, {drain:?}");
}
