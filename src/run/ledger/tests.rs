//! Races as tables of facts.

mod listing;
mod narrow;
mod world;

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

/// A task with a URL of its own, as the service shows it.
fn seen_as(object_type: &str, id: &str, status: TaskStatus) -> Fact {
    let mut row = TaskRow::new(task(id), format!("https://a/{id}"), status);
    row.object_type = Some(object_type.into());
    Fact::TaskSeen { task: task(id), rows: vec![row], all: true }
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
            Work::List { page, filter: None } => format!("list page {page}"),
            Work::List { page, filter: Some(filter) } => {
                let domain = filter.domain.as_deref().unwrap_or("any");
                let status = filter.status.as_ref().map_or("any", TaskStatus::as_str);
                format!("list page {page} of {} on {domain}, {status}", filter.object_type)
            }
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
    assert_eq!(due(&mut ledger, at(4)), ["look at T1"]);
    ledger.apply(at(4), seen("T1", TaskStatus::Refreshing));
    assert!(due(&mut ledger, at(5)).is_empty());
    assert_eq!(due(&mut ledger, at(7)), ["look at T1"]);
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
    ledger.apply(at(4), event("J", success("m1", &["T1"])));
    assert_eq!(due(&mut ledger, at(4)), ["look at T1"]);
    ledger.apply(at(5), event("J", success("m2", &["T2"])));
    assert_eq!(due(&mut ledger, at(5)), ["look up J", "look at T2"]);
    ledger.apply(at(5), seen("T1", TaskStatus::Complete));
    ledger.apply(at(5), seen("T2", TaskStatus::Complete));
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
    assert_eq!(due(&mut ledger, at(2)), ["look up J"]);
    assert_eq!(due(&mut ledger, at(5)), ["look at T1"]);
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

/// A media of which task `T` does one URL, beside others.
fn shares_t(id: &str, url: &str) -> JobRow {
    JobRow::new(media(id), SubmissionStatus::Success, vec![task("T")], url)
}

/// Two media that share task `T`.
fn two_share_t() -> Ledger {
    let mut ledger = ledger(false, &["m1", "m2"]);
    ledger.apply(at(1), submitted("J"));
    ledger.apply(at(2), looked_up("J", vec![shares_t("m1", "https://a/1"), shares_t("m2", "https://a/2")]));
    ledger
}

#[test]
fn one_task_may_work_for_several_media() {
    let mut ledger = two_share_t();
    assert_eq!(
        due(&mut ledger, at(4)),
        ["look up J", "look at T"],
        "the lookup was due before it was answered"
    );
    let row = |url: &str, status| TaskRow::new(task("T"), url, status);
    let rows = vec![row("https://a/1", TaskStatus::Failed), row("https://a/2", TaskStatus::Complete)];
    ledger.apply(at(3), Fact::TaskSeen { task: task("T"), rows, all: true });
    assert_eq!(states(&ledger).iter().map(|s| s.1).collect::<Vec<_>>(), ["failed", "complete"]);
}

#[test]
fn rows_of_another_media_do_not_stand_for_those_that_are_not_shown_yet() {
    let mut ledger = two_share_t();
    let row = |url: &str, status| TaskRow::new(task("T"), url, status);
    let strangers = || (0..3).map(|n| row(&format!("https://b/{n}"), TaskStatus::Failed));
    let rows = strangers().chain([row("https://a/2", TaskStatus::Complete)]).collect();
    ledger.apply(at(4), Fact::TaskSeen { task: task("T"), rows, all: true });
    assert_eq!(states(&ledger).iter().map(|s| s.1).collect::<Vec<_>>(), ["unfinished", "complete"]);
    let rows = strangers().chain([row("https://a/1", TaskStatus::Complete)]).collect();
    ledger.apply(at(7), Fact::TaskSeen { task: task("T"), rows, all: true });
    assert_eq!(states(&ledger).iter().map(|s| s.1).collect::<Vec<_>>(), ["complete", "complete"]);
}

#[test]
fn a_media_that_comes_late_to_a_task_waits_for_rows_of_its_own() {
    for known in [1, 2] {
        let mut ledger = ledger(true, &["m1", "m2"]);
        ledger.apply(at(1), submitted("J"));
        ledger.apply(at(2), event("J", shares_t("m1", "https://a/1")));
        let row = |n: u32| TaskRow::new(task("T"), format!("https://a/{n}"), TaskStatus::Complete);
        let shown = |rows: Vec<TaskRow>| Fact::TaskSeen { task: task("T"), rows, all: true };
        let strangers = (7..6 + known).map(row);
        ledger.apply(at(4), shown(strangers.chain([row(1)]).collect()));
        ledger.apply(at(5), event("J", shares_t("m2", "https://a/2")));
        ledger
            .apply(at(6), looked_up("J", vec![shares_t("m1", "https://a/1"), shares_t("m2", "https://a/2")]));
        assert_eq!(states(&ledger).iter().map(|s| s.1).collect::<Vec<_>>(), ["complete", "unfinished"]);
        ledger.apply(at(9), shown(vec![row(1), row(2)]));
        assert!(ledger.is_settled());
    }
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
