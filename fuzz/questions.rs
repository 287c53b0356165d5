//! What must hold for any question of another proxy, as in `laws.rs`.

#![allow(dead_code, reason = "each fuzz target uses one of them")]

use tokenshim::{
    authorize::{
        answer::{self, Asker},
        envoy, grpc, original,
    },
    http1::head,
    refusal::{Dialect, Reply},
    target,
};

/// A question of another proxy: the request that it is about is one, and an answer to it
/// has no line that is not ours.
pub(crate) fn original(bytes: &[u8]) {
    for asker in [Asker::Nginx, Asker::Other] {
        let mut out = Vec::new();
        let to = Reply {
            dialect: Dialect::Client,
            is_head: false,
            keep_alive: true,
            date: "d",
        };
        if answer::push_allowed(asker, bytes, true, bytes, &to, &mut out) {
            assert_eq!(head::end(&out, 0), Some(out.len()), "one head");
            let ours = |line: &[u8]| {
                let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
                line.is_empty() || line == b"HTTP/1.1 200 OK" || KNOWN.contains(&name)
            };
            assert!(
                out.split(|&byte| byte == b'\n')
                    .all(|line| { ours(line.strip_suffix(b"\r").unwrap_or(line)) })
            );
        } else {
            assert!(out.is_empty(), "half an answer");
        }
    }
    let Some(end) = head::end(bytes, 0) else {
        return;
    };
    let mut fields = [httparse::EMPTY_HEADER; head::MOST_FIELDS];
    let Ok(question) = head::parse(&bytes[..end], &mut fields) else {
        return;
    };
    let Ok(original) = original::find(&question) else {
        return;
    };
    let mut room = [httparse::EMPTY_HEADER; head::MOST_FIELDS + 1];
    let head = original.head(question.fields, &mut room).unwrap();
    sound(&head);
    let is_told = |field: &&head::Field<'_>| {
        let name = field.name.to_ascii_lowercase();
        name.starts_with("x-original-") && ["uri", "method", "host"].contains(&&name[11..])
    };
    assert_eq!(
        head.fields.iter().filter(is_told).count(),
        0,
        "told, not sent"
    );
}

const KNOWN: [&[u8]; 18] = [
    b"Date",
    b"Content-Length",
    b"Cache-Control",
    b"Connection",
    b"Authorization",
    b"X-Shim-Uri",
    b"X-Shim-Authorization",
    b"X-Shim-Referer",
    b"X-Shim-Log",
    b"X-Shim-User",
    b"X-Shim-Device",
    b"X-Shim-Scope",
    b"X-Shim-Label",
    b"X-Matrix-User",
    b"X-Matrix-Device",
    b"X-Token-Scope",
    b"X-Token-Label",
    b"x-envoy-auth-headers-to-remove",
];

/// A head that was put together: every part of it is what the parser would take.
fn sound(head: &head::RequestHead<'_, '_>) {
    assert!(!head.method.is_empty() && head.method.iter().all(|&byte| head::is_token(byte)));
    assert!(!head.target.is_empty());
    #[expect(clippy::disallowed_methods, reason = "looks at which bytes there are")]
    let target = head.target.expose();
    assert!(target::is_accepted(target));
    for field in head.fields {
        assert!(!field.name.is_empty() && field.name.bytes().all(head::is_token));
        let breaks = |byte: &u8| matches!(byte, b'\r' | b'\n' | 0);
        assert!(!field.value.iter().any(breaks), "a value that is two lines");
    }
}

/// Envoy's question: whatever it is, the request is one, and what is answered is text
/// that a field can carry.
pub(crate) fn check_request(bytes: &[u8]) {
    if let Ok(message) = grpc::message(bytes) {
        assert_eq!(message.len() + 5, bytes.len(), "one message");
    }
    let Ok(asked) = envoy::Asked::read(bytes) else {
        return;
    };
    let Ok(fields) = asked.fields() else { return };
    let Ok(head) = asked.head(&fields) else {
        return;
    };
    sound(&head);
    let upstream = [b"GET /p HTTP/1.1\r\nAuthorization: ", bytes, b"\r\n\r\n"].concat();
    let Ok(answer) = envoy::allowed(&head, &upstream, true) else {
        return;
    };
    let allowed = answer.allowed.unwrap();
    for option in &allowed.headers {
        let header = option.header.as_ref().unwrap();
        assert!(
            !header
                .value
                .bytes()
                .any(|byte| byte < b' ' && byte != b'\t')
        );
        assert!(
            !allowed.headers_to_remove.contains(&header.key),
            "set and removed"
        );
    }
}
