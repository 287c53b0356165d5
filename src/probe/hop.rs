//! Who wrote a log, told by the shape of a line, and what is to be done there.

use std::path::Path;

use crate::emit::Program;

/// A program in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hop {
    Nginx,
    NginxErrors,
    Apache,
    ApacheErrors,
    /// Both write `combined`.
    NginxOrApache,
    Caddy,
    Traefik,
    Haproxy,
    Envoy,
    Synapse,
    /// This program.
    Ourselves,
    Unknown,
}

/// Words in a path that tell more than the line.
const NAMES: [(&str, Hop); 8] = [
    ("nginx", Hop::Nginx),
    ("apache", Hop::Apache),
    ("httpd", Hop::Apache),
    ("caddy", Hop::Caddy),
    ("traefik", Hop::Traefik),
    ("haproxy", Hop::Haproxy),
    ("envoy", Hop::Envoy),
    ("synapse", Hop::Synapse),
];

impl Hop {
    /// Who wrote `line` into the log at `path`.
    pub(super) fn of(line: &[u8], path: &Path) -> Self {
        let line = String::from_utf8_lossy(line);
        let by_line = Self::by_line(line.trim());
        if matches!(by_line, Self::NginxOrApache | Self::Unknown) {
            return Self::by_path(path, by_line);
        }
        by_line
    }

    fn by_line(line: &str) -> Self {
        // What a collector put in front of it is not looked at.
        let json = line.find('{').and_then(|at| line.get(at..));
        let has = |key: &str| json.is_some_and(|json| json.contains(key));
        if has("\"logger\":\"http.") || has("\"resp_headers\":") {
            return Self::Caddy;
        }
        if has("\"DownstreamStatus\":") || has("\"entryPointName\":") || has("\"RouterName\":") {
            return Self::Traefik;
        }
        if has("\"token_source\":") {
            return Self::Ourselves;
        }
        if line.contains("Processed request: ") || line.contains(" - synapse.") {
            return Self::Synapse;
        }
        if line.contains(", client: ") && line.contains(", server: ") {
            return Self::NginxErrors;
        }
        if line.contains("[client ") && line.contains("[pid ") {
            return Self::ApacheErrors;
        }
        if is_haproxy(line) {
            return Self::Haproxy;
        }
        if line.starts_with('[') && line.contains("Z] \"") {
            return Self::Envoy;
        }
        if line.ends_with("ms") && line.contains("\" \"http") {
            return Self::Traefik;
        }
        let has_time = line.contains(" [") && line.contains("] \"");
        if has_time && line.contains(" - ") {
            return Self::NginxOrApache;
        }
        Self::Unknown
    }

    /// The name of the file, before those of its directories.
    fn by_path(path: &Path, otherwise: Self) -> Self {
        let text = path.to_string_lossy().to_lowercase();
        let known = NAMES
            .iter()
            .filter_map(|(word, hop)| Some((text.rfind(word)?, *hop)));
        known
            .max_by_key(|(at, _)| *at)
            .map_or(otherwise, |(_, hop)| hop)
    }

    /// For people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::NginxErrors => "nginx, error log",
            Self::Apache => "Apache",
            Self::ApacheErrors => "Apache, error log",
            Self::NginxOrApache => "nginx or Apache",
            Self::Caddy => "Caddy",
            Self::Traefik => "Traefik",
            Self::Haproxy => "HAProxy",
            Self::Envoy => "Envoy",
            Self::Synapse => "Synapse",
            Self::Ourselves => "tokenshim",
            Self::Unknown => "unknown program",
        }
    }

    /// Whose configuration is to be changed, if `emit` has one for it.
    pub(super) fn programs(self) -> &'static [Program] {
        match self {
            Self::Nginx | Self::NginxErrors => &[Program::Nginx],
            Self::Apache | Self::ApacheErrors => &[Program::Apache],
            Self::NginxOrApache => &[Program::Nginx, Program::Apache],
            Self::Caddy => &[Program::Caddy],
            Self::Traefik => &[Program::Traefik],
            Self::Haproxy => &[Program::Haproxy],
            Self::Envoy => &[Program::Envoy],
            Self::Synapse | Self::Ourselves | Self::Unknown => &[],
        }
    }

    /// What is to be done.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::NginxErrors => {
                "nginx writes the request line into its error log, and no setting changes that: \
                 let it go through `tokenshim relay`, or raise its level to `crit`"
            }
            Self::ApacheErrors => {
                "take the Referer out of ErrorLogFormat, and raise the level of the core"
            }
            Self::Synapse => {
                "let nobody reach Synapse but through tokenshim, which leaves no token in a URL"
            }
            Self::Ourselves => "this must not happen: please report it with the names of the cases",
            Self::Unknown => {
                "log the path without the query, and no Referer; or let the log go through \
                 `tokenshim redact`"
            }
            Self::Nginx
            | Self::Apache
            | Self::NginxOrApache
            | Self::Caddy
            | Self::Traefik
            | Self::Haproxy
            | Self::Envoy => "log the path without the query, and no Referer",
        }
    }
}

