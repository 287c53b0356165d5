//! The table's rows through the layer, and beside the proxy on a socket.

use std::collections::BTreeMap;

use tokenshim::layer::{Conflict, OpenEndpoints, Profile, RelocateLayer, Repeated};

use crate::{
    probe::pass,
    rows::{Expect, Row, rows},
    support::{Shim, text, upstream::Upstream, wire::Message},
};

/// The layer with the settings of a row.
fn layer(policy: &str) -> RelocateLayer {
    let layer = RelocateLayer::builder();
    let layer = match policy {
        "" | "form_body = \"forward\"" | "form_body = \"refuse\"" => layer,
        "repeated = \"first\"" => layer.repeated(Repeated::First),
        "conflict = \"header\"" => layer.conflict(Conflict::Header),
        "conflict = \"query\"" => layer.conflict(Conflict::Query),
        "open = \"cut\"" => layer.open(OpenEndpoints::Cut),
        "profile = \"appservice\"" => layer.profile(Profile::Appservice),
        "profile = \"generic\"" => layer.profile(Profile::Generic),
        "parameters = [\"access_token\", \"token\"]" => {
            layer.parameters(&["access_token", "token"]).unwrap()
        }
        "parameters = [\"api_key2\"]" => layer.parameters(&["api_key2"]).unwrap(),
        other => panic!("the layer has no setting for {other}"),
    };
    layer.build()
}

/// Rows whose target never reaches a layer: the server has refused it with its URI.
const NO_URI: [&str; 3] = [
    "quotes of other parameters are percent-encoded",
    "neither slash nor scheme",
    "appservice API: two parameters, byte for byte",
];

#[test]
fn every_row_that_a_uri_can_hold() {
    let mut refused = Vec::new();
    let mut checked = 0;
    for row in rows() {
        let Ok(request) = row.request() else {
            refused.push(row.name);
            continue;
        };
        if row.needs_a_look_at_the_body() {
            continue;
        }
        let (seen, answer) = pass(&layer(&row.policy), request);
        let name = &row.name;
        match &row.expect {
            Expect::Forward {
                target,
                authorization,
                referer,
            } => {
                let seen = seen.unwrap_or_else(|| panic!("case: {name}: {}", answer.status()));
                assert_eq!(seen.target(), *target, "case: {name}");
                let expected: Vec<_> = Some(authorization.as_str())
                    .filter(|value| !value.is_empty())
                    .into_iter()
                    .collect();
                assert_eq!(seen.fields("authorization"), expected, "case: {name}");
                let referer: Vec<_> = referer.iter().map(String::as_str).collect();
                assert_eq!(seen.fields("referer"), referer, "case: {name}");
                assert_eq!(seen.body, row.body.unwrap_or_default(), "case: {name}");
            }
            Expect::Refuse { status, errcode } => {
                assert!(seen.is_none(), "case: {name}");
                assert_eq!(answer.status(), *status, "case: {name}");
                let body = text(answer.body());
                assert!(!body.contains("SECRET"), "case: {name}");
                let errcode = errcode.as_ref().filter(|_| row.method != "HEAD");
                let expected = errcode.map(|errcode| format!(r#"{{"errcode":"{errcode}","#));
                assert!(
                    body.starts_with(&expected.unwrap_or_default()),
                    "case: {name}: {body}"
                );
            }
        }
        checked += 1;
    }
    assert!(checked > 100, "{checked}");
    assert_eq!(refused, NO_URI);
}

/// The fields of an answer of the proxy that are not its connection's.
fn fields(answer: &Message) -> Vec<(String, String)> {
    let head = text(&answer.head);
    let lines = head.trim_end().lines().skip(1);
    lines
        .map(|line| line.split_once(": ").unwrap())
        .filter(|(name, _)| !matches!(*name, "Date" | "Connection"))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect()
}

/// What the service inside sees is what the upstream of the proxy sees, and an answer
/// of the layer's own has the proxy's fields, in their order, and its body to the byte.
#[test]
fn the_layer_does_as_the_proxy() {
    let mut policies = BTreeMap::<String, Vec<Row>>::new();
    for row in rows().into_iter().filter(|row| row.request().is_ok()) {
        // As in the layer, nobody looks into a form.
        let policy = row.policy.replace("\"refuse\"", "\"forward\"");
        policies.entry(policy).or_default().push(row);
    }
    let mut answers = 0;
    for (policy, rows) in &policies {
        let upstream = Upstream::plain();
        let forward = if policy.contains("form_body") {
            ""
        } else {
            "form_body = \"forward\"\n"
        };
        let config = format!("workers = 1\n[relocate]\n{forward}{policy}\n");
        let shim = Shim::start(&upstream.url(), &config);
        let layer = layer(policy);
        for row in rows {
            let name = &row.name;
            let theirs = shim.connect().ask(row.wire());
            let forwarded = upstream.take().pop();
            let (seen, ours) = pass(&layer, row.request().unwrap());
            assert_eq!(seen.is_some(), forwarded.is_some(), "case: {name}");
            if let (Some(seen), Some(forwarded)) = (seen, forwarded) {
                let line = format!("{} {} HTTP/1.1", row.method, seen.target());
                assert_eq!(line, text(forwarded.line()), "case: {name}");
                for field in ["authorization", "referer"] {
                    assert_eq!(seen.fields(field), forwarded.fields(field), "case: {name}");
                }
                assert_eq!(seen.body, forwarded.body, "case: {name}");
                continue;
            }
            answers += 1;
            assert_eq!(ours.status(), theirs.status(), "case: {name}");
            let written: Vec<_> = ours
                .headers()
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
                .collect();
            assert_eq!(written, fields(&theirs), "case: {name}");
            assert_eq!(text(ours.body()), text(&theirs.body), "case: {name}");
        }
        shim.stop();
    }
    assert!(answers > 20, "{answers}");
}
