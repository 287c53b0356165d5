//! The steps of a migration: tokens in URLs are watched, moved, refused.

#[path = "support/edge.rs"]
mod edge;
#[path = "support/engine.rs"]
mod engine;

use edge::assert_refused;
use engine::{End, Message, Shim, Upstream, ok};

const REFUSED: &str = "Access tokens in the URL are not accepted any more. \
                       Send the token as Authorization: Bearer, or update this client.";

const SYNC: &str = "/_matrix/client/v3/sync";

/// An upstream that tells what it was asked, and by whom.
fn telling(mut end: End) {
    while let Some(request) = end.request() {
        let credential = request.value("authorization").unwrap_or("nobody");
        let body = format!("{} by {credential}: {}", request.target(), request.text());
        if end.try_send(ok(&body)).is_err() {
            return;
        }
    }
}

fn ask(client: &mut End, method: &str, target: &str, fields: &str, body: &str) -> Message {
    client.send(format!(
        "{method} {target} HTTP/1.1\r\nHost: h\r\n{fields}Content-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    client.response()
}

/// No token is in any log, once all requests are.
fn assert_silent(shim: &Shim, requests: usize) {
    let output = format!("{:?}{}", shim.log(requests), shim.diagnostics());
    assert!(!output.contains("SECRET"), "{output}");
}

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
const BEARER: &str = "Authorization: Bearer SECRET\r\n";

#[test]
fn who_observes_changes_nothing() {
    let upstream = Upstream::start(telling);
    let shim = Shim::start(&upstream, "[relocate]\nmode = \"observe\"\n");
    let mut client = shim.connect();
    let cases = [
        ("query", "GET", "?a=1&access_token=SECRET", "", "", "nobody"),
        (
            "encoded",
            "GET",
            "?%61ccess_token=SEC%52ET;b",
            "",
            "",
            "nobody",
        ),
        ("header", "GET", "?a", BEARER, "", "Bearer SECRET"),
        (
            "different ones",
            "GET",
            "?access_token=SECRET2",
            BEARER,
            "",
            "Bearer SECRET",
        ),
        (
            "twice",
            "GET",
            "?access_token=SECRET&access_token=SECRET2",
            "",
            "",
            "nobody",
        ),
        (
            "no token at all by its bytes",
            "GET",
            "?access_token=SECRET%00",
            "",
            "",
            "nobody",
        ),
        (
            "preflight",
            "OPTIONS",
            "?access_token=SECRET",
            "",
            "",
            "nobody",
        ),
        (
            "form",
            "POST",
            "?a",
            FORM,
            "access_token=SECRET&a=1",
            "nobody",
        ),
    ];
    for (name, method, query, fields, body, by) in cases {
        let answer = ask(&mut client, method, &format!("{SYNC}{query}"), fields, body);
        assert_eq!(
            answer.text(),
            format!("{SYNC}{query} by {by}: {body}"),
            "case: {name}"
        );
    }
    // Of those that came without one it is still said at once.
    let answer = ask(&mut client, "GET", SYNC, "", "");
    assert_refused(
        "none",
        &answer,
        401,
        "M_MISSING_TOKEN",
        "Missing access token",
    );
    assert_silent(&shim, cases.len() + 1);
}

#[test]
fn who_refuses_says_why() {
    let upstream = Upstream::start(telling);
    let shim = Shim::start(&upstream, "[relocate]\nmode = \"refuse\"\n");
    let mut client = shim.connect();
    let refused = [
        ("query", "GET", SYNC, "?access_token=SECRET", "", ""),
        ("unlisted", "GET", "/x", "?access_token=SECRET", "", ""),
        (
            "form",
            "POST",
            "/_matrix/client/v3/join/r",
            "?a",
            FORM,
            "access_token=SECRET",
        ),
    ];
    for (name, method, path, query, fields, body) in refused {
        let answer = ask(&mut client, method, &format!("{path}{query}"), fields, body);
        assert_refused(name, &answer, 401, "M_MISSING_TOKEN", REFUSED);
        assert_eq!(
            answer.value("www-authenticate"),
            Some("Bearer realm=\"matrix\"")
        );
    }
    let served = [
        (
            "header",
            "GET",
            SYNC,
            BEARER,
            "/_matrix/client/v3/sync by Bearer SECRET: ",
        ),
        (
            "the copy in the query is cut, as ever",
            "GET",
            "/_matrix/client/v3/sync?access_token=SECRET",
            BEARER,
            "/_matrix/client/v3/sync by Bearer SECRET: ",
        ),
        (
            "an endpoint that ignores tokens",
            "GET",
            "/_matrix/client/v3/login?access_token=SECRET",
            "",
            "/_matrix/client/v3/login by nobody: ",
        ),
        (
            "a preflight",
            "OPTIONS",
            "/_matrix/client/v3/sync?access_token=SECRET",
            "",
            "/_matrix/client/v3/sync by nobody: ",
        ),
        (
            "no credential of a client",
            "GET",
            "/_matrix/federation/v1/openid/userinfo?access_token=SECRET",
            "",
            "/_matrix/federation/v1/openid/userinfo?access_token=SECRET by nobody: ",
        ),
        ("empty", "GET", "/x?access_token=", "", "/x by nobody: "),
    ];
    for (name, method, target, fields, expected) in served {
        let answer = ask(&mut client, method, target, fields, "");
        assert_eq!(answer.text(), expected, "case: {name}");
    }
    assert_silent(&shim, refused.len() + served.len());
}

#[test]
fn clients_and_days_differ() {
    let upstream = Upstream::start(telling);
    let keys = "[relocate]\nrefuse_after = \"2026-01-01\"\n\
                clients = [\"old-bridge/=relocate\", \"watched=observe\"]\n";
    let shim = Shim::start(&upstream, keys);
    let mut client = shim.connect();
    let target = format!("{SYNC}?access_token=SECRET");
    let answer = ask(&mut client, "GET", &target, "User-Agent: curl/8\r\n", "");
    assert_refused("the day is past", &answer, 401, "M_MISSING_TOKEN", REFUSED);
    let answer = ask(
        &mut client,
        "GET",
        &target,
        "User-Agent: Old-Bridge/1\r\n",
        "",
    );
    assert_eq!(answer.text(), format!("{SYNC} by Bearer SECRET: "));
    let answer = ask(&mut client, "GET", &target, "User-Agent: Watched\r\n", "");
    assert_eq!(answer.text(), format!("{target} by nobody: "));
}
