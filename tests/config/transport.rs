//! Listeners, certificates, limits: what stands between clients and requests.

use tokenshim::config::{Address, Owner};

use super::{LEAST, complaint, from_environment, from_file};

const CERTIFICATE: &str = "[[certificate]]\nchain = \"/c\"\nkey = \"/k\"\n";

/// A listener on a unix socket, with `more` below it.
fn unix(more: &str) -> String {
    format!("[[listen]]\naddress = \"unix:/a\"\n{more}\n")
}

/// A listener on every address, with `more` below it.
fn tcp(more: &str) -> String {
    format!("[[listen]]\naddress = \"0.0.0.0:443\"\n{more}\n")
}

#[test]
fn http2_follows_tls_unless_it_is_written() {
    let cases = [
        ("neither", "", (false, false)),
        ("tls alone", "tls = true", (true, true)),
        ("tls without", "tls = true\nhttp2 = false", (true, false)),
        ("http2 alone", "http2 = true", (false, true)),
    ];
    for (name, keys, expected) in cases {
        let config = from_file(&format!("{LEAST}{}{CERTIFICATE}", tcp(keys))).expect(name);
        let listen = &config.listen[0];
        assert_eq!((listen.tls, listen.http2), expected, "case: {name}");
    }
}

#[test]
fn reads_owners() {
    let owner = |user: Option<&str>, group: Option<&str>| {
        Some(Owner {
            user: user.map(Into::into),
            group: group.map(Into::into),
        })
    };
    let cases = [
        ("a user", "tokenshim", owner(Some("tokenshim"), None)),
        ("both", "a:www-data", owner(Some("a"), Some("www-data"))),
        ("a group", ":www-data", owner(None, Some("www-data"))),
        ("numbers", "0:33", owner(Some("0"), Some("33"))),
        (
            "a domain's",
            "a@d.example",
            owner(Some("a@d.example"), None),
        ),
        ("nobody", "", None),
    ];
    for (name, text, expected) in cases {
        let config = from_file(&format!("{LEAST}{}", unix(&format!("owner = \"{text}\""))));
        let config = config.expect(name);
        let Address::Unix { owner, .. } = &config.listen[0].address else {
            panic!("case: {name}");
        };
        assert_eq!(*owner, expected, "case: {name}");
    }
    for text in [
        ":",
        "a:",
        "a:b:c",
        "a b",
        "a/b",
        "-a",
        "4294967295",
        ":99999999999",
    ] {
        let problem = complaint(&unix(&format!("owner = \"{text}\"")));
        let expected = "must be \"user\", \"user:group\" or \":group\", each a name or a number";
        assert!(problem.starts_with(expected), "{text}: {problem}");
    }
}

#[test]
fn reads_inherited_sockets() {
    let config = from_environment(&[
        ("TOKENSHIM_UPSTREAM", "unix:/x"),
        ("TOKENSHIM_LISTEN", "127.0.0.1:1, fd:http,fd:admin.socket"),
    ])
    .unwrap();
    let inherited = |name: &str| Address::Inherited { name: name.into() };
    assert_eq!(config.listen[1].address, inherited("http"));
    assert_eq!(config.listen[2].address, inherited("admin.socket"));
    let long = "x".repeat(256);
    for name in ["", "a:b", "a b", "é", &long] {
        assert_eq!(
            complaint(&format!("[[listen]]\naddress = \"fd:{name}\"")),
            "must have a name behind fd:, 1 to 255 visible ASCII characters without a colon",
            "{name}"
        );
    }
}

#[test]
fn refuses_what_does_not_go_together() {
    let nobody = "trusted_proxies = []\n";
    let only_unix = "trusted_proxies = [\"unix\"]\n";
    let unbelieved = "is believed from `trusted_proxies` only, and none of them can connect here";
    let unix_only = "is for unix sockets only";
    let same_admin = "must not be the address of a [[listen]]";
    let needs_ca = "needs `tls.client_ca_file`, with the authorities to believe";
    let cases = [
        (
            "TLS without a certificate",
            tcp("tls = true"),
            "needs a [[certificate]] with `certificate.chain` and `certificate.key`",
        ),
        ("a mode of TCP", tcp("mode = \"0600\""), unix_only),
        ("an owner of TCP", tcp("owner = \"a\""), unix_only),
        (
            "a mode of what was opened by others",
            "[[listen]]\naddress = \"fd:a\"\nmode = \"0600\"".into(),
            unix_only,
        ),
        (
            "a PROXY header that nobody may send",
            nobody.to_owned() + &tcp("proxy_protocol = true"),
            unbelieved,
        ),
        (
            "or only others",
            only_unix.to_owned() + &tcp("proxy_protocol = true"),
            unbelieved,
        ),
        (
            "one inherited socket twice",
            "[[listen]]\naddress = \"fd:a\"\n[[listen]]\naddress = \"fd:a\"".into(),
            "has this address twice",
        ),
        (
            "the admin's address is a listener's",
            "[admin]\nlisten = \"unix:/a\"\n".to_owned() + &unix(""),
            same_admin,
        ),
        (
            "even the default one",
            "[admin]\nlisten = \"127.0.0.1:8009\"".into(),
            same_admin,
        ),
        (
            "client certificates of unknown authorities",
            "[tls]\nclient_certificates = \"optional\"".into(),
            needs_ca,
        ),
        (
            "an empty path is none",
            "[tls]\nclient_certificates = \"required\"\nclient_ca_file = \"\"".into(),
            needs_ca,
        ),
        (
            "half a certificate",
            "[[certificate]]\nchain = \"/c\"".into(),
            "is required",
        ),
        (
            "an empty certificate",
            "[[certificate]]\nchain = \"\"\nkey = \"/k\"".into(),
            "must be the path of a file",
        ),
        (
            "a version that is a number",
            "[tls]\nminimum = 1.3".into(),
            "must be a string in quotes, not a float",
        ),
        (
            "a version that nobody should speak",
            "[tls]\nminimum = \"1.1\"".into(),
            "must be one of \"1.2\", \"1.3\", not \"1.1\"",
        ),
    ];
    for (name, more, expected) in cases {
        assert_eq!(complaint(&more), expected, "case: {name}");
    }
    let believed = only_unix.to_owned() + &unix("proxy_protocol = true");
    assert!(from_file(&(LEAST.to_owned() + &believed)).is_ok());
}

