//! Events: hints that start the looks at tasks, until a lookup confirms them.

use std::time::Duration;

use super::media::{failure_of, one_url_a_task};
use super::rows::{Heard, domains};
use super::{Ledger, Moment};
use crate::event::MediaRefreshEvent;
use crate::ids::JobId;
use crate::run::observer::Notice;
use crate::vod::SubmissionStatus;

/// How many media a job of others has is not known: its events are in when none came for so long.
const QUIET: Duration = Duration::from_secs(2);

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
                domains(&row.urls.join(",")).for_each(|domain| self.listing.narrowing.learn_domain(domain));
                entry.urls = row.urls.join(",").into();
            }
            if !row.tasks.is_empty() {
                entry.named_at.get_or_insert(now);
            }
            for task in row.tasks {
                self.attach(now, media, task);
            }
        }
        if self.can_look_up() {
            self.confirm_when_in(now, job);
        } else {
            let why = format!("not confirmed by a lookup: {}", self.why_no_lookups());
            self.stand_on_event(media, &why);
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
