//! Runs that preload what they have refreshed, as tables of facts.

use super::*;

/// m1, whose refresh is complete, and m2, whose refresh failed so far: the first task of it did.
fn refreshed() -> Ledger {
    let mut settings = settings(false);
    settings.preload_polls = Some((Duration::from_secs(10), Duration::from_secs(60)));
    let mut ledger = Ledger::for_batches(settings, Batch::split(&[media("m1"), media("m2")]));
    assert_eq!(due(&mut ledger, at(0)), ["submit 0"]);
    ledger.apply(at(1), submitted("R"));
    ledger.apply(at(2), looked_up("R", vec![success("m1", &["r1"]), success("m2", &["r2"])]));
    ledger.apply(at(3), seen("r1", TaskStatus::Complete));
    assert_eq!(ledger.preload_to_begin(), None, "the refresh of m2 runs");
    ledger.apply(at(4), seen("r2", TaskStatus::Failed));
    ledger
}

fn begun(ids: &[&str]) -> Fact {
    Fact::PreloadBegun { media: ids.iter().map(|id| media(id)).collect() }
}

fn preloaded(batch: u32, job_id: &str) -> Fact {
    let (job, none) = (Some(job(job_id)), Vec::new);
    Fact::Submitted { batch, job, not_found: none(), forbidden: none(), request_id: None }
}

/// The words of all media; counters must say the same.
fn words(ledger: &Ledger) -> Vec<&'static str> {
    let words: Vec<&str> = states(ledger).into_iter().map(|(_, state, _)| state).collect();
    let count = |word| words.iter().filter(|is| **is == word).count() as u64;
    let progress = ledger.progress();
    let counted = (progress.media, progress.complete, progress.failed);
    assert_eq!(counted, (words.len() as u64, count("complete"), count("failed") + count("not_submitted")));
    words
}

#[test]
fn a_preload_begins_once_the_refresh_is_through_and_ends_the_media() {
    let mut ledger = refreshed();
    assert!(!ledger.is_settled());
    assert_eq!(words(&ledger), ["unfinished", "failed"]);
    assert_eq!(ledger.preload_to_begin(), Some(begun(&["m1"])));
    ledger.apply(at(5), begun(&["m1"]));
    ledger.apply(at(5), begun(&["m1"]));
    assert_eq!((ledger.preload_to_begin(), ledger.is_settled()), (None, false));
    assert!(due(&mut ledger, at(5)).contains(&"submit 1".to_owned()));
    assert_eq!(
        [0, 1].map(|batch| ledger.task_type_of(batch)),
        [Some(TaskType::Refresh), Some(TaskType::Preload)]
    );
    ledger.apply(at(6), preloaded(1, "P"));
    ledger.apply(at(7), looked_up("P", vec![success("m1", &["p1"])]));
    let mut polls = |at| due(&mut ledger, at).contains(&"poll p1".to_owned());
    assert_eq!(
        [at(15), at(19)].map(&mut polls),
        [false, true],
        "the first poll of a preload comes after 10 s"
    );
    assert_eq!(words(&ledger), ["unfinished", "failed"]);
    ledger.apply(at(20), seen("p1", TaskStatus::Complete));
    assert_eq!(
        (words(&ledger), ledger.is_settled()),
        (vec!["complete", "failed"], false),
        "a last lookup is due"
    );
    ledger.apply(at(20), looked_up("P", vec![success("m1", &["p1"])]));
    assert_eq!((words(&ledger), ledger.is_settled()), (vec!["complete", "failed"], true));
}

/// The service names more for a media whose stage had ended: the one verdict goes back and forth, and so do the counters.
#[test]
fn a_stage_that_is_open_again_opens_its_media_and_a_late_one_is_preloaded_on_its_own() {
    let mut ledger = refreshed();
    ledger.apply(at(5), begun(&["m1"]));
    ledger.apply(at(6), preloaded(1, "P"));
    ledger.apply(at(7), looked_up("P", vec![success("m1", &["p1"])]));
    ledger.apply(at(20), seen("p1", TaskStatus::Failed));
    assert_eq!((words(&ledger), ledger.is_settled()), (vec!["failed", "failed"], true));
    // More is named for both refreshes, and this time all tasks are well.
    let more = vec![success("m1", &["r1", "r3"]), success("m2", &["r2", "r4"])];
    ledger.apply(at(21), looked_up("R", more));
    assert_eq!((words(&ledger), ledger.is_settled()), (vec!["unfinished", "unfinished"], false));
    for id in ["r2", "r3", "r4"] {
        ledger.apply(at(22), seen(id, TaskStatus::Complete));
    }
    ledger.apply(at(23), looked_up("R", vec![success("m1", &[]), success("m2", &[])]));
    assert_eq!(words(&ledger), ["failed", "unfinished"]);
    assert_eq!(ledger.preload_to_begin(), Some(begun(&["m2"])));
    ledger.apply(at(24), begun(&["m2"]));
    assert!(due(&mut ledger, at(24)).contains(&"submit 2".to_owned()));
    ledger.apply(
        at(25),
        Fact::NotSubmitted { batch: 2, fault: Fault::new(ErrorKind::Quota, "Q", "none left") },
    );
    assert_eq!((words(&ledger), ledger.is_settled()), (vec!["failed", "not_submitted"], true));
    assert_eq!(ledger.progress().failed_unaccepted, 1);
}

/// A merged task id may stand in both jobs. What its row said before the preload was named tells nothing of the preload.
#[test]
fn a_task_of_the_refresh_that_the_preload_names_is_looked_at_again() {
    for (status, word) in [
        (TaskStatus::Complete, "complete"),
        (TaskStatus::Failed, "failed"),
        (TaskStatus::Refreshing, "unfinished"),
    ] {
        let mut ledger = refreshed();
        ledger.apply(at(5), begun(&["m1"]));
        ledger.apply(at(6), preloaded(1, "P"));
        ledger.apply(at(7), looked_up("P", vec![success("m1", &["r1"])]));
        assert_eq!(words(&ledger), ["unfinished", "failed"]);
        assert!(due(&mut ledger, at(7)).contains(&"poll r1".to_owned()));
        ledger.apply(at(7), Fact::TaskSeen { task: task("r1"), rows: vec![], total: None });
        assert_eq!(words(&ledger), ["unfinished", "failed"], "it was not shown");
        let seen = seen("r1", status);
        assert!(ledger.is_news(&seen));
        ledger.apply(at(8), seen);
        assert_eq!(words(&ledger), [word, "failed"]);
    }
}

/// The tasks of a job that was there before can't be those of a preload.
#[test]
fn the_job_of_the_refresh_is_no_job_of_the_preload() {
    let mut ledger = refreshed();
    ledger.apply(at(5), begun(&["m1"]));
    ledger.apply(at(6), preloaded(1, "R"));
    let end = ("m1".to_owned(), "unfinished", Some("OutcomeUnknown".to_owned()));
    assert_eq!((states(&ledger).remove(0), ledger.is_settled()), (end, true), "it may have been taken");
}

/// A run that is played back has the batches that the journal names, whatever it makes of the verdicts.
#[test]
fn the_journal_says_which_media_are_preloaded() {
    let mut ledger = refreshed();
    ledger.apply(at(5), begun(&["m2", "unknown"]));
    assert_eq!(ledger.batch(1), [media("m2")]);
    ledger.reopen(at(100), at(200), false);
    assert!(due(&mut ledger, at(100)).contains(&"submit 1".to_owned()));
}
