//! Who knows the tokens of which route.

use std::{io, path::PathBuf, sync::Arc};

use super::{
    ask::{Ask, Issuer},
    bad_tokens::BadTokens,
    introspect::{Credentials, Endpoint},
    learn::Touch,
    memo::Belief,
    memory::Memory,
    rules::Rules,
    tokens::{Tokens, TokensError},
    verifier::{Source, Verifier},
};
use crate::{
    config::{self, Config, Route, Upstream, UpstreamTls, VerifyMode},
    secret::TokenKey,
    tls::{self, TlsError},
};

/// Why nobody can be asked.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The tokens file.
    #[error(transparent)]
    Tokens(#[from] TokensError),
    /// The client secret.
    #[error("`verify.client_secret_file` ({path}) cannot be read", path = .path.display())]
    Secret {
        /// Its path.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// What the configuration has to have, and has not.
    #[error("`{0}` is missing")]
    Incomplete(&'static str),
    /// The endpoint.
    #[error("`verify.introspection_endpoint` is no endpoint")]
    Endpoint(#[source] http::uri::InvalidUri),
    /// TLS to the issuer.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The thread that asks.
    #[error("cannot start to ask about tokens")]
    Thread(#[source] io::Error),
    /// What the memory of verdicts is spread by.
    #[error("no randomness from the operating system")]
    Randomness(#[source] io::Error),
}

/// All who know tokens.
#[derive(Debug)]
pub struct Verifiers {
    /// What they were made of.
    config: config::Verify,
    asks_admin: bool,
    all: Vec<(Kind, Arc<Verifier>)>,
    bad_tokens: Arc<BadTokens>,
}

/// What tells one from another; routes of the same kind share one.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Learn(Upstream),
    Whoami,
    Introspect,
    File,
}

impl Kind {
    fn of(route: &Route) -> Option<Self> {
        match route.check.mode {
            VerifyMode::Learn => Some(Self::Learn(route.upstream.clone())),
            VerifyMode::Whoami => Some(Self::Whoami),
            VerifyMode::Introspect => Some(Self::Introspect),
            VerifyMode::File => Some(Self::File),
            VerifyMode::Off => None,
        }
    }
}

impl Verifiers {
    /// Makes all that the routes need; what the configuration has not changed is
    /// taken over from `previous`, with all that it remembers. Files are read anew.
    ///
    /// # Errors
    ///
    /// [`VerifyError`].
    pub fn new(config: &Config, previous: Option<&Self>) -> Result<Self, VerifyError> {
        let verify = &config.verify;
        let asks_admin = config
            .routes
            .iter()
            .any(|route| Rules::from(&route.check).asks_admin());
        let previous = previous
            .filter(|previous| previous.config == *verify && previous.asks_admin == asks_admin);
        let bad_tokens = if let Some(previous) = previous {
            Arc::clone(&previous.bad_tokens)
        } else {
            let window = verify.bad_tokens_window;
            Arc::new(BadTokens::new(verify.bad_tokens, window, seed()?))
        };
        let mut verifiers = Self {
            config: verify.clone(),
            asks_admin,
            all: Vec::new(),
            bad_tokens,
        };
        for kind in config.routes.iter().filter_map(Kind::of) {
            if verifiers.get(&kind).is_some() {
                continue;
            }
            let kept = previous.filter(|_| verifiers.outlives_reload(&kind));
            let verifier = match kept.and_then(|previous| previous.get(&kind)) {
                Some(verifier) => verifier,
                None => Arc::new(verifiers.make(&kind, config)?),
            };
            verifiers.all.push((kind, verifier));
        }
        Ok(verifiers)
    }

    /// Who knows the tokens of this route; `None` if nobody is asked.
    #[must_use]
    pub fn of(&self, route: &Route) -> Option<Arc<Verifier>> {
        self.get(&Kind::of(route)?)
    }

    /// Forgets what may be void; `key` is the token of the request that did it, or, unless
    /// that `is_certain`, may have.
    pub fn forget(&self, touch: &Touch, key: Option<TokenKey>, is_certain: bool) {
        for (_, verifier) in &self.all {
            verifier.forget(touch, key, is_certain);
        }
    }

    /// Whether a session that ends may void what is remembered: it may where somebody is
    /// asked, and never of what an upstream does not know.
    #[must_use]
    pub fn remember_users(&self) -> bool {
        self.all
            .iter()
            .any(|(kind, _)| matches!(kind, Kind::Whoami | Kind::Introspect))
    }

    fn get(&self, kind: &Kind) -> Option<Arc<Verifier>> {
        let (_, verifier) = self.all.iter().find(|(known, _)| known == kind)?;
        Some(Arc::clone(verifier))
    }

    /// Whether nothing outside of the configuration makes it what it is: no secret,
    /// no file, no authorities that were read anew.
    fn outlives_reload(&self, kind: &Kind) -> bool {
        match kind {
            Kind::Learn(_) => true,
            Kind::Whoami => self
                .config
                .homeserver
                .as_ref()
                .is_some_and(|homeserver| !homeserver.is_tls()),
            Kind::Introspect | Kind::File => false,
        }
    }

    fn make(&self, kind: &Kind, config: &Config) -> Result<Verifier, VerifyError> {
        let verify = &self.config;
        let source = match kind {
            Kind::Learn(_) => Source::Answers,
            Kind::File => Source::File(self.read_tokens()?),
            Kind::Whoami => asking(self.homeserver()?, config)?,
            Kind::Introspect => asking(self.oauth_server()?, config)?,
        };
        Ok(Verifier {
            source,
            memory: Arc::new(Memory::new(verify.entries, seed()?)),
            bad_tokens: Arc::clone(&self.bad_tokens),
            belief: Belief {
                valid: verify.valid_ttl,
                other: match kind {
                    Kind::Learn(_) => verify.learn_ttl,
                    _ => verify.unknown_ttl,
                },
            },
            on_failure: verify.on_failure,
        })
    }
    fn read_tokens(&self) -> Result<Tokens, VerifyError> {
        let path = self.config.tokens_file.as_deref();
        let path = path.ok_or(VerifyError::Incomplete("verify.tokens_file"))?;
        Ok(Tokens::read(path)?)
    }

    fn homeserver(&self) -> Result<Issuer, VerifyError> {
        let server = self.config.homeserver.clone();
        Ok(Issuer::Homeserver {
            server: server.ok_or(VerifyError::Incomplete("verify.homeserver"))?,
            asks_admin: self.asks_admin,
        })
    }

    fn oauth_server(&self) -> Result<Issuer, VerifyError> {
        let incomplete = VerifyError::Incomplete("verify.introspection_endpoint");
        let config = self.config.introspection.as_ref().ok_or(incomplete)?;
        let path = &config.client_secret_file;
        let credentials = Credentials::of_file(&config.client_id, path).map_err(|source| {
            VerifyError::Secret {
                path: path.clone(),
                source,
            }
        })?;
        Ok(Issuer::OAuth {
            server: config.server.clone(),
            endpoint: Endpoint::new(config, credentials).map_err(VerifyError::Endpoint)?,
        })
    }
}

/// Begins to ask.
fn asking(issuer: Issuer, config: &Config) -> Result<Source, VerifyError> {
    let tls = if issuer.server().is_tls() {
        // The name to check is the issuer's own, whatever upstreams are called.
        let authorities = UpstreamTls {
            server_name: None,
            ..config.upstream_tls.clone()
        };
        Some(Arc::new(tls::Client::new(&authorities)?))
    } else {
        None
    };
    Ask::start(issuer, config.verify.timeout, tls)
        .map(Source::Issuer)
        .map_err(VerifyError::Thread)
}

/// Nobody's to guess.
fn seed() -> Result<u64, VerifyError> {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(|error| VerifyError::Randomness(io::Error::other(error)))?;
    Ok(u64::from_ne_bytes(seed))
}
