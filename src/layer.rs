//! Relocation as a [`tower_layer::Layer`], for a server that would rather not have a
//! proxy in front.
//!
//! Put it around the whole service, so that nothing reads the URI before it does:
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response, header::AUTHORIZATION};
//! use http_body_util::Full;
//! use tokenshim::layer::RelocateLayer;
//! use tower_layer::Layer as _;
//! use tower_service::Service as _;
//!
//! # #[derive(Clone)]
//! # struct Router;
//! # impl tower_service::Service<Request<()>> for Router {
//! #     type Response = Response<Full<Bytes>>;
//! #     type Error = std::convert::Infallible;
//! #     type Future = std::future::Ready<Result<Self::Response, Self::Error>>;
//! #     fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
//! #         std::task::Poll::Ready(Ok(()))
//! #     }
//! #     fn call(&mut self, request: Request<()>) -> Self::Future {
//! #         let (parts, ()) = request.into_parts();
//! #         assert_eq!(parts.uri, "/sync?since=s1");
//! #         assert_eq!(parts.headers[AUTHORIZATION], "Bearer FAKE");
//! #         std::future::ready(Ok(Response::new(Full::default())))
//! #     }
//! # }
//! let mut service = RelocateLayer::new().layer(Router);
//! let request = Request::get("/sync?access_token=FAKE&since=s1").body(())?;
//! // The router sees `/sync?since=s1` and `Authorization: Bearer FAKE`.
//! # let answer =
//! service.call(request);
//! # assert_eq!(poll_once(answer).headers()["referrer-policy"], "no-referrer");
//! # fn poll_once<F: Future>(future: F) -> Response<Full<Bytes>>
//! # where F: Future<Output = Result<Response<Full<Bytes>>, std::convert::Infallible>> {
//! #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
//! #     match std::pin::pin!(future).poll(&mut context) {
//! #         std::task::Poll::Ready(Ok(response)) => response,
//! #         _ => panic!("not ready"),
//! #     }
//! # }
//! # Ok::<(), http::Error>(())
//! ```
//!
//! What decides is what decides in the proxy: [`relocate`](crate::relocate) and
//! [`requirement`](crate::requirement). An answer of our own is that of
//! [`refusal`](crate::refusal), and the service inside does not hear of it. Nothing is
//! kept between requests, nothing is logged, and nothing here needs the proxy's engine.
//!
//! It never looks into a body. So a token in a form stays where it is, and a `POST` of a
//! form without any other token is for the service inside to judge. It sees what
//! [`http::Uri`] can hold: what that refuses, the server has answered before.

mod answer;
mod future;
mod request;

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

pub use crate::config::{Conflict, OpenEndpoints, Profile, Repeated};
use crate::{
    config::{self, FormBody},
    redact::Redactor,
    relocate::{Policy, query::Names},
};
pub use future::ResponseFuture;

/// Moves the token of each request out of the query and into `Authorization`.
///
/// Clones share what was configured.
#[derive(Clone, Debug)]
pub struct RelocateLayer {
    rules: Arc<Rules>,
}

impl RelocateLayer {
    /// As the proxy does it without configuration: for a Matrix homeserver.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Begins with the same, to change some of it.
    #[must_use]
    pub fn builder() -> Builder {
        let section = config::Relocate {
            form_body: FormBody::Forward,
            ..config::Relocate::default()
        };
        Builder {
            policy: Policy::from(&section),
        }
    }
}

impl Default for RelocateLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for RelocateLayer {
    type Service = Relocate<S>;

    fn layer(&self, inner: S) -> Relocate<S> {
        Relocate {
            inner,
            rules: Arc::clone(&self.rules),
        }
    }
}

/// What a [`RelocateLayer`] is to do; each setting as in the section `[relocate]` of the
/// proxy's configuration.
#[derive(Clone, Debug)]
pub struct Builder {
    policy: Policy,
}

/// A name that no parameter can have, or no name at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadParameter {
    /// What is wrong with a name.
    #[error("a parameter's name {0}")]
    Name(String),
    /// Without a name nothing would ever be moved.
    #[error("no parameter's name")]
    None,
}

impl Builder {
    /// Which API the service is.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.policy.profile = profile;
        self
    }

    /// The parameters that carry a token, in place of `access_token`.
    ///
    /// # Errors
    ///
    /// [`BadParameter`] if there is none, or one is not visible ASCII without `&;=%`.
    pub fn parameters(mut self, names: &[&str]) -> Result<Self, BadParameter> {
        if names.is_empty() {
            return Err(BadParameter::None);
        }
        let names: Result<_, _> = names.iter().map(|name| config::parameter(name)).collect();
        self.policy.names = Names::new(names.map_err(BadParameter::Name)?);
        Ok(self)
    }

    /// Several different tokens in one query.
    #[must_use]
    pub fn repeated(mut self, repeated: Repeated) -> Self {
        self.policy.repeated = repeated;
        self
    }

    /// Different tokens in header and query.
    #[must_use]
    pub fn conflict(mut self, conflict: Conflict) -> Self {
        self.policy.conflict = conflict;
        self
    }

    /// A token sent to an endpoint that needs none.
    #[must_use]
    pub fn open(mut self, open: OpenEndpoints) -> Self {
        self.policy.open = open;
        self
    }

    /// The layer.
    #[must_use]
    pub fn build(self) -> RelocateLayer {
        let Self { policy } = self;
        let rules = Rules {
            redactor: Redactor::with_parameters(policy.names.as_slice()),
            policy,
        };
        RelocateLayer {
            rules: Arc::new(rules),
        }
    }
}

/// What all requests share.
#[derive(Debug)]
struct Rules {
    policy: Policy,
    /// Masks what a `Referer` still holds behind the cut.
    redactor: Redactor,
}

/// In the extensions of a request: its URI held a token when it came.
///
/// For a server that wants to count who still does that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Moved;

/// A service behind a [`RelocateLayer`].
#[derive(Clone, Debug)]
pub struct Relocate<S> {
    inner: S,
    rules: Arc<Rules>,
}

impl<S, B, R> Service<Request<B>> for Relocate<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: From<Bytes>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        match request::rewrite(&mut parts, &self.rules) {
            Ok(narrowing) => {
                let request = Request::from_parts(parts, body);
                ResponseFuture::of(self.inner.call(request), narrowing)
            }
            Err(refused) => ResponseFuture::own(refused),
        }
    }
}
