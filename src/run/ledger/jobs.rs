//! Jobs: when they are queried, what a lookup brings, and how long the run waits for what no lookup shows.

use std::collections::HashMap;
use std::time::Duration;

use super::named::Certainty;
use super::rows::{JobEntry, JobStage, MediaEntry};
use super::settings::{CONFIRM_GRACE, GRACE, SETTLE, is_grace_over};
use super::state::Ledger;
use super::work::Work;
use crate::error::ErrorKind;
use crate::ids::JobId;
use crate::model::{Fact, Fault, LookupAfter, MediaState, Moment, ReportedError, code};
use crate::run::observer::Notice;
use crate::run::polling::{Intervals, Polled};
use crate::run::table::JobIndex;
use crate::vod::JobRow;

/// First and longest wait between two lookups of one job; who wants longer ones between polls of tasks gets them here too.
const LOOKUP_FIRST: Duration = Duration::from_secs(2);
const LOOKUP_CAP: Duration = Duration::from_secs(15);

impl Ledger {
    /// Begins to follow a job that somebody else submitted.
    pub(super) fn follow(&mut self, id: &JobId) {
        if !self.jobs_by_id.contains_key(id) {
            let job = self.job_index(Moment::START, id);
            self.set_stage(job, JobStage::Open);
            self.begin_waiting(Moment::START, job);
        }
    }

    /// The row of a job, a new one if need be.
    fn job_index(&mut self, now: Moment, id: &JobId) -> JobIndex {
        if let Some(&known) = self.jobs_by_id.get(id) {
            return known;
        }
        let job = self.jobs.push(JobEntry::new(id.clone(), now));
        self.jobs_by_id.insert(id.clone(), job);
        job
    }

    /// The row of a job that this run has submitted.
    pub(super) fn job_submitted(&mut self, now: Moment, id: &JobId) -> JobIndex {
        let job = self.job_index(now, id);
        self.jobs[job].submitted_at.get_or_insert(now);
        job
    }

    fn set_stage(&mut self, job: JobIndex, stage: JobStage) {
        let was = std::mem::replace(&mut self.jobs[job].stage, stage);
        self.open_jobs -= u64::from(was != JobStage::Known);
        self.open_jobs += u64::from(stage != JobStage::Known);
    }

    /// Whether it is not settled of all media of a job which tasks they have.
    pub(super) fn is_unconfirmed(&self, job: JobIndex) -> bool {
        self.in_job(job).any(|media| !media.is_confirmed())
    }

    /// Plans the first lookup of a job, or the end of its grace where there are no lookups.
    pub(super) fn begin_waiting(&mut self, now: Moment, job: JobIndex) {
        let at = match self.settings.lookup {
            // The last chance to learn something falls on the deadline.
            LookupAfter::After(wait) if !self.lookups_refused => (now + wait).min(self.settings.deadline),
            _ => now + GRACE,
        };
        self.lookup_queue.plan(job, at);
    }

    /// Whether any media of a job are known, and all of these have ended.
    pub(super) fn has_ended(&self, job: JobIndex) -> bool {
        !self.jobs[job].media.is_empty() && self.in_job(job).all(MediaEntry::ended)
    }

    pub(super) fn can_query_jobs(&self) -> bool {
        !self.lookups_refused && self.settings.lookup != LookupAfter::Never
    }

    pub(super) fn take_job(&mut self, now: Moment, job: JobIndex) -> Work {
        let can_query_jobs = self.can_query_jobs();
        let entry = &mut self.jobs[job];
        let job = entry.id.clone();
        if can_query_jobs {
            entry.is_queried = true;
            entry.first_lookup.get_or_insert(now);
            return Work::QueryJob { job };
        }
        let is_unchanged = now.since(entry.changed_at) >= self.settings.close && self.expect.is_none();
        let is_whole = entry.is_open() && !entry.media.is_empty() && is_unchanged;
        Work::Apply(if is_whole { Fact::JobClosed { job } } else { Fact::GraceOver { job } })
    }

