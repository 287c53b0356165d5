//! One line for each request, without its secrets.
//!
//! A [`Record`] lives as long as the exchange, body included, and writes its line when
//! it is dropped, so a client that leaves early, an upstream that breaks and a
//! task that panics are logged like all others. Text is masked when it enters
//! the record, so no raw target outlives the head it came in.

mod combined;
mod json;
mod record;
pub mod sink;

use std::{
    cell::{Cell, RefCell},
    fmt,
    net::IpAddr,
    ops::Range,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use jiff::{Timestamp, Zoned, tz::TimeZone};
use tokio::sync::Notify;

use crate::{
    clock, config::AccessLogFormat, http1::head::Version, metrics, redact::Redactor,
    relocate::Source, secret::Fingerprint,
};
pub use record::Record;
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
    /// The client sent nothing or too little, or read nothing, for too long.
    ClientTimeout,
    /// The client's body was too large or no body after its answer had begun.
    ClientError,
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
            Self::ClientError => "client_error",
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
            tokio::time::sleep(Duration::from_millis(500)).await;
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
    pub fn http_date(&self) -> Rc<str> {
        Rc::clone(&self.stamp.borrow_mut().now().http_date)
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
    /// When its second is over.
    end: Option<Instant>,
    /// `21/Nov/2026:22:43:27 +0000`, in the local time zone as nginx has it.
    local: String,
    /// `Sat, 21 Nov 2026 22:43:27 GMT`.
    http_date: Rc<str>,
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
            end: clock::now().checked_add(rest_of_second(time)),
            local,
            http_date: httpdate::fmt_http_date(time).into(),
        }
    }

    fn now(&mut self) -> &Self {
        if self.end.is_none_or(|end| end <= clock::now()) {
            *self = Self::at(SystemTime::now());
        }
        self
    }
}

fn rest_of_second(time: SystemTime) -> Duration {
    let begun = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.subsec_nanos());
    Duration::from_secs(1).saturating_sub(Duration::from_nanos(begun.into()))
}
