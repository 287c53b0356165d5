//! Which request is asked about, by HTTP.
//!
//! There are three ways to say it, and a question uses one of them:
//!
//! | who | target | method | host |
//! | --- | --- | --- | --- |
//! | nginx | `X-Original-URI` | `X-Original-Method` | `X-Original-Host`, else `Host` |
//! | Caddy, Traefik | `X-Forwarded-Uri` | `X-Forwarded-Method` | `X-Forwarded-Host`, else `Host` |
//! | Envoy | what follows `/auth` | the question's own | `Host` |
//!
//! Each of these proxies overwrites what its client sent under the names that it uses
//! itself, and passes on what it sent under the others'. So a question in two ways is
//! refused, whichever of them would count: one of them may be the client's.

use super::Asker;
use crate::{
    http1::{
        head::{self, Field, RequestHead, Version},
        survey::{self, Known},
    },
    redact::Redactor,
    refusal::{Malformed, Refusal},
    target::{self, RawTarget},
};

/// Where questions are asked.
const PATH: &[u8] = b"/auth";

/// The request that is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Original<'r> {
    /// A token.
    pub method: &'r [u8],
    /// Holds only bytes that a target may have.
    pub target: RawTarget<'r>,
    /// The `Host`; a question may come without, and is refused later.
    pub host: Option<&'r [u8]>,
    /// Who asks.
    pub asker: Asker,
}

/// Why there is no such request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAsked {
    /// What to answer.
    pub refusal: Refusal,
    /// To whom.
    pub asker: Asker,
}

/// A field that may come once.
#[derive(Clone, Copy, Default)]
enum Once<'r> {
    #[default]
    Absent,
    Here(&'r [u8]),
    Again,
}

impl<'r> Once<'r> {
    fn note(&mut self, value: &'r [u8]) {
        *self = match self {
            Self::Absent => Self::Here(value),
            Self::Here(_) | Self::Again => Self::Again,
        };
    }

    const fn is_here(self) -> bool {
        !matches!(self, Self::Absent)
    }

    /// The value; the first `Err` is for one that came twice.
    const fn get(self) -> Result<Option<&'r [u8]>, Unclear> {
        match self {
            Self::Absent => Ok(None),
            Self::Here(value) => Ok(Some(value)),
            Self::Again => Err(Unclear),
        }
    }
}

/// The question does not say what it is about, or says it twice.
#[derive(Clone, Copy)]
struct Unclear;

/// One way to say which request it is.
#[derive(Clone, Copy, Default)]
struct Way<'r> {
    target: Once<'r>,
    method: Once<'r>,
    host: Once<'r>,
}

impl<'r> Way<'r> {
    fn read(self, host: Option<&'r [u8]>, asker: Asker) -> Result<Original<'r>, Unclear> {
        let (Some(target), Some(method)) = (self.target.get()?, self.method.get()?) else {
            return Err(Unclear);
        };
        Ok(Original {
            method,
            target: RawTarget::new(target),
            host: self.host.get()?.or(host),
            asker,
        })
    }
}

/// Finds it.
///
/// # Errors
///
/// [`NotAsked`]: 404 on another path, 400 where it is not said, or said in two ways.
pub fn find<'r>(question: &RequestHead<'r, '_>) -> Result<Original<'r>, NotAsked> {
    let (mut original, mut forwarded) = (Way::default(), Way::default());
    let mut host = None;
    for field in question.fields {
        match name(field.name) {
            Some(Name::OriginalUri) => original.target.note(field.value),
            Some(Name::OriginalMethod) => original.method.note(field.value),
            Some(Name::OriginalHost) => original.host.note(field.value),
            Some(Name::ForwardedUri) => forwarded.target.note(field.value),
            Some(Name::ForwardedMethod) => forwarded.method.note(field.value),
            Some(Name::ForwardedHost) => forwarded.host.note(field.value),
            Some(Name::Host) => host = Some(field.value),
            None => {}
        }
    }
    let is_original =
        original.target.is_here() || original.method.is_here() || original.host.is_here();
    let is_forwarded = forwarded.target.is_here() || forwarded.method.is_here();
    let asker = if is_original {
        Asker::Nginx
    } else {
        Asker::Other
    };
    let rest = rest(question.target).ok_or(NotAsked {
        refusal: Refusal::NoRoute,
        asker,
    })?;
    let found = match (is_original, is_forwarded, rest) {
        (true, false, b"") => original.read(host, asker),
        (false, true, b"") => forwarded.read(host, asker),
        (false, false, target) if !target.is_empty() => Ok(Original {
            method: question.method,
            target: RawTarget::new(target),
            host,
            asker,
        }),
        _ => Err(Unclear),
    };
    found
        .and_then(Original::checked)
        .map_err(|Unclear| NotAsked {
            refusal: Refusal::Malformed(Malformed::Question),
            asker,
        })
}

/// What follows the path of questions; `None` for another path.
///
/// A query right behind it is nobody's: Caddy leaves that of its client there.
#[expect(
    clippy::disallowed_methods,
    reason = "with Envoy, it holds the target that relocation is to get"
)]
fn rest(target: RawTarget<'_>) -> Option<&[u8]> {
    let rest = target.expose().strip_prefix(PATH)?;
    match rest.first() {
        None | Some(b'/') => Some(rest),
        Some(b'?') => Some(b""),
        Some(_) => None,
    }
}