    pub(super) fn job_queried(&mut self, now: Moment, id: &JobId, rows: Vec<JobRow>) {
        let Some(&job) = self.jobs_by_id.get(id) else { return };
        let is_answered = self.jobs[job].stage != JobStage::Closing || self.is_told_of(job, &rows);
        if is_answered {
            self.unclear.remove(id.as_str());
        }
        self.end_closing(job);
        let entry = &mut self.jobs[job];
        entry.is_queried = false;
        entry.lookups += 1;
        entry.answered_at = Some(now);
        let (first_lookup, known) = (*entry.first_lookup.get_or_insert(now), entry.media.len());
        let mut is_changed = false;
        for row in merged(rows) {
            match self.media_of_job(job, &row.media) {
                Some(media) => is_changed |= self.media_queried(now, media, row),
                None => {
                    tracing::debug!(job_id = %id, media_id = %row.media, "a row of a media that was not asked for");
                }
            }
        }
        if is_changed || self.jobs[job].media.len() > known {
            self.jobs[job].changed_at = now;
        }
        if !is_answered && self.jobs[job].stage == JobStage::Known && self.has_ended(job) {
            self.set_stage(job, JobStage::Closing);
            let message = "the last lookup does not show media that an earlier one has named";
            return self.job_unclear(now, id, Fault::new(ErrorKind::NotFound, code::JOB_NOT_FOUND, message));
        }
        self.notice_missing_events(job);
        self.note_what_lapsed(now, job, first_lookup);
        self.close_if_whole(now, job);
        self.plan_next_lookup(now, job);
    }

    /// Whether these rows tell of all complete media of a job that a lookup has named before.
    fn is_told_of(&self, job: JobIndex, rows: &[JobRow]) -> bool {
        let mut named =
            self.in_job(job).filter(|media| media.state == MediaState::Complete && media.named.by_lookup);
        named.all(|media| rows.iter().any(|row| row.media == media.id))
    }

    /// Looks a job up a last time, now that all of its media have ended: more may have been named since it was looked up, unless
    /// that was a moment ago or there is no time left for it. Where it is not answered it is made again, for as long as codes that nobody
    /// knows are no word of the service; then what was named before stands, with a warning. Where nobody may ask, a job of others ends
    /// with its events instead.
    pub(super) fn look_up_at_the_end(&mut self, now: Moment, job: JobIndex) {
        if !self.can_query_jobs() {
            return self.wait_for_events(now, job);
        }
        let entry = &self.jobs[job];
        let is_recent = entry.answered_at.is_none_or(|at| now.since(at) < SETTLE);
        let has_any = self.in_job(job).any(|media| media.state == MediaState::Complete);
        if is_recent || !has_any || now >= self.settings.deadline {
            return;
        }
        if !entry.is_open() {
            self.set_stage(job, JobStage::Closing);
        }
        self.lookup_queue.plan(job, now);
    }

    pub(super) fn end_closing(&mut self, job: JobIndex) {
        if self.jobs[job].stage == JobStage::Closing {
            self.set_stage(job, JobStage::Known);
        }
    }

    /// Waits no longer for last lookups.
    pub(crate) fn end_all_closing(&mut self) {
        self.jobs.indices().for_each(|job| self.end_closing(job));
    }

    /// Whether a job is looked up a last time.
    pub(crate) fn is_closing(&self, id: &JobId) -> bool {
        self.jobs_by_id.get(id).is_some_and(|job| self.jobs[*job].stage == JobStage::Closing)
    }

    fn notice_missing_events(&mut self, job: JobIndex) {
        let media = self.in_job(job).filter(|media| media.event_seen.is_none()).count() as u64;
        let entry = &mut self.jobs[job];
        if self.settings.has_events && media > 0 && !std::mem::replace(&mut entry.has_noticed_no_event, true)
        {
            self.notices.push(Notice::NoEvent { job_id: entry.id.clone(), media });
        }
    }

    /// Notes media of this job that no lookup has shown for a grace. It is a fact of its own: played back after a break, when
    /// graces have begun anew, the answer before it means less.
    fn note_what_lapsed(&mut self, now: Moment, job: JobIndex, first_lookup: Moment) {
        let entry = &self.jobs[job];
        let is_over = is_grace_over(now, entry.known_since, entry.lookups, self.lookup_cap());
        let may_stand = now.since(first_lookup) >= CONFIRM_GRACE;
        let unshown = || self.in_job(job).filter(|media| media.is_silent());
        let with_event = may_stand && unshown().any(MediaEntry::has_signed_event);
        let without_event =
            is_over && (entry.media.is_empty() || unshown().any(|media| !media.has_signed_event()));
        if (with_event || without_event) && !self.settings.may_be_foreign {
            self.follow_ups.push(Fact::Unshown { job: entry.id.clone(), with_event, without_event });
        }
    }

