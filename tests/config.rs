//! The configuration from outside: what each source may say, and what is said back.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

#[path = "config/example.rs"]
mod example;
#[path = "config/properties.rs"]
mod properties;
#[path = "config/values.rs"]
mod values;

use std::path::Path;
use std::time::Duration;

use tokenshim::config::{
    AccessLogFormat, Config, Conflict, Flags, FormBody, Listen, LogFile, LogFormat, LogLevel,
    OpenEndpoints, Problems, Profile, Repeated, Sources, Upstream, load,
};

/// The shortest file there is.
const LEAST: &str = "upstream = \"http://127.0.0.1:8008\"\n";

fn from_file(text: &str) -> Result<Config, Problems> {
    from_all(text, &[], Flags::default())
}

fn from_all(text: &str, environment: &[(&str, &str)], flags: Flags) -> Result<Config, Problems> {
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect();
    load(&Sources {
        file: Some((Path::new("tokenshim.toml"), text)),
        environment,
        flags,
    })
}

fn from_environment(environment: &[(&str, &str)]) -> Result<Config, Problems> {
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect();
    load(&Sources {
        environment,
        ..Sources::default()
    })
}

/// The one problem of the least file with `more` behind it, without place and key.
fn complaint(more: &str) -> String {
    let problems = from_file(&format!("{LEAST}{more}"))
        .expect_err(more)
        .to_string();
    assert!(
        !problems.contains('\n'),
        "more than one problem:\n{problems}"
    );
    problems.split_once("`: ").expect(more).1.to_owned()
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let config = from_file(LEAST).unwrap();
    let (host, authority) = ("127.0.0.1".to_owned(), "127.0.0.1:8008".to_owned());
    assert_eq!(
        config.upstream,
        Upstream::Tcp {
            host,
            port: 8008,
            authority
        }
    );
    assert!((1..=1024).contains(&config.workers.get()));
    assert_eq!(config.drain_timeout, Duration::from_secs(30));
    assert_eq!(
        config.listen,
        [Listen::Tcp("127.0.0.1:8009".parse().unwrap())]
    );

    let relocate = &config.relocate;
    assert_eq!(relocate.profile, Profile::Matrix);
    assert_eq!(relocate.parameters, [b"access_token"]);
    assert_eq!(relocate.repeated, Repeated::Refuse);
    assert_eq!(relocate.conflict, Conflict::Refuse);
    assert_eq!(relocate.form_body, FormBody::Relocate);
    assert_eq!(relocate.open, OpenEndpoints::Move);
    assert_eq!((relocate.deprecation, relocate.sunset), (None, None));

    let timeouts = &config.timeouts;
    let seconds = [
        (timeouts.head, 10),
        (timeouts.idle, 75),
        (timeouts.body, 60),
        (timeouts.send, 60),
        (timeouts.connect, 5),
        (timeouts.response, 200),
        (timeouts.upstream_idle, 3),
        (timeouts.tunnel, 3600),
    ];
    for (timeout, expected) in seconds {
        assert_eq!(timeout, Duration::from_secs(expected));
    }
    assert_eq!(config.access_log.format, AccessLogFormat::Combined);
    assert_eq!(config.access_log.file, LogFile::Stdout);
    assert_eq!(config.access_log.fingerprint_key_file, None);
    assert_eq!(config.log.level, LogLevel::Info);
    assert_eq!(config.log.format, LogFormat::Text);
}

