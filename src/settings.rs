//! What every worker has to know: the checked configuration, made ready to use.

use std::{fs, io, path::PathBuf, sync::Arc};

use crate::{
    config::{Config, Timeouts, TrustedProxies, Upstream},
    redact::Redactor,
    relocate::Policy,
    response::Moved,
    secret::{FingerprintKey, ShortKey},
};

/// The settings of a worker.
#[derive(Debug)]
pub struct Settings {
    /// Where requests go.
    pub upstream: Upstream,
    /// What to do about tokens.
    pub policy: Policy,
    /// What answers to moved requests gain.
    pub moved: Moved,
    /// The phases.
    pub timeouts: Timeouts,
    /// Peers whose word about their client counts.
    pub trusted: TrustedProxies,
    /// The key of the log's fingerprints.
    pub fingerprint_key: FingerprintKey,
    /// What masks the log.
    pub redactor: Arc<Redactor>,
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
}

impl Settings {
    /// Reads what the configuration names.
    ///
    /// # Errors
    ///
    /// [`SettingsError`].
    pub fn new(config: &Config) -> Result<Self, SettingsError> {
        let policy = Policy::from(&config.relocate);
        Ok(Self {
            upstream: config.upstream.clone(),
            moved: Moved {
                deprecation: config
                    .relocate
                    .deprecation
                    .as_ref()
                    .map(ToString::to_string),
                sunset: config.relocate.sunset.as_ref().map(ToString::to_string),
            },
            timeouts: config.timeouts.clone(),
            trusted: config.trusted_proxies.clone(),
            fingerprint_key: fingerprint_key(config)?,
            redactor: Arc::new(Redactor::with_parameters(policy.names.as_slice())),
            policy,
        })
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

/// The key from its file, or one for this run of the process.
fn fingerprint_key(config: &Config) -> Result<FingerprintKey, SettingsError> {
    let Some(path) = &config.access_log.fingerprint_key_file else {
        let mut key = [0; 32];
        getrandom::fill(&mut key)
            .map_err(|error| SettingsError::Randomness(io::Error::other(error)))?;
        // 32 bytes are never too short.
        return FingerprintKey::new(&key)
            .map_err(|error| SettingsError::Randomness(io::Error::other(error)));
    };
    let key = zeroize::Zeroizing::new(fs::read(path).map_err(|source| SettingsError::KeyFile {
        path: path.clone(),
        source,
    })?);
    // A line break at the end is an editor's, not the key's.
    FingerprintKey::new(key.trim_ascii_end()).map_err(|source| SettingsError::Key {
        path: path.clone(),
        source,
    })
}
