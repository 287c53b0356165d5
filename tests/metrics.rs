//! What is exposed: in the format, as documented, and the sum of what was counted.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "a test that panics is a test that fails, and counts are whole"
)]

#[path = "metrics/format.rs"]
mod format;

use std::{collections::BTreeSet, fs, hint::black_box, path::Path, thread, time::Duration};

use format::Family;
use tokenshim::{
    access_log::Ending,
    metrics::{
        Attempt, ConnectFailure, Finished, Handshake, Judgement, Label, Limit, Log, Method,
        Protocol, Reason, Registry, Reload, Rewrite, Timeout, Tls, TokenSource, Witness, Worker,
        family,
    },
    refusal::Refusal,
    requirement::RouteClass,
};

const SYNC: Finished = Finished {
    method: Method::Get,
    status: 200,
    route: RouteClass::Sync,
    source: Some(TokenSource::Query),
    ending: Ending::Complete,
    duration: Duration::from_secs(30),
    request_bytes: 0,
    response_bytes: 512,
};

fn exposed(registry: &Registry) -> Vec<Family> {
    let mut text = String::new();
    registry.expose(&mut text);
    format::read(&text)
}

type Labels<'l> = &'l [(&'l str, &'l str)];

/// The sum of a family's samples that have all of `labels`.
fn value(families: &[Family], name: &str, labels: Labels<'_>) -> f64 {
    let family = families
        .iter()
        .find(|family| name.strip_prefix(&family.name).is_some_and(is_suffix))
        .unwrap_or_else(|| panic!("no {name}"));
    let suffix = &name[family.name.len()..];
    let has_all = |sample: &&format::Sample| {
        sample.suffix == suffix
            && labels
                .iter()
                .all(|(label, value)| sample.label(label) == Some(value))
    };
    family
        .samples
        .iter()
        .filter(has_all)
        .map(|sample| sample.value)
        .sum()
}

fn is_suffix(text: &str) -> bool {
    matches!(text, "" | "_bucket" | "_sum" | "_count")
}

/// One of everything.
fn count_all(worker: &Worker) {
    worker.accepted();
    worker.shook_hands(Handshake::Ok);
    let open = worker.open(Protocol::Http2, Tls::Yes);
    worker.begun();
    worker.rerouted(RouteClass::Other, RouteClass::Sync);
    worker.rewritten(Rewrite::Query);
    worker.attempted(Attempt::New);
    worker.connected();
    worker.not_connected(ConnectFailure::Timeout);
    worker.rejected(Refusal::MissingToken);
    worker.limited(Limit::HeadSize);
    worker.timed_out(Timeout::Idle);
    worker.finished(&SYNC);
    drop(open);
}

#[test]
fn the_exposition_has_every_family_of_the_list_and_no_other() {
    let registry = Registry::new(2);
    count_all(&registry.worker());
    let families = exposed(&registry);
    let names: Vec<_> = families.iter().map(|family| family.name.as_str()).collect();
    let listed: Vec<_> = family::ALL.iter().map(|family| family.name).collect();
    assert_eq!(names, listed);
    for (family, listed) in families.iter().zip(family::ALL) {
        assert_eq!(family.kind, format!("{:?}", listed.kind).to_lowercase());
        assert_eq!(family.help, listed.help);
        assert!(!family.samples.is_empty(), "{}", family.name);
        for sample in &family.samples {
            let names: Vec<_> = sample
                .labels
                .iter()
                .map(|(name, _)| name.as_str())
                .filter(|name| *name != "le")
                .collect();
            assert_eq!(names, listed.labels, "{}", family.name);
        }
    }
}

