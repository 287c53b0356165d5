//! `tokenshim healthcheck` with listeners that not everybody can speak to.

use std::{
    net::TcpListener,
    process::{Command, Output},
};

use rustix::process::Signal;

use super::{BINARY, ask, in_directory, listen, on_loopback};
use crate::{
    edge::{Admin, Authority},
    engine::{Shim, Upstream},
    inherit,
};

fn healthcheck(shim: &Shim) -> Output {
    let file = shim.directory.path().join("tokenshim.toml");
    let mut command = Command::new(BINARY);
    command.args(["healthcheck", "--config"]).arg(file);
    command.output().unwrap()
}

#[test]
fn a_health_check_asks_whom_it_can() {
    let (directory, authority) = (tempfile::tempdir().unwrap(), Authority::new("edge"));
    let upstream = Upstream::echo();
    let certificate = authority.issue("hs.example").section(directory.path());
    let plain = &listen(&in_directory(directory.path(), "shim.sock"), "http2 = true");
    let tls = &on_loopback("tls = true");
    let proxy = &on_loopback("proxy_protocol = true");
    let inherited = &listen("fd:web", "");
    let asked = &on_loopback("role = \"auth\"");
    let administrator = Admin::new();
    let admin = &administrator.section();
    let full = "[limits]\nconnections = 1\n";
    let none = "";
    let (unasked, refused) = ("set `admin.listen`", "does not answer with 200");
    let cases = [
        ("a plain listener", [none, plain, none], 0, ""),
        ("TLS before it", [none, tls, plain], 0, ""),
        ("PROXY before it", [none, proxy, plain], 0, ""),
        (
            "an inherited one before it",
            [none, inherited, plain],
            0,
            "",
        ),
        ("only TLS", [none, tls, none], 78, unasked),
        ("only one for proxies", [none, asked, none], 78, unasked),
        ("one for proxies before it", [none, asked, plain], 0, ""),
        (
            "only PROXY and inherited",
            [none, proxy, inherited],
            78,
            unasked,
        ),
        ("an administrator's", [admin, tls, none], 0, ""),
        ("no place for one more", [full, plain, none], 1, refused),
        (
            "but for an administrator",
            [&(admin.clone() + full), plain, none],
            0,
            "",
        ),
    ];
    for (name, [before, one, other], code, reason) in cases {
        let web = TcpListener::bind("127.0.0.1:0").unwrap();
        let command = inherit::command(BINARY, vec![("web", web.into())]);
        let config = [before, &certificate, one, other].concat();
        let mut shim = Shim::start_by(command, &upstream.address, &config);
        // The only one, where there is place for one.
        let guest = before.contains(full).then(|| {
            let mut guest = shim.connect();
            assert_eq!(ask(&mut guest), "GET / 0");
            guest
        });
        let output = healthcheck(&shim);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "case: {name}: {said}");
        assert!(said.contains(reason), "case: {name}: {said}");
        drop(guest);
        shim.signal(Signal::TERM);
        assert_eq!(shim.wait().code(), Some(0));
        // Nobody is there any more.
        let code = if code == 78 { 78 } else { 1 };
        assert_eq!(healthcheck(&shim).status.code(), Some(code), "case: {name}");
    }
}
