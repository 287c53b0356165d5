//! One request and its response, between a client and the upstream.
//!
//! Both directions run at once, as two futures of one task: a response may come
//! before the request's body has ended, and a client that leaves ends the whole
//! exchange, so that the homeserver can stop working on it.

mod download;
mod upload;

use std::{cell::Cell, pin::pin, rc::Rc, task::Poll, time::Instant};

use self::{
    download::{Answered, Download, ResponseError},
    upload::Upload,
};
use crate::{
    access_log::{Ending, Record},
    clock::Seat,
    http1::{
        body::BodyError, buffer::Buffer, chunked::BadChunk, head, length::Length, stream::Shared,
    },
    metrics::{self, ConnectFailure, Timeout},
    plan::Plan,
    refusal::{Malformed, Refusal},
    tunnel,
    upstream::{ConnectError, Link, Pool},
    worker::{Setup, Worker},
};

/// What follows a request on its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Another request.
    Request,
    /// HTTP/2, from the preface on.
    Http2,
    /// Nothing: the client knows, or has gone.
    Close,
    /// Nothing, but the client may still be sending.
    Linger,
}

/// What an exchange needs of its connection.
#[derive(Debug)]
pub struct Exchange<'a> {
    /// Buffers, and the shutdown.
    pub worker: &'a Rc<Worker>,
    /// What the request is served with.
    pub setup: &'a Setup,
    /// What was decided.
    pub plan: &'a Plan,
    /// The client's socket.
    pub client: &'a Shared,
    /// What was read of the client behind the head.
    pub input: &'a mut Buffer,
    /// Where its task waits.
    pub seat: &'a mut Seat,
    /// The line in the making.
    pub record: &'a mut Record,
}

/// How one attempt ended.
enum Attempt {
    Done(Next),
    /// The pooled connection had been closed before the request came, or the
    /// upstream says that it has not looked at it.
    Stale,
}

/// Ends when the client has left.
pub async fn client_leaves(client: &Shared, input: &mut Buffer) {
    upload::watch(client, input).await;
}

/// Forwards the request whose head for the upstream is `head`.
///
/// # Errors
///
/// The [`Refusal`] to answer with, if the client got nothing yet.
pub async fn run(mut exchange: Exchange<'_>, head: &mut Vec<u8>) -> Result<Next, Refusal> {
    let (worker, setup) = (exchange.worker, exchange.setup);
    let (_, pool) = setup.site(exchange.plan.site).ok_or(Refusal::Internal)?;
    let wants_upgrade = exchange.plan.wants_upgrade;
    let may_share = pool.may_share(&setup.settings, head, wants_upgrade);
    let mut kind = metrics::Attempt::New;
    if setup.settings.shares_upstream_connections()
        && let Some(link) = pool.take(&worker.buffers, may_share)
    {
        worker.metrics.attempted(metrics::Attempt::Reused);
        if let Attempt::Done(next) = exchange.attempt(pool, link, head).await? {
            return Ok(next);
        }
        kind = metrics::Attempt::Retried;
    }
    loop {
        worker.metrics.attempted(kind);
        // The second attempt, if it is one, gets a connection that failed nobody.
        // Boxed: a TLS handshake is large, and must not be part of every request
        // that waits.
        let client = exchange.plan.client;
        let connect = Box::pin(pool.connect(&setup.settings, &worker.buffers, client, may_share));
        let link = tokio::select! {
            biased;
            link = connect => link.map_err(|error| not_connected(&error, &worker.metrics))?,
            // Nobody waits for the answer any more: nothing is sent.
            _ = upload::watch(exchange.client, exchange.input) => return Ok(Next::Close),
        };
        if !link.is_reused {
            worker.metrics.connected();
        }
        match (exchange.attempt(pool, link, head).await?, kind) {
            (Attempt::Done(next), _) => return Ok(next),
            (Attempt::Stale, metrics::Attempt::New) => kind = metrics::Attempt::Retried,
            (Attempt::Stale, _) => return Err(Refusal::UpstreamBroken),
        }
    }
}

