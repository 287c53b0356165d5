//! An OAuth server is asked about a token (RFC 7662).
//!
//! Its "not active" has many meanings: never issued, expired, revoked, not ours to know.
//! A client whose token has merely expired has a refresh token for it, so none of them is
//! told as the end of the session: [`Verdict::Unknown`] always says `soft_logout`. With
//! that a client gets itself a new token, or its user logs in again, and it keeps its
//! encryption keys, which it would destroy otherwise. The most that it costs is that a
//! device which was logged out on purpose still has what it had.

use std::{
    fmt, fs, io,
    path::Path,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::StatusCode;
use hyper::{
    header::{HeaderName, HeaderValue},
    http::uri::{InvalidUri, PathAndQuery},
};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    Admin, Answer, Identity, NoAnswer, Verdict,
    ask::issued::{is_fit, is_matrix_user, object, unusable},
    client::{Question, secret_field},
};
use crate::{config::Introspection, secret::AccessToken};

/// Who we are to the OAuth server.
#[derive(Clone)]
pub struct Credentials(HeaderValue);

impl Credentials {
    /// `client_secret_basic` (RFC 6749 section 2.3.1): both as in a form, then as Basic
    /// authentication has them.
    #[must_use]
    pub fn new(client_id: &str, secret: &str) -> Option<Self> {
        const SCHEME: &str = "Basic ";
        let mut pair = Zeroizing::new(String::with_capacity(
            encoded_length(client_id)
                .saturating_add(encoded_length(secret))
                .saturating_add(1),
        ));
        pair.extend(form_urlencoded::byte_serialize(client_id.as_bytes()));
        pair.push(':');
        pair.extend(form_urlencoded::byte_serialize(secret.as_bytes()));
        let length = base64::encoded_len(pair.len(), true)?.checked_add(SCHEME.len())?;
        let mut field = Zeroizing::new(String::with_capacity(length));
        field.push_str(SCHEME);
        BASE64_STANDARD.encode_string(pair.as_bytes(), &mut field);
        secret_field(Zeroizing::new(std::mem::take(&mut *field).into_bytes())).map(Self)
    }

    /// Takes the secret from a file, without the line break at its end.
    ///
    /// # Errors
    ///
    /// The system's; `InvalidData` if there is no secret in it, or no text.
    pub fn of_file(client_id: &str, secret: &Path) -> io::Result<Self> {
        let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let bytes = Zeroizing::new(fs::read(secret)?);
        let text = str::from_utf8(&bytes).map_err(|_| wrong("is no text"))?;
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() {
            return Err(wrong("is empty"));
        }
        Self::new(client_id, text).ok_or_else(|| wrong("is too long"))
    }
}

/// The most bytes that one text of a form can take.
fn encoded_length(text: &str) -> usize {
    text.len().saturating_mul(3)
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(<redacted>)")
    }
}

/// The endpoint, and what its answers have to say.
#[derive(Clone, Debug)]
pub struct Endpoint {
    target: PathAndQuery,
    credentials: Credentials,
    scope: Vec<String>,
    server_name: Option<String>,
}

impl Endpoint {
    /// What the configuration says, and its secret.
    ///
    /// # Errors
    ///
    /// The path is none.
    pub fn new(config: &Introspection, credentials: Credentials) -> Result<Self, InvalidUri> {
        Ok(Self {
            target: PathAndQuery::try_from(config.path.as_str())?,
            credentials,
            scope: config.scope.clone(),
            server_name: config.server_name.clone(),
        })
    }

    /// Asks about `token`.
    #[must_use]
    pub fn request(&self, token: &AccessToken<'_>) -> Question {
        const BEGIN: &[u8] = b"token=";
        const END: &[u8] = b"&token_type_hint=access_token";
        let token = token.expose();
        let room = encoded_length(token)
            .saturating_add(BEGIN.len())
            .saturating_add(END.len());
        // Room for all of it: growing would leave a copy behind.
        let mut form = Zeroizing::new(Vec::with_capacity(room));
        form.extend_from_slice(BEGIN);
        for part in form_urlencoded::byte_serialize(token.as_bytes()) {
            form.extend_from_slice(part.as_bytes());
        }
        form.extend_from_slice(END);
        Question::form(self.target.clone(), self.credentials.0.clone(), form)
            .with(EXPLICIT_DEVICE, HeaderValue::from_static("1"))
    }

