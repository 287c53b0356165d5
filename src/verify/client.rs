//! One issuer, spoken to in HTTP/1.1: by TCP, TLS or a unix socket.
//!
//! Connections are kept for the next question. One that the issuer closed in the
//! meantime costs nobody an answer: the question is put again, once, on a new one. That
//! is safe because questions change nothing.
//!
//! It follows no redirect, believes no proxy settings, and reads no more than
//! [`LONGEST_BODY`] of an answer. What it sends is wiped when the question ends, but for
//! the copy in the connection's own buffer. The deadline is the caller's.

use std::{cell::RefCell, error::Error, fmt, rc::Rc, sync::Arc, time::Duration};

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{
    Method, Request, Response, StatusCode, Uri,
    body::{Bytes, Incoming},
    client::conn::http1::{self, SendRequest},
    header::{
        ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT,
    },
    http::uri::PathAndQuery,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpStream, UnixStream},
    time,
};
use zeroize::Zeroizing;

use super::NoAnswer;
use crate::{
    clock,
    config::Upstream,
    http1::{socket::Socket, stream::Stream},
    tls,
    upstream::addresses::Addresses,
};

/// The longest answer that is read, in bytes.
pub const LONGEST_BODY: usize = 64 * 1024;

/// The longest head of an answer, in bytes.
const LONGEST_HEAD: usize = 32 * 1024;

/// How long a connection waits for the next question: less than any server's patience.
pub const KEPT_FOR: Duration = Duration::from_secs(10);

/// How many connections wait at most.
const MOST_KEPT: usize = 32;

/// What an issuer is asked.
#[derive(Clone)]
pub struct Question {
    method: Method,
    target: PathAndQuery,
    credentials: HeaderValue,
    fields: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Question {
    /// A question without a body. The target must hold no secret: it shows in logs.
    #[must_use]
    pub fn get(target: PathAndQuery, credentials: HeaderValue) -> Self {
        Self {
            method: Method::GET,
            target,
            credentials,
            fields: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// A form.
    #[must_use]
    pub fn form(target: PathAndQuery, credentials: HeaderValue, form: Zeroizing<Vec<u8>>) -> Self {
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        Self {
            method: Method::POST,
            target,
            credentials,
            fields: vec![(CONTENT_TYPE, kind)],
            body: Bytes::from_owner(form),
        }
    }

    /// The same with one more field.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.fields.push((name, value));
        self
    }

    /// Another question by the same person.
    #[must_use]
    pub fn then(&self, target: PathAndQuery) -> Self {
        Self::get(target, self.credentials.clone())
    }

    /// An order by the same person, in JSON that holds no secret. It changes something, so
    /// it has to be put [once](Client::put_once).
    #[must_use]
    pub fn order(&self, target: PathAndQuery, body: &'static [u8]) -> Self {
        let mut order = self.then(target);
        order.method = Method::POST;
        order.body = Bytes::from_static(body);
        order.with(CONTENT_TYPE, HeaderValue::from_static("application/json"))
    }

    fn request(&self, host: &HeaderValue) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = Uri::from(self.target.clone());
        let fields = request.headers_mut();
        fields.insert(HOST, host.clone());
        fields.insert(AUTHORIZATION, self.credentials.clone());
        fields.insert(ACCEPT, HeaderValue::from_static("application/json"));
        fields.insert(USER_AGENT, HeaderValue::from_static(OURSELVES));
        fields.extend(self.fields.iter().cloned());
        request
    }
}

const OURSELVES: &str = concat!("tokenshim/", env!("CARGO_PKG_VERSION"));

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Question({} {})", self.method, self.target.path())
    }
}

/// A field value that is wiped when its last copy goes; `None` if no field can carry it.
#[must_use]
pub fn secret_field(text: Zeroizing<Vec<u8>>) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(text)).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// What an issuer answered, whole.
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// What the body is said to be.
    pub content_type: Option<HeaderValue>,
    /// When to come again.
    pub retry_after: Option<HeaderValue>,
    /// The body.
    pub body: Bytes,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({}, {} bytes)", self.status, self.body.len())
    }
}

/// An issuer, and the connections to it. It belongs to one thread.
#[derive(Debug)]
pub struct Client {
    server: Upstream,
    host: HeaderValue,
    /// `None` for a unix socket.
    addresses: Option<Addresses>,
    tls: Option<Arc<tls::Client>>,
    /// How long connecting may take, to all addresses together.
    patience: Duration,
    kept: RefCell<Vec<Kept>>,
}

/// A connection that waits.
#[derive(Debug)]
struct Kept {
    sender: Sender,
    since: std::time::Instant,
}

type Sender = SendRequest<Full<Bytes>>;

/// Why there is no reply.
enum Failure {
    /// The connection ended before a byte of it.
    Unanswered(hyper::Error),
    /// For good.
    Final(NoAnswer),
}

impl Client {
    /// Connects to nobody yet. `tls` is for servers by `https` only.
    #[must_use]
    pub fn new(server: Upstream, tls: Option<Arc<tls::Client>>, patience: Duration) -> Self {
        let (host, addresses) = match &server {
            Upstream::Tcp {
                host,
                port,
                authority,
                ..
            } => (authority.as_str(), Some(Addresses::new(host, *port))),
            Upstream::Unix { .. } => (LOCAL, None),
        };
        Self {
            // The configuration takes no host that a field cannot carry.
            host: HeaderValue::from_str(host).unwrap_or(HeaderValue::from_static(LOCAL)),
            addresses,
            server,
            tls,
            patience,
            kept: RefCell::default(),
        }
    }

