//! The upstream's direction: the response is awaited, framed anew and passed on.

use std::{pin::pin, rc::Rc, task::Poll, time::Duration};

use super::Progress;
use crate::{
    access_log::Record,
    clock::{self, Elapsed, Seat},
    http1::{
        body::{BodyError, Copy, Incoming, Outgoing, Relay},
        buffer::Buffer,
        head, response,
        stream::{self, Shared},
    },
    http2::client,
    metrics::{Judgement, Witness},
    plan::Plan,
    response::{Context, push_head, push_interim},
    settings::{Settings, Site},
    verify::{
        Evidence,
        learn::{LONGEST_BODY, Lesson},
    },
    worker::{Phase, Worker},
};

/// How long a client may have an upstream be silent, beside the upstream's own time:
/// clients ask for half a minute, and nobody may keep a place for weeks.
const LONGEST_POLL: Duration = Duration::from_secs(600);

/// A response that was passed on whole.
pub(super) struct Answered {
    pub(super) client_stays: bool,
    pub(super) upstream_stays: bool,
    pub(super) is_upgraded: bool,
}

/// Why a response was not passed on whole.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResponseError {
    #[error("upstream closed the connection without an answer")]
    Closed { is_silent: bool },
    #[error("upstream did not take up the request")]
    Unprocessed,
    #[error("upstream gave no valid answer")]
    Malformed,
    #[error("upstream did not answer in time")]
    Timeout,
    #[error("cut at shutdown")]
    Cut,
    #[error(transparent)]
    Body(#[from] BodyError),
}

/// What the upstream's direction needs.
pub(super) struct Download<'a> {
    pub(super) worker: &'a Rc<Worker>,
    pub(super) settings: &'a Settings,
    pub(super) plan: &'a Plan,
    pub(super) client: &'a Shared,
    pub(super) upstream: &'a Shared,
    pub(super) input: &'a mut Buffer,
    pub(super) seat: &'a mut Seat,
    pub(super) record: &'a mut Record,
    pub(super) progress: &'a Progress,
}

/// A response head, read and written anew.
enum Begin {
    /// More follow.
    Interim,
    /// The connection belongs to another protocol from here on.
    Switch,
    Final {
        incoming: Incoming,
        outgoing: Outgoing,
        client_stays: bool,
        upstream_stays: bool,
        /// What may be learned of it.
        evidence: Option<Box<Evidence>>,
    },
}

impl<'a> Download<'a> {
    pub(super) async fn run(mut self) -> Result<Answered, ResponseError> {
        let mut out = self.worker.lend_head();
        loop {
            let end = self.read_head().await?;
            let begin = self.begin(end, &mut out)?;
            self.input.consume(end);
            match begin {
                Begin::Interim => self.send(&mut out).await?,
                Begin::Switch => {
                    self.progress.is_begun.set(true);
                    self.send(&mut out).await?;
                    return Ok(Answered {
                        client_stays: false,
                        upstream_stays: false,
                        is_upgraded: true,
                    });
                }
                Begin::Final {
                    incoming,
                    outgoing,
                    client_stays,
                    upstream_stays,
                    evidence,
                } => {
                    self.progress.is_begun.set(true);
                    let (timeouts, lessons) = (&self.settings.timeouts, self.lessons());
                    let learn = |body: &[u8]| {
                        if let Some(lesson) = evidence.as_ref().and_then(|it| it.lesson(body)) {
                            lessons.learn(lesson);
                        }
                    };
                    let relay = Relay {
                        source: self.upstream,
                        input: self.input,
                        incoming,
                        sink: self.client,
                        outgoing,
                        source_timeout: timeouts.response,
                        most: None,
                        least_rate: None,
                        sink_timeout: timeouts.send,
                        copy: evidence
                            .as_ref()
                            .map(|_| Copy::of_up_to(LONGEST_BODY, &learn)),
                    };
                    relay.run(&mut out, self.record.bytes()).await?;
                    self.worker.return_head(out);
                    return Ok(Answered {
                        client_stays,
                        upstream_stays,
                        is_upgraded: false,
                    });
                }
            }
        }
    }

    /// Reads the next head; returns its length.
    async fn read_head(&mut self) -> Result<usize, ResponseError> {
        let (progress, patience) = (self.progress, self.patience());
        let mut seat = std::mem::take(self.seat);
        let read = {
            let mut from = clock::now();
            let mut wait = pin!(self.wait_for_head());
            loop {
                let deadline = from.checked_add(patience);
                match seat.timeout_at(deadline, wait.as_mut()).await {
                    Ok(read) => break read,
                    // A request that is still on its way has time-outs of its own.
                    Err(Elapsed) => from = progress.sending_ended.get().unwrap_or_else(clock::now),
                }
                // Nothing was sent since then.
                if from.checked_add(patience) <= deadline {
                    break Err(ResponseError::Timeout);
                }
            }
        };
        *self.seat = seat;
        read
    }

    /// How long the upstream may be silent: its own time and the client's wish.
    fn patience(&self) -> Duration {
        patience(self.settings.timeouts.response, self.plan.long_poll_ms)
    }