#[test]
fn the_page_lists_what_is_exposed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let page = fs::read_to_string(path).unwrap();
    let rows: Vec<_> = page
        .lines()
        .filter(|line| line.starts_with("| `tokenshim_") || line.starts_with("| `process_"))
        .collect();
    let expected: Vec<_> = family::ALL
        .iter()
        .map(|family| {
            let labels: Vec<_> = family
                .labels
                .iter()
                .map(|label| format!("`{label}`"))
                .collect();
            format!(
                "| `{}` | {} | {} | {} |",
                family.name,
                format!("{:?}", family.kind).to_lowercase(),
                labels.join(", "),
                family.help
            )
        })
        .collect();
    assert_eq!(rows, expected);
    for (labels, values) in label_values() {
        let row = format!("| {labels} | {values} |");
        assert!(page.contains(&row), "docs/metrics.md lacks: {row}");
    }
}

/// The closed lists, as the page has them.
fn label_values() -> Vec<(&'static str, String)> {
    fn all<L: Label>() -> String {
        let values: Vec<_> = L::ALL
            .iter()
            .map(|label| format!("`{}`", label.as_str()))
            .collect();
        values.join(", ")
    }
    vec![
        ("`route`", all::<RouteClass>()),
        ("`method`", all::<Method>()),
        ("`ending`", all::<Ending>()),
        ("`source`", all::<TokenSource>()),
        ("`outcome` of rewrites", all::<Rewrite>()),
        ("`reason`", all::<Reason>()),
        ("`verdict`", all::<Judgement>()),
        ("`witness`", all::<Witness>()),
        ("`connection`", all::<Attempt>()),
        ("`kind`", all::<ConnectFailure>()),
        ("`protocol`", all::<Protocol>()),
        ("`tls`", all::<Tls>()),
        ("`outcome` of handshakes", all::<Handshake>()),
        ("`limit`", all::<Limit>()),
        ("`timeout`", all::<Timeout>()),
        ("`log`", all::<Log>()),
        ("`outcome` of reloads", all::<Reload>()),
    ]
}

#[test]
fn the_counters_of_all_threads_are_added_up() {
    const THREADS: usize = 4;
    const TIMES: usize = 1_000;
    let registry = Registry::new(THREADS);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            let worker = registry.worker();
            scope.spawn(move || (0..TIMES).for_each(|_| count_all(&worker)));
        }
        // Reading in between disturbs nobody, and every reading is well-formed.
        (0..20).for_each(|_| drop(exposed(&registry)));
    });
    let families = exposed(&registry);
    let times = 4_000.0;
    let cases: [(&str, Labels<'_>, f64); 22] = [
        ("tokenshim_workers", &[], 4.0),
        (
            "tokenshim_requests_total",
            &[("method", "GET"), ("code", "200"), ("route", "sync")],
            times,
        ),
        (
            "tokenshim_requests_ended_total",
            &[("ending", "complete")],
            times,
        ),
        ("tokenshim_inflight_requests", &[], 0.0),
        (
            "tokenshim_request_duration_seconds_count",
            &[("route", "sync")],
            times,
        ),
        ("tokenshim_request_duration_seconds_sum", &[], times * 30.0),
        (
            "tokenshim_request_duration_seconds_bucket",
            &[("route", "sync"), ("le", "10")],
            0.0,
        ),
        (
            "tokenshim_request_duration_seconds_bucket",
            &[("route", "sync"), ("le", "30")],
            times,
        ),
        ("tokenshim_response_body_bytes_total", &[], times * 512.0),
        (
            "tokenshim_token_source_total",
            &[("source", "query")],
            times,
        ),
        ("tokenshim_rewrites_total", &[("outcome", "query")], times),
        (
            "tokenshim_rejections_total",
            &[("reason", "missing_token")],
            times,
        ),
        (
            "tokenshim_upstream_requests_total",
            &[("connection", "new")],
            times,
        ),
        ("tokenshim_upstream_connects_total", &[], times),
        (
            "tokenshim_upstream_connect_errors_total",
            &[("kind", "timeout")],
            times,
        ),
        ("tokenshim_connections_accepted_total", &[], times),
        (
            "tokenshim_connections_opened_total",
            &[("protocol", "h2"), ("tls", "true")],
            times,
        ),
        ("tokenshim_connections_closed_total", &[], times),
        ("tokenshim_connections", &[], 0.0),
        (
            "tokenshim_tls_handshakes_total",
            &[("outcome", "ok")],
            times,
        ),
        (
            "tokenshim_limits_hit_total",
            &[("limit", "head_size")],
            times,
        ),
        ("tokenshim_timeouts_total", &[("timeout", "idle")], times),
    ];
    for (name, labels, expected) in cases {
        assert_eq!(
            value(&families, name, labels),
            expected,
            "{name} {labels:?}"
        );
    }
}

