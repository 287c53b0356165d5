use proptest::prelude::*;

use super::*;

fn user(id: &str) -> Touch {
    Touch::Named(id.to_owned())
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_ends_sessions_is_known() {
    use Touch::{All, Token, User};
    let alice = || Some(user("@alice:h"));
    let cases = [
        ("logout", "POST /_matrix/client/v3/logout", Some(Token)),
        ("of old", "POST /_matrix/client/r0/logout", Some(Token)),
        ("of 2015", "POST /_matrix/client/api/v1/logout", Some(Token)),
        (
            "unstable",
            "POST /_matrix/client/unstable/logout",
            Some(Token),
        ),
        ("of tomorrow", "POST /_matrix/client/v9/logout", Some(Token)),
        (
            "a slash behind",
            "POST /_matrix/client/v3/logout/",
            Some(Token),
        ),
        (
            "a slash too many",
            "POST /_matrix//client/v3/logout",
            Some(Token),
        ),
        ("escaped", "POST /_matrix/client/v3/log%6Fut", Some(Token)),
        (
            "everywhere",
            "POST /_matrix/client/v3/logout/all",
            Some(User),
        ),
        ("not a logout", "GET /_matrix/client/v3/logout", None),
        ("preflight", "OPTIONS /_matrix/client/v3/logout", None),
        ("longer", "POST /_matrix/client/v3/logouts", None),
        ("deeper", "POST /_matrix/client/v3/logout/some", None),
        ("refresh", "POST /_matrix/client/v3/refresh", Some(Token)),
        (
            "refresh of old",
            "POST /_matrix/client/unstable/org.matrix.msc2918/refresh",
            Some(Token),
        ),
        (
            "password",
            "POST /_matrix/client/v3/account/password",
            Some(User),
        ),
        (
            "password of old",
            "POST /_matrix/client/r0/account/password",
            Some(User),
        ),
        (
            "mail to reset it",
            "POST /_matrix/client/v3/account/password/email/requestToken",
            None,
        ),
        (
            "deactivation",
            "POST /_matrix/client/v3/account/deactivate",
            Some(User),
        ),
        ("whoami", "GET /_matrix/client/v3/account/whoami", None),
        (
            "device",
            "DELETE /_matrix/client/v3/devices/DEVICE",
            Some(User),
        ),
        (
            "device renamed",
            "PUT /_matrix/client/v3/devices/DEVICE",
            None,
        ),
        (
            "devices",
            "POST /_matrix/client/r0/delete_devices",
            Some(User),
        ),
        (
            "lock",
            "PUT /_matrix/client/v1/admin/lock/@alice:h",
            alice(),
        ),
        (
            "lock, unstable",
            "PUT /_matrix/client/unstable/uk.timedout.msc4323/admin/lock/%40alice%3Ah",
            alice(),
        ),
        (
            "suspension ends none",
            "PUT /_matrix/client/v1/admin/suspend/@alice:h",
            None,
        ),
        ("whois", "GET /_matrix/client/v3/admin/whois/@alice:h", None),
        (
            "deactivation by a client's API of old",
            "POST /_matrix/client/r0/admin/deactivate/@alice:h",
            alice(),
        ),
        ("login", "POST /_matrix/client/v3/login", None),
        (
            "a message",
            "PUT /_matrix/client/v3/rooms/%21r/send/logout/all",
            None,
        ),
        (
            "deactivation",
            "POST /_synapse/admin/v1/deactivate/@alice:h",
            alice(),
        ),
        (
            "escaped",
            "POST /_synapse/admin/v1/deactivate/%40alice%3Ah",
            alice(),
        ),
        (
            "escaped twice is another",
            "POST /_synapse/admin/v1/deactivate/%2540alice",
            Some(All),
        ),
        (
            "password",
            "POST /_synapse/admin/v1/reset_password/@alice:h",
            alice(),
        ),
        (
            "all of a user",
            "PUT /_synapse/admin/v2/users/@alice:h",
            alice(),
        ),
        ("read only", "GET /_synapse/admin/v2/users/@alice:h", None),
        (
            "administrator",
            "PUT /_synapse/admin/v1/users/@alice:h/admin",
            alice(),
        ),
        (
            "login as",
            "POST /_synapse/admin/v1/users/@alice:h/login",
            alice(),
        ),
        (
            "devices",
            "POST /_synapse/admin/v2/users/@alice:h/delete_devices",
            alice(),
        ),
        (
            "device",
            "DELETE /_synapse/admin/v2/users/@alice:h/devices/D",
            alice(),
        ),
        (
            "device renamed",
            "PUT /_synapse/admin/v2/users/@alice:h/devices/D",
            None,
        ),
        (
            "device made",
            "POST /_synapse/admin/v2/users/@alice:h/devices",
            None,
        ),
        (
            "media",
            "DELETE /_synapse/admin/v1/users/@alice:h/media",
            None,
        ),
        (
            "shadow ban",
            "POST /_synapse/admin/v1/users/@alice:h/shadow_ban",
            None,
        ),
        (
            "an account's end",
            "POST /_synapse/admin/v1/account_validity/validity",
            Some(All),
        ),
        (
            "nobody named",
            "POST /_synapse/admin/v1/deactivate",
            Some(All),
        ),
        (
            "not a user id",
            "POST /_synapse/admin/v1/deactivate/alice",
            Some(All),
        ),
        (
            "not text",
            "POST /_synapse/admin/v1/deactivate/@%ff:h",
            Some(All),
        ),
        (
            "a user deleted",
            "POST /_synapse/mas/delete_user",
            Some(All),
        ),
        (
            "a user restored",
            "POST /_synapse/mas/reactivate_user",
            Some(All),
        ),
        (
            "a device deleted",
            "POST /_synapse/mas/delete_device",
            Some(All),
        ),
        (
            "devices compared",
            "POST /_synapse/mas/sync_devices",
            Some(All),
        ),
        ("a name", "POST /_synapse/mas/set_displayname", None),
        (
            "Dendrite",
            "POST /_dendrite/admin/resetPassword/@alice:h",
            alice(),
        ),
        (
            "Dendrite, other",
            "POST /_dendrite/admin/evacuateRoom/!r:h",
            None,
        ),
        ("revocation, by anybody", "POST /oauth2/revoke", None),
        ("not Matrix", "POST /logout", None),
        ("root", "POST /", None),
        ("empty", "POST ", None),
    ];
    for (name, request, expected) in cases {
        let (method, path) = request.split_once(' ').unwrap();
        let found = touches(method.as_bytes(), path.as_bytes());
        assert_eq!(found, expected, "case: {name}: {request}");
    }
}

#[test]
fn a_request_that_ends_nothing_costs_no_allocation() {
    let requests: [(&[u8], &[u8]); 4] = [
        (b"GET", b"/_matrix/client/v3/sync"),
        (
            b"PUT",
            b"/_matrix/client/v3/rooms/%21r%3Ah/send/m.room.message/1",
        ),
        (b"POST", b"/_matrix/client/v3/keys/upload"),
        (b"POST", b"/_matrix/client/v3/logout"),
    ];
    for (method, path) in requests {
        let counted = allocation_counter::measure(|| {
            std::hint::black_box(touches(method, path));
        });
        assert_eq!(counted.count_total, 0, "{}", path.escape_ascii());
    }
}

proptest! {
    /// Every user id, escaped or not, is the one that is named.
    #[test]
    fn users_are_named(id in "@[a-z0-9./=_+~-]{0,20}:[a-z]{1,9}") {
        let mut path = "/_synapse/admin/v2/users/".to_owned();
        path.extend(id.bytes().flat_map(|byte| format!("%{byte:02x}").into_bytes()).map(char::from));
        prop_assert_eq!(touches(b"PUT", path.as_bytes()), Some(user(&id)));
    }
}
