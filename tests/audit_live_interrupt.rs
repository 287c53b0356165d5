//! Ctrl-C between tokens leaves a truthful report. A binary of its own: the signal goes to
//! the whole process.

#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "tests fail by panicking"
)]

#[path = "audit_live/homeserver.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod homeserver;
#[path = "verify_ask/issuer.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod issuer;
mod tls;

use homeserver::{Token, arguments, homeserver, id, logouts, run};
use rustix::process::{Signal, getpid, kill_process};
use std::thread;
use tokenshim::audit::{
    live_set::{Revocation, State},
    registration::Registrations,
    verify_live::VerifyArgs,
};
use tokio::signal::unix::{SignalKind, signal};

const TOKENS: [&str; 3] = ["FAKE-SECRET-1", "FAKE-SECRET-2", "FAKE-SECRET-3"];

/// Sends the signal, and waits until it was heard: it is told to all who listen at once.
fn interrupt() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut heard = signal(SignalKind::interrupt()).unwrap();
        kill_process(getpid(), Signal::INT).unwrap();
        heard.recv().await.unwrap();
    });
}

/// Sends the signal while the homeserver has a request that begins so.
fn interrupted_at(method: &'static str, act: bool) -> (Vec<(State, Option<Revocation>)>, usize) {
    let tokens = TOKENS.map(|token| (token, Token::Alive));
    let (issuer, url) = homeserver(&tokens, move |text| {
        if text.starts_with(method) {
            thread::spawn(interrupt).join().unwrap();
        }
    });
    let arguments = VerifyArgs {
        revoke: true,
        yes: act,
        ..arguments(&url)
    };
    let (set, said) = run(&TOKENS, &arguments, &Registrations::default());
    let set = set.unwrap();
    assert!(
        set.is_broken()
            .is_some_and(|why| why.contains("interrupted"))
    );
    assert!(said.contains("interrupted") || !act, "{said}");
    let mut ends: Vec<_> = TOKENS
        .iter()
        .map(|token| set.of(id(token), "access_token"))
        .map(|live| {
            let is_untouched =
                live.state == State::Unknown || live.revocation == Some(Revocation::Planned) && act;
            assert_eq!(
                is_untouched,
                live.reason
                    .is_some_and(|reason| reason.contains("interrupted")),
                "{live:?}"
            );
            (live.state, live.revocation)
        })
        .collect();
    ends.sort_unstable();
    (ends, logouts(&issuer))
}

#[test]
fn what_was_done_is_told() {
    let (ends, orders) = interrupted_at("POST ", true);
    assert_eq!(orders, 1, "and no more");
    let untouched = (State::Alive, Some(Revocation::Planned));
    let done = (State::Dead, Some(Revocation::Revoked));
    assert_eq!(
        ends,
        [untouched, untouched, done],
        "the one was asked about all the same"
    );

    let (ends, orders) = interrupted_at("GET ", false);
    assert_eq!(orders, 0);
    let asked = (State::Alive, Some(Revocation::Planned));
    let not_asked = (State::Unknown, None);
    assert_eq!(ends, [asked, not_asked, not_asked]);
}
