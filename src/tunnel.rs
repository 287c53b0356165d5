//! An upgraded connection: bytes both ways, until both sides are done.
//!
//! Here a half-close is passed on, in contrast to HTTP, where it means that the
//! client has gone. A tunnel on which nothing moves ends in time.

use std::{cell::Cell, future::poll_fn, io, task::Poll, time::Duration};

use tokio::time::{self, Instant};

use crate::{
    http1::{
        buffer::Buffer,
        stream::{self, Shared},
    },
    metrics::Timeout,
    upstream::Link,
    worker::{Phase, Worker},
};

/// Relays until both directions have ended, one fails, nothing moved for `idle`,
/// or we stop. `received` counts the bytes that the client got.
pub async fn run(
    worker: &Worker,
    idle: Duration,
    client: &Shared,
    input: &mut Buffer,
    mut link: Link,
    received: &mut u64,
) {
    let last = Cell::new(Instant::now());
    let mut sent = 0;
    let both = async {
        tokio::try_join!(
            pump(client, input, &link.stream, &last, &mut sent),
            pump(&link.stream, &mut link.input, client, &last, received),
        )
    };
    let silence = async {
        loop {
            let Some(deadline) = last.get().checked_add(idle) else {
                return std::future::pending().await;
            };
            if deadline <= Instant::now() {
                return;
            }
            time::sleep_until(deadline).await;
        }
    };
    let cut = poll_fn(|_| {
        if worker.phase() == Phase::Cut {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    });
    // How a tunnel ends is the business of its two ends.
    tokio::select! {
        _ = both => {}
        () = silence => worker.metrics.timed_out(Timeout::Tunnel),
        () = cut => {}
    }
}

/// Relays one direction to its end and passes the end on.
async fn pump(
    from: &Shared,
    buffer: &mut Buffer,
    to: &Shared,
    last: &Cell<Instant>,
    moved: &mut u64,
) -> io::Result<()> {
    loop {
        let waiting = buffer.filled();
        let count = waiting.len();
        // The tunnel's own limit is the shorter one.
        stream::write_all(to, [waiting, b"", b""], Duration::MAX).await?;
        *moved = moved.saturating_add(count as u64);
        buffer.consume(count);
        last.set(Instant::now());
        if buffer.fill_body(from).await? == 0 {
            stream::shutdown(to).await;
            return Ok(());
        }
    }
}
