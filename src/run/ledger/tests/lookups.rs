//! When a lookup settles what it names, the last one of a job, and lookups that are not answered.

use super::*;

/// The naming settles after seconds, tasks take minutes: what was named in between counts as well.
#[test]
fn a_job_is_looked_up_once_more_when_its_last_media_has_ended() {
    let table: [(u64, Option<Fact>, (&str, bool)); 5] = [
        (4, None, ("complete", true)),
        (5, None, ("complete", false)),
        (5, Some(looked_up("J", vec![success("m1", &["T1"])])), ("complete", true)),
        (5, Some(looked_up("J", vec![success("m1", &["T1", "T2"])])), ("unfinished", false)),
        // What was known stays, whatever becomes of a call that nothing hung on.
        (
            5,
            Some(Fact::JobUnclear { job: job("J"), fault: Fault::new(ErrorKind::Unavailable, "X", "no") }),
            ("complete", true),
        ),
    ];
    for (ended, answer, expected) in table {
        let mut ledger = ledger(false, &["m1"]);
        ledger.apply(at(1), submitted("J"));
        due(&mut ledger, at(2));
        ledger.apply(at(2), looked_up("J", vec![success("m1", &["T1"])]));
        ledger.apply(at(ended), seen("T1", TaskStatus::Complete));
        assert_eq!(due(&mut ledger, at(ended)).contains(&"query J".to_owned()), ended > 4);
        let is_asked = ended > 4;
        if let Some(fact) = answer.clone() {
            let is_more = expected.0 == "unfinished";
            assert_eq!(is_asked && ledger.is_news(&fact), is_more, "{fact:?}");
            ledger.apply(at(ended), fact);
        }
        assert_eq!((state(&ledger).0, ledger.is_settled()), expected, "{ended} {answer:?}");
        ledger.end_all_closing();
        assert_eq!(ledger.is_settled(), expected.0 == "complete");
    }
}

/// More may have been named, and Failed.
#[test]
fn a_last_lookup_that_is_not_answered_is_made_again() {
    let unclear = |kind, code: &str| Fact::JobUnclear { job: job("J"), fault: Fault::new(kind, code, "no") };
    for (answer, looks) in [
        (unclear(ErrorKind::Rejected, "Foo.Bar"), 9),
        (unclear(ErrorKind::Refused, "Forbidden.RAM"), 9),
        (looked_up("J", vec![]), 9),
        // The call itself was repeated for as long as a run may wait.
        (unclear(ErrorKind::Unavailable, "ServiceUnavailable"), 1),
    ] {
        for is_answered in [true, false] {
            let mut ledger = ledger(false, &["m1"]);
            ledger.apply(at(1), submitted("J"));
            ledger.apply(at(2), looked_up("J", vec![success("m1", &["T1"])]));
            ledger.apply(at(9), seen("T1", TaskStatus::Complete));
            let mut asked = 0;
            for now in 9..400 {
                for word in due(&mut ledger, at(now)) {
                    assert_eq!(word, "query J");
                    asked += 1;
                    if is_answered && asked == 2 {
                        ledger.apply(at(now), looked_up("J", vec![success("m1", &["T1", "T2"])]));
                        assert_eq!(
                            (state(&ledger).0, ledger.is_settled()),
                            ("unfinished", false),
                            "{answer:?}"
                        );
                        break;
                    }
                    ledger.apply(at(now), answer.clone());
                }
                if state(&ledger).0 == "unfinished" {
                    break;
                }
            }
            if !is_answered || looks == 1 {
                assert_eq!(
                    (asked, state(&ledger).0, ledger.is_settled()),
                    (looks, "complete", true),
                    "{answer:?}"
                );
                let is_told = |notice: &Notice| matches!(notice, Notice::Warning { message } if message.contains("not told of"));
                assert_eq!(
                    ledger.take_notices().iter().filter(|notice| is_told(notice)).count(),
                    1,
                    "{answer:?}"
                );
            }
        }
    }
}

#[test]
fn what_the_last_lookup_says_against_a_media_is_written_down() {
    let mut unread = success("m1", &["T1"]);
    unread.unread = Some("{}".into());
    let table = [
        (row("m1", SubmissionStatus::Fail, &["T1"]), "failed"),
        (row("m1", SubmissionStatus::Pending(Some("processing".into())), &["T1"]), "unfinished"),
        (unread, "unfinished"),
    ];
    for (last, state_after) in table {
        let (mut ledger, mut journal) = (ledger(false, &["m1"]), Vec::new());
        live(&mut ledger, &mut journal, at(1), submitted("J"));
        live(&mut ledger, &mut journal, at(2), looked_up("J", vec![success("m1", &["T1"])]));
        live(&mut ledger, &mut journal, at(9), seen("T1", TaskStatus::Complete));
        assert_eq!(state(&ledger).0, "complete");
        live(&mut ledger, &mut journal, at(9), looked_up("J", vec![last.clone()]));
        assert_eq!(state(&ledger).0, state_after, "{last:?}");
        assert_eq!(state(&replayed(super::ledger(false, &["m1"]), &journal)), state(&ledger), "{last:?}");
    }
}

