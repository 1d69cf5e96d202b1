//! The service's limits and ours: pace, sizes, input.

use std::time::Duration;

use vod_refresh::emulator::{MediaScript, Scenario};
use vod_refresh::run::MAX_EXTEND_BYTES;
use vod_refresh::{ErrorKind, Outcome, RefreshRequest, TaskType};

use crate::support::{Bed, request};

#[tokio::test(start_paused = true)]
async fn two_hundred_media_stay_within_the_documented_rates() {
    let scenario = Scenario::new()
        .with_rate("RefreshMediaPlayUrls", 50.0)
        .with_rate("GetMediaRefreshJobs", 50.0)
        .with_rate("DescribeVodRefreshTasks", 6.0);
    let bed = Bed::new(scenario).with_events();
    let report = bed.refresh((0..200).map(|n| format!("m{n}"))).await;
    assert_eq!(report.outcome, Outcome::Complete);
    assert_eq!(throttled(&bed), 0);
    assert_eq!(bed.submits(), 10);
}

#[tokio::test(start_paused = true)]
async fn four_thousand_tasks_take_a_fraction_of_their_number_in_calls() {
    for has_events in [true, false] {
        let (looks, elapsed) = four_thousand_tasks(has_events, |_| 20_000).await;
        assert!(looks < 125, "{looks} task queries");
        assert!(elapsed < Duration::from_secs(45), "{elapsed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn pages_on_which_all_have_ended_are_not_asked_for_again() {
    let (looks, elapsed) = four_thousand_tasks(false, |media| 20_000 + media * 7_919 % 10_000).await;
    assert!(looks < 155, "{looks} task queries");
    assert!(elapsed < Duration::from_secs(52), "{elapsed:?}");
}

/// Refreshes a thousand media with four tasks each, which take so many milliseconds. Returns the task queries and the time.
async fn four_thousand_tasks(has_events: bool, takes_ms: impl Fn(u64) -> u64) -> (usize, Duration) {
    let scenario = Scenario::new()
        .with_urls_per_media(4)
        .with_rate("RefreshMediaPlayUrls", 50.0)
        .with_rate("DescribeVodRefreshTasks", 5.0);
    let scenario = (0..1_000).fold(scenario, |scenario, n| {
        let task_duration = Some(Duration::from_millis(takes_ms(n)));
        scenario.with_media(format!("m{n}"), MediaScript { task_duration, ..MediaScript::default() })
    });
    let bed = Bed::new(scenario);
    let bed = if has_events { bed.with_events() } else { bed };
    let report = bed.refresh((0..1_000).map(|n| format!("m{n}"))).await;
    assert_eq!((report.outcome, report.summary.tasks_complete), (Outcome::Complete, 4_000));
    let (calls, throttled) = (bed.cloud.calls().len(), throttled(&bed));
    assert!(throttled * 50 <= calls, "{throttled} of {calls} calls were one too many");
    (bed.cloud.count("DescribeVodRefreshTasks"), bed.elapsed())
}

fn throttled(bed: &Bed) -> usize {
    bed.cloud.calls().iter().filter(|call| call.outcome.starts_with("Throttling")).count()
}

#[tokio::test(start_paused = true)]
async fn no_stage_waits_for_another_to_be_through() {
    let bed = Bed::new(Scenario::new().with_urls_per_media(1));
    let report = bed.refresh((0..4_000).map(|n| format!("m{n}"))).await;
    assert_eq!(report.outcome, Outcome::Complete);
    let calls = bed.cloud.calls();
    let first = |action: &str| calls.iter().position(|call| call.action == action).unwrap();
    let last_submission = calls.iter().rposition(|call| call.action == "RefreshMediaPlayUrls").unwrap();
    for action in ["GetMediaRefreshJobs", "DescribeVodRefreshTasks"] {
        assert!(first(action) < last_submission / 2, "{action}: {} of {last_submission}", first(action));
    }
}

#[tokio::test(start_paused = true)]
async fn without_an_interval_the_pace_keeps_looks_apart() {
    let bed = Bed::new(Scenario::new().with_task_duration(Duration::from_secs(10)))
        .with_options(|options| options.poll_interval = Some(Duration::ZERO));
    let report = bed.refresh(["m1"]).await;
    assert_eq!(report.outcome, Outcome::Complete);
    let looks = bed.cloud.count("DescribeVodRefreshTasks");
    assert!((20..=200).contains(&looks), "{looks} task queries in {:?}", bed.elapsed());
}

#[tokio::test(start_paused = true)]
async fn odd_characters_reach_the_service_as_they_are() {
    let bed = Bed::new(Scenario::new());
    let text = "a~b *+/%中 文";
    let report = bed.refresher().refresh(&request(["m1"]).with_extend(text)).await.unwrap();
    assert_eq!((report.outcome, report.extend.as_deref(), bed.submits()), (Outcome::Complete, Some(text), 1));
    let submit = bed.cloud.calls().into_iter().find(|call| call.action == "RefreshMediaPlayUrls").unwrap();
    let user_data: serde_json::Value = serde_json::from_str(&submit.params["UserData"]).unwrap();
    assert_eq!(user_data["Extend"]["text"], text);
}

#[tokio::test(start_paused = true)]
async fn bad_input_is_refused_before_any_call() {
    let bed = Bed::new(Scenario::new());
    let none = RefreshRequest::new(TaskType::Refresh, []);
    let long = request(["m1"]).with_extend("x".repeat(MAX_EXTEND_BYTES));
    let mut sliced = request(["m1"]);
    sliced.filters.slice_count = Some(21);
    for bad in [none, long, sliced] {
        assert_eq!(bed.refresher().refresh(&bad).await.unwrap_err().kind(), ErrorKind::Usage);
    }
    assert_eq!(bed.refresher().wait(&[]).await.unwrap_err().kind(), ErrorKind::Usage);
    assert!(bed.cloud.calls().is_empty());
    assert_eq!(bed.elapsed(), Duration::ZERO);
}
