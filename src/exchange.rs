//! One request and its response, between a client and the upstream.
//!
//! Both directions run at once, as two futures of one task: a response may come
//! before the request's body has ended, and a client that leaves ends the whole
//! exchange, so that the homeserver can stop working on it.

use std::{cell::Cell, convert::Infallible, io, pin::pin, rc::Rc, task::Poll, time::Duration};

use tokio::time;

use crate::{
    access_log::{Ending, Record},
    connection::Next,
    http1::{
        body::{BodyError, Incoming, Outgoing, Relay},
        buffer::Buffer,
        chunked::BadChunk,
        head,
        length::Length,
        response,
        stream::{self, Shared},
    },
    plan::Plan,
    refusal::{Malformed, Refusal},
    response::{Context, push_head, push_interim},
    tunnel,
    upstream::{self, ConnectError, Link},
    worker::{Phase, Worker},
};

/// What an exchange needs of its connection.
#[derive(Debug)]
pub struct Exchange<'a> {
    /// Timeouts, upstream connections, buffers.
    pub worker: &'a Rc<Worker>,
    /// What was decided.
    pub plan: &'a Plan,
    /// The client's socket.
    pub client: &'a Shared,
    /// What was read of the client behind the head.
    pub input: &'a mut Buffer,
    /// The line in the making.
    pub record: &'a mut Record,
}

/// How one attempt ended.
enum Attempt {
    Done(Next),
    /// The pooled connection had been closed before the request came.
    Stale,
}

/// Forwards the request whose head for the upstream is `head`.
///
/// # Errors
///
/// The [`Refusal`] to answer with, if the client got nothing yet.
pub async fn run(mut exchange: Exchange<'_>, head: &mut Vec<u8>) -> Result<Next, Refusal> {
    let worker = exchange.worker;
    if let Some(link) = worker.pool.take()
        && let Attempt::Done(next) = exchange.attempt(link, head).await?
    {
        return Ok(next);
    }
    // The second attempt, if it is one, gets a connection that nobody used.
    let link = upstream::connect(&worker.settings, &worker.buffers)
        .await
        .map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(error = %error, cause, "request not forwarded");
            match error {
                ConnectError::Refused(_) => Refusal::UpstreamDown,
                ConnectError::Timeout => Refusal::UpstreamTimeout,
            }
        })?;
    match exchange.attempt(link, head).await? {
        Attempt::Done(next) => Ok(next),
        Attempt::Stale => Err(Refusal::UpstreamBroken),
    }
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

/// A response that was passed on whole.
struct Answered {
    client_stays: bool,
    upstream_stays: bool,
    is_upgraded: bool,
}

