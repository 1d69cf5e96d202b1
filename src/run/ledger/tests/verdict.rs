//! The verdict as a table: what was named, what was shown, what it comes to.

use super::*;

/// A row as `task url status`.
fn rows(texts: &[&str]) -> Vec<TaskRow> {
    let row = |text: &&str| {
        let [id, url, status] = text.split(' ').collect::<Vec<_>>()[..] else { panic!("{text}") };
        TaskRow::new(task(id), url, status.to_owned().into())
    };
    texts.iter().map(row).collect()
}

/// The media m1 with these tasks and URLs; each task is shown as often as told.
fn verdict_on(tasks: &[&str], urls: &str, shown: &[&str], polls: u32) -> (&'static str, Option<String>) {
    let mut ledger = ledger(false, &["m1"]);
    ledger.apply(at(1), submitted("J"));
    let ids = tasks.iter().map(|id| task(id)).collect();
    let named = JobRow::new(media("m1"), SubmissionStatus::Success, ids, urls);
    ledger.apply(at(2), looked_up("J", vec![named]));
    for look in 0..polls {
        for id in tasks {
            let rows = rows(shown).into_iter().filter(|row| row.task == task(id)).collect();
            ledger.apply(at(4 + u64::from(look)), Fact::TaskSeen { task: task(id), rows, total: None });
        }
    }
    state(&ledger)
}

#[test]
fn a_media_is_complete_when_all_that_was_named_was_shown_and_is() {
    let open = ("unfinished", None);
    let complete = ("complete", None);
    let failed = |code: &str| ("failed", Some(code.to_owned()));
    let table: &[(&[&str], &str, &[&str], _)] = &[
        (&["T"], "https://a/1", &["T https://a/1 Complete"], complete.clone()),
        // Every named URL, in whatever spelling.
        (&["T"], "https://a/1,https://a/2", &["T https://a/1 Complete"], open.clone()),
        (
            &["T"],
            "https://a/1,https://a/%32",
            &["T a/1 Complete", "T http://A:80/2 Complete"],
            complete.clone(),
        ),
        (&["T"], "https://a/1,https://a/2", &["T a/1 Complete", "T a/2 Failed"], failed("TaskFailed")),
        // Every named task.
        (&["T", "U"], "https://a/1", &["T https://a/1 Complete"], open.clone()),
        (&["T", "U"], "https://a/1", &["T a/1 Complete", "U a/1 Failed"], failed("TaskFailed")),
        // Every row of a URL.
        (&["T"], "https://a/1", &["T a/1 Complete", "T a/1 Refreshing"], open.clone()),
        (&["T"], "https://a/1", &["T a/1 Complete", "T a/1 Failed"], failed("TaskFailed")),
        // Rows of others count where nothing else can stand for a URL.
        (&["T"], "https://a/1", &["T a/1 Complete", "T b/9 Failed", "T b/8 Refreshing"], complete.clone()),
        (&["T"], "https://a/1", &["T b/9 Complete"], complete.clone()),
        (&["T"], "https://a/1", &["T b/9 Failed"], failed("TaskFailed")),
        (&["T"], "https://a/1", &["T b/9 Complete", "T b/8 Refreshing"], open.clone()),
        (&["T"], "https://a/1", &["T b/9 Complete", "T b/8 Failed"], failed("UrlNotMatched")),
        (&["T"], "https://a/1,https://a/2", &["T b/9 Complete"], open.clone()),
        (&["T"], "https://a/1,https://a/2", &["T a/1 Complete", "T b/9 Complete"], open.clone()),
        // Without a named URL, every row.
        (&["T"], "", &["T a/1 Complete", "T b/9 Failed"], failed("TaskFailed")),
        // Nothing at all is no success, and words that nobody knows are no end.
        (&[], "", &[], failed("NoPlayUrls")),
        (&["T"], "https://a/1", &[], open.clone()),
        (&["T"], "https://a/1", &["T https://a/1 Success"], open.clone()),
    ];
    for (tasks, urls, shown, verdict) in table {
        assert_eq!(verdict_on(tasks, urls, shown, 5), *verdict, "{tasks:?} {urls} {shown:?}");
    }
}

