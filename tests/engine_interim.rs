//! What comes before the answer, and answers that come before the request has ended.

#[path = "support/engine.rs"]
mod engine;

use std::{thread, time::Duration};

use engine::{PATIENCE, Shim, Upstream, get, ok, response, until};

const ASKING: &str =
    "POST /up HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";

#[test]
fn the_upstream_says_when_to_continue() {
    let upstream = Upstream::start(|mut end| {
        while let Some(mut request) = end.request_head() {
            assert_eq!(request.value("expect"), Some("100-continue"));
            assert!(
                end.is_silent_for(Duration::from_millis(150)),
                "no body before 100"
            );
            end.send("HTTP/1.1 100 Continue\r\n\r\n");
            if end.body(&mut request, false).is_none() {
                return;
            }
            end.send(ok(&request.text()));
        }
    });
    let shim = Shim::start(&upstream, "");
    let mut client = shim.connect();
    for _ in 0..2 {
        client.send(ASKING);
        assert!(
            client.is_silent_for(Duration::from_millis(50)),
            "nobody said 100 yet"
        );
        assert_eq!(client.response().status(), 100);
        client.send("hello");
        assert_eq!(client.response().text(), "hello");
    }
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn the_upstream_may_refuse_before_the_body() {
    for status in ["417 Expectation Failed", "401 Unauthorized"] {
        let upstream = Upstream::start(move |mut end| {
            end.request_head();
            end.send(response(status, "{}"));
            // Not a byte of the body comes, and the connection is not used again.
            assert_eq!(end.rest(), b"");
        });
        let shim = Shim::start(&upstream, "");
        let mut client = shim.connect();
        client.send(ASKING);
        let answer = client.response();
        assert!(status.starts_with(&answer.status().to_string()));
        assert_eq!(answer.value("connection"), Some("close"));
        assert!(client.is_closed_within(PATIENCE));
        until("the upstream is released", || upstream.open() == 0);
        let mut other = shim.connect();
        other.send(ASKING);
        other.response();
        assert_eq!(upstream.connections(), 2);
    }
}

#[test]
fn our_own_refusal_comes_before_the_body() {
    let upstream = Upstream::echo();
    let shim = Shim::start(&upstream, "");
    let mut client = shim.connect();
    client.send(ASKING.replace("/up", "/_matrix/client/v3/createRoom"));
    let answer = client.response();
    assert_eq!(answer.status(), 401, "and no 100");
    assert_eq!(answer.errcode(), "M_MISSING_TOKEN");
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn a_form_that_is_looked_into_is_asked_for_by_us() {
    let upstream = Upstream::echo();
    let shim = Shim::start(&upstream, "");
    let mut client = shim.connect();
    let head = ASKING.replace(
        "Expect",
        "Content-Type: application/x-www-form-urlencoded\r\nExpect",
    );
    client.send(head);
    assert_eq!(client.response().status(), 100);
    client.send("a=b&c");
    assert_eq!(client.response().text(), "POST /up 5");
    assert_eq!(
        upstream.requests()[0].value("expect"),
        None,
        "answered already"
    );
}

#[test]
fn early_hints_reach_those_who_know_them() {
    let upstream = Upstream::answer(|_| {
        let mut answer =
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nKeep-Alive: x\r\nContent-Length: 5\r\n\r\n"
                .repeat(3);
        answer.extend_from_slice(&ok("final"));
        answer
    });
    let shim = Shim::start(&upstream, "");
    let mut client = shim.connect();
    client.send(get("/"));
    for _ in 0..3 {
        let hint = client.response();
        assert_eq!((hint.status(), hint.value("link")), (103, Some("</a>")));
        assert_eq!(hint.value("keep-alive"), None);
        assert_eq!(hint.value("content-length"), None, "there is no body");
    }
    assert_eq!(client.response().text(), "final");
    let mut old = shim.connect();
    old.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(old.response().text(), "final");
}

#[test]
fn noise_before_the_answer_is_not_the_answer() {
    let upstream = Upstream::answer(|_| {
        let mut answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n".repeat(20);
        answer.extend_from_slice(&ok("final"));
        answer
    });
    let shim = Shim::start(&upstream, "");
    let mut client = shim.connect();
    for _ in 0..2 {
        client.send(get("/"));
        // The client asked for no 100.
        for _ in 0..20 {
            assert_eq!(client.response().status(), 102);
        }
        assert_eq!(client.response().text(), "final");
    }
    let mut old = shim.connect();
    old.send("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(old.response().status(), 200, "1.0 knows no 100");
    assert!(shim.log(3).iter().all(|line| line["status"] == 200));
}

/// Sends a large upload; tells whether all of it was taken.
fn upload(client: &engine::End, target: &str) -> thread::JoinHandle<bool> {
    let mut sender = client.twin();
    let head = format!("POST {target} HTTP/1.1\r\nHost: h\r\nContent-Length: 20000000\r\n\r\n");
    let piece = vec![b'x'; 100_000];
    thread::spawn(move || {
        sender.try_send(head).is_ok() && (0..200).all(|_| sender.try_send(&piece).is_ok())
    })
}

#[test]
fn a_refused_upload_is_told_so() {
    // It reads a little, answers and closes: the rest meets a reset.
    let upstream = Upstream::start(|mut end| {
        end.request_head();
        end.exactly(100_000);
        let _ = end.try_send("HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 9\r\n\r\ntoo large");
    });
    let shim = Shim::start(&upstream, "");
    for _ in 0..5 {
        let mut client = shim.connect();
        let sending = upload(&client, "/upload");
        // As a client that reads only when it has sent everything.
        assert!(
            sending.join().unwrap(),
            "no reset that could take the answer along"
        );
        let answer = client.response();
        assert_eq!((answer.status(), answer.text()), (413, "too large".into()));
        assert_eq!(answer.value("connection"), Some("close"));
    }
    assert!(
        shim.log(5)
            .iter()
            .all(|line| line["status"] == 413 && line["ending"] == "complete")
    );
}

#[test]
fn our_own_refusal_of_an_upload_can_be_read() {
    let upstream = Upstream::echo();
    let shim = Shim::start(&upstream, "");
    for _ in 0..5 {
        let mut client = shim.connect();
        let sending = upload(&client, "/_matrix/media/v3/upload");
        assert!(
            sending.join().unwrap(),
            "no reset that could take the answer along"
        );
        let answer = client.response();
        assert_eq!(answer.status(), 401);
        assert_eq!(answer.errcode(), "M_MISSING_TOKEN");
        assert!(client.is_closed_within(PATIENCE));
    }
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn a_small_refused_body_costs_no_connection() {
    let upstream = Upstream::echo();
    let shim = Shim::start(&upstream, "");
    let mut client = shim.connect();
    for _ in 0..3 {
        client.send(engine::with_body(
            "POST",
            "/_matrix/client/v3/createRoom",
            "{\"a\":1}",
        ));
        assert_eq!(client.response().status(), 401);
    }
    client.send(get("/next"));
    assert_eq!(client.response().text(), "GET /next 0");
}
