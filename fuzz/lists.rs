//! Lists of tokens: what databases give, and what is made of it.

use std::path::Path;

use tokenshim::{
    audit::live_set::{Format, LiveFile, Row, State, Writer, kind_of},
    fingerprint::Columns,
    redact,
    secret::FingerprintKey,
};

/// Lines of a database: no token is written out, and what is written is read again. The
/// same bytes as a list: read or refused, and nobody is dead in one that is cut.
pub(crate) fn live_set(text: &[u8]) {
    let key = FingerprintKey::new(b"0123456789abcdef").unwrap();
    let mut list = Vec::new();
    let made_at = "2026-11-22T09:00:00Z".parse().unwrap();
    let mut writer = Writer::new(&mut list, Format::Tsv, key.key_id(), made_at).unwrap();
    let mut ids = Vec::new();
    let mut bad_lines = 0;
    for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
        match Columns::parse(line, number == 0) {
            Err(_) => bad_lines += 1,
            Ok(None) => {}
            Ok(Some(columns)) => {
                let token = columns.token.as_ref();
                assert!(token.iter().all(u8::is_ascii_graphic), "no field has it");
                for text in [&columns.user, &columns.device].into_iter().flatten() {
                    assert!(redact::find(text.as_bytes()).is_empty(), "shows a token");
                    assert!(text.as_bytes() != token, "shows the token");
                    assert!(!text.contains(['\t', '\n']), "breaks the list");
                }
                let row = Row {
                    id: key.id(token),
                    user: columns.user.as_deref(),
                    device: columns.device.as_deref(),
                    kind: kind_of(token),
                };
                writer.row(&row).unwrap();
                ids.push(row.id);
            }
        }
    }
    writer.end(bad_lines).unwrap();
    let set = read(&list, &key.key_id()).unwrap();
    assert_eq!(set.is_broken().is_some(), bad_lines > 0, "proves too much");
    for id in ids {
        assert_eq!(set.of(id, "").state, State::Alive, "lost");
    }
    // Its end is its last line: without it, it says of nobody that he is dead.
    list.truncate(list.len() - 2);
    if let Some(set) = read(&list, &key.key_id()) {
        assert!(set.is_broken().is_some(), "cut");
    }
    read(text, "01234567");
}

fn read(text: &[u8], key_id: &str) -> Option<tokenshim::audit::live_set::LiveSet> {
    let file = LiveFile::begin(Path::new("list"), text, key_id).ok()?;
    file.join(|_| true).ok()
}
