//! Every key there is, in one list.
//!
//! Reading, "did you mean", the names of environment variables and the test of
//! the example file all go through it, so none of them can forget a key.

/// A key of the configuration; only this file makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key(&'static str);

macro_rules! keys {
    ($($name:ident = $path:literal;)+) => {
        $(pub(super) const $name: Key = Key($path);)+
        pub(super) const ALL: &[Key] = &[$($name),+];
    };
}

keys! {
    UPSTREAM = "upstream";
    UPSTREAM_PROXY_PROTOCOL = "upstream_proxy_protocol";
    WORKERS = "workers";
    TRUSTED_PROXIES = "trusted_proxies";
    DRAIN_TIMEOUT = "drain_timeout";
    LISTEN = "listen";
    LISTEN_ADDRESS = "listen.address";
    LISTEN_MODE = "listen.mode";
    LISTEN_OWNER = "listen.owner";
    LISTEN_ROLE = "listen.role";
    LISTEN_TLS = "listen.tls";
    LISTEN_HTTP2 = "listen.http2";
    LISTEN_PROXY_PROTOCOL = "listen.proxy_protocol";
    CERTIFICATE = "certificate";
    CERTIFICATE_CHAIN = "certificate.chain";
    CERTIFICATE_KEY = "certificate.key";
    TLS_MINIMUM = "tls.minimum";
    CLIENT_CERTIFICATES = "tls.client_certificates";
    CLIENT_CA_FILE = "tls.client_ca_file";
    UPSTREAM_CA_FILE = "upstream_tls.ca_file";
    UPSTREAM_SERVER_NAME = "upstream_tls.server_name";
    UPSTREAM_HTTP2 = "upstream_tls.http2";
    ROUTE = "route";
    ROUTE_HOST = "route.host";
    ROUTE_PATH = "route.path";
    ROUTE_UPSTREAM = "route.upstream";
    ROUTE_PROFILE = "route.profile";
    ROUTE_MODE = "route.mode";
    ROUTE_REFUSE_AFTER = "route.refuse_after";
    ROUTE_CLIENTS = "route.clients";
    ROUTE_PARAMETERS = "route.parameters";
    ROUTE_REPEATED = "route.repeated";
    ROUTE_CONFLICT = "route.conflict";
    ROUTE_FORM_BODY = "route.form_body";
    ROUTE_OPEN = "route.open";
    ROUTE_DEPRECATION = "route.deprecation";
    ROUTE_SUNSET = "route.sunset";
    ROUTE_TOKEN = "route.token";
    ROUTE_LEGACY_PATHS = "route.legacy_paths";
    ROUTE_VERIFY = "route.verify";
    ROUTE_FORWARD_TOKEN = "route.forward_token";
    ROUTE_ALLOW = "route.allow";
    ROUTE_DENY = "route.deny";
    PROFILE = "relocate.profile";
    RELOCATE_MODE = "relocate.mode";
    REFUSE_AFTER = "relocate.refuse_after";
    CLIENTS = "relocate.clients";
    PARAMETERS = "relocate.parameters";
    REPEATED = "relocate.repeated";
    CONFLICT = "relocate.conflict";
    FORM_BODY = "relocate.form_body";
    OPEN = "relocate.open";
    DEPRECATION = "relocate.deprecation";
    SUNSET = "relocate.sunset";
    TOKEN = "relocate.token";
    LEGACY_PATHS = "relocate.legacy_paths";
    VERIFY_MODE = "verify.mode";
    FORWARD_TOKEN = "verify.forward_token";
    ALLOW = "verify.allow";
    DENY = "verify.deny";
    LEARN_TTL = "verify.learn_ttl";
    VALID_TTL = "verify.valid_ttl";
    UNKNOWN_TTL = "verify.unknown_ttl";
    ENTRIES = "verify.entries";
    VERIFY_TIMEOUT = "verify.timeout";
    ON_FAILURE = "verify.on_failure";
    BAD_TOKENS = "verify.bad_tokens";
    BAD_TOKENS_WINDOW = "verify.bad_tokens_window";
    HOMESERVER = "verify.homeserver";
    INTROSPECTION_ENDPOINT = "verify.introspection_endpoint";
    CLIENT_ID = "verify.client_id";
    CLIENT_SECRET_FILE = "verify.client_secret_file";
    SCOPE = "verify.scope";
    SERVER_NAME = "verify.server_name";
    TOKENS_FILE = "verify.tokens_file";
    HEAD_SIZE = "limits.head_size";
    HEAD_FIELDS = "limits.head_fields";
    TARGET_LENGTH = "limits.target_length";
    BODY_SIZE = "limits.body_size";
    BODY_RATE = "limits.body_rate";
    CONNECTIONS = "limits.connections";
    CONNECTIONS_PER_ADDRESS = "limits.connections_per_address";
    IN_FLIGHT = "limits.in_flight";
    H2_STREAMS = "limits.h2_streams";
    HANDSHAKE = "timeouts.handshake";
    HEAD = "timeouts.head";
    IDLE = "timeouts.idle";
    BODY = "timeouts.body";
    SEND = "timeouts.send";
    CONNECT = "timeouts.connect";
    RESPONSE = "timeouts.response";
    UPSTREAM_IDLE = "timeouts.upstream_idle";
    TUNNEL = "timeouts.tunnel";
    ACCESS_LOG_FORMAT = "access_log.format";
    ACCESS_LOG_FILE = "access_log.file";
    FINGERPRINT_KEY_FILE = "access_log.fingerprint_key_file";
    LOG_LEVEL = "log.level";
    LOG_FORMAT = "log.format";
    ADMIN_LISTEN = "admin.listen";
}

