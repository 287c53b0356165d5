//! What a connection costs while it waits, and what many slow ones cost.

#[path = "support/engine.rs"]
mod engine;

use std::{
    net::TcpListener,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use engine::{End, Shim, Upstream, get, ok, raise_descriptor_limit, until};

#[test]
fn slow_readers_do_not_fill_the_memory() {
    const READERS: usize = 500;
    const BODY: usize = 3_000_000;
    raise_descriptor_limit();
    let body = Arc::new(ok(&"x".repeat(BODY)));
    let sent = Arc::new(AtomicUsize::new(0));
    let sending = Arc::clone(&sent);
    // Unix sockets: the kernel's own buffers would hold a whole answer of each TCP connection.
    let sockets = tempfile::tempdir().unwrap();
    let upstream = Upstream::start_unix(&sockets.path().join("upstream"), move |mut end| {
        end.limit(Duration::from_secs(60));
        while end.request().is_some() {
            if end.try_send(&*body).is_err() {
                return;
            }
            sending.fetch_add(1, Ordering::SeqCst);
        }
    });
    let listen = format!(
        "[[listen]]\naddress = \"unix:{}/shim\"\n",
        sockets.path().display()
    );
    let shim = Shim::start(&upstream, &format!("workers = 2\n{listen}"));
    let mut clients: Vec<End> = (0..READERS).map(|_| shim.connect()).collect();
    for client in &mut clients {
        client.send(get("/big"));
    }
    until("every answer began", || {
        upstream.requests().len() == READERS
    });
    // Until nothing moves: everyone along the way holds what it will hold.
    let mut ticks = 0;
    until("all are stuck", || {
        thread::sleep(Duration::from_millis(150));
        ticks == std::mem::replace(&mut ticks, shim.cpu_ticks())
    });
    let stuck = READERS - sent.load(Ordering::SeqCst);
    let peak = shim.kib("VmHWM:");
    println!("peak with {READERS} slow readers of {BODY} bytes, {stuck} stuck: {peak} KiB");
    assert!(
        stuck > READERS / 2,
        "the kernel's own buffers hold too much: {stuck}"
    );
    assert!(peak < 70 * 1024, "{peak} KiB");
    let text = clients[0].response().text();
    assert_eq!(text.len(), BODY, "and nothing is lost");
}

#[test]
fn held_long_polls_are_cheap_and_all_answered() {
    const POLLS: usize = 2000;
    raise_descriptor_limit();
    // Without threads: it reads each request, keeps the socket and answers at the end.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let held = Arc::new(Mutex::new(Vec::new()));
    let holding = Arc::clone(&held);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut end = End::from_tcp(stream.unwrap());
            assert!(end.request().is_some());
            holding.lock().unwrap().push(end);
        }
    });
    let config = "workers = 2\n[timeouts]\nupstream_idle = \"60s\"\n";
    let shim = Shim::start_with(&address, config, None);
    let mut warm = shim.connect();
    warm.send(get("/_tokenshim/health"));
    assert_eq!(warm.response().status(), 200);
    let before = shim.kib("VmRSS:");
    let mut clients = Vec::new();
    for batch in 1..=POLLS / 100 {
        for _ in 0..100 {
            let mut client = shim.connect();
            client.send(get(
                "/_matrix/client/v3/sync?timeout=30000&access_token=FAKE_CANARY",
            ));
            clients.push(client);
        }
        until("they are held", || {
            held.lock().unwrap().len() == batch * 100
        });
    }
    let each = (shim.kib("VmRSS:") - before) * 1024 / POLLS as u64;
    println!("a held long poll costs {each} bytes");
    assert!(each < 12 * 1024, "{each} bytes");
    for end in &mut *held.lock().unwrap() {
        end.send(ok("{}"));
    }
    for client in &mut clients {
        assert_eq!(client.response().text(), "{}");
    }
}
