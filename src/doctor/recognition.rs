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

/// Words that lines of an `HAProxy` section begin with, and nobody else's.
const HAPROXY: [&str; 14] = [
    "acl",
    "default_backend",
    "error-log-format",
    "http-after-response",
    "http-request",
    "http-response",
    "log-format",
    "log-format-sd",
    "option",
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

/// Whether a line of an `HAProxy` section begins with it.
pub(super) fn is_haproxys(word: &str) -> bool {
    HAPROXY.contains(&word)
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
    let first = |line: &str| line.split_whitespace().next().unwrap_or("").to_owned();
    let is_section = |line: &str| {
        matches!(
            first(line).as_str(),
            "frontend" | "backend" | "defaults" | "global" | "listen"
        ) && !line.contains([';', '{'])
    };
    if lines().any(is_section) {
        return Some(Program::Haproxy);
    }
    // Each of nginx's simple directives ends with a semicolon.
    let is_ended = |line: &str| {
        let code = line.split_once(" #").map_or(line, |(code, _)| code);
        code.trim_end_matches(|it: char| it.is_whitespace() || it == '}')
            .ends_with(';')
    };
    if lines().any(is_ended) {
        return Some(Program::Nginx);
    }
    if lines().any(|line| is_haproxys(&first(line))) {
        return Some(Program::Haproxy);
    }
    // Apache's have sections in angle brackets, and TOML has equals signs.
    let is_foreign = |line: &str| {
        line.trim_start().starts_with('<') || line.split_whitespace().nth(1) == Some("=")
    };
    let has_caddys = lines().any(|line| is_caddys(&first(line)));
    (has_caddys && !lines().any(is_foreign)).then_some(Program::Caddy)
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
            ("a.toml", "log = 1\nbind = \"x\"\n", None),
            ("httpd.conf", "<Location />\n  error x\n</Location>\n", None),
            ("httpd.conf", "CustomLog a combined\n", None),
        ];
        for (name, text, program) in rows {
            assert_eq!(program_of(Path::new(name), text), program, "{name}: {text}");
        }
    }
}
