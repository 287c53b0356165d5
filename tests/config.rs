//! The configuration from outside: what each source may say, and what is said back.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

#[path = "config/appservice.rs"]
mod appservice;
#[path = "config/example.rs"]
mod example;
#[path = "config/messages.rs"]
mod messages;
#[path = "config/properties.rs"]
mod properties;
#[path = "config/roles.rs"]
mod roles;
#[path = "config/routes.rs"]
mod routes;
#[path = "config/transport.rs"]
mod transport;
#[path = "config/values.rs"]
mod values;
#[path = "config/variables.rs"]
mod variables;
#[path = "config/verify.rs"]
mod verify;

use std::path::Path;
use std::time::Duration;

use tokenshim::config::{
    AccessLogFormat, Address, Check, ClientCertificates, Config, Conflict, Flags, FormBody, Limits,
    Listen, LogFile, LogFormat, LogLevel, OpenEndpoints, Problems, Profile, ProxyHeader, Repeated,
    Role, Route, Sources, TlsVersion, TokenPlacement, Upstream, load,
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

/// The route for whatever no other route takes.
fn default_route(config: &Config) -> &Route {
    let last = config.routes.last().expect("there is a route");
    assert_eq!((&last.host, &last.path), (&None, &None));
    last
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
        default_route(&config).upstream,
        Upstream::Tcp {
            host,
            port: 8008,
            authority,
            tls: false
        }
    );
    assert_eq!(config.routes.len(), 1);
    assert_eq!(config.upstream_proxy_protocol, ProxyHeader::Off);
    assert!((1..=1024).contains(&config.workers.get()));
    assert_eq!(config.drain_timeout, Duration::from_secs(30));
    assert_eq!(
        config.listen,
        [Listen {
            address: Address::Tcp("127.0.0.1:8009".parse().unwrap()),
            role: Role::Proxy,
            tls: false,
            http2: false,
            proxy_protocol: false
        }]
    );
    assert_eq!(config.certificates, []);
    assert_eq!(config.tls.minimum, TlsVersion::V1_2);
    assert_eq!(config.tls.client_certificates, ClientCertificates::Off);
    assert_eq!(config.tls.client_ca_file, None);
    assert_eq!(config.upstream_tls.ca_file, None);
    assert_eq!(config.upstream_tls.server_name, None);
    assert!(!config.upstream_tls.http2);
    assert_eq!(config.admin, None);

    let relocate = &default_route(&config).relocate;
    assert_eq!(relocate.profile, Profile::Matrix);
    assert_eq!(relocate.parameters, [b"access_token"]);
    assert_eq!(relocate.repeated, Repeated::Refuse);
    assert_eq!(relocate.conflict, Conflict::Refuse);
    assert_eq!(relocate.form_body, FormBody::Relocate);
    assert_eq!(relocate.open, OpenEndpoints::Move);
    assert_eq!((relocate.deprecation, relocate.sunset), (None, None));
    assert_eq!(relocate.token, TokenPlacement::ToHeader);
    assert!(!relocate.legacy_paths);
    assert_eq!(default_route(&config).check, Check::default());
    assert_eq!(config.verify, verify::defaults());

    let limits = Limits {
        head_size: 32 * 1024,
        head_fields: 100,
        target_length: 16 * 1024,
        body_size: None,
        body_rate: Some(240),
        connections: Some(20_000),
        connections_per_address: Some(1000),
        in_flight: Some(20_000),
        h2_streams: 100,
    };
    assert_eq!(config.limits, limits);

    let timeouts = &config.timeouts;
    let seconds = [
        (timeouts.handshake, 10),
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

/// Wrong in nearly every line.
const WRONG: &str = r#"upsteam = "http://127.0.0.1:8008"
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

[[listen]]
address = "0.0.0.0:443"
tls = true
http2 = "on"
proxy_protocl = true

[[route]]
host = "Example.org:443"
pth = "/x"

[[route]]
path = "/"
upstream = "ftp://h"
repeated = "last"

[tls]
client_certificates = "required"

[limits]
head_size = "10k"
head_fields = 0
connections = -1

[admin]
listen = "fd:admin"

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

/// What there is to say of it, and of some variables and a flag.
const COMPLAINTS: &str = r#"tokenshim.toml:1: `upsteam`: unknown key, did you mean `upstream`?
tokenshim.toml:2: `workers`: must be a whole number from 1 to 1024, not "0"
tokenshim.toml:5: `trusted_proxies`: must be an address such as "192.0.2.7", a net such as "10.0.0.0/8", or "unix", not "localhost"
tokenshim.toml:6: `trusted_proxies`: must be "10.0.0.0/8" for the net or "10.1.2.3" for the host
tokenshim.toml:8: `drain_timeout`: must be a string in quotes, not an integer
tokenshim.toml:12: `listen.mode`: is for unix sockets only
tokenshim.toml:14: `listen.address`: is required
tokenshim.toml:15: `listen.adress`: unknown key, did you mean `listen.address`?
tokenshim.toml:19: `listen.tls`: needs a [[certificate]] with `certificate.chain` and `certificate.key`
tokenshim.toml:20: `listen.http2`: must be true or false, not a string
tokenshim.toml:21: `listen.proxy_protocl`: unknown key, did you mean `listen.proxy_protocol`?
tokenshim.toml:23: `route.upstream`: is required
tokenshim.toml:24: `route.host`: must be a host such as "example.org", or "*.example.org" for every name below it, without scheme and port
tokenshim.toml:25: `route.pth`: unknown key, did you mean `route.path`?
tokenshim.toml:28: `route.path`: must be left out for a route that is for any path
tokenshim.toml:29: `route.upstream`: must be http://HOST[:PORT], https://HOST[:PORT] or unix:/PATH
tokenshim.toml:30: `route.repeated`: must be one of "refuse", "first", not "last"
tokenshim.toml:33: `tls.client_certificates`: needs `tls.client_ca_file`, with the authorities to believe
tokenshim.toml:36: `limits.head_size`: must be a whole number with B, KiB, MiB or GiB such as "32KiB", or "0", not "10k"
tokenshim.toml:37: `limits.head_fields`: must be a whole number from 1 to 100, not "0"
tokenshim.toml:38: `limits.connections`: must be a whole number from 0 to 1000000000, not "-1"
tokenshim.toml:41: `admin.listen`: must be IP:PORT such as "127.0.0.1:9009", or "unix:/PATH", not "fd:admin"
tokenshim.toml:44: `relocate.parameters`: must have 1 to 16 entries, not 0
tokenshim.toml:45: `relocate.repeated`: must be one of "refuse", "first", not "last"
tokenshim.toml:46: `relocate.deprecation`: must be @ and unix seconds such as "@1767225600", not "2026-01-01"
tokenshim.toml:47: `relocate.sunset`: must be an HTTP-date such as "Thu, 31 Dec 2026 23:59:59 GMT", not "tomorrow"
tokenshim.toml:50: `timeouts.head`: must be greater than zero
tokenshim.toml:51: `timeouts.idle`: must be a number and a unit such as "10s", "500ms" or "2m", not "75"
tokenshim.toml:52: `timeouts.body`: must not be longer than a year (365 days), not "2y"
tokenshim.toml:53: `timeouts.workers`: unknown key, did you mean `workers`?
tokenshim.toml:55: `timeout`: unknown key, did you mean `timeouts`?
tokenshim.toml:60: `access_log.format`: must be a string in quotes, not a boolean
tokenshim.toml:61: `access_log.file`: must be a path, or "-" for stdout
tokenshim.toml:63: `access_log.log`: unknown key, did you mean `log`?
TOKENSHIM_COLOUR_OF_THE_SHED: unknown variable
TOKENSHIM_LISTEN: must be IP:PORT such as "127.0.0.1:8009" or "[::1]:8009", "unix:/PATH" or "fd:NAME", not ":80"
TOKENSHIM_ROUTE__HOST: unknown variable: write what is in [[route]] into the file
TOKENSHIM_TIMEOUTS__HEAD: must be a number and a unit such as "10s", "500ms" or "2m", not "soon"
TOKENSHIM_TIMEOUT__HEAD: unknown variable, did you mean TOKENSHIM_TIMEOUTS__HEAD?
--listen: must be IP:PORT such as "127.0.0.1:8009" or "[::1]:8009", "unix:/PATH" or "fd:NAME", not "8009""#;

#[test]
fn every_problem_is_told_at_once() {
    let environment = [
        ("PATH", "/bin"),
        ("TOKENSHIM_TIMEOUTS__HEAD", "soon"),
        ("TOKENSHIM_TIMEOUT__HEAD", "10s"),
        ("TOKENSHIM_LISTEN", "127.0.0.1:8009,:80"),
        ("TOKENSHIM_COLOUR_OF_THE_SHED", "green"),
        ("TOKENSHIM_ROUTE__HOST", "example.org"),
    ];
    let flags = Flags {
        listen: vec!["8009".into()],
        upstream: None,
    };
    let problems = from_all(WRONG, &environment, flags).expect_err("nearly every line is wrong");
    assert_eq!(problems.to_string(), COMPLAINTS);
    assert_eq!(problems.iter().count(), COMPLAINTS.lines().count());
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
            .map(|listen| listen.address.to_string())
            .collect::<Vec<_>>()
    };

    let config = from_file(file).unwrap();
    assert_eq!(default_route(&config).upstream.to_string(), "unix:/file");
    assert_eq!(addresses(&config), ["127.0.0.1:1"]);

    let config = from_all(file, &environment, Flags::default()).unwrap();
    assert_eq!(
        default_route(&config).upstream.to_string(),
        "unix:/environment"
    );
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
    assert_eq!(default_route(&config).upstream.to_string(), "unix:/flag");
    assert_eq!(addresses(&config), ["127.0.0.1:3", "[::1]:3"]);
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
