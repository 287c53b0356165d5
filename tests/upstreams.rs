//! What is behind: sockets of either family, names with several addresses, TLS,
//! PROXY headers, and all the ways in which none of it answers.

#![expect(
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

#[path = "upstreams/addresses.rs"]
mod addresses;
#[path = "support/edge.rs"]
mod edge;
#[path = "support/engine.rs"]
mod engine;

use std::{
    fs,
    net::TcpListener,
    path::Path,
    sync::{Arc, Mutex},
};

use edge::{Authority, Pair, assert_refused, https, reload};
use engine::{End, Shim, Upstream, full_queue, get, ok, until, with_body};

const DOWN: (u16, &str) = (502, "The homeserver cannot be reached");
const BROKEN: (u16, &str) = (502, "The homeserver gave no valid answer");
const LATE: (u16, &str) = (504, "The homeserver took too long");

/// Says of each request which connection it came by.
fn numbered(mut end: End) {
    while end.request().is_some() {
        if end.try_send(ok(&end.number.to_string())).is_err() {
            return;
        }
    }
}

fn ask(client: &mut End) -> String {
    client.send(get("/"));
    client.response().text()
}

fn shim_of(upstream: &str, config: &str) -> Shim {
    Shim::start_with(upstream, config, None)
}

#[test]
fn each_failure_has_its_answer() {
    let directory = tempfile::tempdir().unwrap();
    let socket = |name: &str| format!("unix:{}", directory.path().join(name).display());
    let _nobody = std::os::unix::net::UnixListener::bind(directory.path().join("left")).unwrap();
    let refusing = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let (full, _queued) = full_queue();
    let says = |bytes: &'static str| {
        Upstream::start(move |mut end| {
            if end.request_head().is_some() {
                let _ = end.try_send(bytes);
            }
        })
    };
    let plain = Upstream::start(|mut end| {
        let _ = end.fill();
        let _ = end.try_send("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let silent = Upstream::start(|mut end| while end.request().is_some() {});
    let (cut, half) = (says(""), says("HTTP/1.1 200 OK\r\nContent-"));
    let (noise, future) = (
        says("SSH-2.0-OpenSSH\r\n\r\n"),
        says("HTTP/3.0 200 OK\r\n\r\n"),
    );
    let cases = [
        ("nobody listens", format!("http://{refusing}"), DOWN),
        ("no socket file", socket("none"), DOWN),
        (
            "a full queue",
            format!("http://{}", full.local_addr().unwrap()),
            LATE,
        ),
        ("no answer", silent.address.clone(), LATE),
        ("closed instead of an answer", cut.address.clone(), BROKEN),
        ("closed within the head", half.address.clone(), BROKEN),
        ("not HTTP", noise.address.clone(), BROKEN),
        ("another HTTP", future.address.clone(), BROKEN),
        (
            "plain where TLS is wanted",
            plain.address.replace("http:", "https:"),
            DOWN,
        ),
    ];
    let authority = Authority::new("one");
    let ca = directory.path().join("ca.pem");
    fs::write(&ca, &authority.pem).unwrap();
    let config = format!(
        "[timeouts]\nconnect = \"300ms\"\nresponse = \"300ms\"\n[upstream_tls]\nca_file = \"{}\"\n",
        ca.display()
    );
    for (name, address, (status, error)) in cases {
        let shim = shim_of(&address, &config);
        let mut client = shim.connect();
        for _ in 0..2 {
            client.send(get("/"));
            let answer = client.response();
            assert_refused(name, &answer, status, "M_UNKNOWN", error);
            // The next request may find it well.
            assert_eq!(
                answer.value("connection"),
                Some("keep-alive"),
                "case: {name}"
            );
        }
    }
}

#[test]
fn one_that_comes_back_is_used_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hs.sock");
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let unix = shim_of(&format!("unix:{}", path.display()), "");
    let tcp = shim_of(&format!("http://{address}"), "");
    for shim in [&unix, &tcp] {
        let mut client = shim.connect();
        for _ in 0..3 {
            client.send(get("/"));
            assert_eq!(client.response().status(), 502);
        }
    }
    let _there = Upstream::start_unix(&path, numbered);
    let _here = Upstream::start_on(TcpListener::bind(address).unwrap(), numbered);
    for shim in [&unix, &tcp] {
        assert_eq!(ask(&mut shim.connect()), "0");
        assert_eq!(ask(&mut shim.connect()), "0", "kept");
    }
}

/// What a connection to this port begins with.
type Header<'a> = &'a dyn Fn(u16) -> Vec<u8>;

/// An upstream that keeps what each connection begins with, up to `length` bytes.
fn behind_header(length: usize) -> (Upstream, Arc<Mutex<Vec<Vec<u8>>>>) {
    let headers = Arc::<Mutex<Vec<Vec<u8>>>>::default();
    let kept = Arc::clone(&headers);
    let upstream = Upstream::start(move |mut end| {
        let header = end.exactly(length);
        kept.lock().unwrap().push(header);
        numbered(end);
    });
    (upstream, headers)
}

#[test]
fn an_upstream_is_told_who_asks() {
    let six = "2001:db8::7";
    let v1 = |client: &str, port: u16| {
        format!("PROXY TCP4 {client} 127.0.0.1 0 {port}\r\n").into_bytes()
    };
    let v2 = |client: [u8; 4], port: u16| {
        let ports = [[0, 0], port.to_be_bytes()].concat();
        edge::header_v2(1, 0x11, &[&client[..], &[127, 0, 0, 1], &ports].concat())
    };
    // Version, the client that a trusted proxy names, and the header.
    let cases: [(&str, &str, &str, Header<'_>); 6] = [
        ("the client itself", "v1", "", &|port| v1("127.0.0.1", port)),
        ("the proxy's client", "v1", "192.0.2.7", &|port| {
            v1("192.0.2.7", port)
        }),
        ("another family", "v1", six, &|_| {
            b"PROXY UNKNOWN\r\n".to_vec()
        }),
        ("the client itself", "v2", "", &|port| {
            v2([127, 0, 0, 1], port)
        }),
        ("the proxy's client", "v2", "192.0.2.7", &|port| {
            v2([192, 0, 2, 7], port)
        }),
        ("another family", "v2", six, &|_| edge::header_v2(0, 0, &[])),
    ];
    for (name, version, client, header) in cases {
        // A port that the system chose has five digits.
        let (upstream, headers) = behind_header(header(1 << 15).len());
        let port: u16 = upstream
            .address
            .rsplit(':')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        let config = format!("upstream_proxy_protocol = \"{version}\"\n");
        let shim = Shim::start(&upstream, &config);
        let mut clients = [shim.connect(), shim.connect()];
        let field = if client.is_empty() {
            String::new()
        } else {
            format!("X-Forwarded-For: {client}\r\n")
        };
        for round in 0..2 {
            for asking in &mut clients {
                asking.send(format!("GET / HTTP/1.1\r\nHost: h\r\n{field}\r\n"));
                assert_eq!(
                    asking.response().status(),
                    200,
                    "case: {name}, {version}, {round}"
                );
            }
        }
        let headers = headers.lock().unwrap();
        assert_eq!(headers.len(), 4, "one connection for each request");
        for found in headers.iter() {
            assert_eq!(*found, header(port), "case: {name}, {version}");
        }
    }
}

#[test]
fn no_connection_is_shared_that_names_a_client() {
    let seen = Arc::<Mutex<Vec<(String, String)>>>::default();
    let kept = Arc::clone(&seen);
    let upstream = Upstream::start(move |mut end| {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.extend(end.exactly(1));
        }
        let line = String::from_utf8(line).unwrap();
        while let Some(request) = end.request() {
            let client = request.value("x-forwarded-for").unwrap().to_owned();
            kept.lock().unwrap().push((line.clone(), client));
            if end.try_send(ok("")).is_err() {
                return;
            }
        }
    });
    let shim = Shim::start(&upstream, "upstream_proxy_protocol = \"v1\"\n");
    // All from one trusted proxy, by two connections, and even by the same one.
    let mut proxies = [shim.connect(), shim.connect()];
    for number in 0..20 {
        let proxy = &mut proxies[number % 2];
        proxy.send(format!(
            "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.{}\r\n\r\n",
            number % 7
        ));
        assert_eq!(proxy.response().status(), 200);
    }
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 20);
    for (line, client) in seen.iter() {
        assert!(
            line.starts_with(&format!("PROXY TCP4 {client} ")),
            "{line}{client}"
        );
    }
}