/// Why a response was not passed on whole.
#[derive(Debug, thiserror::Error)]
enum ResponseError {
    #[error("upstream closed the connection without an answer")]
    Closed { is_silent: bool },
    #[error("upstream gave no valid answer")]
    Malformed,
    #[error("upstream did not answer in time")]
    Timeout,
    #[error("cut at shutdown")]
    Cut,
    #[error(transparent)]
    Body(#[from] BodyError),
}

impl Exchange<'_> {
    async fn attempt(&mut self, mut link: Link, head: &mut Vec<u8>) -> Result<Attempt, Refusal> {
        let body = self.body();
        let can_repeat = link.is_reused && self.plan.is_idempotent && body != Body::Coming;
        let (is_sent, is_begun) = (Cell::new(false), Cell::new(false));
        let ended = {
            let request = Request {
                worker: self.worker,
                plan: self.plan,
                client: self.client,
                upstream: &link.stream,
                body,
                is_sent: &is_sent,
            };
            let response = Response {
                worker: self.worker,
                plan: self.plan,
                client: self.client,
                upstream: &link.stream,
                input: &mut link.input,
                record: self.record,
                is_sent: &is_sent,
                is_begun: &is_begun,
            };
            drive(request.run(self.input, head), response.run()).await
        };
        match ended {
            Ended::Response(Ok(answered)) => {
                if let Body::AtHand(length) = body {
                    self.input.consume(length);
                }
                Ok(Attempt::Done(
                    self.finish(&answered, link, is_sent.get()).await,
                ))
            }
            Ended::Response(Err(ResponseError::Closed { is_silent: true })) if can_repeat => {
                tracing::debug!("pooled upstream connection was closed: trying a new one");
                Ok(Attempt::Stale)
            }
            Ended::Response(Err(error)) => self.fail(&error, is_begun.get()).map(Attempt::Done),
            Ended::Request(error) => self.abort(&error, is_begun.get()).map(Attempt::Done),
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
    async fn finish(&mut self, answered: &Answered, link: Link, is_sent: bool) -> Next {
        self.record.end(Ending::Complete);
        if answered.is_upgraded {
            tunnel::run(
                self.worker,
                self.client,
                self.input,
                link,
                self.record.bytes(),
            )
            .await;
            return Next::Close;
        }
        // A request that is still on its way would be read as the next one's begin.
        if answered.upstream_stays && is_sent {
            self.worker.pool.put(link);
        }
        match (answered.client_stays, is_sent && self.input.is_empty()) {
            (true, _) => Next::Request,
            (false, true) => Next::Close,
            (false, false) => Next::Linger,
        }
    }

    /// The upstream failed, or the client took no more.
    fn fail(&mut self, error: &ResponseError, is_begun: bool) -> Result<Next, Refusal> {
        let (refusal, ending) = match error {
            ResponseError::Body(BodyError::SinkFailed(_)) => return Ok(Next::Close),
            ResponseError::Body(BodyError::SinkTimeout) => {
                self.record.end(Ending::ClientTimeout);
                return Ok(Next::Close);
            }
            ResponseError::Cut => (Refusal::Draining, Ending::Drained),
            ResponseError::Timeout | ResponseError::Body(BodyError::SourceTimeout) => {
                (Refusal::UpstreamTimeout, Ending::UpstreamTimeout)
            }
            ResponseError::Closed { .. }
            | ResponseError::Malformed
            | ResponseError::Body(
                BodyError::SourceClosed | BodyError::SourceFailed(_) | BodyError::BadChunk(_),
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
        let refusal = match error {
            BodyError::BadChunk(BadChunk) => Refusal::Malformed(Malformed::Chunk),
            BodyError::SourceTimeout => Refusal::BodyTimeout,
            BodyError::SourceClosed
            | BodyError::SourceFailed(_)
            | BodyError::SinkFailed(_)
            | BodyError::SinkTimeout => {
                return Ok(Next::Close);
            }
        };
        if is_begun {
            self.record.end(Ending::ClientTimeout);
            return Ok(Next::Close);
        }
        Err(refusal)
    }
}

/// Runs both directions until the response is through or one side fails.
async fn drive(
    request: impl Future<Output = Result<Infallible, BodyError>>,
    response: impl Future<Output = Result<Answered, ResponseError>>,
) -> Ended {
    let (mut request, mut response) = (pin!(request), pin!(response));
    let mut is_sending = true;
    std::future::poll_fn(|cx| {
        // The request first: it has to leave before there can be a response.
        if is_sending && let Poll::Ready(Err(error)) = request.as_mut().poll(cx) {
            is_sending = false;
            // An upstream that reads no more may have answered all the same.
            if !matches!(error, BodyError::SinkFailed(_) | BodyError::SinkTimeout) {
                return Poll::Ready(Ended::Request(error));
            }
        }
        response.as_mut().poll(cx).map(Ended::Response)
    })
    .await
}

/// The client's direction.
struct Request<'a> {
    worker: &'a Rc<Worker>,
    plan: &'a Plan,
    client: &'a Shared,
    upstream: &'a Shared,
    body: Body,
    is_sent: &'a Cell<bool>,
}

impl Request<'_> {
    /// Sends the request, then watches the client; ends only with an error.
    async fn run(self, input: &mut Buffer, head: &mut Vec<u8>) -> Result<Infallible, BodyError> {
        let timeouts = &self.worker.settings.timeouts;
        let body = match self.body {
            Body::AtHand(length) => Some(input.filled().get(..length).unwrap_or_default()),
            Body::Form => self.plan.form.as_deref(),
            Body::Coming => None,
        };
        if let Some(body) = body {
            time::timeout(
                timeouts.send,
                stream::write_all(self.upstream, [head, body, b""]),
            )
            .await
            .map_err(|_| BodyError::SinkTimeout)?
            .map_err(BodyError::SinkFailed)?;
        } else {
            let is_chunked = self.plan.length == Length::Chunked;
            let relay = Relay {
                source: self.client,
                input,
                incoming: Incoming::new(self.plan.length),
                sink: self.upstream,
                outgoing: if is_chunked {
                    Outgoing::Chunked
                } else {
                    Outgoing::Raw
                },
                source_timeout: timeouts.body,
                sink_timeout: timeouts.send,
            };
            relay.run(head, &mut 0).await?;
        }
        self.is_sent.set(true);
        Err(watch(self.client, input).await)
    }
}

/// Waits for the client to leave. What it sends is its next request and stays
/// in the input, as long as there is room.
async fn watch(client: &Shared, input: &mut Buffer) -> BodyError {
    loop {
        match input.fill(client, head::LONGEST).await {
            Ok(0) => return BodyError::SourceClosed,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::OutOfMemory => {
                std::future::pending::<()>().await;
            }
            Err(error) => return BodyError::SourceFailed(error),
        }
    }
}

/// The upstream's direction.
struct Response<'a> {
    worker: &'a Rc<Worker>,
    plan: &'a Plan,
    client: &'a Shared,
    upstream: &'a Shared,
    input: &'a mut Buffer,
    record: &'a mut Record,
    is_sent: &'a Cell<bool>,
    is_begun: &'a Cell<bool>,
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
    },
}

