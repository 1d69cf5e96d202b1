//! What the planner must know of the tasks. The ledger tells it.

use std::time::Duration;

use super::intervals::Polled;
use crate::model::Moment;
use crate::run::table::TaskIndex;
use crate::vod::TaskRow;

/// A task that is younger may not be listed yet: windows end with the second, and creation is asynchronous.
const LISTED_AFTER: Duration = Duration::from_secs(3);

/// What the planner must know of the tasks.
pub(crate) trait Tasks {
    fn now(&self) -> Moment;
    fn counts(&self) -> Counts;
    fn task(&self, task: TaskIndex) -> TaskView;
    /// The task of which the row of a listing may tell all.
    fn of_row(&self, row: &TaskRow) -> Option<TaskIndex>;
}

/// A page that another run of the same account read so long ago is as good as one read now.
pub(crate) const SHARED_FOR: Duration = Duration::from_secs(5);

/// Other runs of the same account whose tasks stand in the same listings. A hint: it decides what is cheapest, and nothing else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Others {
    pub(crate) runs: u32,
    pub(crate) known: u64,
    pub(crate) open: u64,
}

/// What is known of all tasks together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) known: u64,
    pub(crate) open: u64,
    pub(crate) others: Others,
    /// Whether no more can become known.
    pub(crate) are_all_known: bool,
    /// Whether the run has not been away: a task is as old as the answer to its submission.
    pub(crate) is_fresh: bool,
}

impl Counts {
    /// Tasks that stand in the same listings as those of this run, its own included.
    pub(super) fn all_known(self) -> u64 {
        self.known.saturating_add(self.others.known)
    }

    /// Those of them that are open.
    pub(super) fn all_open(self) -> u64 {
        self.open.saturating_add(self.others.open)
    }
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
pub(super) fn polled(tasks: &dyn Tasks, task: TaskIndex) -> Polled {
    let TaskView { age, polls, .. } = tasks.task(task);
    Polled { age, polls, who: u64::from(task.number()) << 1 }
}
