//! Runs that preload what they have refreshed: two stages, one run, one report.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use vod_refresh::emulator::{Call, Fault, FaultRule, MediaScript, Scenario, Which};
use vod_refresh::run::{MediaReport, Notice};
use vod_refresh::{ErrorKind, Journal, Outcome, RefreshRequest, Report, TaskType};

use crate::crash::{Death, die};
use crate::support::action::SUBMIT;
use crate::support::random::Rng;
use crate::support::{TestEnv, request, states};

fn quick() -> Scenario {
    Scenario::new().with(|s| s.task_duration = Duration::from_secs(5)).with(|s| s.urls_per_media = 1)
}

fn both<T: AsRef<str>>(ids: impl IntoIterator<Item = T>) -> RefreshRequest {
    request(ids).with_then_preload(true)
}

/// A media whose tasks of this type fail.
fn failing_in(task_type: &str) -> MediaScript {
    let failing_type = Some(task_type.to_owned());
    MediaScript { failed_tasks: Which::All(true), failing_type, ..MediaScript::default() }
}

/// A media whose preload never ends.
fn endless() -> MediaScript {
    let failing_type = Some("Preload".to_owned());
    MediaScript { never_complete: Which::All(true), failing_type, ..MediaScript::default() }
}

/// Task type and media of each submission that was answered well.
fn sent(env: &TestEnv) -> Vec<(String, String)> {
    let taken = |call: &Call| call.action == SUBMIT && call.outcome == "ok";
    let calls = env.cloud.calls().into_iter().filter(taken);
    calls.map(|call| (call.params["TaskType"].clone(), call.params["MediaIds"].clone())).collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(kind, media)| ((*kind).to_owned(), (*media).to_owned())).collect()
}

/// What each task of a media is for, and its status.
fn tasks(media: &MediaReport) -> Vec<(Option<TaskType>, &str)> {
    media.tasks.iter().map(|task| (task.task_type, task.status.as_ref().map_or("", |s| s.as_str()))).collect()
}

