//! What the operator asks for while we run.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::access_log::sink::Sink;

/// The signals we heed.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    user_1: Signal,
}

/// What a signal asks for.
pub(super) enum Request {
    Stop,
    Reload,
    ReopenLogs,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            user_1: signal(SignalKind::user_defined1())?,
        })
    }

    pub(super) async fn next(&mut self) -> Request {
        tokio::select! {
            _ = self.terminate.recv() => Request::Stop,
            _ = self.interrupt.recv() => Request::Stop,
            _ = self.hang_up.recv() => Request::Reload,
            _ = self.user_1.recv() => Request::ReopenLogs,
        }
    }

    /// Waits for another signal to stop. Who stops reloads nothing any more, but
    /// its log may be moved away.
    pub(super) async fn stop(&mut self, lines: &Sink) {
        loop {
            match self.next().await {
                Request::Stop => return,
                Request::Reload | Request::ReopenLogs => lines.reopen(),
            }
        }
    }
}