    /// Ends the waiting for what did not show up in time.
    pub(super) fn unshown(&mut self, now: Moment, id: &JobId, with_event: bool, without_event: bool) {
        let Some(&job) = self.jobs_by_id.get(id) else { return };
        for media in self.jobs[job].media.clone() {
            let entry = &self.media[media];
            if !entry.is_silent() {
                continue;
            }
            if with_event && entry.has_signed_event() {
                self.trust_event(now, media, "not confirmed: lookups do not show this media");
            } else if without_event && !entry.has_signed_event() {
                self.refuse(now, media, MediaState::Failed, job_not_found());
            }
        }
        if without_event && self.jobs[job].media.is_empty() {
            return self.job_failed(now, id, &job_not_found());
        }
        self.plan_next_lookup(now, job);
    }

    /// Closes jobs of others once it is known which media they have.
    fn close_if_whole(&mut self, now: Moment, job: JobIndex) {
        let entry = &self.jobs[job];
        if let Some(expect) = self.expect {
            // One that a lookup showed as failed has been shown as well.
            let known = |media: &MediaEntry| media.job.is_some() && !media.is_silent();
            let is_whole = self.unplaced.is_empty()
                && self.media.len() >= expect
                && self.media.iter().all(known)
                && self.unshown_job().is_none();
            if is_whole {
                self.jobs.indices().for_each(|job| self.close_job(job));
            }
        } else if !entry.media.is_empty()
            && !self.is_unconfirmed(job)
            && now.since(entry.changed_at) >= self.settings.close
        {
            self.close_job(job);
        }
    }

    /// Why the run is open although all media that are known have ended: jobs of others may have more.
    pub(crate) fn why_not_whole(&self) -> Option<String> {
        let (known, seconds) = (self.media.len(), self.settings.close.as_secs());
        let is_open = self.jobs.iter().any(JobEntry::is_open) && self.open_media == 0 && known > 0;
        is_open.then(|| match self.expect {
            Some(expect) if known >= expect && let Some(job) = self.unshown_job() => {
                format!("no lookup shows any media of job {}", job.id)
            }
            Some(expect) => format!("{expect} media were expected in these jobs, and {known} were shown"),
            None => format!(
                "{known} media were shown, and there may be more: a job is taken as whole when its rows have not changed for {seconds} s; `--media` or `--expect` say which it has"
            ),
        })
    }

    /// A job of others of which nothing is known: it has media, whichever were asked for.
    fn unshown_job(&self) -> Option<&JobEntry> {
        self.jobs.iter().find(|job| job.is_open() && job.media.is_empty() && job.error.is_none())
    }

    /// The longest wait between two lookups of a job.
    fn lookup_cap(&self) -> Duration {
        LOOKUP_CAP.max(self.planner.intervals.cap)
    }

    /// Plans another lookup as long as something about the job is not settled.
    fn plan_next_lookup(&mut self, now: Moment, job: JobIndex) {
        let entry = &self.jobs[job];
        let is_open = self.is_unconfirmed(job) || entry.is_open() && entry.error.is_none();
        if !self.can_query_jobs() || !is_open {
            return;
        }
        let named = self.in_job(job).filter(|media| media.named.certainty == Certainty::Named);
        let settles = named.filter_map(|media| media.named.since).map(|since| since + self.settings.settle);
        let closes = entry.is_open() && self.expect.is_none();
        let closes = closes.then(|| entry.changed_at + self.settings.close);
        let quick = settles.max().or(closes).filter(|at| *at > now && now < self.settings.deadline);
        let quick = quick.map(|at| at.min(self.settings.deadline));
        let is_unnamed =
            |media: &MediaEntry| !media.is_confirmed() && media.named.certainty < Certainty::Named;
        // Tasks have even numbers to the jitter, jobs odd ones.
        let polled = Polled { age: None, polls: entry.lookups, who: u64::from(job.number()) << 1 | 1 };
        let tasks = self.planner.intervals;
        let pace = Intervals { first: LOOKUP_FIRST, cap: self.lookup_cap(), ..tasks };
        let is_slow = quick.is_none() || entry.media.is_empty() || self.in_job(job).any(is_unnamed);
        let slow = pace.next_poll(now, polled, None).filter(|_| is_slow);
        if let Some(at) = slow.into_iter().chain(quick).min() {
            self.lookup_queue.plan(job, at);
        }
    }

