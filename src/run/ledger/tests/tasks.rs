//! Tasks: shared by media, and rows that are not shown yet.

use super::*;

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
        total: None,
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
    assert_eq!(due(&mut ledger, at(4)), ["query J", "poll T"], "the lookup was due before it was answered");
    let row = |url: &str, status| TaskRow::new(task("T"), url, status);
    let rows = vec![row("https://a/1", TaskStatus::Failed), row("https://a/2", TaskStatus::Complete)];
    ledger.apply(at(3), Fact::TaskSeen { task: task("T"), rows, total: None });
    assert_eq!(states(&ledger).iter().map(|s| s.1).collect::<Vec<_>>(), ["failed", "complete"]);
}

#[test]
fn rows_of_another_media_do_not_stand_for_those_that_are_not_shown_yet() {
    let mut ledger = two_share_t();
    let row = |url: &str, status| TaskRow::new(task("T"), url, status);
    let pending_events = || (0..3).map(|n| row(&format!("https://b/{n}"), TaskStatus::Failed));
    let rows = pending_events().chain([row("https://a/2", TaskStatus::Complete)]).collect();
    ledger.apply(at(4), Fact::TaskSeen { task: task("T"), rows, total: None });
    assert_eq!(states(&ledger).iter().map(|s| s.1).collect::<Vec<_>>(), ["unfinished", "complete"]);
    let rows = pending_events().chain([row("https://a/1", TaskStatus::Complete)]).collect();
    ledger.apply(at(7), Fact::TaskSeen { task: task("T"), rows, total: None });
    assert_eq!(states(&ledger).iter().map(|s| s.1).collect::<Vec<_>>(), ["complete", "complete"]);
}

#[test]
fn a_media_that_comes_late_to_a_task_waits_for_rows_of_its_own() {
    let mut ledger = ledger(true, &["m1", "m2"]);
    ledger.apply(at(1), submitted("J"));
    ledger.apply(at(2), event("J", shares_t("m1", "https://a/1")));
    let row = |n: u32| TaskRow::new(task("T"), format!("https://a/{n}"), TaskStatus::Complete);
    let shown = |rows: Vec<TaskRow>| Fact::TaskSeen { task: task("T"), rows, total: None };
    ledger.apply(at(4), shown(vec![row(1)]));
    ledger.apply(at(5), event("J", shares_t("m2", "https://a/2")));
    ledger.apply(at(6), looked_up("J", vec![shares_t("m1", "https://a/1"), shares_t("m2", "https://a/2")]));
    assert_eq!(states(&ledger).iter().map(|s| s.1).collect::<Vec<_>>(), ["complete", "unfinished"]);
    ledger.apply(at(8), shown(vec![row(1), row(2)]));
    assert!(ledger.is_settled());
}

#[test]
fn more_rows_than_were_shown_are_waited_for_where_no_url_was_named() {
    let mut ledger = ledger(false, &["m1"]);
    ledger.apply(at(1), submitted("J"));
    ledger.apply(at(2), looked_up("J", vec![success("m1", &["T1"])]));
    let short = || {
        let rows = vec![TaskRow::new(task("T1"), "https://a/1", TaskStatus::Complete)];
        Fact::TaskSeen { task: task("T1"), rows, total: Some(2) }
    };
    for second in (3..603).step_by(20) {
        ledger.apply(at(second), short());
        assert_eq!(state(&ledger).0, "unfinished");
    }
    ledger.apply(at(603), short());
    due(&mut ledger, at(603));
    assert_eq!(state(&ledger), ("failed", Some("UrlNotShown".into())));
}

#[test]
fn the_tasks_of_a_run_are_all_known_only_once_those_of_every_media_are() {
    let mut ledger = ledger(false, &["m1", "m2"]);
    assert_eq!(ledger.complete_since(), None, "no answer to the submission");
    ledger.apply(at(1), submitted("J"));
    assert_eq!(ledger.complete_since(), None, "no lookup");
    ledger.apply(at(2), looked_up("J", vec![success("m1", &["T1"])]));
    assert_eq!(ledger.complete_since(), None, "nothing of m2");
    ledger.apply(at(5), looked_up("J", vec![success("m1", &["T1"]), success("m2", &["T2"])]));
    assert_eq!(ledger.complete_since(), Some(at(5)), "since the last one");
}

#[test]
fn a_look_that_began_before_a_task_was_named_for_a_media_is_no_word_about_it() {
    let named = |ids: &[&str]| looked_up("J", ids.iter().map(|id| success(id, &["T1"])).collect());
    let mut ledger = ledger(false, &["m1", "m2"]);
    ledger.apply(at(1), submitted("J"));
    ledger.apply(at(2), named(&["m1"]));
    assert!(due(&mut ledger, at(4)).contains(&"poll T1".to_owned()));
    ledger.apply(at(4), named(&["m1", "m2"]));
    let ends = |ledger: &Ledger| states(ledger).into_iter().map(|(_, state, _)| state).collect::<Vec<_>>();
    ledger.apply(at(5), seen("T1", TaskStatus::Complete));
    assert_eq!(ends(&ledger), ["complete", "unfinished"], "this answer was on its way");
    assert!(due(&mut ledger, at(9)).contains(&"poll T1".to_owned()));
    ledger.apply(at(9), seen("T1", TaskStatus::Complete));
    assert_eq!(ends(&ledger), ["complete", "complete"]);
}

