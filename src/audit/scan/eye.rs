//! Looks at the lines in which something may be a secret.

use std::{mem, ops::Range};

use jiff::Timestamp;

use super::{
    Found, Search,
    ends::Ends,
    families::Families,
    journal,
    known::{Known, Memory},
    lines::Piece,
    request::Request,
};
use crate::{
    audit::{
        input::text,
        line::{Field, Format, LineReader, Record},
        sighting::{Place, Sighting},
        tally::Tally,
        verify_live::Held,
    },
    redact::{Confidence, Finding, Kind, Redactor, TokenKind},
};

/// What one worker has seen.
pub(in crate::audit) struct Eye<'s> {
    search: &'s Search<'s>,
    lines: LineReader,
    families: Families,
    memory: Memory,
    /// What was found so far.
    pub(in crate::audit) tally: Tally,
    /// The tokens themselves, where somebody is to be asked about them.
    held: Held,
}

impl<'s> Eye<'s> {
    /// One of so many.
    pub(in crate::audit) fn new(search: &'s Search<'s>, jobs: usize) -> Self {
        Self {
            search,
            lines: search.lines.clone(),
            families: Families::default(),
            memory: Memory::new(jobs),
            tally: search.tally.clone(),
            held: Held::new(),
        }
    }

    /// All that was seen; it begins anew.
    pub(in crate::audit) fn take(&mut self) -> Found {
        Found {
            tally: mem::replace(&mut self.tally, self.search.tally.clone()),
            held: mem::take(&mut self.held),
        }
    }

    /// Looks at what a reader hands over, and moves `place` behind it.
    pub(in crate::audit) fn piece(&mut self, place: &mut Place, piece: &Piece<'_>) {
        match piece {
            Piece::Lines(block) => {
                let first = place.line;
                let mut ends = Ends::of(block);
                let mut line = |at| first.saturating_add(ends.before(block, at));
                self.block(place.input, block, &mut line);
                place.line = first.saturating_add(ends.total());
            }
            Piece::Part { text, own, is_last } => {
                self.judge(place.input, text);
                let mut suspects = self.search.redactor.suspects(text);
                if suspects.next(0).is_some() {
                    let here = *place;
                    let mut next = |from| suspects.next(from);
                    self.line(&mut || here, text, &mut next, own, None);
                }
                place.line = place.line.saturating_add(u64::from(*is_last));
            }
        }
    }

    /// Looks at whole lines. The number of the one that begins at a place is asked of `line`
    /// when there is something to be seen.
    pub(super) fn block(&mut self, input: u32, block: &[u8], line: &mut dyn FnMut(usize) -> u64) {
        self.judge(input, block);
        let search = self.search;
        let mut suspects = search.redactor.suspects(block);
        let mut from = 0;
        while let Some(found) = suspects.next(from) {
            let whole = line_around(block, found);
            from = whole.end;
            // Most suspects are none: their lines need no number.
            let mut place = || {
                let line = line(whole.start);
                Place { input, line }
            };
            let text = block.get(whole.clone()).unwrap_or_default();
            let mut next = |from: usize| {
                let found = suspects.next(whole.start.saturating_add(from))?;
                (found < whole.end).then(|| found.saturating_sub(whole.start))
            };
            self.line(&mut place, text, &mut next, &(0..text.len()), None);
        }
        for (at, message) in journal::arrays(block) {
            let whole = line_around(block, at);
            let mut place = || {
                let line = line(whole.start);
                Place { input, line }
            };
            let entry = block.get(whole.clone()).unwrap_or_default();
            self.message(&mut place, entry, &message);
        }
    }

    /// Says once of an input that it could not be understood.
    fn judge(&mut self, input: u32, text: &[u8]) {
        if !text::is_likely(text) {
            self.tally.incomplete(Some(input), text::ODD.to_owned());
        }
    }

    /// Looks at a message that its entry has as numbers.
    fn message(&mut self, place: &mut dyn FnMut() -> Place, entry: &[u8], message: &[u8]) {
        for line in message.split_inclusive(|byte| *byte == b'\n') {
            let mut suspects = self.search.redactor.suspects(line);
            let mut next = |from| suspects.next(from);
            self.line(place, line, &mut next, &(0..line.len()), Some(entry));
        }
    }

