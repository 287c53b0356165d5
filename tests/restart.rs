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

#[path = "support/edge.rs"]
mod edge;
#[path = "support/engine.rs"]
mod engine;
#[path = "restart/http2.rs"]
mod http2;
#[path = "support/inherit.rs"]
mod inherit;
#[path = "restart/load.rs"]
mod load;
#[path = "restart/manager.rs"]
mod manager;

use std::{
    net::TcpStream,
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;
use edge::{Authority, tls_client};
use engine::{End, PATIENCE, get, until};
use http::Request;
use load::{Client, Shared};
use manager::{HOST, Manager};
use rustix::process::Signal;

const ROUNDS: usize = 8;

/// How many answers there are before each step of a round.
const UNDER_LOAD: usize = 300;

#[test]
fn no_request_is_lost_under_load() {
    let manager = Manager::new();
    let mut present = manager.start();
    let shared = Arc::<Shared>::default();
    let clients = start_clients(&manager, &shared);
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

/// Clients of each kind, by each listener.
fn start_clients(manager: &Manager, shared: &Arc<Shared>) -> Vec<Client> {
    let mut clients = Vec::new();
    let addresses = [
        (manager.web(), None),
        (manager.web(), None),
        (manager.local(), None),
        (manager.tls(), Some(&manager.authority)),
        (manager.tls(), Some(&manager.authority)),
    ];
    for (number, (address, authority)) in addresses.into_iter().enumerate() {
        let kept = connecting(&address, authority);
        let fresh = connecting(&address, authority);
        clients.push(Client::start(
            &format!("kept-{number}"),
            shared,
            move |name, shared| load::keep_alive(kept, name, shared),
        ));
        clients.push(Client::start(
            &format!("fresh-{number}"),
            shared,
            move |name, shared| load::fresh(fresh, name, shared),
        ));
    }
    let ways = [
        ("streams", manager.web(), None),
        ("sealed-streams", manager.tls(), Some(&manager.authority)),
    ];
    for (name, address, authority) in ways {
        let authority = authority.cloned();
        clients.push(Client::start(name, shared, move |name, shared| {
            http2::streams(&address, authority.as_ref(), name, shared)
        }));
    }
    clients
}

/// How a client of HTTP/1.1 connects, with TLS if there is somebody to believe.
fn connecting(
    address: &str,
    authority: Option<&Arc<Authority>>,
) -> impl Fn() -> End + Send + 'static {
    let (address, authority) = (address.to_owned(), authority.cloned());
    move || match &authority {
        None => End::connect(&address),
        Some(authority) => {
            let socket = TcpStream::connect(&address).unwrap();
            tls_client(socket, authority, HOST, &["http/1.1"])
        }
    }
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
    finish_streams(&manager, &manager.web(), None);
}

#[test]
fn with_tls_they_are_as_well() {
    let manager = Manager::new();
    finish_streams(&manager, &manager.tls(), Some(&manager.authority));
}

fn finish_streams(manager: &Manager, address: &str, authority: Option<&Arc<Authority>>) {
    let mut shim = manager.start();
    http2::run(async {
        let (send, end) = http2::connect(address, authority).await;
        let mut ready = send.clone().ready().await.unwrap();
        let (held, _) = ready.send_request(http2::get("/held/0"), true).unwrap();
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
                Ok(mut ready) => ready.send_request(http2::get(&target), true),
                Err(error) => break error,
            };
            match begun {
                Ok((response, _)) => {
                    // Sent before we could know: then it is answered.
                    let answer = http2::read(response).await.unwrap();
                    assert_eq!(answer.0, 200);
                    more += 1;
                }
                Err(error) => break error,
            }
        };
        assert!(http2::is_farewell(&farewell), "{farewell}");
        body.send_data(Bytes::from_static(b"-last"), true).unwrap();
        let answer = http2::read(uploaded).await.unwrap();
        assert_eq!(answer, (200, b"/upload/0 first-last".to_vec()));
        manager.release(0);
        let answer = http2::read(held).await.unwrap();
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
