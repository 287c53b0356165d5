//! `learn`: the homeserver's own 401 is remembered, and nothing else is.

use std::io::Write as _;

use super::{
    UNKNOWN, answer, json, request,
    support::{
        Shim, poll,
        upstream::{Then, Upstream},
        wire::find,
    },
    token,
};

const SYNC: &str = "/_matrix/client/v3/sync";

/// One answer of the homeserver, and whether it says that the token is dead.
struct Case {
    name: &'static str,
    answer: Vec<u8>,
    teaches: bool,
}

fn case(name: &'static str, answer: Vec<u8>, teaches: bool) -> Case {
    Case {
        name,
        answer,
        teaches,
    }
}

fn cases() -> Vec<Case> {
    let soft =
        r#"{"errcode":"M_UNKNOWN_TOKEN","error":"Access token has expired","soft_logout":true}"#;
    let unsaid =
        r#"{"errcode":"M_UNKNOWN_TOKEN","error":"M_UNKNOWN_TOKEN: Unknown access token."}"#;
    let uia =
        r#"{"errcode":"M_UNKNOWN_TOKEN","flows":[{"stages":["m.login.password"]}],"session":"s"}"#;
    let locked =
        r#"{"errcode":"M_USER_LOCKED","error":"User account has been locked","soft_logout":true}"#;
    let missing = r#"{"errcode":"M_MISSING_TOKEN","error":"Missing access token"}"#;
    let limited =
        r#"{"errcode":"M_LIMIT_EXCEEDED","error":"Too Many Requests","retry_after_ms":1}"#;
    let long = format!(
        "{{\"errcode\":\"M_UNKNOWN_TOKEN\",\"error\":\"{}\"}}",
        "x".repeat(8192)
    );
    let chunked = format!(
        "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n",
        &UNKNOWN[..5],
        UNKNOWN.len() - 5,
        &UNKNOWN[5..]
    );
    let charset = answer(
        "401 Unauthorized",
        "Content-Type: application/json; charset=utf-8\r\n",
        UNKNOWN,
    );
    vec![
        case("hard", json("401 Unauthorized", UNKNOWN), true),
        case("soft", json("401 Unauthorized", soft), true),
        case(
            "soft_logout left out",
            json("401 Unauthorized", unsaid),
            true,
        ),
        case("in chunks", chunked.into_bytes(), true),
        case("with a charset", charset, true),
        case("user-interactive", json("401 Unauthorized", uia), false),
        case("locked", json("401 Unauthorized", locked), false),
        case("missing", json("401 Unauthorized", missing), false),
        case(
            "not JSON",
            answer("401 Unauthorized", "Content-Type: text/html\r\n", UNKNOWN),
            false,
        ),
        case("of no type", answer("401 Unauthorized", "", UNKNOWN), false),
        case("too long", json("401 Unauthorized", &long), false),
        case(
            "cut in the middle",
            json("401 Unauthorized", &UNKNOWN[..40]),
            false,
        ),
        case("forbidden", json("403 Forbidden", UNKNOWN), false),
        case("limited", json("429 Too Many Requests", limited), false),
        case("failed", json("500 Internal Server Error", UNKNOWN), false),
        case("gateway", json("502 Bad Gateway", UNKNOWN), false),
        case("fine", json("200 OK", UNKNOWN), false),
    ]
}

#[test]
fn only_the_homeservers_word_is_learned() {
    let upstream = Upstream::start(|request, wire| {
        let name = token(request).replace('.', " ");
        let case = cases()
            .into_iter()
            .find(|case| name.ends_with(case.name))
            .unwrap();
        wire.stream.write_all(&case.answer).unwrap();
        Then::Keep
    });
    let shim = Shim::start(&upstream.url(), "");
    for case in cases() {
        let token = format!("FAKE.{}", case.name.replace(' ', "."));
        let ask = || shim.connect().ask(request("GET", SYNC, &token));
        let first = ask();
        let sent = upstream.take().len();
        assert_eq!(sent, 1, "case: {}", case.name);
        let second = ask();
        assert_eq!(second.status(), first.status(), "case: {}", case.name);
        assert_eq!(
            upstream.take().len(),
            usize::from(!case.teaches),
            "case: {}",
            case.name
        );
        if case.teaches {
            let said = String::from_utf8(first.body).unwrap().contains("true");
            assert_eq!(
                String::from_utf8(second.body).unwrap(),
                UNKNOWN.replace("false", &said.to_string()),
                "case: {}",
                case.name
            );
        } else {
            assert_eq!(second.body, first.body, "case: {}", case.name);
        }
    }
    assert_eq!(find(&shim.stop().all(), b"FAKE"), None);
}

