//! What the journal needs of a ledger: which facts are worth writing, and how a run goes on after a break.

use super::rows::{BatchState, TaskEntry};
use super::settings::SETTLE;
use super::state::Ledger;
use super::verdict::STEADY;
use crate::model::{Fact, Fault, Moment};
use crate::run::table::BatchIndex;
use crate::vod::{JobRow, SubmissionStatus};

impl Ledger {
    /// Whether a fact would change what is known. A poll that shows what the last one
    /// showed is not written down, unless it brings the end nearer.
    pub(crate) fn is_news(&self, fact: &Fact) -> bool {
        match fact {
            Fact::Submitting { batch }
            | Fact::Withdrawn { batch }
            | Fact::Submitted { batch, .. }
            | Fact::UrlsSubmitted { batch, .. }
            | Fact::NotSubmitted { batch, .. } => {
                let entry = self.batches.get(BatchIndex::new(*batch));
                entry.is_some_and(|entry| entry.state != BatchState::Done)
            }
            Fact::Event(event) => self.is_event_news(event),
            Fact::JobQueried { job, rows } => self.jobs_by_id.get(job).is_some_and(|job| {
                let tells_more = |row: &JobRow| {
                    let Some(&media) = self.media_by_id.get(&(*job, row.media.clone())) else { return false };
                    let is_well = row.status == SubmissionStatus::Success && row.unread.is_none();
                    let event_seen = self.media[media].event_seen.as_deref();
                    let rests_on_event = event_seen.is_some_and(|seen| seen.trusted_over.is_some());
                    !is_well || rests_on_event || !self.is_just_what_is_named(media, row)
                };
                let is_decided = !self.jobs[*job].is_open() && !self.is_unconfirmed(*job);
                !rows.is_empty() && (!is_decided || rows.iter().any(tells_more))
            }),
            Fact::TaskSeen { task, rows, .. } => self.tasks.find(task).is_some_and(|task| {
                let entry = &self.tasks[task];
                let is_stale = entry.owners.iter().any(|owner| self.media[*owner].named.is_stale(task));
                // Ended rows that stay as they are may decide in the end.
                let counts = entry.ended_at.is_none()
                    && entry.steady < STEADY
                    && rows.iter().all(|row| row.status.is_final());
                !rows.is_empty() && (is_stale || counts || !entry.is_same(rows))
            }),
            // Where a listing stands is not worth knowing after a break, nor which filter the service did not take.
            Fact::UrlsNotFound { .. }
            | Fact::Listed { .. }
            | Fact::TaskUnclear { .. }
            | Fact::JobUnclear { .. } => false,
            Fact::ListingRefused => self.planner.would_give_up(),
            Fact::OutcomeUnknown { .. }
            | Fact::PreloadBegun { .. }
            | Fact::Halted { .. }
            | Fact::LookupsRefused { .. }
            | Fact::LookupsRetried
            | Fact::JobRefused { .. }
            | Fact::LookupFailed { .. }
            | Fact::GraceOver { .. }
            | Fact::Unshown { .. }
            | Fact::NotShown { .. }
            | Fact::JobClosed { .. }
            | Fact::TaskRefused { .. }
            | Fact::EdgeWanted
            | Fact::EdgeChecked { .. }
            | Fact::EdgeDone { .. } => true,
        }
    }

    /// Whether another access key than the first carries the run on: what it does not find proves nothing.
    pub(crate) fn may_be_foreign(&self) -> bool {
        self.settings.may_be_foreign
    }

    /// Whether a task is open about which nothing was answered since the run was opened. It walks over all tasks: ask when idle.
    pub(crate) fn has_unasked(&self) -> bool {
        let unasked =
            |task: &TaskEntry| task.ended_at.is_none() && task.polls == 0 && !task.owners.is_empty();
        self.tasks.iter().any(unasked)
    }

    /// What a break changes: written down before the run goes on, so that what is learned from then on means the same to whoever
    /// reads the journal.
    pub(crate) fn facts_of_a_break(&self) -> Vec<Fact> {
        self.cut_off().into_iter().chain(self.lookups_refused.then_some(Fact::LookupsRetried)).collect()
    }

    /// What the end of a run makes of batches that were handed out and not answered.
    pub(crate) fn cut_off(&self) -> Vec<Fact> {
        let unknown = |batch| Fact::OutcomeUnknown { batch, fault: Fault::run_ended() };
        self.sending().into_iter().map(unknown).collect()
    }

    /// Carries a run on after a break, at `now` and until `deadline`.
    ///
    /// What was in flight is lost: a submission without an answer has an unknown outcome, everything else is asked
    /// again at once. Graces begin anew, since nobody asked meanwhile. What another account than the first does not find
    /// (`may_be_foreign`) proves nothing.
    pub(crate) fn reopen(&mut self, now: Moment, deadline: Moment, may_be_foreign: bool) {
        self.settings.may_be_foreign = may_be_foreign;
        self.settings.settle = SETTLE;
        self.settings.deadline = deadline;
        self.planner.intervals.deadline = deadline;
        self.is_fresh = false;
        self.lookups_refused = false;
        self.follow_ups.clear();
        self.end_all_closing();
        self.unclear.clear();
        for batch in self.batches.indices() {
            match self.batches[batch].state {
                BatchState::Sending => self.outcome_unknown(now, batch.number(), &Fault::run_ended()),
                BatchState::Planned => self.submit_queue.plan(batch, now),
                BatchState::Unknown | BatchState::Done => {}
            }
        }
        for job in self.jobs.indices() {
            let entry = &mut self.jobs[job];
            (entry.known_since, entry.first_lookup, entry.is_queried) = (now, None, false);
            entry.changed_at = now;
            if !self.can_query_jobs() {
                self.wait_for_events(now, job);
            } else if self.jobs[job].is_open() || self.is_unconfirmed(job) {
                self.lookup_queue.plan(job, now);
            }
        }
        for task in self.tasks.indices() {
            let entry = &mut self.tasks[task];
            (entry.first_poll, entry.polls) = (None, 0);
            if entry.ended_at.is_none() && !entry.owners.is_empty() {
                self.planner.plan(task, now);
            }
        }
        if !may_be_foreign {
            self.look_again_at_shared_tasks(now);
        }
    }
}