#[test]
fn what_is_not_over_is_a_gauge() {
    let registry = Registry::new(1);
    let worker = registry.worker();
    let flying = |route| value(&exposed(&registry), "tokenshim_inflight_requests", route);
    worker.begun();
    worker.begun();
    worker.rerouted(RouteClass::Other, RouteClass::Sync);
    assert_eq!(flying(&[("route", "sync")]), 1.0);
    assert_eq!(flying(&[("route", "other")]), 1.0);
    worker.finished(&SYNC);
    assert_eq!(flying(&[]), 1.0);

    let open = |labels| value(&exposed(&registry), "tokenshim_connections", labels);
    let first = worker.open(Protocol::Http1, Tls::No);
    let second = worker.open(Protocol::Http2, Tls::Yes);
    assert_eq!(open(&[]), 2.0);
    drop(first);
    assert_eq!(open(&[("protocol", "http1")]), 0.0);
    assert_eq!(open(&[("protocol", "h2"), ("tls", "true")]), 1.0);
    drop(second);
    assert_eq!(open(&[]), 0.0);
}

#[test]
fn a_failed_reload_keeps_the_time_of_the_last_good_one() {
    let registry = Registry::new(1);
    let time = "tokenshim_config_last_reload_success_timestamp_seconds";
    let is_ok = "tokenshim_config_last_reload_successful";
    let begin = exposed(&registry);
    assert_eq!(value(&begin, is_ok, &[]), 1.0, "it started with it");
    registry.reloaded(Reload::Failed);
    let failed = exposed(&registry);
    assert_eq!(value(&failed, is_ok, &[]), 0.0);
    assert_eq!(value(&failed, time, &[]), value(&begin, time, &[]));
    registry.reloaded(Reload::Ok);
    let reloaded = exposed(&registry);
    assert_eq!(value(&reloaded, is_ok, &[]), 1.0);
    assert!(value(&reloaded, time, &[]) > value(&begin, time, &[]));
    for outcome in ["ok", "failed"] {
        let count = value(
            &reloaded,
            "tokenshim_config_reloads_total",
            &[("outcome", outcome)],
        );
        assert_eq!(count, 1.0, "{outcome}");
    }
}

/// Whatever clients and upstreams send, the series are those of the lists.
#[test]
fn nobody_can_make_series() {
    let registry = Registry::new(1);
    let worker = registry.worker();
    for status in 0..=u16::MAX {
        worker.begun();
        worker.finished(&Finished {
            status,
            method: Method::of(format!("CANARY{status}").as_bytes()),
            route: RouteClass::of(format!("/CANARY/{status}").as_bytes()),
            ..SYNC
        });
    }
    // The route the request was begun in is the one it is finished in.
    let mut text = String::new();
    registry.expose(&mut text);
    assert!(!text.contains("CANARY"));
    let families = format::read(&text);
    let requests = families
        .iter()
        .find(|family| family.name == "tokenshim_requests_total");
    let codes: BTreeSet<_> = requests
        .unwrap()
        .samples
        .iter()
        .map(|sample| sample.label("code").unwrap())
        .collect();
    assert!(codes.len() < 60, "{codes:?}");
    assert_eq!(value(&families, "tokenshim_inflight_requests", &[]), 0.0);
}

#[test]
fn counting_allocates_nothing() {
    let worker = Registry::new(1).worker();
    let counted = allocation_counter::measure(|| count_all(black_box(&worker)));
    assert_eq!(counted.count_total, 0);
}
