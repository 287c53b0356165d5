//! One line for each request, without its secrets.
//!
//! A [`Record`] lives as long as the exchange, body included, and writes its line when
//! it is dropped, so a client that leaves early, an upstream that breaks and a
//! task that panics are logged like all others. Text is masked when it enters
//! the record, so no raw target outlives the head it came in.

mod combined;
mod json;
pub mod sink;

use std::{
    cell::{Cell, RefCell},
    fmt,
    net::IpAddr,
    ops::Range,
    rc::Rc,
    sync::Arc,
    time::{Instant, SystemTime},
};

use jiff::{Timestamp, Zoned, tz::TimeZone};
use tokio::sync::Notify;

use crate::{
    clock,
    config::AccessLogFormat,
    http1::head::Version,
    metrics::{self, Finished, Method, Rewrite, TokenSource},
    redact::Redactor,
    relocate::{Relocated, Source},
    requirement::RouteClass,
    secret::Fingerprint,
    target::RawTarget,
};
use sink::Sink;

/// A block goes to the writer when it is this long, or half a second old.
const BLOCK: usize = 32 * 1024;

/// The last line of a block has room for this many bytes; a longer one moves it.
const LONG_LINE: usize = 4 * 1024;

/// How an exchange ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// The client left before the answer was whole.
    #[default]
    ClientGone,
    /// The whole answer was sent.
    Complete,
    /// The client sent nothing, or read nothing, for too long.
    ClientTimeout,
    /// The upstream broke off in the middle of its answer.
    UpstreamError,
    /// The upstream fell silent in the middle of its answer.
    UpstreamTimeout,
    /// We stopped.
    Drained,
}

impl Ending {
    const fn as_str(self) -> &'static str {
        match self {
            Self::ClientGone => "client_gone",
            Self::Complete => "complete",
            Self::ClientTimeout => "client_timeout",
            Self::UpstreamError => "upstream_error",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::Drained => "drained",
        }
    }
}

/// What a line says of one exchange. All text in it is masked.
#[derive(Debug)]
struct Entry {
    client: Option<IpAddr>,
    /// Holds the texts that the ranges below point into.
    text: Vec<u8>,
    method: Range<usize>,
    target: Range<usize>,
    version: Option<Version>,
    is_http2: bool,
    referer: Option<Range<usize>>,
    user_agent: Option<Range<usize>>,
    fingerprint: Option<Fingerprint>,
    source: Source,
    /// 0 until an answer began.
    status: u16,
    bytes: u64,
    ending: Ending,
    started: Instant,
}

/// nginx's status for a client that left before its answer began.
const CLIENT_CLOSED_REQUEST: u16 = 499;

impl Entry {
    fn part(&self, range: &Range<usize>) -> &[u8] {
        self.text.get(range.clone()).unwrap_or_default()
    }

    fn protocol(&self) -> Option<&'static str> {
        Some(match self.version? {
            _ if self.is_http2 => "HTTP/2.0",
            Version::Http10 => "HTTP/1.0",
            Version::Http11 => "HTTP/1.1",
        })
    }

    fn status(&self) -> u16 {
        if self.status == 0 {
            CLIENT_CLOSED_REQUEST
        } else {
            self.status
        }
    }
}

/// What masks, for each record to keep. The count that changes with each request is
/// the outer one: the inner one is shared by workers, who would wait for each other.
type Mask = Rc<Arc<Redactor>>;

/// The access log of one worker.
pub struct Lines {
    format: AccessLogFormat,
    redactor: RefCell<Mask>,
    sink: Sink,
    counters: Rc<metrics::Worker>,
    block: RefCell<Vec<u8>>,
    spare_text: RefCell<Vec<Vec<u8>>>,
    stamp: RefCell<Stamp>,
    dirty: Notify,
    is_dirty: Cell<bool>,
    is_stopping: Cell<bool>,
}

