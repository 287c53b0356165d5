//! Upstream connections that are used again: what may be repeated, what never is,
//! and that none stays longer than it should.

#[path = "support/engine.rs"]
mod engine;

use std::{thread, time::Duration};

use engine::{End, Shim, Upstream, get, ok, until, with_body};

/// Answers one request of each connection; reads a second and closes.
fn answers_once(mut end: End) {
    if end.request().is_some() {
        let _ = end.try_send(ok("first"));
        end.request();
    }
}

fn count(upstream: &Upstream, target: &str) -> usize {
    let requests = upstream.requests();
    requests
        .iter()
        .filter(|request| request.target() == target)
        .count()
}

#[test]
fn a_get_survives_a_connection_that_closes_at_its_reuse() {
    let upstream = Upstream::start(answers_once);
    let shim = Shim::start(&upstream, "");
    let mut client = shim.connect();
    for number in 0..200 {
        client.send(get(&format!("/{number}")));
        assert_eq!(client.response().status(), 200, "request {number}");
    }
}

#[test]
fn a_get_survives_a_close_at_any_moment() {
    // The upstream closes between "at once" and well after the next request.
    let upstream = Upstream::start(|mut end| {
        if end.request().is_some() {
            let _ = end.try_send(ok("only"));
            thread::sleep(Duration::from_micros(end.number as u64 * 7 % 1500));
        }
    });
    let shim = Shim::start(&upstream, "");
    let mut client = shim.connect();
    for number in 0..400 {
        client.send(get("/race"));
        assert_eq!(client.response().status(), 200, "request {number}");
        thread::sleep(Duration::from_micros(number * 11 % 1500));
    }
}

#[test]
fn a_post_is_never_sent_twice() {
    let upstream = Upstream::start(answers_once);
    let shim = Shim::start(&upstream, "");
    for number in 0..20 {
        let mut client = shim.connect();
        client.send(get("/warm"));
        assert_eq!(client.response().status(), 200);
        let target = format!("/post/{number}");
        client.send(with_body("POST", &target, "payload"));
        let answer = client.response();
        assert_eq!(answer.status(), 502);
        assert_eq!(answer.errcode(), "M_UNKNOWN");
        assert_eq!(count(&upstream, &target), 1);
    }
}

#[test]
fn a_put_whose_body_is_at_hand_is_sent_once_more() {
    let upstream = Upstream::start(answers_once);
    let shim = Shim::start(&upstream, "");
    let mut client = shim.connect();
    client.send(get("/warm"));
    client.response();
    client.send(with_body("PUT", "/txn", "payload"));
    assert_eq!(client.response().status(), 200);
    assert_eq!(count(&upstream, "/txn"), 2);
    let requests = upstream.requests();
    assert!(
        requests
            .iter()
            .filter(|r| r.target() == "/txn")
            .all(|r| r.body == b"payload")
    );
    // The body was not left behind as the next request's begin.
    client.send(get("/after"));
    assert_eq!(client.response().status(), 200);
}

#[test]
fn there_is_one_more_attempt_and_no_third() {
    let upstream = Upstream::start(|mut end| {
        if end.number == 0 {
            answers_once(end);
        } else {
            end.request();
        }
    });
    let shim = Shim::start(&upstream, "");
    let mut client = shim.connect();
    client.send(get("/warm"));
    client.response();
    client.send(get("/dies"));
    assert_eq!(client.response().status(), 502);
    assert_eq!(count(&upstream, "/dies"), 2);
    // On a connection that nobody used there is no race to excuse a second one.
    client.send(get("/dies-new"));
    assert_eq!(client.response().status(), 502);
    assert_eq!(count(&upstream, "/dies-new"), 1);
}

