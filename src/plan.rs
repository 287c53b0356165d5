//! From the bytes of a request head to what is done about it.
//!
//! This is the pure half of a request: no clock, no socket. It writes the head
//! for the upstream, or names the answer of our own.

mod bearer;
mod forward;
mod looks;

use std::{net::IpAddr, time::SystemTime};

use smallvec::SmallVec;

pub use self::bearer::Bearer;
use self::forward::Rewrite;

use crate::{
    access_log::Record,
    config::{Mode, Profile},
    field_value,
    http1::{
        head::{self, RequestHead, Version},
        length::Length,
        survey::{self, Survey},
    },
    hygiene::Peer,
    refusal::{Dialect, Malformed, Refusal},
    relocate::{self, Credential},
    requirement::{Api, Class, Endpoint},
    secret::TokenKey,
    settings::{Settings, Site},
    target::{self, Form, RawTarget},
    verify::learn::Touch,
};

/// The path that we answer ourselves, for container probes.
pub(crate) const HEALTH: &[u8] = b"/_tokenshim/health";

/// What is known of a request's body.
#[derive(Clone, Copy, Debug)]
pub enum Body<'b> {
    /// It follows the head.
    Behind,
    /// It is a form, and this is all of it.
    Form(&'b [u8]),
    /// Another proxy has it, and asks about the head.
    Elsewhere,
}

/// What is done about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send it on.
    Forward,
    /// Read the form first, then plan again with it.
    ReadForm,
    /// Say that we are alive.
    Health,
    /// Answer it ourselves.
    Refuse(Refusal),
}

/// A host of this length is kept without allocating; nearly all are shorter.
const SHORT_HOST: usize = 64;

/// What the engine has to know of a request besides its head.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is done about it.
    pub verdict: Verdict,
    /// The client's version.
    pub version: Version,
    /// Where it goes: the site's number in the settings.
    pub site: usize,
    /// Who is behind the request, as far as it can be known.
    pub client: Option<IpAddr>,
    /// The API that answers of our own speak.
    pub dialect: Dialect,
    /// Whether it is a `HEAD`.
    pub is_head: bool,
    /// Whether the client keeps the connection open.
    pub keep_alive: bool,
    /// Where the client's body ends.
    pub length: Length,
    /// Whether the client waits for a `100 Continue`.
    pub expects_continue: bool,
    /// Whether a change of protocol was asked for.
    pub wants_upgrade: bool,
    /// Whether sending it twice is sending it once (RFC 9110 section 9.2.2).
    pub is_idempotent: bool,
    /// Whether a token was moved out of URL or form.
    pub is_moved: bool,
    /// How long the client itself asks to wait, in milliseconds.
    pub long_poll_ms: u32,
    /// The `Host` that the upstream gets; kept only for a moved request, whose
    /// redirects are looked at.
    pub host: SmallVec<[u8; SHORT_HOST]>,
    /// The form to send in place of the client's body.
    pub form: Option<Vec<u8>>,
    /// The token, where somebody is to be asked about it.
    pub bearer: Option<Bearer>,
    /// Whether the upstream's word about the token is worth remembering.
    pub teaches: bool,
    /// Whose verdicts are void once the upstream has done what is asked, and what the
    /// request's own token is known by.
    pub touch: Option<(Touch, Option<TokenKey>)>,
}

impl Plan {
    /// A refusal before anything is known of the request.
    #[must_use]
    pub fn refuse(refusal: Refusal) -> Self {
        Self {
            verdict: Verdict::Refuse(refusal),
            version: Version::default(),
            site: 0,
            client: None,
            dialect: Dialect::default(),
            is_head: false,
            keep_alive: false,
            length: Length::Zero,
            expects_continue: false,
            wants_upgrade: false,
            is_idempotent: false,
            is_moved: false,
            long_poll_ms: 0,
            host: SmallVec::new(),
            form: None,
            bearer: None,
            teaches: false,
            touch: None,
        }
    }
}

/// Decides about the request with this `head`, and with this `form` if it was
/// read; writes the upstream's head to `out`.
pub fn make(
    head: &[u8],
    form: Option<&[u8]>,
    peer: &Peer,
    settings: &Settings,
    record: &mut Record,
    out: &mut Vec<u8>,
) -> Plan {
    let body = form.map_or(Body::Behind, Body::Form);
    let mut fields = [httparse::EMPTY_HEADER; FEW_FIELDS];
    match head::parse(head, &mut fields) {
        Ok(parsed) => make_of(parsed, body, peer, settings, record, out),
        Err(Refusal::TooManyFields) => make_of_many(head, body, peer, settings, record, out),
        Err(refusal) => unreadable(refusal, head, record),
    }
}

