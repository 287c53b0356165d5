//! Any split, any order: the sum is the whole, byte for byte.

#![allow(
    clippy::allow_attributes,
    clippy::arithmetic_side_effects,
    clippy::format_collect,
    clippy::needless_for_each,
    reason = "tests fail by panicking, and need not be fast"
)]

use std::{
    collections::BTreeMap,
    io::Cursor,
    net::{IpAddr, Ipv4Addr},
};

use jiff::Timestamp;
use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::{
    audit::{
        line::{Field, Format},
        sighting::{Outcome, Place, Sighting, TokenId},
    },
    redact::Confidence,
};

/// A line of a file with one secret, or none.
#[derive(Clone, Debug)]
struct Seen {
    id: Option<u8>,
    kind: &'static str,
    confidence: Confidence,
    user: Option<&'static str>,
    input: u32,
    field: Field,
    second: Option<i64>,
    client: u32,
    family: &'static str,
    endpoint: &'static str,
    status: Option<u16>,
    outcome: Outcome,
    is_admin: bool,
}

const FILES: u32 = 12;

fn seen() -> impl Strategy<Value = Seen> {
    let what = (
        proptest::option::weighted(0.9, 0..12_u8),
        select(vec!["synapse_access", "access_token", "authorization"]),
        select(vec![
            Confidence::Context,
            Confidence::Shape,
            Confidence::Verified,
        ]),
        proptest::option::of(select(vec!["@a:h", "@b:h", "@c:h", "@d:h", "@e:h", "@f:h"])),
        0..FILES,
        select(vec![
            Field::Request,
            Field::Referer,
            Field::UserAgent,
            Field::Other,
        ]),
        proptest::option::of(0..400_000_i64),
    );
    let how = (
        0..60_u32,
        select(vec!["nio", "curl", "other"]),
        select(vec![
            "/_matrix/client/v3/sync",
            "other",
            "/_synapse/admin/v2/users",
        ]),
        proptest::option::of(200..210_u16),
        select(vec![Outcome::Accepted, Outcome::Refused, Outcome::Unproven]),
        any::<bool>(),
    );
    (what, how).prop_map(
        |(
            (id, kind, confidence, user, input, field, second),
            (client, family, endpoint, status, outcome, is_admin),
        )| Seen {
            id,
            kind,
            confidence,
            user,
            input,
            field,
            second,
            client,
            family,
            endpoint,
            status,
            outcome,
            is_admin,
        },
    )
}

fn name(input: u32) -> String {
    // Their order by name is not their order by number.
    format!("log.{}", (input * 7) % FILES)
}

fn id(number: u8) -> TokenId {
    TokenId([number; 16])
}

/// Adds a line to a tally that calls its input `input`.
fn add(tally: &mut Tally, input: u32, line: u64, seen: &Seen) {
    let time = seen
        .second
        .map(|second| Timestamp::from_second(second * 60).unwrap());
    let format = if seen.field == Field::Other {
        Format::Text
    } else {
        Format::Combined
    };
    tally.lines_read(input, 1, 100);
    tally.line(input, format, seen.id.is_some(), time);
    let Some(number) = seen.id else {
        tally.incomplete(Some(input), "a line was cut".to_owned());
        return;
    };
    tally.add(&Sighting {
        id: id(number),
        kind: seen.kind,
        confidence: seen.confidence,
        user: seen.user,
        place: Place { input, line },
        field: seen.field,
        time,
        client: Some(IpAddr::V4(Ipv4Addr::from_bits(seen.client << 8 | 7))),
        family: seen.family,
        method: "GET",
        endpoint: seen.endpoint,
        is_admin: seen.is_admin,
        status: seen.status,
        outcome: seen.outcome,
    });
}

fn meta() -> Meta {
    Meta {
        key_id: "0a0a0a0a".to_owned(),
        is_complete: true,
        ..Meta::default()
    }
}

