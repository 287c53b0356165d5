//! What every worker has to know: the checked configuration, made ready to use.
//!
//! A request is served with one [`Settings`] from its first byte to its last,
//! whatever is reloaded in the meantime.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    config::{Config, HostPattern, Limits, ProxyHeader, Route, Timeouts, TrustedProxies, Upstream},
    redact::Redactor,
    relocate::Policy,
    response::Moved,
    secret::{FingerprintKey, ShortKey, TokenKey},
    tls::{self, TlsError},
    verify::{Verifier, Verifiers, VerifyError, learn::Touch, rules::Rules},
};

/// The settings of all workers.
#[derive(Debug)]
pub struct Settings {
    /// Where requests go, and by which rules; the first that matches counts.
    pub sites: Vec<Site>,
    /// The phases.
    pub timeouts: Timeouts,
    /// What is too much.
    pub limits: Limits,
    /// Peers whose word about their client counts.
    pub trusted: TrustedProxies,
    /// The key of the log's fingerprints.
    pub fingerprint_key: FingerprintKey,
    /// Whether we made it up, and have to keep it.
    is_own_key: bool,
    /// What masks the log.
    pub redactor: Arc<Redactor>,
    /// TLS towards upstreams; there only if one of them wants it.
    pub upstream_tls: Option<Arc<tls::Client>>,
    /// What an upstream connection begins with.
    pub upstream_proxy_protocol: ProxyHeader,
    /// Who knows tokens; several sites may share one.
    pub verifiers: Verifiers,
}

/// One upstream, and the rules for what goes there.
#[derive(Debug)]
pub struct Site {
    /// The hosts it is for; `None` for all.
    pub host: Option<HostPattern>,
    /// The path it is for, with everything below; `None` for all.
    pub path: Option<String>,
    /// Where requests go.
    pub upstream: Upstream,
    /// What to do about tokens.
    pub policy: Policy,
    /// What answers to moved requests gain.
    pub moved: Moved,
    /// Who knows its tokens, if anybody is to be asked.
    pub verifier: Option<Arc<Verifier>>,
    /// Whose tokens may come in.
    pub rules: Rules,
    /// Whether the upstream gets the token of a request that was let in.
    pub forwards_token: bool,
}

