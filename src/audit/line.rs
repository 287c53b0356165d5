//! What a log line says of a request, whatever wrote it.

use std::{borrow::Cow, fmt, net::IpAddr, ops::Range};

use jiff::Timestamp;

/// A part of a line. It may hold a secret, so `Debug` tells its place alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Part<'l> {
    /// Where it stands, still escaped.
    pub span: Range<usize>,
    /// What it says, without the escapes of its format.
    pub text: Cow<'l, [u8]>,
}

impl fmt::Debug for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Part({:?})", self.span)
    }
}

/// What a line says, each part as far as its format has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record<'l> {
    /// When the request came, or was done with.
    pub time: Option<Timestamp>,
    /// Who sent it.
    pub client: Option<IpAddr>,
    /// `GET`.
    pub method: Option<Part<'l>>,
    /// Path and query.
    pub target: Option<Part<'l>>,
    /// What it was answered.
    pub status: Option<u16>,
    /// `Referer`.
    pub referer: Option<Part<'l>>,
    /// `User-Agent`.
    pub user_agent: Option<Part<'l>>,
    /// The Matrix user, where the log names one.
    pub user: Option<Part<'l>>,
}

/// The part of a line in which something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// The target of the request.
    Request,
    /// `Referer`.
    Referer,
    /// `User-Agent`.
    UserAgent,
    /// Anywhere else, or in a line that nobody understood.
    Other,
}
