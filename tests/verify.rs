//! What is known of tokens: each mode, from what happens to what is answered.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

#[path = "verify/failures.rs"]
mod failures;
#[path = "verify/learn.rs"]
mod learn;
mod support;
#[path = "verify/whoami.rs"]
mod whoami;

use support::wire::Message;

/// A homeserver's word that it knows no such token.
const UNKNOWN: &str =
    r#"{"errcode":"M_UNKNOWN_TOKEN","error":"Invalid access token passed.","soft_logout":false}"#;

/// An answer as a server writes it.
fn answer(status: &str, fields: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {length}\r\n\r\n{body}").into_bytes()
}

/// The same, in JSON.
fn json(status: &str, body: &str) -> Vec<u8> {
    answer(status, "Content-Type: application/json\r\n", body)
}

/// A request with a token in its header.
fn request(method: &str, path: &str, token: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n"
    )
}

/// The token that a request came with.
fn token(request: &Message) -> String {
    let field = request.field("authorization").unwrap_or_default();
    field.trim_start_matches("Bearer ").to_owned()
}
