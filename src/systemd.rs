//! What the service manager wants to hear: `sd_notify(3)`.
//!
//! Without `NOTIFY_SOCKET` nothing is sent and nothing is wrong. A message that
//! cannot be sent is a warning: the service works, only its manager does not know.

use std::{future, time::Duration};

use sd_notify::NotifyState;
use tokio::time::{self, MissedTickBehavior};

/// Of at most four bytes each: systemd drops a message of more than 4096 bytes.
const MOST_CHARACTERS: usize = 1000;

/// Connections are accepted, or the new configuration is in effect.
pub fn ready() {
    send(&[NotifyState::Ready]);
}

/// A reload has begun; [`ready()`] ends it, whether it succeeded or not.
pub fn reloading() {
    // `Type=notify-reload` (systemd 253) compares the time with that of its signal.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(_) => send(&[NotifyState::Reloading]),
    }
}

/// A stop has begun.
pub fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// A line for `systemctl status`, such as the result of the last reload.
pub fn status(text: &str) {
    send(&[NotifyState::Status(&one_line(text))]);
}

/// Tells the manager that we live, for as long as `is_alive` says so; never ends.
///
/// An `is_alive` that does not come back is a service that hangs, and is restarted
/// for it. Without `WATCHDOG_USEC` this only waits.
pub async fn watchdog(is_alive: impl AsyncFnMut() -> bool) {
    let Some(patience) = sd_notify::watchdog_enabled().filter(|patience| !patience.is_zero())
    else {
        return future::pending().await;
    };
    let mut ticks = time::interval(period(patience));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let tick = async || {
        ticks.tick().await;
        true
    };
    keep_telling(tick, is_alive, || send(&[NotifyState::Watchdog])).await;
}

/// Twice within the manager's patience, as `sd_watchdog_enabled(3)` recommends.
fn period(patience: Duration) -> Duration {
    // An interval of zero would be a panic.
    patience.div_f64(2.0).max(Duration::from_millis(1))
}

async fn keep_telling(
    mut tick: impl AsyncFnMut() -> bool,
    mut is_alive: impl AsyncFnMut() -> bool,
    mut tell: impl FnMut(),
) {
    while tick().await {
        if is_alive().await {
            tell();
        }
    }
}

/// A line break would begin another assignment of the message.
fn one_line(text: &str) -> String {
    let plain = |character: char| {
        if character.is_control() {
            ' '
        } else {
            character
        }
    };
    text.chars().take(MOST_CHARACTERS).map(plain).collect()
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_status_is_one_line() {
        assert_eq!(one_line("a\nWATCHDOG=1\r\0b"), "a WATCHDOG=1  b");
        assert!(one_line(&"😀".repeat(5000)).len() <= 4000);
    }

    #[test]
    fn half_the_patience_and_never_nothing() {
        let cases = [(30_000_000, 15_000_000), (3, 1000), (0, 1000)];
        for (patience, expected) in cases {
            let period = period(Duration::from_micros(patience));
            assert_eq!(period, Duration::from_micros(expected), "{patience} us");
        }
    }

    #[tokio::test]
    async fn who_is_dead_is_silent() {
        let (ticks, told) = (Cell::new(0), Cell::new(0));
        let tick = async || {
            ticks.set(ticks.get() + 1);
            ticks.get() <= 12
        };
        let is_alive = async || ticks.get() <= 5;
        keep_telling(tick, is_alive, || told.set(told.get() + 1)).await;
        assert_eq!(told.get(), 5);
    }
}
