//! What is asked about tokens: for all routes, and for one that differs.

use std::{path::PathBuf, time::Duration};

use super::choice::{OnFailure, VerifyMode};
use super::upstream::Upstream;

/// The part of `[verify]` that a `[[route]]` may have for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Who knows whether a token is one. In `[[route]]` this is `verify`.
    pub mode: VerifyMode,
    /// Who may come in; empty for every user.
    pub allow: Vec<Who>,
    /// Who may not, whatever `allow` says.
    pub deny: Vec<Who>,
}

/// Some of the users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// One user: `@alice:example.org`; or, of a tokens file, the label.
    User(String),
    /// Every user of a server: `@*:example.org`, held as `example.org`.
    Server(String),
    /// Server administrators: `admins`. Only `whoami` knows them.
    Admins,
    /// Guests: `guests`. Only `whoami` knows them; they are in only where named.
    Guests,
}

/// The rest of `[verify]`: one for all routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verify {
    /// How long a homeserver's 401 is believed by `learn`; at most 120 s.
    pub learn_ttl: Duration,
    /// How long a valid token is believed to be one.
    pub valid_ttl: Duration,
    /// How long an unknown one is believed to be none, by `whoami` and `introspect`; at most 120 s.
    pub unknown_ttl: Duration,
    /// How many verdicts are remembered.
    pub entries: usize,
    /// How long an answer is waited for.
    pub timeout: Duration,
    /// What becomes of a request if there is none.
    pub on_failure: OnFailure,
    /// How many unknown tokens an address may send in `bad_tokens_window`; `None` for any number.
    pub bad_tokens: Option<u32>,
    /// See `bad_tokens`.
    pub bad_tokens_window: Duration,
    /// Whom `whoami` asks.
    pub homeserver: Option<Upstream>,
    /// Whom `introspect` asks.
    pub introspection: Option<Introspection>,
    /// The tokens of `file`.
    pub tokens_file: Option<PathBuf>,
}

/// An OAuth server's introspection endpoint (RFC 7662).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introspection {
    /// Where the server is.
    pub server: Upstream,
    /// Path and query of the endpoint: `/oauth2/introspect`.
    pub path: String,
    /// Who we are there.
    pub client_id: String,
    /// The file with our secret.
    pub client_secret_file: PathBuf,
    /// What a token's scope must have, all of it.
    pub scope: Vec<String>,
    /// Completes a bare `username` to a Matrix user: `@username:server_name`.
    pub server_name: Option<String>,
}

impl Default for Check {
    fn default() -> Self {
        Self {
            mode: VerifyMode::Learn,
            allow: Vec::new(),
            deny: Vec::new(),
        }
    }
}

impl Default for Verify {
    fn default() -> Self {
        Self {
            learn_ttl: Duration::from_secs(60),
            valid_ttl: Duration::from_secs(60),
            unknown_ttl: Duration::from_secs(30),
            entries: 100_000,
            timeout: Duration::from_secs(5),
            on_failure: OnFailure::Refuse,
            bad_tokens: Some(30),
            bad_tokens_window: Duration::from_secs(60),
            homeserver: None,
            introspection: None,
            tokens_file: None,
        }
    }
}
