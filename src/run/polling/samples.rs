//! Before any task of a run has ended, a few *samples* are polled and the others wait: listing thousands of tasks that can't
//! be done yet tells nothing.

use std::time::Duration;

use super::intervals::Intervals;
use crate::model::Moment;
use crate::run::table::TaskIndex;

/// Every 16th task is a sample; a run has five at most.
const SAMPLE_EVERY: u32 = 16;
const SAMPLES: u32 = 5;
/// How long the others wait for the end of a sample, in caps of the interval; doubled each time.
const PATIENCE: u32 = 4;
const LONGEST_PATIENCE: Duration = Duration::from_secs(120);

/// Whether a task is a sample.
pub(super) fn is_sample(task: u32) -> bool {
    task.is_multiple_of(SAMPLE_EVERY) && task / SAMPLE_EVERY < SAMPLES
}

/// Its turn among the samples, from 0.0 to nearly 1.0.
pub(super) fn place_of_sample(task: u32) -> f64 {
    f64::from(task / SAMPLE_EVERY) / f64::from(SAMPLES)
}

/// A little less than the time between the polls of two samples, which are so old: each is polled when it is half as old again.
pub(super) fn time_between_samples(age: Duration) -> Duration {
    age.mul_f64(0.9 * (1.5_f64.powf(1.0 / f64::from(SAMPLES)) - 1.0))
}

/// Tasks that wait for a sample to end. One of them is due when the wait is over.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    tasks: Vec<TaskIndex>,
    /// Until when they wait, and how long that is.
    patience: Option<(Moment, Duration)>,
}

impl Waiting {
    /// Until when tasks wait; `None` if that time is over, and the next wait begins.
    pub(super) fn wait_until(&mut self, now: Moment, intervals: &Intervals) -> Option<Moment> {
        let first = intervals.cap.saturating_mul(PATIENCE).min(LONGEST_PATIENCE);
        let (until, waited) = *self.patience.get_or_insert((now + first, first));
        if until <= now {
            let patience = waited.saturating_mul(2);
            self.patience = Some((now + patience, patience));
        }
        // From the deadline on nothing waits.
        Some(until.min(intervals.deadline)).filter(|until| *until > now)
    }

    pub(super) fn add(&mut self, task: TaskIndex) {
        self.tasks.push(task);
    }

    /// When the wait is over of those that wait.
    pub(super) fn ends_at(&self, deadline: Moment) -> Option<Moment> {
        self.patience.map(|(until, _)| until.min(deadline)).filter(|_| !self.tasks.is_empty())
    }

    /// Takes one of them, if the wait is over.
    pub(super) fn take_due(&mut self, now: Moment, deadline: Moment) -> Option<TaskIndex> {
        let is_over = self.ends_at(deadline).is_some_and(|end| end <= now);
        if is_over { self.tasks.pop() } else { None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    pub(super) fn take(&mut self) -> Vec<TaskIndex> {
        std::mem::take(&mut self.tasks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_end_at_the_deadline_however_often_they_are_asked_for() {
        let at = |s| Moment::after(Duration::from_secs(s));
        let cap = Duration::from_secs(15);
        let intervals = Intervals { first: cap, cap, deadline: at(600), seed: 0 };
        let mut waiting = Waiting::default();
        assert_eq!(waiting.wait_until(at(0), &intervals), Some(at(60)));
        assert_eq!(waiting.wait_until(at(60), &intervals), None);
        assert_eq!(waiting.wait_until(at(60), &intervals), Some(at(180)));
        for _ in 0..100_000 {
            assert_eq!(waiting.wait_until(at(600), &intervals), None);
        }
        assert_eq!(waiting.patience.map(|(_, patience)| patience), Some(Duration::from_secs(240)));
    }
}
