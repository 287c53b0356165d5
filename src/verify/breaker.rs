//! Leaves an issuer alone that has failed several times in a row.
//!
//! After five failures nobody is asked for five seconds. Then one question goes through;
//! if it fails as well, the pause doubles, up to a minute. What is counted is the issuer's
//! silence, not what it says of a token: any usable answer is a success.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::NoAnswer;

/// Whether an issuer may be asked. Several threads may use it.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<Inner>);

/// Leave to ask once. Say what came of it; one that is dropped has learned nothing, as when
/// all who waited for the answer are gone.
#[derive(Debug)]
#[must_use = "a question that nobody reports counts for nothing"]
pub struct Pass<'b> {
    breaker: &'b Breaker,
    round: u64,
}

#[derive(Debug, Default)]
struct Inner {
    state: State,
    /// Counts the changes of state: who asked in an earlier one has no say in this one.
    round: u64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Questions go through.
    Closed { failures: u32 },
    /// None does, before `until`.
    Open { until: Instant, pause: Duration },
    /// One is under way; `since` is when it was due.
    Trying { since: Instant, pause: Duration },
}

impl Breaker {
    /// Leave to ask, now.
    ///
    /// # Errors
    ///
    /// [`NoAnswer::Open`] if it failed too often.
    pub fn pass(&self, now: Instant) -> Result<Pass<'_>, NoAnswer> {
        let mut inner = self.lock();
        match inner.state {
            State::Closed { .. } => {}
            State::Open { until, pause } if now >= until => {
                let since = until;
                inner.turn(State::Trying { since, pause });
            }
            State::Open { .. } | State::Trying { .. } => return Err(NoAnswer::Open),
        }
        Ok(Pass {
            breaker: self,
            round: inner.round,
        })
    }

    /// Whether questions are held back, but for one now and then.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !matches!(self.lock().state, State::Closed { .. })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// The issuer gave a usable answer, whatever it says.
    pub fn succeeded(self) {
        let mut inner = self.breaker.lock();
        if inner.round != self.round {
            return;
        }
        match inner.state {
            State::Closed { .. } => inner.state = State::default(),
            State::Open { .. } | State::Trying { .. } => inner.turn(State::default()),
        }
    }

    /// There was no usable answer.
    pub fn failed(self, now: Instant) {
        let mut inner = self.breaker.lock();
        if inner.round != self.round {
            return;
        }
        let pause = match inner.state {
            State::Closed { failures } if failures.saturating_add(1) < FAILURES => {
                let failures = failures.saturating_add(1);
                inner.state = State::Closed { failures };
                return;
            }
            State::Closed { .. } => FIRST_PAUSE,
            State::Open { pause, .. } | State::Trying { pause, .. } => {
                pause.saturating_mul(2).min(LONGEST_PAUSE)
            }
        };
        let until = now.checked_add(pause).unwrap_or(now);
        inner.turn(State::Open { until, pause });
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut inner = self.breaker.lock();
        // Otherwise nobody could ever try again.
        if inner.round == self.round
            && let State::Trying { since, pause } = inner.state
        {
            let until = since;
            inner.turn(State::Open { until, pause });
        }
    }
}

impl Inner {
    fn turn(&mut self, state: State) {
        self.state = state;
        self.round = self.round.wrapping_add(1);
    }
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

/// How many questions in a row have to fail.
const FAILURES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: Instant, seconds: u64) -> Instant {
        start.checked_add(Duration::from_secs(seconds)).unwrap()
    }

    fn fail(breaker: &Breaker, times: u32, now: Instant) {
        for _ in 0..times {
            breaker.pass(now).unwrap().failed(now);
        }
    }

    #[test]
    fn five_failures_in_a_row_open_it() {
        let now = Instant::now();
        let breaker = Breaker::default();
        fail(&breaker, 4, now);
        breaker.pass(now).unwrap().succeeded();
        fail(&breaker, 4, now);
        // One that nobody reports is none of them.
        drop(breaker.pass(now).unwrap());
        assert!(!breaker.is_open());
        fail(&breaker, 1, now);
        assert!(breaker.is_open());
        assert_eq!(breaker.pass(now).unwrap_err(), NoAnswer::Open);
    }

    #[test]
    fn pauses_double_up_to_a_minute() {
        let mut now = Instant::now();
        let breaker = Breaker::default();
        fail(&breaker, 5, now);
        for pause in [5, 10, 20, 40, 60, 60] {
            let almost = Duration::from_millis(pause * 1000 - 1);
            assert!(breaker.pass(now + almost).is_err(), "{pause} s");
            now = after(now, pause);
            fail(&breaker, 1, now);
        }
        breaker.pass(after(now, 60)).unwrap().succeeded();
        assert!(!breaker.is_open());
        // All is forgiven: five more, and the shortest pause.
        fail(&breaker, 5, now);
        assert!(breaker.pass(after(now, 5)).is_ok());
    }

    #[test]
    fn one_question_tries() {
        let start = Instant::now();
        let breaker = Breaker::default();
        fail(&breaker, 5, start);
        let now = after(start, 5);
        let probe = breaker.pass(now).unwrap();
        assert!(breaker.pass(now).is_err());
        assert!(breaker.pass(after(start, 500)).is_err());
        probe.succeeded();
        assert!(breaker.pass(now).is_ok());
    }

    #[test]
    fn a_try_that_nobody_waits_for_is_made_again() {
        let start = Instant::now();
        let breaker = Breaker::default();
        fail(&breaker, 5, start);
        let now = after(start, 5);
        drop(breaker.pass(now).unwrap());
        let probe = breaker.pass(now).unwrap();
        assert!(breaker.pass(now).is_err());
        probe.failed(now);
        assert!(breaker.pass(after(now, 9)).is_err(), "ten seconds now");
        assert!(breaker.pass(after(now, 10)).is_ok());
    }

    #[test]
    fn who_asked_before_has_no_say() {
        let now = Instant::now();
        let breaker = Breaker::default();
        let early: Vec<_> = (0..8).map(|_| breaker.pass(now).unwrap()).collect();
        let late = breaker.pass(now).unwrap();
        for pass in early {
            pass.failed(now);
        }
        late.succeeded();
        assert!(breaker.is_open(), "an answer from before it opened");
        assert!(
            breaker.pass(after(now, 5)).is_ok(),
            "the pause is the first"
        );
    }

    #[test]
    fn threads_get_one_try() {
        let start = Instant::now();
        let breaker = Breaker::default();
        fail(&breaker, 5, start);
        let now = after(start, 5);
        // Kept, not dropped: a dropped one may be made again.
        let passes: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| breaker.pass(now))).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert_eq!(passes.iter().filter(|pass| pass.is_ok()).count(), 1);
    }
}
