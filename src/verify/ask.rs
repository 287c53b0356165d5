//! Asks an issuer about tokens.
//!
//! One thread of its own asks for all workers: so of all requests with one token, one is
//! the question, and connections are shared. The question goes on when the request that
//! began it is gone, since others may wait for it. It owns the token, and wipes it.
//!
//! An issuer that is unwell is left alone for a while ([`breaker`](super::breaker)). Here
//! is where that is known: a question counts once, however many wait for it, and one
//! that is the client's fault does not count.
//!
//! Nothing is remembered here; that is [`memory`](super::memory)'s.

mod flights;
pub(super) mod issued;

use std::{
    cell::Cell,
    io,
    rc::Rc,
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime},
};

use http::StatusCode;
use tokio::{sync::mpsc, task::LocalSet, time};

use self::flights::{Boarding, Flights, Landing};
use super::{
    Answer, NoAnswer, Verdict,
    breaker::Breaker,
    client::{Client, KEPT_FOR, Question, Reply},
    introspect::{self, is_about_credentials},
    memo::Memo,
    whoami,
};
use crate::{
    clock,
    config::Upstream,
    secret::{AccessToken, TokenKey},
    tls,
};

/// Who knows the tokens.
#[derive(Clone, Debug)]
pub enum Issuer {
    /// A homeserver.
    Homeserver {
        /// Where it is.
        server: Upstream,
        /// Whether it is also asked who is an administrator: a second question for each
        /// valid token.
        asks_admin: bool,
    },
    /// An OAuth server.
    OAuth {
        /// Where it is.
        server: Upstream,
        /// What is asked there.
        endpoint: introspect::Endpoint,
    },
}

/// The longest token that is asked about, in bytes: what a server takes in one field.
const LONGEST_TOKEN: usize = 7 * 1024;

/// Asks one issuer; every copy does so through the same thread, which ends with the last.
#[derive(Clone, Debug)]
pub struct Ask {
    issuer: Arc<Issuer>,
    flights: Arc<Flights>,
    jobs: mpsc::UnboundedSender<Job>,
}

#[derive(Debug)]
struct Job {
    question: Question,
    landing: Landing,
    memo: Memo,
}

impl Ask {
    /// Starts the thread. `timeout` is for the whole of a question; `tls` is for servers
    /// by `https`.
    ///
    /// # Errors
    ///
    /// The thread's or the runtime's.
    pub fn start(
        issuer: Issuer,
        timeout: Duration,
        tls: Option<Arc<tls::Client>>,
    ) -> io::Result<Self> {
        let issuer = Arc::new(issuer);
        let (jobs, inbox) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .on_thread_unpark(clock::tick)
            .build()?;
        let for_thread = Arc::clone(&issuer);
        thread::Builder::new()
            .name("verify".into())
            .spawn(move || {
                let asker = Rc::new(Asker {
                    client: Rc::new(Client::new(for_thread.server().clone(), tls, timeout)),
                    issuer: for_thread,
                    timeout,
                    breaker: Breaker::default(),
                    complained: Cell::default(),
                });
                LocalSet::new().block_on(&runtime, asker.run(inbox));
                // A resolver that hangs keeps nobody.
                runtime.shutdown_background();
            })?;
        Ok(Self {
            issuer,
            flights: Arc::default(),
            jobs,
        })
    }

    /// What the issuer says of `token`, which is known by `key`. The answer is kept in the
    /// `memo` of the first who asks, before anybody is told: who comes then need not ask.
    ///
    /// # Errors
    ///
    /// [`NoAnswer`], never later than the timeout.
    pub async fn ask(
        &self,
        key: TokenKey,
        token: &AccessToken<'_>,
        memo: Memo,
    ) -> Result<Arc<Answer>, NoAnswer> {
        if token.expose().len() > LONGEST_TOKEN {
            return Err(NoAnswer::Odd("it is too long".into()));
        }
        let outcome = match self.flights.board(key) {
            Boarding::Full => return Err(NoAnswer::Busy),
            Boarding::Joined(outcome) => outcome,
            Boarding::First(outcome, landing) => {
                if let Some(answer) = memo.look() {
                    // Another flight landed since its memory was looked into.
                    landing.tell(&Ok(Arc::new(answer)));
                    return outcome.await.unwrap_or(Err(NoAnswer::Timeout));
                }
                let question = self
                    .issuer
                    .question(token)
                    .ok_or_else(|| NoAnswer::Odd("it cannot be sent".into()))?;
                // A thread that has ended drops the job, and its landing says so.
                let _ = self.jobs.send(Job {
                    question,
                    landing,
                    memo,
                });
                outcome
            }
        };
        outcome
            .await
            .unwrap_or_else(|_| Err(NoAnswer::Unreachable("the question was dropped".into())))
    }

    /// Something happened that may change answers: who asks from here on does not get one
    /// to a question of before.
    pub fn begin_anew(&self) {
        self.flights.begin_anew();
    }

    /// How many questions are under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.flights.count()
    }
}

impl Issuer {
    /// Where it is.
    #[must_use]
    pub fn server(&self) -> &Upstream {
        match self {
            Self::Homeserver { server, .. } | Self::OAuth { server, .. } => server,
        }
    }

    fn question(&self, token: &AccessToken<'_>) -> Option<Question> {
        match self {
            Self::Homeserver { .. } => whoami::request(token),
            Self::OAuth { endpoint, .. } => Some(endpoint.request(token)),
        }
    }
}

