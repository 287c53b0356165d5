//! A configuration back as the file that would make it.

use std::fmt::Display;
use std::time::Duration;

use super::key::{self, Key};
use super::{Config, Listen, LogFile};

/// Every key with its effective value, in the order of the documentation.
pub(super) fn to_toml(config: &Config) -> String {
    let Config {
        upstream,
        workers,
        trusted_proxies,
        drain_timeout,
        listen,
        ..
    } = config;
    let mut page = Page::default();
    page.put(key::UPSTREAM, &quoted(upstream));
    page.put(key::WORKERS, &workers.to_string());
    page.put(key::TRUSTED_PROXIES, &list(trusted_proxies.entries()));
    page.put(key::DRAIN_TIMEOUT, &time(*drain_timeout));
    for listen in listen {
        page.open(key::LISTEN.path(), "[[listen]]");
        page.put(key::LISTEN_ADDRESS, &quoted(listen));
        if let Listen::Unix { mode, .. } = listen {
            page.put(key::LISTEN_MODE, &format!("\"{mode:04o}\""));
        }
    }
    put_sections(&mut page, config);
    page.lines.join("\n") + "\n"
}

fn put_sections(page: &mut Page, config: &Config) {
    let Config {
        relocate,
        timeouts,
        access_log,
        log,
        ..
    } = config;
    page.put(key::PROFILE, &quoted(relocate.profile));
    let parameters = relocate
        .parameters
        .iter()
        .map(|name| String::from_utf8_lossy(name));
    page.put(key::PARAMETERS, &list(parameters));
    page.put(key::REPEATED, &quoted(relocate.repeated));
    page.put(key::CONFLICT, &quoted(relocate.conflict));
    page.put(key::FORM_BODY, &quoted(relocate.form_body));
    page.put(key::OPEN, &quoted(relocate.open));
    page.put(key::DEPRECATION, &optional(relocate.deprecation));
    page.put(key::SUNSET, &optional(relocate.sunset));

    page.put(key::HEAD, &time(timeouts.head));
    page.put(key::IDLE, &time(timeouts.idle));
    page.put(key::BODY, &time(timeouts.body));
    page.put(key::SEND, &time(timeouts.send));
    page.put(key::CONNECT, &time(timeouts.connect));
    page.put(key::RESPONSE, &time(timeouts.response));
    page.put(key::UPSTREAM_IDLE, &time(timeouts.upstream_idle));
    page.put(key::TUNNEL, &time(timeouts.tunnel));

    page.put(key::ACCESS_LOG_FORMAT, &quoted(access_log.format));
    let file = match &access_log.file {
        LogFile::Stdout => quoted("-"),
        LogFile::Path(path) => quoted(path.display()),
    };
    page.put(key::ACCESS_LOG_FILE, &file);
    let key_file = access_log.fingerprint_key_file.as_ref();
    page.put(
        key::FINGERPRINT_KEY_FILE,
        &optional(key_file.map(|path| path.display())),
    );

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
