//! Issuers of every kind, asked by real sockets.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "tests fail by panicking"
)]

#[path = "verify_ask/connections.rs"]
mod connections;
#[path = "verify_ask/issuer.rs"]
mod issuer;
mod tls;

use std::{future::poll_fn, pin::Pin, sync::Arc, task::Poll};

use issuer::{Act, Issuer, alice, answer, memo, tcp};
use tls::{Authority, Files, PATIENCE};
use tokenshim::{
    config::{Introspection, Upstream, UpstreamTls},
    secret::{AccessToken, FingerprintKey, TokenKey},
    tls::Client,
    verify::{
        Admin, Answer, NoAnswer, Verdict,
        ask::{self, Ask},
        client::KEPT_FOR,
        introspect::{Credentials, Endpoint},
    },
};
use tokio::time::timeout;

fn homeserver(server: Upstream) -> ask::Issuer {
    ask::Issuer::Homeserver {
        server,
        asks_admin: false,
    }
}

fn start(server: Upstream) -> Ask {
    Ask::start(homeserver(server), PATIENCE, None).unwrap()
}

fn token(text: &str) -> (TokenKey, AccessToken<'_>) {
    let token = AccessToken::from_parameter(text.as_bytes()).unwrap();
    let key = FingerprintKey::new(b"0123456789abcdef").unwrap();
    (key.recognise(&token).1, token)
}

async fn put(ask: &Ask, text: &str) -> Result<Arc<Answer>, NoAnswer> {
    let (key, token) = token(text);
    timeout(PATIENCE, ask.ask(key, &token, memo(key)))
        .await
        .unwrap()
}

