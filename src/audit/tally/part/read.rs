//! Reads parts back, and believes nothing: others wrote them.

use std::{
    borrow::Cow,
    io::{self, BufRead, Read as _},
    str::FromStr,
};

use jiff::civil::Date;
use sha2::{Digest as _, Sha256};

use super::{ClientLine, End, FileLine, GapLine, Header, Line, TokenLine, VERSION, hex};
use crate::{
    audit::{
        line::Field,
        sighting::TokenId,
        tally::{
            ClientKey, Day, File, FormatTotal, Tally,
            names::Set,
            network, number_of, ranks,
            token::{FIELDS, Span, Spot, Token},
        },
    },
    redact::Confidence,
};

/// No line of ours comes near it.
const LONGEST: u64 = 4 << 20;

/// A part, read and found whole.
#[derive(Debug)]
pub(in crate::audit) struct Part {
    pub(in crate::audit) header: Header,
    /// The names of its inputs; the tally numbers them so.
    pub(in crate::audit) names: Vec<String>,
    pub(in crate::audit) tally: Tally,
    /// The hash of its lines.
    pub(in crate::audit) id: String,
}

/// Why something is no part.
#[derive(Debug, thiserror::Error)]
pub(in crate::audit) enum PartError {
    #[error("cannot be read")]
    Io(#[from] io::Error),
    #[error("line {0} is not one of a part")]
    Line(u64),
    #[error("line {0}: {1}")]
    Value(u64, &'static str),
    #[error("version {0} of parts is not known here")]
    Version(u32),
    #[error("it ends before its last line: it was cut, or is still being written")]
    Cut,
    #[error("its lines are not those that were written: the hash differs")]
    Changed,
}

/// The parts of a stream: there may be several, one behind the other.
#[derive(Debug)]
pub(in crate::audit) struct Reader<R> {
    from: R,
    line: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Reader<R> {
    pub(in crate::audit) fn new(from: R) -> Self {
        Self {
            from,
            line: Vec::new(),
            number: 0,
        }
    }

    /// The next part; `None` at the end.
    pub(in crate::audit) fn next(&mut self) -> Result<Option<Part>, PartError> {
        if !self.advance()? {
            return Ok(None);
        }
        let Line::TokenshimPart(header) = self.parse()? else {
            return Err(self.wrong("a part begins with its version"));
        };
        if header.version != VERSION {
            return Err(PartError::Version(header.version));
        }
        let mut hash = Sha256::new();
        hash.update(&self.line);
        let mut lines = 1_u64;
        let mut part = Part {
            tally: Tally::new().with_full_addresses(header.full_addresses),
            header,
            names: Vec::new(),
            id: String::new(),
        };
        loop {
            if !self.advance()? {
                return Err(PartError::Cut);
            }
            match self.parse()? {
                Line::End(End {
                    lines: told,
                    sha256,
                }) => {
                    part.id = hex(&hash.finalize());
                    if told != lines || sha256 != part.id {
                        return Err(PartError::Changed);
                    }
                    part.tally.ranks = ranks(&part.names);
                    return Ok(Some(part));
                }
                line => part.take(line).map_err(|why| self.wrong(why))?,
            }
            hash.update(&self.line);
            lines = lines.saturating_add(1);
        }
    }

    /// Reads a line; whether there was one.
    fn advance(&mut self) -> Result<bool, PartError> {
        self.line.clear();
        self.number = self.number.saturating_add(1);
        let read = (&mut self.from)
            .take(LONGEST)
            .read_until(b'\n', &mut self.line)?;
        if read == 0 {
            return Ok(false);
        }
        if self.line.last() != Some(&b'\n') {
            return Err(PartError::Cut);
        }
        Ok(true)
    }

    fn parse(&self) -> Result<Line, PartError> {
        // Without the parser's own words: they would quote the line, which may be anything.
        serde_json::from_slice(&self.line).map_err(|_| PartError::Line(self.number))
    }

    fn wrong(&self, why: &'static str) -> PartError {
        PartError::Value(self.number, why)
    }
}

impl Part {
    fn take(&mut self, line: Line) -> Result<(), &'static str> {
        match line {
            Line::TokenshimPart(_) | Line::End(_) => return Err("a part in a part"),
            Line::File(line) => self.take_file(line)?,
            Line::Format(line) => {
                let code = self.tally.names.code_of(Set::Format, Cow::Owned(line.name));
                let total = FormatTotal {
                    lines: line.lines,
                    lines_with_secrets: line.lines_with_secrets,
                };
                self.tally.formats.entry(code).or_default().merge(total);
            }
            Line::Day(line) => {
                let date: Date = line.day.parse().map_err(|_| "no such day")?;
                let day = Day {
                    lines: line.lines,
                    accepted: line.accepted,
                    refused: line.refused,
                    unproven: line.unproven,
                };
                let number = number_of(date);
                self.tally.days.entry(number).or_default().merge(day);
            }
            Line::Incomplete(GapLine { file, why }) => {
                if let Some(file) = file {
                    self.check(file)?;
                }
                self.tally.gaps.insert((file, why));
            }
            Line::Client(line) => self.take_client(line)?,
            Line::Token(line) => self.take_token(*line)?,
        }
        Ok(())
    }

    fn take_file(&mut self, line: FileLine) -> Result<(), &'static str> {
        let is_sound = line.ranges.is_sorted() && line.ranges.iter().all(|(from, to)| from <= to);
        if !is_sound {
            return Err("ranges out of order");
        }
        let input = u32::try_from(self.names.len()).map_err(|_| "too many files")?;
        self.names.push(line.name);
        let file = File {
            first_line: line.ranges.first().map_or(0, |(first, _)| *first),
            lines: line.lines,
            bytes: line.bytes,
            lines_with_secrets: line.lines_with_secrets,
            lines_not_understood: line.lines_not_understood,
            findings: line.findings,
            ranges: line.ranges,
        };
        self.tally.files.insert(input, file);
        Ok(())
    }

    fn take_client(&mut self, line: ClientLine) -> Result<(), &'static str> {
        let names = &mut self.tally.names;
        let key = ClientKey {
            family: names.code_of(Set::Family, Cow::Owned(line.family)),
            kind: names.code_of(Set::Kind, Cow::Owned(line.kind)),
            endpoint: names.code_of(Set::Endpoint, Cow::Owned(line.endpoint)),
            field: field(&line.field)?,
        };
        let client = self.tally.clients.entry(key).or_default();
        client.count = client.count.saturating_add(line.count);
        client.accepted = client.accepted.saturating_add(line.accepted);
        client.refused = client.refused.saturating_add(line.refused);
        client.span.merge(span(line.seen));
        for token in line.tokens {
            client.tokens.put(token);
        }
        Ok(())
    }

