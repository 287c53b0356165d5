//! The words by which a request is known again: fake tokens, each with the number of its
//! case, and a word beside them that is no secret.
//!
//! A log is searched as it stands and as every careless or curious reader may decode it:
//! percent-encoding and backslash escapes, several times, base64 and hexadecimal.

use std::{borrow::Cow, collections::BTreeSet, io};

use aho_corasick::AhoCorasick;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

use super::cases;
use crate::percent;

/// The marks of one run.
#[derive(Debug)]
pub(super) struct Marks {
    secret: String,
    public: String,
    /// Of the automaton's patterns: what each tells.
    meanings: Vec<Meaning>,
    folded: AhoCorasick,
    /// Base64 has a meaning for its case.
    exact: AhoCorasick,
    exact_meanings: Vec<Meaning>,
}

#[derive(Clone, Copy, Debug)]
enum Meaning {
    Leaked(usize),
    Seen(usize),
    /// A token of this run whose number is cut off.
    Cut,
}

/// What a text has of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The cases whose token is in it.
    pub(super) leaked: BTreeSet<usize>,
    /// The cases whose request is in it.
    pub(super) seen: BTreeSet<usize>,
    /// A part of some token is in it.
    pub(super) is_cut: bool,
}

/// How often a text is decoded: more than any program encodes.
const LEVELS: usize = 8;

/// Random letters of a mark: nobody else's log has them.
const LENGTH: usize = 14;

impl Marks {
    /// New ones.
    pub(super) fn new() -> io::Result<Self> {
        let (secret, public) = (random()?, random()?);
        let mut marks = Self {
            secret,
            public,
            meanings: Vec::new(),
            folded: automaton(true, &[] as &[&str])?,
            exact: automaton(false, &[] as &[&str])?,
            exact_meanings: Vec::new(),
        };
        marks.index()?;
        Ok(marks)
    }

    /// The fake token of a case. A case has up to two: `letter` tells which.
    pub(super) fn token(&self, number: usize, letter: char) -> String {
        format!("FAKE{}c{number:02}{letter}", self.secret)
    }

    /// What tells the case in a clean log.
    pub(super) fn control(&self, number: usize) -> String {
        format!("probe-{}c{number:02}", self.public)
    }

    fn index(&mut self) -> io::Result<()> {
        let (mut folded, mut exact) = (Vec::new(), Vec::new());
        for number in 1..=cases::ALL.len() {
            let token = format!("{}c{number:02}", self.secret);
            self.meanings.push(Meaning::Leaked(number));
            folded.push(token.clone());
            self.meanings.push(Meaning::Leaked(number));
            folded.push(hexadecimal(&token));
            self.meanings.push(Meaning::Seen(number));
            folded.push(self.control(number));
            for letter in ['a', 'b'] {
                for form in base64_forms(&self.token(number, letter)) {
                    self.exact_meanings.push(Meaning::Leaked(number));
                    exact.push(form);
                }
            }
        }
        // Last: of two at one place the longer one counts.
        self.meanings.push(Meaning::Cut);
        folded.push(self.secret.get(..LENGTH / 2).unwrap_or_default().to_owned());
        self.folded = automaton(true, &folded)?;
        self.exact = automaton(false, &exact)?;
        Ok(())
    }

    /// Looks for all marks in all readings of a text.
    pub(super) fn find(&self, text: &[u8]) -> Found {
        let mut found = Found::default();
        let mut reading = Cow::Borrowed(text);
        for _ in 0..LEVELS {
            self.search(&reading, &mut found);
            let plainer = plainer(&reading);
            if plainer == *reading {
                break;
            }
            reading = Cow::Owned(plainer);
        }
        found
    }

    fn search(&self, text: &[u8], found: &mut Found) {
        let folded = self
            .folded
            .find_iter(text)
            .filter_map(|hit| self.meanings.get(hit.pattern().as_usize()));
        let exact = self
            .exact
            .find_iter(text)
            .filter_map(|hit| self.exact_meanings.get(hit.pattern().as_usize()));
        for meaning in folded.chain(exact) {
            match *meaning {
                Meaning::Leaked(number) => {
                    found.leaked.insert(number);
                }
                Meaning::Seen(number) => {
                    found.seen.insert(number);
                }
                Meaning::Cut => found.is_cut = true,
            }
        }
    }
}

fn automaton(folds_case: bool, patterns: &[impl AsRef<[u8]>]) -> io::Result<AhoCorasick> {
    AhoCorasick::builder()
        .ascii_case_insensitive(folds_case)
        .match_kind(aho_corasick::MatchKind::LeftmostLongest)
        .build(patterns)
        .map_err(io::Error::other)
}

