//! How many connections and requests there may be, and how long one may take to begin.

use std::{
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use super::{MS, hits};
use crate::{
    edge::{Admin, Authority, assert_refused, connect_from, header_v1, tls_client},
    engine::{End, PATIENCE, Shim, Upstream, get, ok, until},
};

/// A `[[listen]]` on loopback with these keys.
fn listen(keys: &str) -> String {
    format!("[[listen]]\naddress = \"127.0.0.1:0\"\n{keys}\n")
}

#[test]
fn connections_have_a_number() {
    let upstream = Upstream::echo();
    let admin = Admin::new();
    let limits = format!(
        "workers = 2\n[limits]\nconnections = 2\n{}",
        admin.section()
    );
    let shim = Shim::start(&upstream, &limits);
    let (mut first, mut second) = (shim.connect(), shim.connect());
    // Each has its place before a third comes: they are on two workers.
    for client in [&mut first, &mut second] {
        client.send(get("/"));
        assert_eq!(client.response().status(), 200);
    }
    for number in 1..=3 {
        let mut third = shim.connect();
        // Told without being asked, and before it says who it is.
        let answer = third.response();
        assert_refused("one more", &answer, 503, "M_UNKNOWN", "Too busy");
        assert_eq!(answer.value("connection"), Some("close"));
        assert!(third.is_closed_within(PATIENCE));
        admin.wait_for(&hits("connections"), number);
    }
    first.send(get("/"));
    assert_eq!(first.response().status(), 200, "who is in stays in");
    drop(second);
    until("the place is free", || {
        let mut next = shim.connect();
        next.send(get("/"));
        next.response().status() == 200
    });
}

#[test]
fn connections_of_one_address_have_a_number() {
    let upstream = Upstream::echo();
    let admin = Admin::new();
    let limits = "trusted_proxies = [\"127.0.0.9\"]\n[limits]\nconnections_per_address = 1\n";
    let shim = Shim::start(&upstream, &(limits.to_owned() + &admin.section()));
    let enter = |from: &str| {
        let mut client = connect_from(from, &shim.addresses[0]);
        // Who is turned away may be gone before it asks.
        let _ = client.try_send(get("/"));
        let answer = client.response();
        (client, answer)
    };
    let (first, answer) = enter("127.0.0.1");
    assert_eq!(answer.status(), 200);
    let (mut second, answer) = enter("127.0.0.1");
    assert_refused(
        "a second",
        &answer,
        429,
        "M_LIMIT_EXCEEDED",
        "Too many connections",
    );
    assert!(second.is_closed_within(PATIENCE));
    admin.wait_for(&hits("connections_per_address"), 1);
    let (_other, answer) = enter("127.0.0.2");
    assert_eq!(answer.status(), 200, "another address");
    let proxies = [enter("127.0.0.9"), enter("127.0.0.9"), enter("127.0.0.9")];
    assert!(
        proxies.iter().all(|(_, answer)| answer.status() == 200),
        "trusted ones"
    );
    drop(first);
    until("the place is free", || enter("127.0.0.1").1.status() == 200);
}

#[test]
fn behind_a_proxy_the_header_says_whose_connection_it_is() {
    let upstream = Upstream::echo();
    let config = format!(
        "[limits]\nconnections_per_address = 1\n{}",
        listen("proxy_protocol = true")
    );
    let shim = Shim::start(&upstream, &config);
    let mut kept = Vec::new();
    let cases = [
        ("one", "192.0.2.1", 200),
        ("the same", "192.0.2.1", 429),
        ("another", "192.0.2.2", 200),
        ("a host of IPv6", "2001:db8::1", 200),
        ("another address of its /64", "2001:db8::ffff:0:1", 429),
        ("the next /64", "2001:db8:0:1::1", 200),
        ("a trusted one", "127.0.0.1", 200),
        ("a trusted one again", "127.0.0.1", 200),
    ];
    for (name, address, status) in cases {
        let mut client = shim.connect();
        client.send(header_v1(address));
        let _ = client.try_send(get("/"));
        assert_eq!(client.response().status(), status, "case: {name}");
        kept.push(client);
    }
    let lines = shim.log(cases.len());
    for (line, (name, address, status)) in lines.iter().zip(cases) {
        assert_eq!(line["remote"], address, "case: {name}");
        assert_eq!(line["status"], status, "case: {name}");
    }
}

#[test]
fn requests_at_the_same_time_have_a_number() {
    let released = Arc::<AtomicBool>::default();
    let is_released = Arc::clone(&released);
    let upstream = Upstream::start(move |mut end| {
        while let Some(request) = end.request() {
            if request.target().starts_with("/hold") {
                let _ = end.request();
                return;
            }
            if request.target() == "/slow" {
                until("it is released", || is_released.load(Ordering::SeqCst));
            }
            let _ = end.try_send(ok("done"));
        }
    });
    let admin = Admin::new();
    let config = format!("workers = 2\n[limits]\nin_flight = 2\n{}", admin.section());
    let shim = Shim::start(&upstream, &config);
    let ask = |target: &str| {
        let mut client = shim.connect();
        client.send(get(target));
        client
    };
    let mut slow = ask("/slow");
    let hold = ask("/hold");
    until("both are there", || upstream.requests().len() == 2);
    let mut others = [ask("/"), ask("/"), ask("/")];
    for client in &mut others {
        let answer = client.response();
        assert_refused("one more", &answer, 503, "M_UNKNOWN", "Too busy");
        assert_eq!(
            answer.value("connection"),
            Some("keep-alive"),
            "it may try again"
        );
    }
    admin.wait_for(&hits("in_flight"), 3);
    // What does not count, is answered.
    others[1].send(get("/_tokenshim/health"));
    assert_eq!(others[1].response().status(), 200);
    let mut is_free = |client: &mut End| {
        client.send(get("/"));
        client.response().status() == 200
    };
    released.store(true, Ordering::SeqCst);
    assert_eq!(slow.response().text(), "done");
    // Each worker has its share, and these are on either.
    until("free after the answer", || {
        others.iter_mut().any(&mut is_free)
    });
    drop(hold);
    until("free after the client has left", || {
        others.iter_mut().all(&mut is_free)
    });
}

/// What waits in our memory counts before the upstream is asked.
#[test]
fn requests_that_are_not_forwarded_yet_count() {
    let ask = |token: &str| {
        format!("GET /v HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\n\r\n")
    };
    let (form, verdict) = (
        "POST /f HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\na=",
        &ask("FAKE-SECRET-0"),
    );
    let known = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 18\r\n\r\n{\"user_id\":\"@a:h\"}";
    let question = "HEAD /auth HTTP/1.1\r\nHost: h\r\nX-Original-URI: /v\r\nX-Original-Method: GET\r\n\
        Authorization: Bearer FAKE-SECRET-0\r\n\r\n";
    let cases = [
        ("its form is still coming", false, 0, form),
        ("a verdict is waited for", true, 0, verdict),
        ("somebody else waits for a verdict", true, 1, question),
    ];
    for (name, verifies, listener, waiting) in cases {
        let upstream = Upstream::start(move |mut end| {
            while let Some(request) = end.request() {
                if request.value("authorization") == Some("Bearer FAKE-SECRET-0") {
                    // Nobody says whose token it is.
                    let _ = end.request();
                    return;
                }
                let _ = end.try_send(known);
            }
        });
        let verify = if verifies {
            format!(
                "[verify]\nmode = \"whoami\"\nhomeserver = \"{}\"\n",
                upstream.address
            )
        } else {
            String::new()
        };
        let config = format!(
            "workers = 1\n[limits]\nin_flight = 1\n[relocate]\nprofile = \"generic\"\n{verify}{}{}",
            listen(""),
            listen("role = \"auth\"")
        );
        let shim = Shim::start(&upstream, &config);
        let mut first = End::connect(&shim.addresses[listener]);
        first.send(waiting);
        let mut second = shim.connect();
        // Either may be looked at first.
        until("the place is taken", || {
            second.send(ask("FAKE-SECRET-1"));
            second.response().text().contains("Too busy")
        });
        second.send(get("/_tokenshim/health"));
        assert_eq!(second.response().status(), 200, "case: {name}");
        // A question that nobody else is asked about waits for nothing.
        let mut asker = End::connect(&shim.addresses[1]);
        asker.send(
            question
                .replace("HEAD", "GET")
                .replace("SECRET-0", "SECRET-1"),
        );
        let answer = asker.response();
        // nginx knows no other refusals than 401 and 403.
        let expected = if verifies { (403, true) } else { (200, false) };
        let busy = answer.text().contains("Too busy");
        assert_eq!((answer.status(), busy), expected, "case: {name}");
        drop(first);
        until("the place is free", || {
            second.send(ask("FAKE-SECRET-1"));
            second.response().status() == 200
        });
    }
}

#[test]
fn a_handshake_has_its_time() {
    let upstream = Upstream::echo();
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new("edge");
    let admin = Admin::new();
    let config = [
        "[timeouts]\nhandshake = \"300ms\"\n",
        &admin.section(),
        &authority.issue("hs.example").section(directory.path()),
        &listen("tls = true"),
        &listen("proxy_protocol = true"),
        &listen("tls = true\nproxy_protocol = true"),
    ]
    .concat();
    let shim = Shim::start(&upstream, &config);
    let header = header_v1("192.0.2.1");
    let failed = "tokenshim_tls_handshakes_total{outcome=\"failed\"}";
    // Whether a handshake had to begin, and so has failed as well.
    let cases = [
        ("silent where TLS begins", 0, "", true),
        (
            "the begin of a handshake",
            0,
            "\x16\x03\x01\x02\0\x01\0",
            true,
        ),
        ("silent where a header begins", 1, "", false),
        ("half a header", 1, "PROXY TCP4 192.0.2.1", false),
        ("half of version 2", 1, "\r\n\r\n\0\r\nQUIT\n", false),
        ("no header where TLS follows", 2, "", false),
        ("a header, and no handshake", 2, &header, true),
    ];
    for ((name, listener, bytes, is_tls), number) in cases.into_iter().zip(1..) {
        let before = admin.number(failed);
        let mut client = End::connect(&shim.addresses[listener]);
        let began = Instant::now();
        client.send(bytes);
        assert!(
            client.is_closed_within(PATIENCE),
            "case: {name}: without an answer"
        );
        let took = began.elapsed();
        assert!(
            (250 * MS..3000 * MS).contains(&took),
            "case: {name}: {took:?}"
        );
        admin.wait_for("tokenshim_timeouts_total{timeout=\"handshake\"}", number);
        admin.wait_for(failed, before + u64::from(is_tls));
    }
    // Who has begun may be silent for as long as `timeouts.idle`.
    let mut plain = End::connect(&shim.addresses[1]);
    plain.send(header);
    let stream = TcpStream::connect(&shim.addresses[0]).unwrap();
    let mut secure = tls_client(stream, &authority, "hs.example", &[]);
    secure.send(get("/"));
    assert_eq!(secure.response().status(), 200);
    for client in [&mut plain, &mut secure] {
        assert!(client.is_silent_for(500 * MS));
        client.send(get("/"));
        assert_eq!(client.response().status(), 200);
    }
}

#[test]
fn without_room_a_handshake_is_not_begun() {
    let upstream = Upstream::echo();
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new("edge");
    let admin = Admin::new();
    let config = [
        "[limits]\nconnections = 1\n",
        &admin.section(),
        &authority.issue("hs.example").section(directory.path()),
        &listen("tls = true"),
    ]
    .concat();
    let shim = Shim::start(&upstream, &config);
    let stream = TcpStream::connect(&shim.addresses[0]).unwrap();
    let mut first = tls_client(stream, &authority, "hs.example", &[]);
    first.send(get("/"));
    assert_eq!(first.response().status(), 200);
    assert!(shim.connect().is_closed_within(PATIENCE));
    admin.wait_for(&hits("connections"), 1);
}