/// The keys that are written `[[key]]`, as often as one likes.
const TABLES: [Key; 3] = [LISTEN, CERTIFICATE, ROUTE];

/// What the name of every variable begins with.
pub(super) const VARIABLE_PREFIX: &str = "TOKENSHIM_";

impl Key {
    /// The key with its section: `timeouts.head`.
    pub(super) fn path(self) -> &'static str {
        self.0
    }

    /// The section, empty for the top of the file, and the name inside it.
    pub(super) fn parts(self) -> (&'static str, &'static str) {
        self.0.split_once('.').unwrap_or(("", self.0))
    }

    /// Whether it is inside of a `[[table]]`, so that it may be there several times.
    pub(super) fn is_in_table(self) -> bool {
        let section = self.parts().0;
        TABLES.iter().any(|table| table.0 == section)
    }

    /// `TOKENSHIM_SECTION__KEY`; none for tables and what is in them, except for
    /// `[[listen]]`, whose addresses fit into one variable.
    pub(super) fn variable(self) -> Option<String> {
        let is_for_the_file = self.is_in_table() || (TABLES.contains(&self) && self != LISTEN);
        (!is_for_the_file).then(|| {
            let name = self.0.replace('.', "__").to_uppercase();
            format!("{VARIABLE_PREFIX}{name}")
        })
    }
}

/// The key written as `path`.
pub(super) fn find(path: &str) -> Option<Key> {
    ALL.iter().copied().find(|key| key.0 == path)
}

/// The `[[table]]` that a variable asks for, though only the file can have it.
pub(super) fn table_of(variable: &str) -> Option<&'static str> {
    let name = variable.strip_prefix(VARIABLE_PREFIX)?;
    let section = name.split("__").next()?;
    let table = TABLES
        .iter()
        .find(|table| table.0.eq_ignore_ascii_case(section));
    table.map(|table| table.0)
}

/// Every section, once for each of its keys.
pub(super) fn sections() -> impl Iterator<Item = &'static str> {
    ALL.iter()
        .map(|key| key.parts().0)
        .filter(|section| !section.is_empty())
}
