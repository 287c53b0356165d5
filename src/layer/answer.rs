//! What the client gets: our own answer, or the inner service's, that may not let the
//! secret of the URI out.

use std::sync::Arc;

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, EXPIRES, REFERRER_POLICY},
};

use super::Rules;
use crate::{
    refusal::{Dialect, Refusal, Value},
    relocate::narrow::{self, Narrowed},
};

/// A request that we answer ourselves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused {
    pub(super) refusal: Refusal,
    pub(super) dialect: Dialect,
    pub(super) is_head: bool,
}

impl Refused {
    /// The answer, as the proxy would write it; `Date` and what the connection needs are
    /// the server's to add.
    pub(super) fn response<B: From<Bytes>>(self) -> Response<B> {
        let body = self.refusal.body(self.dialect);
        let sent: &[u8] = if self.is_head { b"" } else { &body };
        let mut response = Response::new(B::from(Bytes::copy_from_slice(sent)));
        *response.status_mut() = StatusCode::from_u16(self.refusal.status())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        for (name, value) in self.refusal.fields(self.dialect, &body) {
            let value = match value {
                Value::Text(text) => HeaderValue::from_str(text),
                Value::Number(number) => Ok(HeaderValue::from(number)),
            };
            // Neither fails: both are constants of ours.
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), value) {
                response.headers_mut().append(name, value);
            }
        }
        response
    }
}

/// What the response to a moved request has to be rid of.
#[derive(Debug)]
pub(super) struct Narrowing {
    pub(super) rules: Arc<Rules>,
    /// What the client called us.
    pub(super) host: Vec<u8>,
}

impl Narrowing {
    pub(super) fn apply<B>(&self, response: &mut Response<B>) {
        // What follows a change of protocol is no page and in no cache.
        if response.status().is_informational() {
            return;
        }
        let headers = response.headers_mut();
        let expires = headers.contains_key(EXPIRES) && !headers.contains_key(CACHE_CONTROL);
        for (name, value) in headers.iter_mut() {
            let names = &self.rules.policy.names;
            let narrowed = narrow::narrow(name.as_str(), value.as_bytes(), &self.host, names);
            // What is cut from a value leaves a value.
            if let Narrowed::Becomes(bytes) = narrowed
                && let Ok(narrower) = HeaderValue::from_maybe_shared(Bytes::from(bytes))
            {
                *value = narrower;
            }
        }
        let mut put = |name, value| {
            // Nobody has so many fields that this fails.
            headers
                .try_insert(name, HeaderValue::from_static(value))
                .is_ok()
        };
        put(REFERRER_POLICY, narrow::REFERRER_POLICY);
        if expires {
            put(CACHE_CONTROL, "private");
        }
    }
}
