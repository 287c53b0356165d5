//! Lines as the real programs wrote them, their tokens replaced.

use super::{Field, Format, LineReader, LogFormat, check};

const CUSTOM: &str = "log_format custom '$msec|$remote_addr|$request_method|$request_uri|$status|$http_referer|$http_user_agent|$http_authorization';";
const JSON: &str = r#"log_format json escape=json '{"at":"$time_iso8601","ip":"$remote_addr","line":"$request","answer":$status,"from":"$http_referer","with":"$http_user_agent"}';"#;

fn reader() -> LineReader {
    let given = [CUSTOM, JSON].map(|directive| LogFormat::parse(directive).expect(directive));
    LineReader::new(&given).at(&"2026-11-22T12:00:00Z[UTC]".parse().expect("a time"))
}

const CASES: &[(&str, &str, Format, &str)] = &[
    (
        "nginx 1.22, combined",
        r#"127.0.0.1 - - [22/Nov/2026:10:00:46 +0000] "GET /_matrix/client/v3/sync?a=\x22b\x22&access_token=SECRET HTTP/1.1" 200 0 "-" "Element X/24.07.2 (iPhone14,5; iOS 17.5.1; Scale/3.00)""#,
        Format::Combined,
        "2026-11-22T10:00:46Z 127.0.0.1 GET /_matrix/client/v3/sync?a=\"b\"&access_token=SECRET 200 by Element X/24.07.2 (iPhone14,5; iOS 17.5.1; Scale/3.00)",
    ),
    (
        "nginx 1.22, custom",
        "1795341646.188|127.0.0.1|GET|/_matrix/client/v3/account/whoami?access%5Ftoken=SECRET|401|-|curl/8.5.0|-",
        Format::Custom,
        "2026-11-22T10:00:46.188Z 127.0.0.1 GET /_matrix/client/v3/account/whoami?access%5Ftoken=SECRET 401 by curl/8.5.0",
    ),
    (
        "nginx 1.22, escape=json",
        r#"{"at":"2026-11-22T10:00:46+00:00","ip":"127.0.0.1","line":"GET /_matrix/client/v3/sync?a=\"b\"&access_token=SECRET HTTP/1.1","answer":200,"from":"","with":"curl/8.5.0"}"#,
        Format::Custom,
        "2026-11-22T10:00:46Z 127.0.0.1 GET /_matrix/client/v3/sync?a=\"b\"&access_token=SECRET 200 by curl/8.5.0",
    ),
    (
        "nginx 1.22, errors",
        r#"2026/11/22 10:00:46 [error] 26843#26843: *28 connect() failed (111: Connection refused) while connecting to upstream, client: 127.0.0.1, server: , request: "GET /_matrix/client/v3/sync?a="b"&access_token=SECRET HTTP/1.1", upstream: "http://127.0.0.1:18737/_matrix/client/v3/sync?a="b"&access_token=SECRET", host: "localhost""#,
        Format::NginxError,
        "2026-11-22T10:00:46Z 127.0.0.1 GET /_matrix/client/v3/sync?a=\"b\"&access_token=SECRET",
    ),
    (
        "nginx 1.22, errors with a Referer",
        r#"2026/11/22 10:00:46 [error] 26843#26843: *30 connect() failed (111: Connection refused) while connecting to upstream, client: 127.0.0.1, server: , request: "GET /_matrix/client/v3/sync HTTP/1.1", upstream: "http://127.0.0.1:18737/_matrix/client/v3/sync", host: "localhost", referrer: "https://app.example/?access_token=SECRET&b=1""#,
        Format::NginxError,
        "2026-11-22T10:00:46Z 127.0.0.1 GET /_matrix/client/v3/sync from https://app.example/?access_token=SECRET&b=1",
    ),
    (
        "Caddy",
        r#"{"level":"info","ts":1795341646.3962765,"logger":"http.log.access.log0","msg":"handled request","request":{"remote_ip":"127.0.0.1","remote_port":"50144","client_ip":"127.0.0.1","proto":"HTTP/1.1","method":"GET","host":"localhost","uri":"/_matrix/client/v3/sync","headers":{"Referer":["https://app.example/?access_token=SECRET&b=1"],"Connection":["close"],"User-Agent":["curl/8.5.0"]}},"bytes_read":0,"user_id":"","duration":0.000028284,"size":0,"status":200,"resp_headers":{"Server":["Caddy"],"Content-Type":[]}}"#,
        Format::Caddy,
        "2026-11-22T10:00:46.3962765Z 127.0.0.1 GET /_matrix/client/v3/sync 200 from https://app.example/?access_token=SECRET&b=1 by curl/8.5.0",
    ),
    (
        "HAProxy",
        r#"<134>Nov 22 10:00:46 haproxy[26852]: 127.0.0.1:53888 [22/Nov/2026:10:00:46.496] matrix matrix/<NOSRV> 0/-1/-1/-1/0 200 49 - - LR-- 1/1/0/0/0 0/0 {Element X/24.07.2 (iPhone14,5; iOS 17.5.1; Scale/3.00)|https://app.example/?access_token=SECRET} "GET /_matrix/client/v3/sync HTTP/1.1""#,
        Format::Haproxy,
        "2026-11-22T10:00:46.496Z 127.0.0.1 GET /_matrix/client/v3/sync 200 from https://app.example/?access_token=SECRET by Element X/24.07.2 (iPhone14,5; iOS 17.5.1; Scale/3.00)",
    ),
    (
        "Envoy",
        r#"[2026-11-22T10:00:46.800Z] "GET /_matrix/client/v3/account/whoami?access%5Ftoken=SECRET HTTP/1.1" 401 - 0 0 0 - "192.0.2.2" "curl/8.5.0" "0da0e180-b7f7-41aa-8ef7-31d7a9b14dd7" "localhost" "-""#,
        Format::Envoy,
        "2026-11-22T10:00:46.8Z 192.0.2.2 GET /_matrix/client/v3/account/whoami?access%5Ftoken=SECRET 401 by curl/8.5.0",
    ),
    (
        "Synapse 1.163",
        r#"2026-11-22 10:01:44,675 synapse.access.http.28521 INFO 127.0.0.1 - 28521 - {None} Processed request: 0.014sec/0.001sec ru=(0.002sec, 0.000sec) db=(0.010sec/0.000sec/1) 88B 401 "GET /_matrix/client/v3/sync?%61ccess_token=SECRET&a=1 HTTP/1.1" "Element X/24.07.2 (iPhone14,5; iOS 17.5.1; Scale/3.00)" [0 dbevts]"#,
        Format::Synapse,
        "2026-11-22T10:01:44.675Z 127.0.0.1 GET /_matrix/client/v3/sync?%61ccess_token=SECRET&a=1 401 by Element X/24.07.2 (iPhone14,5; iOS 17.5.1; Scale/3.00)",
    ),
    (
        "Synapse 1.163, an error",
        "2026-11-22 10:01:44,672 synapse.http.server INFO <XForwardedForRequest at 0x7f359ffdb690 method='GET' uri='/_matrix/client/v3/sync?%61ccess_token=SECRET&a=1' clientproto='HTTP/1.1' site='28521'> SynapseError: 401 - Invalid access token passed.",
        Format::Synapse,
        "2026-11-22T10:01:44.672Z GET /_matrix/client/v3/sync?%61ccess_token=SECRET&a=1 401",
    ),
];

#[test]
fn reads_what_programs_wrote() {
    check(&reader(), CASES);
}

/// HAProxy ends a field with what a value may have, too.
#[test]
fn a_secret_ends_with_its_part() {
    let line = CASES[6].1;
    let (_, record) = reader().read(line.as_bytes());
    let from = line.find("SECRET").expect("in the line");
    assert_eq!(record.field_at(from), Field::Referer);
    assert_eq!(record.cut(from..from + 8), from..from + 6);
    let elsewhere = line.find("NOSRV").expect("in the line");
    assert_eq!(
        record.cut(elsewhere..elsewhere + 9),
        elsewhere..elsewhere + 9
    );
}
