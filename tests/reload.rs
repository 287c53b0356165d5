//! SIGHUP: a good file is there for new requests, a bad one changes nothing.

#![allow(
    clippy::allow_attributes,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

#[path = "support/engine.rs"]
mod engine;
#[path = "reload/house.rs"]
mod house;
#[path = "reload/rows.rs"]
mod rows;
#[path = "reload/visitor.rs"]
mod visitor;

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use engine::{End, get, until, with_body};
use house::{GENERIC, House, before, file, lines, witness};
use visitor::Visitor;

#[test]
fn each_setting_of_a_request_changes() {
    let ((one, _), (two, _)) = (witness("one"), witness("two"));
    for row in rows::all(&before(&one), &before(&two)) {
        let name = row.name;
        let house = House::start(&row.files[0]);
        let ask = || (row.shows)(&house.ask(&row.request));
        assert_eq!(ask(), row.expected[0], "case: {name}");
        for (file, expected) in row.files.iter().zip(row.expected).rev() {
            let said = house.reload(file);
            assert!(said.contains("configuration reloaded"), "{name}: {said}");
            assert!(!said.contains("restart"), "{name}: {said}");
            until(name, || ask() == expected);
        }
    }
}

#[test]
fn a_request_in_flight_ends_as_it_began() {
    let ((one, gate), (two, _)) = (witness("one"), witness("two"));
    let house = House::start(&file(
        &before(&one),
        &format!("{GENERIC}deprecation = \"@1767225600\"\n"),
    ));
    let (mut held, mut uploading, mut idle) = (
        house.shim.connect(),
        house.shim.connect(),
        house.shim.connect(),
    );
    idle.send(get("/x"));
    assert_eq!(idle.response().text(), "one /x - - 0");
    held.send(get("/held?access_token=FAKE"));
    uploading.send("POST /up HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nfirst");
    until("both have arrived", || gate.heads() == 3);
    let strict =
        "[limits]\nbody_size = \"1B\"\n[timeouts]\nresponse = \"100ms\"\nbody = \"100ms\"\n";
    house.reload(&file(&before(&two), strict));
    until("the new file counts", || {
        house.ask(&get("/x")).text() == "two /x - - 0"
    });
    let patience = Duration::from_millis(500);
    assert!(held.is_silent_for(patience), "it has more time");
    uploading.send("-last");
    assert_eq!(uploading.response().text(), "one /up - - 10");
    gate.open();
    let answer = held.response();
    assert_eq!(answer.text(), "one /held Bearer FAKE - 0");
    assert_eq!(answer.value("deprecation"), Some("@1767225600"));
    for connection in [&mut held, &mut uploading, &mut idle] {
        connection.send(with_body("POST", "/x", "body"));
        let answer = connection.response();
        assert_eq!(answer.status(), 413, "the next on the same connection");
    }
}

#[test]
fn a_head_in_two_pieces_is_masked_as_it_is_served() {
    let (one, _) = witness("one");
    let with = |name: &str| {
        let section = format!("{GENERIC}parameters = [\"{name}\"]\n");
        file(&before(&one), &section)
    };
    let house = House::start(&with("first"));
    let mut client = house.shim.connect();
    client.send("GET /x?first=FAKE_CANARY HTTP/1.1\r\n");
    // The same worker has read the piece by the time it has answered others.
    for _ in 0..4 {
        house.ask(&get("/y"));
    }
    house.reload(&with("second"));
    until("the new file counts", || {
        house
            .ask(&get("/y?second=FAKE"))
            .text()
            .starts_with("one /y Bearer")
    });
    client.send("Host: h\r\n\r\n");
    let saw = client.response().text();
    assert_eq!(saw, "one /x Bearer FAKE_CANARY - 0");
    let _ = house.ask(&get("/last"));
    until("the log is written", || {
        let log = fs::read_to_string(house.path("access.log")).unwrap();
        log.contains("/last")
    });
    let log = fs::read_to_string(house.path("access.log")).unwrap();
    assert!(!log.contains("CANARY"), "{log}");
}

