//! Races as tables of facts, and a property: order, repetition and loss change nothing.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::event::{Correlation, Source};
use crate::run::report::MediaState;
use crate::vod::{SubmissionStatus, TaskStatus};

const ROOM: Room = Room { submit: 100, look_up: 100, look: 100 };

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
    if has_events {
        settings.lookup = LookupAfter::After(Duration::from_secs(15));
    }
    settings
}

fn ledger(has_events: bool, ids: &[&str]) -> Ledger {
    let ids: Vec<MediaId> = ids.iter().map(|id| media(id)).collect();
    let mut ledger = Ledger::for_batches(settings(has_events), Batch::split(&ids));
    while ledger.due(at(0), Room { submit: 9, look_up: 0, look: 0 }).is_some() {}
    ledger
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
    }))
}

fn looked_up(job_id: &str, rows: Vec<JobRow>) -> Fact {
    Fact::LookedUp { job: job(job_id), rows }
}

fn seen(id: &str, status: TaskStatus) -> Fact {
    Fact::TaskSeen {
        task: task(id),
        rows: vec![TaskRow::new(task(id), "https://a/1.mp4", status)],
        all: true,
    }
}

fn lost(batch: u32) -> Fact {
    Fact::OutcomeUnknown { batch, fault: Fault::new(ErrorKind::Unavailable, "Unavailable", "no answer") }
}

