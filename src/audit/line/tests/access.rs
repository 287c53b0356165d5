//! Access logs of proxies, as text.

use super::{Format, check, reader};

#[test]
fn reads_what_grew_from_the_common_log_format() {
    check(
        &reader(),
        &[
            (
                "combined",
                r#"192.0.2.1 - - [22/Nov/2026:09:02:38 +0000] "GET /_matrix/client/v3/sync?access_token=SECRET HTTP/1.1" 200 42 "-" "Element X/1.0""#,
                Format::Combined,
                "2026-11-22T09:02:38Z 192.0.2.1 GET /_matrix/client/v3/sync?access_token=SECRET 200 by Element X/1.0",
            ),
            (
                "nginx's escapes",
                r#"2001:db8::1 - - [22/Nov/2026:10:02:38 +0100] "GET /?q=\x22a\x22 HTTP/2.0" 401 0 "https://c/?\x5C" "a\x22b""#,
                Format::Combined,
                r#"2026-11-22T09:02:38Z 2001:db8::1 GET /?q="a" 401 from https://c/?\ by a"b"#,
            ),
            (
                "Apache's escapes",
                r#"192.0.2.1 - - [22/Nov/2026:09:02:38 +0000] "GET /?\"a\" HTTP/1.1" 200 - "https://c/\"" "b\\""#,
                Format::Combined,
                r#"2026-11-22T09:02:38Z 192.0.2.1 GET /?"a" 200 from https://c/" by b\"#,
            ),
            (
                "Apache's virtual host in front",
                r#"example.org:443 192.0.2.1 - @alice:example.org [22/Nov/2026:09:02:38 +0000] "PUT / HTTP/1.1" 200 1 "-" "curl/8""#,
                Format::Combined,
                "2026-11-22T09:02:38Z 192.0.2.1 PUT / 200 by curl/8",
            ),
            (
                "the same without a name: the port is the server's",
                r#"127.0.1.1:443 203.0.113.5 - - [22/Nov/2026:09:02:38 +0000] "GET / HTTP/1.1" 200 1 "-" "curl/8""#,
                Format::Combined,
                "2026-11-22T09:02:38Z 203.0.113.5 GET / 200 by curl/8",
            ),
            (
                "a client with a port",
                r#"192.0.2.1:4711 - - [22/Nov/2026:09:02:38 +0000] "GET / HTTP/1.1" 200 1 "-" "curl/8""#,
                Format::Combined,
                "2026-11-22T09:02:38Z 192.0.2.1 GET / 200 by curl/8",
            ),
            (
                "a user's name is the client's choice",
                r#"192.0.2.1 - @admin:example.org [22/Nov/2026:09:02:38 +0000] "GET / HTTP/1.1" 401 1 "-" "curl/8""#,
                Format::Combined,
                "2026-11-22T09:02:38Z 192.0.2.1 GET / 401 by curl/8",
            ),
            (
                "columns behind it",
                r#"192.0.2.1 - - [22/Nov/2026:09:02:38 +0000] "GET / HTTP/1.1" 200 1 "-" "curl/8" "198.51.100.7" 0.003"#,
                Format::Combined,
                "2026-11-22T09:02:38Z 192.0.2.1 GET / 200 by curl/8",
            ),
            (
                "our own, by a user with a fingerprint",
                r#"unix: - h:0123abcd [22/Nov/2026:09:02:38 +0000] "GET /?access_token=<redacted> HTTP/1.1" 200 1 "-" "-""#,
                Format::Combined,
                "2026-11-22T09:02:38Z GET /?access_token=<redacted> 200",
            ),
            (
                "a bracket in the user's name",
                r#"192.0.2.1 - [22/Nov [22/Nov/2026:09:02:38 +0000] "GET / HTTP/1.1" 200 1 "-" "-""#,
                Format::Combined,
                "2026-11-22T09:02:38Z 192.0.2.1 GET / 200",
            ),
            (
                "TLS on a plain port",
                r#"192.0.2.1 - - [22/Nov/2026:09:02:38 +0000] "\x16\x03\x01" 400 157 "-" "-""#,
                Format::Combined,
                "2026-11-22T09:02:38Z 192.0.2.1 \u{16}\u{3}\u{1} 400",
            ),
            (
                "nobody was answered",
                r#"192.0.2.1 - - [22/Nov/2026:09:02:38 +0000] "GET / HTTP/1.1" 000 0 "-" "-""#,
                Format::Combined,
                "2026-11-22T09:02:38Z 192.0.2.1 GET /",
            ),
            (
                "cut in the target",
                r#"192.0.2.1 - - [22/Nov/2026:09:02:38 +0000] "GET /?access_token=SECR"#,
                Format::Combined,
                "2026-11-22T09:02:38Z 192.0.2.1 GET /?access_token=SECR",
            ),
            (
                "common",
                r#"192.0.2.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /a.gif HTTP/1.0" 200 2326"#,
                Format::Common,
                "2000-10-10T20:55:36Z 192.0.2.1 GET /a.gif 200",
            ),
            (
                "Traefik",
                r#"192.0.2.1 - - [22/Nov/2026:09:02:38 +0000] "GET /p?access_token=SECRET HTTP/1.1" 200 5 "-" "curl/8" 7 "matrix@docker" "http://10.0.0.2:8008" 12ms"#,
                Format::Traefik,
                "2026-11-22T09:02:38Z 192.0.2.1 GET /p?access_token=SECRET 200 by curl/8",
            ),
        ],
    );
}

