//! How fast calls of one action may start.
//!
//! Calls are spaced evenly, without bursts, so that a refusal stops the next one in time. On throttling the rate is
//! halved and the whole action pauses; calls that go well bring the rate back: quickly at first, slowly from where it
//! hurt. As long as nothing hurts, the rate grows from the documented one to the cap: the documented rates are careful.
//! So several processes on one account share its limit without talking to each other: additive increase, multiplicative
//! decrease, as TCP does it. Those that have a place in common keep one pace there ([`SharedPace`]).

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};

use super::transport::BoxFuture;

/// The slowest that throttling can make us: a call in four seconds.
const SLOWEST: f64 = 0.25;
/// Answers to one burst must not halve the rate once each.
const HALVE_AT_MOST_EVERY: Duration = Duration::from_secs(1);
/// How much a second of calls that go well adds to the rate, in shares of the first rate: as long as nothing was throttled, far
/// below the rate that was throttled last, and near it.
const GROWTH_BEFORE_THROTTLING: f64 = 0.2;
const GROWTH_FAR_BELOW_LIMIT: f64 = 0.1;
const GROWTH_NEAR_LIMIT: f64 = 0.006;
/// From here on a rate is near the limit, in shares of the rate that was throttled last.
const NEAR_LIMIT: f64 = 0.7;
/// A shared slot further ahead than this was taken by a clock that has been set back since, and so was a pause that is longer
/// than any that is asked for.
const FARTHEST_SLOT: Duration = Duration::from_secs(120);
const LONGEST_PAUSE: Duration = Duration::from_secs(900);

/// The rates of an action, in calls per second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The rate to begin with.
    first: f64,
    /// The rate never to pass.
    ceiling: f64,
}

/// A pace as it stands. Times are counted from an origin that whoever keeps it chooses.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Pace {
    /// `None` as long as no call was made.
    rate: Option<f64>,
    /// The rate at which the service last asked to slow down.
    hurt: Option<f64>,
    next: Duration,
    paused_until: Duration,
    halved: Option<Duration>,
}

/// What happens to a pace.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PaceStep {
    /// A call wants to start.
    Turn,
    /// A call that has waited for its turn asks whether it may start.
    Start,
    /// The service asked to slow down: half the rate, and nothing at all for so long.
    Throttled(Duration),
}

impl Pace {
    /// Takes a step at `now`, after so many calls that went well since the one before. Returns how long the caller has to wait.
    pub(crate) fn step(&mut self, limits: Limits, went_well: u32, step: PaceStep, now: Duration) -> Duration {
        let slowest = SLOWEST.min(limits.first);
        let rate = self.rate.filter(|rate| *rate > 0.0).unwrap_or(limits.first);
        let rate = rate.clamp(slowest, limits.ceiling);
        let rate = (0..went_well).fold(rate, |rate, _| self.grown(limits, rate));
        self.rate = Some(rate);
        match step {
            PaceStep::Turn => {
                let slot = now.max(self.next).max(self.paused_until);
                self.next = slot + Duration::from_secs_f64(1.0 / rate);
                slot - now
            }
            PaceStep::Start => self.pause_left(now),
            PaceStep::Throttled(pause) => {
                if self.halved.is_none_or(|at| now >= at + HALVE_AT_MOST_EVERY) {
                    self.halved = Some(now);
                    self.hurt = Some(rate);
                    self.rate = Some((rate / 2.0).max(slowest));
                }
                // Waiting callers queue up anew after the pause, so the slots they held are free again.
                self.next = Duration::ZERO;
                self.paused_until = self.paused_until.max(now + pause);
                pause
            }
        }
    }

    /// How long nothing may start, since the service asked to slow down.
    pub(crate) fn pause_left(&self, now: Duration) -> Duration {
        self.paused_until.saturating_sub(now)
    }

    /// The same without times that nobody can have written by `now`: a clock was set back.
    pub(crate) fn read_at(self, now: Duration) -> Self {
        Self {
            next: if self.next <= now + FARTHEST_SLOT { self.next } else { now },
            paused_until: if self.paused_until <= now + LONGEST_PAUSE { self.paused_until } else { now },
            halved: self.halved.filter(|at| *at <= now),
            ..self
        }
    }

    /// The rate after a call that went well.
    fn grown(&self, Limits { first, ceiling }: Limits, rate: f64) -> f64 {
        let share = match self.hurt {
            None => GROWTH_BEFORE_THROTTLING,
            Some(hurt) if rate < hurt * NEAR_LIMIT => GROWTH_FAR_BELOW_LIMIT,
            Some(_) => GROWTH_NEAR_LIMIT,
        };
        (rate + first * share / rate).min(ceiling)
    }
}

/// A pace that several processes keep together.
pub(crate) trait SharedPace: Send + Sync {
    /// Takes a step of the common pace, after so many calls that went well. Returns how long the caller has to wait; `None`
    /// where the common pace can't be had right now, and each process keeps its own.
    fn step(&self, limits: Limits, went_well: u32, step: PaceStep) -> BoxFuture<'_, Option<Duration>>;
}

