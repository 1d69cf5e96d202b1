//! Due work, ordered by time. Entries are not removed when a plan changes: they are found stale when they come up.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::model::Moment;

/// Row numbers by the time they are due.
#[derive(Debug, Default)]
pub(crate) struct Queue(BinaryHeap<Reverse<(Moment, u32)>>);

impl Queue {
    pub(crate) fn push(&mut self, at: Moment, row: u32) {
        self.0.push(Reverse((at, row)));
    }

    /// The first time that is still planned for.
    pub(crate) fn peek(&mut self, is_live: impl Fn(u32, Moment) -> bool) -> Option<Moment> {
        loop {
            let &Reverse((at, row)) = self.0.peek()?;
            if is_live(row, at) {
                return Some(at);
            }
            self.0.pop();
        }
    }

    /// Takes the first row if its time has come.
    pub(crate) fn pop(&mut self, now: Moment, is_live: impl Fn(u32, Moment) -> bool) -> Option<u32> {
        self.peek(is_live).filter(|at| *at <= now)?;
        self.0.pop().map(|Reverse((_, row))| row)
    }
}
