//! Events of jobs that are not known (yet). An event may come before the submit answer that names its job.
//!
//! Bounded in number, bytes and age: the same address gets the events of the whole account, and strangers may send to it.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::event::MediaRefreshEvent;
use crate::ids::JobId;
use crate::model::Moment;

/// Most events that are kept; the oldest go first.
const MOST: usize = 1_000;
/// Most bytes of memory that they take together. As many are written to the journal in all; what comes after that is kept
/// in memory alone, but for events with the run's own mark, which may take as many again.
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// A submit answer does not take longer.
const OLDEST: Duration = Duration::from_secs(600);

#[derive(Debug, Default)]
pub(super) struct PendingEvents {
    by_job: HashMap<JobId, Vec<MediaRefreshEvent>>,
    arrivals: VecDeque<(Moment, JobId)>,
    /// The job of which an event with the mark of a batch told first. It outlives the event.
    by_batch: HashMap<u32, JobId>,
    count: usize,
    bytes: usize,
    /// Bytes of all that were ever worth writing down.
    bytes_written: usize,
}

impl PendingEvents {
    /// Keeps an event, which may have the mark of a `batch` of ours; says how many were dropped for it. One that is here already
    /// is not kept twice: a shared queue brings the same message again and again.
    pub(super) fn keep(&mut self, now: Moment, event: MediaRefreshEvent, batch: Option<u32>) -> u64 {
        if self.holds(&event) {
            return 0;
        }
        if let Some(batch) = batch {
            self.by_batch.entry(batch).or_insert_with(|| event.job.clone());
        }
        if self.may_be_written(&event, batch) {
            self.bytes_written += event.weight();
        }
        self.count += 1;
        self.bytes += event.weight();
        self.arrivals.push_back((now, event.job.clone()));
        self.by_job.entry(event.job.clone()).or_default().push(event);
        let mut dropped = 0;
        while let Some((arrived, job)) = self.arrivals.front() {
            let over = self.count > MOST || self.bytes > MOST_BYTES || now.since(*arrived) > OLDEST;
            if !over {
                break;
            }
            // A job that was taken meanwhile has left its arrivals behind.
            if let Some(events) = self.by_job.get_mut(job) {
                let event = events.remove(0);
                self.bytes -= event.weight();
                self.count -= 1;
                dropped += 1;
                if events.is_empty() {
                    self.by_job.remove(job);
                }
            }
            self.arrivals.pop_front();
        }
        dropped
    }

    /// Whether an event is worth writing down.
    pub(super) fn is_news(&self, event: &MediaRefreshEvent, batch: Option<u32>) -> bool {
        self.may_be_written(event, batch) && !self.holds(event)
    }

    fn may_be_written(&self, event: &MediaRefreshEvent, batch: Option<u32>) -> bool {
        let most = if batch.is_some() { 2 * MOST_BYTES } else { MOST_BYTES };
        self.bytes_written + event.weight() <= most
    }

    /// Whether the very same event is kept already.
    fn holds(&self, event: &MediaRefreshEvent) -> bool {
        self.by_job.get(&event.job).is_some_and(|events| events.contains(event))
    }

    /// Takes the events of a job that has become known.
    pub(super) fn take(&mut self, job: &JobId) -> Vec<MediaRefreshEvent> {
        let events = self.by_job.remove(job).unwrap_or_default();
        self.count -= events.len();
        self.bytes -= events.iter().map(MediaRefreshEvent::weight).sum::<usize>();
        events
    }

    /// The job whose events carry the mark of a batch; of several the one that came first.
    pub(super) fn job_of(&self, batch: u32) -> Option<JobId> {
        self.by_batch.get(&batch).cloned()
    }

    /// Drops them all: no job can become known any more. Says how many there were.
    pub(super) fn clear(&mut self) -> u64 {
        let count = self.count as u64;
        *self = Self::default();
        count
    }
}
