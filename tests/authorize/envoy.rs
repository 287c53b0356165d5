//! Envoy's questions by gRPC.

use std::{collections::BTreeMap, fmt::Write as _};

use bytes::Bytes;
use h2::client;
use http::{HeaderMap, Request};
use prost::Message as _;
use tokenshim::authorize::check::{
    Attributes, CheckRequest, CheckResponse, HeaderMap as RawHeaders, HttpRequest, RawHeader,
    Request as Asked,
};

use super::{REQUESTS, TOKEN, WHOAMI, forwarded, start};
use crate::engine::Shim;

const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// An answer by gRPC.
struct Answer {
    status: u16,
    code: String,
    message: Vec<u8>,
}

fn raw(name: &str, value: &str) -> RawHeader {
    RawHeader {
        key: name.to_ascii_lowercase().into(),
        raw_value: value.to_owned().into(),
        ..RawHeader::default()
    }
}

/// The question about a request.
fn question(method: &str, target: &str, fields: &str) -> Vec<u8> {
    let mut headers = vec![raw(":path", target), raw(":method", method)];
    for line in fields.lines() {
        let (name, value) = line.split_once(": ").unwrap();
        headers.push(raw(name, value));
    }
    let http = HttpRequest {
        method: method.to_owned().into(),
        path: target.to_owned().into(),
        host: Bytes::from_static(b"h"),
        header_map: Some(RawHeaders { headers }),
        ..HttpRequest::default()
    };
    let question = CheckRequest {
        attributes: Some(Attributes {
            request: Some(Asked { http: Some(http) }),
            ..Attributes::default()
        }),
    };
    framed(&question.encode_to_vec())
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], &length[..], message].concat()
}

/// Calls a method, on a connection of its own.
fn call(shim: &Shim, path: &str, content_type: &str, body: Vec<u8>) -> Answer {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let socket = tokio::net::TcpStream::connect(&shim.addresses[1]);
        let (mut sender, connection) = client::handshake(socket.await.unwrap()).await.unwrap();
        tokio::spawn(connection);
        let request = Request::post(format!("http://shim{path}"))
            .header("content-type", content_type)
            .header("te", "trailers")
            .body(())
            .unwrap();
        let (answer, mut stream) = sender.send_request(request, false).unwrap();
        stream.send_data(body.into(), true).unwrap();
        let (head, mut body) = answer.await.unwrap().into_parts();
        let mut message = Vec::new();
        while let Some(piece) = body.data().await {
            let piece = piece.unwrap();
            body.flow_control().release_capacity(piece.len()).unwrap();
            message.extend_from_slice(&piece);
        }
        let trailers: HeaderMap = body.trailers().await.unwrap().unwrap_or_default();
        let code = trailers.get("grpc-status");
        Answer {
            status: head.status.as_u16(),
            code: code.map_or_else(String::new, |code| code.to_str().unwrap().to_owned()),
            message,
        }
    })
}

fn check(shim: &Shim, question: Vec<u8>) -> CheckResponse {
    let answer = call(shim, CHECK, "application/grpc", question);
    assert_eq!((answer.status, &*answer.code), (200, "0"));
    assert_eq!(answer.message[0], 0, "not compressed");
    CheckResponse::decode(&answer.message[5..]).unwrap()
}

/// What Envoy would send on: what it had, changed as it was told.
fn sent_on(method: &str, target: &str, fields: &str, answer: &CheckResponse) -> String {
    let mut sent: BTreeMap<String, String> = fields
        .lines()
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    sent.insert(":path".into(), target.to_owned());
    let allowed = answer.allowed.as_ref().unwrap();
    for option in &allowed.headers {
        let header = option.header.as_ref().unwrap();
        sent.insert(header.key.clone(), header.value.clone());
    }
    for name in &allowed.headers_to_remove {
        sent.remove(name);
    }
    let mut told = format!("{method} {} HTTP/1.1\n", sent[":path"]);
    for name in ["authorization", "referer"] {
        if let Some(value) = sent.get(name) {
            writeln!(told, "{name}: {value}").unwrap();
        }
    }
    told
}

#[test]
fn envoy_is_told_what_we_would_change() {
    let (_upstream, shim) = start("ext_authz", "");
    for (name, method, target, fields) in REQUESTS {
        let (target, fields) = (
            target.replace("TOKEN", TOKEN),
            fields.replace("TOKEN", TOKEN),
        );
        let answer = check(&shim, question(method, &target, &fields));
        match forwarded(&shim, method, &target, &fields) {
            // Envoy has no use for bytes that it would refuse, and leaves the rest alone.
            Ok(seen) => {
                assert_eq!(
                    sent_on(method, &target, &fields, &answer),
                    seen,
                    "case: {name}"
                );
                assert_eq!(answer.denied, None, "case: {name}");
            }
            Err(refusal) => {
                let denied = answer.denied.unwrap();
                let status = i32::from(refusal.status());
                assert_eq!(denied.status.unwrap().code, status, "case: {name}");
                if method != "HEAD" {
                    assert_eq!(denied.body, refusal.text(), "case: {name}");
                }
                for option in denied.headers {
                    let header = option.header.unwrap();
                    let ours = refusal.value(&header.key);
                    assert_eq!(Some(&*header.value), ours, "case: {name}");
                }
                assert!(answer.status.unwrap().code != 0 && answer.allowed.is_none());
            }
        }
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
fn calls_that_cannot_be_answered() {
    let (_upstream, shim) = start("ext_authz", "");
    let good = || question("GET", "/p", "");
    let grpc = "application/grpc";
    let mut compressed = good();
    compressed[0] = 1;
    let cases = [
        ("no message", CHECK, grpc, Vec::new(), (200, "3")),
        (
            "half a message",
            CHECK,
            grpc,
            good()[..9].to_vec(),
            (200, "3"),
        ),
        (
            "two messages",
            CHECK,
            grpc,
            [good(), good()].concat(),
            (200, "3"),
        ),
        ("not protobuf", CHECK, grpc, framed(b"\x0a\xff"), (200, "3")),
        ("nothing asked", CHECK, grpc, framed(b""), (200, "3")),
        ("compressed", CHECK, grpc, compressed, (200, "12")),
        (
            "too long",
            CHECK,
            grpc,
            vec![0; 1024 * 1024 + 1],
            (200, "8"),
        ),
        (
            "no such method",
            "/grpc.health.v1.Health/Check",
            grpc,
            framed(b""),
            (200, "12"),
        ),
        ("no call", CHECK, "text/plain", good(), (404, "")),
        (
            "a call",
            CHECK,
            "application/grpc+proto",
            good(),
            (200, "0"),
        ),
    ];
    for (name, path, content_type, body, expected) in cases {
        let answer = call(&shim, path, content_type, body);
        assert_eq!((answer.status, &*answer.code), expected, "case: {name}");
    }
}

#[test]
fn strangers_get_no_answer() {
    let (_upstream, shim) = start("ext_authz", "trusted_proxies = [\"192.0.2.1\"]");
    for (path, content_type) in [(CHECK, "application/grpc"), ("/", "text/plain")] {
        let answer = call(&shim, path, content_type, question("GET", WHOAMI, ""));
        assert_eq!((answer.status, &*answer.code), (404, ""), "{path}");
        assert!(
            answer
                .message
                .starts_with(b"{\"errcode\":\"M_UNRECOGNIZED\"")
        );
    }
}
