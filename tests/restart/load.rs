//! Clients that ask without a pause, and do not forgive a request that is lost.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

use super::engine::{End, get};

/// What the clients share with the test.
#[derive(Default)]
pub(crate) struct Shared {
    /// Set at the end.
    pub(crate) is_over: AtomicBool,
    /// Requests that were answered, over all clients.
    pub(crate) answered: AtomicUsize,
}

/// A client; its thread panics when a request is lost, and returns the targets.
pub(crate) struct Client(JoinHandle<Vec<String>>);

impl Client {
    pub(crate) fn start(
        name: &str,
        shared: &Arc<Shared>,
        run: impl FnOnce(&str, &Shared) -> Vec<String> + Send + 'static,
    ) -> Self {
        let (shared, named) = (Arc::clone(shared), name.to_owned());
        let thread = thread::Builder::new().name(name.to_owned());
        Self(thread.spawn(move || run(&named, &shared)).unwrap())
    }

    /// What it asked for, all of it answered.
    #[track_caller]
    pub(crate) fn targets(self) -> Vec<String> {
        let name = self.0.thread().name().unwrap().to_owned();
        let joined = self.0.join();
        joined.unwrap_or_else(|_| panic!("{name} lost a request"))
    }
}

/// Sends the next request on the same connection at once, for as long as it may.
pub(crate) fn keep_alive(connect: impl Fn() -> End, name: &str, shared: &Shared) -> Vec<String> {
    let (mut targets, mut connection) = (Vec::new(), None);
    while !shared.is_over.load(Ordering::SeqCst) {
        let end = connection.get_or_insert_with(&connect);
        let target = format!("/{name}/{}", targets.len());
        end.send(get(&target));
        let answer = end.response();
        assert_eq!(
            (answer.status(), answer.text()),
            (200, format!("{target} "))
        );
        if answer.value("connection") == Some("close") {
            connection = None;
        }
        shared.answered.fetch_add(1, Ordering::SeqCst);
        targets.push(target);
    }
    targets
}

/// Opens a connection for each request.
pub(crate) fn fresh(connect: impl Fn() -> End, name: &str, shared: &Shared) -> Vec<String> {
    let mut targets = Vec::new();
    while !shared.is_over.load(Ordering::SeqCst) {
        let target = format!("/{name}/{}", targets.len());
        let mut end = connect();
        end.send(get(&target).replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
        let answer = end.response();
        assert_eq!(
            (answer.status(), answer.text()),
            (200, format!("{target} "))
        );
        assert_eq!(end.rest(), b"");
        shared.answered.fetch_add(1, Ordering::SeqCst);
        targets.push(target);
    }
    targets
}
