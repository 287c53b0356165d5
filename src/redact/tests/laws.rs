//! What must hold for every text.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::relocate::query::pairs;

/// Pieces that are dangerous beside one another.
const PIECES: &[&str] = &[
    "access_token",
    "access%5Ftoken",
    "%61ccess_token",
    "access%255Ftoken",
    "Access_Token",
    "xaccess_token",
    "access\\u005ftoken",
    "token",
    "to%6ben",
    "loginToken",
    "password",
    "code",
    "session",
    "client_secret",
    "authorization",
    "Authorization: ",
    "Bearer ",
    "Bearer%20",
    "bearer+",
    "bearer+aB=",
    "bearer+aB1cde+bearer ",
    "Basic ",
    "Digest a=\"b\",c=",
    "syt_",
    "syt%5F",
    "%73%79%74%5f",
    "%2573yt_",
    "\\x73yt_",
    "m%63t_",
    "mat_",
    "mct_0123456789ABCDEFGHIJabcdefghij_000000",
    "tsh_",
    "MDAxN2xvY2F0aW9uIG",
    "refresh_",
    "=",
    "%3D",
    "%253D",
    "\\u003d",
    ":",
    ": ",
    "%3A",
    "=>",
    "&",
    ";",
    "%26",
    "%2526",
    "\\u0026",
    "&amp;",
    "#",
    "\"",
    "'",
    "`",
    "%22",
    "%2522",
    "\\\"",
    "\\\\\"",
    "\\x22",
    "\\u0022",
    "\\",
    "\\\\",
    "%5C",
    "\\n",
    "\\u",
    "\\x",
    " ",
    "\t",
    "\n",
    "\r\n",
    "%20",
    "%0d%0a",
    "+",
    ",",
    "{",
    "}",
    "[",
    "]",
    "[]",
    "[0]",
    "%5Bx%5D",
    "GET /p?access_token= ",
    "= ",
    "=\t",
    " HTTP/1.1",
    "(",
    ")",
    "Some(",
    "b\"",
    "?",
    "/",
    ".",
    "-",
    "_",
    "$",
    "<",
    ">",
    "<redacted>",
    "**",
    "%3Credacted%3E",
    "%",
    "%2",
    "%25",
    "%zz",
    "SECRET",
    "a1B2",
    "null",
    "https://h/",
    "/p?",
    "http://",
];

fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        12 => select(PIECES).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
        1 => "[A-Za-z0-9_]{1,24}".prop_map(String::into_bytes),
    ]
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    vec(piece(), 0..24).prop_map(|pieces| pieces.concat())
}

/// What a request line can carry: no white space.
fn query() -> impl Strategy<Value = Vec<u8>> {
    text().prop_map(|text| {
        text.into_iter()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect()
    })
}

/// A query that gives the parameter, its name in some spelling, a secret.
fn query_with(name: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let spelled = vec(0..3_u8, name.len()).prop_map(move |ways| {
        let spell = |(byte, way): (u8, u8)| match way {
            0 => format!("%{byte:02x}"),
            1 => format!("%{byte:02X}"),
            _ => char::from(byte).to_string(),
        };
        name.bytes()
            .zip(ways)
            .map(spell)
            .collect::<String>()
            .into_bytes()
    });
    let value = vec(piece(), 1..6).prop_map(|pieces| pieces.concat());
    let separator = select(&["&", ";"][..]);
    (query(), separator, spelled, value, query()).prop_map(
        |(before, separator, name, value, behind)| {
            let parts = [
                before,
                separator.into(),
                name,
                b"=".to_vec(),
                value,
                separator.into(),
                behind,
            ];
            parts
                .concat()
                .into_iter()
                .filter(|byte| !byte.is_ascii_whitespace())
                .collect()
        },
    )
}

fn is_mask(value: &[u8]) -> bool {
    // Three levels are decoded: what says it is masked is no secret.
    let once = |value: &[u8]| crate::percent::decode(value).collect::<Vec<_>>();
    let spelled = std::iter::successors(Some(value.to_vec()), |value| Some(once(value)));
    spelled.take(4).any(|value| value == MASK) || value.iter().all(|byte| *byte == STRIKE)
}

/// Relocation's values are all inside findings.
fn covers(redactor: &Redactor, name: &[u8], query: &[u8]) -> Result<(), TestCaseError> {
    let text = [b"/p?", query].concat();
    let found = redactor.find(&text);
    for pair in pairs(query).filter(|pair| pair.is_named(name)) {
        let value = pair
            .value
            .filter(|value| !value.is_empty() && !is_mask(value));
        let end = pair.span.end.saturating_add(b"/p?".len());
        let start = end.saturating_sub(value.map_or(0, <[u8]>::len));
        for at in start..end {
            prop_assert!(
                found.iter().any(|finding| finding.span.contains(&at)),
                "byte {at} of {} is not in {found:?}",
                text.escape_ascii()
            );
        }
    }
    Ok(())
}

