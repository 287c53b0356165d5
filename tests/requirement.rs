//! The endpoint table against the data it was made from, and the traps that
//! paths can set.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

#[path = "requirement/reference.rs"]
mod reference;

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::select;
use tokenshim::requirement::{Api, Class, Endpoint, of};

const TABLE: &str = include_str!("../src/requirement/endpoints.txt");

const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "get", "TRACE",
];

/// What stands in for variables: ids plain and encoded, an encoded slash.
const SHAPES: [&str; 6] = ["!r:h", "%21r%3Ah", "a%2Fb", "@u:h", "m.room.name", "x.y"];

fn fill(path: &str, value: &str) -> String {
    path.replace("{}", value).replace('*', "some/rest")
}

#[test]
fn every_row_of_the_data_in_every_version() {
    let data = reference::data();
    assert!(data.len() > 690, "{}", data.len());
    for row in data.iter().filter(|row| !row.compat) {
        let methods: &[&str] = match row.method.as_str() {
            "ANY" => &["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"],
            "GET" => &["GET", "HEAD"],
            other => &[other],
        };
        for path in SHAPES.map(|shape| fill(&row.path, shape)) {
            for method in methods {
                let found = of(method.as_bytes(), path.as_bytes());
                assert_eq!(found, row.endpoint, "{method} {path}");
            }
        }
    }
}

#[test]
fn every_method_on_every_path() {
    for row in reference::table() {
        let path = fill(&row.path, "%21r%3Ah");
        for method in METHODS {
            let expected = reference::of(method.as_bytes(), path.as_bytes());
            let found = of(method.as_bytes(), path.as_bytes());
            assert_eq!(found, expected, "{method} {path}");
        }
    }
}

#[test]
fn no_row_without_a_source() {
    let rows: Vec<(Vec<&str>, String)> = TABLE
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let shape = reference::expand(words[3]).concat();
            (words, shape)
        })
        .collect();
    let ours: BTreeSet<_> = rows
        .iter()
        .map(|(words, shape)| {
            let endpoint = reference::endpoint(&format!("{} {}", words[1], words[2]));
            (words[0].to_owned(), format!("{endpoint:?}"), shape.clone())
        })
        .collect();
    assert_eq!(ours.len(), rows.len(), "a row is there twice");
    let sources: BTreeSet<_> = reference::table()
        .iter()
        .map(|row| {
            (
                row.method.clone(),
                format!("{:?}", row.endpoint),
                row.path.clone(),
            )
        })
        .collect();
    let unsourced: Vec<_> = ours.difference(&sources).collect();
    let forgotten: Vec<_> = sources.difference(&ours).collect();
    assert!(unsourced.is_empty(), "not in the data: {unsourced:#?}");
    assert!(forgotten.is_empty(), "not in the table: {forgotten:#?}");
    assert!(
        rows.is_sorted_by_key(|(words, _)| (words[3].split('/').collect::<Vec<_>>(), words[0])),
        "not sorted by path and method"
    );
}

/// A 401 of our own there would lock people out of what works today.
#[test]
fn what_synapse_serves_without_a_token_requires_none() {
    let served = reference::data();
    let mut seen = 0;
    for row in served.iter().filter(|row| row.measured.starts_with("200")) {
        let path = fill(&row.path, "x");
        let found = of(row.method.as_bytes(), path.as_bytes());
        assert_ne!(found.class, Class::Required, "{} {path}", row.method);
        seen += 1;
    }
    assert!(seen > 0);
}

#[test]
fn options_never_requires_a_token() {
    for row in reference::table() {
        let path = fill(&row.path, "x");
        let class = of(b"OPTIONS", path.as_bytes()).class;
        assert_ne!(class, Class::Required, "{path}");
    }
}

#[test]
fn traps() {
    for line in TRAPS.lines() {
        let (request, name) = line.split_once("  # ").unwrap();
        let words: Vec<&str> = request.split_whitespace().collect();
        let [class, method, path] = words[..] else {
            panic!("not three words: {line}");
        };
        let expected = reference::endpoint(&format!("{class} other")).class;
        let found = of(method.as_bytes(), path.as_bytes()).class;
        assert_eq!(found, expected, "case: {name}: {method} {path}");
    }
    assert_eq!(of(b"GET", b""), Endpoint::UNLISTED, "an empty path");
    assert_eq!(of(b"", b"/"), Endpoint::UNLISTED, "an empty method");
}