impl<'r> Original<'r> {
    /// The same, if method and target are what a request line may have.
    #[expect(
        clippy::disallowed_methods,
        reason = "looks at which bytes there are, as the parser does"
    )]
    fn checked(self) -> Result<Self, Unclear> {
        let is_method =
            !self.method.is_empty() && self.method.iter().all(|&byte| head::is_token(byte));
        let target = self.target.expose();
        let is_target = !target.is_empty() && target::is_accepted(target);
        (is_method && is_target).then_some(self).ok_or(Unclear)
    }

    /// Writes its target to `out` as a log may show it, for nginx, which masks nothing.
    #[expect(clippy::disallowed_methods, reason = "for a log, and masked")]
    pub fn show(&self, redactor: &Redactor, out: &mut Vec<u8>) {
        if self.asker == Asker::Nginx {
            redactor.mask_into(self.target.expose(), out);
        }
    }

    /// Its head, made in `room` of the question's fields: those that the client sent, as
    /// far as its proxy passed them on. `None` if there is no room.
    #[must_use]
    pub fn head<'f>(
        &self,
        fields: &[Field<'r>],
        room: &'f mut [Field<'r>],
    ) -> Option<RequestHead<'r, 'f>> {
        let host = self.host.map(|value| Field {
            name: "Host",
            value,
        });
        let passing = fields
            .iter()
            .filter(|field| belongs_to_original(field.name));
        let mut count = 0_usize;
        for field in host.iter().chain(passing) {
            *room.get_mut(count)? = *field;
            count = count.saturating_add(1);
        }
        Some(RequestHead {
            method: self.method,
            target: self.target,
            version: Version::Http11,
            fields: room.get(..count)?,
        })
    }
}

/// Whether a field of a question is one of the request that it is about.
///
/// Those that frame the question, or are about its connection, are not.
pub(super) fn belongs_to_original(field: &str) -> bool {
    match survey::known(field) {
        Some(
            Known::Connection
            | Known::ContentLength
            | Known::Expect
            | Known::HopByHop
            | Known::Host
            | Known::Te
            | Known::TransferEncoding
            | Known::Upgrade,
        ) => false,
        Some(_) => true,
        None => name(field).is_none(),
    }
}

#[derive(Clone, Copy)]
enum Name {
    Host,
    OriginalUri,
    OriginalMethod,
    OriginalHost,
    ForwardedUri,
    ForwardedMethod,
    ForwardedHost,
}

/// The fields that say which request it is.
fn name(field: &str) -> Option<Name> {
    let is = |known: &str| field.eq_ignore_ascii_case(known);
    match field.len() {
        4 if is("host") => Some(Name::Host),
        14 if is("x-original-uri") => Some(Name::OriginalUri),
        15 if is("x-original-host") => Some(Name::OriginalHost),
        15 if is("x-forwarded-uri") => Some(Name::ForwardedUri),
        16 if is("x-forwarded-host") => Some(Name::ForwardedHost),
        17 if is("x-original-method") => Some(Name::OriginalMethod),
        18 if is("x-forwarded-method") => Some(Name::ForwardedMethod),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
