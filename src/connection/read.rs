//! What a connection reads of its client.

use std::{
    io,
    task::Poll,
    time::{Duration, Instant},
};

use crate::{
    clock::{self, Elapsed},
    exchange::Next,
    http1::{body::Incoming, head, length::Length, pace::Pace, stream},
    metrics::Timeout,
    plan::Plan,
    refusal::{Malformed, Refusal},
    worker::Phase,
};

use super::Connection;

/// nginx's `lingering_timeout`.
const LINGER_IDLE: Duration = Duration::from_secs(5);

/// Why a request has no head.
pub(super) enum NoHead {
    /// The client left in the middle of it, or we do.
    Gone,
    Refused(Refusal),
}

impl Connection<'_> {
    /// Waits for a request's first byte; `false` if none comes.
    pub(super) async fn wait_for_request(&mut self) -> bool {
        // One for all of them: empty lines are no requests.
        let deadline = clock::now().checked_add(self.setup.settings.timeouts.idle);
        loop {
            self.input
                .consume(head::leading_empty_lines(self.input.filled()));
            if !self.input.is_empty() {
                return true;
            }
            match self.fill_by(deadline, Phase::Draining).await {
                Ok(Ok(count)) if count > 0 => {}
                Ok(Ok(_) | Err(_)) => return false,
                Err(_) => {
                    self.worker.metrics.timed_out(Timeout::Idle);
                    return false;
                }
            }
        }
    }

    /// Reads a head; returns its length.
    pub(super) async fn read_head(&mut self) -> Result<usize, NoHead> {
        let mut searched = 0;
        let longest = self.setup.settings.limits.head_size;
        let deadline = clock::now().checked_add(self.setup.settings.timeouts.head);
        loop {
            let filled = self.input.filled();
            if let Some(end) = head::end(filled, searched) {
                return if end > longest {
                    Err(NoHead::Refused(Refusal::HeadTooLarge))
                } else {
                    Ok(end)
                };
            }
            if filled.len() >= longest {
                return Err(NoHead::Refused(head::overflow(filled)));
            }
            searched = filled.len();
            match self.fill_by(deadline, Phase::Cut).await {
                Err(_) => return Err(NoHead::Refused(Refusal::HeadTimeout)),
                Ok(Ok(0) | Err(_)) => return Err(NoHead::Gone),
                Ok(Ok(_)) => {}
            }
        }
    }

    /// Reads once, until `deadline`; see [`fill_until`](Self::fill_until).
    pub(super) async fn fill_by(
        &mut self,
        deadline: Option<Instant>,
        phase: Phase,
    ) -> Result<io::Result<usize>, Elapsed> {
        let mut seat = std::mem::take(&mut self.seat);
        let filled = seat.timeout_at(deadline, self.fill_until(phase)).await;
        self.seat = seat;
        filled
    }

    /// Reads once. When the worker has come to `phase`, what has arrived is
    /// still read, but nothing is waited for: 0.
    pub(super) async fn fill_until(&mut self, phase: Phase) -> io::Result<usize> {
        let longest = self.setup.settings.limits.head_size;
        std::future::poll_fn(|cx| {
            let mut client = self.client.borrow_mut();
            match self.input.poll_fill(cx, &mut client, longest) {
                Poll::Pending if self.worker.phase() >= phase => Poll::Ready(Ok(0)),
                polled => polled,
            }
        })
        .await
    }

    /// Reads more of a body; `Ok(false)` if the client has gone.
    pub(super) async fn fill_body(&mut self, pace: &mut Pace) -> Result<bool, Refusal> {
        let settings = &self.setup.settings;
        let (timeout, least) = (settings.timeouts.body, settings.limits.body_rate);
        let since = clock::now();
        let count = clock::timeout(timeout, self.input.fill_body(&self.client))
            .await
            .map_err(|_| Refusal::BodyTimeout)?
            .unwrap_or_default();
        if least.is_some_and(|least| pace.is_too_slow(since.elapsed(), count, least, timeout)) {
            return Err(Refusal::BodyTooSlow);
        }
        Ok(count > 0)
    }

    /// Reads a body whole, or is `too_large` behind `longest` bytes; `None` if the client
    /// left.
    pub(super) async fn read_small(
        &mut self,
        plan: &Plan,
        longest: u64,
        too_large: Refusal,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        if matches!(plan.length, Length::Sized(length) if length > longest) {
            return Err(too_large);
        }
        if plan.expects_continue && self.send(b"HTTP/1.1 100 Continue\r\n\r\n").await.is_err() {
            return Ok(None);
        }
        let most = self.setup.settings.limits.body_size.unwrap_or(u64::MAX);
        let (mut incoming, mut body) = (Incoming::new(plan.length), Vec::new());
        let mut pace = Pace::default();
        loop {
            let is_whole = incoming
                .collect(&mut self.input, &mut body)
                .map_err(|_| Refusal::Malformed(Malformed::Chunk))?;
            if body.len() as u64 > most {
                return Err(Refusal::BodyTooLarge);
            }
            if body.len() as u64 > longest {
                return Err(too_large);
            }
            if is_whole {
                return Ok(Some(body));
            }
            if !self.fill_body(&mut pace).await? {
                return Ok(None);
            }
        }
    }

    /// Reads and drops a small body.
    pub(super) async fn discard(&mut self, unread: Length) -> Next {
        let (mut incoming, mut dropped) = (Incoming::new(unread), Vec::new());
        let mut pace = Pace::default();
        loop {
            match incoming.collect(&mut self.input, &mut dropped) {
                Ok(true) => return Next::Request,
                Err(_) => return Next::Linger,
                Ok(false) => dropped.clear(),
            }
            if !self.fill_body(&mut pace).await.unwrap_or(false) {
                return Next::Close;
            }
        }
    }

    /// Says that no more is coming and waits, within limits, for the client to
    /// say so too.
    pub(super) async fn linger(&mut self, most: Duration) {
        stream::shutdown(&self.client).await;
        let wait = async {
            loop {
                let waiting = self.input.filled().len();
                self.input.consume(waiting);
                match clock::timeout(LINGER_IDLE, self.fill_until(Phase::Draining)).await {
                    Ok(Ok(count)) if count > 0 => {}
                    Ok(Ok(_) | Err(_)) | Err(_) => return,
                }
            }
        };
        // Either way the connection ends here.
        let _ = clock::timeout(most, wait).await;
    }
}