/// Room for the fields of nearly every request: to lay out room for all that one
/// may have takes as long as to read those of most.
const FEW_FIELDS: usize = 24;

/// Decides about a request that has more fields than most.
#[cold]
fn make_of_many(
    head: &[u8],
    body: Body<'_>,
    peer: &Peer,
    settings: &Settings,
    record: &mut Record,
    out: &mut Vec<u8>,
) -> Plan {
    let mut fields = [httparse::EMPTY_HEADER; head::MOST_FIELDS];
    match head::parse(head, &mut fields) {
        Ok(parsed) => make_of(parsed, body, peer, settings, record, out),
        Err(refusal) => unreadable(refusal, head, record),
    }
}

/// Notes what there is of a head that does not parse.
fn unreadable(refusal: Refusal, head: &[u8], record: &mut Record) -> Plan {
    record.request(b"", head::first_line(head), None);
    Plan::refuse(refusal)
}

/// Decides about a request whose head was read.
pub(crate) fn make_of(
    head: RequestHead<'_, '_>,
    body: Body<'_>,
    peer: &Peer,
    settings: &Settings,
    record: &mut Record,
    out: &mut Vec<u8>,
) -> Plan {
    record.request(head.method, head.target, Some(head.version));
    if head.fields.len() > settings.limits.head_fields {
        return Plan::refuse(Refusal::TooManyFields);
    }
    let survey = match survey::survey(&head) {
        Ok(survey) => survey,
        Err(refusal) => {
            record.client(peer.address, None, None);
            return Plan {
                version: head.version,
                is_head: head.method == b"HEAD",
                ..Plan::refuse(refusal)
            };
        }
    };
    let client = peer.client(survey.forwarded_for, |address| {
        settings.trusted.trusts(address)
    });
    record.client(client, survey.referer, survey.user_agent);
    let mut plan = Plan {
        verdict: Verdict::Forward,
        version: head.version,
        client,
        is_head: head.method == b"HEAD",
        keep_alive: survey.keep_alive,
        length: survey.length,
        expects_continue: survey.expects_continue,
        wants_upgrade: survey.upgrade.is_some(),
        is_idempotent: matches!(
            head.method,
            b"GET" | b"HEAD" | b"OPTIONS" | b"PUT" | b"DELETE"
        ),
        ..Plan::refuse(Refusal::Internal)
    };
    plan.verdict = admit(&head, settings)
        .and_then(|target| {
            let is_ours = !matches!(body, Body::Elsewhere);
            if is_ours
                && matches!(head.method, b"GET" | b"HEAD")
                && relocate::is_path(&target, HEALTH)
            {
                return Ok(Verdict::Health);
            }
            let request = Parts::new(head, survey, target, peer, settings)?;
            request.decide(body, record, &mut plan, out)
        })
        .unwrap_or_else(Verdict::Refuse);
    plan
}

/// A request that HTTP finds no fault with, and where it goes.
struct Parts<'r, 'f> {
    head: RequestHead<'r, 'f>,
    survey: Survey<'r>,
    target: Form<'r>,
    peer: &'r Peer,
    settings: &'r Settings,
    number: usize,
    site: &'r Site,
    mode: Mode,
    host: &'r [u8],
}

impl<'r, 'f> Parts<'r, 'f> {
    fn new(
        head: RequestHead<'r, 'f>,
        survey: Survey<'r>,
        target: Form<'r>,
        peer: &'r Peer,
        settings: &'r Settings,
    ) -> Result<Self, Refusal> {
        let host = target.authority().or(survey.host);
        let is_here = |site: &Site| {
            site.is_for_host(host.unwrap_or_default())
                && relocate::is_within(&target, site.path.as_deref())
        };
        let (number, site) = settings
            .sites
            .iter()
            .enumerate()
            .find(|(_, site)| is_here(site))
            .ok_or(Refusal::NoRoute)?;
        let mode = site.policy.modes.of(survey.user_agent, SystemTime::now);
        Ok(Self {
            mode,
            head,
            survey,
            target,
            peer,
            settings,
            number,
            site,
            host: host.unwrap_or(site.upstream_authority()),
        })
    }