    async fn wait_for_head(&mut self) -> Result<usize, ResponseError> {
        let mut searched = 0;
        loop {
            let filled = self.input.filled();
            if let Some(end) = head::end(filled, searched) {
                return Ok(end);
            }
            if filled.len() >= head::LONGEST {
                return Err(ResponseError::Malformed);
            }
            searched = filled.len();
            let count = std::future::poll_fn(|cx| {
                if self.worker.phase() == Phase::Cut {
                    return Poll::Ready(Err(ResponseError::Cut));
                }
                let is_silent = self.input.is_empty();
                self.input
                    .poll_fill(cx, &mut self.upstream.borrow_mut(), head::LONGEST)
                    .map_err(|error| {
                        if client::is_unprocessed(&error) {
                            ResponseError::Unprocessed
                        } else {
                            ResponseError::Closed { is_silent }
                        }
                    })
            })
            .await?;
            if count == 0 {
                return Err(ResponseError::Closed {
                    is_silent: self.input.is_empty(),
                });
            }
        }
    }

    /// Reads the head of `end` bytes and writes the client's to `out`.
    fn begin(&mut self, end: usize, out: &mut Vec<u8>) -> Result<Begin, ResponseError> {
        let plan = self.plan;
        let bytes = self.input.filled().get(..end).unwrap_or_default();
        let mut fields = response::EMPTY_ROOM;
        let head = response::parse(bytes, plan.is_head, &mut fields)
            .map_err(|_| ResponseError::Malformed)?;
        if head.status < 200 {
            let is_switch = head.status == 101;
            if is_switch && !plan.wants_upgrade {
                return Err(ResponseError::Malformed);
            }
            // HTTP/1.0 knows no interim responses; 100 is for who asked.
            let is_wanted = plan.version == head::Version::Http11
                && (head.status != 100 || plan.expects_continue);
            if is_wanted {
                push_interim(out, &head);
            }
            if is_switch {
                self.record.status(101);
            }
            return Ok(if is_switch {
                Begin::Switch
            } else {
                Begin::Interim
            });
        }
        let site = self
            .settings
            .sites
            .get(plan.site)
            .ok_or(ResponseError::Malformed)?;
        let context = Context {
            version: plan.version,
            // Behind a body that is still coming no other request can be found.
            keep_alive: plan.keep_alive
                && self.progress.is_sent.get()
                && self.worker.phase() == Phase::Running,
            moved: plan.is_moved.then_some(&site.moved),
            host: &plan.host,
            names: &site.policy.names,
        };
        let next = push_head(out, &head, &context);
        self.record.status(head.status);
        if let (Some(touch), 200..300) = (&plan.touch, head.status) {
            // Before the client can know that it is done.
            self.settings.forget(touch, true);
        }
        let evidence =
            (head.status == 401 && plan.teaches).then(|| Box::new(Evidence::begin(head.fields)));
        Ok(Begin::Final {
            evidence,
            incoming: Incoming::new(head.length),
            outgoing: next.outgoing,
            client_stays: next.keep_alive,
            upstream_stays: head.keep_alive,
        })
    }

    /// Who learns from what the upstream says.
    fn lessons(&self) -> Lessons<'a> {
        Lessons {
            worker: self.worker,
            plan: self.plan,
            site: self.settings.sites.get(self.plan.site),
        }
    }

    /// Sends and empties `out`.
    async fn send(&self, out: &mut Vec<u8>) -> Result<(), ResponseError> {
        let patience = self.settings.timeouts.send;
        stream::write_all(self.client, [out, b"", b""], patience)
            .await
            .map_err(BodyError::sink)?;
        out.clear();
        Ok(())
    }
}

fn patience(own: Duration, asked_ms: u32) -> Duration {
    let asked = Duration::from_millis(asked_ms.into());
    own.saturating_add(asked.min(LONGEST_POLL))
}

/// Who learns from what the upstream says of a token.
struct Lessons<'a> {
    worker: &'a Worker,
    plan: &'a Plan,
    site: Option<&'a Site>,
}

impl Lessons<'_> {
    /// The upstream knows no such token.
    fn learn(&self, lesson: Lesson) {
        let verifier = self.site.and_then(|site| site.verifier.as_ref());
        if let (Some(verifier), Some(bearer)) = (verifier, &self.plan.bearer) {
            verifier.learn(bearer.key, lesson, self.plan.client, clock::now());
            let metrics = &self.worker.metrics;
            metrics.judged(Judgement::Unknown, Witness::Upstream);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_cannot_have_an_upstream_waited_for_all_day() {
        let own = Duration::from_secs(200);
        for (name, asked_ms, added) in [
            ("nothing asked for", 0, Duration::ZERO),
            ("as clients ask", 30_000, Duration::from_secs(30)),
            ("the most", 600_000, LONGEST_POLL),
            ("a little more", 600_001, LONGEST_POLL),
            ("49 days", u32::MAX, LONGEST_POLL),
        ] {
            assert_eq!(patience(own, asked_ms), own + added, "case: {name}");
        }
    }
}
