//! Found tokens, and a homeserver that is asked about them and told to end them.

#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "tests fail by panicking"
)]

#[path = "audit_live/homeserver.rs"]
mod homeserver;
#[path = "verify_ask/issuer.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod issuer;
mod tls;

use std::{fs, sync::mpsc, thread};

use clap::Parser as _;
use homeserver::{Token, arguments, homeserver, id, key, logouts, run};
use issuer::{Act, Issuer, alice};
use tokenshim::audit::{
    live_set::{Revocation, State},
    registration::Registrations,
    verify_live::VerifyArgs,
};

const NONE: fn(&str) = |_| {};

#[test]
fn each_token_is_asked_about() {
    let cases = [
        ("alive", "FAKE-SECRET-1", Token::Alive, State::Alive, ""),
        ("dead", "FAKE-SECRET-2", Token::Dead, State::Dead, ""),
        (
            "expired",
            "FAKE-SECRET-3",
            Token::Expired,
            State::Dead,
            "refresh token",
        ),
        (
            "locked",
            "FAKE-SECRET-4",
            Token::Locked,
            State::Alive,
            "locked",
        ),
        (
            "unwell",
            "FAKE-SECRET-5",
            Token::Status(503),
            State::Unknown,
            "status 503",
        ),
        (
            "elsewhere",
            "FAKE-SECRET-6",
            Token::Status(307),
            State::Unknown,
            "status 307",
        ),
        (
            "forbidden",
            "FAKE-SECRET-7",
            Token::Status(403),
            State::Unknown,
            "status 403",
        ),
        (
            "not there",
            "FAKE-SECRET-8",
            Token::Status(404),
            State::Unknown,
            "status 404",
        ),
        (
            "busy at first",
            "FAKE-SECRET-9",
            Token::Busy,
            State::Alive,
            "",
        ),
        (
            "a device that is called so",
            "FAKE-SECRET-10",
            Token::Echo,
            State::Alive,
            "",
        ),
        (
            "without a device",
            "FAKE-SECRET-11",
            Token::NoDevice,
            State::Alive,
            "",
        ),
    ];
    let tokens: Vec<_> = cases.iter().map(|case| (case.1, case.2)).collect();
    let (issuer, url) = homeserver(&tokens, NONE);
    let texts: Vec<_> = tokens.iter().map(|token| token.0).collect();
    let (set, said) = run(
        &texts,
        &arguments(&format!("{url}/")),
        &Registrations::default(),
    );
    let set = set.unwrap();
    for (name, text, _, state, reason) in cases {
        let live = set.of(id(text), "access_token");
        assert_eq!(live.state, state, "case: {name}: {live:?}");
        assert!(
            live.reason.unwrap_or_default().contains(reason),
            "case: {name}: {live:?}"
        );
        assert_eq!(live.checked_by, url, "case: {name}");
        assert_eq!(live.revocation, None, "case: {name}");
    }
    let live = set.of(id("FAKE-SECRET-1"), "access_token");
    assert_eq!((live.user, live.device), (Some("@alice:hs"), Some("D")));
    assert!(said.contains("5 alive, 2 dead, 4 unknown"), "{said}");
    assert!(said.contains("records this machine's address"), "{said}");
    // One more than tokens: the homeserver was busy once.
    assert_eq!(issuer.seen().len(), cases.len() + 1);
}

#[test]
fn nothing_but_whoami_is_asked() {
    let (issuer, url) = homeserver(&[("FAKE-SECRET-1", Token::Alive)], NONE);
    let tokens = ["FAKE-SECRET-1", "FAKE-SECRET-2"];
    let (set, _) = run(&tokens, &arguments(&url), &Registrations::default());
    for seen in issuer.seen() {
        let (head, _) = seen.text.split_once("\r\n").unwrap();
        assert_eq!(head, "GET /_matrix/client/v3/account/whoami HTTP/1.1");
        assert_eq!(seen.connection, 1, "one connection for all");
    }
    let set = set.unwrap();
    let other = set.of(id("FAKE-OTHER"), "access_token");
    assert_eq!(
        (other.state, other.reason),
        (State::Unknown, Some("not asked"))
    );
    let refresh = set.of(id("FAKE-OTHER"), "synapse_refresh");
    assert!(refresh.reason.unwrap().contains("no access token"));
}

