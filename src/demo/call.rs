//! What the toy homeserver is asked, and how it answers.

use std::{collections::HashMap, time::Duration};

use hyper::{StatusCode, body::Bytes};
use serde_json::{Value, json};

use super::homeserver::Seen;
use crate::{percent, relocate::query};

/// A request, taken apart.
pub(super) struct Call {
    pub(super) method: String,
    /// Decoded segments of the path.
    pub(super) path: Vec<String>,
    /// Decoded pairs of the query.
    pub(super) query: HashMap<String, String>,
    /// From `Authorization`, and from nowhere else.
    pub(super) token: Option<String>,
    /// The body's media type.
    pub(super) kind: Option<String>,
    pub(super) body: Bytes,
}

impl Call {
    /// Reads all but the body.
    pub(super) fn new(seen: &Seen, kind: Option<String>) -> Self {
        let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
        let bearer = seen.authorization.as_deref();
        Self {
            method: seen.method.clone(),
            path: path
                .split('/')
                .skip(1)
                .map(|it| decode(it.as_bytes()))
                .collect(),
            query: query::pairs(query.as_bytes())
                .map(|pair| (decode(pair.name), decode(pair.value.unwrap_or_default())))
                .collect(),
            token: bearer.and_then(|value| Some(value.strip_prefix("Bearer ")?.to_owned())),
            kind,
            body: Bytes::new(),
        }
    }

    /// The body; none is an empty object.
    pub(super) fn json(&self) -> Result<Value, Error> {
        if self.body.is_empty() {
            return Ok(json!({}));
        }
        serde_json::from_slice(&self.body).map_err(|_| NOT_JSON)
    }
}

fn decode(raw: &[u8]) -> String {
    let bytes: Vec<u8> = percent::decode(raw).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What is answered.
pub(super) enum Reply {
    Json(StatusCode, Value),
    /// A file with its media type.
    Media(String, Bytes),
    /// Nothing yet: ask again when something happened, or after this time.
    Wait(Duration),
}

impl Reply {
    /// The usual answer.
    pub(super) fn ok(value: Value) -> Self {
        Self::Json(StatusCode::OK, value)
    }
}

/// A standard error response.
pub(super) struct Error(StatusCode, &'static str, &'static str);

impl From<Error> for Reply {
    fn from(Error(status, errcode, error): Error) -> Self {
        let body = if errcode == UNKNOWN_TOKEN.1 {
            // False: the session is gone for good.
            json!({ "errcode": errcode, "error": error, "soft_logout": false })
        } else {
            json!({ "errcode": errcode, "error": error })
        };
        Self::Json(status, body)
    }
}

pub(super) const MISSING_TOKEN: Error = Error(
    StatusCode::UNAUTHORIZED,
    "M_MISSING_TOKEN",
    "Missing access token",
);
pub(super) const UNKNOWN_TOKEN: Error = Error(
    StatusCode::UNAUTHORIZED,
    "M_UNKNOWN_TOKEN",
    "Invalid access token passed.",
);
pub(super) const NOT_ADMIN: Error = Error(
    StatusCode::FORBIDDEN,
    "M_FORBIDDEN",
    "You are not a server admin",
);
pub(super) const NOT_IN_ROOM: Error = Error(
    StatusCode::FORBIDDEN,
    "M_FORBIDDEN",
    "You are not in this room",
);
pub(super) const NOT_FOUND: Error = Error(StatusCode::NOT_FOUND, "M_NOT_FOUND", "Not found");
pub(super) const UNRECOGNIZED: Error = Error(
    StatusCode::NOT_FOUND,
    "M_UNRECOGNIZED",
    "Unrecognized request",
);
pub(super) const NOT_JSON: Error =
    Error(StatusCode::BAD_REQUEST, "M_NOT_JSON", "Content not JSON.");
pub(super) const NO_USER: Error = Error(
    StatusCode::BAD_REQUEST,
    "M_MISSING_PARAM",
    "A password login with a user name is all there is here",
);
pub(super) const NO_RANDOMNESS: Error = Error(
    StatusCode::INTERNAL_SERVER_ERROR,
    "M_UNKNOWN",
    "Internal error",
);
pub(super) const TOO_LARGE: Error = Error(
    StatusCode::PAYLOAD_TOO_LARGE,
    "M_TOO_LARGE",
    "Body too large",
);
