//! The service's limits and ours: pace, sizes, input.

use std::time::Duration;

use vod_refresh::emulator::{MediaScript, Scenario};
use vod_refresh::run::MAX_EXTEND_BYTES;
use vod_refresh::{ErrorKind, Outcome, RefreshRequest, TaskType};

use crate::support::{TestEnv, request};

#[tokio::test(start_paused = true)]
async fn two_hundred_media_stay_within_the_documented_rates() {
    let scenario = Scenario::new()
        .with(|s| s.rates.insert("RefreshMediaPlayUrls".into(), 50.0))
        .with(|s| s.rates.insert("GetMediaRefreshJobs".into(), 50.0))
        .with(|s| s.rates.insert("DescribeVodRefreshTasks".into(), 6.0));
    let env = TestEnv::new(scenario).with_events();
    let report = env.refresh((0..200).map(|n| format!("m{n}"))).await;
    assert_eq!(report.outcome, Outcome::Complete);
    assert_eq!(throttled(&env), 0);
    assert_eq!(env.submits(), 10);
}

#[tokio::test(start_paused = true)]
async fn four_thousand_tasks_take_a_fraction_of_their_number_in_calls() {
    for has_events in [true, false] {
        let (looks, elapsed) = four_thousand_tasks(has_events, |_| 20_000).await;
        assert!(looks < 125, "{looks} task queries");
        assert!(elapsed < Duration::from_secs(45), "{elapsed:?}");
    }
}

/// Rounds read every page: another row of a task may stand on any of them.
#[tokio::test(start_paused = true)]
async fn tasks_that_end_one_after_the_other_cost_one_round_more() {
    let (looks, elapsed) = four_thousand_tasks(false, |media| 20_000 + media * 7_919 % 10_000).await;
    assert!(looks < 210, "{looks} task queries");
    assert!(elapsed < Duration::from_secs(66), "{elapsed:?}");
}

/// Refreshes a thousand media with four tasks each, which take so many milliseconds. Returns the task queries and the time.
async fn four_thousand_tasks(has_events: bool, takes_ms: impl Fn(u64) -> u64) -> (usize, Duration) {
    let scenario = Scenario::new()
        .with(|s| s.urls_per_media = 4)
        .with(|s| s.rates.insert("RefreshMediaPlayUrls".into(), 50.0))
        .with(|s| s.rates.insert("DescribeVodRefreshTasks".into(), 5.0));
    let scenario = (0..1_000).fold(scenario, |scenario, n| {
        let task_duration = Some(Duration::from_millis(takes_ms(n)));
        scenario.with_media(format!("m{n}"), MediaScript { task_duration, ..MediaScript::default() })
    });
    let env = TestEnv::new(scenario);
    let env = if has_events { env.with_events() } else { env };
    let report = env.refresh((0..1_000).map(|n| format!("m{n}"))).await;
    assert_eq!((report.outcome, report.summary.tasks_complete), (Outcome::Complete, 4_000));
    let (calls, throttled) = (env.cloud.calls().len(), throttled(&env));
    assert!(throttled * 50 <= calls, "{throttled} of {calls} calls were one too many");
    (env.cloud.count("DescribeVodRefreshTasks"), env.elapsed())
}

fn throttled(env: &TestEnv) -> usize {
    env.cloud.calls().iter().filter(|call| call.outcome.starts_with("Throttling")).count()
}

#[tokio::test(start_paused = true)]
async fn lookups_and_task_queries_do_not_wait_for_the_last_submission() {
    let env = TestEnv::new(Scenario::new().with(|s| s.urls_per_media = 1));
    let report = env.refresh((0..4_000).map(|n| format!("m{n}"))).await;
    assert_eq!(report.outcome, Outcome::Complete);
    let calls = env.cloud.calls();
    let first = |action: &str| calls.iter().position(|call| call.action == action).unwrap();
    let last_submission = calls.iter().rposition(|call| call.action == "RefreshMediaPlayUrls").unwrap();
    for action in ["GetMediaRefreshJobs", "DescribeVodRefreshTasks"] {
        assert!(first(action) < last_submission / 2, "{action}: {} of {last_submission}", first(action));
    }
}

#[tokio::test(start_paused = true)]
async fn without_an_interval_the_pace_keeps_task_queries_apart() {
    let env = TestEnv::new(Scenario::new().with(|s| s.task_duration = Duration::from_secs(10)))
        .with_options(|options| options.poll_interval = Some(Duration::ZERO));
    let report = env.refresh(["m1"]).await;
    assert_eq!(report.outcome, Outcome::Complete);
    let looks = env.cloud.count("DescribeVodRefreshTasks");
    assert!((20..=200).contains(&looks), "{looks} task queries in {:?}", env.elapsed());
}

#[tokio::test(start_paused = true)]
async fn odd_characters_reach_the_service_as_they_are() {
    let env = TestEnv::new(Scenario::new());
    let text = "a~b *+/%中 文";
    let report = env.refresher().refresh(&request(["m1"]).with_extend(text)).await.unwrap();
    assert_eq!((report.outcome, report.extend.as_deref(), env.submits()), (Outcome::Complete, Some(text), 1));
    let submit = env.cloud.calls().into_iter().find(|call| call.action == "RefreshMediaPlayUrls").unwrap();
    let user_data: serde_json::Value = serde_json::from_str(&submit.params["UserData"]).unwrap();
    assert_eq!(user_data["Extend"]["text"], text);
}

#[tokio::test(start_paused = true)]
async fn bad_input_is_refused_before_any_call() {
    let env = TestEnv::new(Scenario::new());
    let none = RefreshRequest::new(TaskType::Refresh, []);
    let long = request(["m1"]).with_extend("x".repeat(MAX_EXTEND_BYTES));
    let mut sliced = request(["m1"]);
    sliced.filters.slice_count = Some(21);
    for bad in [none, long, sliced] {
        assert_eq!(env.refresher().refresh(&bad).await.unwrap_err().kind(), ErrorKind::Usage);
    }
    assert_eq!(env.refresher().wait(&[]).await.unwrap_err().kind(), ErrorKind::Usage);
    assert!(env.cloud.calls().is_empty());
    assert_eq!(env.elapsed(), Duration::ZERO);
}
