//! What is known of the request that a line tells of.

use super::eye::Way;
use crate::{
    audit::{line::Record, sighting::Outcome},
    metrics::label::{Label as _, Method},
    percent,
    relocate::query,
    requirement::{self, Class, RouteClass},
};

/// The parameter in which the specification has a request's token.
const PARAMETER: &[u8] = b"access_token";

/// A request, as far as its line tells.
pub(super) struct Request<'r> {
    pub(super) method: &'static str,
    pub(super) endpoint: &'static str,
    pub(super) is_admin: bool,
    needs_token: bool,
    query: &'r [u8],
}

impl<'r> Request<'r> {
    pub(super) fn of(record: &'r Record<'_>) -> Self {
        let text = |part: &'r Option<crate::audit::line::Part<'_>>| -> &'r [u8] {
            part.as_ref().map_or(b"", |part| &part.text)
        };
        let method = text(&record.method);
        let target = behind_authority(text(&record.target));
        let (path, query) = match memchr::memchr(b'?', target) {
            Some(at) => (
                target.get(..at).unwrap_or(target),
                target.get(at.saturating_add(1)..).unwrap_or_default(),
            ),
            None => (target, &b""[..]),
        };
        let (endpoint, template) = requirement::with_template(method, path);
        Self {
            method: Method::of(method).as_str(),
            endpoint: template.map_or("other", |template| template.text),
            is_admin: template.is_some_and(|template| template.is_admin) || is_admin(path),
            needs_token: endpoint.class == Class::Required,
            query,
        }
    }

    /// What the status proves of a secret. Only one that came as the request's own can be
    /// accepted or refused: not one in a URL within it, nor one beside it.
    pub(super) fn outcome(&self, status: Option<u16>, way: Way, secret: &[u8]) -> Outcome {
        let is_token = match way {
            Way::Target => self.token_is(secret),
            Way::Header => true,
            Way::Beside => false,
        };
        match status {
            Some(401 | 403) if is_token || (way == Way::Target && self.has(secret)) => {
                Outcome::Refused
            }
            Some(200..=299) if is_token && self.needs_token => Outcome::Accepted,
            _ => Outcome::Unproven,
        }
    }

    /// Whether a server takes it for the request's token: the first of its name.
    fn token_is(&self, secret: &[u8]) -> bool {
        query::pairs(self.query)
            .find(|pair| pair.is_named(PARAMETER))
            .is_some_and(|pair| is(&pair, secret))
    }

    /// Whether it is one of the request's own parameters.
    fn has(&self, secret: &[u8]) -> bool {
        query::pairs(self.query).any(|pair| is(&pair, secret))
    }
}

fn is(pair: &query::Pair<'_>, secret: &[u8]) -> bool {
    let value = pair.value.unwrap_or_default();
    // Nearly all are as they were minted.
    value == secret && memchr::memchr(b'%', value).is_none()
        || percent::decode(value).eq(secret.iter().copied())
}

/// Behind `https://host` of a target in absolute form.
fn behind_authority(target: &[u8]) -> &[u8] {
    if target.first() == Some(&b'/') {
        return target;
    }
    let Some(scheme) = memchr::memmem::find(target, b"://") else {
        return target;
    };
    let rest = target.get(scheme.saturating_add(3)..).unwrap_or_default();
    let path = memchr::memchr(b'/', rest).unwrap_or(rest.len());
    rest.get(path..).unwrap_or_default()
}

/// Whether a path belongs to the administration of a server, MAS included.
fn is_admin(path: &[u8]) -> bool {
    RouteClass::of(path) == RouteClass::Admin
        || path.starts_with(b"/_matrix/client/unstable/admin/")
        || path.starts_with(b"/api/admin/")
}
