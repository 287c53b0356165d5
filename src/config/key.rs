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
    WORKERS = "workers";
    TRUSTED_PROXIES = "trusted_proxies";
    DRAIN_TIMEOUT = "drain_timeout";
    LISTEN = "listen";
    LISTEN_ADDRESS = "listen.address";
    LISTEN_MODE = "listen.mode";
    PROFILE = "relocate.profile";
    PARAMETERS = "relocate.parameters";
    REPEATED = "relocate.repeated";
    CONFLICT = "relocate.conflict";
    FORM_BODY = "relocate.form_body";
    OPEN = "relocate.open";
    DEPRECATION = "relocate.deprecation";
    SUNSET = "relocate.sunset";
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
}

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

    /// `TOKENSHIM_SECTION__KEY`; none inside `[[listen]]`, which one variable holds whole.
    pub(super) fn variable(self) -> Option<String> {
        (self.parts().0 != LISTEN.0).then(|| {
            format!(
                "{VARIABLE_PREFIX}{}",
                self.0.replace('.', "__").to_uppercase()
            )
        })
    }
}

/// The key written as `path`.
pub(super) fn find(path: &str) -> Option<Key> {
    ALL.iter().copied().find(|key| key.0 == path)
}

/// Every section, once for each of its keys.
pub(super) fn sections() -> impl Iterator<Item = &'static str> {
    ALL.iter()
        .map(|key| key.parts().0)
        .filter(|section| !section.is_empty())
}
