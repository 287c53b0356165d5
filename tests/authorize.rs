//! Questions of other proxies, through the real binary: the verdict is the one that the
//! same request gets where it is forwarded, to the byte, and strangers get none.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

#[path = "support/engine.rs"]
mod engine;
#[path = "authorize/envoy.rs"]
mod envoy;

use std::fmt::Write as _;

use engine::{End, Message, Shim, Upstream, ok};

const WHOAMI: &str = "/_matrix/client/v3/account/whoami";
const TOKEN: &str = "syt_RkFLRQ_CANARYCANARYCANARYCA_000000";

/// A listener for forwarding, and one of the role.
fn config(role: &str, more: &str) -> String {
    format!(
        "{more}\n[log]\nlevel = \"trace\"\n[[listen]]\naddress = \"127.0.0.1:0\"\n\
         [[listen]]\naddress = \"127.0.0.1:0\"\nrole = \"{role}\"\n"
    )
}

fn start(role: &str, more: &str) -> (Upstream, Shim) {
    let upstream = Upstream::start(|mut end| {
        while let Some(request) = end.request() {
            let mut told = format!("{}\n", request.start);
            for name in ["authorization", "referer"] {
                for value in request.values(name) {
                    writeln!(told, "{name}: {value}").unwrap();
                }
            }
            if end.try_send(ok(&told)).is_err() {
                return;
            }
        }
    });
    let shim = Shim::start(&upstream, &config(role, more));
    (upstream, shim)
}

/// A connection to the listener for questions.
fn asker(shim: &Shim) -> End {
    End::connect(&shim.addresses[1])
}

/// As nginx asks about a request.
fn nginx(method: &str, target: &str, fields: &str) -> String {
    format!(
        "HEAD /auth HTTP/1.1\r\nHost: h\r\nX-Original-URI: {target}\r\n\
         X-Original-Method: {method}\r\n{fields}\r\n"
    )
}

/// Requests, and in what way their verdict is interesting.
const REQUESTS: [(&str, &str, &str, &str); 14] = [
    (
        "moved",
        "GET",
        "/_matrix/client/v3/sync?a=%2F&access_token=TOKEN&b",
        "",
    ),
    (
        "in the header",
        "GET",
        WHOAMI,
        "Authorization: Bearer TOKEN\r\n",
    ),
    (
        "twice, equal",
        "PUT",
        "//p/../%zz?access_token=TOKEN",
        "Authorization: Bearer TOKEN\r\n",
    ),
    ("none", "GET", "/_matrix/client/versions?", ""),
    (
        "sloppy bytes",
        "GET",
        "/p?f={\"a\":<1>}&access_token=TOKEN",
        "",
    ),
    (
        "signed",
        "PUT",
        "/_matrix/federation/v1/send/1?access_token=NOT",
        "Authorization: X-Matrix a\r\n",
    ),
    (
        "page",
        "GET",
        "/p",
        "Referer: https://c/?access_token=TOKEN\r\n",
    ),
    (
        "preflight",
        "OPTIONS",
        "/_matrix/client/v3/sync?access_token=TOKEN",
        "",
    ),
    ("missing", "GET", WHOAMI, ""),
    ("missing, no body to an answer", "HEAD", WHOAMI, ""),
    ("two", "GET", "/p?access_token=TOKEN&access_token=x", ""),
    (
        "mixed",
        "GET",
        "/p?access_token=TOKEN",
        "Authorization: Basic eDp5\r\n",
    ),
    ("unusable", "GET", "/p?access_token=TOKEN%00", ""),
    ("refused method", "TRACE", "/p?access_token=TOKEN", ""),
];

/// What the upstream saw of a forwarded request, as an answer to a question would say it.
fn forwarded(shim: &Shim, method: &str, target: &str, fields: &str) -> Result<String, Message> {
    let mut client = shim.connect();
    client.send(format!(
        "{method} {target} HTTP/1.1\r\nHost: h\r\n{fields}\r\n"
    ));
    let answer = if method == "HEAD" {
        client.response_to(true)
    } else {
        client.response()
    };
    match answer.status() {
        200 => Ok(answer.text()),
        _ => Err(answer),
    }
}