impl Response<'_> {
    async fn run(mut self) -> Result<Answered, ResponseError> {
        let mut out = self.worker.lend_head();
        loop {
            let end = self.read_head().await?;
            let begin = self.begin(end, &mut out)?;
            self.input.consume(end);
            match begin {
                Begin::Interim => self.send(&mut out).await?,
                Begin::Switch => {
                    self.is_begun.set(true);
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
                } => {
                    self.is_begun.set(true);
                    let timeouts = &self.worker.settings.timeouts;
                    let relay = Relay {
                        source: self.upstream,
                        input: self.input,
                        incoming,
                        sink: self.client,
                        outgoing,
                        source_timeout: timeouts.response,
                        sink_timeout: timeouts.send,
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
        let asked = Duration::from_millis(u64::from(self.plan.long_poll_ms));
        let patience = self.worker.settings.timeouts.response.saturating_add(asked);
        let mut searched = 0;
        let wait = async {
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
                        .map_err(|_| ResponseError::Closed { is_silent })
                })
                .await?;
                if count == 0 {
                    return Err(ResponseError::Closed {
                        is_silent: self.input.is_empty(),
                    });
                }
            }
        };
        time::timeout(patience, wait)
            .await
            .unwrap_or(Err(ResponseError::Timeout))
    }

    /// Reads the head of `end` bytes and writes the client's to `out`.
    fn begin(&mut self, end: usize, out: &mut Vec<u8>) -> Result<Begin, ResponseError> {
        let plan = self.plan;
        let bytes = self.input.filled().get(..end).unwrap_or_default();
        let mut fields = [httparse::EMPTY_HEADER; response::MOST_FIELDS];
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
        let settings = &self.worker.settings;
        let context = Context {
            version: plan.version,
            // Behind a body that is still coming no other request can be found.
            keep_alive: plan.keep_alive
                && self.is_sent.get()
                && self.worker.phase() == Phase::Running,
            moved: plan.is_moved.then_some(&settings.moved),
            host: &plan.host,
            names: &settings.policy.names,
        };
        let next = push_head(out, &head, &context);
        self.record.status(head.status);
        Ok(Begin::Final {
            incoming: Incoming::new(head.length),
            outgoing: next.outgoing,
            client_stays: next.keep_alive,
            upstream_stays: head.keep_alive,
        })
    }

    /// Sends and empties `out`.
    async fn send(&self, out: &mut Vec<u8>) -> Result<(), ResponseError> {
        time::timeout(
            self.worker.settings.timeouts.send,
            stream::write_all(self.client, [out, b"", b""]),
        )
        .await
        .map_err(|_| BodyError::SinkTimeout)?
        .map_err(BodyError::SinkFailed)?;
        out.clear();
        Ok(())
    }
}
