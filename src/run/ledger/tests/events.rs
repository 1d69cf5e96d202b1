//! Events: early, twice, late, forged, foreign.

use super::*;

#[test]
fn an_event_starts_the_looks_and_one_lookup_confirms_a_job() {
    let mut ledger = ledger(true, &["m1", "m2"]);
    ledger.apply(at(1), submitted("J"));
    ledger.apply(at(4), event("J", success("m1", &["T1"])));
    assert_eq!(due(&mut ledger, at(4)), ["poll T1"]);
    ledger.apply(at(5), event("J", success("m2", &["T2"])));
    assert_eq!(due(&mut ledger, at(5)), ["query J", "poll T2"]);
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
        (include_str!("../../../../tests/fixtures/events/success.json"), 1, ("unfinished", None)),
        (
            include_str!("../../../../tests/fixtures/events/fail.json"),
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
    assert_eq!(due(&mut ledger, at(64)), ["note"]);
    assert!(ledger.is_settled());
    let report = ledger.media_reports(chrono::DateTime::from_timestamp(0, 0).unwrap()).remove(0);
    assert_eq!((report.state, report.confirmed_by), (MediaState::Complete, Some(Source::Callback)));
    assert!(report.note.unwrap().contains("not confirmed"));
}

#[test]
fn what_only_an_event_told_gives_way_to_a_lookup_that_shows_the_media_after_all() {
    let fails = || row("m1", SubmissionStatus::Fail, &[]);
    for (told, before) in [(success("m1", &["T1"]), "unfinished"), (fails(), "failed")] {
        let (mut ledger, mut journal) = (ledger(true, &["m1", "m2"]), Vec::new());
        live(&mut ledger, &mut journal, at(1), submitted("J"));
        live(&mut ledger, &mut journal, at(2), event("J", told));
        for now in [3, 30, 64] {
            due(&mut ledger, at(now));
            let others = looked_up("J", vec![row("m2", SubmissionStatus::Pending(None), &[])]);
            live(&mut ledger, &mut journal, at(now), others);
        }
        assert_eq!(state(&ledger).0, before, "no lookup has shown it for a minute");
        let shown = looked_up("J", vec![success("m1", &["T1"]), success("m2", &["T2"])]);
        live(&mut ledger, &mut journal, at(80), shown);
        live(&mut ledger, &mut journal, at(81), seen("T1", TaskStatus::Complete));
        let report = ledger.media_reports(chrono::DateTime::from_timestamp(0, 0).unwrap()).remove(0);
        assert_eq!((report.state, report.error), (MediaState::Complete, None), "{before}");
        let replayed = replayed(super::ledger(true, &["m1", "m2"]), &journal);
        assert_eq!(states(&replayed), states(&ledger), "{before}");
    }
}

#[test]
fn an_event_may_name_the_tasks_of_urls_of_which_a_lookup_had_said_that_there_are_none() {
    let mut ledger = settling(true, &["m1"]);
    let named = |ids: Vec<TaskId>| JobRow::new(media("m1"), SubmissionStatus::Success, ids, "https://a/T1");
    ledger.apply(at(1), submitted("J"));
    ledger.apply(at(2), looked_up("J", vec![success("m1", &[])]));
    ledger.apply(at(4), looked_up("J", vec![named(vec![])]));
    ledger.apply(at(5), lookups_refused());
    ledger.apply(at(6), event("J", named(vec![task("T1")])));
    ledger.apply(at(7), seen("T1", TaskStatus::Complete));
    assert_eq!((state(&ledger), ledger.is_settled()), (("complete", None), true));
}

#[test]
fn a_lookup_that_undoes_what_only_an_event_told_is_written_down_although_it_names_nothing() {
    let (mut ledger, mut journal) = (ledger(true, &["m1"]), Vec::new());
    live(&mut ledger, &mut journal, at(1), submitted("J"));
    live(&mut ledger, &mut journal, at(2), event("J", row("m1", SubmissionStatus::Fail, &[])));
    for now in [3, 30, 64] {
        due(&mut ledger, at(now));
        live(&mut ledger, &mut journal, at(now), looked_up("J", vec![]));
    }
    assert_eq!(state(&ledger), ("failed", Some("SubmissionFailed".into())));
    live(&mut ledger, &mut journal, at(65), looked_up("J", vec![success("m1", &[])]));
    assert_eq!(state(&ledger), ("failed", Some("NoPlayUrls".into())));
    assert_eq!(state(&replayed(super::ledger(true, &["m1"]), &journal)), state(&ledger));
}

#[test]
fn a_lookup_that_names_urls_and_no_task_yet_does_not_undo_what_an_event_named() {
    let mut ledger = ledger(true, &["m1"]);
    let named = |ids: Vec<TaskId>| JobRow::new(media("m1"), SubmissionStatus::Success, ids, "https://a/T1");
    ledger.apply(at(1), submitted("J"));
    ledger.apply(at(2), event("J", named(vec![task("T1")])));
    ledger.apply(at(4), looked_up("J", vec![named(vec![])]));
    let warnings = ledger.take_notices();
    let warnings = warnings.iter().filter(|notice| matches!(notice, Notice::Warning { .. }));
    assert_eq!((warnings.count(), ledger.progress().tasks), (0, 1));
    ledger.apply(at(5), lookups_refused());
    ledger.apply(at(6), seen("T1", TaskStatus::Complete));
    assert_eq!(state(&ledger), ("complete", None));
}

#[test]
fn refused_lookups_leave_the_verdict_to_events() {
    let mut ledger = ledger(true, &["m1", "m2"]);
    ledger.apply(at(1), submitted("J"));
    ledger.apply(at(2), event("J", success("m1", &["T1"])));
    ledger.apply(at(3), lookups_refused());
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
    assert_eq!(due(&mut ledger, at(2)), ["query J"]);
    assert_eq!(due(&mut ledger, at(5)), ["poll T1"]);
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
fn an_event_is_ours_foreign_or_not_known_yet() {
    let of = |job_id: &str, id: &str, run: Option<&str>| {
        let Fact::Event(mut event) = event(job_id, success(id, &["1"])) else { panic!() };
        event.correlation =
            run.map(|run| Correlation { run: crate::ids::RunId::new(run).unwrap(), batch: 0 });
        *event
    };
    let claim = |ledger: &mut Ledger, event: &MediaRefreshEvent| {
        ledger.apply(at(1), Fact::Event(Box::new(event.clone())));
        let media = event.row.as_ref().map(|row| row.media.clone());
        ledger.claim(event.job.clone(), media, event.correlation.as_ref())
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

#[test]
fn an_event_of_an_unknown_sender_settles_nothing_though_the_lookup_says_the_same() {
    let unsigned = |row: JobRow| match event("J", row) {
        Fact::Event(mut event) => {
            event.signed = false;
            Fact::Event(event)
        }
        other => other,
    };
    let part = || success("m1", &["T1"]);
    let fails = || row("m1", SubmissionStatus::Fail, &[]);
    let before = [unsigned(part()), looked_up("J", vec![part()])];
    let after = [unsigned(fails()), looked_up("J", vec![part()]), unsigned(part())];
    for facts in [&before[..], &after[..]] {
        let mut ledger = settling(true, &["m1"]);
        ledger.apply(at(1), submitted("J"));
        for fact in facts {
            ledger.apply(at(2), fact.clone());
        }
        ledger.apply(at(3), seen("T1", TaskStatus::Complete));
        assert_eq!(state(&ledger).0, "unfinished", "more may be named: {facts:?}");
        ledger.apply(at(4), looked_up("J", vec![success("m1", &["T1", "T2"])]));
        ledger.apply(at(8), looked_up("J", vec![success("m1", &["T1", "T2"])]));
        ledger.apply(at(9), seen("T2", TaskStatus::Failed));
        assert_eq!(state(&ledger).0, "failed", "{facts:?}");
    }
}

/// Without lookups, a later event may keep a media from being complete, and add to what is named. It never ends it well.
#[test]
fn events_that_name_more_are_taken_together_and_those_that_contradict_decide_nothing() {
    let named = |urls: &str| {
        let ids = vec![task("T1")];
        event("J", JobRow::new(media("m1"), SubmissionStatus::Success, ids, urls))
    };
    let names = |ids: &[&str]| event("J", success("m1", ids));
    let fails = || event("J", row("m1", SubmissionStatus::Fail, &[]));
    let odd = || event("J", row("m1", SubmissionStatus::Pending(Some("odd".into())), &[]));
    let unread = || {
        let mut row = success("m1", &["T1"]);
        row.unread = Some("{}".to_owned());
        event("J", row)
    };
    let stranger = |fact: Fact| {
        let Fact::Event(event) = fact else { panic!() };
        unsigned("J", event.row.unwrap())
    };
    let ends = |id: &str| seen(id, TaskStatus::Complete);
    let table = [
        (vec![names(&["T1"]), names(&["T1", "T2"]), ends("T1")], "unfinished", 0),
        (vec![names(&["T1"]), names(&["T2"]), ends("T1"), ends("T2")], "complete", 0),
        (vec![names(&["T1"]), names(&["T2"]), ends("T1"), seen("T2", TaskStatus::Failed)], "failed", 0),
        (vec![named("https://a/T1"), named("https://a/2"), ends("T1")], "unfinished", 0),
        (vec![names(&["T1"]), fails(), fails(), ends("T1")], "unfinished", 1),
        (vec![names(&["T1"]), ends("T1"), fails(), names(&["T1"])], "unfinished", 1),
        (vec![fails(), names(&["T1"]), ends("T1")], "unfinished", 1),
        (vec![names(&[]), names(&["T1"]), ends("T1")], "unfinished", 1),
        (vec![names(&["T1"]), unread(), ends("T1")], "unfinished", 0),
        (vec![odd(), names(&["T1"]), ends("T1")], "unfinished", 0),
        // Who is not known says nothing against who is.
        (vec![names(&["T1"]), stranger(fails()), ends("T1")], "complete", 0),
        (vec![stranger(names(&["T1"])), names(&["T2"]), ends("T1"), ends("T2")], "complete", 0),
        (vec![stranger(fails()), names(&["T1"]), ends("T1")], "complete", 0),
        (vec![stranger(names(&["T1"])), stranger(fails()), ends("T1")], "unfinished", 1),
        (vec![stranger(names(&["T1"])), stranger(names(&["T2"])), ends("T1")], "unfinished", 0),
    ];
    for (facts, expected, warnings) in table {
        let mut settings = settings(true);
        settings.lookup = LookupAfter::Never;
        let mut ledger = Ledger::for_batches(settings, Batch::split(&[media("m1")]));
        due(&mut ledger, at(0));
        ledger.apply(at(1), submitted("J"));
        facts.iter().for_each(|fact| ledger.apply(at(2), fact.clone()));
        assert_eq!(state(&ledger).0, expected, "{facts:?}");
        let contradictions = ledger
            .take_notices()
            .into_iter()
            .filter(|notice| matches!(notice, Notice::Warning { message } if message.contains("contradict")));
        assert_eq!(contradictions.count(), warnings, "{facts:?}");
    }
}

/// How many of these facts are news, each applied before the next one is looked at.
fn news(ledger: &mut Ledger, facts: impl IntoIterator<Item = Fact>) -> usize {
    let applied = facts.into_iter().filter(|fact| {
        let is_news = ledger.is_news(fact);
        ledger.apply(at(2), fact.clone());
        is_news
    });
    applied.count()
}

#[test]
fn h02_what_is_kept_of_strangers_weighs_every_byte_and_is_written_up_to_a_limit() {
    let mut ledger = ledger(true, &["m1"]);
    let stranger = |n: usize| {
        let mut row = row("m1", SubmissionStatus::Fail, &[]);
        row.error_message = Some("x".repeat(100_000));
        event(&format!("J{n}"), row)
    };
    // 8 MiB, and not one event more.
    assert_eq!(news(&mut ledger, (0..200).map(stranger)), 83);
    assert_eq!(ledger.events.foreign, 200 - 83);
    // The run's own mark is remembered, whatever pushes its event out.
    let Fact::Event(mut marked) = stranger(1_000) else { panic!() };
    marked.correlation = Some(Correlation { run: RunId::new("run").unwrap(), batch: 0 });
    assert_eq!(news(&mut ledger, [Fact::Event(marked)]), 1);
    assert_eq!(news(&mut ledger, (200..400).map(stranger)), 0);
    let fault = Fault::new(ErrorKind::Unavailable, "Timeout", "lost");
    assert_eq!(ledger.open_batches(), 1);
    ledger.apply(at(3), Fact::OutcomeUnknown { batch: 0, fault });
    assert_eq!(ledger.open_batches(), 0, "the mark told of the job");
}

#[test]
fn events_of_a_job_that_becomes_known_make_room_for_others() {
    let ids: Vec<MediaId> = (0..21).map(|n| media(&format!("m{n}"))).collect();
    let mut ledger = Ledger::for_batches(settings(true), Batch::split(&ids));
    let heavy = |job: &str, n: usize| {
        let mut row = row(&format!("m{n}"), SubmissionStatus::Success, &[]);
        row.error_message = Some("x".repeat(500_000));
        event(job, row)
    };
    for n in 0..16 {
        ledger.apply(at(1), heavy("J", n));
    }
    ledger.apply(at(2), submitted("J"));
    for n in 0..16 {
        ledger.apply(at(3), heavy("other", n));
    }
    assert_eq!((ledger.events.foreign, ledger.open_batches()), (0, 1));
}

#[test]
fn h03_useless_events_of_our_own_media_are_no_news() {
    let mut ledger = ledger(true, &["m1", "m2", "m3"]);
    ledger.apply(at(1), submitted("J"));
    let text = |id: &str, status, n: usize| {
        let mut row = row(id, status, &[]);
        row.error_message = Some(format!("text {n}"));
        row
    };
    let odd = || SubmissionStatus::Pending(Some("odd".into()));
    let fails = (0..300).map(|n| unsigned("J", text("m1", SubmissionStatus::Fail, n)));
    assert_eq!(news(&mut ledger, fails), 1);
    assert_eq!(news(&mut ledger, (0..300).map(|n| event("J", text("m2", odd(), n)))), 1);
    let not_asked_for = (0..300).map(|n| event("J", text("mX", odd(), n)));
    assert_eq!(news(&mut ledger, not_asked_for), 0);
    let names = |first: usize| {
        let ids: Vec<String> = (first..first + 1_000).map(|n| format!("T{n}")).collect();
        unsigned("J", success("m3", &ids.iter().map(String::as_str).collect::<Vec<_>>()))
    };
    assert_eq!(news(&mut ledger, [0, 500, 1_500, 2_500].map(names)), 3, "2,000 tasks");
    assert_eq!(ledger.progress().tasks, 2_000);
    let mut hint = unsigned("J", success("m3", &[]));
    if let Fact::Event(event) = &mut hint {
        event.row = None;
    }
    assert_eq!(news(&mut ledger, [hint]), 0);
    let warnings = ledger.take_notices();
    let warnings = warnings.iter().filter(|notice| matches!(notice, Notice::Warning { .. }));
    assert_eq!(warnings.count(), 1, "one status word, however often");
}

#[test]
fn h03_events_that_name_a_little_more_each_time_come_to_an_end() {
    let mut ledger = ledger(true, &["m1", "m2"]);
    ledger.apply(at(1), submitted("J"));
    let long = |n: usize| {
        let mut row = success("m1", &[&format!("T{n}")]);
        row.urls = vec![format!("https://a.test/{n}/{}", "u".repeat(100_000))];
        row
    };
    assert_eq!(
        news(&mut ledger, (0..100).map(|n| unsigned("J", long(n)))),
        3,
        "256 KiB, and the one that crosses it"
    );
    assert_eq!(news(&mut ledger, (0..100).map(|n| event("J", long(n)))), 3, "as much of a known sender");
}

#[test]
fn strangers_add_no_end_of_media_to_a_job_that_is_waited_for() {
    let mut settings = settings(true);
    settings.lookup = LookupAfter::Never;
    let mut ledger = Ledger::for_jobs(settings, &WaitRequest::new([job("J")]));
    let facts = (0..1_000).map(|n| unsigned("J", success(&format!("m{n}"), &["T"])));
    assert_eq!((news(&mut ledger, facts), ledger.progress().media), (100, 100));
}

#[test]
fn events_that_say_the_same_again_do_not_hold_a_job_of_others_open() {
    let mut settings = settings(true);
    settings.lookup = LookupAfter::Never;
    let mut ledger = Ledger::for_jobs(settings, &WaitRequest::new([job("J")]));
    for second in 1..12 {
        ledger.apply(at(second), event("J", success("m1", &["T1"])));
        ledger.apply(at(second), seen("T1", TaskStatus::Complete));
        due(&mut ledger, at(second));
    }
    assert!(ledger.is_settled());
}

#[test]
fn a_job_of_others_is_looked_up_soon_after_its_first_event() {
    let mut ledger = of_job(settings(true));
    ledger.apply(at(3), event("J", success("m1", &["T1"])));
    assert_eq!(due(&mut ledger, at(4)), ["poll T1"]);
    assert_eq!(due(&mut ledger, at(5)), ["query J"]);
}