#[test]
fn nothing_is_repeated_once_an_answer_began() {
    let upstream = Upstream::start(|mut end| {
        if end.request().is_some() {
            let _ = end.try_send(ok("first"));
            if end.request().is_some() {
                let _ = end.try_send("HTTP/1.1 200 OK\r\nContent-Le");
            }
        }
    });
    let shim = Shim::start(&upstream, "");
    let mut client = shim.connect();
    client.send(get("/warm"));
    client.response();
    client.send(get("/half"));
    assert_eq!(client.response().status(), 502);
    assert_eq!(count(&upstream, "/half"), 1);
}

#[test]
fn idle_upstream_connections_are_closed_in_time() {
    let upstream = Upstream::answer(|_| {
        thread::sleep(Duration::from_millis(50));
        ok("")
    });
    let shim = Shim::start(&upstream, "[timeouts]\nupstream_idle = \"300ms\"\n");
    let mut clients: Vec<End> = (0..20).map(|_| shim.connect()).collect();
    for client in &mut clients {
        client.send(get("/"));
    }
    for client in &mut clients {
        assert_eq!(client.response().status(), 200);
    }
    assert!(upstream.open() > 0, "some were kept");
    until("every idle connection is closed", || upstream.open() == 0);
    clients[0].send(get("/"));
    assert_eq!(clients[0].response().status(), 200);
}

#[test]
fn a_burst_opens_no_more_connections_than_it_has_requests() {
    let upstream = Upstream::answer(|_| {
        thread::sleep(Duration::from_millis(20));
        ok("")
    });
    let shim = Shim::start(&upstream, "");
    let mut clients: Vec<End> = (0..30).map(|_| shim.connect()).collect();
    for _ in 0..3 {
        for client in &mut clients {
            client.send(get("/"));
        }
        for client in &mut clients {
            assert_eq!(client.response().status(), 200);
        }
    }
    assert!(upstream.connections() <= 30, "{}", upstream.connections());
}

#[test]
fn what_nobody_asked_for_is_nobodys_answer() {
    for pause in [Duration::ZERO, Duration::from_millis(30)] {
        let upstream = Upstream::start(move |mut end| {
            while let Some(request) = end.request() {
                let mut answer = ok(request.target());
                let stale = ok("STALE");
                if pause.is_zero() {
                    answer.extend_from_slice(&stale);
                    let _ = end.try_send(answer);
                } else {
                    let _ = end.try_send(answer);
                    thread::sleep(pause);
                    let _ = end.try_send(stale);
                }
            }
        });
        let shim = Shim::start(&upstream, "");
        let mut client = shim.connect();
        for number in 0..5 {
            let target = format!("/{number}");
            client.send(get(&target));
            assert_eq!(client.response().text(), target);
            thread::sleep(pause * 2);
        }
    }
}

#[test]
fn a_connection_with_half_a_request_on_it_is_not_used_again() {
    let upstream = Upstream::start(|mut end| {
        while let Some(mut request) = end.request_head() {
            if request.target() == "/early" {
                let _ = end.try_send(ok("early"));
            } else if end.body(&mut request, false).is_none()
                || end
                    .try_send(ok(&format!("connection {}", end.number)))
                    .is_err()
            {
                return;
            }
        }
    });
    let shim = Shim::start(&upstream, "");
    let mut client = shim.connect();
    client.send("POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\nbegin");
    let answer = client.response();
    assert_eq!(answer.text(), "early");
    assert_eq!(answer.value("connection"), Some("close"));
    let mut other = shim.connect();
    other.send(get("/next"));
    assert_eq!(other.response().text(), "connection 1");
    drop(client);
    until("the first is closed", || upstream.open() == 1);
}

#[test]
fn a_connection_that_said_close_is_not_used_again() {
    let heads = [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2, 2\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ];
    for head in heads {
        // It stays open, and would wait for a second request.
        let upstream = Upstream::answer(|_| head.into());
        let shim = Shim::start(&upstream, "");
        let mut client = shim.connect();
        for number in 1..=3 {
            client.send(get("/"));
            assert_eq!(client.response().text(), "ok");
            assert_eq!(upstream.connections(), number, "{head}");
        }
    }
}
