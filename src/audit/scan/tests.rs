//! However a log is cut into blocks, and whoever reads them, the sum is the same.

use std::{fs, io::Write as _};

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::audit::{
    input,
    report::{self, Meta, Report, ReportFormat},
};

fn registrations() -> Registrations {
    Registrations::default()
}

/// The report of some inputs, read in blocks of such sizes by so many workers.
fn report(text: &[u8], sizes: Sizes, jobs: usize, is_compressed: bool) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    if is_compressed {
        let file = fs::File::create(&path).unwrap();
        let mut out = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        out.write_all(text).unwrap();
        out.finish().unwrap();
    } else {
        fs::write(&path, text).unwrap();
    }
    let key = FingerprintKey::new(b"FAKE-KEY-FAKE-KEY").unwrap();
    let registrations = registrations();
    let search = Search {
        redactor: Redactor::default(),
        key: &key,
        registrations: &registrations,
        window: Window::default(),
        lines: LineReader::new(&[]),
        tally: Tally::new(),
        is_kept: false,
        told: None,
        sizes,
        first_line: 1,
    };
    let inputs: Vec<_> = input::list(&[path]).inputs.into_iter().map(Some).collect();
    let found = scan(&search, &inputs, jobs, &Arc::new(Watch::default()));
    let meta = Meta {
        is_complete: true,
        ..Meta::default()
    };
    let names = ["access.log".to_owned()];
    let report = Report::of(&found.tally, &names, &meta, None, None);
    let mut out = Vec::new();
    report::write(&report, ReportFormat::Json, &mut out, false).unwrap();
    String::from_utf8(out).unwrap()
}

fn line() -> impl Strategy<Value = String> {
    let path = select(
        &[
            "/_matrix/client/v3/sync?access_token=FAKE-SECRET-1",
            "/_matrix/client/v3/sync?access%5ftoken=FAKE-SECRET-2",
            "/?next=%3Faccess_token%3DFAKE-SECRET-1",
            "/_matrix/client/versions",
            "/?x=access_token",
            "/syt_RkFLRQ_FAKEFAKE",
        ][..],
    );
    let tail = select(&["200", "401", "200 \"", ""][..]);
    prop_oneof![
        3 => (path, tail, 0..40_usize).prop_map(|(path, status, pad)| format!(
            "192.0.2.1 - - [22/Nov/2026:10:00:00 +0000] \"GET {path} HTTP/1.1\" {status} 1 \"{}\" \"x\"",
            "a".repeat(pad)
        )),
        1 => "[ -~]{0,80}",
        1 => Just(String::new()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn every_cut_gives_the_same(
        lines in vec(line(), 0..30),
        has_end in any::<bool>(),
        block in 1..900_usize,
        jobs in 1..5_usize,
        is_compressed in any::<bool>(),
        kept in 0..5_usize,
    ) {
        let mut text = lines.join("\n");
        if has_end {
            text.push('\n');
        }
        let whole = report(text.as_bytes(), Sizes::default(), 1, false);
        // No line is longer, so that none is looked at in parts.
        let sizes = Sizes { block, longest: 400, overlap: 100, kept };
        prop_assert_eq!(report(text.as_bytes(), sizes, jobs, is_compressed), whole);
    }
}

/// A line that is just too long, or a little less, in every place of a chunk: the lines
/// behind it count once.
#[test]
fn lines_behind_a_long_one_count_once() {
    let leak = |secret: &str, filler: usize| {
        format!(
            "192.0.2.1 - - [22/Nov/2026:10:00:00 +0000] \"GET /{}?access_token=FAKE-{secret} HTTP/1.1\" 200 1\n",
            "x".repeat(filler)
        )
    };
    let before: String = (0..50)
        .map(|number| leak(&format!("BEFORE-{number}"), 0))
        .collect();
    let behind: String = (0..4)
        .map(|number| leak(&format!("BEHIND-{number}"), 0))
        .collect();
    for filler in (9000..15_000).step_by(250) {
        let text = [before.as_str(), &leak("LONG-01", filler), &behind].concat();
        for block in [4900, 5000, 5100] {
            let sizes = Sizes {
                block,
                longest: 10_000,
                overlap: 1000,
                kept: 20,
            };
            // Whether a line is looked at as a whole or in parts may differ here.
            for (jobs, is_compressed) in [(1, true), (1, false), (2, false)] {
                let text = report(text.as_bytes(), sizes, jobs, is_compressed);
                let found: serde_json::Value = serde_json::from_str(&text).unwrap();
                let totals = &found["totals"];
                assert_eq!(
                    (&totals["findings"], &totals["tokens"], &totals["lines"]),
                    (&55.into(), &55.into(), &55.into()),
                    "{filler} in {block} by {jobs}"
                );
            }
        }
    }
}