impl Lines {
    /// A log that hands its lines to `sink`, and counts them in `counters`.
    #[must_use]
    pub fn new(
        format: AccessLogFormat,
        redactor: Arc<Redactor>,
        sink: Sink,
        counters: Rc<metrics::Worker>,
    ) -> Rc<Self> {
        Rc::new(Self {
            format,
            redactor: RefCell::new(Rc::new(redactor)),
            sink,
            counters,
            block: RefCell::default(),
            spare_text: RefCell::default(),
            stamp: RefCell::new(Stamp::at(SystemTime::now())),
            dirty: Notify::new(),
            is_dirty: Cell::new(false),
            is_stopping: Cell::new(false),
        })
    }

    /// Hands over what is at hand, within a second of the first line of it.
    pub async fn keep_flushing(&self) {
        loop {
            self.dirty.notified().await;
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            self.flush();
        }
    }

    /// Hands over what is at hand.
    pub fn flush(&self) {
        self.is_dirty.set(false);
        let block = std::mem::take(&mut *self.block.borrow_mut());
        if !block.is_empty() {
            self.sink.send(block);
        }
    }

    /// This is what masks the records that begin from now on.
    pub fn mask_with(&self, redactor: Arc<Redactor>) {
        self.redactor.replace(Rc::new(redactor));
    }

    /// From now on, who is left without an answer is left by us.
    pub fn stop(&self) {
        self.is_stopping.set(true);
    }

    /// The time as the `Date` field has it.
    pub fn http_date(&self) -> String {
        self.stamp.borrow_mut().now().http_date.clone()
    }

    /// Keeps the memory of a record for the next one.
    fn take_back(&self, text: Vec<u8>) {
        /// Of many waiting requests, or of one with a huge target, not all is kept.
        const MOST: usize = 256;
        const LARGEST: usize = 4 * 1024;
        let mut spare = self.spare_text.borrow_mut();
        if spare.len() < MOST && text.capacity() <= LARGEST {
            spare.push(text);
        }
    }

