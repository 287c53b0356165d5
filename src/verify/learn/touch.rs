//! Which requests end sessions, or begin them anew.
//!
//! Here doubt means yes: what is dropped without need is asked again. So paths are read
//! more generously than elsewhere, every version alike, escapes decoded.
//!
//! What cannot be seen is left to the time that a verdict stands: a login takes the place
//! of an older session of the same device, an OAuth client revokes its token
//! (`/oauth2/revoke`). Both say whose they are only in the body, and if a stranger's
//! request could make us forget everything, he would do little else.

use std::borrow::Cow;

use crate::percent;

/// What a request drops, if it is answered with success or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Touch {
    /// The token that came with it.
    Token,
    /// That token, and all others of its user.
    User,
    /// All tokens of the user that the path names, a Matrix user id.
    Named(String),
    /// Tokens that only the homeserver can tell.
    All,
}

/// What the request drops; nearly always nothing, and that is said without allocating.
///
/// `path` is the raw path, without the query.
#[must_use]
pub fn touches(method: &[u8], path: &[u8]) -> Option<Touch> {
    if !matches!(method, b"POST" | b"PUT" | b"DELETE") {
        return None;
    }
    // Some servers do not mind an empty segment, or a slash at the end.
    let is_some = |segment: &&[u8]| !segment.is_empty();
    let mut rest = path.split(|byte| *byte == b'/').filter(is_some).map(decode);
    let mut next = || rest.next().unwrap_or_default();
    match (&*next(), &*next()) {
        (b"_matrix", b"client") => client(method, &mut next),
        (b"_synapse", b"admin") => synapse_admin(method, &mut next),
        (b"_synapse", b"mas") => synapse_mas(method, &next()),
        (b"_dendrite", b"admin") => match &*next() {
            b"resetPassword" => Some(named(&next())),
            _ => None,
        },
        _ => None,
    }
}

/// `/_matrix/client/{version}/…`.
fn client<'p>(method: &[u8], next: &mut impl FnMut() -> Cow<'p, [u8]>) -> Option<Touch> {
    let version = next();
    let mut resource = next();
    let has_name = memchr::memchr(b'.', &resource).is_some();
    if *version == *b"api" || (*version == *b"unstable" && has_name) {
        resource = next();
    }
    match (method, &*resource) {
        (b"POST", b"logout") => match &*next() {
            b"" => Some(Touch::Token),
            b"all" => Some(Touch::User),
            _ => None,
        },
        // The old token, if the client sends it.
        (b"POST", b"refresh") => Some(Touch::Token),
        (b"POST", b"account") => match (&*next(), &*next()) {
            (b"password" | b"deactivate", b"") => Some(Touch::User),
            _ => None,
        },
        (b"POST", b"delete_devices") | (b"DELETE", b"devices") => Some(Touch::User),
        (_, b"admin") => match &*next() {
            // The two others are Synapse's from before it had an API for administrators.
            b"lock" | b"deactivate" | b"reset_password" => Some(named(&next())),
            _ => None,
        },
        _ => None,
    }
}

/// `/_synapse/admin/{version}/…`.
fn synapse_admin<'p>(method: &[u8], next: &mut impl FnMut() -> Cow<'p, [u8]>) -> Option<Touch> {
    let _version = next();
    match (method, &*next()) {
        (b"POST", b"deactivate" | b"reset_password") => Some(named(&next())),
        // The user is in the body.
        (b"POST", b"account_validity") => Some(Touch::All),
        (_, b"users") => {
            let user = next();
            match (method, &*next(), &*next()) {
                // Password, deactivation, lock; administrator; a session more or less.
                (b"PUT", b"", _)
                | (b"PUT", b"admin", b"")
                | (b"POST", b"login" | b"delete_devices", b"")
                | (b"DELETE", b"devices", _) => Some(named(&user)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// `/_synapse/mas/…`, by which an authentication service manages users: named in the body.
fn synapse_mas(method: &[u8], name: &[u8]) -> Option<Touch> {
    let ends = matches!(
        name,
        b"delete_user" | b"reactivate_user" | b"delete_device" | b"sync_devices"
    );
    (method == b"POST" && ends).then_some(Touch::All)
}

fn named(user: &[u8]) -> Touch {
    match str::from_utf8(user) {
        Ok(user) if user.starts_with('@') => Touch::Named(user.to_owned()),
        // Only its server knows whom that means.
        _ => Touch::All,
    }
}

fn decode(segment: &[u8]) -> Cow<'_, [u8]> {
    match memchr::memchr(b'%', segment) {
        Some(_) => Cow::Owned(percent::decode(segment).collect()),
        None => Cow::Borrowed(segment),
    }
}

#[cfg(test)]
mod tests;
