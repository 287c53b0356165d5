//! JSON logs.

use super::{Field, Format, check, reader};

#[test]
fn reads_json_logs() {
    check(
        &reader(),
        &[
            (
                "Caddy",
                r#"{"level":"info","ts":1795338158.1234567,"logger":"http.log.access.log0","msg":"handled request","request":{"remote_ip":"10.0.0.1","remote_port":"1","client_ip":"192.0.2.1","proto":"HTTP/1.1","method":"GET","host":"h","uri":"/p?access_token=SECRET\u0026a=1","headers":{"User-Agent":["curl/8","x"],"Accept":["*/*"],"Referer":["https://c/?access_token=SECRET"]}},"bytes_read":0,"user_id":"","duration":0.1,"size":5,"status":200,"resp_headers":{"User-Agent":["no"],"Server":["Caddy"]}}"#,
                Format::Caddy,
                "2026-11-22T09:02:38.1234567Z 192.0.2.1 GET /p?access_token=SECRET&a=1 200 from https://c/?access_token=SECRET by curl/8",
            ),
            (
                "Traefik",
                r#"{"ClientAddr":"192.0.2.1:5","ClientHost":"192.0.2.1","ClientUsername":"-","DownstreamContentSize":5,"DownstreamStatus":401,"RequestMethod":"GET","RequestPath":"/p?access_token=SECRET","StartUTC":"2026-11-22T09:02:38.5Z","level":"info","request_User-Agent":"curl/8","time":"2026-11-22T09:02:39Z"}"#,
                Format::TraefikJson,
                "2026-11-22T09:02:39Z 192.0.2.1 GET /p?access_token=SECRET 401 by curl/8",
            ),
            (
                "Synapse",
                r#"{"log":"192.0.2.1 - 8008 - {@a:h} Processed request: 0.013sec/0.001sec ru=(0.004sec, 0.001sec) db=(0.001sec/0.003sec/5) 10B 404 \"GET /x?token=SECRET HTTP/1.1\" \"curl/8\" [0 dbevts]","namespace":"synapse.access.http.8008","level":"INFO","time":1795338158.12,"request":"GET-1","ip_address":"192.0.2.1","site_tag":"8008","requester":"@a:h","authenticated_entity":"@a:h","method":"GET","url":"/x?token=SECRET","protocol":"1.1","user_agent":"curl/8"}"#,
                Format::SynapseJson,
                "2026-11-22T09:02:38.12Z 192.0.2.1 GET /x?token=SECRET 404 by curl/8 of @a:h",
            ),
            (
                "Synapse, only words",
                r#"{"log":"192.0.2.1 - 8008 - {@a:h} Processed request: 0.013sec/0.001sec ru=(0.004sec, 0.001sec) db=(0.001sec/0.003sec/5) 10B 404 \"GET /x?token=SECRET HTTP/1.1\" \"curl/8\" [0 dbevts]","namespace":"synapse.access.http.8008","level":"INFO","time":1795338158.12}"#,
                Format::SynapseJson,
                "2026-11-22T09:02:38.12Z 192.0.2.1 /x?token=SECRET 404 of @a:h",
            ),
            (
                "Synapse, what a remote server said",
                r#"{"log":"x - 198.51.100.9 - 8 - {@admin:h} Processed request: 0 200 \"GET /x?token=SECRET HTTP/1.1\" \"y\" [0 dbevts]","namespace":"synapse.http.matrixfederationclient","time":1795338158.12}"#,
                Format::SynapseJson,
                "2026-11-22T09:02:38.12Z",
            ),
            (
                "tokenshim",
                r#"{"time":"2026-11-22T09:02:38.123Z","remote":"192.0.2.1","method":"GET","target":"/p?access_token=<redacted>","protocol":"HTTP/1.1","status":200,"bytes":5,"duration_ms":1.2,"token":"h:0123abcd","token_source":"query","referer":null,"user_agent":"curl/8","ending":"complete"}"#,
                Format::TokenshimJson,
                "2026-11-22T09:02:38.123Z 192.0.2.1 GET /p?access_token=<redacted> 200 by curl/8",
            ),
            (
                "nginx with names of its variables",
                r#"{"time_local":"22/Nov/2026:09:02:38 +0000","remote_addr":"192.0.2.1","request":"GET /p?access_token=SECRET HTTP/1.1","status":"200","http_referer":"","http_user_agent":"curl\/8","uri":"/p"}"#,
                Format::Json,
                "2026-11-22T09:02:38Z 192.0.2.1 GET /p?access_token=SECRET 200 by curl/8",
            ),
            (
                "Google's",
                r#"{"severity":"INFO","message":"x","time":"2026-11-22T09:02:38Z","httpRequest":{"requestMethod":"GET","requestUrl":"https://h/p?a","status":200,"remoteIp":"192.0.2.1","userAgent":"curl/8"}}"#,
                Format::Json,
                "2026-11-22T09:02:38Z 192.0.2.1 GET /p?a 200 by curl/8",
            ),
            (
                "cut in a string",
                r#"{"ts":1795338158,"logger":"http.log.access","request":{"method":"GET","uri":"/p?access_token=SECR"#,
                Format::Caddy,
                "2026-11-22T09:02:38Z GET /p?access_token=SECR",
            ),
            (
                "no request",
                r#"{"access_token":"SECRET","n":[1,{"a":null}]}"#,
                Format::Json,
                "",
            ),
            (
                "what was sent, and not a longer one that nginx made of it",
                r#"{"request_uri":"/p?access_token=SECRET","uri":"/p-and-more-than-was-ever-sent-by-anybody","status":200}"#,
                Format::Json,
                "/p?access_token=SECRET 200",
            ),
            (
                "the same the other way round",
                r#"{"uri":"/p-and-more?access_token=OTHER-than-was-ever-sent","request":"GET /p?access_token=SECRET HTTP/1.1","url":"/p-and-more?access_token=OTHER-than-was-ever-sent"}"#,
                Format::Json,
                "GET /p?access_token=SECRET",
            ),
            (
                "a path that is longer than path and query",
                r#"{"url":"/p?access_token=SECRET","path":"/p-and-more-than-was-ever-sent-by-anybody"}"#,
                Format::Json,
                "/p?access_token=SECRET",
            ),
            (
                "a query of its own",
                r#"{"uri":"/p","args":"a=1&access_token=SECRET","status":200}"#,
                Format::Json,
                "/p?a=1&access_token=SECRET 200",
            ),
            (
                "a duration is no time",
                r#"{"time":0.003,"uri":"/p"}"#,
                Format::Json,
                "/p",
            ),
            (
                "a namespace of somebody else",
                r#"{"log":"token SECRET\n","stream":"stdout","namespace":"matrix","time":"2026-11-22T09:02:38Z"}"#,
                Format::Docker,
                "2026-11-22T09:02:38Z",
            ),
            ("no JSON", "{access_token} = SECRET", Format::Text, ""),
            ("brace", "{", Format::Text, ""),
        ],
    );
}

#[test]
fn places_are_of_the_raw_line() {
    let line = r#"{"request":{"uri":"/p?a=\"\u0026access_token=SECRET","headers":{"Referer":["SECRET2"]}},"SECRET3":1}"#;
    let (_, record) = reader().read(line.as_bytes());
    let field = |text: &str| record.field_at(line.find(text).expect(text));
    assert_eq!(field("SECRET"), Field::Request);
    assert_eq!(field("SECRET2"), Field::Referer);
    assert_eq!(field("SECRET3"), Field::Other);
    assert_eq!(field("uri"), Field::Other);
}
