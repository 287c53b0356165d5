//! How connections come in: by which socket, in which protocol, and who is
//! believed about whom.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics is a test that fails"
)]

#[path = "support/edge.rs"]
mod edge;
#[path = "support/engine.rs"]
mod engine;
#[path = "listeners/health.rs"]
mod health;
#[path = "support/inherit.rs"]
mod inherit;

use std::{
    fs,
    net::{TcpListener, TcpStream},
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        net::UnixListener,
    },
    path::Path,
    process::Command,
};

use edge::{Authority, header_v1, header_v2, tls_client};
use engine::{End, PATIENCE, Shim, Upstream, get, ok};
use rustix::process::Signal;

const BINARY: &str = env!("CARGO_BIN_EXE_tokenshim");

/// A `[[listen]]` with these keys.
fn listen(address: &str, keys: &str) -> String {
    format!("[[listen]]\naddress = \"{address}\"\n{keys}\n")
}

fn on_loopback(keys: &str) -> String {
    listen("127.0.0.1:0", keys)
}

fn in_directory(directory: &Path, name: &str) -> String {
    format!("unix:{}", directory.join(name).display())
}

/// An upstream that repeats what it was told of the client.
fn gossip() -> Upstream {
    Upstream::answer(|request| {
        let names = ["x-forwarded-for", "x-forwarded-proto", "forwarded"];
        let told = names.map(|name| request.value(name).unwrap_or("-"));
        ok(&told.join(" | "))
    })
}

fn ask(client: &mut End) -> String {
    client.send(get("/"));
    client.response().text()
}

#[test]
fn a_unix_socket_has_its_mode_and_owner() {
    let directory = tempfile::tempdir().unwrap();
    let upstream = Upstream::echo();
    let user = rustix::process::geteuid().as_raw();
    let group = rustix::process::getegid().as_raw();
    // Only root can give a socket away.
    let (other, others) = if user == 0 {
        (65534, 65534)
    } else {
        (user, group)
    };
    let both = format!("mode = \"0660\"\nowner = \"{other}:{others}\"");
    let to_group = format!("mode = \"0660\"\nowner = \":{others}\"");
    let to_user = format!("mode = \"0660\"\nowner = \"{other}\"");
    let cases = [
        ("a mode", "mode = \"0640\"", (0o640, user, group)),
        ("another mode", "mode = \"0600\"", (0o600, user, group)),
        ("user and group", &both, (0o660, other, others)),
        ("the group", &to_group, (0o660, user, others)),
        ("the user", &to_user, (0o660, other, group)),
    ];
    for (name, keys, expected) in cases {
        let address = in_directory(directory.path(), "shim.sock");
        let mut shim = Shim::start(&upstream, &listen(&address, keys));
        let path = Path::new(address.strip_prefix("unix:").unwrap());
        let about = fs::metadata(path).unwrap();
        let found = (about.permissions().mode() & 0o777, about.uid(), about.gid());
        assert_eq!(found, expected, "case: {name}");
        assert_eq!(ask(&mut shim.connect()), "GET / 0", "case: {name}");
        shim.signal(Signal::TERM);
        assert_eq!(shim.wait().code(), Some(0));
        assert!(!path.exists(), "case: {name}: it is cleared away");
    }
}

/// Asks `GET /` of `h` by HTTP/2; the status as HPACK's static table numbers it,
/// or the status of what came instead of HTTP/2.
fn ask_http2(client: &mut End) -> Result<u8, u16> {
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    // Who speaks HTTP/1.1 may have closed by now.
    let _ = client.try_send([0, 0, 0, SETTINGS, 0, 0, 0, 0, 0]);
    let _ = client.try_send([0, 0, 6, HEADERS, 5, 0, 0, 0, 1]);
    let _ = client.try_send([0x82, 0x86, 0x84, 0x41, 1, b'h']);
    let mut frame = client.exactly(9);
    if frame == *b"HTTP/1.1 " {
        client.input.splice(..0, frame);
        return Err(client.response().status());
    }
    assert_eq!(frame[3], SETTINGS, "the server's preface");
    while frame[3] != HEADERS {
        let length = usize::from(u16::from_be_bytes([frame[1], frame[2]]));
        client.exactly(length);
        frame = client.exactly(9);
        assert_eq!(frame.len(), 9, "no answer");
    }
    Ok(client.exactly(1)[0] & 0x7f)
}

