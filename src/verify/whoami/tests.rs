use super::*;

const JSON: Option<&[u8]> = Some(b"application/json");

const UNKNOWN: Option<Verdict> = Some(Verdict::Unknown { soft_logout: false });
const EXPIRED: Option<Verdict> = Some(Verdict::Unknown { soft_logout: true });

fn valid(user: &str, device: Option<&str>, is_guest: bool) -> Verdict {
    Verdict::Valid(Identity {
        user: Some(user.into()),
        device: device.map(Into::into),
        is_guest,
        ..Identity::default()
    })
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn reads_what_homeservers_say() {
    let alice = "@alice:hs.example";
    let cases: [(&str, u16, &str, Option<Verdict>); 30] = [
        (
            "Synapse",
            200,
            r#"{"user_id":"@alice:hs.example","is_guest":false,"device_id":"ABC"}"#,
            Some(valid(alice, Some("ABC"), false)),
        ),
        (
            "a guest of Synapse",
            200,
            r#"{"user_id":"@7:hs.example","is_guest":true}"#,
            Some(valid("@7:hs.example", None, true)),
        ),
        (
            "an application service, without a device",
            200,
            r#"{"user_id":"@bridge:hs.example"}"#,
            Some(valid("@bridge:hs.example", None, false)),
        ),
        (
            "a device that no field can carry is not told",
            200,
            r#"{"user_id":"@alice:hs.example","device_id":"a\r\nX: y"}"#,
            Some(valid(alice, None, false)),
        ),
        (
            "what else it says is ignored",
            200,
            r#" {"org.example":[{}],"user_id":"@alice:hs.example"} "#,
            Some(valid(alice, None, false)),
        ),
        ("a user of no server", 200, r#"{"user_id":"alice"}"#, None),
        (
            "a user who breaks a field",
            200,
            r#"{"user_id":"@a:b\r\nX-Matrix-User: @bob:hs"}"#,
            None,
        ),
        ("no user", 200, r#"{"device_id":"ABC"}"#, None),
        ("a user that is no text", 200, r#"{"user_id":7}"#, None),
        (
            "two users",
            200,
            r#"{"user_id":"@a:hs","user_id":"@b:hs"}"#,
            None,
        ),
        (
            "cut",
            200,
            r#"{"user_id":"@alice:hs.example","is_guest":fal"#,
            None,
        ),
        ("empty", 200, "", None),
        ("an array", 200, r#"["@alice:hs.example",null,false]"#, None),
        (
            "an error with status 200",
            200,
            r#"{"errcode":"M_UNKNOWN_TOKEN","error":""}"#,
            None,
        ),
        (
            "unknown to Synapse",
            401,
            r#"{"errcode":"M_UNKNOWN_TOKEN","error":"Invalid access token passed.","soft_logout":false}"#,
            UNKNOWN,
        ),
        (
            "expired",
            401,
            r#"{"errcode":"M_UNKNOWN_TOKEN","error":"Access token has expired","soft_logout":true}"#,
            EXPIRED,
        ),
        (
            "unknown to Dendrite",
            401,
            r#"{"errcode":"M_UNKNOWN_TOKEN","error":"Unknown token"}"#,
            UNKNOWN,
        ),
        (
            "a soft logout that is neither",
            401,
            r#"{"errcode":"M_UNKNOWN_TOKEN","soft_logout":"yes"}"#,
            None,
        ),
        (
            "unknown, and steps to take",
            401,
            r#"{"errcode":"M_UNKNOWN_TOKEN","flows":[],"params":{},"session":"x"}"#,
            None,
        ),
        (
            "unknown, cut",
            401,
            r#"{"errcode":"M_UNKNOWN_TOKEN","error":"Unkn"#,
            None,
        ),
        ("unknown in an array", 401, r#"["M_UNKNOWN_TOKEN"]"#, None),
        (
            "locked",
            401,
            r#"{"errcode":"M_USER_LOCKED","error":"User account has been locked","soft_logout":true}"#,
            Some(Verdict::Locked),
        ),
        (
            "missing: our header got lost",
            401,
            r#"{"errcode":"M_MISSING_TOKEN","error":"Missing access token"}"#,
            None,
        ),
        (
            "unauthorized",
            401,
            r#"{"errcode":"M_UNAUTHORIZED","error":"x"}"#,
            None,
        ),
        (
            "another case",
            401,
            r#"{"errcode":"m_unknown_token","error":"x"}"#,
            None,
        ),
        (
            "unknown with status 403",
            403,
            r#"{"errcode":"M_UNKNOWN_TOKEN","error":"x"}"#,
            None,
        ),
        (
            "no such endpoint",
            404,
            r#"{"errcode":"M_UNRECOGNIZED","error":"Unrecognized request"}"#,
            None,
        ),
        (
            "too many",
            429,
            r#"{"errcode":"M_LIMIT_EXCEEDED","error":"x"}"#,
            None,
        ),
        (
            "unwell",
            503,
            r#"{"errcode":"M_UNKNOWN","error":"Unable to introspect the access token"}"#,
            None,
        ),
        (
            "a redirect",
            302,
            r#"{"errcode":"M_UNKNOWN_TOKEN","error":"x"}"#,
            None,
        ),
    ];
    for (name, status, body, expected) in cases {
        let status = StatusCode::from_u16(status).unwrap();
        let answer = interpret(status, JSON, body.as_bytes());
        assert_eq!(
            answer.ok().map(|answer| answer.verdict),
            expected,
            "case: {name}"
        );
    }
}

#[test]
fn believes_json_only() {
    let body = br#"{"errcode":"M_UNKNOWN_TOKEN","error":"x"}"#;
    for kind in [
        None,
        Some(&b"text/html"[..]),
        Some(b"text/plain"),
        Some(b""),
    ] {
        let answer = interpret(StatusCode::UNAUTHORIZED, kind, body);
        assert!(answer.is_err(), "{kind:?}");
    }
}

#[test]
fn reads_who_is_an_administrator() {
    let html: Option<&[u8]> = Some(b"text/html");
    let cases = [
        ("is", 200, JSON, r#"{"admin":true}"#, Some(Admin::Yes)),
        ("is not", 200, JSON, r#"{"admin":false}"#, Some(Admin::No)),
        (
            "may not ask",
            403,
            JSON,
            r#"{"errcode":"M_FORBIDDEN"}"#,
            Some(Admin::No),
        ),
        (
            "a guest",
            403,
            JSON,
            r#"{"errcode":"M_GUEST_ACCESS_FORBIDDEN"}"#,
            Some(Admin::No),
        ),
        (
            "no Synapse",
            404,
            JSON,
            r#"{"errcode":"M_UNRECOGNIZED"}"#,
            Some(Admin::Unknown),
        ),
        (
            "a proxy hides it",
            403,
            html,
            "<html>403 Forbidden</html>",
            None,
        ),
        (
            "a proxy has no such path",
            404,
            html,
            "<html>404</html>",
            None,
        ),
        (
            "no such user",
            404,
            JSON,
            r#"{"errcode":"M_NOT_FOUND"}"#,
            None,
        ),
        (
            "logged out meanwhile",
            401,
            JSON,
            r#"{"errcode":"M_UNKNOWN_TOKEN"}"#,
            None,
        ),
        ("unwell", 500, JSON, r#"{"errcode":"M_UNKNOWN"}"#, None),
        ("neither", 200, JSON, r#"{"admin":"true"}"#, None),
        ("nothing", 200, JSON, "{}", None),
    ];
    for (name, status, kind, body, expected) in cases {
        let status = StatusCode::from_u16(status).unwrap();
        let answer = interpret_admin(status, kind, body.as_bytes());
        assert_eq!(answer.ok(), expected, "case: {name}");
    }
}

#[test]
fn nothing_prints() {
    let token = AccessToken::from_parameter(b"SECRET").unwrap();
    let question = request(&token).unwrap();
    let admin = admin_request(&question, "@alice:hs").unwrap();
    let shown = format!("{question:?} {admin:?}");
    assert!(!shown.contains("SECRET"), "{shown}");
    assert!(
        shown.contains("/_synapse/admin/v1/users/%40alice%3Ahs/admin"),
        "{shown}"
    );
}
