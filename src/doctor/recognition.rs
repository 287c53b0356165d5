//! Whose configuration a file is. What is not recognised is nobody's: a file of another
//! program would have no finding, and look clean.

use std::path::Path;

use super::Program;

/// Words that lines of a Caddyfile begin with; those of plugins are not among them.
const CADDY: [&str; 44] = [
    "abort",
    "acme_server",
    "admin",
    "auto_https",
    "basic_auth",
    "basicauth",
    "bind",
    "copy_response",
    "email",
    "encode",
    "error",
    "file_server",
    "forward_auth",
    "fs",
    "handle",
    "handle_errors",
    "handle_path",
    "header",
    "import",
    "intercept",
    "invoke",
    "log",
    "log_append",
    "log_name",
    "log_skip",
    "method",
    "metrics",
    "php_fastcgi",
    "push",
    "redir",
    "request_body",
    "request_header",
    "respond",
    "reverse_proxy",
    "rewrite",
    "root",
    "route",
    "servers",
    "skip_log",
    "templates",
    "tls",
    "try_files",
    "uri",
    "vars",
];

/// Those of them that nobody else has.
const CADDY_ALONE: [&str; 12] = [
    "basic_auth",
    "basicauth",
    "file_server",
    "forward_auth",
    "handle_errors",
    "handle_path",
    "log_append",
    "php_fastcgi",
    "redir",
    "request_header",
    "respond",
    "reverse_proxy",
];

/// Words that lines of an `HAProxy` section begin with, and nobody else's.
const HAPROXY: [&str; 12] = [
    "default_backend",
    "error-log-format",
    "http-after-response",
    "http-request",
    "http-response",
    "log-format",
    "log-format-sd",
    "stick-table",
    "tcp-request",
    "tcp-response",
    "unique-id-format",
    "use_backend",
];

/// Whether it is a word of Caddy's own directives.
pub(super) fn is_caddys(word: &str) -> bool {
    CADDY.contains(&word)
}

/// Whether a line of an `HAProxy` section begins with these words.
pub(super) fn is_haproxys(word: &str, next: &str) -> bool {
    let is_option = word == "option" && matches!(next, "httplog" | "httpslog" | "tcplog");
    HAPROXY.contains(&word) || is_option
}

/// A line that neither `HAProxy` nor Caddy has: sections in brackets, `name = value`, and
/// `name: value`.
fn is_foreign(line: &str) -> bool {
    let line = line.trim_start();
    let mut words = line.split_whitespace();
    let first = words.next().unwrap_or("");
    line.starts_with(['<', '[']) || first.ends_with(':') || words.next() == Some("=")
}

/// The native format of Caddy, Envoy and others.
pub(super) fn is_json(text: &str) -> bool {
    let text = text.trim_start_matches(|it: char| it.is_whitespace() || it == '\u{feff}');
    text.strip_prefix(['{', '['])
        .is_some_and(|rest| rest.trim_start().starts_with(['"', '{']))
}

/// By its name, else by what stands in it.
pub(super) fn program_of(path: &Path, text: &str) -> Option<Program> {
    if is_json(text) {
        return None;
    }
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().to_lowercase())
        .unwrap_or_default();
    let names = [
        ("caddyfile", Program::Caddy),
        ("haproxy", Program::Haproxy),
        ("nginx", Program::Nginx),
    ];
    if let Some((_, program)) = names.into_iter().find(|(word, _)| name.contains(word)) {
        return Some(program);
    }
    let lines = || {
        text.lines()
            .filter(|line| !line.trim_start().starts_with('#'))
    };
    // Each of nginx's simple directives ends with a semicolon.
    let is_ended = |line: &str| {
        let code = line.split_once(" #").map_or(line, |(code, _)| code);
        code.trim_end_matches(|it: char| it.is_whitespace() || it == '}')
            .ends_with(';')
    };
    let is_haproxy = |line: &str| {
        let mut words = line.split_whitespace();
        let (first, next) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let is_section = matches!(
            first,
            "frontend" | "backend" | "defaults" | "global" | "listen"
        );
        is_haproxys(first, next) || (is_section && !line.contains([';', '{']))
    };
    let has_foreign = lines().any(is_foreign);
    if !has_foreign && lines().any(is_haproxy) {
        return Some(Program::Haproxy);
    }
    if lines().any(is_ended) {
        return Some(Program::Nginx);
    }
    let first = |line: &str| line.split_whitespace().next().unwrap_or("").to_owned();
    // Words such as `bind` and `log` say something only beside a block.
    let has_block = lines().any(|line| line.trim_end().ends_with('{'));
    let is_caddy = lines().any(|line| {
        let first = first(line);
        CADDY_ALONE.contains(&first.as_str()) || (has_block && is_caddys(&first))
    });
    (is_caddy && !has_foreign).then_some(Program::Caddy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_whose_file_it_is() {
        let rows = [
            ("Caddyfile", "x;\n", Some(Program::Caddy)),
            ("haproxy.cfg", "", Some(Program::Haproxy)),
            ("a.cfg", "global\n  daemon\n", Some(Program::Haproxy)),
            ("a.cfg", "  option httplog\n", Some(Program::Haproxy)),
            (
                "a.conf",
                "server {\n  listen 80;\n}\n",
                Some(Program::Nginx),
            ),
            (
                "a.conf",
                "server { listen 80; } # x\n",
                Some(Program::Nginx),
            ),
            ("site", "example.org {\n\tlog\n}\n", Some(Program::Caddy)),
            ("site", ":80\nreverse_proxy x\n", Some(Program::Caddy)),
            ("empty", "", None),
            ("Caddyfile", "{\"apps\": {}}\n", None),
            ("caddy.json", " {\n \"logging\": {\n }\n}\n", None),
            ("envoy.yaml", "admin:\n  route: { log: x }\n", None),
            ("passwd", "root:x:0:0:root:/root:/bin/sh\n", None),
            ("envoy.pb_text", "admin {\n  port: 1\n}\nroute {\n}\n", None),
            (
                "squid.conf",
                "acl local src ::1\nhttp_access deny all\n",
                None,
            ),
            ("redis.conf", "bind 127.0.0.1\nsave 900 1\n", None),
            ("fpm.conf", "[www]\nlisten = /run/x.sock\n", None),
            ("system", "config system\n option hostname x\n", None),
            ("a.toml", "log = 1\nbind = \"x\"\n", None),
            ("httpd.conf", "<Location />\n  error x\n</Location>\n", None),
            ("httpd.conf", "CustomLog a combined\n", None),
        ];
        for (name, text, program) in rows {
            assert_eq!(program_of(Path::new(name), text), program, "{name}: {text}");
        }
    }
}
