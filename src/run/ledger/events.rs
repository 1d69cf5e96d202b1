//! Events: hints that start the polls of tasks, until a lookup confirms them.

use std::time::Duration;

use super::media::failure_of;
use super::rows::{BatchState, EventSeen};
use super::state::Ledger;
use crate::event::{MOST_TASKS, MediaRefreshEvent};
use crate::ids::TaskId;
use crate::model::Moment;
use crate::run::observer::Notice;
use crate::run::table::{BatchIndex, JobIndex, MediaIndex};
use crate::vod::{JobRow, SubmissionStatus};

/// How many media a job of others has is not known: its events are in when none came for so long.
const QUIET: Duration = Duration::from_secs(2);
/// Events of one media are dropped once 256 KiB of them were taken, far more than a usual one has. What an event of a known sender
/// says replaces them, and the count begins anew.
const BYTES_OF_A_MEDIA: usize = 256 * 1024;
/// What events of unknown senders may come to in all: so much, and a few usual events for each media.
const BYTES_OF_STRANGERS: usize = 16 * 1024 * 1024;
const BYTES_OF_STRANGERS_A_MEDIA: usize = 16 * 1024;
/// Most warnings that events and lookups differ.
const MOST_DIFFERENCES: u64 = 5;
/// Most media of one job that events may name. The service takes 20 with one call.
const MOST_MEDIA_OF_A_JOB: usize = 100;

impl Ledger {
    pub(super) fn event(&mut self, now: Moment, event: MediaRefreshEvent) {
        if let Some(&job) = self.jobs_by_id.get(&event.job) {
            return self.event_of_job(now, job, event);
        }
        if self.open_batches == 0 {
            self.events.foreign += 1;
            return;
        }
        let (batch, job) = (self.marked_batch(&event), event.job.clone());
        self.events.foreign += self.pending_events.keep(now, event, batch.map(BatchIndex::number));
        // The mark of a batch whose answer got lost tells of the answer.
        if let Some(batch) = batch.filter(|batch| self.batches[*batch].state == BatchState::Unknown) {
            self.adopt(now, batch, job);
        }
    }

    /// The batch of this run whose mark an event carries.
    fn marked_batch(&self, event: &MediaRefreshEvent) -> Option<BatchIndex> {
        let mark = event.correlation.as_ref().filter(|mark| mark.run == self.settings.run)?;
        Some(BatchIndex::new(mark.batch)).filter(|batch| self.batches.get(*batch).is_some())
    }

    /// Whether an event is worth writing down: after a break it would tell something. What it tells of a media is written once.
    pub(super) fn is_event_news(&self, event: &MediaRefreshEvent) -> bool {
        let Some(&job) = self.jobs_by_id.get(&event.job) else {
            return self.open_batches > 0
                && self.pending_events.is_news(event, self.marked_batch(event).map(BatchIndex::number));
        };
        // Without a media it is a hint to query the job, which is done after a break anyway.
        let Some(row) = &event.row else { return false };
        match self.media_by_id.get(&(job, row.media.clone())) {
            Some(&media) => self.adds_anything(media, event),
            None => self.may_add_media(job, event),
        }
    }

    /// Whether an event may name one more media of a job. Anybody may have sent it: where lookups tell which media the job has,
    /// they decide.
    fn may_add_media(&self, job: JobIndex, event: &MediaRefreshEvent) -> bool {
        let entry = &self.jobs[job];
        entry.is_open() && (event.signed || !self.can_query_jobs()) && entry.media.len() < MOST_MEDIA_OF_A_JOB
    }

