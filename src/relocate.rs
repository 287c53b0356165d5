//! Moves a token out of the query, or out of a form body, and into
//! `Authorization`.
//!
//! Query strings end up in logs, history and `Referer`; header fields do not.
//! Every other byte of the target leaves as it came, in the same order: we cut,
//! and never decode and re-encode what the homeserver will read. An existing
//! `Authorization` is never changed (RFC 9110 section 11.6.2). Only this
//! module, and the log that masks, looks into a raw target.
//!
//! The other way round there is one exception, which has to be asked for: [`appservice`].

pub mod appservice;
mod edit;
pub mod field;
pub mod modes;
pub mod narrow;
pub mod query;

use crate::{
    config::{self, Conflict, FormBody, Mode, OpenEndpoints, Profile, Repeated, TokenPlacement},
    refusal::Refusal,
    requirement::{self, Class, Endpoint, RouteClass},
    secret::AccessToken,
    target::{Form, RawTarget},
    verify::learn::{self, Touch},
};
pub use edit::{Edit, cut_form, push_target};
use modes::Modes;
use query::{Lookup, Names};

/// What the operator decided about tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The set of endpoints that are known.
    pub profile: Profile,
    /// How far the clients have come on their way to the header.
    pub modes: Modes,
    /// Parameter names that carry a token.
    pub names: Names,
    /// Different tokens in one query.
    pub repeated: Repeated,
    /// A token in the header and another in the query.
    pub conflict: Conflict,
    /// A token in a form body.
    pub form_body: FormBody,
    /// A token sent to an endpoint that needs none.
    pub open: OpenEndpoints,
    /// Where an application service gets its token.
    pub token: TokenPlacement,
    /// Whether an application service gets the paths of old.
    pub legacy_paths: bool,
}

impl From<&config::Relocate> for Policy {
    fn from(section: &config::Relocate) -> Self {
        Self {
            profile: section.profile,
            modes: Modes::from(section),
            names: Names::new(section.parameters.clone()),
            repeated: section.repeated,
            conflict: section.conflict,
            form_body: section.form_body,
            open: section.open,
            token: section.token,
            legacy_paths: section.legacy_paths,
        }
    }
}

impl Policy {
    /// Whether an application service gets its token in the query as well.
    #[must_use]
    pub fn goes_to_query(&self) -> bool {
        self.profile == Profile::Appservice && self.token == TokenPlacement::ToQuery
    }

    /// Whether it gets the paths of old.
    fn has_legacy_paths(&self) -> bool {
        self.profile == Profile::Appservice && self.legacy_paths
    }
}

/// The `Authorization` fields of a request.
#[derive(Clone, Copy, Debug, Default)]
pub enum Authorization<'r> {
    /// None.
    #[default]
    Absent,
    /// One, with its value.
    One(&'r [u8]),
    /// More than one.
    Several,
}

/// Where a token came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// There was none.
    #[default]
    None,
    /// `Authorization`.
    Header,
    /// The query.
    Query,
    /// `Authorization` and the query or form.
    Both,
    /// A form body.
    Form,
}

impl Source {
    /// As the log has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Header => "header",
            Self::Query => "query",
            Self::Both => "both",
            Self::Form => "form",
        }
    }
}

/// What relocation reads of a request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    /// The method.
    pub method: &'r [u8],
    /// The target's query.
    pub query: Option<RawTarget<'r>>,
    /// The body, if it is a form that we may look into.
    pub form: Option<RawTarget<'r>>,
    /// The `Authorization` fields.
    pub authorization: Authorization<'r>,
    /// The endpoint that is asked.
    pub endpoint: Endpoint,
    /// How far the client has come.
    pub mode: Mode,
}

/// What becomes of a request's credential.
#[derive(Clone, Debug)]
pub enum Credential<'r> {
    /// There is none.
    Absent,
    /// It stays as it came, in the `Authorization` field (or elsewhere, where we observe).
    Kept(Option<AccessToken<'r>>),
    /// This token becomes the request's only `Authorization`.
    Moved(AccessToken<'r>),
}

impl<'r> Credential<'r> {
    /// The token in it, if there is one that we can read.
    #[must_use]
    pub const fn token(&self) -> Option<&AccessToken<'r>> {
        match self {
            Self::Moved(token) | Self::Kept(Some(token)) => Some(token),
            Self::Absent | Self::Kept(None) => None,
        }
    }
}

