//! What a client wrote into its own line is no line of somebody else, and proves nothing.

use super::{Format, LineReader, LogFormat, check, reader};

const PROCESSED: &str = r#"x - 198.51.100.9 - 8 - {@admin:hs} Processed request: 0 200 "GET /_matrix/client/v3/sync?access_token=SECRET HTTP/1.1" "y" [0 dbevts]"#;
const RECEIVED: &str = "curl - 198.51.100.9 - x - Received request: GET /x";

/// Each prefix with a date, in front of lines whose user agents look like Synapse's lines.
#[test]
fn a_user_agent_takes_over_no_line() {
    let cases = [
        (
            "Envoy",
            format!(
                r#"[2026-11-22T09:02:38.123Z] "GET /x HTTP/1.1" 404 - 0 5 1 0 "192.0.2.1" "{PROCESSED}" "id" "h" "10.0.0.2:8008""#
            ),
            Format::Envoy,
            "2026-11-22T09:02:38.123Z 192.0.2.1 GET /x 404 by x - 198.51.100.9 - 8 - {@admin:hs} Processed request: 0 200 ",
        ),
        (
            "nginx",
            format!(
                r#"192.0.2.1 - - [22/Nov/2026:09:02:38 +0000] "GET /p HTTP/1.1" 200 5 "-" "{RECEIVED}""#
            ),
            Format::Combined,
            "2026-11-22T09:02:38Z 192.0.2.1 GET /p 200 by curl - 198.51.100.9 - x - Received request: GET /x",
        ),
        (
            "HAProxy",
            format!(
                r#"192.0.2.1:33317 [22/Nov/2026:10:02:38.655] in matrix/srv1 0/0/0/1/1 401 9 - - ---- 1/1/0/0/0 0/0 {{{RECEIVED}}} "GET /p HTTP/1.1""#
            ),
            Format::Haproxy,
            "2026-11-22T09:02:38.655Z 192.0.2.1 GET /p 401",
        ),
        (
            "Caddy",
            format!(
                r#"{{"ts":1795338158,"logger":"http.log.access","request":{{"client_ip":"192.0.2.1","method":"GET","uri":"/p","headers":{{"User-Agent":["{RECEIVED}"]}}}},"status":404}}"#
            ),
            Format::Caddy,
            "2026-11-22T09:02:38Z 192.0.2.1 GET /p 404 by curl - 198.51.100.9 - x - Received request: GET /x",
        ),
        (
            "MAS",
            format!(
                r#"2026-11-22T09:02:38Z  INFO http.server.response GET-6 - "GET /p HTTP/1.1" 404 "{}" [1ms/1ms] client.address=192.0.2.1 trace.id=1"#,
                PROCESSED.replace('"', "\\\"")
            ),
            Format::Mas,
            "2026-11-22T09:02:38Z 192.0.2.1 GET /p 404 by x - 198.51.100.9 - 8 - {@admin:hs} Processed request: 0 200 \"GET /_matrix/client/v3/sync?access_token=SECRET HTTP/1.1\" \"y\" [0 dbevts]",
        ),
    ];
    let prefixes = [
        "",
        "2026-11-22T09:02:39.1Z stdout F ",
        "2026-11-22T09:02:39.1Z ",
        "2026-11-22T10:02:39+0100 host app[7]: ",
    ];
    for (name, line, format, said) in &cases {
        for prefix in prefixes {
            let line = format!("{prefix}{line}");
            check(&reader(), &[(name, &line, *format, said)]);
        }
    }
}

#[test]
fn a_line_of_something_unknown_is_not_synapses() {
    let rows = [
        (
            "a user agent behind the target",
            format!("192.0.2.1|GET|/p?access_token=SECRET|401|{PROCESSED}"),
        ),
        (
            "a user agent before it",
            format!("{PROCESSED}|192.0.2.1|GET|/p?access_token=SECRET|401"),
        ),
        (
            "a request that came in",
            format!("192.0.2.1|GET|/p?access_token=SECRET|401|{RECEIVED}"),
        ),
    ];
    for (name, line) in rows {
        check(&reader(), &[(name, &line, Format::Text, "")]);
    }
    check(
        &reader(),
        &[(
            "another logger of Synapse, with what a remote server said",
            r#"2026-11-22 10:02:38,123 - synapse.http.matrixfederationclient - 1 - WARN - x - 198.51.100.9 - 8 - {@admin:hs} Processed request: 0 200 "GET /p HTTP/1.1" "y" [0 dbevts]"#,
            Format::Synapse,
            "2026-11-22T09:02:38.123Z",
        )],
    );
}

