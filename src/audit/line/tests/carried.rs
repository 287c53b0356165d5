//! Lines in envelopes, with places that are places of the whole line.

use super::{Field, Format, check, reader};

const COMBINED: &str = "192.0.2.1 - - [22/Nov/2026:09:02:38 +0000] \"GET /p?access_token=SECRET HTTP/1.1\" 200 42 \"https://c/?access_token=OTHER\" \"curl/8\"";
const SAYS: &str = "2026-11-22T09:02:38Z 192.0.2.1 GET /p?access_token=SECRET 200 from https://c/?access_token=OTHER by curl/8";

/// As a JSON encoder that is careful with HTML writes it.
fn quoted(text: &str) -> String {
    let text = serde_json::to_string(text).expect("a string");
    text.replace('&', "\\u0026").replace('=', "\\u003d")
}

#[test]
fn reads_what_envelopes_hold() {
    let docker = quoted(&format!("{COMBINED}\n"));
    let docker = format!(r#"{{"log":{docker},"stream":"stdout","time":"2026-11-22T09:02:39.5Z"}}"#);
    let journald = quoted(COMBINED);
    let journald = format!(
        r#"{{"__REALTIME_TIMESTAMP":"1795338159000000","MESSAGE":{journald},"__CURSOR":"s=1","_PID":"1"}}"#
    );
    let both = quoted(&format!("<190>Nov 22 10:02:39 host nginx: {COMBINED}\n"));
    let both = format!(r#"{{"log":{both},"stream":"stderr","time":"2026-11-22T09:02:40Z"}}"#);
    let cases = [
        (
            "syslog",
            format!("<190>Nov 22 10:02:39 host nginx: {COMBINED}"),
        ),
        (
            "syslog file",
            format!("Nov 22 10:02:39 host nginx[7]: {COMBINED}"),
        ),
        (
            "today's syslog file",
            format!("2026-11-22T10:02:39.1+01:00 host nginx[7]: {COMBINED}"),
        ),
        (
            "short-iso",
            format!("2026-11-22T10:02:39+0100 host nginx[7]: {COMBINED}"),
        ),
        (
            "short-precise",
            format!("Nov 22 10:02:39.123456 host nginx[7]: {COMBINED}"),
        ),
        (
            "short-full",
            format!("Sun 2026-11-22 10:02:39 CET host nginx[7]: {COMBINED}"),
        ),
        (
            "short-unix",
            format!("1795338159.123456 host nginx[7]: {COMBINED}"),
        ),
        (
            "RFC 5424",
            format!(
                "<190>1 2026-11-22T10:02:39.1+01:00 host nginx 7 - [a b=\"\\]\"][c] {COMBINED}"
            ),
        ),
        (
            "RFC 5424 without data",
            format!("<190>1 - - - - - - \u{feff}{COMBINED}"),
        ),
        (
            "Kubernetes",
            format!("2026-11-22T09:02:39.100000000Z stdout F {COMBINED}"),
        ),
        (
            "docker logs --timestamps",
            format!("2026-11-22T09:02:39.100000000Z {COMBINED}"),
        ),
        ("export", format!("MESSAGE={COMBINED}")),
        (
            "export, binary",
            format!("\u{1}\u{1}\0\0\0\0\0\0{COMBINED}"),
        ),
        ("Docker", docker),
        ("journald's JSON", journald),
        ("syslog in Docker", both),
    ];
    for (name, line) in &cases {
        check(&reader(), &[(name, line, Format::Combined, SAYS)]);
        let (_, record) = reader().read(line.as_bytes());
        for (secret, field) in [("SECRET", Field::Request), ("OTHER", Field::Referer)] {
            let at = line.find(secret).expect("in every line");
            assert_eq!(record.field_at(at), field, "{secret} in {name}");
            assert_eq!(
                record.field_at(at + secret.len() - 1),
                field,
                "{secret} in {name}"
            );
        }
        assert_eq!(record.field_at(line.len()), Field::Other, "{name}");
    }
}

#[test]
fn an_envelope_around_nothing_known_tells_the_time() {
    check(
        &reader(),
        &[
            (
                "syslog",
                "Nov 22 10:02:39 host app: token SECRET",
                Format::Syslog,
                "2026-11-22T09:02:39Z",
            ),
            (
                "short-iso",
                "2026-11-22T10:02:39+0100 host app[7]: token SECRET",
                Format::Syslog,
                "2026-11-22T09:02:39Z",
            ),
            (
                "short-full of a machine elsewhere",
                "Sun 2026-11-22 09:02:39 UTC host app[7]: token SECRET",
                Format::Syslog,
                "2026-11-22T09:02:39Z",
            ),
            (
                "Docker",
                r#"{"log":"token SECRET\n","stream":"stdout","time":"2026-11-22T09:02:39Z"}"#,
                Format::Docker,
                "2026-11-22T09:02:39Z",
            ),
            (
                "Kubernetes",
                "2026-11-22T09:02:39Z stdout P token SECRET",
                Format::Cri,
                "2026-11-22T09:02:39Z",
            ),
            (
                "a program's own date",
                "2026-11-22T09:02:39Z  INFO app: token SECRET",
                Format::Text,
                "2026-11-22T09:02:39Z",
            ),
            (
                "envelopes without end",
                "<1>Nov 22 10:02:39 a: <1>Nov 22 10:02:39 b: <1>Nov 22 10:02:39 c: <1>Nov 22 10:02:39 d: <1>Nov 22 10:02:39 e: x",
                Format::Syslog,
                "2026-11-22T09:02:39Z",
            ),
        ],
    );
}

/// A year that is written around a line is better than one that is guessed from within.
#[test]
fn a_guessed_year_is_told() {
    let inner = "Mar  1 10:02:39 host app: token SECRET";
    let rows = [
        ("alone", inner.to_owned(), "2026-03-01T09:02:39Z", true),
        (
            "behind another",
            format!("Mar  1 10:02:40 relay: {inner}"),
            "2026-03-01T09:02:39Z",
            true,
        ),
        (
            "in Docker's JSON",
            format!(
                r#"{{"log":"{inner} \"x\"\n","stream":"stdout","time":"2024-03-01T09:02:39.5Z"}}"#
            ),
            "2024-03-01T09:02:39.5Z",
            false,
        ),
        (
            "in JSON without a time",
            format!(r#"{{"log":"{inner} \"x\"\n","stream":"stdout"}}"#),
            "2026-03-01T09:02:39Z",
            true,
        ),
        (
            "under Kubernetes",
            format!("2024-03-01T09:02:39.5Z stdout F {inner}"),
            "2024-03-01T09:02:39.5Z",
            false,
        ),
    ];
    for (name, line, time, is_guessed) in rows {
        let (_, record) = reader().read(line.as_bytes());
        let found = record.time.map(|time| time.to_string());
        assert_eq!(found.as_deref(), Some(time), "case: {name}");
        assert_eq!(record.is_year_guessed, is_guessed, "case: {name}");
    }
}

/// The time is in another line than the message, and each is read by itself.
#[test]
fn an_export_has_its_time_in_a_line_of_its_own() {
    let reader = reader();
    let lines = [
        ("__CURSOR=s=1", Format::JournaldExport),
        (
            "__REALTIME_TIMESTAMP=1795338159000000",
            Format::JournaldExport,
        ),
        ("_PID=7", Format::JournaldExport),
        ("MESSAGE=token SECRET", Format::JournaldExport),
        ("", Format::Text),
        ("access_token=SECRET", Format::Text),
    ];
    for (line, expected) in lines {
        let (format, record) = reader.read(line.as_bytes());
        assert_eq!(format, expected, "{line}");
        assert_eq!(record.time, None, "{line}");
    }
}
