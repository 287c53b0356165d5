//! What a homeserver's answers teach about a token.
//!
//! A homeserver checks every token itself; its own 401 is all that is learned here, so that
//! a client that goes on with a dead token is answered by us. The rule to keep: doubt
//! teaches nothing. A lesson that is wrong logs somebody out; one that is missed costs a
//! request, as before.
//!
//! So an answer teaches only if it cannot be read in two ways ([`lesson`]), and only where
//! the homeserver speaks for itself ([`may_teach`]). What ends a session is another
//! subject, and errs the other way ([`touches`]).

mod touch;

use std::{fmt, io::Read as _};

use flate2::read::MultiGzDecoder;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};

use crate::requirement::{Api, Class, Endpoint, RouteClass};
pub use touch::{Touch, touches};

/// The longest body that teaches, as it comes and decoded.
pub const LONGEST_BODY: usize = 8 * 1024;

/// A token is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lesson {
    /// Whether the session behind it lives on.
    pub soft_logout: bool,
}

/// What an answer teaches about the token that was sent.
///
/// `body` is the whole body. Spec: client-server API, "Using access tokens", "Soft logout".
#[must_use]
pub fn lesson(
    status: u16,
    content_type: Option<&[u8]>,
    content_encoding: Option<&[u8]>,
    body: &[u8],
) -> Option<Lesson> {
    if status != 401 || body.len() > LONGEST_BODY || !content_type.is_some_and(is_json) {
        return None;
    }
    match content_encoding {
        None => read(body),
        Some(coding) if is(coding, b"identity") => read(body),
        Some(coding) if is(coding, b"gzip") || is(coding, b"x-gzip") => read(&gunzip(body)?),
        Some(_) => None,
    }
}

/// Whether an answer to this request, for this endpoint, can teach: it needs a token, so a
/// 401 is about the one that came, and who answers is who issued it.
#[must_use]
pub fn may_teach(endpoint: Endpoint, method: &[u8], path: &[u8]) -> bool {
    // An identity server's tokens are others. It may have another upstream, and a client
    // that sends it the wrong one must not lose its session here.
    if endpoint.class != Class::Required || endpoint.api != Api::Client {
        return false;
    }
    // Media are often served by another program, which knows tokens by hearsay, or fetched
    // from other servers.
    if RouteClass::of(path) == RouteClass::Media {
        return false;
    }
    let mut segments = path.split(|byte| *byte == b'/').skip(1);
    match [segments.next(), segments.next(), segments.next()] {
        [Some(b"_matrix"), Some(b"client"), Some(version)] => {
            let mut resource = segments.next();
            let has_name = resource.is_some_and(|name| memchr::memchr(b'.', name).is_some());
            if version == b"api" || (version == b"unstable" && has_name) {
                resource = segments.next();
            }
            resource.is_some_and(|resource| is_own(method, resource, segments))
        }
        [Some(b"_synapse"), Some(b"admin"), Some(_version)] => !matches!(
            segments.next(),
            None | Some(ADMIN_JOIN | ADMIN_ROOM | ADMIN_ROOMS)
        ),
        _ => false,
    }
}

const ADMIN_JOIN: &[u8] = b"join";
const ADMIN_ROOM: &[u8] = b"room";
const ADMIN_ROOMS: &[u8] = b"rooms";

/// Whether what a homeserver says of a client's resource is its own word.
///
/// Elsewhere it may pass on what another server said to it of another token, with that
/// server's errcode; Synapse did so until GHSA-95fh-hv8c-chvq was fixed.
fn is_own<'p>(method: &[u8], resource: &[u8], mut below: impl Iterator<Item = &'p [u8]>) -> bool {
    match resource {
        // Identity servers are asked.
        b"account" => below.next() != Some(b"3pid"),
        // Other homeservers are asked.
        b"keys" => !matches!(below.next(), Some(b"query" | b"claim")),
        b"join" | b"knock" | b"createRoom" | b"publicRooms" | b"directory" | b"profile"
        | b"account_status"
        // Application services are.
        | b"thirdparty" | b"appservice"
        // An authentication service answers, which knows only tokens of its own making.
        | b"login" | b"logout" => false,
        b"rooms" => is_own_in_room(method, below.nth(1).unwrap_or_default()),
        _ => true,
    }
}

/// In a room nearly everything may concern another server: the one that joins it, that is
/// invited, that has the events, or that polices it and is asked about each new event.
fn is_own_in_room(method: &[u8], resource: &[u8]) -> bool {
    match method {
        b"GET" => matches!(
            resource,
            b"aliases" | b"joined_members" | b"members" | b"relations" | b"state" | b"threads"
        ),
        b"POST" => matches!(resource, b"read_markers" | b"receipt"),
        b"PUT" => resource == b"typing",
        _ => false,
    }
}

/// `application/json`, with parameters or without.
fn is_json(content_type: &[u8]) -> bool {
    let essence = content_type.split(|byte| *byte == b';').next();
    essence.is_some_and(|essence| is(essence, b"application/json"))
}

fn is(value: &[u8], name: &[u8]) -> bool {
    value.trim_ascii().eq_ignore_ascii_case(name)
}

/// Decodes no more than may teach: a small body can hold a large one.
fn gunzip(body: &[u8]) -> Option<Vec<u8>> {
    let most = u64::try_from(LONGEST_BODY).ok()?;
    let mut plain = Vec::new();
    let mut decoder = MultiGzDecoder::new(body).take(most.checked_add(1)?);
    decoder.read_to_end(&mut plain).ok()?;
    (plain.len() <= LONGEST_BODY).then_some(plain)
}

fn read(body: &[u8]) -> Option<Lesson> {
    let error: StandardError = serde_json::from_slice(body).ok()?;
    let is_about_token = error.errcode? == "M_UNKNOWN_TOKEN" && !error.is_interactive;
    is_about_token.then_some(Lesson {
        soft_logout: error.soft_logout.unwrap_or(false),
    })
}

/// What we read of an error. Spec: "Standard error response", "User-Interactive
/// Authentication API".
#[derive(Default)]
struct StandardError {
    errcode: Option<String>,
    soft_logout: Option<bool>,
    /// Asks the user for something more; the token is good.
    is_interactive: bool,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Errcode,
    SoftLogout,
    Flows,
    Session,
    #[serde(other)]
    Other,
}

/// Reads an object, and nothing else. A key that comes twice is refused: readers differ in
/// which one counts.
struct ErrorVisitor;

impl<'de> Deserialize<'de> for StandardError {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ErrorVisitor)
    }
}

impl<'de> Visitor<'de> for ErrorVisitor {
    type Value = StandardError;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an error object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<StandardError, A::Error> {
        let mut error = StandardError::default();
        while let Some(key) = map.next_key()? {
            let is_first = match key {
                Key::Errcode => error.errcode.replace(map.next_value()?).is_none(),
                Key::SoftLogout => error.soft_logout.replace(map.next_value()?).is_none(),
                Key::Flows | Key::Session => {
                    map.next_value::<serde_json::Value>()?;
                    error.is_interactive = true;
                    true
                }
                // Read in full, so that what is no JSON anywhere teaches nothing.
                Key::Other => map.next_value::<serde_json::Value>().map(|_| true)?,
            };
            if !is_first {
                return Err(A::Error::custom("a key twice"));
            }
        }
        Ok(error)
    }
}

#[cfg(test)]
mod tests;
