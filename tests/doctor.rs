//! What `tokenshim doctor` says of configurations: those that are published here, and the
//! recipes that people write.

#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "tests fail by panicking"
)]

#[path = "doctor/any.rs"]
mod any;
#[path = "doctor/caddy.rs"]
mod caddyfiles;
#[path = "../fuzz/configurations.rs"]
mod configurations;
#[path = "doctor/haproxy.rs"]
mod haproxies;
#[path = "doctor/nginx.rs"]
mod nginx;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tokenshim::{
    doctor::{self, Files, Outcome, Program},
    emit,
};

/// Files that are nowhere on a disk.
#[derive(Default)]
struct Memory(BTreeMap<PathBuf, String>);

impl Files for Memory {
    fn read(&self, path: &Path) -> io::Result<String> {
        self.0
            .get(path)
            .cloned()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn expand(&self, pattern: &Path) -> io::Result<Vec<PathBuf>> {
        let text = pattern.to_string_lossy();
        let (start, end) = text.split_once('*').unwrap_or((&text, ""));
        let fits = |path: &&PathBuf| {
            let path = path.to_string_lossy();
            path.starts_with(start) && path.ends_with(end)
        };
        Ok(self.0.keys().filter(fits).cloned().collect())
    }
}

fn inspect(program: Program, text: &str) -> Outcome {
    let texts = [(PathBuf::from("/etc/x/main"), text.to_owned())];
    doctor::inspect(program, &texts, None, &Memory::default())
}

/// Line and subject of each finding.
fn shown(outcome: &Outcome) -> Vec<String> {
    let findings = outcome.findings.iter();
    findings
        .map(|it| format!("{} {}", it.line, it.what))
        .collect()
}

#[track_caller]
fn check(program: Program, rows: &[(&str, &str, &[&str])]) {
    for (name, text, expected) in rows {
        let outcome = inspect(program, text);
        assert_eq!(outcome.incomplete, [""; 0], "{name}");
        assert_eq!(shown(&outcome), *expected, "{name}");
    }
}

#[test]
fn what_we_publish_is_clean() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/config/nginx.conf.example");
    let rows = [
        (Program::Nginx, fs::read_to_string(example).unwrap()),
        (Program::Nginx, emit::Program::Nginx.snippet().to_owned()),
        (
            Program::Haproxy,
            emit::Program::Haproxy.snippet().to_owned(),
        ),
        (Program::Caddy, emit::Program::Caddy.snippet().to_owned()),
    ];
    for (program, text) in rows {
        assert_eq!(inspect(program, &text), Outcome::default(), "{program:?}");
    }
}

#[test]
fn haproxy() {
    let rows: &[(&str, &str, &[&str])] = &[
        (
            "the usual format, from the defaults",
            "defaults\n option httplog\nfrontend a\n bind :80\n",
            &["2 option httplog"],
        ),
        (
            "overruled",
            "defaults\n option httplog\nfrontend a\n log-format \"%ci %HM %HPO\"\n",
            &[],
        ),
        (
            "formats with a query",
            "frontend a\n log-format \"%ci %{+Q}r\"\nfrontend b\n log-format %HU\nfrontend c\n log-format %[capture.req.uri]\nfrontend d\n log-format %[query,lower]\n",
            &[
                "2 %r in log-format",
                "4 %HU in log-format",
                "6 %[capture.req.uri] in log-format",
                "8 %[query] in log-format",
            ],
        ),
        (
            "by way of a variable",
            "frontend a\n http-request set-var(txn.u) url\n http-request set-var(txn.p) path\n log-format \"%[var(txn.u)] %[var(txn.p)]\"\n",
            &["4 %[var(txn.u)] in log-format"],
        ),
        (
            "captured fields",
            "frontend a\n option httplog\n capture request header Referer len 99\n capture request header User-Agent len 99\n",
            &["2 option httplog", "3 capture of referer"],
        ),
        (
            "the recipe",
            "frontend a\n no option httplog\n http-request set-header Authorization \"Bearer %[urlp(access_token)]\" if { urlp(access_token) -m found }\n http-request set-query %[query,regsub(access_token=[^&]*&?,,)]\n",
            &["3 http-request set-header", "4 http-request set-query"],
        ),
        (
            "redirects",
            "frontend a\n http-request redirect scheme https code 301\n http-request redirect location /x drop-query\n http-request redirect location https://x%[path]\n",
            &["2 http-request redirect"],
        ),
        (
            "comments and quotes",
            "frontend a # option httplog\n # option httplog\n log-format '%ci \"%HM\"'\n",
            &[],
        ),
        (
            "named defaults",
            "defaults one\n option httplog\ndefaults two\n log-format %ci\nfrontend a from one\nfrontend b\n",
            &["2 option httplog"],
        ),
    ];
    check(Program::Haproxy, rows);
}

