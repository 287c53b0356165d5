//! No sequence of failures makes a 401 that the upstream did not give.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use proptest::{
    prelude::{Strategy as _, any},
    test_runner::{Config, TestRunner},
};

use super::{
    answer, json, request,
    support::{
        Shim,
        upstream::{Then, Upstream},
    },
};

/// What an upstream may do instead of saying that a token is unknown. `None`: it closes.
fn failures() -> Vec<Option<Vec<u8>>> {
    let uia = r#"{"errcode":"M_UNKNOWN_TOKEN","flows":[],"session":"s"}"#;
    let cut = b"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{\"errcode\":\"M_UNKNOWN_TOKEN\"";
    vec![
        None,
        Some(json("200 OK", "{}")),
        Some(json("401 Unauthorized", uia)),
        Some(json(
            "401 Unauthorized",
            r#"{"errcode":"M_USER_LOCKED","soft_logout":true}"#,
        )),
        Some(answer(
            "401 Unauthorized",
            "Content-Type: text/html\r\n",
            "M_UNKNOWN_TOKEN",
        )),
        Some(cut.to_vec()),
        Some(json("403 Forbidden", r#"{"errcode":"M_UNKNOWN_TOKEN"}"#)),
        Some(json(
            "429 Too Many Requests",
            r#"{"errcode":"M_LIMIT_EXCEEDED"}"#,
        )),
        Some(json(
            "500 Internal Server Error",
            r#"{"errcode":"M_UNKNOWN_TOKEN"}"#,
        )),
        Some(answer(
            "502 Bad Gateway",
            "Content-Type: text/html\r\n",
            "<h1>Bad Gateway</h1>",
        )),
        Some(json(
            "503 Service Unavailable",
            r#"{"errcode":"M_UNKNOWN","error":"Unable to introspect the access token"}"#,
        )),
        Some(b"no HTTP at all\r\n\r\n".to_vec()),
    ]
}

#[test]
fn no_sequence_of_failures_makes_a_401() {
    let next = Arc::new(AtomicUsize::new(0));
    let script = Arc::clone(&next);
    let upstream = Upstream::start(move |_, wire| {
        match &failures()[script.load(Ordering::SeqCst)] {
            None => Then::Close,
            Some(answer) => {
                wire.stream.write_all(answer).unwrap();
                // Of half an answer the rest must not be waited for.
                let is_whole = answer.ends_with(b"}") && !answer.ends_with(b"TOKEN\"");
                if is_whole { Then::Keep } else { Then::Close }
            }
        }
    });
    let shim = Shim::start(&upstream.url(), "");
    let events = proptest::collection::vec((0..failures().len(), any::<bool>()), 1..12);
    let mut runner = TestRunner::new(Config::with_cases(40));
    runner
        .run(&events.prop_map(|events| events), |events| {
            for (event, is_first) in events {
                next.store(event, Ordering::SeqCst);
                let token = if is_first { "FAKE1" } else { "FAKE2" };
                let mut wire = shim.connect();
                wire.send(request("GET", "/_matrix/client/v3/sync", token));
                let Some(answer) = wire.try_response(false) else {
                    continue;
                };
                let requests = upstream.take().len();
                proptest::prop_assert!(requests >= 1, "answered by ourselves: {}", answer.status());
                if answer.status() == 401 {
                    let given = failures()[event].clone().unwrap_or_default();
                    proptest::prop_assert!(given.starts_with(b"HTTP/1.1 401"));
                    proptest::prop_assert!(given.ends_with(&answer.body));
                }
            }
            Ok(())
        })
        .unwrap();
}
