//! From the head of a request to the one that the inner service sees.
//!
//! The one place of the layer that reads a URI which may hold a token. It cuts bytes
//! and builds the URI anew; a URI without a token is not touched.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Uri, Version,
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, REFERER, TRANSFER_ENCODING},
    request::Parts,
    uri::PathAndQuery,
};

use super::{
    Moved, Rules,
    answer::{Narrowing, Refused},
};
use crate::{
    config::Mode,
    field_value,
    refusal::{Dialect, Malformed, Refusal},
    relocate::{self, Authorization, Credential, field},
    requirement::{Api, Class},
    secret::AccessToken,
    target::{Form, RawTarget},
};

const MALFORMED: Refusal = Refusal::Malformed(Malformed::Target);

/// Moves the token of a request. What its response has to be rid of is told only if
/// there was one to move.
pub(super) fn rewrite(parts: &mut Parts, rules: &Arc<Rules>) -> Result<Option<Narrowing>, Refused> {
    let edit = decide(parts, rules)?;
    if let Some(authorization) = edit.authorization {
        let inserted = parts.headers.try_insert(AUTHORIZATION, authorization);
        inserted.map_err(|_| refused(parts, Refusal::TooManyFields, Dialect::default()))?;
    }
    for (name, value) in &mut parts.headers {
        if name == AUTHORIZATION {
            value.set_sensitive(true);
        } else if name == REFERER {
            clean_referer(value, rules);
        }
    }
    let Some(uri) = edit.uri else {
        return Ok(None);
    };
    parts.uri = uri;
    parts.extensions.insert(Moved);
    Ok(Some(Narrowing {
        rules: Arc::clone(rules),
        host: host(parts),
    }))
}

/// What is not to stay as it came.
#[derive(Default)]
struct Edit {
    uri: Option<Uri>,
    authorization: Option<HeaderValue>,
}

fn decide(parts: &Parts, rules: &Rules) -> Result<Edit, Refused> {
    let form = form(parts).map_err(|refusal| refused(parts, refusal, Dialect::default()))?;
    let Some(form) = form else {
        return Ok(Edit::default());
    };
    let method = parts.method.as_str().as_bytes();
    let endpoint = relocate::endpoint(method, &form, &rules.policy);
    let dialect = match endpoint.api {
        Api::Identity => Dialect::Identity,
        Api::Client | Api::Other => Dialect::Client,
    };
    let request = relocate::Request {
        method,
        query: form.query(),
        form: None,
        authorization: authorization(&parts.headers),
        endpoint,
        mode: Mode::Relocate,
    };
    let relocated = relocate::relocate(&request, &rules.policy);
    let cut_from = relocated.cut.then_some(relocated.cut_from);
    let edit = relocated.credential.and_then(|credential| {
        let is_missing = matches!(credential, Credential::Absent) && !may_hide_token(parts);
        if endpoint.class == Class::Required && is_missing {
            return Err(Refusal::MissingToken);
        }
        let mut target = Vec::new();
        if cut_from.is_some() {
            let edit = relocate::Edit {
                endpoint,
                cut_from,
                token: None,
            };
            relocate::push_target(&mut target, &form, &edit, &rules.policy);
        }
        Ok(Edit {
            uri: cut_from.map(|_| rebuilt(&parts.uri, target)).transpose()?,
            authorization: match &credential {
                Credential::Moved(token) => Some(bearer(token)?),
                Credential::Absent | Credential::Kept(_) => None,
            },
        })
    });
    edit.map_err(|refusal| refused(parts, refusal, dialect))
}

fn refused(parts: &Parts, refusal: Refusal, dialect: Dialect) -> Refused {
    Refused {
        refusal,
        dialect,
        is_head: parts.method == Method::HEAD,
    }
}

/// The parts of the URI, if a request may have it; `None` where there is nothing to
/// look into.
fn form(parts: &Parts) -> Result<Option<Form<'_>>, Refusal> {
    let uri = &parts.uri;
    let Some(target) = uri.path_and_query() else {
        // A tunnel to a host and port.
        let is_tunnel = parts.method == Method::CONNECT;
        return if is_tunnel { Ok(None) } else { Err(MALFORMED) };
    };
    let authority = uri
        .authority()
        .map(|authority| authority.as_str().as_bytes());
    if !authority.is_none_or(field_value::is_host) {
        return Err(MALFORMED);
    }
    if target.path() == "*" {
        let is_allowed = parts.method == Method::OPTIONS;
        return if is_allowed {
            Ok(Some(Form::Asterisk))
        } else {
            Err(MALFORMED)
        };
    }
    Ok(Some(Form::Origin {
        path: RawTarget::new(target.path().as_bytes()),
        query: target.query().map(|query| RawTarget::new(query.as_bytes())),
        authority,
    }))
}

/// `uri` with another path and query; of the rest a server may think what it likes.
fn rebuilt(uri: &Uri, target: Vec<u8>) -> Result<Uri, Refusal> {
    let mut parts = uri.clone().into_parts();
    let target = PathAndQuery::from_maybe_shared(Bytes::from(target)).map_err(|_| MALFORMED)?;
    parts.path_and_query = Some(target);
    Uri::from_parts(parts).map_err(|_| MALFORMED)
}

fn bearer(token: &AccessToken<'_>) -> Result<HeaderValue, Refusal> {
    let value = format!("Bearer {}", token.expose());
    // It is visible ASCII.
    HeaderValue::from_maybe_shared(Bytes::from(value)).map_err(|_| Refusal::UnusableToken)
}

fn authorization(headers: &HeaderMap) -> Authorization<'_> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (None, _) => Authorization::Absent,
        (Some(value), None) => Authorization::One(value.as_bytes()),
        (Some(_), Some(_)) => Authorization::Several,
    }
}

/// Whether a token may be where we do not look: in a form, which the service may read
/// as if it were part of the query. A compressed one counts: another layer may unpack it.
fn may_hide_token(parts: &Parts) -> bool {
    let is_form = |value: &HeaderValue| {
        let value = value.as_bytes();
        field_value::is_media_type(value, b"application/x-www-form-urlencoded")
            || field_value::is_media_type(value, b"multipart/form-data")
    };
    let has_form = parts.headers.get_all(CONTENT_TYPE).iter().any(is_form);
    has_form && parts.method == Method::POST && may_have_body(parts)
}

/// Whether there may be a body. HTTP/1 says so in the head (RFC 9112 section 6.3), later
/// versions need not.
fn may_have_body(parts: &Parts) -> bool {
    let headers = &parts.headers;
    match headers.get(CONTENT_LENGTH) {
        Some(length) => length.as_bytes().iter().any(|digit| *digit != b'0'),
        None => parts.version > Version::HTTP_11 || headers.contains_key(TRANSFER_ENCODING),
    }
}

fn clean_referer(value: &mut HeaderValue, rules: &Rules) {
    let names = &rules.policy.names;
    let cleaned = field::clean_referer(value.as_bytes(), names, &rules.redactor);
    if let Cow::Owned(bytes) = cleaned {
        // What is cut from a value, and masked, leaves a value.
        *value = HeaderValue::from_maybe_shared(Bytes::from(bytes))
            .unwrap_or(HeaderValue::from_static(""));
    }
}

/// What the client called the server.
fn host(parts: &Parts) -> Vec<u8> {
    let authority = parts
        .uri
        .authority()
        .map(|authority| authority.as_str().as_bytes());
    let field = || parts.headers.get(HOST).map(HeaderValue::as_bytes);
    authority.or_else(field).unwrap_or_default().to_vec()
}
