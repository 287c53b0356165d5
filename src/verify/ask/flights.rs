//! One question for each token, however many want to know.
//!
//! Who comes while a question is under way waits for its answer; who comes later gets a
//! new one. A question goes on when those who wait for it leave.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::oneshot;

use crate::{
    secret::TokenKey,
    verify::{Answer, NoAnswer},
};

/// How many questions are under way at most. More are not asked: they would all be late.
pub(super) const MOST: usize = 1000;

/// What is heard at the end of a question.
pub(super) type Outcome = Result<Arc<Answer>, NoAnswer>;

/// The questions under way, with those who wait for each.
#[derive(Default)]
pub(super) struct Flights {
    under_way: Mutex<HashMap<Number, Vec<oneshot::Sender<Outcome>>>>,
    era: AtomicU64,
}

/// A token, and the era in which its question began.
type Number = (TokenKey, u64);

/// How somebody joins a flight.
pub(super) enum Boarding {
    /// It has to begin: the question is this one's to put.
    First(oneshot::Receiver<Outcome>, Landing),
    /// It is under way.
    Joined(oneshot::Receiver<Outcome>),
    /// There are too many others.
    Full,
}

impl Flights {
    pub(super) fn board(self: &Arc<Self>, key: TokenKey) -> Boarding {
        let number = (key, self.era.load(Ordering::SeqCst));
        let mut flights = self.lock();
        let is_full = flights.len() >= MOST;
        match flights.entry(number) {
            Entry::Occupied(mut flight) => {
                let (seat, outcome) = oneshot::channel();
                flight.get_mut().push(seat);
                Boarding::Joined(outcome)
            }
            Entry::Vacant(_) if is_full => Boarding::Full,
            Entry::Vacant(place) => {
                let (seat, outcome) = oneshot::channel();
                place.insert(vec![seat]);
                let landing = Landing {
                    flights: Some(Arc::clone(self)),
                    number,
                };
                Boarding::First(outcome, landing)
            }
        }
    }

    /// From here on nobody joins a flight that is under way: what it will say may be of
    /// before something happened.
    pub(super) fn begin_anew(&self) {
        self.era.fetch_add(1, Ordering::SeqCst);
    }

    /// How many questions are under way.
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Number, Vec<oneshot::Sender<Outcome>>>> {
        // Nothing is ever half done under this lock.
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Flights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flights({})", self.count())
    }
}

/// The end of a flight that must come. Dropped, it leaves those who wait without an
/// outcome, which they notice.
#[derive(Debug)]
pub(super) struct Landing {
    /// `None` once it has come: the next flight of this key is somebody else's.
    flights: Option<Arc<Flights>>,
    number: Number,
}

impl Landing {
    /// Tells everybody who waits.
    pub(super) fn tell(mut self, outcome: &Outcome) {
        for seat in self.clear() {
            // Its client may have left.
            let _ = seat.send(outcome.clone());
        }
    }

    /// From here on, the next who asks begins a new flight.
    fn clear(&mut self) -> Vec<oneshot::Sender<Outcome>> {
        let flights = self.flights.take();
        flights
            .and_then(|flights| flights.lock().remove(&self.number))
            .unwrap_or_default()
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        drop(self.clear());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        secret::{AccessToken, FingerprintKey},
        verify::Verdict,
    };

    fn key(number: usize) -> TokenKey {
        let token = format!("FAKE-{number}");
        let token = AccessToken::from_parameter(token.as_bytes()).unwrap();
        let key = FingerprintKey::new(b"0123456789abcdef").unwrap();
        key.recognise(&token).1
    }

    fn answer() -> Arc<Answer> {
        Arc::new(Answer {
            verdict: Verdict::Locked,
            valid_for: None,
        })
    }

    #[test]
    fn those_who_come_in_time_hear_the_answer() {
        let flights = Arc::<Flights>::default();
        let Boarding::First(mut first, landing) = flights.board(key(1)) else {
            panic!("nobody was there");
        };
        let Boarding::Joined(mut second) = flights.board(key(1)) else {
            panic!("it was under way");
        };
        landing.tell(&Ok(answer()));
        assert!(first.try_recv().unwrap().is_ok());
        assert!(second.try_recv().unwrap().is_ok());
        assert!(
            matches!(flights.board(key(1)), Boarding::First(..)),
            "it had ended"
        );
    }

    #[test]
    fn a_flight_that_never_lands_keeps_nobody() {
        let flights = Arc::<Flights>::default();
        let Boarding::First(mut first, landing) = flights.board(key(1)) else {
            panic!("nobody was there");
        };
        drop(landing);
        assert!(first.try_recv().is_err());
        assert_eq!(flights.count(), 0);
    }

    #[test]
    fn a_landing_leaves_the_next_flight_alone() {
        let flights = Arc::<Flights>::default();
        let Boarding::First(_, mut landing) = flights.board(key(1)) else {
            panic!("nobody was there");
        };
        landing.clear();
        let next = flights.board(key(1));
        drop(landing);
        assert_eq!(flights.count(), 1);
        drop(next);
    }

    #[test]
    fn who_comes_after_a_logout_does_not_join_a_question_of_before() {
        let flights = Arc::<Flights>::default();
        let Boarding::First(mut first, before) = flights.board(key(1)) else {
            panic!("nobody was there");
        };
        flights.begin_anew();
        let Boarding::First(mut second, after) = flights.board(key(1)) else {
            panic!("joined a question of before");
        };
        before.tell(&Ok(answer()));
        assert!(first.try_recv().unwrap().is_ok());
        assert!(second.try_recv().is_err(), "still under way");
        after.tell(&Ok(answer()));
        assert!(second.try_recv().unwrap().is_ok());
        assert_eq!(flights.count(), 0);
    }

    #[test]
    fn there_are_never_too_many() {
        let flights = Arc::<Flights>::default();
        let under_way: Vec<_> = (0..MOST).map(|number| flights.board(key(number))).collect();
        assert!(matches!(flights.board(key(MOST)), Boarding::Full));
        assert!(
            matches!(flights.board(key(0)), Boarding::Joined(_)),
            "who only joins costs nothing"
        );
        drop(under_way);
        assert!(matches!(flights.board(key(MOST)), Boarding::First(..)));
    }
}
