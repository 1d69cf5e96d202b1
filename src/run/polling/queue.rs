//! Due work, ordered by time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::model::Moment;
use crate::run::table::{Index, Table};

/// Rows by the time at which they are due; each has one such time at most.
#[derive(Debug)]
pub(crate) struct Queue<Kind> {
    due: Table<Kind, Option<Moment>>,
    /// Entries stay when a plan changes: they are found stale when they come up.
    heap: BinaryHeap<Reverse<(Moment, Index<Kind>)>>,
}

impl<Kind: Copy + Ord> Queue<Kind> {
    pub(crate) fn new() -> Self {
        Self { due: Table::default(), heap: BinaryHeap::new() }
    }

    /// Makes a row due then, and no more at another time.
    pub(crate) fn plan(&mut self, row: Index<Kind>, at: Moment) {
        while self.due.get(row).is_none() {
            self.due.push(None);
        }
        self.due[row] = Some(at);
        self.heap.push(Reverse((at, row)));
    }

    pub(crate) fn cancel(&mut self, row: Index<Kind>) {
        if let Some(due) = self.due.get_mut(row) {
            *due = None;
        }
    }

    /// When a row is due.
    pub(crate) fn due(&self, row: Index<Kind>) -> Option<Moment> {
        self.due.get(row).copied().flatten()
    }

    /// When the first row is due.
    pub(crate) fn next_at(&mut self) -> Option<Moment> {
        loop {
            let &Reverse((at, row)) = self.heap.peek()?;
            if self.due(row) == Some(at) {
                return Some(at);
            }
            self.heap.pop();
        }
    }

    /// Takes the first row if its time has come.
    pub(crate) fn pop(&mut self, now: Moment) -> Option<Index<Kind>> {
        self.next_at().filter(|at| *at <= now)?;
        let Reverse((_, row)) = self.heap.pop()?;
        self.cancel(row);
        Some(row)
    }
}
