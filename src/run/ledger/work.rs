//! The work that a ledger hands out.

use crate::ids::{JobId, TaskId};
use crate::model::Fact;
use crate::vod::TaskFilter;

/// Something to be done. Taken once; the fact that comes of it puts the next step on the list.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Work {
    /// Send this batch.
    Submit {
        /// Which, from 0.
        batch: u32,
    },
    /// Ask `GetMediaRefreshJobs`.
    LookUp {
        /// The job.
        job: JobId,
    },
    /// Ask `DescribeVodRefreshTasks`.
    Look {
        /// The task.
        task: TaskId,
    },
    /// List the tasks of the run's time window.
    List {
        /// Which page, from 1.
        page: u32,
        /// What narrows them down, if anything does.
        filter: Option<TaskFilter>,
    },
    /// Time alone made this a fact: apply it.
    Note(Fact),
}

/// How much work of each kind may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Submissions.
    pub submit: usize,
    /// Lookups of jobs.
    pub look_up: usize,
    /// Looks at tasks.
    pub look: usize,
}