#[test]
fn http2_is_spoken_where_it_was_agreed_on() {
    let (directory, authority) = (tempfile::tempdir().unwrap(), Authority::new("edge"));
    let upstream = Upstream::echo();
    let config = [
        authority.issue("hs.example").section(directory.path()),
        on_loopback(""),
        on_loopback("http2 = true"),
        on_loopback("tls = true"),
        on_loopback("tls = true\nhttp2 = false"),
        on_loopback("http2 = true\nproxy_protocol = true"),
    ];
    let shim = Shim::start(&upstream, &config.concat());
    let plain = |listener: usize| End::connect(&shim.addresses[listener]);
    let secure = |listener: usize, alpn: &[&str]| {
        let stream = TcpStream::connect(&shim.addresses[listener]).unwrap();
        tls_client(stream, &authority, "hs.example", alpn)
    };
    let mut behind = plain(4);
    behind.send(header_v1("192.0.2.1"));
    let (both, spoken) = (["h2", "http/1.1"], Ok(8));
    let cases = [
        ("plain, as it was", plain(0), Err(505)),
        ("plain, by prior knowledge", plain(1), spoken),
        ("TLS, agreed", secure(2, &both), spoken),
        ("TLS, nothing agreed", secure(2, &[]), Err(505)),
        ("TLS, agreed on the other", secure(2, &both[1..]), Err(505)),
        ("TLS, switched off", secure(3, &both), Err(505)),
        ("behind a PROXY header", behind, spoken),
    ];
    for (name, mut client, expected) in cases {
        assert_eq!(ask_http2(&mut client), expected, "case: {name}");
    }
    let others = [
        ("plain, as it was", plain(0)),
        ("plain, either", plain(1)),
        ("TLS, nothing agreed", secure(2, &[])),
        ("TLS, agreed on the other", secure(2, &both[1..])),
        ("TLS, switched off", secure(3, &both)),
    ];
    for (name, mut client) in others {
        assert_eq!(ask(&mut client), "GET / 0", "case: {name}");
        assert_eq!(ask_http2(&mut client), Err(505), "case: {name}: it stays");
    }
}

#[test]
fn every_kind_of_listener_says_what_it_knows() {
    let (directory, authority) = (tempfile::tempdir().unwrap(), Authority::new("edge"));
    let upstream = gossip();
    let claims = "X-Forwarded-For: 192.0.2.9\r\nX-Forwarded-Proto: gopher\r\nForwarded: for=x\r\n";
    let believed = "192.0.2.9 | gopher | for=x";
    let plain = r#"127.0.0.1 | http | for=127.0.0.1;proto=http;host="h""#;
    let secure = r#"127.0.0.1 | https | for=127.0.0.1;proto=https;host="h""#;
    let unix = r#"- | http | for=unknown;proto=http;host="h""#;
    let cases = [
        ("a stranger", "", [plain, secure, unix]),
        ("a proxy elsewhere", "\"192.0.2.1\"", [plain, secure, unix]),
        (
            "a proxy by TCP",
            "\"127.0.0.0/8\"",
            [believed, believed, unix],
        ),
        (
            "a proxy on this machine",
            "\"unix\"",
            [plain, secure, believed],
        ),
    ];
    for (name, trusted, expected) in cases {
        let address = in_directory(directory.path(), "shim.sock");
        let config = [
            format!("trusted_proxies = [{trusted}]\n"),
            authority.issue("hs.example").section(directory.path()),
            on_loopback(""),
            on_loopback("tls = true"),
            listen(&address, "mode = \"0600\""),
        ];
        let shim = Shim::start(&upstream, &config.concat());
        let stream = TcpStream::connect(&shim.addresses[1]).unwrap();
        let clients = [
            shim.connect(),
            tls_client(stream, &authority, "hs.example", &[]),
            End::connect(&address),
        ];
        for (mut client, expected) in clients.into_iter().zip(expected) {
            client.send(format!("GET / HTTP/1.1\r\nHost: h\r\n{claims}\r\n"));
            assert_eq!(client.response().text(), expected, "case: {name}");
        }
    }
}

#[test]
fn a_header_says_who_it_is() {
    let (directory, authority) = (tempfile::tempdir().unwrap(), Authority::new("edge"));
    let upstream = gossip();
    let config = [
        authority.issue("hs.example").section(directory.path()),
        on_loopback("proxy_protocol = true"),
        on_loopback("proxy_protocol = true\ntls = true"),
    ];
    let shim = Shim::start(&upstream, &config.concat());
    let four = [192, 0, 2, 2, 127, 0, 0, 1, 1, 2, 1, 187];
    let six: Vec<u8> = [
        &[0x20, 1, 0xd, 0xb8][..],
        &[0; 11],
        &[7],
        &[0; 15],
        &[1, 1, 2, 1, 187],
    ]
    .concat();
    let longer = [&four[..], &[4, 0, 1, 0]].concat();
    let sender = "127.0.0.1";
    let cases = [
        ("version 1", header_v1("192.0.2.1").into(), "192.0.2.1"),
        (
            "version 1, IPv6",
            header_v1("2001:db8::1").into(),
            "2001:db8::1",
        ),
        ("version 2", header_v2(1, 0x11, &four), "192.0.2.2"),
        ("version 2, IPv6", header_v2(1, 0x21, &six), "2001:db8::7"),
        (
            "version 2, more behind",
            header_v2(1, 0x11, &longer),
            "192.0.2.2",
        ),
        ("UNKNOWN", b"PROXY UNKNOWN\r\n".to_vec(), sender),
        ("LOCAL", header_v2(0, 0x11, &four), sender),
        ("no internet address", header_v2(1, 0x31, &[0; 216]), sender),
    ];
    let mut senders = Vec::new();
    for (name, header, client) in cases {
        let together = [&header, get("/").as_bytes()].concat();
        for round in ["at once", "byte by byte", "by TLS"] {
            let mut end = End::connect(&shim.addresses[0]);
            match round {
                "at once" => end.send(&together),
                "byte by byte" => end.trickle(&together),
                _ => {
                    let mut stream = TcpStream::connect(&shim.addresses[1]).unwrap();
                    std::io::Write::write_all(&mut stream, &header).unwrap();
                    end = tls_client(stream, &authority, "hs.example", &[]);
                    end.send(get("/"));
                }
            }
            let scheme = if round == "by TLS" { "https" } else { "http" };
            let quoted = if client.contains(':') {
                format!("\"[{client}]\"")
            } else {
                client.to_owned()
            };
            // The sender is trusted: what it says of itself is its own affair.
            let expected = if client == sender {
                "- | - | -".to_owned()
            } else {
                format!("{client} | {scheme} | for={quoted};proto={scheme};host=\"h\"")
            };
            assert_eq!(end.response().text(), expected, "case: {name}, {round}");
            senders.push((name, client));
        }
    }
    let lines = shim.log(senders.len());
    for (line, (name, client)) in lines.iter().zip(senders) {
        assert_eq!(line["remote"], client, "case: {name}");
    }
}

