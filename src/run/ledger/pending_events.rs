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
    /// As they came. A job's are found by looking through them all: they are few.
    events: VecDeque<(Moment, MediaRefreshEvent)>,
    bytes: usize,
    /// The job of which an event with the mark of a batch told first. It outlives the event.
    by_batch: HashMap<u32, JobId>,
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
        self.bytes += event.weight();
        self.events.push_back((now, event));
        let mut dropped = 0;
        while let Some((arrived, event)) = self.events.front()
            && (self.events.len() > MOST || self.bytes > MOST_BYTES || now.since(*arrived) > OLDEST)
        {
            self.bytes -= event.weight();
            self.events.pop_front();
            dropped += 1;
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
        self.events.iter().any(|(_, kept)| kept == event)
    }

    /// Takes the events of a job that has become known.
    pub(super) fn take(&mut self, job: &JobId) -> Vec<MediaRefreshEvent> {
        let (taken, kept) =
            std::mem::take(&mut self.events).into_iter().partition(|(_, event)| event.job == *job);
        self.events = kept;
        let taken: Vec<_> = VecDeque::into_iter(taken).map(|(_, event)| event).collect();
        self.bytes -= taken.iter().map(MediaRefreshEvent::weight).sum::<usize>();
        taken
    }

    /// The job whose events carry the mark of a batch; of several the one that came first.
    pub(super) fn job_of(&self, batch: u32) -> Option<JobId> {
        self.by_batch.get(&batch).cloned()
    }

    /// Drops them all: no job can become known any more. Says how many there were.
    pub(super) fn clear(&mut self) -> u64 {
        std::mem::take(self).events.len() as u64
    }
}