    /// Looks at one line, whose suspects `next` gives; only what begins in `own` counts.
    /// Of a line that was spelled otherwise `entry` is what is around it.
    fn line(
        &mut self,
        place: &mut dyn FnMut() -> Place,
        text: &[u8],
        next: &mut dyn FnMut(usize) -> Option<usize>,
        own: &Range<usize>,
        entry: Option<&[u8]>,
    ) {
        // Who copies a log and truncates it leaves a hole where its writer goes on.
        let hole = text.iter().take_while(|byte| **byte == 0).count();
        let line = text.get(hole..).unwrap_or_default();
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut next = |from: usize| {
            let found = next(from.saturating_add(hole))?.checked_sub(hole)?;
            (found < line.len()).then_some(found)
        };
        let search = self.search;
        let mut found = search
            .redactor
            .findings_among(line, &mut next)
            .filter(|finding| own.contains(&finding.span.start.saturating_add(hole)))
            .filter(|finding| !finding.is_placeholder(line))
            .peekable();
        if found.peek().is_none() {
            return;
        }
        // What begins within a line too long to be looked at is no line: whatever a client
        // wrote there could pass for one. Behind a hole a line does begin.
        let (mut format, mut record) = if own.start > hole {
            (Format::Text, Record::default())
        } else {
            self.lines.read(line)
        };
        if let Some(entry) = entry {
            let around = self.lines.read(entry);
            format = format.within(around.0);
            record.date(around.1.time, around.1.is_year_guessed);
        }
        // Whatever may have been in the window counts.
        if !record.is_year_guessed
            && record
                .time
                .is_some_and(|time| !search.window.contains(time))
        {
            return;
        }
        let place = place();
        let request = Request::of(&record);
        let family = self.families.of(&record);
        let mut crossing = None;
        for finding in found {
            if record.cut(finding.span.clone()) != finding.span {
                crossing = Some(finding.span.start);
                break;
            }
            self.finding(place, line, &record, &request, family, &finding);
        }
        if let Some(crossing) = crossing {
            let apart = apart(&search.redactor, line, &record)
                .into_iter()
                .filter(|finding| finding.span.start >= crossing)
                .filter(|finding| own.contains(&finding.span.start.saturating_add(hole)))
                .filter(|finding| !finding.is_placeholder(line));
            for finding in apart {
                self.finding(place, line, &record, &request, family, &finding);
            }
        }
        self.tally.line(place.input, format, true, record.time);
    }

    fn finding(
        &mut self,
        place: Place,
        line: &[u8],
        record: &Record<'_>,
        request: &Request<'_>,
        family: &'static str,
        finding: &Finding,
    ) {
        let secret = finding.decoded(line);
        let search = self.search;
        let known = self.memory.of(finding, line, || {
            let finding = finding.clone().classified(line);
            identify(search, &finding, line, &secret)
        });
        if search.is_kept && Held::wants(known.kind) {
            self.held.keep(known.id, &secret);
        }
        let field = record.field_at(finding.span.start);
        let is_user_told = mem::replace(&mut known.is_user_told, true);
        let user = match &known.user {
            Some(user) => Some(&**user).filter(|_| !is_user_told),
            None => record
                .user
                .as_ref()
                .and_then(|user| str::from_utf8(&user.text).ok()),
        };
        let sighting = Sighting {
            id: known.id,
            kind: known.kind,
            confidence: known.confidence,
            user,
            place,
            field,
            time: record.time,
            client: record.client,
            family,
            method: request.method,
            endpoint: request.endpoint,
            is_admin: request.is_admin,
            status: record.status,
            outcome: request.outcome(record.status, way(finding, record), &secret),
        };
        self.tally.add(&sighting);
        if let Some(told) = &search.told {
            told.see(&sighting);
        }
    }
}

