//! The client's direction: the request leaves, then the client is watched.

use std::{future::poll_fn, io, task::Poll, time::Duration};

use super::{Body, Progress};
use crate::{
    clock,
    http1::{
        body::{BodyError, Incoming, Outgoing, Relay},
        buffer::Buffer,
        head,
        length::Length,
        stream::{self, Shared},
    },
    plan::Plan,
    settings::Settings,
};

/// How often a client that sent more than there is room for is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What the client's direction needs.
pub(super) struct Upload<'a> {
    pub(super) settings: &'a Settings,
    pub(super) plan: &'a Plan,
    pub(super) client: &'a Shared,
    pub(super) upstream: &'a Shared,
    pub(super) body: Body,
    /// Counts what was sent of a body that was still coming.
    pub(super) moved: &'a mut u64,
    pub(super) progress: &'a Progress,
}

impl Upload<'_> {
    /// Sends the request, then watches the client; ends only with what is wrong
    /// with it.
    pub(super) async fn run(self, input: &mut Buffer, head: &mut Vec<u8>) -> BodyError {
        let (timeouts, limits) = (&self.settings.timeouts, &self.settings.limits);
        let body = match self.body {
            Body::AtHand(length) => Some(input.filled().get(..length).unwrap_or_default()),
            Body::Form => self.plan.form.as_deref(),
            Body::Coming => None,
        };
        let sent = if let Some(body) = body {
            stream::write_all(self.upstream, [head, body, b""], timeouts.send)
                .await
                .map_err(BodyError::sink)
        } else {
            let is_chunked = self.plan.length == Length::Chunked;
            let relay = Relay {
                source: self.client,
                input,
                incoming: Incoming::new(self.plan.length),
                sink: self.upstream,
                outgoing: if is_chunked {
                    Outgoing::Chunked
                } else {
                    Outgoing::Raw
                },
                source_timeout: timeouts.body,
                most: limits.body_size,
                least_rate: limits.body_rate,
                sink_timeout: timeouts.send,
                copy: None,
            };
            relay.run(head, self.moved).await
        };
        match sent {
            Ok(()) => self.progress.is_sent.set(true),
            // An upstream that reads no more may have answered all the same.
            Err(BodyError::SinkFailed(_) | BodyError::SinkTimeout) => {}
            Err(error) => return error,
        }
        self.progress.sending_ended.set(Some(clock::now()));
        watch(self.client, input).await
    }
}

/// Waits for the client to leave. What it sends is its next request and stays
/// in the input, as long as there is room.
pub(super) async fn watch(client: &Shared, input: &mut Buffer) -> BodyError {
    loop {
        match input.fill(client, head::LONGEST).await {
            Ok(0) => return BodyError::SourceClosed,
            Ok(_) => {}
            // Without room its end cannot be read, but it can be seen.
            Err(error) if error.kind() == io::ErrorKind::OutOfMemory => {
                see_end(client).await;
                return BodyError::SourceClosed;
            }
            Err(error) => return BodyError::SourceFailed(error),
        }
    }
}

/// Waits for the end of a client that is not read.
async fn see_end(client: &Shared) {
    let look = || poll_fn(|cx| Poll::Ready(client.borrow_mut().is_left(cx)));
    while !look().await {
        clock::sleep_until(clock::now().checked_add(LOOK)).await;
    }
}
