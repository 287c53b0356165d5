//! Ctrl-C ends the questions, not the report.

use std::{future::poll_fn, io, task::Poll};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Knows whether somebody wants an end.
#[derive(Debug)]
pub(super) struct Stop {
    signals: [Signal; 2],
    is_asked: bool,
}

impl Stop {
    pub(super) fn new() -> io::Result<Self> {
        let [interrupt, terminate] = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
        Ok(Self {
            signals: [interrupt?, terminate?],
            is_asked: false,
        })
    }

    /// Whether somebody did, and was heard.
    pub(super) const fn was_asked(&self) -> bool {
        self.is_asked
    }

    /// Waits until somebody does; at once, ever after.
    pub(super) async fn asked(&mut self) {
        if self.is_asked {
            return;
        }
        poll_fn(|context| {
            let is_any = self
                .signals
                .iter_mut()
                .any(|signal| signal.poll_recv(context).is_ready());
            if is_any {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        self.is_asked = true;
    }
}