/// The same, from an answer to nginx.
fn told(method: &str, answer: &Message) -> String {
    let mut told = format!(
        "{method} {} HTTP/1.1\n",
        answer.value("x-shim-uri").unwrap()
    );
    for (name, field) in [
        ("authorization", "x-shim-authorization"),
        ("referer", "x-shim-referer"),
    ] {
        if let Some(value) = answer.value(field) {
            writeln!(told, "{name}: {value}").unwrap();
        }
    }
    told
}

#[test]
fn nginx_is_told_what_we_would_send() {
    let (_upstream, shim) = start("auth", "");
    // One connection for all: refusals do not end it.
    let mut connection = asker(&shim);
    for (name, method, target, fields) in REQUESTS {
        let (target, fields) = (
            target.replace("TOKEN", TOKEN),
            fields.replace("TOKEN", TOKEN),
        );
        connection.send(nginx(method, &target, &fields));
        let answer = connection.response_to(true);
        match forwarded(&shim, method, &target, &fields) {
            Ok(seen) => {
                assert_eq!(answer.status(), 200, "case: {name}");
                assert_eq!(told(method, &answer), seen, "case: {name}");
            }
            Err(refusal) => {
                let status = refusal.status();
                let expected = if status == 401 { 401 } else { 403 };
                assert_eq!(answer.status(), expected, "case: {name}");
                let said = answer.value("x-shim-status").unwrap();
                assert_eq!(said, status.to_string(), "case: {name}");
                if method != "HEAD" {
                    let error = answer.value("x-shim-error");
                    assert_eq!(error, Some(&*refusal.text()), "case: {name}");
                }
                for field in [
                    "www-authenticate",
                    "access-control-allow-origin",
                    "cache-control",
                ] {
                    assert_eq!(answer.value(field), refusal.value(field), "case: {name}");
                }
                assert_eq!(answer.value("x-shim-authorization"), None, "case: {name}");
            }
        }
        let shown = answer.value("x-shim-log").unwrap();
        assert!(!shown.contains("CANARY"), "case: {name}: {shown}");
    }
    let lines = shim.log(2 * REQUESTS.len());
    for (asked, forwarded) in lines.iter().step_by(2).zip(lines.iter().skip(1).step_by(2)) {
        for field in ["method", "target", "status", "token", "token_source"] {
            assert_eq!(
                asked[field], forwarded[field],
                "{field}: {asked} {forwarded}"
            );
        }
    }
    let log = std::fs::read_to_string(shim.log_path()).unwrap();
    assert!(!log.contains("CANARY") && !shim.diagnostics().contains("CANARY"));
}

