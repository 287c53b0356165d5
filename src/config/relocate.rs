//! What happens to tokens: for all routes, and for one that differs.

use std::time::SystemTime;

use httpdate::HttpDate;
use jiff::civil::Date;

use super::choice::{
    Conflict, FormBody, Mode, OpenEndpoints, Profile, Repeated, TokenPlacement, VerifyMode,
};
use super::key::{self, Key};
use super::parse::{self, ClientMode, Deprecation};
use super::reader::Reader;
use super::upstream::Upstream;

/// The `[relocate]` section as it is for one route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relocate {
    /// Which API is behind.
    pub profile: Profile,
    /// How far the clients have come.
    pub mode: Mode,
    /// The day from whose begin in UTC on `Relocate` means `Refuse`.
    pub refuse_after: Option<Date>,
    /// Clients that are further, or less far, than the others; the first that fits
    /// counts.
    pub clients: Vec<ClientMode>,
    /// Names of parameters that hold a token, 1 to 16, each visible ASCII without `&;=%`.
    pub parameters: Vec<Vec<u8>>,
    /// One request, several different tokens in its query.
    pub repeated: Repeated,
    /// One request, different tokens in header and query.
    pub conflict: Conflict,
    /// A token in a form body.
    pub form_body: FormBody,
    /// A token sent to an endpoint that needs none.
    pub open: OpenEndpoints,
    /// `Deprecation` field for responses to moved requests.
    pub deprecation: Option<Deprecation>,
    /// `Sunset` field for responses to moved requests; not before `deprecation`.
    pub sunset: Option<HttpDate>,
    /// Where an application service gets its token; `ToHeader` with any other profile.
    pub token: TokenPlacement,
    /// Whether an application service gets the paths of old; only with its profile.
    pub legacy_paths: bool,
}

/// The names that these settings have in one of the two places.
pub(super) struct Keys {
    pub(super) profile: Key,
    pub(super) mode: Key,
    pub(super) refuse_after: Key,
    pub(super) clients: Key,
    pub(super) parameters: Key,
    pub(super) repeated: Key,
    pub(super) conflict: Key,
    pub(super) form_body: Key,
    pub(super) open: Key,
    pub(super) deprecation: Key,
    pub(super) sunset: Key,
    pub(super) token: Key,
    pub(super) legacy_paths: Key,
}

/// In `[relocate]`.
pub(super) const IN_SECTION: Keys = Keys {
    profile: key::PROFILE,
    mode: key::RELOCATE_MODE,
    refuse_after: key::REFUSE_AFTER,
    clients: key::CLIENTS,
    parameters: key::PARAMETERS,
    repeated: key::REPEATED,
    conflict: key::CONFLICT,
    form_body: key::FORM_BODY,
    open: key::OPEN,
    deprecation: key::DEPRECATION,
    sunset: key::SUNSET,
    token: key::TOKEN,
    legacy_paths: key::LEGACY_PATHS,
};

/// In `[[route]]`.
pub(super) const IN_ROUTE: Keys = Keys {
    profile: key::ROUTE_PROFILE,
    mode: key::ROUTE_MODE,
    refuse_after: key::ROUTE_REFUSE_AFTER,
    clients: key::ROUTE_CLIENTS,
    parameters: key::ROUTE_PARAMETERS,
    repeated: key::ROUTE_REPEATED,
    conflict: key::ROUTE_CONFLICT,
    form_body: key::ROUTE_FORM_BODY,
    open: key::ROUTE_OPEN,
    deprecation: key::ROUTE_DEPRECATION,
    sunset: key::ROUTE_SUNSET,
    token: key::ROUTE_TOKEN,
    legacy_paths: key::ROUTE_LEGACY_PATHS,
};

impl Default for Relocate {
    fn default() -> Self {
        Self {
            profile: Profile::Matrix,
            mode: Mode::Relocate,
            refuse_after: None,
            clients: Vec::new(),
            parameters: vec![b"access_token".to_vec()],
            repeated: Repeated::Refuse,
            conflict: Conflict::Refuse,
            form_body: FormBody::Relocate,
            open: OpenEndpoints::Move,
            deprecation: None,
            sunset: None,
            token: TokenPlacement::ToHeader,
            legacy_paths: false,
        }
    }
}

