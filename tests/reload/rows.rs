//! Which settings of a request a reload changes.

use super::{
    engine::{Message, get, with_body},
    house::{GENERIC, file},
};

/// Two files, and a request whose answer tells which of them counts.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) files: [String; 2],
    pub(crate) request: String,
    pub(crate) shows: fn(&Message) -> String,
    pub(crate) expected: [&'static str; 2],
}

/// A row for each kind of setting; the upstreams are called one and two.
pub(crate) fn all(to_one: &str, to_two: &str) -> [Row; 9] {
    let section = |text: &str| file(to_one, text);
    let status = |answer: &Message| answer.status().to_string();
    [
        Row {
            name: "where requests go",
            files: [section(""), file(to_two, "")],
            request: get("/x"),
            shows: Message::text,
            expected: ["one /x - - 0", "two /x - - 0"],
        },
        Row {
            name: "routes",
            files: [
                section(""),
                section(&format!("[[route]]\npath = \"/x\"\n{to_two}\n")),
            ],
            request: get("/x/y"),
            shows: Message::text,
            expected: ["one /x/y - - 0", "two /x/y - - 0"],
        },
        Row {
            name: "what is a token",
            files: [
                section(GENERIC),
                section(&format!("{GENERIC}parameters = [\"key\"]\n")),
            ],
            request: get("/x?key=FAKE"),
            shows: Message::text,
            expected: ["one /x?key=FAKE - - 0", "one /x Bearer FAKE - 0"],
        },
        Row {
            name: "what answers gain",
            files: [
                section(GENERIC),
                section(&format!("{GENERIC}deprecation = \"@1767225600\"\n")),
            ],
            request: get("/x?access_token=FAKE"),
            shows: |answer| answer.value("deprecation").unwrap_or("-").to_owned(),
            expected: ["-", "@1767225600"],
        },
        Row {
            name: "whom to believe",
            files: [
                section(""),
                file(&format!("{to_one}\ntrusted_proxies = []"), ""),
            ],
            request: "GET /x HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n".into(),
            shows: Message::text,
            expected: ["one /x - 192.0.2.1 0", "one /x - 127.0.0.1 0"],
        },
        Row {
            name: "long targets",
            files: [section(""), section("[limits]\ntarget_length = \"64B\"\n")],
            request: get(&format!("/{}", "x".repeat(100))),
            shows: status,
            expected: ["200", "414"],
        },
        Row {
            name: "large heads",
            files: [section(""), section("[limits]\nhead_size = \"1KiB\"\n")],
            request: get("/x").replace("\r\n\r\n", &format!("\r\nX: {}\r\n\r\n", "x".repeat(2000))),
            shows: status,
            expected: ["200", "431"],
        },
        Row {
            name: "large bodies",
            files: [
                section("[limits]\nbody_size = \"3B\"\n"),
                section("[limits]\nbody_size = \"4B\"\n"),
            ],
            request: with_body("POST", "/x", "body"),
            shows: status,
            expected: ["413", "200"],
        },
        Row {
            name: "patience",
            files: [section(""), section("[timeouts]\nresponse = \"100ms\"\n")],
            request: get("/slow"),
            shows: status,
            expected: ["200", "504"],
        },
    ]
}