/// The `[upstream_tls]` section that believes `authority`.
fn believing(directory: &Path, authority: &Authority, server_name: &str) -> String {
    let file = directory.join("ca.pem");
    fs::write(&file, &authority.pem).unwrap();
    format!(
        "[upstream_tls]\nca_file = \"{}\"\nserver_name = \"{server_name}\"\n",
        file.display()
    )
}

#[test]
fn an_upstream_by_https_has_to_prove_itself() {
    let directory = tempfile::tempdir().unwrap();
    let (known, unknown) = (Authority::new("one"), Authority::new("other"));
    let good = "localhost";
    let cases: [(&str, Pair, &str, u16, &str); 7] = [
        ("its host", known.issue(good), "", 200, ""),
        (
            "another name that was asked for",
            known.issue("hs.example"),
            "hs.example",
            200,
            "",
        ),
        (
            "another name",
            known.issue("hs.example"),
            "",
            502,
            "is for other names",
        ),
        (
            "not the name that was asked for",
            known.issue(good),
            "hs.example",
            502,
            "is for other names",
        ),
        (
            "an unknown authority",
            unknown.issue(good),
            "",
            502,
            "signed by no trusted authority",
        ),
        ("expired", known.issue_expired(good), "", 502, "has expired"),
        (
            "not yet valid",
            known.issue_early(good),
            "",
            502,
            "not valid yet",
        ),
    ];
    for (name, pair, server_name, status, reason) in cases {
        let upstream = https(&pair, numbered);
        let shim = Shim::start(&upstream, &believing(directory.path(), &known, server_name));
        let mut client = shim.connect();
        for _ in 0..2 {
            client.send(get("/"));
            let answer = client.response();
            if status == 200 {
                assert_eq!(answer.text(), "0", "case: {name}: one handshake for both");
            } else {
                assert_refused(name, &answer, status, "M_UNKNOWN", DOWN.1);
                assert_eq!(
                    upstream.requests().len(),
                    0,
                    "case: {name}: nothing was sent"
                );
            }
        }
        until(&format!("{name}: the log says why"), || {
            shim.diagnostics().contains(reason)
        });
    }
}

