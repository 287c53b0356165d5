//! Which upstream gets a request, and by which rules: the most specific route
//! decides both, by the bytes of host and path and by nothing else.

#![expect(
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

#[path = "support/edge.rs"]
mod edge;
#[path = "support/engine.rs"]
mod engine;
#[path = "routes/rules.rs"]
mod rules;

use std::{path::Path, process::Command};

use edge::{Admin, assert_refused, reload};
use engine::{End, Message, Shim, Upstream, ok, until, with_body};

/// An upstream that tells its name, what it was asked, and by whom.
fn named(directory: &Path, name: &'static str) -> Upstream {
    let path = directory.join(name);
    Upstream::start_unix(&path, move |mut end| {
        while let Some(request) = end.request() {
            let credential = request.value("authorization").unwrap_or("nobody");
            let body = format!(
                "{name}: {} {} by {credential}",
                request.value("host").unwrap_or("-"),
                request.target()
            );
            if end.try_send(ok(&body)).is_err() {
                return;
            }
        }
    })
}

/// Routes, written as `NAME: keys`, and the upstreams that they name.
struct Site {
    _directory: tempfile::TempDir,
    _upstreams: Vec<Upstream>,
    shim: Shim,
}

impl Site {
    /// `head` comes before the routes; the route without keys is the default.
    fn start(head: &str, routes: &[(&'static str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = head.to_owned();
        let mut upstreams = Vec::new();
        for (name, keys) in routes {
            let upstream = named(directory.path(), name);
            let section = format!("[[route]]\nupstream = \"{}\"\n{keys}\n", upstream.address);
            config.push_str(&section);
            upstreams.push(upstream);
        }
        let command = Command::new(env!("CARGO_BIN_EXE_tokenshim"));
        Self {
            _directory: directory,
            _upstreams: upstreams,
            shim: Shim::start_by(command, "", &config),
        }
    }

    fn connect(&self) -> End {
        self.shim.connect()
    }
}

/// The columns of a row: what it proves, then the rest.
fn columns<const COUNT: usize>(row: &str) -> [&str; COUNT] {
    let columns: Vec<&str> = row.split('|').map(str::trim).collect();
    columns.try_into().unwrap()
}

fn ask(client: &mut End, line: &str, host: &str) -> Message {
    client.send(format!("{line} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    client.response()
}

const ROUTES: [(&str, &str); 10] = [
    ("default", ""),
    ("exact", "host = \"hs.example\""),
    (
        "exact-admin",
        "host = \"hs.example\"\npath = \"/_synapse/admin\"",
    ),
    ("below", "host = \"*.hs.example\""),
    ("far-below", "host = \"*.deep.hs.example\""),
    ("one-below", "host = \"named.hs.example\""),
    ("six", "host = \"[2001:db8:0::7]\""),
    ("media", "path = \"/media\""),
    ("media-v3", "path = \"/media/v3/\""),
    ("underscore", "path = \"/_matrix\""),
];

#[test]
fn host_and_path_decide() {
    let site = Site::start("", &ROUTES);
    let mut client = site.connect();
    let cases = [
        "nothing matches                          | other.example      | /                  | default",
        "the host itself                          | hs.example         | /x                 | exact",
        "case                                     | HS.Example         | /x                 | exact",
        "a port                                   | hs.example:8448    | /x                 | exact",
        "the root's dot                           | hs.example.        | /x                 | exact",
        "dot and port                             | Hs.example.:443    | /x                 | exact",
        "a host that ends the same                | xhs.example        | /x                 | default",
        "a host that begins the same              | hs.example.org     | /x                 | default",
        "one label more                           | a.hs.example       | /x                 | below",
        "several labels more                      | c.b.A.hs.example:1 | /x                 | below",
        "no label more                            | .hs.example        | /x                 | default",
        "the longest parent                       | a.deep.hs.example  | /x                 | far-below",
        "the longest parent itself                | deep.hs.example    | /x                 | below",
        "exact before wildcard                    | named.hs.example   | /x                 | one-below",
        "an IPv6 address                          | [2001:db8::7]      | /x                 | six",
        "an IPv6 address with a port              | [2001:DB8::7]:8008 | /x                 | six",
        "another IPv6 address                     | [2001:db8::8]      | /x                 | default",
        "host with path                           | hs.example         | /_synapse/admin/v1 | exact-admin",
        "host before path                         | hs.example         | /media/v3          | exact",
        "wildcard before path                     | a.hs.example       | /media/v3          | below",
        "the path itself                          | h                  | /media             | media",
        "a slash behind                           | h                  | /media/            | media",
        "below it                                 | h                  | /media/v1/x        | media",
        "a query behind                           | h                  | /media?a=/media/v3 | media",
        "the longest path                         | h                  | /media/v3/x        | media-v3",
        "its slash was for people                 | h                  | /media/v3          | media-v3",
        "no segment's end                         | h                  | /media/v30         | media",
        "no segment's end at the top              | h                  | /mediax            | default",
        "a path's case                            | h                  | /Media             | default",
        "not at the begin                         | h                  | /x/media           | default",
        "an encoded letter                        | h                  | /%6dedia           | default",
        "an encoded underscore                    | h                  | /%5fmatrix/x       | default",
        "an encoded slash                         | h                  | /media%2fx         | default",
        "two slashes before                       | h                  | //media            | default",
        "two slashes within                       | h                  | /media//v3         | media",
        "a way around                             | h                  | /x/../media        | default",
        "a step in place                          | h                  | /./media           | default",
        "a way out is nobody's to judge           | h                  | /media/../v3       | media",
        "the underscore as it is                 | h                  | /_matrix/x         | underscore",
    ];
    for row in cases {
        let [name, host, target, expected] = columns(row);
        let answer = ask(&mut client, &format!("GET {target}"), host);
        let expected = format!("{expected}: {host} {target} by nobody");
        assert_eq!(answer.text(), expected, "case: {name}");
    }
}

#[test]
fn the_target_may_name_the_host() {
    let site = Site::start("", &ROUTES);
    let mut client = site.connect();
    let cases = [
        (
            "before the field",
            "GET http://hs.example/x",
            "h",
            "exact: hs.example /x",
        ),
        (
            "with a port",
            "GET http://hs.example:80/x",
            "h",
            "exact: hs.example:80 /x",
        ),
        (
            "by another scheme",
            "GET https://HS.example/x",
            "h",
            "exact: HS.example /x",
        ),
        (
            "the field alone would match",
            "GET http://h/x",
            "hs.example",
            "default: h /x",
        ),
        (
            "its path counts",
            "GET http://h/media/v3?q",
            "h",
            "media-v3: h /media/v3?q",
        ),
        (
            "no path",
            "GET http://hs.example",
            "h",
            "exact: hs.example /",
        ),
        (
            "the server as such has a host",
            "OPTIONS *",
            "hs.example",
            "exact: hs.example *",
        ),
        (
            "the server as such has no path",
            "OPTIONS *",
            "h",
            "default: h *",
        ),
    ];
    for (name, line, host, expected) in cases {
        let answer = ask(&mut client, line, host);
        assert_eq!(
            answer.text(),
            format!("{expected} by nobody"),
            "case: {name}"
        );
    }
    client.send("GET /x HTTP/1.0\r\n\r\n");
    let answer = client.response();
    assert_eq!(
        answer.text(),
        "default: localhost /x by nobody",
        "no host at all"
    );
}

#[test]
fn where_no_route_is_there_is_nothing() {
    let admin = Admin::new();
    let site = Site::start(
        &admin.section(),
        &[("only", "host = \"hs.example\"\npath = \"/a\"")],
    );
    let mut client = site.connect();
    let cases = [
        ("another path", "GET /b", "hs.example"),
        ("another host", "GET /a", "h"),
        ("a host in the target", "GET http://h/a", "hs.example"),
        ("no path", "OPTIONS *", "hs.example"),
    ];
    for (name, line, host) in cases {
        let answer = ask(&mut client, line, host);
        assert_refused(name, &answer, 404, "M_UNRECOGNIZED", "Unrecognized request");
        assert_eq!(
            answer.value("connection"),
            Some("keep-alive"),
            "case: {name}"
        );
    }
    client.send(with_body("POST", "/b", "a body of nobody's"));
    let answer = client.response();
    assert_refused(
        "a body",
        &answer,
        404,
        "M_UNRECOGNIZED",
        "Unrecognized request",
    );
    let answer = ask(&mut client, "GET /a", "hs.example");
    assert_eq!(answer.text(), "only: hs.example /a by nobody");
    let answer = ask(&mut client, "GET /_tokenshim/health", "h");
    assert_eq!(answer.status(), 200, "we are there all the same");
    // A reload can bring the route that was missing.
    reload(&site.shim, |text| {
        text.replace("host = \"hs.example\"\n", "")
    });
    until("it is in use", || {
        ask(&mut client, "GET /a", "h").text() == "only: h /a by nobody"
    });
}