    /// An event of one of our jobs: a hint that starts the polls of its tasks.
    fn event_of_job(&mut self, now: Moment, job: JobIndex, event: MediaRefreshEvent) {
        let Some(row) = &event.row else {
            // It names no media: all it tells is that a lookup is worth while.
            return self.query_now(now, job);
        };
        let is_known = self.media_by_id.contains_key(&(job, row.media.clone()));
        if !is_known && self.jobs[job].is_open() && !self.may_add_media(job, &event) {
            return self.query_now(now, job);
        }
        let Some(media) = self.media_of_job(job, &row.media) else {
            self.events.foreign += 1;
            return;
        };
        let entry = &mut self.media[media];
        if entry.event_seen.is_none() {
            entry.event_seen = Some(Box::new(EventSeen::new(event.source, false)));
            self.events.accepted += 1;
            let (job_id, media_id, source) = (event.job.clone(), row.media.clone(), event.source);
            self.notices.push(Notice::EventReceived { job_id, media_id, source });
        } else {
            self.events.repeated += 1;
        }
        let is_news = self.adds_anything(media, &event);
        if is_news {
            self.take_event(now, media, event);
        }
        if self.can_query_jobs() {
            return self.confirm_when_in(now, job);
        }
        let entry = &self.media[media];
        if entry.is_silent()
            || !entry.is_confirmed() && entry.event_seen.as_deref().is_some_and(|seen| seen.signed)
        {
            self.trust_event(now, media, &format!("not confirmed by a lookup: {}", self.why_no_lookups()));
        }
        // What says nothing new does not hold the job open, however often it comes.
        if self.jobs[job].is_open() && (is_news || !is_known) {
            self.jobs[job].changed_at = now;
            self.lookup_queue.plan(job, now + self.settings.close);
        }
    }

    /// Whether an event says more of a media than is known.
    ///
    /// Events of unknown senders are taken together until the first one of a known sender counts, and none after it. What a later
    /// event adds can keep a media from being complete, and never ends it well by itself: headers that were captured prove
    /// nothing about another body. None counts once a lookup has settled the question.
    pub(super) fn adds_anything(&self, media: MediaIndex, event: &MediaRefreshEvent) -> bool {
        let entry = &self.media[media];
        let seen = entry.event_seen.as_deref();
        let is_decided = entry.is_confirmed() && seen.is_none_or(|seen| seen.trusted_over.is_none());
        let Some(row) = event.row.as_ref().filter(|_| !is_decided) else { return false };
        seen.is_none_or(|seen| match (seen.signed, event.signed) {
            (true, false) => false,
            (false, true) => true,
            _ => seen.bytes < BYTES_OF_A_MEDIA && self.is_more(media, seen, row),
        }) && (event.signed || self.has_room_for_strangers(event))
    }

    /// Whether a row of an event tells what those before it, of such a sender, did not.
    fn is_more(&self, media: MediaIndex, seen: &EventSeen, row: &JobRow) -> bool {
        let named = &self.media[media].named;
        let is_named =
            |id: &TaskId| self.tasks.find(id).is_some_and(|task| self.tasks[task].owners.contains(&media));
        let names_more = || {
            named.tasks.len() < MOST_TASKS && !row.tasks.iter().all(is_named)
                || named.urls.len() < MOST_TASKS && !row.urls.iter().all(|url| named.urls.holds(url))
                || row.unread.is_some() && !seen.is_unread
        };
        match row.status {
            // One that said nothing certain is not made certain by another with the same headers.
            _ if seen.signed && !seen.success && seen.failure.is_none() => false,
            SubmissionStatus::Success => !seen.success || names_more(),
            SubmissionStatus::Fail => seen.failure.is_none(),
            SubmissionStatus::Pending(_) => false,
        }
    }

    /// Whether events of unknown senders have left room for another one.
    fn has_room_for_strangers(&self, event: &MediaRefreshEvent) -> bool {
        let room = BYTES_OF_STRANGERS + BYTES_OF_STRANGERS_A_MEDIA * self.media.len();
        self.events.bytes_of_strangers + event.weight() <= room
    }