#[test]
fn a_reload_keeps_connections_but_not_trust() {
    let upstream = Upstream::start(numbered);
    let shim = Shim::start(&upstream, "[timeouts]\nupstream_idle = \"60s\"\n");
    let mut client = shim.connect();
    assert_eq!(ask(&mut client), "0");
    reload(&shim, |text| text + "[limits]\nbody_size = \"1B\"\n");
    until("it is in use", || {
        client.send(with_body("PUT", "/", "large"));
        client.response().status() == 413
    });
    assert_eq!(
        ask(&mut client),
        "0",
        "what has changed is not the upstream"
    );
    let other = Upstream::start(numbered);
    reload(&shim, |text| {
        text.replace(&upstream.address, &other.address)
    });
    until("the other is used", || {
        ask(&mut client);
        !other.requests().is_empty()
    });
    assert_eq!((upstream.connections(), other.connections()), (1, 1));

    let directory = tempfile::tempdir().unwrap();
    let (old, new) = (Authority::new("one"), Authority::new("other"));
    let upstream = https(&old.issue("localhost"), numbered);
    let shim = Shim::start(&upstream, &believing(directory.path(), &old, ""));
    let mut client = shim.connect();
    assert_eq!(ask(&mut client), "0");
    // Not even an open connection is used with somebody who is believed no more.
    fs::write(directory.path().join("ca.pem"), &new.pem).unwrap();
    reload(&shim, |text| text);
    until("it is believed no more", || {
        client.send(get("/"));
        client.response().status() == 502
    });
}