#[test]
fn caddy() {
    let filter =
        "format filter {\n request>uri regexp \"[?].*$\" -\n request>headers>Referer delete\n }";
    let clean = format!("{{\n log default {{\n {filter}\n }}\n}}\n");
    let row = |text: &str| format!("{clean}{text}");
    let rows: Vec<(&str, String, &[&str])> = vec![
        ("clean", row("a.org {\n log\n reverse_proxy x\n}\n"), &[]),
        (
            "a logger of its own",
            row("a.org {\n log {\n output file x\n }\n}\n"),
            &["10 log"],
        ),
        (
            "no filter at all",
            "a.org {\n log\n reverse_proxy x\n}\n".into(),
            &["1 reverse_proxy without a filter on the default logger", "2 log"],
        ),
        (
            "the filter that knows names",
            "{\n log {\n format filter {\n request>uri query {\n delete access_token\n }\n }\n }\n}\n".into(),
            &["2 log of the global options"],
        ),
        (
            "Referer",
            "{\n log {\n format filter {\n request>uri delete\n }\n }\n}\n".into(),
            &["2 log of the global options"],
        ),
        (
            "by way of a snippet",
            format!("(clean) {{\n {filter}\n}}\na.org {{\n log {{\n import clean\n }}\n}}\n"),
            &[],
        ),
        (
            "the recipe",
            row("a.org {\n @q query access_token=*\n request_header @q Authorization \"Bearer {query.access_token}\"\n uri query -access_token\n}\n"),
            &["11 request_header", "12 uri"],
        ),
        (
            "only where Matrix requests come",
            row("a.org {\n handle /grafana/* {\n uri strip_prefix /grafana\n }\n handle_path /files/* {\n }\n handle_path /_matrix/* {\n }\n}\n"),
            &["15 handle_path"],
        ),
        (
            "redirects",
            row("http://a.org {\n redir https://a.org{uri}\n}\nhttp://b.org {\n redir https://b.org{path}\n}\n"),
            &["10 redir"],
        ),
    ];
    let rows: Vec<_> = rows
        .iter()
        .map(|(name, text, expected)| (*name, text.as_str(), *expected))
        .collect();
    check(Program::Caddy, &rows);
}

#[test]
fn what_is_broken_is_named() {
    for (program, text, place) in [
        (
            Program::Nginx,
            "a;\nb 'c;",
            "/etc/x/main:2: a quotation without its end",
        ),
        (
            Program::Nginx,
            "a {\nb;",
            "/etc/x/main:1: ends in the middle",
        ),
        (
            Program::Nginx,
            "access_log a f;\nerror_log e crit;",
            "/etc/x/main:1: the log_format f is in none",
        ),
        (
            Program::Haproxy,
            "frontend a\n b \"c",
            "/etc/x/main:2: a quotation without its end",
        ),
        (
            Program::Caddy,
            "a {\n",
            "/etc/x/main:1: a block without its end",
        ),
        (
            Program::Caddy,
            "import gone\n",
            "/etc/x/main:1: import gone",
        ),
        (Program::Nginx, "", "/etc/x/main: no server"),
        (Program::Nginx, "user x;", "/etc/x/main: no server"),
        (Program::Haproxy, "", "/etc/x/main: no section"),
        (
            Program::Haproxy,
            "global\n daemon\n",
            "/etc/x/main: no section",
        ),
        (Program::Haproxy, "a b\n", "/etc/x/main: no section"),
        (Program::Caddy, "", "/etc/x/main: no directive"),
        (
            Program::Caddy,
            "root:x:0:0:root:/root:/bin/sh\n",
            "/etc/x/main: no directive",
        ),
    ] {
        let outcome = inspect(program, text);
        assert!(
            outcome.incomplete.iter().any(|why| why.starts_with(place)),
            "{text}: {:?}",
            outcome.incomplete
        );
    }
}

