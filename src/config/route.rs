//! Which requests go where.

use std::cell::Cell;
use std::cmp::Reverse;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::check::Check;
use super::key;
use super::reader::Reader;
use super::relocate::{self, Relocate};
use super::upstream::{self, Upstream};

/// One `[[route]]`, or the default route, which has neither host nor path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The hosts it is for; `None` is any.
    pub host: Option<HostPattern>,
    /// The path it is for, with all that is below it; `None` is any.
    ///
    /// Begins with a slash and does not end with one; visible ASCII without `?` and `#`.
    pub path: Option<String>,
    /// Where its requests go.
    pub upstream: Upstream,
    /// What happens to their tokens.
    pub relocate: Relocate,
    /// What is asked about their tokens.
    pub check: Check,
}

/// The hosts that a route is for: lower case, no port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// One host; an IPv6 address is in its brackets, in its shortest form.
    Exact(String),
    /// `*.example.org`, held as `example.org`: every name that has at least one label more.
    Below(String),
}

impl Route {
    /// All of them, the most specific first; without any, `reader` has been told of a problem.
    pub(super) fn read_all(reader: &mut Reader<'_>) -> Vec<Self> {
        let default = reader.text(key::UPSTREAM, upstream::parse);
        let has_default = reader.has(key::UPSTREAM);
        let common = Relocate::read(reader, &relocate::IN_SECTION, &Relocate::default());
        if let Some(upstream) = &default {
            common.check_upstream(reader, &relocate::IN_SECTION, upstream);
        }
        let forward_token = reader.boolean(key::FORWARD_TOKEN);
        let check = Check::read_common(reader, forward_token, common.profile);
        common.check_verify(reader, &relocate::IN_SECTION, check.mode);
        let is_common = Cell::new(has_default);
        if reader.is_missing(key::ROUTE) {
            let message = "is required: set it in the file, as TOKENSHIM_UPSTREAM or with --upstream, \
                           or write a [[route]] for everything that is to be served";
            reader.require(key::UPSTREAM, message);
        }
        let routes = reader.tables(
            key::ROUTE,
            "must be written [[route]], with `upstream` below it",
            |fields| {
                is_common.set(is_common.get() || !fields.has(key::ROUTE_VERIFY));
                Self::read(fields, &common, &check, forward_token)
            },
            None,
            |route, earlier| route.objection(earlier, has_default),
        );
        if is_common.get() {
            check.complain(reader);
        }
        let mut routes = routes.unwrap_or_default();
        routes.extend(default.map(|upstream| Self {
            host: None,
            path: None,
            upstream,
            relocate: common,
            check,
        }));
        routes.sort_by(|one, other| one.rank().cmp(&other.rank()));
        routes
    }

    /// Whether it takes what no other route takes.
    pub(super) fn is_default(&self) -> bool {
        self.host.is_none() && self.path.is_none()
    }

    fn read(
        fields: &mut Reader<'_>,
        common: &Relocate,
        check: &Check,
        forward_token: Option<bool>,
    ) -> Option<Self> {
        fields.require(key::ROUTE_UPSTREAM, "is required");
        let host = fields.text(key::ROUTE_HOST, parse_host);
        let path = fields.text(key::ROUTE_PATH, parse_path);
        let upstream = fields.text(key::ROUTE_UPSTREAM, upstream::parse);
        let relocate = Relocate::read(fields, &relocate::IN_ROUTE, common);
        if let Some(upstream) = &upstream {
            relocate.check_upstream(fields, &relocate::IN_ROUTE, upstream);
        }
        let check = Check::read(fields, check, forward_token, relocate.profile);
        relocate.check_verify(fields, &relocate::IN_ROUTE, check.mode);
        Some(Self {
            host,
            path,
            upstream: upstream?,
            relocate,
            check,
        })
    }

    fn objection(&self, earlier: &[Self], has_default: bool) -> Option<&'static str> {
        let is_same = |other: &Self| self.host == other.host && self.path == other.path;
        if earlier.iter().any(is_same) {
            Some("has the same `host` and `path` as an earlier one")
        } else if self.is_default() && has_default {
            Some("must have `host` or `path`: `upstream` is the default route already")
        } else {
            None
        }
    }

    /// Smaller is more specific. Hosts come before paths: who serves a name has it whole.
    fn rank(&self) -> impl Ord + use<'_> {
        let (kind, host) = match &self.host {
            Some(HostPattern::Exact(host)) => (0_u8, host.as_str()),
            Some(HostPattern::Below(host)) => (1, host.as_str()),
            None => (2, ""),
        };
        let path = self.path.as_deref().unwrap_or_default();
        (kind, Reverse(host.len()), host, Reverse(path.len()), path)
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => f.write_str(host),
            Self::Below(host) => write!(f, "*.{host}"),
        }
    }
}

/// `example.org`, `*.example.org`, or an address as it is in a `Host` field.
fn parse_host(text: &str) -> Result<HostPattern, String> {
    if matches!(text, "" | "*") {
        return Err("must be left out for a route that is for any host".to_owned());
    }
    let lower = text.to_ascii_lowercase();
    let pattern = if let Some(host) = lower.strip_prefix("*.") {
        let is_name = upstream::is_name_or_ipv4(host) && host.parse::<Ipv4Addr>().is_err();
        is_name.then(|| HostPattern::Below(host.to_owned()))
    } else if let Some(bracketed) = lower.strip_prefix('[') {
        let address = bracketed.strip_suffix(']').unwrap_or_default();
        let address = address.parse::<Ipv6Addr>().ok();
        address.map(|address| HostPattern::Exact(format!("[{address}]")))
    } else {
        upstream::is_name_or_ipv4(&lower).then_some(HostPattern::Exact(lower))
    };
    pattern.ok_or_else(|| {
        "must be a host such as \"example.org\", or \"*.example.org\" for every name below it, \
         without scheme and port"
            .to_owned()
    })
}

/// The beginning of a path, without the slash at its end.
fn parse_path(text: &str) -> Result<String, String> {
    let is_path = |byte: u8| byte.is_ascii_graphic() && !b"?#".contains(&byte);
    if !text.starts_with('/') || !text.bytes().all(is_path) {
        return Err(
            "must begin with a slash and be visible ASCII without ? and #: as it is in requests, \
             other characters as %XX"
                .to_owned(),
        );
    }
    let path = text.trim_end_matches('/');
    if path.is_empty() {
        return Err("must be left out for a route that is for any path".to_owned());
    }
    Ok(path.to_owned())
}