#[test]
fn identity_service_keeps_its_error_code() {
    let cases = [
        ("listed", "/_matrix/identity/v2/account", Api::Identity),
        ("unlisted", "/_matrix/identity/v2/nothing", Api::Identity),
        ("client", "/_matrix/client/v3/sync", Api::Client),
        ("unlisted client", "/_matrix/client/v9/sync", Api::Client),
        ("unlisted media", "/_matrix/media/v1/thing", Api::Client),
        ("none of ours", "/identity", Api::Other),
    ];
    for (name, path, api) in cases {
        assert_eq!(of(b"GET", path.as_bytes()).api, api, "case: {name}");
    }
}

/// Class, method, path, and what the line proves.
const TRAPS: &str = "\
required GET     /_matrix/client/v3/account/whoami  # plain
required HEAD    /_matrix/client/v3/account/whoami  # HEAD is GET
optional OPTIONS /_matrix/client/v3/account/whoami  # preflight
optional get     /_matrix/client/v3/account/whoami  # methods have a case
optional POST    /_matrix/client/v3/account/whoami  # 405 is the server's
optional GET     /_matrix/client/v3/account/WhoAmI  # paths have a case
optional GET     /_matrix/client/v4/account/whoami  # a version to come
optional GET     /_matrix/client/v4/login  # a version to come, login
optional GET     /_matrix/client/v3/no/such/thing  # 404 is the server's
optional GET     //_matrix/client/v3/account/whoami  # slash in front
optional GET     /_matrix/client/v3//account/whoami  # slash inside
optional GET     /_matrix/client/v3/account/whoami/  # slash behind
optional GET     _matrix/client/v3/account/whoami  # no slash
optional GET     /_matrix/client/v3/../v3/account/whoami  # climbing
optional GET     /_matrix/client/./v3/account/whoami  # standing
optional GET     /_matrix/client/v3/%2E%2e/v3/account/whoami  # climbing, encoded
optional POST    /_matrix/client/v3/rooms/../leave  # climbing as a variable
optional POST    /_matrix/client/v3/rooms/.%2E/leave  # encoded climbing
optional POST    /_matrix/client/v3/rooms/%2e/leave  # standing as a variable
optional POST    /_matrix/client/v3/rooms//leave  # empty variable
optional GET     /_matrix%2Fclient/v3/account/whoami  # encoded slash decides
optional GET     /_matrix/client/v3/account%2fwhoami  # encoded slash at the end
optional GET     /_matrix/client/v3/account/who%61mi  # encoded literal
required PUT     /_matrix/client/v3/rooms/%21a%3Ab.c/send/x%2Fy/1  # encoded slash in an id
optional PUT     /_matrix/client/v3/rooms/%21a%3Ab.c%2Fsend/x%2Fy/1  # encoded slash, no such depth
required GET     /_matrix/client/v3/rooms/!a:b/state/m.room.name/  # empty state key
required GET     /_matrix/client/v3/pushrules/  # the slash is the path
optional GET     /_matrix/client/v3/pushrules  # and without it no path
required POST    /_matrix/media/r0/upload  # an old upload
optional POST    /_matrix/media/r0/upload/  # 404 on a current Synapse
open     GET     /_matrix/media/r0/download/h/abc  # old media need none
required GET     /_matrix/client/v1/media/download/h/abc  # new media need one
required GET     /_matrix/client/v1/media/download/h/abc/a%20b.png  # a file name
optional GET     /_matrix/client/v3/publicRooms  # public, or not, by configuration
required POST    /_matrix/client/v3/publicRooms  # a search needs one
optional GET     /_matrix/client/versions  # served, but a bad token is not
optional GET     /_matrix/client/v3/profile/@u:h/displayname  # profile by field
required PUT     /_matrix/client/v3/profile/@u:h/displayname  # own profile
optional POST    /_matrix/client/v3/login  # the appservice's token
open     GET     /_matrix/client/v3/login  # asking for the flows
required POST    /_matrix/client/v3/logout  # logout
required GET     /_synapse/admin/v1/rooms/%21a%3Ab  # admin
required POST    /_synapse/admin/v1/purge_history/!a:b/$e  # admin, both depths
optional GET     /_synapse/admin/v1/rooms/  # admin, slash behind
open     GET     /_synapse/admin/v1/server_version  # admin, open
never    POST    /_synapse/admin/v1/register  # admin, shared secret
required GET     /_synapse/admin/v1/registration_tokens/new  # a token called new
required POST    /_dendrite/admin/evacuateRoom/!a:b  # Dendrite
optional OPTIONS /_dendrite/admin/evacuateRoom/!a:b  # Dendrite, preflight
optional POST    /_dendrite/admin//evacuateRoom  # Dendrite, nothing there
never    GET     /_matrix/federation/v1/openid/userinfo  # openid
never    OPTIONS /_matrix/federation/v1/openid/userinfo  # openid, preflight
never    PATCH   /_matrix/federation/v9/new  # federation to come
never    PUT     /_matrix/federation/v1//send/a%2Fb/  # signed, however odd
optional GET     /_matrix/federation/../client/v3/sync  # out of federation
optional GET     /_matrix/federation/..%2fclient/v3/sync  # out of it, encoded
optional GET     /_matrix/federation  # no federation
never    GET     /_matrix/key/v2/server  # keys
never    PUT     /_matrix/app/v1/transactions/1  # to an appservice
never    PUT     /transactions/1  # to an old appservice
never    POST    /rooms/%23a%3Ab  # to it, other method
never    POST    /_synapse/client/unsubscribe  # unsubscribe
never    PUT     /_synapse/client/unsubscribe  # unsubscribe, other method
never    HEAD    /_matrix/client/unstable/pushers/remove  # unsubscribe, old
never    POST    /oauth2/token  # OAuth
never    GET     /account/a/b  # account pages
never    GET     /_matrix/identity/v2/validate/email/submitToken  # an identity server's link
optional GET     /  # root
optional OPTIONS *  # asterisk
optional GET     /p  # a legacy tool
";

