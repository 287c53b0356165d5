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
