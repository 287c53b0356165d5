//! Whose a token is: who is asked, for which routes, and what does not go together.

use std::time::Duration;

use tokenshim::config::{Check, Introspection, OnFailure, Upstream, Verify, VerifyMode, Who};

use super::{LEAST, complaint, default_route, from_file};

pub(super) fn defaults() -> Verify {
    Verify {
        learn_ttl: Duration::from_secs(60),
        valid_ttl: Duration::from_secs(60),
        unknown_ttl: Duration::from_secs(30),
        entries: 100_000,
        timeout: Duration::from_secs(5),
        on_failure: OnFailure::Refuse,
        bad_tokens: Some(30),
        bad_tokens_window: Duration::from_secs(60),
        homeserver: None,
        introspection: None,
        tokens_file: None,
    }
}

/// The `[verify]` of everybody: each mode has what it needs.
const ALL: &str = "homeserver = \"http://hs\"\ntokens_file = \"/t\"\nclient_id = \"c\"\n\
                   client_secret_file = \"/s\"\nintrospection_endpoint = \"https://oauth/i?a=b\"\n";

fn route(path: &str, more: &str) -> String {
    format!("[[route]]\npath = \"{path}\"\nupstream = \"http://127.0.0.1:1\"\n{more}\n")
}

fn user(name: &str) -> Who {
    Who::User(name.into())
}

fn server(name: &str) -> Who {
    Who::Server(name.into())
}

#[test]
fn reads_all_of_verify() {
    let text = format!(
        "{LEAST}[verify]\nmode = \"introspect\"\n{ALL}scope = [\"openid\"]\n\
         server_name = \"hs.example\"\nbad_tokens = 0\nentries = 10000000\n"
    );
    let config = from_file(&text).unwrap();
    let tcp = |host: &str, port, tls| Upstream::Tcp {
        host: host.into(),
        port,
        authority: host.into(),
        tls,
    };
    let expected = Verify {
        entries: 10_000_000,
        bad_tokens: None,
        homeserver: Some(tcp("hs", 80, false)),
        introspection: Some(Introspection {
            server: tcp("oauth", 443, true),
            path: "/i?a=b".into(),
            client_id: "c".into(),
            client_secret_file: "/s".into(),
            scope: vec!["openid".into()],
            server_name: Some("hs.example".into()),
        }),
        tokens_file: Some("/t".into()),
        ..defaults()
    };
    assert_eq!(config.verify, expected);
    assert_eq!(default_route(&config).check.mode, VerifyMode::Introspect);
}

#[test]
fn reads_whom_a_rule_names() {
    let cases = [
        ("a user", "@alice:hs.example", user("@alice:hs.example")),
        (
            "with a port",
            "@a:hs.example:8448",
            user("@a:hs.example:8448"),
        ),
        ("on IPv6", "@a:[::1]:8448", user("@a:[::1]:8448")),
        ("odd, but there are such", "@A/b=c:hs", user("@A/b=c:hs")),
        ("a server", "@*:hs.example:8448", server("hs.example:8448")),
        ("a label", "backup-2", user("backup-2")),
        ("admins are one word", "admin", user("admin")),
    ];
    let introspect = |word: &str| {
        from_file(&format!(
            "{LEAST}[verify]\nmode = \"introspect\"\n{ALL}allow = [\"{word}\"]"
        ))
    };
    for (name, word, expected) in cases {
        let config = introspect(word).expect(name);
        assert_eq!(
            default_route(&config).check.allow,
            [expected],
            "case: {name}"
        );
    }
    let whoami = format!(
        "{LEAST}[verify]\nmode = \"whoami\"\n{ALL}deny = [\"admins\", \"guests\", \"@a:b\"]"
    );
    let config = from_file(&whoami).unwrap();
    assert_eq!(
        default_route(&config).check.deny,
        [Who::Admins, Who::Guests, user("@a:b")]
    );

    let wrong = [
        ("nothing", ""),
        ("no server", "@alice"),
        ("an empty server", "@alice:"),
        ("a URL", "@alice:https://hs.example"),
        ("a star in a name", "@al*:hs.example"),
        ("a star for the server", "@alice:*"),
        ("a star alone", "*"),
        ("a star in a label", "ci-*"),
        ("a room", "#room:hs"),
        ("a space", "a b"),
        ("not ASCII", "é"),
        ("longer than any user", &"x".repeat(256)),
    ];
    for (name, word) in wrong {
        let problem = introspect(word).expect_err(name).to_string();
        assert!(
            problem.contains("`verify.allow`: must be a user such as"),
            "case {name}: {problem}"
        );
    }
}

