//! Texts that hold secrets: blocks, lines, and formats of lines.

use tokenshim::{
    audit::line::{Field, Format, LineReader, LogFormat, Record},
    redact::{self, MASK},
};

/// A log line: nothing is left to find, and nothing else is changed.
pub(crate) fn redaction(text: &[u8]) {
    let masked = redact::mask(text);
    assert_eq!(redact::find(&masked), [], "left to find");
    assert_eq!(redact::mask(&masked), masked, "twice is once");
    in_blocks(text);
    let (mut at, mut rebuilt) = (0, Vec::new());
    for finding in redact::find(text) {
        assert!(
            finding.span.start >= at && finding.span.end <= text.len(),
            "order"
        );
        assert!(!finding.span.is_empty(), "empty finding");
        rebuilt.extend_from_slice(&text[at..finding.span.start]);
        rebuilt.extend_from_slice(MASK);
        at = finding.span.end;
    }
    rebuilt.extend_from_slice(&text[at..]);
    assert_eq!(rebuilt, *masked, "bytes outside of findings");
}

/// A block of lines: each is read from suspect to suspect as it is alone, and what it holds
/// is the same.
fn in_blocks(block: &[u8]) {
    let redactor = redact::Redactor::default();
    let mut suspects = redactor.suspects(block);
    let mut at = 0;
    for line in block.split(|byte| *byte == b'\n') {
        let end = at + line.len();
        let mut next = |from| suspects.next(at + from).filter(|place| *place < end);
        let mut next = |from| next(from).map(|place| place - at);
        let found: Vec<_> = redactor
            .findings_among(line, &mut next)
            .map(|finding| finding.classified(line))
            .collect();
        assert_eq!(found, redactor.find(line), "a line of a block");
        for finding in found {
            assert!(!finding.decoded(line).is_empty(), "nothing is left decoded");
        }
        at = end + 1;
    }
}

/// Lines of a log: places are inside, an envelope of JSON changes nothing that is said,
/// and what a line says is its own.
pub(crate) fn log_line(bytes: &[u8]) {
    let given = [
        r#"log_format a '$remote_addr [$time_local] "$request" $status "$http_referer"';"#,
        r#"log_format b escape=json '{"u":"$uri?$args","m":$msec,"a":"$http_user_agent"}';"#,
    ];
    let given = given.map(|directive| LogFormat::parse(directive).unwrap());
    let reader = LineReader::new(&given);
    for line in bytes.split(|byte| *byte == b'\n') {
        let (format, record) = reader.read(line);
        parts_are_inside(line, &record);
        in_docker(line, format, &reader);
        assert_eq!(reader.read(line), (format, record), "another answer");
    }
}

fn parts_are_inside(line: &[u8], record: &Record<'_>) {
    let parts = [
        (Field::Other, &record.method),
        (Field::Request, &record.target),
        (Field::Referer, &record.referer),
        (Field::UserAgent, &record.user_agent),
        (Field::Other, &record.user),
    ];
    for (field, part) in parts {
        let Some(part) = part else { continue };
        assert!(part.span.end <= line.len(), "outside");
        assert!(!part.span.is_empty() && !part.text.is_empty(), "empty");
        if field != Field::Other {
            assert_eq!(record.field_at(part.span.start), field, "another part");
            let behind = part.span.start..usize::MAX;
            assert_eq!(record.cut(behind), part.span, "cut elsewhere");
        }
    }
}

/// A `log_format`, and lines behind it: refused without being quoted, or read, with places
/// that are inside.
pub(crate) fn log_format(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (directive, lines) = text.split_once('\n').unwrap_or((&text, ""));
    let format = match LogFormat::parse(directive) {
        Ok(format) => format,
        Err(error) => {
            let is_quoted = error.to_string().contains("FAKE-SECRET");
            let has_secret = !redact::find(directive.as_bytes()).is_empty();
            assert!(!(has_secret && is_quoted), "quoted");
            return;
        }
    };
    let reader = LineReader::new(&[format]);
    for line in lines.lines() {
        let (_, record) = reader.read(line.as_bytes());
        parts_are_inside(line.as_bytes(), &record);
    }
}

fn in_docker(line: &[u8], format: Format, reader: &LineReader) {
    let Ok(text) = str::from_utf8(line) else {
        return;
    };
    let is_carrier = matches!(
        format,
        Format::JournaldExport | Format::Syslog | Format::Docker | Format::Cri | Format::Text
    );
    let quoted = serde_json::to_string(text).unwrap();
    let wrapped = format!(r#"{{"log":{quoted},"stream":"stdout"}}"#);
    let said = |record: &Record<'_>| {
        [
            &record.method,
            &record.target,
            &record.referer,
            &record.user_agent,
        ]
        .map(|part| part.as_ref().map(|part| part.text.to_vec()))
    };
    let (_, plain) = reader.read(line);
    let (inner, carried) = reader.read(wrapped.as_bytes());
    // Envelopes have an end, and an export is none of Docker's.
    if !is_carrier && inner == format {
        assert_eq!(said(&plain), said(&carried), "changed by its envelope");
    }
}