/// The outcome: what to cut, and what to authorize with.
#[derive(Clone, Debug)]
pub struct Relocated<'r> {
    /// Where a token was found.
    pub source: Source,
    /// Whether the query and the form lose their token pairs.
    pub cut: bool,
    /// Where the first of them begins in the query, 0 if it has none.
    pub cut_from: usize,
    /// Whether the token goes on in the query as well.
    pub to_query: bool,
    /// How long the query asks to wait, in milliseconds.
    pub long_poll_ms: u32,
    /// What to send upstream, or why nothing is sent.
    pub credential: Result<Credential<'r>, Refusal>,
    /// Whether the upstream reads the same token for certain: what we write, or one field
    /// spelled as we would. Some servers take a second space, or the space that others read
    /// in a `+` of the query, for a part of the token.
    pub is_plain: bool,
}

/// Decides about the token of a request.
#[must_use]
pub fn relocate<'r>(request: &Request<'r>, policy: &Policy) -> Relocated<'r> {
    let authorization = match policy.profile {
        Profile::Appservice => appservice::credentials(request.authorization),
        Profile::Matrix | Profile::Generic => request.authorization,
    };
    let in_query = request.query.map_or_else(Lookup::default, |query| {
        Lookup::default().and(reveal(query), &policy.names)
    });
    let found = request
        .form
        .map_or(in_query, |form| in_query.and(reveal(form), &policy.names));
    let has_header = !matches!(authorization, Authorization::Absent);
    let verbatim = request.endpoint.class == Class::Never;
    // Where the parameter is part of the API it is no credential of the client.
    let has_token = found.first.is_some() && !verbatim;
    let source = match (has_header, has_token) {
        (false, false) => Source::None,
        (true, false) => Source::Header,
        (true, true) => Source::Both,
        (false, true) if in_query.first.is_some() => Source::Query,
        (false, true) => Source::Form,
    };
    let is_open = request.endpoint.class == Class::Open;
    let is_untouched = verbatim || request.method == b"OPTIONS";
    let observes = request.mode == Mode::Observe;
    let credential = if is_untouched {
        Ok(kept(authorization))
    } else if observes {
        Ok(observed(authorization, found.first))
    } else if policy.form_body == FormBody::Refuse && found.pairs > in_query.pairs {
        Err(Refusal::FormToken)
    } else if is_open {
        // Such an endpoint ignores credentials: wrong ones are no reason for a 401.
        Ok(choose(request, authorization, &found, policy).unwrap_or_else(|_| kept(authorization)))
    } else {
        choose(request, authorization, &found, policy)
    };
    let is_alone = !has_token || !(is_untouched || observes);
    let is_plain = match &credential {
        Ok(Credential::Moved(_)) => true,
        Ok(Credential::Kept(Some(token))) => is_alone && is_plain(authorization, token),
        Ok(Credential::Absent | Credential::Kept(None)) | Err(_) => false,
    };
    Relocated {
        source,
        cut: !verbatim && !observes && found.pairs > 0,
        cut_from: in_query.at,
        to_query: policy.goes_to_query() && !is_untouched,
        long_poll_ms: in_query.long_poll_ms().unwrap_or_default(),
        credential,
        is_plain,
    }
}

/// Whether the field is the scheme, one space, and the token.
fn is_plain(authorization: Authorization<'_>, token: &AccessToken<'_>) -> bool {
    const SCHEME: &[u8] = b"Bearer ";
    let token = token.expose().as_bytes();
    matches!(authorization, Authorization::One(field) if field.strip_prefix(SCHEME) == Some(token))
}

