//! What is said of HAProxy: sections, variables, formats. Of most rows
//! that leak the program itself was seen to log the query.

use tokenshim::doctor::Program;

use super::{check, inspect};

#[test]
fn sections() {
    let rows: &[(&str, &str, &[&str])] = &[
        (
            "defaults from defaults",
            "defaults base\n option httplog\ndefaults child from base\n retries 2\nfrontend a from child\n",
            &["2 option httplog"],
        ),
        (
            "defaults without `from` begin anew",
            "defaults\n option httplog\ndefaults\n retries 2\nfrontend a\n",
            &[],
        ),
        (
            "blanks in front of sections",
            "  frontend a\n    option httplog\n  backend b\n    server s x\n  frontend c\n    log-format %ci\n",
            &["2 option httplog"],
        ),
        (
            "a profile of formats",
            "log-profile p\n on any format \"%HU\"\nfrontend a\n log-format %ci\n",
            &["2 %HU in on"],
        ),
    ];
    check(Program::Haproxy, rows);
}

/// A frontend with a rule, and what it logs.
fn frontend(rule: &str, format: &str) -> String {
    format!("frontend a\n {rule}\n log-format \"{format}\"\n")
}

#[test]
fn variables() {
    let rows: &[(&str, &str, &str, &[&str])] = &[
        (
            "by a format",
            "http-request set-var-fmt(txn.u) \"%HM %[url]\"",
            "%[var(txn.u)]",
            &["3 %[var(txn.u)] in log-format"],
        ),
        (
            "of a variable",
            "http-request set-var(txn.b) var(txn.a),lower\n http-request set-var(txn.a) url",
            "%[var(txn.b),upper]",
            &["4 %[var(txn.b)] in log-format"],
        ),
        (
            "with a condition in its name",
            "http-request set-var(txn.u,ifnotexists) url",
            "%[var(txn.u)]",
            &["3 %[var(txn.u)] in log-format"],
        ),
        (
            "in another layer, and by a converter",
            "tcp-request content set-var(txn.u) url\n http-request set-header X %[query,set-var(txn.v)]",
            "%[var(txn.v)]",
            &["4 %[var(txn.v)] in log-format"],
        ),
        (
            "as an argument of a converter",
            "http-request set-var(txn.u) url",
            "%[str(x),concat(-,txn.u)]",
            &["3 %[var(txn.u)] in log-format"],
        ),
        (
            "a condition puts nothing into it",
            "http-request set-var(txn.p) path if { query -m found }",
            "%[var(txn.p)]",
            &[],
        ),
        (
            "what it falls back to",
            "http-request set-var(txn.p) path",
            "%[var(txn.p,none)]",
            &[],
        ),
    ];
    let texts: Vec<_> = rows
        .iter()
        .map(|(name, rule, format, expected)| (*name, frontend(rule, format), *expected))
        .collect();
    let rows: Vec<_> = texts
        .iter()
        .map(|(name, text, expected)| (*name, text.as_str(), *expected))
        .collect();
    check(Program::Haproxy, &rows);
    let backend =
        "frontend a\n log-format \"%[var(txn.u)]\"\nbackend b\n http-request set-var(txn.u) url\n";
    let row: (&str, &str, &[&str]) = (
        "set by the backend",
        backend,
        &["2 %[var(txn.u)] in log-format"],
    );
    check(Program::Haproxy, &[row]);
}

#[test]
fn samples_that_carry_tokens() {
    for sample in [
        "hdr(Referer)",
        "req.fhdr(Referer)",
        "req.hdrs",
        "http_auth_bearer",
        "req.body_param(access_token)",
        "req.hdr(X-Original-URI)",
    ] {
        let direct = inspect(
            Program::Haproxy,
            &frontend("mode http", &format!("%[{sample}]")),
        );
        assert_eq!(direct.findings.len(), 1, "{sample}");
        let rule = format!("http-request set-var(txn.u) {sample}");
        let outcome = inspect(Program::Haproxy, &frontend(&rule, "%[var(txn.u)]"));
        assert_eq!(outcome.findings.len(), 1, "{sample}");
    }
}

#[test]
fn formats() {
    let rows: &[(&str, &str, &[&str])] = &[
        (
            "a percent sign is no variable",
            "frontend a\n log-format \"100%%r %ci\"\n",
            &[],
        ),
        (
            "the id of a request",
            "frontend a\n unique-id-format %HU\n log-format %ID\n",
            &["2 %HU in unique-id-format"],
        ),
        (
            "structured data",
            "frontend a\n log-format-sd \"[x u=%HU]\"\n log-format %ci\n",
            &["2 %HU in log-format-sd"],
        ),
        (
            "a captured cookie",
            "frontend a\n capture cookie sess len 60\n log-format %CC\n",
            &["2 capture of cookie"],
        ),
        (
            "captured by the backend, and by way of a variable",
            "frontend a\n declare capture request len 99\n log-format %hr\nbackend b\n http-request set-var(txn.u) url\n http-request capture var(txn.u) id 0\n",
            &["6 capture of the URL"],
        ),
        (
            "a redirect by the URL",
            "frontend a\n http-request redirect location https://x%HU\n",
            &["2 http-request redirect"],
        ),
        (
            "a bracket among arguments",
            "frontend a\n log-format \"%[path,regsub([a],b),concat(,url)]\"\n",
            &["2 %[url] in log-format"],
        ),
    ];
    check(Program::Haproxy, rows);
}

#[test]
fn what_cannot_be_told_is_incomplete() {
    for (name, text) in [
        (
            "a format of the environment",
            "frontend a\n log-format \"${FMT}\"\n",
        ),
        (
            "an option of the environment",
            "frontend a\n option \"${LOG}\"\n",
        ),
        (
            "a variable of others",
            "frontend a\n log-format \"%[var(txn.spoe)]\"\n",
        ),
        ("Lua", "frontend a\n log-format \"%[lua.line]\"\n"),
        (
            "defaults that are nowhere",
            "frontend a from gone\n log-format %ci\n",
        ),
    ] {
        let outcome = inspect(Program::Haproxy, text);
        assert_eq!(outcome.incomplete.len(), 1, "{name}: {outcome:?}");
    }
}