#[test]
fn only_access_tokens_are_used() {
    let (issuer, url) = homeserver(&[("FAKE-as", Token::NoDevice)], NONE);
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(
        file.path(),
        "id: bridge\nas_token: FAKE-as\nhs_token: FAKE-hs\n",
    )
    .unwrap();
    let registrations = Registrations::load(&[file.path().to_owned()], &key()).unwrap();
    let tokens = [
        "syr_ZmFrZQ_FAKEFAKEFAKEFAKEFAKE_0aaaaa",
        "mcr_FAKEFAKEFAKEFAKEFAKEFAKEFAKE00_0aaaaa",
        "FAKE-as",
        "FAKE-hs",
    ];
    let revoke = VerifyArgs {
        revoke: true,
        yes: true,
        ..arguments(&url)
    };
    let (set, said) = run(&tokens, &revoke, &registrations);
    let set = set.unwrap();
    assert_eq!(
        issuer.seen().len(),
        1,
        "the bridge's own token alone, and no order"
    );
    let live = set.of(id("FAKE-as"), "appservice_as");
    assert_eq!(live.state, State::Alive);
    assert_eq!(live.revocation, Some(Revocation::NotThisWay));
    assert!(live.reason.unwrap().contains("restart both"), "{live:?}");
    assert!(
        said.contains("as_token of the application service bridge"),
        "{said}"
    );
    let live = set.of(id("FAKE-hs"), "appservice_hs");
    assert!(live.reason.unwrap().contains("hs_token"), "{live:?}");
}

