//! What a run shares with others of the same account. Hints: they decide when and how tasks are asked about, never what holds.

use std::time::Duration;

use super::state::Ledger;
use crate::ids::TaskId;
use crate::model::Moment;
use crate::run::polling::{DurationEstimate, Others};
use crate::vod::TaskRow;

impl Ledger {
    /// How many tasks a listing can show of this run, and how many of them are open. Jobs of others may be older than the run.
    pub(crate) fn listable(&self) -> (u64, u64) {
        let (all, ended) = (self.progress.tasks, self.progress.tasks_ended);
        if self.batches.is_empty() { (0, 0) } else { (all, all - ended) }
    }

    /// A task that listings can show.
    pub(crate) fn any_listable(&self) -> Option<&TaskId> {
        self.tasks.first().filter(|_| !self.batches.is_empty()).map(|task| &task.id)
    }

    /// How long tasks of the kind take that is on, as far as it is known.
    pub(crate) fn estimate(&self) -> DurationEstimate {
        self.planner.estimate
    }

    /// How many other runs list their tasks together with this one.
    pub(crate) fn other_runs(&self) -> u32 {
        self.others.runs
    }

    /// Takes in what other runs have told of themselves.
    pub(crate) fn learn_of_others(&mut self, now: Moment, others: Others, estimate: DurationEstimate) {
        self.others = others;
        let (planner, tasks) = self.planner(now);
        planner.others_know(&tasks, estimate);
    }

    /// Whether a task is to be asked about now.
    pub(crate) fn is_task_due(&mut self, now: Moment) -> bool {
        self.planner.is_page_due() || self.planner.next_at().is_some_and(|at| at <= now)
    }

    /// Whether tasks wait for what another run may learn first.
    pub(crate) fn waits_for_others(&mut self, now: Moment) -> bool {
        let (planner, tasks) = self.planner(now);
        planner.waits_for_others(&tasks)
    }

    /// The number of the listing that is on.
    pub(crate) fn round(&self) -> u32 {
        self.planner.round()
    }

    /// For a task that is a sample: a sample of another run tells as much, if it was asked about so recently.
    pub(crate) fn spares_sample(&mut self, now: Moment, task: &TaskId) -> Option<Duration> {
        let task = self.tasks.find(task)?;
        let (planner, tasks) = self.planner(now);
        planner.spares_sample(&tasks, task)
    }

    /// A sample was not asked about, since one of another run was.
    pub(crate) fn sample_spared(&mut self, now: Moment, task: &TaskId) {
        if let Some(task) = self.tasks.find(task) {
            self.tasks[task].in_flight = self.tasks[task].in_flight.saturating_sub(1);
            self.plan_next_poll(now, task);
        }
    }

    /// Whether any of these rows is of a task of this run.
    pub(crate) fn has_any_of(&self, rows: &[TaskRow]) -> bool {
        rows.iter().any(|row| self.tasks.find(&row.task).is_some())
    }
}
