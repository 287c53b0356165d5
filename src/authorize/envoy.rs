//! Envoy's question by gRPC, and what it is answered.
//!
//! Envoy sends on what it has, but for what an answer changes, `:path` among it, byte
//! for byte. So only changes are said: a request without a token comes through
//! untouched.

use std::net::IpAddr;

use prost::{Message as _, bytes::Bytes};

use super::{
    check::{
        Allowed, CheckRequest, CheckResponse, Denied, HeaderOption, HttpRequest, HttpStatus,
        Status, Struct, StructField, Value,
    },
    original::belongs_to_original,
    outcome::{self, Outcome},
};
use crate::{
    http1::head::{self, Field, RequestHead, Version},
    hygiene::{self, IDENTITY, Peer},
    redact::Redactor,
    refusal::{Dialect, Malformed, Refusal, Reply},
    target::{self, RawTarget},
};

/// `UNAUTHENTICATED` and `PERMISSION_DENIED` of `google.rpc.Code`.
const UNAUTHENTICATED: i32 = 16;
const DENIED: i32 = 7;

/// A request that Envoy asks about.
#[derive(Debug)]
pub struct Asked {
    http: HttpRequest,
    client: Option<IpAddr>,
}

impl Asked {
    /// Reads the message of a call.
    ///
    /// # Errors
    ///
    /// 400 for one that is none, or is not about a request of HTTP.
    pub fn read(message: &[u8]) -> Result<Self, Refusal> {
        let question = Refusal::Malformed(Malformed::Question);
        let attributes = CheckRequest::decode(Bytes::copy_from_slice(message))
            .ok()
            .and_then(|request| request.attributes)
            .ok_or(question)?;
        let client = attributes
            .source
            .and_then(|peer| peer.address?.socket_address)
            .and_then(|socket| str::from_utf8(&socket.address).ok()?.parse().ok());
        let http = attributes.request.and_then(|request| request.http);
        Ok(Self {
            http: http.ok_or(question)?,
            client,
        })
    }

    /// Who the client is: Envoy has looked at forwarding fields already.
    #[must_use]
    pub fn peer(&self, asking: &Peer) -> Peer {
        self.client.map_or(*asking, |address| Peer {
            address: Some(address.to_canonical()),
            is_trusted: false,
            is_tls: asking.is_tls,
        })
    }

    /// Every field with its value.
    fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let raw = self.http.header_map.iter().flat_map(|map| &map.headers);
        let raw = raw.map(|field| {
            let is_raw = !field.raw_value.is_empty();
            let value = if is_raw {
                &field.raw_value
            } else {
                &field.value
            };
            (&*field.key, &**value)
        });
        let joined = self.http.headers.iter();
        // One of the two is empty.
        raw.chain(joined.map(|entry| (&*entry.key, &*entry.value)))
    }

    /// The value of a pseudo-header among the fields, or what is told beside them.
    fn pseudo<'a>(&'a self, name: &[u8], beside: &'a [u8]) -> Result<&'a [u8], Refusal> {
        let raw = self.http.header_map.iter().flat_map(|map| &map.headers);
        let mut found = raw.filter(|field| field.key == name);
        let first = found.next();
        if found.next().is_some() {
            return Err(Refusal::Malformed(Malformed::Question));
        }
        Ok(match first {
            Some(field) if !field.raw_value.is_empty() => &field.raw_value,
            Some(field) => &field.value,
            None => beside,
        })
    }

    /// The fields of the head.
    ///
    /// # Errors
    ///
    /// 400 where a field could be taken for something else.
    pub fn fields(&self) -> Result<Vec<Field<'_>>, Refusal> {
        let question = Refusal::Malformed(Malformed::Question);
        let value = self.pseudo(b":authority", &self.http.host)?;
        let mut fields = vec![Field {
            name: "Host",
            value,
        }];
        for (key, value) in self.pairs() {
            if key.starts_with(b":") {
                continue;
            }
            let is_name = !key.is_empty() && key.iter().all(|&byte| head::is_token(byte));
            let name = str::from_utf8(key).map_err(|_| question)?;
            if !is_name || !outcome::is_value(value) {
                return Err(question);
            }
            if !belongs_to_original(name) {
                continue;
            }
            let is_credential = name.eq_ignore_ascii_case("authorization");
            let (value, second) = match joined(value).filter(|_| is_credential) {
                Some((first, second)) => (first, Some(second)),
                None => (value, None),
            };
            fields.push(Field { name, value });
            fields.extend(second.map(|value| Field { name, value }));
        }
        Ok(fields)
    }

    /// The head of the request, with `fields` from [`fields`](Self::fields).
    ///
    /// # Errors
    ///
    /// 400 where method or target are not what a request line may have.
    pub fn head<'a, 'f>(&'a self, fields: &'f [Field<'a>]) -> Result<RequestHead<'a, 'f>, Refusal> {
        let method = self.pseudo(b":method", &self.http.method)?;
        let target = self.pseudo(b":path", &self.http.path)?;
        let is_method = !method.is_empty() && method.iter().all(|&byte| head::is_token(byte));
        let is_target = !target.is_empty() && target::is_accepted(target);
        if !is_method || !is_target || !outcome::is_value(self.pseudo(b":authority", b"")?) {
            return Err(Refusal::Malformed(Malformed::Question));
        }
        Ok(RequestHead {
            method,
            target: RawTarget::new(target),
            version: Version::Http11,
            fields,
        })
    }
}

