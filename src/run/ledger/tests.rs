//! Races as tables of facts.

mod batches;
mod events;
mod listing;
mod lookups;
mod narrow;
mod silence;
mod stages;
mod tasks;
mod verdict;
mod walks;
mod world;

use std::time::Duration;

use super::{Ledger, Settings, Slots, Work};
use crate::error::ErrorKind;
use crate::event::{Claim, Correlation, MediaRefreshEvent, Source};
use crate::ids::{JobId, MediaId, RunId, TaskId};
use crate::model::{Fact, Fault, LookupAfter, MediaState, Moment, UrlRequest, WaitRequest};
use crate::run::batch::{Batch, UrlBatch};
use crate::run::observer::Notice;
use crate::vod::{JobRow, SubmissionStatus, TaskRow, TaskStatus, TaskType};

const SLOTS: Slots = Slots { submit: 100, query_job: 100, poll_task: 100 };

fn at(seconds: u64) -> Moment {
    Moment::after(Duration::from_secs(seconds))
}

fn media(id: &str) -> MediaId {
    MediaId::new(id).unwrap()
}

fn job(id: &str) -> JobId {
    JobId::new(id).unwrap()
}

fn task(id: &str) -> TaskId {
    TaskId::new(id).unwrap()
}

fn settings(has_events: bool) -> Settings {
    let mut settings = Settings::new(RunId::new("run").unwrap(), Some(TaskType::Refresh));
    settings.has_events = has_events;
    // One lookup settles what it names, but in the tests about that.
    settings.settle = Duration::ZERO;
    if has_events {
        settings.lookup = LookupAfter::After(Duration::from_secs(15));
    }
    settings
}

fn ledger(has_events: bool, ids: &[&str]) -> Ledger {
    let ids: Vec<MediaId> = ids.iter().map(|id| media(id)).collect();
    let mut ledger = Ledger::for_batches(settings(has_events), Batch::split(&ids));
    while ledger.due(at(0), Slots { submit: 9, query_job: 0, poll_task: 0 }).is_some() {}
    ledger
}

/// One of which lookups have to say the same for three seconds, as in a real run.
fn settling(has_events: bool, ids: &[&str]) -> Ledger {
    let ids: Vec<MediaId> = ids.iter().map(|id| media(id)).collect();
    let settings = Settings { settle: Duration::from_secs(3), ..settings(has_events) };
    let mut ledger = Ledger::for_batches(settings, Batch::split(&ids));
    due(&mut ledger, at(0));
    ledger
}

fn lookups_refused() -> Fact {
    Fact::LookupsRefused { fault: Fault::new(ErrorKind::Refused, "Forbidden.RAM", "no") }
}

fn submitted(job_id: &str) -> Fact {
    Fact::Submitted {
        batch: 0,
        job: Some(job(job_id)),
        not_found: vec![],
        forbidden: vec![],
        request_id: None,
    }
}

fn row(id: &str, status: SubmissionStatus, tasks: &[&str]) -> JobRow {
    JobRow::new(media(id), status, tasks.iter().map(|id| task(id)).collect(), "")
}

fn success(id: &str, tasks: &[&str]) -> JobRow {
    row(id, SubmissionStatus::Success, tasks)
}

fn event(job_id: &str, row: JobRow) -> Fact {
    Fact::Event(Box::new(MediaRefreshEvent {
        job: job(job_id),
        row: Some(row),
        event_time: None,
        correlation: None,
        source: Source::Callback,
        signed: true,
    }))
}

/// An event of an unknown sender.
fn unsigned(job_id: &str, row: JobRow) -> Fact {
    match event(job_id, row) {
        Fact::Event(mut event) => {
            event.signed = false;
            Fact::Event(event)
        }
        other => other,
    }
}

fn looked_up(job_id: &str, rows: Vec<JobRow>) -> Fact {
    Fact::JobQueried { job: job(job_id), rows }
}

/// The job J of others.
fn of_job(settings: Settings) -> Ledger {
    Ledger::for_jobs(settings, &WaitRequest::new([job("J")]))
}

fn seen(id: &str, status: TaskStatus) -> Fact {
    Fact::TaskSeen {
        task: task(id),
        rows: vec![TaskRow::new(task(id), format!("https://a/{id}"), status)],
        total: Some(1),
    }
}

/// A task with a URL of its own, as the service shows it.
fn seen_as(object_type: &str, id: &str, status: TaskStatus) -> Fact {
    let mut row = TaskRow::new(task(id), format!("https://a/{id}"), status);
    row.object_type = Some(object_type.into());
    Fact::TaskSeen { task: task(id), rows: vec![row], total: Some(1) }
}

fn lost(batch: u32) -> Fact {
    Fact::OutcomeUnknown { batch, fault: Fault::new(ErrorKind::Unavailable, "Unavailable", "no answer") }
}

/// Applies a fact as a run does: it is written to the journal if it is news, and so is what follows from it.
fn live(ledger: &mut Ledger, journal: &mut Vec<(Moment, Fact)>, now: Moment, fact: Fact) {
    if ledger.is_news(&fact) {
        journal.push((now, fact.clone()));
    }
    ledger.apply(now, fact);
    for fact in ledger.take_follow_ups() {
        live(ledger, journal, now, fact);
    }
}

