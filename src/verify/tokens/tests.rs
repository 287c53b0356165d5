//! Lines that are found, lines that are wrong, and what is said of them.

use super::*;
use proptest::prelude::*;

// printf %s 00112233445566778899aabbccddeeffFAKE-SECRET-OF-THE-BACKUP | sha256sum
const BACKUP: &str = "backup sha256:00112233445566778899aabbccddeeff:\
                      f1fabe92067f29dc113a304620b52a08abea4c40b8a5edba5dc5186afd447c2c";
const SALT: [u8; 16] = [
    0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff,
];

fn token(text: &str) -> AccessToken<'_> {
    AccessToken::from_text(text.as_bytes()).unwrap()
}

fn line(label: &str, text: &str) -> String {
    Line::new(label, SALT, &token(text)).unwrap().to_string()
}

#[test]
fn a_line_is_what_sha256sum_says() {
    assert_eq!(line("backup", "FAKE-SECRET-OF-THE-BACKUP"), BACKUP);
}

#[test]
fn finds_the_label() {
    let text = format!(
        "# the night\n\n  {}  \r\n\t{}\n{}",
        line("backup", "FAKE-ONE"),
        upper_hash(&line("@bot:hs", "FAKE-TWO")),
        line("last", "FAKE-THREE"),
    );
    let tokens = Tokens::parse(text.as_bytes()).unwrap();
    assert_eq!(
        tokens.labels().collect::<Vec<_>>(),
        ["backup", "@bot:hs", "last"]
    );
    let cases = [
        ("the first", "FAKE-ONE", Some("backup")),
        ("the last", "FAKE-THREE", Some("last")),
        ("none", "FAKE-FOUR", None),
        ("a part", "FAKE-ON", None),
        ("more", "FAKE-ONE1", None),
        ("a hash", tokens_hash(&text), None),
    ];
    for (name, text, expected) in cases {
        assert_eq!(tokens.find(&token(text)), expected, "case: {name}");
    }
    assert_eq!(Tokens::default().find(&token("FAKE-ONE")), None);
}

fn upper_hash(line: &str) -> String {
    let (rest, hash) = line.rsplit_once(':').unwrap();
    format!("{rest}:{}", hash.to_uppercase())
}

fn tokens_hash(text: &str) -> &str {
    let line = text.lines().nth(2).unwrap();
    line.trim().rsplit(':').next().unwrap()
}

#[test]
fn names_the_line_and_none_of_it() {
    let good = line("backup", "FAKE-ONE");
    let rest = good.strip_prefix("backup ").unwrap();
    let cases = [
        ("one word", "CANARY".to_owned(), Wrong::Form),
        (
            "a token that was not hashed",
            "backup CANARY".into(),
            Wrong::Form,
        ),
        ("three words", format!("{good} CANARY"), Wrong::Form),
        ("a part more", format!("{good}:CANARY"), Wrong::Form),
        ("a part less", "backup sha256:CANARY".into(), Wrong::Form),
        (
            "another algorithm",
            good.replace("sha256", "sha1"),
            Wrong::Algorithm,
        ),
        (
            "a salt cut",
            good.replace("ccddeeff:", "ccddeef:"),
            Wrong::Salt,
        ),
        (
            "a salt of other digits",
            good.replace("ccddeeff:", "ccddeefg:"),
            Wrong::Salt,
        ),
        (
            "a hash cut",
            good.get(..good.len() - 1).unwrap().into(),
            Wrong::Hash,
        ),
        ("a hash too long", format!("{good}0"), Wrong::Hash),
        (
            "a hash of other digits",
            format!("{}+", good.get(..good.len() - 1).unwrap()),
            Wrong::Hash,
        ),
        (
            "a label twice",
            format!("{good}\n{}", line("backup", "FAKE-TWO")),
            Wrong::Twice(2),
        ),
        (
            "a word of rules",
            format!("admins {rest}"),
            Wrong::Label(BadLabel),
        ),
        (
            "a whole server",
            format!("@*:hs {rest}"),
            Wrong::Label(BadLabel),
        ),
        (
            "not ASCII",
            format!("bäckup {rest}"),
            Wrong::Label(BadLabel),
        ),
    ];
    for (name, text, wrong) in cases {
        let text = format!("# CANARY\n{text}\n{}", line("other", "FAKE-OTHER"));
        let bad = Tokens::parse(text.as_bytes()).expect_err(name);
        let line = if matches!(wrong, Wrong::Twice(_)) {
            3
        } else {
            2
        };
        assert_eq!(bad, BadLine { line, wrong }, "case: {name}");
        assert!(
            !format!("{bad:?} {}", bad.wrong).contains("CANARY"),
            "case: {name}"
        );
    }
}

