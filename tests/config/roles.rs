//! What a listener is for.

use tokenshim::config::Role;

use super::{LEAST, complaint, from_file};

#[test]
fn listeners_that_are_asked() {
    let listen = |more: &str| format!("[[listen]]\naddress = \"127.0.0.1:1\"\n{more}\n");
    let cases = [
        ("usual", "", (Role::Proxy, false)),
        ("auth", "role = \"auth\"", (Role::Auth, false)),
        (
            "gRPC is HTTP/2",
            "role = \"ext_authz\"",
            (Role::ExtAuthz, true),
        ),
        (
            "written as well",
            "role = \"ext_authz\"\nhttp2 = true",
            (Role::ExtAuthz, true),
        ),
    ];
    for (name, keys, expected) in cases {
        let config = from_file(&format!("{LEAST}{}", listen(keys))).expect(name);
        let first = &config.listen[0];
        assert_eq!((first.role, first.http2), expected, "case: {name}");
    }
    let nobody = "answers `trusted_proxies` only, and none of them can connect here";
    let wrong = [
        (
            "gRPC without HTTP/2",
            listen("role = \"ext_authz\"\nhttp2 = false"),
            "must be true, or left out: the role \"ext_authz\" is gRPC",
        ),
        (
            "a PROXY header",
            listen("role = \"auth\"\nproxy_protocol = true"),
            "is for the role \"proxy\" only",
        ),
        (
            "nobody to ask",
            format!(
                "trusted_proxies = [\"unix\"]\n{}",
                listen("role = \"auth\"")
            ),
            nobody,
        ),
        (
            "another word",
            listen("role = \"authz\""),
            "must be one of \"proxy\", \"auth\", \"ext_authz\", not \"authz\"",
        ),
    ];
    for (name, more, expected) in wrong {
        assert_eq!(complaint(&more), expected, "case: {name}");
    }
}