    fn take_event(&mut self, now: Moment, media: MediaIndex, event: MediaRefreshEvent) {
        let (source, signed, bytes) = (event.source, event.signed, event.weight());
        let Some(mut row) = event.row else { return };
        if !signed {
            self.events.bytes_of_strangers += bytes;
        }
        let entry = &mut self.media[media];
        let by_lookup = entry.named.by_lookup;
        if signed && entry.event_seen.as_deref().is_none_or(|seen| !seen.signed) {
            // What others had said counts no more.
            self.withdraw_trust(media);
            self.media[media].event_seen = None;
            if !by_lookup {
                self.media[media].named.urls = Default::default();
                self.detach(media, |_| true);
            }
        }
        let entry = &mut self.media[media];
        let seen = entry.event_seen.get_or_insert_with(|| Box::new(EventSeen::new(source, signed)));
        (seen.source, seen.signed) = (source, signed);
        seen.bytes += bytes;
        seen.is_unread |= row.unread.is_some();
        let named_nothing = seen.success && entry.named.tasks.is_empty() && entry.named.urls.is_empty();
        match row.status {
            SubmissionStatus::Success => {
                seen.is_disputed |= seen.failure.is_some() || named_nothing;
                seen.success = true;
            }
            SubmissionStatus::Fail => {
                seen.is_disputed |= seen.success;
                seen.failure.get_or_insert_with(|| failure_of(&row));
            }
            SubmissionStatus::Pending(_) => {}
        }
        if !seen.is_conclusive() {
            self.withdraw_trust(media);
        }
        let entry = &self.media[media];
        let named = &entry.named;
        row.tasks.truncate(MOST_TASKS.saturating_sub(named.tasks.len()));
        row.urls.truncate(MOST_TASKS.saturating_sub(named.urls.len()));
        self.warn_of_odd_event(media, &row);
        if row.status != SubmissionStatus::Success || by_lookup {
            return self.naming_changed(now, media);
        }
        if !row.tasks.is_empty() {
            self.media[media].named_at.get_or_insert(now);
        }
        self.name(now, media, row.tasks, &row.urls);
        self.naming_changed(now, media);
    }

    /// What events said of a media is not the truth any more.
    fn withdraw_trust(&mut self, media: MediaIndex) {
        let entry = &mut self.media[media];
        if let Some(before) = entry.event_seen.as_deref_mut().and_then(|seen| seen.trusted_over.take()) {
            (entry.named.certainty, entry.refused) = (before, None);
        }
    }

    /// Warns, once a run, of an event that could not be read or taken whole, and of a status that nobody knows. Who can send one
    /// can send thousands.
    fn warn_of_odd_event(&mut self, media: MediaIndex, row: &JobRow) {
        let (job, id) = (self.job_of(media), &row.media);
        if let SubmissionStatus::Pending(Some(word)) = &row.status
            && !std::mem::replace(&mut self.events.has_warned_of_status, true)
        {
            self.warn(format!("an event about media {id} of job {job} has the status `{word}`: waiting for a lookup, or another event"));
        }
        if let Some(unread) = &row.unread
            && !std::mem::replace(&mut self.events.has_warned_of_unread, true)
        {
            self.warn(format!("an event about media {id} of job {job} can't be taken whole: {unread}; a lookup of the job decides, and further events like it are not named"));
        }
    }

    /// Warns of an event that a lookup did not bear out; of the first few, since strangers may have sent one for each media.
    pub(super) fn warn_of_difference(&mut self, message: String) {
        let no_more = "more events differ from lookups, and are not named any more: are they signed?";
        self.events.differing += 1;
        match self.events.differing - 1 {
            ..MOST_DIFFERENCES => self.warn(message),
            MOST_DIFFERENCES => self.warn(no_more.to_owned()),
            _ => {}
        }
    }

    /// Plans the one lookup that confirms a job, once its events are in.
    fn confirm_when_in(&mut self, now: Moment, job: JobIndex) {
        let entry = &self.jobs[job];
        if entry.is_open() {
            let quiet = now + QUIET;
            if entry.lookups == 0 && self.lookup_queue.due(job).is_some_and(|due| due > quiet) {
                self.lookup_queue.plan(job, quiet);
            }
        } else if self.in_job(job).all(|media| media.event_seen.is_some()) && self.is_unconfirmed(job) {
            self.query_now(now, job);
        }
    }

    /// Looks a job up for the first time. Lookups that already follow each other keep their pace.
    fn query_now(&mut self, now: Moment, job: JobIndex) {
        let (entry, due) = (&self.jobs[job], self.lookup_queue.due(job));
        if entry.lookups == 0 && !entry.is_queried && due.is_none_or(|due| due > now) && self.can_query_jobs()
        {
            self.lookup_queue.plan(job, now);
        }
    }
}