#[test]
fn the_others_hand_on_our_answers() {
    let (_upstream, shim) = start("auth", "");
    for (name, method, target, fields) in REQUESTS {
        let (target, fields) = (
            target.replace("TOKEN", TOKEN),
            fields.replace("TOKEN", TOKEN),
        );
        let direct = forwarded(&shim, method, &target, &fields);
        let caddy = format!(
            "GET /auth HTTP/1.1\r\nHost: h\r\nX-Forwarded-Uri: {target}\r\n\
             X-Forwarded-Method: {method}\r\n{fields}\r\n"
        );
        let envoy = format!(
            "{method} /auth{target} HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n{fields}\r\n"
        );
        for (who, question) in [("Caddy", caddy), ("Envoy", envoy)] {
            let mut connection = asker(&shim);
            connection.send(question);
            let answer = if method == "HEAD" && who == "Envoy" {
                connection.response_to(true)
            } else {
                connection.response()
            };
            match &direct {
                Ok(seen) => {
                    assert_eq!(told(method, &answer), *seen, "{who}, {name}");
                    let (ours, theirs) = ("x-shim-authorization", "authorization");
                    assert_eq!(answer.value(ours), answer.value(theirs), "{who}, {name}");
                }
                Err(refusal) => {
                    let start = answer.start.as_str();
                    assert_eq!(start, refusal.start, "{who}, {name}");
                    let of = |answer: &Message| {
                        let mut fields = answer.fields.clone();
                        fields.retain(|(field, _)| !matches!(&**field, "Date" | "Connection"));
                        fields
                    };
                    assert_eq!(of(&answer), of(refusal), "{who}, {name}");
                    if method != "HEAD" {
                        assert_eq!(answer.text(), refusal.text(), "{who}, {name}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_body_that_we_do_not_see_may_hold_the_token() {
    let (_upstream, shim) = start("auth", "");
    let mut connection = asker(&shim);
    let cases = [
        (
            "a form",
            "POST",
            "Content-Type: application/x-www-form-urlencoded\r\n",
            200,
        ),
        (
            "a form in parts",
            "POST",
            "Content-Type: multipart/form-data; boundary=x\r\n",
            200,
        ),
        ("JSON", "POST", "Content-Type: application/json\r\n", 401),
        ("nothing", "POST", "", 401),
        (
            "another method, for the homeserver to judge",
            "PUT",
            "Content-Type: application/x-www-form-urlencoded\r\n",
            200,
        ),
    ];
    for (name, method, fields, expected) in cases {
        let target = "/_matrix/client/v3/createRoom";
        connection.send(nginx(method, target, fields));
        let answer = connection.response_to(true);
        assert_eq!(answer.status(), expected, "case: {name}");
    }
}

#[test]
fn what_is_not_clear_is_refused() {
    let (_upstream, shim) = start("auth", "");
    let twice = format!("X-Original-URI: {WHOAMI}\r\n");
    for (name, question, expected) in [
        ("two targets", nginx("GET", "/p", &twice), 403),
        (
            "two ways",
            nginx("GET", "/p", "X-Forwarded-Uri: /q\r\n"),
            403,
        ),
        (
            "no way",
            "GET /auth HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
            400,
        ),
        ("no Host", "GET /auth/p HTTP/1.1\r\n\r\n".to_owned(), 400),
        (
            "another path",
            "GET /p HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
            404,
        ),
    ] {
        let mut connection = asker(&shim);
        let is_head = question.starts_with("HEAD");
        connection.send(question);
        let answer = if is_head {
            connection.response_to(true)
        } else {
            connection.response()
        };
        assert_eq!(answer.status(), expected, "case: {name}");
        assert_eq!(answer.value("x-shim-uri"), None, "case: {name}");
    }
}

#[test]
fn strangers_get_no_answer() {
    let (_upstream, shim) = start("auth", "trusted_proxies = [\"192.0.2.1\"]");
    let mut bodies = Vec::new();
    for question in [
        nginx("GET", WHOAMI, "").replace("HEAD", "GET"),
        nginx("GET", "/p", &format!("Authorization: Bearer {TOKEN}\r\n")).replace("HEAD", "GET"),
        nginx("GET", "/p", "X-Original-URI: /q\r\n").replace("HEAD", "GET"),
        "GET / HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        "GET /_tokenshim/health HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "PUT /auth/p HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx".to_owned(),
        "no request\r\n\r\n".to_owned(),
    ] {
        let mut connection = asker(&shim);
        connection.send(&question);
        let answer = connection.response();
        assert_eq!(answer.status(), 404, "{question}");
        bodies.push((answer.text(), answer.fields.len()));
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "one answer for all: {bodies:?}");
}

#[test]
fn a_unix_socket_is_trusted_by_default() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("auth.sock");
    let listener = format!(
        "[[listen]]\naddress = \"unix:{}\"\nrole = \"auth\"\n",
        path.display()
    );
    let upstream = Upstream::echo();
    let shim = Shim::start(&upstream, &listener);
    let mut connection = shim.connect();
    for _ in 0..2 {
        connection.send(nginx("GET", "/p", ""));
        assert_eq!(connection.response_to(true).status(), 200);
    }
    let probe = "GET /_tokenshim/health HTTP/1.1\r\nHost: h\r\n\r\n";
    connection.send(probe);
    assert_eq!(connection.response().text(), r#"{"status":"ok"}"#);
}
