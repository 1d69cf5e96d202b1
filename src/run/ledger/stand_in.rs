//! Before any task of a run has ended, a few are looked at and stand for the others: listing thousands of tasks that can't
//! be done yet tells nothing.

use std::time::Duration;

use super::state::Ledger;
use crate::model::Moment;

/// Every so many tasks, one is looked at while nothing has ended; and so many at most.
const STAND_IN_EVERY: u32 = 16;
const STAND_INS: u32 = 5;
/// How long the others wait for their ends, in caps of the interval; doubled each time.
const PATIENCE: u32 = 4;

impl Ledger {
    /// Whether no task has ended yet, of a run that would know.
    fn awaits_first_end(&self) -> bool {
        self.is_fresh && !self.listing.learned.anything()
    }

    /// Whether a task is looked at for others as well, as long as none has ended.
    pub(super) fn stands_in(&self, task: u32) -> bool {
        self.awaits_first_end() && task.is_multiple_of(STAND_IN_EVERY) && task / STAND_IN_EVERY < STAND_INS
    }

    /// When to look at a task that stands in for others; `None` for any other task.
    pub(super) fn next_stand_in(&self, now: Moment, task: u32) -> Option<Moment> {
        let age = self.age(now, task).filter(|_| self.stands_in(task) && self.listing_pays())?;
        let place = f64::from(task / STAND_IN_EVERY) / f64::from(STAND_INS);
        self.polling.next_stand_in(now, age, place)
    }

    /// Lets a task wait for those that stand in for it, unless something has ended or they take too long.
    pub(super) fn waits_for_stand_ins(&mut self, now: Moment, task: u32) -> bool {
        if !self.awaits_first_end() {
            return false;
        }
        let first = self.polling.cap * PATIENCE;
        let (until, waited) = *self.listing.patience.get_or_insert((now + first, first));
        let until = until.min(self.polling.deadline);
        if until <= now {
            self.listing.patience = Some((now + waited * 2, waited * 2));
            self.release(now);
            return false;
        }
        if self.listing.waiting.is_empty() {
            self.plan_look(task, until);
        }
        self.listing.waiting.push(task);
        true
    }

    /// Those that waited may be looked at.
    fn release(&mut self, now: Moment) {
        for task in std::mem::take(&mut self.listing.waiting) {
            let entry = &self.tasks[task as usize];
            if entry.ended_at.is_none() && !entry.owners.is_empty() {
                self.plan_look(task, now);
            }
        }
    }

    /// A task has ended, so long after it was submitted.
    pub(super) fn learn(&mut self, now: Moment, took: Duration) {
        self.listing.learned.learn(took);
        self.release(now);
    }
}
