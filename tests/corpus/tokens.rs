//! Tokens of every kind, as their servers make them.

use base64::{Engine as _, engine::general_purpose};
use tokenshim::redact::Confidence;

use super::random::{HEX, LETTERS, MIXED, Random, URL_SAFE};

pub(crate) struct Kind {
    pub(crate) make: fn(&mut Random) -> String,
    pub(crate) confidence: Confidence,
    /// Whether it is known without a name beside it.
    pub(crate) has_shape: bool,
}

const fn verified(make: fn(&mut Random) -> String) -> Kind {
    Kind {
        make,
        confidence: Confidence::Verified,
        has_shape: true,
    }
}

const fn opaque(make: fn(&mut Random) -> String) -> Kind {
    Kind {
        make,
        confidence: Confidence::Context,
        has_shape: false,
    }
}

pub(crate) const KINDS: &[Kind] = &[
    verified(|random| synapse("syt", random)),
    verified(|random| synapse("syr", random)),
    verified(|random| signed(&format!("syl_{}", random.word(LETTERS, 20)), false)),
    verified(|random| mas("mat", random)),
    verified(|random| mas("mar", random)),
    verified(|random| mas("mct", random)),
    verified(|random| mas("mcr", random)),
    verified(|random| mas("mpt", random)),
    Kind {
        make: macaroon,
        confidence: Confidence::Shape,
        has_shape: true,
    },
    opaque(|random| random.word(MIXED, 32)),
    opaque(|random| random.word(URL_SAFE, 43)),
    opaque(|random| random.word(HEX, 64)),
];

fn synapse(prefix: &str, random: &mut Random) -> String {
    let localpart = format!("user{}", random.below(100_000));
    let localpart = general_purpose::STANDARD_NO_PAD.encode(localpart);
    signed(
        &format!("{prefix}_{localpart}_{}", random.word(LETTERS, 20)),
        false,
    )
}

fn mas(prefix: &str, random: &mut Random) -> String {
    signed(&format!("{prefix}_{}", random.word(MIXED, 30)), true)
}

/// With its checksum: MAS writes the digits the other way round, and both fill up on the left.
fn signed(text: &str, is_reversed: bool) -> String {
    let mut rest = crc32fast::hash(text.as_bytes());
    let mut digits = Vec::new();
    while rest > 0 {
        digits.push(MIXED[usize::try_from(rest % 62).unwrap()]);
        rest /= 62;
    }
    if !is_reversed {
        digits.reverse();
    }
    let digits = String::from_utf8(digits).unwrap();
    format!("{text}_{digits:0>6}")
}

fn macaroon(random: &mut Random) -> String {
    let packets = [
        "location example.org".to_owned(),
        "identifier key".to_owned(),
        "cid gen = 1".to_owned(),
        format!("cid user_id = @user{}:example.org", random.below(100_000)),
        "cid type = guest".to_owned(),
        format!("signature {}", random.word(MIXED, 32)),
    ];
    let packets = packets.map(|packet| format!("{:04x}{packet}\n", packet.len() + 5));
    general_purpose::URL_SAFE_NO_PAD.encode(packets.concat())
}
