use super::*;
use crate::refusal::{Dialect, Malformed};

const TO: Reply<'static> = Reply {
    dialect: Dialect::Client,
    is_head: false,
    keep_alive: true,
    date: "DATE",
};
const BEGIN: &str = "HTTP/1.1 200 OK\r\nDate: DATE\r\nContent-Length: 0\r\n\
                     Cache-Control: no-store\r\nConnection: keep-alive\r\n";
const REMOVES: &str = "x-envoy-auth-headers-to-remove: ";

fn allowed(asker: Asker, head: &str, verified: bool) -> Option<String> {
    let mut out = Vec::new();
    let is_said = push_allowed(asker, head.as_bytes(), verified, b"/shown", &TO, &mut out);
    assert_eq!(is_said, !out.is_empty());
    is_said.then(|| String::from_utf8(out).unwrap())
}

#[test]
fn says_what_to_send_on() {
    let anonymous = "GET /p%2F//?a HTTP/1.1\r\nHost: h\r\n\r\n";
    let known = "PUT /p HTTP/1.1\r\nHost: h\r\nReferer: /x\r\nAuthorization: Bearer FAKE\r\n\
                 X-Matrix-User: @a:b\r\nX-Token-Scope: s t\r\n\r\n";
    let cases = [
        (
            "nginx, nothing but the target",
            allowed(Asker::Nginx, anonymous, false),
            "X-Shim-Uri: /p%2F//?a\r\nX-Shim-Log: /shown\r\n".to_owned(),
        ),
        (
            "nginx, whose token it is",
            allowed(Asker::Nginx, known, true),
            "X-Shim-Uri: /p\r\nX-Shim-Authorization: Bearer FAKE\r\nX-Shim-Referer: /x\r\n\
             X-Shim-Log: /shown\r\nX-Shim-User: @a:b\r\nX-Shim-Scope: s t\r\n"
                .to_owned(),
        ),
        (
            "where nobody looks at tokens, the client's word is not ours",
            allowed(Asker::Nginx, known, false),
            "X-Shim-Uri: /p\r\nX-Shim-Authorization: Bearer FAKE\r\nX-Shim-Referer: /x\r\n\
             X-Shim-Log: /shown\r\n"
                .to_owned(),
        ),
        (
            "the others copy fields of the same name",
            allowed(Asker::Other, known, true),
            format!(
                "X-Shim-Uri: /p\r\nX-Shim-Authorization: Bearer FAKE\r\n\
                 Authorization: Bearer FAKE\r\nX-Shim-Referer: /x\r\nX-Shim-User: @a:b\r\n\
                 X-Matrix-User: @a:b\r\nX-Shim-Scope: s t\r\nX-Token-Scope: s t\r\n\
                 {REMOVES}X-Matrix-Device,X-Token-Label\r\n"
            ),
        ),
        (
            "and must not send on the client's own",
            allowed(Asker::Other, anonymous, true),
            format!(
                "X-Shim-Uri: /p%2F//?a\r\n\
                 {REMOVES}X-Matrix-User,X-Matrix-Device,X-Token-Scope,X-Token-Label\r\n"
            ),
        ),
    ];
    for (name, found, expected) in cases {
        let expected = format!("{BEGIN}{expected}\r\n");
        assert_eq!(found.as_deref(), Some(&*expected), "case: {name}");
    }
}

#[test]
fn what_no_field_can_carry_is_not_said() {
    for head in [
        "GET /p HTTP/1.1\r\nAuthorization: a\rb\r\n\r\n",
        "GET /p HTTP/1.1\r\nAuthorization: a\0b\r\n\r\n",
        "GET /p\rX: HTTP/1.1\r\n\r\n",
        "no head",
        "",
    ] {
        assert_eq!(allowed(Asker::Nginx, head, true), None, "{head:?}");
    }
}

fn refused(asker: Asker, refusal: Refusal, shown: &str) -> String {
    let mut out = Vec::new();
    let length = push_refused(asker, refusal, shown.as_bytes(), &TO, &mut out);
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.split_once("\r\n\r\n").unwrap().1.len(), length);
    let status = asker.status(refusal).to_string();
    assert_eq!(text.get(9..12), Some(&*status), "{text}");
    text
}

#[test]
fn nginx_gets_what_it_takes() {
    let cases = [
        (
            Refusal::MissingToken,
            "HTTP/1.1 401 Unauthorized\r\nX-Shim-Status: 401\r\n",
        ),
        (
            Refusal::Forbidden,
            "HTTP/1.1 403 Forbidden\r\nX-Shim-Status: 403\r\n",
        ),
        (
            Refusal::TooManyBadTokens { retry_after: 7 },
            "HTTP/1.1 403 Forbidden\r\nX-Shim-Status: 429\r\n",
        ),
        (
            Refusal::Unverified,
            "HTTP/1.1 403 Forbidden\r\nX-Shim-Status: 503\r\n",
        ),
        (
            Refusal::NoRoute,
            "HTTP/1.1 403 Forbidden\r\nX-Shim-Status: 404\r\n",
        ),
        (
            Refusal::Malformed(Malformed::Question),
            "HTTP/1.1 403 Forbidden\r\nX-Shim-Status: 400\r\n",
        ),
    ];
    for (refusal, begin) in cases {
        let (as_own, nginx) = (
            refused(Asker::Other, refusal, "/shown"),
            refused(Asker::Nginx, refusal, "/shown"),
        );
        let body = String::from_utf8(refusal.body(Dialect::Client).to_vec()).unwrap();
        let (_, fields) = as_own.split_once("\r\n").unwrap();
        let added = format!("{begin}X-Shim-Error: {body}\r\nX-Shim-Log: /shown\r\n");
        assert_eq!(nginx, format!("{added}{fields}"), "{refusal}");
    }
    assert!(!refused(Asker::Nginx, Refusal::NoRoute, "").contains("X-Shim-Log"));
}

#[test]
fn the_others_get_what_the_client_would() {
    let mut direct = Vec::new();
    Refusal::MissingToken.write(&TO, &mut direct);
    let answer = refused(Asker::Other, Refusal::MissingToken, "/shown");
    assert_eq!(answer.as_bytes(), direct);
}
