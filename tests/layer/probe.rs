//! A service that keeps what it sees, and how one request passes through the layer to it.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response, request::Parts};
use tokenshim::layer::RelocateLayer;
use tower_layer::Layer as _;
use tower_service::Service;

/// The service inside.
#[derive(Clone)]
pub(crate) struct Probe {
    seen: Arc<Mutex<Option<Seen>>>,
    answer: Response<Bytes>,
}

/// A request as the service inside got it.
pub(crate) struct Seen {
    pub(crate) parts: Parts,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    /// Path and query.
    pub(crate) fn target(&self) -> String {
        self.parts.uri.path_and_query().unwrap().to_string()
    }

    pub(crate) fn fields(&self, name: &str) -> Vec<&str> {
        let values = self.parts.headers.get_all(name).iter();
        values.map(|value| value.to_str().unwrap()).collect()
    }
}

impl Service<Request<Vec<u8>>> for Probe {
    type Response = Response<Bytes>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Bytes>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Vec<u8>>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let before = self.seen.lock().unwrap().replace(Seen { parts, body });
        assert!(before.is_none(), "called twice");
        ready(Ok(self.answer.clone()))
    }
}

/// What comes of a request: what the service inside saw, if it was called, and the answer.
pub(crate) fn pass(
    layer: &RelocateLayer,
    request: Request<Vec<u8>>,
) -> (Option<Seen>, Response<Bytes>) {
    pass_to(layer, request, Response::new(Bytes::from_static(b"{}")))
}

/// The same, where the service inside says `answer`.
pub(crate) fn pass_to(
    layer: &RelocateLayer,
    request: Request<Vec<u8>>,
    answer: Response<Bytes>,
) -> (Option<Seen>, Response<Bytes>) {
    let seen = Arc::<Mutex<Option<Seen>>>::default();
    let mut service = layer.layer(Probe {
        seen: Arc::clone(&seen),
        answer,
    });
    let mut context = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut context).is_ready());
    let future = service.call(request);
    assert!(!format!("{future:?}").contains("SECRET"));
    let Poll::Ready(Ok(answer)) = pin!(future).poll(&mut context) else {
        panic!("the answer is there at once");
    };
    let seen = seen.lock().unwrap().take();
    (seen, answer)
}
