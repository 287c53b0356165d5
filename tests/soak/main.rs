//! Hours of a homeserver's life in minutes: clients that stay and clients that
//! leave, straight and behind a proxy, upstreams that die, with and without TLS,
//! reloads, renewed certificates and rotations, all at once, and somebody who reads
//! the numbers.
//!
//! What must hold: no request fails that no fault explains, memory and descriptors
//! do not grow, each request has one line in the log, with the right client, the
//! numbers agree with the lines, and no token is in any output.
//!
//! Run `tests/soak/run --seconds 300`. What happens is drawn from a seed, which is
//! printed; the same seed gives the same clients the same wishes, though not the
//! same moments.

#![allow(
    clippy::allow_attributes,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::similar_names,
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

mod ask;
mod clients;
mod doors;
#[allow(dead_code, reason = "the numbers alone are looked at here")]
#[path = "../metrics/format.rs"]
mod format;
mod house;
mod journal;
mod leavers;
mod numbers;
mod random;
mod run;
mod seals;
mod streams;
mod trouble;
mod upstream;
mod wire;
mod world;

use std::env;

use tokio::task::LocalSet;

fn on_one_thread(task: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, task);
}

/// Short enough for every day; memory is not judged.
#[test]
fn a_moment() {
    on_one_thread(run::run(4, 1));
}

#[test]
#[ignore = "takes minutes: tests/soak/run"]
fn soak() {
    let number = |name| env::var(name).ok().and_then(|text| text.parse().ok());
    let seed = number("SOAK_SEED").unwrap_or_else(|| {
        let time = std::time::UNIX_EPOCH.elapsed().unwrap();
        time.as_millis() as u64 % 1_000_000
    });
    on_one_thread(run::run(number("SOAK_SECONDS").unwrap_or(300), seed));
}

#[test]
#[ignore = "the upstream of the other tests, in a process of its own"]
fn upstream_process() {
    on_one_thread(upstream::run());
}
