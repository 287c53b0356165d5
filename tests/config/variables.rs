//! Every key through its variable.

use tokenshim::config::keys;

use super::from_environment;

#[test]
fn every_key_has_its_variable() {
    for (variable, value, line) in CASES {
        let environment = [&NEEDED[..], &[(variable, value)]].concat();
        let config = from_environment(&environment).expect(variable);
        assert!(
            config.to_toml().lines().any(|printed| printed == line),
            "{variable}\n{}",
            config.to_toml()
        );
    }
    let is_for_the_file = |key: &&str| {
        let section = key.split('.').next();
        section.is_some_and(|section| ["listen", "certificate", "route"].contains(&section))
            && *key != "listen"
    };
    // One variable stands here twice.
    assert_eq!(
        CASES.len() - 1,
        keys().filter(|key| !is_for_the_file(key)).count()
    );
}

/// What some of them mean nothing without; what comes later is stronger.
const NEEDED: [(&str, &str); 6] = [
    ("TOKENSHIM_UPSTREAM", "unix:/x"),
    ("TOKENSHIM_RELOCATE__PROFILE", "appservice"),
    ("TOKENSHIM_VERIFY__MODE", "introspect"),
    ("TOKENSHIM_VERIFY__INTROSPECTION_ENDPOINT", "https://h/i"),
    ("TOKENSHIM_VERIFY__CLIENT_ID", "c"),
    ("TOKENSHIM_VERIFY__CLIENT_SECRET_FILE", "/c"),
];

