//! A hundred thousand secrets, seen again and again, in little memory.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

use std::{io, net::IpAddr};

use jiff::Timestamp;
use tokenshim::{
    audit::{
        line::Field,
        report::{self, Meta, Report, ReportFormat},
        sighting::{Outcome, Place, Sighting, TokenId},
        tally::Tally,
    },
    redact::Confidence,
};

const TOKENS: u128 = 100_000;
const MIB: u64 = 1 << 20;

fn id(number: u128) -> TokenId {
    let bits = number
        .wrapping_add(1)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    format!("h:{bits:032x}").parse().unwrap()
}

/// Each of them `times`, from different places, at different times.
fn tally(names: &[String], times: u32) -> Tally {
    let mut tally = Tally::for_inputs(names);
    for time in 0..times {
        for number in 0..TOKENS {
            let low = u32::try_from(number).unwrap();
            let user = format!("@user{low}:example.org");
            tally.add(&Sighting {
                id: id(number),
                kind: "synapse_access",
                confidence: Confidence::Verified,
                user: Some(&user),
                place: Place {
                    input: (low + time / 2) % 4,
                    line: u64::from(low + time),
                },
                field: Field::Request,
                time: Some(Timestamp::from_second(i64::from(1_760_000_000 + low + time)).unwrap()),
                client: Some(IpAddr::from((low << 10 | (time % 2) << 8).to_be_bytes())),
                family: "matrix-nio",
                method: "GET",
                endpoint: if time % 2 == 0 {
                    "/_matrix/client/v3/sync"
                } else {
                    "other"
                },
                is_admin: false,
                status: Some(200),
                outcome: Outcome::Accepted,
            });
        }
    }
    tally
}

#[test]
fn a_hundred_thousand_secrets_fit() {
    let names: Vec<String> = (0..4)
        .map(|number| format!("access.log.{number}"))
        .collect();
    let mut first = None;
    let counted = allocation_counter::measure(|| first = Some(tally(&names, 1)));
    let mut often = None;
    let counted_often = allocation_counter::measure(|| often = Some(tally(&names, 6)));
    let tally = often.unwrap();
    let mut length = 0;
    let written = allocation_counter::measure(|| {
        let report = Report::of(&tally, &names, &Meta::default(), None, None);
        for format in [ReportFormat::Json, ReportFormat::Html, ReportFormat::Csv] {
            let mut out = Length::default();
            report::write(&report, format, &mut out, false).unwrap();
            length = out.0;
        }
    });
    let peaks = [counted, counted_often, written].map(|counted| counted.bytes_max / MIB);
    assert_eq!((tally.distinct(), length > 0), (100_000, true));
    assert!(
        peaks[0] < 44 && peaks[1] < 44 && peaks[2] < 12,
        "MiB: {peaks:?}"
    );
    if option_env!("AUDIT_REPORT_SAMPLES").is_some() {
        println!("MiB: {peaks:?}");
    }
}

#[derive(Default)]
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
