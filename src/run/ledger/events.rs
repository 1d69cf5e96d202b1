//! Events: hints that start the looks at tasks, until a lookup confirms them.

use std::time::Duration;

use super::media::failure_of;
use super::rows::Heard;
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
        let Some(row) = &event.row else {
            // It names no media: all it tells is that looking up is worth while.
            return self.look_up_now(now, job);
        };
        let is_known = self.media_index.contains_key(&(job, row.media.clone()));
        if !is_known && self.jobs[job as usize].open && !event.signed && self.can_look_up() {
            // Anybody may have sent it: the lookup tells which media the job has.
            return self.look_up_now(now, job);
        }
        let Some(media) = self.media_of_job(job, &row.media) else {
            self.events.foreign += 1;
            return;
        };
        let entry = &mut self.media[media as usize];
        if entry.heard.is_none() {
            entry.heard = Some(Box::new(Heard::new(event.source, false)));
            self.events.accepted += 1;
            self.jobs[job as usize].unheard -= 1;
            self.notices.push(Notice::EventReceived {
                job_id: event.job.clone(),
                media_id: row.media.clone(),
                source: event.source,
            });
        } else {
            self.events.repeated += 1;
        }
        if self.tells_something(media, &event) {
            self.take_word(now, media, event);
        }
        if self.can_look_up() {
            self.confirm_when_in(now, job);
        } else {
            let why = format!("not confirmed by a lookup: {}", self.why_no_lookups());
            let entry = &self.media[media as usize];
            if entry.is_silent() || !entry.is_decided() && entry.has_signed_word() {
                self.stand_on_event(now, media, &why);
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
    pub(super) fn tells_something(&self, media: u32, event: &MediaRefreshEvent) -> bool {
        let entry = &self.media[media as usize];
        let Some(row) = event.row.as_ref().filter(|_| !entry.is_decided()) else { return false };
        entry.heard.as_deref().is_none_or(|heard| {
            let is_attached = |id: &TaskId| {
                let task = self.task_number(id).map(|task| &self.tasks[task as usize]);
                task.is_some_and(|task| task.owners.all().any(|owner| owner == media))
            };
            let is_news = match row.status {
                SubmissionStatus::Success => !heard.success || !row.tasks.iter().all(is_attached),
                SubmissionStatus::Fail => heard.failure.is_none(),
                SubmissionStatus::Pending(_) => false,
            };
            !heard.signed && (event.signed || is_news)
        })
    }

    fn take_word(&mut self, now: Moment, media: u32, event: MediaRefreshEvent) {
        let Some(mut row) = event.row else { return };
        let (source, signed) = (event.source, event.signed);
        let entry = &mut self.media[media as usize];
        let by_lookup = entry.named.by_lookup;
        if signed && !by_lookup {
            // What others had said counts no more.
            entry.named.urls = Default::default();
            entry.heard = None;
            self.detach(media, |_| true);
        }
        let entry = &mut self.media[media as usize];
        let heard = entry.heard.get_or_insert_with(|| Box::new(Heard::new(source, signed)));
        (heard.source, heard.signed) = (source, signed);
        heard.is_unread |= row.unread.is_some();
        match row.status {
            SubmissionStatus::Success => heard.success = true,
            SubmissionStatus::Fail => heard.failure = Some(failure_of(&row)),
            SubmissionStatus::Pending(_) => {}
        }
        self.tell_of_odd_row(media, &row);
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
}
