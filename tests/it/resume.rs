//! Runs that are carried on: by whom, from where, and with what.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use serde_json::Value;
use vod_refresh::emulator::{Fault, FaultRule, JobScript, MediaScript, Scenario, Which};
use vod_refresh::journal::StoredRun;
use vod_refresh::run::{MediaState, Notice};
use vod_refresh::{Credential, ErrorKind, Journal, Outcome, StaticCredentials};

use crate::crash::{Death, die};
use crate::schema::Refresher;
use crate::support::action::SUBMIT;
use crate::support::scripts::lost_event;
use crate::support::{TestEnv, request, states};

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("m{n}")).collect()
}

async fn journal(folder: &tempfile::TempDir) -> Journal {
    Journal::open(folder.path().join("journal.db")).await.unwrap()
}

fn keep(env: &TestEnv, journal: &Journal) -> Refresher {
    env.refresher().with_journal(journal.clone(), Value::Null)
}

async fn newest(journal: &Journal) -> StoredRun {
    let id = journal.runs().await.unwrap().remove(0).run_id;
    journal.load(Some(id)).await.unwrap().unwrap()
}

/// Five batches, one a second, and time for three.
fn short_of_time() -> TestEnv {
    TestEnv::with_client(Scenario::new(), |client| client.with_max_rps(1))
        .with_options(|o| o.timeout = Duration::from_millis(1_500))
}

#[tokio::test(start_paused = true)]
async fn with_a_journal_what_was_not_sent_in_time_still_will_be() {
    let folder = tempfile::tempdir().unwrap();
    let (env, journal) = (short_of_time(), journal(&folder).await);
    let report = keep(&env, &journal).refresh(&request(ids(100))).await.unwrap();
    assert_eq!((report.outcome, report.resumable, env.submits()), (Outcome::Timeout, true, 3));
    assert_eq!(report.media[99].state, MediaState::Unfinished);
    let patient = keep(&env, &journal).with_options(vod_refresh::RunOptions::default());
    let report = patient.resume(newest(&journal).await).await.unwrap();
    assert_eq!((report.outcome, report.resumable, env.submits()), (Outcome::Complete, false, 5));
}

#[tokio::test(start_paused = true)]
async fn a_run_may_be_given_all_the_time_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let (env, journal) = (short_of_time(), journal(&folder).await);
    keep(&env, &journal).refresh(&request(ids(100))).await.unwrap();
    let mut options = vod_refresh::RunOptions::default();
    options.timeout = Duration::MAX;
    let report = keep(&env, &journal).with_options(options).resume(newest(&journal).await).await.unwrap();
    assert_eq!(report.outcome, Outcome::Complete);
}

#[tokio::test(start_paused = true)]
async fn without_a_journal_what_was_not_sent_in_time_is_not_submitted() {
    let env = short_of_time();
    let report = env.refresh(ids(100)).await;
    assert_eq!((report.outcome, report.resumable), (Outcome::Timeout, false));
    assert_eq!(states(&report)[99], ("m99".into(), "not_submitted", Some("Timeout".into())));
}

#[tokio::test(start_paused = true)]
async fn a_check_asks_about_what_was_sent_and_submits_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (env, journal) = (short_of_time(), journal(&folder).await);
    keep(&env, &journal).refresh(&request(ids(100))).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let report = keep(&env, &journal).with_options(Default::default()).check(newest(&journal).await).await;
    let report = report.unwrap();
    assert_eq!((report.outcome, report.resumable, env.submits()), (Outcome::Unfinished, true, 3));
    assert_eq!((report.summary.media_complete, report.summary.media_unfinished), (60, 40));
    let stored = newest(&journal).await.report();
    assert_eq!((stored.outcome, stored.summary.media_complete), (Outcome::Unfinished, 60));
}

