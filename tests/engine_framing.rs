//! Bodies keep their bytes and get framing of our own, in both directions.

#[path = "support/engine.rs"]
mod engine;

use std::{thread, time::Duration};

use engine::{PATIENCE, Shim, Upstream, get, ok, with_body};

#[test]
fn requests_are_framed_anew_and_keep_their_trailers() {
    let upstream = Upstream::echo();
    let shim = Shim::start(&upstream, "");
    let mut client = shim.connect();
    client.send(
        "POST /c HTTP/1.1\r\nHost: h\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n\
         3;ext=1\r\nabc\r\nA\r\n0123456789\r\n0\r\n\
         X-Sum: 42\r\nAuthorization: Bearer FAKE_CANARY\r\nHost: evil\r\nContent-Length: 7\r\n\
         Transfer-Encoding: chunked\r\nConnection: x-sum\r\n\r\n",
    );
    assert_eq!(client.response().text(), "POST /c 13");
    let request = &upstream.requests()[0];
    assert_eq!(request.body, b"abc0123456789");
    assert_eq!(request.value("transfer-encoding"), Some("chunked"));
    assert_eq!(request.trailers, [("X-Sum".into(), "42".into())]);
    // The oracle read no extension: the upstream's chunks are ours.
    client.send(get("/next"));
    assert_eq!(client.response().text(), "GET /next 0");
}

#[test]
fn responses_are_framed_anew_and_keep_their_trailers() {
    let upstream = Upstream::answer(|_| {
        b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n\
          3;ext\r\nabc\r\n0A\r\n0123456789\r\n0\r\n\
          X-Sum: 42\r\nAuthorization: Bearer FAKE_CANARY\r\nContent-Length: 7\r\nHost: evil\r\n\r\n"
            .to_vec()
    });
    let shim = Shim::start(&upstream, "");
    let mut client = shim.connect();
    for _ in 0..2 {
        client.send("GET / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nConnection: TE\r\n\r\n");
        let answer = client.response();
        assert_eq!(answer.text(), "abc0123456789");
        assert_eq!(answer.trailers, [("X-Sum".into(), "42".into())]);
    }
    assert_eq!(upstream.requests()[0].value("te"), Some("trailers"));
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn bodies_that_cannot_be_are_not_waited_for() {
    let heads = [
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n",
            Some("1234"),
        ),
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            None,
        ),
        ("HEAD", "HTTP/1.1 200 OK\r\n\r\n", None),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", None),
        (
            "GET",
            "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
            None,
        ),
        (
            "GET",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 1234\r\nETag: \"x\"\r\n\r\n",
            Some("1234"),
        ),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            Some("0"),
        ),
        // Lengths that are none would go to a client that believes one of them.
        (
            "GET",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            None,
        ),
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
            None,
        ),
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            None,
        ),
    ];
    for (method, head, length) in heads {
        let upstream = Upstream::answer(move |_| head.into());
        let shim = Shim::start(&upstream, "");
        let mut client = shim.connect();
        for _ in 0..2 {
            client.send(format!("{method} / HTTP/1.1\r\nHost: h\r\n\r\n"));
            let answer = client.response_to(method == "HEAD");
            assert_eq!(answer.value("content-length"), length, "{method}: {head}");
            assert!(
                client.is_silent_for(Duration::from_millis(10)),
                "{method}: {head}"
            );
        }
        assert_eq!(upstream.connections(), 1, "{method}: {head}");
    }
}

#[test]
fn an_answer_of_our_own_to_head_has_no_body() {
    let upstream = Upstream::echo();
    let shim = Shim::start(&upstream, "");
    let mut client = shim.connect();
    for _ in 0..2 {
        client.send("HEAD /_matrix/client/v3/account/whoami HTTP/1.1\r\nHost: h\r\n\r\n");
        let answer = client.response_to(true);
        assert_eq!(answer.status(), 401);
        assert!(client.is_silent_for(Duration::from_millis(10)));
    }
}

