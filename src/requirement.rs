//! Which endpoint a request is for, and whether a token must come with it.
//!
//! The table in `requirement/endpoints.txt` answers for method and path. The
//! rule to keep: [`Class::Required`] only where the raw path is exactly a
//! listed endpoint, because it lets us answer 401 in the server's place. A
//! server says 404 or 405 before it looks at tokens, so any doubt about what
//! is meant (`//`, `..`, an encoded literal, a trailing slash, another method
//! or version) ends in [`Endpoint::UNLISTED`] and is forwarded.
//!
//! Nothing is decoded to find a match, and a lookup allocates nothing.

mod route;
mod row;
mod table;

use std::sync::LazyLock;

pub use route::RouteClass;
use table::Table;

static TABLE: LazyLock<Table> =
    LazyLock::new(|| Table::parse(include_str!("requirement/endpoints.txt")));

/// What to do with the token of a request, and whose words a refusal uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// What an access token is to this endpoint.
    pub class: Class,
    /// Whose error codes a client of this endpoint reads.
    pub api: Api,
}

impl Endpoint {
    /// An endpoint the table does not know: its server decides everything.
    pub const UNLISTED: Self = Self {
        class: Class::Optional,
        api: Api::Other,
    };
}

/// What an access token is to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The token moves to the header; a request without one gets our own 401.
    Required,
    /// The token moves; whether one is needed is for the server to say.
    /// Everything unlisted is here.
    Optional,
    /// The endpoint needs no token: one that comes along moves, or is cut where
    /// the configuration says so.
    Open,
    /// The parameter is not a client's credential but part of the request, or
    /// the request is signed: it is forwarded byte for byte, for every method.
    Never,
}

/// The API an endpoint belongs to, as far as an error code depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// Client-server, media and administration: `M_MISSING_TOKEN`.
    Client,
    /// Identity service: `M_UNAUTHORIZED` where the others tell missing from
    /// unknown.
    Identity,
    /// Between servers, to appservices, not Matrix at all, or unknown.
    Other,
}

/// Looks up `method` and `path`, the raw path as it came, without the query.
///
/// `HEAD` is looked up as `GET`. `OPTIONS` never requires a token, as servers
/// must not run an endpoint's logic for it.
///
/// Spec: client-server API, "Web Browser Clients".
#[must_use]
pub fn of(method: &[u8], path: &[u8]) -> Endpoint {
    TABLE.find(method, path)
}

/// A row of the table, as reports name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Template {
    /// `/_matrix/client/v3/rooms/{roomId}/state`: no id of anybody is in it.
    pub text: &'static str,
    /// Whether it belongs to an administration API.
    pub is_admin: bool,
}

/// The template of `path`, the raw path as it came, without the query, beside what [`of`]
/// says; no template for what is not in the table.
///
/// Names only, so another method's row will do where `method` has none.
#[must_use]
pub fn with_template(method: &[u8], path: &[u8]) -> (Endpoint, Option<Template>) {
    TABLE.find_row(method, path)
}