    fn take_token(&mut self, line: TokenLine) -> Result<(), &'static str> {
        let id = line.id.parse().map_err(|_| "no such id")?;
        let names = &mut self.tally.names;
        let kind = names.code_of(Set::Kind, Cow::Owned(line.kind));
        let mut token = Token::new(id, kind, confidence(&line.confidence)?);
        if line.accepted.saturating_add(line.refused) > line.count {
            return Err("more outcomes than sightings");
        }
        token.count = line.count;
        token.accepted = line.accepted;
        token.refused = line.refused;
        token.span = span(line.seen);
        if line.admin {
            token.mark_admin(line.admin_accepted);
        }
        for name in &line.fields {
            token.mark(field(name)?);
        }
        let words = [
            (Set::Method, line.methods),
            (Set::Endpoint, line.endpoints),
            (Set::Family, line.families),
        ];
        for (set, words) in words {
            for word in words {
                token.label(names.code_of(set, Cow::Owned(word)));
            }
        }
        for status in line.statuses.into_iter().filter(|status| *status < 1000) {
            token.label(status);
        }
        for user in &line.users {
            token.user(user);
        }
        for text in &line.networks {
            let network = network::read(text, self.tally.is_full).ok_or("no such network")?;
            token.networks.put(network);
        }
        // Files come in the order of their names, so their numbers say the order.
        for (input, count, first, last) in line.sources {
            self.check(input)?;
            let spot = Spot {
                input,
                count,
                first,
                last,
            };
            token.spot(spot, &[]);
        }
        let place = self.tally.place(id, || token);
        if place.checked_add(1) != Some(self.tally.tokens.len()) {
            return Err("a token comes twice");
        }
        Ok(())
    }

    fn check(&self, input: u32) -> Result<(), &'static str> {
        let is_there = usize::try_from(input).is_ok_and(|input| input < self.names.len());
        is_there.then_some(()).ok_or("no such file")
    }

    /// The lines that are covered: the input's name, first and last line.
    pub(in crate::audit) fn coverage(&self) -> impl Iterator<Item = (&str, (u64, u64))> {
        let files = (0_u32..).zip(&self.names);
        files.flat_map(|(input, name)| {
            let file = self.tally.files.get(&input);
            let ranges = file.map_or(&[][..], |file| &file.ranges);
            ranges.iter().map(move |range| (name.as_str(), *range))
        })
    }
}

/// Not what a report calls a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id: h: and 32 digits, 0 to 9 and a to f")]
pub struct BadId;

impl FromStr for TokenId {
    type Err = BadId;

    /// Reads what `Display` prints.
    fn from_str(text: &str) -> Result<Self, BadId> {
        let digits = text.strip_prefix("h:").ok_or(BadId)?;
        let is_ours = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if digits.len() != 32 || !digits.bytes().all(is_ours) {
            return Err(BadId);
        }
        let bits = u128::from_str_radix(digits, 16).map_err(|_| BadId)?;
        Ok(Self(bits.to_be_bytes()))
    }
}

fn span(seen: Option<(i64, i64)>) -> Span {
    let (first, last) = seen.unzip();
    Span::of(first, last)
}

fn field(name: &str) -> Result<Field, &'static str> {
    FIELDS
        .into_iter()
        .find(|field| super::field_name(*field) == name)
        .ok_or("no such field")
}

fn confidence(name: &str) -> Result<Confidence, &'static str> {
    [Confidence::Verified, Confidence::Shape, Confidence::Context]
        .into_iter()
        .find(|confidence| super::confidence_name(*confidence) == name)
        .ok_or("no such confidence")
}
