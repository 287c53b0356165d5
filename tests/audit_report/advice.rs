//! What to do names everything, or says what it does not name.

use super::*;

/// Refused everywhere but for the last, each of another user and in another file.
fn advice(names: &[String], users: &[&str], kind: &'static str, meta: &Meta) -> Value {
    let mut tally = Tally::for_inputs(names);
    let files = u32::try_from(names.len()).unwrap();
    for (number, user) in (0_u32..).zip(users) {
        let place = Place {
            input: number.checked_rem(files).unwrap(),
            line: 1,
        };
        tally.line(place.input, Format::Combined, true, None);
        let (status, outcome) = if users.last() == Some(user) {
            (Some(200), Outcome::Accepted)
        } else {
            (Some(401), Outcome::Refused)
        };
        tally.add(&Sighting {
            user: Some(user),
            kind,
            place,
            status,
            outcome,
            ..sighting(number.into())
        });
    }
    let report = Report::of(&tally, names, meta, None, None);
    let json: Value = serde_json::from_str(&written(&report, ReportFormat::Json)).unwrap();
    json.get("advice").cloned().unwrap()
}

/// The text and the commands of a step.
fn step<'a>(advice: &'a Value, title: &str) -> (&'a str, Vec<&'a str>) {
    let steps = advice.as_array().unwrap();
    let step = steps.iter().find(|step| step["title"] == title);
    let step = step.unwrap();
    let commands = step["commands"].as_array().unwrap().iter();
    let commands = commands.map(|command| command.as_str().unwrap());
    (step["text"].as_str().unwrap(), commands.collect())
}

#[test]
fn what_is_not_named_is_counted_in_every_step() {
    let names: Vec<String> = (0..25).map(|number| format!("log.{number:02}")).collect();
    let users: Vec<String> = (0..80).map(|number| format!("user{number:02}")).collect();
    let users: Vec<&str> = users.iter().map(String::as_str).collect();
    let advice = advice(&names, &users, "synapse_access", &meta());
    for title in [
        "Keep the evidence",
        "See which of them still work",
        "Log the sessions out",
        "Clean the files",
    ] {
        let (text, commands) = step(&advice, title);
        assert!(
            text.contains("5 more files are not named here"),
            "{title}: {text}"
        );
        assert!(
            commands.iter().any(|command| command.contains("log.19")),
            "{title}"
        );
        assert!(
            !commands.iter().any(|command| command.contains("log.20")),
            "{title}"
        );
    }
    let (text, _) = step(&advice, "Log the sessions out");
    assert!(text.contains("60 more users are not named here"), "{text}");
}

#[test]
fn forged_tokens_push_no_victim_out() {
    let forged: Vec<String> = (0..40).map(|number| format!("!{number:02}")).collect();
    let mut users: Vec<&str> = forged.iter().map(String::as_str).collect();
    users.push("victim");
    let cases = [
        (
            "synapse_access",
            "Log the sessions out",
            "%40victim%3ASERVER",
        ),
        (
            "mas_access",
            "End sessions at the authentication service",
            "kill-sessions victim",
        ),
    ];
    for (kind, title, expected) in cases {
        let advice = advice(&names(), &users, kind, &meta());
        let (text, commands) = step(&advice, title);
        assert!(
            commands.iter().any(|command| command.contains(expected)),
            "{kind}: {commands:?}"
        );
        assert!(text.contains("21 more users"), "{kind}: {text}");
    }
}

#[test]
fn names_of_files_are_not_rewritten_and_stdin_is_no_file() {
    let names = ["a b --revoke c.log", "-", "web1"].map(str::to_owned);
    let meta = Meta {
        stdin: Some("web1".to_owned()),
        ..meta()
    };
    let advice = advice(&names, &["a", "b", "c"], "synapse_access", &meta);
    let (_, commands) = step(&advice, "Log the sessions out");
    let asks = "tokenshim audit --verify-live --homeserver URL --revoke";
    assert_eq!(
        commands[..2],
        [
            format!("{asks} 'a b --revoke c.log'"),
            format!("{asks} --yes 'a b --revoke c.log'")
        ]
    );
    let (_, commands) = step(&advice, "Clean the files");
    assert_eq!(
        commands,
        ["tokenshim redact --in-place 'a b --revoke c.log'"]
    );
}

/// The queries of docs/incident.md.
#[test]
fn a_live_set_has_what_works_and_nothing_else() {
    let title = "See which of them still work";
    let cases = [
        (
            "synapse_access",
            "FROM access_tokens WHERE valid_until_ms IS NULL OR valid_until_ms > extract(epoch",
            "FROM refresh_tokens WHERE (expiry_ts IS NULL",
        ),
        (
            "mas_access",
            "FROM compat_access_tokens t JOIN compat_sessions",
            "FROM oauth2_access_tokens t JOIN oauth2_sessions",
        ),
    ];
    for (kind, first, second) in cases {
        let advice = advice(&names(), &["a"], kind, &meta());
        let (_, commands) = step(&advice, title);
        assert_eq!(commands.len(), 2, "{kind}: {commands:?}");
        assert!(
            commands[0].contains(first) && commands[0].contains(second),
            "{kind}"
        );
        assert!(
            commands[0].ends_with("--format ndjson > alive.ndjson"),
            "{kind}"
        );
    }
    let advice = advice(&names(), &["a"], "password", &meta());
    assert!(
        !advice.to_string().contains(title),
        "no database has passwords"
    );
}
