//! The example's axum server on a socket, and what `docs/library.md` says of it.

use std::{
    fs,
    io::ErrorKind,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::Command,
    thread,
};

use axum::{
    Router, ServiceExt,
    extract::{OriginalUri, Request},
    routing::get,
};
use tokenshim::layer::RelocateLayer;

use crate::support::{text, wire::Wire};

#[path = "../../examples/axum.rs"]
#[expect(dead_code, reason = "the test has its own main")]
mod example;

/// Serves until the process ends.
fn serve<S>(service: S) -> SocketAddr
where
    S: ServiceExt<Request>
        + tower_service::Service<
            Request,
            Response = axum::response::Response,
            Error = std::convert::Infallible,
            Future: Send,
        > + Clone
        + Send
        + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, service.into_make_service())
                .await
                .unwrap();
        });
    });
    address
}

#[test]
fn an_axum_server_has_it_around_its_router() {
    let address = serve(example::app());
    let whoami = "/_matrix/client/v3/account/whoami";
    let seen = |uri: &str| format!("uri: {uri}\noriginal uri: {uri}\nbearer token: true\n");
    let missing = r#"{"errcode":"M_MISSING_TOKEN","error":"Missing access token"}"#;
    let malformed = r#"{"errcode":"M_UNKNOWN","error":"Malformed request target"}"#;
    let cases = [
        (
            "moved",
            "GET",
            format!("{whoami}?access_token=SECRET&user_id=%40a%3Ab"),
            200,
            seen(&format!("{whoami}?user_id=%40a%3Ab")),
        ),
        (
            "nothing left of the query",
            "GET",
            format!("{whoami}?access_token=SECRET"),
            200,
            seen(whoami),
        ),
        ("missing", "GET", whoami.to_owned(), 401, missing.to_owned()),
        (
            "missing, HEAD",
            "HEAD",
            whoami.to_owned(),
            401,
            String::new(),
        ),
        (
            "no route, and it is not asked",
            "GET",
            "*".to_owned(),
            400,
            malformed.to_owned(),
        ),
        (
            "no route",
            "GET",
            "/p?access_token=SECRET".to_owned(),
            404,
            String::new(),
        ),
        (
            "a byte that no URI has: the server's own answer",
            "GET",
            format!("{whoami}?\"&access_token=SECRET"),
            400,
            String::new(),
        ),
    ];
    let mut wire = Wire::connect(address);
    for (name, method, target, status, body) in cases {
        let answer = wire.ask(format!("{method} {target} HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert_eq!(answer.status(), status, "case: {name}");
        assert_eq!(text(&answer.body), body, "case: {name}");
        let field = |field| answer.field(field);
        match status {
            401 => {
                assert_eq!(
                    field("content-length").as_deref(),
                    Some("60"),
                    "case: {name}"
                );
                assert_eq!(
                    field("www-authenticate").as_deref(),
                    Some("Bearer realm=\"matrix\"")
                );
                assert_eq!(field("access-control-allow-origin").as_deref(), Some("*"));
                assert!(field("date").is_some(), "case: {name}");
            }
            200 => assert_eq!(field("referrer-policy").as_deref(), Some("no-referrer")),
            _ => {}
        }
    }
}

/// Why the page says that `Router::layer` is too late.
#[test]
fn behind_the_routing_the_token_has_been_read() {
    async fn original(OriginalUri(original): OriginalUri) -> String {
        original.to_string()
    }
    let router = Router::new()
        .route("/p", get(original))
        .layer(RelocateLayer::new());
    let answer =
        Wire::connect(serve(router)).ask("GET /p?access_token=SECRET HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(text(&answer.body), "/p?access_token=SECRET");
}

fn page() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(root.join("docs/library.md")).unwrap()
}

fn blocks<'p>(page: &'p str, language: &str) -> Vec<&'p str> {
    let fence = format!("```{language}\n");
    page.split(&fence)
        .skip(1)
        .map(|rest| rest.split_once("```").unwrap().0)
        .collect()
}

#[test]
fn the_code_of_the_page_is_that_of_the_example() {
    let page = page();
    let example = include_str!("../../examples/axum.rs");
    let blocks = blocks(&page, "rust");
    assert!(!blocks.is_empty());
    for block in blocks {
        assert!(example.contains(block), "not in examples/axum.rs:\n{block}");
    }
}

/// Lines of the page that begin with `$` are run, and what stands behind is what comes.
#[test]
fn curl_gets_what_the_page_shows() {
    let address = serve(example::app());
    let page = page();
    let mut seen = 0;
    for shown in blocks(&page, "console")
        .iter()
        .flat_map(|block| block.split("$ ").skip(1))
    {
        let (line, expected) = shown.split_once('\n').unwrap();
        let line = line.replace("127.0.0.1:8008", &address.to_string());
        let output = Command::new("sh").args(["-c", &line]).output();
        let output = match output {
            Err(error) if error.kind() == ErrorKind::NotFound => return,
            other => other.unwrap(),
        };
        if output.status.code() == Some(127) {
            // No curl here: the same requests are made without it above.
            return;
        }
        let got = text(&output.stdout).replace('\r', "");
        assert_eq!(got.trim_end(), expected.trim_end(), "{line}");
        seen += 1;
    }
    assert!(seen >= 4, "the page shows what curl gets: {seen}");
}
