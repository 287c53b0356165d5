//! What a metric may be labelled with.
//!
//! Every label is one of a closed list that is written here. So no token, user,
//! path or `User-Agent` can become one, and nobody who sends requests can make
//! the number of series grow.

use std::io;

use crate::{
    access_log::Ending,
    refusal::Refusal,
    relocate::{Credential, Relocated, Source},
    requirement::RouteClass,
    verify::Verdict,
};

/// A closed list of label values.
pub trait Label: Copy + 'static {
    /// All of them, as they are exposed.
    const ALL: &'static [Self];

    /// The place in a row of counters, below the length of [`ALL`](Self::ALL).
    fn index(self) -> usize;

    /// The text.
    fn as_str(self) -> &'static str;
}

/// Makes a list of an enum that stands elsewhere. A variant that is left out
/// does not compile.
macro_rules! list {
    ($name:ident { $($variant:ident = $text:literal,)+ }) => {
        impl Label for $name {
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            fn index(self) -> usize {
                self as usize
            }

            fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}

/// Defines an enum and makes a list of it.
macro_rules! labels {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$doc])* $variant,)+
        }

        list!($name { $($variant = $text,)+ });
    };
}

// Behind the macros, which it uses.
mod reason;

pub use reason::Reason;

list!(RouteClass {
    Sync = "sync",
    Media = "media",
    Send = "send",
    Login = "login",
    Admin = "admin",
    Federation = "federation",
    Other = "other",
});

list!(Ending {
    Complete = "complete",
    ClientGone = "client_gone",
    ClientTimeout = "client_timeout",
    ClientError = "client_error",
    UpstreamError = "upstream_error",
    UpstreamTimeout = "upstream_timeout",
    Drained = "drained",
});

labels! {
    /// What is said of a token.
    Judgement {
        /// It is good.
        Valid = "valid",
        /// It is none.
        Unknown = "unknown",
        /// It is good, but its user is locked.
        Locked = "locked",
        /// Nothing: nobody could be asked.
        NoAnswer = "no_answer",
    }
}

impl From<&Verdict> for Judgement {
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Valid(_) | Verdict::Unfit => Self::Valid,
            Verdict::Unknown { .. } => Self::Unknown,
            Verdict::Locked => Self::Locked,
        }
    }
}

labels! {
    /// Who says something of a token.
    Witness {
        /// What is remembered.
        Memory = "memory",
        /// The issuer, asked.
        Issuer = "issuer",
        /// The upstream, in an answer that passed.
        Upstream = "upstream",
    }
}

labels! {
    /// A request's method.
    Method {
        /// `GET`.
        Get = "GET",
        /// `HEAD`.
        Head = "HEAD",
        /// `POST`.
        Post = "POST",
        /// `PUT`.
        Put = "PUT",
        /// `DELETE`.
        Delete = "DELETE",
        /// `OPTIONS`.
        Options = "OPTIONS",
        /// `PATCH`.
        Patch = "PATCH",
        /// Any other, or none that can be read.
        Other = "other",
    }
}

impl Method {
    /// Methods have a case.
    #[must_use]
    pub fn of(name: &[u8]) -> Self {
        match name {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"OPTIONS" => Self::Options,
            b"PATCH" => Self::Patch,
            _ => Self::Other,
        }
    }
}

labels! {
    /// Where a request had its token.
    TokenSource {
        /// `Authorization`.
        Header = "header",
        /// The query.
        Query = "query",
        /// `Authorization` and the query or form.
        Both = "both",
        /// A form body.
        Form = "form",
        /// Nowhere.
        None = "none",
        /// What came for one has bytes that no token has.
        Malformed = "malformed",
    }
}

impl TokenSource {
    /// What relocation found.
    #[must_use]
    pub const fn of(relocated: &Relocated<'_>) -> Self {
        match (&relocated.credential, relocated.source) {
            (Err(Refusal::UnusableToken), _) => Self::Malformed,
            (_, Source::None) => Self::None,
            (_, Source::Header) => Self::Header,
            (_, Source::Query) => Self::Query,
            (_, Source::Both) => Self::Both,
            (_, Source::Form) => Self::Form,
        }
    }
}

labels! {
    /// What became of a token that was not in `Authorization` alone.
    Rewrite {
        /// It went from the query to the header.
        Query = "query",
        /// It went from a form to the header.
        Form = "form",
        /// It was cut, since the header has one or nothing needs one.
        Cut = "cut",
    }
}

impl Rewrite {
    /// What relocation did, if anything; a refused request is not rewritten.
    #[must_use]
    pub const fn of(relocated: &Relocated<'_>) -> Option<Self> {
        match (&relocated.credential, relocated.source) {
            (Ok(Credential::Moved(_)), Source::Form) => Some(Self::Form),
            (Ok(Credential::Moved(_)), _) => Some(Self::Query),
            (Ok(Credential::Kept(_) | Credential::Absent), _) if relocated.cut => Some(Self::Cut),
            (Ok(Credential::Kept(_) | Credential::Absent) | Err(_), _) => None,
        }
    }
}

