//! Says whether a text holds a fake token, in whatever spelling.
//!
//! It shares nothing with the code that masks, and works the other way round:
//! it does not look for places where tokens stand, it knows the token.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};

/// As many characters of a token as nobody may learn.
const WINDOW: usize = 8;

/// How deep a text may be encoded and still be seen through.
const DEPTH: usize = 4;

/// A fake token, made at run time.
pub(crate) struct Canary {
    /// What is sent.
    pub(crate) token: String,
    /// The part that is this token's alone.
    own: String,
}

impl Canary {
    /// A token that only its surroundings give away.
    pub(crate) fn opaque() -> Self {
        let own = random(
            24,
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
        );
        Self {
            token: format!("CANARY{own}"),
            own,
        }
    }

    /// One in the shape that Synapse makes, its checksum included.
    pub(crate) fn synapse() -> Self {
        let letters = random(20, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
        let unsigned = format!("syt_{}_{letters}", STANDARD_NO_PAD.encode("canary"));
        let checksum = base62(crc32fast::hash(unsigned.as_bytes()));
        Self {
            token: format!("{unsigned}_{checksum}"),
            own: format!("{letters}_{checksum}"),
        }
    }

    /// The lines of `text` that give a part of the token away.
    pub(crate) fn leaks(&self, text: &[u8]) -> Vec<String> {
        text.split(|&byte| byte == b'\n')
            .filter(|line| self.is_in(line))
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect()
    }

    /// Whether `text` gives [`WINDOW`] characters of the token away.
    pub(crate) fn is_in(&self, text: &[u8]) -> bool {
        let needles = self.needles();
        views(text).iter().any(|view| {
            let view = view.to_ascii_lowercase();
            needles
                .iter()
                .any(|needle| memchr::memmem::find(&view, needle).is_some())
        })
    }

    /// What to look for in a text in lower case.
    fn needles(&self) -> Vec<Vec<u8>> {
        let own = self.own.as_bytes();
        let mut needles = Vec::new();
        for window in own.windows(WINDOW) {
            needles.push(window.to_ascii_lowercase());
            needles.push(
                window
                    .iter()
                    .flat_map(|byte| format!("{byte:02x}").into_bytes())
                    .collect(),
            );
        }
        // Four characters of base64 are three bytes, counted from any place.
        for start in 0..3 {
            for nine in own[start..].windows(9).step_by(3) {
                needles.push(
                    STANDARD_NO_PAD
                        .encode(nine)
                        .to_ascii_lowercase()
                        .into_bytes(),
                );
            }
        }
        needles
    }
}

/// The text, and what it says to readers who decode it.
fn views(text: &[u8]) -> Vec<Vec<u8>> {
    let mut views = vec![text.to_vec()];
    let mut newest = 0..1;
    for _ in 0..DEPTH {
        let from = views.len();
        for at in newest {
            for decoded in [unpercent(&views[at]), unescape(&views[at])] {
                if !views.contains(&decoded) {
                    views.push(decoded);
                }
            }
        }
        newest = from..views.len();
    }
    views
}

/// Percent-decodes once; what is no escape stays.
fn unpercent(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.first() {
        let decoded = rest.strip_prefix(b"%").and_then(|tail| hex(tail.get(..2)?));
        out.push(decoded.unwrap_or(*first));
        rest = &rest[if decoded.is_some() { 3 } else { 1 }..];
    }
    out
}

/// Decodes the escapes of JSON, of nginx's log and of Rust's debug output.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.first() {
        let (byte, width) = match rest {
            [b'\\', escape @ ..] => {
                escaped(escape).map_or((b'\\', 1), |(byte, width)| (byte, width + 1))
            }
            _ => (*first, 1),
        };
        out.push(byte);
        rest = &rest[width..];
    }
    out
}

/// What stands behind a backslash, and how long it is.
fn escaped(escape: &[u8]) -> Option<(u8, usize)> {
    match escape {
        [b'u', b'{', tail @ ..] => {
            let length = tail.iter().position(|&byte| byte == b'}')?;
            Some((hex(&tail[..length])?, length + 3))
        }
        [b'u', b'0', b'0', tail @ ..] => Some((hex(tail.get(..2)?)?, 5)),
        [b'x', tail @ ..] => Some((hex(tail.get(..2)?)?, 3)),
        [byte @ (b'"' | b'\\' | b'/'), ..] => Some((*byte, 1)),
        _ => None,
    }
}

fn hex(digits: &[u8]) -> Option<u8> {
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

fn random(length: usize, alphabet: &[u8]) -> String {
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes).unwrap();
    bytes
        .iter()
        .map(|&byte| char::from(alphabet[usize::from(byte) % alphabet.len()]))
        .collect()
}

/// Six digits, the most significant first, as Synapse writes a checksum.
fn base62(mut number: u32) -> String {
    let alphabet = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut digits = ['0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = char::from(alphabet[usize::try_from(number % 62).unwrap()]);
        number /= 62;
    }
    digits.iter().collect()
}

/// A judge that sees nothing would make every other test here pass.
#[test]
fn the_judge_sees_through_every_spelling() {
    use crate::places::{json, percent, percent_lower};
    for canary in [Canary::opaque(), Canary::synapse()] {
        let token = &canary.token;
        let base64 = |front: &str| STANDARD_NO_PAD.encode(format!("{front}{token}"));
        let spellings = [
            ("plain", token.clone()),
            ("its end", token[token.len() - WINDOW..].into()),
            ("upper case", token.to_uppercase()),
            ("percent", percent(token)),
            ("percent in lower case", percent_lower(token)),
            (
                "half of it percent",
                format!("{}{}", &token[..12], percent(&token[12..])),
            ),
            ("twice", percent(&percent(token))),
            ("three times", percent(&percent(&percent(token)))),
            ("JSON", json(token)),
            ("JSON in JSON", json(token).replace('\\', "\\\\")),
            ("JSON, percent", percent(&json(token))),
            (
                "hexadecimal",
                token.bytes().map(|byte| format!("{byte:02x}")).collect(),
            ),
            (
                "hexadecimal, upper case",
                token.bytes().map(|byte| format!("{byte:02X}")).collect(),
            ),
            ("base64", base64("")),
            ("base64, second place", base64("u")),
            ("base64, third place", base64("u:")),
            (
                "base64 for URLs",
                base64("\u{fb}\u{ff}").replace('+', "-").replace('/', "_"),
            ),
            (
                "nginx",
                token.bytes().map(|byte| format!("\\x{byte:02X}")).collect(),
            ),
            (
                "debug",
                token
                    .bytes()
                    .map(|byte| format!("\\u{{{byte:x}}}"))
                    .collect(),
            ),
        ];
        for (name, spelling) in spellings {
            let line = format!("GET /p?a={spelling}&b HTTP/1.1");
            assert!(canary.is_in(line.as_bytes()), "case: {name}: {line}");
        }
        for harmless in [
            "",
            "h:9f31c2ab",
            "access_token=<redacted>",
            "syt_Y2FuYXJ5_",
            "CANARY",
        ] {
            assert!(!canary.is_in(harmless.as_bytes()), "{harmless}");
        }
    }
}