fn not_connected(error: &ConnectError, metrics: &metrics::Worker) -> Refusal {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::warn!(%error, cause, "request not forwarded");
    let (failure, refusal) = match error {
        ConnectError::Unresolved(_) => (ConnectFailure::Name, Refusal::UpstreamDown),
        ConnectError::Refused(error) => (ConnectFailure::of(error), Refusal::UpstreamDown),
        ConnectError::Tls(_) => (ConnectFailure::Tls, Refusal::UpstreamDown),
        ConnectError::Timeout => {
            metrics.timed_out(Timeout::Connect);
            (ConnectFailure::Timeout, Refusal::UpstreamTimeout)
        }
    };
    metrics.not_connected(failure);
    refusal
}

/// Where the request's body is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    /// All of it, perhaps nothing, in the input's first bytes.
    AtHand(usize),
    /// In the plan.
    Form,
    /// Still coming.
    Coming,
}

/// Which side ended the exchange.
enum Ended {
    Response(Result<Answered, ResponseError>),
    Request(BodyError),
}

/// How far an exchange is; both directions look at it.
#[derive(Default)]
struct Progress {
    /// When sending the request ended, well or not.
    sending_ended: Cell<Option<Instant>>,
    /// Whether all of the request has left.
    is_sent: Cell<bool>,
    /// Whether the client got the begin of a response.
    is_begun: Cell<bool>,
}

