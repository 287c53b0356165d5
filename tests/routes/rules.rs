//! By which rules: each route has its own, and the log knows those of all.

use std::fs;

use super::{Site, ask, columns};
use crate::engine::Message;

/// One route for each rule; all but one setting is the default.
const RULES: [(&str, &str); 10] = [
    ("matrix", "host = \"matrix\""),
    ("generic", "host = \"generic\"\nprofile = \"generic\""),
    (
        "token",
        "host = \"token\"\nparameters = [\"token\", \"pass\"]",
    ),
    ("first", "host = \"first\"\nrepeated = \"first\""),
    ("header", "host = \"header\"\nconflict = \"header\""),
    ("query", "host = \"query\"\nconflict = \"query\""),
    ("cut", "host = \"cut\"\nopen = \"cut\""),
    ("form", "host = \"form\"\nform_body = \"forward\""),
    ("no-form", "host = \"no-form\"\nform_body = \"refuse\""),
    (
        "soon",
        "host = \"soon\"\ndeprecation = \"@1767225600\"\nsunset = \"Thu, 31 Dec 2026 23:59:59 GMT\"",
    ),
];

const WHOAMI: &str = "/_matrix/client/v3/account/whoami";
const LOGIN: &str = "/_matrix/client/v3/login";

#[test]
fn each_route_has_its_rules() {
    let site = Site::start("", &RULES);
    let mut client = site.connect();
    // Of the answer, what follows the route's name.
    let cases = [
        "a token is required           | matrix  | whoami   |                               |          | 401 M_MISSING_TOKEN",
        "no endpoint is known          | generic | whoami   |                               |          | by nobody",
        "the usual name                | matrix  | whoami   | access_token=FAKE             |          | by Bearer FAKE",
        "a name of its own             | token   | whoami   | token=FAKE&a=b                |          | ?a=b by Bearer FAKE",
        "another of its own            | token   | whoami   | pass=FAKE                     |          | by Bearer FAKE",
        "the usual name is not its own | token   | whoami   | access_token=FAKE             |          | 401 M_MISSING_TOKEN",
        "and not the matrix route's    | matrix  | whoami   | token=FAKE                    |          | 401 M_MISSING_TOKEN",
        "twice                         | matrix  | whoami   | access_token=A&access_token=B |          | 401 M_MISSING_TOKEN",
        "twice, the first              | first   | whoami   | access_token=A&access_token=B |          | by Bearer A",
        "both places                   | matrix  | whoami   | access_token=A                | Bearer H | 401 M_MISSING_TOKEN",
        "both places, the header       | header  | whoami   | access_token=A                | Bearer H | by Bearer H",
        "both places, the query        | query   | whoami   | access_token=A                | Bearer H | by Bearer A",
        "an open endpoint              | matrix  | login    | access_token=A                |          | by Bearer A",
        "an open endpoint, cut         | cut     | login    | access_token=A                |          | by nobody",
    ];
    for row in cases {
        let [name, host, path, query, credential, expected] = columns(row);
        let path = if path == "whoami" { WHOAMI } else { LOGIN };
        let question = if query.is_empty() { "" } else { "?" };
        let field = if credential.is_empty() {
            String::new()
        } else {
            format!("Authorization: {credential}\r\n")
        };
        client.send(format!(
            "GET {path}{question}{query} HTTP/1.1\r\nHost: {host}\r\n{field}\r\n"
        ));
        let answer = client.response();
        let seen = if answer.status() == 200 {
            let prefix = format!("{host}: {host} {path}");
            answer
                .text()
                .strip_prefix(&prefix)
                .unwrap()
                .trim_start()
                .to_owned()
        } else {
            format!("{} {}", answer.status(), answer.errcode())
        };
        assert_eq!(seen, expected, "case: {name}");
    }
}

#[test]
fn forms_and_dates_are_a_routes_own() {
    let site = Site::start("", &RULES);
    let mut client = site.connect();
    let form = "access_token=FAKE&a=b";
    let mut post = |host: &str| {
        client.send(format!(
            "POST /form HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n{form}",
            form.len()
        ));
        client.response()
    };
    assert_eq!(post("matrix").text(), "matrix: matrix /form by Bearer FAKE");
    assert_eq!(post("form").text(), "form: form /form by nobody");
    assert_eq!(post("no-form").errcode(), "M_MISSING_TOKEN");
    let dates = |answer: &Message| {
        ["deprecation", "sunset"].map(|name| answer.value(name).map(ToOwned::to_owned))
    };
    let moved = format!("GET {WHOAMI}?access_token=FAKE");
    let soon = ask(&mut client, &moved, "soon");
    assert_eq!(
        dates(&soon),
        [
            Some("@1767225600".to_owned()),
            Some("Thu, 31 Dec 2026 23:59:59 GMT".to_owned())
        ]
    );
    assert_eq!(dates(&ask(&mut client, &moved, "matrix")), [None, None]);
    let unmoved = ask(&mut client, "GET /", "soon");
    assert_eq!(dates(&unmoved), [None, None], "nothing was moved");
}

#[test]
fn every_routes_parameters_are_masked_everywhere() {
    let head = "[log]\nlevel = \"debug\"\n";
    let site = Site::start(head, &RULES);
    let mut client = site.connect();
    let canary = "CANARY-FAKE";
    let targets = [
        ("the route's own", "token", format!("/x?token={canary}")),
        ("another route's", "matrix", format!("/x?pass={canary}")),
        (
            "another route's, encoded",
            "generic",
            format!("/x?p%61ss={canary}&z"),
        ),
        (
            "of a refused request",
            "matrix",
            format!("{WHOAMI}?token={canary}"),
        ),
        (
            "of a request without a route",
            "h",
            format!("/x?token={canary}"),
        ),
    ];
    for (_, host, target) in &targets {
        ask(&mut client, &format!("GET {target}"), host);
    }
    let lines = site.shim.log(targets.len());
    for ((name, ..), line) in targets.iter().zip(&lines) {
        let target = line["target"].as_str().unwrap();
        assert!(
            target.contains("ss") || target.contains("token"),
            "case: {name}: {target}"
        );
    }
    let log = fs::read_to_string(site.shim.log_path()).unwrap();
    assert!(!log.contains(canary), "{log}");
    assert!(!site.shim.diagnostics().contains(canary));
    // What is masked is not changed: the other route's upstream gets it as it came.
    let answer = ask(&mut client, &format!("GET {}", targets[1].2), "matrix");
    assert_eq!(
        answer.text(),
        format!("matrix: matrix /x?pass={canary} by nobody")
    );
}
