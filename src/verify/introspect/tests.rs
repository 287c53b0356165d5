use super::*;

const JSON: Option<&[u8]> = Some(b"application/json");

/// When everything here happens, since 1970.
const NOW: Duration = Duration::from_secs(1_800_000_000);

fn endpoint(scope: &[&str], server_name: Option<&str>) -> Endpoint {
    Endpoint {
        target: PathAndQuery::from_static("/oauth2/introspect"),
        credentials: Credentials::new("FAKE", "SECRET").unwrap(),
        scope: scope.iter().copied().map(str::to_owned).collect(),
        server_name: server_name.map(str::to_owned),
    }
}

fn ask(endpoint: &Endpoint, status: u16, body: &str) -> Option<Answer> {
    let status = StatusCode::from_u16(status).unwrap();
    let now = SystemTime::UNIX_EPOCH.checked_add(NOW).unwrap();
    endpoint.interpret(status, JSON, body.as_bytes(), now).ok()
}

fn identity(answer: Option<Answer>) -> Identity {
    match answer.map(|answer| answer.verdict) {
        Some(Verdict::Valid(identity)) => identity,
        other => panic!("{other:?}"),
    }
}

// What matrix-authentication-service 1.x answers, by its own source.
const OAUTH_SESSION: &str = r#"{"active":true,"scope":"openid urn:matrix:client:api:* urn:matrix:client:device:ABCDEF urn:matrix:org.matrix.msc2967.client:api:* urn:matrix:org.matrix.msc2967.client:device:ABCDEF","client_id":"01FAKEFAKEFAKEFAKEFAKEFAKE","username":"alice","token_type":"access_token","exp":1800000300,"expires_in":300,"iat":1800000000,"nbf":1800000000,"sub":"01FAKEUSERFAKEUSERFAKEUSER","jti":"at_01FAKE"}"#;
const OLD_SESSION: &str = r#"{"active":true,"scope":"urn:matrix:client:api:* urn:matrix:org.matrix.msc2967.client:api:* urn:synapse:admin:*","client_id":"legacy","username":"alice","token_type":"access_token","iat":1800000000,"nbf":1800000000,"sub":"01FAKEUSERFAKEUSERFAKEUSER","device_id":"my device"}"#;
const MACHINE: &str = r#"{"active":true,"scope":"urn:mas:admin","client_id":"01FAKEFAKEFAKEFAKEFAKEFAKE","token_type":"access_token","exp":1800000300,"expires_in":300,"iat":1800000000,"nbf":1800000000,"jti":"at_01FAKE"}"#;
const REFRESH: &str = r#"{"active":true,"scope":"openid","client_id":"01FAKEFAKEFAKEFAKEFAKEFAKE","username":"alice","token_type":"refresh_token","iat":1800000000,"nbf":1800000000,"sub":"01FAKEUSERFAKEUSERFAKEUSER","jti":"rt_01FAKE"}"#;
const INVALID_CLIENT: &str =
    r#"{"error":"invalid_client","error_description":"Client authentication failed"}"#;

