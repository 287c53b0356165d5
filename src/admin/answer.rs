//! From a path to an answer.

use std::sync::Arc;

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS},
};

use super::Admin;
use crate::metrics::{REVISION, VERSION, exposition};

const TEXT: &str = "text/plain; charset=utf-8";

/// What there is to ask for.
#[derive(Clone, Copy)]
enum Page {
    Metrics,
    Health,
    Readiness,
    Version,
}

impl Page {
    fn at(path: &str) -> Option<Self> {
        Some(match path {
            "/metrics" => Self::Metrics,
            "/healthz" => Self::Health,
            "/readyz" => Self::Readiness,
            "/version" => Self::Version,
            _ => return None,
        })
    }
}

impl Admin {
    #[expect(
        clippy::disallowed_methods,
        reason = "a target of the administrator's, not of a client, and only its path"
    )]
    pub(super) async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let Some(page) = Page::at(request.uri().path()) else {
            return respond(StatusCode::NOT_FOUND, TEXT, "not found\n");
        };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = respond(StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET and HEAD only\n");
            let allowed = HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(ALLOW, allowed);
            return response;
        }
        match page {
            Page::Metrics => self.metrics().await,
            Page::Health => respond(StatusCode::OK, TEXT, "ok\n"),
            Page::Readiness => match self.readiness.ask().await {
                Ok(()) => respond(StatusCode::OK, TEXT, "ok\n"),
                Err(reason) => {
                    respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{reason}\n"))
                }
            },
            Page::Version => respond(StatusCode::OK, "application/json", version()),
        }
    }

    /// Reads files and adds up, so not on this thread, which accepts clients.
    async fn metrics(&self) -> Response<Full<Bytes>> {
        let registry = Arc::clone(&self.registry);
        // Goes with the reading, which goes on when the one who asked has gone.
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let reading = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let mut text = String::with_capacity(32 * 1024);
            registry.expose(&mut text);
            text
        });
        match reading.await {
            Ok(text) => respond(StatusCode::OK, exposition::CONTENT_TYPE, text),
            Err(_) => respond(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "internal error\n"),
        }
    }
}

fn version() -> String {
    let mut text = serde_json::json!({
        "name": env!("CARGO_PKG_NAME"),
        "version": VERSION,
        "revision": REVISION,
    })
    .to_string();
    text.push('\n');
    text
}

fn respond(
    status: StatusCode,
    kind: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    fields.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
