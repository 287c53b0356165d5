//! Prometheus' text format, version 0.0.4.
//!
//! Written here rather than by a library: the numbers are summed while they are
//! written, from counters that no library's types would let one thread write
//! without a locked instruction.

use std::fmt::{self, Display, Write as _};

use super::family::{Family, Kind};

/// The format's media type.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Text in the making.
#[derive(Debug)]
pub(super) struct Text<'o> {
    out: &'o mut String,
}

impl<'o> Text<'o> {
    pub(super) fn new(out: &'o mut String) -> Self {
        Self { out }
    }

    /// Begins a family; its samples follow.
    pub(super) fn family(&mut self, family: &'static Family) -> Samples<'_> {
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.out.push_str("# HELP ");
        self.out.push_str(family.name);
        self.out.push(' ');
        push_escaped(self.out, family.help, false);
        self.out.push_str("\n# TYPE ");
        self.out.push_str(family.name);
        self.out.push(' ');
        self.out.push_str(kind);
        self.out.push('\n');
        Samples {
            out: self.out,
            family,
        }
    }

    /// A family with one sample and no labels.
    pub(super) fn single(&mut self, family: &'static Family, value: impl Display) {
        self.family(family).push(&[], value);
    }
}

/// The samples of one family.
#[derive(Debug)]
pub(super) struct Samples<'t> {
    out: &'t mut String,
    family: &'static Family,
}

impl Samples<'_> {
    /// A sample; `values` are those of the family's labels, in their order.
    pub(super) fn push(&mut self, values: &[&str], value: impl Display) {
        self.line("", values, None, value);
    }

    /// A histogram: how many were in each bucket, from the first, and the sum.
    pub(super) fn histogram(
        &mut self,
        values: &[&str],
        buckets: impl Iterator<Item = (&'static str, u64)>,
        sum: impl Display,
    ) {
        let mut so_far = 0_u64;
        for (bound, count) in buckets {
            so_far = so_far.wrapping_add(count);
            self.line("_bucket", values, Some(bound), so_far);
        }
        self.line("_sum", values, None, sum);
        self.line("_count", values, None, so_far);
    }

    fn line(&mut self, suffix: &str, values: &[&str], bound: Option<&str>, value: impl Display) {
        self.out.push_str(self.family.name);
        self.out.push_str(suffix);
        let names = self.family.labels.iter().copied();
        let labels = names
            .zip(values.iter().copied())
            .chain(bound.map(|bound| ("le", bound)));
        let mut separator = '{';
        for (name, value) in labels {
            self.out.push(separator);
            self.out.push_str(name);
            self.out.push_str("=\"");
            push_escaped(self.out, value, true);
            self.out.push('"');
            separator = ',';
        }
        if separator == ',' {
            self.out.push('}');
        }
        // Writing to a String cannot fail.
        let _ = writeln!(self.out, " {value}");
    }
}

/// Escapes what would end a line and, in a label's value, what would end that.
fn push_escaped(out: &mut String, text: &str, is_value: bool) {
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if is_value => out.push_str("\\\""),
            other => out.push(other),
        }
    }
}

/// Microseconds, shown in the base unit, seconds, to the last digit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seconds(pub(super) u64);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MILLION: u64 = 1_000_000;
        write!(f, "{}.{:06}", self.0 / MILLION, self.0 % MILLION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        let cases = [
            ("plain", "v1.2-rc", "v1.2-rc", "v1.2-rc"),
            ("quote", "a\"b", "a\"b", "a\\\"b"),
            ("backslash", "a\\b", "a\\\\b", "a\\\\b"),
            ("line break", "a\nb", "a\\nb", "a\\nb"),
            ("all at once", "\\\"\n", "\\\\\"\\n", "\\\\\\\"\\n"),
            ("not ASCII", "é", "é", "é"),
        ];
        for (name, text, as_help, as_value) in cases {
            for (is_value, expected) in [(false, as_help), (true, as_value)] {
                let mut out = String::new();
                push_escaped(&mut out, text, is_value);
                assert_eq!(out, expected, "case: {name}, value: {is_value}");
            }
        }
    }

    #[test]
    fn seconds_are_exact() {
        for (micros, expected) in [
            (0, "0.000000"),
            (1, "0.000001"),
            (1_500_000, "1.500000"),
            (u64::MAX, "18446744073709.551615"),
        ] {
            assert_eq!(Seconds(micros).to_string(), expected);
        }
    }

    #[test]
    fn a_family_reads_as_the_format_has_it() {
        static FAMILY: Family = Family {
            name: "a_seconds",
            kind: Kind::Histogram,
            labels: &["route", "x"],
            help: "Two\nlines.",
        };
        let mut out = String::new();
        Text::new(&mut out).family(&FAMILY).histogram(
            &["sync", "q\""],
            [("0.5", 1), ("+Inf", 2)].into_iter(),
            Seconds(7),
        );
        assert_eq!(
            out,
            "# HELP a_seconds Two\\nlines.\n\
             # TYPE a_seconds histogram\n\
             a_seconds_bucket{route=\"sync\",x=\"q\\\"\",le=\"0.5\"} 1\n\
             a_seconds_bucket{route=\"sync\",x=\"q\\\"\",le=\"+Inf\"} 3\n\
             a_seconds_sum{route=\"sync\",x=\"q\\\"\"} 0.000007\n\
             a_seconds_count{route=\"sync\",x=\"q\\\"\"} 3\n"
        );
    }
}
