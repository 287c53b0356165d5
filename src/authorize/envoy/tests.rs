#![expect(clippy::disallowed_methods, reason = "tests look at fake targets")]

use super::*;
use crate::authorize::check::{
    Address, Attributes, Entry, HeaderMap, Peer as Source, RawHeader, Request, SocketAddress,
};

fn bytes(text: &'static [u8]) -> Bytes {
    Bytes::from_static(text)
}

/// A question with fields as Envoy sends them with `encode_raw_headers`.
fn question(fields: &[(&'static str, &'static [u8])]) -> CheckRequest {
    let headers = fields.iter().map(|(key, value)| RawHeader {
        key: bytes(key.as_bytes()),
        raw_value: bytes(value),
        ..RawHeader::default()
    });
    CheckRequest {
        attributes: Some(Attributes {
            source: Some(Source {
                address: Some(Address {
                    socket_address: Some(SocketAddress {
                        address: bytes(b"192.0.2.7"),
                    }),
                }),
            }),
            request: Some(Request {
                http: Some(HttpRequest {
                    method: bytes(b"GET"),
                    path: bytes(b"/said?access_token=SECRET"),
                    host: bytes(b"h"),
                    header_map: Some(HeaderMap {
                        headers: headers.collect(),
                    }),
                    ..HttpRequest::default()
                }),
            }),
        }),
    }
}

fn read(question: &CheckRequest) -> Asked {
    Asked::read(&question.encode_to_vec()).unwrap()
}

#[test]
fn reads_a_question() {
    let asked = read(&question(&[
        (":path", b"/raw\xe9"),
        ("x-a", b"1"),
        ("content-length", b"9"),
        ("x-a", b"2"),
        ("transfer-encoding", b"chunked"),
    ]));
    let fields = asked.fields().unwrap();
    let head = asked.head(&fields).unwrap();
    assert_eq!(head.method, b"GET");
    assert_eq!(
        head.target.expose(),
        b"/raw\xe9",
        "the bytes, not Envoy's idea of UTF-8"
    );
    let pairs: Vec<_> = fields
        .iter()
        .map(|field| (field.name, field.value))
        .collect();
    assert_eq!(pairs, [("Host", &b"h"[..]), ("x-a", b"1"), ("x-a", b"2")]);
    let envoy = Peer {
        address: None,
        is_trusted: true,
        is_tls: false,
    };
    let peer = asked.peer(&envoy);
    assert_eq!(peer.address.unwrap().to_string(), "192.0.2.7");
    assert!(!peer.is_trusted, "Envoy has looked at what it says");
}

#[test]
fn reads_one_without_raw_fields() {
    let mut plain = question(&[]);
    let http = plain
        .attributes
        .as_mut()
        .unwrap()
        .request
        .as_mut()
        .unwrap()
        .http
        .as_mut()
        .unwrap();
    http.header_map = None;
    http.headers = vec![
        Entry {
            key: bytes(b":path"),
            value: bytes(b"/not/this"),
        },
        Entry {
            key: bytes(b"x-a"),
            value: bytes(b"1,2"),
        },
    ];
    let asked = read(&plain);
    let fields = asked.fields().unwrap();
    let head = asked.head(&fields).unwrap();
    assert_eq!(head.target.expose(), b"/said?access_token=SECRET");
    assert_eq!(fields.len(), 2);
}