#[test]
fn a_mode_needs_what_it_asks() {
    let section = |more: &str| format!("{LEAST}[verify]\n{more}\n");
    let cases = [
        (
            "whoami",
            section("mode = \"whoami\""),
            "tokenshim.toml: `verify.homeserver`: is required by the mode \"whoami\"",
        ),
        (
            "an empty one is none",
            section("mode = \"whoami\"\nhomeserver = \"\""),
            "tokenshim.toml:4: `verify.homeserver`: is required by the mode \"whoami\"",
        ),
        (
            "a wrong one is told once",
            section("mode = \"whoami\"\nhomeserver = \"hs\""),
            "tokenshim.toml:4: `verify.homeserver`: must be http://HOST[:PORT], \
             https://HOST[:PORT] or unix:/PATH",
        ),
        (
            "file, for one route",
            format!("{LEAST}{}", route("/a", "verify = \"file\"")),
            "tokenshim.toml: `verify.tokens_file`: is required by the mode \"file\"",
        ),
        (
            "introspect",
            section("mode = \"introspect\""),
            "tokenshim.toml: `verify.introspection_endpoint`: is required by the mode \"introspect\"\n\
             tokenshim.toml: `verify.client_id`: is required by the mode \"introspect\"\n\
             tokenshim.toml: `verify.client_secret_file`: is required by the mode \"introspect\"",
        ),
    ];
    for (name, text, expected) in cases {
        assert_eq!(
            from_file(&text).expect_err(name).to_string(),
            expected,
            "case: {name}"
        );
    }
    // What no route asks may be missing.
    let off = route("/a", "verify = \"off\"");
    let unused = [
        section("homeserver = \"unix:/hs\""),
        section("introspection_endpoint = \"https://h/i\""),
        format!("{off}[verify]\nmode = \"whoami\"\nallow = [\"label\"]\n"),
    ];
    for text in unused {
        from_file(&text).expect(&text);
    }
}

#[test]
fn values_have_their_limits() {
    const ENDPOINT: &str = "must be http://HOST[:PORT]/PATH or https://HOST[:PORT]/PATH";
    let cases = [
        (
            "learn_ttl = \"121s\"",
            "must not be longer than \"120s\", not \"121s\"",
        ),
        (
            "unknown_ttl = \"3m\"",
            "must not be longer than \"120s\", not \"3m\"",
        ),
        (
            "valid_ttl = \"61m\"",
            "must not be longer than \"3600s\", not \"61m\"",
        ),
        (
            "timeout = \"61s\"",
            "must not be longer than \"60s\", not \"61s\"",
        ),
        (
            "bad_tokens_window = \"1d\"",
            "must not be longer than \"3600s\", not \"1d\"",
        ),
        ("valid_ttl = \"0s\"", "must be greater than zero"),
        (
            "entries = 999",
            "must be a whole number from 1000 to 10000000, not \"999\"",
        ),
        (
            "entries = 10000001",
            "must be a whole number from 1000 to 10000000, not \"10000001\"",
        ),
        ("entries = \"1000\"", "must be a whole number, not a string"),
        (
            "bad_tokens = -1",
            "must be a whole number from 0 to 1000000, not \"-1\"",
        ),
        (
            "mode = \"on\"",
            "must be one of \"learn\", \"whoami\", \"introspect\", \"file\", \"off\", not \"on\"",
        ),
        (
            "on_failure = \"503\"",
            "must be one of \"refuse\", \"forward\", not \"503\"",
        ),
        (
            "allow = \"@a:b\"",
            "must be a list of strings, not a string",
        ),
        (
            "scope = [\"a b\"]",
            "must be one word of a scope, visible ASCII without quotes and backslashes, not \"a b\"",
        ),
        ("client_id = \"é\"", "must be printable ASCII"),
        (
            "server_name = \"https://hs\"",
            "must be the name of a Matrix server such as \"example.org\", not \"https://hs\"",
        ),
        (
            "tokens_file = \"a\\u0000\"",
            "must not contain a NUL character",
        ),
        ("introspection_endpoint = \"https://h\"", ENDPOINT),
        ("introspection_endpoint = \"unix:/h\"", ENDPOINT),
        ("introspection_endpoint = \"h/i\"", ENDPOINT),
        (
            "introspection_endpoint = \"https://u:CANARY@h/i\"",
            "must not have a user name or password",
        ),
        (
            "introspection_endpoint = \"https://h/i#a\"",
            "must have a path of visible ASCII, without #",
        ),
        (
            "introspection_endpoint = \"https://h/ö\"",
            "must have a path of visible ASCII, without #",
        ),
    ];
    for (line, expected) in cases {
        assert_eq!(complaint(&format!("[verify]\n{line}")), expected, "{line}");
    }
}