#[test]
fn an_old_client_gets_no_chunks() {
    let upstream = Upstream::answer(|request| match request.target() {
        "/chunked" => {
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
                .to_vec()
        }
        _ => ok("sized"),
    });
    let shim = Shim::start(&upstream, "");
    let mut client = shim.connect();
    client.send("GET /sized HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let answer = client.response();
    assert_eq!(
        (answer.text(), answer.value("connection")),
        ("sized".into(), Some("keep-alive"))
    );
    client.send("GET /chunked HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let answer = client.response();
    assert_eq!(answer.value("transfer-encoding"), None);
    assert_eq!(answer.value("connection"), Some("close"));
    assert_eq!(answer.text(), "abcde");
    let mut client = shim.connect();
    client.send("GET /sized HTTP/1.0\r\n\r\n");
    assert_eq!(client.response().value("connection"), Some("close"));
    assert!(client.is_closed_within(PATIENCE));
    // The upstream's framing is not the client's business.
    assert!(
        upstream
            .requests()
            .iter()
            .all(|request| request.start.ends_with("HTTP/1.1"))
    );
}

#[test]
fn a_body_that_ends_with_its_connection_gets_an_end() {
    let upstream = Upstream::start(|mut end| {
        if let Some(request) = end.request() {
            let _ = end.try_send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil ");
            let _ = end.try_send(request.target());
        }
    });
    let shim = Shim::start(&upstream, "");
    let mut client = shim.connect();
    for target in ["/one", "/two"] {
        client.send(get(target));
        let answer = client.response();
        assert_eq!(answer.value("transfer-encoding"), Some("chunked"));
        assert_eq!(answer.text(), format!("until {target}"));
    }
    client.send("GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let answer = client.response();
    assert_eq!(answer.value("transfer-encoding"), None);
    assert_eq!(answer.text(), "until /old");
}

#[test]
fn a_cut_answer_is_seen_as_cut() {
    let answers = [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nBROKEN\r\n0\r\n\r\n",
    ];
    for answer in answers {
        let upstream = Upstream::start(move |mut end| {
            end.request();
            let _ = end.try_send(answer);
        });
        let shim = Shim::start(&upstream, "");
        let mut client = shim.connect();
        client.send(get("/"));
        let got = String::from_utf8(client.rest()).unwrap();
        assert!(
            got.contains("half") && !got.ends_with("0\r\n\r\n"),
            "{got:?}"
        );
        let lines = shim.log(1);
        assert_eq!(lines[0]["ending"], "upstream_error");
    }
}

#[test]
fn any_method_may_have_a_body_and_none_is_made_up() {
    let upstream = Upstream::echo();
    let shim = Shim::start(&upstream, "");
    let mut client = shim.connect();
    for method in ["GET", "DELETE", "PATCH", "OPTIONS", "PROPFIND"] {
        client.send(with_body(method, "/b", "hello"));
        assert_eq!(client.response().text(), format!("{method} /b 5"));
    }
    client.send(with_body("POST", "/zero", ""));
    client.response();
    client.send("POST /none HTTP/1.1\r\nHost: h\r\n\r\n");
    client.response();
    let requests = upstream.requests();
    assert_eq!(requests[0].body, b"hello");
    assert_eq!(requests[5].value("content-length"), Some("0"));
    assert_eq!(requests[6].value("content-length"), None);
    assert_eq!(requests[6].value("transfer-encoding"), None);
}

#[test]
fn a_byte_at_a_time_is_read_the_same() {
    let upstream = Upstream::start(|mut end| {
        while let Some(request) = end.request() {
            let (body, trailers) = (request.text(), request.trailers);
            let sum = &trailers[0].1;
            end.trickle(format!(
                "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n\
                 HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                 {:X};e\r\n{body}\r\n0\r\nX-Sum: {sum}\r\n\r\n",
                body.len()
            ));
        }
    });
    let shim = Shim::start(&upstream, "");
    let mut client = shim.connect();
    for number in 0..3 {
        client.trickle(format!(
            "\r\nPOST /slow?access_token=FAKE_CANARY HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
             5\r\nhello\r\n00000c;e=1\r\n, world {number:04}\r\n0\r\nX-Sum: {number}\r\n\r\n"
        ));
        assert_eq!(client.response().status(), 103);
        let answer = client.response();
        assert_eq!(answer.text(), format!("hello, world {number:04}"));
        assert_eq!(answer.trailers, [("X-Sum".into(), number.to_string())]);
    }
    for request in upstream.requests() {
        assert_eq!(request.target(), "/slow");
        assert_eq!(request.value("authorization"), Some("Bearer FAKE_CANARY"));
    }
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn large_bodies_arrive_as_they_were_sent() {
    let upstream = Upstream::answer(|request| {
        let mut answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            request.body.len()
        );
        answer.push_str(&request.text());
        answer.into_bytes()
    });
    let shim = Shim::start(&upstream, "");
    let numbers: Vec<String> = (0..400_000).map(|number| format!("{number:08x}")).collect();
    let body = numbers.concat();
    let half = body.len() / 2;
    let chunked = format!(
        "PUT /l HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{half:x}\r\n{}\r\n{half:x}\r\n{}\r\n0\r\n\r\n",
        &body[..half],
        &body[half..]
    );
    for message in [with_body("PUT", "/l", &body), chunked] {
        let mut client = shim.connect();
        let mut sender = client.twin();
        // Right behind it, so that a body which is taken for longer than it is swallows it.
        let next = with_body("PUT", "/next", "next");
        let sending = thread::spawn(move || sender.send(message + &next));
        assert!(client.response().text() == body);
        assert_eq!(client.response().text(), "next");
        sending.join().unwrap();
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let upstream = Upstream::answer(|request| {
        if request.target() == "/0" {
            thread::sleep(Duration::from_millis(100));
        }
        ok(&format!("{} {}", request.target(), request.text()))
    });
    let shim = Shim::start(&upstream, "");
    let mut client = shim.connect();
    let request = |number: usize| {
        let target = format!("/{number}");
        match number % 3 {
            0 => get(&target),
            1 => with_body("POST", &target, &format!("sized {number}")),
            _ => format!(
                "PUT {target} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nput\r\n0\r\n\r\n"
            ),
        }
    };
    let batch: Vec<String> = (0..40).map(request).collect();
    client.send(batch.concat());
    for number in 0..40 {
        let body = match number % 3 {
            0 => String::new(),
            1 => format!("sized {number}"),
            _ => "put".into(),
        };
        assert_eq!(client.response().text(), format!("/{number} {body}"));
    }
    let seen: Vec<_> = upstream
        .requests()
        .iter()
        .map(|request| request.target().to_owned())
        .collect();
    assert_eq!(
        seen,
        (0..40)
            .map(|number| format!("/{number}"))
            .collect::<Vec<_>>()
    );
}
