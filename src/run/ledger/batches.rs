//! Batches: planned, sent, answered, lost, given up.

use std::time::Duration;

use super::rows::{BatchEntry, BatchState};
use super::settings::Settings;
use super::state::Ledger;
use super::work::Work;
use crate::error::ErrorKind;
use crate::ids::{JobId, MediaId, RequestId};
use crate::model::{Fact, Fault, MediaState, Moment, ReportedError, code};
use crate::run::batch::Batch;
use crate::run::observer::Notice;
use crate::run::table::{BatchIndex, MediaIndex};

/// A batch whose answer got lost so often is given up: something is wrong that sending does not mend.
const MOST_LOST: u32 = 3;
/// Pause before a batch is sent again where no event can tell.
const RESEND_PAUSE: Duration = Duration::from_secs(1);

impl Ledger {
    pub(super) fn plan(&mut self, batch: Batch, at: Moment) {
        let first_media = self.media.next();
        for id in &batch.media {
            self.add_media(id.clone(), batch.urls.as_ref().map_or(0, |urls| urls.urls.len() as u32));
        }
        self.open_batches += 1;
        let batch = self.batches.push(BatchEntry {
            batch,
            first_media,
            state: BatchState::Planned,
            lost: 0,
            sent_at: None,
            searches: 0,
            fault: None,
        });
        self.submit_queue.plan(batch, at);
    }

    /// A batch that was neither answered nor given up.
    pub(super) fn open_batch(&mut self, batch: u32) -> Option<(BatchIndex, &mut BatchEntry)> {
        let batch = BatchIndex::new(batch);
        let entry = self.batches.get_mut(batch).filter(|entry| entry.state != BatchState::Done)?;
        Some((batch, entry))
    }

    /// Hands a batch out. One with an unknown outcome is sent again, or given up where that is not wanted.
    pub(super) fn take_batch(&mut self, batch: BatchIndex) -> Work {
        let entry = &self.batches[batch];
        if entry.state == BatchState::Unknown {
            if let Some(search) = self.search_for(batch) {
                return search;
            }
            if !self.settings.resubmit || entry.lost >= MOST_LOST {
                let fault = entry.fault.clone().unwrap_or_else(|| outcome_unknown("no answer came"));
                return Work::Apply(Fact::NotSubmitted { batch: batch.number(), fault });
            }
            let media = entry.batch.count();
            if let Some(task_type) = self.task_type_of(batch.number()) {
                self.notices.push(Notice::Resubmitting { media, task_type });
            }
        }
        self.batches[batch].state = BatchState::Sending;
        Work::Submit { batch: batch.number() }
    }

    pub(super) fn submitting(&mut self, now: Moment, batch: u32) {
        if let Some((batch, entry)) = self.open_batch(batch) {
            entry.sent_at.get_or_insert(now);
            entry.state = BatchState::Sending;
            self.submit_queue.cancel(batch);
        }
    }

    pub(super) fn withdrawn(&mut self, now: Moment, batch: u32) {
        if let Some((batch, entry)) = self.open_batch(batch).filter(|(_, b)| b.state == BatchState::Sending) {
            entry.state = BatchState::Planned;
            self.submit_queue.plan(batch, now);
        }
    }

    pub(super) fn submitted(
        &mut self,
        now: Moment,
        batch: u32,
        job: Option<JobId>,
        not_found: &[String],
        forbidden: &[String],
        request_id: Option<RequestId>,
    ) {
        let Some(batch) = self.close_batch(batch) else { return };
        let known = job.as_ref().map(|id| self.job_submitted(now, id));
        let (mut missing, mut denied) = (0, 0);
        for media in self.media_of(batch) {
            let id = self.media[media].id.clone();
            let listed = |list: &[String]| list.iter().any(|text| text == id.as_str());
            self.progress.submitted += self.media[media].weight();
            let (state, code, why) = if listed(not_found) {
                missing += 1;
                (MediaState::NotFound, code::NOT_EXISTING, "the service does not know this media")
            } else if listed(forbidden) {
                denied += 1;
                (MediaState::Forbidden, code::FORBIDDEN, "these credentials may not use this media")
            } else if let Some(job) = known.filter(|job| !self.has_refreshed(*job, &id)) {
                self.join(job, media);
                continue;
            } else {
                let why = match known {
                    None => "the answer gives no job id for it: it is not known whether the service took it",
                    Some(_) => {
                        "the answer gives the job id of its refresh: it is not known whether the service took its preload"
                    }
                };
                (MediaState::NotSubmitted, code::OUTCOME_UNKNOWN, why)
            };
            let error = ReportedError { request_id: request_id.clone(), ..ReportedError::new(code, why) };
            self.refuse(now, media, state, error);
        }
        self.notices.push(Notice::Submitted {
            job_id: job.clone(),
            media: self.batches[batch].batch.count(),
            not_found: missing,
            forbidden: denied,
            request_id,
        });
        if let (Some(id), Some(job)) = (job, known) {
            self.begin_waiting(now, job);
            for event in self.pending_events.take(&id) {
                self.event(now, event);
            }
        }
        self.drop_pending_events();
    }

