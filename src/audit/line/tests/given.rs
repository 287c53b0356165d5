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
        &reader(main),
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
        &reader(
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
        &reader(
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
        &reader("log_format plain escape=none ${remote_addr}\\t$upstream_status\\t$request;"),
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

/// nginx escapes quotes and nothing else: what a client writes may look like the rest of
/// the line.
#[test]
fn a_value_moves_no_other() {
    check(
        &reader(
            "log_format x '$remote_addr|$time_iso8601|$request_method|$request_uri|$status|$http_user_agent';",
        ),
        &[
            (
                "nothing odd",
                "192.0.2.1|2026-11-22T09:02:38+00:00|GET|/p?access_token=SECRET|401|curl/8",
                Format::Custom,
                "2026-11-22T09:02:38Z 192.0.2.1 GET /p?access_token=SECRET 401 by curl/8",
            ),
            (
                "a status in the user agent",
                "192.0.2.1|2026-11-22T09:02:38+00:00|GET|/p?access_token=SECRET&x=|401|y|200|curl/8",
                Format::Custom,
                "2026-11-22T09:02:38Z 192.0.2.1 GET /p?access_token=SECRET&x= by y|200|curl/8",
            ),
            (
                "a status in the target",
                "192.0.2.1|2026-11-22T09:02:38+00:00|GET|/p?access_token=SECRET|200|x|401|curl/8",
                Format::Custom,
                "2026-11-22T09:02:38Z 192.0.2.1 GET /p?access_token=SECRET by x|401|curl/8",
            ),
            (
                "separators, and no status among them",
                "192.0.2.1|2026-11-22T09:02:38+00:00|GET|/p?a|b=|c|401|curl/8 (|x|)",
                Format::Custom,
                "2026-11-22T09:02:38Z 192.0.2.1 GET /p?a|b=|c 401 by curl/8 (|x|)",
            ),
        ],
    );
    check(
        &reader(
            "log_format x '$http_user_agent|$upstream_http_x_matrix_user|$request|$status|$msec|$body_bytes_sent';",
        ),
        &[
            (
                "a user",
                "x|@alice:h|GET /p HTTP/1.1|200|1795338158.123|5",
                Format::Custom,
                "2026-11-22T09:02:38.123Z GET /p 200 by x of @alice:h",
            ),
            (
                "a user in the user agent",
                "x|@admin:h|@alice:h|GET /p HTTP/1.1|200|1795338158.123|5",
                Format::Custom,
                "2026-11-22T09:02:38.123Z @alice:h|GET /p HTTP/1.1 by x",
            ),
        ],
    );
    check(
        &reader(
            "log_format x '$remote_addr - $remote_user [$time_local] \"$request\" $request_time $status';",
        ),
        &[
            (
                "a bracket in the user's name",
                r#"192.0.2.1 - x [y [22/Nov/2026:09:02:38 +0000] "GET /p HTTP/1.1" 0.003 401"#,
                Format::Custom,
                "2026-11-22T09:02:38Z 192.0.2.1 GET /p 401",
            ),
            (
                "an address in it",
                r#"192.0.2.1 - 198.51.100.9 - @admin:h [22/Nov/2026:09:02:38 +0000] "GET /p HTTP/1.1" 0.003 401"#,
                Format::Custom,
                "2026-11-22T09:02:38Z 192.0.2.1 GET /p 401",
            ),
        ],
    );
    check(
        &reader(
            r#"log_format x escape=json '{"with":"$http_user_agent","asked":"$uri?$args","got":$status}';"#,
        ),
        &[(
            "quotes that are escaped, and a second mark of a query",
            r#"{"with":"a\",\"asked\":\"/x?\",\"got\":200}","asked":"/p?a?b","got":401}"#,
            Format::Custom,
            r#"/p?a?b 401 by a","asked":"/x?","got":200}"#,
        )],
    );
}

#[test]
fn values_have_the_lengths_that_nginx_gives_them() {
    let rows = [
        (
            "an address and its port",
            "log_format x '$remote_addr:$remote_port [$time_iso8601] \"$request\" $status \"$http_user_agent\"';",
            r#"2001:db8::1:51234 [2026-11-22T09:02:38+00:00] "GET /p HTTP/1.1" 200 "curl/8""#,
            "2026-11-22T09:02:38Z 2001:db8::1 GET /p 200 by curl/8",
        ),
        (
            "a blank in the time",
            "log_format x '$status $time_local $request_uri';",
            "200 22/Nov/2026:09:02:38 +0500 /p?access_token=SECRET",
            "2026-11-22T04:02:38Z /p?access_token=SECRET 200",
        ),
        (
            "blanks in the request",
            "log_format x '$remote_addr $time_iso8601 $request $status $body_bytes_sent';",
            "192.0.2.1 2026-11-22T09:02:38+00:00 GET /p HTTP/1.1 200 5",
            "2026-11-22T09:02:38Z 192.0.2.1 GET /p 200",
        ),
        (
            "two upstreams",
            "log_format x '$remote_addr $upstream_addr $status \"$request\"';",
            r#"192.0.2.1 10.0.0.1:8008, 10.0.0.2:8008 200 "GET /p HTTP/1.1""#,
            "192.0.2.1 GET /p 200",
        ),
        (
            "two upstreams before a target",
            "log_format x '$status $upstream_status $request_uri';",
            "200 502, 200 /p",
            "/p 200",
        ),
        (
            "comments",
            "# the shortest of all\n log_format x '$remote_addr ' # who\n '$status ' #\n # and what\n '\"$request\"';",
            r#"192.0.2.1 200 "GET /p HTTP/1.1""#,
            "192.0.2.1 GET /p 200",
        ),
    ];
    for (name, directive, line, said) in rows {
        check(&reader(directive), &[(name, line, Format::Custom, said)]);
    }
}

#[test]
fn a_given_format_is_tried_within_envelopes() {
    let line = "Nov 22 09:02:38 host nginx: GET 200 /p?access_token=SECRET";
    let reader = reader("log_format x '$request_method $status $request_uri';");
    let (format, record) = reader.read(line.as_bytes());
    assert_eq!(format, Format::Custom);
    let at = line.find("SECRET").expect("in the line");
    assert_eq!(record.field_at(at), Field::Request);
}
