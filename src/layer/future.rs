//! The response to come: the inner service's, or our own. No box, no new task.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::Response;
use pin_project_lite::pin_project;

use super::answer::{Narrowing, Refused};

pin_project! {
    /// The response of a [`Relocate`](super::Relocate).
    pub struct ResponseFuture<F> {
        #[pin]
        origin: Origin<F>,
    }
}

pin_project! {
    /// Who answers.
    #[project = Origin_]
    enum Origin<F> {
        Inner {
            #[pin]
            future: F,
            narrowing: Option<Narrowing>,
        },
        Own { refused: Refused },
    }
}

impl<F> ResponseFuture<F> {
    /// What the inner service will answer.
    pub(super) fn of(future: F, narrowing: Option<Narrowing>) -> Self {
        Self {
            origin: Origin::Inner { future, narrowing },
        }
    }

    /// An answer of our own.
    pub(super) fn own(refused: Refused) -> Self {
        Self {
            origin: Origin::Own { refused },
        }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: From<Bytes>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        match self.project().origin.project() {
            Origin_::Inner { future, narrowing } => {
                let mut response = ready!(future.poll(context))?;
                if let Some(narrowing) = narrowing {
                    narrowing.apply(&mut response);
                }
                Poll::Ready(Ok(response))
            }
            Origin_::Own { refused } => Poll::Ready(Ok(refused.response())),
        }
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
