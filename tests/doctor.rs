//! What `tokenshim doctor` says of configurations: those that are published here, and the
//! recipes that people write.

#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "tests fail by panicking"
)]

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use proptest::prelude::*;
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
fn nginx_logs() {
    let rows: &[(&str, &str, &[&str])] = &[
        (
            "combined by default",
            "server {\n error_log e crit;\n}",
            &["1 server without access_log"],
        ),
        (
            "combined by its name, and without one",
            "server {\n error_log e crit;\n access_log a;\n access_log b combined;\n}",
            &[
                "3 access_log with `combined`",
                "4 access_log with `combined`",
            ],
        ),
        (
            "off, and in a condition",
            "server {\n error_log e crit;\n access_log off;\n location / {\n if ($x) { access_log a; }\n }\n}",
            &["5 access_log with `combined`"],
        ),
        (
            "each variable of a format, in its own line",
            "log_format f '$remote_addr $request_method'\n '$args $status'\n '${http_referer}';\naccess_log a f;\nerror_log e crit;",
            &["2 $args in log_format f", "3 $http_referer in log_format f"],
        ),
        (
            "a format that nobody uses",
            "log_format f $request;\naccess_log off;\nerror_log e crit;",
            &[],
        ),
        (
            "inherited, and overruled",
            "http {\n log_format f $request;\n access_log a f;\n error_log e crit;\n server { access_log off; }\n}",
            &[],
        ),
        (
            "a mask by an expression",
            "map $request_uri $m {\n default $request_uri;\n '~^(.*access_token=)[^&]*(.*)$' $1-$2;\n}\nlog_format f $m;\naccess_log a f;\nerror_log e crit;",
            &["5 $m in log_format f"],
        ),
        (
            "the path, and the site of the referrer",
            "map $request_uri $p { default $request_uri; '~^(?<q>[^?]*)' $q; }\nmap $http_referer $r { default -; '~^(https?://[^/?#]+)' $1; }\nlog_format f '$p $r';\naccess_log a f;\nerror_log e crit;",
            &[],
        ),
        (
            "by way of set",
            "log_format f $x;\nserver {\n set $x $request_uri;\n access_log a f;\n error_log e crit;\n}",
            &["1 $x in log_format f"],
        ),
        (
            "variables in a circle",
            "map $a $b { default $b$a; }\nmap $b $a { default $b; }\nlog_format f $a;\naccess_log a f;\nerror_log e crit;",
            &[],
        ),
        (
            "a token by its argument",
            "log_format f '$arg_since $arg_access_token $cookie_x';\naccess_log a f;\nerror_log e crit;",
            &[
                "1 $arg_access_token in log_format f",
                "1 $cookie_x in log_format f",
            ],
        ),
        (
            "error log",
            "access_log off;\nerror_log /var/log/e.log;",
            &["2 error_log at level error"],
        ),
        (
            "error log of a server",
            "http {\n error_log e warn;\n server { access_log off; error_log e crit; }\n server { access_log off; }\n}",
            &["2 error_log at level warn"],
        ),
        (
            "no error log anywhere",
            "server {\n access_log off;\n}",
            &["1 server without error_log"],
        ),
        (
            "a relay",
            "access_log off;\nerror_log syslog:server=unix:/run/x.sock error;",
            &[],
        ),
    ];
    check(Program::Nginx, rows);
}

/// A server whose logs are clean.
fn nginx_server(inside: &str) -> String {
    format!("access_log off; error_log e crit; server {{\n{inside}\n}}")
}

#[test]
fn nginx_urls() {
    let rows: &[(&str, &str, &[&str])] = &[
        (
            "as it came",
            "location /_matrix { proxy_pass http://127.0.0.1:8009; }",
            &[],
        ),
        (
            "a slash",
            "location /_matrix {\n proxy_pass http://127.0.0.1:8009/;\n}",
            &["3 proxy_pass with the path /"],
        ),
        (
            "everything else is not ours",
            "location / { proxy_pass http://x/; rewrite a b; }\nlocation /_matrix { proxy_pass http://y; }",
            &[],
        ),
        (
            "but all that there is is",
            "location / {\n proxy_pass http://x$uri;\n}",
            &["3 proxy_pass with $uri"],
        ),
        (
            "rewrite and set",
            "location ~ ^/_matrix {\n rewrite ^/a/(.*) /$1? break;\n set $args '';\n}",
            &["3 rewrite", "4 set $args"],
        ),
        (
            "redirects",
            "return 301 https://$host$request_uri;",
            &["2 return with $request_uri"],
        ),
        (
            "redirects without the query",
            "return 301 https://$host$uri;",
            &[],
        ),
        (
            "rewrite that redirects",
            "location / {\n rewrite ^ https://x permanent;\n}",
            &["3 rewrite", "3 rewrite with $args"],
        ),
        (
            "the recipe with a condition",
            "location /_matrix {\n if ($arg_access_token) {\n proxy_set_header Authorization \"Bearer $arg_access_token\";\n }\n}",
            &[
                "3 if with $arg_access_token",
                "4 proxy_set_header Authorization of $arg_access_token",
            ],
        ),
    ];
    let rows: Vec<_> = rows
        .iter()
        .map(|(name, inside, expected)| (*name, nginx_server(inside), *expected))
        .collect();
    let rows: Vec<_> = rows
        .iter()
        .map(|(name, text, expected)| (*name, text.as_str(), *expected))
        .collect();
    check(Program::Nginx, &rows);
}

