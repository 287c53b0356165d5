//! A request that turns out bad when its answer has begun: what the log calls it.

#![allow(
    clippy::allow_attributes,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

#[path = "support/edge.rs"]
mod edge;
#[path = "support/engine.rs"]
mod engine;

use std::time::Duration;

use edge::Admin;
use engine::{PATIENCE, Shim, Upstream};

/// Between pieces of a slow body.
const PAUSE: Duration = Duration::from_millis(50);

const CHUNKED: &str = "POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n";
const SIZED: &str = "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nx";

#[test]
fn the_line_names_the_cause() {
    let upstream = Upstream::start(|mut end| {
        if end.request_head().is_some() {
            let _ = end.try_send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegin");
            // Until the shim hangs up.
            let _ = end.rest();
        }
    });
    let size = "[limits]\nbody_size = \"9B\"\n";
    let patience = "[timeouts]\nbody = \"400ms\"\n";
    let no_rate = "[limits]\nbody_rate = \"0\"\n";
    let rate = "[limits]\nbody_rate = \"1KiB\"\n";
    let limit = |name: &str| format!("tokenshim_limits_hit_total{{limit=\"{name}\"}}");
    let late = "tokenshim_timeouts_total{timeout=\"body\"}".to_owned();
    let rows = [
        (
            "no chunk",
            String::new(),
            (CHUNKED, "x\r\n"),
            ("client_error", None),
        ),
        (
            "more than allowed",
            size.to_owned(),
            (CHUNKED, "9\r\n123456789\r\n"),
            ("client_error", Some(limit("body_size"))),
        ),
        (
            "nothing more",
            [patience, no_rate].concat(),
            (SIZED, ""),
            ("client_timeout", Some(late)),
        ),
        (
            "too little",
            [patience, rate].concat(),
            (CHUNKED, "1\r\ny\r\n"),
            ("client_timeout", Some(limit("body_rate"))),
        ),
    ];
    for (name, config, (begin, more), (ending, series)) in rows {
        let admin = Admin::new();
        let shim = Shim::start(&upstream, &(config + &admin.section()));
        let mut client = shim.connect();
        client.send(begin);
        let head = client.head().unwrap();
        assert_eq!(head.status(), 200, "case: {name}");
        assert_eq!(client.exactly(5), b"begin", "case: {name}");
        if series
            .as_ref()
            .is_some_and(|series| series.contains("rate"))
        {
            // Too little for longer than `timeouts.body`: silence would be another cause.
            while client.is_silent_for(PAUSE) && client.try_send(more).is_ok() {}
        } else {
            client.send(more);
        }
        assert!(client.is_closed_within(PATIENCE), "case: {name}");
        let lines = shim.log(1);
        let line = lines.first().unwrap();
        assert_eq!((&line["status"], &line["bytes"]), (&200.into(), &5.into()));
        assert_eq!(line["ending"], ending, "case: {name}");
        if let Some(series) = series {
            admin.wait_for(&series, 1);
        }
        // It was no answer of ours.
        let rejected = "tokenshim_rejections_total{reason=\"body_too_large\"}";
        assert_eq!(admin.number(rejected), 0, "case: {name}");
    }
}
