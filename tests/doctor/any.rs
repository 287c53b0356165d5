//! Any text at all.

use proptest::prelude::*;

use super::configurations::configuration;

/// What configurations are made of.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        "server {",
        "location / {",
        "http {",
        "}",
        ";",
        "\n",
        " ",
        "access_log a f;",
        "log_format f '$request",
        "$args';",
        "map $a $b {",
        "default $b;",
        "\"",
        "'",
        "\\",
        "#",
        "include x;",
        "set $args '';",
        "frontend a\n",
        "option httplog\n",
        "log-format %r\n",
        "log {\n",
        "format filter {\n",
        "uri query x\n",
        "<<X\n",
        "X\n",
        "`",
        "proxy_pass http://x/;",
        "x_by_lua_block {",
        "~^(?<n>[^?]*)",
        "return 301 $request_uri;",
        "if ($args ~ \"(.*)\") {",
        "set $b $1;",
        "set $a $b$request_uri;",
        "error_log syslog:server=unix:/x e;",
        "server unix:/x;",
        "defaults d from d\n",
        "frontend f from d\n",
        "http-request set-var(txn.u) url\n",
        "log-format %[var(txn.u),",
        "redirect location %HU\n",
        "(s) {\n",
        "import s {args[0]}\n",
        "import s x {\n",
        "{block}\n",
        "{$X}\n",
        "log_append a {uri}\n",
        "@m path /x\n",
        "uri @m a\n",
        "request>uri regexp ([?]).*$ x\n",
    ];
    prop_oneof![
        8 => proptest::sample::select(words.to_vec()).prop_map(str::to_owned),
        1 => "\\PC{0,6}",
    ]
}

proptest! {
    /// The law of the fuzzer, on what looks like a configuration.
    #[test]
    fn any_text_is_read(pieces in proptest::collection::vec(piece(), 0..40)) {
        configuration(pieces.concat().as_bytes());
    }
}
