//! Events of jobs that are not known (yet). An event may come before the submit answer that names its job.
//!
//! Bounded in number and age: the same address gets the events of the whole account.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::event::MediaRefreshEvent;
use crate::ids::JobId;
use crate::model::Moment;

/// Most events that are kept; the oldest go first.
const MOST: usize = 1_000;
/// Most bytes of URLs that are kept with them.
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// A submit answer does not take longer.
const OLDEST: Duration = Duration::from_secs(600);

#[derive(Debug, Default)]
pub(super) struct PendingEvents {
    by_job: HashMap<JobId, Vec<MediaRefreshEvent>>,
    arrivals: VecDeque<(Moment, JobId)>,
    count: usize,
    bytes: usize,
}

impl PendingEvents {
    /// Keeps an event; says how many were dropped for it. One that is here already is not kept twice: a shared queue
    /// brings the same message again and again.
    pub(super) fn keep(&mut self, now: Moment, event: MediaRefreshEvent) -> u64 {
        if self.holds(&event) {
            return 0;
        }
        self.count += 1;
        self.bytes += weight(&event);
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
                self.bytes -= weight(&event);
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

    /// Whether the very same event is kept already.
    pub(super) fn holds(&self, event: &MediaRefreshEvent) -> bool {
        self.by_job.get(&event.job).is_some_and(|events| events.contains(event))
    }

    /// Takes the events of a job that has become known.
    pub(super) fn take(&mut self, job: &JobId) -> Vec<MediaRefreshEvent> {
        let events = self.by_job.remove(job).unwrap_or_default();
        self.count -= events.len();
        self.bytes -= events.iter().map(weight).sum::<usize>();
        events
    }

    /// The job whose events carry this mark; of several the one that came first.
    pub(super) fn job_of(&self, is_marked: impl Fn(&MediaRefreshEvent) -> bool) -> Option<JobId> {
        let is_marked =
            |job: &&JobId| self.by_job.get(*job).is_some_and(|events| events.iter().any(&is_marked));
        self.arrivals.iter().map(|(_, job)| job).find(is_marked).cloned()
    }

    /// Drops them all: no job can become known any more. Says how many there were.
    pub(super) fn clear(&mut self) -> u64 {
        let count = self.count as u64;
        *self = Self::default();
        count
    }
}

fn weight(event: &MediaRefreshEvent) -> usize {
    event.row.as_ref().map_or(0, |row| row.urls.len() + 64 * row.tasks.len())
}
