#![expect(clippy::disallowed_methods, reason = "tests look at fake targets")]

use proptest::{prelude::*, sample::select};

use super::*;

/// What is asked about: method, target and host; or the status of the answer.
type Found = Result<(String, String, String, Asker), (u16, Asker)>;

fn ask(line: &str, fields: &str) -> Found {
    let bytes = format!("{line} HTTP/1.1\r\n{fields}\r\n");
    let mut room = [httparse::EMPTY_HEADER; head::MOST_FIELDS];
    let question = head::parse(bytes.as_bytes(), &mut room).unwrap();
    let original = find(&question).map_err(|found| (found.refusal.status(), found.asker))?;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Ok((
        text(original.method),
        text(original.target.expose()),
        text(original.host.unwrap_or_default()),
        original.asker,
    ))
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn finds_the_request_that_is_asked_about() {
    let found = |method: &str, target: &str, host: &str, asker| -> Found {
        Ok((method.into(), target.into(), host.into(), asker))
    };
    let unclear = |asker| -> Found { Err((400, asker)) };
    let elsewhere = |asker| -> Found { Err((404, asker)) };
    let (nginx, other) = (Asker::Nginx, Asker::Other);
    let cases = [
        (
            "nginx",
            "HEAD /auth",
            "Host: h\r\nX-Original-URI: /p?a\r\nX-Original-Method: PUT\r\n",
            found("PUT", "/p?a", "h", nginx),
        ),
        (
            "nginx, another host",
            "GET /auth",
            "Host: s\r\nx-original-uri: //p\r\nx-original-method: GET\r\nX-Original-Host: h\r\n",
            found("GET", "//p", "h", nginx),
        ),
        (
            "nginx: its client's X-Forwarded-Host is nobody's word",
            "GET /auth",
            "Host: h\r\nX-Original-URI: /\r\nX-Original-Method: GET\r\nX-Forwarded-Host: x\r\n",
            found("GET", "/", "h", nginx),
        ),
        (
            "Caddy, Traefik",
            "GET /auth",
            "Host: s\r\nX-Forwarded-Uri: /p\r\nX-Forwarded-Method: POST\r\nX-Forwarded-Host: h\r\n",
            found("POST", "/p", "h", other),
        ),
        (
            "Caddy: the query beside it is nobody's",
            "GET /auth?access_token=x",
            "Host: h\r\nX-Forwarded-Uri: /p\r\nX-Forwarded-Method: GET\r\n",
            found("GET", "/p", "h", other),
        ),
        (
            "Caddy, Traefik, without a host of its own",
            "GET /auth",
            "Host: h\r\nX-Forwarded-Uri: /p\r\nX-Forwarded-Method: GET\r\n",
            found("GET", "/p", "h", other),
        ),
        (
            "Envoy",
            "DELETE /auth/p%2F?a=/auth",
            "Host: h\r\nX-Forwarded-Host: x\r\n",
            found("DELETE", "/p%2F?a=/auth", "h", other),
        ),
        (
            "Envoy: the root",
            "GET /auth/",
            "Host: h\r\n",
            found("GET", "/", "h", other),
        ),
        (
            "Envoy: slashes stay",
            "GET /auth//p",
            "Host: h\r\n",
            found("GET", "//p", "h", other),
        ),
        (
            "without a Host, which is refused later",
            "GET /auth/p",
            "",
            found("GET", "/p", "", other),
        ),
        (
            "nothing is said",
            "GET /auth",
            "Host: h\r\n",
            unclear(other),
        ),
        (
            "no method",
            "GET /auth",
            "Host: h\r\nX-Original-URI: /p\r\n",
            unclear(nginx),
        ),
        (
            "no target",
            "GET /auth",
            "Host: h\r\nX-Original-Method: GET\r\n",
            unclear(nginx),
        ),
        (
            "an empty target",
            "GET /auth",
            "Host: h\r\nX-Original-URI:\r\nX-Original-Method: GET\r\n",
            unclear(nginx),
        ),
        (
            "an empty method",
            "GET /auth",
            "Host: h\r\nX-Original-URI: /p\r\nX-Original-Method:\r\n",
            unclear(nginx),
        ),
        (
            "no method's name",
            "GET /auth",
            "Host: h\r\nX-Original-URI: /p\r\nX-Original-Method: G T\r\n",
            unclear(nginx),
        ),
        (
            "a space in the target",
            "GET /auth",
            "Host: h\r\nX-Original-URI: /p HTTP/1.1\r\nX-Original-Method: GET\r\n",
            unclear(nginx),
        ),
        (
            "a tab in the target",
            "GET /auth",
            "Host: h\r\nX-Original-URI: /p\t\r\nX-Original-Method: GE\tT\r\n",
            unclear(nginx),
        ),
        (
            "target twice, equal",
            "GET /auth",
            "Host: h\r\nX-Original-URI: /p\r\nX-Original-URI: /p\r\nX-Original-Method: GET\r\n",
            unclear(nginx),
        ),
        (
            "method twice",
            "GET /auth",
            "Host: h\r\nX-Forwarded-Uri: /p\r\nX-Forwarded-Method: A\r\nX-Forwarded-Method: B\r\n",
            unclear(other),
        ),
        (
            "host twice",
            "GET /auth",
            "Host: h\r\nX-Original-URI: /p\r\nX-Original-Method: GET\r\nX-Original-Host: a\r\nX-Original-Host: b\r\n",
            unclear(nginx),
        ),
        (
            "nginx's client plays Caddy",
            "GET /auth",
            "Host: h\r\nX-Original-URI: /p\r\nX-Original-Method: GET\r\nX-Forwarded-Uri: /open\r\n",
            unclear(nginx),
        ),
        (
            "Caddy's client plays nginx",
            "GET /auth",
            "Host: h\r\nX-Forwarded-Uri: /p\r\nX-Forwarded-Method: GET\r\nX-Original-URI: /open\r\nX-Original-Method: GET\r\n",
            unclear(nginx),
        ),
        (
            "Caddy's client names a host",
            "GET /auth",
            "Host: h\r\nX-Forwarded-Uri: /p\r\nX-Forwarded-Method: GET\r\nX-Original-Host: x\r\n",
            unclear(nginx),
        ),
        (
            "Envoy's client plays another proxy",
            "GET /auth/p",
            "Host: h\r\nX-Forwarded-Uri: /open\r\nX-Forwarded-Method: GET\r\n",
            unclear(other),
        ),
        ("another path", "GET /", "Host: h\r\n", elsewhere(other)),
        (
            "a longer path",
            "GET /authorize",
            "Host: h\r\n",
            elsewhere(other),
        ),
        ("a query", "GET /auth?x=/p", "Host: h\r\n", unclear(other)),
        (
            "an absolute target",
            "GET http://h/auth/p",
            "Host: h\r\n",
            elsewhere(other),
        ),
    ];
    for (name, line, fields, expected) in cases {
        assert_eq!(ask(line, fields), expected, "case: {name}");
    }
}

#[test]
fn makes_the_head_of_it() {
    let bytes = b"GET /auth HTTP/1.1\r\nHost: s\r\nConnection: close, x-a\r\nX-Original-URI: /p\r\n\
                  X-Original-Method: PUT\r\nx-original-host: h\r\nContent-Length: 0\r\nX-A: 1\r\n\
                  Authorization: Bearer FAKE\r\nX-Forwarded-For: 192.0.2.1\r\nExpect: 100-continue\r\n\
                  Content-Type: text/plain\r\n\r\n";
    let mut room = [httparse::EMPTY_HEADER; head::MOST_FIELDS];
    let question = head::parse(bytes, &mut room).unwrap();
    let original = find(&question).unwrap();
    let mut few = [httparse::EMPTY_HEADER; 4];
    assert!(
        original.head(question.fields, &mut few).is_none(),
        "no room"
    );
    let mut enough = [httparse::EMPTY_HEADER; 5];
    let head = original.head(question.fields, &mut enough).unwrap();
    assert_eq!(head.method, b"PUT");
    let fields: Vec<_> = head
        .fields
        .iter()
        .map(|field| (field.name, str::from_utf8(field.value).unwrap()))
        .collect();
    assert_eq!(
        fields,
        [
            ("Host", "h"),
            ("X-A", "1"),
            ("Authorization", "Bearer FAKE"),
            ("X-Forwarded-For", "192.0.2.1"),
            ("Content-Type", "text/plain"),
        ]
    );
}

proptest! {
    /// Whatever is said twice, or in two ways, is no question.
    #[test]
    fn nothing_is_guessed(
        fields in prop::collection::vec(
            select(vec![
                "X-Original-URI: /a", "X-Original-Method: GET", "X-Original-Host: a",
                "X-Forwarded-Uri: /b", "X-Forwarded-Method: PUT", "Accept: */*",
            ]),
            0..6,
        ),
        is_behind in any::<bool>(),
    ) {
        let line = if is_behind { "GET /auth/c" } else { "GET /auth" };
        let text = fields.iter().fold(String::new(), |text, field| text + field + "\r\n");
        let count = |prefix: &str| fields.iter().filter(|field| field.starts_with(prefix)).count();
        let is_once = ["X-Original-URI", "X-Original-Method", "X-Original-Host", "X-Forwarded-Uri",
            "X-Forwarded-Method"].iter().all(|name| count(name) <= 1);
        let original = (count("X-Original-URI") > 0, count("X-Original-Method") > 0,
            count("X-Original") > 0);
        let forwarded = (count("X-Forwarded-Uri") > 0, count("X-Forwarded-Method") > 0);
        let expected = match (original, forwarded, is_behind) {
            ((true, true, _), (false, false), false) => Some("/a"),
            ((_, _, false), (true, true), false) => Some("/b"),
            ((_, _, false), (false, false), true) => Some("/c"),
            _ => None,
        };
        let found = ask(line, &format!("Host: h\r\n{text}")).ok().map(|(_, target, _, _)| target);
        prop_assert_eq!(found.as_deref(), expected.filter(|_| is_once));
    }
}
