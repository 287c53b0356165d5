//! Verdicts, answered by HTTP.
//!
//! nginx reads fields and takes no status but 2xx, 401 and 403; so everything is in
//! `X-Shim-…`, and another refusal is a 403 that says what it should have been. The other
//! proxies hand a refusal to their client as it is; it looks as if we had been asked by
//! that client. What they send upstream they copy from fields of the same name.

use super::outcome::{self, Outcome};
use crate::{
    decimal,
    hygiene::{self, IDENTITY},
    refusal::{Refusal, Reply},
};

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// It reads `X-Shim-…` fields.
    Nginx,
    /// Caddy, Traefik, Envoy: they copy fields and refusals.
    Other,
}

impl Asker {
    /// The status that `refusal` is answered with.
    #[must_use]
    pub const fn status(self, refusal: Refusal) -> u16 {
        match (self, refusal.status()) {
            (Self::Other, status) | (Self::Nginx, status @ (401 | 403)) => status,
            (Self::Nginx, _) => 403,
        }
    }
}

/// Appends the answer that the request may pass; `head` is what the upstream would have
/// got from us, `verified` says that nobody but us can have put an identity there, and
/// `shown` is the target as a log may show it. `false`, and nothing is appended, if there is something in it that no answer can carry.
#[must_use]
pub fn push_allowed(
    asker: Asker,
    head: &[u8],
    verified: bool,
    shown: &[u8],
    to: &Reply<'_>,
    out: &mut Vec<u8>,
) -> bool {
    let Some(outcome) = Outcome::of(head) else {
        return false;
    };
    let begin = out.len();
    out.extend_from_slice(b"HTTP/1.1 200 OK\r\nDate: ");
    out.extend_from_slice(to.date.as_bytes());
    out.extend_from_slice(b"\r\nContent-Length: 0\r\nCache-Control: no-store\r\nConnection: ");
    out.extend_from_slice(if to.keep_alive {
        b"keep-alive\r\n"
    } else {
        b"close\r\n"
    });
    let mut is_sound = push(out, "X-Shim-Uri", outcome.target);
    for value in outcome.values("authorization") {
        is_sound &= push(out, "X-Shim-Authorization", value);
        if asker == Asker::Other {
            is_sound &= push(out, "Authorization", value);
        }
    }
    for value in outcome.values("referer") {
        is_sound &= push(out, "X-Shim-Referer", value);
    }
    if asker == Asker::Nginx {
        is_sound &= push(out, "X-Shim-Log", shown);
    }
    if verified {
        is_sound &= push_identity(asker, &outcome, out);
    }
    if !is_sound {
        out.truncate(begin);
        return false;
    }
    out.extend_from_slice(b"\r\n");
    true
}

/// What the fields of an identity are called in answers; in the order of [`IDENTITY`].
const SHIM_IDENTITY: [&str; 4] = [
    "X-Shim-User",
    "X-Shim-Device",
    "X-Shim-Scope",
    "X-Shim-Label",
];

/// Appends whose token it is.
///
/// Where a field is absent, Envoy and Caddy would send on what their client sent under its
/// name: Envoy is told not to, and Caddy's configuration has to see to it.
fn push_identity(asker: Asker, outcome: &Outcome<'_>, out: &mut Vec<u8>) -> bool {
    let mut is_sound = true;
    let mut before = "x-envoy-auth-headers-to-remove: ";
    let mut removed = Vec::new();
    for (name, shim) in IDENTITY.into_iter().zip(SHIM_IDENTITY) {
        if let Some(value) = outcome.values(name).next() {
            is_sound &= push(out, shim, value);
            if asker == Asker::Other {
                is_sound &= push(out, name, value);
            }
        } else if asker == Asker::Other {
            removed.extend_from_slice(before.as_bytes());
            removed.extend_from_slice(name.as_bytes());
            before = ",";
        }
    }
    if !removed.is_empty() {
        out.extend_from_slice(&removed);
        out.extend_from_slice(b"\r\n");
    }
    is_sound
}

fn push(out: &mut Vec<u8>, name: &str, value: &[u8]) -> bool {
    let is_sound = outcome::is_value(value);
    if is_sound {
        hygiene::push(out, name, value);
    }
    is_sound
}

/// Appends the answer that it may not; returns how many bytes its body has.
pub fn push_refused(
    asker: Asker,
    refusal: Refusal,
    shown: &[u8],
    to: &Reply<'_>,
    out: &mut Vec<u8>,
) -> usize {
    let begin = out.len();
    let length = refusal.write(to, out);
    if asker == Asker::Other {
        return length;
    }
    let line = out.get(begin..).unwrap_or_default();
    let end = memchr::memchr(b'\r', line).map_or(begin, |end| begin.saturating_add(end));
    let status = refusal.status();
    let mut head: Vec<u8> = match asker.status(refusal) {
        same if same == status => out.get(begin..end).unwrap_or_default().to_vec(),
        _ => b"HTTP/1.1 403 Forbidden".to_vec(),
    };
    head.extend_from_slice(b"\r\nX-Shim-Status: ");
    decimal::push(&mut head, u64::from(status));
    head.extend_from_slice(b"\r\nX-Shim-Error: ");
    head.extend_from_slice(&refusal.body(to.dialect));
    if !shown.is_empty() && outcome::is_value(shown) {
        head.extend_from_slice(b"\r\nX-Shim-Log: ");
        head.extend_from_slice(shown);
    }
    out.splice(begin..end, head);
    length
}

#[cfg(test)]
mod tests;