fn doctor(arguments: &[&str], directory: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tokenshim"))
        .arg("doctor")
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap()
}

#[test]
fn exit_codes_and_formats() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    write("clean.conf", "access_log off;\nerror_log e crit;\n");
    write("leaks.conf", "server {\n access_log off;\n}\n");
    write(
        "half.conf",
        "include gone.conf;\nserver {\n access_log off;\n}\n",
    );
    write("haproxy.cfg", "frontend a\n option httplog\n");
    write(
        "part.cfg",
        "mode http\noption httplog\nlog-format \"%HU\"\n",
    );
    write("envoy.yaml", "admin:\n  address: { a: b }\n");
    write("apache.conf", "CustomLog a combined\n");
    write("caddy.json", "{\"logging\":{}}\n");
    write("Caddyfile", "{\"logging\":{}}\n");
    write("empty", "");
    // A directory that cannot be listed, whoever asks.
    let closed = "n".repeat(300);
    write(
        "b.Caddyfile",
        &format!("import {closed}/*.caddy\na.org {{\n respond x\n}}\n"),
    );
    write(
        "closed.conf",
        &format!("access_log off;\ninclude {closed}/*.conf;\n"),
    );
    write(
        "circle.conf",
        "server { access_log off; error_log e crit; }\ninclude gone; include gone;\n",
    );
    fs::create_dir(directory.path().join("conf.d")).unwrap();
    write("conf.d/a.conf", "server { access_log x; }\n");
    write("main.conf", "error_log e crit;\ninclude conf.d/*.conf;\n");
    for (file, code, says) in [
        ("clean.conf", 0, "nothing known to harm"),
        (
            "leaks.conf",
            1,
            "leaks.conf:1: logs: server without error_log",
        ),
        ("half.conf", 3, "INCOMPLETE: half.conf:1: include gone.conf"),
        ("haproxy.cfg", 1, "haproxy.cfg:2: logs: option httplog"),
        ("part.cfg", 1, "part.cfg:3: logs: %HU in log-format"),
        ("envoy.yaml", 3, "INCOMPLETE: envoy.yaml: not recognised"),
        ("apache.conf", 3, "INCOMPLETE: apache.conf: not recognised"),
        ("caddy.json", 3, "INCOMPLETE: caddy.json: it is JSON"),
        ("Caddyfile", 3, "INCOMPLETE: Caddyfile: it is JSON"),
        ("b.Caddyfile", 3, "INCOMPLETE: b.Caddyfile:1: import n"),
        ("closed.conf", 3, "INCOMPLETE: closed.conf:2: include n"),
        ("empty", 3, "INCOMPLETE: empty: not recognised"),
        // The same trouble in the same line is told once.
        ("circle.conf", 3, "0 found, 1 not understood"),
        (
            "main.conf",
            1,
            "conf.d/a.conf:1: logs: access_log with `combined`",
        ),
    ] {
        let output = doctor(&[file], directory.path());
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(code), "{file}: {text}");
        assert!(text.contains(says), "{file}: {text}");
    }
    assert_eq!(doctor(&["gone"], directory.path()).status.code(), Some(2));
    assert_eq!(doctor(&[], directory.path()).status.code(), Some(64));
    let output = doctor(&["leaks.conf", "--format", "json"], directory.path());
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["version"], 1);
    assert_eq!(report["findings"][0]["line"], 1);
    assert_eq!(report["findings"][0]["harm"], "logs");
}