/// The report of a URL that no row matches lists the rows that stand for it.
#[test]
fn a_url_that_other_rows_stand_for_names_them() {
    let mut ledger =
        Ledger::for_urls(settings(false), UrlBatch::split(&UrlRequest::new(TaskType::Refresh, ["a.test/1"])));
    assert!(!due(&mut ledger, at(0)).is_empty());
    ledger.apply(
        at(1),
        Fact::UrlsSubmitted { batch: 0, tasks: vec![task("T")], unread: None, request_id: None },
    );
    for look in 0..5 {
        let rows = rows(&["T b.test/9 Complete"]);
        ledger.apply(at(4 + look), Fact::TaskSeen { task: task("T"), rows, total: None });
    }
    let url = ledger.url_reports(chrono::DateTime::from_timestamp(0, 0).unwrap()).remove(0);
    let rows: Vec<_> = url.tasks.iter().map(|task| task.url.as_deref()).collect();
    assert_eq!((url.state.as_str(), rows), ("complete", vec![Some("b.test/9")]));
}

/// Whatever task is not shown may have a row of any URL of its batch, unless there is a URL that explains it.
#[test]
fn urls_are_open_while_a_task_of_theirs_is_not_shown() {
    let states = |ledger: &Ledger| -> Vec<&str> {
        let start = chrono::DateTime::from_timestamp(0, 0).unwrap();
        ledger.url_reports(start).iter().map(|url| url.state.as_str()).collect()
    };
    for (shown, expected) in [
        (&["T a.test/1 Complete", "T a.test/2 Complete"][..], ["unfinished"; 2]),
        (&["T a.test/1 Complete"], ["complete", "unfinished"]),
        (&["T a.test/1 Complete", "T a.test/2 Complete", "U a.test/2 Complete"], ["complete"; 2]),
        (&["T a.test/1 Complete", "U a.test/2 Failed"], ["complete", "failed"]),
    ] {
        let request = UrlRequest::new(TaskType::Refresh, ["https://a.test/1", "https://a.test/2"]);
        let mut ledger = Ledger::for_urls(settings(false), UrlBatch::split(&request));
        assert!(!due(&mut ledger, at(0)).is_empty());
        let tasks = vec![task("T"), task("U")];
        ledger.apply(at(1), Fact::UrlsSubmitted { batch: 0, tasks, unread: None, request_id: None });
        for id in ["T", "U"] {
            let rows = rows(shown).into_iter().filter(|row| row.task == task(id)).collect();
            ledger.apply(at(4), Fact::TaskSeen { task: task(id), rows, total: None });
        }
        assert_eq!(states(&ledger), expected, "{shown:?}");
        let counted = expected.iter().filter(|state| **state == "complete").count() as u64;
        assert_eq!(ledger.progress().complete, counted, "{shown:?}");
    }
}

#[test]
fn rows_that_match_nothing_decide_only_when_they_stay_as_they_are() {
    for (looks, word) in [(1, "unfinished"), (3, "unfinished"), (4, "complete")] {
        assert_eq!(verdict_on(&["T"], "https://a/1", &["T b/9 Complete"], looks).0, word, "{looks}");
    }
}

