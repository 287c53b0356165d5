//! Single values: every key through its variable, and what each refuses.

use tokenshim::config::{Upstream, keys};

use super::{LEAST, complaint, from_environment, from_file};

#[test]
fn every_key_has_its_variable() {
    let cases = [
        ("TOKENSHIM_WORKERS", "3", "workers = 3"),
        (
            "TOKENSHIM_TRUSTED_PROXIES",
            "192.0.2.1, unix",
            "trusted_proxies = [\"192.0.2.1/32\", \"unix\"]",
        ),
        ("TOKENSHIM_TRUSTED_PROXIES", "", "trusted_proxies = []"),
        ("TOKENSHIM_DRAIN_TIMEOUT", "1s", "drain_timeout = \"1s\""),
        (
            "TOKENSHIM_RELOCATE__PROFILE",
            "generic",
            "profile = \"generic\"",
        ),
        (
            "TOKENSHIM_RELOCATE__PARAMETERS",
            "access_token,token",
            "parameters = [\"access_token\", \"token\"]",
        ),
        (
            "TOKENSHIM_RELOCATE__REPEATED",
            "first",
            "repeated = \"first\"",
        ),
        (
            "TOKENSHIM_RELOCATE__CONFLICT",
            "header",
            "conflict = \"header\"",
        ),
        (
            "TOKENSHIM_RELOCATE__FORM_BODY",
            "forward",
            "form_body = \"forward\"",
        ),
        ("TOKENSHIM_RELOCATE__OPEN", "cut", "open = \"cut\""),
        (
            "TOKENSHIM_RELOCATE__DEPRECATION",
            "@1",
            "deprecation = \"@1\"",
        ),
        (
            "TOKENSHIM_RELOCATE__SUNSET",
            "Sun Nov  6 08:49:37 1994",
            "sunset = \"Sun, 06 Nov 1994 08:49:37 GMT\"",
        ),
        ("TOKENSHIM_TIMEOUTS__HEAD", "500ms", "head = \"500ms\""),
        ("TOKENSHIM_TIMEOUTS__IDLE", "7s", "idle = \"7s\""),
        ("TOKENSHIM_TIMEOUTS__BODY", "7s", "body = \"7s\""),
        ("TOKENSHIM_TIMEOUTS__SEND", "7s", "send = \"7s\""),
        ("TOKENSHIM_TIMEOUTS__CONNECT", "7s", "connect = \"7s\""),
        ("TOKENSHIM_TIMEOUTS__RESPONSE", "7s", "response = \"7s\""),
        (
            "TOKENSHIM_TIMEOUTS__UPSTREAM_IDLE",
            "7s",
            "upstream_idle = \"7s\"",
        ),
        (
            "TOKENSHIM_TIMEOUTS__TUNNEL",
            "365d",
            "tunnel = \"31536000s\"",
        ),
        ("TOKENSHIM_ACCESS_LOG__FORMAT", "off", "format = \"off\""),
        ("TOKENSHIM_ACCESS_LOG__FILE", "/a b", "file = \"/a b\""),
        (
            "TOKENSHIM_ACCESS_LOG__FINGERPRINT_KEY_FILE",
            "/key",
            "fingerprint_key_file = \"/key\"",
        ),
        ("TOKENSHIM_LOG__LEVEL", "trace", "level = \"trace\""),
        ("TOKENSHIM_LOG__FORMAT", "json", "format = \"json\""),
        (
            "TOKENSHIM_LISTEN",
            "127.0.0.1:1",
            "address = \"127.0.0.1:1\"",
        ),
        ("TOKENSHIM_UPSTREAM", "unix:/a", "upstream = \"unix:/a\""),
    ];
    for (variable, value, line) in cases {
        let config = from_environment(&[("TOKENSHIM_UPSTREAM", "unix:/x"), (variable, value)])
            .expect(variable);
        assert!(
            config.to_toml().lines().any(|printed| printed == line),
            "{variable}\n{}",
            config.to_toml()
        );
    }
    // Two of the keys are inside [[listen]], and one variable stands here twice.
    assert_eq!(cases.len() - 1, keys().count() - 2);
}

