//! A restart that loses nothing: the service manager keeps the sockets, a new
//! process takes them over, and the old one finishes what it has begun.

#![allow(
    clippy::allow_attributes,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

#[path = "support/engine.rs"]
mod engine;
#[path = "restart/h2c.rs"]
mod h2c;
#[path = "support/inherit.rs"]
mod inherit;
#[path = "restart/load.rs"]
mod load;
#[path = "restart/manager.rs"]
mod manager;

use std::sync::{Arc, atomic::Ordering};

use bytes::Bytes;
use engine::{End, PATIENCE, get, until};
use http::Request;
use load::{Client, Shared};
use manager::Manager;
use rustix::process::Signal;

const ROUNDS: usize = 8;

/// How many answers there are before each step of a round.
const UNDER_LOAD: usize = 300;

#[test]
fn no_request_is_lost_under_load() {
    let manager = Manager::new();
    let mut present = manager.start();
    let (web, local) = (manager.web(), manager.local());
    let shared = Arc::<Shared>::default();
    let mut clients = Vec::new();
    for (number, address) in [&web, &web, &local].into_iter().enumerate() {
        let address = address.clone();
        let run = move |name: &str, shared: &Shared| load::keep_alive(&address, name, shared);
        clients.push(Client::start(&format!("kept-{number}"), &shared, run));
    }
    for (number, address) in [&web, &web, &local].into_iter().enumerate() {
        let address = address.clone();
        let run = move |name: &str, shared: &Shared| load::fresh(&address, name, shared);
        clients.push(Client::start(&format!("fresh-{number}"), &shared, run));
    }
    let run = move |name: &str, shared: &Shared| h2c::streams(&web, name, shared);
    clients.push(Client::start("streams", &shared, run));
    let wait_for_load = || {
        let before = shared.answered.load(Ordering::SeqCst);
        until("the clients are served", || {
            shared.answered.load(Ordering::SeqCst) >= before + UNDER_LOAD
        });
    };
    let mut expected = Vec::new();
    for round in 0..ROUNDS {
        wait_for_load();
        let next = restart(&manager, round, &mut present, &wait_for_load);
        present = next;
        expected.extend([format!("/held/{round}"), format!("/upload/{round}")]);
    }
    wait_for_load();
    shared.is_over.store(true, Ordering::SeqCst);
    for client in clients {
        let targets = client.targets();
        assert!(targets.len() > ROUNDS, "each has taken part");
        expected.extend(targets);
    }
    present.signal(Signal::TERM);
    assert_eq!(present.wait().code(), Some(0));
    let mut lines = manager.lines();
    for target in expected {
        assert_eq!(lines.remove(&target), Some(1), "lines of {target}");
    }
    assert!(lines.is_empty(), "of nobody: {lines:?}");
}

/// One process takes over from another, in the middle of a long poll and an upload.
fn restart(
    manager: &Manager,
    round: usize,
    old: &mut engine::Shim,
    wait_for_load: &impl Fn(),
) -> engine::Shim {
    let (mut waiting, mut uploading) =
        (End::connect(&manager.web()), End::connect(&manager.local()));
    waiting.send(get(&format!("/held/{round}")));
    uploading.send(format!(
        "POST /upload/{round} HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nfirst"
    ));
    until("both have arrived", || manager.have_arrived(round));
    let new = manager.start();
    wait_for_load();
    old.signal(Signal::TERM);
    // By then nobody is served by the old one who is not in the middle of something.
    wait_for_load();
    uploading.send("-last");
    let answer = uploading.response();
    assert_eq!(
        (answer.status(), answer.text(), answer.value("connection")),
        (200, format!("/upload/{round} first-last"), Some("close"))
    );
    manager.release(round);
    let answer = waiting.response();
    assert_eq!(
        (answer.status(), answer.text(), answer.value("connection")),
        (200, format!("/held/{round} "), Some("close"))
    );
    for end in [&mut uploading, &mut waiting] {
        assert!(end.is_closed_within(PATIENCE));
    }
    assert_eq!(old.wait().code(), Some(0), "{}", old.diagnostics());
    new
}

#[test]
fn streams_in_flight_are_finished_and_no_more_are_taken() {
    let manager = Manager::new();
    let mut shim = manager.start();
    h2c::run(async {
        let (send, end) = h2c::connect(&manager.web()).await;
        let mut ready = send.clone().ready().await.unwrap();
        let (held, _) = ready.send_request(h2c::get("/held/0"), true).unwrap();
        let request = Request::post("http://h/upload/0").body(()).unwrap();
        let mut ready = ready.ready().await.unwrap();
        let (uploaded, mut body) = ready.send_request(request, false).unwrap();
        body.send_data(Bytes::from_static(b"first"), false).unwrap();
        tokio::task::yield_now().await;
        poll_until("both have arrived", || manager.have_arrived(0)).await;
        shim.signal(Signal::TERM);
        let mut more = 0;
        let farewell = loop {
            let target = format!("/more/{more}");
            let begun = match send.clone().ready().await {
                Ok(mut ready) => ready.send_request(h2c::get(&target), true),
                Err(error) => break error,
            };
            match begun {
                Ok((response, _)) => {
                    // Sent before we could know: then it is answered.
                    let answer = h2c::read(response).await.unwrap();
                    assert_eq!(answer.0, 200);
                    more += 1;
                }
                Err(error) => break error,
            }
        };
        assert!(h2c::is_farewell(&farewell), "{farewell}");
        body.send_data(Bytes::from_static(b"-last"), true).unwrap();
        let answer = h2c::read(uploaded).await.unwrap();
        assert_eq!(answer, (200, b"/upload/0 first-last".to_vec()));
        manager.release(0);
        let answer = h2c::read(held).await.unwrap();
        assert_eq!(answer, (200, b"/held/0 ".to_vec()));
        drop((send, ready));
        end.await.unwrap().unwrap();
        assert_eq!(shim.wait().code(), Some(0), "{}", shim.diagnostics());
        assert_eq!(manager.lines().len(), 2 + more, "{:?}", manager.lines());
    });
}

/// As [`until`], while the client's connection goes on.
async fn poll_until(what: &str, mut test: impl FnMut() -> bool) {
    let wait = async {
        while !test() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, wait).await;
    assert!(waited.is_ok(), "never happened: {what}");
}