/// Under which name a secret is known, and what it is.
///
/// Of a token that was cut nobody can say which one it is: those of one user and kind
/// count as one.
fn identify(search: &Search<'_>, finding: &Finding, line: &[u8], secret: &[u8]) -> Known {
    let user = localpart(finding, secret);
    let (id, kind) = if let Some(kind) = finding.cut_name(line) {
        let user = user.as_deref().unwrap_or_default();
        // No token has a space.
        let what = [b"cut ", kind.as_bytes(), b" ", user].concat();
        (search.key.id(&what), kind)
    } else {
        let id = search.key.id(secret);
        let registered = search.registrations.kind_of(id);
        (id, registered.unwrap_or_else(|| finding.kind_name()))
    };
    Known {
        id,
        kind,
        confidence: finding.confidence(),
        is_user_told: false,
        user: user
            .and_then(|user| String::from_utf8(user).ok())
            .map(String::into_boxed_str),
    }
}

/// The secrets of a line whose parts end with what a value may have too, as the `|` of
/// HAProxy and of many a `log_format`: each ends with its part, and the next is looked for
/// behind that.
fn apart(redactor: &Redactor, line: &[u8], record: &Record<'_>) -> Vec<Finding> {
    let within = |range: Range<usize>| {
        let text = line.get(range.clone()).unwrap_or_default();
        redactor.findings(text).map(move |mut finding| {
            let span = &mut finding.span;
            *span = span.start.saturating_add(range.start)..span.end.saturating_add(range.start);
            finding
        })
    };
    let mut found = Vec::new();
    let mut from = 0;
    loop {
        let mut crossed = None;
        for finding in within(from..line.len()) {
            let span = record.cut(finding.span.clone());
            if span != finding.span {
                crossed = Some(span);
                break;
            }
            found.push(finding);
        }
        // A part has one end, so that there are no more rounds than parts.
        let Some(span) = crossed else { return found };
        found.extend(within(from..span.end).filter(|finding| finding.span.start >= span.start));
        from = span.end.max(from.saturating_add(1));
    }
}

/// How a secret came with its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// In the target.
    Target,
    /// In `Authorization`, where a log has that and says so.
    Header,
    /// It did not, or nobody knows.
    Beside,
}

/// A client may write `Bearer` into every header: only where a format names it, it is one.
fn way(finding: &Finding, record: &Record<'_>) -> Way {
    let start = finding.span.start;
    match (record.field_at(start), finding.kind) {
        (Field::Request, _) => Way::Target,
        (Field::Other, Kind::Authorization(_)) if record.is_authorization(start) => Way::Header,
        _ => Way::Beside,
    }
}

/// Whose token it is: Synapse writes the localpart into it, in base64.
fn localpart(finding: &Finding, secret: &[u8]) -> Option<Vec<u8>> {
    use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};

    let token = finding.kind.token()?;
    if !matches!(
        token.kind,
        TokenKind::SynapseAccess | TokenKind::SynapseRefresh
    ) || finding.confidence() < Confidence::Shape
    {
        return None;
    }
    let mut parts = secret.split(|byte| *byte == b'_');
    let (_prefix, localpart, _random) = (parts.next()?, parts.next()?, parts.next()?);
    BASE64_STANDARD_NO_PAD
        .decode(localpart)
        .ok()
        .filter(|name| !name.is_empty())
}

/// The line around a place, with its end.
fn line_around(block: &[u8], place: usize) -> Range<usize> {
    let before = block.get(..place).unwrap_or_default();
    let start = memchr::memrchr(b'\n', before).map_or(0, |end| end.saturating_add(1));
    let behind = block.get(place..).unwrap_or_default();
    let end = memchr::memchr(b'\n', behind).map_or(block.len(), |end| {
        place.saturating_add(end).saturating_add(1)
    });
    start..end
}

/// Whom each sighting is told, as it comes.
pub(in crate::audit) trait Told: Sync {
    /// One more.
    fn see(&self, sighting: &Sighting<'_>);
}

/// The times that count.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::audit) struct Window {
    pub(in crate::audit) since: Option<Timestamp>,
    pub(in crate::audit) until: Option<Timestamp>,
}

impl Window {
    fn contains(self, time: Timestamp) -> bool {
        self.since.is_none_or(|since| time >= since) && self.until.is_none_or(|until| time < until)
    }
}