async fn run(env: &TestEnv, request: &RefreshRequest) -> Report {
    env.refresher().refresh(request).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn media_are_refreshed_and_then_preloaded_in_one_run_and_report() {
    for (env, events) in [(TestEnv::new(quick()), 0), (TestEnv::new(quick()).with_events(), 4)] {
        let report = run(&env, &both(["m1", "m2"])).await;
        assert_eq!(
            (report.outcome, report.task_type, report.then_preload),
            (Outcome::Complete, Some(TaskType::Refresh), true)
        );
        assert_eq!(sent(&env), pairs(&[("Refresh", "m1,m2"), ("Preload", "m1,m2")]));
        let media = &report.media[0];
        assert_eq!(
            tasks(media),
            [(Some(TaskType::Refresh), "Complete"), (Some(TaskType::Preload), "Complete")]
        );
        assert!(media.preload_job_id.is_some() && media.preload_job_id != media.job_id);
        let summary = &report.summary;
        assert_eq!(
            (summary.media, summary.media_complete, summary.tasks, summary.tasks_complete),
            (2, 2, 4, 4)
        );
        assert_eq!(summary.events_accepted, events, "events of both stages are heard");
        let begun = |notice: &Notice| *notice == Notice::PreloadBegun { media: 2, batches: 1 };
        assert_eq!(env.notices.all().iter().filter(|notice| begun(notice)).count(), 1);
        // Each media has one verdict: after its preload.
        let ended = |notice: &Notice| matches!(notice, Notice::MediaEnded { job_id, .. } if *job_id == media.preload_job_id);
        let all = env.notices.all();
        assert_eq!(all.iter().filter(|n| ended(n)).count(), 2);
        assert_eq!(all.iter().filter(|n| matches!(n, Notice::MediaEnded { .. })).count(), 2);
    }
}

/// The polls of a preload begin after 10 s, and those of a refresh after 2 s.
#[tokio::test(start_paused = true)]
async fn each_stage_is_polled_at_its_own_pace() {
    let env = TestEnv::new(quick().with(|s| s.job_delay = Duration::ZERO));
    run(&env, &both(["m1"])).await;
    let polls = env.cloud.count("DescribeVodRefreshTasks");
    let alone = TestEnv::new(quick().with(|s| s.job_delay = Duration::ZERO));
    alone.refresh(["m1"]).await;
    let refresh = alone.cloud.count("DescribeVodRefreshTasks");
    assert!(refresh >= 2, "{refresh}");
    assert_eq!(polls, refresh + 1, "the preload has ended when it is polled first");
}

#[tokio::test(start_paused = true)]
async fn what_did_not_end_complete_is_not_preloaded() {
    let scenario = quick().with_media("m2", failing_in("Refresh")).with_media("m3", MediaScript::missing());
    let env = TestEnv::new(scenario);
    let report = run(&env, &both(["m1", "m2", "m3"])).await;
    assert_eq!(report.outcome, Outcome::Partial);
    assert_eq!(sent(&env)[1..], pairs(&[("Preload", "m1")]));
    let words: Vec<_> = report.media.iter().map(|media| media.state.as_str()).collect();
    assert_eq!(words, ["complete", "failed", "not_found"]);
    assert_eq!(tasks(&report.media[1]), [(Some(TaskType::Refresh), "Failed")]);
    assert_eq!(report.media[1].preload_job_id, None);
}

#[tokio::test(start_paused = true)]
async fn where_nothing_ends_complete_no_preload_begins() {
    let env = TestEnv::new(quick().with(|s| s.default_media = failing_in("Refresh")));
    let report = run(&env, &both(["m1", "m2"])).await;
    assert_eq!((report.outcome, env.submits()), (Outcome::Failed, 1));
    assert!(!env.notices.all().iter().any(|notice| matches!(notice, Notice::PreloadBegun { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_failed_preload_fails_its_media_and_says_so() {
    let env = TestEnv::new(quick().with_media("m2", failing_in("Preload")));
    let report = run(&env, &both(["m1", "m2"])).await;
    assert_eq!(report.outcome, Outcome::Partial);
    assert_eq!(states(&report)[1], ("m2".to_owned(), "failed", Some("TaskFailed".to_owned())));
    let error = report.media[1].error.as_ref().unwrap();
    assert_eq!(error.message, "preload: 1 of 1 tasks failed: Internal Error");
    let summary = &report.summary;
    assert_eq!((summary.media_failed, summary.tasks_failed, summary.tasks_complete), (1, 1, 3));
    // All preloads failed, but not everything: the CDN's copies are gone.
    let env = TestEnv::new(quick().with(|s| s.default_media = failing_in("Preload")));
    assert_eq!(run(&env, &both(["m1"])).await.outcome, Outcome::Partial);
}

#[tokio::test(start_paused = true)]
async fn a_preload_that_is_refused_leaves_a_media_that_was_not_submitted_and_an_outcome_that_is_not_the_quotas()
 {
    let refused = FaultRule::on(SUBMIT, Fault::error(403, "QuotaExceeded.Preload")).skip(1);
    let env = TestEnv::new(quick().with_fault(refused));
    let report = run(&env, &both(["m1"])).await;
    assert_eq!((report.outcome, report.error.is_none()), (Outcome::Partial, true));
    assert_eq!(states(&report)[0].1, "not_submitted");
    assert!(report.media[0].error.as_ref().unwrap().message.starts_with("preload: "));
    assert_eq!(tasks(&report.media[0]), [(Some(TaskType::Refresh), "Complete")]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_of_a_preload_is_learned_from_its_event_or_sent_again_as_a_preload() {
    let lost = || FaultRule::on(SUBMIT, Fault::ResetAfter).skip(1);
    let env = TestEnv::new(quick().with_fault(lost())).with_events();
    assert_eq!(run(&env, &both(["m1"])).await.outcome, Outcome::Complete);
    assert_eq!(env.submits(), 2);
    let env = TestEnv::new(quick().with_fault(lost()));
    assert_eq!(run(&env, &both(["m1"])).await.outcome, Outcome::Complete);
    assert_eq!(env.submits(), 3);
    let again = Notice::Resubmitting { media: 1, task_type: TaskType::Preload };
    assert!(env.notices.all().contains(&again));
}

#[tokio::test(start_paused = true)]
async fn a_failure_ends_a_run_that_fails_fast_before_the_preload() {
    let env = TestEnv::new(quick().with_media("m2", failing_in("Refresh")));
    let env = env.with_options(|options| options.fail_fast = true);
    let report = run(&env, &both(["m1", "m2"])).await;
    assert_eq!((report.outcome, env.submits(), report.resumable), (Outcome::Partial, 1, false));
}

#[tokio::test(start_paused = true)]
async fn the_timeout_is_that_of_both_stages_and_a_resume_ends_the_second() {
    let env = TestEnv::new(quick().with_media("m2", endless()));
    let env = env.with_options(|options| options.timeout = Duration::from_secs(120));
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path().join("journal.db")).await.unwrap();
    let refresher = env.refresher().with_journal(journal.clone(), Value::Null);
    let report = refresher.refresh(&both(["m1", "m2"])).await.unwrap();
    assert_eq!((report.outcome, report.resumable), (Outcome::Timeout, true));
    assert!((120..125).contains(&env.elapsed().as_secs()), "{:?}", env.elapsed());
    assert_eq!([0, 1].map(|n| report.media[n].state.as_str()), ["complete", "unfinished"]);
    let stored = journal.load(None).await.unwrap().unwrap();
    assert_eq!(states(&stored.report()), states(&report));
    let job = report.media[1].preload_job_id.as_ref().unwrap();
    for task in env.cloud.task_ids(job.as_str(), "m2") {
        env.cloud.complete_task(&task);
    }
    let report = refresher.resume(stored).await.unwrap();
    assert_eq!((report.outcome, env.submits()), (Outcome::Complete, 2));
    let started = env.notices.all().into_iter().rev().find_map(|notice| match notice {
        Notice::Started { task_type, batches, .. } => Some((task_type, batches)),
        _ => None,
    });
    assert_eq!(started, Some((Some(TaskType::Preload), 0)));
}

/// A look at a run that stands between its stages begins nothing; the deadline there leaves a run that can be carried on.
#[tokio::test(start_paused = true)]
async fn between_the_stages_a_check_and_the_deadline_begin_no_preload_and_a_resume_does() {
    let env = TestEnv::new(quick());
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path().join("journal.db")).await.unwrap();
    let refresher = env.refresher().with_journal(journal.clone(), Value::Null);
    let whole = {
        let other = Journal::open(folder.path().join("other.db")).await.unwrap();
        let other_bed = TestEnv::new(quick());
        other_bed.refresher().with_journal(other.clone(), Value::Null).refresh(&both(["m1"])).await.unwrap();
        let stored = other.runs().await.unwrap().remove(0).run_id;
        other.load(Some(stored)).await.unwrap().unwrap()
    };
    let text = |fact| serde_json::to_value(fact).unwrap()["fact"].as_str().unwrap().to_owned();
    let facts: Vec<String> = whole.facts.iter().map(|(_, fact)| text(fact)).collect();
    assert_eq!(facts.iter().filter(|fact| *fact == "preload_begun").count(), 1, "{facts:?}");
    // The write before that of `preload_begun` is the last of the refresh.
    let (mut count, mut between) = (1, None);
    while between.is_none() {
        let name = folder.path().join(format!("{count}.db"));
        let (env, journal) = (TestEnv::new(quick()), Journal::open(name).await.unwrap());
        let refresher = env.refresher().with_journal(journal.clone(), Value::Null);
        die(refresher.refresh(&both(["m1"])), journal.writes(), count, Death::AtOnce).await;
        let stored = journal.load(None).await.unwrap().unwrap();
        let report = stored.report();
        if tasks(&report.media[0]) == [(Some(TaskType::Refresh), "Complete")] && env.submits() == 1 {
            assert_eq!(report.media[0].state.as_str(), "unfinished");
            between = Some((env, refresher, stored));
        }
        count += 1;
        assert!(count < 50);
    }
    let (inner, inner_refresher, stored) = between.unwrap();
    let report = inner_refresher.check(stored.clone()).await.unwrap();
    assert_eq!((report.outcome, inner.submits(), report.resumable), (Outcome::Unfinished, 1, true));
    assert_eq!(inner_refresher.resume(stored).await.unwrap().outcome, Outcome::Complete);
    assert_eq!(sent(&inner), pairs(&[("Refresh", "m1"), ("Preload", "m1")]));
    drop((env, refresher));
}

#[tokio::test(start_paused = true)]
async fn a_run_without_a_wait_and_a_preload_are_refused_before_anything_is_sent() {
    let env = TestEnv::new(quick()).with_options(|options| options.wait = false);
    let mut preload = both(["m1"]);
    preload.task_type = TaskType::Preload;
    for request in [both(["m1"]), preload] {
        let error = env.refresher().refresh(&request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    }
    assert_eq!(env.submits(), 0);
}

/// 300 media with events, listings and samples in both stages, killed twice; every media is sent once for each.
#[tokio::test(start_paused = true)]
async fn many_media_survive_deaths_in_both_stages_with_nothing_sent_twice() {
    let mut scenario =
        quick().with(|s| s.latency = Duration::from_millis(50)).with_media("m7", failing_in("Refresh"));
    scenario = scenario.with_media("m8", failing_in("Preload"));
    let env = TestEnv::new(scenario).with_events();
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path().join("journal.db")).await.unwrap();
    let refresher = env.refresher().with_journal(journal.clone(), Value::Null);
    let ids: Vec<String> = (0..300).map(|n| format!("m{n}")).collect();
    let whole = both(&ids);
    assert!(die(refresher.refresh(&whole), journal.writes(), 20, Death::AtOnce).await.is_none());
    let mut deaths = 0;
    let report = loop {
        let stored = journal.load(None).await.unwrap().unwrap();
        let written = *journal.writes().borrow();
        let next = die(
            refresher.resume(stored),
            journal.writes(),
            written + 40,
            Death::After(Duration::from_millis(10)),
        );
        match next.await {
            Some(report) => break report,
            None => deaths += 1,
        }
        assert!(deaths < 100);
    };
    assert!(deaths >= 2, "{deaths}");
    assert_eq!((report.outcome, report.summary.entries()), (Outcome::Partial, [300, 298, 2, 0]));
    let mut counts = BTreeMap::new();
    for (kind, media) in sent(&env) {
        media.split(',').for_each(|id| *counts.entry((kind.clone(), id.to_owned())).or_insert(0) += 1);
    }
    assert_eq!(counts.len(), 599, "all but m7 are preloaded");
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
}

/// What was learned of the refresh does not hold for the preload: each stage takes as many calls as a run of its own.
#[tokio::test(start_paused = true)]
async fn both_stages_cost_what_two_runs_cost() {
    let ids: Vec<String> = (0..600).map(|n| format!("m{n}")).collect();
    let scenario =
        || Scenario::new().with(|s| s.task_duration = Duration::from_secs(40)).with(|s| s.urls_per_media = 2);
    let env = TestEnv::new(scenario());
    assert_eq!(run(&env, &both(&ids)).await.outcome, Outcome::Complete);
    let took = env.elapsed();
    let alone = TestEnv::new(scenario());
    run(&alone, &request(&ids)).await;
    let mut preload = request(&ids);
    preload.task_type = TaskType::Preload;
    run(&alone, &preload).await;
    for action in [SUBMIT, "GetMediaRefreshJobs", "DescribeVodRefreshTasks"] {
        let (both, two) = (env.cloud.count(action), alone.cloud.count(action));
        assert!(both <= two + two / 10, "{action}: {both} calls, and {two} in two runs");
    }
    assert!(took <= alone.elapsed() + Duration::from_secs(10), "{took:?}, and {:?}", alone.elapsed());
}

/// Journals of version 0.1.0 know nothing of it, and a request without it is written as then.
#[test]
fn a_request_without_it_is_written_as_before() {
    let text = serde_json::to_value(request(["m1"])).unwrap();
    assert_eq!(text.get("then_preload"), None);
    assert_eq!(serde_json::from_value::<RefreshRequest>(text).unwrap(), request(["m1"]));
    let text = serde_json::to_value(both(["m1"])).unwrap();
    assert_eq!(serde_json::from_value::<RefreshRequest>(text).unwrap(), both(["m1"]));
}

/// Worlds at random: what each media truly comes to is what is told of it, whatever gets lost and however often the process dies.
#[tokio::test(start_paused = true)]
async fn in_random_worlds_the_report_of_each_media_is_true() {
    for seed in 0..60 {
        let mut rng = Rng(seed);
        let fates: Vec<u64> = (0..1 + rng.below(45)).map(|_| rng.below(10)).collect();
        let mut scenario = quick().with(|s| s.latency = rng.ms(200)).with(|s| s.task_jitter = rng.ms(20_000));
        for (n, fate) in fates.iter().enumerate() {
            let script = match fate {
                0 => MediaScript::missing(),
                1 => failing_in("Refresh"),
                2 => failing_in("Preload"),
                _ => continue,
            };
            scenario = scenario.with_media(format!("m{n}"), script);
        }
        for _ in 0..rng.below(4) {
            let fault =
                [Fault::ResetAfter, Fault::ResetBefore, Fault::throttle()][rng.below(3) as usize].clone();
            scenario = scenario.with_fault(FaultRule::on(SUBMIT, fault).skip(rng.below(5) as u32));
        }
        let env = TestEnv::new(scenario).allow_unused_faults();
        let has_events = rng.percent(50);
        let env = if has_events { env.with_events() } else { env };
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path().join("journal.db")).await.unwrap();
        let refresher = env.refresher().with_journal(journal.clone(), Value::Null);
        let whole = both((0..fates.len()).map(|n| format!("m{n}")));
        let death = |rng: &mut Rng| (1 + rng.below(30), Death::After(rng.ms(500)));
        let (count, how) = death(&mut rng);
        let mut report = die(refresher.refresh(&whole), journal.writes(), count, how).await;
        for life in 1..5 {
            let Some(stored) = journal.load(None).await.unwrap().filter(|_| report.is_none()) else { break };
            let (count, how) = death(&mut rng);
            let written = *journal.writes().borrow();
            // Graces begin anew with each life: the last one is left alone.
            let count = if life < 4 { written + count } else { u64::MAX };
            report = die(refresher.resume(stored), journal.writes(), count, how).await;
        }
        let id = journal.runs().await.unwrap().remove(0).run_id;
        let stored = journal.load(Some(id)).await.unwrap().unwrap();
        for (n, (media, fate)) in stored.report().media.iter().zip(&fates).enumerate() {
            let stages = [TaskType::Refresh, TaskType::Preload]
                .map(|kind| media.tasks.iter().any(|task| task.task_type == Some(kind)));
            let allowed = match fate {
                // Where an event tells of a lost answer, it does not tell which media the answer refused.
                0 if has_events => ["not_found", "failed"],
                0 => ["not_found"; 2],
                1 | 2 => ["failed"; 2],
                _ => ["complete"; 2],
            };
            let state = media.state.as_str();
            assert!(allowed.contains(&state), "seed {seed}, m{n}: {state}, and may be {allowed:?}");
            assert_eq!(stages, [*fate > 0, *fate > 1], "seed {seed}, m{n}");
        }
    }
}