    pub(super) fn not_submitted(&mut self, now: Moment, batch: u32, fault: &Fault) {
        if !self.cut_refused_urls(now, batch, fault) {
            self.give_up_batch(now, batch, fault);
        }
    }

    fn give_up_batch(&mut self, now: Moment, batch: u32, fault: &Fault) {
        let Some(batch) = self.close_batch(batch) else { return };
        for media in self.media_of(batch) {
            self.refuse(now, media, MediaState::NotSubmitted, fault.error.clone());
        }
        let media_ids = self.media_ids(self.media_of(batch));
        let entry = &mut self.batches[batch];
        entry.fault = Some(fault.clone());
        let media = entry.batch.count();
        self.notices.push(Notice::NotSubmitted { media, media_ids, error: fault.error.clone() });
        self.drop_pending_events();
    }

    pub(super) fn outcome_unknown(&mut self, now: Moment, batch: u32, fault: &Fault) {
        let Settings { has_events, outcome_wait, resubmit, .. } = self.settings;
        let Some((batch, entry)) = self.open_batch(batch) else { return };
        entry.state = BatchState::Unknown;
        // That we were killed says nothing against sending it.
        entry.lost = if *fault == Fault::run_ended() { 0 } else { entry.lost + 1 };
        let why = format!("it is not known whether the service took it: {}", fault.error.message);
        entry.fault = Some(Fault { kind: fault.kind, ..outcome_unknown(&why) });
        entry.searches = 0;
        let can_be_told = has_events && entry.batch.urls.is_none();
        let waiting = if can_be_told { outcome_wait } else { Duration::ZERO };
        let is_sent_again = resubmit && entry.lost < MOST_LOST;
        let pause = if is_sent_again { waiting.max(RESEND_PAUSE * entry.lost.max(1)) } else { waiting };
        let (media, error) = (entry.batch.count(), fault.error.clone());
        self.notices.push(Notice::OutcomeUnknown { media, error, waiting_s: waiting.as_secs() });
        self.submit_queue.plan(batch, now + pause);
        if let Some(job) = self.pending_events.job_of(batch.number()) {
            self.adopt(now, batch, job);
        }
    }

    /// An event carried the mark of a batch whose answer got lost: the batch was taken, as this job.
    pub(super) fn adopt(&mut self, now: Moment, batch: BatchIndex, job: JobId) {
        let media = self.batches[batch].batch.count();
        self.notices.push(Notice::OutcomeLearned { job_id: job.clone(), media });
        self.submitted(now, batch.number(), Some(job), &[], &[], None);
    }

    pub(super) fn halted(&mut self, now: Moment, fault: &Fault) {
        for batch in self.batches.indices() {
            let entry = &self.batches[batch];
            let fault = match entry.state {
                BatchState::Planned => fault.clone(),
                BatchState::Unknown => entry.fault.clone().unwrap_or_else(|| fault.clone()),
                // Its own answer decides.
                BatchState::Sending | BatchState::Done => continue,
            };
            // Whole: the fault is not about its content.
            self.give_up_batch(now, batch.number(), &fault);
        }
    }

    /// Whether there were batches to submit and certainly none of them was taken.
    pub(crate) fn nothing_was_submitted(&self) -> bool {
        let was_not_taken = |entry: &BatchEntry| {
            entry.lost == 0 && (entry.state == BatchState::Planned || entry.fault.is_some())
        };
        !self.batches.is_empty() && self.jobs.is_empty() && self.batches.iter().all(was_not_taken)
    }

    /// Why batches were given up, the first reason first.
    pub(crate) fn submit_faults(&self) -> impl Iterator<Item = &Fault> {
        self.batches.iter().filter_map(|entry| entry.fault.as_ref())
    }

    /// Marks a batch as answered; `None` if it was before.
    pub(super) fn close_batch(&mut self, batch: u32) -> Option<BatchIndex> {
        let (batch, entry) = self.open_batch(batch)?;
        (entry.state, entry.fault) = (BatchState::Done, None);
        self.submit_queue.cancel(batch);
        self.open_batches -= 1;
        Some(batch)
    }

    pub(super) fn media_of(&self, batch: BatchIndex) -> impl Iterator<Item = MediaIndex> + use<> {
        let entry = &self.batches[batch];
        entry.first_media.and_next(entry.batch.media.len())
    }

    /// The ids of these media, each once; none of those that stand for batches of URLs.
    pub(super) fn media_ids(&self, media: impl IntoIterator<Item = MediaIndex>) -> Vec<MediaId> {
        let entries = media.into_iter().map(|media| &self.media[media]).filter(|entry| entry.urls == 0);
        let mut ids: Vec<MediaId> = entries.map(|entry| entry.id.clone()).collect();
        // Of two stages the same media has an entry each.
        ids.dedup();
        ids
    }

    /// Events of unknown jobs are kept while a submit answer may still name their job.
    fn drop_pending_events(&mut self) {
        if self.open_batches == 0 {
            self.events.foreign += self.pending_events.clear();
        }
    }
}

fn outcome_unknown(message: &str) -> Fault {
    Fault::new(ErrorKind::Unavailable, code::OUTCOME_UNKNOWN, message)
}