#[test]
fn refuses_wrong_values() {
    let cases = [
        (
            "listeners are a list",
            "[listen]\naddress = \"127.0.0.1:1\"",
            "must be written [[listen]], with `address` below it, not a table",
        ),
        ("no listener at all", "listen = []", "must have an address"),
        (
            "one address twice",
            "[[listen]]\naddress = \"unix:/a\"\n[[listen]]\naddress = \"unix:/a\"",
            "has this address twice",
        ),
        (
            "a mode that is none",
            "[[listen]]\naddress = \"unix:/a\"\nmode = \"0999\"",
            "must be octal from \"0000\" to \"0777\" such as \"0660\", not \"0999\"",
        ),
        (
            "sticky bits",
            "[[listen]]\naddress = \"unix:/a\"\nmode = \"1777\"",
            "must be octal from \"0000\" to \"0777\" such as \"0660\", not \"1777\"",
        ),
        (
            "a section that is a value",
            "timeouts = \"10s\"",
            "must be a section, [timeouts], not a string",
        ),
        (
            "a value that is a section",
            "[timeouts.head]",
            "must be a string in quotes, not a table",
        ),
        (
            "more workers than there may be",
            "workers = 1025",
            "must be a whole number from 1 to 1024, not \"1025\"",
        ),
        (
            "a number beyond all types",
            "workers = 99999999999999999999999999999999999999999999999999",
            "must be a whole number from 1 to 1024, not \"999999999999999999999999999999999999999999999999…\"",
        ),
        (
            "a number in quotes",
            "workers = \"2\"",
            "must be a whole number, not a string",
        ),
        (
            "a separator in a name",
            "[relocate]\nparameters = [\"a\", \"b&c\"]",
            "must be visible ASCII without & ; = %, not \"b&c\"",
        ),
        (
            "seventeen names",
            "[relocate]\nparameters = ['1','2','3','4','5','6','7','8','9','a','b','c','d','e','f','g','h']",
            "must have 1 to 16 entries, not 17",
        ),
        (
            "gone before it is deprecated",
            "[relocate]\ndeprecation = \"@1767225600\"\nsunset = \"Wed, 31 Dec 2025 23:59:59 GMT\"",
            "must not be earlier than `relocate.deprecation`",
        ),
        (
            "a date with the wrong weekday",
            "[relocate]\nsunset = \"Mon, 31 Dec 2026 23:59:59 GMT\"",
            "must be an HTTP-date such as \"Thu, 31 Dec 2026 23:59:59 GMT\", not \"Mon, 31 Dec 2026 23:59:59 GMT\"",
        ),
        (
            "more digits than RFC 9651 has",
            "[relocate]\ndeprecation = \"@1234567890123456\"",
            "must be @ and unix seconds such as \"@1767225600\", not \"@1234567890123456\"",
        ),
        (
            "odd characters are escaped",
            "[log]\nlevel = \"a\\u001b[31m\\n\"",
            "must be one of \"error\", \"warn\", \"info\", \"debug\", \"trace\", not \"a\\u{1b}[31m\\n\"",
        ),
        (
            "a NUL in a path",
            "[access_log]\nfile = \"a\\u0000\"",
            "must not contain a NUL character",
        ),
    ];
    for (name, more, expected) in cases {
        assert_eq!(complaint(more), expected, "case: {name}");
    }
}

