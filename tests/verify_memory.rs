//! What is known of tokens: how long, for whom, and what it costs to look.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

use std::{
    hint::black_box,
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use proptest::prelude::*;
use tokenshim::{
    secret::{AccessToken, FingerprintKey, TokenKey},
    verify::{Identity, Verdict, memory::Memory},
};

const MINUTE: Duration = Duration::from_secs(60);

/// What `FAKE-{name}` is known by.
fn key(name: impl std::fmt::Display) -> TokenKey {
    let secret = FingerprintKey::new(b"SECRET-SECRET-SECRET").unwrap();
    let token = format!("FAKE-{name}");
    let token = AccessToken::from_parameter(token.as_bytes()).unwrap();
    secret.recognise(&token).1
}

fn keys(count: usize) -> Vec<TokenKey> {
    (0..count).map(key).collect()
}

fn valid(user: Option<&str>) -> Arc<Verdict> {
    Arc::new(Verdict::Valid(Identity {
        user: user.map(str::to_owned),
        ..Identity::default()
    }))
}

fn unknown() -> Arc<Verdict> {
    Arc::new(Verdict::Unknown { soft_logout: false })
}

#[test]
fn a_verdict_stands_for_its_time_and_not_longer() {
    let memory = Memory::new(2000, 1);
    let now = Instant::now();
    for key in keys(1000) {
        memory.keep(key, unknown(), MINUTE, now);
    }
    let standing = |seconds: u64| {
        let at = now + Duration::from_secs(seconds);
        let stands = |key: &TokenKey| memory.recall(*key, at).is_some();
        keys(1000).iter().filter(|key| stands(key)).count()
    };
    assert_eq!(standing(0), 1000);
    assert_eq!(standing(53), 1000, "at most a tenth is taken away");
    let half = standing(57);
    assert!((300..700).contains(&half), "{half} end in the first half");
    assert_eq!(standing(60), 0, "never longer than asked for");
}

#[test]
fn another_seed_is_another_end() {
    let now = Instant::now();
    let ends = |seed| {
        let memory = Memory::new(1000, seed);
        memory.keep(key("a"), unknown(), MINUTE, now);
        let stands = |ms: &u64| {
            memory
                .recall(key("a"), now + Duration::from_millis(*ms))
                .is_some()
        };
        (54_000..=60_000).take_while(stands).count()
    };
    assert_eq!(ends(1), ends(1));
    assert_ne!(ends(1), ends(2));
}

#[test]
fn no_time_is_no_verdict() {
    let memory = Memory::new(1000, 1);
    let now = Instant::now();
    memory.keep(key("a"), unknown(), Duration::ZERO, now);
    memory.keep(key("b"), unknown(), Duration::MAX, now);
    assert_eq!(memory.recall(key("a"), now), None);
    assert_eq!(memory.recall(key("b"), now), None);
    memory.keep(key("c"), unknown(), Duration::from_nanos(1), now);
    assert_eq!(memory.recall(key("c"), now), Some(unknown()));
}

#[test]
fn a_token_minted_a_moment_ago_works() {
    let memory = Memory::new(1000, 1);
    let now = Instant::now();
    memory.keep(key("dead"), unknown(), MINUTE, now);
    assert_eq!(memory.recall(key("dead"), now), Some(unknown()));
    // Nothing is known of it, whatever is known of the one before: it is asked about.
    assert_eq!(memory.recall(key("fresh"), now), None);
    memory.keep(key("fresh"), valid(Some("@alice:h")), MINUTE, now);
    assert_eq!(
        memory.recall(key("fresh"), now),
        Some(valid(Some("@alice:h")))
    );
    assert_eq!(memory.recall(key("dead"), now), Some(unknown()));
}

#[test]
fn what_is_forgotten_is_forgotten() {
    type Forget = fn(&Memory);
    let locked = || Arc::new(Verdict::Locked);
    let alice = || valid(Some("@alice:h"));
    let token: Forget = |memory| memory.forget(key("a"));
    let other_token: Forget = |memory| memory.forget(key("b"));
    let user: Forget = |memory| memory.forget_user("@alice:h");
    let other_user: Forget = |memory| memory.forget_user("@bob:h");
    let all: Forget = Memory::forget_all;
    // What is known, what is forgotten, whether it is known still.
    let cases = [
        ("the token", alice(), token, false),
        ("another token", alice(), other_token, true),
        ("the user", alice(), user, false),
        ("another user", alice(), other_user, true),
        ("everything", alice(), all, false),
        ("unknown, the token", unknown(), token, false),
        ("unknown stays unknown", unknown(), user, true),
        ("unknown, everything", unknown(), all, false),
        ("locked, and perhaps unlocked now", locked(), user, false),
        ("locked, another token", locked(), other_token, true),
        ("a user nobody named", valid(None), user, false),
        (
            "a user named in another way",
            valid(Some("alice")),
            user,
            false,
        ),
    ];
    for (name, verdict, forget, is_known) in cases {
        let memory = Memory::new(1000, 1);
        let now = Instant::now();
        let asked = memory.moment();
        memory.keep(key("a"), verdict.clone(), MINUTE, now);
        forget(&memory);
        assert_eq!(
            memory.recall(key("a"), now).is_some(),
            is_known,
            "case: {name}"
        );
        // The answer to a question of before comes only now.
        memory.keep_if(asked, key("a"), verdict.clone(), MINUTE, now);
        assert_eq!(
            memory.recall(key("a"), now).is_some(),
            is_known,
            "late: {name}"
        );
        // One to a question of after.
        memory.keep_if(memory.moment(), key("a"), verdict, MINUTE, now);
        assert!(memory.recall(key("a"), now).is_some(), "anew: {name}");
    }
}

#[test]
fn few_others_are_forgotten_along() {
    let memory = Memory::new(100_000, 1);
    let now = Instant::now();
    let keys = keys(2000);
    for (at, key) in keys.iter().enumerate() {
        memory.keep(*key, valid(Some(&format!("@user{at}:h"))), MINUTE, now);
    }
    for at in 0..100 {
        memory.forget_user(&format!("@gone{at}:h"));
        memory.forget(key(format_args!("gone{at}")));
    }
    let known = keys
        .iter()
        .filter(|key| memory.recall(**key, now).is_some())
        .count();
    assert!(known > 1950, "{known}");
}

#[test]
fn it_is_bounded() {
    let memory = Memory::new(1000, 1);
    let now = Instant::now();
    for key in keys(20_000) {
        memory.keep(key, unknown(), MINUTE, now);
    }
    // Each shard rounds up.
    assert!((500..1100).contains(&memory.len()), "{}", memory.len());
}

/// A logout, and questions that are under way meanwhile, many times over. The issuer says
/// "valid" until the logout reaches it, and each logout is forgotten when it is answered.
#[test]
fn a_logout_is_not_undone_by_an_answer_that_was_under_way() {
    let memory = Memory::new(1000, 1);
    let now = Instant::now();
    for round in 0..300 {
        let key = key(round);
        let (is_live, is_over) = (AtomicBool::new(true), AtomicBool::new(false));
        let wrong = AtomicUsize::new(0);
        let start = Barrier::new(3);
        let ask = || {
            start.wait();
            for _ in 0..50 {
                let was_over = is_over.load(Ordering::SeqCst);
                let asked = memory.moment();
                let verdict = if is_live.load(Ordering::SeqCst) {
                    valid(Some("@alice:h"))
                } else {
                    unknown()
                };
                thread::yield_now();
                memory.keep_if(asked, key, verdict, MINUTE, now);
                let recalled = memory.recall(key, now);
                if was_over && matches!(recalled.as_deref(), Some(Verdict::Valid(_))) {
                    wrong.fetch_add(1, Ordering::SeqCst);
                }
            }
        };
        thread::scope(|scope| {
            scope.spawn(ask);
            scope.spawn(ask);
            start.wait();
            is_live.store(false, Ordering::SeqCst);
            if round % 2 == 0 {
                memory.forget(key);
            } else {
                memory.forget_user("@alice:h");
            }
            is_over.store(true, Ordering::SeqCst);
        });
        assert_eq!(wrong.into_inner(), 0, "round {round}");
        let left = memory.recall(key, now);
        assert!(
            !matches!(left.as_deref(), Some(Verdict::Valid(_))),
            "round {round}"
        );
    }
}

#[test]
fn a_look_allocates_nothing() {
    let now = Instant::now();
    let empty = Memory::new(1000, 1);
    let memory = Memory::new(1000, 1);
    memory.keep(key("a"), valid(Some("@alice:h")), MINUTE, now);
    let looks = [
        (&empty, key("a"), now, false),
        (&memory, key("a"), now, true),
        (&memory, key("b"), now, false),
        (&memory, key("a"), now + MINUTE, false),
    ];
    for (memory, key, now, is_known) in looks {
        let counted = allocation_counter::measure(|| {
            let known = black_box(memory.recall(black_box(key), now));
            assert_eq!(known.is_some(), is_known);
        });
        assert_eq!(counted.count_total, 0);
    }
    // The counter does count.
    let counted = allocation_counter::measure(|| drop(black_box(vec![1_u8])));
    assert_eq!(counted.count_total, 1);
}

#[test]
fn nothing_prints() {
    let memory = Memory::new(1000, 1);
    memory.keep(key("a"), valid(Some("@alice:h")), MINUTE, Instant::now());
    assert_eq!(format!("{memory:?}"), "Memory { .. }");
}

proptest! {
    /// Whatever happens in whatever order: nothing is recalled that a simple model, which
    /// forgets by searching, does not know.
    #[test]
    fn it_knows_no_more_than_a_simple_memory(
        events in proptest::collection::vec((0..6_u8, 0..4_usize, 0..4_usize, 0..50_u64), 0..60),
    ) {
        let users = ["@a:h", "@b:h", "@c:h", "@d:h"];
        let keys = keys(4);
        let memory = Memory::new(1000, 1);
        let mut now = Instant::now();
        let mut known: Vec<Option<(usize, Instant)>> = vec![None; keys.len()];
        // Questions under way, each with whom it will be about.
        let mut asked = Vec::new();
        for (event, at, user, seconds) in events {
            let token = *keys.get(at).unwrap();
            let name = *users.get(user).unwrap();
            match event {
                0 => asked.push((memory.moment(), at, user)),
                1 => {
                    if let Some((moment, at, user)) = asked.pop() {
                        let name = *users.get(user).unwrap();
                        memory.keep_if(moment, *keys.get(at).unwrap(), valid(Some(name)), MINUTE, now);
                        *known.get_mut(at).unwrap() = Some((user, now + MINUTE));
                    }
                }
                2 => {
                    memory.forget(token);
                    *known.get_mut(at).unwrap() = None;
                    asked.retain(|(_, other, _)| *other != at);
                }
                3 => {
                    memory.forget_user(name);
                    for entry in &mut known {
                        *entry = entry.filter(|(owner, _)| *owner != user);
                    }
                    asked.retain(|(_, _, other)| *other != user);
                }
                4 => now += Duration::from_secs(seconds),
                _ if seconds == 0 => {
                    memory.forget_all();
                    known.fill(None);
                    asked.clear();
                }
                _ => {}
            }
            for (key, known) in keys.iter().zip(&known) {
                if let Some(found) = memory.recall(*key, now) {
                    let expected = known.filter(|(_, until)| now < *until);
                    let expected = expected.map(|(user, _)| valid(users.get(user).copied()));
                    prop_assert_eq!(Some(found), expected);
                }
            }
        }
    }
}