    fn decide(
        &self,
        body: Body<'r>,
        record: &mut Record,
        plan: &mut Plan,
        out: &mut Vec<u8>,
    ) -> Result<Verdict, Refusal> {
        let Self {
            head, target, site, ..
        } = self;
        plan.site = self.number;
        record.route(relocate::route_class(target, site.policy.profile));
        let endpoint = relocate::endpoint(head.method, target, &site.policy);
        if endpoint.api == Api::Identity {
            plan.dialect = Dialect::Identity;
        }
        let most = self.settings.limits.body_size;
        if matches!(self.survey.length, Length::Sized(length) if most.is_some_and(|most| length > most))
        {
            return Err(Refusal::BodyTooLarge);
        }
        if matches!(body, Body::Behind) && self.wants_form(endpoint) {
            return Ok(Verdict::ReadForm);
        }
        self.relocate(endpoint, body, record, plan, out)?;
        Ok(Verdict::Forward)
    }

    /// Moves the token and writes the head for the upstream.
    fn relocate(
        &self,
        endpoint: Endpoint,
        body: Body<'r>,
        record: &mut Record,
        plan: &mut Plan,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let Self {
            head,
            survey,
            target,
            site,
            ..
        } = self;
        let form = match body {
            Body::Form(form) => Some(form),
            Body::Behind | Body::Elsewhere => None,
        };
        let relocated = relocate::relocate(
            &relocate::Request {
                method: head.method,
                query: target.query(),
                form: form.map(RawTarget::new),
                authorization: survey.authorization,
                endpoint,
                mode: self.mode,
            },
            &site.policy,
        );
        let known = relocated
            .credential
            .as_ref()
            .ok()
            .and_then(Credential::token)
            .map(|token| self.settings.fingerprint_key.recognise(token));
        record.credential(&relocated, known.map(|(fingerprint, _)| fingerprint));
        let credential = relocated.credential?;
        let is_missing = matches!(credential, Credential::Absent) && !self.may_hide_token(body);
        let looks = self.looks_at_token(endpoint);
        // Where we are the only ones who look, what is no token is none, and a place
        // where we do not look is empty.
        if (endpoint.class == Class::Required && is_missing)
            || (looks && site.verifies() && known.is_none())
        {
            return Err(Refusal::MissingToken);
        }
        let to_query = relocated.to_query && credential.token().is_some();
        // A redirect must not repeat what we wrote, either.
        plan.is_moved = relocated.cut || to_query;
        plan.long_poll_ms = relocated.long_poll_ms;
        plan.form = form.map(|form| {
            if relocated.cut {
                relocate::cut_form(RawTarget::new(form), &site.policy.names)
            } else {
                form.to_vec()
            }
        });
        if plan.is_moved {
            plan.host = SmallVec::from_slice(self.host);
        }
        let rewrite = Rewrite {
            endpoint,
            credential,
            cut_from: relocated.cut.then_some(relocated.cut_from),
            to_query,
        };
        self.push_head(&rewrite, plan, out);
        let key = known.map(|(_, key)| key);
        if let (true, Some(token), Some(key)) = (looks, rewrite.credential.token(), key) {
            if site.verifies() {
                // Always found; if it were not, nobody could be let in.
                let bearer = Bearer::find(key, token, out).ok_or(Refusal::Internal)?;
                plan.bearer = Some(bearer);
            } else if relocated.is_plain && !self.may_hide_token(body) {
                // One upstream may serve several names, each with tokens of its own.
                plan.bearer = Some(Bearer::known(key.at_host(self.host)));
                plan.teaches = relocate::may_teach(endpoint, head.method, target);
            }
        }
        if site.policy.profile == Profile::Matrix && self.settings.verifiers.remember_users() {
            plan.touch = relocate::touches(head.method, target).map(|touch| (touch, key));
        }
        Ok(())
    }
}

/// The target's parts, if this request may have such a target.
fn admit<'r>(head: &RequestHead<'r, '_>, settings: &Settings) -> Result<Form<'r>, Refusal> {
    if matches!(head.method, b"CONNECT" | b"TRACE") {
        return Err(Refusal::RefusedMethod);
    }
    if head.target.len() > settings.limits.target_length {
        return Err(Refusal::TargetTooLong);
    }
    let malformed = Refusal::Malformed(Malformed::Target);
    let target = target::split(head.target).ok_or(malformed)?;
    let is_allowed = match target {
        Form::Asterisk => head.method == b"OPTIONS",
        Form::Origin { authority, .. } => authority.is_none_or(field_value::is_host),
    };
    if is_allowed {
        Ok(target)
    } else {
        Err(malformed)
    }
}
