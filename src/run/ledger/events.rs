//! Events: hints that start the polls of tasks, until a lookup confirms them.

use std::time::Duration;

use super::media::failure_of;
use super::rows::EventSeen;
use super::state::Ledger;
use crate::event::MediaRefreshEvent;
use crate::ids::{JobId, TaskId};
use crate::model::Moment;
use crate::run::observer::Notice;
use crate::vod::SubmissionStatus;

/// How many media a job of others has is not known: its events are in when none came for so long.
const QUIET: Duration = Duration::from_secs(2);
/// Most tasks of one media that events may name: 20 definitions and formats with 20 segments each make 420, several
/// streams of each some more.
const MOST_TASKS: usize = 2_000;

impl Ledger {
    pub(super) fn event(&mut self, now: Moment, event: MediaRefreshEvent) {
        let mark =
            event.correlation.as_ref().filter(|mark| mark.run == self.settings.run).map(|mark| mark.batch);
        if let Some(&job) = self.job_index.get(&event.job) {
            self.event_of_job(now, job, event);
        } else if let Some(batch) = mark.filter(|batch| self.is_lost(*batch)) {
            let job = event.job.clone();
            self.events.foreign += self.pending_events.keep(now, event);
            self.adopt(now, batch, job);
        } else if self.open_batches > 0 {
            self.events.foreign += self.pending_events.keep(now, event);
        } else {
            self.events.foreign += 1;
        }
    }

    pub(super) fn apply_pending_events(&mut self, now: Moment, job: &JobId) {
        for event in self.pending_events.take(job) {
            self.event(now, event);
        }
    }

    /// An event of one of our jobs: a hint that starts the polls of its tasks.
    fn event_of_job(&mut self, now: Moment, job: u32, event: MediaRefreshEvent) {
        let Some(row) = &event.row else {
            // It names no media: all it tells is that a lookup is worth while.
            return self.query_now(now, job);
        };
        let is_known = self.media_index.contains_key(&(job, row.media.clone()));
        if !is_known && self.jobs[job as usize].open && !event.signed && self.can_query_jobs() {
            // Anybody may have sent it: the lookup tells which media the job has.
            return self.query_now(now, job);
        }
        let Some(media) = self.media_of_job(job, &row.media) else {
            self.events.foreign += 1;
            return;
        };
        let entry = &mut self.media[media as usize];
        if entry.event_seen.is_none() {
            entry.event_seen = Some(Box::new(EventSeen::new(event.source, false)));
            self.events.accepted += 1;
            self.jobs[job as usize].without_event -= 1;
            self.notices.push(Notice::EventReceived {
                job_id: event.job.clone(),
                media_id: row.media.clone(),
                source: event.source,
            });
        } else {
            self.events.repeated += 1;
        }
        if self.adds_anything(media, &event) {
            self.take_event(now, media, event);
        }
        if self.can_query_jobs() {
            self.confirm_when_in(now, job);
        } else {
            let why = format!("not confirmed by a lookup: {}", self.why_no_lookups());
            let entry = &self.media[media as usize];
            if entry.is_silent() || !entry.is_confirmed() && entry.has_signed_event() {
                self.trust_event(now, media, &why);
            }
            if self.jobs[job as usize].open {
                self.jobs[job as usize].changed_at = now;
                self.plan_lookup(job, now + self.settings.close);
            }
        }
    }

    /// Whether an event says more of a media than is known.
    ///
    /// The first event of a known sender counts, and no other after it: its headers may have been captured, and prove nothing
    /// about another body. Until then all events are taken together. None counts once a lookup has settled the question.
    pub(super) fn adds_anything(&self, media: u32, event: &MediaRefreshEvent) -> bool {
        let entry = &self.media[media as usize];
        let Some(row) = event.row.as_ref().filter(|_| !entry.is_confirmed()) else { return false };
        entry.event_seen.as_deref().is_none_or(|event_seen| {
            let is_attached = |id: &TaskId| {
                let task = self.task_number(id).map(|task| &self.tasks[task as usize]);
                task.is_some_and(|task| task.owners.all().any(|owner| owner == media))
            };
            let is_news = match row.status {
                SubmissionStatus::Success => !event_seen.success || !row.tasks.iter().all(is_attached),
                SubmissionStatus::Fail => event_seen.failure.is_none(),
                SubmissionStatus::Pending(_) => false,
            };
            !event_seen.signed && (event.signed || is_news)
        })
    }

    fn take_event(&mut self, now: Moment, media: u32, event: MediaRefreshEvent) {
        let Some(mut row) = event.row else { return };
        let (source, signed) = (event.source, event.signed);
        let entry = &mut self.media[media as usize];
        let by_lookup = entry.named.by_lookup;
        if signed && !by_lookup {
            // What others had said counts no more.
            entry.named.urls = Default::default();
            entry.event_seen = None;
            self.detach(media, |_| true);
        }
        let entry = &mut self.media[media as usize];
        let event_seen = entry.event_seen.get_or_insert_with(|| Box::new(EventSeen::new(source, signed)));
        (event_seen.source, event_seen.signed) = (source, signed);
        event_seen.is_unread |= row.unread.is_some();
        match row.status {
            SubmissionStatus::Success => event_seen.success = true,
            SubmissionStatus::Fail => event_seen.failure = Some(failure_of(&row)),
            SubmissionStatus::Pending(_) => {}
        }
        self.warn_of_odd_row(media, &row);
        if row.status != SubmissionStatus::Success || by_lookup {
            return;
        }
        let room = MOST_TASKS.saturating_sub(self.media[media as usize].named.tasks.len());
        if row.tasks.len() > room {
            let (id, count) = (&row.media, row.tasks.len());
            self.warn(format!(
                "an event names {count} tasks of media {id}: only {MOST_TASKS} of a media are followed"
            ));
            row.tasks.truncate(room);
        }
        if !row.tasks.is_empty() {
            self.media[media as usize].named_at.get_or_insert(now);
        }
        if self.name(now, media, row.tasks, &row.urls) {
            self.naming_changed(now, media);
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
        } else if entry.without_event == 0 && entry.unconfirmed > 0 {
            self.query_now(now, job);
        }
    }

    fn query_now(&mut self, now: Moment, job: u32) {
        let entry = &self.jobs[job as usize];
        // Lookups that already follow each other keep their pace.
        if self.can_query_jobs() && !entry.is_queried && entry.lookups == 0 {
            self.plan_lookup(job, now);
        }
    }
}
