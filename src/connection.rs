//! One client connection, request after request.
//!
//! Whatever comes is answered or forwarded, and leaves one line in the access
//! log. A connection is closed so that the client can still read the answer: what
//! it goes on sending is read and dropped for a while (nginx's lingering close),
//! since closing on unread data would reset the connection and the answer with it.

mod asked;
mod identity;
mod read;
mod say;

use std::{rc::Rc, time::Duration};

use self::read::NoHead;
use crate::{
    access_log::Record,
    clock::Seat,
    config::Role,
    exchange::{self, Exchange, Next},
    http1::{
        buffer::Buffer,
        head,
        length::Length,
        stream::{Shared, Stream},
    },
    hygiene::Peer,
    plan::{self, Plan, Verdict},
    refusal::Refusal,
    worker::{Setup, Worker},
};

/// The longest form body that is looked into, and the longest refused body that
/// is read for the sake of keeping the connection.
const LONGEST_SMALL_BODY: u64 = 64 * 1024;

/// nginx's `lingering_time`.
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
    seat: Seat,
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
            seat: Seat::default(),
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
}