    /// Nothing more is named for a job, because nobody may ask and its events have stopped.
    pub(super) fn job_closed(&mut self, id: &JobId) {
        if let Some(&job) = self.jobs_by_id.get(id) {
            self.close_job(job);
        }
    }

    pub(super) fn close_job(&mut self, job: JobIndex) {
        if !self.is_unconfirmed(job) && self.jobs[job].stage != JobStage::Closing {
            self.lookup_queue.cancel(job);
        }
        if self.jobs[job].is_open() {
            self.set_stage(job, JobStage::Known);
        }
    }

    /// A job was answered with a code that nobody knows.
    pub(super) fn job_unclear(&mut self, now: Moment, id: &JobId, fault: Fault) {
        let Some(&job) = self.jobs_by_id.get(id) else { return };
        self.jobs[job].is_queried = false;
        let is_over = self.is_clear_by_now(now, id.as_str(), &fault);
        if self.jobs[job].stage == JobStage::Closing {
            if !is_over && !fault.kind.is_retryable() && !self.settings.may_be_foreign {
                return self.lookup_queue.plan(job, now + LOOKUP_CAP);
            }
            let ReportedError { code, message, .. } = &fault.error;
            self.warn(format!(
                "job {id} was not told of at the end ({code}: {message}): what it named before stands"
            ));
            return self.end_closing(job);
        }
        // Of what a lookup has named once, or may have more, nobody knows whether that was all.
        let is_half_told = self.in_job(job).any(|media| media.named.certainty == Certainty::Named)
            || self.jobs[job].is_open() && !self.jobs[job].media.is_empty();
        if is_over && self.events_suffice(id) {
            return self.follow_ups.push(Fact::LookupFailed { job: id.clone(), fault });
        }
        if is_over && !is_half_told {
            return self.follow_ups.push(Fact::JobRefused { job: id.clone(), fault });
        }
        self.jobs[job].lookups += 1;
        self.plan_next_lookup(now, job);
    }

    /// A job that will tell nothing more. What was named stays true.
    pub(super) fn job_failed(&mut self, now: Moment, id: &JobId, error: &ReportedError) {
        let Some(&job) = self.jobs_by_id.get(id) else { return };
        self.do_without_lookups(now, job, |_| false, "");
        for media in self.jobs[job].media.clone() {
            if !self.media[media].is_confirmed() {
                self.refuse(now, media, MediaState::Failed, error.clone());
            }
        }
        // All of its media may have ended by this: a last lookup would not be answered.
        self.end_closing(job);
        self.lookup_queue.cancel(job);
        let entry = &mut self.jobs[job];
        if entry.media.is_empty() && entry.error.is_none() {
            entry.error = Some(Box::new(error.clone()));
            self.progress.failed += 1;
            self.progress.failed_unaccepted += 1;
        }
        self.close_job(job);
    }
}

/// Rows of one media in one answer are one row: their tasks and URLs together, with the status that promises least.
fn merged(rows: Vec<JobRow>) -> Vec<JobRow> {
    let mut places = HashMap::with_capacity(rows.len());
    let mut merged: Vec<JobRow> = Vec::with_capacity(rows.len());
    for row in rows {
        match places.get(&row.media) {
            None => {
                places.insert(row.media.clone(), merged.len());
                merged.push(row);
            }
            Some(&place) => merged[place].absorb(row),
        }
    }
    merged
}

fn job_not_found() -> ReportedError {
    ReportedError::new(
        code::JOB_NOT_FOUND,
        format!("no lookup has shown it within {} minutes", GRACE.as_secs() / 60),
    )
}