#[test]
fn there_is_an_end() {
    let many = |count: usize| {
        let (_, rest) = BACKUP.split_once(' ').unwrap();
        let lines = (0..count).map(|number| format!("{number} {rest}\n"));
        Tokens::parse(lines.collect::<String>().as_bytes())
    };
    assert_eq!(many(MOST_TOKENS).unwrap().len(), MOST_TOKENS);
    let bad = many(MOST_TOKENS + 1).unwrap_err();
    assert_eq!((bad.line, bad.wrong), (MOST_TOKENS + 1, Wrong::TooMany));
}

#[test]
fn a_file_is_named_and_not_shown() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tokens");
    let error = Tokens::read(&path).unwrap_err().to_string();
    assert_eq!(error, format!("{}: cannot be read", path.display()));
    fs::write(&path, "\nbackup CANARY\n").unwrap();
    let error = Tokens::read(&path).unwrap_err().to_string();
    let expected = "must be LABEL sha256:SALT:HASH, as `tokenshim hash-token` prints it";
    assert_eq!(error, format!("{}:2: {expected}", path.display()));
    fs::write(&path, BACKUP).unwrap();
    let tokens = Tokens::read(&path).unwrap();
    assert_eq!(
        tokens.find(&token("FAKE-SECRET-OF-THE-BACKUP")),
        Some("backup")
    );
    assert_eq!(format!("{tokens:?}"), "Tokens(1)");
    let size = usize::try_from(MOST_BYTES).unwrap();
    fs::write(&path, "#".repeat(size + 1)).unwrap();
    assert!(matches!(
        Tokens::read(&path),
        Err(TokensError::TooLarge { .. })
    ));
}

#[test]
fn labels_are_what_rules_can_name() {
    let long = "x".repeat(256);
    for label in [
        "", "a b", "a\n", "#a", "*", "admins", "guests", "@a", "@*:hs", "é", &long,
    ] {
        assert!(Line::new(label, SALT, &token("FAKE")).is_err(), "{label}");
    }
    for label in ["a", "CI/1", "@a:hs", "sha256:1:2", "a#b", "a,b"] {
        let tokens = Tokens::parse(line(label, "FAKE").as_bytes()).unwrap();
        assert_eq!(tokens.find(&token("FAKE")), Some(label));
    }
}

proptest! {
    #[test]
    fn each_token_is_found_and_no_other(
        texts in prop::collection::hash_set("[!-~]{1,60}", 1..8),
        other in "[!-~]{1,60}",
        salts in any::<[[u8; 16]; 8]>(),
    ) {
        let lines = texts.iter().zip(salts).enumerate().map(|(label, (text, salt))| {
            format!("{}\n", Line::new(&label.to_string(), salt, &token(text)).unwrap())
        });
        let tokens = Tokens::parse(lines.collect::<String>().as_bytes()).unwrap();
        for (label, text) in texts.iter().enumerate() {
            let label = label.to_string();
            prop_assert_eq!(tokens.find(&token(text)), Some(label.as_str()));
        }
        prop_assert_eq!(tokens.find(&token(&other)).is_some(), texts.contains(&other));
    }
}
