//! A log of an imagined homeserver, and what is known of the secrets in it.

use std::{collections::BTreeMap, fmt::Write as _};

/// Target and Referer of a path and a secret.
type Form = fn(&str, &str) -> (String, String);

/// The spellings of a leak: what it proves, and how target and Referer are made of the
/// path and the secret.
const FORMS: [(&str, Form); 14] = [
    ("first", |path, token| {
        request(format!("{path}?access_token={token}&limit=1"))
    }),
    ("later", |path, token| {
        request(format!("{path}?limit=1&access_token={token}"))
    }),
    ("behind a semicolon", |path, token| {
        request(format!("{path}?limit=1;access_token={token}"))
    }),
    ("a letter of the name", |path, token| {
        request(format!("{path}?%61ccess_token={token}"))
    }),
    ("its mark", |path, token| {
        request(format!("{path}?access%5ftoken={token}"))
    }),
    ("its mark, capital digit", |path, token| {
        request(format!("{path}?access%5Ftoken={token}"))
    }),
    ("all of the name", |path, token| {
        let name = "access_token"
            .bytes()
            .fold(String::new(), |name, byte| format!("{name}%{byte:02X}"));
        request(format!("{path}?{name}={token}"))
    }),
    ("capitals", |path, token| {
        request(format!("{path}?Access_Token={token}"))
    }),
    ("the value", |path, token| {
        request(format!("{path}?access_token={}", encode(token)))
    }),
    ("in a URL", |_, token| {
        let inner = encode(&format!("https://w.example/?x=1&access_token={token}"));
        request(format!(
            "/_matrix/client/v3/login/sso/redirect?redirectUrl={inner}"
        ))
    }),
    ("in a URL in a URL", |_, token| {
        let inner = encode(&encode(&format!("https://w.example/?access_token={token}")));
        request(format!(
            "/_matrix/client/v3/login/sso/redirect?redirectUrl={inner}"
        ))
    }),
    ("Referer", |path, token| {
        (
            path.to_owned(),
            format!("https://w.example/?access_token={token}&theme=dark"),
        )
    }),
    ("JSON", |path, token| {
        request(format!(
            r"{path}?filter={{\x22access_token\x22:\x22{token}\x22}}"
        ))
    }),
    ("by its shape", |path, token| {
        request(format!("{path}?x={token}"))
    }),
];

/// Lines that look like a leak, and are none.
const DECOYS: [&str; 12] = [
    "/_matrix/client/v3/sync?access_token=<redacted>",
    "/_matrix/client/v3/sync?access_token=",
    "/_matrix/client/v3/sync?access_token&x=1",
    "/_matrix/client/v3/sync?access_token=REDACTED",
    "/docs/access_token",
    "/blog/?q=access_token+leak",
    "/x?not_an_access_tokens=1",
    "/_matrix/client/v3/rooms/%21syt_room%3Aexample.org/state",
    "/commit/9fceb02d0ae598e95dc970b74767f19372d61af8",
    "/_matrix/media/v3/download/example.org/mat_iconsOfElement",
    "/?state=c29tZSBzdGF0ZQ%3D%3D&q=to%6Bens",
    "/static/session.js?v=bearer",
];

fn request(target: String) -> (String, String) {
    (target, "-".to_owned())
}

fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'.' {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").unwrap();
        }
    }
    encoded
}

/// A log, and how often each secret is in it.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) text: Vec<u8>,
    pub(crate) secrets: BTreeMap<String, u64>,
    pub(crate) lines: u64,
    pub(crate) leaking: u64,
}

/// `lines` lines; each `every`th has a secret, and each 17th looks so.
pub(crate) fn make(lines: u64, every: u64, seed: u64) -> Log {
    let mut dice = Dice(seed);
    let tokens: Vec<String> = (0..40).map(|number| token(&mut dice, number)).collect();
    let mut log = Log {
        text: Vec::new(),
        secrets: BTreeMap::new(),
        lines,
        leaking: 0,
    };
    let mut forms = 0..;
    for number in 0..lines {
        let room = dice.word(18);
        let event = dice.word(43);
        let path = format!("/_matrix/client/v3/rooms/%21{room}%3Aexample.org/context/%24{event}");
        let (target, referer) = if number % every == every / 2 {
            let token = &tokens[dice.below(tokens.len())];
            let (name, form) = FORMS[forms.next().unwrap() % FORMS.len()];
            // What has no shape cannot be known by it.
            let form = match name {
                "by its shape" if !token.contains('_') => FORMS[0].1,
                _ => form,
            };
            *log.secrets.entry(token.clone()).or_default() += 1;
            log.leaking += 1;
            form(&path, token)
        } else if number % 17 == 0 {
            request(DECOYS[dice.below(DECOYS.len())].to_owned())
        } else {
            request(format!("{path}?limit=10"))
        };
        let (minute, second) = (number / 60 % 60, number % 60);
        let status = ["200", "200", "200", "401", "404"][dice.below(5)];
        let line = format!(
            "192.0.2.{} - - [22/Nov/2026:10:{minute:02}:{second:02} +0000] \"GET {target} HTTP/1.1\" {status} 512 \"{referer}\" \"Mozilla/5.0 (X11; Linux) like Gecko\"\n",
            dice.below(200),
        );
        log.text.extend_from_slice(line.as_bytes());
    }
    log
}

/// Of Synapse, of MAS, or of a server whose tokens have no shape.
fn token(dice: &mut Dice, number: u64) -> String {
    let body = match number % 4 {
        0 | 1 => format!("syt_RkFLRQ_{}", dice.letters(20)),
        2 => format!("mct_{}", dice.word(30)),
        _ => return format!("FAKE{}", dice.word(28)),
    };
    let checksum = base62(crc32fast::hash(body.as_bytes()), number % 4 == 2);
    format!("{body}_{checksum}")
}

/// Synapse writes the most significant digit first, MAS last; zeros fill up on the left.
fn base62(mut number: u32, is_reversed: bool) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut digits = String::new();
    while number > 0 {
        digits.push(char::from(DIGITS[(number % 62) as usize]));
        number /= 62;
    }
    if !is_reversed {
        digits = digits.chars().rev().collect();
    }
    format!("{digits:0>6}")
}

/// The same numbers for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn word(&mut self, length: usize) -> String {
        const ALL: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        (0..length)
            .map(|_| char::from(ALL[self.below(ALL.len())]))
            .collect()
    }

    fn letters(&mut self, length: usize) -> String {
        (0..length)
            .map(|_| char::from(b'a' + u8::try_from(self.below(26)).unwrap()))
            .collect()
    }
}
