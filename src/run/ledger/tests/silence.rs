//! What shows nothing, and when that is a verdict.

use super::*;

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
    for second in (2..601).step_by(20) {
        by_job.apply(at(second), looked_up("J", vec![]));
        assert_eq!(state(&by_job).0, "unfinished");
    }
    by_job.apply(at(601), looked_up("J", vec![]));
    assert_eq!(due(&mut by_job, at(601)), ["note"]);
    assert_eq!(state(&by_job), ("failed", Some("JobNotFound".into())));

    let mut by_task = ledger(false, &["m1"]);
    by_task.apply(at(1), submitted("J"));
    by_task.apply(at(2), looked_up("J", vec![success("m1", &["T1"])]));
    let nothing = || Fact::TaskSeen { task: task("T1"), rows: vec![], total: None };
    for second in (3..603).step_by(20) {
        by_task.apply(at(second), nothing());
        assert_eq!(state(&by_task).0, "unfinished");
    }
    by_task.apply(at(603), nothing());
    assert_eq!(due(&mut by_task, at(603)), ["note", "query J"]);
    assert_eq!(state(&by_task), ("failed", Some("TaskNotFound".into())));
}

#[test]
fn without_lookups_silence_proves_nothing() {
    let mut settings = settings(true);
    settings.lookup = LookupAfter::Never;
    let mut ledger = Ledger::for_batches(settings, Batch::split(&[media("m1")]));
    due(&mut ledger, at(0));
    ledger.apply(at(1), submitted("J"));
    assert!(due(&mut ledger, at(600)).is_empty());
    ledger.take_notices();
    assert_eq!(due(&mut ledger, at(601)), ["note"]);
    let said = format!("{:?}", ledger.take_notices());
    assert!(said.contains("1 media of job J for 10 minutes, and lookups are turned off"), "{said}");
    assert_eq!((state(&ledger).0, ledger.is_settled()), ("unfinished", false));
    let report = ledger.media_reports(chrono::DateTime::from_timestamp(0, 0).unwrap()).remove(0);
    assert_eq!(report.note.unwrap(), "no event has told of it, and lookups are turned off");
    ledger.apply(at(700), event("J", success("m1", &["T1"])));
    ledger.apply(at(701), seen("T1", TaskStatus::Complete));
    assert_eq!((state(&ledger).0, ledger.is_settled()), ("complete", true));
}

#[test]
fn events_decide_where_a_lookup_fails_if_they_told_of_all() {
    let mut ledger = ledger(true, &["m1", "m2"]);
    ledger.apply(at(1), submitted("J"));
    ledger.apply(at(2), event("J", success("m1", &["T1"])));
    assert!(!ledger.events_suffice(&job("J")));
    ledger.apply(at(3), event("J", row("m2", SubmissionStatus::Fail, &[])));
    assert!(ledger.events_suffice(&job("J")));
    ledger.apply(at(4), seen("T1", TaskStatus::Complete));
    let fault = Fault::new(ErrorKind::Unavailable, "ServiceUnavailable", "down");
    ledger.apply(at(5), Fact::LookupFailed { job: job("J"), fault });
    assert!(ledger.is_settled());
    assert_eq!(states(&ledger)[0].1, "complete");
    assert_eq!(states(&ledger)[1].2.as_deref(), Some("SubmissionFailed"));
    let report = ledger.media_reports(chrono::DateTime::from_timestamp(0, 0).unwrap()).remove(0);
    assert_eq!(report.note.unwrap(), "not confirmed: lookups fail (ServiceUnavailable: down)");
}

#[test]
fn a_job_of_which_the_service_refuses_to_tell_is_not_looked_up_a_last_time() {
    let mut ledger = ledger(false, &["m1", "m2"]);
    ledger.apply(at(1), submitted("J"));
    ledger.apply(at(2), looked_up("J", vec![success("m1", &["T1"])]));
    ledger.apply(at(3), seen("T1", TaskStatus::Complete));
    let fault = Fault::new(ErrorKind::Rejected, "SomethingNew", "no");
    ledger.apply(at(140), Fact::JobRefused { job: job("J"), fault });
    assert_eq!(states(&ledger).iter().map(|state| state.1).collect::<Vec<_>>(), ["complete", "failed"]);
    assert!(due(&mut ledger, at(140)).is_empty());
    assert!(ledger.is_settled());
}

