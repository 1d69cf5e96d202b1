//! The file as a promise: private, shared, readable later, never written by halves.

use rusqlite::Connection;

use super::*;
use crate::error::ErrorKind;
use crate::ids::{JobId, MediaId};
use crate::model::{Fault, WaitRequest};
use crate::net::clock::{Clock as _, SystemClock};
use crate::vod::TaskType;

fn record(run: &RunId, second: i64) -> RunRecord {
    let record = RunRecord::sample(run.clone());
    RunRecord { started_at: record.started_at + TimeDelta::seconds(second), ..record }
}

fn at(seconds: u64) -> Moment {
    Moment::after(Duration::from_secs(seconds))
}

async fn append(journal: &Journal, run: &RunId, at: Moment, facts: Vec<Fact>) -> Result<()> {
    let facts = facts.into_iter().map(|fact| (at, fact)).collect();
    journal.append(run, Arc::new(facts), sqlite::BUSY).await
}

fn facts() -> Vec<Fact> {
    vec![
        Fact::Submitting { batch: 0 },
        Fact::Submitted {
            batch: 0,
            job: Some(JobId::new("J").unwrap()),
            not_found: vec!["gone".into()],
            forbidden: vec![],
            request_id: None,
        },
    ]
}

async fn journal(folder: &tempfile::TempDir) -> Journal {
    Journal::open(folder.path().join("deep/journal.db")).await.unwrap()
}

#[tokio::test]
async fn a_run_comes_back_with_its_facts_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunId::fresh();
    {
        let journal = journal(&folder).await;
        journal.begin(&record(&run, 0)).await.unwrap();
        append(&journal, &run, at(1), facts()).await.unwrap();
        append(&journal, &run, at(2), vec![Fact::Submitting { batch: 1 }]).await.unwrap();
    }
    let stored = journal(&folder).await.load(None).await.unwrap().unwrap();
    assert_eq!((stored.record, stored.outcome), (record(&run, 0), None));
    let mut expected: Vec<_> = facts().into_iter().map(|fact| (at(1), fact)).collect();
    expected.push((at(2), Fact::Submitting { batch: 1 }));
    assert_eq!(stored.facts, expected);
}

#[tokio::test]
async fn the_newest_unfinished_run_is_the_default() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(&folder).await;
    let (old, new, done) = (RunId::fresh(), RunId::fresh(), RunId::fresh());
    for (run, second) in [(&new, 5), (&old, 1), (&done, 9)] {
        journal.begin(&record(run, second)).await.unwrap();
    }
    journal
        .finish(
            &done,
            Some(Outcome::Partial),
            DateTime::from_timestamp(1_750_000_100, 0).unwrap(),
            Calls::default(),
            sqlite::BUSY,
        )
        .await
        .unwrap();
    assert_eq!(journal.load(None).await.unwrap().unwrap().record.run, new);
    let runs = journal.runs().await.unwrap();
    assert_eq!(runs.iter().map(|r| &r.run_id).collect::<Vec<_>>(), [&done, &new, &old]);
    assert_eq!(
        (runs[0].outcome, runs[0].task_type, runs[0].media),
        (Some(Outcome::Partial), Some(TaskType::Refresh), 1)
    );
    assert_eq!(journal.load(Some(RunId::fresh())).await.unwrap(), None);
}

#[tokio::test]
async fn old_runs_are_pruned_with_their_facts_and_others_stay() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(&folder).await;
    let (done, forgotten, open) = (RunId::fresh(), RunId::fresh(), RunId::fresh());
    for (run, second) in [(&done, 0), (&forgotten, -3 * 86_400), (&open, 5)] {
        journal.begin(&record(run, second)).await.unwrap();
        append(&journal, run, at(1), facts()).await.unwrap();
    }
    let time = |s: i64| DateTime::from_timestamp(1_750_000_000 + s, 0).unwrap();
    journal.finish(&done, Some(Outcome::Complete), time(10), Calls::default(), sqlite::BUSY).await.unwrap();
    assert_eq!(journal.prune(time(0)).await.unwrap(), 0);
    assert_eq!(journal.prune(time(11)).await.unwrap(), 2);
    assert_eq!(journal.load(Some(done)).await.unwrap(), None);
    assert_eq!(journal.load(Some(open.clone())).await.unwrap().unwrap().facts.len(), 2);
    assert_eq!(journal.prune(DateTime::<Utc>::MAX_UTC).await.unwrap(), 1, "{open}");
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(&folder).await;
    journal.begin(&record(&RunId::fresh(), 0)).await.unwrap();
    for file in std::fs::read_dir(folder.path().join("deep")).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.path());
    }
}