    /// What the server's answer says of the token, at the time `now`.
    ///
    /// # Errors
    ///
    /// [`NoAnswer::Unusable`] if that is nothing.
    pub fn interpret(
        &self,
        status: StatusCode,
        content_type: Option<&[u8]>,
        body: &[u8],
        now: SystemTime,
    ) -> Result<Answer, NoAnswer> {
        match status {
            StatusCode::OK => {}
            refused if is_about_credentials(refused) => {
                let refused = refused.as_u16();
                let why = format!("status {refused}, it does not take our credentials");
                return Err(NoAnswer::Unusable(why));
            }
            other => return Err(unusable(other)),
        }
        let said: Said = object(content_type, body)?;
        let left = said.time_left(now);
        if !said.active || said.is_refresh_token() || left.is_some_and(|left| left <= 0.0) {
            return Ok(INACTIVE);
        }
        Ok(Answer {
            verdict: self.identity(said).map_or(Verdict::Unfit, Verdict::Valid),
            // Longer than we can count is for ever.
            valid_for: left.and_then(|left| Duration::try_from_secs_f64(left).ok()),
        })
    }

    /// Whose the token is; `None` if it is not for here.
    fn identity(&self, said: Said) -> Option<Identity> {
        let scope = said.scope.as_deref().unwrap_or_default();
        let has = |wanted: &str| scope.split(' ').any(|has| has == wanted);
        if !self.scope.iter().all(|wanted| has(wanted)) {
            return None;
        }
        let user = match (said.username, &self.server_name) {
            // Where users choose their names, one of them may look like another
            // server's user: what is completed is never anything but a localpart.
            (Some(name), Some(server)) => {
                let is_bare = !name.is_empty() && !name.contains(':');
                let user = format!("@{name}:{server}");
                Some(user).filter(|user| is_bare && is_matrix_user(user))
            }
            // A subject is no localpart, nor is it anybody of this server who looks so.
            (None, Some(_)) => said.sub.filter(|sub| is_fit(sub) && !sub.starts_with('@')),
            (name, None) => name.or(said.sub).filter(|name| is_fit(name)),
        }?;
        let device = said
            .device_id
            .or_else(|| device(scope).map(str::to_owned))
            .filter(|device| is_fit(device));
        let is_user = [API, OLD_API].into_iter().any(&has);
        let is_guest = [GUEST, OLD_GUEST].into_iter().any(&has);
        let admin = if has(SYNAPSE_ADMIN) {
            Admin::Yes
        } else {
            Admin::No
        };
        Some(Identity {
            user: Some(user),
            device,
            is_guest: is_guest && !is_user,
            admin,
            scope: said.scope.filter(|scope| is_fit(scope)),
            label: None,
        })
    }
}

/// MAS then tells the device of an old session in a field of its own. Without it, it
/// calls tokens inactive whose device has a name that is no scope.
const EXPLICIT_DEVICE: HeaderName = HeaderName::from_static("x-mas-supports-device-id");

/// Whether the endpoint speaks of us, and says nothing of the token.
pub(super) fn is_about_credentials(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

/// See the head of this module.
const INACTIVE: Answer = Answer {
    verdict: Verdict::Unknown { soft_logout: true },
    valid_for: None,
};

// MSC2967's names, and those before it was accepted. MAS gives both.
const API: &str = "urn:matrix:client:api:*";
const OLD_API: &str = "urn:matrix:org.matrix.msc2967.client:api:*";
const GUEST: &str = "urn:matrix:client:api:guest";
const OLD_GUEST: &str = "urn:matrix:org.matrix.msc2967.client:api:guest";
const DEVICES: [&str; 2] = [
    "urn:matrix:client:device:",
    "urn:matrix:org.matrix.msc2967.client:device:",
];
/// What MAS gives to administrators of Synapse.
const SYNAPSE_ADMIN: &str = "urn:synapse:admin:*";

/// The device that a scope is for.
fn device(scope: &str) -> Option<&str> {
    scope
        .split(' ')
        .find_map(|one| DEVICES.iter().find_map(|begin| one.strip_prefix(begin)))
}

/// RFC 7662 section 2.2, and what MAS adds to it.
#[derive(Deserialize)]
struct Said {
    active: bool,
    scope: Option<String>,
    username: Option<String>,
    sub: Option<String>,
    device_id: Option<String>,
    token_type: Option<String>,
    exp: Option<f64>,
    expires_in: Option<f64>,
}

impl Said {
    /// How many seconds the token lives on. A server that counts for us is asked first:
    /// its clock and ours may differ.
    fn time_left(&self, now: SystemTime) -> Option<f64> {
        let since_1970 = now.duration_since(SystemTime::UNIX_EPOCH);
        let now = since_1970.unwrap_or_default().as_secs_f64();
        self.expires_in.or_else(|| self.exp.map(|exp| exp - now))
    }

    /// Servers look for a token of any kind (RFC 7662 section 2.1), but only one kind is
    /// for showing around.
    fn is_refresh_token(&self) -> bool {
        let kind = self.token_type.as_deref();
        kind.is_some_and(|kind| kind.eq_ignore_ascii_case("refresh_token"))
    }
}

#[cfg(test)]
mod tests;