/// A line without a suspect has no finding, and of another its suspects are enough to know
/// where to read.
fn block_is_read(redactor: &Redactor, texts: &[Vec<u8>]) -> Result<(), TestCaseError> {
    let block = texts.join(&b'\n');
    let mut suspects = redactor.suspects(&block);
    let mut at = 0_usize;
    for line in block.split(|byte| *byte == b'\n') {
        let end = at.saturating_add(line.len());
        let mut next = |from| {
            suspects
                .next(at.saturating_add(from))
                .filter(|place| *place < end)
        };
        let mut next = |from| next(from).map(|place| place.saturating_sub(at));
        let found: Vec<_> = redactor
            .findings_among(line, &mut next)
            .map(|finding| finding.classified(line))
            .collect();
        prop_assert_eq!(
            found,
            redactor.find(line),
            "{} of {}",
            line.escape_ascii(),
            block.escape_ascii()
        );
        at = end.saturating_add(1);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_left(text in text()) {
        let masked = mask(&text);
        prop_assert_eq!(find(&masked), [], "{} -> {}", text.escape_ascii(), masked.escape_ascii());
        prop_assert_eq!(&mask(&masked), &masked);
    }

    #[test]
    fn striking_out_ends(text in text()) {
        let mut struck = text;
        for _ in 0..6 {
            for Finding { span, .. } in find(&struck) {
                struck[span].fill(STRIKE);
            }
        }
        prop_assert_eq!(find(&struck), [], "{}", struck.escape_ascii());
    }

    #[test]
    fn other_bytes_stay(text in text()) {
        let found = find(&text);
        let mut kept = Vec::new();
        let mut at = 0;
        for Finding { span, .. } in &found {
            prop_assert!(at <= span.start && span.start < span.end && span.end <= text.len(), "{span:?} in {}", text.escape_ascii());
            kept.extend_from_slice(&text[at..span.start]);
            kept.extend_from_slice(MASK);
            at = span.end;
        }
        kept.extend_from_slice(&text[at..]);
        prop_assert_eq!(&mask(&text)[..], &kept[..]);
        prop_assert_eq!(matches!(mask(&text), Cow::Borrowed(_)), found.is_empty());
    }

    #[test]
    fn a_block_is_read_as_its_lines_are(lines in vec(text(), 1..6)) {
        block_is_read(&DEFAULT, &lines)?;
    }

    #[test]
    fn whatever_moves_is_masked(query in prop_oneof![query(), query_with("access_token")]) {
        covers(&DEFAULT, b"access_token", &query)?;
    }
}

/// Names an operator might think of, the odd ones among them.
const NAMES: [&str; 12] = [
    "key",
    "api-key",
    "auth[k]",
    "t",
    "$x:y/z?",
    "authorization",
    "token",
    "mat_session_key",
    "a\"b",
    "x.y",
    "_k",
    "syt_x",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn other_names_keep_the_laws(
        (name, query) in select(&NAMES[..]).prop_flat_map(|name| (Just(name), query_with(name))),
        text in text(),
    ) {
        let redactor = Redactor::with_parameters(&[name]);
        covers(&redactor, name.as_bytes(), &query)?;
        block_is_read(&redactor, &[query.clone(), text.clone()])?;
        for text in [query, text] {
            let masked = redactor.mask(&text);
            prop_assert_eq!(redactor.find(&masked), [], "{}: {} -> {}", name, text.escape_ascii(), masked.escape_ascii());
        }
    }
}

/// A text ten times as long takes about ten times as long, not a hundred.
/// What this thread has used, which a busy machine does not make longer.
fn processor_time() -> std::time::Duration {
    use rustix::time::{ClockId, clock_gettime};

    let used = clock_gettime(ClockId::ThreadCPUTime);
    used.try_into().expect("time does not run backwards")
}

#[test]
fn hostile_texts_take_linear_time() {
    let units = [
        "access_token=",
        "%25",
        "%2525",
        "token ",
        "kenoken",
        "syt_",
        "syt_/",
        "mat_",
        "MDAx",
        "refresh_",
        "\"token\":\"",
        "token:{",
        "bearer+",
        "bearer+aB=",
        "bearer+aB1cde+bearer ",
        "bearer+aaaaaaaaaaaaaaaaaaaaa=\"",
        "Bearer ",
        "\\",
        "token=\\",
        "access_token%3D",
        "authorization: Digest a=\"b\",c",
        "token: ((((",
        "%61",
        "code ",
        "\\u006f ",
        "token\\\":\\\"",
        "/token= x",
        "token[0][0]",
        "%73%79%74%5F",
        "\\x73",
    ];
    let time = |redactor: &Redactor, text: &[u8]| {
        let run = || {
            let start = processor_time();
            std::hint::black_box(redactor.mask(text));
            processor_time().saturating_sub(start)
        };
        (0..3).map(|_| run()).min().unwrap_or_default()
    };
    let redactor = Redactor::default();
    for unit in units {
        for start in ["", "/"] {
            let long = format!("{start}{}", unit.repeat(200_000 / unit.len()));
            let short = long.get(..20_000).expect("ASCII");
            let allowed =
                time(&redactor, short.as_bytes()) * 40 + std::time::Duration::from_millis(40);
            let taken = time(&redactor, long.as_bytes());
            assert!(
                taken < allowed,
                "{start}{unit}: {taken:?}, allowed {allowed:?}"
            );
        }
    }
}
