//! What the planner must know of the tasks. The ledger tells it.

use std::time::Duration;

use super::intervals::Polled;
use crate::model::Moment;
use crate::vod::TaskRow;

/// A task that is younger may not be listed yet: windows end with the second, and creation is asynchronous.
const LISTED_AFTER: Duration = Duration::from_secs(3);

/// What the planner must know of the tasks. They are numbered from 0.
pub(crate) trait Tasks {
    fn counts(&self) -> Counts;
    fn task(&self, number: u32) -> TaskView;
    /// The task of which the row of a listing may tell all.
    fn of_row(&self, row: &TaskRow) -> Option<u32>;
}

/// What is known of all tasks together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) known: u64,
    pub(crate) open: u64,
    /// Whether no more can become known.
    pub(crate) are_all_known: bool,
    /// Whether the run has not been away: a task is as old as the answer to its submission.
    pub(crate) is_fresh: bool,
}

/// What is known of one task.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TaskView {
    pub(crate) is_open: bool,
    /// Whether the single row of a listing can tell all about it.
    pub(crate) is_listable: bool,
    pub(crate) known_since: Moment,
    /// How long ago it was submitted; `None` where the run did not do it, or was away since.
    pub(crate) age: Option<Duration>,
    /// Answers about it so far.
    pub(crate) polls: u32,
}

impl TaskView {
    /// Whether a listing that began then should show it.
    pub(super) fn is_listed_since(&self, began: Moment) -> bool {
        self.known_since + LISTED_AFTER <= began
    }
}

/// A task as the intervals see it.
pub(super) fn polled(tasks: &dyn Tasks, task: u32) -> Polled {
    let TaskView { age, polls, .. } = tasks.task(task);
    Polled { age, polls, who: u64::from(task) << 1 }
}