#[test]
fn a_job_of_others_may_have_media_of_which_no_event_told() {
    let mut ledger = of_job(settings(true));
    ledger.apply(at(2), event("J", success("m1", &["T1"])));
    assert!(!ledger.events_suffice(&job("J")));
}

#[test]
fn a_job_of_others_has_all_its_media_when_its_rows_have_not_changed_for_ten_seconds() {
    let mut ledger = of_job(settings(false));
    let rows = |count: usize| {
        let all = [success("m1", &["T1"]), success("m2", &["T2"]), success("m3", &["T3"])];
        looked_up("J", all[..count].to_vec())
    };
    assert_eq!(due(&mut ledger, at(0)), ["query J"]);
    ledger.apply(at(1), rows(1));
    assert_eq!(due(&mut ledger, at(1)), ["poll T1"]);
    ledger.apply(at(2), seen("T1", TaskStatus::Complete));
    assert_eq!(due(&mut ledger, at(10)), Vec::<String>::new());
    assert!(!ledger.is_settled());
    assert_eq!(due(&mut ledger, at(11)), ["query J"]);
    ledger.apply(at(11), rows(2));
    assert_eq!(due(&mut ledger, at(11)), ["poll T2"]);
    ledger.apply(at(12), seen("T2", TaskStatus::Complete));
    assert_eq!(due(&mut ledger, at(21)), ["query J"]);
    ledger.apply(at(21), rows(2));
    assert!(ledger.is_settled());
    assert_eq!(states(&ledger).len(), 2);
}

#[test]
fn a_job_of_which_the_media_are_named_or_counted_is_waited_for_until_they_are_shown() {
    let asked = WaitRequest::new([job("J")]);
    for asked in [asked.clone().with_expect(2), asked.with_media([media("m2")])] {
        let mut ledger = Ledger::for_jobs(settings(false), &asked);
        due(&mut ledger, at(0));
        for now in [1, 20, 60] {
            ledger.apply(at(now), looked_up("J", vec![success("m1", &["T1"])]));
            ledger.apply(at(now), seen("T1", TaskStatus::Complete));
            assert!(!ledger.is_settled(), "{asked:?} at {now}");
        }
        ledger.apply(at(61), looked_up("J", vec![success("m1", &["T1"]), success("m2", &["T2"])]));
        ledger.apply(at(62), seen("T2", TaskStatus::Complete));
        assert!(ledger.is_settled(), "{asked:?}");
        assert_eq!(states(&ledger).len(), 2);
    }
}

#[test]
fn a_job_whose_media_are_all_shown_is_looked_up_until_they_are_decided() {
    let asked = WaitRequest::new([job("J1"), job("J2")]).with_media([media("m1"), media("m2")]);
    let mut ledger = Ledger::for_jobs(settings(false), &asked);
    assert_eq!(due(&mut ledger, at(0)), ["query J1", "query J2"]);
    ledger.apply(at(1), looked_up("J2", vec![row("m2", SubmissionStatus::Pending(None), &[])]));
    ledger.apply(at(1), looked_up("J1", vec![success("m1", &["T1"])]));
    ledger.apply(at(2), seen("T1", TaskStatus::Complete));
    assert!(due(&mut ledger, at(30)).contains(&"query J2".to_owned()));
    ledger.apply(at(31), looked_up("J2", vec![success("m2", &["T2"])]));
    ledger.apply(at(32), seen("T2", TaskStatus::Complete));
    assert!(ledger.is_settled());
}

/// Where nobody may ask, a job of others is whole when all of its media have ended and its events have stopped for ten seconds.
#[test]
fn a_job_of_others_ends_without_lookups_ten_seconds_after_its_last_event_or_with_its_last_media() {
    let asked = WaitRequest::new([job("J")]);
    let named = asked.clone().with_media([media("m1")]);
    for asked in [asked.clone(), named, asked.with_expect(1)] {
        for is_refused in [false, true] {
            for (ends, whole) in [(5, 11), (30, 30), (300, 300)] {
                let mut settings = settings(true);
                if !is_refused {
                    settings.lookup = LookupAfter::Never;
                }
                let mut ledger = Ledger::for_jobs(settings, &asked);
                ledger.apply(at(1), event("J", success("m1", &["T1"])));
                if is_refused {
                    ledger.apply(at(1), lookups_refused());
                }
                for now in 2..=whole {
                    assert!(!ledger.is_settled(), "{asked:?}, at {now} s");
                    if now == ends {
                        ledger.apply(at(now), seen("T1", TaskStatus::Complete));
                    }
                    due(&mut ledger, at(now));
                }
                assert!(ledger.is_settled(), "{asked:?}, its task ended at {ends} s");
                assert_eq!(state(&ledger).0, "complete");
            }
        }
    }
}