/// Knows the tokens that begin with `GOOD`.
fn homeserver() -> Upstream {
    Upstream::start(|request, wire| {
        let answer = if token(request).starts_with("GOOD") {
            json("200 OK", "{}")
        } else {
            json("401 Unauthorized", UNKNOWN)
        };
        wire.stream.write_all(&answer).unwrap();
        Then::Keep
    })
}

#[test]
fn a_dead_token_costs_one_request_in_its_time() {
    let upstream = homeserver();
    let shim = Shim::start(
        &upstream.url(),
        "[verify]\nlearn_ttl = \"1s\"\nbad_tokens = 0\n",
    );
    let mut wire = shim.connect();
    for _ in 0..200 {
        let answer = wire.ask(request("GET", SYNC, "DEAD"));
        assert_eq!(answer.status(), 401);
        assert_eq!(answer.body, UNKNOWN.as_bytes());
    }
    // The machine may have been slow enough for a second one.
    assert!(upstream.take().len() <= 2);
    poll("the homeserver to be asked again", || {
        wire.ask(request("GET", SYNC, "DEAD"));
        (!upstream.take().is_empty()).then_some(())
    });
}

#[test]
fn what_was_learned_is_said_only_where_a_token_is_needed() {
    let upstream = homeserver();
    let shim = Shim::start(&upstream.url(), "");
    let asked = |method: &str, path: &str, token: &str| {
        let answer = shim.connect().ask(request(method, path, token));
        (answer.status(), upstream.take().len())
    };
    assert_eq!(asked("GET", SYNC, "DEAD"), (401, 1), "learned");
    let cases = [
        ("the same endpoint", "GET", SYNC, "DEAD", (401, 0)),
        (
            "another that needs one",
            "GET",
            "/_matrix/client/v3/account/whoami",
            "DEAD",
            (401, 0),
        ),
        ("a token minted a moment ago", "GET", SYNC, "GOOD", (200, 1)),
        (
            "one that needs none",
            "GET",
            "/_matrix/client/versions",
            "DEAD",
            (401, 1),
        ),
        (
            "logging in",
            "POST",
            "/_matrix/client/v3/login",
            "DEAD",
            (401, 1),
        ),
        (
            "refreshing",
            "POST",
            "/_matrix/client/v3/refresh",
            "DEAD",
            (401, 1),
        ),
        (
            "nothing we know",
            "GET",
            "/_matrix/client/v9/sync",
            "DEAD",
            (401, 1),
        ),
        ("a preflight", "OPTIONS", SYNC, "DEAD", (401, 1)),
    ];
    for (name, method, path, token, expected) in cases {
        assert_eq!(asked(method, path, token), expected, "case: {name}");
    }
}

#[test]
fn an_endpoint_that_needs_no_token_teaches_nothing() {
    let upstream = homeserver();
    let shim = Shim::start(&upstream.url(), "");
    for path in ["/_matrix/client/v3/refresh", "/_matrix/client/v3/login"] {
        assert_eq!(
            shim.connect().ask(request("POST", path, "DEAD")).status(),
            401
        );
    }
    upstream.take();
    assert_eq!(
        shim.connect().ask(request("GET", SYNC, "DEAD")).status(),
        401
    );
    assert_eq!(upstream.take().len(), 1, "asked, since nothing was learned");
}

#[test]
fn what_one_upstream_says_is_not_said_for_another() {
    let (first, second) = (homeserver(), Upstream::plain());
    let route = format!(
        "[[route]]\nhost = \"other\"\nupstream = \"{}\"\n",
        second.url()
    );
    let shim = Shim::start(&first.url(), &route);
    assert_eq!(
        shim.connect().ask(request("GET", SYNC, "DEAD")).status(),
        401
    );
    let other = request("GET", SYNC, "DEAD").replace("Host: h", "Host: other");
    assert_eq!(shim.connect().ask(other).status(), 200);
}

