//! What is said of a mistake: its place, what was meant, and no secret.

use std::path::Path;

use tokenshim::config::{Flags, Sources, load};

use super::{complaint, from_file};

#[test]
fn syntax_errors_have_line_and_column() {
    let quoted = "TOML syntax: string values must be quoted, expected literal string";
    let cases: [(&str, &str, Vec<String>); 6] = [
        (
            "several, and what is wrong between them",
            "upstream = http://127.0.0.1:8008\nworkers = 0\ndrain_timeout = 30 s\n",
            vec![
                format!("1:12: {quoted}"),
                "2: `workers`: must be a whole number from 1 to 1024, not \"0\"".into(),
                format!("3:17: {quoted}"),
            ],
        ),
        (
            "a key twice",
            "upstream = \"unix:/a\"\nupstream = \"unix:/b\"\n",
            vec!["2:1: TOML syntax: duplicate key".into()],
        ),
        (
            "one for each line, whatever follows from it",
            "upstream = \"unix:/a\"\n= = =\n",
            vec!["2:1: TOML syntax: unquoted keys cannot be empty, expected letters, numbers, `-`, `_`".into()],
        ),
        (
            "keys behind a broken section line are in no known section",
            "upstream = \"unix:/a\"\n[timeouts\nhead = \"0s\"\nunknown = 1\n",
            vec!["2:10: TOML syntax: unclosed table, expected `]`".into()],
        ),
        (
            "the octal number that everybody tries",
            "upstream = \"unix:/a\"\n[[listen]]\naddress = \"unix:/b\"\nmode = 0660\n",
            vec!["4:8: TOML syntax: unexpected leading zero, expected nothing".into()],
        ),
        (
            "columns count characters",
            "upstream = \"unix:/a\"\naccess_log.file = 'é' x\n",
            vec!["2:23: TOML syntax: unexpected key or value, expected newline, `#`".into()],
        ),
    ];
    for (name, text, expected) in cases {
        let problems = from_file(text).expect_err(name).to_string();
        let expected: Vec<_> = expected
            .iter()
            .map(|line| format!("tokenshim.toml:{line}"))
            .collect();
        assert_eq!(problems, expected.join("\n"), "case: {name}");
    }
}

#[test]
fn suggests_the_key_that_was_meant() {
    let cases = [
        ("a slip", "[timeouts]\nhaed = 1", Some("timeouts.head")),
        (
            "an underscore too few",
            "drain-timeout = 1",
            Some("drain_timeout"),
        ),
        (
            "the section forgotten",
            "form_body = 1",
            Some("relocate.form_body"),
        ),
        (
            "in another section",
            "[log]\nfingerprint_key_file = 1",
            Some("access_log.fingerprint_key_file"),
        ),
        (
            "a slip in a name that two sections have",
            "[log]\nformt = 1",
            Some("log.format"),
        ),
        (
            "a slip in the section",
            "[acces_log]\nformat = 1",
            Some("access_log"),
        ),
        (
            "a dot in quotes parts nothing",
            "\"timeouts.head\" = 1",
            Some("timeouts.head"),
        ),
        (
            "in a table of which there are several",
            "[[route]]\nupstream = \"unix:/a\"\npath = \"/a\"\nprofil = 1",
            Some("route.profile"),
        ),
        (
            "behind [[listen]], where it does not belong",
            "[[listen]]\naddress = \"unix:/a\"\nform_body = 1",
            Some("relocate.form_body"),
        ),
        (
            "a slip in a table's name",
            "[[ruote]]\nhost = 1",
            Some("route"),
        ),
        ("nothing like it", "colour = 1", None),
        (
            "far too long",
            &format!("{} = 1", "upstream".repeat(20_000)),
            None,
        ),
    ];
    for (name, more, expected) in cases {
        let expected = expected.map_or_else(String::new, |key| format!(", did you mean `{key}`?"));
        assert_eq!(
            complaint(more),
            format!("unknown key{expected}"),
            "case: {name}"
        );
    }
}

#[test]
fn no_problem_repeats_what_may_be_a_secret() {
    let file = "upstream = \"http://u:CANARY@h\"\n[access_log]\nfingerprint_key_file = \"CANARY\\u0000\"\n\
                fingerprint_key = \"CANARY\"\n[relocate]\nsunset = CANARY\n";
    let environment = [
        ("TOKENSHIM_FINGERPRINT_KEY", "CANARY"),
        ("OTHER_PASSWORD", "CANARY"),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let flags = Flags {
        upstream: Some("http://h/?access_token=CANARY".into()),
        ..Flags::default()
    };
    let file = Some((Path::new("tokenshim.toml"), file));
    let sources = Sources {
        file,
        environment: environment.to_vec(),
        flags,
    };
    let problems = load(&sources).unwrap_err();
    assert_eq!(problems.iter().count(), 6, "{problems}");
    assert!(
        !format!("{problems} {problems:?} {sources:?}").contains("CANARY"),
        "{problems}"
    );
}