/// Which of the credentials counts.
fn choose<'r>(
    request: &Request<'r>,
    authorization: Authorization<'r>,
    found: &Lookup<'r>,
    policy: &Policy,
) -> Result<Credential<'r>, Refusal> {
    let header = match authorization {
        Authorization::Several => return Err(Refusal::SeveralAuthorizations),
        Authorization::One(value) => Some(value),
        Authorization::Absent => None,
    };
    let Some(raw) = found.first else {
        return Ok(kept(authorization));
    };
    if request.endpoint.class == Class::Open && policy.open == OpenEndpoints::Cut {
        return Ok(kept(authorization));
    }
    if request.mode == Mode::Refuse && header.is_none() {
        return Err(Refusal::QueryToken);
    }
    if let Some(header) = header {
        let same = !found.differs
            && AccessToken::from_bearer(header)
                .zip(AccessToken::from_parameter(raw).ok())
                .is_some_and(|(header, query)| header.is_same(&query));
        match policy.conflict {
            _ if same => return Ok(kept(authorization)),
            Conflict::Refuse => return Err(Refusal::MixedToken),
            Conflict::Header => return Ok(kept(authorization)),
            Conflict::Query => {}
        }
    }
    if found.differs && policy.repeated == Repeated::Refuse {
        return Err(Refusal::RepeatedToken);
    }
    // Whatever this is, no server can have issued it: the one certainty that
    // carries an M_UNKNOWN_TOKEN.
    AccessToken::from_parameter(raw)
        .map(Credential::Moved)
        .map_err(|_| Refusal::UnusableToken)
}

/// The credential as it came, be it in the query.
fn observed<'r>(authorization: Authorization<'r>, raw: Option<&'r [u8]>) -> Credential<'r> {
    match (authorization, raw) {
        (Authorization::Absent, Some(raw)) => {
            Credential::Kept(AccessToken::from_parameter(raw).ok())
        }
        _ => kept(authorization),
    }
}

/// The credential as it came.
fn kept(authorization: Authorization<'_>) -> Credential<'_> {
    match authorization {
        Authorization::Absent => Credential::Absent,
        Authorization::One(value) => Credential::Kept(AccessToken::from_bearer(value)),
        Authorization::Several => Credential::Kept(None),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "relocation is what reads raw targets"
)]
fn reveal(text: RawTarget<'_>) -> &[u8] {
    text.expose()
}

/// The endpoint that a target names.
#[must_use]
pub fn endpoint(method: &[u8], form: &Form<'_>, policy: &Policy) -> Endpoint {
    match (policy.profile, form) {
        (Profile::Matrix, Form::Origin { path, .. }) => requirement::of(method, reveal(*path)),
        // Who reads queries reads them in other APIs as well: those are left alone.
        (Profile::Appservice, Form::Origin { path, .. })
            if policy.goes_to_query() && !appservice::is_endpoint(reveal(*path)) =>
        {
            Endpoint {
                class: Class::Never,
                ..Endpoint::UNLISTED
            }
        }
        (Profile::Generic | Profile::Appservice, _) | (_, Form::Asterisk) => Endpoint::UNLISTED,
    }
}

/// What kind of traffic a target is, for counting.
#[must_use]
pub fn route_class(form: &Form<'_>, profile: Profile) -> RouteClass {
    match (profile, form) {
        (Profile::Matrix, Form::Origin { path, .. }) => RouteClass::of(reveal(*path)),
        (Profile::Generic | Profile::Appservice, _) | (_, Form::Asterisk) => RouteClass::Other,
    }
}

/// Whether a homeserver's 401 to this request is about the token that came with it.
#[must_use]
pub fn may_teach(endpoint: Endpoint, method: &[u8], form: &Form<'_>) -> bool {
    matches!(form, Form::Origin { path, .. } if learn::may_teach(endpoint, method, reveal(*path)))
}

/// Whose tokens may be void when this request has been served.
#[must_use]
pub fn touches(method: &[u8], form: &Form<'_>) -> Option<Touch> {
    match form {
        Form::Origin { path, .. } => learn::touches(method, reveal(*path)),
        Form::Asterisk => None,
    }
}

/// Whether the target's path is `path` to the letter.
#[must_use]
pub fn is_path(form: &Form<'_>, path: &[u8]) -> bool {
    matches!(form, Form::Origin { path: raw, .. } if reveal(*raw) == path)
}

/// Whether the target's path is `prefix` or below it, byte for byte; `None` is
/// above all.
#[must_use]
pub fn is_within(form: &Form<'_>, prefix: Option<&str>) -> bool {
    let Some(prefix) = prefix else { return true };
    let Form::Origin { path, .. } = form else {
        return false;
    };
    reveal(*path)
        .strip_prefix(prefix.as_bytes())
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}
