//! When things happened, as the report tells it.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use vod_refresh::emulator::{EventScript, Fault, FaultRule, JobScript, MediaScript, Scenario, Which};
use vod_refresh::run::{MediaReport, Report};
use vod_refresh::{Journal, Outcome, RunOptions};

use crate::support::action::{QUERY_JOBS, QUERY_TASKS, SUBMIT};
use crate::support::{TestEnv, request, state_of};

/// Milliseconds after the start of the run.
fn after(report: &Report, time: Option<DateTime<Utc>>) -> Option<i64> {
    time.map(|time| (time - report.started_at).num_milliseconds())
}

/// Submitted, accepted.
fn stages(report: &Report, media: &MediaReport) -> [Option<i64>; 2] {
    [after(report, media.submitted_at), after(report, media.accepted_at)]
}

#[tokio::test(start_paused = true)]
async fn every_stage_has_its_time_and_they_follow_each_other() {
    let scenario = Scenario::new()
        .with(|s| s.latency = Duration::from_millis(100))
        .with(|s| s.task_duration = Duration::from_secs(10));
    let env = TestEnv::new(scenario);
    let report = env.refresh(["m1", "m2"]).await;
    assert_eq!(report.outcome, Outcome::Complete);
    for media in &report.media {
        let [submitted, accepted] = stages(&report, media);
        assert_eq!(submitted, Some(100));
        assert!(accepted > submitted, "{accepted:?}");
        for task in &media.tasks {
            let [known, unfinished, ended] =
                [task.known_at, task.unfinished_at, task.ended_at].map(|time| after(&report, time));
            assert_eq!(known, accepted);
            assert!(known <= unfinished && unfinished < ended, "{known:?} {unfinished:?} {ended:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_accepts_although_the_lookup_confirms_it_later() {
    let late = EventScript { delay: Some(Duration::from_secs(2)), ..EventScript::default() };
    let scenario = Scenario::new()
        .with(|s| s.job_delay = Duration::from_secs(1))
        .with_media("m2", MediaScript::default().with(|m| m.event = late));
    let env = TestEnv::new(scenario).with_events();
    let report = env.refresh(["m1", "m2"]).await;
    let accepted: Vec<_> = report.media.iter().map(|media| stages(&report, media)[1]).collect();
    assert_eq!(accepted, [Some(1_000), Some(3_000)]);
}

#[tokio::test(start_paused = true)]
async fn what_never_came_so_far_has_no_time() {
    let refused = MediaScript::failing("InvalidDomain.NotFound", "no");
    // The event names tasks, and the lookup takes them back.
    let forged = EventScript { forged_first: vec!["666".into()], ..EventScript::default() };
    let scenario = Scenario::new()
        .with_media("gone", MediaScript::missing())
        .with_media("taken-back", refused.with(|m| m.event = forged));
    let env = TestEnv::new(scenario).with_events();
    let report = env.refresh(["gone", "taken-back"]).await;
    assert_eq!(state_of(&report, "taken-back"), "failed");
    assert_eq!(stages(&report, &report.media[0]), [None, None]);
    assert_eq!(stages(&report, &report.media[1]), [Some(0), None]);
}

#[tokio::test(start_paused = true)]
async fn nobody_knows_when_a_job_of_others_was_submitted() {
    let job = JobScript { media: vec!["m1".into()], ..JobScript::default() };
    let env = TestEnv::new(
        Scenario::new().with(|s| s.jobs.insert("J1".into(), job)).with(|s| s.job_delay = Duration::ZERO),
    );
    let report = env.wait("J1").await;
    assert_eq!(stages(&report, &report.media[0]), [None, Some(0)]);
}

#[tokio::test(start_paused = true)]
async fn times_survive_an_interruption() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path().join("journal.db")).await.unwrap();
    let stuck = MediaScript {
        task_ids: vec!["1".into(), "2".into()],
        never_complete: Which::At(vec![1]),
        ..MediaScript::default()
    };
    let env = TestEnv::new(Scenario::new().with(|s| s.default_media = stuck))
        .with_options(|options| options.timeout = Duration::from_secs(9));
    let kept = || env.refresher().with_journal(journal.clone(), Value::Null);
    let before = kept().refresh(&request(["m1"])).await.unwrap();
    assert_eq!(before.outcome, Outcome::Timeout);
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    env.cloud.complete_task("2");

    let stored = journal.load(Some(before.run_id.clone())).await.unwrap().unwrap();
    let shown = stored.report();
    let resumed = kept().with_options(RunOptions::default()).resume(stored).await.unwrap();
    assert_eq!(resumed.outcome, Outcome::Complete);
    for later in [&shown, &resumed] {
        assert_eq!(stages(later, &later.media[0]), stages(&before, &before.media[0]));
        let known =
            |report: &Report| report.media[0].tasks.iter().map(|task| task.known_at).collect::<Vec<_>>();
        assert_eq!(known(later), known(&before));
        assert_eq!(later.media[0].tasks[0].ended_at, before.media[0].tasks[0].ended_at);
    }
    // The break lies in the gap in which it ended: nobody looked.
    let task = &resumed.media[0].tasks[1];
    let gap = task.ended_at.unwrap() - task.unfinished_at.unwrap();
    assert!(gap > TimeDelta::minutes(59), "{gap}");
}

#[tokio::test(start_paused = true)]
async fn retries_and_throttles_are_counted_by_action() {
    let throttle = |action| {
        let fault = Fault::Throttle {
            code: "Throttling.User".into(),
            status: 400,
            retry_after_ms: None,
            retry_after_s: None,
        };
        FaultRule::on(action, fault)
    };
    let scenario = Scenario::new()
        .with_fault(throttle(SUBMIT))
        .with_fault(throttle(QUERY_TASKS))
        .with_fault(throttle(QUERY_TASKS))
        .with_fault(FaultRule::on(QUERY_JOBS, Fault::ResetBefore));
    let env = TestEnv::new(scenario);
    let summary = env.refresh(["m1"]).await.summary;
    let counts = |counts: &BTreeMap<String, u64>| counts.clone().into_iter().collect::<Vec<_>>();
    let count = |action: &str, count: u64| (action.to_owned(), count);
    assert_eq!(
        counts(&summary.retries_by_action),
        [count(QUERY_TASKS, 2), count(QUERY_JOBS, 1), count(SUBMIT, 1)]
    );
    assert_eq!(counts(&summary.throttled), [count(QUERY_TASKS, 2), count(SUBMIT, 1)]);
    assert_eq!(summary.retries, 4);
}
