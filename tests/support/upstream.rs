//! A server that keeps each request as it came and answers by script.

use std::{
    io::Write as _,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex},
    thread,
};

use super::wire::{Message, Wire};

/// The server; its threads end with the test's process.
pub(crate) struct Upstream {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Message>>>,
}

/// What becomes of a connection behind an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Keep,
    Close,
}

impl Upstream {
    /// Answers everything with 200 and an empty JSON object.
    pub(crate) fn plain() -> Self {
        Self::start(|request, wire| {
            let body: &[u8] = if request.head.starts_with(b"HEAD ") {
                b""
            } else {
                b"{}"
            };
            let head =
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n";
            let _ = wire.stream.write_all(&[&head[..], body].concat());
            Then::Keep
        })
    }

    /// Answers each request as `script` does.
    pub(crate) fn start(
        script: impl Fn(&Message, &mut Wire) -> Then + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Vec<Message>>>::default();
        let (kept, script) = (Arc::clone(&seen), Arc::new(script));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut wire = Wire::new(stream.unwrap());
                // A pooled connection may be silent for longer than any test.
                wire.stream.set_read_timeout(None).unwrap();
                let (kept, script) = (Arc::clone(&kept), Arc::clone(&script));
                thread::spawn(move || {
                    while let Some(request) = wire.request() {
                        kept.lock().unwrap().push(request.clone());
                        if script(&request, &mut wire) == Then::Close {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, seen }
    }

    /// As the configuration has it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests since the last look.
    pub(crate) fn take(&self) -> Vec<Message> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

/// The address of a server that is not there.
pub(crate) fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}
