//! The toy homeserver's front: hyper on a loopback port.
//!
//! It authenticates as the specification does since v1.20: from `Authorization`
//! and nowhere else. A token in the query is no token.

use std::{
    cell::RefCell, convert::Infallible, fmt, io, net::SocketAddr, rc::Rc, sync::mpsc::Sender,
    time::Duration,
};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue,
    },
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, sync::Notify, task::LocalSet, time};

use super::{
    Event,
    call::{self, Call, Reply},
    matrix::Matrix,
};

/// The longest body it takes.
const LONGEST_BODY: usize = 8 * 1024 * 1024;

/// A request as it arrived.
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) authorization: Option<String>,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.target)?;
        match &self.authorization {
            Some(value) => write!(f, "\nAuthorization: {value}"),
            None => f.write_str("\n(no Authorization)"),
        }
    }
}

/// Starts it on a thread of its own; `events` hears of each request before it
/// is answered.
pub(super) fn start(events: Sender<Event>) -> io::Result<SocketAddr> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0)))?;
    let address = listener.local_addr()?;
    std::thread::Builder::new()
        .name("demo-homeserver".into())
        .spawn(move || LocalSet::new().block_on(&runtime, accept(listener, events)))?;
    Ok(address)
}

/// What its connections share.
struct Homeserver {
    matrix: RefCell<Matrix>,
    /// Rung when something happens in a room.
    news: Notify,
    events: Sender<Event>,
}

async fn accept(listener: TcpListener, events: Sender<Event>) {
    let homeserver = Rc::new(Homeserver {
        matrix: RefCell::default(),
        news: Notify::new(),
        events,
    });
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors: a toy waits.
            time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let homeserver = Rc::clone(&homeserver);
        tokio::task::spawn_local(async move {
            let service = service_fn(|request| homeserver.serve(request));
            // A connection that breaks concerns nobody here.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

impl Homeserver {
    async fn serve(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let seen = see(&request);
        let kind = field(&request, &CONTENT_TYPE);
        let body = Limited::new(request.into_body(), LONGEST_BODY)
            .collect()
            .await;
        let mut call = Call::new(&seen, kind);
        // The show may be over.
        let _ = self.events.send(Event::Saw(seen));
        let Ok(body) = body else {
            return Ok(respond(call::TOO_LARGE.into()));
        };
        call.body = body.to_bytes();
        Ok(respond(self.answer(&call).await))
    }

    async fn answer(&self, call: &Call) -> Reply {
        let ask = |may_wait| self.matrix.borrow_mut().answer(call, may_wait);
        let before = self.matrix.borrow().length();
        let mut reply = ask(true);
        if let Reply::Wait(most) = reply {
            // Either way there is an answer now.
            let _ = time::timeout(most, self.news.notified()).await;
            reply = ask(false);
        }
        if self.matrix.borrow().length() > before {
            self.news.notify_waiters();
        }
        reply
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the toy homeserver is what shows that no token arrives here"
)]
fn see(request: &Request<Incoming>) -> Seen {
    Seen {
        method: request.method().to_string(),
        target: request.uri().to_string(),
        authorization: field(request, &AUTHORIZATION),
    }
}

fn field(request: &Request<Incoming>, name: &HeaderName) -> Option<String> {
    let value = request.headers().get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn respond(reply: Reply) -> Response<Full<Bytes>> {
    let (status, kind, body) = match reply {
        Reply::Json(status, value) => (status, "application/json".into(), value.to_string().into()),
        Reply::Media(kind, content) => (StatusCode::OK, kind, content),
        // Nobody waits twice.
        Reply::Wait(_) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            String::new(),
            Bytes::new(),
        ),
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let fields = response.headers_mut();
    if let Ok(kind) = HeaderValue::try_from(kind) {
        fields.insert(CONTENT_TYPE, kind);
    }
    for (name, value) in [
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (
            ACCESS_CONTROL_ALLOW_METHODS,
            "GET, POST, PUT, DELETE, OPTIONS",
        ),
        (
            ACCESS_CONTROL_ALLOW_HEADERS,
            "X-Requested-With, Content-Type, Authorization",
        ),
    ] {
        fields.insert(name, HeaderValue::from_static(value));
    }
    response
}