/// Segments between which a path goes wrong.
fn segment() -> impl Strategy<Value = Vec<u8>> {
    let odd = select(vec![
        "",
        ".",
        "..",
        "%2e",
        "%2E%2e",
        "%2F",
        "a%2fb",
        "..%2f",
        "%",
        "new",
        "sync",
        "v3",
        "!r:h",
        "state",
        "m.room.name",
        "*",
        "{}",
        "SYNC",
    ]);
    prop_oneof![
        3 => odd.prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ]
}

/// A path of the table, filled, and then now and then damaged.
fn path() -> impl Strategy<Value = Vec<u8>> {
    let row = select(reference::table());
    let fills = prop::collection::vec(segment(), 12);
    let damage = prop::option::of((any::<prop::sample::Index>(), 0..3_u8, segment()));
    (row, fills, damage).prop_map(|(row, fills, damage)| {
        let mut fills = fills.into_iter();
        let mut segments: Vec<Vec<u8>> = row
            .path
            .split('/')
            .map(|segment| match segment {
                "{}" | "*" => fills.next().unwrap_or_default(),
                literal => literal.as_bytes().to_vec(),
            })
            .collect();
        if let Some((at, kind, junk)) = damage {
            let at = at.index(segments.len());
            match kind {
                0 => segments.insert(at, junk),
                1 => segments[at] = junk,
                _ => segments.truncate(at),
            }
        }
        segments.join(&b'/')
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn agrees_with_the_slow_matcher(path in path(), method in select(METHODS.to_vec())) {
        let found = of(method.as_bytes(), &path);
        prop_assert_eq!(found, reference::of(method.as_bytes(), &path));
    }

    #[test]
    fn requires_a_token_only_where_a_row_does(path in path(), method in select(METHODS.to_vec())) {
        let name = if method == "HEAD" { "GET" } else { method };
        if of(method.as_bytes(), &path).class == Class::Required {
            let demanded = reference::table().iter().any(|row| {
                row.endpoint.class == Class::Required
                    && (row.method == name || row.method == "ANY")
                    && reference::matches(row, &path)
            });
            prop_assert!(demanded, "{} {}", method, path.escape_ascii());
        }
    }

    #[test]
    fn any_bytes_have_an_answer(
        method in prop::collection::vec(any::<u8>(), 0..8),
        path in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        prop_assert_ne!(of(&method, &path).class, Class::Required);
    }
}

#[test]
fn a_long_path_is_no_deep_recursion() {
    let path = "/_matrix/client".to_owned() + &"/a".repeat(1_000_000);
    let expected = Endpoint {
        class: Class::Optional,
        api: Api::Client,
    };
    assert_eq!(of(b"GET", path.as_bytes()), expected);
}