#[test]
fn a_plan_does_nothing() {
    let (issuer, url) = homeserver(&[("FAKE-SECRET-1", Token::Alive)], NONE);
    for dry_run in [false, true] {
        let plan = VerifyArgs {
            revoke: true,
            dry_run,
            ..arguments(&url)
        };
        let (set, said) = run(
            &["FAKE-SECRET-1", "FAKE-SECRET-2"],
            &plan,
            &Registrations::default(),
        );
        let set = set.unwrap();
        assert_eq!(logouts(&issuer), 0);
        let live = set.of(id("FAKE-SECRET-1"), "access_token");
        assert_eq!(live.state, State::Alive);
        assert_eq!(live.revocation, Some(Revocation::Planned));
        assert_eq!(set.of(id("FAKE-SECRET-2"), "access_token").revocation, None);
        for part in [
            "of @alice:hs, device D: would be logged out",
            "add --yes",
            "encryption keys",
            "1 would be logged out, 0 cannot be that way",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
}

#[test]
fn nobody_is_called_revoked_before_the_homeserver_says_so() {
    let cases = [
        (
            "ended",
            "FAKE-SECRET-1",
            Token::Alive,
            Revocation::Revoked,
            State::Dead,
        ),
        (
            "said 200, did nothing",
            "FAKE-SECRET-2",
            Token::Sticky,
            Revocation::StillAlive,
            State::Alive,
        ),
        (
            "silent afterwards",
            "FAKE-SECRET-3",
            Token::DiesAfterwards,
            Revocation::Unknown,
            State::Unknown,
        ),
        (
            "no answer, but done",
            "FAKE-SECRET-4",
            Token::Cut,
            Revocation::Revoked,
            State::Dead,
        ),
        (
            "locked users too",
            "FAKE-SECRET-5",
            Token::Locked,
            Revocation::Revoked,
            State::Dead,
        ),
        (
            "no device, made by the admin API",
            "syt_ZmFrZQ_FAKEFAKEFAKEFAKEFAKE_0aaaaa",
            Token::NoDevice,
            Revocation::Revoked,
            State::Dead,
        ),
        (
            "whoever that is",
            "FAKE-SECRET-6",
            Token::NoDevice,
            Revocation::NotThisWay,
            State::Alive,
        ),
        (
            "MAS",
            "mat_FAKEFAKEFAKEFAKEFAKEFAKEFAKE00_0aaaaa",
            Token::Alive,
            Revocation::NotThisWay,
            State::Alive,
        ),
    ];
    let tokens: Vec<_> = cases.iter().map(|case| (case.1, case.2)).collect();
    let (issuer, url) = homeserver(&tokens, NONE);
    let texts: Vec<_> = tokens.iter().map(|token| token.0).collect();
    let act = VerifyArgs {
        revoke: true,
        yes: true,
        ..arguments(&url)
    };
    let (set, said) = run(&texts, &act, &Registrations::default());
    let set = set.unwrap();
    for (name, text, _, revocation, state) in cases {
        let live = set.of(id(text), "access_token");
        assert_eq!(live.revocation, Some(revocation), "case: {name}: {live:?}");
        assert_eq!(live.state, state, "case: {name}: {live:?}");
        let needs_reason = revocation != Revocation::Revoked;
        assert!(!needs_reason || live.reason.is_some(), "case: {name}");
        assert!(
            said.contains(&format!("{} of ", id(text))),
            "case: {name}: {said}"
        );
    }
    assert_eq!(logouts(&issuer), 6, "once each");
    assert!(
        said.contains("4 revoked, 1 still alive, 1 unknown, 0 not done, 2 cannot be that way"),
        "{said}"
    );
    // A second run finds what the first one did.
    let (set, _) = run(
        &["FAKE-SECRET-1", "FAKE-SECRET-4"],
        &act,
        &Registrations::default(),
    );
    assert_eq!(set.unwrap().count(State::Dead), 2);
    assert_eq!(logouts(&issuer), 6);
}

#[test]
fn a_homeserver_that_is_down_is_not_asked_for_ever() {
    // Bound and closed again: nobody is there.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let tokens: Vec<String> = (0..9)
        .map(|number| format!("FAKE-SECRET-{number}"))
        .collect();
    let texts: Vec<_> = tokens.iter().map(String::as_str).collect();
    let url = format!("http://127.0.0.1:{port}");
    let (set, _) = run(&texts, &arguments(&url), &Registrations::default());
    let set = set.unwrap();
    assert_eq!(set.count(State::Unknown), 9);
    let reasons: Vec<_> = texts
        .iter()
        .map(|text| set.of(id(text), "access_token").reason.unwrap())
        .collect();
    let refused = reasons
        .iter()
        .filter(|reason| reason.contains("cannot be reached"))
        .count();
    let given_up = reasons
        .iter()
        .filter(|reason| reason.contains("five times"))
        .count();
    assert_eq!((refused, given_up), (5, 4), "{reasons:?}");
}

#[test]
fn tls_and_unix_sockets() {
    let authority = tls::Authority::new("FAKE authority");
    let pair = authority.issue(&["localhost"]);
    let folder = tempfile::TempDir::new().unwrap();
    let ca = folder.path().join("ca.pem");
    fs::write(&ca, &authority.pem).unwrap();
    let socket = folder.path().join("hs.sock");
    let issuer = Issuer::new(|_, _| Act::Say(alice()));
    let (tell, told) = mpsc::channel();
    let path = socket.clone();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let by_unix = issuer.on_unix(&path).to_string();
            tell.send((issuer.on_tls(&pair).await.to_string(), by_unix))
                .unwrap();
            std::future::pending::<()>().await;
        });
    });
    let (by_tls, by_unix) = told.recv().unwrap();
    let by_tls = by_tls.replace("127.0.0.1", "localhost");
    let trusting = VerifyArgs {
        ca: Some(ca),
        ..arguments(&by_tls)
    };
    for (name, arguments, expected) in [
        ("an authority of one's own", trusting, State::Alive),
        ("nobody vouches for it", arguments(&by_tls), State::Unknown),
        ("a unix socket", arguments(&by_unix), State::Alive),
    ] {
        let (set, said) = run(&["FAKE-SECRET-1"], &arguments, &Registrations::default());
        // A machine without authorities cannot even begin.
        let Ok(set) = set else {
            assert_eq!(expected, State::Unknown, "case: {name}: {said}");
            continue;
        };
        let live = set.of(id("FAKE-SECRET-1"), "access_token");
        assert_eq!(live.state, expected, "case: {name}: {live:?}");
        if expected == State::Unknown {
            assert!(
                live.reason.unwrap().contains("--ca"),
                "case: {name}: {live:?}"
            );
        }
    }
}

