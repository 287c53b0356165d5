//! The addresses of sockets that somebody connects to, and whose files they are.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::parse;
use super::problem::show;

/// An address that clients connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A TCP socket.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix {
        /// Absolute, and short enough for a socket address.
        path: PathBuf,
        /// Permission bits of the socket, at most `0o777`.
        mode: u32,
        /// Whose it becomes; `None` leaves it as it was created.
        owner: Option<Owner>,
    },
    /// A socket that whoever started us has bound already.
    Inherited {
        /// Its name in `LISTEN_FDNAMES`: visible ASCII without `:`, 1 to 255 bytes.
        name: String,
    },
}

/// Whose a unix socket is: at least one of the two.
///
/// Names or numbers as they were written. They are looked up when the socket is
/// bound, so that a file can be checked on a machine without these accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its user.
    pub user: Option<String>,
    /// Its group.
    pub group: Option<String>,
}

impl Address {
    /// What `mode` is where none was written.
    const DEFAULT_MODE: u32 = 0o660;

    /// Whether binding `other` too would fail; port 0 is a new one each time.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tcp(one), Self::Tcp(other)) => one == other && one.port() != 0,
            (Self::Unix { path: one, .. }, Self::Unix { path: other, .. }) => one == other,
            (Self::Inherited { name: one }, Self::Inherited { name: other }) => one == other,
            (Self::Tcp(_) | Self::Unix { .. } | Self::Inherited { .. }, _) => false,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix { path, .. } => write!(f, "unix:{}", path.display()),
            Self::Inherited { name } => write!(f, "fd:{name}"),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.user.as_deref().unwrap_or_default())?;
        self.group
            .iter()
            .try_for_each(|group| write!(f, ":{group}"))
    }
}

/// `IP:PORT`, `unix:/PATH` with the default mode, or `fd:NAME`.
pub(super) fn parse(text: &str) -> Result<Address, String> {
    if let Some(name) = text.strip_prefix("fd:") {
        return inherited(name);
    }
    bound(text).ok_or_else(|| {
        format!(
            "must be IP:PORT such as \"127.0.0.1:8009\" or \"[::1]:8009\", \
             \"unix:/PATH\" or \"fd:NAME\", not {}",
            show(text),
        )
    })?
}

/// An address that we bind ourselves: `IP:PORT` or `unix:/PATH`.
pub(super) fn parse_bound(text: &str) -> Result<Address, String> {
    bound(text).ok_or_else(|| {
        format!(
            "must be IP:PORT such as \"127.0.0.1:9009\", or \"unix:/PATH\", not {}",
            show(text),
        )
    })?
}

/// `None` for what is neither.
fn bound(text: &str) -> Option<Result<Address, String>> {
    if let Some(path) = text.strip_prefix("unix:") {
        return Some(socket(path).map(|path| Address::Unix {
            path,
            mode: Address::DEFAULT_MODE,
            owner: None,
        }));
    }
    text.parse().ok().map(|address| Ok(Address::Tcp(address)))
}

/// The name of a socket as systemd allows it, without the space.
fn inherited(name: &str) -> Result<Address, String> {
    let is_name = |byte: u8| byte.is_ascii_graphic() && byte != b':';
    if !(1..=255).contains(&name.len()) || !name.bytes().all(is_name) {
        return Err(
            "must have a name behind fd:, 1 to 255 visible ASCII characters without a colon"
                .to_owned(),
        );
    }
    Ok(Address::Inherited {
        name: name.to_owned(),
    })
}

/// The path of a unix socket.
pub(super) fn socket(text: &str) -> Result<PathBuf, String> {
    // `sun_path` of Linux holds 108 bytes, the last of them a NUL.
    const LONGEST: usize = 107;
    if !text.starts_with('/') || text.ends_with('/') {
        return Err("must have the absolute path of a socket behind unix:".to_owned());
    }
    if text.len() > LONGEST {
        return Err(format!(
            "must have a socket path of at most {LONGEST} bytes"
        ));
    }
    parse::path(text)
}

/// The permission bits of a socket, in octal.
pub(crate) fn mode(text: &str) -> Result<u32, String> {
    let is_octal = matches!(text.len(), 3 | 4) && text.bytes().all(|byte| byte.is_ascii_digit());
    let mode = u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| is_octal && *mode <= 0o777);
    mode.ok_or_else(|| {
        format!(
            "must be octal from \"0000\" to \"0777\" such as \"0660\", not {}",
            show(text)
        )
    })
}

/// `user`, `user:group` or `:group`.
pub(crate) fn owner(text: &str) -> Result<Owner, String> {
    let (user, group) = match text.split_once(':') {
        Some(("", group)) => (None, Some(group)),
        Some((user, group)) => (Some(user), Some(group)),
        None => (Some(text), None),
    };
    if ![user, group].into_iter().flatten().all(is_account) {
        return Err(format!(
            "must be \"user\", \"user:group\" or \":group\", each a name or a number, not {}",
            show(text)
        ));
    }
    Ok(Owner {
        user: user.map(str::to_owned),
        group: group.map(str::to_owned),
    })
}

/// Whether this can be the name or the number of a user or a group.
fn is_account(text: &str) -> bool {
    let is_odd = |character: char| {
        character.is_whitespace() || character.is_control() || ":/".contains(character)
    };
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        // The largest number is the one that tells chown(2) to change nothing.
        return text.parse().is_ok_and(|number: u32| number != u32::MAX);
    }
    !text.starts_with(['-', '+']) && !text.contains(is_odd)
}