#[test]
fn an_address_with_too_many_unknown_tokens_waits_and_good_ones_do_not() {
    let upstream = homeserver();
    let config = "[verify]\nbad_tokens = 3\nbad_tokens_window = \"1h\"\n";
    let shim = Shim::start(&upstream.url(), config);
    let mut wire = shim.connect();
    let statuses: Vec<u16> = (0..5)
        .map(|_| wire.ask(request("GET", SYNC, "DEAD")).status())
        .collect();
    assert_eq!(statuses, [401, 401, 401, 429, 429]);
    let limited = wire.ask(request("GET", SYNC, "DEAD"));
    let seconds: u64 = limited.field("retry-after").unwrap().parse().unwrap();
    assert!((3500..=3600).contains(&seconds), "{seconds}");
    let body = String::from_utf8(limited.body).unwrap();
    assert!(
        body.starts_with(r#"{"errcode":"M_LIMIT_EXCEEDED","#),
        "{body}"
    );
    assert!(
        body.ends_with(&format!(r#""retry_after_ms":{}}}"#, seconds * 1000)),
        "{body}"
    );
    assert_eq!(
        wire.ask(request("GET", SYNC, "GOOD")).status(),
        200,
        "never slowed"
    );
    let elsewhere =
        request("GET", SYNC, "DEAD").replace("Host: h", "Host: h\r\nX-Forwarded-For: 192.0.2.9");
    assert_eq!(wire.ask(elsewhere).status(), 401, "of that address only");
}

#[test]
fn a_good_token_always_goes_to_the_homeserver() {
    let upstream = homeserver();
    let shim = Shim::start(&upstream.url(), "");
    for _ in 0..3 {
        assert_eq!(
            shim.connect().ask(request("GET", SYNC, "GOOD")).status(),
            200
        );
    }
    let requests = upstream.take();
    assert_eq!(requests.len(), 3, "the homeserver itself decides");
}

#[test]
fn off_remembers_nothing() {
    let upstream = homeserver();
    let shim = Shim::start(&upstream.url(), "[verify]\nmode = \"off\"\n");
    for _ in 0..3 {
        assert_eq!(
            shim.connect().ask(request("GET", SYNC, "DEAD")).status(),
            401
        );
    }
    assert_eq!(upstream.take().len(), 3);
}

/// What upstreams may read otherwise than we do teaches nothing.
#[test]
fn only_a_plain_token_teaches() {
    let cases = [
        (
            "two spaces, of which some servers take one for the token",
            "",
            format!("GET {SYNC} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer  A+B\r\n\r\n"),
        ),
        (
            "a plus of a query that we leave alone, which others take for a space",
            "[relocate]\nmode = \"observe\"\n",
            format!("GET {SYNC}?access_token=A+B HTTP/1.1\r\nHost: h\r\n\r\n"),
        ),
        (
            "a token in either place, both left alone",
            "[relocate]\nmode = \"observe\"\n",
            format!(
                "GET {SYNC}?access_token=C HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer A+B\r\n\r\n"
            ),
        ),
        (
            "a form that we leave alone",
            "[relocate]\nform_body = \"forward\"\n",
            "POST /_matrix/client/v3/logout HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer A+B\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\na=b"
                .to_owned(),
        ),
    ];
    for (name, config, odd) in cases {
        let upstream = homeserver();
        let shim = Shim::start(&upstream.url(), config);
        assert_eq!(shim.connect().ask(odd).status(), 401, "case: {name}");
        shim.connect().ask(request("GET", SYNC, "A+B"));
        assert_eq!(upstream.take().len(), 2, "case: {name}: both were sent");
        shim.connect().ask(request("GET", SYNC, "A+B"));
        assert_eq!(upstream.take().len(), 0, "case: {name}: a plain one taught");
    }
}

#[test]
fn what_one_name_says_is_not_said_for_another() {
    let upstream = homeserver();
    let shim = Shim::start(&upstream.url(), "");
    let ask = |host: &str| {
        let request = request("GET", SYNC, "DEAD").replace("Host: h", &format!("Host: {host}"));
        assert_eq!(shim.connect().ask(request).status(), 401, "{host}");
        upstream.take().len()
    };
    assert_eq!([ask("a"), ask("a"), ask("A")], [1, 0, 0]);
    assert_eq!([ask("b"), ask("b")], [1, 0], "another server's word");
}
