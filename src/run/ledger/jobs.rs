//! Jobs: when they are queried, what a lookup brings, and how long the run waits for what no lookup shows.

use std::collections::HashMap;
use std::time::Duration;

use super::named::Certainty;
use super::rows::{JobEntry, MediaEntry};
use super::settings::{CONFIRM_GRACE, GRACE, is_grace_over};
use super::state::Ledger;
use super::work::Work;
use crate::ids::JobId;
use crate::model::{Fact, Fault, LookupAfter, MediaState, Moment, ReportedError, code};
use crate::run::observer::Notice;
use crate::run::polling::{Intervals, Polled};
use crate::vod::JobRow;

/// First and longest wait between two lookups of one job; who wants longer ones between polls of tasks gets them here too.
const LOOKUP_FIRST: Duration = Duration::from_secs(2);
const LOOKUP_CAP: Duration = Duration::from_secs(15);
/// A lookup that is older when the last media of its job ends is repeated: more may have been named since.
const LAST_LOOKUP_AGE: Duration = Duration::from_secs(10);

impl Ledger {
    /// Begins to follow a job that somebody else submitted.
    pub(super) fn follow(&mut self, id: JobId) {
        if self.job_index.contains_key(&id) {
            return;
        }
        let job = self.job_number(Moment::START, id);
        self.jobs[job as usize].open = true;
        self.open_jobs += 1;
        self.begin_waiting(Moment::START, job);
    }

    /// The row of a job, a new one if need be.
    pub(super) fn job_number(&mut self, now: Moment, id: JobId) -> u32 {
        let number = self.jobs.len() as u32;
        if let Some(&known) = self.job_index.get(&id) {
            return known;
        }
        self.job_index.insert(id.clone(), number);
        self.jobs.push(JobEntry {
            id,
            media: Vec::new(),
            submitted_at: None,
            known_since: now,
            due: None,
            is_queried: false,
            lookups: 0,
            first_lookup: None,
            without_event: 0,
            unconfirmed: 0,
            unended: 0,
            answered_at: None,
            is_closing: false,
            changed_at: now,
            open: false,
            has_noticed_no_event: false,
            error: None,
        });
        number
    }

    /// Plans the first lookup of a job, or the end of its grace where there are no lookups.
    pub(super) fn begin_waiting(&mut self, now: Moment, job: u32) {
        let at = match self.settings.lookup {
            // The last chance to learn something falls on the deadline.
            LookupAfter::After(wait) if !self.lookups_refused => (now + wait).min(self.settings.deadline),
            _ => now + GRACE,
        };
        self.plan_lookup(job, at);
    }

    pub(super) fn can_query_jobs(&self) -> bool {
        !self.lookups_refused && self.settings.lookup != LookupAfter::Never
    }

