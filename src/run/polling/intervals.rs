//! When a task or a job is polled next. Pure: times in, times out.

use std::time::Duration;

use super::estimate::TaskTimes;
use crate::model::Moment;
use crate::net::rng::fraction;

/// Nothing before a task can be done; then intervals that grow by half each time up to a cap, or follow what the run has
/// learned, with jitter on top; the last poll falls on the deadline.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Intervals {
    pub(crate) first: Duration,
    pub(crate) cap: Duration,
    pub(crate) deadline: Moment,
    /// Spreads runs and tasks; the same seed gives the same plan.
    pub(crate) seed: u64,
}

/// A task, or a job, that is polled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Polled {
    /// How long ago it was submitted; `None`: nobody knows.
    pub(crate) age: Option<Duration>,
    /// Answers so far.
    pub(crate) polls: u32,
    /// Its number.
    pub(crate) who: u64,
}

/// Up to so much is added to each wait, so that tasks of one batch do not stay in step.
const JITTER: f64 = 0.2;
const GROWTH: f64 = 1.5;
/// Longest wait for a task that is not expected to end yet, in caps: what was learned may not hold for it.
const LONGEST: u32 = 4;

impl Intervals {
    /// When to poll a task for the first time: at once where its age is unknown, else not before it can be done.
    pub(crate) fn first_poll(&self, now: Moment, task: Polled, times: Option<TaskTimes>) -> Moment {
        let Some(age) = task.age else { return now };
        let early = times.map_or(Duration::ZERO, |times| times.early).min(self.cap * LONGEST);
        let wait = self.first.max(early).saturating_sub(age);
        (now + wait.mul_f64(self.jitter(task))).min(self.deadline.max(now))
    }

    /// When to poll a task again that was just seen running; `None` when the deadline has passed.
    pub(crate) fn next_poll(&self, now: Moment, task: Polled, times: Option<TaskTimes>) -> Option<Moment> {
        if now >= self.deadline {
            return None;
        }
        let grown = self.first.as_secs_f64() * GROWTH.powi(task.polls.saturating_sub(1).min(64) as i32);
        let grown = Duration::from_secs_f64(grown.min(self.cap.as_secs_f64()));
        let wait = match (task.age, times) {
            (Some(age), Some(TaskTimes { early, .. })) if age < early => {
                (early - age).clamp(self.first, self.cap * LONGEST)
            }
            // About to end: growing intervals would miss it by more than tasks differ.
            (Some(age), Some(TaskTimes { late, spread, .. })) if age < late => {
                grown.min(spread.max(self.first))
            }
            _ => grown,
        };
        Some((now + wait.mul_f64(self.jitter(task))).min(self.deadline))
    }

    /// When to poll a sample again, which stands for other tasks: at each poll it is half as old again as at the one before,
    /// with waits up to the cap; `None` when the deadline has passed.
    ///
    /// Several take turns evenly; `place` is 0.0 for the first of them and nearly 1.0 for the last.
    pub(crate) fn next_sample(&self, now: Moment, age: Duration, place: f64) -> Option<Moment> {
        if now >= self.deadline {
            return None;
        }
        let first = self.first.mul_f64(GROWTH.powf(place));
        // Times are cut to milliseconds: what is left of a wait then is none.
        let is_done = age + self.first / 20 >= first;
        let wait = if is_done { age.mul_f64(GROWTH - 1.0).min(self.cap) } else { first - age };
        Some((now + wait).min(self.deadline))
    }

    fn jitter(&self, task: Polled) -> f64 {
        1.0 + JITTER * fraction(self.seed ^ task.who.rotate_left(33) ^ u64::from(task.polls))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Intervals {
        let deadline = Moment::after(Duration::from_secs(3_600));
        Intervals { first: Duration::from_secs(2), cap: Duration::from_secs(15), deadline, seed: 1 }
    }

    fn polled(age: u64, polls: u32) -> Polled {
        Polled { age: Some(Duration::from_secs(age)), polls, who: 7 }
    }

    fn between(early: u64, late: u64, spread: u64) -> Option<TaskTimes> {
        let [early, late, spread] = [early, late, spread].map(Duration::from_secs);
        Some(TaskTimes { early, late, spread })
    }

    /// Checks the wait without its jitter.
    fn assert_waits(at: Option<Moment>, seconds: f64) {
        let wait = at.unwrap().since_start().as_secs_f64();
        assert!((seconds - 0.001..=seconds * 1.2 + 0.001).contains(&wait), "{wait} is not {seconds}");
    }

    #[test]
    fn intervals_grow_to_the_cap_and_carry_jitter() {
        for (polls, least) in [(1, 2.0), (2, 3.0), (3, 4.5), (6, 15.0), (400, 15.0)] {
            assert_waits(plan().next_poll(Moment::START, polled(9, polls), None), least);
        }
        let others: std::collections::HashSet<_> = (0..50)
            .map(|who| plan().next_poll(Moment::START, Polled { who, ..polled(0, 1) }, None))
            .collect();
        assert!(others.len() > 40, "tasks stay in step");
    }

    #[test]
    fn nothing_is_asked_before_a_task_can_be_done() {
        let first = |task, expected| Some(plan().first_poll(Moment::START, task, expected));
        assert_waits(first(polled(0, 0), None), 2.0);
        assert_waits(first(polled(9, 0), None), 0.0);
        assert_waits(first(polled(1, 0), between(30, 40, 2)), 29.0);
        assert_waits(first(polled(0, 0), between(900, 950, 2)), 60.0);
        assert_waits(first(Polled { age: None, ..polled(0, 0) }, between(30, 40, 2)), 0.0);
    }

    #[test]
    fn intervals_follow_what_was_learned() {
        let next = |age, polls, expected| plan().next_poll(Moment::START, polled(age, polls), expected);
        let expected = between(300, 320, 5);
        assert_waits(next(260, 9, expected), 40.0);
        assert_waits(next(100, 9, expected), 60.0);
        assert_waits(next(299, 9, expected), 2.0);
        assert_waits(next(305, 9, expected), 5.0);
        assert_waits(next(321, 9, expected), 15.0);
        assert_waits(next(305, 1, expected), 2.0);
    }

    #[test]
    fn samples_are_polled_in_turn() {
        let mut polls: Vec<u128> = Vec::new();
        for place in [0.0, 0.2, 0.4, 0.6, 0.8] {
            let mut now = Moment::START;
            while now < Moment::after(Duration::from_secs(60)) {
                now = plan().next_sample(now, now.since_start(), place).unwrap();
                polls.push(now.since_start().as_millis());
            }
        }
        polls.sort();
        for pair in polls.windows(2).take_while(|pair| pair[1] < 60_000) {
            assert!(pair[1] - pair[0] <= (pair[0] / 8).min(5_000), "from {} to {} ms", pair[0], pair[1]);
        }
    }

    #[test]
    fn the_last_look_falls_on_the_deadline_and_is_the_last() {
        let late = Moment::after(Duration::from_secs(3_599));
        for expected in [None, between(9_000, 9_001, 1)] {
            assert_eq!(plan().next_poll(late, polled(9, 9), expected), Some(plan().deadline));
            assert_eq!(plan().first_poll(late, polled(0, 0), expected), plan().deadline);
        }
        assert_eq!(plan().next_poll(plan().deadline, polled(9, 10), None), None);
        assert_eq!(plan().first_poll(plan().deadline, polled(0, 0), None), plan().deadline);
    }
}