#[test]
fn without_a_header_that_counts_nothing_is_answered() {
    let upstream = Upstream::echo();
    let wanting = on_loopback("proxy_protocol = true");
    let trusting = Shim::start(&upstream, &wanting);
    let wary = Shim::start(
        &upstream,
        &format!("trusted_proxies = [\"192.0.2.1\"]\n{wanting}"),
    );
    let request = get("/");
    let good = header_v1("192.0.2.7");
    let hello = b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03...........".to_vec();
    let malformed = header_v1("192.0.2.700") + &request;
    let unknown = good.replace("PROXY", "PROXIES") + &request;
    let cases = [
        ("no header", &trusting, request.clone().into()),
        ("a malformed address", &trusting, malformed.into()),
        ("an unknown word", &trusting, unknown.into()),
        (
            "an unknown command",
            &trusting,
            header_v2(2, 0x11, &[0; 12]),
        ),
        (
            "too short for its addresses",
            &trusting,
            header_v2(1, 0x11, &[0; 11]),
        ),
        ("a TLS handshake", &trusting, hello),
        ("from a stranger", &wary, (good + &request).into()),
        ("nothing, from a stranger", &wary, Vec::new()),
    ];
    for (name, shim, bytes) in cases {
        let mut client = shim.connect();
        let _ = client.try_send(bytes);
        assert!(client.is_closed_within(PATIENCE), "case: {name}");
    }
    assert_eq!(upstream.connections(), 0);
    let mut fine = trusting.connect();
    fine.send(header_v1("192.0.2.1"));
    assert_eq!(ask(&mut fine), "GET / 0");
    assert_eq!(trusting.log(1).len(), 1, "nobody else got so far as to ask");
}

#[test]
fn a_socket_is_inherited_by_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.sock");
    let upstream = Upstream::echo();
    let bind = || TcpListener::bind("127.0.0.1:0").unwrap();
    let (tcp, unix) = (bind(), UnixListener::bind(&path).unwrap());
    let address = tcp.local_addr().unwrap().to_string();
    // Who came before the start waits.
    let mut early = End::connect(&address);
    early.send(get("/early"));
    let sockets = vec![
        ("spare", bind().into()),
        ("web", tcp.into()),
        ("web", unix.into()),
    ];
    let config = listen("fd:web", "") + &on_loopback("");
    let command = inherit::command(BINARY, sockets);
    let shim = Shim::start_by(command, &upstream.address, &config);
    let unix = in_directory(directory.path(), "web.sock");
    assert_eq!(shim.addresses[..2], [address, unix]);
    assert_eq!(early.response().text(), "GET /early 0");
    for address in &shim.addresses {
        assert_eq!(ask(&mut End::connect(address)), "GET / 0", "{address}");
    }
    drop(shim);
    assert!(path.exists(), "the file belongs to whoever made it");
}

#[test]
fn a_name_that_was_not_handed_over_ends_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tokenshim.toml");
    let config = format!("upstream = \"unix:/none\"\n{}", listen("fd:web", ""));
    fs::write(&file, config).unwrap();
    let spare = TcpListener::bind("127.0.0.1:0").unwrap();
    let with_another = inherit::command(BINARY, vec![("spare", spare.into())]);
    let cases = [
        ("another name", with_another, "there are `spare`"),
        ("no sockets", Command::new(BINARY), "none was handed over"),
    ];
    for (name, mut command, reason) in cases {
        command.args(["serve", "--config"]).arg(&file);
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "case: {name}: {said}");
        let expected = format!("tokenshim: no inherited socket is named `web`: {reason}");
        assert!(said.contains(&expected), "case: {name}: {said}");
    }
}
