//! A homeserver that knows some tokens, and what it was asked; it runs in a thread of its
//! own, since the check under test has a loop of its own.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, mpsc},
    thread,
};

use tokenshim::{
    audit::{
        live_set::LiveSet,
        registration::Registrations,
        sighting::TokenId,
        verify_live::{Held, VerifyArgs, check},
    },
    exit::Failure,
    secret::FingerprintKey,
};

use crate::issuer::{Act, Issuer, answer};

/// How a token is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// `@alice:hs`, device `D`.
    Alive,
    /// An application service's.
    NoDevice,
    /// 401 `M_UNKNOWN_TOKEN`.
    Dead,
    Expired,
    Locked,
    /// Logout is answered 200, and nothing happens.
    Sticky,
    /// Logout is carried out, and then there is no answer to anything.
    DiesAfterwards,
    /// The connection ends while it is logged out.
    Cut,
    /// Busy once.
    Busy,
    /// A status that says nothing.
    Status(u16),
    /// Called like a device.
    Echo,
}

pub(crate) const UNKNOWN: &str = r#"{"errcode":"M_UNKNOWN_TOKEN","error":"x"}"#;

#[derive(Default)]
struct State {
    tokens: HashMap<String, Token>,
    busy_before: usize,
}

/// Answers for `tokens`; `on_request` hears of each request first.
pub(crate) fn homeserver(
    tokens: &[(&str, Token)],
    on_request: impl Fn(&str) + Send + Sync + 'static,
) -> (Arc<Issuer>, String) {
    let state = Mutex::new(State {
        tokens: tokens
            .iter()
            .map(|(text, token)| ((*text).to_owned(), *token))
            .collect(),
        busy_before: 0,
    });
    let issuer = Issuer::new(move |_, text| {
        on_request(text);
        act(&mut state.lock().unwrap(), text)
    });
    let url = serve(&issuer);
    (issuer, url)
}

/// Serves in a thread of its own, and tells where.
pub(crate) fn serve(issuer: &Arc<Issuer>) -> String {
    let (tell, told) = mpsc::channel();
    let issuer = Arc::clone(issuer);
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            tell.send(issuer.on_tcp().await.to_string()).unwrap();
            std::future::pending::<()>().await;
        });
    });
    told.recv().unwrap()
}

fn act(state: &mut State, text: &str) -> Act {
    let target = text.split(' ').nth(1).unwrap();
    let bearer = text
        .lines()
        .find_map(|line| line.strip_prefix("authorization: Bearer "))
        .unwrap_or_default()
        .to_owned();
    let token = state.tokens.get(&bearer).copied().unwrap_or(Token::Dead);
    let is_logout = target == "/_matrix/client/v3/logout" && text.starts_with("POST ");
    if is_logout {
        return log_out(state, bearer, token);
    }
    assert_eq!(
        target, "/_matrix/client/v3/account/whoami",
        "nothing else is asked"
    );
    let me = |device: &str| {
        Act::Say(answer(
            200,
            &format!(r#"{{"user_id":"@alice:hs"{device}}}"#),
        ))
    };
    match token {
        Token::Busy if state.busy_before == 0 => {
            state.busy_before = 1;
            let body = r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":30}"#;
            Act::Say(answer(429, body))
        }
        Token::Alive | Token::Sticky | Token::DiesAfterwards | Token::Cut | Token::Busy => {
            me(r#","device_id":"D""#)
        }
        Token::Echo => me(&format!(r#","device_id":"{bearer}""#)),
        Token::NoDevice => me(""),
        Token::Dead => Act::Say(answer(401, UNKNOWN)),
        Token::Expired => Act::Say(answer(
            401,
            r#"{"errcode":"M_UNKNOWN_TOKEN","soft_logout":true}"#,
        )),
        Token::Locked => Act::Say(answer(
            401,
            r#"{"errcode":"M_USER_LOCKED","soft_logout":true}"#,
        )),
        Token::Status(307) => {
            let head = "HTTP/1.1 307 X\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n";
            Act::Say(head.into())
        }
        Token::Status(status) => Act::Say(answer(status, UNKNOWN)),
    }
}

fn log_out(state: &mut State, bearer: String, token: Token) -> Act {
    let after = match token {
        Token::Sticky => Token::Sticky,
        Token::DiesAfterwards => Token::Status(500),
        _ => Token::Dead,
    };
    state.tokens.insert(bearer, after);
    if token == Token::Cut {
        return Act::SayAndClose(Vec::new());
    }
    Act::Say(answer(200, "{}"))
}

pub(crate) fn key() -> FingerprintKey {
    FingerprintKey::new(b"0123456789abcdef").unwrap()
}

pub(crate) fn id(token: &str) -> TokenId {
    key().id(token.as_bytes())
}

pub(crate) fn held(tokens: &[&str]) -> Held {
    let mut held = Held::new();
    for token in tokens {
        held.keep(id(token), token.as_bytes());
    }
    held
}

pub(crate) fn arguments(url: &str) -> VerifyArgs {
    VerifyArgs {
        verify_live: true,
        homeserver: Some(url.to_owned()),
        rate: 1000,
        ..VerifyArgs::default()
    }
}

/// What came of it, and what was said meanwhile.
pub(crate) fn run(
    tokens: &[&str],
    arguments: &VerifyArgs,
    registrations: &Registrations,
) -> (Result<LiveSet, Failure>, String) {
    let mut out = Vec::new();
    let set = check(held(tokens), arguments, registrations, &mut out);
    let said = String::from_utf8(out).unwrap();
    for token in tokens {
        assert!(!said.contains(token), "{said}");
        assert!(!format!("{set:?}").contains(token), "{set:?}");
    }
    (set, said)
}

/// How often an order was given.
pub(crate) fn logouts(issuer: &Issuer) -> usize {
    let seen = issuer.seen();
    seen.iter()
        .filter(|seen| seen.text.starts_with("POST "))
        .count()
}
