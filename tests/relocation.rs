//! Every row of `relocation-cases.toml` on real sockets: what the upstream gets,
//! byte for byte, and that no log and no answer of ours repeats a token.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

mod support;

use std::{collections::BTreeMap, fmt::Write as _};

use support::{
    Shim, text,
    upstream::Upstream,
    wire::{Message, find},
};
use toml::de::{DeTable, DeValue};

const CASES: &str = include_str!("relocation-cases.toml");

/// Stands in every token of the table, so it may stand in no log.
const SECRET: &[u8] = b"SECRET";

/// One row: a request, and what has to come of it.
struct Case<'t>(&'t DeTable<'t>);

impl Case<'_> {
    fn string(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.get_ref().as_str()
    }

    fn integer(&self, key: &str) -> Option<usize> {
        let integer = self.0.get(key)?.get_ref().as_integer()?;
        integer.as_str().parse().ok()
    }

    fn is(&self, key: &str) -> bool {
        self.0
            .get(key)
            .is_some_and(|value| value.get_ref().as_bool() == Some(true))
    }

    fn name(&self) -> &str {
        self.string("name").unwrap()
    }

    /// What the request needs in its `[relocate]` section.
    fn policy(&self) -> &str {
        self.string("policy").unwrap_or_default()
    }

    fn method(&self) -> &str {
        self.string("method").unwrap_or("GET")
    }

    fn body(&self) -> Option<Vec<u8>> {
        Some(padded(self.string("body")?, self.integer("pad_to")))
    }

    /// The request as it goes over the wire.
    fn request(&self) -> Vec<u8> {
        let mut head = format!(
            "{} {} HTTP/1.1\r\nHost: lab.local\r\n",
            self.method(),
            self.string("target").unwrap()
        );
        for field in self
            .0
            .get("headers")
            .iter()
            .flat_map(|value| value.get_ref().as_array().unwrap())
        {
            head.push_str(field.get_ref().as_str().unwrap());
            head.push_str("\r\n");
        }
        let body = self.body().unwrap_or_default();
        if self.is("chunked") {
            // Cut in the middle of the name: a chunk is no unit of meaning.
            let (first, second) = body.split_at(body.len().min(5));
            let chunks = format!(
                "Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{}\r\n{:x};x=y\r\n{}\r\n0\r\n\r\n",
                first.len(),
                text(first),
                second.len(),
                text(second)
            );
            return [head.into_bytes(), chunks.into_bytes()].concat();
        }
        if self.body().is_some() {
            write!(head, "Content-Length: {}\r\n", body.len()).unwrap();
        }
        [head.as_bytes(), b"\r\n", &body].concat()
    }

    /// Compares what the upstream saw and what the client got with the row.
    fn check(&self, seen: &[Message], answer: &Message) {
        let name = self.name();
        let shown = text(&answer.head);
        assert_eq!(find(&answer.body, SECRET), None, "case: {name}");
        if self.string("expect") == Some("forward") {
            assert_eq!(seen.len(), 1, "case: {name}: {shown}");
            return self.check_forwarded(&seen[0]);
        }
        assert_eq!(seen.len(), 0, "case: {name}");
        assert_eq!(
            Some(usize::from(answer.status())),
            self.integer("expect"),
            "case: {name}"
        );
        let errcode = if self.method() == "HEAD" {
            ""
        } else {
            self.string("errcode").unwrap()
        };
        assert_eq!(answer.errcode(), errcode, "case: {name}");
    }

    fn check_forwarded(&self, seen: &Message) {
        let name = self.name();
        let line = format!(
            "{} {} HTTP/1.1",
            self.method(),
            self.string("expect_target").unwrap()
        );
        assert_eq!(text(seen.line()), line, "case: {name}");
        let expected = self.string("expect_authorization").unwrap();
        let fields = seen.fields("authorization");
        if expected.is_empty() {
            assert_eq!(fields, [""; 0], "case: {name}");
        } else {
            assert_eq!(fields, [expected], "case: {name}");
        }
        let referer = self.string("expect_referer").map(ToOwned::to_owned);
        assert_eq!(seen.field("referer"), referer, "case: {name}");
        let host = self.string("expect_host").unwrap_or("lab.local");
        assert_eq!(seen.fields("host"), [host], "case: {name}");
        let body = match self.string("expect_body") {
            Some(body) => padded(body, self.integer("expect_pad_to")),
            None => self.body().unwrap_or_default(),
        };
        assert_eq!(text(&seen.body), text(&body), "case: {name}");
    }
}

/// `body`, filled up to a length with a letter.
fn padded(body: &str, length: Option<usize>) -> Vec<u8> {
    let mut body = body.as_bytes().to_vec();
    body.resize(length.unwrap_or(body.len()), b'a');
    body
}

/// The table's rows.
fn cases<'t>(table: &'t DeTable<'t>) -> Vec<Case<'t>> {
    let rows = table.get("case").unwrap().get_ref().as_array().unwrap();
    rows.iter()
        .map(|row| match row.get_ref() {
            DeValue::Table(row) => Case(row),
            other => panic!("not a row: {other:?}"),
        })
        .collect()
}

#[test]
fn every_row_on_the_wire() {
    let table = DeTable::parse(CASES).unwrap();
    let mut policies = BTreeMap::<_, Vec<_>>::new();
    for case in cases(table.get_ref()) {
        policies
            .entry(case.policy().to_owned())
            .or_default()
            .push(case);
    }
    assert!(policies.len() > 8, "a process for each policy");
    for (policy, cases) in &policies {
        let upstream = Upstream::plain();
        let config = format!("workers = 1\n[log]\nlevel = \"trace\"\n[relocate]\n{policy}\n");
        let shim = Shim::start(&upstream.url(), &config);
        for case in cases {
            let answer = shim.connect().ask(case.request());
            case.check(&upstream.take(), &answer);
        }
        let written = shim.stop();
        let lines = written.access_lines();
        assert_eq!(
            lines.len(),
            cases.len(),
            "one line for each request: {lines:#?}"
        );
        for line in text(&written.all()).lines() {
            assert!(!line.contains("SECRET"), "policy {policy:?}: {line}");
        }
    }
}

/// The same rows on one connection: nothing of one request reaches the next.
#[test]
fn every_row_on_one_connection() {
    let table = DeTable::parse(CASES).unwrap();
    let upstream = Upstream::plain();
    let shim = Shim::start(&upstream.url(), "workers = 1\n");
    let mut wire = shim.connect();
    let mut connections = 1;
    for case in cases(table.get_ref())
        .iter()
        .filter(|case| case.policy().is_empty())
    {
        let answer = wire.ask(case.request());
        case.check(&upstream.take(), &answer);
        if answer.field("connection").as_deref() == Some("close") {
            wire = shim.connect();
            connections += 1;
        }
    }
    assert!(
        connections < 5,
        "kept alive behind refusals too: {connections}"
    );
    shim.stop();
}

#[test]
fn no_row_is_there_twice() {
    let table = DeTable::parse(CASES).unwrap();
    let cases = cases(table.get_ref());
    let mut names: Vec<_> = cases.iter().map(Case::name).collect();
    assert!(names.len() > 100, "{}", names.len());
    names.sort_unstable();
    let repeated: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert!(repeated.is_empty(), "{repeated:?}");
}