/// Everything that is due at `now`, in the order it comes out.
fn due(ledger: &mut Ledger, now: Moment) -> Vec<String> {
    let mut words = Vec::new();
    while let Some(work) = ledger.due(now, ROOM) {
        words.push(match work {
            Work::Submit { batch } => format!("submit {batch}"),
            Work::LookUp { job } => format!("look up {job}"),
            Work::Look { task } => format!("look at {task}"),
            Work::List { page } => format!("list page {page}"),
            Work::Note(fact) => {
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
    assert_eq!(due(&mut ledger, at(1)), ["look up J"]);
    ledger.apply(at(2), looked_up("J", vec![success("m1", &["T1"])]));
    assert_eq!(due(&mut ledger, at(2)), ["look at T1"]);
    ledger.apply(at(3), seen("T1", TaskStatus::Refreshing));
    assert!(due(&mut ledger, at(4)).is_empty());
    assert_eq!(due(&mut ledger, at(6)), ["look at T1"]);
    assert!(!ledger.is_settled());
    ledger.apply(at(6), seen("T1", TaskStatus::Complete));
    assert!(ledger.is_settled());
    assert_eq!(state(&ledger), ("complete", None));
    assert!(due(&mut ledger, at(9_999)).is_empty());
}

#[test]
fn an_event_starts_the_looks_and_one_lookup_confirms_a_job() {
    let mut ledger = ledger(true, &["m1", "m2"]);
    ledger.apply(at(1), submitted("J"));
    ledger.apply(at(2), event("J", success("m1", &["T1"])));
    assert_eq!(due(&mut ledger, at(2)), ["look at T1"]);
    ledger.apply(at(3), event("J", success("m2", &["T2"])));
    assert_eq!(due(&mut ledger, at(3)), ["look up J", "look at T2"]);
    ledger.apply(at(4), seen("T1", TaskStatus::Complete));
    ledger.apply(at(4), seen("T2", TaskStatus::Complete));
    assert!(!ledger.is_settled(), "an event alone is no proof");
    ledger.apply(at(5), looked_up("J", vec![success("m2", &["T2"]), success("m1", &["T1"])]));
    assert!(ledger.is_settled());
    assert_eq!(due(&mut ledger, at(5)), Vec::<String>::new());
    let report = ledger.media_reports(chrono::DateTime::from_timestamp(0, 0).unwrap());
    assert!(report.iter().all(|m| m.confirmed_by == Some(Source::Callback)));
}

#[test]
fn the_vendors_samples_lead_to_accepted_and_to_failed() {
    let samples = [
        (include_str!("../../../tests/fixtures/events/success.json"), 1, ("unfinished", None)),
        (
            include_str!("../../../tests/fixtures/events/fail.json"),
            0,
            ("failed", Some("InvalidDomain.NotFound")),
        ),
    ];
    for (sample, accepted, (word, code)) in samples {
        let Ok(crate::event::Decoded::Refresh(event)) =
            crate::event::decode(sample.as_bytes(), Source::Callback)
        else {
            panic!("{sample}")
        };
        let mut settings = settings(true);
        settings.lookup = LookupAfter::Never;
        let media = event.row.as_ref().unwrap().media.clone();
        let mut ledger = Ledger::for_batches(settings, Batch::split(&[media]));
        due(&mut ledger, at(0));
        ledger.apply(at(1), submitted(event.job.as_str()));
        ledger.apply(at(2), Fact::Event(event));
        assert_eq!(ledger.progress().accepted, accepted);
        assert_eq!(state(&ledger), (word, code.map(str::to_owned)));
    }
}

#[test]
fn a_forged_event_never_counts_for_the_verdict() {
    let mut ledger = ledger(true, &["m1"]);
    ledger.apply(at(1), submitted("J"));
    ledger.apply(at(2), event("J", success("m1", &["T666"])));
    ledger.apply(at(2), seen("T666", TaskStatus::Complete));
    ledger.apply(at(3), looked_up("J", vec![success("m1", &["T1", "T2"])]));
    ledger.apply(at(4), seen("T1", TaskStatus::Complete));
    assert!(!ledger.is_settled());
    ledger.apply(at(5), seen("T2", TaskStatus::Failed));
    assert_eq!(state(&ledger), ("failed", Some("TaskFailed".into())));
    let warned = |n: &Notice| matches!(n, Notice::Warning { message } if message.contains("T666"));
    assert!(ledger.take_notices().iter().any(warned));
    assert_eq!(ledger.progress().tasks, 2);
}

#[test]
fn an_event_that_a_lookup_does_not_bear_out_stands_after_a_minute_with_a_note() {
    let mut ledger = ledger(true, &["m1"]);
    ledger.apply(at(1), submitted("J"));
    ledger.apply(at(2), event("J", success("m1", &["T1"])));
    ledger.apply(at(3), seen("T1", TaskStatus::Complete));
    due(&mut ledger, at(3));
    ledger.apply(at(3), looked_up("J", vec![]));
    ledger.apply(at(50), looked_up("J", vec![]));
    assert!(!ledger.is_settled());
    ledger.apply(at(64), looked_up("J", vec![]));
    assert!(ledger.is_settled());
    let report = ledger.media_reports(chrono::DateTime::from_timestamp(0, 0).unwrap()).remove(0);
    assert_eq!((report.state, report.confirmed_by), (MediaState::Complete, Some(Source::Callback)));
    assert!(report.note.unwrap().contains("not confirmed"));
}

#[test]
fn refused_lookups_leave_the_verdict_to_events() {
    let mut ledger = ledger(true, &["m1", "m2"]);
    ledger.apply(at(1), submitted("J"));
    ledger.apply(at(2), event("J", success("m1", &["T1"])));
    let fault = Fault::new(ErrorKind::Refused, "Forbidden.RAM", "no");
    ledger.apply(at(3), Fact::LookupsRefused { fault });
    ledger.apply(at(4), seen("T1", TaskStatus::Complete));
    ledger.apply(at(5), event("J", row("m2", SubmissionStatus::Fail, &[])));
    assert!(ledger.is_settled());
    assert_eq!(states(&ledger)[0].1, "complete");
    assert_eq!(states(&ledger)[1].2.as_deref(), Some("SubmissionFailed"));
}

#[test]
fn a_late_failure_undoes_no_success() {
    let mut ledger = ledger(true, &["m1"]);
    ledger.apply(at(1), submitted("J"));
    ledger.apply(at(2), event("J", success("m1", &["T1"])));
    ledger.apply(at(3), looked_up("J", vec![success("m1", &["T1"])]));
    ledger.apply(at(4), event("J", row("m1", SubmissionStatus::Fail, &[])));
    ledger.apply(at(5), seen("T1", TaskStatus::Complete));
    assert_eq!(state(&ledger), ("complete", None));
    assert_eq!((ledger.events.accepted, ledger.events.repeated), (1, 1));
}

#[test]
fn an_event_ahead_of_the_submit_answer_is_matched() {
    let mut ledger = ledger(true, &["m1"]);
    ledger.apply(at(1), event("J", success("m1", &["T1"])));
    ledger.apply(at(1), event("other", success("mX", &["T9"])));
    assert!(due(&mut ledger, at(1)).is_empty());
    ledger.apply(at(2), submitted("J"));
    assert_eq!(due(&mut ledger, at(2)), ["look up J", "look at T1"]);
    assert_eq!((ledger.events.accepted, ledger.events.foreign), (1, 1));
}

#[test]
fn strangers_are_bounded_in_number_and_age() {
    let mut ledger = ledger(true, &["m1"]);
    for n in 0..1_500 {
        ledger.apply(at(1), event(&format!("J{n}"), success("m1", &["T1"])));
    }
    assert_eq!(ledger.events.foreign, 500);
    ledger.apply(at(700), event("J", success("m1", &["T1"])));
    assert_eq!(ledger.events.foreign, 1_500);
}

#[test]
fn a_lost_answer_is_learned_from_an_event_with_our_mark() {
    for event_first in [true, false] {
        let mut ledger = ledger(true, &["m1"]);
        let Fact::Event(mut told) = event("J", success("m1", &["T1"])) else { unreachable!() };
        told.correlation = Some(Correlation { run: RunId::new("run").unwrap(), batch: 0 });
        let told = Fact::Event(told);
        let (first, second) = if event_first { (told, lost(0)) } else { (lost(0), told) };
        ledger.apply(at(1), first);
        ledger.apply(at(2), second);
        assert_eq!(due(&mut ledger, at(100)), ["look up J", "look at T1"], "not sent again");
    }
}

#[test]
fn a_lost_answer_is_sent_again_only_after_the_wait_for_events() {
    let mut with_events = ledger(true, &["m1"]);
    with_events.apply(at(1), lost(0));
    assert!(due(&mut with_events, at(60)).is_empty());
    assert_eq!(due(&mut with_events, at(61)), ["submit 0"]);

    let mut without = ledger(false, &["m1"]);
    without.apply(at(1), lost(0));
    assert_eq!(due(&mut without, at(2)), ["submit 0"]);
    without.apply(at(3), lost(0));
    assert_eq!(due(&mut without, at(5)), ["submit 0"]);
    without.apply(at(6), lost(0));
    assert_eq!(due(&mut without, at(6)), ["note"], "given up after three");
    assert_eq!(state(&without), ("not_submitted", Some("OutcomeUnknown".into())));
}

#[test]
fn no_resubmit_ends_a_lost_batch() {
    let mut settings = settings(false);
    settings.resubmit = false;
    let mut ledger = Ledger::for_batches(settings, Batch::split(&[media("m1")]));
    assert_eq!(due(&mut ledger, at(0)), ["submit 0"]);
    ledger.apply(at(1), lost(0));
    assert_eq!(due(&mut ledger, at(1)), ["note"]);
    assert_eq!(state(&ledger), ("not_submitted", Some("OutcomeUnknown".into())));
}

#[test]
fn refused_media_are_not_waited_for() {
    let mut ledger = ledger(false, &["gone", "secret"]);
    let fact = Fact::Submitted {
        batch: 0,
        job: None,
        not_found: vec!["gone".into()],
        forbidden: vec!["secret".into()],
        request_id: None,
    };
    ledger.apply(at(1), fact);
    assert!(ledger.is_settled());
    assert_eq!(
        states(&ledger).iter().map(|s| (s.1, s.2.as_deref().unwrap())).collect::<Vec<_>>(),
        [("not_found", "NonExistMediaId"), ("forbidden", "ForbiddenMediaId")]
    );
}

#[test]
fn an_answer_without_a_job_id_is_no_submission() {
    let mut ledger = ledger(false, &["m1"]);
    let none =
        Fact::Submitted { batch: 0, job: None, not_found: vec![], forbidden: vec![], request_id: None };
    ledger.apply(at(1), none);
    assert_eq!(state(&ledger), ("not_submitted", Some("NoJobId".into())));
}

#[test]
fn success_with_no_task_is_a_failure() {
    let mut ledger = ledger(false, &["m1"]);
    ledger.apply(at(1), submitted("J"));
    ledger.apply(at(2), looked_up("J", vec![success("m1", &[])]));
    assert_eq!(state(&ledger), ("failed", Some("NoPlayUrls".into())));
}

#[test]
fn nothing_to_be_seen_ends_after_ten_minutes() {
    let mut by_job = ledger(false, &["m1"]);
    by_job.apply(at(1), submitted("J"));
    by_job.apply(at(590), looked_up("J", vec![]));
    assert_eq!(state(&by_job).0, "unfinished");
    by_job.apply(at(601), looked_up("J", vec![]));
    assert_eq!(state(&by_job), ("failed", Some("JobNotFound".into())));

    let mut by_task = ledger(false, &["m1"]);
    by_task.apply(at(1), submitted("J"));
    by_task.apply(at(2), looked_up("J", vec![success("m1", &["T1"])]));
    let nothing = || Fact::TaskSeen { task: task("T1"), rows: vec![], all: true };
    by_task.apply(at(3), nothing());
    by_task.apply(at(602), nothing());
    assert_eq!(state(&by_task).0, "unfinished");
    by_task.apply(at(603), nothing());
    assert_eq!(state(&by_task), ("failed", Some("TaskNotFound".into())));
}

#[test]
fn without_lookups_a_silent_job_ends_by_time_alone() {
    let mut settings = settings(true);
    settings.lookup = LookupAfter::Never;
    let mut ledger = Ledger::for_batches(settings, Batch::split(&[media("m1")]));
    due(&mut ledger, at(0));
    ledger.apply(at(1), submitted("J"));
    assert!(due(&mut ledger, at(600)).is_empty());
    assert_eq!(due(&mut ledger, at(601)), ["note"]);
    assert_eq!(state(&ledger), ("failed", Some("JobNotFound".into())));
}

#[test]
fn rows_of_others_in_a_merged_task_do_not_count() {
    let mut ledger = ledger(false, &["m1"]);
    ledger.apply(at(1), submitted("J"));
    let ours = JobRow::new(
        media("m1"),
        SubmissionStatus::Success,
        vec![task("T1")],
        "https://a/x,1.mp4,https://a/2.mp4",
    );
    ledger.apply(at(2), looked_up("J", vec![ours]));
    let row = |url: &str, status| TaskRow::new(task("T1"), url, status);
    let look = |second| Fact::TaskSeen {
        task: task("T1"),
        rows: vec![
            row("https://other/9.mp4", TaskStatus::Failed),
            row("https://a/x,1.mp4", TaskStatus::Complete),
            row("https://a/2.mp4", second),
        ],
        all: true,
    };
    ledger.apply(at(3), look(TaskStatus::Refreshing));
    assert!(!ledger.is_settled());
    ledger.apply(at(4), look(TaskStatus::Complete));
    assert_eq!(state(&ledger), ("complete", None));
    let report = ledger.media_reports(chrono::DateTime::from_timestamp(0, 0).unwrap()).remove(0);
    assert_eq!(report.tasks.len(), 2);
}

#[test]
fn one_task_may_work_for_several_media() {
    let mut ledger = ledger(false, &["m1", "m2"]);
    ledger.apply(at(1), submitted("J"));
    let with = |id: &str, url: &str| JobRow::new(media(id), SubmissionStatus::Success, vec![task("T")], url);
    ledger.apply(at(2), looked_up("J", vec![with("m1", "https://a/1"), with("m2", "https://a/2")]));
    assert_eq!(
        due(&mut ledger, at(2)),
        ["look up J", "look at T"],
        "the lookup was due before it was answered"
    );
    let row = |url: &str, status| TaskRow::new(task("T"), url, status);
    let rows = vec![row("https://a/1", TaskStatus::Failed), row("https://a/2", TaskStatus::Complete)];
    ledger.apply(at(3), Fact::TaskSeen { task: task("T"), rows, all: true });
    assert_eq!(states(&ledger).iter().map(|s| s.1).collect::<Vec<_>>(), ["failed", "complete"]);
}

#[test]
fn fewer_rows_than_the_service_counts_are_looked_at_again() {
    let mut ledger = ledger(false, &["m1"]);
    ledger.apply(at(1), submitted("J"));
    ledger.apply(at(2), looked_up("J", vec![success("m1", &["T1"])]));
    let short = || {
        let rows = vec![TaskRow::new(task("T1"), "https://a/1", TaskStatus::Complete)];
        Fact::TaskSeen { task: task("T1"), rows, all: false }
    };
    for second in [3, 4, 5] {
        ledger.apply(at(second), short());
        assert!(!ledger.is_settled());
    }
    ledger.apply(at(6), short());
    assert!(ledger.is_settled(), "a total that stays wrong does not hold the run up");
}

#[test]
fn a_job_of_others_is_done_when_a_last_lookup_shows_no_more_media() {
    let mut ledger = Ledger::for_jobs(settings(false), [job("J")]);
    assert_eq!(due(&mut ledger, at(0)), ["look up J"]);
    ledger.apply(at(1), looked_up("J", vec![success("m1", &["T1"])]));
    assert_eq!(due(&mut ledger, at(1)), ["look at T1"]);
    ledger.apply(at(2), seen("T1", TaskStatus::Complete));
    assert!(!ledger.is_settled());
    assert_eq!(due(&mut ledger, at(2)), ["look up J"]);
    ledger.apply(at(3), looked_up("J", vec![success("m1", &["T1"]), success("m2", &["T2"])]));
    assert_eq!(due(&mut ledger, at(3)), ["look at T2"]);
    ledger.apply(at(4), seen("T2", TaskStatus::Complete));
    assert_eq!(due(&mut ledger, at(4)), ["look up J"]);
    ledger.apply(at(5), looked_up("J", vec![success("m1", &["T1"]), success("m2", &["T2"])]));
    assert!(ledger.is_settled());
    assert_eq!(states(&ledger).len(), 2);
}

#[test]
fn a_halt_gives_up_what_was_not_sent_and_keeps_what_was() {
    let ids: Vec<MediaId> = (0..45).map(|n| media(&format!("m{n}"))).collect();
    let mut ledger = Ledger::for_batches(settings(false), Batch::split(&ids));
    assert!(matches!(ledger.due(at(0), ROOM), Some(Work::Submit { batch: 0 })));
    ledger.apply(at(1), submitted("J"));
    ledger.apply(
        at(1),
        Fact::Halted { fault: Fault::new(ErrorKind::Quota, "QuotaExceeded.Refresh", "no more") },
    );
    let unfinished = states(&ledger).iter().filter(|s| s.1 == "unfinished").count();
    let unsent = states(&ledger).iter().filter(|s| s.2.as_deref() == Some("QuotaExceeded.Refresh")).count();
    assert_eq!((unfinished, unsent), (20, 25));
    assert!(ledger.is_submitted());
}

/// A run whose first two media have 30 tasks each; nothing is known of the others yet.
fn sixty_tasks_of(ids: &[&str]) -> Ledger {
    let mut ledger = ledger(false, ids);
    ledger.apply(at(1), submitted("J"));
    assert_eq!(due(&mut ledger, at(1)), ["look up J"]);
    let row = |id: &str| {
        let ids: Vec<TaskId> = (0..30).map(|n| task(&format!("{id}-{n}"))).collect();
        let urls: Vec<String> = ids.iter().map(|id| format!("https://a/{id}")).collect();
        JobRow::new(media(id), SubmissionStatus::Success, ids, urls.join(","))
    };
    ledger.apply(at(2), looked_up("J", vec![row("m1"), row("m2")]));
    ledger
}

fn sixty_tasks() -> Ledger {
    sixty_tasks_of(&["m1", "m2"])
}

#[test]
fn tasks_that_may_still_turn_out_ours_do_not_end_the_listings() {
    let mut ledger = sixty_tasks_of(&["m1", "m2", "m3"]);
    assert_eq!(due(&mut ledger, at(2)), ["list page 1"]);
    for page in 1..=3 {
        ledger.apply(at(2), listed(page, 0, 50, 160));
    }
    assert_eq!(due(&mut ledger, at(5)), ["look up J", "list page 1"]);
}

fn listed(page: u32, ours: u64, rows: u64, total: u64) -> Fact {
    Fact::Listed { page, ours, rows, total: Some(total) }
}

#[test]
fn many_tasks_are_listed_page_by_page_until_all_are_seen() {
    let mut ledger = sixty_tasks();
    assert_eq!(due(&mut ledger, at(2)), ["list page 1"], "the others wait for the round");
    for n in 0..30 {
        ledger.apply(at(3), seen(&format!("m2-{n}"), TaskStatus::Complete));
    }
    ledger.apply(at(3), listed(1, 50, 50, 500));
    assert_eq!(due(&mut ledger, at(3)), ["list page 2"]);
    for n in 0..30 {
        ledger.apply(at(4), seen(&format!("m1-{n}"), TaskStatus::Refreshing));
    }
    ledger.apply(at(4), listed(2, 30, 50, 500));
    assert!(due(&mut ledger, at(5)).is_empty(), "nothing is open that was not seen");
    assert_eq!(ledger.progress().tasks_ended, 30);
}

#[test]
fn a_task_that_a_round_should_have_shown_is_asked_for_alone() {
    let mut ledger = sixty_tasks();
    let round = |ledger: &mut Ledger, now: Moment| {
        assert_eq!(due(ledger, now), ["list page 1"]);
        for n in 0..30 {
            ledger.apply(now, seen(&format!("m2-{n}"), TaskStatus::Refreshing));
        }
        for n in 2..30 {
            ledger.apply(now, seen(&format!("m1-{n}"), TaskStatus::Refreshing));
        }
        ledger.apply(now, listed(1, 48, 48, 48));
    };
    round(&mut ledger, at(2));
    assert!(due(&mut ledger, at(3)).is_empty(), "they may be too fresh to be listed");
    round(&mut ledger, at(6));
    assert_eq!(due(&mut ledger, at(7)), ["look at m1-0", "look at m1-1"]);
}

#[test]
fn listings_are_given_up_where_other_peoples_tasks_outnumber_ours() {
    let mut ledger = sixty_tasks();
    due(&mut ledger, at(2));
    ledger.apply(at(3), listed(1, 0, 50, 5_000));
    assert_eq!(due(&mut ledger, at(3)), ["list page 2"]);
    ledger.apply(at(4), listed(2, 0, 50, 5_000));
    assert_eq!(due(&mut ledger, at(4)), ["list page 3"]);
    ledger.apply(at(5), listed(3, 0, 50, 5_000));
    let words = due(&mut ledger, at(5));
    assert!(words.len() == 60 && words.iter().all(|word| word.starts_with("look at")), "{words:?}");
}

#[test]
fn refused_listings_leave_single_calls() {
    let mut ledger = sixty_tasks();
    due(&mut ledger, at(2));
    ledger.apply(at(3), Fact::ListingRefused);
    assert_eq!(due(&mut ledger, at(3)).len(), 60);
}

#[test]
fn merged_tasks_are_never_listed() {
    let mut ledger = ledger(false, &["m1"]);
    ledger.apply(at(1), submitted("J"));
    due(&mut ledger, at(1));
    let urls: Vec<String> = (0..60).map(|n| format!("https://a/{n}")).collect();
    let ids: Vec<TaskId> = (0..30).map(|n| task(&format!("T{n}"))).collect();
    let merged = JobRow::new(media("m1"), SubmissionStatus::Success, ids, urls.join(","));
    ledger.apply(at(2), looked_up("J", vec![merged]));
    assert!(due(&mut ledger, at(2)).iter().all(|word| word.starts_with("look at")));
}

/// What really happens to one media.
#[derive(Debug, Clone)]
enum Fate {
    NotFound,
    Forbidden,
    Fails,
    NoUrls,
    Tasks(Vec<bool>),
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        1 => Just(Fate::NotFound),
        1 => Just(Fate::Forbidden),
        1 => Just(Fate::Fails),
        1 => Just(Fate::NoUrls),
        8 => prop::collection::vec(prop::bool::weighted(0.9), 1..5).prop_map(Fate::Tasks),
    ]
}

/// The truth about a run, which answers every question about it.
struct World {
    fates: Vec<Fate>,
}

impl World {
    fn id(n: usize) -> String {
        format!("m{n}")
    }

    fn job_of(n: usize) -> String {
        format!("J{}", n / 20)
    }

    fn submission(&self, batch: u32) -> Fact {
        let range = batch as usize * 20..self.fates.len().min(batch as usize * 20 + 20);
        let listed = |wanted: fn(&Fate) -> bool| {
            range.clone().filter(|n| wanted(&self.fates[*n])).map(Self::id).collect()
        };
        let not_found: Vec<String> = listed(|f| matches!(f, Fate::NotFound));
        let forbidden: Vec<String> = listed(|f| matches!(f, Fate::Forbidden));
        let any = not_found.len() + forbidden.len() < range.len();
        let job = any.then(|| job(&Self::job_of(batch as usize * 20)));
        Fact::Submitted { batch, job, not_found, forbidden, request_id: None }
    }

    fn tasks(&self, n: usize) -> Vec<(String, bool)> {
        match &self.fates[n] {
            Fate::Tasks(ends) => ends.iter().enumerate().map(|(k, ok)| (format!("T{n}-{k}"), *ok)).collect(),
            _ => vec![],
        }
    }

    fn row(&self, n: usize) -> Option<JobRow> {
        let ids: Vec<TaskId> = self.tasks(n).iter().map(|(id, _)| task(id)).collect();
        // Every third media shows no URLs, so that listings and single looks take turns.
        let urls: Vec<String> =
            ids.iter().filter(|_| !n.is_multiple_of(3)).map(|id| format!("https://a/{id}")).collect();
        match &self.fates[n] {
            Fate::NotFound | Fate::Forbidden => None,
            Fate::Fails => Some(row(&Self::id(n), SubmissionStatus::Fail, &[])),
            Fate::NoUrls => Some(success(&Self::id(n), &[])),
            Fate::Tasks(_) => {
                Some(JobRow::new(media(&Self::id(n)), SubmissionStatus::Success, ids, urls.join(",")))
            }
        }
    }

    fn rows_of(&self, job_id: &str) -> Vec<JobRow> {
        (0..self.fates.len()).filter(|n| Self::job_of(*n) == job_id).filter_map(|n| self.row(n)).collect()
    }

    /// A task of ours as it ends; one that nobody made up ends well, so that a forgery has every chance.
    fn end_of(&self, id: &str) -> Fact {
        let (n, k) = id.trim_start_matches('T').split_once('-').unwrap();
        let (n, k): (usize, usize) = (n.parse().unwrap(), k.parse().unwrap());
        let tasks = if n < self.fates.len() { self.tasks(n) } else { vec![] };
        let ok = tasks.get(k).is_none_or(|task| task.1);
        seen(id, if ok { TaskStatus::Complete } else { TaskStatus::Failed })
    }

    /// All the facts of a run, with forged events and stale answers among them, in the order of time.
    fn facts(&self) -> Vec<Fact> {
        let mut facts = Vec::new();
        for batch in 0..self.fates.len().div_ceil(20) {
            let job_id = Self::job_of(batch * 20);
            facts.push(looked_up(&job_id, vec![]));
            facts.push(looked_up(&job_id, self.rows_of(&job_id)));
        }
        for n in 0..self.fates.len() {
            let Some(row) = self.row(n) else { continue };
            facts.push(event(&Self::job_of(n), success(&Self::id(n), &["T666-0"])));
            facts.push(event(&Self::job_of(n), row.clone()));
            facts.push(event("foreign", row));
            for (id, _) in self.tasks(n) {
                facts.push(seen(&id, TaskStatus::Refreshing));
                facts.push(Fact::TaskSeen { task: task(&id), rows: vec![], all: true });
                facts.push(self.end_of(&id));
            }
        }
        facts
    }

    fn answer(&self, ledger: &Ledger, work: Work) -> Vec<Fact> {
        match work {
            Work::Submit { batch } => vec![self.submission(batch)],
            Work::LookUp { job } => vec![looked_up(job.as_str(), self.rows_of(job.as_str()))],
            Work::Look { task } => vec![self.end_of(task.as_str())],
            Work::List { page } => self.page(ledger, page),
            Work::Note(fact) => vec![fact],
        }
    }

    /// A page of everybody's tasks, newest first. The oldest of ours are missing, and the total is wrong.
    fn page(&self, ledger: &Ledger, page: u32) -> Vec<Fact> {
        let ours = (5..self.fates.len()).flat_map(|n| self.tasks(n)).map(|(id, _)| id);
        let others = (0..20).map(|n| format!("T9999-{n}"));
        let mut all: Vec<String> = ours.chain(others).collect();
        all.reverse();
        let shown: Vec<&String> = all.iter().skip((page as usize - 1) * 50).take(50).collect();
        let known = shown.iter().filter(|id| ledger.knows(&task(id))).count() as u64;
        let listed = Fact::Listed { page, ours: known, rows: shown.len() as u64, total: Some(7) };
        let ours = shown.into_iter().filter(|id| ledger.lists(&task(id)));
        ours.map(|id| self.end_of(id)).chain([listed]).collect()
    }
}

/// What a report says, without what may differ: how things became known, and when.
type Said = BTreeMap<String, (&'static str, Option<String>, Vec<(String, &'static str)>)>;

fn said(ledger: &Ledger) -> Said {
    let reports = ledger.media_reports(chrono::DateTime::from_timestamp(0, 0).unwrap()).into_iter();
    reports
        .map(|media| {
            let word = |status: &Option<TaskStatus>| match status {
                Some(TaskStatus::Complete) => "Complete",
                Some(TaskStatus::Failed) => "Failed",
                _ => "open",
            };
            let mut tasks: Vec<_> =
                media.tasks.iter().map(|t| (t.task_id.to_string(), word(&t.status))).collect();
            tasks.sort();
            (media.media_id.unwrap().to_string(), (media.state.as_str(), media.error.map(|e| e.code), tasks))
        })
        .collect()
}

/// Lets a run go its way: whatever is due is answered with the truth, time passes until all is settled.
fn settle(world: &World, ledger: &mut Ledger, mut now: Moment) {
    for _ in 0..10_000 {
        while let Some(work) = ledger.due(now, ROOM) {
            for fact in world.answer(ledger, work) {
                ledger.apply(now, fact);
            }
        }
        if ledger.is_settled() {
            return;
        }
        now = ledger.next_at(ROOM).expect("an open run has something to do").max(now);
    }
    panic!("the run does not settle");
}

fn new_run(world: &World, has_events: bool) -> Ledger {
    let ids: Vec<MediaId> = (0..world.fates.len()).map(|n| media(&World::id(n))).collect();
    Ledger::for_batches(settings(has_events), Batch::split(&ids))
}

#[test]
fn an_event_is_ours_foreign_or_not_known_yet() {
    let of = |job_id: &str, id: &str, run: Option<&str>| {
        let Fact::Event(mut event) = event(job_id, success(id, &["1"])) else { panic!() };
        event.correlation =
            run.map(|run| Correlation { run: crate::ids::RunId::new(run).unwrap(), batch: 0 });
        *event
    };
    let claim = |ledger: &mut Ledger, event: &MediaRefreshEvent| {
        ledger.apply(at(1), Fact::Event(Box::new(event.clone())));
        ledger.claim(event)
    };
    let mut ledger = ledger(true, &["m1"]);
    // While the submit answer is out, only the mark can tell.
    assert_eq!(claim(&mut ledger, &of("J1", "m1", None)), Claim::Undecided);
    assert_eq!(claim(&mut ledger, &of("J1", "m1", Some("run"))), Claim::Ours);
    assert_eq!(claim(&mut ledger, &of("J2", "m1", Some("another"))), Claim::Undecided);
    ledger.apply(at(2), submitted("J1"));
    assert_eq!(claim(&mut ledger, &of("J1", "m1", None)), Claim::Ours);
    assert_eq!(claim(&mut ledger, &of("J1", "m2", None)), Claim::Foreign, "a media that was not asked for");
    assert_eq!(claim(&mut ledger, &of("J2", "m1", None)), Claim::Foreign);
    assert_eq!(claim(&mut ledger, &of("J3", "m1", Some("run"))), Claim::Ours, "a batch that went out twice");
    let mut hint = of("J1", "m1", None);
    hint.row = None;
    assert_eq!(claim(&mut ledger, &hint), Claim::Ours);
}

#[test]
fn a_stranger_that_comes_again_and_again_is_kept_once() {
    let mut ledger = ledger(true, &["m1"]);
    let stranger = event("J2", success("m9", &["1"]));
    for _ in 0..5 {
        ledger.apply(at(1), stranger.clone());
    }
    assert!(!ledger.is_news(&stranger));
    ledger.apply(at(2), submitted("J1"));
    assert_eq!(ledger.event_counts().foreign, 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn order_repetition_and_loss_of_facts_change_no_report(
        fates in prop::collection::vec(fate(), 1..48),
        has_events: bool,
        picks in prop::collection::vec((any::<prop::sample::Index>(), 0u8..4), 0..400),
    ) {
        let world = World { fates };
        let mut plain = new_run(&world, false);
        settle(&world, &mut plain, at(0));

        let mut shaken = new_run(&world, has_events);
        let mut sends: Vec<Work> = std::iter::from_fn(|| shaken.due(at(0), ROOM)).collect();
        let facts = world.facts();
        for (n, (pick, times)) in picks.iter().enumerate() {
            // Submit answers come at any point among the rest.
            if times % 2 == 0 && n % 7 == 0 && let Some(work) = sends.pop() {
                for fact in world.answer(&shaken, work) {
                    shaken.apply(at(1), fact);
                }
            }
            for _ in 0..*times {
                shaken.apply(at(1), pick.get(&facts).clone());
            }
        }
        for work in sends {
            for fact in world.answer(&shaken, work) {
                shaken.apply(at(2), fact);
            }
        }
        settle(&world, &mut shaken, at(2));

        prop_assert_eq!(said(&plain), said(&shaken));
        let progress = shaken.progress();
        prop_assert_eq!(progress.complete + progress.failed, world.fates.len() as u64);
        prop_assert_eq!(progress.tasks, progress.tasks_ended);
    }
}
