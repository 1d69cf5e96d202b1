//! An estimate of how long the tasks of a run take. Pure.
//!
//! A running mean and a running deviation, as TCP keeps of its round trips: two numbers, and a change of pace is
//! noticed after a few tasks. Purges and prefetches never mix: a run that does both begins anew between them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An estimate needs three tasks that ended, since one may be an outlier.
const MIN_ENDS: u32 = 3;
/// The weight of what was known before is bounded by so many ends.
const MEMORY: u32 = 50;
/// No task takes longer than the service remembers it.
const LONGEST: Duration = Duration::from_secs(3 * 86_400);

/// How long tasks of this run take, from the answer to their submission to our seeing their end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct DurationEstimate {
    ended: u32,
    mean: f64,
    deviation: f64,
}

/// When a task is likely to end, counted from its submission.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct TaskTimes {
    /// Hardly any task ends before.
    pub(crate) early: Duration,
    /// Most have ended by then.
    pub(crate) late: Duration,
    /// How far ends lie apart: polling more often than this tells little.
    pub(crate) spread: Duration,
}

impl DurationEstimate {
    /// Another task took so long.
    pub(crate) fn learn(&mut self, took: Duration) {
        let took = took.as_secs_f64();
        if self.ended == 0 {
            (self.mean, self.deviation) = (took, took / 2.0);
        }
        self.ended = self.ended.saturating_add(1);
        let weight = f64::from(self.ended.min(MEMORY));
        self.deviation += ((took - self.mean).abs() - self.deviation) / weight;
        self.mean += (took - self.mean) / weight;
    }

    /// How many tasks it rests on; 0 where the numbers can't be of tasks.
    pub(crate) fn weight(&self) -> u32 {
        let most = LONGEST.as_secs_f64();
        let is_sound = [self.mean, self.deviation].iter().all(|seconds| (0.0..=most).contains(seconds));
        if is_sound { self.ended } else { 0 }
    }

    /// Whether any task has ended.
    pub(crate) fn knows_any(&self) -> bool {
        self.ended > 0
    }

    /// When tasks end; `None` until enough of them did.
    pub(crate) fn times(&self) -> Option<TaskTimes> {
        let seconds = |s: f64| Duration::from_secs_f64(s.max(0.0));
        (self.ended >= MIN_ENDS).then(|| TaskTimes {
            early: seconds(self.mean - 2.0 * self.deviation),
            late: seconds(self.mean + 2.0 * self.deviation),
            spread: seconds(self.deviation),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(seconds: &[u64]) -> Option<TaskTimes> {
        let mut estimate = DurationEstimate::default();
        for s in seconds {
            estimate.learn(Duration::from_secs(*s));
        }
        estimate.times()
    }

    #[test]
    fn one_or_two_ends_are_no_rule() {
        assert_eq!(of(&[20]), None);
        assert_eq!(of(&[20, 21]), None);
    }

    #[test]
    fn tasks_of_one_length_are_expected_at_their_end() {
        let TaskTimes { early, late, spread } = of(&[20; 30]).unwrap();
        assert!(early > Duration::from_secs(18) && late < Duration::from_secs(22), "{early:?} to {late:?}");
        assert!(spread < Duration::from_secs(1), "{spread:?}");
    }

    #[test]
    fn tasks_of_many_lengths_are_expected_at_any_time() {
        let seconds: Vec<u64> = (0..60).map(|n| 60 + n * 37 % 240).collect();
        let TaskTimes { early, late, .. } = of(&seconds).unwrap();
        assert!(early < Duration::from_secs(80) && late > Duration::from_secs(280), "{early:?} to {late:?}");
    }

    #[test]
    fn a_change_of_pace_is_noticed() {
        let seconds = [[20; 60], [300; 60]].concat();
        assert!(of(&seconds).unwrap().late > Duration::from_secs(300));
    }
}
