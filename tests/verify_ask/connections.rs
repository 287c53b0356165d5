//! Answers that are late or broken, and connections that are used again.

use std::time::{Duration, Instant};

use tokenshim::verify::{NoAnswer, Verdict, ask::Ask};

use crate::{
    homeserver, is_ready,
    issuer::{Act, Issuer, alice, answer},
    put, start,
};

#[tokio::test]
async fn an_answer_that_never_comes_is_not_waited_for() {
    let beginning = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n".to_vec();
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"user_id\"".to_vec();
    for (name, act) in [
        ("nothing", Act::Keep),
        ("half a head, then nothing", Act::Say(beginning)),
        ("half a body, then nothing", Act::Say(half)),
    ] {
        let issuer = Issuer::new(move |_, _| act.clone());
        let patience = Duration::from_millis(100);
        let ask = Ask::start(homeserver(issuer.on_tcp().await), patience, None).unwrap();
        let started = Instant::now();
        assert_eq!(
            put(&ask, "SECRET").await,
            Err(NoAnswer::Timeout),
            "case: {name}"
        );
        assert!(started.elapsed() >= patience, "case: {name}");
        assert_eq!(ask.under_way(), 0, "case: {name}");
    }
}

#[tokio::test]
async fn an_answer_that_is_none_is_no_answer() {
    let whole = String::from_utf8(answer(401, r#"{"errcode":"M_UNKNOWN_TOKEN"}"#)).unwrap();
    let cut = |to: usize| Act::SayAndClose(whole[..to].into());
    let long = answer(
        200,
        &format!(r#"{{"user_id":"@a:hs","x":"{}"}}"#, "x".repeat(65 * 1024)),
    );
    let head = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(64 * 1024));
    let no_end = "HTTP/1.1 401 X\r\nContent-Type: application/json\r\n\r\n{\"errcode\":\"M_UNK";
    let cases = [
        ("closed at once", cut(0)),
        ("cut in the head", cut(40)),
        ("cut behind the head", cut(whole.find('{').unwrap())),
        ("cut in the body", cut(whole.len() - 1)),
        (
            "cut where only the connection tells the end",
            Act::SayAndClose(no_end.into()),
        ),
        ("body too long", Act::Say(long)),
        ("head too long", Act::Say(head.into_bytes())),
        (
            "no HTTP",
            Act::SayAndClose(b"220 mail.example ESMTP\r\n".to_vec()),
        ),
        (
            "unwell",
            Act::Say(answer(503, r#"{"errcode":"M_UNKNOWN_TOKEN"}"#)),
        ),
        (
            "too many",
            Act::Say(answer(429, r#"{"errcode":"M_UNKNOWN_TOKEN"}"#)),
        ),
        (
            "elsewhere",
            Act::Say(b"HTTP/1.1 307 X\r\nLocation: /\r\nContent-Length: 0\r\n\r\n".to_vec()),
        ),
    ];
    for (name, act) in cases {
        let issuer = Issuer::new(move |_, _| act.clone());
        let ask = start(issuer.on_tcp().await);
        let outcome = put(&ask, "SECRET").await;
        let is_none = matches!(
            outcome,
            Err(NoAnswer::Unreachable(_) | NoAnswer::Unusable(_) | NoAnswer::Odd(_))
        );
        assert!(is_none, "case: {name}: {outcome:?}");
        assert_eq!(
            issuer.seen().len(),
            1,
            "case: {name}: a new connection is used once"
        );
    }
    let issuer = Issuer::new(move |_, _| Act::SayAndClose(whole.clone().into_bytes()));
    let outcome = put(&start(issuer.on_tcp().await), "SECRET").await;
    assert_eq!(
        outcome.unwrap().verdict,
        Verdict::Unknown { soft_logout: false },
        "whole"
    );
}

#[tokio::test]
async fn connections_are_kept() {
    let issuer = Issuer::new(|_, _| Act::Say(alice()));
    let ask = start(issuer.on_tcp().await);
    for number in 0..5 {
        assert!(put(&ask, &format!("FAKE{number}")).await.is_ok());
    }
    let connections: Vec<_> = issuer.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [1; 5]);
}

#[tokio::test]
async fn a_connection_that_went_stale_costs_nobody_an_answer() {
    // The first answer lets the connection live; the second request kills it.
    let issuer = Issuer::new(|number, _| match number {
        2 => Act::SayAndClose(Vec::new()),
        _ => Act::Say(alice()),
    });
    let ask = start(issuer.on_tcp().await);
    assert!(put(&ask, "FAKE1").await.is_ok());
    assert!(put(&ask, "FAKE2").await.is_ok());
    let connections: Vec<_> = issuer.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [1, 1, 2], "once more, and on a new one");
}

#[tokio::test]
async fn it_is_tried_once_more_and_not_for_ever() {
    let issuer = Issuer::new(|number, _| match number {
        1 => Act::Say(alice()),
        _ => Act::SayAndClose(Vec::new()),
    });
    let ask = start(issuer.on_tcp().await);
    assert!(put(&ask, "FAKE1").await.is_ok());
    let outcome = put(&ask, "FAKE2").await;
    assert!(
        matches!(outcome, Err(NoAnswer::Unreachable(_))),
        "{outcome:?}"
    );
    assert_eq!(issuer.seen().len(), 3);
}

/// Asked one after the other about so many tokens; how often it said nothing at all.
async fn left_alone(ask: &Ask, count: usize) -> usize {
    let mut count_open = 0;
    for number in 0..count {
        let outcome = put(ask, &format!("FAKE{number}")).await;
        count_open += usize::from(outcome == Err(NoAnswer::Open));
    }
    count_open
}

#[tokio::test]
async fn an_issuer_that_is_unwell_is_left_alone() {
    for (name, act) in [
        ("closes", Act::SayAndClose(Vec::new())),
        ("fails", Act::Say(answer(502, "{}"))),
        ("has too much to do", Act::Say(answer(429, "{}"))),
    ] {
        let issuer = Issuer::new(move |_, _| act.clone());
        let ask = start(issuer.on_tcp().await);
        assert_eq!(left_alone(&ask, 20).await, 15, "case: {name}");
        assert_eq!(issuer.seen().len(), 5, "case: {name}");
    }
}

#[tokio::test]
async fn nobody_makes_an_issuer_look_unwell() {
    for (name, act) in [
        ("forbidden", Act::Say(answer(403, "{}"))),
        ("breaks on this token", Act::Say(answer(500, "{}"))),
        ("too long for it", Act::Say(answer(431, "{}"))),
        ("another 401", Act::Say(answer(401, "{}"))),
        (
            "a user who cannot be",
            Act::Say(answer(200, r#"{"user_id":"x"}"#)),
        ),
    ] {
        let issuer = Issuer::new(move |_, _| act.clone());
        let ask = start(issuer.on_tcp().await);
        assert_eq!(left_alone(&ask, 20).await, 0, "case: {name}");
    }
    let issuer = Issuer::new(|_, _| Act::Say(alice()));
    let ask = start(issuer.on_tcp().await);
    for _ in 0..20 {
        let outcome = put(&ask, &"x".repeat(8 * 1024)).await;
        assert!(matches!(outcome, Err(NoAnswer::Odd(_))), "{outcome:?}");
    }
    assert!(put(&ask, "SECRET").await.is_ok());
}

#[tokio::test]
async fn a_failure_counts_once() {
    let issuer = Issuer::new(|number, _| match number {
        1 => Act::SayWhenTold(answer(503, "{}")),
        _ => Act::Say(alice()),
    });
    let ask = start(issuer.on_tcp().await);
    let mut callers = Vec::new();
    for _ in 0..100 {
        let mut caller = Box::pin(put(&ask, "SECRET"));
        assert!(!is_ready(&mut caller).await);
        callers.push(caller);
    }
    issuer.tell();
    for caller in callers {
        assert!(caller.await.is_err());
    }
    assert!(put(&ask, "SECRET").await.is_ok());
}
