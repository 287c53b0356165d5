//! Every endpoint of the data through the running process: what a request
//! without a token, with one, and with two of them comes to.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

#[path = "requirement/reference.rs"]
mod reference;
mod support;

use std::collections::BTreeSet;

use support::{Shim, text, upstream::Upstream, wire::Wire};
use tokenshim::requirement::{Api, Class, Endpoint};

const BEARER: &str = "Authorization: Bearer SECRET\r\n";

/// The five ways in which a token comes, or does not.
const WAYS: [(&str, &str, &str); 5] = [
    ("no token", "?a=\"", ""),
    ("header", "?a=\"", BEARER),
    ("query", "?a=\"&access_token=SECRET", ""),
    ("both, equal", "?a=\"&access_token=SECRET", BEARER),
    (
        "two in the query",
        "?a=\"&access_token=SECRET&access_token=SECRET2",
        "",
    ),
];

/// What has to come of it: the error code of our own 401, or the target and
/// the `Authorization` that arrive.
fn expected(
    endpoint: Endpoint,
    method: &str,
    path: &str,
    (way, query, header): (&str, &str, &str),
) -> Result<(String, String), &'static str> {
    let is_identity = endpoint.api == Api::Identity;
    let missing = if is_identity {
        "M_UNAUTHORIZED"
    } else {
        "M_MISSING_TOKEN"
    };
    let kept = header
        .trim_start_matches("Authorization: ")
        .trim_end()
        .to_owned();
    if endpoint.class == Class::Never {
        return Ok((format!("{path}{query}"), kept));
    }
    let cut = format!("{path}?a=%22");
    if method == "OPTIONS" {
        return Ok((cut, kept));
    }
    match way {
        "no token" if endpoint.class == Class::Required => Err(missing),
        // There nobody asks for a credential: an ambiguous one is only dropped.
        "two in the query" if endpoint.class == Class::Open => Ok((cut, kept)),
        "two in the query" => Err(missing),
        "query" => Ok((cut, "Bearer SECRET".into())),
        _ => Ok((cut, kept)),
    }
}

/// Asks, and compares.
fn check(wire: &mut Wire, upstream: &Upstream, method: &str, path: &str) {
    let endpoint = reference::of(method.as_bytes(), path.as_bytes());
    for way in WAYS {
        let name = format!("{method} {path}, {}", way.0);
        let answer = wire.ask(format!(
            "{method} {path}{} HTTP/1.1\r\nHost: h\r\n{}\r\n",
            way.1, way.2
        ));
        let seen = upstream.take();
        match expected(endpoint, method, path, way) {
            Ok((target, authorization)) => {
                assert_eq!(answer.status(), 200, "{name}: {}", text(&answer.body));
                assert_eq!(text(seen[0].target()), target, "{name}");
                assert_eq!(
                    seen[0].field("authorization").unwrap_or_default(),
                    authorization,
                    "{name}"
                );
            }
            Err(errcode) => {
                assert!(seen.is_empty(), "{name}");
                assert_eq!(answer.status(), 401, "{name}");
                assert_eq!(answer.errcode(), errcode, "{name}");
            }
        }
    }
}

/// Methods and paths of the data, each once.
fn rows() -> BTreeSet<(String, String)> {
    reference::table()
        .iter()
        .map(|row| {
            let method = if row.method == "ANY" {
                "GET"
            } else {
                &row.method
            };
            let path = row.path.replace("{}", "%21a:b").replace('*', "some/rest");
            (method.to_owned(), path)
        })
        .collect()
}

#[test]
fn every_endpoint_in_every_way() {
    let upstream = Upstream::plain();
    let shim = Shim::start(
        &upstream.url(),
        "workers = 1\n[access_log]\nformat = \"off\"\n",
    );
    let mut wire = shim.connect();
    let rows = rows();
    assert!(rows.len() > 690, "{}", rows.len());
    for (method, path) in &rows {
        check(&mut wire, &upstream, method, path);
    }
    shim.stop();
}

#[test]
fn a_preflight_of_every_path_passes() {
    let upstream = Upstream::plain();
    let shim = Shim::start(
        &upstream.url(),
        "workers = 1\n[access_log]\nformat = \"off\"\n",
    );
    let mut wire = shim.connect();
    let paths: BTreeSet<_> = rows().into_iter().map(|(_, path)| path).collect();
    for path in &paths {
        check(&mut wire, &upstream, "OPTIONS", path);
    }
    shim.stop();
}

/// With the generic profile no path has a meaning.
#[test]
fn no_endpoint_matters_to_the_generic_profile() {
    let upstream = Upstream::plain();
    let config = "workers = 1\n[access_log]\nformat = \"off\"\n[relocate]\nprofile = \"generic\"\n";
    let shim = Shim::start(&upstream.url(), config);
    let mut wire = shim.connect();
    for (method, path) in rows() {
        let head_of = |query: &str| format!("{method} {path}{query} HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(wire.ask(head_of("")).status(), 200, "{method} {path}");
        assert_eq!(wire.ask(head_of("?access_token=SECRET")).status(), 200);
        let seen = upstream.take();
        assert_eq!(text(seen[1].target()), path);
        assert_eq!(seen[1].fields("authorization"), ["Bearer SECRET"]);
    }
    shim.stop();
}