#[test]
fn quotes_that_nobody_escaped_forge_nothing() {
    check(
        &reader(),
        &[
            (
                "Envoy, quotes in the target",
                r#"[2026-11-22T09:02:38.123Z] "GET /p?filter={"room":{}}&access_token=SECRET HTTP/1.1" 200 - 0 5 1 0 "192.0.2.1" "curl/8" "id" "h" "10.0.0.2:8008""#,
                Format::Envoy,
                r#"2026-11-22T09:02:38.123Z 192.0.2.1 GET /p?filter={"room":{}}&access_token=SECRET 200 by curl/8"#,
            ),
            (
                "Envoy, a request in the user agent",
                r#"[2026-11-22T09:02:38.123Z] "GET /p?a"b HTTP/1.1" 200 - 0 5 1 0 "192.0.2.1" "x HTTP/1.1" 401 - 0" "id" "h" "10.0.0.2:8008""#,
                Format::Envoy,
                "2026-11-22T09:02:38.123Z 192.0.2.1 GET /p?a\"b 200 by x HTTP/1.1",
            ),
            (
                "Envoy, addresses that the client sent",
                r#"[2026-11-22T09:02:38.123Z] "GET /p HTTP/1.1" 200 - 0 5 1 0 "198.51.100.9, 192.0.2.1" "curl/8" "id" "h" "10.0.0.2:8008""#,
                Format::Envoy,
                "2026-11-22T09:02:38.123Z 192.0.2.1 GET /p 200 by curl/8",
            ),
            (
                "Traefik, quotes in the target",
                r#"192.0.2.1 - - [22/Nov/2026:09:02:38 +0000] "GET /p?filter={"room":{}}&access_token=SECRET HTTP/1.1" 200 5 "-" "curl/8" 7 "matrix@docker" "http://10.0.0.2:8008" 12ms"#,
                Format::Traefik,
                r#"2026-11-22T09:02:38Z 192.0.2.1 GET /p?filter={"room":{}}&access_token=SECRET 200 by curl/8"#,
            ),
            (
                "Traefik, a line in the user's name",
                r#"192.0.2.1 - x [22/Nov/2020:09:02:38 +0000] "GET /p?access_token=SECRET HTTP/1.1" 200 5 "-" [22/Nov/2026:09:02:38 +0000] "GET / HTTP/1.1" 401 5 "-" "curl/8" 7 "matrix@docker" "http://10.0.0.2:8008" 12ms"#,
                Format::Combined,
                "192.0.2.1 GET /p?access_token=SECRET",
            ),
            (
                "Traefik, an answer in the target",
                r#"192.0.2.1 - - [22/Nov/2026:09:02:38 +0000] "GET /p?access_token=SECRET HTTP/1.1" 200 5 "-" "x" HTTP/2.0" 401 5 "-" "curl/8" 7 "matrix@docker" "http://10.0.0.2:8008" 12ms"#,
                Format::Combined,
                "2026-11-22T09:02:38Z 192.0.2.1 GET /p?access_token=SECRET by x",
            ),
        ],
    );
}

#[test]
fn only_what_a_format_calls_authorization_is_that() {
    let given = "log_format x '$remote_addr \"$request\" $status \"$http_authorization\" \"$http_x_forwarded_for\"';";
    let given = LogFormat::parse(given).expect(given);
    let rows = [
        (
            "a given format",
            r#"192.0.2.1 "GET /p HTTP/1.1" 200 "Bearer ITS-OWN" "Bearer ANOTHER""#,
        ),
        (
            "Caddy",
            r#"{"logger":"http.log.access","request":{"uri":"/p","headers":{"X-Foo":["Bearer ANOTHER"],"Authorization":["Bearer ITS-OWN"]}},"status":401}"#,
        ),
        (
            "Traefik's JSON",
            r#"{"DownstreamContentSize":5,"RequestPath":"/p","request_Authorization":"Bearer ITS-OWN","request_X-Foo":"Bearer ANOTHER"}"#,
        ),
        (
            "Traefik's JSON in Docker's",
            r#"{"log":"{\"RequestPath\":\"/p\",\"request_Authorization\":\"Bearer ITS-OWN\",\"request_X-Foo\":\"Bearer ANOTHER\"}\n","stream":"stdout"}"#,
        ),
        (
            "a column without a name",
            r#"192.0.2.1 - - [22/Nov/2026:09:02:38 +0000] "GET /p HTTP/1.1" 200 42 "-" "curl/8" "Bearer ANOTHER""#,
        ),
    ];
    for (name, line) in rows {
        let reader = LineReader::new(std::slice::from_ref(&given));
        let (_, record) = reader.read(line.as_bytes());
        if let Some(own) = line.find("ITS-OWN") {
            assert!(record.is_authorization(own), "case: {name}");
        }
        let another = line.find("ANOTHER").expect("in the line");
        assert!(!record.is_authorization(another), "case: {name}");
    }
}
