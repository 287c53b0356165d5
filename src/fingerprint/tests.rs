use std::path::Path;

use super::*;
use crate::audit::live_set::{LiveFile, State};

const KEY: &[u8] = b"FAKE-KEY-FAKE-KEY";

fn key() -> Key {
    use std::os::unix::fs::PermissionsExt as _;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), KEY).unwrap();
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
    Key::load(Some(file.path())).unwrap()
}

fn list(input: &str, format: Format) -> (String, String, bool) {
    let (mut out, mut complaints) = (Vec::new(), Vec::new());
    let outcome = copy(input.as_bytes(), &mut out, &mut complaints, &key(), format);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(out), text(complaints), outcome.is_ok())
}

#[test]
fn a_list_can_be_joined() {
    let input = "FAKE-one|@alice:hs|A\nFAKE-two|@bob:hs|\n\nFAKE-three\n";
    for format in [Format::Tsv, Format::Ndjson] {
        let (out, complaints, is_whole) = list(input, format);
        assert!(is_whole && complaints.is_empty(), "{complaints}");
        assert!(!out.contains("FAKE"), "{out}");
        let file = LiveFile::begin(Path::new("list"), out.as_bytes(), &key().id()).unwrap();
        let set = file.join(|_| true).unwrap();
        let of = |token: &str| set.of(key().fingerprints().id(token.as_bytes()), "access_token");
        assert_eq!(of("FAKE-one").state, State::Alive);
        assert_eq!(of("FAKE-one").user, Some("@alice:hs"));
        assert_eq!(of("FAKE-one").device, Some("A"));
        assert_eq!(of("FAKE-two").device, None);
        assert_eq!(of("FAKE-three").user, None);
        assert_eq!(set.count(State::Alive), 3);
        assert_eq!(set.is_broken(), None);
    }
}

#[test]
fn a_list_with_bad_lines_proves_nobody_dead() {
    let (out, complaints, is_whole) =
        list("FAKE-one\n@alice:hs|FAKE-two\nFAKE three\n", Format::Tsv);
    assert!(!is_whole);
    assert!(
        complaints.contains("line 2: the first column is a user"),
        "{complaints}"
    );
    assert!(complaints.contains("line 3: no token"), "{complaints}");
    assert!(!complaints.contains("FAKE"), "{complaints}");
    assert!(out.ends_with("#end\t1\t2\n"), "{out}");
    let file = LiveFile::begin(Path::new("list"), out.as_bytes(), &key().id()).unwrap();
    assert!(file.join(|_| true).unwrap().is_broken().is_some());
    let many = "@a:b\n".repeat(50);
    assert_eq!(list(&many, Format::Tsv).1.lines().count(), 21);
}

#[test]
fn a_spreadsheet_runs_no_formula() {
    let input = "FAKE-one|@alice:hs|=1+1\nFAKE-two|@bob:hs|a \"b\", c\nFAKE-three|@bob:hs|@x\n";
    let (out, _, is_whole) = list(input, Format::Csv);
    assert!(is_whole);
    let id = key().id();
    let rows: Vec<_> = csv::Reader::from_reader(out.as_bytes())
        .into_records()
        .map(Result::unwrap)
        .collect();
    let devices: Vec<_> = rows.iter().map(|row| &row[2]).collect();
    assert_eq!(devices, ["'=1+1", "a \"b\", c", "'@x"]);
    assert!(
        rows.iter()
            .all(|row| row[4] == *id && row[1].starts_with('@'))
    );
}