#[test]
fn every_problem_is_told_at_once() {
    let file = r#"upsteam = "http://127.0.0.1:8008"
workers = 0
trusted_proxies = [
    "127.0.0.1",
    "localhost",
    "10.1.2.3/8",
]
drain_timeout = 30

[[listen]]
address = "127.0.0.1:8009"
mode = "0660"

[[listen]]
adress = "unix:/run/tokenshim.sock"

[relocate]
parameters = []
repeated = "last"
deprecation = "2026-01-01"
sunset = "tomorrow"

[timeouts]
head = "0s"
idle = "75"
body = "2y"
workers = 2

[timeout]
send = "1s"
connect = "1s"

[access_log]
format = true
file = ""

log = "debug"
"#;
    let environment = [
        ("PATH", "/bin"),
        ("TOKENSHIM_TIMEOUTS__HEAD", "soon"),
        ("TOKENSHIM_TIMEOUT__HEAD", "10s"),
        ("TOKENSHIM_LISTEN", "127.0.0.1:8009,:80"),
        ("TOKENSHIM_COLOUR_OF_THE_SHED", "green"),
    ];
    let flags = Flags {
        listen: vec!["8009".into()],
        upstream: None,
    };
    let problems = from_all(file, &environment, flags).expect_err("nearly every line is wrong");
    let expected = r#"tokenshim.toml: `upstream`: is required: set it in the file, as TOKENSHIM_UPSTREAM or with --upstream
tokenshim.toml:1: `upsteam`: unknown key, did you mean `upstream`?
tokenshim.toml:2: `workers`: must be a whole number from 1 to 1024, not "0"
tokenshim.toml:5: `trusted_proxies`: must be an address such as "192.0.2.7", a net such as "10.0.0.0/8", or "unix", not "localhost"
tokenshim.toml:6: `trusted_proxies`: must be "10.0.0.0/8" for the net or "10.1.2.3" for the host
tokenshim.toml:8: `drain_timeout`: must be a string in quotes, not an integer
tokenshim.toml:12: `listen.mode`: is for unix sockets only
tokenshim.toml:14: `listen.address`: is required
tokenshim.toml:15: `listen.adress`: unknown key, did you mean `listen.address`?
tokenshim.toml:18: `relocate.parameters`: must have 1 to 16 entries, not 0
tokenshim.toml:19: `relocate.repeated`: must be one of "refuse", "first", not "last"
tokenshim.toml:20: `relocate.deprecation`: must be @ and unix seconds such as "@1767225600", not "2026-01-01"
tokenshim.toml:21: `relocate.sunset`: must be an HTTP-date such as "Thu, 31 Dec 2026 23:59:59 GMT", not "tomorrow"
tokenshim.toml:24: `timeouts.head`: must be greater than zero
tokenshim.toml:25: `timeouts.idle`: must be a number and a unit such as "10s", "500ms" or "2m", not "75"
tokenshim.toml:26: `timeouts.body`: must not be longer than a year (365 days), not "2y"
tokenshim.toml:27: `timeouts.workers`: unknown key, did you mean `workers`?
tokenshim.toml:29: `timeout`: unknown key, did you mean `timeouts`?
tokenshim.toml:34: `access_log.format`: must be a string in quotes, not a boolean
tokenshim.toml:35: `access_log.file`: must be a path, or "-" for stdout
tokenshim.toml:37: `access_log.log`: unknown key, did you mean `log`?
TOKENSHIM_COLOUR_OF_THE_SHED: unknown variable
TOKENSHIM_LISTEN: must be IP:PORT such as "127.0.0.1:8009" or "[::1]:8009", or "unix:/PATH", not ":80"
TOKENSHIM_TIMEOUTS__HEAD: must be a number and a unit such as "10s", "500ms" or "2m", not "soon"
TOKENSHIM_TIMEOUT__HEAD: unknown variable, did you mean TOKENSHIM_TIMEOUTS__HEAD?
--listen: must be IP:PORT such as "127.0.0.1:8009" or "[::1]:8009", or "unix:/PATH", not "8009""#;
    assert_eq!(problems.to_string(), expected);
    assert_eq!(problems.iter().count(), expected.lines().count());
}

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
fn the_strongest_source_wins() {
    let file = "upstream = \"unix:/file\"\n[timeouts]\nhead = \"1s\"\nidle = \"1s\"\n\
                [[listen]]\naddress = \"127.0.0.1:1\"\n";
    let environment = [
        ("TOKENSHIM_UPSTREAM", "unix:/environment"),
        ("TOKENSHIM_TIMEOUTS__HEAD", "2s"),
        ("TOKENSHIM_LISTEN", "127.0.0.1:2, unix:/two"),
    ];
    let flags = Flags {
        listen: vec!["127.0.0.1:3".into(), "[::1]:3".into()],
        upstream: Some("unix:/flag".into()),
    };
    let addresses = |config: &Config| {
        config
            .listen
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };

    let config = from_file(file).unwrap();
    assert_eq!(config.upstream.to_string(), "unix:/file");
    assert_eq!(addresses(&config), ["127.0.0.1:1"]);

    let config = from_all(file, &environment, Flags::default()).unwrap();
    assert_eq!(config.upstream.to_string(), "unix:/environment");
    assert_eq!(
        config.timeouts.head,
        Duration::from_secs(2),
        "the variable's"
    );
    assert_eq!(
        config.timeouts.idle,
        Duration::from_secs(1),
        "the file's stays beside it"
    );
    assert_eq!(config.timeouts.body, Duration::from_secs(60), "the default");
    assert_eq!(addresses(&config), ["127.0.0.1:2", "unix:/two"]);

    let config = from_all(file, &environment, flags).unwrap();
    assert_eq!(config.upstream.to_string(), "unix:/flag");
    assert_eq!(addresses(&config), ["127.0.0.1:3", "[::1]:3"]);
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

#[test]
fn an_empty_optional_value_is_none() {
    let file = format!("{LEAST}[access_log]\nfingerprint_key_file = \"/key\"\n");
    assert!(
        from_file(&file)
            .unwrap()
            .access_log
            .fingerprint_key_file
            .is_some()
    );
    let environment = [("TOKENSHIM_ACCESS_LOG__FINGERPRINT_KEY_FILE", "")];
    let config = from_all(&file, &environment, Flags::default()).unwrap();
    assert_eq!(config.access_log.fingerprint_key_file, None);
}