#[tokio::test]
async fn files_that_cannot_be_used_name_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.db");
    std::fs::write(&text, "this is no database, and long enough to be sure of it".repeat(40)).unwrap();
    let newer = folder.path().join("newer.db");
    Journal::open(&newer).await.unwrap();
    Connection::open(&newer).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let nowhere = text.join("journal.db");
    for (path, why) in [(text.clone(), "it is no database"), (newer, "a newer version"), (nowhere, "folder")]
    {
        let error = Journal::open(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(why) && error.message().contains(path.to_str().unwrap()), "{error}");
    }
}

#[tokio::test]
async fn the_log_that_a_burst_has_left_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(&folder).await;
    let run = RunId::fresh();
    journal.begin(&record(&run, 0)).await.unwrap();
    let log = || std::fs::metadata(format!("{}-wal", journal.place())).unwrap().len();
    // Who reads keeps the log from being copied back.
    let reader = Connection::open(journal.place()).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM run").unwrap();
    let fault = Fault::new(ErrorKind::Config, "C", "x".repeat(1024 * 1024));
    for _ in 0..20 {
        append(&journal, &run, at(1), vec![Fact::Halted { fault: fault.clone() }]).await.unwrap();
    }
    assert!(log() > 20 * 1024 * 1024, "{}", log());
    drop(reader);
    for _ in 0..2 {
        append(&journal, &run, at(2), facts()).await.unwrap();
    }
    assert!(log() <= u64::from(sqlite::LOG_BYTES), "{}", log());
}

#[tokio::test]
async fn two_connections_write_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (journal(&folder).await, journal(&folder).await);
    let (a, b) = (RunId::fresh(), RunId::fresh());
    one.begin(&record(&a, 0)).await.unwrap();
    two.begin(&record(&b, 0)).await.unwrap();
    let write = |journal: Journal, run: RunId| async move {
        for n in 0..100 {
            append(&journal, &run, at(n), facts()).await.unwrap();
        }
    };
    tokio::join!(write(one.clone(), a.clone()), write(two, b.clone()));
    for run in [a, b] {
        assert_eq!(one.load(Some(run)).await.unwrap().unwrap().facts.len(), 200);
    }
}

#[tokio::test]
async fn a_run_is_driven_by_one_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(&folder).await;
    let run = RunId::fresh();
    let held = journal.lock(&run).await.unwrap().unwrap();
    assert!(journal.lock(&run).await.unwrap().is_none());
    assert!(journal.lock(&RunId::fresh()).await.unwrap().is_some());
    drop(held);
    assert!(journal.lock(&run).await.unwrap().is_some());
}

#[tokio::test]
async fn a_run_that_lost_facts_is_known_by_a_name_until_it_is_pruned() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(&folder).await;
    let (lost, sound) = (RunId::fresh(), RunId::fresh());
    for run in [&lost, &sound] {
        journal.begin(&record(run, 0)).await.unwrap();
    }
    let lock = journal.lock(&lost).await.unwrap().unwrap();
    assert!(lock.mark_lost(true).await);
    drop(lock);
    for (run, is_lost) in [(&lost, true), (&sound, false)] {
        let stored = journal.load(Some(run.clone())).await.unwrap().unwrap();
        assert_eq!((stored.lost, stored.report().resumable), (is_lost, !is_lost));
    }
    let names =
        || std::fs::read_dir(folder.path().join("deep")).unwrap().map(|file| file.unwrap().file_name());
    let marks = || names().filter(|name| name.to_str().unwrap().ends_with(".lost")).count();
    journal.prune(DateTime::from_timestamp(1_750_000_000, 0).unwrap()).await.unwrap();
    assert_eq!(marks(), 1);
    journal.prune(SystemClock.now() + chrono::TimeDelta::minutes(1)).await.unwrap();
    assert_eq!(marks(), 0);
}

#[cfg(unix)]
#[tokio::test]
async fn a_lock_that_was_removed_while_it_was_opened_is_no_lock() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(&folder).await;
    let run = RunId::fresh();
    let mut holders = tokio::task::JoinSet::new();
    let held = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    for _ in 0..4 {
        let (journal, run, held) = (journal.clone(), run.clone(), held.clone());
        holders.spawn(async move {
            for _ in 0..200 {
                if let Some(lock) = journal.lock(&run).await.unwrap() {
                    assert_eq!(held.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0, "two hold it");
                    tokio::task::yield_now().await;
                    held.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    drop(lock);
                }
            }
        });
    }
    while let Some(done) = holders.join_next().await {
        done.unwrap();
    }
}