/// Two credentials that Envoy has made one field of, where at least one is a `Bearer`.
///
/// Parameters of a scheme have commas, too, but are no scheme with a space behind it.
fn joined(value: &[u8]) -> Option<(&[u8], &[u8])> {
    memchr::memchr_iter(b',', value).find_map(|at| {
        let (first, rest) = value.split_at_checked(at)?;
        let second = rest.get(1..)?.trim_ascii_start();
        let is_one = is_bearer(first) || is_bearer(second);
        (is_one && scheme(second).is_some()).then_some((first, second))
    })
}

fn is_bearer(credentials: &[u8]) -> bool {
    scheme(credentials).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer"))
}

fn scheme(credentials: &[u8]) -> Option<&[u8]> {
    let scheme = credentials.get(..memchr::memchr(b' ', credentials)?)?;
    let is_scheme = !scheme.is_empty() && scheme.iter().all(|&byte| head::is_token(byte));
    is_scheme.then_some(scheme)
}

/// The answer that the request with `head` may pass; `upstream` is what the upstream
/// would have got from us, and `verified` says that nobody but us can have put an
/// identity there.
///
/// # Errors
///
/// 500 if something in it cannot be said.
pub fn allowed(
    head: &RequestHead<'_, '_>,
    upstream: &[u8],
    verified: bool,
) -> Result<CheckResponse, Refusal> {
    let outcome = Outcome::of(upstream).ok_or(Refusal::Internal)?;
    let mut answer = Allowed::default();
    if !is_same(head.target, outcome.target) {
        answer.headers.push(set(":path", outcome.target)?);
    }
    for name in ["authorization", "referer"] {
        replace(name, head, &outcome, &mut answer)?;
    }
    if verified {
        push_identity(head, &outcome, &mut answer)?;
    }
    Ok(CheckResponse {
        status: Some(Status { code: 0 }),
        allowed: Some(answer),
        ..CheckResponse::default()
    })
}

/// Says whose token it is, and that the client's own word for it goes no further.
fn push_identity(
    head: &RequestHead<'_, '_>,
    outcome: &Outcome<'_>,
    answer: &mut Allowed,
) -> Result<(), Refusal> {
    for name in IDENTITY {
        if let Some(value) = outcome.values(name).next() {
            answer.headers.push(set(&name.to_ascii_lowercase(), value)?);
        }
    }
    // Envoy removes after it has set, so a name must not be in both.
    let removed = head
        .fields
        .iter()
        .filter(|field| hygiene::is_identity(field.name))
        .filter(|field| !outcome.has(field.name.as_bytes()))
        .map(|field| field.name.to_ascii_lowercase());
    answer.headers_to_remove.extend(removed);
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "compares what relocation made of the target with what it got"
)]
fn is_same(raw: RawTarget<'_>, clean: &[u8]) -> bool {
    raw.expose() == clean
}

