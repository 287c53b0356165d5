//! A configuration back as the file that would make it.

use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use super::key::{self, Key};
use super::size::Size;
use super::{
    Address, Check, Config, Limits, Listen, LogFile, Relocate, Route, Timeouts, Tls, UpstreamTls,
    Verify, relocate,
};

/// Every key with its effective value, in the order of the documentation.
///
/// Without a default route there is no `upstream`, and nothing that `[relocate]` and
/// some of `[verify]` would be for: each route has its own.
pub(super) fn to_toml(config: &Config) -> String {
    let default = config.routes.iter().find(|route| route.is_default());
    let mut page = Page::default();
    if let Some(route) = default {
        page.put(key::UPSTREAM, &quoted(&route.upstream));
    }
    let header = quoted(config.upstream_proxy_protocol);
    page.put(key::UPSTREAM_PROXY_PROTOCOL, &header);
    page.put(key::WORKERS, &config.workers.to_string());
    let trusted = list(config.trusted_proxies.entries());
    page.put(key::TRUSTED_PROXIES, &trusted);
    page.put(key::DRAIN_TIMEOUT, &time(config.drain_timeout));
    for listen in &config.listen {
        put_listen(&mut page, listen);
    }
    put_tls(&mut page, config);
    for route in config.routes.iter().filter(|route| !route.is_default()) {
        put_route(&mut page, route);
    }
    if let Some(route) = default {
        put_relocate(&mut page, &relocate::IN_SECTION, &route.relocate);
        let keys = [key::VERIFY_MODE, key::FORWARD_TOKEN, key::ALLOW, key::DENY];
        put_check(&mut page, keys, &route.check);
    }
    put_verify(&mut page, &config.verify);
    put_limits(&mut page, &config.limits);
    put_timeouts(&mut page, &config.timeouts);
    put_logs(&mut page, config);
    page.put(key::ADMIN_LISTEN, &optional(config.admin.as_ref()));
    page.lines.join("\n") + "\n"
}

fn put_listen(page: &mut Page, listen: &Listen) {
    page.open_table(key::LISTEN);
    page.put(key::LISTEN_ADDRESS, &quoted(&listen.address));
    if let Address::Unix { mode, owner, .. } = &listen.address {
        page.put(key::LISTEN_MODE, &format!("\"{mode:04o}\""));
        page.put(key::LISTEN_OWNER, &optional(owner.as_ref()));
    }
    page.put(key::LISTEN_ROLE, &quoted(listen.role));
    page.put(key::LISTEN_TLS, &listen.tls.to_string());
    page.put(key::LISTEN_HTTP2, &listen.http2.to_string());
    let header = listen.proxy_protocol.to_string();
    page.put(key::LISTEN_PROXY_PROTOCOL, &header);
}

fn put_tls(page: &mut Page, config: &Config) {
    for certificate in &config.certificates {
        page.open_table(key::CERTIFICATE);
        page.put(key::CERTIFICATE_CHAIN, &path(&certificate.chain));
        page.put(key::CERTIFICATE_KEY, &path(&certificate.key));
    }
    let Tls {
        minimum,
        client_certificates,
        client_ca_file,
    } = &config.tls;
    page.put(key::TLS_MINIMUM, &quoted(minimum));
    page.put(key::CLIENT_CERTIFICATES, &quoted(client_certificates));
    page.put(
        key::CLIENT_CA_FILE,
        &optional_path(client_ca_file.as_deref()),
    );
    let UpstreamTls {
        ca_file,
        server_name,
        http2,
    } = &config.upstream_tls;
    page.put(key::UPSTREAM_CA_FILE, &optional_path(ca_file.as_deref()));
    page.put(key::UPSTREAM_SERVER_NAME, &optional(server_name.as_ref()));
    page.put(key::UPSTREAM_HTTP2, &http2.to_string());
}

