//! The work that a ledger hands out.

use crate::ids::{JobId, TaskId};
use crate::model::{Fact, Moment};
use crate::vod::TaskFilter;

/// Something to be done. Taken once; the fact that comes of it puts the next step on the list.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Work {
    /// Send this batch.
    Submit { batch: u32 },
    /// Look for the tasks of a batch of URLs whose answer got lost. It was sent then.
    FindUrls { batch: u32, sent_at: Moment },
    /// Ask `GetMediaRefreshJobs` about this job.
    QueryJob { job: JobId },
    /// Ask `DescribeVodRefreshTasks` about this task.
    PollTask { task: TaskId },
    /// List a page, from 1, of the tasks of the run's time window that the filter leaves.
    ListTasks { page: u32, filter: Option<TaskFilter> },
    /// Time alone made this a fact: apply it.
    Apply(Fact),
}

/// How many calls of each kind may be begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots {
    pub submit: usize,
    pub query_job: usize,
    /// Pages of a listing are counted here as well.
    pub poll_task: usize,
}
