//! `whoami`: a homeserver is asked, and a tool without authentication is protected.

use std::{io::Write as _, sync::Arc, thread};

use super::{
    UNKNOWN, answer, json, request,
    support::{
        Shim,
        upstream::{Then, Upstream, nobody},
        wire::find,
    },
    token,
};

const ALICE: &str = r#"{"user_id":"@alice:hs","device_id":"DEV","is_guest":false}"#;
const GUEST: &str = r#"{"user_id":"@1:hs","is_guest":true}"#;
const LOCKED: &str =
    r#"{"errcode":"M_USER_LOCKED","error":"User account has been locked","soft_logout":true}"#;

/// Says of each token what its name says. Of a live one it says so until `/logout`.
fn homeserver() -> Upstream {
    let dead = std::sync::Mutex::new(Vec::new());
    Upstream::start(move |request, wire| {
        let token = token(request);
        let is_dead = dead.lock().unwrap().contains(&token);
        let answer = if request.head.starts_with(b"POST /_matrix/client/v3/logout") {
            dead.lock().unwrap().push(token);
            json("200 OK", "{}")
        } else if find(&request.head, b"/_synapse/admin/v1/users/").is_some() {
            let is_admin = token.starts_with("ADMIN");
            json("200 OK", &format!(r#"{{"admin":{is_admin}}}"#))
        } else if is_dead {
            json("401 Unauthorized", UNKNOWN)
        } else {
            match token.split('-').next().unwrap_or_default() {
                "ALICE" | "ADMIN" => json("200 OK", ALICE),
                "GUEST" => json("200 OK", GUEST),
                "LOCKED" => json("401 Unauthorized", LOCKED),
                "MISSING" => json("401 Unauthorized", r#"{"errcode":"M_MISSING_TOKEN"}"#),
                "FORBIDDEN" => json("403 Forbidden", r#"{"errcode":"M_FORBIDDEN"}"#),
                "LIMITED" => json("429 Too Many Requests", r#"{"errcode":"M_LIMIT_EXCEEDED"}"#),
                "FAILED" => json("500 Internal Server Error", UNKNOWN),
                "AWAY" => json("503 Service Unavailable", UNKNOWN),
                "HTML" => answer("401 Unauthorized", "Content-Type: text/html\r\n", UNKNOWN),
                "CLOSED" => return Then::Close,
                _ => json("401 Unauthorized", UNKNOWN),
            }
        };
        wire.stream.write_all(&answer).unwrap();
        Then::Keep
    })
}

/// A shim before a homeserver, and by `Host: tool` before a tool that it protects.
fn protected(homeserver: &str, tool: &Upstream, rules: &str) -> Shim {
    let config = format!(
        "[[route]]\nhost = \"tool\"\nupstream = \"{}\"\nprofile = \"generic\"\nverify = \"whoami\"\n{rules}\n\
         [verify]\nhomeserver = \"{homeserver}\"\ntimeout = \"2s\"\nbad_tokens = 0\n",
        tool.url()
    );
    Shim::start(homeserver, &config)
}

fn to_tool(token: &str) -> String {
    request("GET", "/", token).replace("Host: h", "Host: tool")
}

#[test]
fn what_the_homeserver_says_is_what_the_client_gets() {
    let (homeserver, tool) = (homeserver(), Upstream::plain());
    let shim = protected(&homeserver.url(), &tool, "");
    let unverified =
        r#"{"errcode":"M_UNKNOWN","error":"The access token cannot be verified at the moment"}"#;
    let forbidden = r#"{"errcode":"M_FORBIDDEN","error":"You are not allowed in here"}"#;
    // Five failures in a row would open the breaker: good ones lie between.
    let cases = [
        ("a user", "ALICE-1", 200, "{}"),
        ("a user again, from memory", "ALICE-1", 200, "{}"),
        ("unknown", "DEAD-1", 401, UNKNOWN),
        ("unknown again, from memory", "DEAD-1", 401, UNKNOWN),
        ("locked", "LOCKED-1", 401, LOCKED),
        ("a guest", "GUEST-1", 403, forbidden),
        ("another 401", "MISSING-1", 503, unverified),
        ("403", "FORBIDDEN-1", 503, unverified),
        ("429", "LIMITED-1", 503, unverified),
        ("a user between", "ALICE-2", 200, "{}"),
        ("500", "FAILED-1", 503, unverified),
        ("a 401 that is HTML", "HTML-1", 503, unverified),
        ("no answer", "CLOSED-1", 503, unverified),
    ];
    for (name, token, status, body) in cases {
        let answer = shim.connect().ask(to_tool(token));
        assert_eq!(answer.status(), status, "case: {name}");
        assert_eq!(
            String::from_utf8(answer.body.clone()).unwrap(),
            body,
            "case: {name}"
        );
        assert_eq!(
            answer.field("retry-after").is_some(),
            status == 503,
            "case: {name}"
        );
        assert_eq!(
            tool.take().len(),
            usize::from(status == 200),
            "case: {name}"
        );
    }
    let written = shim.stop();
    for token in ["ALICE-", "DEAD-", "LOCKED-", "CLOSED-"] {
        assert_eq!(find(&written.all(), token.as_bytes()), None, "{token}");
    }
}

#[test]
fn nobody_gets_in_without_a_token() {
    let (homeserver, tool) = (homeserver(), Upstream::plain());
    let shim = protected(&homeserver.url(), &tool, "");
    let bare = |fields: &str| format!("GET / HTTP/1.1\r\nHost: tool\r\n{fields}\r\n");
    let cases = [
        ("none", bare(""), 401),
        ("an empty one", bare("Authorization: Bearer \r\n"), 401),
        ("another scheme", bare("Authorization: Basic QUxJQ0U6MQ==\r\n"), 401),
        ("in the query", "GET /?access_token=ALICE-1 HTTP/1.1\r\nHost: tool\r\n\r\n".into(), 200),
        ("in a form we cannot read",
            "POST / HTTP/1.1\r\nHost: tool\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 2\r\n\r\n{}".into(), 401),
        ("a preflight", "OPTIONS / HTTP/1.1\r\nHost: tool\r\nOrigin: https://a.example\r\nAccess-Control-Request-Method: PUT\r\n\r\n".into(), 200),
        ("a path that Matrix leaves open", "GET /_matrix/client/versions HTTP/1.1\r\nHost: tool\r\n\r\n".into(), 401),
    ];
    for (name, request, status) in cases {
        let answer = shim.connect().ask(&request);
        assert_eq!(answer.status(), status, "case: {name}");
        assert_eq!(
            tool.take().len(),
            usize::from(status == 200),
            "case: {name}"
        );
    }
}

#[test]
fn the_tool_is_told_who_it_is_and_by_nobody_else() {
    let (homeserver, tool) = (homeserver(), Upstream::plain());
    let shim = protected(&homeserver.url(), &tool, "");
    let forged =
        "Host: tool\r\nX-Matrix-User: @root:hs\r\nx_matrix_device: ROOT\r\nX-Token-Scope: all";
    let answer = shim
        .connect()
        .ask(to_tool("ALICE-1").replace("Host: tool", forged));
    assert_eq!(answer.status(), 200);
    let seen = tool.take().pop().unwrap();
    let head = String::from_utf8(seen.head.clone()).unwrap();
    assert_eq!(seen.field("x-matrix-user").as_deref(), Some("@alice:hs"));
    assert_eq!(seen.field("x-matrix-device").as_deref(), Some("DEV"));
    assert!(!head.contains("@root") && !head.contains("ROOT"), "{head}");
    assert!(
        !head.to_ascii_lowercase().contains("x-token-scope"),
        "{head}"
    );
}

#[test]
fn rules_say_whose_tokens_come_in() {
    let cases = [
        ("everybody but guests", "", [200, 200, 403]),
        ("one user", "allow = [\"@alice:hs\"]", [200, 200, 403]),
        ("another user", "allow = [\"@bob:hs\"]", [403, 403, 403]),
        ("a server", "allow = [\"@*:hs\"]", [200, 200, 403]),
        ("administrators", "allow = [\"admins\"]", [403, 200, 403]),
        (
            "guests too",
            "allow = [\"@alice:hs\", \"guests\"]",
            [200, 200, 200],
        ),
        ("not her", "deny = [\"@alice:hs\"]", [403, 403, 403]),
        (
            "denied is stronger",
            "allow = [\"admins\"]\ndeny = [\"@*:hs\"]",
            [403, 403, 403],
        ),
    ];
    for (name, rules, expected) in cases {
        let (homeserver, tool) = (homeserver(), Upstream::plain());
        let shim = protected(&homeserver.url(), &tool, rules);
        let statuses = ["ALICE-1", "ADMIN-1", "GUEST-1"]
            .map(|token| shim.connect().ask(to_tool(token)).status());
        assert_eq!(statuses, expected, "case: {name}");
    }
}

#[test]
fn many_requests_with_one_token_are_one_question() {
    let (homeserver, tool) = (homeserver(), Upstream::plain());
    let shim = Arc::new(protected(&homeserver.url(), &tool, ""));
    let clients: Vec<_> = (0..100)
        .map(|_| {
            let shim = Arc::clone(&shim);
            thread::spawn(move || shim.connect().ask(to_tool("ALICE-1")).status())
        })
        .collect();
    for client in clients {
        assert_eq!(client.join().unwrap(), 200);
    }
    let questions = homeserver.take();
    let count = questions
        .iter()
        .filter(|question| find(&question.head, b"/account/whoami").is_some())
        .count();
    assert_eq!(count, 1);
}

#[test]
fn a_logout_on_one_route_is_felt_on_all() {
    let (homeserver, tool) = (homeserver(), Upstream::plain());
    let shim = protected(&homeserver.url(), &tool, "");
    assert_eq!(shim.connect().ask(to_tool("ALICE-1")).status(), 200);
    let logout = request("POST", "/_matrix/client/v3/logout", "ALICE-1");
    assert_eq!(shim.connect().ask(logout).status(), 200);
    assert_eq!(shim.connect().ask(to_tool("ALICE-1")).status(), 401);
}

#[test]
fn a_logout_is_felt_wherever_it_is_asked_for() {
    let paths = [
        "/_matrix/client/v3/logout",
        "/_matrix/client/api/v1/logout",
        "/_matrix/client/unstable/logout",
    ];
    for path in paths {
        for more in [
            "",
            "[[route]]\nhost = \"h\"\nupstream = \"{hs}\"\nverify = \"off\"\n",
        ] {
            let (homeserver, tool) = (homeserver(), Upstream::plain());
            let more = more.replace("{hs}", &homeserver.url());
            let shim = protected(&homeserver.url(), &tool, &more);
            assert_eq!(shim.connect().ask(to_tool("ALICE-1")).status(), 200);
            shim.connect().ask(request("POST", path, "ALICE-1"));
            homeserver.take();
            shim.connect().ask(to_tool("ALICE-1"));
            assert_eq!(homeserver.take().len(), 1, "{path} {more}: asked anew");
        }
    }
}

#[test]
fn who_is_locked_may_still_log_out() {
    let homeserver = homeserver();
    let config = format!(
        "[verify]\nmode = \"whoami\"\nhomeserver = \"{}\"\n",
        homeserver.url()
    );
    let shim = Shim::start(&homeserver.url(), &config);
    let ask = |method: &str, path: &str| {
        let answer = shim.connect().ask(request(method, path, "LOCKED-1"));
        answer.status()
    };
    assert_eq!(ask("GET", "/_matrix/client/v3/sync"), 401);
    assert_eq!(ask("POST", "/_matrix/client/v3/logout"), 200);
}

#[test]
fn odd_tokens_do_not_make_the_homeserver_look_unwell() {
    let (homeserver, tool) = (homeserver(), Upstream::plain());
    let shim = protected(&homeserver.url(), &tool, "");
    for number in 0..20 {
        let odd = to_tool(&format!("FAILED-{number}"));
        assert_eq!(shim.connect().ask(odd).status(), 503);
    }
    assert_eq!(shim.connect().ask(to_tool("ALICE-1")).status(), 200);
}

#[test]
fn nothing_but_an_outage_lets_anybody_through() {
    let (homeserver, tool) = (homeserver(), Upstream::plain());
    let config = format!(
        "[relocate]\nprofile = \"generic\"\n[verify]\nmode = \"whoami\"\non_failure = \"forward\"\nhomeserver = \"{}\"\n",
        homeserver.url()
    );
    let shim = Shim::start(&tool.url(), &config);
    let cases = [
        ("away", "AWAY-1".to_owned(), 200),
        ("this token alone breaks it", "FAILED-1".to_owned(), 503),
        ("a web server's own word", "HTML-1".to_owned(), 503),
        ("longer than anybody takes", "ALICE-".repeat(1200), 503),
    ];
    for (name, token, expected) in cases {
        let answer = shim.connect().ask(request("GET", "/", &token));
        assert_eq!(answer.status(), expected, "case: {name}");
    }
}

#[test]
fn only_preflights_need_no_token() {
    let preflight = "Origin: https://app.example\r\nAccess-Control-Request-Method: PUT\r\n";
    let cases = [
        ("a preflight", preflight.to_owned(), "", 200),
        ("any other question", String::new(), "", 401),
        (
            "another method in disguise",
            format!("{preflight}X-HTTP-Method-Override: DELETE\r\n"),
            "",
            401,
        ),
        ("with a body", preflight.to_owned(), "cmd=delete", 401),
    ];
    let (homeserver, tool) = (homeserver(), Upstream::plain());
    let shim = protected(&homeserver.url(), &tool, "");
    for (name, fields, body, expected) in cases {
        let length = body.len();
        let request = format!(
            "OPTIONS / HTTP/1.1\r\nHost: tool\r\n{fields}Content-Length: {length}\r\n\r\n{body}"
        );
        let answer = shim.connect().ask(request);
        assert_eq!(answer.status(), expected, "case: {name}");
    }
}

#[test]
fn an_issuer_that_is_away_is_no_reason_for_a_401() {
    let tool = Upstream::plain();
    let shim = protected(&nobody(), &tool, "");
    for number in 0..20 {
        let answer = shim.connect().ask(to_tool(&format!("ALICE-{number}")));
        assert_eq!(answer.status(), 503);
        assert!(answer.field("retry-after").is_some());
    }
    assert_eq!(tool.take().len(), 0);
    let stderr = shim.stderr().wait_for("the breaker", |log| {
        let text = String::from_utf8_lossy(log).into_owned();
        text.contains("is not asked for a while").then_some(text)
    });
    assert!(!stderr.contains("ALICE"), "{stderr}");
}

#[test]
fn what_nobody_can_verify_may_be_let_through() {
    let tool = Upstream::plain();
    let config = format!(
        "[relocate]\nprofile = \"generic\"\n[verify]\nmode = \"whoami\"\non_failure = \"forward\"\nhomeserver = \"{}\"\n",
        nobody()
    );
    let shim = Shim::start(&tool.url(), &config);
    let forged =
        request("GET", "/", "ALICE-1").replace("Host: h", "Host: h\r\nX-Matrix-User: @root:hs");
    assert_eq!(shim.connect().ask(forged).status(), 200);
    let seen = tool.take().pop().unwrap();
    assert_eq!(seen.field("x-matrix-user"), None, "nobody knows who it is");
    let bare = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    assert_eq!(
        shim.connect().ask(bare).status(),
        401,
        "no token is no token"
    );
}

#[test]
fn a_tool_does_not_get_the_token() {
    let (homeserver, tool) = (homeserver(), Upstream::plain());
    let cases = [
        ("not of its own accord", "", false),
        ("if it needs it", "forward_token = true\n", true),
    ];
    for (name, rules, gets_it) in cases {
        let shim = protected(&homeserver.url(), &tool, rules);
        let by_query = "GET /?a=1&access_token=ALICE-2 HTTP/1.1\r\nHost: tool\r\n\r\n";
        for request in [to_tool("ALICE-1"), by_query.to_owned()] {
            assert_eq!(shim.connect().ask(request).status(), 200, "case: {name}");
            let got = tool.take().remove(0);
            assert_eq!(
                find(&got.head, b"ALICE-").is_some(),
                gets_it,
                "case: {name}"
            );
            assert_eq!(
                got.field("authorization").is_some(),
                gets_it,
                "case: {name}"
            );
            assert_eq!(
                got.field("x-matrix-user").as_deref(),
                Some("@alice:hs"),
                "case: {name}"
            );
        }
    }
    // A homeserver looks at every token itself.
    let config = format!(
        "[verify]\nmode = \"whoami\"\nhomeserver = \"{}\"\n",
        homeserver.url()
    );
    let shim = Shim::start(&homeserver.url(), &config);
    let sync = request("GET", "/_matrix/client/v3/sync", "ALICE-3");
    assert_eq!(shim.connect().ask(sync).status(), 200);
    let asked = homeserver.take();
    assert!(find(&asked.last().unwrap().head, b"Bearer ALICE-3").is_some());
}