/// Why the configuration cannot be used, though it can be read.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The key file.
    #[error("`access_log.fingerprint_key_file` ({path}) cannot be read", path = .path.display())]
    KeyFile {
        /// Its path.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// What is in it.
    #[error("`access_log.fingerprint_key_file` ({path}) cannot be used", path = .path.display())]
    Key {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: ShortKey,
    },
    /// No randomness for a key of our own.
    #[error("no random bytes for a fingerprint key")]
    Randomness(#[source] io::Error),
    /// TLS towards upstreams.
    #[error(transparent)]
    UpstreamTls(#[from] TlsError),
    /// Who knows tokens.
    #[error(transparent)]
    Verify(#[from] VerifyError),
}

impl Settings {
    /// Reads what the configuration names. A key that we made up ourselves is
    /// taken over from `previous`, so that fingerprints outlive a reload.
    ///
    /// # Errors
    ///
    /// [`SettingsError`].
    pub fn new(config: &Config, previous: Option<&Self>) -> Result<Self, SettingsError> {
        let upstream_tls = if config.routes.iter().any(|route| route.upstream.is_tls()) {
            Some(Arc::new(tls::Client::new(&config.upstream_tls)?))
        } else {
            None
        };
        let verifiers = Verifiers::new(config, previous.map(|previous| &previous.verifiers))?;
        let sites: Vec<Site> = config
            .routes
            .iter()
            .map(|route| Site::new(route, verifiers.of(route)))
            .collect();
        let parameters: Vec<&[u8]> = sites
            .iter()
            .flat_map(|site| site.policy.names.as_slice())
            .map(Vec::as_slice)
            .collect();
        let (fingerprint_key, is_own_key) = match &config.access_log.fingerprint_key_file {
            Some(path) => (read_key(path)?, false),
            None => (own_key(previous)?, true),
        };
        Ok(Self {
            redactor: Arc::new(Redactor::with_parameters(&parameters)),
            sites,
            timeouts: config.timeouts.clone(),
            limits: config.limits.clone(),
            trusted: config.trusted_proxies.clone(),
            fingerprint_key,
            is_own_key,
            upstream_tls,
            upstream_proxy_protocol: config.upstream_proxy_protocol,
            verifiers,
        })
    }

    /// Whatever is remembered of the tokens in `touch` may be void; the key is that of the
    /// request's token, which did it, or, unless that `is_certain`, may have.
    pub fn forget(&self, (touch, key): &(Touch, Option<TokenKey>), is_certain: bool) {
        self.verifiers.forget(touch, *key, is_certain);
    }

    /// Whether an upstream connection may carry requests of several clients.
    ///
    /// Not if it begins with the address of one: behind a proxy, the next request
    /// of the same client connection may have another client.
    #[must_use]
    pub fn shares_upstream_connections(&self) -> bool {
        self.upstream_proxy_protocol == ProxyHeader::Off
    }
}

impl Site {
    fn new(route: &Route, verifier: Option<Arc<Verifier>>) -> Self {
        Self {
            verifier,
            rules: Rules::from(&route.check),
            forwards_token: route.check.forward_token,
            host: route.host.clone(),
            path: route.path.clone(),
            upstream: route.upstream.clone(),
            policy: Policy::from(&route.relocate),
            moved: Moved {
                deprecation: route.relocate.deprecation.as_ref().map(ToString::to_string),
                sunset: route.relocate.sunset.as_ref().map(ToString::to_string),
            },
        }
    }

    /// Whether a token must be known before a request may pass.
    #[must_use]
    pub fn verifies(&self) -> bool {
        self.verifier
            .as_ref()
            .is_some_and(|verifier| verifier.asks())
    }

    /// Whether requests to this host belong here. `host` may have a port.
    #[must_use]
    pub fn is_for_host(&self, host: &[u8]) -> bool {
        let Some(wanted) = &self.host else {
            return true;
        };
        let name = without_port(host);
        match wanted {
            HostPattern::Exact(wanted) => name.eq_ignore_ascii_case(wanted.as_bytes()),
            HostPattern::Below(parent) => {
                let Some((label, rest)) = name
                    .len()
                    .checked_sub(parent.len())
                    .and_then(|at| name.split_at_checked(at))
                else {
                    return false;
                };
                label.len() > 1
                    && label.ends_with(b".")
                    && rest.eq_ignore_ascii_case(parent.as_bytes())
            }
        }
    }

    /// The `Host` for a client that sends none.
    #[must_use]
    pub fn upstream_authority(&self) -> &[u8] {
        match &self.upstream {
            Upstream::Tcp { authority, .. } => authority.as_bytes(),
            Upstream::Unix { .. } => b"localhost",
        }
    }
}

/// `Host` without its port, and without the root's dot.
fn without_port(host: &[u8]) -> &[u8] {
    let end = match host {
        [b'[', ..] => memchr::memchr(b']', host).map(|at| at.saturating_add(1)),
        _ => memchr::memchr(b':', host),
    };
    let name = end.and_then(|end| host.get(..end)).unwrap_or(host);
    name.strip_suffix(b".").unwrap_or(name)
}

fn read_key(path: &Path) -> Result<FingerprintKey, SettingsError> {
    let key = zeroize::Zeroizing::new(fs::read(path).map_err(|source| SettingsError::KeyFile {
        path: path.to_owned(),
        source,
    })?);
    // A line break at the end is an editor's, not the key's.
    FingerprintKey::new(key.trim_ascii_end()).map_err(|source| SettingsError::Key {
        path: path.to_owned(),
        source,
    })
}

/// The key that we made up before, or a new one. One that came from a file is not
/// kept when the file is no longer named: whoever took it out wants it gone.
fn own_key(previous: Option<&Settings>) -> Result<FingerprintKey, SettingsError> {
    if let Some(previous) = previous.filter(|previous| previous.is_own_key) {
        return Ok(previous.fingerprint_key.clone());
    }
    let mut key = [0; 32];
    getrandom::fill(&mut key)
        .map_err(|error| SettingsError::Randomness(io::Error::other(error)))?;
    // 32 bytes are never too short.
    FingerprintKey::new(&key).map_err(|error| SettingsError::Randomness(io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_hosts() {
        let exact = || Some(HostPattern::Exact("hs.example".into()));
        let below = || Some(HostPattern::Below("example".into()));
        let cases = [
            ("any", None, "whatever:80", true),
            ("same", exact(), "hs.example", true),
            ("case and port", exact(), "HS.Example:8448", true),
            ("root dot", exact(), "hs.example.", true),
            ("another", exact(), "hs2.example", false),
            ("below", below(), "hs.example:1", true),
            ("further below", below(), "a.b.example", true),
            ("the parent itself", below(), "example", false),
            ("only a dot", below(), ".example", false),
            ("no label's end", below(), "hsexample", false),
            ("no host", exact(), "", false),
            (
                "address",
                Some(HostPattern::Exact("[::1]".into())),
                "[::1]:80",
                true,
            ),
        ];
        for (name, host, asked, expected) in cases {
            let site = Site {
                host,
                path: None,
                upstream: Upstream::Unix { path: "/s".into() },
                policy: Policy::from(&crate::config::Relocate::default()),
                moved: Moved::default(),
                verifier: None,
                rules: Rules::default(),
                forwards_token: true,
            };
            assert_eq!(site.is_for_host(asked.as_bytes()), expected, "case: {name}");
        }
    }
}