#[test]
fn what_only_looks_like_the_common_log_format_is_text() {
    let no_time = r#"192.0.2.1 - - [yesterday] "GET / HTTP/1.1" 200 1"#;
    check(
        &reader(),
        &[
            ("no time", no_time, Format::Text, ""),
            ("nothing", "", Format::Text, ""),
            ("prose", "Bearer of [good] \"news\"", Format::Text, ""),
        ],
    );
}

#[test]
fn reads_other_proxies() {
    check(
        &reader(),
        &[
            (
                "HAProxy",
                r#"192.0.2.1:33317 [22/Nov/2026:10:02:38.655] in~ matrix/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {example.org|Element X/1.0|https://c/?access_token=SECRET} {} "GET /p?access_token=SECRET HTTP/1.1""#,
                Format::Haproxy,
                "2026-11-22T09:02:38.655Z 192.0.2.1 GET /p?access_token=SECRET 200 from https://c/?access_token=SECRET by Element X/1.0",
            ),
            (
                "HAProxy's escapes",
                r#"2001:db8::1:33317 [22/Nov/2026:10:02:38.655] in matrix/<NOSRV> -1/-1/-1/-1/0 503 212 - - SC-- 1/1/0/0/0 0/0 "GET /?a=#22b#22 HTTP/1.1""#,
                Format::Haproxy,
                r#"2026-11-22T09:02:38.655Z 2001:db8::1 GET /?a="b" 503"#,
            ),
            (
                "HAProxy, behind a syslog prefix without a host",
                r#"<134>Nov 22 10:02:38 haproxy[123]: 192.0.2.1:33317 [22/Nov/2026:10:02:38.655] in in/srv1 0/0/0/1/1 401 93 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1""#,
                Format::Haproxy,
                "2026-11-22T09:02:38.655Z 192.0.2.1 GET / 401",
            ),
            (
                "HAProxy, a bad request",
                r#"192.0.2.1:33317 [22/Nov/2026:10:02:38.655] in in/<NOSRV> -1/-1/-1/-1/5 400 0 - - PR-- 1/1/0/0/0 0/0 "<BADREQ>""#,
                Format::Haproxy,
                "2026-11-22T09:02:38.655Z 192.0.2.1 <BADREQ> 400",
            ),
            (
                "Envoy",
                r#"[2026-11-22T09:02:38.123Z] "GET /p?access_token=SECRET HTTP/1.1" 200 - 0 5 1 0 "192.0.2.1" "curl/8" "5f6a" "example.org" "10.0.0.2:8008""#,
                Format::Envoy,
                "2026-11-22T09:02:38.123Z 192.0.2.1 GET /p?access_token=SECRET 200 by curl/8",
            ),
            (
                "Envoy's nothing",
                r#"[2026-11-22T09:02:38.123Z] "- - HTTP/1.1" 400 DPE 0 11 0 - "-" "-" "-" "-" "-""#,
                Format::Envoy,
                "2026-11-22T09:02:38.123Z 400",
            ),
            (
                "Istio",
                r#"[2026-11-22T09:02:38.123Z] "GET / HTTP/1.1" 200 - via_upstream - "-" 0 5 1 0 "198.51.100.9,10.0.0.1" "curl/8" "5f6a" "example.org" "10.0.0.2:8008" outbound|8008||matrix.default.svc.cluster.local 10.0.0.3:51234 10.0.0.4:8443 192.0.2.1:4711 example.org default"#,
                Format::Envoy,
                "2026-11-22T09:02:38.123Z 192.0.2.1 GET / 200 by curl/8",
            ),
            (
                "AWS",
                r#"https 2026-11-22T09:02:38.186641Z app/lb/50dc 192.0.2.1:2817 10.0.0.1:80 0.086 0.048 0.037 200 201 0 57 "GET https://example.org:443/p?access_token=SECRET HTTP/1.1" "curl/8" ECDHE TLSv1.2 arn "Root=1-58" "-" "-" 0 2026-11-22T09:02:38.100000Z "forward" "-" "-""#,
                Format::Alb,
                "2026-11-22T09:02:38.186641Z 192.0.2.1 GET /p?access_token=SECRET 200 by curl/8",
            ),
            (
                "nginx's error log",
                r#"2026/11/22 10:02:38 [error] 123#123: *45 connect() failed (111: Connection refused) while connecting to upstream, client: 192.0.2.1, server: example.org, request: "GET /p?access_token=SECRET HTTP/1.1", upstream: "http://127.0.0.1:8008/p?access_token=SECRET", host: "example.org", referrer: "https://c/?access_token=SECRET""#,
                Format::NginxError,
                "2026-11-22T09:02:38Z 192.0.2.1 GET /p?access_token=SECRET from https://c/?access_token=SECRET",
            ),
            (
                "nginx's error log, cut in the request",
                r#"2026/11/22 10:02:38 [warn] 1#1: *4 a client request body is buffered, client: 192.0.2.1, server: h, request: "POST /p?access_token=SECRET&aaaa"#,
                Format::NginxError,
                "2026-11-22T09:02:38Z 192.0.2.1 POST /p?access_token=SECRET&aaaa",
            ),
            (
                "nginx's error log, no request",
                "2026/11/22 10:02:38 [notice] 1#1: start worker processes",
                Format::NginxError,
                "2026-11-22T09:02:38Z",
            ),
        ],
    );
}
