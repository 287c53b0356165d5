//! A homeserver is asked whose a token is.
//!
//! `GET /_matrix/client/v3/account/whoami`, with the token itself as credentials: the
//! one endpoint that every homeserver has, and that tells the user. That he is an
//! administrator only Synapse's admin API tells.
//!
//! "Unknown" is believed in one spelling only: status 401 with the errcode
//! `M_UNKNOWN_TOKEN`. Anything else that is not a clear yes is no answer.

use http::StatusCode;
use hyper::http::uri::PathAndQuery;
use serde::{Deserialize, de::IgnoredAny};
use zeroize::Zeroizing;

use super::{
    Admin, Answer, Identity, NoAnswer, Verdict,
    ask::issued::{is_fit, is_matrix_user, object, unusable},
    client::{Question, secret_field},
};
use crate::secret::AccessToken;

const TARGET: &str = "/_matrix/client/v3/account/whoami";

/// Asks whose `token` is; `None` if no field can carry it.
///
/// Spec: client-server API, "Current account information".
#[must_use]
pub fn request(token: &AccessToken<'_>) -> Option<Question> {
    const SCHEME: &[u8] = b"Bearer ";
    let token = token.expose().as_bytes();
    // Room for all of it: growing would leave a copy behind.
    let room = SCHEME.len().saturating_add(token.len());
    let mut credentials = Zeroizing::new(Vec::with_capacity(room));
    credentials.extend_from_slice(SCHEME);
    credentials.extend_from_slice(token);
    let target = PathAndQuery::from_static(TARGET);
    Some(Question::get(target, secret_field(credentials)?))
}

/// What the homeserver's answer says of the token.
///
/// # Errors
///
/// [`NoAnswer::Unusable`] if that is nothing.
pub fn interpret(
    status: StatusCode,
    content_type: Option<&[u8]>,
    body: &[u8],
) -> Result<Answer, NoAnswer> {
    let verdict = match status {
        StatusCode::OK => identity(object(content_type, body)?).map(Verdict::Valid)?,
        StatusCode::UNAUTHORIZED => refused(&object(content_type, body)?)?,
        other => return Err(unusable(other)),
    };
    Ok(Answer {
        verdict,
        valid_for: None,
    })
}

#[derive(Deserialize)]
struct Account {
    user_id: String,
    device_id: Option<String>,
    #[serde(default)]
    is_guest: bool,
}

#[derive(Deserialize)]
struct MatrixError {
    errcode: String,
    #[serde(default)]
    soft_logout: bool,
    /// Only in the 401 of user-interactive authentication, which is no refusal.
    flows: Option<IgnoredAny>,
}

fn identity(account: Account) -> Result<Identity, NoAnswer> {
    if !is_matrix_user(&account.user_id) {
        return Err(NoAnswer::Unusable("no Matrix user".into()));
    }
    Ok(Identity {
        user: Some(account.user_id),
        // Devices may be called anything; nothing is decided by them.
        device: account.device_id.filter(|device| is_fit(device)),
        is_guest: account.is_guest,
        ..Identity::default()
    })
}

fn refused(error: &MatrixError) -> Result<Verdict, NoAnswer> {
    match error.errcode.as_str() {
        "M_UNKNOWN_TOKEN" if error.flows.is_none() => Ok(Verdict::Unknown {
            soft_logout: error.soft_logout,
        }),
        "M_USER_LOCKED" => Ok(Verdict::Locked),
        _ => Err(NoAnswer::Unusable("status 401 for another reason".into())),
    }
}

/// Asks Synapse, as the user himself, whether `user` is an administrator; `None` if no
/// target can have the name.
#[must_use]
pub fn admin_request(whoami: &Question, user: &str) -> Option<Question> {
    let user: String = form_urlencoded::byte_serialize(user.as_bytes()).collect();
    let target = format!("/_synapse/admin/v1/users/{user}/admin");
    Some(whoami.then(target.try_into().ok()?))
}

/// Whether the user is an administrator. Synapse lets only administrators ask; other
/// homeservers do not know the question, nor do workers of Synapse without that API.
///
/// # Errors
///
/// [`NoAnswer::Unusable`] if the answer is not the homeserver's own. So a proxy in front
/// of it that hides the admin API is found out, and does not pass for "no".
pub fn interpret_admin(
    status: StatusCode,
    content_type: Option<&[u8]>,
    body: &[u8],
) -> Result<Admin, NoAnswer> {
    #[derive(Deserialize)]
    struct Said {
        admin: bool,
    }
    let says = |errcodes: &[&str], admin: Admin| {
        let error: MatrixError = object(content_type, body)?;
        errcodes
            .contains(&error.errcode.as_str())
            .then_some(admin)
            .ok_or_else(|| unusable(status))
    };
    match status {
        StatusCode::OK => match object(content_type, body)? {
            Said { admin: true } => Ok(Admin::Yes),
            Said { admin: false } => Ok(Admin::No),
        },
        StatusCode::FORBIDDEN => says(&["M_FORBIDDEN", "M_GUEST_ACCESS_FORBIDDEN"], Admin::No),
        StatusCode::NOT_FOUND => says(&["M_UNRECOGNIZED"], Admin::Unknown),
        other => Err(unusable(other)),
    }
}

#[cfg(test)]
mod tests;
