//! A run as the journal holds it becomes a ledger again.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::model::{LookupAfter, Moment, Order, RunRecord, StoredRun};
use crate::run::batch::{Batch, UrlBatch};
use crate::run::ledger::{Ledger, Settings};
use crate::vod::TaskType;

/// What is said of a run whose journal failed.
pub(super) const LOST: &str = "the journal failed in mid-run and does not know everything that was submitted";
/// A job is queried at the latest so long after its submission where events may come first, unless told otherwise.
const LOOKUP_AFTER: Duration = Duration::from_secs(15);

/// No run is longer: the service forgets tasks after three days.
const LONGEST_POLL_INTERVAL: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Checks that a stored run can be carried on.
pub(super) fn still_open(stored: &StoredRun) -> Result<()> {
    let run = &stored.record.run;
    let message = match stored.outcome {
        None if stored.lost => format!("run {run} can't be carried on: {LOST}"),
        None => return Ok(()),
        Some(outcome) => format!("run {run} has ended: {}", outcome.as_str()),
    };
    Err(Error::new(ErrorKind::Usage, message))
}

/// The ledger of a stored run, with all of its facts.
pub(super) fn replayed(stored: &StoredRun, seed: u64) -> Ledger {
    let mut ledger = ledger_of(&stored.record, Moment::after(stored.record.options.timeout), seed);
    for (at, fact) in &stored.facts {
        ledger.apply(*at, fact.clone());
    }
    ledger
}

/// The ledger of a run of which nothing is known yet.
pub(super) fn ledger_of(record: &RunRecord, deadline: Moment, seed: u64) -> Ledger {
    let options = &record.options;
    let task_type = match &record.order {
        Order::Refresh(request) => Some(request.task_type),
        Order::Urls(request) => Some(request.task_type),
        Order::Wait(_) => None,
    };
    let default = LookupAfter::After(if record.has_events { LOOKUP_AFTER } else { Duration::ZERO });
    let mut settings = Settings::new(record.run.clone(), task_type);
    settings.has_events = record.has_events;
    settings.lookup = options.lookup_after.unwrap_or(default);
    let first = options.poll_interval.map(|first| first.min(LONGEST_POLL_INTERVAL));
    settings.poll_first = first.unwrap_or(settings.poll_first);
    if record.then_preload() {
        let preload = Settings::new(record.run.clone(), Some(TaskType::Preload));
        let first = first.unwrap_or(preload.poll_first);
        settings.preload_polls = Some((first, preload.poll_cap.max(first)));
    }
    settings.deadline = deadline;
    settings.resubmit = options.resubmit;
    settings.outcome_wait = options.outcome_wait;
    settings.seed = seed;
    if record.key.is_none() {
        // Version 0.1.0 queried a job once. What it knew of a run is shown as it was.
        settings.settle = Duration::ZERO;
    }
    match &record.order {
        Order::Refresh(request) => Ledger::for_batches(settings, Batch::split(&request.media)),
        Order::Wait(request) => Ledger::for_jobs(settings, request),
        Order::Urls(request) => Ledger::for_urls(settings, UrlBatch::split(request)),
    }
}