/// The recipe that people write.
#[test]
fn nginx_recipe() {
    let text = r#"
map $arg_access_token $auth { "" $http_authorization; default "Bearer $arg_access_token"; }
server {
  access_log off; error_log e crit;
  location / {
    if ($args ~ "^(.*&)?access_token=[^&]*&?(.*)$") { set $args $1$2; }
    proxy_set_header Authorization $auth;
    proxy_pass http://up;
  }
}
"#;
    let expected: &[&str] = &[
        "6 set $args",
        "7 proxy_set_header Authorization of $arg_access_token",
    ];
    check(Program::Nginx, &[("recipe", text, expected)]);
}

#[test]
fn nginx_includes() {
    let mut files = Memory::default();
    for (path, text) in [
        ("/etc/x/conf.d/a.conf", "server {\n access_log a;\n}"),
        ("/etc/x/conf.d/b.conf", "include /etc/x/conf.d/b.conf;"),
        ("/etc/x/snippets/log", "error_log e crit;"),
    ] {
        files.0.insert(path.into(), text.into());
    }
    let text = "http {\n include snippets/log;\n include conf.d/a*.conf;\n include none/*.conf;\n include gone;\n}";
    let texts = [(PathBuf::from("/etc/x/nginx.conf"), text.to_owned())];
    let outcome = doctor::inspect(Program::Nginx, &texts, None, &files);
    assert_eq!(shown(&outcome), ["2 access_log with `combined`"]);
    assert_eq!(outcome.findings[0].file, Path::new("/etc/x/conf.d/a.conf"));
    let [missing] = &outcome.incomplete[..] else {
        panic!("{:?}", outcome.incomplete)
    };
    assert!(
        missing.starts_with("/etc/x/nginx.conf:5: include /etc/x/gone"),
        "{missing}"
    );
    let circle = [(
        PathBuf::from("/etc/x/n"),
        "include conf.d/b.conf;".to_owned(),
    )];
    let outcome = doctor::inspect(Program::Nginx, &circle, None, &files);
    assert!(
        outcome.incomplete[0].contains("too many files"),
        "{outcome:?}"
    );
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
    let filter = "format filter {\n request>uri regexp a b\n request>headers>Referer delete\n }";
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
            "/etc/x/main:0: ends in the middle",
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

/// What configurations are made of.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        "server {",
        "location / {",
        "http {",
        "}",
        ";",
        "\n",
        " ",
        "access_log a f;",
        "log_format f '$request",
        "$args';",
        "map $a $b {",
        "default $b;",
        "\"",
        "'",
        "\\",
        "#",
        "include x;",
        "set $args '';",
        "frontend a\n",
        "option httplog\n",
        "log-format %r\n",
        "log {\n",
        "format filter {\n",
        "uri query x\n",
        "<<X\n",
        "X\n",
        "`",
        "proxy_pass http://x/;",
        "x_by_lua_block {",
        "~^(?<n>[^?]*)",
        "return 301 $request_uri;",
    ];
    prop_oneof![
        8 => proptest::sample::select(words.to_vec()).prop_map(str::to_owned),
        1 => "\\PC{0,6}",
    ]
}

proptest! {
    /// Whatever the text is: an answer, lines that there are, and a comment in front
    /// changes nothing but their numbers.
    #[test]
    fn any_text_is_read(pieces in proptest::collection::vec(piece(), 0..40)) {
        let text = pieces.concat();
        for program in [Program::Nginx, Program::Haproxy, Program::Caddy] {
            let outcome = inspect(program, &text);
            let lines = text.lines().count() + 1;
            prop_assert!(outcome.findings.iter().all(|it| (1..=lines).contains(&it.line)));
            let shifted = inspect(program, &format!("# a comment\n{text}"));
            let expected: Vec<_> = outcome.findings.iter().map(|it| (it.line + 1, &it.what)).collect();
            let found: Vec<_> = shifted.findings.iter().map(|it| (it.line, &it.what)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