/// `10.0.0.1:4711 [22/Nov/2026:09:00:00.123] front back/server 0/0/1/2/3 200 …`, behind
/// what syslog put there.
fn is_haproxy(line: &str) -> bool {
    let mut words = line.split(' ').peekable();
    while let Some(word) = words.next() {
        let is_peer = word
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let is_time = words
            .peek()
            .is_some_and(|time| time.starts_with('[') && time.ends_with(']') && time.contains('.'));
        if is_peer && is_time {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_who_wrote_a_line() {
        let combined =
            r#"127.0.0.1 - - [22/Nov/2026:09:00:00 +0000] "GET /p HTTP/1.1" 200 5 "-" "x""#;
        let rows = [
            ("combined", "access.log", combined, Hop::NginxOrApache),
            (
                "its path tells",
                "/var/log/nginx/access.log",
                combined,
                Hop::Nginx,
            ),
            (
                "another path",
                "/var/log/apache2/access.log",
                combined,
                Hop::Apache,
            ),
            (
                "nginx's errors",
                "e.log",
                r#"2026/11/22 09:00:00 [error] 7#7: *1 connect() failed, client: 127.0.0.1, server: , request: "GET /p HTTP/1.1", upstream: "http://127.0.0.1:1/p", host: "h""#,
                Hop::NginxErrors,
            ),
            (
                "Apache's errors",
                "e.log",
                "[2026-11-22 09:00:00.1] [proxy:error] [pid 1:tid 2] (111)Connection refused: AH00957: [client 127.0.0.1:3] failed",
                Hop::ApacheErrors,
            ),
            (
                "Caddy",
                "a.log",
                r#"{"level":"info","ts":1.5,"logger":"http.log.access","msg":"handled request","request":{"uri":"/p"}}"#,
                Hop::Caddy,
            ),
            (
                "Traefik, JSON",
                "a.log",
                r#"{"ClientHost":"127.0.0.1","DownstreamStatus":200,"RequestPath":"/p","level":"info"}"#,
                Hop::Traefik,
            ),
            (
                "Traefik, common",
                "a.log",
                r#"127.0.0.1 - - [22/Nov/2026:09:00:00 +0000] "GET /p HTTP/1.1" 200 5 "-" "x" 1 "r@file" "http://127.0.0.1:1" 3ms"#,
                Hop::Traefik,
            ),
            (
                "HAProxy behind syslog",
                "a.log",
                r#"Nov 22 09:00:00 host haproxy[9]: 127.0.0.1:4711 [22/Nov/2026:09:00:00.123] f b/s 0/0/0/1/1 200 9 - - ---- 1/1/0/0/0 0/0 "GET /p HTTP/1.1""#,
                Hop::Haproxy,
            ),
            (
                "Envoy",
                "a.log",
                r#"[2026-11-22T09:00:00.123Z] "GET /p HTTP/1.1" 200 - 0 5 1 1 "-" "x" "id" "h" "127.0.0.1:1""#,
                Hop::Envoy,
            ),
            (
                "Synapse",
                "a.log",
                "2026-11-22 09:00:00,123 - synapse.access.http.8008 - 450 - INFO - GET-1 - 127.0.0.1 - 8008 - {None} Processed request: 0.001sec",
                Hop::Synapse,
            ),
            (
                "this program",
                "a.log",
                r#"{"time":"2026-11-22T09:00:00Z","method":"GET","target":"/p","token_source":"query"}"#,
                Hop::Ourselves,
            ),
            (
                "a host of that name is no Synapse",
                "a.log",
                r#"1.2.3.4 - - [22/Nov/2026:09:00:00 +0000] "GET /p HTTP/1.1" 200 5 "https://synapse.example.org/" "x""#,
                Hop::NginxOrApache,
            ),
            ("nobody", "a.log", "something else", Hop::Unknown),
        ];
        for (name, path, line, hop) in rows {
            assert_eq!(Hop::of(line.as_bytes(), Path::new(path)), hop, "{name}");
        }
    }
}