    /// Said where one would have helped.
    pub(super) fn why_no_lookups(&self) -> &'static str {
        match self.settings.lookup {
            LookupAfter::Never => "lookups are turned off",
            LookupAfter::After(_) => "lookups are refused",
        }
    }

    pub(super) fn take_job(&mut self, now: Moment, number: u32) -> Work {
        let can_query_jobs = self.can_query_jobs();
        let job = &mut self.jobs[number as usize];
        job.due = None;
        if can_query_jobs {
            job.is_queried = true;
            job.first_lookup.get_or_insert(now);
            return Work::QueryJob { job: job.id.clone() };
        }
        let is_unchanged = now.since(job.changed_at) >= self.settings.close && !self.knows_media;
        Work::Apply(if job.open && !job.media.is_empty() && is_unchanged {
            Fact::JobClosed { job: job.id.clone() }
        } else {
            Fact::GraceOver { job: job.id.clone() }
        })
    }

    pub(super) fn job_queried(&mut self, now: Moment, id: &JobId, rows: Vec<JobRow>) {
        let Some(&job) = self.job_index.get(id) else { return };
        self.unclear.remove(id.as_str());
        self.end_closing(job);
        let entry = &mut self.jobs[job as usize];
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
        if is_changed || self.jobs[job as usize].media.len() > known {
            self.jobs[job as usize].changed_at = now;
        }
        self.notice_missing_events(job);
        self.note_what_lapsed(now, job, first_lookup);
        self.close_if_whole(now, job);
        self.plan_next_lookup(now, job);
    }

    /// Looks a job up a last time, now that all of its media have ended, unless that was done a moment ago. It costs a call
    /// and no verdict: where it brings no answer, the one before it stands.
    pub(super) fn look_up_at_the_end(&mut self, now: Moment, job: u32) {
        let entry = &self.jobs[job as usize];
        let is_recent = entry.answered_at.is_none_or(|at| now.since(at) < LAST_LOOKUP_AGE);
        let media = entry.media.iter().map(|media| &self.media[*media as usize]);
        if is_recent
            || !self.can_query_jobs()
            || !media.clone().any(|media| media.state == MediaState::Complete)
        {
            return;
        }
        if !std::mem::replace(&mut self.jobs[job as usize].is_closing, true) {
            self.closing_jobs += 1;
        }
        self.plan_lookup(job, now);
    }

    fn end_closing(&mut self, job: u32) {
        if std::mem::take(&mut self.jobs[job as usize].is_closing) {
            self.closing_jobs -= 1;
        }
    }

    /// Waits no longer for last lookups.
    pub(crate) fn end_all_closing(&mut self) {
        if self.closing_jobs > 0 {
            (0..self.jobs.len() as u32).for_each(|job| self.end_closing(job));
        }
    }

    /// Whether a job is looked up a last time.
    pub(crate) fn is_closing(&self, id: &JobId) -> bool {
        self.job_index.get(id).is_some_and(|job| self.jobs[*job as usize].is_closing)
    }

    fn notice_missing_events(&mut self, job: u32) {
        let entry = &mut self.jobs[job as usize];
        if self.settings.has_events && entry.without_event > 0 && !entry.has_noticed_no_event {
            entry.has_noticed_no_event = true;
            let (job_id, media) = (entry.id.clone(), u64::from(entry.without_event));
            self.notices.push(Notice::NoEvent { job_id, media });
        }
    }

    /// Notes media of this job that no lookup has shown for a grace. It is a fact of its own: played back after a break, when
    /// graces have begun anew, the answer before it means less.
    fn note_what_lapsed(&mut self, now: Moment, job: u32, first_lookup: Moment) {
        let entry = &self.jobs[job as usize];
        let is_over = is_grace_over(now, entry.known_since, entry.lookups);
        let may_stand = now.since(first_lookup) >= CONFIRM_GRACE;
        let unshown =
            || entry.media.iter().map(|media| &self.media[*media as usize]).filter(|m| m.is_silent());
        let with_event = may_stand && unshown().any(MediaEntry::has_signed_event);
        let without_event =
            is_over && (entry.media.is_empty() || unshown().any(|media| !media.has_signed_event()));
        if (with_event || without_event) && !self.settings.may_be_foreign {
            self.follow_ups.push(Fact::Unshown { job: entry.id.clone(), with_event, without_event });
        }
    }

    /// Ends the waiting for what did not show up in time.
    pub(super) fn unshown(&mut self, now: Moment, id: &JobId, with_event: bool, without_event: bool) {
        let Some(&job) = self.job_index.get(id) else { return };
        for media in self.jobs[job as usize].media.clone() {
            let entry = &self.media[media as usize];
            if !entry.is_silent() {
                continue;
            }
            if with_event && entry.has_signed_event() {
                self.trust_event(now, media, "not confirmed: lookups do not show this media");
            } else if without_event && !entry.has_signed_event() {
                self.refuse(now, media, MediaState::Failed, job_not_found());
            }
        }
        if without_event && self.jobs[job as usize].media.is_empty() {
            return self.job_failed(now, id, &job_not_found());
        }
        self.plan_next_lookup(now, job);
    }

    /// Closes jobs of others once it is known which media they have.
    fn close_if_whole(&mut self, now: Moment, job: u32) {
        let entry = &self.jobs[job as usize];
        if self.knows_media {
            // One that a lookup showed as failed has been shown as well.
            let known = |media: &MediaEntry| media.job.is_some() && !media.is_silent();
            let is_whole = self.unplaced.is_empty()
                && self.media.len() >= self.expect
                && self.media.iter().all(known)
                && self.unshown_job().is_none();
            if is_whole {
                (0..self.jobs.len() as u32).for_each(|job| self.close_job(job));
            }
        } else if !entry.media.is_empty()
            && entry.unconfirmed == 0
            && now.since(entry.changed_at) >= self.settings.close
        {
            self.close_job(job);
        }
    }

    /// Why the run is open although all media that are known have ended: jobs of others may have more.
    pub(crate) fn why_not_whole(&self) -> Option<String> {
        let (known, seconds) = (self.media.len(), self.settings.close.as_secs());
        (self.open_jobs > 0 && self.open_media == 0 && known > 0).then(|| match self.knows_media {
            true if known >= self.expect && let Some(job) = self.unshown_job() => {
                format!("no lookup shows any media of job {}", job.id)
            }
            true => format!("{} media were expected in these jobs, and {known} were shown", self.expect),
            false => format!(
                "{known} media were shown, and there may be more: a job is taken as whole when its rows have not changed for {seconds} s; `--media` or `--expect` say which it has"
            ),
        })
    }

    /// A job of others of which nothing is known: it has media, whichever were asked for.
    fn unshown_job(&self) -> Option<&JobEntry> {
        self.jobs.iter().find(|job| job.open && job.media.is_empty() && job.error.is_none())
    }

    /// Plans another lookup as long as something about the job is not settled.
    fn plan_next_lookup(&mut self, now: Moment, job: u32) {
        let entry = &self.jobs[job as usize];
        let is_open = entry.unconfirmed > 0 || entry.open && entry.error.is_none();
        if !self.can_query_jobs() || !is_open {
            return;
        }
        let media = entry.media.iter().map(|media| &self.media[*media as usize]);
        let named = media.clone().filter(|media| media.named.certainty == Certainty::Named);
        let settles = named.filter_map(|media| media.named.since).map(|since| since + self.settings.settle);
        let closes = (entry.open && !self.knows_media).then(|| entry.changed_at + self.settings.close);
        let quick = settles.max().or(closes).filter(|at| *at > now && now < self.settings.deadline);
        let is_unnamed =
            |media: &MediaEntry| !media.is_confirmed() && media.named.certainty < Certainty::Named;
        // Tasks have even numbers to the jitter, jobs odd ones.
        let polled = Polled { age: None, polls: entry.lookups, who: u64::from(job) << 1 | 1 };
        let tasks = self.planner.intervals();
        let pace = Intervals { first: LOOKUP_FIRST, cap: LOOKUP_CAP.max(tasks.cap), ..*tasks };
        let slow = pace.next_poll(now, polled, None);
        let slow =
            slow.filter(|_| quick.is_none() || entry.media.is_empty() || media.clone().any(is_unnamed));
        let quick = quick.map(|at| at.min(self.settings.deadline));
        if let Some(at) = slow.into_iter().chain(quick).min() {
            self.plan_lookup(job, at);
        }
    }

    /// Nothing more is named for a job, because nobody may ask and its events have stopped.
    pub(super) fn job_closed(&mut self, id: &JobId) {
        if let Some(&job) = self.job_index.get(id) {
            self.close_job(job);
        }
    }

    pub(super) fn close_job(&mut self, job: u32) {
        let entry = &mut self.jobs[job as usize];
        if entry.unconfirmed == 0 && !entry.is_closing {
            entry.due = None;
        }
        if std::mem::take(&mut entry.open) {
            self.open_jobs -= 1;
        }
    }

    pub(super) fn lookups_are_refused(&mut self, now: Moment, fault: &Fault) {
        if std::mem::replace(&mut self.lookups_refused, true) {
            return;
        }
        let error = &fault.error;
        self.warn(format!(
            "jobs can't be looked up ({}: {}); events alone decide",
            error.code, error.message
        ));
        self.end_all_closing();
        for job in 0..self.jobs.len() as u32 {
            self.jobs[job as usize].is_queried = false;
            self.do_without_lookups(now, job, false, "not confirmed by a lookup: lookups are refused");
            let entry = &self.jobs[job as usize];
            if entry.unconfirmed > 0 || entry.open {
                let since = entry.known_since;
                self.plan_lookup(job, (since + GRACE).max(now));
            }
        }
    }

    /// No lookup will say better than what is known of a job: what lookups have named is settled, and what only an event
    /// told of is taken as it said.
    fn do_without_lookups(&mut self, now: Moment, job: u32, only_signed: bool, why: &str) {
        for media in self.jobs[job as usize].media.clone() {
            let entry = &self.media[media as usize];
            if entry.is_confirmed() {
                continue;
            }
            match entry.named.certainty {
                Certainty::Named => self.settle(now, media),
                Certainty::Unshown if !only_signed || entry.has_signed_event() => {
                    self.trust_event(now, media, why);
                }
                Certainty::Pending if entry.has_signed_event() && !only_signed => {
                    self.trust_event(now, media, why);
                }
                Certainty::Unshown | Certainty::Pending | Certainty::Settled => {}
            }
        }
    }

    /// Whether events of known senders told of all media of a job which lookups have not named: then it can do without a
    /// lookup. How many media a job of others has is not known.
    pub(crate) fn events_suffice(&self, id: &JobId) -> bool {
        let Some(&job) = self.job_index.get(id) else { return false };
        let entry = &self.jobs[job as usize];
        let is_known = |media: &MediaEntry| {
            media.is_confirmed()
                || media.named.certainty == Certainty::Named
                || media.is_silent() && media.has_signed_event()
        };
        !entry.open && entry.media.iter().all(|media| is_known(&self.media[*media as usize]))
    }

    /// Takes the events of a job for the truth, since no lookup gets through.
    pub(super) fn lookup_failed(&mut self, now: Moment, id: &JobId, error: &ReportedError) {
        let Some(&job) = self.job_index.get(id) else { return };
        self.end_closing(job);
        let entry = &mut self.jobs[job as usize];
        (entry.is_queried, entry.due) = (false, None);
        let why = format!("not confirmed: lookups fail ({}: {})", error.code, error.message);
        self.do_without_lookups(now, job, true, &why);
        self.warn(format!(
            "job {id} can't be looked up ({}: {}); its events decide",
            error.code, error.message
        ));
    }

    /// A job was answered with a code that nobody knows.
    pub(super) fn job_unclear(&mut self, now: Moment, id: &JobId, fault: Fault) {
        let Some(&job) = self.job_index.get(id) else { return };
        self.jobs[job as usize].is_queried = false;
        if self.jobs[job as usize].is_closing {
            return self.end_closing(job);
        }
        if self.is_clear_by_now(now, id.as_str(), &fault) {
            let job = id.clone();
            return self.follow_ups.push(match self.events_suffice(id) {
                true => Fact::LookupFailed { job, fault },
                false => Fact::JobRefused { job, fault },
            });
        }
        self.jobs[job as usize].lookups += 1;
        self.plan_next_lookup(now, job);
    }

    /// Nothing is known of a job, and nobody may ask: that proves nothing. Only an event can tell, or the deadline ends the
    /// wait.
    pub(super) fn grace_over(&mut self, id: &JobId) {
        let Some(&job) = self.job_index.get(id) else { return };
        let entry = &self.jobs[job as usize];
        if !entry.media.is_empty() && entry.media.iter().all(|media| self.media[*media as usize].ended()) {
            return self.close_job(job);
        }
        if entry.media.is_empty() || entry.unconfirmed > 0 {
            let what = match entry.unconfirmed {
                0 => format!("job {id}"),
                media => format!("{media} media of job {id}"),
            };
            let (minutes, why) = (GRACE.as_secs() / 60, self.why_no_lookups());
            self.warn(format!(
                "no event has told of {what} for {minutes} minutes, and {why}: only an event can end this wait"
            ));
        }
    }

    /// A job that will tell nothing more.
    pub(super) fn job_failed(&mut self, now: Moment, id: &JobId, error: &ReportedError) {
        let Some(&job) = self.job_index.get(id) else { return };
        self.end_closing(job);
        for media in self.jobs[job as usize].media.clone() {
            match self.media[media as usize].named.certainty {
                // What was named stays true.
                Certainty::Named => self.settle(now, media),
                Certainty::Unshown | Certainty::Pending if !self.media[media as usize].ended() => {
                    self.refuse(now, media, MediaState::Failed, error.clone());
                }
                Certainty::Unshown | Certainty::Pending | Certainty::Settled => {}
            }
        }
        let entry = &mut self.jobs[job as usize];
        entry.due = None;
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
