//! One client connection, request after request.
//!
//! Whatever comes is answered or forwarded, and leaves one line in the access
//! log. A connection is closed so that the client can still read the answer: what
//! it goes on sending is read and dropped for a while (nginx's lingering close),
//! since closing on unread data would reset the connection and the answer with it.

mod asked;
mod identity;

use std::{
    io,
    rc::Rc,
    task::Poll,
    time::{Duration, Instant},
};

use crate::{
    access_log::{Ending, Record},
    clock::{self, Elapsed},
    config::Role,
    exchange::{self, Exchange, Next},
    http1::{
        body::{Incoming, Pace},
        buffer::Buffer,
        head,
        length::Length,
        stream::{self, Shared, Stream},
    },
    hygiene::Peer,
    metrics::Timeout,
    plan::{self, Plan, Verdict},
    refusal::{self, Malformed, Refusal, Reply},
    worker::{Phase, Setup, Worker},
};

/// The longest form body that is looked into, and the longest refused body that
/// is read for the sake of keeping the connection.
const LONGEST_SMALL_BODY: u64 = 64 * 1024;

/// nginx's `lingering_timeout` and `lingering_time`.
const LINGER_IDLE: Duration = Duration::from_secs(5);
const LINGER: Duration = Duration::from_secs(30);

/// How long somebody that is turned away may take to read why.
const FAREWELL: Duration = Duration::from_secs(1);

/// What a client that speaks HTTP/2 unasked begins with (RFC 9113 section 3.4),
/// as far as it looks like a request head.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";

struct Connection<'w> {
    worker: &'w Rc<Worker>,
    /// Of the present request.
    setup: Rc<Setup>,
    peer: Peer,
    /// What the listener is for.
    role: Role,
    client: Shared,
    /// Whether the client may begin with HTTP/2.
    knows_preface: bool,
    /// Whether it is one stream of HTTP/2.
    is_http2: bool,
    input: Buffer,
    /// Where its task waits for the client, and then for the upstream.
    seat: clock::Seat,
}

/// What became of a connection.
#[derive(Debug)]
pub enum Served {
    /// It has ended; the socket is still open.
    Ended(Shared),
    /// It speaks HTTP/2.
    Http2 {
        /// Its socket.
        client: Shared,
        /// What was read of it.
        read: Vec<u8>,
    },
}

/// Serves a connection to its end; with `knows_preface`, up to the preface of
/// HTTP/2.
pub async fn serve(
    worker: &Rc<Worker>,
    stream: Stream,
    peer: Peer,
    role: Role,
    knows_preface: bool,
) -> Served {
    let mut connection = Connection::new(worker, stream, peer);
    connection.role = role;
    connection.knows_preface = knows_preface;
    loop {
        match connection.serve_next().await {
            Next::Request => {
                connection.knows_preface = false;
                continue;
            }
            Next::Close => {}
            Next::Linger => connection.linger(LINGER).await,
            Next::Http2 => {
                return Served::Http2 {
                    read: connection.input.filled().to_vec(),
                    client: connection.client,
                };
            }
        }
        return Served::Ended(connection.client);
    }
}

/// Refuses a connection before its first request; gives back the socket.
pub async fn turn_away(
    worker: &Rc<Worker>,
    stream: Stream,
    peer: Peer,
    refusal: Refusal,
) -> Shared {
    let mut connection = Connection::new(worker, stream, peer);
    let mut record = Record::begin(&worker.lines, peer.address, false);
    record.request(b"", head::first_line(b""), None);
    connection
        .refuse(
            refusal,
            &Plan::refuse(refusal),
            Length::UntilClose,
            &mut record,
        )
        .await;
    drop(record);
    connection.linger(FAREWELL).await;
    connection.client
}

/// Why a request has no head.
enum NoHead {
    /// The client left in the middle of it, or we do.
    Gone,
    Refused(Refusal),
}

