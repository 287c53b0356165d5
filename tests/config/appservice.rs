//! In front of an application service: where it gets its token.

use tokenshim::config::{Profile, TokenPlacement};

use super::{LEAST, complaint, default_route, from_file};

/// A route to this machine, with `more` below it.
fn route(more: &str) -> String {
    format!("[[route]]\npath = \"/a\"\nupstream = \"http://127.0.0.1:1\"\n{more}\n")
}

#[test]
fn a_token_stays_on_the_machine() {
    const ONLY: &str = "is for the profile \"appservice\" only";
    let appservice = |upstream: &str| {
        format!(
            "[[route]]\npath = \"/a\"\nupstream = \"{upstream}\"\nprofile = \"appservice\"\n\
             token = \"to-query\"\n"
        )
    };
    let near = [
        "unix:/bridge",
        "http://localhost:1",
        "http://LOCALHOST",
        "http://127.0.0.1",
        "http://127.9.9.9",
        "http://[::1]:1",
        "http://[::ffff:127.0.0.1]",
        "https://localhost",
    ];
    for upstream in near {
        let config = from_file(&format!("{LEAST}{}", appservice(upstream))).expect(upstream);
        assert_eq!(config.routes[0].relocate.token, TokenPlacement::ToQuery);
    }
    let far = [
        "http://bridge",
        "https://bridge.example",
        "http://192.168.0.1",
        "http://0.0.0.0",
        "http://[2001:db8::1]",
        "http://localhost.example",
        "http://127.0.0.1.example",
    ];
    for upstream in far {
        assert_eq!(
            complaint(&appservice(upstream)),
            "needs an upstream on this machine (unix:, localhost or a loopback address): to another \
             machine the token would go in a URL over the network",
            "{upstream}"
        );
    }
    let common =
        "[relocate]\nprofile = \"appservice\"\ntoken = \"to-query\"\nlegacy_paths = true\n";
    let inherited = "[[route]]\npath = \"/a\"\nupstream = \"http://bridge\"\n";
    assert_eq!(
        complaint(&format!("{common}{inherited}")),
        "must be on this machine (unix:, localhost or a loopback address), since `relocate.token` is \
         \"to-query\": to another machine the token would go in a URL over the network"
    );
    // A route of another profile takes nothing of it.
    let generic = format!("{LEAST}{common}{inherited}profile = \"generic\"\n");
    let config = from_file(&generic).unwrap();
    let relocate = &config.routes[0].relocate;
    assert_eq!(relocate.profile, Profile::Generic);
    assert_eq!(
        (relocate.token, relocate.legacy_paths),
        (TokenPlacement::ToHeader, false)
    );
    assert!(default_route(&config).relocate.legacy_paths);

    let wrong = [
        "[relocate]\ntoken = \"to-query\"".to_owned(),
        "[relocate]\nlegacy_paths = true".to_owned(),
        route("token = \"to-query\""),
        route("profile = \"generic\"\nlegacy_paths = true"),
        format!(
            "{common}{}",
            route("profile = \"matrix\"\ntoken = \"to-query\"")
        ),
    ];
    for more in wrong {
        assert_eq!(complaint(&more), ONLY, "{more}");
    }
}
