//! Batches: planned, sent, answered, lost, given up.

use std::time::Duration;

use super::rows::{BatchEntry, BatchState};
use super::state::Ledger;
use super::work::Work;
use crate::error::ErrorKind;
use crate::ids::{JobId, MediaId, RequestId};
use crate::model::{Fact, Fault, MediaState, Moment, ReportedError, code};
use crate::run::batch::Batch;
use crate::run::observer::Notice;

/// A batch whose answer got lost so often is given up: something is wrong that sending does not mend.
const MOST_LOST: u32 = 3;
/// Pause before a batch is sent again where no event can tell.
const RESEND_PAUSE: Duration = Duration::from_secs(1);

impl Ledger {
    pub(super) fn plan(&mut self, batch: Batch, at: Moment) {
        let number = self.batches.len() as u32;
        let first_media = self.media.len() as u32;
        for id in &batch.media {
            self.add_media(id.clone(), batch.urls.as_ref().map_or(0, |urls| urls.urls.len() as u32));
        }
        self.open_batches += 1;
        self.batches.push(BatchEntry {
            batch,
            first_media,
            state: BatchState::Planned,
            due: None,
            lost: 0,
            sent_at: None,
            searches: 0,
            fault: None,
        });
        self.plan_batch(number, at);
    }

    /// Hands a batch out. One with an unknown outcome is sent again, or given up where that is not wanted.
    pub(super) fn take_batch(&mut self, number: u32) -> Work {
        let entry = &mut self.batches[number as usize];
        entry.due = None;
        if entry.state == BatchState::Unknown {
            if let Some(search) = self.search_for(number) {
                return search;
            }
            let entry = &mut self.batches[number as usize];
            if !self.settings.resubmit || entry.lost >= MOST_LOST {
                let fault = entry.fault.clone().unwrap_or_else(|| outcome_unknown("no answer came"));
                return Work::Apply(Fact::NotSubmitted { batch: number, fault });
            }
            let media = entry.batch.count();
            if let Some(task_type) = self.task_type_of(number) {
                self.notices.push(Notice::Resubmitting { media, task_type });
            }
        }
        let entry = &mut self.batches[number as usize];
        entry.state = BatchState::Sending;
        Work::Submit { batch: number }
    }

    pub(super) fn submitting(&mut self, now: Moment, number: u32) {
        if let Some(entry) = self.batches.get_mut(number as usize).filter(|b| b.state != BatchState::Done) {
            entry.sent_at.get_or_insert(now);
            entry.state = BatchState::Sending;
            entry.due = None;
        }
    }

    pub(super) fn withdrawn(&mut self, now: Moment, number: u32) {
        if let Some(entry) = self.batches.get_mut(number as usize).filter(|b| b.state == BatchState::Sending)
        {
            entry.state = BatchState::Planned;
            self.plan_batch(number, now);
        }
    }

    pub(super) fn submitted(
        &mut self,
        now: Moment,
        number: u32,
        job: Option<JobId>,
        not_found: &[String],
        forbidden: &[String],
        request_id: Option<RequestId>,
    ) {
        if !self.close_batch(number) {
            return;
        }
        let job_number = job.clone().map(|id| self.job_number(now, id));
        if let Some(job) = job_number {
            self.jobs[job as usize].submitted_at.get_or_insert(now);
        }
        let (mut missing, mut denied) = (0, 0);
        for media in self.media_of(number) {
            let id = self.media[media as usize].id.clone();
            let listed = |list: &[String]| list.iter().any(|text| text == id.as_str());
            self.progress.submitted += self.media[media as usize].weight();
            if listed(not_found) {
                missing += 1;
                let error = ReportedError::new(code::NOT_EXISTING, "the service does not know this media");
                self.refuse(now, media, MediaState::NotFound, with_request(error, &request_id));
            } else if listed(forbidden) {
                denied += 1;
                let error = ReportedError::new(code::FORBIDDEN, "these credentials may not use this media");
                self.refuse(now, media, MediaState::Forbidden, with_request(error, &request_id));
            } else if let Some(job) = job_number.filter(|job| !self.has_refreshed(*job, &id)) {
                self.join(job, media);
            } else {
                let error = ReportedError::new(
                    code::NO_JOB_ID,
                    "the service took the call and gave no job id for it",
                );
                self.refuse(now, media, MediaState::NotSubmitted, with_request(error, &request_id));
            }
        }
        self.notices.push(Notice::Submitted {
            job_id: job.clone(),
            media: self.batches[number as usize].batch.count(),
            not_found: missing,
            forbidden: denied,
            request_id,
        });
        if let (Some(job), Some(number)) = (job, job_number) {
            self.begin_waiting(now, number);
            self.apply_pending_events(now, &job);
        }
        self.drop_pending_events();
    }

