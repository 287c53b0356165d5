//! Whom a rule names.

use std::fmt;

use super::problem::show;
use super::upstream;

/// Some of the users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// One user: `@alice:example.org`; or, of a tokens file, the label.
    User(String),
    /// Every user of a server: `@*:example.org`, held as `example.org`.
    Server(String),
    /// Server administrators: `admins`. Only `whoami` knows them.
    Admins,
    /// Guests: `guests`. Only `whoami` knows them; they are in only where named.
    Guests,
}

const ADMINS: &str = "admins";
const GUESTS: &str = "guests";

impl Who {
    /// Reads one word of `allow` or `deny`.
    ///
    /// A star that means nothing here is refused: a rule that never fits would keep nobody out.
    ///
    /// # Errors
    ///
    /// What a right word looks like.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "must be a user such as \"@alice:example.org\", \"@*:example.org\" for all of a \
                 server, \"{ADMINS}\", \"{GUESTS}\", or the label of a token, not {}",
                show(text)
            )
        };
        let is_visible = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_visible || text.len() > Self::LONGEST {
            return Err(wrong());
        }
        let Some(user) = text.strip_prefix('@') else {
            return match text {
                ADMINS => Ok(Self::Admins),
                GUESTS => Ok(Self::Guests),
                // The latter is a room's name, or a comment of a tokens file.
                _ if text.contains('*') || text.starts_with('#') => Err(wrong()),
                label => Ok(Self::User(label.to_owned())),
            };
        };
        // The first colon: a server's name may have a port, a user's none.
        let (localpart, server) = user.split_once(':').ok_or_else(wrong)?;
        server_name(server).map_err(|_| wrong())?;
        match localpart {
            "*" => Ok(Self::Server(server.to_owned())),
            _ if localpart.contains('*') => Err(wrong()),
            _ => Ok(Self::User(text.to_owned())),
        }
    }

    /// The most bytes of a user ID, and of a label.
    ///
    /// Spec: Matrix appendices, "User Identifiers".
    pub(crate) const LONGEST: usize = 255;
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => f.write_str(name),
            Self::Server(name) => write!(f, "@*:{name}"),
            Self::Admins => f.write_str(ADMINS),
            Self::Guests => f.write_str(GUESTS),
        }
    }
}

/// The name of a Matrix server: host, and perhaps a port.
pub(super) fn server_name(text: &str) -> Result<String, String> {
    match upstream::host_and_port(text, 8448) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(format!(
            "must be the name of a Matrix server such as \"example.org\", not {}",
            show(text)
        )),
    }
}
