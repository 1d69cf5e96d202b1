//! How fast calls of one action may start.
//!
//! Calls are spaced evenly, without bursts, so that a refusal stops the next one in time. On throttling the rate is
//! halved and the whole action pauses; each call that goes well brings a little of the rate back. Several processes
//! on one account share its limit that way without talking to each other.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The slowest that throttling can make us: a call in four seconds.
const SLOWEST: f64 = 0.25;
/// Answers to one burst must not halve the rate once each.
const HALVE_AT_MOST_EVERY: Duration = Duration::from_secs(1);

/// The pace of one action.
#[derive(Debug)]
pub(crate) struct Pacer {
    /// Never faster than this, in calls per second.
    ceiling: f64,
    // A std mutex: held for a few instructions, never across an await.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rate: f64,
    next: Option<Instant>,
    paused_until: Option<Instant>,
    halved: Option<Instant>,
}

impl Pacer {
    /// At most `per_second` calls a second.
    pub(crate) fn new(per_second: f64) -> Self {
        let state = State { rate: per_second, next: None, paused_until: None, halved: None };
        Self { ceiling: per_second, state: Mutex::new(state) }
    }

    /// Waits until the next call may start. Cancel safety: dropping it gives one slot up.
    pub(crate) async fn turn(&self) {
        loop {
            let slot = self.with(|state| {
                let now = Instant::now();
                let slot = now.max(state.next.unwrap_or(now)).max(state.paused_until.unwrap_or(now));
                state.next = Some(slot + Duration::from_secs_f64(1.0 / state.rate));
                slot
            });
            sleep_until(slot).await;
            // A pause that came while we slept holds for us as well: queue up again.
            if self.with(|state| state.paused_until.is_none_or(|until| until <= Instant::now())) {
                return;
            }
        }
    }

    /// A call was answered: a second of such calls brings one call per second back.
    pub(crate) fn went_well(&self) {
        self.with(|state| state.rate = (state.rate + 1.0 / state.rate).min(self.ceiling));
    }

    /// The service asked to slow down: half the rate, and nothing at all for `pause`.
    pub(crate) fn throttled(&self, pause: Duration) {
        self.with(|state| {
            let now = Instant::now();
            if state.halved.is_none_or(|at| now >= at + HALVE_AT_MOST_EVERY) {
                state.halved = Some(now);
                state.rate = (state.rate / 2.0).max(SLOWEST.min(self.ceiling));
            }
            // Waiting callers queue up anew after the pause, so the slots they held are free again.
            state.next = None;
            state.paused_until = state.paused_until.max(Some(now + pause));
        });
    }

    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn calls_are_spaced_evenly() {
        let pacer = Pacer::new(5.0);
        let start = Instant::now();
        for _ in 0..11 {
            pacer.turn().await;
        }
        assert_eq!(start.elapsed().as_millis(), 2_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_callers_that_already_wait() {
        let pacer = Pacer::new(5.0);
        let start = Instant::now();
        pacer.turn().await;
        let waiting = async {
            pacer.turn().await;
            start.elapsed()
        };
        let throttle = async { pacer.throttled(Duration::from_secs(3)) };
        let (waited, ()) = tokio::join!(waiting, throttle);
        assert!(waited >= Duration::from_secs(3), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_halves_once_a_burst_and_comes_back() {
        let pacer = Pacer::new(8.0);
        for _ in 0..5 {
            pacer.throttled(Duration::ZERO);
        }
        assert_eq!(pacer.with(|s| s.rate), 4.0);
        for _ in 0..100 {
            pacer.went_well();
        }
        assert_eq!(pacer.with(|s| s.rate), 8.0);
    }
}