#[tokio::test(start_paused = true)]
async fn a_check_asks_once_about_a_task_that_is_answered_with_a_code_that_nobody_knows() {
    let odd = || FaultRule::on("DescribeVodRefreshTasks", Fault::error(400, "SomethingNew")).times(0);
    let own = TestEnv::new(Scenario::new().with_fault(odd()));
    for env in [own, of_another_account(Scenario::new().with_fault(odd()))] {
        let folder = tempfile::tempdir().unwrap();
        let journal = journal(&folder).await;
        let first = TestEnv::new(Scenario::new().with(|s| s.task_duration = Duration::from_secs(1_000)))
            .with_options(|options| options.timeout = Duration::from_secs(60));
        keep(&first, &journal).refresh(&request(["m1"])).await.unwrap();
        let report = keep(&env, &journal).check(newest(&journal).await).await.unwrap();
        assert_eq!((report.outcome, states(&report)[0].1), (Outcome::Unfinished, "unfinished"));
        let tasks: usize = report.media.iter().map(|media| media.tasks.len()).sum();
        assert_eq!(env.cloud.count("DescribeVodRefreshTasks"), tasks);
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_is_carried_on_by_one_at_a_time_and_not_after_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let (env, journal) = (short_of_time(), journal(&folder).await);
    keep(&env, &journal).refresh(&request(ids(100))).await.unwrap();
    let (stale, patient) =
        (newest(&journal).await, keep(&env, &journal).with_options(vod_refresh::RunOptions::default()));
    let held = journal.lock(&stale.record.run).await.unwrap().unwrap();
    let error = patient.resume(stale.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("another process"), "{error}");
    drop(held);
    assert_eq!(patient.resume(stale.clone()).await.unwrap().outcome, Outcome::Complete);
    // What was loaded before the other one ended it must not be driven again.
    let error = patient.resume(stale).await.unwrap_err();
    assert_eq!((error.kind(), env.submits()), (ErrorKind::Usage, 5));
    assert!(error.message().ends_with("has ended: complete"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_run_of_four_days_ago_is_carried_on_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let (env, journal) = (short_of_time(), journal(&folder).await);
    keep(&env, &journal).refresh(&request(ids(100))).await.unwrap();
    let mut stored = newest(&journal).await;
    stored.record.started_at -= TimeDelta::days(4);
    let report = keep(&env, &journal).with_options(Default::default()).resume(stored).await.unwrap();
    assert_eq!(report.outcome, Outcome::Complete);
    assert!(env.notices.warnings()[0].contains("96 hours ago"), "{:?}", env.notices.warnings());
}

#[tokio::test(start_paused = true)]
async fn a_run_with_events_is_carried_on_without() {
    let folder = tempfile::tempdir().unwrap();
    let stuck =
        MediaScript { lookup_empty_looks: 1, never_complete: Which::All(true), ..MediaScript::default() };
    let env = TestEnv::new(Scenario::new().with_media("m0", stuck)).with_events();
    let journal = journal(&folder).await;
    let env = env.with_options(|o| o.timeout = Duration::from_secs(5));
    keep(&env, &journal).refresh(&request(ids(1))).await.unwrap();
    env.cloud.job_ids().iter().for_each(|job| {
        env.cloud.task_ids(job, "m0").iter().for_each(|task| {
            env.cloud.complete_task(task);
        });
    });
    let deaf = env.without_events().refresher().with_journal(journal.clone(), Value::Null);
    let before = tokio::time::Instant::now();
    let report = deaf.resume(newest(&journal).await).await.unwrap();
    assert_eq!(report.outcome, Outcome::Complete);
    assert!(before.elapsed() < Duration::from_secs(5), "waited for events: {:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_a_crash_lost_is_told_before_its_batch_goes_out_again() {
    let folder = tempfile::tempdir().unwrap();
    let stall = FaultRule::on(SUBMIT, Fault::Stall { done: false });
    let (env, journal) = (TestEnv::new(Scenario::new().with_fault(stall)), journal(&folder).await);
    let sick = keep(&env, &journal);
    let killed = tokio::time::timeout(Duration::from_secs(1), sick.refresh(&request(ids(1)))).await;
    assert!(killed.is_err());
    let report = keep(&env, &journal).resume(newest(&journal).await).await.unwrap();
    assert_eq!((report.outcome, env.submits()), (Outcome::Complete, 2));
    let told = |wanted: fn(&Notice) -> bool| env.notices.all().iter().filter(|notice| wanted(notice)).count();
    assert_eq!(told(|notice| matches!(notice, Notice::OutcomeUnknown { media: 1, .. })), 1);
    assert_eq!(told(|notice| matches!(notice, Notice::Resubmitting { media: 1, .. })), 1);
}

/// A disk that is full after the first facts.
async fn fill_up(journal: &Journal) {
    let path = journal.place().to_owned();
    let fill = move || {
        rusqlite::Connection::open(path).unwrap().execute_batch(
            "CREATE TRIGGER full BEFORE INSERT ON fact WHEN (SELECT count(*) FROM fact) >= 3
             BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END",
        )
    };
    tokio::task::spawn_blocking(fill).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_fills_up_costs_the_journal_and_not_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let (env, journal) = (TestEnv::new(Scenario::new()), journal(&folder).await);
    fill_up(&journal).await;
    let report = keep(&env, &journal).refresh(&request(ids(45))).await.unwrap();
    assert_eq!((report.outcome, report.resumable, env.submits()), (Outcome::Complete, false, 3));
    let warnings = env.notices.warnings();
    // Once that it fails, and once what came of that.
    assert_eq!((&report.notes[..], warnings.len()), (&warnings[1..], 2));
    assert!(warnings[0].contains("journal.db") && warnings[0].contains("in memory"), "{warnings:?}");
    // Half a run must not be carried on: what went out unnoticed would go out again.
    let error = keep(&env, &journal).resume(newest(&journal).await).await.unwrap_err();
    assert_eq!((error.kind(), env.submits()), (ErrorKind::Usage, 3));
}

#[tokio::test(start_paused = true)]
async fn four_runs_share_one_new_journal() {
    let folder = tempfile::tempdir().unwrap();
    let env = TestEnv::new(Scenario::new()).with_events();
    let run = async |first: usize| {
        let journal = Journal::open(folder.path().join("journal.db")).await.unwrap();
        let media = (first..first + 25).map(|n| format!("m{n}"));
        keep(&env, &journal).refresh(&request(media)).await.unwrap()
    };
    let reports: [_; 4] = tokio::join!(run(0), run(100), run(200), run(300)).into();
    for report in reports {
        assert_eq!((report.outcome, report.notes.len()), (Outcome::Complete, 0));
    }
    let runs = journal(&folder).await.runs().await.unwrap();
    assert_eq!(runs.iter().filter(|run| run.outcome == Some(Outcome::Complete)).count(), 4);
    assert_eq!(env.submits(), 8);
}

/// What a run says at its end is what the journal shows of it afterwards, also where waiting ended by the clock.
#[tokio::test(start_paused = true)]
async fn what_did_not_show_in_time_is_told_by_the_journal_as_it_was_by_the_run() {
    let hidden = MediaScript { invisible_looks: u32::MAX, ..MediaScript::default() };
    let unseen = MediaScript { lookup_empty_looks: u32::MAX, ..MediaScript::default() };
    let unheard = unseen.clone().with(|m| m.event = lost_event());
    let scenario =
        Scenario::new().with_media("m0", hidden).with_media("m1", unheard).with_media("m2", unseen);
    let (env, folder) = (TestEnv::new(scenario).with_events(), tempfile::tempdir().unwrap());
    let journal = journal(&folder).await;
    let report = keep(&env, &journal).refresh(&request(ids(4))).await.unwrap();
    let codes: Vec<_> = states(&report).into_iter().map(|(_, state, code)| (state, code)).collect();
    let failed = |code: &str| ("failed", Some(code.to_owned()));
    assert_eq!(
        codes,
        [failed("TaskNotFound"), failed("JobNotFound"), ("complete", None), ("complete", None)]
    );
    let run = journal.runs().await.unwrap().remove(0).run_id;
    let stored = journal.load(Some(run)).await.unwrap().unwrap();
    assert_eq!((stored.outcome, states(&stored.report())), (Some(report.outcome), states(&report)));
}

/// All media that are known have ended, but a job of others may have more.
#[tokio::test(start_paused = true)]
async fn a_wait_whose_last_look_was_refused_is_not_over() {
    let folder = tempfile::tempdir().unwrap();
    let job = JobScript { media: vec!["m1".into()], ..JobScript::default() };
    let refused = FaultRule::on("GetMediaRefreshJobs", Fault::error(400, "QuotaExceeded.Refresh")).skip(2);
    let scenario = Scenario::new()
        .with(|s| s.job_delay = Duration::ZERO)
        .with(|s| s.jobs.insert("J1".into(), job))
        .with_fault(refused);
    let (env, journal) = (TestEnv::new(scenario), journal(&folder).await);
    let report = keep(&env, &journal).wait(&["J1".parse().unwrap()]).await.unwrap();
    assert_eq!((report.outcome, report.resumable), (Outcome::Unavailable, true));
    assert_eq!(states(&report), [("m1".into(), "complete", None)]);
    assert_eq!(newest(&journal).await.report().outcome, Outcome::Unfinished);
    let report = keep(&env, &journal).resume(newest(&journal).await).await.unwrap();
    assert_eq!((report.outcome, report.resumable), (Outcome::Complete, false));
}

/// The cloud of another account knows neither the job nor its tasks.
#[tokio::test(start_paused = true)]
async fn what_another_accounts_key_does_not_find_stays_unfinished_and_can_be_resumed() {
    for (key, state, is_warned) in [("testid", "failed", false), ("otherkeyid12", "unfinished", true)] {
        let folder = tempfile::tempdir().unwrap();
        let journal = journal(&folder).await;
        let first = TestEnv::new(Scenario::new()).with_options(|options| options.wait = false);
        keep(&first, &journal).refresh(&request(ids(1))).await.unwrap();
        let credential = Credential::new(key, "testsecret");
        let other = TestEnv::with_credentials(
            Scenario::new().with(|s| s.keys.insert(key.into(), "testsecret".into())),
            |_, _| Arc::new(StaticCredentials(credential)),
        )
        .with_options(|options| options.timeout = Duration::from_secs(1_200));
        let report = keep(&other, &journal).resume(newest(&journal).await).await.unwrap();
        assert_eq!((states(&report)[0].1, report.resumable), (state, is_warned), "{key}");
        let told = other.notices.warnings().join("\n");
        assert_eq!(told.contains("te***id") && told.contains("othe***id12"), is_warned, "{told}");
    }
}

/// The cloud of another account, whose key carries a run on.
fn of_another_account(scenario: Scenario) -> TestEnv {
    let key = || Arc::new(StaticCredentials(Credential::new("otherkeyid12", "testsecret")));
    let scenario = scenario.with(|s| s.keys.insert("otherkeyid12".into(), "testsecret".into()));
    TestEnv::with_credentials(scenario, |_, _| key())
        .with_options(|options| options.timeout = Duration::from_secs(300))
}

#[tokio::test(start_paused = true)]
async fn what_another_account_says_of_a_task_does_not_end_it_for_the_first_one() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(&folder).await;
    let first = TestEnv::new(Scenario::new().with(|s| s.task_duration = Duration::from_secs(1_000)))
        .with_options(|options| options.timeout = Duration::from_secs(60));
    assert_eq!(keep(&first, &journal).refresh(&request(["m1"])).await.unwrap().outcome, Outcome::Timeout);
    let fault =
        FaultRule::on("DescribeVodRefreshTasks", Fault::error(400, "InvalidTaskId.Malformed")).times(0);
    let other = of_another_account(Scenario::new().with_fault(fault));
    let report = keep(&other, &journal).resume(newest(&journal).await).await.unwrap();
    assert_eq!((report.outcome, states(&report)[0].1), (Outcome::Timeout, "unfinished"));
    let first = first.with_options(|options| options.timeout = Duration::from_secs(2_000));
    let report = keep(&first, &journal).resume(newest(&journal).await).await.unwrap();
    assert_eq!(report.outcome, Outcome::Complete);
}

/// Media that were not sent yet are sent by whoever carries the run on. An account that has none of them decides nothing.
#[tokio::test(start_paused = true)]
async fn media_that_another_account_does_not_have_are_still_to_be_sent_by_the_first_one() {
    let refusals: [fn(Scenario) -> Scenario; 2] = [
        |s| s.with_media("m1", MediaScript::missing()),
        |s| s.with(|s| s.deny.push("RefreshMediaPlayUrls".into())),
    ];
    for refusal in refusals {
        let folder = tempfile::tempdir().unwrap();
        let journal = journal(&folder).await;
        let first = TestEnv::new(Scenario::new());
        let begun = keep(&first, &journal);
        assert!(die(begun.refresh(&request(["m1"])), journal.writes(), 1, Death::AtOnce).await.is_none());
        let other = of_another_account(refusal(Scenario::new()));
        let report = keep(&other, &journal).resume(newest(&journal).await).await.unwrap();
        assert_eq!((states(&report)[0].1, report.resumable), ("unfinished", true));
        let report = keep(&first, &journal).resume(newest(&journal).await).await.unwrap();
        assert_eq!((report.outcome, first.submits()), (Outcome::Complete, 1));
    }
}

/// The process died before the answer came, and an event told the next one: what is stored tells the same.
#[tokio::test(start_paused = true)]
async fn what_an_event_told_after_a_death_stands_in_the_stored_report() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = Scenario::new().with(|s| s.latency = Duration::from_millis(200));
    let (env, journal) = (TestEnv::new(scenario).with_events(), journal(&folder).await);
    let first = keep(&env, &journal);
    let lost = Death::After(Duration::from_millis(150));
    assert!(die(first.refresh(&request(["m1"])), journal.writes(), 2, lost).await.is_none());
    let report = keep(&env, &journal).resume(newest(&journal).await).await.unwrap();
    assert_eq!((report.outcome, env.submits()), (Outcome::Complete, 1));
    assert_eq!(states(&newest(&journal).await.report()), states(&report));
}