#[test]
fn a_row_that_matches_nothing_stands_for_one_url_of_one_media() {
    /// The tasks of each media, which has one URL; rows under each task that match none; how each media stands then.
    type Case =
        (&'static [&'static [&'static str]], &'static [(&'static str, usize)], &'static [&'static str]);
    let table: &[Case] = &[
        (&[&["T"], &["T"]], &[("T", 1)], &["unfinished"; 2]),
        (&[&["T"], &["T"]], &[("T", 2)], &["complete"; 2]),
        // Whichever goes without, it may be any of the three.
        (&[&["T"], &["T", "U"], &["U"]], &[("T", 1), ("U", 1)], &["unfinished"; 3]),
        (&[&["T"], &["T", "U"], &["U"]], &[("T", 1), ("U", 2)], &["complete"; 3]),
        (&[&["T"], &["T"], &["T", "U"]], &[("T", 1), ("U", 3)], &["unfinished", "unfinished", "complete"]),
    ];
    for (media_tasks, shown, states) in table {
        let ids: Vec<String> = (0..media_tasks.len()).map(|n| format!("m{n}")).collect();
        let mut ledger = ledger(false, &ids.iter().map(String::as_str).collect::<Vec<_>>());
        ledger.apply(at(1), submitted("J"));
        let named = |(id, tasks): (&String, &&[&str])| {
            let tasks = tasks.iter().map(|id| task(id)).collect();
            JobRow::new(media(id), SubmissionStatus::Success, tasks, &format!("https://a/{id}"))
        };
        ledger.apply(at(2), looked_up("J", ids.iter().zip(*media_tasks).map(named).collect()));
        for look in 0..5 {
            for (id, count) in *shown {
                let texts: Vec<String> =
                    (0..*count).map(|n| format!("{id} https://b/{id}{n} Complete")).collect();
                let rows = rows(&texts.iter().map(String::as_str).collect::<Vec<_>>());
                ledger.apply(at(4 + look), Fact::TaskSeen { task: task(id), rows, total: None });
            }
        }
        let report = ledger.media_reports(chrono::DateTime::from_timestamp(0, 0).unwrap());
        let are: Vec<&str> = report.iter().map(|media| media.state.as_str()).collect();
        assert_eq!(are, *states, "{media_tasks:?} {shown:?}");
    }
}

#[test]
fn rows_that_match_nothing_stand_for_no_url_while_another_media_of_the_job_cannot_be_read() {
    for (unread, state_of_first) in [(Some("{}"), "unfinished"), (None, "complete")] {
        let mut ledger = ledger(false, &["m1", "m2"]);
        ledger.apply(at(1), submitted("J"));
        let named = |id: &str, tasks| {
            JobRow::new(media(id), SubmissionStatus::Success, tasks, &format!("https://a/{id}"))
        };
        let mut second = JobRow::new(media("m2"), SubmissionStatus::Success, vec![], "");
        second.unread = unread.map(str::to_owned);
        ledger.apply(at(2), looked_up("J", vec![named("m1", vec![task("T")]), second]));
        for look in 0..5 {
            let rows = rows(&["T https://b/1 Complete"]);
            ledger.apply(at(4 + look), Fact::TaskSeen { task: task("T"), rows, total: None });
        }
        assert_eq!(state(&ledger).0, state_of_first, "{unread:?}");
        let both = vec![named("m1", vec![task("T")]), named("m2", vec![task("X")])];
        ledger.apply(at(10), looked_up("J", both));
        assert_eq!(state(&ledger).0, "complete", "no other look is needed once the second can be read");
    }
}

#[test]
fn what_is_not_shown_fails_after_ten_minutes_of_answers() {
    for (shown, code) in
        [("T https://a/1 Complete", "UrlNotShown"), ("X https://a/1 Complete", "TaskNotFound")]
    {
        let mut ledger = ledger(false, &["m1"]);
        ledger.apply(at(1), submitted("J"));
        let urls = "https://a/1,https://a/2";
        let named = JobRow::new(media("m1"), SubmissionStatus::Success, vec![task("T")], urls);
        ledger.apply(at(2), looked_up("J", vec![named]));
        let rows: Vec<TaskRow> = rows(&[shown]).into_iter().filter(|row| row.task == task("T")).collect();
        let look = || Fact::TaskSeen { task: task("T"), rows: rows.clone(), total: Some(1) };
        for second in (10..=610).step_by(20) {
            ledger.apply(at(second), look());
            noted(&mut ledger, at(second));
            let word = if second < 610 { "unfinished" } else { "failed" };
            assert_eq!(state(&ledger).0, word, "{code} at {second} s");
        }
        assert_eq!(state(&ledger).1.as_deref(), Some(code));
    }
}

#[test]
fn more_that_is_named_opens_a_media_that_had_ended() {
    let mut ledger = settling(false, &["m1", "m2"]);
    ledger.apply(at(1), submitted("J"));
    let looked = |tasks: &[&str]| looked_up("J", vec![success("m1", tasks)]);
    ledger.apply(at(1), event("J", success("m1", &["T1"])));
    ledger.apply(at(2), looked(&["T1"]));
    ledger.apply(at(3), seen("T1", TaskStatus::Complete));
    assert_eq!(state(&ledger).0, "unfinished", "one lookup settles nothing, also where an event agrees");
    ledger.apply(at(5), looked(&["T1"]));
    assert_eq!(state(&ledger).0, "complete");
    ledger.apply(at(6), looked(&["T2", "T1"]));
    assert_eq!((state(&ledger).0, ledger.progress().complete), ("unfinished", 0));
    ledger.apply(at(7), seen("T2", TaskStatus::Failed));
    ledger.apply(at(9), looked(&["T1", "T2"]));
    assert_eq!((state(&ledger).0, ledger.progress().failed), ("failed", 1));
}

#[test]
fn a_media_whose_urls_have_no_task_yet_is_looked_up_until_one_is_named() {
    let mut ledger = ledger(false, &["m1"]);
    ledger.apply(at(1), submitted("J"));
    let named = |ids: &[&str]| {
        let ids = ids.iter().map(|id| task(id)).collect();
        looked_up("J", vec![JobRow::new(media("m1"), SubmissionStatus::Success, ids, "https://a/1")])
    };
    // What one lookup named stays named, although the next one names nothing.
    let nothing = || looked_up("J", vec![success("m1", &[])]);
    for (second, answer) in [(2, named(&[])), (30, nothing()), (60, named(&[]))] {
        ledger.apply(at(second), answer);
        assert_eq!(state(&ledger), ("unfinished", None));
        assert_eq!(due(&mut ledger, at(second + 20)), ["query J"]);
    }
    ledger.apply(at(90), named(&["T"]));
    assert_eq!(due(&mut ledger, at(93)), ["poll T"]);
    ledger.apply(at(94), Fact::TaskSeen { task: task("T"), rows: rows(&["T a/1 Complete"]), total: None });
    assert_eq!(state(&ledger), ("complete", None));
}

#[test]
fn polls_that_show_the_same_are_news_until_they_decide() {
    let mut ledger = ledger(false, &["m1"]);
    ledger.apply(at(1), submitted("J"));
    let named = JobRow::new(media("m1"), SubmissionStatus::Success, vec![task("T")], "https://a/1");
    ledger.apply(at(2), looked_up("J", vec![named]));
    let seen = Fact::TaskSeen { task: task("T"), rows: rows(&["T b/9 Complete"]), total: None };
    for second in 4..8 {
        assert_eq!(state(&ledger), ("unfinished", None));
        assert!(ledger.is_news(&seen), "a run that is played back decides as well");
        ledger.apply(at(second), seen.clone());
    }
    assert_eq!(state(&ledger), ("complete", None));
    assert!(!ledger.is_news(&seen));
}

#[test]
fn polls_that_follow_each_other_at_once_as_breaks_bring_them_decide_nothing() {
    let mut ledger = ledger(false, &["m1"]);
    ledger.apply(at(1), submitted("J"));
    let named = JobRow::new(media("m1"), SubmissionStatus::Success, vec![task("T")], "https://a/1");
    ledger.apply(at(2), looked_up("J", vec![named]));
    let shown = |texts| Fact::TaskSeen { task: task("T"), rows: rows(texts), total: None };
    for millis in (4_000..4_900).step_by(100) {
        let now = Moment::after(Duration::from_millis(millis));
        ledger.reopen(now, at(5_000), false);
        ledger.apply(now, shown(&["T b/8 Failed", "T b/9 Complete"]));
        assert_eq!(state(&ledger), ("unfinished", None));
    }
    ledger.apply(at(5), shown(&["T b/8 Failed", "T b/9 Complete", "T a/1 Complete"]));
    assert_eq!(state(&ledger), ("complete", None));
}

/// The task that can't be read may be the one of the URL that no other task shows.
#[test]
fn a_task_id_of_urls_that_cannot_be_read_leaves_open_what_no_other_task_shows() {
    let request = UrlRequest::new(TaskType::Refresh, ["https://a.test/1", "https://a.test/2"]);
    let mut ledger = Ledger::for_urls(settings(false), UrlBatch::split(&request));
    assert!(!due(&mut ledger, at(0)).is_empty());
    let (tasks, unread) = (vec![task("T")], Some("70422123456789012345678".into()));
    ledger.apply(at(1), Fact::UrlsSubmitted { batch: 0, tasks, unread, request_id: None });
    for now in 2..3_600 {
        for word in due(&mut ledger, at(now)) {
            assert_eq!(word, "poll T");
            let rows = rows(&["T a.test/1 Complete"]);
            ledger.apply(at(now), Fact::TaskSeen { task: task("T"), rows, total: None });
        }
    }
    let start = chrono::DateTime::from_timestamp(0, 0).unwrap();
    let states = ledger.url_reports(start).into_iter().map(|url| url.state.as_str()).collect::<Vec<_>>();
    assert_eq!((states, ledger.is_settled()), (vec!["complete", "unfinished"], false));
}
