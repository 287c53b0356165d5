//! A tally as text, so that other machines can add it up: one JSON object a line.
//!
//! The first line says under which key and version it was made, the last one how many
//! lines there are and their SHA-256: a part that was cut is no part, and the hash is its
//! name. Order says nothing of how the tally came about, so equal parts are equal bytes.

mod read;

use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{
    File, Tally,
    view::{ClientView, TokenView},
};
use crate::{audit::line::Field, redact::Confidence};
pub use read::BadId;
pub(in crate::audit) use read::{Part, PartError, Reader};

/// The only version so far.
const VERSION: u32 = 1;

/// What has to be alike in parts that are added up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::audit) struct Header {
    pub(in crate::audit) version: u32,
    pub(in crate::audit) key_id: String,
    pub(in crate::audit) ephemeral_key: bool,
    pub(in crate::audit) full_addresses: bool,
    pub(in crate::audit) since: Option<String>,
    pub(in crate::audit) until: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    TokenshimPart(Header),
    File(FileLine),
    Format(FormatLine),
    Day(DayLine),
    Incomplete(GapLine),
    Client(ClientLine),
    Token(Box<TokenLine>),
    End(End),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileLine {
    name: String,
    /// First and last line of each piece that was read.
    ranges: Vec<(u64, u64)>,
    lines: u64,
    bytes: u64,
    lines_with_secrets: u64,
    lines_not_understood: u64,
    findings: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FormatLine {
    name: String,
    lines: u64,
    lines_with_secrets: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DayLine {
    day: String,
    lines: u64,
    accepted: u64,
    refused: u64,
    unproven: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GapLine {
    file: Option<u32>,
    why: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientLine {
    family: String,
    kind: String,
    field: String,
    endpoint: String,
    count: u64,
    accepted: u64,
    // Older parts do not tell: what they refused counts as unproven.
    #[serde(default)]
    refused: u64,
    seen: Option<(i64, i64)>,
    tokens: Vec<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenLine {
    id: String,
    kind: String,
    confidence: String,
    count: u64,
    accepted: u64,
    refused: u64,
    seen: Option<(i64, i64)>,
    admin: bool,
    admin_accepted: bool,
    users: Vec<String>,
    fields: Vec<String>,
    statuses: Vec<u16>,
    methods: Vec<String>,
    endpoints: Vec<String>,
    families: Vec<String>,
    networks: Vec<String>,
    /// File, lines, first and last line.
    sources: Vec<(u32, u32, u64, u64)>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    lines: u64,
    sha256: String,
}

impl Tally {
    /// Writes all it knows of inputs with these names.
    pub(in crate::audit) fn write_part(
        &self,
        header: Header,
        names: &[String],
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let mut part = Hashed::new(out);
        part.put(&Line::TokenshimPart(header))?;
        let order = Order::of(names);
        for (input, name) in order.inputs() {
            let file = self.files.get(&input).cloned().unwrap_or_default();
            part.put(&Line::File(file_line(name, &file)))?;
        }
        for (name, total) in self.formats() {
            part.put(&Line::Format(FormatLine {
                name: name.to_owned(),
                lines: total.lines,
                lines_with_secrets: total.lines_with_secrets,
            }))?;
        }
        for (date, day) in self.days() {
            part.put(&Line::Day(DayLine {
                day: date.to_string(),
                lines: day.lines,
                accepted: day.accepted,
                refused: day.refused,
                unproven: day.unproven,
            }))?;
        }
        let mut gaps: Vec<_> = self
            .gaps()
            .map(|(input, why)| (input.map(|input| order.position(input)), why))
            .collect();
        gaps.sort_unstable();
        for (file, why) in gaps {
            let why = why.to_owned();
            part.put(&Line::Incomplete(GapLine { file, why }))?;
        }
        for client in self.clients() {
            part.put(&Line::Client(client_line(client)))?;
        }
        for place in self.by_id() {
            if let Some(token) = self.token(place) {
                part.put(&Line::Token(Box::new(token_line(&token, &order))))?;
            }
        }
        part.end()
    }

    /// The places of tokens, in the order of their ids.
    fn by_id(&self) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.tokens.len()).collect();
        places.sort_unstable_by_key(|place| self.tokens.get(*place).map(|token| token.id));
        places
    }
}

/// Inputs in the order of their names.
struct Order<'n> {
    sorted: Vec<(u32, &'n str)>,
    positions: Vec<u32>,
}

impl<'n> Order<'n> {
    fn of(names: &'n [String]) -> Self {
        let mut sorted: Vec<_> = (0_u32..).zip(names.iter().map(String::as_str)).collect();
        sorted.sort_unstable_by_key(|(input, name)| (*name, *input));
        let mut positions = vec![u32::MAX; names.len()];
        for (position, (input, _)) in (0..).zip(&sorted) {
            let place = usize::try_from(*input).ok();
            if let Some(of) = place.and_then(|place| positions.get_mut(place)) {
                *of = position;
            }
        }
        Self { sorted, positions }
    }

    fn inputs(&self) -> impl Iterator<Item = (u32, &'n str)> {
        self.sorted.iter().copied()
    }

    fn position(&self, input: u32) -> u32 {
        super::token::rank(&self.positions, input)
    }
}

fn file_line(name: &str, file: &File) -> FileLine {
    let first = file.first_line.max(1);
    let last = first.saturating_add(file.lines).saturating_sub(1);
    FileLine {
        name: name.to_owned(),
        ranges: if file.ranges.is_empty() && file.lines > 0 {
            vec![(first, last)]
        } else {
            joined(&file.ranges)
        },
        lines: file.lines,
        bytes: file.bytes,
        lines_with_secrets: file.lines_with_secrets,
        lines_not_understood: file.lines_not_understood,
        findings: file.findings,
    }
}

/// Sorted ranges, those that touch as one.
fn joined(ranges: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (first, last) in ranges {
        match joined.last_mut() {
            Some((_, end)) if end.saturating_add(1) == *first => *end = *last,
            _ => joined.push((*first, *last)),
        }
    }
    joined
}

fn client_line(client: ClientView<'_>) -> ClientLine {
    ClientLine {
        family: client.family.to_owned(),
        kind: client.kind.to_owned(),
        field: field_name(client.field).to_owned(),
        endpoint: client.endpoint.to_owned(),
        count: client.count,
        accepted: client.accepted,
        refused: client.refused,
        seen: client.seen,
        tokens: client.sample,
    }
}

fn token_line(token: &TokenView<'_>, order: &Order<'_>) -> TokenLine {
    let owned = |words: Vec<&str>| words.into_iter().map(str::to_owned).collect();
    TokenLine {
        id: token.id().to_string(),
        kind: token.kind().to_owned(),
        confidence: confidence_name(token.confidence()).to_owned(),
        count: token.count(),
        accepted: token.accepted(),
        refused: token.refused(),
        seen: token.seen(),
        admin: token.is_admin(),
        admin_accepted: token.is_admin_accepted(),
        users: token.users().map(str::to_owned).collect(),
        fields: token
            .fields()
            .map(|field| field_name(field).to_owned())
            .collect(),
        statuses: token.statuses().collect(),
        methods: owned(token.methods()),
        endpoints: owned(token.endpoints()),
        families: owned(token.families()),
        networks: token.networks(),
        sources: token
            .spots()
            .map(|spot| {
                (
                    order.position(spot.input),
                    spot.count,
                    spot.first,
                    spot.last,
                )
            })
            .collect(),
    }
}

/// Writes lines, and knows the hash of all of them.
struct Hashed<'o> {
    out: &'o mut dyn Write,
    hash: Sha256,
    lines: u64,
    line: Vec<u8>,
}

impl<'o> Hashed<'o> {
    fn new(out: &'o mut dyn Write) -> Self {
        Self {
            out,
            hash: Sha256::new(),
            lines: 0,
            line: Vec::new(),
        }
    }

    fn put(&mut self, line: &Line) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, line)?;
        self.line.push(b'\n');
        self.hash.update(&self.line);
        self.lines = self.lines.saturating_add(1);
        self.out.write_all(&self.line)
    }

    fn end(mut self) -> io::Result<()> {
        let end = Line::End(End {
            lines: self.lines,
            sha256: hex(&std::mem::take(&mut self.hash).finalize()),
        });
        self.put(&end)
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // A string takes everything.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What reports call a part of a line.
pub(in crate::audit) fn field_name(field: Field) -> &'static str {
    match field {
        Field::Request => "request",
        Field::Referer => "referer",
        Field::UserAgent => "user_agent",
        Field::Other => "other",
    }
}

/// What reports call how sure it is.
pub(in crate::audit) fn confidence_name(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Verified => "verified",
        Confidence::Shape => "shape",
        Confidence::Context => "context",
    }
}

impl Tally {
    /// Gives inputs other numbers, and knows the order of their names.
    pub(in crate::audit) fn place_inputs(&mut self, numbers: &[u32], names: &[String]) {
        let number = |input: u32| super::token::rank(numbers, input);
        for spot in self.tokens.iter_mut().flat_map(|token| &mut token.spots) {
            spot.input = number(spot.input);
        }
        let files = std::mem::take(&mut self.files);
        for (input, file) in files {
            self.files.entry(number(input)).or_default().merge(&file);
        }
        let gaps = std::mem::take(&mut self.gaps);
        self.gaps = gaps
            .into_iter()
            .map(|(input, why)| (input.map(number), why))
            .collect();
        self.know_names(names);
    }

    /// The names of all inputs; old inputs keep their names and numbers.
    pub(in crate::audit) fn know_names(&mut self, names: &[String]) {
        self.ranks = super::ranks(names);
    }
}