/// The thread's half.
#[derive(Debug)]
struct Asker {
    issuer: Arc<Issuer>,
    client: Rc<Client>,
    timeout: Duration,
    breaker: Breaker,
    complained: Cell<Option<Instant>>,
}

/// How a question ended without an answer.
#[derive(Debug)]
struct Failure {
    why: NoAnswer,
    whose: Fault,
}

/// Who has to do with a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The issuer: it is unwell.
    Issuer,
    /// The operator: the issuer does not know us.
    Credentials,
    /// This question alone. Nobody makes the issuer look unwell with odd tokens.
    Question,
}

impl From<NoAnswer> for Failure {
    fn from(why: NoAnswer) -> Self {
        let whose = match why {
            NoAnswer::Unreachable(_) | NoAnswer::Timeout | NoAnswer::Open => Fault::Issuer,
            NoAnswer::Unusable(_) | NoAnswer::Odd(_) | NoAnswer::Busy => Fault::Question,
        };
        Self { why, whose }
    }
}

impl Asker {
    /// Takes up questions until nobody can have any more.
    async fn run(self: Rc<Self>, mut inbox: mpsc::UnboundedReceiver<Job>) {
        loop {
            match time::timeout(KEPT_FOR, inbox.recv()).await {
                Ok(Some(job)) => {
                    tokio::task::spawn_local(Rc::clone(&self).fly(job));
                }
                Ok(None) => break,
                Err(_) => self.client.tidy(),
            }
        }
    }

    async fn fly(self: Rc<Self>, job: Job) {
        let Job {
            question,
            landing,
            memo,
        } = job;
        let outcome = self.ask_if_well(&question).await;
        // Wiped before anybody hears of it.
        drop(question);
        if let Ok(answer) = &outcome {
            memo.keep(answer);
        }
        landing.tell(&outcome.map(Arc::new));
    }

    /// Asks, unless the issuer has failed so often that it is left alone.
    async fn ask_if_well(&self, question: &Question) -> Result<Answer, NoAnswer> {
        let pass = self.breaker.pass(Instant::now())?;
        let asked = time::timeout(self.timeout, self.ask(question)).await;
        let outcome = asked.unwrap_or_else(|_| Err(NoAnswer::Timeout.into()));
        match &outcome {
            Err(failure) if failure.whose == Fault::Issuer => pass.failed(Instant::now()),
            // It is there, and says something, be it odd.
            Ok(_) | Err(_) => pass.succeeded(),
        }
        outcome.map_err(|failure| {
            self.complain(&failure);
            match (failure.whose, failure.why) {
                (Fault::Question, NoAnswer::Unusable(why)) => NoAnswer::Odd(why),
                (_, why) => why,
            }
        })
    }

    async fn ask(&self, question: &Question) -> Result<Answer, Failure> {
        let reply = self.put(question).await?;
        let (status, kind) = (reply.status, content_type(&reply));
        let asks_admin = match &*self.issuer {
            Issuer::OAuth { endpoint, .. } => {
                return endpoint
                    .interpret(status, kind, &reply.body, SystemTime::now())
                    .map_err(|why| Failure {
                        whose: if is_about_credentials(status) {
                            Fault::Credentials
                        } else {
                            Fault::Question
                        },
                        why,
                    });
            }
            Issuer::Homeserver { asks_admin, .. } => *asks_admin,
        };
        let mut answer = whoami::interpret(status, kind, &reply.body)?;
        if let Verdict::Valid(identity) = &mut answer.verdict
            // Guests administrate nothing.
            && asks_admin && !identity.is_guest
            && let Some(user) = &identity.user
        {
            let question = whoami::admin_request(question, user)
                .ok_or_else(|| NoAnswer::Unusable("no Matrix user".into()))?;
            let reply = self.put(&question).await?;
            let (status, kind) = (reply.status, content_type(&reply));
            identity.admin = whoami::interpret_admin(status, kind, &reply.body)?;
        }
        Ok(answer)
    }

    async fn put(&self, question: &Question) -> Result<Reply, Failure> {
        let reply = self.client.put(question).await?;
        let status = reply.status;
        // Whatever else it says, it is there and answers. Synapse says 500 to tokens that
        // look like macaroons and are none.
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            return Err(issued::unusable(status).into());
        }
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(Failure {
                why: issued::unusable(status),
                whose: Fault::Issuer,
            });
        }
        Ok(reply)
    }

    /// Tells the operator, once in a while.
    fn complain(&self, failure: &Failure) {
        let now = clock::now();
        let last = self.complained.get();
        if last.is_some_and(|last| now.duration_since(last) < BETWEEN_COMPLAINTS) {
            return;
        }
        self.complained.set(Some(now));
        let server = self.issuer.server();
        let key = match (&*self.issuer, failure.whose) {
            (Issuer::Homeserver { .. }, _) => "verify.homeserver",
            (Issuer::OAuth { .. }, Fault::Credentials) => {
                "verify.client_id, verify.client_secret_file"
            }
            (Issuer::OAuth { .. }, _) => "verify.introspection_endpoint",
        };
        tracing::warn!(%server, key, error = %failure.why, "tokens cannot be verified");
    }
}

/// How often the log is told that there are no answers.
const BETWEEN_COMPLAINTS: Duration = Duration::from_secs(60);

fn content_type(reply: &Reply) -> Option<&[u8]> {
    reply.content_type.as_ref().map(http::HeaderValue::as_bytes)
}
