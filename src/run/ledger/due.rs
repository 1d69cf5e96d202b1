//! Due work, ordered by time. Entries are not removed when a plan changes: they are found stale when they come up.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{Ledger, Moment, Work};

/// Row numbers by the time they are due.
#[derive(Debug, Default)]
pub(super) struct Queue(BinaryHeap<Reverse<(Moment, u32)>>);

impl Queue {
    pub(super) fn push(&mut self, at: Moment, row: u32) {
        self.0.push(Reverse((at, row)));
    }

    /// The first time that is still planned for.
    pub(super) fn peek(&mut self, is_live: impl Fn(u32, Moment) -> bool) -> Option<Moment> {
        loop {
            let &Reverse((at, row)) = self.0.peek()?;
            if is_live(row, at) {
                return Some(at);
            }
            self.0.pop();
        }
    }

    /// Takes the first row if its time has come.
    fn pop(&mut self, now: Moment, is_live: impl Fn(u32, Moment) -> bool) -> Option<u32> {
        self.peek(is_live).filter(|at| *at <= now)?;
        self.0.pop().map(|Reverse((_, row))| row)
    }
}

impl Ledger {
    pub(super) fn due_batch(&mut self, now: Moment) -> Option<Work> {
        let batches = &self.batches;
        let batch = self.submit_queue.pop(now, |n, at| batches[n as usize].due == Some(at))?;
        Some(self.take_batch(batch))
    }

    pub(super) fn due_job(&mut self, now: Moment) -> Option<Work> {
        let jobs = &self.jobs;
        let job = self.lookup_queue.pop(now, |n, at| jobs[n as usize].due == Some(at))?;
        Some(self.take_job(now, job))
    }

    pub(super) fn due_task(&mut self, now: Moment) -> Option<Work> {
        if let Some(page) = self.due_page(now) {
            return Some(page);
        }
        loop {
            let tasks = &self.tasks;
            let task = self.look_queue.pop(now, |n, at| tasks[n as usize].due == Some(at))?;
            self.tasks[task as usize].due = None;
            if let Some(work) = self.look_or_list(now, task) {
                return Some(work);
            }
        }
    }

    pub(super) fn plan_batch(&mut self, batch: u32, at: Moment) {
        self.batches[batch as usize].due = Some(at);
        self.submit_queue.push(at, batch);
    }

    pub(super) fn plan_lookup(&mut self, job: u32, at: Moment) {
        self.jobs[job as usize].due = Some(at);
        self.lookup_queue.push(at, job);
    }

    pub(super) fn plan_look(&mut self, task: u32, at: Moment) {
        self.tasks[task as usize].due = Some(at);
        self.look_queue.push(at, task);
    }
}