#[test]
fn every_answer_is_of_one_file() {
    let ((one, _), (two, _)) = (witness("one"), witness("two"));
    let of = |upstream, name: &str, time: &str| {
        let section = format!(
            "{GENERIC}parameters = [\"{name}\"]\ndeprecation = \"{time}\"\n\
             [[route]]\npath = \"/route\"\n{}\n",
            before(upstream)
        );
        file(&before(upstream), &section)
    };
    let files = [
        of(&one, "first", "@1000000001"),
        of(&two, "second", "@1000000002"),
    ];
    let house = House::start(&files[0]);
    let is_over = AtomicBool::new(false);
    let client = |target: &str| {
        let answers = [
            format!("one {target}?second=FAKE2 Bearer FAKE1 - 0 @1000000001"),
            format!("two {target}?first=FAKE1 Bearer FAKE2 - 0 @1000000002"),
        ];
        let (mut seen, mut connection) = ([0, 0], house.shim.connect());
        while !is_over.load(Ordering::SeqCst) {
            connection.send(get(&format!("{target}?first=FAKE1&second=FAKE2")));
            let answer = connection.response();
            let got = format!("{} {}", answer.text(), answer.value("deprecation").unwrap());
            let which = answers.iter().position(|known| *known == got);
            seen[which.unwrap_or_else(|| panic!("of no file: {got}"))] += 1;
        }
        seen
    };
    thread::scope(|scope| {
        let clients =
            ["/x", "/route", "/y", "/route/y"].map(|target| scope.spawn(|| client(target)));
        for round in 1..=60 {
            let said = house.reload(&files[round % 2]);
            assert!(said.contains("configuration reloaded"), "{said}");
        }
        is_over.store(true, Ordering::SeqCst);
        for client in clients {
            let seen = client.join().unwrap();
            assert!(seen.iter().all(|count| *count > 10), "{seen:?}");
        }
    });
}

#[test]
fn a_bad_file_changes_nothing_and_says_why() {
    let ((one, _), (two, _)) = (witness("one"), witness("two"));
    let good = file(&before(&one), "");
    let better = |sections: &str| file(&before(&two), sections);
    let (key, ca) = (
        better("fingerprint_key_file = \"no.key\"\n"),
        better("[upstream_tls]\nca_file = \"no.pem\"\n").replace("http:", "https:"),
    );
    let cases = [
        ("broken syntax", better("[limits\n"), "tokenshim.toml:6:"),
        (
            "an unknown key",
            better("[limits]\nno_such = 1\n"),
            "tokenshim.toml:7: `limits.no_such`",
        ),
        (
            "a bad value",
            better("[limits]\nhead_size = 1\n"),
            "tokenshim.toml:7: `limits.head_size`",
        ),
        ("no upstream", file("", ""), "`upstream`"),
        ("no key file", key, "no.key"),
        ("no authorities", ca, "no.pem"),
    ];
    let house = House::start(&good);
    let mut client = house.shim.connect();
    for (name, text, expected) in &cases {
        let said = house.reload(text);
        assert!(
            said.contains("configuration not reloaded"),
            "{name}: {said}"
        );
        assert!(said.contains(expected), "{name}: {said}");
        client.send(get("/x"));
        assert_eq!(client.response().text(), "one /x - - 0", "{name}");
    }
    fs::remove_file(house.path("tokenshim.toml")).unwrap();
    let said = house.hang_up();
    assert!(
        said.contains("not reloaded") && said.contains("tokenshim.toml"),
        "{said}"
    );
    assert_eq!(house.ask(&get("/x")).text(), "one /x - - 0");
    house.reload(&better(""));
    until("a good file still counts", || {
        house.ask(&get("/x")).text() == "two /x - - 0"
    });
}

#[test]
fn what_needs_a_restart_is_named() {
    let ((one, _), (two, _)) = (witness("one"), witness("two"));
    let start = file(&before(&one), "[log]\nlevel = \"info\"\n");
    let changed = file(&before(&two), "[log]\nlevel = \"info\"\n");
    let cases = [
        ("listen", "http2 = true", "http2 = false"),
        ("workers", "workers = 2", "workers = 3"),
        (
            "admin.listen",
            "[log]",
            "[admin]\nlisten = \"127.0.0.1:0\"\n[log]",
        ),
        ("access_log.format", "\"json\"", "\"combined\""),
        ("access_log.file", "\"access.log\"", "\"other.log\""),
        ("log", "\"info\"", "\"debug\""),
    ];
    let house = House::start(&start);
    for (name, old, new) in cases {
        let said = house.reload(&changed.replacen(old, new, 1));
        let named = format!("settings=\"{name}\"");
        assert!(
            said.contains("restart") && said.contains(&named),
            "{name}: {said}"
        );
        until("the rest counts", || {
            house.ask(&get("/x")).text() == "two /x - - 0"
        });
        let said = house.reload(&start);
        assert!(!said.contains("restart"), "{name}: {said}");
    }
    assert!(!house.path("other.log").exists());
}

