//! Formats that operators give.

use super::{Field, Format, LineReader, LogFormat, check};

fn reader(directive: &str) -> LineReader {
    LineReader::new(&[LogFormat::parse(directive).expect(directive)])
}

#[test]
fn reads_given_formats() {
    let main = "log_format main '$remote_addr - $remote_user [$time_local] \"$request\" '\n \
                '$status $body_bytes_sent \"$http_referer\" \"$http_user_agent\" auth=\"$http_authorization\"';";
    check(
        reader(main),
        &[
            (
                "a header at the end",
                r#"192.0.2.1 - - [22/Nov/2026:09:02:38 +0000] "GET /p HTTP/1.1" 200 4 "-" "curl/8" auth="Bearer SECRET""#,
                Format::Custom,
                "2026-11-22T09:02:38Z 192.0.2.1 GET /p 200 by curl/8",
            ),
            (
                "another format beside it",
                r#"192.0.2.1 - - [22/Nov/2026:09:02:38 +0000] "GET /p HTTP/1.1" 200 4 "-" "curl/8""#,
                Format::Combined,
                "2026-11-22T09:02:38Z 192.0.2.1 GET /p 200 by curl/8",
            ),
            (
                "cut in the user agent",
                r#"192.0.2.1 - - [22/Nov/2026:09:02:38 +0000] "GET /p HTTP/1.1" 200 4 "-" "cur"#,
                Format::Custom,
                "2026-11-22T09:02:38Z 192.0.2.1 GET /p 200 by cur",
            ),
        ],
    );
    check(
        reader(
            "log_format parts '$msec|$scheme://$host$uri?$args|$request_method|$status|$http_referer';",
        ),
        &[(
            "a target of parts",
            "1795338158.123|https://example.org/p?access_token=SECRET|GET|401|https://c/",
            Format::Custom,
            "2026-11-22T09:02:38.123Z GET /p?access_token=SECRET 401 from https://c/",
        )],
    );
    check(
        reader(
            "log_format json escape=json '{\"at\":\"$time_iso8601\",\"asked\":\"$request_uri\",\"got\":$status,\"with\":\"$http_user_agent\"}'",
        ),
        &[(
            "JSON with names of its own",
            r#"{"at":"2026-11-22T09:02:38+00:00","asked":"/p?a=\"\u0001","got":200,"with":"a\\"}"#,
            Format::Custom,
            "2026-11-22T09:02:38Z /p?a=\"\u{1} 200 by a\\",
        )],
    );
    check(
        reader("log_format plain escape=none ${remote_addr}\\t$upstream_status\\t$request;"),
        &[
            (
                "tabs, and no quotes at all",
                "192.0.2.1\t200, 502\tGET /p?\\x22 HTTP/1.1",
                Format::Custom,
                r"192.0.2.1 GET /p?\x22",
            ),
            ("no address", "one\ttwo\tthree", Format::Text, ""),
        ],
    );
}

#[test]
fn a_given_format_is_tried_within_envelopes() {
    let line = "Nov 22 09:02:38 host nginx: GET 200 /p?access_token=SECRET";
    let mut reader = reader("log_format x '$request_method $status $request_uri';");
    let (format, record) = reader.read(line.as_bytes());
    assert_eq!(format, Format::Custom);
    let at = line.find("SECRET").expect("in the line");
    assert_eq!(record.field_at(at), Field::Request);
}
