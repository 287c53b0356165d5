//! Single values, and what each key refuses.

use tokenshim::config::Upstream;

use super::{LEAST, complaint, default_route, from_environment, from_file};

#[test]
fn refuses_wrong_values() {
    let cases = [
        (
            "listeners are a list",
            "[listen]\naddress = \"127.0.0.1:1\"",
            "must be written [[listen]], with `address` below it, not a table",
        ),
        (
            "no listener at all",
            "listen = []",
            "must have at least one entry",
        ),
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
fn refuses_wrong_steps_of_a_migration() {
    let cases = [
        (
            "no such day",
            "[relocate]\nrefuse_after = \"2027-02-29\"",
            "must be a date such as \"2027-01-31\", not \"2027-02-29\"",
        ),
        (
            "a time of the day",
            "[relocate]\nrefuse_after = \"2027-01-31T12:00\"",
            "must be a date such as \"2027-01-31\", not \"2027-01-31T12:00\"",
        ),
        (
            "a client without a mode",
            "[relocate]\nclients = [\"curl\"]",
            "must be the begin of a User-Agent, = and a mode, such as \"curl=refuse\", not \"curl\"",
        ),
        (
            "every client",
            "[relocate]\nclients = [\"=refuse\"]",
            "must be the begin of a User-Agent, = and a mode, such as \"curl=refuse\", not \"=refuse\"",
        ),
        (
            "a client's mode that there is not",
            "[relocate]\nclients = [\"curl=ban\"]",
            "must be one of \"relocate\", \"observe\", \"refuse\", not \"ban\"",
        ),
        (
            "tokens stay in the URL, where somebody is to be asked about them",
            "[relocate]\nmode = \"observe\"\n[verify]\nmode = \"whoami\"\nhomeserver = \"http://h\"",
            "\"observe\" is not possible where tokens are verified by \"whoami\"",
        ),
        (
            "the same for one client",
            "[relocate]\nclients = [\"x=observe\"]\n[verify]\nmode = \"whoami\"\nhomeserver = \"http://h\"",
            "\"observe\" is not possible where tokens are verified by \"whoami\"",
        ),
    ];
    for (name, more, expected) in cases {
        assert_eq!(complaint(more), expected, "case: {name}");
    }
}

#[test]
fn reads_upstreams() {
    let tcp = |tls, host: &str, port, authority: &str| Upstream::Tcp {
        host: host.into(),
        port,
        authority: authority.into(),
        tls,
    };
    let cases = [
        (
            "a name, port 80",
            "http://synapse",
            tcp(false, "synapse", 80, "synapse"),
        ),
        (
            "scheme in any case",
            "HTTP://synapse:8008",
            tcp(false, "synapse", 8008, "synapse:8008"),
        ),
        (
            "IPv6 loses its brackets",
            "http://[::1]:8008",
            tcp(false, "::1", 8008, "[::1]:8008"),
        ),
        (
            "https, port 443",
            "https://hs.example",
            tcp(true, "hs.example", 443, "hs.example"),
        ),
        (
            "https with a port, scheme in any case",
            "Https://[::1]:8448",
            tcp(true, "::1", 8448, "[::1]:8448"),
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
        assert_eq!(default_route(&config).upstream, expected, "case: {name}");
    }
}

#[test]
fn refuses_wrong_upstreams() {
    const SCHEME: &str = "must be http://HOST[:PORT], https://HOST[:PORT] or unix:/PATH";
    const NAME: &str = "must have a host name that a certificate can have, or an address";
    const SECURE_PORT: &str = "must have a port from 1 to 65535, or none for 443";
    const PATH: &str = "must end behind host and port: no path, no query, not even a last slash";
    const USER: &str = "must not have a user name or password";
    const HOST: &str = "must have a host name, an IPv4 address or an [IPv6] address";
    const PORT: &str = "must have a port from 1 to 65535, or none for 80";
    const SOCKET: &str = "must have the absolute path of a socket behind unix:";
    let long = format!("unix:/{}", "x".repeat(107));
    let cases = [
        ("another scheme", "ftp://example.org", SCHEME),
        (
            "no character boundary behind the scheme's length",
            "https:/é",
            SCHEME,
        ),
        ("https, port 0", "https://synapse:0", SECURE_PORT),
        ("https, a last slash", "https://synapse/", PATH),
        ("https, userinfo", "https://u:CANARY@synapse", USER),
        ("https, no name for a certificate", "https://-synapse", NAME),
        (
            "https to a socket",
            "https://unix:/s.sock",
            "must be unix:/PATH, without https:// in front",
        ),
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