fn put_route(page: &mut Page, route: &Route) {
    page.open_table(key::ROUTE);
    if let Some(host) = &route.host {
        page.put(key::ROUTE_HOST, &quoted(host));
    }
    if let Some(path) = &route.path {
        page.put(key::ROUTE_PATH, &quoted(path));
    }
    page.put(key::ROUTE_UPSTREAM, &quoted(&route.upstream));
    put_relocate(page, &relocate::IN_ROUTE, &route.relocate);
    let keys = [
        key::ROUTE_VERIFY,
        key::ROUTE_FORWARD_TOKEN,
        key::ROUTE_ALLOW,
        key::ROUTE_DENY,
    ];
    put_check(page, keys, &route.check);
}

fn put_relocate(page: &mut Page, keys: &relocate::Keys, relocate: &Relocate) {
    page.put(keys.profile, &quoted(relocate.profile));
    page.put(keys.mode, &quoted(relocate.mode));
    page.put(keys.refuse_after, &optional(relocate.refuse_after));
    page.put(keys.clients, &list(relocate.clients.iter()));
    let parameters = relocate
        .parameters
        .iter()
        .map(|name| String::from_utf8_lossy(name));
    page.put(keys.parameters, &list(parameters));
    page.put(keys.repeated, &quoted(relocate.repeated));
    page.put(keys.conflict, &quoted(relocate.conflict));
    page.put(keys.form_body, &quoted(relocate.form_body));
    page.put(keys.open, &quoted(relocate.open));
    page.put(keys.deprecation, &optional(relocate.deprecation));
    page.put(keys.sunset, &optional(relocate.sunset));
    page.put(keys.token, &quoted(relocate.token));
    page.put(keys.legacy_paths, &relocate.legacy_paths.to_string());
}

fn put_check(page: &mut Page, keys: [Key; 4], check: &Check) {
    let [mode, forward_token, allow, deny] = keys;
    page.put(mode, &quoted(check.mode));
    page.put(forward_token, &check.forward_token.to_string());
    page.put(allow, &list(check.allow.iter()));
    page.put(deny, &list(check.deny.iter()));
}

fn put_verify(page: &mut Page, verify: &Verify) {
    page.put(key::LEARN_TTL, &time(verify.learn_ttl));
    page.put(key::VALID_TTL, &time(verify.valid_ttl));
    page.put(key::UNKNOWN_TTL, &time(verify.unknown_ttl));
    page.put(key::ENTRIES, &verify.entries.to_string());
    page.put(key::VERIFY_TIMEOUT, &time(verify.timeout));
    page.put(key::ON_FAILURE, &quoted(verify.on_failure));
    let bad_tokens = verify.bad_tokens.unwrap_or(0);
    page.put(key::BAD_TOKENS, &bad_tokens.to_string());
    page.put(key::BAD_TOKENS_WINDOW, &time(verify.bad_tokens_window));
    page.put(key::HOMESERVER, &optional(verify.homeserver.as_ref()));
    let oauth = verify.introspection.as_ref();
    let endpoint = oauth.map(|oauth| format!("{}{}", oauth.server, oauth.path));
    page.put(key::INTROSPECTION_ENDPOINT, &optional(endpoint));
    let client_id = optional(oauth.map(|oauth| &oauth.client_id));
    page.put(key::CLIENT_ID, &client_id);
    let secret_file = optional_path(oauth.map(|oauth| oauth.client_secret_file.as_path()));
    page.put(key::CLIENT_SECRET_FILE, &secret_file);
    let scope = oauth.map(|oauth| oauth.scope.as_slice());
    page.put(key::SCOPE, &list(scope.unwrap_or_default().iter()));
    let server_name = oauth.and_then(|oauth| oauth.server_name.as_ref());
    page.put(key::SERVER_NAME, &optional(server_name));
    page.put(
        key::TOKENS_FILE,
        &optional_path(verify.tokens_file.as_deref()),
    );
}

