//! What is said of Caddyfiles: imports, filters, handlers.

use std::path::{Path, PathBuf};

use tokenshim::doctor::{self, Outcome, Program};

use super::{Memory, check, shown};

/// Nine lines; the default logger is clean.
const CLEAN: &str = "{
 log default {
  format filter {
   request>uri regexp \"(?i)([?&;=]|%(25)*(3f|26|3b|3d)).*$\" \"\"
   request>headers>Referer delete
  }
 }
}

";

fn site(inside: &str) -> String {
    format!("{CLEAN}a.org {{\n{inside}\nreverse_proxy x\n}}\n")
}

fn with_files(text: &str) -> Outcome {
    let mut files = Memory::default();
    for (path, text) in [
        ("/etc/x/logging.conf", "log {\n output file x\n}\n"),
        ("/etc/x/sites/a.caddy", "b.org\nlog {\n output file x\n}\n"),
        ("/etc/x/self", "import self\nimport self\nlog\n"),
        ("/etc/x/snippets", "(s) {\n import logging.conf\n}\n"),
        ("/etc/x/{args[0]}", ""),
    ] {
        files.0.insert(PathBuf::from(path), text.into());
    }
    let texts = [(PathBuf::from("/etc/x/Caddyfile"), text.to_owned())];
    doctor::inspect(Program::Caddy, &texts, None, &files)
}

#[test]
fn imports() {
    for (name, text, file, line) in [
        (
            "in a site",
            site("import logging.conf"),
            "/etc/x/logging.conf",
            1,
        ),
        (
            "of a snippet that imports a file",
            format!("import snippets\n{}", site("import s")),
            "/etc/x/logging.conf",
            1,
        ),
        (
            "of a snippet within a snippet",
            format!(
                "(a) {{\n log {{\n output x\n }}\n}}\n(b) {{\n import a\n}}\n{}",
                site("import b")
            ),
            "/etc/x/Caddyfile",
            2,
        ),
        (
            "with an argument",
            format!(
                "(a) {{\n import {{args[0]}}\n}}\n{}",
                site("import a logging.conf")
            ),
            "/etc/x/logging.conf",
            1,
        ),
        (
            "with a block",
            format!(
                "(a) {{\n {{block}}\n}}\n{}",
                site("import a {\n log {\n output x\n }\n}")
            ),
            "/etc/x/Caddyfile",
            15,
        ),
        (
            "of sites without braces",
            format!("{CLEAN}import sites/*.caddy\n"),
            "/etc/x/sites/a.caddy",
            2,
        ),
    ] {
        let outcome = with_files(&text);
        assert_eq!(outcome.incomplete, [""; 0], "{name}");
        assert_eq!(shown(&outcome), [format!("{line} log")], "{name}");
        assert_eq!(outcome.findings[0].file, Path::new(file), "{name}");
    }
}

#[test]
fn what_cannot_be_told_is_incomplete() {
    for (name, text, place) in [
        (
            "no file",
            site("import gone"),
            "Caddyfile:11: import gone: no such",
        ),
        (
            "the environment",
            site("{$EXTRA}"),
            "Caddyfile:11: what {$EXTRA}",
        ),
        (
            "the environment, deeper",
            site("handle {\n {$EXTRA}\n}"),
            "Caddyfile:12: what {$EXTRA}",
        ),
        (
            "the environment, at the top",
            format!("{{$EXTRA}}\n{}", site("")),
            "Caddyfile:1: what {$EXTRA}",
        ),
        (
            "a logger of the environment",
            site("log {\n format {$FORMAT}\n}"),
            "Caddyfile:11: what the environment",
        ),
        (
            "a file in itself",
            site("import self"),
            "self:1: /etc/x/self imports itself",
        ),
        (
            "a snippet in itself",
            format!("(a) {{\n import a\n}}\n{}", site("import a")),
            "Caddyfile:2: (a) imports itself",
        ),
        (
            "an argument that is not given",
            format!("(a) {{\n import {{args[0]}}\n}}\n{}", site("import a")),
            "Caddyfile:2: what an argument",
        ),
        (
            "a variable in the log",
            site("log_append x {vars.y}"),
            "Caddyfile:11: what log_append",
        ),
    ] {
        let outcome = with_files(&text);
        let place = format!("/etc/x/{place}");
        assert!(
            outcome.incomplete.iter().any(|it| it.starts_with(&place)),
            "{name}: {:?}",
            outcome.incomplete
        );
    }
    // Each snippet imports the one before it twice.
    let doubled: Vec<String> = (1..60)
        .map(|n| format!("(s{n}) {{\n import s{}\n import s{}\n}}\n", n - 1, n - 1))
        .collect();
    let outcome = with_files(&format!(
        "(s0) {{\n log\n}}\n{}{}",
        doubled.concat(),
        site("import s25")
    ));
    assert!(outcome.incomplete[0].contains("too much is imported"));
}

#[test]
fn loggers_and_handlers() {
    let options = |inside: &str| format!("{{\n{inside}\n}}\na.org {{\n respond x\n}}\n");
    let filter = |inside: &str| options(&format!("log {{\nformat filter {{\n{inside}\n}}\n}}"));
    let rows: Vec<(&str, String, &[&str])> = vec![
        ("clean", site("log"), &[]),
        (
            "an expression that knows a name",
            filter("request>uri regexp access_token=[^&]* X\nrequest>headers>Referer delete"),
            &["2 log of the global options"],
        ),
        (
            "an expression of the Referer that matches nothing",
            filter("request>uri delete\nrequest>headers>Referer regexp nothing nothing"),
            &["2 log of the global options"],
        ),
        (
            "an expression that puts it back",
            filter("request>uri regexp [?].*$ $0\nrequest>headers delete"),
            &["2 log of the global options"],
        ),
        ("all of the request", filter("request delete"), &[]),
        (
            "fields that are appended",
            site(
                "log\nlog_append u {uri}\nlog_append p {path}\nhandle /x {\nlog_append r {http.request.header.Referer}\n}",
            ),
            &["12 log_append", "15 log_append"],
        ),
        (
            "credentials",
            options("servers {\n log_credentials\n}\nlog {\n output discard\n}"),
            &["3 log_credentials"],
        ),
        (
            "a site without braces behind the global options",
            format!("{CLEAN}:80\nlog {{\n output file x\n}}\nuri strip_prefix /x\n"),
            &["11 log", "14 uri"],
        ),
        (
            "what no Matrix request comes to",
            site(
                "uri /grafana/* strip_prefix /grafana\n@g path /g/* /h/*\nhandle @g {\n uri strip_prefix /g\n}\n@i {\n path /i/*\n}\nuri @i query -a\nredir /old /new?{query}",
            ),
            &[],
        ),
        (
            "a matcher that may take them",
            site(
                "@g path /g/* /_matrix/*\nhandle @g {\n uri strip_prefix /g\n}\n@h host a\nuri @h query -a",
            ),
            &["13 uri", "16 uri"],
        ),
    ];
    let rows: Vec<_> = rows
        .iter()
        .map(|(name, text, expected)| (*name, text.as_str(), *expected))
        .collect();
    check(Program::Caddy, &rows);
}
