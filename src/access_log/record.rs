//! What is known of one exchange while it lasts: its line, and what is counted.

use std::{net::IpAddr, ops::Range, rc::Rc};

use super::{Ending, Entry, Lines, Mask};
use crate::{
    clock,
    config::AccessLogFormat,
    http1::head::Version,
    metrics::{Finished, Method, Rewrite, TokenSource},
    relocate::{Relocated, Source},
    requirement::RouteClass,
    secret::Fingerprint,
    target::RawTarget,
};

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