labels! {
    /// How a request got its upstream connection.
    Attempt {
        /// One was opened for it.
        New = "new",
        /// One came from the pool.
        Reused = "reused",
        /// The pooled one had been closed: one more was tried.
        Retried = "retried",
    }
}

labels! {
    /// Why there is no connection to the upstream.
    ConnectFailure {
        /// Nobody listens there.
        Refused = "refused",
        /// There is no way there.
        Unreachable = "unreachable",
        /// Nobody answered in time.
        Timeout = "timeout",
        /// The name has no address.
        Name = "name",
        /// There is a peer, but no TLS with it.
        Tls = "tls",
        /// Something else.
        Other = "other",
    }
}

impl ConnectFailure {
    /// What the system says. A name without an address, and TLS, have to be
    /// told by whoever resolves and shakes hands.
    #[must_use]
    pub fn of(error: &io::Error) -> Self {
        match error.kind() {
            // A unix socket that is not there, or that we may not use, is the
            // same to an operator as a port on which nobody listens.
            io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::NotFound
            | io::ErrorKind::PermissionDenied => Self::Refused,
            io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::AddrNotAvailable => Self::Unreachable,
            io::ErrorKind::TimedOut => Self::Timeout,
            _ => Self::Other,
        }
    }
}

labels! {
    /// What a client connection speaks.
    Protocol {
        /// HTTP/1.0 and HTTP/1.1.
        Http1 = "http1",
        /// HTTP/2.
        Http2 = "h2",
    }
}

labels! {
    /// Whether a client connection is encrypted by us.
    Tls {
        /// It is not.
        No = "false",
        /// It is.
        Yes = "true",
    }
}

impl From<bool> for Tls {
    fn from(is_encrypted: bool) -> Self {
        if is_encrypted { Self::Yes } else { Self::No }
    }
}

labels! {
    /// How a TLS handshake with a client ended.
    Handshake {
        /// Well.
        Ok = "ok",
        /// The two could not agree, the client left, or it took too long.
        Failed = "failed",
    }
}

labels! {
    /// A key of `[limits]`.
    Limit {
        /// `head_size`.
        HeadSize = "head_size",
        /// `head_fields`.
        HeadFields = "head_fields",
        /// `target_length`.
        TargetLength = "target_length",
        /// `body_size`.
        BodySize = "body_size",
        /// `body_rate`.
        BodyRate = "body_rate",
        /// `connections`.
        Connections = "connections",
        /// `connections_per_address`.
        ConnectionsPerAddress = "connections_per_address",
        /// `in_flight`.
        InFlight = "in_flight",
    }
}

impl Limit {
    /// The limit that a refusal is for.
    #[must_use]
    pub const fn of(refusal: Refusal) -> Option<Self> {
        match refusal {
            Refusal::HeadTooLarge => Some(Self::HeadSize),
            Refusal::TooManyFields => Some(Self::HeadFields),
            Refusal::TargetTooLong => Some(Self::TargetLength),
            Refusal::BodyTooLarge => Some(Self::BodySize),
            Refusal::BodyTooSlow => Some(Self::BodyRate),
            Refusal::TooManyConnections => Some(Self::Connections),
            Refusal::TooManyFromAddress => Some(Self::ConnectionsPerAddress),
            Refusal::Busy => Some(Self::InFlight),
            _ => None,
        }
    }
}

labels! {
    /// A key of `[timeouts]`.
    Timeout {
        /// `handshake`.
        Handshake = "handshake",
        /// `head`.
        Head = "head",
        /// `idle`.
        Idle = "idle",
        /// `body`.
        Body = "body",
        /// `send`.
        Send = "send",
        /// `connect`.
        Connect = "connect",
        /// `response`.
        Response = "response",
        /// `tunnel`.
        Tunnel = "tunnel",
    }
}

impl Timeout {
    /// The time-out of a client that a refusal is for; an upstream's is counted
    /// where it happens.
    #[must_use]
    pub const fn of(refusal: Refusal) -> Option<Self> {
        match refusal {
            Refusal::HeadTimeout => Some(Self::Head),
            Refusal::BodyTimeout => Some(Self::Body),
            _ => None,
        }
    }
}

labels! {
    /// Which log.
    Log {
        /// One line for each request.
        Access = "access",
        /// What the process says of itself.
        Diagnostic = "diagnostic",
    }
}

labels! {
    /// How a reload of the configuration ended.
    Reload {
        /// The new configuration is in use.
        Ok = "ok",
        /// The old one still is.
        Failed = "failed",
    }
}

#[cfg(test)]
mod tests;
