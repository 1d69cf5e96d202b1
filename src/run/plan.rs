//! The polling plan: when to look next. Pure: times in, times out.
//!
//! Whether a task that is due is asked for by its id or read off a listing is the ledger's choice (`ledger/listing.rs`).

use std::num::NonZeroU32;
use std::ops::Add;
use std::time::Duration;

use crate::net::rng::fraction;

/// A time within a run, in milliseconds since its start.
///
/// Four bytes, also as an `Option`: a ledger holds several for each task. It ends after 49 days; the service's history
/// ends after three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(NonZeroU32);

impl Moment {
    /// The start of the run.
    pub const START: Self = Self(NonZeroU32::MIN);

    /// So long after the start.
    pub fn after(since_start: Duration) -> Self {
        let millis = u32::try_from(since_start.as_millis()).unwrap_or(u32::MAX);
        Self(NonZeroU32::MIN.saturating_add(millis))
    }

    /// How long after the start.
    pub fn since_start(self) -> Duration {
        self.since(Self::START)
    }

    /// How long after `earlier`; zero if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::from(self.0.get().saturating_sub(earlier.0.get())))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;
    fn add(self, wait: Duration) -> Self {
        Self::after(self.since_start().saturating_add(wait))
    }
}

/// Intervals that grow by half each time, with jitter on top, up to a cap; the last look falls on the deadline.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Polling {
    pub(crate) first: Duration,
    pub(crate) cap: Duration,
    pub(crate) deadline: Moment,
    /// Spreads runs and tasks; the same seed gives the same plan.
    pub(crate) seed: u64,
}

/// Up to so much is added to each wait, so that tasks of one batch do not stay in step.
const JITTER: f64 = 0.2;
const GROWTH: f64 = 1.5;

impl Polling {
    /// When to look again at `who`, after `looks` looks, the last of them now; `None` when the deadline has passed.
    pub(crate) fn next_look(&self, now: Moment, looks: u32, who: u64) -> Option<Moment> {
        if now >= self.deadline {
            return None;
        }
        let grown = self.first.as_secs_f64() * GROWTH.powi(looks.saturating_sub(1).min(64) as i32);
        let wait = grown.min(self.cap.as_secs_f64());
        let jitter = 1.0 + JITTER * fraction(self.seed ^ who.rotate_left(32) ^ u64::from(looks));
        Some((now + Duration::from_secs_f64(wait * jitter)).min(self.deadline))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Polling {
        let deadline = Moment::after(Duration::from_secs(3_600));
        Polling { first: Duration::from_secs(2), cap: Duration::from_secs(15), deadline, seed: 1 }
    }

    #[test]
    fn intervals_grow_to_the_cap_and_carry_jitter() {
        for (looks, least) in [(1, 2.0), (2, 3.0), (3, 4.5), (6, 15.0), (400, 15.0)] {
            let wait = plan().next_look(Moment::START, looks, 7).unwrap().since_start().as_secs_f64();
            assert!((least - 0.001..least * 1.2 + 0.001).contains(&wait), "{looks}: {wait}");
        }
        let others: std::collections::HashSet<_> =
            (0..50).map(|who| plan().next_look(Moment::START, 1, who)).collect();
        assert!(others.len() > 40, "tasks stay in step");
    }

    #[test]
    fn the_last_look_falls_on_the_deadline_and_is_the_last() {
        let late = Moment::after(Duration::from_secs(3_599));
        assert_eq!(plan().next_look(late, 9, 7), Some(plan().deadline));
        assert_eq!(plan().next_look(plan().deadline, 10, 7), None);
    }
}
