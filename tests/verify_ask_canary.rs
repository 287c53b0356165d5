//! What is asked about tokens leaves no token, and no secret of ours, in any log, error
//! or `Debug`. A binary of its own: what is captured is the process's log.

#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "tests fail by panicking"
)]

#[path = "verify_ask/issuer.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod issuer;
mod tls;

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use issuer::{Act, Issuer, answer, memo};
use tokenshim::{
    config::{Introspection, Upstream},
    secret::{AccessToken, FingerprintKey},
    verify::{
        ask::{self, Ask},
        introspect::{Credentials, Endpoint},
    },
};
use tracing_subscriber::fmt::MakeWriter;

const TOKEN: &str = "CANARY-TOKEN";
const SECRET: &str = "CANARY-SECRET";

/// Everything that is logged, by anybody, at any level, and not masked.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(event);
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn issuers(server: Upstream) -> [ask::Issuer; 2] {
    let config = Introspection {
        server: server.clone(),
        path: "/introspect".into(),
        client_id: "FAKE".into(),
        client_secret_file: "none".into(),
        scope: Vec::new(),
        server_name: None,
    };
    let credentials = Credentials::new("FAKE", SECRET).unwrap();
    [
        ask::Issuer::Homeserver {
            server: server.clone(),
            asks_admin: true,
        },
        ask::Issuer::OAuth {
            server,
            endpoint: Endpoint::new(&config, credentials).unwrap(),
        },
    ]
}

#[tokio::test]
async fn nothing_tells_the_token_or_the_secret() {
    let log = Captured::default();
    tracing_subscriber::fmt()
        .with_max_level(tracing::level_filters::LevelFilter::TRACE)
        .with_writer(log.clone())
        .init();
    let key = FingerprintKey::new(b"0123456789abcdef").unwrap();
    let token = AccessToken::from_parameter(TOKEN.as_bytes()).unwrap();
    let known_by = key.recognise(&token).1;
    // Issuers that repeat what they were sent, in every way they can.
    let echo = |status: u16, shape: &'static str| {
        move |_: usize, request: &str| {
            let text = request.escape_default().to_string().replace('\\', "");
            Act::Say(answer(status, &shape.replace('%', &text)))
        }
    };
    let mut shown = Vec::new();
    for (name, issuer) in [
        ("no JSON", Issuer::new(echo(200, "%"))),
        (
            "its error",
            Issuer::new(echo(401, r#"{"errcode":"%","error":"%"}"#)),
        ),
        ("its word on us", Issuer::new(echo(401, r#"{"error":"%"}"#))),
        (
            "the user",
            Issuer::new(echo(200, r#"{"active":"%","user_id":"%"}"#)),
        ),
        ("unwell", Issuer::new(echo(500, "%"))),
        (
            "its head",
            Issuer::new(|_, request| Act::SayAndClose(request.as_bytes().to_vec())),
        ),
        ("nothing", Issuer::new(|_, _| Act::Keep)),
    ] {
        for issuer in issuers(issuer.on_tcp().await) {
            let ask = Ask::start(issuer.clone(), Duration::from_millis(200), None).unwrap();
            let outcome = ask.ask(known_by, &token, memo(known_by)).await;
            assert!(outcome.is_err(), "case: {name}");
            let error = outcome.unwrap_err();
            shown.push(format!("{issuer:?} {ask:?} {error:?} {error}"));
        }
    }
    let nobody = tempfile::tempdir().unwrap().path().join("none.sock");
    for issuer in issuers(Upstream::Unix { path: nobody }) {
        let ask = Ask::start(issuer, Duration::from_secs(5), None).unwrap();
        let error = ask.ask(known_by, &token, memo(known_by)).await.unwrap_err();
        shown.push(format!("{error:?} {error}"));
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("tokens cannot be verified"), "{log}");
    assert!(
        log.contains("verify.client_secret_file"),
        "the operator hears which keys are wrong: {log}"
    );
    shown.push(log);
    let shown = shown.join("\n");
    // The last is how Basic authentication has the secret.
    for canary in ["CANARY", "Q0FOQVJZ", "RkFLRTpDQU5BUlktU0VDUkVU"] {
        assert!(!shown.contains(canary), "{canary}: {shown}");
    }
}
