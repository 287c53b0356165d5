use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;

use super::*;
use crate::requirement;

const UNKNOWN: &str =
    r#"{"errcode":"M_UNKNOWN_TOKEN","error":"Invalid access token passed.","soft_logout":false}"#;
const SOFT: &str =
    r#"{"errcode":"M_UNKNOWN_TOKEN","error":"Access token has expired","soft_logout":true}"#;
const JSON: Option<&[u8]> = Some(b"application/json");
const GZIP: Option<&[u8]> = Some(b"gzip");

const HARD_LOGOUT: Option<Lesson> = Some(Lesson { soft_logout: false });
const SOFT_LOGOUT: Option<Lesson> = Some(Lesson { soft_logout: true });

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// An error with `more` behind it, in all as long as asked for.
fn padded(length: usize) -> Vec<u8> {
    let mut body = format!("{} ", UNKNOWN.trim_end_matches('}')).into_bytes();
    body.resize(length, b' ');
    *body.last_mut().unwrap() = b'}';
    body
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn only_a_plain_unknown_token_teaches() {
    let cases = [
        ("hard logout", 401, UNKNOWN, HARD_LOGOUT),
        ("soft logout", 401, SOFT, SOFT_LOGOUT),
        (
            "no soft_logout is false, as the specification has it",
            401,
            r#"{"errcode":"M_UNKNOWN_TOKEN","error":"Unknown token"}"#,
            HARD_LOGOUT,
        ),
        (
            "spaces",
            401,
            " {\"errcode\" : \"M_UNKNOWN_TOKEN\"}\r\n",
            HARD_LOGOUT,
        ),
        (
            "an escape in the code",
            401,
            r#"{"errcode":"M_UNKNOWN\u005fTOKEN"}"#,
            HARD_LOGOUT,
        ),
        (
            "interactive authentication asks, the token is good",
            401,
            r#"{"session":"s","flows":[{"stages":["m.login.password"]}],"params":{}}"#,
            None,
        ),
        (
            "interactive authentication, with a code",
            401,
            r#"{"errcode":"M_UNKNOWN_TOKEN","flows":[],"error":"Invalid registration token"}"#,
            None,
        ),
        (
            "a session alone",
            401,
            r#"{"errcode":"M_UNKNOWN_TOKEN","session":null}"#,
            None,
        ),
        (
            "locked",
            401,
            r#"{"errcode":"M_USER_LOCKED","error":"User account has been locked","soft_logout":true}"#,
            None,
        ),
        (
            "missing",
            401,
            r#"{"errcode":"M_MISSING_TOKEN","error":"Missing access token"}"#,
            None,
        ),
        ("unauthorised", 401, r#"{"errcode":"M_UNAUTHORIZED"}"#, None),
        ("M_FORBIDDEN", 403, r#"{"errcode":"M_FORBIDDEN"}"#, None),
        ("the right code, 200", 200, UNKNOWN, None),
        ("the right code, 400", 400, UNKNOWN, None),
        ("the right code, 403", 403, UNKNOWN, None),
        ("the right code, 429", 429, UNKNOWN, None),
        ("the right code, 500", 500, UNKNOWN, None),
        ("the right code, 502", 502, UNKNOWN, None),
        ("the right code, 503", 503, UNKNOWN, None),
        ("the right code, 504", 504, UNKNOWN, None),
        ("no status", 0, UNKNOWN, None),
        ("an HTML page", 401, "<html>M_UNKNOWN_TOKEN</html>", None),
        ("no body", 401, "", None),
        (
            "cut off",
            401,
            r#"{"errcode":"M_UNKNOWN_TOKEN","error":"Inv"#,
            None,
        ),
        (
            "something behind it",
            401,
            r#"{"errcode":"M_UNKNOWN_TOKEN"}{}"#,
            None,
        ),
        (
            "two codes",
            401,
            r#"{"errcode":"M_FORBIDDEN","errcode":"M_UNKNOWN_TOKEN"}"#,
            None,
        ),
        (
            "the same code twice",
            401,
            r#"{"errcode":"M_UNKNOWN_TOKEN","errcode":"M_UNKNOWN_TOKEN"}"#,
            None,
        ),
        (
            "two codes, one escaped",
            401,
            r#"{"errcode":"M_UNKNOWN_TOKEN","err\u0063ode":"M_FORBIDDEN"}"#,
            None,
        ),
        (
            "soft_logout twice",
            401,
            r#"{"errcode":"M_UNKNOWN_TOKEN","soft_logout":true,"soft_logout":false}"#,
            None,
        ),
        (
            "a code of another type",
            401,
            r#"{"errcode":["M_UNKNOWN_TOKEN"]}"#,
            None,
        ),
        ("a code of null", 401, r#"{"errcode":null}"#, None),
        (
            "soft_logout of another type",
            401,
            r#"{"errcode":"M_UNKNOWN_TOKEN","soft_logout":"true"}"#,
            None,
        ),
        (
            "soft_logout of null",
            401,
            r#"{"errcode":"M_UNKNOWN_TOKEN","soft_logout":null}"#,
            None,
        ),
        (
            "a code within another error",
            401,
            r#"{"error":{"errcode":"M_UNKNOWN_TOKEN"}}"#,
            None,
        ),
        (
            "a longer code",
            401,
            r#"{"errcode":"M_UNKNOWN_TOKEN_X"}"#,
            None,
        ),
        (
            "a code in another case",
            401,
            r#"{"errcode":"m_unknown_token"}"#,
            None,
        ),
        (
            "a key in another case",
            401,
            r#"{"Errcode":"M_UNKNOWN_TOKEN"}"#,
            None,
        ),
        ("a list", 401, r#"["M_UNKNOWN_TOKEN",false,false]"#, None),
        ("a string", 401, r#""M_UNKNOWN_TOKEN""#, None),
    ];
    for (name, status, body, expected) in cases {
        let found = lesson(status, JSON, None, body.as_bytes());
        assert_eq!(found, expected, "case: {name}");
        let zipped = gzip(body.as_bytes());
        let found = lesson(status, JSON, GZIP, &zipped);
        assert_eq!(found, expected, "case, compressed: {name}");
    }
}

#[test]
fn only_what_says_it_is_json_teaches() {
    let cases: [(&str, Option<&[u8]>, bool); 8] = [
        ("JSON", Some(b"application/json"), true),
        (
            "with a parameter",
            Some(b"application/json; charset=utf-8"),
            true,
        ),
        (
            "in another case",
            Some(b" Application/JSON ;charset=UTF-8"),
            true,
        ),
        ("none", None, false),
        ("empty", Some(b""), false),
        ("HTML", Some(b"text/html"), false),
        ("another JSON", Some(b"application/problem+json"), false),
        ("a list of two", Some(b"application/json, text/html"), false),
    ];
    for (name, content_type, teaches) in cases {
        let found = lesson(401, content_type, None, UNKNOWN.as_bytes());
        assert_eq!(found.is_some(), teaches, "case: {name}");
    }
}

#[test]
fn only_what_can_be_decoded_within_bounds_teaches() {
    type Case<'a> = (&'a str, Option<&'a [u8]>, &'a [u8], bool);
    let plain = UNKNOWN.as_bytes();
    let zipped = gzip(plain);
    let mut wrong_sum = zipped.clone();
    let at = wrong_sum.len() - 8;
    wrong_sum[at] ^= 1;
    let members = [gzip(&plain[..20]), gzip(&plain[20..])].concat();
    let bomb = gzip(&padded(1 << 22));
    assert!(
        bomb.len() <= LONGEST_BODY,
        "the bomb is small: {}",
        bomb.len()
    );
    let cases: [Case<'_>; 17] = [
        ("8 KiB", None, &padded(LONGEST_BODY), true),
        ("a byte more", None, &padded(LONGEST_BODY + 1), false),
        ("identity", Some(b"identity"), plain, true),
        ("gzip", GZIP, &zipped, true),
        ("gzip by its old name", Some(b"X-GZip"), &zipped, true),
        ("gzip in two members", GZIP, &members, true),
        ("gzip of 8 KiB", GZIP, &gzip(&padded(LONGEST_BODY)), true),
        (
            "gzip of a byte more",
            GZIP,
            &gzip(&padded(LONGEST_BODY + 1)),
            false,
        ),
        ("gzip bomb", GZIP, &bomb, false),
        ("gzip cut off", GZIP, &zipped[..zipped.len() - 1], false),
        ("gzip with a wrong sum", GZIP, &wrong_sum, false),
        ("gzip and more", GZIP, &[&zipped[..], b"x"].concat(), false),
        ("not gzip", GZIP, plain, false),
        ("gzip, not said", None, &zipped, false),
        ("gzip twice", Some(b"gzip, gzip"), &gzip(&zipped), false),
        ("another coding", Some(b"br"), plain, false),
        ("no coding", Some(b""), plain, false),
    ];
    for (name, coding, body, teaches) in cases {
        let found = lesson(401, JSON, coding, body);
        assert_eq!(found.is_some(), teaches, "case: {name}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn only_a_homeservers_own_word_teaches() {
    let cases = [
        ("what clients hammer", "GET /_matrix/client/v3/sync", true),
        ("of old", "GET /_matrix/client/r0/sync", true),
        (
            "sliding",
            "POST /_matrix/client/unstable/org.matrix.simplified_msc3575/sync",
            true,
        ),
        ("whoami", "GET /_matrix/client/v3/account/whoami", true),
        (
            "keys of one's own",
            "POST /_matrix/client/v3/keys/upload",
            true,
        ),
        ("devices", "GET /_matrix/client/v3/devices", true),
        (
            "a receipt",
            "POST /_matrix/client/v3/rooms/!r:h/receipt/m.read/$e",
            true,
        ),
        (
            "typing",
            "PUT /_matrix/client/v3/rooms/!r:h/typing/@u:h",
            true,
        ),
        (
            "state as it is here",
            "GET /_matrix/client/v3/rooms/!r:h/state",
            true,
        ),
        (
            "users, to an administrator",
            "GET /_synapse/admin/v2/users",
            true,
        ),
        // No token is required: the 401 may be about something else.
        ("profile", "GET /_matrix/client/v3/profile/@u:h", false),
        ("login", "POST /_matrix/client/v3/login", false),
        (
            "refresh token, not access token",
            "POST /_matrix/client/v3/refresh",
            false,
        ),
        (
            "password",
            "POST /_matrix/client/v3/account/password",
            false,
        ),
        ("unlisted", "GET /_matrix/client/v3/nothing", false),
        ("a slash too many", "GET /_matrix/client/v3//sync", false),
        ("preflight", "OPTIONS /_matrix/client/v3/sync", false),
        ("another method", "DELETE /_matrix/client/v3/sync", false),
        ("not Matrix", "GET /", false),
        // Identity servers are asked, or answer.
        ("addresses", "GET /_matrix/client/v3/account/3pid", false),
        (
            "address added",
            "POST /_matrix/client/v3/account/3pid/add",
            false,
        ),
        (
            "address bound",
            "POST /_matrix/client/r0/account/3pid/bind",
            false,
        ),
        (
            "address unbound",
            "POST /_matrix/client/v3/account/3pid/unbind",
            false,
        ),
        (
            "address deleted",
            "POST /_matrix/client/v3/account/3pid/delete",
            false,
        ),
        (
            "identity server's token",
            "GET /_matrix/identity/v2/account",
            false,
        ),
        // An authentication service answers.
        ("logout", "POST /_matrix/client/v3/logout", false),
        (
            "logout everywhere",
            "POST /_matrix/client/v3/logout/all",
            false,
        ),
        (
            "login token",
            "POST /_matrix/client/v1/login/get_token",
            false,
        ),
        // Other homeservers are asked.
        (
            "invitation, by address perhaps",
            "POST /_matrix/client/v3/rooms/!r:h/invite",
            false,
        ),
        (
            "new room with invitations",
            "POST /_matrix/client/v3/createRoom",
            false,
        ),
        (
            "join by alias",
            "POST /_matrix/client/v3/join/%23r%3Ah",
            false,
        ),
        ("join", "POST /_matrix/client/v3/rooms/!r:h/join", false),
        ("knock", "POST /_matrix/client/v3/knock/!r:h", false),
        (
            "knock of old",
            "POST /_matrix/client/unstable/xyz.amorgan.knock/knock/!r:h",
            false,
        ),
        (
            "invitation rejected",
            "POST /_matrix/client/v3/rooms/!r:h/leave",
            false,
        ),
        (
            "invitation as state",
            "PUT /_matrix/client/v3/rooms/!r:h/state/m.room.member/@u:h",
            false,
        ),
        (
            "join of 2014",
            "PUT /_matrix/client/api/v1/rooms/!r:h/join/1",
            false,
        ),
        (
            "room policed by a server",
            "PUT /_matrix/client/v3/rooms/!r:h/send/m.room.message/1",
            false,
        ),
        (
            "redaction in it",
            "PUT /_matrix/client/v3/rooms/!r:h/redact/$e/1",
            false,
        ),
        (
            "old messages",
            "GET /_matrix/client/v3/rooms/!r:h/messages",
            false,
        ),
        (
            "event by time",
            "GET /_matrix/client/v1/rooms/!r:h/timestamp_to_event",
            false,
        ),
        (
            "rooms of a space",
            "GET /_matrix/client/v1/rooms/!r:h/hierarchy",
            false,
        ),
        (
            "rooms of a server",
            "POST /_matrix/client/v3/publicRooms",
            false,
        ),
        (
            "alias",
            "PUT /_matrix/client/v3/directory/room/%23r%3Ah",
            false,
        ),
        (
            "others' devices",
            "POST /_matrix/client/v3/keys/query",
            false,
        ),
        ("others' keys", "POST /_matrix/client/v3/keys/claim", false),
        (
            "others' accounts",
            "POST /_matrix/client/unstable/org.matrix.msc3720/account_status",
            false,
        ),
        (
            "join by an administrator",
            "POST /_synapse/admin/v1/join/!r:h",
            false,
        ),
        (
            "room of an administrator",
            "GET /_synapse/admin/v1/rooms/!r:h/messages",
            false,
        ),
        // Media may be another program's, or another server's.
        (
            "others' media",
            "GET /_matrix/client/v1/media/download/h/m",
            false,
        ),
        (
            "preview of a page",
            "GET /_matrix/client/v1/media/preview_url",
            false,
        ),
        ("upload", "POST /_matrix/media/v3/upload", false),
        // Application services are asked.
        (
            "bridged networks",
            "GET /_matrix/client/v3/thirdparty/user/irc",
            false,
        ),
        ("ping", "POST /_matrix/client/v1/appservice/irc/ping", false),
    ];
    for (name, request, teaches) in cases {
        let (method, path) = request.split_once(' ').unwrap();
        let (method, path) = (method.as_bytes(), path.as_bytes());
        let found = may_teach(requirement::of(method, path), method, path);
        assert_eq!(found, teaches, "case: {name}");
    }
}

proptest! {
    /// Whatever the body, another status teaches nothing.
    #[test]
    fn no_other_status_teaches(
        status in any::<u16>().prop_filter("another", |status| *status != 401),
        soft_logout in any::<bool>(),
        tail in any::<Vec<u8>>(),
    ) {
        let body = if soft_logout { SOFT } else { UNKNOWN };
        prop_assert_eq!(lesson(status, JSON, None, body.as_bytes()), None);
        prop_assert_eq!(lesson(status, JSON, GZIP, &gzip(body.as_bytes())), None);
        prop_assert_eq!(lesson(status, JSON, None, &tail), None);
    }

    /// Random bytes teach nothing, whatever they are called.
    #[test]
    fn no_random_bytes_teach(body in any::<Vec<u8>>()) {
        prop_assert_eq!(lesson(401, JSON, None, &body), None);
        prop_assert_eq!(lesson(401, JSON, GZIP, &body), None);
        prop_assert_eq!(lesson(401, JSON, GZIP, &gzip(&body)), None);
    }

    /// Nor does a lesson that is cut or has a byte changed, unless it says the same.
    #[test]
    fn a_damaged_body_does_not_teach_otherwise(at in 0..SOFT.len(), byte in any::<u8>()) {
        let mut body = SOFT.as_bytes().to_vec();
        prop_assert_eq!(lesson(401, JSON, None, &body[..at]), None);
        body[at] = byte;
        if let Some(found) = lesson(401, JSON, None, &body) {
            // The key `soft_logout` itself may have become another: then it is absent.
            let is_named = String::from_utf8_lossy(&body).contains(r#""soft_logout":true"#);
            prop_assert_eq!(found.soft_logout, is_named);
            prop_assert!(String::from_utf8_lossy(&body).contains("\"M_UNKNOWN_TOKEN\""));
        }
    }
}