/// Letters and digits, all of them in the alphabet of every encoding.
fn random() -> io::Result<String> {
    const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let digits = bytes
        .iter()
        .filter_map(|byte| DIGITS.get(usize::from(byte % 32)));
    Ok(digits.map(|digit| char::from(*digit)).collect())
}

fn hexadecimal(text: &str) -> String {
    text.bytes()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// The middle of a text's base64 at each of the three places where it may begin.
fn base64_forms(text: &str) -> impl Iterator<Item = String> {
    ["", "\0", "\0\0"].into_iter().flat_map(move |shift| {
        let bytes = [shift, text].concat();
        [
            STANDARD_NO_PAD.encode(&bytes),
            URL_SAFE_NO_PAD.encode(&bytes),
        ]
        .map(|encoded| {
            // The characters at the ends hold bits of the neighbours, too.
            let end = encoded.len().saturating_sub(1);
            let start = if shift.is_empty() { 0 } else { 4 };
            encoded.get(start..end).unwrap_or_default().to_owned()
        })
    })
}

/// One level less of percent-encoding and backslashes.
fn plainer(text: &[u8]) -> Vec<u8> {
    let decoded: Vec<u8> = percent::decode(text).collect();
    let mut out = Vec::with_capacity(decoded.len());
    let mut rest = &decoded[..];
    while let [first, behind @ ..] = rest {
        let (byte, taken) = match (first, behind) {
            (b'\\', [b'x', high, low, ..]) => escape(&[*high, *low], 4),
            (b'\\', [b'u', b'0', b'0', high, low, ..]) => escape(&[*high, *low], 6),
            (b'\\', [quoted @ (b'\\' | b'"' | b'/'), ..]) => (*quoted, 2),
            _ => (*first, 1),
        };
        out.push(byte);
        rest = rest.get(taken..).unwrap_or_default();
    }
    out
}

/// What two digits say, and how many bytes said it.
fn escape(digits: &[u8], width: usize) -> (u8, usize) {
    let text = str::from_utf8(digits).unwrap_or_default();
    match u8::from_str_radix(text, 16) {
        Ok(byte) if text.bytes().all(|digit| digit.is_ascii_hexdigit()) => (byte, width),
        Ok(_) | Err(_) => (b'\\', 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_however_it_is_dressed() {
        let marks = Marks::new().unwrap();
        let token = marks.token(7, 'a');
        let each = |dress: fn(u8) -> String| token.bytes().map(dress).collect::<Vec<_>>().concat();
        let percent = each(|byte| format!("%{byte:02x}"));
        let unicode = each(|byte| format!("\\u00{byte:02X}"));
        let rows = [
            ("plain", token.clone()),
            ("in capitals", token.to_uppercase()),
            ("percent-encoded", percent.clone()),
            ("percent-encoded twice", percent.replace('%', "%25")),
            ("escaped as nginx does", percent.replace('%', "\\x")),
            ("escaped in JSON", unicode.clone()),
            ("escaped in JSON in JSON", unicode.replace('\\', "\\\\")),
            (
                "JSON of an encoded URL",
                unicode.replace("\\u00", "\\u0025"),
            ),
            ("hexadecimal", hexadecimal(&token)),
            ("base64", STANDARD_NO_PAD.encode(&token)),
            ("in base64", STANDARD_NO_PAD.encode(format!("x{token}y"))),
            (
                "in URL-safe base64",
                URL_SAFE_NO_PAD.encode(format!("??{token}>")),
            ),
        ];
        for (name, text) in rows {
            let line = format!("GET /?x={text}&y=1 \"-\"");
            assert!(marks.find(line.as_bytes()).leaked.contains(&7), "{name}");
        }
    }

    #[test]
    fn nothing_else_is_taken_for_one() {
        let (marks, others) = (Marks::new().unwrap(), Marks::new().unwrap());
        let strange = others.find(marks.token(1, 'a').as_bytes());
        assert_eq!(strange, Found::default(), "of another run");
        let control = marks.find(marks.control(3).as_bytes());
        assert_eq!(control.seen, BTreeSet::from([3]));
        assert!(control.leaked.is_empty() && !control.is_cut, "no secret");
        let cut = marks.token(1, 'a');
        let found = marks.find(&cut.as_bytes()[..cut.len() - 5]);
        assert!(
            found.is_cut && found.leaked.is_empty(),
            "its number is gone"
        );
    }
}