fn json(tally: &Tally, names: &[String]) -> String {
    let report = Report::of(tally, names, &meta(), None, None);
    let mut out = Vec::new();
    report::write(&report, ReportFormat::Json, &mut out, false).unwrap();
    String::from_utf8(out).unwrap()
}

/// The lines of all files, one behind the other in each.
fn numbered(lines: &[Seen]) -> Vec<(u64, &Seen)> {
    let mut next = BTreeMap::new();
    let number = |seen: &Seen| {
        let line = next.entry(seen.input).or_insert(0_u64);
        *line += 1;
        *line
    };
    lines
        .iter()
        .map(number)
        .collect::<Vec<_>>()
        .into_iter()
        .zip(lines)
        .collect()
}

fn whole(lines: &[(u64, &Seen)]) -> (Tally, Vec<String>) {
    let names: Vec<String> = (0..FILES).map(name).collect();
    let mut tally = Tally::for_inputs(&names);
    for (line, seen) in lines {
        add(&mut tally, seen.input, *line, seen);
    }
    (tally, names)
}

/// The part of a machine that has only some files, and numbers them in its own way.
fn part(lines: &[&(u64, &Seen)]) -> Vec<u8> {
    let mut inputs: Vec<u32> = lines.iter().map(|(_, seen)| seen.input).collect();
    inputs.sort_unstable();
    inputs.dedup();
    inputs.reverse();
    let names: Vec<String> = inputs.iter().map(|input| name(*input)).collect();
    let mut tally = Tally::for_inputs(&names);
    for (line, seen) in lines {
        let input = inputs
            .iter()
            .position(|input| *input == seen.input)
            .unwrap();
        add(&mut tally, u32::try_from(input).unwrap(), *line, seen);
    }
    let mut out = Vec::new();
    write_part(&tally, &names, &meta(), &mut out).unwrap();
    out
}

fn sum(parts: &[Vec<u8>]) -> Sum {
    let mut sum = Sum::default();
    for (place, part) in parts.iter().enumerate() {
        let path = PathBuf::from(format!("part {place}"));
        sum.add_all(&path, Cursor::new(part)).unwrap();
    }
    sum
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Machines that have different files, merged in any order, in one step or by way of
    /// other parts.
    #[test]
    fn parts_of_files_add_up_to_the_whole(
        lines in vec(seen(), 1..150),
        owners in vec(0..4_usize, FILES as usize),
        is_reversed in any::<bool>(),
    ) {
        let lines = numbered(&lines);
        let (tally, mut names) = whole(&lines);
        let mut parts: Vec<Vec<u8>> = (0..4)
            .map(|owner| lines.iter().filter(|(_, seen)| owners[seen.input as usize] == owner).collect::<Vec<_>>())
            .filter(|lines| !lines.is_empty())
            .map(|lines| part(&lines))
            .collect();
        if is_reversed {
            parts.reverse();
        }
        let merged = sum(&parts);
        // What no line is of, no part has.
        names.retain(|name| merged.names.contains(name));
        let whole_of_those = {
            let (mut tally, all) = (tally, (0..FILES).map(name).collect::<Vec<_>>());
            let numbers: Vec<u32> = all
                .iter()
                .map(|name| names.iter().position(|other| other == name).map_or(u32::MAX, |at| u32::try_from(at).unwrap()))
                .collect();
            tally.place_inputs(&numbers, &names);
            tally
        };
        let expected = json(&whole_of_those, &names);
        prop_assert_eq!(&json(&merged.tally, &merged.names), &expected);
        // Through a part of parts.
        let mut again = Vec::new();
        write_part(&merged.tally, &merged.names, &meta(), &mut again).unwrap();
        let again = sum(&[again]);
        prop_assert_eq!(&json(&again.tally, &again.names), &expected);
    }

    /// Workers of one run: any of them may have any line.
    #[test]
    fn workers_add_up_to_the_whole(
        lines in vec(seen(), 1..150),
        workers in vec(0..3_usize, 150),
    ) {
        let lines = numbered(&lines);
        let (expected, names) = whole(&lines);
        let mut tallies = vec![Tally::for_inputs(&names); 3];
        for ((line, seen), worker) in lines.iter().zip(workers) {
            add(&mut tallies[worker], seen.input, *line, seen);
        }
        let expected = json(&expected, &names);
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let mut sum = Tally::for_inputs(&names);
            order.into_iter().for_each(|worker: usize| sum.merge(tallies[worker].clone()));
            prop_assert_eq!(&json(&sum, &names), &expected);
        }
        // Associative: the last two first.
        let [first, mut second, third] = <[Tally; 3]>::try_from(tallies).unwrap();
        second.merge(third);
        let mut sum = first;
        sum.merge(second);
        prop_assert_eq!(&json(&sum, &names), &expected);
    }

    /// Blocks are numbered before anybody knows how many lines came before.
    #[test]
    fn lines_get_their_numbers_later(lines in vec(seen(), 1..100), before in 1..1000_u64) {
        let lines = numbered(&lines);
        let (expected, names) = whole(&lines.iter().map(|(line, seen)| (line + before, *seen)).collect::<Vec<_>>());
        let (mut tally, _) = whole(&lines);
        tally.renumber(&|place| Place { line: place.line + before, ..place });
        prop_assert_eq!(json(&tally, &names), json(&expected, &names));
    }

    /// Nobody can make the reader panic, or take what was changed.
    #[test]
    fn a_changed_part_is_no_part(lines in vec(seen(), 1..20), at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
        let lines = numbered(&lines);
        let sound = part(&lines.iter().collect::<Vec<_>>());
        let mut changed = sound.clone();
        let at = at.index(changed.len());
        changed[at] = byte;
        let read = Sum::default().add_all(Path::new("part"), Cursor::new(&changed));
        prop_assert!(changed == sound || read.is_err(), "byte {at}: {byte}");
    }
}

