//! What kind of traffic a path is, for counting.
//!
//! Seven classes and no more: a metric may be labelled with one, but never with
//! a path, which holds room ids, user ids and now and then a secret. Nothing is
//! refused or routed by a class, so doubt costs nothing: a path that is spelt
//! in another way than clients spell it is [`RouteClass::Other`].

use memchr::memchr;

/// What kind of traffic a request is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RouteClass {
    /// `/sync` of every kind, and `/events` before it: long polls.
    Sync,
    /// Uploads, downloads, thumbnails and previews.
    Media,
    /// Events sent and redacted, and messages to devices.
    Send,
    /// Sessions that begin, go on and end.
    Login,
    /// A server's administration.
    Admin,
    /// Between servers.
    Federation,
    /// Everything else.
    #[default]
    Other,
}

impl RouteClass {
    /// The class of `path`, the raw path as it came, without the query.
    #[must_use]
    pub fn of(path: &[u8]) -> Self {
        // Where nearly all requests go: found at one stroke.
        if let Some(rest) = path.strip_prefix(b"/_matrix/client/") {
            return client(rest);
        }
        let is_below = |prefix: &[u8]| begins(path, prefix);
        if is_below(b"/_matrix/media") {
            Self::Media
        } else if is_below(b"/_matrix/federation") || is_below(b"/_matrix/key") {
            Self::Federation
        } else if is_below(b"/_synapse/admin") || is_below(b"/_dendrite/admin") {
            Self::Admin
        } else {
            Self::Other
        }
    }
}

/// What follows `/_matrix/client/`.
fn client(rest: &[u8]) -> RouteClass {
    let (version, mut rest) = segment(rest);
    match version {
        b"api" => rest = segment(rest).1,
        // `unstable/org.example.msc0000`, where a proposal has a name of its own.
        b"unstable" => {
            let name = memchr(b'/', rest).and_then(|end| rest.split_at_checked(end));
            if let Some((name, [_, behind @ ..])) = name
                && memchr(b'.', name).is_some()
            {
                rest = behind;
            }
        }
        _ => {}
    }
    if let Some(rest) = rest.strip_prefix(b"rooms/") {
        return room(rest);
    }
    let is = |name: &[u8]| begins(rest, name);
    // By the first letter: comparing a path with every name costs more.
    match rest.first() {
        Some(b's') if is(b"sync") => RouteClass::Sync,
        Some(b's') if is(b"sendToDevice") => RouteClass::Send,
        Some(b'e') if is(b"events") => RouteClass::Sync,
        Some(b'm') if is(b"media") => RouteClass::Media,
        Some(b'l') if is(b"login") || is(b"logout") => RouteClass::Login,
        Some(b'r') if is(b"register") || is(b"refresh") => RouteClass::Login,
        Some(b'a') if is(b"admin") => RouteClass::Admin,
        _ => RouteClass::Other,
    }
}

/// What follows `rooms/`.
fn room(rest: &[u8]) -> RouteClass {
    let behind_id = memchr(b'/', rest).and_then(|end| rest.get(end..));
    match behind_id {
        Some(rest) if begins(rest, b"/send") || begins(rest, b"/redact") => RouteClass::Send,
        _ => RouteClass::Other,
    }
}

/// Whether `path` is `name`, or goes on below it.
fn begins(path: &[u8], name: &[u8]) -> bool {
    path.strip_prefix(name)
        .is_some_and(|rest| matches!(rest, [] | [b'/', ..]))
}

/// The first segment, and what follows its slash.
fn segment(rest: &[u8]) -> (&[u8], &[u8]) {
    // A version is too short for a vector search to pay.
    let end = rest
        .iter()
        .position(|byte| *byte == b'/')
        .unwrap_or(rest.len());
    match rest.split_at_checked(end) {
        Some((segment, [_, after @ ..])) => (segment, after),
        _ => (rest, &[]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_have_their_class() {
        use RouteClass::{Admin, Federation, Login, Media, Other, Send, Sync};
        let cases = [
            ("sync", "/_matrix/client/v3/sync", Sync),
            ("sync of 2015", "/_matrix/client/api/v1/events", Sync),
            (
                "sliding sync",
                "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync",
                Sync,
            ),
            ("unstable, unnamed", "/_matrix/client/unstable/sync", Sync),
            ("media of old", "/_matrix/media/r0/download/h/id", Media),
            (
                "media with a token",
                "/_matrix/client/v1/media/download/h/id",
                Media,
            ),
            (
                "media, unstable",
                "/_matrix/client/unstable/org.matrix.msc3916/media/config",
                Media,
            ),
            (
                "a message",
                "/_matrix/client/v3/rooms/%21r%3Ah/send/m.room.message/1",
                Send,
            ),
            (
                "a redaction",
                "/_matrix/client/r0/rooms/!r:h/redact/$e/1",
                Send,
            ),
            ("to a device", "/_matrix/client/v3/sendToDevice/m.x/1", Send),
            (
                "state is read and written",
                "/_matrix/client/v3/rooms/!r:h/state/m.x",
                Other,
            ),
            ("a room called send", "/_matrix/client/v3/rooms/send", Other),
            ("login", "/_matrix/client/v3/login/sso/redirect", Login),
            ("logout", "/_matrix/client/v3/logout/all", Login),
            ("refresh", "/_matrix/client/v3/refresh", Login),
            ("registration", "/_matrix/client/v3/register", Login),
            ("Synapse", "/_synapse/admin/v2/users", Admin),
            ("Dendrite", "/_dendrite/admin/x", Admin),
            ("whois", "/_matrix/client/v3/admin/whois/@u:h", Admin),
            ("federation", "/_matrix/federation/v1/send/1", Federation),
            ("keys of servers", "/_matrix/key/v2/server", Federation),
            ("not quite", "/_matrix/clients/v3/sync", Other),
            ("longer name", "/_matrix/client/v3/synced", Other),
            ("no version", "/_matrix/client/sync", Other),
            ("an empty segment", "/_matrix//client/v3/sync", Other),
            ("another case", "/_MATRIX/client/v3/sync", Other),
            ("behind an authority", "", Other),
            ("root", "/", Other),
        ];
        for (name, path, expected) in cases {
            assert_eq!(RouteClass::of(path.as_bytes()), expected, "case: {name}");
        }
    }

    proptest! {
        /// Whatever comes, there is an answer, and ids do not change it.
        #[test]
        fn ids_do_not_matter(id in "[^/]{0,40}", any in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = RouteClass::of(&any);
            let path = format!("/_matrix/client/v3/rooms/{id}/send/m.x/1");
            prop_assert_eq!(RouteClass::of(path.as_bytes()), RouteClass::Send);
        }
    }
}