impl<'w> Connection<'w> {
    fn new(worker: &'w Rc<Worker>, stream: Stream, peer: Peer) -> Self {
        Self {
            worker,
            setup: worker.setup(),
            peer,
            role: Role::Proxy,
            is_http2: matches!(stream, Stream::Http2(_)),
            client: Shared::new(stream),
            knows_preface: false,
            input: Buffer::new(&worker.buffers),
            seat: clock::Seat::default(),
        }
    }

    async fn serve_next(&mut self) -> Next {
        if !self.wait_for_request().await {
            return Next::Close;
        }
        self.setup = self.worker.setup();
        let mut record = Record::begin(&self.worker.lines, self.peer.address, self.is_http2);
        let end = match self.read_head().await {
            Ok(end) => end,
            Err(no_head) => {
                record.request(b"", head::first_line(self.input.filled()), None);
                return match no_head {
                    NoHead::Gone => Next::Close,
                    NoHead::Refused(refusal) => {
                        self.refuse(
                            refusal,
                            &Plan::refuse(refusal),
                            Length::UntilClose,
                            &mut record,
                        )
                        .await
                    }
                };
            }
        };
        if self.knows_preface && self.input.filled().get(..end) == Some(PREFACE) {
            record.forget();
            return Next::Http2;
        }
        let mut head = self.worker.lend_head();
        let next = match self.role {
            Role::Proxy => self.answer(end, &mut record, &mut head).await,
            Role::Auth => self.answer_question(end, &mut record, &mut head).await,
            // Boxed: every waiting connection has room for the largest of these.
            Role::ExtAuthz => Box::pin(self.answer_call(end, &mut record, &mut head)).await,
        };
        self.worker.return_head(head);
        next
    }