#[test]
fn two_credentials_in_one_field_are_two() {
    let cases: [(&str, &'static [u8], usize); 7] = [
        ("one", b"Bearer FAKE", 1),
        ("two of one scheme", b"Bearer FAKE,Bearer FAKE", 2),
        ("two schemes", b"Basic RkFLRQ==, bearer FAKE", 2),
        ("and the other way round", b"Bearer FAKE,Basic RkFLRQ==", 2),
        ("a comma in a token", b"Bearer FA,KE", 1),
        (
            "parameters",
            b"X-Matrix origin=\"a\",destination=\"b\", key=\"c\"",
            1,
        ),
        ("text in quotes", b"Digest realm=\"a, b c\"", 1),
    ];
    for (name, value, count) in cases {
        let asked = read(&question(&[("authorization", value)]));
        let fields = asked.fields().unwrap();
        assert_eq!(fields.len(), 1 + count, "case: {name}");
    }
}

type Fields = &'static [(&'static str, &'static [u8])];

#[test]
fn what_is_no_question_is_refused() {
    let none = CheckRequest::default();
    for (name, message) in [
        ("nothing", Vec::new()),
        ("no attributes", none.encode_to_vec()),
        ("no message", b"\x0a\xff".to_vec()),
        ("another type", b"\x08\x01".to_vec()),
    ] {
        let refusal = Asked::read(&message).unwrap_err();
        assert_eq!(refusal.status(), 400, "case: {name}");
    }
    let cases: [(&str, Fields); 7] = [
        ("two targets", &[(":path", b"/a"), (":path", b"/b")]),
        ("a space in the target", &[(":path", b"/a b")]),
        ("a line break in the target", &[(":path", b"/a\r\nX: y")]),
        ("a line break in a value", &[("x-a", b"1\r\nx-b: 2")]),
        ("a NUL in a value", &[("x-a", b"1\0")]),
        ("a line break in a name", &[("x-a\r\nx-b", b"1")]),
        ("no method", &[(":method", b"G T")]),
    ];
    for (name, fields) in cases {
        let asked = read(&question(fields));
        let refused = asked
            .fields()
            .and_then(|fields| asked.head(&fields).map(|_| ()));
        assert_eq!(refused.unwrap_err().status(), 400, "case: {name}");
    }
}

/// Fields that are set, and names of those that are removed.
type Changes = (Vec<(String, String)>, Vec<String>);

/// The answer to a request with these fields, if the upstream would get `upstream`.
fn answer(
    fields: &[(&'static str, &'static [u8])],
    upstream: &str,
    verified: bool,
) -> Result<Changes, Refusal> {
    let asked = read(&question(fields));
    let fields = asked.fields().unwrap();
    let head = asked.head(&fields).unwrap();
    let upstream = format!("GET {upstream}\r\n\r\n");
    let answer = allowed(&head, upstream.as_bytes(), verified)?;
    assert_eq!(answer.status, Some(Status { code: 0 }));
    let allowed = answer.allowed.unwrap();
    let set = allowed.headers.into_iter().map(|option| {
        assert_eq!(option.append_action, 2, "in place of the client's");
        let header = option.header.unwrap();
        (header.key, header.value)
    });
    Ok((set.collect(), allowed.headers_to_remove))
}

#[test]
fn only_changes_are_said() {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let same = "/said?access_token=SECRET HTTP/1.1\r\nHost: h";
    let cut = "/said HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer SECRET";
    let known = "/said HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer SECRET\r\nX-Matrix-User: @a:b";
    assert_eq!(
        answer(&[], same, false),
        Ok((vec![], vec![])),
        "nothing changes"
    );
    let moved = vec![
        pair(":path", "/said"),
        pair("authorization", "Bearer SECRET"),
    ];
    assert_eq!(
        answer(&[], cut, false),
        Ok((moved.clone(), vec![])),
        "moved"
    );
    let header: &[(&str, &[u8])] = &[("authorization", b"Bearer SECRET")];
    let path = vec![pair(":path", "/said")];
    assert_eq!(
        answer(header, cut, false),
        Ok((path.clone(), vec![])),
        "it had the header"
    );
    let referer: &[(&str, &[u8])] = &[("referer", b"/x?access_token=SECRET"), header[0]];
    let cleaned = format!("{cut}\r\nreferer: /x");
    let expected = vec![path[0].clone(), pair("referer", "/x")];
    assert_eq!(
        answer(referer, &cleaned, false),
        Ok((expected, vec![])),
        "Referer"
    );
    let forged: &[(&str, &[u8])] = &[
        ("x-matrix-user", b"@eve:x"),
        ("x_matrix_user", b"@eve:x"),
        ("x-token-label", b"eve"),
    ];
    let mut set = moved.clone();
    set.push(pair("x-matrix-user", "@a:b"));
    let removed = vec!["x_matrix_user".to_owned(), "x-token-label".to_owned()];
    assert_eq!(answer(forged, known, true), Ok((set, removed)), "identity");
    let passed = format!("{cut}\r\nx-matrix-user: @eve:x");
    assert_eq!(
        answer(forged, &passed, false),
        Ok((moved, vec![])),
        "where nobody looks at tokens, nothing is said of them"
    );
}

#[test]
fn what_cannot_be_said_is_a_refusal() {
    let two = "/said HTTP/1.1\r\nAuthorization: a\r\nAuthorization: b";
    assert_eq!(
        answer(&[], two, false),
        Err(Refusal::Internal),
        "two of a name"
    );
    let broken = "/said HTTP/1.1\r\nAuthorization: a\rb";
    assert_eq!(
        answer(&[], broken, false),
        Err(Refusal::Internal),
        "a line break"
    );
}

#[test]
fn a_refusal_is_ours_to_the_byte() {
    let answer = denied(Refusal::MissingToken, Dialect::Client);
    assert_eq!(
        answer.status,
        Some(Status {
            code: UNAUTHENTICATED
        })
    );
    let denied = answer.denied.unwrap();
    assert_eq!(denied.status, Some(HttpStatus { code: 401 }));
    assert_eq!(
        denied.body,
        r#"{"errcode":"M_MISSING_TOKEN","error":"Missing access token"}"#
    );
    let fields: Vec<_> = denied
        .headers
        .into_iter()
        .map(|option| option.header.unwrap())
        .map(|header| format!("{}: {}", header.key, header.value))
        .collect();
    assert_eq!(
        fields,
        [
            "www-authenticate: Bearer realm=\"matrix\"",
            "content-type: application/json",
            "cache-control: no-store",
            "access-control-allow-origin: *",
            "access-control-allow-methods: GET, POST, PUT, DELETE, OPTIONS",
            "access-control-allow-headers: X-Requested-With, Content-Type, Authorization",
        ]
    );
}

#[test]
fn nothing_prints() {
    let asked = read(&question(&[("authorization", b"Bearer SECRET")]));
    assert!(!format!("{asked:?}").contains("SECRET"));
}