impl Relocate {
    /// What is not written under `keys` is as in `otherwise`.
    pub(super) fn read(reader: &mut Reader<'_>, keys: &Keys, otherwise: &Self) -> Self {
        let profile = reader.choice(keys.profile, otherwise.profile);
        let appservice = Appservice::read(reader, keys, profile, otherwise);
        let relocate = Self {
            profile,
            mode: reader.choice(keys.mode, otherwise.mode),
            refuse_after: reader.optional(keys.refuse_after, parse::date, otherwise.refuse_after),
            clients: reader
                .list(keys.clients, 0..=64, parse::client_mode)
                .unwrap_or_else(|| otherwise.clients.clone()),
            parameters: reader
                .list(keys.parameters, 1..=16, parse::parameter)
                .unwrap_or_else(|| otherwise.parameters.clone()),
            repeated: reader.choice(keys.repeated, otherwise.repeated),
            conflict: reader.choice(keys.conflict, otherwise.conflict),
            form_body: reader.choice(keys.form_body, otherwise.form_body),
            open: reader.choice(keys.open, otherwise.open),
            deprecation: reader.optional(
                keys.deprecation,
                parse::deprecation,
                otherwise.deprecation,
            ),
            sunset: reader.optional(keys.sunset, parse::sunset, otherwise.sunset),
            token: appservice.token,
            legacy_paths: appservice.legacy_paths,
        };
        relocate.check_dates(reader, keys);
        relocate
    }

    /// Whoever is asked about a token gets it from the request's head, where a token that
    /// is not moved is missing.
    pub(super) fn check_verify(&self, reader: &mut Reader<'_>, keys: &Keys, verify: VerifyMode) {
        let of_clients = self.clients.iter().map(|client| client.mode);
        let observes = of_clients
            .chain([self.mode])
            .any(|mode| mode == Mode::Observe);
        if !observes || !verify.tells_who() {
            return;
        }
        let message =
            format!("\"observe\" is not possible where tokens are verified by \"{verify}\"");
        let own = [keys.mode, keys.clients];
        let key = own.into_iter().find(|key| reader.has(*key));
        reader.refuse(key.unwrap_or(key::ROUTE_VERIFY), &message);
    }

    /// A token in a URL must not leave the machine.
    pub(super) fn check_upstream(&self, reader: &mut Reader<'_>, keys: &Keys, upstream: &Upstream) {
        const WHY: &str = "to another machine the token would go in a URL over the network";
        const NEARBY: &str = "on this machine (unix:, localhost or a loopback address)";
        // With another profile it was told already that there is no such setting.
        let is_appservice = self.profile == Profile::Appservice;
        if !is_appservice || self.token != TokenPlacement::ToQuery || upstream.is_on_this_machine()
        {
            return;
        }
        if reader.has(keys.token) {
            let message = format!("needs an upstream {NEARBY}: {WHY}");
            reader.refuse(keys.token, &message);
        } else {
            let token = IN_SECTION.token.path();
            let message = format!("must be {NEARBY}, since `{token}` is \"to-query\": {WHY}");
            reader.refuse(key::ROUTE_UPSTREAM, &message);
        }
    }

    /// RFC 9745 section 4: what is not yet deprecated cannot be gone.
    fn check_dates(&self, reader: &mut Reader<'_>, keys: &Keys) {
        let (Some(deprecation), Some(sunset)) = (self.deprecation, self.sunset) else {
            return;
        };
        if deprecation.is_at_or_before(SystemTime::from(sunset)) {
            return;
        }
        // One of the two may be from [relocate]; where both are, it was told there.
        if reader.has(keys.sunset) {
            let deprecation = if reader.has(keys.deprecation) {
                keys.deprecation
            } else {
                IN_SECTION.deprecation
            };
            let message = format!("must not be earlier than `{}`", deprecation.path());
            reader.refuse(keys.sunset, &message);
        } else {
            let message = format!("must not be later than `{}`", IN_SECTION.sunset.path());
            reader.refuse(keys.deprecation, &message);
        }
    }
}

/// What only the profile `appservice` has.
struct Appservice {
    token: TokenPlacement,
    legacy_paths: bool,
}

impl Appservice {
    /// Another profile inherits nothing of it, and may only say that it has none.
    fn read(reader: &mut Reader<'_>, keys: &Keys, profile: Profile, otherwise: &Relocate) -> Self {
        const ONLY: &str = "is for the profile \"appservice\" only";
        if profile == Profile::Appservice {
            return Self {
                token: reader.choice(keys.token, otherwise.token),
                legacy_paths: reader
                    .boolean(keys.legacy_paths)
                    .unwrap_or(otherwise.legacy_paths),
            };
        }
        if reader.choice(keys.token, TokenPlacement::ToHeader) != TokenPlacement::ToHeader {
            reader.refuse(keys.token, ONLY);
        }
        if reader.boolean(keys.legacy_paths).unwrap_or(false) {
            reader.refuse(keys.legacy_paths, ONLY);
        }
        Self {
            token: TokenPlacement::ToHeader,
            legacy_paths: false,
        }
    }
}
