//! Jobs: when they are looked up, what a lookup brings, and how long one waits for what does not show.

use std::time::Duration;

use super::rows::{JobEntry, MediaEntry};
use super::{CONFIRM_GRACE, Fact, Fault, GRACE, Ledger, Moment, Work};
use crate::ids::{JobId, MediaId};
use crate::run::observer::Notice;
use crate::run::plan::{Looked, Polling};
use crate::run::report::{MediaState, ReportedError};
use crate::run::request::LookupAfter;
use crate::vod::JobRow;

/// First and longest wait between two lookups of one job.
const LOOKUP_FIRST: Duration = Duration::from_secs(2);
const LOOKUP_CAP: Duration = Duration::from_secs(15);

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
            looking: false,
            lookups: 0,
            first_lookup: None,
            unheard: 0,
            undecided: 0,
            unended: 0,
            open: false,
            told_no_event: false,
            lapsed: None,
            error: None,
        });
        number
    }

    /// Puts a media into a job.
    pub(super) fn join(&mut self, job: u32, media: u32) {
        let entry = &mut self.media[media as usize];
        entry.job = Some(job);
        self.media_index.insert((job, entry.id.clone()), media);
        let job = &mut self.jobs[job as usize];
        job.media.push(media);
        job.unheard += 1;
        job.undecided += 1;
        job.unended += 1;
    }

    /// A media that a job of others turned out to have.
    pub(super) fn discover(&mut self, job: u32, id: MediaId) -> u32 {
        let media = self.media.len() as u32;
        self.media.push(MediaEntry::new(id, Some(job)));
        self.open_media += 1;
        self.undecided += 1;
        self.progress.media += 1;
        self.progress.submitted += 1;
        self.join(job, media);
        media
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

    pub(super) fn can_look_up(&self) -> bool {
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
        let can_look_up = self.can_look_up();
        let job = &mut self.jobs[number as usize];
        job.due = None;
        if let Some((heard, unheard)) = job.lapsed.take() {
            return Work::Note(Fact::Unshown { job: job.id.clone(), heard, unheard });
        }
        if !can_look_up {
            return Work::Note(Fact::GraceOver { job: job.id.clone() });
        }
        job.looking = true;
        job.first_lookup.get_or_insert(now);
        Work::LookUp { job: job.id.clone() }
    }

    pub(super) fn looked_up(&mut self, now: Moment, id: &JobId, rows: Vec<JobRow>) {
        let Some(&job) = self.job_index.get(id) else { return };
        let entry = &mut self.jobs[job as usize];
        entry.looking = false;
        entry.lookups += 1;
        let first_lookup = *entry.first_lookup.get_or_insert(now);
        let (mut grown, known_before) = (false, entry.media.len());
        for row in rows {
            let media = match self.media_index.get(&(job, row.media.clone())) {
                Some(&media) => media,
                None if self.jobs[job as usize].open => {
                    grown = true;
                    self.discover(job, row.media.clone())
                }
                None => {
                    tracing::debug!(job_id = %id, media_id = %row.media, "a row of a media that was not asked for");
                    continue;
                }
            };
            self.confirmed(now, media, row);
        }
        self.tell_of_missing_events(job);
        let lapsed = self.lapsed(now, job, first_lookup);
        if lapsed != (false, false) {
            // A fact of its own: played back after a break, when graces have begun anew, this answer means less.
            self.jobs[job as usize].lapsed = Some(lapsed);
            return self.plan_lookup(job, now);
        }
        self.plan_next_lookup(now, job, grown, known_before);
    }

    fn tell_of_missing_events(&mut self, job: u32) {
        let entry = &mut self.jobs[job as usize];
        if self.settings.has_events && entry.unheard > 0 && !entry.told_no_event {
            entry.told_no_event = true;
            let (job_id, media) = (entry.id.clone(), u64::from(entry.unheard));
            self.notices.push(Notice::NoEvent { job_id, media });
        }
    }

    /// Whether a grace is over for media of this job: for some with an event, and for some without.
    fn lapsed(&self, now: Moment, job: u32, first_lookup: Moment) -> (bool, bool) {
        let entry = &self.jobs[job as usize];
        let over = now.since(entry.known_since) >= GRACE;
        let unconfirmed = now.since(first_lookup) >= CONFIRM_GRACE;
        if !over && !unconfirmed {
            return (false, false);
        }
        let open = entry.media.iter().map(|media| &self.media[*media as usize]);
        let (mut heard, mut unheard) = (false, entry.media.is_empty());
        for media in open.filter(|media| !media.decided && !media.ended()) {
            unheard |= media.heard.is_none();
            heard |= media.heard.as_ref().is_some_and(|heard| heard.tells());
        }
        (heard && unconfirmed, unheard && over)
    }

    /// Ends the waiting for what did not show up in time.
    pub(super) fn unshown(&mut self, now: Moment, id: &JobId, heard: bool, unheard: bool) {
        let Some(&job) = self.job_index.get(id) else { return };
        for media in self.jobs[job as usize].media.clone() {
            let entry = &self.media[media as usize];
            if entry.decided || entry.ended() {
                continue;
            }
            match entry.heard.is_some() {
                true if heard => self.stand_on_event(media, "not confirmed: lookups do not show this media"),
                false if unheard => self.fail_unseen(media),
                _ => {}
            }
        }
        let known = self.jobs[job as usize].media.len();
        if unheard && known == 0 {
            return self.job_failed(id, &job_not_found());
        }
        self.plan_next_lookup(now, job, false, known);
    }

    fn fail_unseen(&mut self, media: u32) {
        self.decide(media);
        self.end_media(media, MediaState::Failed, Some(job_not_found()));
    }

    /// A lookup more where something is open; a last one where a job of others may have more media.
    fn plan_next_lookup(&mut self, now: Moment, job: u32, grown: bool, known_before: usize) {
        let entry = &self.jobs[job as usize];
        if entry.undecided > 0 || (entry.open && entry.media.is_empty() && entry.error.is_none()) {
            // Tasks have even numbers to the jitter, jobs odd ones.
            let looked = Looked { age: None, looks: entry.lookups, who: u64::from(job) << 1 | 1 };
            let pace = Polling { first: LOOKUP_FIRST, cap: LOOKUP_CAP, ..self.polling };
            if let Some(at) = pace.next_look(now, looked, None) {
                self.plan_lookup(job, at);
            }
        } else if entry.open && entry.unended == 0 {
            if grown || known_before == 0 {
                self.plan_lookup(job, now + LOOKUP_FIRST);
            } else {
                self.close_job(job);
            }
        }
    }

    pub(super) fn close_job(&mut self, job: u32) {
        let entry = &mut self.jobs[job as usize];
        entry.due = None;
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
        for job in 0..self.jobs.len() as u32 {
            self.jobs[job as usize].looking = false;
            for media in self.jobs[job as usize].media.clone() {
                if !self.media[media as usize].decided && !self.media[media as usize].ended() {
                    self.stand_on_event(media, "not confirmed by a lookup: lookups are refused");
                }
            }
            let entry = &self.jobs[job as usize];
            if entry.undecided > 0 || entry.open {
                let since = entry.known_since;
                self.plan_lookup(job, (since + GRACE).max(now));
            }
        }
    }

    /// Whether events told of all media of a job: then it can do without a lookup. How many media a job of others has is
    /// not known.
    pub(crate) fn events_suffice(&self, id: &JobId) -> bool {
        let Some(&job) = self.job_index.get(id) else { return false };
        let entry = &self.jobs[job as usize];
        !entry.open && entry.media.iter().all(|media| self.media[*media as usize].is_told())
    }

    /// Takes the events of a job for the truth, since no lookup gets through.
    pub(super) fn lookup_failed(&mut self, id: &JobId, error: &ReportedError) {
        let Some(&job) = self.job_index.get(id) else { return };
        let entry = &mut self.jobs[job as usize];
        (entry.looking, entry.due) = (false, None);
        let why = format!("not confirmed: lookups fail ({}: {})", error.code, error.message);
        for media in entry.media.clone() {
            if !self.media[media as usize].decided && !self.media[media as usize].ended() {
                self.stand_on_event(media, &why);
            }
        }
        self.warn(format!(
            "job {id} can't be looked up ({}: {}); its events decide",
            error.code, error.message
        ));
    }

    /// Nothing is known of a job, and nobody may ask: that proves nothing. Only an event can tell, or the deadline ends the
    /// wait.
    pub(super) fn grace_over(&mut self, id: &JobId) {
        let Some(&job) = self.job_index.get(id) else { return };
        let entry = &self.jobs[job as usize];
        if !entry.media.is_empty() && entry.unended == 0 {
            return self.close_job(job);
        }
        if entry.media.is_empty() || entry.undecided > 0 {
            let what = match entry.undecided {
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
    pub(super) fn job_failed(&mut self, id: &JobId, error: &ReportedError) {
        let Some(&job) = self.job_index.get(id) else { return };
        for media in self.jobs[job as usize].media.clone() {
            if !self.media[media as usize].ended() {
                self.decide(media);
                self.end_media(media, MediaState::Failed, Some(error.clone()));
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

fn job_not_found() -> ReportedError {
    ReportedError::new(
        "JobNotFound",
        format!("neither an event nor a lookup has shown it within {} minutes", GRACE.as_secs() / 60),
    )
}