#[test]
fn jobs_of_which_more_media_are_expected_are_waited_for_without_lookups() {
    let one = WaitRequest::new([job("J1")]).with_expect(2);
    let two = WaitRequest::new([job("J1"), job("J2")]).with_expect(3);
    let mut settings = settings(true);
    settings.lookup = LookupAfter::Never;
    for (asked, media) in [(one, &["J1", "J1"][..]), (two, &["J1", "J2", "J1"])] {
        let mut ledger = Ledger::for_jobs(settings.clone(), &asked);
        for (n, job_id) in media.iter().enumerate() {
            let (id, now) = (format!("T{n}"), 100 * n as u64);
            ledger.apply(at(now), event(job_id, success(&format!("m{n}"), &[&id])));
            ledger.apply(at(now + 1), seen(&id, TaskStatus::Complete));
            for now in now + 1..now + 100 {
                assert!(n + 1 == media.len() || !ledger.is_settled(), "{asked:?}: {n} at {now}");
                due(&mut ledger, at(now));
            }
        }
        assert_eq!((ledger.is_settled(), states(&ledger).len()), (true, media.len()), "{asked:?}");
    }
}

/// Graces begin anew after a break. Facts played back at another break must not end what was still waited for.
#[test]
fn a_grace_that_a_break_has_renewed_is_not_over_when_the_facts_are_played_back() {
    let answer = || looked_up("J", vec![success("m2", &["T2"])]);
    let mut ledger = ledger(false, &["m1", "m2"]);
    ledger.apply(at(1), submitted("J"));
    ledger.apply(at(500), answer());
    // A break, and a new process that hears the same again, whose facts are played back in a third.
    ledger.apply(at(9_000), answer());
    ledger.reopen(at(9_100), at(20_000), false);
    assert_eq!(states(&ledger)[0].1, "unfinished");
    for second in (9_200..9_700).step_by(20) {
        ledger.apply(at(second), answer());
        assert_eq!(states(&ledger)[0].1, "unfinished");
    }
    ledger.apply(at(9_701), answer());
    assert!(due(&mut ledger, at(9_701)).contains(&"note".to_owned()));
    assert_eq!(states(&ledger)[0].2.as_deref(), Some("JobNotFound"));
}

#[test]
fn what_another_account_does_not_find_stays_unfinished() {
    let named = || looked_up("J", vec![success("m1", &["T1"])]);
    let nothing = || Fact::TaskSeen { task: task("T1"), rows: vec![], total: None };
    let fault = || Fault::new(ErrorKind::Rejected, "SomethingNew", "no");
    let unclear = || Fact::TaskUnclear { task: task("T1"), fault: fault() };
    let unclear_job = || Fact::JobUnclear { job: job("J"), fault: fault() };
    let table: [(&str, bool, &dyn Fn() -> Fact); 4] = [
        ("a job that no lookup shows", false, &|| looked_up("J", vec![])),
        ("a job with a code that nobody knows", false, &unclear_job),
        ("a task without a row", true, &nothing),
        ("a task with a code that nobody knows", true, &unclear),
    ];
    for (what, is_named, fact) in table {
        for (may_be_foreign, end) in [(false, "failed"), (true, "unfinished")] {
            let mut ledger = ledger(false, &["m1"]);
            ledger.apply(at(1), submitted("J"));
            if is_named {
                ledger.apply(at(2), named());
            }
            ledger.reopen(at(10), at(5_000), may_be_foreign);
            for now in (20..1_000).step_by(20) {
                ledger.apply(at(now), fact());
                due(&mut ledger, at(now));
            }
            assert_eq!((state(&ledger).0, ledger.is_settled()), (end, !may_be_foreign), "{what}");
        }
    }
}

#[test]
fn a_task_without_a_row_fails_its_media_after_one_grace_although_the_others_were_not_looked_at_anew() {
    let mut ledger = ledger(false, &["m1"]);
    ledger.apply(at(1), submitted("J"));
    ledger.apply(at(2), looked_up("J", vec![success("m1", &["T1", "T2"])]));
    ledger.apply(at(3), seen("T1", TaskStatus::Complete));
    ledger.reopen(at(10), at(5_000), false);
    for now in (20..=620).step_by(20) {
        assert_eq!(state(&ledger).0, "unfinished", "{now}");
        ledger.apply(at(now), Fact::TaskSeen { task: task("T2"), rows: vec![], total: None });
        noted(&mut ledger, at(now));
    }
    assert_eq!(state(&ledger), ("failed", Some("TaskNotFound".to_owned())));
}

