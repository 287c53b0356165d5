use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::{audit::registration::Registrations, secret::FingerprintKey};

const HEAD: &str = "#tokenshim-live-set\t1\t01234567\t2026-11-22T09:00:00Z\n";

fn id(number: u128) -> TokenId {
    TokenId(number.to_be_bytes())
}

fn read(text: &str) -> Result<LiveSet, LiveSetError> {
    LiveFile::begin(Path::new("list"), text.as_bytes(), "01234567")?.join(|_| true)
}

fn row(number: u128, rest: &str) -> String {
    format!("{}\t{rest}\n", id(number))
}

#[test]
fn dead_is_never_a_guess() {
    let synapse = row(1, "@alice:hs\tD\tsynapse_access");
    let whole = format!("{HEAD}{synapse}#end\t1\t0\n");
    let with_bad = format!("{HEAD}{synapse}#end\t1\t3\n");
    let cut = format!("{HEAD}{synapse}");
    let cut_in_a_line = format!("{HEAD}{synapse}h:00");
    let empty = format!("{HEAD}#end\t0\t0\n");
    let two = format!("{whole}{HEAD}{}#end\t1\t0\n", row(2, "\t\tmas_access"));
    let half = format!("{whole}{HEAD}{}", row(2, "\t\tmas_access"));
    let cases = [
        ("not in a whole list", &whole, "synapse_access", State::Dead),
        (
            "a kind that it has none of",
            &whole,
            "mas_access",
            State::Unknown,
        ),
        ("a refresh token", &whole, "synapse_refresh", State::Unknown),
        (
            "a guest's, perhaps",
            &whole,
            "synapse_macaroon",
            State::Unknown,
        ),
        (
            "a bridge's, perhaps",
            &whole,
            "access_token",
            State::Unknown,
        ),
        ("no token", &whole, "password", State::Unknown),
        (
            "for another service, perhaps",
            &whole,
            "authorization",
            State::Unknown,
        ),
        (
            "lines were bad",
            &with_bad,
            "synapse_access",
            State::Unknown,
        ),
        ("cut", &cut, "synapse_access", State::Unknown),
        (
            "cut in a line",
            &cut_in_a_line,
            "synapse_access",
            State::Unknown,
        ),
        ("nothing in it", &empty, "synapse_access", State::Unknown),
        ("two lists", &two, "mas_access", State::Dead),
        ("the second cut", &half, "synapse_access", State::Unknown),
    ];
    for (name, text, kind, expected) in cases {
        let set = read(text).unwrap();
        assert_eq!(set.of(id(9), kind).state, expected, "case: {name}");
        assert!(set.of(id(9), kind).reason.is_some(), "case: {name}");
    }
    let set = read(&cut).unwrap();
    let live = set.of(id(1), "synapse_access");
    assert_eq!(live.state, State::Alive, "what is there, is");
    assert_eq!((live.user, live.device), (Some("@alice:hs"), Some("D")));
    assert_eq!(live.checked_by, "live-set list");
    assert_eq!(live.checked_at.to_string(), "2026-11-22T09:00:00Z");
}

#[test]
fn registrations_are_not_in_databases() {
    let text = format!("{HEAD}{}#end\t1\t0\n", row(1, "\t\tsynapse_access"));
    let key = FingerprintKey::new(b"0123456789abcdef").unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        file.path(),
        "id: bridge\nas_token: FAKE-as\nhs_token: FAKE-hs\n",
    )
    .unwrap();
    let registrations = Registrations::load(&[file.path().to_owned()], &key).unwrap();
    let set = read(&text).unwrap().with_registrations(&registrations);
    let live = set.of(key.id(b"FAKE-as"), "access_token");
    assert_eq!(live.state, State::Alive);
    assert!(
        live.reason
            .unwrap()
            .contains("as_token of the application service bridge")
    );
    // There may be other bridges, and this list has no token of that kind.
    assert_eq!(set.of(id(9), "access_token").state, State::Unknown);
    let with_one = text.replace(
        "#end\t1\t",
        &format!("{}#end\t2\t", row(2, "\t\taccess_token")),
    );
    let set = read(&with_one).unwrap().with_registrations(&registrations);
    assert_eq!(set.of(id(9), "access_token").state, State::Dead);
    let none = read(&text)
        .unwrap()
        .with_registrations(&Registrations::default());
    assert_eq!(none.of(id(9), "access_token").state, State::Unknown);
}