#[test]
fn reads_what_mas_says() {
    let mas = endpoint(&[API], Some("hs.example"));
    let answer = ask(&mas, 200, OAUTH_SESSION);
    assert_eq!(
        answer.as_ref().and_then(|answer| answer.valid_for),
        Some(Duration::from_secs(300))
    );
    let new = identity(answer);
    assert_eq!(new.user.as_deref(), Some("@alice:hs.example"));
    assert_eq!(new.device.as_deref(), Some("ABCDEF"));
    assert!(new.scope.unwrap().starts_with("openid urn:matrix"));
    assert!(new.admin == Admin::No && !new.is_guest);
    let answer = ask(&mas, 200, OLD_SESSION);
    assert_eq!(answer.as_ref().and_then(|answer| answer.valid_for), None);
    let old = identity(answer);
    assert_eq!(old.user.as_deref(), Some("@alice:hs.example"));
    assert_eq!(old.device.as_deref(), Some("my device"));
    assert!(old.admin == Admin::Yes);
    let cases = [
        ("not active", 200, r#"{"active":false}"#, Some(INACTIVE)),
        ("a refresh token", 200, REFRESH, Some(INACTIVE)),
        ("we are nobody", 401, INVALID_CLIENT, None),
        ("we may not", 401, r#"{"error":"access_denied"}"#, None),
        ("bad request", 400, r#"{"error":"invalid_request"}"#, None),
        ("unwell", 500, r#"{"error":"server_error"}"#, None),
    ];
    for (name, status, body, expected) in cases {
        assert_eq!(ask(&mas, status, body), expected, "case: {name}");
    }
    let anybody = endpoint(&[], Some("hs.example"));
    let machine = ask(&anybody, 200, MACHINE).map(|answer| answer.verdict);
    assert_eq!(machine, Some(Verdict::Unfit), "a machine is no user");
}

#[test]
fn a_token_that_is_over_keeps_its_session() {
    let any = endpoint(&[], None);
    let over = Some(Verdict::Unknown { soft_logout: true });
    let cases = [
        ("not active", r#"{"active":false}"#, true),
        (
            "not active, whatever else",
            r#"{"active":false,"sub":"a","exp":1900000000}"#,
            true,
        ),
        (
            "expired a second ago",
            r#"{"active":true,"sub":"a","exp":1799999999}"#,
            true,
        ),
        (
            "expires now",
            r#"{"active":true,"sub":"a","exp":1800000000}"#,
            true,
        ),
        (
            "has no time left",
            r#"{"active":true,"sub":"a","expires_in":0}"#,
            true,
        ),
        (
            "had",
            r#"{"active":true,"sub":"a","expires_in":-5,"exp":1900000000}"#,
            true,
        ),
        (
            "a refresh token",
            r#"{"active":true,"sub":"a","token_type":"Refresh_Token"}"#,
            true,
        ),
        (
            "a bearer token",
            r#"{"active":true,"sub":"a","token_type":"Bearer"}"#,
            false,
        ),
        (
            "its clock is not ours",
            r#"{"active":true,"sub":"a","exp":1,"expires_in":9}"#,
            false,
        ),
        ("for ever", r#"{"active":true,"sub":"a"}"#, false),
    ];
    for (name, body, is_over) in cases {
        let verdict = ask(&any, 200, body).map(|answer| answer.verdict);
        assert_eq!(verdict == over, is_over, "case: {name}: {verdict:?}");
        assert!(verdict.is_some(), "case: {name}");
    }
}

#[test]
fn nothing_else_is_an_answer() {
    let any = endpoint(&[], None);
    let cases = [
        ("no word on it", r#"{"sub":"a"}"#),
        ("neither yes nor no", r#"{"active":"false"}"#),
        ("null", r#"{"active":null}"#),
        ("both", r#"{"active":true,"active":false}"#),
        ("cut", r#"{"active":false"#),
        ("an array", "[false]"),
        ("empty", ""),
        (
            "a time that is none",
            r#"{"active":true,"sub":"a","exp":"soon"}"#,
        ),
        ("behind it", r#"{"active":false}}"#),
    ];
    for (name, body) in cases {
        assert_eq!(ask(&any, 200, body), None, "case: {name}");
    }
    for status in [201, 204, 302, 400, 404, 429, 500, 503] {
        let answer = ask(&any, status, r#"{"active":false}"#);
        assert_eq!(answer, None, "status {status}");
    }
    let html = any.interpret(
        StatusCode::OK,
        Some(b"text/html"),
        br#"{"active":false}"#,
        SystemTime::UNIX_EPOCH,
    );
    assert!(html.is_err());
}

#[test]
fn names_the_user() {
    let long = r#"{"active":true,"sub":"a","username":"%"}"#.replace('%', &"a".repeat(300));
    let (bare, full) = (None, Some("hs.example"));
    let cases = [
        (
            "completed",
            full,
            r#"{"active":true,"username":"alice"}"#,
            Some("@alice:hs.example"),
        ),
        (
            "of another server, they say",
            full,
            r#"{"active":true,"username":"@bob:evil"}"#,
            None,
        ),
        (
            "of this server, they say",
            full,
            r#"{"active":true,"username":"@bob:hs.example"}"#,
            None,
        ),
        (
            "no localpart",
            full,
            r#"{"active":true,"username":""}"#,
            None,
        ),
        ("too long", full, &long, None),
        (
            "a space",
            full,
            r#"{"active":true,"username":"al ice"}"#,
            None,
        ),
        (
            "a subject is no localpart",
            full,
            r#"{"active":true,"sub":"01ABC"}"#,
            Some("01ABC"),
        ),
        (
            "nor a user of the server",
            full,
            r#"{"active":true,"sub":"@admin:hs"}"#,
            None,
        ),
        (
            "as it is",
            bare,
            r#"{"active":true,"username":"alice"}"#,
            Some("alice"),
        ),
        (
            "Matrix's",
            bare,
            r#"{"active":true,"username":"@a:hs"}"#,
            Some("@a:hs"),
        ),
        (
            "not the subject",
            bare,
            r#"{"active":true,"username":"a","sub":"b"}"#,
            Some("a"),
        ),
        (
            "the subject",
            bare,
            r#"{"active":true,"sub":"a|b c"}"#,
            Some("a|b c"),
        ),
        (
            "a line break",
            bare,
            r#"{"active":true,"username":"a\nb"}"#,
            None,
        ),
        ("nobody", bare, r#"{"active":true}"#, None),
    ];
    for (name, server, body, expected) in cases {
        let verdict = ask(&endpoint(&[], server), 200, body).map(|answer| answer.verdict);
        match (verdict, expected) {
            (Some(Verdict::Valid(identity)), Some(expected)) => {
                assert_eq!(identity.user.as_deref(), Some(expected), "case: {name}");
            }
            (Some(Verdict::Unfit), None) => {}
            (other, _) => panic!("case: {name}: {other:?}"),
        }
    }
}

#[test]
fn asks_for_every_scope() {
    let cases: [(&str, &[&str], &str, bool); 7] = [
        ("none", &[], "", true),
        ("one of them", &["a"], "b a c", true),
        ("all of them", &["a", "c"], "b a c", true),
        ("not all", &["a", "d"], "b a c", false),
        ("part of a word", &["a"], "ab ba", false),
        ("no scope", &["a"], "", false),
        ("another case", &["a"], "A", false),
    ];
    for (name, wanted, scope, expected) in cases {
        let body = format!(r#"{{"active":true,"sub":"a","scope":"{scope}"}}"#);
        let verdict = ask(&endpoint(wanted, None), 200, &body).map(|answer| answer.verdict);
        let is_valid = matches!(verdict, Some(Verdict::Valid(_)));
        assert_eq!(is_valid, expected, "case: {name}: {verdict:?}");
        assert!(is_valid || verdict == Some(Verdict::Unfit), "case: {name}");
    }
}

#[test]
fn reads_the_scope() {
    let cases = [
        ("a device", DEVICES[0], "D", Some("D"), false),
        ("a device of old", DEVICES[1], "D", Some("D"), false),
        ("a guest", GUEST, "", None, true),
        ("a guest of old", OLD_GUEST, "", None, true),
        (
            "a guest who is a user",
            GUEST,
            " urn:matrix:client:api:*",
            None,
            false,
        ),
        ("a device without a name", DEVICES[0], "", None, false),
    ];
    for (name, scope, more, device, is_guest) in cases {
        let body = format!(r#"{{"active":true,"sub":"a","scope":"openid {scope}{more}"}}"#);
        let who = identity(ask(&endpoint(&[], None), 200, &body));
        assert_eq!(who.device.as_deref(), device, "case: {name}");
        assert_eq!(who.is_guest, is_guest, "case: {name}");
    }
}

#[test]
fn encodes_the_credentials() {
    // RFC 6749 section 2.3.1: encoded as in a form, each for itself, then joined.
    let cases = [
        (
            "plain",
            "s6BhdRkqt3",
            "gX1fBat3bV",
            "czZCaGRSa3F0MzpnWDFmQmF0M2JW",
        ),
        ("encoded", "a:b", "p +%é", "YSUzQWI6cCslMkIlMjUlQzMlQTk="),
        ("no id", "", "x", "Ong="),
    ];
    for (name, id, secret, expected) in cases {
        let credentials = Credentials::new(id, secret).unwrap();
        let expected = format!("Basic {expected}");
        assert_eq!(credentials.0, expected, "case: {name}");
        assert!(credentials.0.is_sensitive(), "case: {name}");
    }
}

#[test]
fn reads_the_secret_from_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    let read = |text: &[u8]| {
        fs::write(&file, text).unwrap();
        Credentials::of_file("id", &file)
    };
    let expected = Credentials::new("id", "SECRET").unwrap().0;
    for text in ["SECRET", "SECRET\n", "SECRET\r\n"] {
        assert_eq!(read(text.as_bytes()).unwrap().0, expected, "{text:?}");
    }
    for text in [&b""[..], b"\n", b"\xff"] {
        let error = read(text).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{text:?}");
    }
    assert!(Credentials::of_file("id", directory.path()).is_err());
}

#[test]
fn nothing_prints() {
    let endpoint = endpoint(&[], None);
    let token = AccessToken::from_parameter(b"CANARY").unwrap();
    let shown = format!("{endpoint:?} {:?}", endpoint.request(&token));
    for secret in ["CANARY", "SECRET", "RkFLRTpTRUNSRVQ"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
