//! How a run begins: from a request, from jobs of others, or from the journal.

use std::time::Duration;

use super::Driver;
use super::diary::Diary;
use super::ending::LOST;
use crate::auth::preview::KeyMark;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::RunId;
use crate::journal::{Order, RunRecord, StoredRun};
use crate::run::batch::{self, Batch};
use crate::run::ledger::{Ledger, Moment, Settings};
use crate::run::request::LookupAfter;
use crate::run::{RefreshRequest, Refresher, Report, WaitRequest};

/// Wait for an event before a job is looked up, unless told otherwise.
const LOOKUP_AFTER: Duration = Duration::from_secs(15);

pub(in crate::run) async fn refresh(refresher: &Refresher, request: &RefreshRequest) -> Result<Report> {
    let run = RunId::fresh();
    batch::check(request, &run)?;
    begin(refresher, run, Order::Refresh(request.clone())).await
}

pub(in crate::run) async fn wait(refresher: &Refresher, request: &WaitRequest) -> Result<Report> {
    begin(refresher, RunId::fresh(), Order::Wait(request.clone())).await
}

async fn begin(refresher: &Refresher, run: RunId, order: Order) -> Result<Report> {
    // Without a credential nothing can be done: say so before anything else.
    let credential = refresher.client.credential().await?;
    let mut record = record(refresher, run, order);
    record.key = Some(KeyMark::of(&credential.key_id));
    let diary = Diary::begin(refresher, &record).await?;
    let seed = refresher.client.seed_of_a_run();
    let ledger = ledger_of(&record, Moment::after(refresher.options.timeout), seed);
    Driver::new(refresher, record, ledger, diary, Duration::ZERO).run().await
}

pub(in crate::run) async fn resume(refresher: &Refresher, stored: StoredRun, once: bool) -> Result<Report> {
    let key = KeyMark::of(&refresher.client.credential().await?.key_id);
    still_open(&stored)?;
    let diary = Diary::resume(refresher, &stored.record.run).await?;
    // Whoever drove it until now may have written more since it was loaded, or ended it.
    let mut stored = diary.reload(stored).await?;
    still_open(&stored)?;
    stored.record.options = refresher.options.clone();
    stored.record.has_events = refresher.inbox.is_some();
    let mut ledger = replayed(&stored, refresher.client.seed_of_a_run());
    drop(ledger.take_notices());
    let last = stored.facts.last().map_or(Duration::ZERO, |(at, _)| at.since_start());
    // The machine's clock may have been set back meanwhile; facts never are.
    let age =
        (refresher.client.local_time() - stored.record.started_at).to_std().unwrap_or_default().max(last);
    let begun_with = stored.record.key.clone().filter(|begun_with| *begun_with != key);
    ledger.reopen(Moment::after(age), Moment::after(age) + refresher.options.timeout, begun_with.is_some());
    let warning = begun_with.map(|begun_with| {
        format!(
            "this run was begun with access key {begun_with} and is carried on with {key}: what {key} does not find stays unfinished, for it may be another account's; resume it with the first key"
        )
    });
    let mut driver = Driver::new(refresher, stored.record, ledger, diary, age);
    driver.once = once;
    driver.warning = warning;
    driver.run().await
}

fn still_open(stored: &StoredRun) -> Result<()> {
    match stored.outcome {
        None if stored.lost => Err(Error::new(
            ErrorKind::Usage,
            format!("run {} can't be carried on: {LOST}", stored.record.run),
        )),
        None => Ok(()),
        Some(outcome) => {
            let run = &stored.record.run;
            Err(Error::new(ErrorKind::Usage, format!("run {run} has ended: {}", outcome.as_str())))
        }
    }
}

fn record(refresher: &Refresher, run: RunId, order: Order) -> RunRecord {
    RunRecord {
        run,
        started_at: refresher.client.local_time(),
        order,
        options: refresher.options.clone(),
        has_events: refresher.inbox.is_some(),
        key: None,
        settings: refresher.settings.clone(),
    }
}

pub(super) fn replayed(stored: &StoredRun, seed: u64) -> Ledger {
    let mut ledger = ledger_of(&stored.record, Moment::after(stored.record.options.timeout), seed);
    for (at, fact) in &stored.facts {
        ledger.apply(*at, fact.clone());
    }
    ledger
}

fn ledger_of(record: &RunRecord, deadline: Moment, seed: u64) -> Ledger {
    let options = &record.options;
    let task_type = match &record.order {
        Order::Refresh(request) => Some(request.task_type),
        Order::Wait(_) => None,
    };
    let default = LookupAfter::After(if record.has_events { LOOKUP_AFTER } else { Duration::ZERO });
    let mut settings = Settings::new(record.run.clone(), task_type);
    settings.has_events = record.has_events;
    settings.lookup = options.lookup_after.unwrap_or(default);
    settings.poll_first = options.poll_interval.unwrap_or(settings.poll_first);
    settings.deadline = deadline;
    settings.resubmit = options.resubmit;
    settings.outcome_wait = options.outcome_wait;
    settings.seed = seed;
    if record.key.is_none() {
        // Version 0.1.0 looked a job up once. What it knew of a run is shown as it was.
        settings.settle = Duration::ZERO;
    }
    match &record.order {
        Order::Refresh(request) => Ledger::for_batches(settings, Batch::split(&request.media)),
        Order::Wait(request) => Ledger::for_jobs(settings, request),
    }
}