/// A look at it after the break would show nothing either.
#[test]
fn a_shared_task_without_a_row_fails_its_media_one_grace_after_a_break() {
    let mut ledger = ledger(false, &["m1", "m2"]);
    ledger.apply(at(1), submitted("J"));
    ledger.apply(at(2), looked_up("J", vec![success("m1", &["T"]), success("m2", &["T"])]));
    ledger.reopen(at(10), at(5_000), false);
    for now in (20..=620).step_by(20) {
        assert!(states(&ledger).iter().all(|(_, state, _)| *state == "unfinished"), "{now}");
        ledger.apply(at(now), Fact::TaskSeen { task: task("T"), rows: vec![], total: None });
        noted(&mut ledger, at(now));
    }
    let ends: Vec<_> = states(&ledger).into_iter().map(|(_, state, code)| (state, code)).collect();
    let failed = ("failed", Some("TaskNotFound".to_owned()));
    assert_eq!((ends, ledger.is_settled()), (vec![failed.clone(), failed], true));
}

/// Polls that show nothing are not written down.
#[test]
fn a_media_with_a_refused_task_and_one_that_is_not_shown_ends_alike_when_it_is_played_back() {
    let (mut ledger, mut journal) = (ledger(false, &["m1"]), Vec::new());
    live(&mut ledger, &mut journal, at(1), submitted("J"));
    live(&mut ledger, &mut journal, at(2), looked_up("J", vec![success("m1", &["T1", "T2"])]));
    let fault = Fault::new(ErrorKind::Rejected, "InvalidTaskId.Malformed", "no");
    live(&mut ledger, &mut journal, at(3), Fact::TaskRefused { task: task("T1"), fault });
    for second in (4..=604).step_by(20) {
        assert_eq!(state(&ledger).0, "unfinished", "{second}");
        let nothing = Fact::TaskSeen { task: task("T2"), rows: vec![], total: None };
        live(&mut ledger, &mut journal, at(second), nothing);
    }
    assert_eq!(state(&ledger), ("failed", Some("InvalidTaskId.Malformed".into())));
    assert_eq!(state(&replayed(super::ledger(false, &["m1"]), &journal)), state(&ledger));
}

/// Nobody was silent who could not be heard: an outage, or a process that was stopped.
#[test]
fn ten_minutes_with_few_answers_are_no_silence() {
    for is_named in [false, true] {
        let mut ledger = ledger(false, &["m1"]);
        ledger.apply(at(1), submitted("J"));
        if is_named {
            ledger.apply(at(2), looked_up("J", vec![success("m1", &["T"])]));
        }
        for second in [3, 5, 8, 13, 20, 285, 290, 295, 605, 610] {
            let nothing = match is_named {
                true => Fact::TaskSeen { task: task("T"), rows: vec![], total: None },
                false => looked_up("J", vec![]),
            };
            ledger.apply(at(second), nothing);
            noted(&mut ledger, at(second));
            assert_eq!(state(&ledger).0, "unfinished", "{second}");
        }
    }
}

#[test]
fn what_is_named_late_has_ten_minutes_of_its_own() {
    let mut ledger = ledger(false, &["m1"]);
    let named = |urls| {
        looked_up("J", vec![JobRow::new(media("m1"), SubmissionStatus::Success, vec![task("T")], urls)])
    };
    ledger.apply(at(1), submitted("J"));
    ledger.apply(at(2), named("https://a/1"));
    for second in (10..1_300).step_by(10) {
        let status = if second < 660 { TaskStatus::Refreshing } else { TaskStatus::Complete };
        let row = TaskRow::new(task("T"), "https://a/1", status);
        ledger.apply(at(second), Fact::TaskSeen { task: task("T"), rows: vec![row], total: Some(1) });
        if second >= 650 {
            ledger.apply(at(second), named("https://a/1,https://a/2"));
        }
        noted(&mut ledger, at(second));
        let expected = if second < 1_250 { "unfinished" } else { "failed" };
        assert_eq!(state(&ledger).0, expected, "{second}");
    }
}
