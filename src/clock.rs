//! The time of this turn of the worker's loop, and all its waiting.
//!
//! A request needs the time some ten times and sets five timeouts, of which nearly
//! none ever fires. So the clock is read once for each turn of the loop, a timeout
//! is noted only when its future has to wait, and one task looks after all of them.
//!
//! Everything here belongs to one thread. On a thread whose loop does not call
//! [`tick`] time stands still: only workers use this.

use std::{
    cell::{Cell, RefCell},
    pin::pin,
    rc::Rc,
    task::{Poll, Waker},
    time::{Duration, Instant},
};

use slab::Slab;
use tokio::{sync::Notify, time};

/// Waiting is looked at no more often than this: deadlines that are close together
/// are served together.
const GRAIN: Duration = Duration::from_millis(5);

thread_local! {
    static NOW: Cell<Instant> = Cell::new(Instant::now());
    static WAITING: Rc<Waiting> = Rc::default();
}

#[derive(Debug, Default)]
struct Waiting {
    places: RefCell<Slab<(Option<Instant>, Waker)>>,
    /// When the places are looked at next; `None` as long as there are none.
    next: Cell<Option<Instant>>,
    earlier: Notify,
}

/// The patience has run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("took too long")]
pub struct Elapsed;

/// Reads the clock; called whenever the loop was woken.
pub fn tick() {
    NOW.set(Instant::now());
}

/// The time at which the loop was woken.
#[must_use]
pub fn now() -> Instant {
    NOW.get()
}

/// Waits for `future`, but no longer than `patience`.
///
/// # Errors
///
/// [`Elapsed`].
pub async fn timeout<F: Future>(patience: Duration, future: F) -> Result<F::Output, Elapsed> {
    // No deadline at all, if it is past the end of time.
    timeout_at(now().checked_add(patience), future).await
}

/// Waits for `future`, but no longer than until `deadline`.
///
/// # Errors
///
/// [`Elapsed`].
pub async fn timeout_at<F: Future>(
    deadline: Option<Instant>,
    future: F,
) -> Result<F::Output, Elapsed> {
    Seat::default().timeout_at(deadline, future).await
}

/// The place of a task that waits time and again, for one thing at a time: it is taken
/// once, not for each wait.
#[derive(Debug, Default)]
pub struct Seat(Option<Place>);

