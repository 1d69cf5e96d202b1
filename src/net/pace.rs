//! How fast calls of one action may start.
//!
//! Calls are spaced evenly, without bursts, so that a refusal stops the next one in time. On throttling the rate is
//! halved and the whole action pauses; calls that go well bring the rate back: quickly at first, slowly from where it
//! hurt. As long as nothing hurts, the rate grows from the documented one to the cap: the documented rates are careful.
//! So several processes on one account share its limit without talking to each other: additive increase, multiplicative
//! decrease, as TCP does it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The slowest that throttling can make us: a call in four seconds.
const SLOWEST: f64 = 0.25;
/// Answers to one burst must not halve the rate once each.
const HALVE_AT_MOST_EVERY: Duration = Duration::from_secs(1);
/// What a second of calls that go well brings, in shares of the first rate: before anything hurt, far below the rate that
/// hurt, and near it.
const UNHURT: f64 = 0.2;
const QUICK: f64 = 0.1;
const SLOW: f64 = 0.006;
/// Near begins here, in shares of the rate that hurt.
const NEAR: f64 = 0.7;

/// The pace of one action.
#[derive(Debug)]
pub(crate) struct Pacer {
    /// The rate to begin with, and the one never to pass, in calls per second.
    first: f64,
    ceiling: f64,
    // A std mutex: held for a few instructions, never across an await.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rate: f64,
    /// The rate at which the service last asked to slow down.
    hurt: Option<f64>,
    next: Option<Instant>,
    paused_until: Option<Instant>,
    halved: Option<Instant>,
}

impl Pacer {
    /// Begins with `first` calls a second, and never makes more than `ceiling`.
    pub(crate) fn new(first: f64, ceiling: f64) -> Self {
        let first = first.min(ceiling);
        let state = State { rate: first, hurt: None, next: None, paused_until: None, halved: None };
        Self { first, ceiling, state: Mutex::new(state) }
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

    /// A call was answered.
    pub(crate) fn went_well(&self) {
        self.with(|state| {
            let share = match state.hurt {
                None => UNHURT,
                Some(hurt) if state.rate < hurt * NEAR => QUICK,
                Some(_) => SLOW,
            };
            state.rate = (state.rate + self.first * share / state.rate).min(self.ceiling);
        });
    }

    /// The service asked to slow down: half the rate, and nothing at all for `pause`.
    pub(crate) fn throttled(&self, pause: Duration) {
        self.with(|state| {
            let now = Instant::now();
            if state.halved.is_none_or(|at| now >= at + HALVE_AT_MOST_EVERY) {
                state.halved = Some(now);
                state.hurt = Some(state.rate);
                state.rate = (state.rate / 2.0).max(SLOWEST.min(self.first));
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
        let pacer = Pacer::new(5.0, 5.0);
        let start = Instant::now();
        for _ in 0..11 {
            pacer.turn().await;
        }
        assert_eq!(start.elapsed().as_millis(), 2_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_callers_that_already_wait() {
        let pacer = Pacer::new(5.0, 5.0);
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
        let pacer = Pacer::new(8.0, 8.0);
        for _ in 0..5 {
            pacer.throttled(Duration::ZERO);
        }
        assert_eq!(pacer.with(|s| s.rate), 4.0);
        let mut calls = 0;
        while pacer.with(|s| s.rate) < 8.0 {
            pacer.went_well();
            calls += 1;
        }
        assert!((100..500).contains(&calls), "{calls}: some seconds, then slowly");
    }

    /// An account that allows so many calls a second, whoever makes them.
    struct Account {
        rate: f64,
        tokens: Mutex<(f64, Instant)>,
    }

    impl Account {
        fn take(&self) -> bool {
            let mut bucket = self.tokens.lock().unwrap();
            let now = Instant::now();
            bucket.0 = (bucket.0 + (now - bucket.1).as_secs_f64() * self.rate).min(self.rate);
            bucket.1 = now;
            let enough = bucket.0 >= 1.0;
            bucket.0 -= f64::from(u8::from(enough));
            enough
        }

        /// Calls for five minutes; gives back how many were answered and how many refused.
        async fn is_called(&self, seed: u64) -> (u32, u32) {
            let (pacer, jitter) = (Pacer::new(5.0, 20.0), crate::net::rng::Jitter::seeded(seed));
            let (start, mut answered, mut refused) = (Instant::now(), 0, 0);
            while start.elapsed() < Duration::from_secs(300) {
                pacer.turn().await;
                if self.take() {
                    pacer.went_well();
                    answered += 1;
                } else {
                    let wait = Duration::from_secs_f64(1.0 + jitter.next());
                    pacer.throttled(wait);
                    refused += 1;
                }
            }
            (answered, refused)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn processes_share_the_rate_of_an_account_without_talking_to_each_other() {
        let account = Account { rate: 5.0, tokens: Mutex::new((5.0, Instant::now())) };
        let (a, b, c) = tokio::join!(account.is_called(1), account.is_called(2), account.is_called(3));
        let (answered, refused) = (a.0 + b.0 + c.0, a.1 + b.1 + c.1);
        let fewest = a.0.min(b.0).min(c.0);
        assert!(answered > 300 * 5 * 85 / 100, "{answered} of 1500 were made use of");
        assert!(refused * 16 < answered, "{refused} of {answered} were refused");
        assert!(fewest * 5 > answered, "{fewest} of {answered} for one of three");
    }
}
