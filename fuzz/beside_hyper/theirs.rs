//! What hyper makes of the bytes. There is no socket and no runtime: the bytes are
//! there, and a future is polled for as long as it gets on.

use std::{
    cell::RefCell,
    convert::Infallible,
    io,
    pin::{Pin, pin},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use http::{HeaderMap, Method, Request, Response, Version};
use http_body_util::{BodyExt as _, Empty};
use hyper::{
    body::{Bytes, Incoming},
    client,
    ext::ReasonPhrase,
    rt, server,
    service::service_fn,
};
use tokenshim::http1::response::MOST_FIELDS;

use super::{Fields, Message, by_name};

/// A message whose head hyper took.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) message: Message,
    /// Whether its body did not end, or was refused.
    pub(super) is_cut: bool,
}

type Heard = Rc<RefCell<Vec<Told>>>;

/// The requests that hyper's server finds.
pub(super) fn requests(bytes: &[u8]) -> Vec<Told> {
    let heard = Heard::default();
    let service = service_fn(|request: Request<Incoming>| async {
        let (parts, body) = request.into_parts();
        let start = [
            parts.method.to_string(),
            parts.uri.to_string(),
            version(parts.version),
        ];
        hear(&heard, start, &parts.headers, body).await;
        // A refusal: what was asked for is neither connected nor upgraded.
        let mut answer = Response::new(Empty::<Bytes>::new());
        *answer.status_mut() = http::StatusCode::BAD_REQUEST;
        Ok::<_, Infallible>(answer)
    });
    let wire = Wire::new([bytes, b""], 2, true);
    let connection = server::conn::http1::Builder::new()
        .half_close(true)
        .auto_date_header(false)
        .header_read_timeout(None)
        .serve_connection(wire, service);
    let mut connection = pin!(connection);
    drive(|cx| connection.as_mut().poll(cx).is_ready());
    heard.take()
}

/// The response that hyper's client finds, and the next one if it asks for it;
/// without a next one the connection ends.
pub(super) fn responses(method: &Method, bytes: &[u8], next: Option<&[u8]>) -> Vec<Told> {
    let heard = Heard::default();
    let wire = Wire::new([bytes, next.unwrap_or_default()], 0, next.is_none());
    let exchange = async {
        let (mut sender, connection) = client::conn::http1::Builder::new()
            .max_headers(MOST_FIELDS)
            .handshake::<_, Empty<Bytes>>(wire)
            .await
            .unwrap();
        let ask = async {
            for method in [method, &Method::GET] {
                let mut request = Request::new(Empty::new());
                *request.method_mut() = method.clone();
                if sender.ready().await.is_err() {
                    return;
                }
                let Ok(response) = sender.send_request(request).await else {
                    return;
                };
                let (parts, body) = response.into_parts();
                let reason = match parts.extensions.get::<ReasonPhrase>() {
                    Some(reason) => String::from_utf8_lossy(reason.as_bytes()).into_owned(),
                    None => parts.status.canonical_reason().unwrap_or("").to_owned(),
                };
                let start = [
                    parts.status.as_str().to_owned(),
                    reason,
                    version(parts.version),
                ];
                hear(&heard, start, &parts.headers, body).await;
            }
        };
        let (mut ask, mut connection) = (pin!(ask), pin!(connection));
        let mut is_over = false;
        std::future::poll_fn(|cx| {
            is_over = is_over || connection.as_mut().poll(cx).is_ready();
            ask.as_mut().poll(cx)
        })
        .await;
    };
    let mut exchange = pin!(exchange);
    drive(|cx| exchange.as_mut().poll(cx).is_ready());
    heard.take()
}

/// Notes a message at once, and its body when that has ended.
async fn hear(heard: &Heard, start: [String; 3], headers: &HeaderMap, body: Incoming) {
    let message = Message {
        start,
        fields: fields(headers),
        body: Vec::new(),
        trailers: Vec::new(),
    };
    let at = heard.borrow().len();
    heard.borrow_mut().push(Told {
        message,
        is_cut: true,
    });
    if let Ok(body) = body.collect().await {
        let told = &mut heard.borrow_mut()[at];
        told.is_cut = false;
        told.message.trailers = body.trailers().map(fields).unwrap_or_default();
        told.message.body = body.to_bytes().to_vec();
    }
}

fn fields(headers: &HeaderMap) -> Fields {
    by_name(
        headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes())),
    )
}

fn version(version: Version) -> String {
    format!("{version:?}")
}

/// Polls until it is done or nothing wakes it any more.
fn drive(mut is_done: impl FnMut(&mut Context<'_>) -> bool) {
    let woken = Arc::new(Woken(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    while woken.0.swap(false, Ordering::Relaxed) && !is_done(&mut context) {}
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What one side hears: the parts, and perhaps the end.
struct Wire<'b> {
    parts: [&'b [u8]; 2],
    /// How many of them may be heard: a client hears nothing that it did not ask
    /// for.
    open: usize,
    has_end: bool,
    said: Vec<u8>,
    reader: Option<Waker>,
}

impl<'b> Wire<'b> {
    fn new(parts: [&'b [u8]; 2], open: usize, has_end: bool) -> Self {
        Self {
            parts,
            open,
            has_end,
            said: Vec::new(),
            reader: None,
        }
    }
}

impl rt::Read for Wire<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let Self {
            parts,
            open,
            has_end,
            reader,
            ..
        } = &mut *self;
        let part = parts.iter_mut().take(*open).find(|part| !part.is_empty());
        if let Some(part) = part {
            let (now, later) = part.split_at(part.len().min(buf.remaining()));
            buf.put_slice(now);
            *part = later;
        } else if *open == 0 || !*has_end {
            *reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl rt::Write for Wire<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.said.extend_from_slice(bytes);
        // A request of ours is a head alone.
        if self.said.ends_with(b"\r\n\r\n") {
            self.said.clear();
            self.open += 1;
            if let Some(reader) = self.reader.take() {
                reader.wake();
            }
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
