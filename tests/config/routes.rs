//! Which requests go where: hosts, paths, their order, and what a route inherits.

use tokenshim::config::{
    Config, Conflict, FormBody, HostPattern, Mode, OpenEndpoints, Profile, Repeated, Upstream,
};

use super::{LEAST, complaint, default_route, from_all, from_environment, from_file};

/// A route to `unix:/r`, with `more` below it.
fn route(more: &str) -> String {
    format!("[[route]]\nupstream = \"unix:/r\"\n{more}\n")
}

/// Host and path of each route, as one may write them.
fn order(config: &Config) -> Vec<String> {
    config
        .routes
        .iter()
        .map(|route| {
            let host = route.host.as_ref().map(ToString::to_string);
            let path = route.path.as_deref().unwrap_or_default();
            format!("{}{path}", host.unwrap_or_default())
        })
        .collect()
}

#[test]
fn the_most_specific_route_is_first() {
    let expected = [
        "matrix.example.org/_matrix/client",
        "matrix.example.org/_matrix",
        "matrix.example.org",
        "[2001:db8::7]",
        "*.a.example.org",
        "*.example.org/x",
        "*.example.org",
        "/_synapse/admin",
        "/a",
        "/b",
        "",
    ];
    let text = |keys: &[&str]| {
        let routes = keys.iter().filter(|key| !key.is_empty()).map(|key| {
            let (host, path) = key.split_at(key.find('/').unwrap_or(key.len()));
            let host = (!host.is_empty()).then(|| format!("host = \"{host}\"\n"));
            let path = (!path.is_empty()).then(|| format!("path = \"{path}\"\n"));
            route(&(host.unwrap_or_default() + &path.unwrap_or_default()))
        });
        format!("{LEAST}{}", routes.collect::<String>())
    };
    let config = from_file(&text(&expected)).unwrap();
    assert_eq!(order(&config), expected);
    let backwards: Vec<_> = expected.iter().rev().copied().collect();
    assert_eq!(from_file(&text(&backwards)).unwrap(), config);
}

#[test]
fn reads_hosts_and_paths() {
    let exact = |host: &str| Some(HostPattern::Exact(host.into()));
    let below = |host: &str| Some(HostPattern::Below(host.into()));
    let cases = [
        (
            "upper case",
            "host = \"Matrix.Example.ORG\"",
            exact("matrix.example.org"),
            None,
        ),
        (
            "every name below",
            "host = \"*.Example.org\"",
            below("example.org"),
            None,
        ),
        (
            "one label",
            "host = \"*.localhost\"",
            below("localhost"),
            None,
        ),
        ("IPv4", "host = \"192.0.2.7\"", exact("192.0.2.7"), None),
        (
            "IPv6 as clients write it",
            "host = \"[2001:DB8:0::7]\"",
            exact("[2001:db8::7]"),
            None,
        ),
        (
            "a last slash is dropped",
            "path = \"/_synapse/admin/\"",
            None,
            Some("/_synapse/admin"),
        ),
        (
            "what is escaped stays escaped, and case is kept",
            "path = \"/a%2Fb/C\"",
            None,
            Some("/a%2Fb/C"),
        ),
        ("more than one slash", "path = \"/a//\"", None, Some("/a")),
    ];
    for (name, keys, host, path) in cases {
        let config = from_file(&format!("{LEAST}{}", route(keys))).expect(name);
        let first = &config.routes[0];
        assert_eq!(first.host, host, "case: {name}");
        assert_eq!(first.path.as_deref(), path, "case: {name}");
    }
}

#[test]
fn refuses_wrong_routes() {
    const HOST: &str = "must be a host such as \"example.org\", or \"*.example.org\" for every name \
                        below it, without scheme and port";
    const ANY_HOST: &str = "must be left out for a route that is for any host";
    const PATH: &str = "must begin with a slash and be visible ASCII without ? and #: as it is in \
                        requests, other characters as %XX";
    const ANY_PATH: &str = "must be left out for a route that is for any path";
    const TWICE: &str = "has the same `host` and `path` as an earlier one";
    let hosts = [
        ("any host", "*", ANY_HOST),
        ("no host", "", ANY_HOST),
        ("a port", "example.org:443", HOST),
        ("a scheme", "https://example.org", HOST),
        ("a star elsewhere", "matrix.*.org", HOST),
        ("a star in a label", "*example.org", HOST),
        ("nothing below", "*.", HOST),
        ("addresses have nothing below", "*.192.0.2.7", HOST),
        ("IPv6 without brackets", "::1", HOST),
        ("IPv6 with one bracket", "[::1", HOST),
        ("a dot at the end", "example.org.", HOST),
        ("not ASCII", "bücher.example", HOST),
        ("an address that is none", "127.0.0.256", HOST),
    ];
    let paths = [
        ("any path", "/", ANY_PATH),
        ("only slashes", "//", ANY_PATH),
        ("no path", "", PATH),
        ("no slash in front", "_synapse", PATH),
        ("a query", "/a?access_token=CANARY", PATH),
        ("a fragment", "/a#b", PATH),
        ("a space", "/a b", PATH),
        ("not ASCII", "/é", PATH),
    ];
    let hosts = hosts.map(|(name, host, expected)| (name, format!("host = '{host}'"), expected));
    let paths = paths.map(|(name, path, expected)| (name, format!("path = '{path}'"), expected));
    for (name, keys, expected) in hosts.into_iter().chain(paths) {
        assert_eq!(complaint(&route(&keys)), expected, "case: {name}");
    }
    let twice = [
        ("one host twice", "host = \"a.b\"", "host = \"A.b\""),
        ("one path twice", "path = \"/a\"", "path = \"/a/\""),
    ];
    for (name, one, other) in twice {
        let both = route(one) + &route(other);
        assert_eq!(complaint(&both), TWICE, "case: {name}");
    }
    assert_eq!(
        complaint(&route("")),
        "must have `host` or `path`: `upstream` is the default route already"
    );
    assert_eq!(
        complaint("[route]\nhost = \"a\""),
        "must be written [[route]], with `upstream` below it, not a table"
    );
    assert_eq!(
        complaint("route = [\"unix:/a\"]"),
        "must be written [[route]], with `upstream` below it, not a string"
    );
    assert_eq!(complaint("route = []"), "must have at least one entry");
}