/// The lines of a part with the end that belongs to them.
fn signed(lines: &[String]) -> Vec<u8> {
    use sha2::{Digest as _, Sha256};
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let hash: String = Sha256::digest(&text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let end = format!(
        "{{\"end\":{{\"lines\":{},\"sha256\":\"{hash}\"}}}}\n",
        lines.len()
    );
    (text + &end).into_bytes()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whoever writes a part may write any number and any text, and sign it.
    #[test]
    fn a_hostile_part_is_refused_or_reported(
        lines in vec(seen(), 1..12),
        at in any::<proptest::sample::Index>(),
        with in select(vec!["0", "18446744073709551615", "9223372036854775807", "-9223372036854775808", "4294967295", "999", "\"<x>\\u0000\"", "null", "[]"]),
    ) {
        let lines = numbered(&lines);
        let text = String::from_utf8(part(&lines.iter().collect::<Vec<_>>())).unwrap();
        let mut own: Vec<String> = text.lines().map(str::to_owned).collect();
        own.pop();
        // Some number or text that stands behind a colon, a bracket or a comma.
        let places: Vec<(usize, usize, usize)> = own.iter().enumerate().skip(1).flat_map(|(number, line)| {
            let starts = line.match_indices([':', '[', ',']).map(|(at, _)| at + 1);
            starts.filter_map(move |from| {
                let rest = &line[from..];
                let end = rest.find([',', ']', '}'])?;
                (end > 0 && !rest.starts_with(['{', '['])).then_some((number, from, from + end))
            }).collect::<Vec<_>>()
        }).collect();
        let (number, from, to) = places[at.index(places.len())];
        own[number].replace_range(from..to, with);
        let mut sum = Sum::default();
        if sum.add_all(Path::new("part"), Cursor::new(signed(&own))).is_ok() {
            let report = Report::of(&sum.tally, &sum.names, &meta(), None, None);
            for format in [ReportFormat::Text, ReportFormat::Json, ReportFormat::Csv, ReportFormat::Sarif, ReportFormat::Html] {
                let mut out = Vec::new();
                report::write(&report, format, &mut out, false).unwrap();
                prop_assert!(!out.contains(&0) && !String::from_utf8(out).unwrap().contains("<x>") || format != ReportFormat::Html);
            }
            let mut again = Vec::new();
            write_part(&sum.tally, &sum.names, &meta(), &mut again).unwrap();
        }
    }
}

fn one(input: u32, lines: std::ops::Range<u64>, meta: &Meta) -> Vec<u8> {
    let names = [name(input)];
    let mut tally = Tally::for_inputs(&names);
    tally.begins(0, lines.start);
    tally.lines_read(0, lines.end - lines.start, 1000);
    let mut out = Vec::new();
    write_part(&tally, &names, meta, &mut out).unwrap();
    out
}

#[test]
fn what_does_not_add_up_is_refused() {
    let ours = meta();
    let other_key = Meta {
        key_id: "0b0b0b0b".to_owned(),
        ..meta()
    };
    let ephemeral = Meta {
        is_ephemeral: true,
        ..meta()
    };
    let later = Meta {
        since: Some(Timestamp::UNIX_EPOCH),
        ..meta()
    };
    let first = one(0, 1..500, &ours);
    let cut = first[..first.len() - 20].to_vec();
    let version =
        String::from_utf8(first.clone())
            .unwrap()
            .replacen("\"version\":1", "\"version\":2", 1);
    let cases = [
        ("other files", one(1, 1..500, &ours), None),
        ("the rest of the file", one(0, 500..900, &ours), None),
        (
            "the same",
            first.clone(),
            Some("B is the same part as A: it would count double"),
        ),
        (
            "the same lines",
            one(0, 400..900, &ours),
            Some(
                "B and A both have lines 400 to 499 of log.0: they would count double \
                 (other files of that name need --name)",
            ),
        ),
        (
            "another key",
            one(1, 1..5, &other_key),
            Some("B and A cannot be added up: they were made with different keys"),
        ),
        (
            "another time",
            one(1, 1..5, &later),
            Some("B and A cannot be added up: they are of different times (--since, --until)"),
        ),
        (
            "a key that is gone",
            one(1, 1..5, &ephemeral),
            Some(
                "B was made without --key: its ids mean nothing beside others; make it again with the key of all",
            ),
        ),
        ("cut", cut, Some("B: not a whole part")),
        (
            "another version",
            version.into_bytes(),
            Some("B: not a whole part"),
        ),
        ("nothing", Vec::new(), Some("there is no part in B")),
        ("a log", b"GET /\n".to_vec(), Some("B: not a whole part")),
    ];
    for (case, second, expected) in cases {
        let mut sum = Sum::default();
        sum.add_all(Path::new("A"), Cursor::new(&first)).unwrap();
        let error = sum.add_all(Path::new("B"), Cursor::new(&second)).err();
        let error = error.map(|error| error.to_string());
        assert_eq!(error.as_deref(), expected, "case: {case}");
    }
}

#[test]
fn a_part_alone_needs_no_key() {
    let ephemeral = Meta {
        is_ephemeral: true,
        ..meta()
    };
    let sum = sum(&[one(0, 1..5, &ephemeral)]);
    assert!(sum.first.unwrap().1.ephemeral_key);
}

#[test]
fn parts_may_come_in_one_stream() {
    let stream = [one(0, 1..5, &meta()), one(1, 1..7, &meta())].concat();
    let sum = sum(&[stream]);
    assert_eq!(sum.names, ["log.0", "log.7"]);
    assert_eq!(sum.tally.file(1).unwrap().lines, 6);
}

#[test]
fn incomplete_parts_stay_incomplete() {
    let stopped = Meta {
        is_complete: false,
        ..meta()
    };
    let sum = sum(&[one(0, 1..5, &stopped), one(1, 1..5, &meta())]);
    let report = Report::of(&sum.tally, &sum.names, &meta(), None, None);
    assert_eq!(report.exit_code(), 3);
    assert!(json(&sum.tally, &sum.names).contains(STOPPED));
}
