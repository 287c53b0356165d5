//! Logs of homeservers and of what belongs to them.

use super::{Format, check, reader};

#[test]
fn reads_homeservers() {
    check(
        &reader(),
        &[
            (
                "Synapse",
                r#"2026-11-22 10:02:38,123 - synapse.access.http.8008 - 508 - INFO - GET-42 - 192.0.2.1 - 8008 - {@alice:example.org} Processed request: 0.013sec/0.001sec ru=(0.004sec, 0.001sec) db=(0.001sec/0.003sec/5) 180B 200 "GET /_matrix/client/v3/sync?%61ccess_token=SECRET HTTP/1.1" "Element X/1.0 "quoted"" [0 dbevts]"#,
                Format::Synapse,
                r#"2026-11-22T09:02:38.123Z 192.0.2.1 GET /_matrix/client/v3/sync?%61ccess_token=SECRET 200 by Element X/1.0 "quoted" of @alice:example.org"#,
            ),
            (
                "Synapse, a client that left, an administrator as another",
                r#"2026-11-22 10:02:38,123 synapse.access.http.8008 INFO ::ffff:192.0.2.1 - 8008 - {@admin:h|@bob:h} Processed request: 0.013sec/-0.001sec ru=(0.004sec, 0.001sec) db=(0.001sec/0.003sec/5) 0B 401! "GET /p HTTP/1.1" "-" [0 dbevts]"#,
                Format::Synapse,
                "2026-11-22T09:02:38.123Z 192.0.2.1 GET /p 401 of @admin:h",
            ),
            (
                "Synapse, nobody",
                r#"192.0.2.1 - 8008 - {None} Processed request: 0.013sec/0.001sec ru=(0.004sec, 0.001sec) db=(0.001sec/0.003sec/5) 10B 404 "GET /x HTTP/1.1" "curl/8" [0 dbevts]"#,
                Format::Synapse,
                "192.0.2.1 GET /x 404 by curl/8",
            ),
            (
                "Synapse, before the answer",
                "2026-11-22 10:02:38,123 - synapse.http.site - 391 - DEBUG - GET-42 - 192.0.2.1 - 8008 - Received request: GET /p?token=SECRET",
                Format::Synapse,
                "2026-11-22T09:02:38.123Z 192.0.2.1 GET /p?token=SECRET",
            ),
            (
                "Synapse, anything else",
                "2026-11-22 10:02:38,123 - synapse.storage.schema - 91 - INFO - main - Applying",
                Format::Synapse,
                "2026-11-22T09:02:38.123Z",
            ),
            (
                "Synapse under systemd",
                r#"Nov 22 10:02:39 host synapse[7]: 2026-11-22 10:02:38,123 - synapse.access.http.8008 - 508 - INFO - GET-42 - 192.0.2.1 - 8008 - {None} Processed request: 0.013sec/0.001sec ru=(0.004sec, 0.001sec) db=(0.001sec/0.003sec/5) 10B 404 "GET /x HTTP/1.1" "curl/8" [0 dbevts]"#,
                Format::Synapse,
                "2026-11-22T09:02:38.123Z 192.0.2.1 GET /x 404 by curl/8",
            ),
            (
                "MAS",
                r#"2026-11-22T09:02:38.123456Z  INFO http.server.response GET-6 - "GET /.well-known/openid-configuration HTTP/1.1" 200 "curl/8 \"x\"" [107.5µs/1.2ms] client.address=192.0.2.1 trace.id=1"#,
                Format::Mas,
                r#"2026-11-22T09:02:38.123456Z 192.0.2.1 GET /.well-known/openid-configuration 200 by curl/8 "x""#,
            ),
            (
                "MAS, anything else",
                "2026-11-22T09:02:38.123456Z  WARN mas_handlers::compat::login:1 POST-7 - token mct_FAKE",
                Format::Mas,
                "2026-11-22T09:02:38.123456Z",
            ),
        ],
    );
}