#[test]
fn a_duplicate_is_named_with_its_line() {
    let file = format!("{LEAST}{0}{0}", route("path = \"/a\""));
    assert_eq!(
        from_file(&file).unwrap_err().to_string(),
        "tokenshim.toml:5: `route`: has the same `host` and `path` as an earlier one"
    );
}

#[test]
fn without_upstream_there_is_no_default_route() {
    let config = from_file(&route("path = \"/a\"")).unwrap();
    assert_eq!(order(&config), ["/a"]);
    assert!(!config.to_toml().contains("[relocate]"));
    assert_eq!(from_file(&config.to_toml()).unwrap(), config);

    // One for everything is the default route, whichever way it was written.
    let config = from_file(&route("")).unwrap();
    assert_eq!(config, from_file("upstream = \"unix:/r\"").unwrap());

    let missing = "is required: set it in the file, as TOKENSHIM_UPSTREAM or with --upstream, \
                   or write a [[route]] for everything that is to be served";
    assert_eq!(
        from_environment(&[]).unwrap_err().to_string(),
        format!("`upstream`: {missing}")
    );
    assert_eq!(
        from_file("workers = 1").unwrap_err().to_string(),
        format!("tokenshim.toml: `upstream`: {missing}")
    );
}

#[test]
fn a_route_inherits_what_it_does_not_name() {
    let common = "[relocate]\nprofile = \"generic\"\nparameters = [\"t\"]\nrepeated = \"first\"\n\
                  conflict = \"query\"\nform_body = \"refuse\"\nopen = \"cut\"\n\
                  mode = \"refuse\"\nclients = [\"a=relocate\"]\nrefuse_after = \"2027-01-31\"\n\
                  deprecation = \"@1\"\nsunset = \"Thu, 31 Dec 2026 23:59:59 GMT\"\n";
    let own = "path = \"/own\"\nprofile = \"matrix\"\nparameters = [\"u\", \"v\"]\n\
               repeated = \"refuse\"\nconflict = \"header\"\nform_body = \"forward\"\n\
               open = \"move\"\nmode = \"observe\"\nclients = []\nrefuse_after = \"\"\ndeprecation = \"\"\nsunset = \"\"\n";
    let text = format!("{LEAST}{common}{}{}", route("path = \"/a\""), route(own));
    let config = from_file(&text).unwrap();
    assert_eq!(order(&config), ["/own", "/a", ""]);
    assert_eq!(config.routes[1].relocate, default_route(&config).relocate);
    assert_eq!(
        config.routes[1].upstream,
        Upstream::Unix { path: "/r".into() }
    );

    let own = &config.routes[0].relocate;
    assert_eq!(own.profile, Profile::Matrix);
    assert_eq!(own.parameters, [b"u", b"v"]);
    assert_eq!(own.repeated, Repeated::Refuse);
    assert_eq!(own.conflict, Conflict::Header);
    assert_eq!(own.form_body, FormBody::Forward);
    assert_eq!(own.open, OpenEndpoints::Move);
    assert_eq!((own.deprecation, own.sunset), (None, None));
    assert_eq!((own.mode, own.refuse_after), (Mode::Observe, None));
    assert_eq!(own.clients, []);

    // What a variable says counts for routes of the file too.
    let environment = [("TOKENSHIM_RELOCATE__CONFLICT", "header")];
    let config = from_all(&text, &environment, super::Flags::default()).unwrap();
    assert_eq!(config.routes[1].relocate.conflict, Conflict::Header);
    assert_eq!(config.routes[0].relocate.repeated, Repeated::Refuse);
}

#[test]
fn dates_are_in_order_whoever_has_them() {
    let late = "deprecation = \"@1767225600\"";
    let early = "sunset = \"Wed, 31 Dec 2025 23:59:59 GMT\"";
    let cases = [
        (
            "both are the route's",
            route(&format!("path = \"/a\"\n{late}\n{early}")),
            "must not be earlier than `route.deprecation`",
        ),
        (
            "sunset is the route's",
            format!(
                "{}[relocate]\n{late}\n",
                route(&format!("path = \"/a\"\n{early}"))
            ),
            "must not be earlier than `relocate.deprecation`",
        ),
        (
            "deprecation is the route's",
            format!(
                "{}[relocate]\n{early}\n",
                route(&format!("path = \"/a\"\n{late}"))
            ),
            "must not be later than `relocate.sunset`",
        ),
        (
            "neither is",
            format!("{}[relocate]\n{late}\n{early}\n", route("path = \"/a\"")),
            "must not be earlier than `relocate.deprecation`",
        ),
    ];
    for (name, more, expected) in cases {
        assert_eq!(complaint(&more), expected, "case: {name}");
    }
}
