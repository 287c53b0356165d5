//! What a look into the memory of verdicts costs.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use divan::{Bencher, black_box};
use tokenshim::{
    secret::{AccessToken, FingerprintKey, TokenKey},
    verify::{Identity, Verdict, learn, memory::Memory},
};

fn main() {
    divan::main();
}

/// Verdicts that are kept: as many as an ordinary configuration has room for.
const KEPT: usize = 100_000;

fn key(at: usize) -> Option<TokenKey> {
    let secret = FingerprintKey::new(b"SECRET-SECRET-SECRET").ok()?;
    let token = format!("FAKE-{at}");
    let token = AccessToken::from_parameter(token.as_bytes()).ok()?;
    Some(secret.recognise(&token).1)
}

fn full(now: Instant) -> Memory {
    let memory = Memory::new(KEPT, 1);
    for at in 0..KEPT {
        let verdict = Arc::new(Verdict::Valid(Identity {
            user: Some(format!("@user{at}:example.org")),
            ..Identity::default()
        }));
        if let Some(key) = key(at) {
            memory.keep(key, verdict, Duration::from_secs(3600), now);
        }
    }
    memory
}

/// Looks for `keys` in turn, so that each comes from a cold line.
fn look(bencher: Bencher<'_, '_>, memory: &Memory, keys: std::ops::Range<usize>, now: Instant) {
    let keys: Vec<_> = keys.filter_map(key).collect();
    let mut turn = keys.iter().cycle();
    bencher
        .with_inputs(|| turn.next().copied())
        .bench_local_values(|key| {
            key.and_then(|key| memory.recall(black_box(key), black_box(now)))
        });
}

#[divan::bench(sample_size = 1000)]
fn recall_from_an_empty_memory(bencher: Bencher<'_, '_>) {
    look(bencher, &Memory::new(KEPT, 1), 0..1000, Instant::now());
}

#[divan::bench(sample_size = 1000)]
fn recall_miss(bencher: Bencher<'_, '_>) {
    let now = Instant::now();
    look(bencher, &full(now), KEPT..KEPT + 50_000, now);
}

#[divan::bench(sample_size = 1000)]
fn recall_hit_of_few(bencher: Bencher<'_, '_>) {
    let now = Instant::now();
    look(bencher, &full(now), 1000..1100, now);
}

/// So many that the processor's caches hold none of what is looked at.
#[divan::bench(sample_size = 1000)]
fn recall_hit_of_many(bencher: Bencher<'_, '_>) {
    let now = Instant::now();
    look(bencher, &full(now), 0..KEPT, now);
}

/// The same, where somebody has logged out since.
#[divan::bench(sample_size = 1000)]
fn recall_hit_of_many_after_a_logout(bencher: Bencher<'_, '_>) {
    let now = Instant::now();
    let memory = full(now);
    memory.forget_user("@alice:example.org");
    look(bencher, &memory, 0..KEPT, now);
}

#[divan::bench]
fn keep(bencher: Bencher<'_, '_>) {
    let now = Instant::now();
    let memory = full(now);
    let verdict = Arc::new(Verdict::Unknown { soft_logout: false });
    let mut at = 0..;
    bencher
        .with_inputs(|| at.next().and_then(key))
        .bench_local_values(|key| {
            if let Some(key) = key {
                memory.keep(key, verdict.clone(), Duration::from_secs(60), now);
            }
        });
}

#[divan::bench]
fn forget_user(bencher: Bencher<'_, '_>) {
    let memory = full(Instant::now());
    bencher.bench_local(|| memory.forget_user(black_box("@alice:example.org")));
}

#[divan::bench(args = [
    "/_matrix/client/v3/rooms/%21r%3Aexample.org/send/m.room.message/1",
    "/_synapse/admin/v2/users/%40alice%3Aexample.org",
])]
fn touches(path: &str) -> Option<learn::Touch> {
    learn::touches(b"PUT", black_box(path.as_bytes()))
}

#[divan::bench]
fn lesson() -> Option<learn::Lesson> {
    let body = br#"{"errcode":"M_UNKNOWN_TOKEN","error":"Invalid access token passed.","soft_logout":false}"#;
    learn::lesson(401, Some(b"application/json"), None, black_box(body))
}