    pub(super) fn not_submitted(&mut self, now: Moment, number: u32, fault: &Fault) {
        if self.cut_refused_urls(now, number, fault) || !self.close_batch(number) {
            return;
        }
        for media in self.media_of(number) {
            self.refuse(now, media, MediaState::NotSubmitted, fault.error.clone());
        }
        let media_ids = self.media_ids(self.media_of(number));
        let entry = &mut self.batches[number as usize];
        entry.fault = Some(fault.clone());
        let media = entry.batch.count();
        self.notices.push(Notice::NotSubmitted { media, media_ids, error: fault.error.clone() });
        self.drop_pending_events();
    }

    pub(super) fn outcome_unknown(&mut self, now: Moment, number: u32, fault: &Fault) {
        let Some(entry) = self.batches.get_mut(number as usize).filter(|b| b.state != BatchState::Done)
        else {
            return;
        };
        entry.state = BatchState::Unknown;
        // That we were killed says nothing against sending it.
        entry.lost = if *fault == Fault::run_ended() { 0 } else { entry.lost + 1 };
        entry.fault = Some(Fault {
            kind: fault.kind,
            ..outcome_unknown(&format!(
                "it is not known whether the service took it: {}",
                fault.error.message
            ))
        });
        let is_of_urls = entry.batch.urls.is_some();
        entry.searches = 0;
        let waiting = match self.settings.has_events && !is_of_urls {
            true => self.settings.outcome_wait,
            false => Duration::ZERO,
        };
        let resend = self.settings.resubmit && entry.lost < MOST_LOST;
        let pause = if resend { waiting.max(RESEND_PAUSE * entry.lost.max(1)) } else { waiting };
        self.notices.push(Notice::OutcomeUnknown {
            media: entry.batch.count(),
            error: fault.error.clone(),
            waiting_s: waiting.as_secs(),
        });
        self.plan_batch(number, now + pause);
        if let Some(job) = self.pending_events.job_of(number) {
            self.adopt(now, number, job);
        }
    }

    /// An event carried the mark of a batch whose answer got lost: the batch was taken, as this job.
    pub(super) fn adopt(&mut self, now: Moment, number: u32, job: JobId) {
        let media = self.batches[number as usize].batch.count();
        self.notices.push(Notice::OutcomeLearned { job_id: job.clone(), media });
        self.submitted(now, number, Some(job), &[], &[], None);
    }

    /// Whether an event with this mark tells of a lost answer.
    pub(super) fn is_lost(&self, batch: u32) -> bool {
        self.batches.get(batch as usize).is_some_and(|entry| entry.state == BatchState::Unknown)
    }

    pub(super) fn halted(&mut self, now: Moment, fault: &Fault) {
        for number in 0..self.batches.len() as u32 {
            let entry = &self.batches[number as usize];
            match entry.state {
                BatchState::Planned => self.not_submitted(now, number, fault),
                BatchState::Unknown => {
                    let fault = entry.fault.clone().unwrap_or_else(|| fault.clone());
                    self.not_submitted(now, number, &fault);
                }
                // Its own answer decides.
                BatchState::Sending | BatchState::Done => {}
            }
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

    /// Marks a batch as answered; `false` if it was before.
    pub(super) fn close_batch(&mut self, number: u32) -> bool {
        let Some(entry) = self.batches.get_mut(number as usize).filter(|b| b.state != BatchState::Done)
        else {
            return false;
        };
        entry.state = BatchState::Done;
        entry.due = None;
        entry.fault = None;
        self.open_batches -= 1;
        true
    }

    pub(super) fn media_of(&self, number: u32) -> std::ops::Range<u32> {
        let entry = &self.batches[number as usize];
        entry.first_media..entry.first_media + entry.batch.media.len() as u32
    }

    /// The ids of these media, each once; none of those that stand for batches of URLs.
    pub(super) fn media_ids(&self, media: impl IntoIterator<Item = u32>) -> Vec<MediaId> {
        let entries =
            media.into_iter().map(|media| &self.media[media as usize]).filter(|entry| entry.urls == 0);
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

fn with_request(mut error: ReportedError, request_id: &Option<RequestId>) -> ReportedError {
    error.request_id.clone_from(request_id);
    error
}
