//! Jobs and their media: events heard, lookups that confirm them, and the graces of both.

use std::collections::HashSet;
use std::time::Duration;

use super::rows::{Heard, JobEntry, MediaEntry, count};
use super::{CONFIRM_GRACE, Fact, Fault, GRACE, Ledger, Moment, Work};
use crate::event::{MediaRefreshEvent, Source};
use crate::ids::{JobId, MediaId, TaskId};
use crate::run::observer::Notice;
use crate::run::plan::Polling;
use crate::run::report::{MediaState, ReportedError};
use crate::run::request::LookupAfter;
use crate::vod::{JobRow, SubmissionStatus};

/// First and longest wait between two lookups of one job.
const LOOKUP_FIRST: Duration = Duration::from_secs(2);
const LOOKUP_CAP: Duration = Duration::from_secs(15);
/// How many media a job of others has is not known: its events are in when none came for so long.
const QUIET: Duration = Duration::from_secs(2);

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
    fn discover(&mut self, job: u32, id: MediaId) -> u32 {
        let media = self.media.len() as u32;
        self.media.push(MediaEntry::new(id, Some(job)));
        self.open_media += 1;
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

    pub(super) fn take_job(&mut self, now: Moment, number: u32) -> Work {
        let can_look_up = self.can_look_up();
        let job = &mut self.jobs[number as usize];
        job.due = None;
        if !can_look_up {
            return Work::Note(Fact::GraceOver { job: job.id.clone() });
        }
        job.looking = true;
        job.first_lookup.get_or_insert(now);
        Work::LookUp { job: job.id.clone() }
    }

    pub(super) fn event(&mut self, now: Moment, event: MediaRefreshEvent) {
        let mark =
            event.correlation.as_ref().filter(|mark| mark.run == self.settings.run).map(|mark| mark.batch);
        if let Some(&job) = self.job_index.get(&event.job) {
            self.heard(now, job, event);
        } else if let Some(batch) = mark.filter(|batch| self.is_lost(*batch)) {
            let job = event.job.clone();
            self.events.foreign += self.strangers.keep(now, event);
            self.adopt(now, batch, job);
        } else if self.open_batches > 0 {
            self.events.foreign += self.strangers.keep(now, event);
        } else {
            self.events.foreign += 1;
        }
    }

    pub(super) fn hear_strangers(&mut self, now: Moment, job: &JobId) {
        for event in self.strangers.take(job) {
            self.event(now, event);
        }
    }

    /// An event of one of our jobs: a hint that starts the looks at its tasks.
    fn heard(&mut self, now: Moment, job: u32, event: MediaRefreshEvent) {
        let Some(row) = event.row else {
            // It names no media: all it tells is that looking up is worth while.
            return self.look_up_now(now, job);
        };
        let known = self.media_index.get(&(job, row.media.clone())).copied();
        let media = match known {
            Some(media) => media,
            None if self.jobs[job as usize].open => self.discover(job, row.media.clone()),
            None => {
                self.events.foreign += 1;
                return;
            }
        };
        let entry = &mut self.media[media as usize];
        if entry.heard.is_none() {
            self.events.accepted += 1;
            self.jobs[job as usize].unheard -= 1;
            self.notices.push(Notice::EventReceived {
                job_id: event.job,
                media_id: row.media.clone(),
                source: event.source,
            });
        } else {
            self.events.repeated += 1;
        }
        let heard = entry
            .heard
            .get_or_insert_with(|| Box::new(Heard { source: event.source, success: false, failure: None }));
        let failure = failure_of(&row);
        match row.status {
            SubmissionStatus::Success => heard.success = true,
            SubmissionStatus::Fail => heard.failure = Some(failure),
            SubmissionStatus::Pending(_) => {}
        }
        if entry.decided || entry.ended() {
            return;
        }
        if row.status == SubmissionStatus::Success {
            if entry.urls.is_empty() {
                entry.one_url_a_task = one_url_a_task(&row);
                entry.urls = row.urls.into();
            }
            for task in row.tasks {
                self.attach(now, media, task);
            }
        }
        if self.can_look_up() {
            self.confirm_when_in(now, job);
        } else {
            self.stand_on_event(media, "not confirmed by a lookup: lookups are off or refused");
        }
    }

    /// Plans the one lookup that confirms a job, once its events are in.
    fn confirm_when_in(&mut self, now: Moment, job: u32) {
        let entry = &self.jobs[job as usize];
        if entry.open {
            let quiet = now + QUIET;
            if entry.lookups == 0 && entry.due.is_some_and(|due| due > quiet) {
                self.plan_lookup(job, quiet);
            }
        } else if entry.unheard == 0 && entry.undecided > 0 {
            self.look_up_now(now, job);
        }
    }

    fn look_up_now(&mut self, now: Moment, job: u32) {
        let entry = &self.jobs[job as usize];
        // Lookups that already follow each other keep their pace.
        if self.can_look_up() && !entry.looking && entry.lookups == 0 {
            self.plan_lookup(job, now);
        }
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
        self.apply_graces(now, job, first_lookup);
        self.plan_next_lookup(now, job, grown, known_before);
    }

    /// What a lookup says of a media; it settles the question, unless it is not decided yet.
    fn confirmed(&mut self, now: Moment, media: u32, row: JobRow) {
        // Of jobs of others, nobody told us before.
        self.settings.task_type = self.settings.task_type.or(row.task_type);
        let entry = &mut self.media[media as usize];
        if entry.decided || entry.ended() {
            return;
        }
        match &row.status {
            SubmissionStatus::Pending(word) => {
                if let Some(word) = word {
                    tracing::debug!(media_id = %entry.id, status = word, "a status of a job row that is not final");
                }
            }
            SubmissionStatus::Fail => {
                let heard = entry.heard.as_ref();
                let differs = heard.is_some_and(|heard| heard.success);
                let source = heard.map_or(Source::Lookup, |heard| heard.source);
                self.detach_all(media);
                self.media[media as usize].confirmed_by = Some(if differs { Source::Lookup } else { source });
                if differs {
                    let id = self.media[media as usize].id.clone();
                    self.warn(format!("an event says that media {id} was handed to the CDN, the lookup says that it was not; the lookup counts"));
                }
                self.decide(media);
                self.end_media(media, MediaState::Failed, Some(failure_of(&row)));
            }
            SubmissionStatus::Success => self.accept_from_lookup(now, media, row),
        }
    }

    fn accept_from_lookup(&mut self, now: Moment, media: u32, row: JobRow) {
        let before: Vec<u32> = self.media[media as usize].tasks.clone();
        let known: Vec<TaskId> = before.iter().map(|task| self.tasks[*task as usize].id.clone()).collect();
        let named: HashSet<&TaskId> = row.tasks.iter().collect();
        let same = known.len() == named.len() && known.iter().all(|id| named.contains(id));
        let heard = self.media[media as usize].heard.as_ref().map(|heard| (heard.source, heard.success));
        if let Some((_, success)) = heard
            && !(same && success)
        {
            let id = &self.media[media as usize].id;
            let list = |ids: &[TaskId]| match ids.len() {
                0 => "no task".to_owned(),
                1..=5 => ids.iter().map(TaskId::as_str).collect::<Vec<_>>().join(","),
                many => format!("{many} tasks"),
            };
            let message = format!(
                "events and lookup differ about media {id}: events name {}, the lookup names {}; the lookup counts",
                list(&known),
                list(&row.tasks)
            );
            self.warn(message);
        }
        for (task, id) in before.into_iter().zip(&known) {
            if !named.contains(id) {
                self.detach(media, task);
            }
        }
        let entry = &mut self.media[media as usize];
        entry.confirmed_by = Some(match heard {
            Some((source, true)) if same => source,
            _ => Source::Lookup,
        });
        entry.one_url_a_task = one_url_a_task(&row);
        entry.urls = row.urls.into();
        if let Some(code) = row.error_code {
            let note = format!("the service reports success together with the code {code}");
            entry.note = Some(note.into());
        }
        let tasks = row.tasks;
        for task in tasks {
            self.attach(now, media, task);
        }
        self.recount(media);
        self.accepted(media);
    }

    /// Takes the events of a media for the truth, since no lookup will say better.
    fn stand_on_event(&mut self, media: u32, why: &str) {
        let entry = &mut self.media[media as usize];
        let Some(heard) = entry.heard.as_ref().filter(|heard| heard.success || heard.failure.is_some())
        else {
            return;
        };
        entry.confirmed_by = Some(heard.source);
        entry.note = Some(why.into());
        if heard.success {
            return self.accepted(media);
        }
        let error = heard.failure.clone();
        self.decide(media);
        self.end_media(media, MediaState::Failed, error);
    }

    /// The tasks of a media are settled.
    fn accepted(&mut self, media: u32) {
        self.decide(media);
        let entry = &mut self.media[media as usize];
        entry.accepted = true;
        self.progress.accepted += 1;
        if let (Some(job), Some(confirmed_by)) = (entry.job, entry.confirmed_by) {
            let tasks = entry.tasks.len() as u64;
            let job_id = self.jobs[job as usize].id.clone();
            self.notices.push(Notice::Accepted { media_id: entry.id.clone(), job_id, tasks, confirmed_by });
        }
        if self.media[media as usize].tasks.is_empty() {
            let error = ReportedError::new(
                "NoPlayUrls",
                "the service found no playback URL that fits; nothing was done",
            );
            return self.end_media(media, MediaState::Failed, Some(error));
        }
        self.end_if_tasks_ended(media);
    }

    fn decide(&mut self, media: u32) {
        let entry = &mut self.media[media as usize];
        if !std::mem::replace(&mut entry.decided, true)
            && let Some(job) = entry.job
        {
            self.jobs[job as usize].undecided -= 1;
        }
    }

    fn tell_of_missing_events(&mut self, job: u32) {
        let entry = &mut self.jobs[job as usize];
        if self.settings.has_events && entry.unheard > 0 && !entry.told_no_event {
            entry.told_no_event = true;
            let (job_id, media) = (entry.id.clone(), u64::from(entry.unheard));
            self.notices.push(Notice::NoEvent { job_id, media });
        }
    }

    /// Ends the waiting for what did not show up in time.
    fn apply_graces(&mut self, now: Moment, job: u32, first_lookup: Moment) {
        let entry = &self.jobs[job as usize];
        let over = now.since(entry.known_since) >= GRACE;
        let unconfirmed = now.since(first_lookup) >= CONFIRM_GRACE;
        if !over && !unconfirmed {
            return;
        }
        for media in entry.media.clone() {
            let entry = &self.media[media as usize];
            if entry.decided || entry.ended() {
                continue;
            }
            if entry.heard.is_some() && unconfirmed {
                self.stand_on_event(media, "not confirmed: lookups do not show this media");
            } else if entry.heard.is_none() && over {
                self.fail_unseen(media);
            }
        }
        if over && self.jobs[job as usize].media.is_empty() {
            let id = self.jobs[job as usize].id.clone();
            self.job_failed(&id, &job_not_found());
        }
    }

    fn fail_unseen(&mut self, media: u32) {
        self.decide(media);
        self.end_media(media, MediaState::Failed, Some(job_not_found()));
    }

    /// A lookup more where something is open; a last one where a job of others may have more media.
    fn plan_next_lookup(&mut self, now: Moment, job: u32, grown: bool, known_before: usize) {
        let entry = &self.jobs[job as usize];
        if entry.undecided > 0 || (entry.open && entry.media.is_empty() && entry.error.is_none()) {
            let pace = Polling { first: LOOKUP_FIRST, cap: LOOKUP_CAP, ..self.polling };
            if let Some(at) = pace.next_look(now, entry.lookups, u64::from(job) << 1 | 1) {
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

    fn close_job(&mut self, job: u32) {
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
                    self.stand_on_event(media, "not confirmed by a lookup: lookups are off or refused");
                }
            }
            let entry = &self.jobs[job as usize];
            if entry.undecided > 0 || entry.open {
                let since = entry.known_since;
                self.plan_lookup(job, (since + GRACE).max(now));
            }
        }
    }

    pub(super) fn grace_over(&mut self, id: &JobId) {
        let Some(&job) = self.job_index.get(id) else { return };
        for media in self.jobs[job as usize].media.clone() {
            if !self.media[media as usize].decided && !self.media[media as usize].ended() {
                self.fail_unseen(media);
            }
        }
        if self.jobs[job as usize].media.is_empty() {
            return self.job_failed(id, &job_not_found());
        }
        self.close_job(job);
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
        }
        self.close_job(job);
    }

    /// Gives a media its verdict.
    pub(super) fn end_media(&mut self, media: u32, state: MediaState, error: Option<ReportedError>) {
        let entry = &mut self.media[media as usize];
        if entry.ended() {
            return;
        }
        entry.state = state;
        entry.error = error.clone().map(Box::new);
        self.open_media -= 1;
        match state {
            MediaState::Complete => self.progress.complete += 1,
            _ => self.progress.failed += 1,
        }
        let (media_id, job) = (entry.id.clone(), entry.job);
        let job_id = job.map(|job| self.jobs[job as usize].id.clone());
        self.notices.push(Notice::MediaEnded { media_id, job_id, state, error });
        let Some(job) = job else { return };
        self.jobs[job as usize].unended -= 1;
        let entry = &self.jobs[job as usize];
        if entry.open && entry.unended == 0 && !entry.looking {
            // The last look at a job of others: are these all of its media?
            if self.can_look_up() {
                self.plan_lookup(job, Moment::START);
            } else {
                self.close_job(job);
            }
        }
    }
}

fn failure_of(row: &JobRow) -> ReportedError {
    ReportedError::new(
        row.error_code.clone().unwrap_or_else(|| "SubmissionFailed".into()),
        row.error_message.clone().unwrap_or_else(|| "the service could not hand the URLs to the CDN".into()),
    )
}

/// Merged task ids are fewer than the URLs. Without URLs nobody knows.
fn one_url_a_task(row: &JobRow) -> bool {
    let urls = count(&row.urls);
    urls > 0 && row.tasks.len() >= urls
}

fn job_not_found() -> ReportedError {
    ReportedError::new(
        "JobNotFound",
        format!("neither an event nor a lookup has shown it within {} minutes", GRACE.as_secs() / 60),
    )
}
