//! What is scarce: descriptors, workers, and the patience of a log.

#[path = "support/engine.rs"]
mod engine;

use std::{
    fs::{self, OpenOptions},
    thread,
    time::{Duration, Instant},
};

use engine::{End, Shim, Upstream, get, ok, until};
use rustix::process::Signal;

/// Tells which upstream connection served it: each worker has its own.
fn served_by(client: &mut End) -> String {
    client.send(get("/"));
    client.response().text()
}

fn numbered() -> Upstream {
    Upstream::start(|mut end| {
        while end.request().is_some() {
            if end.try_send(ok(&end.number.to_string())).is_err() {
                return;
            }
        }
    })
}

#[test]
fn a_connection_goes_to_the_worker_that_has_the_fewest() {
    let upstream = numbered();
    let config = "workers = 4\n[timeouts]\nupstream_idle = \"60s\"\n";
    let shim = Shim::start(&upstream, config);
    let mut clients: Vec<End> = (0..4).map(|_| shim.connect()).collect();
    // One after the other: two on one worker would share its connection.
    let workers: Vec<String> = clients.iter_mut().map(served_by).collect();
    assert_eq!(workers, ["0", "1", "2", "3"]);
    let again: Vec<String> = clients.iter_mut().map(served_by).collect();
    assert_eq!(again, workers, "and stays there");
    // The place that one left is the next one's.
    for leaving in [2, 0, 3] {
        clients[leaving].finish();
        assert!(clients[leaving].is_closed_within(Duration::from_secs(5)));
        clients[leaving] = shim.connect();
        assert_eq!(served_by(&mut clients[leaving]), workers[leaving]);
    }
    assert_eq!(upstream.connections(), 4);
}

#[test]
fn without_descriptors_it_waits_and_does_not_spin() {
    let upstream = Upstream::echo();
    let shim = Shim::start_with(&upstream.address, "", Some(40));
    let mut served = shim.connect();
    served.send(get("/before"));
    assert_eq!(served.response().status(), 200);
    let mut crowd: Vec<End> = (0..80).map(|_| shim.connect()).collect();
    until("it says so", || {
        shim.diagnostics()
            .contains("connections cannot be accepted")
    });
    let before = shim.cpu_ticks();
    thread::sleep(Duration::from_secs(1));
    let ticks = shim.cpu_ticks() - before;
    assert!(ticks < 20, "{ticks} ticks of 10 ms in a second");
    let said = shim.diagnostics().matches("cannot be accepted").count();
    assert_eq!(said, 1, "one line for a condition, not for each attempt");
    served.send(get("/meanwhile"));
    assert_eq!(served.response().status(), 200);
    crowd.truncate(10);
    for client in &mut crowd {
        client.send(get("/after"));
        assert_eq!(client.response().status(), 200);
    }
    let mut late = shim.connect();
    late.send(get("/late"));
    assert_eq!(late.response().status(), 200);
}

#[test]
fn a_log_that_nobody_reads_delays_nobody() {
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
    // Opened for both, it has a reader that does not read.
    let _reader = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    let upstream = Upstream::echo();
    let config = format!("[access_log]\nfile = \"{}\"\n", path.display());
    let mut shim = Shim::start(&upstream, &config);
    let target = format!("/{}", "x".repeat(900));
    let request = get(&target);
    let began = Instant::now();
    // 10 MB of log: more than pipe and queue hold.
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = shim.connect();
                for _ in 0..250 {
                    client.send(request.repeat(10));
                    for _ in 0..10 {
                        assert_eq!(client.response().status(), 200);
                    }
                }
            });
        }
    });
    assert!(began.elapsed() < Duration::from_secs(20));
    let began = Instant::now();
    shim.signal(Signal::TERM);
    assert_eq!(shim.wait().code(), Some(0));
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "nor the end of the process"
    );
}

#[test]
fn a_rotated_log_loses_no_line() {
    let upstream = Upstream::echo();
    let mut shim = Shim::start(&upstream, "workers = 2\n");
    let mut client = shim.connect();
    let path = shim.log_path().to_owned();
    let rotated = |number: usize| path.with_extension(number.to_string());
    for rotation in 0..4 {
        for number in 0..300 {
            client.send(get(&format!("/{rotation}/{number}")));
            assert_eq!(client.response().status(), 200);
            if number == 150 {
                let signal = [Signal::USR1, Signal::HUP][rotation % 2];
                until("there is a log", || path.exists());
                fs::rename(&path, rotated(rotation)).unwrap();
                shim.signal(signal);
                until("it is opened anew", || path.exists());
            }
        }
    }
    shim.signal(Signal::TERM);
    assert_eq!(shim.wait().code(), Some(0));
    let mut text = fs::read_to_string(&path).unwrap();
    for rotation in 0..4 {
        text += &fs::read_to_string(rotated(rotation)).unwrap();
    }
    assert_eq!(text.lines().count(), 1200);
    for rotation in 0..4 {
        for number in 0..300 {
            let target = format!("\"target\":\"/{rotation}/{number}\"");
            assert_eq!(text.matches(&target).count(), 1, "{target}");
        }
    }
}
