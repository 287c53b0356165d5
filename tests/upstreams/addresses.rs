//! Upstreams whose name has several addresses, one, or none.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use super::numbered;
use crate::engine::{End, Shim, Upstream, full_queue, get};

/// A library that lets `many.test` have the addresses in `NAMES_OF_MANY`: what the
/// machine's own names have differs from machine to machine.
fn many_addresses(directory: &Path) -> std::path::PathBuf {
    let (source, library) = (directory.join("many.c"), directory.join("many.so"));
    fs::write(
        &source,
        r#"
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <netdb.h>
        #include <stdlib.h>
        #include <string.h>
        #include <unistd.h>
        typedef int lookup(const char *, const char *, const struct addrinfo *, struct addrinfo **);
        int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                        struct addrinfo **result) {
            lookup *real = (lookup *)dlsym(RTLD_NEXT, "getaddrinfo");
            if (!node || strcmp(node, "many.test"))
                return real(node, service, hints, result);
            // The resolver itself is left alone.
            struct addrinfo literal = *hints;
            literal.ai_flags |= AI_NUMERICHOST;
            *result = NULL;
            if (getenv("SECONDS_FOR_MANY")) sleep(atoi(getenv("SECONDS_FOR_MANY")));
            char *names = strdup(getenv("NAMES_OF_MANY"));
            // Several threads may ask at once.
            char *rest = NULL;
            for (char *name = strtok_r(names, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
                int failed = real(name, service, &literal, result);
                if (failed) return failed;
                while (*result) result = &(*result)->ai_next;
            }
            free(names);
            return 0;
        }"#,
    )
    .unwrap();
    let mut compiler = Command::new("cc");
    compiler
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source)
        .arg("-ldl");
    assert!(compiler.status().unwrap().success());
    library
}

/// A shim whose upstream is `many.test`, with these addresses.
fn shim_of_many(library: &Path, addresses: &str, port: u16, config: &str) -> Shim {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tokenshim"));
    command
        .env("LD_PRELOAD", library)
        .env("NAMES_OF_MANY", addresses);
    Shim::start_by(command, &format!("http://many.test:{port}"), config)
}

#[test]
fn the_addresses_of_a_name_are_tried_in_turn() {
    let directory = tempfile::tempdir().unwrap();
    let library = many_addresses(directory.path());
    let listener = TcpListener::bind("127.0.0.3:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let upstream = Upstream::start_on(listener, numbered);
    let cases = [
        ("the only one", "127.0.0.3", 200),
        (
            "two that refuse before",
            "127.0.0.4,127.0.0.5,127.0.0.3",
            200,
        ),
        ("of the other family", "::1,127.0.0.3", 200),
        ("no address", "", 502),
        ("an unknown name", "unknown", 502),
        ("all refuse", "127.0.0.4,::1,127.0.0.5", 502),
    ];
    for (name, addresses, status) in cases {
        let shim = shim_of_many(&library, addresses, port, "");
        let mut client = shim.connect();
        for _ in 0..2 {
            client.send(get("/"));
            assert_eq!(client.response().status(), status, "case: {name}");
        }
    }
    assert_eq!(upstream.requests().len(), 6);
}

#[test]
fn the_first_requests_wait_for_the_resolver() {
    let directory = tempfile::tempdir().unwrap();
    let library = many_addresses(directory.path());
    let upstream = Upstream::start(numbered);
    let mut command = Command::new(env!("CARGO_BIN_EXE_tokenshim"));
    command
        .env("LD_PRELOAD", library)
        .env("NAMES_OF_MANY", "127.0.0.1");
    command.env("SECONDS_FOR_MANY", "1");
    let url = upstream.address.replace("127.0.0.1", "many.test");
    let shim = Shim::start_by(command, &url, "");
    let mut clients: Vec<End> = (0..10).map(|_| shim.connect()).collect();
    for client in &mut clients {
        client.send(get("/"));
    }
    for client in &mut clients {
        assert_eq!(client.response().status(), 200);
    }
}

#[test]
fn an_address_that_is_silent_is_not_waited_for_again() {
    let directory = tempfile::tempdir().unwrap();
    let library = many_addresses(directory.path());
    let (full, _queued) = full_queue();
    let port = full.local_addr().unwrap().port();
    let close_after_one = |mut end: End| {
        if end.request().is_some() {
            let _ =
                end.try_send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        }
    };
    let listener = TcpListener::bind(("127.0.0.2", port)).unwrap();
    let upstream = Upstream::start_on(listener, close_after_one);
    let config = "[timeouts]\nconnect = \"2s\"\n";
    let shim = shim_of_many(&library, "127.0.0.1,127.0.0.2", port, config);
    let mut client = shim.connect();
    let mut took = || {
        let began = Instant::now();
        client.send(get("/"));
        assert_eq!(client.response().status(), 200);
        began.elapsed()
    };
    let half = Duration::from_secs(1);
    let first = took();
    assert!(
        (half..half * 2).contains(&first),
        "half of the time: {first:?}"
    );
    for _ in 0..5 {
        let next = took();
        assert!(next < half, "it comes last now: {next:?}");
    }
    assert_eq!(upstream.connections(), 6);
}
