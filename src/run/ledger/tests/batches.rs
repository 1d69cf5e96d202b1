//! Batches: lost, refused, given up.

use super::*;
use crate::model::code;

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
        assert_eq!(due(&mut ledger, at(100)), ["query J", "poll T1"], "not sent again");
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
    assert_eq!(state(&without), ("unfinished", Some("OutcomeUnknown".into())));
}

#[test]
fn no_resubmit_ends_a_lost_batch() {
    let mut settings = settings(false);
    settings.resubmit = false;
    let mut ledger = Ledger::for_batches(settings, Batch::split(&[media("m1")]));
    assert_eq!(due(&mut ledger, at(0)), ["submit 0"]);
    ledger.apply(at(1), lost(0));
    assert_eq!(due(&mut ledger, at(1)), ["note"]);
    assert_eq!(state(&ledger), ("unfinished", Some("OutcomeUnknown".into())));
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
fn an_answer_without_a_job_id_as_older_journals_have_it_leaves_the_outcome_open() {
    let mut ledger = ledger(false, &["m1"]);
    let none =
        Fact::Submitted { batch: 0, job: None, not_found: vec![], forbidden: vec![], request_id: None };
    ledger.apply(at(1), none);
    assert_eq!(state(&ledger), ("unfinished", Some("OutcomeUnknown".into())));
}

#[test]
fn a_halt_gives_up_what_was_not_sent_or_answered_and_keeps_what_was() {
    let ids: Vec<MediaId> = (0..65).map(|n| media(&format!("m{n}"))).collect();
    let mut ledger = Ledger::for_batches(settings(false), Batch::split(&ids));
    for batch in 0..2 {
        assert!(matches!(ledger.due(at(0), SLOTS), Some(Work::Submit { batch: sent }) if sent == batch));
    }
    ledger.apply(at(1), submitted("J"));
    ledger.apply(at(1), lost(1));
    ledger.apply(
        at(1),
        Fact::Halted { fault: Fault::new(ErrorKind::Quota, "QuotaExceeded.Refresh", "no more") },
    );
    let with = |code: Option<&str>| states(&ledger).iter().filter(|s| s.2.as_deref() == code).count();
    let ends = [None, Some("OutcomeUnknown"), Some("QuotaExceeded.Refresh")];
    assert_eq!((ends.map(with), ledger.open_batches()), ([20, 20, 25], 0));
}

#[test]
fn a_halt_gives_up_every_batch_of_urls_whole() {
    let urls: Vec<String> = (0..4).map(|n| format!("https://a.test/{n}")).collect();
    let request = UrlRequest::new(TaskType::Refresh, urls);
    let mut ledger = Ledger::for_urls(settings(false), UrlBatch::split(&request));
    // Not an answer about these URLs, although it has the kind of one.
    let fault = Fault::new(ErrorKind::Rejected, code::FAIL_FAST, "another media failed before it was sent");
    ledger.apply(at(1), Fact::Halted { fault });
    let reports = ledger.url_reports(chrono::DateTime::from_timestamp(0, 0).unwrap());
    let states: Vec<_> = reports.iter().map(|url| (url.state.as_str(), url.error.is_some())).collect();
    assert_eq!((states, ledger.open_batches()), (vec![("not_submitted", true); 4], 0));
}