impl Exchange<'_> {
    async fn attempt(
        &mut self,
        pool: &Rc<Pool>,
        mut link: Link,
        head: &mut Vec<u8>,
    ) -> Result<Attempt, Refusal> {
        let body = self.body();
        let has_all = body != Body::Coming;
        // A stream fails for other reasons than that its connection was too old.
        let may_be_stale = link.is_reused && !link.is_stream();
        let can_repeat = may_be_stale && self.plan.is_idempotent && has_all;
        let progress = Progress::default();
        let mut received = 0;
        let ended = {
            let upload = Upload {
                settings: &self.setup.settings,
                plan: self.plan,
                client: self.client,
                upstream: &link.stream,
                body,
                moved: &mut received,
                progress: &progress,
            };
            let download = Download {
                worker: self.worker,
                settings: &self.setup.settings,
                plan: self.plan,
                client: self.client,
                upstream: &link.stream,
                input: &mut link.input,
                seat: self.seat,
                record: self.record,
                progress: &progress,
            };
            // Both stay where they are made: they are large, and moving them costs.
            let mut upload = pin!(upload.run(self.input, head));
            let mut download = pin!(download.run());
            std::future::poll_fn(|cx| {
                let is_sent = progress.sending_ended.get().is_some();
                if !is_sent && let Poll::Ready(error) = upload.as_mut().poll(cx) {
                    return Poll::Ready(Ended::Request(error));
                }
                if let Poll::Ready(answered) = download.as_mut().poll(cx) {
                    return Poll::Ready(Ended::Response(answered));
                }
                // Behind the request the client is looked at only while there is no answer.
                if is_sent {
                    return upload.as_mut().poll(cx).map(Ended::Request);
                }
                Poll::Pending
            })
            .await
        };
        self.record.received(received);
        match ended {
            Ended::Response(Ok(answered)) => {
                if let Body::AtHand(length) = body {
                    self.input.consume(length);
                    self.record.received(length as u64);
                }
                Ok(Attempt::Done(
                    self.finish(pool, &answered, link, progress.is_sent.get())
                        .await,
                ))
            }
            Ended::Response(Err(ResponseError::Closed { is_silent: true })) if can_repeat => {
                tracing::debug!("pooled upstream connection was closed: trying a new one");
                Ok(Attempt::Stale)
            }
            Ended::Response(Err(ResponseError::Unprocessed)) if has_all => {
                tracing::debug!("upstream did not take up the request: trying again");
                Ok(Attempt::Stale)
            }
            Ended::Response(Err(error)) => self
                .fail(&error, progress.is_begun.get())
                .map(Attempt::Done),
            Ended::Request(error) => self
                .abort(&error, progress.is_begun.get())
                .map(Attempt::Done),
        }
    }

    fn body(&self) -> Body {
        match (&self.plan.form, self.plan.length) {
            (Some(_), _) => Body::Form,
            (None, Length::Zero) => Body::AtHand(0),
            (None, Length::Sized(length)) => match usize::try_from(length) {
                Ok(length) if length <= self.input.filled().len() => Body::AtHand(length),
                _ => Body::Coming,
            },
            (None, Length::Chunked | Length::UntilClose) => Body::Coming,
        }
    }

    /// The response is through.
    async fn finish(
        &mut self,
        pool: &Rc<Pool>,
        answered: &Answered,
        link: Link,
        is_sent: bool,
    ) -> Next {
        self.record.end(Ending::Complete);
        if answered.is_upgraded {
            tunnel::run(
                self.worker,
                self.setup.settings.timeouts.tunnel,
                self.client,
                self.input,
                link,
                self.record.bytes(),
            )
            .await;
            return Next::Close;
        }
        // A request that is still on its way would be read as the next one's begin.
        let is_shared = self.setup.settings.shares_upstream_connections();
        if answered.upstream_stays && is_sent && is_shared {
            pool.put(link);
        }
        if answered.client_stays {
            Next::Request
        } else if is_sent && self.has_read_all().await {
            Next::Close
        } else {
            Next::Linger
        }
    }

    /// Whether the client has sent nothing that is unread: to close upon it would reset the
    /// connection, and the answer with it.
    async fn has_read_all(&mut self) -> bool {
        self.input.is_empty()
            && std::future::poll_fn(|cx| {
                let mut client = self.client.borrow_mut();
                let filled = self.input.poll_fill(cx, &mut client, head::LONGEST);
                Poll::Ready(!matches!(filled, Poll::Ready(Ok(1..))))
            })
            .await
    }

    /// The upstream failed, or the client took no more.
    fn fail(&mut self, error: &ResponseError, is_begun: bool) -> Result<Next, Refusal> {
        let (refusal, ending) = match error {
            ResponseError::Body(BodyError::SinkFailed(_)) => return Ok(Next::Close),
            ResponseError::Body(BodyError::SinkTimeout) => {
                self.worker.metrics.timed_out(Timeout::Send);
                self.record.end(Ending::ClientTimeout);
                return Ok(Next::Close);
            }
            ResponseError::Cut => (Refusal::Draining, Ending::Drained),
            ResponseError::Timeout | ResponseError::Body(BodyError::SourceTimeout) => {
                self.worker.metrics.timed_out(Timeout::Response);
                (Refusal::UpstreamTimeout, Ending::UpstreamTimeout)
            }
            ResponseError::Closed { .. }
            | ResponseError::Unprocessed
            | ResponseError::Malformed
            | ResponseError::Body(
                BodyError::SourceClosed
                | BodyError::SourceFailed(_)
                | BodyError::BadChunk(_)
                | BodyError::TooLarge
                | BodyError::TooSlow,
            ) => (Refusal::UpstreamBroken, Ending::UpstreamError),
        };
        if !matches!(error, ResponseError::Cut) {
            tracing::warn!(%error, "upstream failed");
        }
        if is_begun {
            // Closing in the middle is the only way left to say that it failed.
            self.record.end(ending);
            return Ok(Next::Close);
        }
        Err(refusal)
    }

    /// The client's body failed, or the client left.
    fn abort(&mut self, error: &BodyError, is_begun: bool) -> Result<Next, Refusal> {
        let (refusal, ending) = match error {
            BodyError::BadChunk(BadChunk) => {
                (Refusal::Malformed(Malformed::Chunk), Ending::ClientError)
            }
            BodyError::TooLarge => (Refusal::BodyTooLarge, Ending::ClientError),
            BodyError::SourceTimeout => (Refusal::BodyTimeout, Ending::ClientTimeout),
            BodyError::TooSlow => (Refusal::BodyTooSlow, Ending::ClientTimeout),
            BodyError::SourceClosed
            | BodyError::SourceFailed(_)
            | BodyError::SinkFailed(_)
            | BodyError::SinkTimeout => {
                return Ok(Next::Close);
            }
        };
        if is_begun {
            // Too late to say so: it is an end, and no answer of ours.
            tracing::debug!(reason = %refusal, "request cut behind the begin of its answer");
            self.worker.metrics.cut(refusal);
            self.record.end(ending);
            return Ok(Next::Close);
        }
        Err(refusal)
    }
}