#[test]
fn a_route_inherits_its_check() {
    let routes = [
        route("/a", ""),
        route("/b", "verify = \"off\""),
        route("/c", "verify = \"learn\"\nallow = []"),
        route("/d", "verify = \"introspect\"\ndeny = []"),
        route("/e", "allow = [\"@*:other\"]"),
        route(
            "/f",
            "verify = \"file\"\nallow = [\"ci\"]\ndeny = [\"@label:x\"]",
        ),
    ];
    let common =
        format!("[verify]\nmode = \"whoami\"\n{ALL}allow = [\"@*:hs\"]\ndeny = [\"@bob:hs\"]\n");
    let config = from_file(&format!("{LEAST}{}{common}", routes.concat())).unwrap();
    let check = |mode, allow: &[Who], deny: &[Who]| Check {
        mode,
        forward_token: true,
        allow: allow.to_vec(),
        deny: deny.to_vec(),
    };
    let (hs, bob) = ([server("hs")], [user("@bob:hs")]);
    let expected = [
        check(VerifyMode::Whoami, &hs, &bob),
        // Who switches it off does not have to empty the lists.
        check(VerifyMode::Off, &[], &[]),
        check(VerifyMode::Learn, &[], &[]),
        check(VerifyMode::Introspect, &hs, &[]),
        check(VerifyMode::Whoami, &[server("other")], &bob),
        check(VerifyMode::File, &[user("ci")], &[user("@label:x")]),
        check(VerifyMode::Whoami, &hs, &bob),
    ];
    let checks: Vec<_> = config
        .routes
        .iter()
        .map(|route| route.check.clone())
        .collect();
    assert_eq!(checks, expected);

    // Without a default route the section may be for routes of another mode.
    let only = route("/a", "verify = \"whoami\"");
    let shared = format!("{only}[verify]\nallow = [\"admins\"]\n{ALL}");
    let config = from_file(&shared).unwrap();
    assert_eq!(config.routes[0].check.allow, [Who::Admins]);
    assert_eq!(from_file(&config.to_toml()).unwrap(), config);
}

#[test]
fn only_a_homeserver_gets_tokens_unless_told_otherwise() {
    let generic = "profile = \"generic\"";
    let (yes, no) = ("forward_token = true", "forward_token = false");
    let cases = [
        ("a homeserver", "", "", true),
        ("a tool", "", generic, false),
        (
            "a tool that wants it",
            "",
            &format!("{generic}\n{yes}"),
            true,
        ),
        ("a homeserver without", "", no, false),
        ("all of them", yes, generic, true),
        ("none of them", no, "", false),
        ("all but one", yes, no, false),
    ];
    for (name, section, own, expected) in cases {
        let text = format!("{LEAST}{}[verify]\n{section}\n", route("/a", own));
        let config = from_file(&text).unwrap();
        assert_eq!(
            config.routes[0].check.forward_token, expected,
            "case: {name}"
        );
        assert_eq!(
            from_file(&config.to_toml()).unwrap(),
            config,
            "case: {name}"
        );
    }
}

#[test]
fn refuses_rules_that_mean_nothing() {
    const LEARN: &str = "needs a mode that tells whose a token is, \"whoami\", \"introspect\" or \
                         \"file\", not \"learn\"";
    const LABEL: &str =
        "has a label, and the mode \"whoami\" knows only users: \"@alice:example.org\"";
    let section = |more: &str| format!("[verify]\n{ALL}{more}\n");
    let cases = [
        (
            "nobody is known",
            section("allow = [\"@a:b\"]"),
            LEARN.to_owned(),
        ),
        (
            "nobody to deny",
            section("deny = [\"@a:b\"]"),
            LEARN.to_owned(),
        ),
        (
            "nobody is known in a route",
            route("/a", "deny = [\"@a:b\"]"),
            LEARN.to_owned(),
        ),
        (
            "off",
            route("/a", "verify = \"off\"\nallow = [\"@a:b\"]"),
            LEARN.replace("learn", "off"),
        ),
        (
            "admins of a file",
            section("mode = \"file\"\nallow = [\"admins\"]"),
            "has admins or guests, whom only the mode \"whoami\" knows, not \"file\"".into(),
        ),
        (
            "guests of an OAuth server",
            section("") + &route("/a", "verify = \"introspect\"\ndeny = [\"guests\"]"),
            "has admins or guests, whom only the mode \"whoami\" knows, not \"introspect\"".into(),
        ),
        (
            "a label of a homeserver",
            section("mode = \"whoami\"\ndeny = [\"alice\"]"),
            LABEL.into(),
        ),
        (
            "a server in a file",
            section("mode = \"file\"\ndeny = [\"@*:hs\"]"),
            "has all users of a server, and the mode \"file\" knows only labels".into(),
        ),
        (
            "inherited by a route of another mode",
            route("/a", "verify = \"whoami\"")
                + &section("mode = \"introspect\"\ndeny = [\"alice\"]"),
            format!("does not go with `verify.deny`, which {LABEL}"),
        ),
    ];
    for (name, more, expected) in cases {
        assert_eq!(complaint(&more), expected, "case: {name}");
    }
}