#[test]
fn a_broken_line_may_be_the_one_that_is_missing() {
    let cases = [
        format!(
            "{LEAST}{}[[certificate]]\nchain = /c\nkey = \"/k\"\n",
            tcp("tls = true")
        ),
        format!("{LEAST}[tls]\nclient_ca_file = /ca\nclient_certificates = \"required\"\n"),
        "upstream = unix:/a\n".to_owned(),
    ];
    for text in cases {
        let problems = from_file(&text).unwrap_err();
        assert_eq!(problems.iter().count(), 1, "{problems}");
        assert!(problems.to_string().contains("TOML syntax"), "{problems}");
    }
}

#[test]
fn reads_server_names() {
    let set = |name: &str| {
        let server_name = ("TOKENSHIM_UPSTREAM_TLS__SERVER_NAME", name);
        from_environment(&[("TOKENSHIM_UPSTREAM", "https://h"), server_name])
    };
    for name in [
        "example.org",
        "Matrix.example.org",
        "192.0.2.7",
        "::1",
        "localhost",
    ] {
        let config = set(name).expect(name);
        assert_eq!(config.upstream_tls.server_name.as_deref(), Some(name));
    }
    for name in [
        "[::1]",
        "h:443",
        "*.example.org",
        "-h",
        "a..b",
        "example.org.",
        "127.0.0.256",
    ] {
        assert_eq!(
            set(name).expect_err(name).to_string(),
            "TOKENSHIM_UPSTREAM_TLS__SERVER_NAME: must be a host name or an address, without port \
             or brackets"
        );
    }
}

#[test]
fn reads_sizes() {
    let set = |size: &str| {
        let size = ("TOKENSHIM_LIMITS__BODY_SIZE", size);
        from_environment(&[("TOKENSHIM_UPSTREAM", "unix:/x"), size])
    };
    let cases = [
        ("0", None),
        ("0MiB", None),
        ("1B", Some(1)),
        ("1KiB", Some(1024)),
        ("50MiB", Some(50 << 20)),
        ("2GiB", Some(2 << 30)),
        ("18446744073709551615B", Some(u64::MAX)),
    ];
    for (size, expected) in cases {
        let config = set(size).expect(size);
        assert_eq!(config.limits.body_size, expected, "{size}");
    }
    let wrong = [
        "",
        "1",
        "B",
        "KiB",
        "1K",
        "1kib",
        "1KB",
        "1.5MiB",
        "-1B",
        "+1B",
        "1 KiB",
        "10m",
        "18446744073709551616B",
        "17179869184GiB",
    ];
    for size in wrong {
        let problem = set(size).expect_err(size).to_string();
        let expected = "must be a whole number with B, KiB, MiB or GiB such as \"32KiB\", or \"0\"";
        assert!(problem.contains(expected), "{size}: {problem}");
    }
}

#[test]
fn limits_have_their_limits() {
    let cases = [
        (
            "head_size = \"1023B\"",
            "must be from \"1KiB\" to \"1MiB\", not \"1023B\"",
        ),
        (
            "head_size = \"2MiB\"",
            "must be from \"1KiB\" to \"1MiB\", not \"2MiB\"",
        ),
        (
            "head_size = \"0\"",
            "must be from \"1KiB\" to \"1MiB\", not \"0\"",
        ),
        (
            "target_length = \"63B\"",
            "must be from \"64B\" to \"1MiB\", not \"63B\"",
        ),
        (
            "head_fields = 101",
            "must be a whole number from 1 to 100, not \"101\"",
        ),
        (
            "h2_streams = 0",
            "must be a whole number from 1 to 1000, not \"0\"",
        ),
        (
            "h2_streams = 1001",
            "must be a whole number from 1 to 1000, not \"1001\"",
        ),
        (
            "in_flight = 1000000001",
            "must be a whole number from 0 to 1000000000, not \"1000000001\"",
        ),
        (
            "body_size = 0",
            "must be a string in quotes, not an integer",
        ),
    ];
    for (line, expected) in cases {
        assert_eq!(complaint(&format!("[limits]\n{line}")), expected, "{line}");
    }
    let none = "[limits]\nconnections = 0\nconnections_per_address = 0\nin_flight = 0\n\
                body_rate = \"0\"\nbody_size = \"0\"\n";
    let limits = from_file(&format!("{LEAST}{none}")).unwrap().limits;
    let counts = (limits.connections, limits.connections_per_address);
    assert_eq!(counts, (None, None));
    assert_eq!(limits.in_flight, None);
    assert_eq!((limits.body_rate, limits.body_size), (None, None));
}

#[test]
fn http2_upstream_shares_connections() {
    let both = |version: &str| {
        from_file(&format!(
            "{LEAST}upstream_proxy_protocol = \"{version}\"\n[upstream_tls]\nhttp2 = true\n"
        ))
    };
    assert!(both("off").unwrap().upstream_tls.http2);
    for version in ["v1", "v2"] {
        let message = both(version).unwrap_err().to_string();
        assert!(
            message.contains("upstream_tls.http2") && message.contains("upstream_proxy_protocol"),
            "{message}"
        );
    }
}
