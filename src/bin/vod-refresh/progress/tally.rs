//! What the run's own counts do not tell: batches, and how media became known.

use std::time::Duration;

use vod_refresh::event::Source;
use vod_refresh::run::Notice;
use vod_refresh::vod::{TaskStatus, TaskType};

/// Counted from notices.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Purge or prefetch; `None` when waiting for jobs of others.
    pub(super) task_type: Option<TaskType>,
    pub(super) batches: u64,
    /// Jobs of others that are waited for.
    pub(super) jobs: u64,
    /// Batches that the service has answered, and those of them that it refused.
    pub(super) answered: u64,
    pub(super) refused: u64,
    /// When the last one was answered, since the start of the run.
    pub(super) last_answer: Duration,
    /// Media that an event told of, and those that a lookup did.
    pub(super) by_event: u64,
    pub(super) by_lookup: u64,
    pub(super) tasks_failed: u64,
}

impl Tally {
    /// `notice` came `at` this time of the run.
    pub(super) fn hear(&mut self, notice: &Notice, at: Duration) {
        match notice {
            Notice::Started { task_type, batches, jobs, .. } => {
                (self.task_type, self.batches, self.jobs) = (*task_type, *batches, *jobs);
            }
            Notice::Submitted { .. } | Notice::OutcomeLearned { .. } => self.answer(at),
            Notice::NotSubmitted { .. } => {
                self.answer(at);
                self.refused += 1;
            }
            Notice::Accepted { confirmed_by: Source::Lookup, .. } => self.by_lookup += 1,
            Notice::Accepted { .. } => self.by_event += 1,
            Notice::TaskEnded { status: TaskStatus::Failed, .. } => self.tasks_failed += 1,
            _ => {}
        }
    }

    fn answer(&mut self, at: Duration) {
        self.answered += 1;
        self.last_answer = at;
    }
}