#[test]
fn no_deadline_settles_what_two_lookups_three_seconds_apart_have_not() {
    let named = || looked_up("J", vec![success("m1", &["T1"])]);
    // Lookups before the deadline, lookups of whoever carries the run on, and what comes of them.
    for (lookups, later, expected) in [
        (&[2, 3][..], &[4][..], ["unfinished", "unfinished"]),
        (&[3], &[5], ["unfinished", "unfinished"]),
        (&[2], &[5], ["unfinished", "complete"]),
        (&[], &[4, 7], ["unfinished", "complete"]),
    ] {
        let mut settings = settings(false);
        (settings.settle, settings.deadline) = (Duration::from_secs(3), at(3));
        let mut ledger = Ledger::for_batches(settings, Batch::split(&[media("m1")]));
        due(&mut ledger, at(0));
        ledger.apply(at(1), submitted("J"));
        lookups.iter().for_each(|second| ledger.apply(at(*second), named()));
        ledger.apply(at(3), seen("T1", TaskStatus::Complete));
        let at_the_deadline = state(&ledger).0;
        ledger.reopen(at(4), at(4), false);
        for second in later {
            ledger.apply(at(*second), named());
            ledger.apply(at(*second), seen("T1", TaskStatus::Complete));
        }
        assert_eq!([at_the_deadline, state(&ledger).0], expected, "{lookups:?} {later:?}");
    }
}

/// What one lookup names may not be all.
#[test]
fn a_media_that_was_named_once_is_not_settled_by_codes_that_nobody_knows_nor_by_a_refusal() {
    let fault = |code: &str| Fault::new(ErrorKind::Rejected, code, "no");
    for refusal in [
        Fact::JobUnclear { job: job("J"), fault: fault("Foo.Bar") },
        Fact::LookupsRefused { fault: fault("Forbidden.RAM") },
        Fact::LookupFailed { job: job("J"), fault: fault("ServiceUnavailable") },
    ] {
        let mut ledger = settling(true, &["m1"]);
        ledger.apply(at(1), submitted("J"));
        ledger.apply(at(2), looked_up("J", vec![success("m1", &["T1"])]));
        ledger.apply(at(4), seen("T1", TaskStatus::Complete));
        for now in 5..700 {
            due(&mut ledger, at(now));
            if now % 15 == 0 {
                ledger.apply(at(now), refusal.clone());
            }
        }
        assert_eq!((state(&ledger).0, ledger.is_settled()), ("unfinished", false), "{refusal:?}");
    }
}

/// A job of others may have more media than were shown.
#[test]
fn a_job_of_others_is_not_whole_because_lookups_get_codes_that_nobody_knows() {
    let mut settings = settings(false);
    settings.task_type = None;
    let mut ledger = of_job(settings);
    due(&mut ledger, at(0));
    ledger.apply(at(1), looked_up("J", vec![success("m1", &["T1"])]));
    ledger.apply(at(3), seen("T1", TaskStatus::Complete));
    let fault = Fault::new(ErrorKind::Rejected, "Foo.Bar", "no");
    for now in 4..600 {
        if due(&mut ledger, at(now)).contains(&"query J".to_owned()) {
            ledger.apply(at(now), Fact::JobUnclear { job: job("J"), fault: fault.clone() });
        }
    }
    assert!(!ledger.is_settled());
    ledger.apply(at(600), looked_up("J", vec![success("m1", &["T1"]), success("m2", &["T2"])]));
    assert_eq!(states(&ledger)[1].1, "unfinished");
}

/// What a run learns after a break means the same to the next one that carries it on.
#[test]
fn lookups_that_a_resumed_run_asks_again_are_not_refused_to_the_next_one() {
    let pending = row("m1", SubmissionStatus::Pending(Some("processing".into())), &["T1"]);
    for (shown, told) in [
        // An event of an unknown sender starts looks, and nothing else.
        (vec![], unsigned("J", success("m1", &["T1"]))),
        // A known sender does not stand against a lookup that shows the media.
        (vec![pending], event("J", success("m1", &["T1"]))),
    ] {
        let mut journal = Vec::new();
        let mut first = ledger(true, &["m1"]);
        live(&mut first, &mut journal, at(1), submitted("J"));
        live(&mut first, &mut journal, at(20), lookups_refused());
        let mut second = replayed(ledger(true, &["m1"]), &journal);
        journal.extend(second.facts_of_a_break().into_iter().map(|fact| (at(100), fact)));
        second.reopen(at(100), at(3_700), false);
        live(&mut second, &mut journal, at(101), looked_up("J", shown));
        live(&mut second, &mut journal, at(102), told);
        live(&mut second, &mut journal, at(103), seen("T1", TaskStatus::Complete));
        let third = replayed(ledger(true, &["m1"]), &journal);
        assert_eq!([state(&second).0, state(&third).0], ["unfinished"; 2], "{journal:?}");
    }
}
