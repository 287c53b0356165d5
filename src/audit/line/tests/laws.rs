//! What holds for any bytes.

use proptest::{prelude::*, sample::select};

use super::{LineReader, LogFormat, reader, said};

/// What formats are made of.
const PIECES: [&str; 44] = [
    "192.0.2.1",
    "[2001:db8::1]:80",
    " - ",
    " ",
    "-",
    "\"",
    "\\",
    "\\\"",
    "\\x22",
    "\\u0026",
    "\\ud83d\\ude00",
    "#22",
    "[22/Nov/2026:09:02:38 +0000]",
    "[22/Nov/2026:09:02:38.123]",
    "2026-11-22T09:02:38.5Z",
    "2026-11-22 09:02:38,123",
    "2026/11/22 09:02:38 [error] 1#1: *1 ",
    "Nov 22 09:02:38 ",
    "<134>",
    "<134>1 ",
    "host app[1]: ",
    "stdout F ",
    "MESSAGE=",
    "__REALTIME_TIMESTAMP=1795338158000000",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "{\"log\":\"",
    "\"stream\":\"stdout\"",
    "\"request\":{\"uri\":\"",
    "\"headers\":{\"Referer\":[\"",
    "GET /p?access_token=SECRET HTTP/1.1",
    "https://h/p",
    " 200 ",
    "0/0/0/1/1",
    "{@a:h} Processed request: ",
    " INFO http.server.response ",
    "- \"",
    ", client: ",
    ", request: \"",
    ", referrer: \"",
];

fn lines() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => select(&PIECES[..]).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_it_is_there_is_an_answer(line in lines()) {
        let given = ["log_format a '$remote_addr [$time_local] \"$request\" $status';", "log_format b escape=json '{$uri?$args\"$http_referer\"}';"];
        let given = given.map(|directive| LogFormat::parse(directive).expect(directive));
        for reader in [reader(), LineReader::new(&given)] {
            let (format, record) = reader.read(&line);
            said(&line, &record);
            for part in [&record.method, &record.target, &record.referer, &record.user_agent, &record.user].into_iter().flatten() {
                prop_assert!(part.span.start < part.span.end && part.span.end <= line.len());
                prop_assert!(!part.text.is_empty());
            }
            // Told by the line alone, whatever came before it.
            let again = reader.read(&line);
            prop_assert_eq!((format, record.target), (again.0, again.1.target));
        }
    }

    #[test]
    fn a_format_is_read_or_refused(directive in "log_format [a-z]{1,3}( escape=(default|json|none))? ('|\")?[ -~]{0,40}('|\")?;?") {
        if let Ok(format) = LogFormat::parse(&directive) {
            let reader = LineReader::new(&[format]);
            let (_, record) = reader.read(directive.as_bytes());
            said(directive.as_bytes(), &record);
        }
    }
}