fn put_limits(page: &mut Page, limits: &Limits) {
    page.put(key::HEAD_SIZE, &size(limits.head_size));
    page.put(key::HEAD_FIELDS, &limits.head_fields.to_string());
    page.put(key::TARGET_LENGTH, &size(limits.target_length));
    page.put(key::BODY_SIZE, &quoted(Size(limits.body_size.unwrap_or(0))));
    page.put(key::BODY_RATE, &quoted(Size(limits.body_rate.unwrap_or(0))));
    let count = |limit: Option<usize>| limit.unwrap_or(0).to_string();
    page.put(key::CONNECTIONS, &count(limits.connections));
    let per_address = count(limits.connections_per_address);
    page.put(key::CONNECTIONS_PER_ADDRESS, &per_address);
    page.put(key::IN_FLIGHT, &count(limits.in_flight));
    page.put(key::H2_STREAMS, &limits.h2_streams.to_string());
}

fn put_timeouts(page: &mut Page, timeouts: &Timeouts) {
    page.put(key::HANDSHAKE, &time(timeouts.handshake));
    page.put(key::HEAD, &time(timeouts.head));
    page.put(key::IDLE, &time(timeouts.idle));
    page.put(key::BODY, &time(timeouts.body));
    page.put(key::SEND, &time(timeouts.send));
    page.put(key::CONNECT, &time(timeouts.connect));
    page.put(key::RESPONSE, &time(timeouts.response));
    page.put(key::UPSTREAM_IDLE, &time(timeouts.upstream_idle));
    page.put(key::TUNNEL, &time(timeouts.tunnel));
}

fn put_logs(page: &mut Page, config: &Config) {
    let Config {
        access_log, log, ..
    } = config;
    page.put(key::ACCESS_LOG_FORMAT, &quoted(access_log.format));
    let file = match &access_log.file {
        LogFile::Stdout => quoted("-"),
        LogFile::Path(file) => path(file),
    };
    page.put(key::ACCESS_LOG_FILE, &file);
    let key_file = access_log.fingerprint_key_file.as_deref();
    page.put(key::FINGERPRINT_KEY_FILE, &optional_path(key_file));
    page.put(key::LOG_LEVEL, &quoted(log.level));
    page.put(key::LOG_FORMAT, &quoted(log.format));
}

/// A file in the making, and the section it has come to.
#[derive(Default)]
struct Page {
    lines: Vec<String>,
    section: &'static str,
}

impl Page {
    fn put(&mut self, key: Key, literal: &str) {
        let (section, name) = key.parts();
        if section != self.section {
            self.open(section, &format!("[{section}]"));
        }
        self.lines.push(format!("{name} = {literal}"));
    }

    /// Begins the next table of a `[[key]]`.
    fn open_table(&mut self, key: Key) {
        self.open(key.path(), &format!("[[{}]]", key.path()));
    }

    fn open(&mut self, section: &'static str, header: &str) {
        self.section = section;
        self.lines.extend([String::new(), header.to_owned()]);
    }
}

/// In seconds where they are whole, so that values compare at a glance.
fn time(duration: Duration) -> String {
    if duration.subsec_nanos() == 0 {
        quoted(format_args!("{}s", duration.as_secs()))
    } else if duration.subsec_nanos().is_multiple_of(1_000_000) {
        quoted(format_args!("{}ms", duration.as_millis()))
    } else {
        quoted(format_args!("{}ns", duration.as_nanos()))
    }
}

fn size(bytes: usize) -> String {
    // No machine has more bytes than this can count.
    quoted(Size(u64::try_from(bytes).unwrap_or(u64::MAX)))
}

fn path(path: &Path) -> String {
    quoted(path.display())
}

fn optional_path(path: Option<&Path>) -> String {
    optional(path.map(Path::display))
}

/// An empty string stands for nothing.
fn optional(value: Option<impl Display>) -> String {
    value.map_or_else(|| quoted(""), quoted)
}

fn list(values: impl Iterator<Item = impl Display>) -> String {
    let values: Vec<String> = values.map(quoted).collect();
    format!("[{}]", values.join(", "))
}

/// A basic string of TOML.
fn quoted(value: impl Display) -> String {
    let escape = |character: char| match character {
        '"' | '\\' => format!("\\{character}"),
        control if control.is_control() => format!("\\u{:04X}", u32::from(control)),
        plain => plain.to_string(),
    };
    let escaped: String = value.to_string().chars().map(escape).collect();
    format!("\"{escaped}\"")
}