fn user(outcome: Result<Arc<Answer>, NoAnswer>) -> Option<String> {
    match &outcome.unwrap().verdict {
        Verdict::Valid(identity) => identity.user.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_homeserver_is_asked() {
    let issuer = Issuer::new(|_, _| Act::Say(alice()));
    let upstream = issuer.on_tcp().await;
    let host = upstream.to_string().replace("http://", "");
    let ask = start(upstream);
    assert_eq!(
        user(put(&ask, "SECRET").await).as_deref(),
        Some("@alice:hs.example")
    );
    let text = issuer.seen()[0].text.to_lowercase();
    assert!(
        text.starts_with("get /_matrix/client/v3/account/whoami http/1.1\r\n"),
        "{text}"
    );
    for field in [
        &format!("host: {host}"),
        "authorization: bearer secret",
        "accept: application/json",
    ] {
        assert!(
            text.contains(&format!("\r\n{field}\r\n")),
            "{field}: {text}"
        );
    }
}

#[tokio::test]
async fn an_oauth_server_is_asked() {
    let issuer = Issuer::new(|_, _| {
        Act::Say(answer(
            200,
            r#"{"active":true,"username":"bob","scope":"a b"}"#,
        ))
    });
    let server = issuer.on_tcp().await;
    let config = Introspection {
        server: server.clone(),
        path: "/oauth2/introspect".into(),
        client_id: "FAKE".into(),
        client_secret_file: "none".into(),
        scope: vec!["b".into()],
        server_name: Some("hs.example".into()),
    };
    let credentials = Credentials::new("FAKE", "SECRET").unwrap();
    let endpoint = Endpoint::new(&config, credentials).unwrap();
    let oauth = ask::Issuer::OAuth { server, endpoint };
    let ask = Ask::start(oauth, PATIENCE, None).unwrap();
    assert_eq!(
        user(put(&ask, "a+b/=").await).as_deref(),
        Some("@bob:hs.example")
    );
    let text = &issuer.seen()[0].text;
    assert!(
        text.starts_with("POST /oauth2/introspect HTTP/1.1\r\n"),
        "{text}"
    );
    assert!(text.contains(" Basic RkFLRTpTRUNSRVQ=\r\n"), "{text}");
    assert!(
        text.ends_with("\r\n\r\ntoken=a%2Bb%2F%3D&token_type_hint=access_token"),
        "{text}"
    );
}

#[tokio::test]
async fn administrators_are_asked_about() {
    let cases = [
        (
            "an administrator",
            200,
            r#"{"admin":true}"#,
            Some(Admin::Yes),
        ),
        (
            "somebody else",
            403,
            r#"{"errcode":"M_FORBIDDEN"}"#,
            Some(Admin::No),
        ),
        (
            "no Synapse",
            404,
            r#"{"errcode":"M_UNRECOGNIZED"}"#,
            Some(Admin::Unknown),
        ),
        ("unwell", 500, r#"{"errcode":"M_UNKNOWN"}"#, None),
    ];
    for (name, status, body, expected) in cases {
        let issuer = Issuer::new(move |number, _| {
            Act::Say(if number == 1 {
                alice()
            } else {
                answer(status, body)
            })
        });
        let server = issuer.on_tcp().await;
        let homeserver = ask::Issuer::Homeserver {
            server,
            asks_admin: true,
        };
        let ask = Ask::start(homeserver, PATIENCE, None).unwrap();
        let outcome = put(&ask, "SECRET").await;
        let is_admin = outcome.ok().map(|answer| match &answer.verdict {
            Verdict::Valid(identity) => identity.admin,
            other => panic!("{name}: {other:?}"),
        });
        assert_eq!(is_admin, expected, "case: {name}");
        let text = issuer.seen()[1].text.to_lowercase();
        let line = "get /_synapse/admin/v1/users/%40alice%3ahs.example/admin http/1.1\r\n";
        assert!(text.starts_with(line), "{text}");
        assert!(
            text.contains("\r\nauthorization: bearer secret\r\n"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn nobody_asks_whether_a_guest_administrates() {
    let guest = answer(200, r#"{"user_id":"@7:hs","is_guest":true}"#);
    let issuer = Issuer::new(move |_, _| Act::Say(guest.clone()));
    let homeserver = ask::Issuer::Homeserver {
        server: issuer.on_tcp().await,
        asks_admin: true,
    };
    let ask = Ask::start(homeserver, PATIENCE, None).unwrap();
    assert_eq!(user(put(&ask, "SECRET").await).as_deref(), Some("@7:hs"));
    assert_eq!(issuer.seen().len(), 1);
}

/// Whether it is ready at its first look.
async fn is_ready<T>(future: &mut Pin<Box<impl Future<Output = T>>>) -> bool {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await
}

#[tokio::test]
async fn a_thousand_requests_are_one_question() {
    let issuer = Issuer::new(|_, _| Act::SayWhenTold(alice()));
    let ask = start(issuer.on_tcp().await);
    let mut callers = Vec::new();
    for _ in 0..1000 {
        let mut caller = Box::pin(put(&ask, "SECRET"));
        assert!(!is_ready(&mut caller).await);
        callers.push(caller);
    }
    assert_eq!(ask.under_way(), 1);
    issuer.tell();
    for caller in callers {
        assert_eq!(user(caller.await).as_deref(), Some("@alice:hs.example"));
    }
    assert_eq!(issuer.seen().len(), 1);
    issuer.tell();
    assert!(put(&ask, "SECRET").await.is_ok());
    assert_eq!(issuer.seen().len(), 2, "who comes later asks anew");
}

#[tokio::test]
async fn there_are_never_too_many_questions() {
    let issuer = Issuer::new(|_, _| Act::Keep);
    let ask = start(issuer.on_tcp().await);
    let names: Vec<_> = (0..1000).map(|number| format!("FAKE{number}")).collect();
    let mut callers = Vec::new();
    for name in &names {
        let mut caller = Box::pin(put(&ask, name));
        assert!(!is_ready(&mut caller).await);
        callers.push(caller);
    }
    let outcome = put(&ask, "SECRET").await;
    assert_eq!(outcome, Err(NoAnswer::Busy));
}

#[tokio::test]
async fn the_question_outlives_who_asked_it() {
    let issuer = Issuer::new(|_, _| Act::SayWhenTold(alice()));
    let ask = start(issuer.on_tcp().await);
    let mut first = Box::pin(put(&ask, "SECRET"));
    assert!(!is_ready(&mut first).await);
    issuer.wait_for(1).await;
    let mut second = Box::pin(put(&ask, "SECRET"));
    assert!(!is_ready(&mut second).await);
    drop(first);
    issuer.tell();
    assert!(second.await.is_ok());
    assert_eq!(issuer.seen().len(), 1);
    assert_eq!(ask.under_way(), 0);
}

#[tokio::test]
async fn tokens_are_not_mixed_up() {
    let issuer = Issuer::new(|_, text| {
        let number = text
            .split("FAKE")
            .nth(1)
            .unwrap()
            .split("\r\n")
            .next()
            .unwrap();
        Act::Say(answer(200, &format!(r#"{{"user_id":"@{number}:hs"}}"#)))
    });
    let ask = start(issuer.on_tcp().await);
    let callers: Vec<_> = (0..200)
        .map(|number| {
            let ask = ask.clone();
            tokio::spawn(async move { user(put(&ask, &format!("FAKE{number}")).await) })
        })
        .collect();
    for (number, caller) in callers.into_iter().enumerate() {
        assert_eq!(caller.await.unwrap(), Some(format!("@{number}:hs")));
    }
}

#[tokio::test]
async fn unix_sockets_are_asked() {
    let directory = tempfile::tempdir().unwrap();
    let issuer = Issuer::new(|_, _| Act::Say(alice()));
    let ask = start(issuer.on_unix(&directory.path().join("hs.sock")));
    assert!(put(&ask, "SECRET").await.is_ok());
    assert!(
        issuer.seen()[0]
            .text
            .to_lowercase()
            .contains("\r\nhost: localhost\r\n")
    );
    let path = directory.path().join("none.sock");
    let outcome = put(&start(Upstream::Unix { path }), "SECRET").await;
    assert!(
        matches!(outcome, Err(NoAnswer::Unreachable(_))),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn tls_is_checked() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let files = Files::new();
    let client = |authority: &Authority| {
        let tls = UpstreamTls {
            ca_file: Some(files.write("ca.pem", &authority.pem)),
            server_name: None,
            http2: false,
        };
        Some(Arc::new(Client::new(&tls).unwrap()))
    };
    let right = ours.issue(&["127.0.0.1"]);
    let wrong_name = ours.issue(&["hs.example"]);
    for (name, pair, tls, is_asked) in [
        ("right", &right, client(&ours), true),
        ("somebody else's", &right, client(&other), false),
        ("another name", &wrong_name, client(&ours), false),
        ("no TLS on our side", &right, None, false),
    ] {
        let issuer = Issuer::new(|_, _| Act::Say(alice()));
        let server = issuer.on_tls(pair).await;
        let ask = Ask::start(homeserver(server), PATIENCE, tls).unwrap();
        let outcome = put(&ask, "SECRET").await;
        assert_eq!(outcome.is_ok(), is_asked, "case: {name}: {outcome:?}");
        assert_eq!(issuer.seen().len(), usize::from(is_asked), "case: {name}");
    }
}

#[tokio::test]
async fn nobody_there_is_said_at_once() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let outcome = put(&start(tcp("127.0.0.1", port, false)), "SECRET").await;
    assert!(
        matches!(outcome, Err(NoAnswer::Unreachable(_))),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn an_odd_token_is_not_asked_about() {
    let issuer = Issuer::new(|_, _| Act::Say(alice()));
    let ask = start(issuer.on_tcp().await);
    let outcome = put(&ask, &"x".repeat(8 * 1024)).await;
    assert!(matches!(outcome, Err(NoAnswer::Odd(_))), "{outcome:?}");
    assert!(put(&ask, &"x".repeat(7 * 1024)).await.is_ok());
    assert_eq!(issuer.seen().len(), 1);
}

#[tokio::test]
async fn the_last_handle_takes_everything_along() {
    let issuer = Issuer::new(|_, _| Act::Say(alice()));
    let ask = start(issuer.on_tcp().await);
    let other = ask.clone();
    assert!(put(&ask, "SECRET").await.is_ok());
    drop(ask);
    assert!(put(&other, "SECRET").await.is_ok());
    assert_eq!(issuer.ended(), 0);
    drop(other);
    // Sooner than a connection that waits is closed.
    timeout(KEPT_FOR / 2, issuer.wait_for_ends(1))
        .await
        .unwrap();
}

#[tokio::test]
async fn askers_live_on_other_threads_too() {
    let issuer = Issuer::new(|_, _| Act::Say(alice()));
    let ask = start(issuer.on_tcp().await);
    let threads: Vec<_> = (0..4)
        .map(|number| {
            let ask = ask.clone();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_time()
                    .build()
                    .unwrap();
                runtime
                    .block_on(put(&ask, &format!("FAKE{number}")))
                    .is_ok()
            })
        })
        .collect();
    issuer.wait_for(4).await;
    for thread in threads {
        let joined = tokio::task::spawn_blocking(|| thread.join().unwrap());
        assert!(joined.await.unwrap());
    }
}
