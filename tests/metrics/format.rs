//! A strict reader of Prometheus' text format, version 0.0.4: what a server
//! forgives is an error here.

use std::collections::BTreeSet;

/// The samples of one name.
pub(crate) struct Family {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) help: String,
    pub(crate) samples: Vec<Sample>,
}

pub(crate) struct Sample {
    /// What follows the family's name.
    pub(crate) suffix: String,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) value: f64,
}

impl Sample {
    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        let label = self.labels.iter().find(|(known, _)| known == name);
        label.map(|(_, value)| value.as_str())
    }
}

/// Reads a whole exposition.
pub(crate) fn read(text: &str) -> Vec<Family> {
    assert!(text.ends_with('\n'), "the last line has no end");
    assert!(!text.contains('\r'));
    let mut families: Vec<Family> = Vec::new();
    let mut series = BTreeSet::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let (name, help) = line
            .strip_prefix("# HELP ")
            .and_then(|rest| rest.split_once(' '))
            .unwrap_or_else(|| panic!("not a HELP line: {line}"));
        assert!(is_name(name, true), "{name}");
        assert!(!help.is_empty());
        let type_line = lines.next().unwrap();
        let kind = type_line
            .strip_prefix(&format!("# TYPE {name} "))
            .unwrap_or_else(|| panic!("not the TYPE of {name}: {type_line}"));
        assert!(matches!(kind, "counter" | "gauge" | "histogram"), "{kind}");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
        assert!(
            families.iter().all(|family| family.name != name),
            "{name} twice"
        );
        let mut samples = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let series_and_value = line.rsplit_once(' ').unwrap();
            assert!(
                series.insert(series_and_value.0.to_owned()),
                "twice: {line}"
            );
            samples.push(sample(line, name));
        }
        let family = Family {
            name: name.into(),
            kind: kind.into(),
            help: help.into(),
            samples,
        };
        match family.kind.as_str() {
            "histogram" => check_histogram(&family),
            _ => assert!(family.samples.iter().all(|sample| sample.suffix.is_empty())),
        }
        families.push(family);
    }
    families
}

fn sample(line: &str, family: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let rest = series
        .strip_prefix(family)
        .unwrap_or_else(|| panic!("{line} in {family}"));
    let (suffix, labels) = match rest.split_once('{') {
        Some((suffix, labels)) => (suffix, labels_of(labels)),
        None => (rest, Vec::new()),
    };
    let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
    assert!(value >= 0.0 && value.is_finite(), "{line}");
    Sample {
        suffix: suffix.into(),
        labels,
        value,
    }
}

/// `a="1",b="2"}`.
fn labels_of(text: &str) -> Vec<(String, String)> {
    let mut labels: Vec<(String, String)> = Vec::new();
    let mut rest = text;
    loop {
        let (name, behind) = rest.split_once("=\"").unwrap_or_else(|| panic!("{text}"));
        assert!(is_name(name, false) && !name.starts_with("__"), "{text}");
        assert!(labels.iter().all(|(known, _)| known != name), "{text}");
        let (value, behind) = value_of(behind);
        labels.push((name.into(), value));
        let Some(more) = behind.strip_prefix(',') else {
            assert_eq!(behind, "}", "{text}");
            return labels;
        };
        rest = more;
    }
}

/// A label's value, and what follows its closing quote.
fn value_of(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.chars();
    loop {
        match characters
            .next()
            .unwrap_or_else(|| panic!("no end: {text}"))
        {
            '"' => return (value, characters.as_str()),
            '\\' => value.push(match characters.next() {
                Some('n') => '\n',
                Some(escaped @ ('"' | '\\')) => escaped,
                other => panic!("escape {other:?} in {text}"),
            }),
            other => value.push(other),
        }
    }
}

fn is_name(name: &str, of_metric: bool) -> bool {
    let may_be_in =
        |byte: u8| byte.is_ascii_lowercase() || byte == b'_' || (of_metric && byte == b':');
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name
            .bytes()
            .all(|byte| may_be_in(byte) || byte.is_ascii_digit())
}

/// For each set of labels: buckets that rise in bound and count, `+Inf` last,
/// then the sum, then the count, which is the last bucket's.
fn check_histogram(family: &Family) {
    let mut samples = family.samples.iter().peekable();
    while samples.peek().is_some() {
        let (mut bound, mut count) = (f64::NEG_INFINITY, 0.0);
        while let Some(bucket) = samples.next_if(|sample| sample.suffix == "_bucket") {
            let (name, text) = bucket.labels.last().unwrap();
            assert_eq!(name, "le");
            let next: f64 = text.parse().unwrap();
            assert!(
                next > bound && bucket.value >= count,
                "{}: {text}",
                family.name
            );
            (bound, count) = (next, bucket.value);
        }
        assert!(bound.is_infinite(), "{}", family.name);
        assert_eq!(samples.next().unwrap().suffix, "_sum");
        let total = samples.next().unwrap();
        assert_eq!((total.suffix.as_str(), total.value), ("_count", count));
    }
}