    /// Puts a question.
    ///
    /// # Errors
    ///
    /// [`NoAnswer`] if there is no whole answer of a bearable length.
    pub async fn put(self: &Rc<Self>, question: &Question) -> Result<Reply, NoAnswer> {
        if let Some(sender) = self.take() {
            match self.exchange(sender, question).await {
                Err(Failure::Unanswered(_)) => {}
                Err(Failure::Final(why)) => return Err(why),
                Ok(reply) => return Ok(reply),
            }
        }
        self.put_once(question).await
    }

    /// Puts a question on a connection of its own, so that it is never put twice.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put); the issuer may have done what was asked all the same.
    pub async fn put_once(self: &Rc<Self>, question: &Question) -> Result<Reply, NoAnswer> {
        let sender = self.connect().await?;
        self.exchange(sender, question)
            .await
            .map_err(|failure| match failure {
                Failure::Unanswered(error) => unreachable(&error),
                Failure::Final(why) => why,
            })
    }

    async fn exchange(&self, mut sender: Sender, question: &Question) -> Result<Reply, Failure> {
        sender.ready().await.map_err(Failure::Unanswered)?;
        let response = sender
            .send_request(question.request(&self.host))
            .await
            .map_err(|error| {
                if error.is_parse() {
                    Failure::Final(NoAnswer::Unusable("no HTTP".into()))
                } else {
                    Failure::Unanswered(error)
                }
            })?;
        let reply = read(response).await.map_err(Failure::Final)?;
        self.keep(sender);
        Ok(reply)
    }

    /// The connection that was used last, if one is young and alive.
    fn take(&self) -> Option<Sender> {
        self.tidy();
        self.kept.borrow_mut().pop().map(|kept| kept.sender)
    }

    fn keep(&self, sender: Sender) {
        let mut kept = self.kept.borrow_mut();
        if kept.len() < MOST_KEPT {
            kept.push(Kept {
                sender,
                since: clock::now(),
            });
        }
    }

    /// Closes connections that have waited for too long.
    pub fn tidy(&self) {
        let now = clock::now();
        self.kept
            .borrow_mut()
            .retain(|kept| now.duration_since(kept.since) < KEPT_FOR && !kept.sender.is_closed());
    }

    async fn connect(&self) -> Result<Sender, NoAnswer> {
        let stream = match (&self.server, &self.addresses) {
            (Upstream::Unix { path }, _) => {
                let socket = UnixStream::connect(path)
                    .await
                    .map_err(|error| unreachable(&error))?;
                Stream::Plain(Socket::Unix(socket))
            }
            (Upstream::Tcp { host, tls, .. }, Some(addresses)) => {
                self.try_each(addresses, host, *tls).await?
            }
            // `new` makes addresses for every TCP server.
            (Upstream::Tcp { .. }, None) => {
                return Err(NoAnswer::Unreachable("it has no address".into()));
            }
        };
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(LONGEST_HEAD)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| unreachable(&error))?;
        // Whoever waits for an answer hears how it ended.
        tokio::task::spawn_local(async { drop(connection.await) });
        Ok(sender)
    }

    /// Tries one address after the other; each gets its share of the time.
    async fn try_each(
        &self,
        addresses: &Addresses,
        host: &str,
        is_tls: bool,
    ) -> Result<Stream, NoAnswer> {
        if addresses.is_stale(clock::now()) {
            addresses
                .resolve()
                .await
                .map_err(|error| unreachable(&error))?;
        }
        let order = addresses.in_order(clock::now());
        let count = u32::try_from(order.len().max(1)).unwrap_or(u32::MAX);
        let share = self.patience.div_f64(f64::from(count));
        let mut last = NoAnswer::Timeout;
        for address in order {
            let attempt = async {
                let socket = TcpStream::connect(address)
                    .await
                    .map_err(|error| unreachable(&error))?;
                socket
                    .set_nodelay(true)
                    .map_err(|error| unreachable(&error))?;
                self.introduce(Socket::Tcp(socket), host, is_tls).await
            };
            let outcome = time::timeout(share, attempt)
                .await
                .unwrap_or(Err(NoAnswer::Timeout));
            addresses.note(address, outcome.is_ok(), clock::now());
            match outcome {
                Ok(stream) => return Ok(stream),
                Err(why) => last = why,
            }
        }
        Err(last)
    }

    async fn introduce(
        &self,
        socket: Socket,
        host: &str,
        is_tls: bool,
    ) -> Result<Stream, NoAnswer> {
        match &self.tls {
            _ if !is_tls => Ok(Stream::Plain(socket)),
            Some(tls) => match tls.connect(socket, host).await {
                Ok(stream) => Ok(Stream::Tls(Box::new(stream))),
                Err(error) => Err(unreachable(&error)),
            },
            // Never in plain text where TLS was asked for.
            None => Err(NoAnswer::Unreachable("TLS is not set up".into())),
        }
    }
}

/// What a server behind a unix socket is called.
const LOCAL: &str = "localhost";

async fn read(response: Response<Incoming>) -> Result<Reply, NoAnswer> {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, LONGEST_BODY)
        .collect()
        .await
        .map_err(|error| {
            if error.is::<LengthLimitError>() {
                NoAnswer::Unusable("too long".into())
            } else {
                unreachable(error.as_ref())
            }
        })?;
    Ok(Reply {
        status: head.status,
        content_type: head.headers.get(CONTENT_TYPE).cloned(),
        retry_after: head.headers.get(RETRY_AFTER).cloned(),
        body: body.to_bytes(),
    })
}

/// An error and its causes in one line. No library tells in them what was sent.
fn unreachable(error: &(dyn Error + 'static)) -> NoAnswer {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    NoAnswer::Unreachable(line)
}