#[test]
fn a_task_of_which_the_service_refuses_to_tell_is_not_waited_for_although_it_was_seen_running() {
    // Its row is that of a named URL, of none, or counts because no URL was named.
    for urls in ["https://a/T1", "https://a/other", ""] {
        let mut ledger = ledger(false, &["m1"]);
        ledger.apply(at(1), submitted("J"));
        let named = JobRow::new(media("m1"), SubmissionStatus::Success, vec![task("T1")], urls);
        ledger.apply(at(2), looked_up("J", vec![named]));
        ledger.apply(at(4), seen("T1", TaskStatus::Refreshing));
        assert_eq!(state(&ledger).0, "unfinished");
        let fault = Fault::new(ErrorKind::Rejected, "SomethingNew", "no");
        ledger.apply(at(200), Fact::TaskRefused { task: task("T1"), fault });
        assert_eq!(state(&ledger), ("failed", Some("SomethingNew".into())), "`{urls}`");
        assert!(ledger.is_settled(), "`{urls}`");
    }
}

#[test]
fn a_url_that_was_seen_running_fails_with_its_task_of_which_the_service_refuses_to_tell() {
    let request = UrlRequest::new(TaskType::Refresh, ["https://a/T1", "https://a/T2"]);
    let mut ledger = Ledger::for_urls(settings(false), UrlBatch::split(&request));
    due(&mut ledger, at(0));
    ledger.apply(
        at(1),
        Fact::UrlsSubmitted { batch: 0, tasks: vec![task("T1"), task("T2")], unread: None, request_id: None },
    );
    ledger.apply(at(4), seen("T1", TaskStatus::Refreshing));
    ledger.apply(at(5), seen("T2", TaskStatus::Complete));
    let fault = Fault::new(ErrorKind::Rejected, "SomethingNew", "no");
    ledger.apply(at(200), Fact::TaskRefused { task: task("T1"), fault });
    let urls = ledger.url_reports(chrono::DateTime::from_timestamp(0, 0).unwrap());
    let ends: Vec<_> =
        urls.iter().map(|url| (url.state.as_str(), url.error.as_ref().map(|e| &*e.code))).collect();
    assert_eq!(ends, [("failed", Some("SomethingNew")), ("complete", None)]);
    assert_eq!((ledger.is_settled(), ledger.progress().failed, ledger.progress().complete), (true, 1, 1));
}

#[test]
fn a_shared_task_is_looked_at_again_after_a_break() {
    let mut journal = Vec::new();
    let mut first = ledger(false, &["m1", "m2"]);
    live(&mut first, &mut journal, at(1), submitted("J"));
    due(&mut first, at(2));
    live(&mut first, &mut journal, at(2), looked_up("J", vec![success("m1", &["T"])]));
    assert_eq!(due(&mut first, at(4)), ["poll T"]);
    // While the poll is out, its task is named for the other media as well.
    live(&mut first, &mut journal, at(4), looked_up("J", vec![success("m1", &["T"]), success("m2", &["T"])]));
    live(&mut first, &mut journal, at(5), seen("T", TaskStatus::Complete));
    assert_eq!(states(&first)[1].1, "unfinished", "the look began before it was named");
    let mut second = replayed(ledger(false, &["m1", "m2"]), &journal);
    second.reopen(at(9), at(3_700), false);
    assert_eq!((states(&second)[1].1, second.is_settled()), ("unfinished", false));
    assert!(due(&mut second, at(9)).contains(&"poll T".to_owned()));
    second.apply(at(9), seen("T", TaskStatus::Complete));
    assert_eq!(states(&second)[1].1, "complete");
}

#[test]
fn a_media_of_which_a_task_is_refused_ends_although_another_of_its_job_was_not_decided_yet() {
    let mut ledger = settling(false, &["m1", "m2"]);
    ledger.apply(at(1), submitted("J"));
    let named = || JobRow::new(media("m1"), SubmissionStatus::Success, vec![task("T1")], "https://a/other");
    ledger.apply(at(2), looked_up("J", vec![named(), success("m2", &["T2"])]));
    ledger.apply(at(3), seen("T1", TaskStatus::Complete));
    let fault = Fault::new(ErrorKind::Rejected, "SomethingNew", "no");
    ledger.apply(at(4), Fact::TaskRefused { task: task("T1"), fault });
    // It decides both media, one after the other.
    ledger.apply(at(5), looked_up("J", vec![named(), success("m2", &["T2"])]));
    ledger.apply(at(6), seen("T2", TaskStatus::Complete));
    let ends: Vec<_> = states(&ledger).into_iter().map(|(_, state, _)| state).collect();
    assert_eq!(ends, ["failed", "complete"]);
}
