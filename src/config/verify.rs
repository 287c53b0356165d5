//! Who is asked about tokens, and how long an answer holds: the same for all routes.

use std::path::PathBuf;
use std::time::Duration;

use super::choice::{OnFailure, VerifyMode};
use super::key::{self, Key};
use super::problem::show;
use super::reader::Reader;
use super::route::Route;
use super::upstream::{self, Upstream};
use super::{parse, who};

/// The part of `[verify]` that is one for all routes; [`Check`](super::Check) is the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verify {
    /// How long a homeserver's 401 is believed by `learn`; at most 120 s.
    pub learn_ttl: Duration,
    /// How long a valid token is believed to be one; at most an hour.
    pub valid_ttl: Duration,
    /// How long an unknown one is believed to be none, by `whoami` and `introspect`; at most 120 s.
    pub unknown_ttl: Duration,
    /// How many verdicts are remembered, 1000 to 10 million.
    pub entries: usize,
    /// How long an answer is waited for; at most a minute.
    pub timeout: Duration,
    /// What becomes of a request if there is none.
    pub on_failure: OnFailure,
    /// How many unknown tokens an address may send in `bad_tokens_window`; `None` for any number.
    pub bad_tokens: Option<u32>,
    /// See `bad_tokens`; at most an hour.
    pub bad_tokens_window: Duration,
    /// Whom `whoami` asks; there if a route has that mode.
    pub homeserver: Option<Upstream>,
    /// Whom `introspect` asks; there if a route has that mode.
    pub introspection: Option<Introspection>,
    /// The tokens of `file`; there if a route has that mode.
    pub tokens_file: Option<PathBuf>,
}

/// An OAuth server's introspection endpoint (RFC 7662).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introspection {
    /// Where the server is; never a unix socket.
    pub server: Upstream,
    /// Path and query of the endpoint, as in a request: `/oauth2/introspect`.
    pub path: String,
    /// Who we are there: printable ASCII, never empty.
    pub client_id: String,
    /// The file with our secret.
    pub client_secret_file: PathBuf,
    /// What a token's scope must have, all of it; words of RFC 6749 section 3.3.
    pub scope: Vec<String>,
    /// Completes a bare `username` to a Matrix user: `@username:server_name`.
    pub server_name: Option<String>,
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

impl Verify {
    /// What no route needs may be missing.
    pub(super) fn read(reader: &mut Reader<'_>, routes: &[Route]) -> Self {
        let otherwise = Self::default();
        let used = |mode: VerifyMode| {
            let is_used = routes.iter().any(|route| route.check.mode == mode);
            is_used.then_some(mode)
        };
        Self {
            learn_ttl: duration(reader, key::LEARN_TTL, otherwise.learn_ttl, 120),
            valid_ttl: duration(reader, key::VALID_TTL, otherwise.valid_ttl, 3600),
            unknown_ttl: duration(reader, key::UNKNOWN_TTL, otherwise.unknown_ttl, 120),
            entries: reader
                .integer(key::ENTRIES, |digits| {
                    parse::number(digits, 1000..=10_000_000)
                })
                .unwrap_or(otherwise.entries),
            timeout: duration(reader, key::VERIFY_TIMEOUT, otherwise.timeout, 60),
            on_failure: reader.choice(key::ON_FAILURE, otherwise.on_failure),
            bad_tokens: reader
                .integer(key::BAD_TOKENS, |digits| {
                    parse::number(digits, 0..=1_000_000)
                })
                .map_or(otherwise.bad_tokens, |count| {
                    Some(count).filter(|count| *count != 0)
                }),
            bad_tokens_window: duration(
                reader,
                key::BAD_TOKENS_WINDOW,
                otherwise.bad_tokens_window,
                3600,
            ),
            homeserver: setting(
                reader,
                key::HOMESERVER,
                upstream::parse,
                used(VerifyMode::Whoami),
            ),
            introspection: Introspection::read(reader, used(VerifyMode::Introspect)),
            tokens_file: setting(
                reader,
                key::TOKENS_FILE,
                parse::path,
                used(VerifyMode::File),
            ),
        }
    }
}

impl Introspection {
    /// `None` where something is missing, which is a mistake if a mode needs it.
    fn read(reader: &mut Reader<'_>, needed_by: Option<VerifyMode>) -> Option<Self> {
        let endpoint = setting(
            reader,
            key::INTROSPECTION_ENDPOINT,
            parse_endpoint,
            needed_by,
        );
        let client_id = setting(reader, key::CLIENT_ID, parse_client_id, needed_by);
        let secret_file = setting(reader, key::CLIENT_SECRET_FILE, parse::path, needed_by);
        let scope = reader.list(key::SCOPE, 0..=100, parse_scope);
        let server_name = reader.optional(key::SERVER_NAME, who::server_name, None);
        let (server, path) = endpoint?;
        Some(Self {
            server,
            path,
            client_id: client_id?,
            client_secret_file: secret_file?,
            scope: scope.unwrap_or_default(),
            server_name,
        })
    }
}

/// A setting that a mode may need; an empty string is none.
fn setting<T>(
    reader: &mut Reader<'_>,
    key: Key,
    parse: impl Fn(&str) -> Result<T, String>,
    needed_by: Option<VerifyMode>,
) -> Option<T> {
    let value = reader.text(key, |text| {
        let is_there = !text.is_empty();
        is_there.then(|| parse(text)).transpose()
    });
    if let Some(mode) = needed_by {
        let message = format!("is required by the mode \"{mode}\"");
        match value {
            Some(Some(_)) => {}
            Some(None) => reader.refuse(key, &message),
            // What is there and wrong has been reported.
            None => reader.require(key, &message),
        }
    }
    value.flatten()
}

fn duration(reader: &mut Reader<'_>, key: Key, otherwise: Duration, most_seconds: u64) -> Duration {
    let most = Duration::from_secs(most_seconds);
    reader
        .text(key, |text| parse::duration_up_to(text, most))
        .unwrap_or(otherwise)
}

/// A URL with a path: the server, and what a request to it has as its target.
fn parse_endpoint(text: &str) -> Result<(Upstream, String), String> {
    const EXPECTED: &str = "must be http://HOST[:PORT]/PATH or https://HOST[:PORT]/PATH";
    let authority = text.find("://").map(|at| at.saturating_add("://".len()));
    let path = authority.and_then(|from| {
        let at = text.get(from..)?.find('/')?;
        from.checked_add(at)
    });
    let (server, path) = path
        .and_then(|at| text.split_at_checked(at))
        .ok_or(EXPECTED)?;
    let server = upstream::parse(server)?;
    let is_path = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    if !path.bytes().all(is_path) {
        return Err("must have a path of visible ASCII, without #".to_owned());
    }
    Ok((server, path.to_owned()))
}

/// Spec: RFC 6749 appendix A.1.
fn parse_client_id(text: &str) -> Result<String, String> {
    if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err("must be printable ASCII".to_owned());
    }
    Ok(text.to_owned())
}

/// One word of a scope.
///
/// Spec: RFC 6749 appendix A.4.
fn parse_scope(text: &str) -> Result<String, String> {
    let is_right = |byte: u8| byte.is_ascii_graphic() && !b"\"\\".contains(&byte);
    if text.is_empty() || !text.bytes().all(is_right) {
        return Err(format!(
            "must be one word of a scope, visible ASCII without quotes and backslashes, not {}",
            show(text)
        ));
    }
    Ok(text.to_owned())
}