#[test]
fn refuses_what_is_no_list() {
    let cases = [
        ("nothing", String::new(), "line 1: not what"),
        ("tokens", "FAKE|@alice:hs|D\n".into(), "line 1: not what"),
        (
            "CSV",
            "id,user,device,kind,key_id\n".into(),
            "line 1: not what",
        ),
        (
            "of a later version",
            HEAD.replace("\t1\t", "\t2\t"),
            "line 1: not what",
        ),
        (
            "another key",
            HEAD.replace("01234567", "76543210"),
            "another key (76543210, not 01234567)",
        ),
        ("a wrong line", format!("{HEAD}FAKE\n"), "line 2: not what"),
        (
            "too many columns",
            format!("{HEAD}{}", row(1, "a\tb\tc\tFAKE")),
            "line 2: not what",
        ),
        (
            "a wrong count",
            format!("{HEAD}#end\t1\t0\n"),
            "line 2: not what",
        ),
        (
            "behind the end",
            format!("{HEAD}#end\t0\t0\n{}", row(1, "\t\tx")),
            "line 3: not what",
        ),
        (
            "a second with another key",
            format!("{HEAD}#end\t0\t0\n{}", HEAD.replace("01234567", "76543210")),
            "another key",
        ),
    ];
    for (name, text, expected) in cases {
        let error = read(&text).unwrap_err().to_string();
        assert!(error.contains(expected), "case: {name}: {error}");
        assert!(!error.contains("FAKE"), "case: {name}: {error}");
    }
}

#[test]
fn keeps_only_what_is_wanted() {
    let rows: String = (0..100)
        .map(|number| row(number, "\t\tsynapse_access"))
        .collect();
    let text = format!("{HEAD}{rows}#end\t100\t0\n");
    let file = LiveFile::begin(Path::new("list"), text.as_bytes(), "01234567").unwrap();
    let set = file.join(|token| token == id(7)).unwrap();
    assert_eq!(set.count(State::Alive), 1);
    assert_eq!(set.of(id(7), "synapse_access").state, State::Alive);
}

#[test]
fn tells_what_a_homeserver_can_be_asked() {
    let cases = [
        ("access_token", true),
        ("authorization", false),
        ("synapse_access", true),
        ("synapse_macaroon", true),
        ("mas_compat_access", true),
        ("appservice_as", true),
        ("appservice_hs", false),
        ("synapse_refresh", false),
        ("mas_refresh", false),
        ("synapse_login", false),
        ("tokenshim", false),
        ("password", false),
    ];
    for (kind, expected) in cases {
        assert_eq!(is_askable(kind), expected, "{kind}");
    }
    assert_eq!(kind_of(b"FAKE"), "access_token");
    assert_eq!(
        kind_of(b"x syt_ZmFrZQ_FAKEFAKEFAKEFAKEFAKE_0aaaaa"),
        "access_token",
        "not the whole of it"
    );
}

proptest! {
    #[test]
    fn what_was_written_is_read(
        rows in proptest::collection::vec(
            (any::<u128>(), "[^\t\n\r\\p{Cc}]{0,12}", "[^\t\n\r\\p{Cc}]{0,12}"), 0..20),
        bad in 0_u64..3,
        is_json: bool,
    ) {
        let format = if is_json { Format::Ndjson } else { Format::Tsv };
        let mut text = Vec::new();
        let made_at = "2026-11-22T09:00:00Z".parse().unwrap();
        let mut writer = Writer::new(&mut text, format, "01234567".into(), made_at).unwrap();
        let some = |text: &'_ str| (!text.is_empty()).then(|| text.to_owned());
        for (number, user, device) in &rows {
            let (user, device) = (some(user), some(device));
            let (user, device) = (user.as_deref(), device.as_deref());
            writer.row(&Row { id: id(*number), user, device, kind: "synapse_access" }).unwrap();
        }
        writer.end(bad).unwrap();
        let set = read(str::from_utf8(&text).unwrap()).unwrap();
        prop_assert_eq!(set.is_broken().is_none(), bad == 0);
        for (number, user, device) in rows.iter().rev() {
            let live = set.of(id(*number), "synapse_access");
            prop_assert_eq!(live.state, State::Alive);
            // The last of several with one name counts.
            if rows.iter().filter(|row| row.0 == *number).count() == 1 {
                prop_assert_eq!(live.user.unwrap_or_default(), user);
                prop_assert_eq!(live.device.unwrap_or_default(), device);
            }
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>(), is_behind_a_head: bool) {
        let head = if is_behind_a_head { HEAD } else { "" };
        if let Ok(set) = read(&format!("{head}{text}")) {
            prop_assert_eq!(set.of(id(9), "password").state, State::Unknown);
        }
    }
}
