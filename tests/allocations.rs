//! What a request allocates, from socket to socket: nothing.
//!
//! Memory is lent by the worker and given back, so a proxy that has warmed up asks
//! the allocator for the log's blocks and no more. Client and upstream are part of
//! this process and of its count, so they work in memory that they have already.

#![allow(
    clippy::allow_attributes,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "tests fail by panicking"
)]

use std::{
    alloc::System,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::mpsc,
    thread,
    time::Duration,
};

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokenshim::{
    config::{self, Sources},
    serve,
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nServer: Synapse/1.0\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";

/// What answers end with: the upstream's, and ours to a question.
const ANSWERED: &[u8] = b"\r\n\r\n{}";
const ALLOWED: &[u8] = b"&access_token=<redacted>\r\n\r\n";

/// Connections, and what each of them asks while nothing is counted, and after.
const CLIENTS: usize = 8;
const WARMING: usize = 50;
const REQUESTS: usize = 250;

/// A block of the log holds more lines than that.
const REQUESTS_PER_ALLOCATION: usize = 100;

const FIELDS: &str = "Host: hs.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0)\r\nAccept: */*\r\nReferer: https://app.example/\r\nConnection: keep-alive";

#[test]
fn a_request_allocates_nothing() {
    let token = "syt_YWxpY2U_FAKEFAKEFAKEFAKEFAKE_000000";
    let sync = "GET /_matrix/client/v3/sync?timeout=0&since=s1";
    let cases = [
        (
            "token in the query",
            format!("{sync}&access_token={token} HTTP/1.1\r\n{FIELDS}\r\n\r\n"),
        ),
        (
            "token in the header",
            format!("{sync} HTTP/1.1\r\n{FIELDS}\r\nAuthorization: Bearer {token}\r\n\r\n"),
        ),
        (
            "sloppy target, masked log field",
            format!(
                "{sync}&filter={{\"a\":1}} HTTP/1.1\r\nX-Empty:\r\n{FIELDS}\r\nAuthorization: Bearer {token}\r\n\r\n"
            ),
        ),
    ];
    let asked = (
        "question of nginx",
        format!(
            "HEAD /auth HTTP/1.1\r\n{FIELDS}\r\nX-Original-Method: GET\r\n\
             X-Original-URI: /_matrix/client/v3/sync?since=s1&access_token={token}\r\n\r\n"
        ),
    );
    let directory = tempfile::tempdir().unwrap();
    let addresses = start(&directory.path().join("access.log"));
    let forwarded = cases
        .into_iter()
        .map(|case| (case, &addresses[0], ANSWERED));
    for ((name, request), address, end) in forwarded.chain([(asked, &addresses[1], ALLOWED)]) {
        let mut clients: Vec<TcpStream> = (0..CLIENTS).map(|_| connect(address)).collect();
        ask(&mut clients, request.as_bytes(), end, WARMING);
        let region = Region::new(ALLOCATOR);
        ask(&mut clients, request.as_bytes(), end, REQUESTS);
        let change = region.change();
        let count = change.allocations + change.reallocations;
        println!(
            "{name}: {count} allocations in {} requests",
            CLIENTS * REQUESTS
        );
        assert!(
            count * REQUESTS_PER_ALLOCATION <= CLIENTS * REQUESTS,
            "case: {name}: {change:?}"
        );
    }
    // The counter does count, whatever thread it is.
    let region = Region::new(ALLOCATOR);
    thread::spawn(|| drop(std::hint::black_box(vec![1_u8])))
        .join()
        .unwrap();
    assert!(region.change().allocations > 0);
}

/// Starts the proxy in front of an upstream, with a listener for questions beside it.
fn start(log: &Path) -> Vec<String> {
    let upstream = upstream();
    let text = format!(
        "upstream = \"http://{upstream}\"\nworkers = 1\n[[listen]]\naddress = \"127.0.0.1:0\"\n[[listen]]\naddress = \"127.0.0.1:0\"\nrole = \"auth\"\n[access_log]\nfile = \"{}\"\n",
        log.display()
    );
    let config = config::load(&Sources {
        file: Some((Path::new("tokenshim.toml"), &text)),
        ..Sources::default()
    })
    .unwrap();
    let (ready, bound) = mpsc::channel();
    // Runs until the process ends.
    thread::spawn(move || {
        let served = serve::run(
            || Ok(config.clone()),
            |addresses| ready.send(addresses.to_vec()).unwrap(),
        );
        panic!("ended: {:?}", served.is_ok());
    });
    bound.recv_timeout(Duration::from_secs(10)).unwrap()
}

fn connect(address: &str) -> TcpStream {
    let address = address.trim_start_matches("http://");
    let client = TcpStream::connect(address).unwrap();
    client.set_nodelay(true).unwrap();
    client
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    client
}

/// Sends a request on each connection, then reads the answers, again and again.
fn ask(clients: &mut [TcpStream], request: &[u8], end: &[u8], times: usize) {
    for _ in 0..times {
        for client in &mut *clients {
            client.write_all(request).unwrap();
        }
        for client in &mut *clients {
            assert!(read_until(client, end), "no answer");
        }
    }
}

/// Answers whatever ends like a head; returns its address.
fn upstream() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_nodelay(true).unwrap();
            thread::spawn(move || {
                while read_until(&mut stream, b"\r\n\r\n") {
                    stream.write_all(ANSWER).unwrap();
                }
            });
        }
    });
    address
}

/// Reads one message that ends with `end`; `false` if none comes.
fn read_until(stream: &mut TcpStream, end: &[u8]) -> bool {
    let mut piece = [0; 4096];
    let mut filled = 0;
    while !piece[..filled].ends_with(end) {
        match stream.read(&mut piece[filled..]) {
            Ok(count @ 1..) => filled += count,
            Ok(_) | Err(_) => return false,
        }
    }
    true
}
