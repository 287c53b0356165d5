//! The real binary between two sockets of ours: a client's and an upstream's.
//!
//! Both ends are plain blocking sockets, so that a test can send half a message,
//! stall, leave, or look at every byte. Whatever reaches an [`Upstream`] is read
//! by a strict grammar; what breaks it fails the test when the upstream is dropped.

#![allow(
    clippy::allow_attributes,
    dead_code,
    unused_imports,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stderr,
    clippy::single_match_else,
    reason = "each test crate uses a part of this, and tests fail by panicking"
)]

#[path = "engine/end.rs"]
mod end;
#[path = "engine/message.rs"]
mod message;
#[path = "engine/shim.rs"]
mod shim;
#[path = "engine/upstream.rs"]
mod upstream;

use std::{
    net::{TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

pub use end::{End, Wire};
pub use message::Message;
pub use shim::Shim;
pub use upstream::Upstream;

/// How long anything may take that is expected to happen.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Polls until `test` holds.
#[track_caller]
pub fn until(what: &str, mut test: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !test() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        thread::sleep(Duration::from_millis(3));
    }
}

/// Asks for as many descriptors as the system gives.
pub fn raise_descriptor_limit() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let all = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, all).unwrap();
}

/// An upstream whose queue is full: connecting to it hangs. Whoever is in the
/// queue is returned with it.
pub fn full_queue() -> (TcpListener, Vec<TcpStream>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let listener = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        socket.listen(1).unwrap().into_std().unwrap()
    });
    listener.set_nonblocking(false).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    let patience = Duration::from_millis(200);
    while let Ok(stream) = TcpStream::connect_timeout(&address, patience) {
        queued.push(stream);
    }
    (listener, queued)
}

/// A response with a length.
pub fn ok(body: &str) -> Vec<u8> {
    response("200 OK", body)
}

pub fn response(status: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A request without a body.
pub fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n")
}

/// A request with a sized body.
pub fn with_body(method: &str, target: &str, body: &str) -> String {
    format!(
        "{method} {target} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