impl Seat {
    /// Waits for `future`, but no longer than until `deadline`.
    ///
    /// # Errors
    ///
    /// [`Elapsed`].
    pub async fn timeout_at<F: Future>(
        &mut self,
        deadline: Option<Instant>,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        let mut future = pin!(future);
        let mut waits = false;
        std::future::poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            let Some(deadline) = deadline else {
                return Poll::Pending;
            };
            if deadline <= now() {
                return Poll::Ready(Err(Elapsed));
            }
            if !waits {
                waits = true;
                match &self.0 {
                    Some(place) => place.wait(deadline),
                    None => self.0 = Some(Place::take(deadline, cx.waker().clone())),
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// Waits until `deadline`, for ever if there is none.
pub async fn sleep_until(deadline: Option<Instant>) {
    // It never is ready itself.
    let _ = timeout_at(deadline, std::future::pending::<()>()).await;
}

/// Wakes who has waited for too long; runs for ever, once on each worker.
pub async fn keep_waking() {
    let waiting = WAITING.with(Rc::clone);
    loop {
        match waiting.next.get() {
            None => waiting.earlier.notified().await,
            Some(next) => {
                tokio::select! {
                    () = time::sleep_until(next.into()) => {}
                    () = waiting.earlier.notified() => continue,
                }
                tick();
                waiting.wake();
            }
        }
    }
}

impl Waiting {
    /// Sees to it that nobody sleeps beyond `deadline`.
    fn expect(&self, deadline: Instant) {
        if self.next.get().is_none_or(|next| deadline < next) {
            self.next.set(Some(deadline));
            self.earlier.notify_one();
        }
    }

    /// Wakes all whose time has come and notes when to look again.
    fn wake(&self) {
        let now = now();
        let mut next = None;
        for (_, (place, waker)) in &mut *self.places.borrow_mut() {
            let Some(deadline) = *place else { continue };
            if deadline <= now {
                // Once; it may be that nobody sits there.
                *place = None;
                waker.wake_by_ref();
            } else {
                next = Some(next.map_or(deadline, |next: Instant| next.min(deadline)));
            }
        }
        let soonest = now.checked_add(GRAIN);
        self.next.set(next.max(soonest.filter(|_| next.is_some())));
    }
}

/// One who waits. A future stays with its task, so the waker is the same all along.
#[derive(Debug)]
struct Place {
    waiting: Rc<Waiting>,
    key: usize,
}

impl Place {
    fn take(deadline: Instant, waker: Waker) -> Self {
        let waiting = WAITING.with(Rc::clone);
        let key = waiting.places.borrow_mut().insert((Some(deadline), waker));
        waiting.expect(deadline);
        Self { waiting, key }
    }

    /// Waits for another deadline.
    fn wait(&self, deadline: Instant) {
        if let Some((place, _)) = self.waiting.places.borrow_mut().get_mut(self.key) {
            *place = Some(deadline);
        }
        self.waiting.expect(deadline);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.waiting.places.borrow_mut().try_remove(self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a worker's loop around `test`.
    fn within_a_loop<T>(test: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .on_thread_unpark(tick)
            .build()
            .unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            tokio::task::spawn_local(keep_waking());
            test.await
        })
    }

    #[test]
    fn a_later_and_an_earlier_deadline_are_both_kept() {
        let started = Instant::now();
        within_a_loop(async {
            let late = timeout(Duration::from_millis(120), std::future::pending::<()>());
            let early = timeout(Duration::from_millis(30), std::future::pending::<()>());
            assert_eq!(early.await, Err(Elapsed));
            let elapsed = started.elapsed();
            assert!(elapsed >= Duration::from_millis(30), "{elapsed:?}");
            assert_eq!(late.await, Err(Elapsed));
        });
    }

    #[test]
    fn concurrent_waits_end_in_the_order_of_their_deadlines() {
        let order = within_a_loop(async {
            let order = RefCell::new(Vec::new());
            let wait = async |millis: u64| {
                let patience = Duration::from_millis(millis);
                assert_eq!(
                    timeout(patience, std::future::pending::<()>()).await,
                    Err(Elapsed)
                );
                order.borrow_mut().push(millis);
            };
            tokio::join!(wait(90), wait(20), wait(60));
            order.into_inner()
        });
        assert_eq!(order, [20, 60, 90]);
    }

    #[test]
    fn a_seat_is_taken_once_and_waits_for_each_deadline_in_its_turn() {
        within_a_loop(async {
            let mut seat = Seat::default();
            for millis in [30, 60, 20] {
                let started = Instant::now();
                let deadline = started.checked_add(Duration::from_millis(millis));
                let waited = seat
                    .timeout_at(deadline, std::future::pending::<()>())
                    .await;
                assert_eq!(waited, Err(Elapsed), "{millis} ms");
                assert!(started.elapsed() >= Duration::from_millis(millis));
            }
            // One that is not waited for any more wakes its task once, and is forgotten.
            let soon = now().checked_add(Duration::from_millis(10));
            let yielded = seat.timeout_at(soon, tokio::task::yield_now()).await;
            assert_eq!(yielded, Ok(()));
            assert_eq!(
                timeout(Duration::from_millis(50), std::future::pending::<()>()).await,
                Err(Elapsed)
            );
            let left = WAITING.with(|waiting| {
                let places = waiting.places.borrow();
                places
                    .iter()
                    .map(|(_, (deadline, _))| *deadline)
                    .collect::<Vec<_>>()
            });
            assert_eq!(left, [None]);
            drop(seat);
            assert!(WAITING.with(|waiting| waiting.places.borrow().is_empty()));
        });
    }

    #[test]
    fn what_is_ready_leaves_no_place_behind() {
        within_a_loop(async {
            let yielding = timeout(Duration::from_secs(60), tokio::task::yield_now());
            assert_eq!(yielding.await, Ok(()));
            assert!(WAITING.with(|waiting| waiting.places.borrow().is_empty()));
            assert_eq!(timeout(Duration::MAX, async { 1 }).await, Ok(1));
        });
    }
}