/// The ledger that a journal leads to.
fn replayed(mut ledger: Ledger, journal: &[(Moment, Fact)]) -> Ledger {
    journal.iter().for_each(|(now, fact)| ledger.apply(*now, fact.clone()));
    ledger
}

/// Applies what follows from the facts before, a word for each but for what a round of listings has shown.
fn noted(ledger: &mut Ledger, now: Moment) -> Vec<String> {
    let mut words = Vec::new();
    loop {
        let notes = ledger.take_follow_ups();
        if notes.is_empty() {
            return words;
        }
        for note in notes {
            words.extend((!matches!(note, Fact::TaskSeen { .. })).then(|| "note".to_owned()));
            ledger.apply(now, note);
        }
    }
}

/// Everything that is due at `now`, in the order it comes out.
fn due(ledger: &mut Ledger, now: Moment) -> Vec<String> {
    let mut words = noted(ledger, now);
    while let Some(work) = ledger.due(now, SLOTS) {
        words.push(match work {
            Work::Submit { batch } => format!("submit {batch}"),
            Work::FindUrls { batch, .. } => format!("find {batch}"),
            Work::QueryJob { job } => format!("query {job}"),
            Work::PollTask { task } => format!("poll {task}"),
            Work::ListTasks { page, filter: None } => format!("list page {page}"),
            Work::ListTasks { page, filter: Some(filter) } => {
                let domain = filter.domain.as_deref().unwrap_or("any");
                let status = filter.status.as_ref().map_or("any", TaskStatus::as_str);
                format!("list page {page} of {} on {domain}, {status}", filter.object_type)
            }
            Work::Apply(fact) => {
                ledger.apply(now, fact);
                "note".to_owned()
            }
        });
    }
    words
}

fn states(ledger: &Ledger) -> Vec<(String, &'static str, Option<String>)> {
    let started = chrono::DateTime::from_timestamp(0, 0).unwrap();
    let reports = ledger.media_reports(started).into_iter();
    reports
        .map(|m| {
            (m.media_id.map(String::from).unwrap_or_default(), m.state.as_str(), m.error.map(|e| e.code))
        })
        .collect()
}

fn state(ledger: &Ledger) -> (&'static str, Option<String>) {
    let (_, state, code) = states(ledger).remove(0);
    (state, code)
}

#[test]
fn the_walk_of_one_media_without_events() {
    let mut ledger = Ledger::for_batches(settings(false), Batch::split(&[media("m1")]));
    assert_eq!(due(&mut ledger, at(0)), ["submit 0"]);
    ledger.apply(at(1), submitted("J"));
    assert_eq!(due(&mut ledger, at(1)), ["query J"]);
    ledger.apply(at(2), looked_up("J", vec![success("m1", &["T1"])]));
    assert_eq!(due(&mut ledger, at(4)), ["poll T1"]);
    ledger.apply(at(4), seen("T1", TaskStatus::Refreshing));
    assert!(due(&mut ledger, at(5)).is_empty());
    assert_eq!(due(&mut ledger, at(7)), ["poll T1"]);
    assert!(!ledger.is_settled());
    ledger.apply(at(7), seen("T1", TaskStatus::Complete));
    assert_eq!(state(&ledger), ("complete", None));
    assert_eq!(due(&mut ledger, at(7)), ["query J"]);
    ledger.apply(at(7), looked_up("J", vec![success("m1", &["T1"])]));
    assert!(ledger.is_settled());
    assert!(due(&mut ledger, at(9_999)).is_empty());
}

#[test]
fn media_that_fail_before_their_tasks_are_known_are_counted_apart() {
    let mut ledger = ledger(false, &["gone", "broken", "half"]);
    let mut answer = submitted("j1");
    if let Fact::Submitted { not_found, .. } = &mut answer {
        not_found.push("gone".to_owned());
    }
    ledger.apply(at(1), answer);
    let rows = vec![row("broken", SubmissionStatus::Fail, &[]), success("half", &["t1"])];
    ledger.apply(at(2), looked_up("j1", rows));
    ledger.apply(at(3), seen("t1", TaskStatus::Failed));
    let progress = ledger.progress();
    assert_eq!((progress.accepted, progress.failed, progress.failed_unaccepted), (1, 3, 2));
}

#[test]
fn what_was_under_way_at_a_break_is_asked_for_again_at_once() {
    let mut ledger = ledger(false, &["m1"]);
    ledger.apply(at(1), submitted("J"));
    assert_eq!(due(&mut ledger, at(1)), ["query J"]);
    ledger.reopen(at(100), at(3_700), false);
    assert_eq!(due(&mut ledger, at(100)), ["query J"]);
    ledger.apply(at(101), looked_up("J", vec![success("m1", &["T1"])]));
    assert_eq!(due(&mut ledger, at(103)), ["poll T1"]);
    ledger.reopen(at(200), at(3_800), false);
    assert_eq!(due(&mut ledger, at(200)), ["query J", "poll T1"]);
}