#[test]
fn reads_upstreams() {
    let tcp = |host: &str, port, authority: &str| Upstream::Tcp {
        host: host.into(),
        port,
        authority: authority.into(),
    };
    let cases = [
        (
            "a name, port 80",
            "http://synapse",
            tcp("synapse", 80, "synapse"),
        ),
        (
            "scheme in any case",
            "HTTP://synapse:8008",
            tcp("synapse", 8008, "synapse:8008"),
        ),
        (
            "IPv6 loses its brackets",
            "http://[::1]:8008",
            tcp("::1", 8008, "[::1]:8008"),
        ),
        (
            "a unix socket",
            "unix:/run/s.sock",
            Upstream::Unix {
                path: "/run/s.sock".into(),
            },
        ),
    ];
    for (name, upstream, expected) in cases {
        let config = from_environment(&[("TOKENSHIM_UPSTREAM", upstream)]).expect(name);
        assert_eq!(config.upstream, expected, "case: {name}");
    }
}

#[test]
fn refuses_wrong_upstreams() {
    const SCHEME: &str = "must be http://HOST[:PORT] or unix:/PATH";
    const HTTPS: &str = "https:// is not supported yet: use http:// or unix:";
    const PATH: &str = "must end behind host and port: no path, no query, not even a last slash";
    const USER: &str = "must not have a user name or password";
    const HOST: &str = "must have a host name, an IPv4 address or an [IPv6] address";
    const PORT: &str = "must have a port from 1 to 65535, or none for 80";
    const SOCKET: &str = "must have the absolute path of a socket behind unix:";
    let long = format!("unix:/{}", "x".repeat(107));
    let cases = [
        ("https", "https://example.org", HTTPS),
        ("no scheme", "127.0.0.1:8008", SCHEME),
        ("nothing", "", SCHEME),
        (
            "nginx's way",
            "http://unix:/s.sock",
            "must be unix:/PATH, without http:// in front",
        ),
        ("a last slash", "http://synapse:8008/", PATH),
        ("a query", "http://synapse?access_token=CANARY", PATH),
        ("userinfo", "http://u:CANARY@synapse", USER),
        ("no host", "http://:8008", HOST),
        ("an address that is none", "http://127.0.0.256", HOST),
        ("IPv6 without brackets", "http://::1", HOST),
        ("a space", "http://syn apse", HOST),
        ("port 0", "http://synapse:0", PORT),
        ("port too large", "http://synapse:65536", PORT),
        ("no port behind the colon", "http://synapse:", PORT),
        ("a sign", "http://synapse:+80", PORT),
        ("something behind the bracket", "http://[::1]8008", PORT),
        ("a relative socket", "unix:run/s.sock", SOCKET),
        ("a directory", "unix:/run/", SOCKET),
        (
            "longer than the system takes",
            &long,
            "must have a socket path of at most 107 bytes",
        ),
    ];
    for (name, upstream, expected) in cases {
        let problems = from_environment(&[("TOKENSHIM_UPSTREAM", upstream)]).expect_err(name);
        assert_eq!(
            problems.to_string(),
            format!("TOKENSHIM_UPSTREAM: {expected}"),
            "case: {name}"
        );
    }
}

#[test]
fn trusts_only_who_is_listed() {
    let default = from_file(LEAST).unwrap().trusted_proxies;
    let other = "trusted_proxies = [\"10.0.0.0/8\", \"2001:db8::7\"]";
    let listed = from_file(&format!("{LEAST}{other}"))
        .unwrap()
        .trusted_proxies;
    let cases = [
        ("loopback", &default, "127.4.5.6", true),
        ("loopback of IPv6", &default, "::1", true),
        (
            "IPv4 seen by a listener on [::]",
            &default,
            "::ffff:127.0.0.1",
            true,
        ),
        ("another machine", &default, "192.0.2.1", false),
        ("a net", &listed, "10.255.0.1", true),
        ("beside the net", &listed, "11.0.0.1", false),
        ("a host", &listed, "2001:db8::7", true),
        ("beside the host", &listed, "2001:db8::8", false),
        ("the default is replaced", &listed, "127.0.0.1", false),
    ];
    for (name, proxies, ip, expected) in cases {
        assert_eq!(
            proxies.trusts(ip.parse().unwrap()),
            expected,
            "case: {name}"
        );
    }
    assert!(default.trusts_unix());
    assert!(!listed.trusts_unix());
}