#[derive(clap::Parser)]
struct Cli {
    #[command(flatten)]
    verify: VerifyArgs,
}

#[test]
fn refuses_homeservers_that_tokens_must_not_go_to() {
    let refused = [
        (
            "plain text to another machine",
            "http://hs.example",
            "must be https://",
        ),
        ("no scheme", "hs.example", "must be http://HOST"),
        ("a path", "https://hs.example/path", "no path"),
        (
            "a password",
            "https://alice:CANARY@hs.example",
            "must not have a user name",
        ),
        ("a socket without a path", "unix:hs.sock", "absolute path"),
    ];
    for (name, url, expected) in refused {
        let error = arguments(url).prepare().unwrap_err().to_string();
        assert!(error.contains(expected), "case: {name}: {error}");
        assert!(!error.contains("CANARY"), "case: {name}: {error}");
    }
    let taken = [
        "http://127.0.0.1:8008/",
        "http://[::1]:8008",
        "http://localhost",
        "unix:/run/hs.sock",
    ];
    for url in taken {
        assert!(arguments(url).prepare().unwrap().is_some(), "{url}");
    }
    let no_ca = VerifyArgs {
        ca: Some("/nonexistent/ca.pem".into()),
        ..arguments("https://hs.example")
    };
    let error = no_ca.prepare().unwrap_err().to_string();
    assert!(
        error.contains("--ca") && !error.contains("upstream_tls"),
        "{error}"
    );
    assert!(VerifyArgs::default().prepare().unwrap().is_none());
}

#[test]
fn nothing_is_done_without_the_words_for_it() {
    let url = "http://127.0.0.1:8008";
    let cases: [(&str, &[&str], bool); 10] = [
        ("nothing", &[], true),
        ("both", &["--verify-live", "--homeserver", url], true),
        ("nobody to ask", &["--verify-live"], false),
        ("not asked to", &["--homeserver", url], false),
        ("revoke alone", &["--revoke"], false),
        (
            "yes alone",
            &["--verify-live", "--homeserver", url, "--yes"],
            false,
        ),
        (
            "a plan",
            &["--verify-live", "--homeserver", url, "--revoke"],
            true,
        ),
        (
            "a deed",
            &["--verify-live", "--homeserver", url, "--revoke", "--yes"],
            true,
        ),
        (
            "a plan and a deed",
            &[
                "--verify-live",
                "--homeserver",
                url,
                "--revoke",
                "--dry-run",
                "--yes",
            ],
            false,
        ),
        (
            "too fast",
            &["--verify-live", "--homeserver", url, "--rate", "0"],
            false,
        ),
    ];
    for (name, arguments, expected) in cases {
        let cli = Cli::try_parse_from([&["audit"], arguments].concat());
        assert_eq!(cli.is_ok(), expected, "case: {name}");
        if let Ok(cli) = cli {
            assert_eq!(cli.verify.rate, 5, "case: {name}");
        }
    }
}