/// The pace of one action.
#[derive(Debug)]
pub(crate) struct Pacer {
    limits: Limits,
    origin: Instant,
    // A std mutex: held for a few instructions, never across an await.
    pace: Mutex<Pace>,
    /// Calls that went well and that the common pace does not know of yet.
    went_well: AtomicU32,
}

impl Pacer {
    /// Begins with `first` calls a second, and never makes more than `ceiling`.
    pub(crate) fn new(first: f64, ceiling: f64) -> Self {
        let limits = Limits { first: first.min(ceiling), ceiling };
        Self { limits, origin: Instant::now(), pace: Mutex::default(), went_well: AtomicU32::new(0) }
    }

    /// Waits until the next call may start. Cancel safety: dropping it gives one slot up.
    pub(crate) async fn turn(&self, shared: Option<&dyn SharedPace>) {
        loop {
            let wait = self.step(shared, PaceStep::Turn).await;
            sleep_until(Instant::now() + wait).await;
            // A pause that came while we slept holds for us as well: queue up again.
            if wait.is_zero() || self.step(shared, PaceStep::Start).await.is_zero() {
                return;
            }
        }
    }

    /// A call was answered.
    pub(crate) fn went_well(&self) {
        self.went_well.fetch_add(1, Ordering::Relaxed);
    }

    /// The service asked to slow down: half the rate, and nothing at all for `pause`. What is shared is told in the
    /// background.
    pub(crate) fn throttled(&self, shared: Option<Arc<dyn SharedPace>>, pause: Duration) {
        let (limits, step, went_well) = (self.limits, PaceStep::Throttled(pause), self.take_went_well());
        self.own_step(went_well, step);
        if let Some(shared) = shared {
            tokio::spawn(async move { shared.step(limits, went_well, step).await });
        }
    }

    async fn step(&self, shared: Option<&dyn SharedPace>, step: PaceStep) -> Duration {
        let went_well = self.take_went_well();
        let common = match shared {
            Some(shared) => shared.step(self.limits, went_well, step).await,
            None => None,
        };
        common.unwrap_or_else(|| self.own_step(went_well, step))
    }

    fn own_step(&self, went_well: u32, step: PaceStep) -> Duration {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        pace.step(self.limits, went_well, step, self.origin.elapsed())
    }

    fn take_went_well(&self) -> u32 {
        self.went_well.swap(0, Ordering::Relaxed)
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
            pacer.turn(None).await;
        }
        assert_eq!(start.elapsed().as_millis(), 2_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_callers_that_already_wait() {
        let pacer = Pacer::new(5.0, 5.0);
        let start = Instant::now();
        pacer.turn(None).await;
        let waiting = async {
            pacer.turn(None).await;
            start.elapsed()
        };
        let throttle = async { pacer.throttled(None, Duration::from_secs(3)) };
        let (waited, ()) = tokio::join!(waiting, throttle);
        assert!(waited >= Duration::from_secs(3), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_halves_once_a_burst_and_comes_back() {
        let pacer = Pacer::new(8.0, 8.0);
        for _ in 0..5 {
            pacer.throttled(None, Duration::ZERO);
        }
        let rate = || pacer.pace.lock().unwrap().rate.unwrap();
        assert_eq!(rate(), 4.0);
        let mut calls = 0;
        while rate() < 8.0 {
            pacer.went_well();
            pacer.turn(None).await;
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
            let (pacer, jitter) = (Pacer::new(5.0, 20.0), crate::net::rng::Jitter::of(Some(seed)));
            let (start, mut answered, mut refused) = (Instant::now(), 0, 0);
            while start.elapsed() < Duration::from_secs(300) {
                pacer.turn(None).await;
                if self.take() {
                    pacer.went_well();
                    answered += 1;
                } else {
                    let wait = Duration::from_secs_f64(1.0 + jitter.next());
                    pacer.throttled(None, wait);
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

    #[test]
    fn a_pace_that_was_written_down_is_taken_up_but_for_times_of_a_clock_that_was_set_back() {
        let limits = Limits { first: 5.0, ceiling: 20.0 };
        let (now, mut pace) = (Duration::from_secs(1_000), Pace::default());
        for step in [PaceStep::Turn, PaceStep::Throttled(Duration::from_secs(2)), PaceStep::Turn] {
            pace.step(limits, 0, step, now);
        }
        let text = serde_json::to_string(&pace).unwrap();
        let read: Pace = serde_json::from_str(&text).unwrap();
        assert_eq!(read.clone().read_at(now), pace);
        let mut early = read.read_at(Duration::from_secs(10));
        let wait = early.step(limits, 0, PaceStep::Turn, Duration::from_secs(10));
        assert_eq!((wait, early.rate), (Duration::ZERO, pace.rate), "the rate is as true as before");
    }
}