#[test]
fn fingerprints_and_logs_over_a_reload() {
    let (one, _) = witness("one");
    let text = file(&before(&one), GENERIC);
    let house = House::start(&text);
    let ask = || house.ask(&get("/x?access_token=FAKE_CANARY"));
    ask();
    let (log, old) = (house.path("access.log"), house.path("access.log.1"));
    let first = lines(&log, 1)[0]["token"].clone();
    assert!(first.is_string(), "{first}");
    fs::rename(&log, &old).unwrap();
    house.reload(&text);
    until("the file is there again", || log.exists());
    ask();
    assert_eq!(lines(&log, 1)[0]["token"], first, "the key has survived");
    assert_eq!(lines(&old, 1).len(), 1);
    // A bad file does not keep the log in the old place.
    fs::remove_file(&log).unwrap();
    house.reload("nonsense");
    until("the file is there again", || log.exists());
    ask();
    assert_eq!(lines(&log, 1)[0]["token"], first);
    let keyed = file(&before(&one), GENERIC).replace(
        "format = \"json\"",
        "format = \"json\"\nfingerprint_key_file = \"f.key\"",
    );
    fs::write(house.path("f.key"), "k".repeat(32)).unwrap();
    house.reload(&keyed);
    let last = || {
        let before = lines(&log, 1).len();
        ask();
        lines(&log, before + 1)[before]["token"].clone()
    };
    until("the key of the file counts", || last() != first);
    let filed = last();
    house.reload(&text);
    until("the key of the file is gone", || last() != filed);
    let made = last();
    house.reload(&text);
    // Settings reach the workers a moment after the word of them.
    for _ in 0..2 {
        assert_eq!(last(), made, "a key of our own stays");
    }
}

/// A house with TLS, its files `old` and `new`, and how to name one of them.
fn house_with_tls(upstream: &engine::Upstream) -> (House, visitor::Made, impl Fn(&str) -> String) {
    let directory = tempfile::tempdir().unwrap();
    let made = visitor::certificates(directory.path(), &["old", "new"]);
    let to_upstream = before(upstream);
    let named = move |name: &str| {
        let sections = format!(
            "[[certificate]]\nchain = \"{name}.pem\"\nkey = \"{name}.key\"\n\
             [[listen]]\naddress = \"127.0.0.1:0\"\ntls = true\n"
        );
        file(&to_upstream, &sections)
    };
    let house = House::start_in(directory, &named("old"));
    (house, made, named)
}

#[test]
fn certificates_are_renewed() {
    let (one, _) = witness("one");
    let (house, made, _) = house_with_tls(&one);
    let visit = || Visitor::connect(&house.shim.addresses[0], &made);
    let mut early = visit();
    assert_eq!(early.sees(), "old");
    for suffix in ["pem", "key"] {
        let from = house.path(&format!("new.{suffix}"));
        fs::copy(from, house.path(&format!("old.{suffix}"))).unwrap();
    }
    house.hang_up();
    until("the new one counts", || visit().sees() == "new");
    fs::write(house.path("old.pem"), "nonsense").unwrap();
    let said = house.hang_up();
    assert!(
        said.contains("not reloaded") && said.contains("old.pem"),
        "{said}"
    );
    assert_eq!(visit().sees(), "new");
    assert_eq!(early.ask("/x"), "one /x - - 0", "over the open connection");
}

#[test]
fn other_certificates_are_taken() {
    let (one, _) = witness("one");
    let (house, made, named) = house_with_tls(&one);
    let visit = || Visitor::connect(&house.shim.addresses[0], &made);
    let mut early = visit();
    let said = house.reload(&named("gone"));
    assert!(
        said.contains("not reloaded") && said.contains("gone.pem"),
        "{said}"
    );
    assert_eq!(visit().sees(), "old");
    house.reload(&named("new"));
    until("the new one counts", || visit().sees() == "new");
    assert_eq!(early.ask("/x"), "one /x - - 0", "over the open connection");
}

#[test]
fn a_connection_without_a_request_is_not_touched() {
    let (one, _) = witness("one");
    let text = file(&before(&one), "");
    let house = House::start(&text);
    let mut fresh: Vec<End> = (0..8).map(|_| house.shim.connect()).collect();
    for _ in 0..3 {
        house.reload(&text);
    }
    for connection in &mut fresh {
        connection.send(get("/x"));
        assert_eq!(connection.response().status(), 200);
    }
}