fn set(name: &str, value: &[u8]) -> Result<HeaderOption, Refusal> {
    // Ours is ASCII, and an identity is text.
    let text = str::from_utf8(value).map_err(|_| Refusal::Internal)?;
    if outcome::is_value(value) {
        Ok(HeaderOption::set(name, text))
    } else {
        Err(Refusal::Internal)
    }
}

/// Says what becomes of the fields of one name, if they do not stay as they are.
fn replace(
    name: &'static str,
    head: &RequestHead<'_, '_>,
    outcome: &Outcome<'_>,
    answer: &mut Allowed,
) -> Result<(), Refusal> {
    let sent = head
        .fields
        .iter()
        .filter(|field| field.name.eq_ignore_ascii_case(name))
        .map(|field| field.value);
    if sent.clone().eq(outcome.values(name)) {
        return Ok(());
    }
    let mut values = outcome.values(name);
    match (values.next(), values.next()) {
        (Some(value), None) => answer.headers.push(set(name, value)?),
        (None, _) => answer.headers_to_remove.push(name.to_owned()),
        // Envoy cannot be told to set two.
        (Some(_), Some(_)) => return Err(Refusal::Internal),
    }
    Ok(())
}

/// The answer that it may not: what the client gets is what it would get from us.
#[must_use]
pub fn denied(refusal: Refusal, dialect: Dialect) -> CheckResponse {
    let status = refusal.status();
    let code = if status == 401 {
        UNAUTHENTICATED
    } else {
        DENIED
    };
    CheckResponse {
        status: Some(Status { code }),
        denied: Some(Denied {
            status: Some(HttpStatus {
                code: i32::from(status),
            }),
            headers: fields_of(refusal, dialect),
            body: String::from_utf8_lossy(&refusal.body(dialect)).into_owned(),
        }),
        ..CheckResponse::default()
    }
}

/// The same answer, with the target of the request as a log may show it.
#[must_use]
pub fn shown(
    answer: CheckResponse,
    head: &RequestHead<'_, '_>,
    redactor: &Redactor,
) -> CheckResponse {
    #[expect(clippy::disallowed_methods, reason = "for a log, and masked")]
    let masked = redactor.mask(head.target.expose());
    let field = StructField {
        key: "shim_log".to_owned(),
        value: Some(Value {
            text: String::from_utf8_lossy(&masked).into_owned(),
        }),
    };
    CheckResponse {
        dynamic_metadata: Some(Struct {
            fields: vec![field],
        }),
        ..answer
    }
}

/// The fields of our own answer, but for those that Envoy makes.
fn fields_of(refusal: Refusal, dialect: Dialect) -> Vec<HeaderOption> {
    let mut answer = Vec::new();
    let to = Reply {
        dialect,
        is_head: false,
        keep_alive: true,
        date: "",
    };
    refusal.write(&to, &mut answer);
    let mut room = [httparse::EMPTY_HEADER; 16];
    let mut parsed = httparse::Response::new(&mut room);
    // It is our own; what could not be read would be left out.
    let _ = parsed.parse(&answer);
    let is_envoys = |name: &str| matches!(name, "date" | "content-length" | "connection");
    parsed
        .headers
        .iter()
        .map(|field| (field.name.to_ascii_lowercase(), field.value))
        .filter(|(name, _)| !is_envoys(name))
        .filter_map(|(name, value)| Some(HeaderOption::set(&name, str::from_utf8(value).ok()?)))
        .collect()
}

#[cfg(test)]
mod tests;