    fn write(&self, entry: &Entry) {
        let mut block = self.block.borrow_mut();
        if block.capacity() == 0 {
            block.reserve_exact(BLOCK.saturating_add(LONG_LINE));
        }
        let mut stamp = self.stamp.borrow_mut();
        match self.format {
            AccessLogFormat::Combined => combined::push(&mut block, entry, stamp.now()),
            AccessLogFormat::Json => json::push(&mut block, entry),
            AccessLogFormat::Off => return,
        }
        let is_full = block.len() >= BLOCK;
        drop(block);
        if is_full {
            self.flush();
        } else if !self.is_dirty.replace(true) {
            self.dirty.notify_one();
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.flush();
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines")
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

/// The texts of the current second, made once for all its lines.
#[derive(Debug)]
struct Stamp {
    second: u64,
    /// `21/Nov/2026:22:43:27 +0000`, in the local time zone as nginx has it.
    local: String,
    /// `Sat, 21 Nov 2026 22:43:27 GMT`.
    http_date: String,
}

impl Stamp {
    fn at(time: SystemTime) -> Self {
        let local = Timestamp::try_from(time).map_or_else(
            |_| String::from("-"),
            |time| {
                Zoned::new(time, TimeZone::system())
                    .strftime("%d/%b/%Y:%H:%M:%S %z")
                    .to_string()
            },
        );
        Self {
            second: seconds(time),
            local,
            http_date: httpdate::fmt_http_date(time),
        }
    }

    fn now(&mut self) -> &Self {
        let now = SystemTime::now();
        if seconds(now) != self.second {
            *self = Self::at(now);
        }
        self
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// One exchange on its way to the log.
#[derive(Debug)]
pub struct Record {
    lines: Rc<Lines>,
    /// Of the record's begin: what was a token then is masked, whatever is reloaded.
    redactor: Mask,
    entry: Entry,
    count: Count,
    is_void: bool,
}

/// What is counted of an exchange, beside what its line says.
#[derive(Debug)]
struct Count {
    method: Method,
    route: RouteClass,
    source: Option<TokenSource>,
    request_bytes: u64,
}

impl Record {
    /// Begins with the moment the request came in.
    #[must_use]
    pub fn begin(lines: &Rc<Lines>, client: Option<IpAddr>, is_http2: bool) -> Self {
        let mut text = lines.spare_text.borrow_mut().pop().unwrap_or_default();
        text.clear();
        let entry = Entry {
            client,
            text,
            method: 0..0,
            target: 0..0,
            version: None,
            is_http2,
            referer: None,
            user_agent: None,
            fingerprint: None,
            source: Source::None,
            status: 0,
            bytes: 0,
            ending: Ending::default(),
            started: clock::now(),
        };
        lines.counters.begun();
        Self {
            lines: Rc::clone(lines),
            redactor: Rc::clone(&lines.redactor.borrow()),
            entry,
            count: Count {
                method: Method::Other,
                route: RouteClass::Other,
                source: None,
                request_bytes: 0,
            },
            is_void: false,
        }
    }

    /// It was no request after all: nothing is written.
    pub fn forget(&mut self) {
        self.is_void = true;
    }

    /// Notes the request line. For one that does not parse, `method` is empty
    /// and `target` is all there is of it.
    #[expect(
        clippy::disallowed_methods,
        reason = "the log that masks: nothing raw is kept"
    )]
    pub fn request(&mut self, method: &[u8], target: RawTarget<'_>, version: Option<Version>) {
        self.count.method = Method::of(method);
        self.entry.method = self.keep(method);
        self.entry.target = self.keep(target.expose());
        self.entry.version = version;
    }

    /// Notes where the request came from.
    pub fn client(
        &mut self,
        client: Option<IpAddr>,
        referer: Option<&[u8]>,
        user_agent: Option<&[u8]>,
    ) {
        self.entry.client = client;
        self.entry.referer = referer.map(|text| self.keep(text));
        self.entry.user_agent = user_agent.map(|text| self.keep(text));
    }

    /// Notes what kind of request it is.
    pub fn route(&mut self, route: RouteClass) {
        self.lines.counters.rerouted(self.count.route, route);
        self.count.route = route;
    }

    /// Notes what relocation did, and the token's fingerprint.
    pub fn credential(&mut self, relocated: &Relocated<'_>, fingerprint: Option<Fingerprint>) {
        self.entry.source = relocated.source;
        self.entry.fingerprint = fingerprint;
        self.count.source = Some(TokenSource::of(relocated));
        if let Some(rewrite) = Rewrite::of(relocated) {
            self.lines.counters.rewritten(rewrite);
        }
    }

    /// Counts bytes of the request's body.
    pub fn received(&mut self, bytes: u64) {
        self.count.request_bytes = self.count.request_bytes.saturating_add(bytes);
    }

    /// Notes that an answer began.
    pub fn status(&mut self, status: u16) {
        self.entry.status = status;
    }

    /// Counts bytes of the answer's body.
    pub fn bytes(&mut self) -> &mut u64 {
        &mut self.entry.bytes
    }

    /// Notes how it ended. Unless called, the client has gone.
    pub fn end(&mut self, ending: Ending) {
        self.entry.ending = ending;
    }

    /// Masks a text and keeps it.
    fn keep(&mut self, text: &[u8]) -> Range<usize> {
        if self.lines.format == AccessLogFormat::Off {
            return 0..0;
        }
        let start = self.entry.text.len();
        self.redactor.mask_into(text, &mut self.entry.text);
        start..self.entry.text.len()
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.is_void {
            return self.lines.counters.forgotten(self.count.route);
        }
        if self.entry.ending == Ending::ClientGone && self.lines.is_stopping.get() {
            self.entry.ending = Ending::Drained;
        }
        self.lines.counters.finished(&Finished {
            method: self.count.method,
            status: self.entry.status,
            route: self.count.route,
            source: self.count.source,
            ending: self.entry.ending,
            duration: clock::now().saturating_duration_since(self.entry.started),
            request_bytes: self.count.request_bytes,
            response_bytes: self.entry.bytes,
        });
        self.lines.write(&self.entry);
        self.lines.take_back(std::mem::take(&mut self.entry.text));
    }
}