/// Variable, value, and the line of `print-config` that comes of it.
const CASES: [(&str, &str, &str); 69] = [
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
    ("TOKENSHIM_RELOCATE__MODE", "refuse", "mode = \"refuse\""),
    (
        "TOKENSHIM_RELOCATE__REFUSE_AFTER",
        "2027-01-31",
        "refuse_after = \"2027-01-31\"",
    ),
    (
        "TOKENSHIM_RELOCATE__CLIENTS",
        "curl=refuse, a=b/1=relocate",
        "clients = [\"curl=refuse\", \"a=b/1=relocate\"]",
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
    (
        "TOKENSHIM_RELOCATE__TOKEN",
        "to-query",
        "token = \"to-query\"",
    ),
    (
        "TOKENSHIM_RELOCATE__LEGACY_PATHS",
        "true",
        "legacy_paths = true",
    ),
    ("TOKENSHIM_VERIFY__MODE", "off", "mode = \"off\""),
    (
        "TOKENSHIM_VERIFY__FORWARD_TOKEN",
        "true",
        "forward_token = true",
    ),
    (
        "TOKENSHIM_VERIFY__ALLOW",
        "@*:hs.example, ci",
        "allow = [\"@*:hs.example\", \"ci\"]",
    ),
    (
        "TOKENSHIM_VERIFY__DENY",
        "@a:hs.example",
        "deny = [\"@a:hs.example\"]",
    ),
    ("TOKENSHIM_VERIFY__LEARN_TTL", "2m", "learn_ttl = \"120s\""),
    ("TOKENSHIM_VERIFY__VALID_TTL", "1h", "valid_ttl = \"3600s\""),
    (
        "TOKENSHIM_VERIFY__UNKNOWN_TTL",
        "7s",
        "unknown_ttl = \"7s\"",
    ),
    ("TOKENSHIM_VERIFY__ENTRIES", "1000", "entries = 1000"),
    ("TOKENSHIM_VERIFY__TIMEOUT", "1m", "timeout = \"60s\""),
    (
        "TOKENSHIM_VERIFY__ON_FAILURE",
        "forward",
        "on_failure = \"forward\"",
    ),
    ("TOKENSHIM_VERIFY__BAD_TOKENS", "0", "bad_tokens = 0"),
    (
        "TOKENSHIM_VERIFY__BAD_TOKENS_WINDOW",
        "7s",
        "bad_tokens_window = \"7s\"",
    ),
    (
        "TOKENSHIM_VERIFY__HOMESERVER",
        "https://hs.example",
        "homeserver = \"https://hs.example\"",
    ),
    (
        "TOKENSHIM_VERIFY__INTROSPECTION_ENDPOINT",
        "http://[::1]:1/a?b=/c",
        "introspection_endpoint = \"http://[::1]:1/a?b=/c\"",
    ),
    ("TOKENSHIM_VERIFY__CLIENT_ID", "a b", "client_id = \"a b\""),
    (
        "TOKENSHIM_VERIFY__CLIENT_SECRET_FILE",
        "/s",
        "client_secret_file = \"/s\"",
    ),
    (
        "TOKENSHIM_VERIFY__SCOPE",
        "openid,urn:x:*",
        "scope = [\"openid\", \"urn:x:*\"]",
    ),
    (
        "TOKENSHIM_VERIFY__SERVER_NAME",
        "hs.example:8448",
        "server_name = \"hs.example:8448\"",
    ),
    (
        "TOKENSHIM_VERIFY__TOKENS_FILE",
        "/tokens",
        "tokens_file = \"/tokens\"",
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
    (
        "TOKENSHIM_UPSTREAM_PROXY_PROTOCOL",
        "v2",
        "upstream_proxy_protocol = \"v2\"",
    ),
    ("TOKENSHIM_TLS__MINIMUM", "1.3", "minimum = \"1.3\""),
    (
        "TOKENSHIM_TLS__CLIENT_CERTIFICATES",
        "off",
        "client_certificates = \"off\"",
    ),
    (
        "TOKENSHIM_TLS__CLIENT_CA_FILE",
        "/ca",
        "client_ca_file = \"/ca\"",
    ),
    (
        "TOKENSHIM_UPSTREAM_TLS__CA_FILE",
        "/ca",
        "ca_file = \"/ca\"",
    ),
    (
        "TOKENSHIM_UPSTREAM_TLS__SERVER_NAME",
        "2001:db8::7",
        "server_name = \"2001:db8::7\"",
    ),
    ("TOKENSHIM_UPSTREAM_TLS__HTTP2", "true", "http2 = true"),
    (
        "TOKENSHIM_LIMITS__HEAD_SIZE",
        "65536B",
        "head_size = \"64KiB\"",
    ),
    ("TOKENSHIM_LIMITS__HEAD_FIELDS", "7", "head_fields = 7"),
    (
        "TOKENSHIM_LIMITS__TARGET_LENGTH",
        "100B",
        "target_length = \"100B\"",
    ),
    (
        "TOKENSHIM_LIMITS__BODY_SIZE",
        "1024MiB",
        "body_size = \"1GiB\"",
    ),
    ("TOKENSHIM_LIMITS__BODY_RATE", "0", "body_rate = \"0\""),
    ("TOKENSHIM_LIMITS__CONNECTIONS", "7", "connections = 7"),
    (
        "TOKENSHIM_LIMITS__CONNECTIONS_PER_ADDRESS",
        "0",
        "connections_per_address = 0",
    ),
    ("TOKENSHIM_LIMITS__IN_FLIGHT", "7", "in_flight = 7"),
    ("TOKENSHIM_LIMITS__H2_STREAMS", "7", "h2_streams = 7"),
    ("TOKENSHIM_TIMEOUTS__HANDSHAKE", "7s", "handshake = \"7s\""),
    (
        "TOKENSHIM_ADMIN__LISTEN",
        "unix:/admin",
        "listen = \"unix:/admin\"",
    ),
    ("TOKENSHIM_LOG__FORMAT", "json", "format = \"json\""),
    (
        "TOKENSHIM_LISTEN",
        "127.0.0.1:1",
        "address = \"127.0.0.1:1\"",
    ),
    ("TOKENSHIM_UPSTREAM", "unix:/a", "upstream = \"unix:/a\""),
];
