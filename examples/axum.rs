//! An axum server with relocation on its own stack: old clients may send their token in
//! the query, and no handler, and no log of the server's, sees it there.
//!
//! `cargo run --example axum` and then as `docs/library.md` says.

use std::io;

use axum::{
    Router, ServiceExt,
    extract::{OriginalUri, Request},
    http::{HeaderMap, Uri, header::AUTHORIZATION},
    routing::get,
};
use tokenshim::layer::{Relocate, RelocateLayer};
use tokio::net::TcpListener;
use tower_layer::Layer as _;

/// The whole router is inside: what `Router::layer` adds runs when the router has read the
/// URI already.
pub(crate) fn app() -> Relocate<Router> {
    let router = Router::new()
        .route("/_matrix/client/v3/account/whoami", get(whoami))
        .route("/_matrix/client/versions", get(versions));
    RelocateLayer::new().layer(router)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:8008").await?;
    axum::serve(listener, ServiceExt::<Request>::into_make_service(app())).await
}

/// Tells what it sees, whatever the token.
async fn whoami(uri: Uri, OriginalUri(original): OriginalUri, headers: HeaderMap) -> String {
    let has_bearer = headers
        .get(AUTHORIZATION)
        .is_some_and(|value| value.as_bytes().starts_with(b"Bearer "));
    format!("uri: {uri}\noriginal uri: {original}\nbearer token: {has_bearer}\n")
}

async fn versions() -> &'static str {
    "{\"versions\":[\"v1.11\"]}\n"
}
