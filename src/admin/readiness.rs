//! Whether requests should be sent here.

use std::{fmt, pin::Pin, time::Duration};

use tokio::{
    sync::{Mutex, watch},
    time::{self, Instant},
};

use crate::metrics::{ConnectFailure, Label as _};

/// How long the upstream may take to accept a connection.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long one answer is enough: who asks all the time must not fill the
/// upstream with connections.
const FRESH: Duration = Duration::from_secs(1);

/// Connects to the default upstream, and hangs up.
pub type Probe = Box<dyn Fn() -> Connecting + Send + Sync>;

type Outcome = Result<(), ConnectFailure>;

type Connecting = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// How far this process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Starting,
    Serving,
    Draining,
}

/// Why no request should be sent here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// Not all is up yet.
    #[error("starting")]
    Starting,
    /// We stop.
    #[error("draining")]
    Draining,
    /// There is nobody to forward to.
    #[error("upstream cannot be connected: {}", .0.as_str())]
    Upstream(ConnectFailure),
}

/// Knows whether requests should be sent here.
pub struct Readiness {
    state: watch::Sender<State>,
    probe: Probe,
    last: Mutex<Option<(Instant, Outcome)>>,
}

impl Readiness {
    /// Not ready until [`serving`](Self::serving) says so.
    #[must_use]
    pub fn new(probe: Probe) -> Self {
        Self {
            state: watch::Sender::new(State::Starting),
            probe,
            last: Mutex::default(),
        }
    }

    /// From now on, requests are served.
    pub fn serving(&self) {
        self.state.send_replace(State::Serving);
    }

    /// From now on, no new ones are.
    pub fn draining(&self) {
        self.state.send_replace(State::Draining);
    }

    /// Asks.
    ///
    /// # Errors
    ///
    /// [`NotReady`].
    pub async fn ask(&self) -> Result<(), NotReady> {
        let state = *self.state.borrow();
        match state {
            State::Starting => Err(NotReady::Starting),
            State::Draining => Err(NotReady::Draining),
            State::Serving => self.upstream().await.map_err(NotReady::Upstream),
        }
    }

    /// Connects, or says what came of it a moment ago.
    async fn upstream(&self) -> Outcome {
        let mut last = self.last.lock().await;
        if let Some((at, outcome)) = *last
            && at.elapsed() < FRESH
        {
            return outcome;
        }
        let outcome = time::timeout(PATIENCE, (self.probe)())
            .await
            .unwrap_or(Err(ConnectFailure::Timeout));
        *last = Some((Instant::now(), outcome));
        outcome
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness")
            .field("state", &*self.state.borrow())
            .finish_non_exhaustive()
    }
}