#[tokio::test]
async fn a_file_of_the_first_form_is_carried_over_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let record = record(&RunId::fresh(), 0);
    let old = Connection::open(&path).unwrap();
    old.execute_batch(sqlite::FIRST).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    let text = serde_json::to_string(&record).unwrap();
    let insert = "INSERT INTO run (id, started_at, media, record) VALUES (?, '2026-11-25T00:00:00Z', 1, ?)";
    old.execute(insert, [record.run.as_str(), &text]).unwrap();
    for (number, fact) in (1..).zip(facts()) {
        let body = serde_json::to_string(&fact).unwrap();
        let insert = "INSERT INTO fact (run, number, at_ms, body) VALUES (?, ?, 7000, ?)";
        old.execute(insert, (record.run.as_str(), number, body)).unwrap();
    }
    drop(old);
    let journal = Journal::open(&path).await.unwrap();
    let stored = journal.load(None).await.unwrap().unwrap();
    assert_eq!(stored.record, record);
    assert_eq!(stored.facts, facts().into_iter().map(|fact| (at(7), fact)).collect::<Vec<_>>());
    // The first form kept no counts.
    assert!(stored.report().summary.api_calls.is_empty());
    append(&journal, &record.run, at(8), facts()).await.unwrap();
    let all = journal.load(Some(record.run)).await.unwrap().unwrap().facts.len();
    assert_eq!(all, 2 * facts().len());
}

#[tokio::test]
async fn calls_of_each_process_that_drove_a_run_are_added_up() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path().join("journal.db")).await.unwrap();
    let record = record(&RunId::fresh(), 0);
    journal.begin(&record).await.unwrap();
    let counts = |pairs: &[(&str, u64)]| pairs.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
    for (outcome, looks) in [(None, 2), (Some(Outcome::Complete), 5)] {
        let calls = Calls {
            api_calls: counts(&[("Look", looks), ("Submit", 1)]),
            retries: counts(&[("Look", 1)]),
            throttled: counts(&[("Submit", 3)]),
        };
        journal.finish(&record.run, outcome, record.started_at, calls, sqlite::BUSY).await.unwrap();
    }
    let summary = journal.load(Some(record.run)).await.unwrap().unwrap().report().summary;
    assert_eq!(summary.api_calls, counts(&[("Look", 7), ("Submit", 2)]));
    assert_eq!((summary.retries, &summary.retries_by_action), (2, &counts(&[("Look", 2)])));
    assert_eq!(summary.throttled, counts(&[("Submit", 6)]));
}

#[tokio::test]
async fn a_wait_that_version_0_1_0_wrote_is_read_and_a_new_one_keeps_what_is_known_of_the_media() {
    let old: Order = serde_json::from_str(r#"{"wait": ["J1", "J2"]}"#).unwrap();
    assert_eq!(old, Order::Wait(WaitRequest::new(["J1", "J2"].map(|id| JobId::new(id).unwrap()))));

    let folder = tempfile::tempdir().unwrap();
    let journal = journal(&folder).await;
    let media = ["m1", "m2", "m1"].map(|id| MediaId::new(id).unwrap());
    let request = WaitRequest::new([JobId::new("J1").unwrap()]).with_media(media).with_expect(3);
    let record = RunRecord { order: Order::Wait(request), ..record(&RunId::fresh(), 0) };
    journal.begin(&record).await.unwrap();
    assert_eq!(journal.load(None).await.unwrap().unwrap().record, record);
    assert_eq!(journal.runs().await.unwrap()[0].media, 2, "those that are named");
}

#[tokio::test]
async fn runs_of_version_0_1_0_are_shown_as_they_ended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let old = Connection::open(&path).unwrap();
    old.execute_batch(include_str!("../../tests/fixtures/journal-0.1.0.sql")).unwrap();
    drop(old);
    let journal = Journal::open(&path).await.unwrap();
    let mut shown = Vec::new();
    for run in journal.runs().await.unwrap() {
        let report = journal.load(Some(run.run_id)).await.unwrap().unwrap().report();
        let media = report.media.iter();
        let states =
            media.map(|media| format!("{} {}", media.media_id.as_ref().unwrap(), media.state.as_str()));
        shown.push(format!("{}: {}", report.outcome.as_str(), states.collect::<Vec<_>>().join(", ")));
    }
    assert_eq!(
        shown,
        [
            "unfinished: well complete, half failed, stuck unfinished, merged complete, quiet complete",
            "partial: well complete, half failed",
            "unfinished: well complete, gone not_found, half failed, stuck unfinished, merged complete, quiet complete",
        ]
    );
}