    /// Waits for a request's first byte; `false` if none comes.
    async fn wait_for_request(&mut self) -> bool {
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
    async fn read_head(&mut self) -> Result<usize, NoHead> {
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
    async fn fill_by(
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
    async fn fill_until(&mut self, phase: Phase) -> io::Result<usize> {
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
    async fn fill_body(&mut self, pace: &mut Pace) -> Result<bool, Refusal> {
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

    /// Answers the request whose head is the first `end` bytes of the input.
    async fn answer(&mut self, end: usize, record: &mut Record, head: &mut Vec<u8>) -> Next {
        let setup = Rc::clone(&self.setup);
        let settings = &setup.settings;
        let raw = self.input.filled().get(..end).unwrap_or_default();
        let mut plan = plan::make(raw, None, &self.peer, settings, record, head);
        let mut unread = plan.length;
        let mut in_flight = None;
        if matches!(plan.verdict, Verdict::ReadForm | Verdict::Forward) {
            // Before its form or a verdict is waited for: it waits in memory of ours.
            in_flight = self.worker.begin(settings.limits.in_flight);
            if in_flight.is_none() {
                plan.verdict = Verdict::Refuse(Refusal::Busy);
            }
        }
        if plan.verdict == Verdict::ReadForm {
            let raw = raw.to_vec();
            self.input.consume(end);
            let form = match self
                .read_small(&plan, LONGEST_SMALL_BODY, Refusal::FormTooLarge)
                .await
            {
                Ok(Some(form)) => form,
                Ok(None) => return Next::Close,
                // Some of it was read, and nobody knows how much is left.
                Err(refusal) => {
                    drop(in_flight);
                    return self
                        .refuse(refusal, &plan, Length::UntilClose, record)
                        .await;
                }
            };
            unread = Length::Zero;
            head.clear();
            plan = plan::make(&raw, Some(&form), &self.peer, settings, record, head);
        } else {
            self.input.consume(end);
        }
        match plan.verdict {
            Verdict::Refuse(refusal) => {
                drop(in_flight);
                self.refuse(refusal, &plan, unread, record).await
            }
            Verdict::Health => self.say_healthy(&plan, unread, record).await,
            // The second plan has its form.
            Verdict::ReadForm => self.refuse(Refusal::Internal, &plan, unread, record).await,
            Verdict::Forward => {
                if let Some((site, _)) = setup.site(plan.site) {
                    match self.identify(site, &plan, head).await {
                        Ok(true) => {}
                        Ok(false) => return Next::Close,
                        Err(refusal) => {
                            drop(in_flight);
                            return self.refuse(refusal, &plan, unread, record).await;
                        }
                    }
                }
                let exchange = Exchange {
                    worker: self.worker,
                    setup: &setup,
                    plan: &plan,
                    client: &self.client,
                    input: &mut self.input,
                    seat: &mut self.seat,
                    record,
                };
                let ran = exchange::run(exchange, head).await;
                if let (Some(touch), Ok(Next::Close | Next::Linger) | Err(_)) = (&plan.touch, &ran)
                {
                    // Nobody knows whether it was done.
                    settings.forget(touch, false);
                }
                // An answer of our own takes nothing that is limited.
                drop(in_flight);
                match ran {
                    Ok(next) => next,
                    Err(refusal) => {
                        // Of a body that was passed on, nobody knows how much is left.
                        let unread = if unread == Length::Zero {
                            Length::Zero
                        } else {
                            Length::UntilClose
                        };
                        self.refuse(refusal, &plan, unread, record).await
                    }
                }
            }
        }
    }

    /// Reads a body whole, or is `too_large` behind `longest` bytes; `None` if the client
    /// left.
    async fn read_small(
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

    /// Sends an answer of our own.
    async fn refuse(
        &mut self,
        refusal: Refusal,
        plan: &Plan,
        unread: Length,
        record: &mut Record,
    ) -> Next {
        self.note(refusal);
        self.say(plan, unread, record, refusal.status(), |reply, out| {
            refusal.write(reply, out)
        })
        .await
    }

    /// Tells the operator that a request is refused.
    fn note(&self, refusal: Refusal) {
        tracing::debug!(status = refusal.status(), reason = %refusal, "answered by ourselves");
        self.worker.metrics.rejected(refusal);
    }

    /// Sends what `write` makes of the request's circumstances. `unread` is what
    /// the client still sends: a little is read, for more the connection ends.
    async fn say(
        &mut self,
        plan: &Plan,
        unread: Length,
        record: &mut Record,
        status: u16,
        write: impl FnOnce(&Reply<'_>, &mut Vec<u8>) -> usize,
    ) -> Next {
        let is_small = match unread {
            Length::Zero => true,
            Length::Sized(length) => length <= LONGEST_SMALL_BODY && !plan.expects_continue,
            Length::Chunked | Length::UntilClose => false,
        };
        let keep_alive = plan.keep_alive && is_small && self.worker.phase() == Phase::Running;
        let date = self.worker.lines.http_date();
        let reply = Reply {
            dialect: plan.dialect,
            is_head: plan.is_head,
            keep_alive,
            date: &date,
        };
        let mut out = self.worker.lend_head();
        let length = write(&reply, &mut out);
        record.status(status);
        let sent = self.send(&out).await;
        self.worker.return_head(out);
        if sent.is_err() {
            return Next::Close;
        }
        *record.bytes() = length as u64;
        record.end(Ending::Complete);
        if !keep_alive {
            return Next::Linger;
        }
        self.discard(unread).await
    }

    /// Says that we are alive.
    async fn say_healthy(&mut self, plan: &Plan, unread: Length, record: &mut Record) -> Next {
        self.say(plan, unread, record, 200, |reply, out| {
            refusal::push_answer("200 OK", br#"{"status":"ok"}"#, reply, out)
        })
        .await
    }

    /// Reads and drops a small body.
    async fn discard(&mut self, unread: Length) -> Next {
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

    async fn send(&self, bytes: &[u8]) -> io::Result<()> {
        stream::write_all(
            &self.client,
            [bytes, b"", b""],
            self.setup.settings.timeouts.send,
        )
        .await
    }

    /// Says that no more is coming and waits, within limits, for the client to
    /// say so too.
    async fn linger(&mut self, most: Duration) {
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
