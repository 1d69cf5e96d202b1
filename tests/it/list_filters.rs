//! Narrowed listings: what they save, and that a filter which misbehaves costs calls and nothing else.

use std::time::Duration;

use vod_refresh::emulator::{Call, Filtering, MediaScript, Scenario};
use vod_refresh::vod::RefreshMediaPlayUrls;
use vod_refresh::{MediaId, Outcome, TaskType};

use crate::support::TestEnv;
use crate::support::action::QUERY_TASKS;

fn cloud(filtering: Filtering) -> Scenario {
    Scenario::new()
        .with(|s| s.urls_per_media = 1)
        .with(|s| s.task_duration = Duration::from_secs(20))
        .with(|s| s.rates.insert(QUERY_TASKS.into(), 5.0))
        .with(|s| s.task_filters = filtering)
}

/// Media of others, twenty to a submission, with ten tasks each on a domain of their own.
fn others(submission: usize) -> Vec<(MediaId, MediaScript)> {
    let one = |n| {
        let id = format!("theirs{submission}x{n}");
        let urls = (0..10).map(|url| format!("https://others.example.test/{id}/{url}.mp4")).collect();
        (MediaId::new(id).unwrap(), MediaScript { urls, ..MediaScript::default() })
    };
    (0..20).map(one).collect()
}

/// Four hundred tasks of ours, made while others make four thousand.
async fn amid_others(filtering: Filtering) -> Vec<Call> {
    let scripts = (0..20).flat_map(others);
    let cloud = scripts.fold(cloud(filtering), |cloud, (id, script)| cloud.with_media(id.as_str(), script));
    let env = TestEnv::new(cloud);
    let client = env.client().clone();
    let theirs = tokio::spawn(async move {
        for submission in 0..20 {
            let media = others(submission).into_iter().map(|(id, _)| id).collect();
            client
                .refresh_media_play_urls(&RefreshMediaPlayUrls::new(TaskType::Refresh, media))
                .await
                .unwrap();
        }
    });
    let queries = queries(&env, 400).await;
    theirs.await.unwrap();
    queries
}

/// Four thousand tasks of ours, of which every fortieth takes ten minutes.
async fn slow_tail(filtering: Filtering) -> Vec<Call> {
    let slow = MediaScript { task_duration: Some(Duration::from_secs(600)), ..MediaScript::default() };
    let ids = (0..4_000).step_by(40).map(|n| format!("m{n}"));
    let cloud = ids.fold(cloud(filtering), |cloud, id| cloud.with_media(id, slow.clone()));
    queries(&TestEnv::new(cloud), 4_000).await
}

/// Refreshes so many media to the end. Gives back the task queries that it took.
async fn queries(env: &TestEnv, media: usize) -> Vec<Call> {
    let report = env.refresh((0..media).map(|n| format!("m{n}"))).await;
    assert_eq!((report.outcome, report.summary.tasks_complete), (Outcome::Complete, media as u64));
    env.cloud.calls().into_iter().filter(|call| call.action == QUERY_TASKS).collect()
}

fn narrowed(calls: &[Call]) -> usize {
    calls.iter().filter(|call| call.params.contains_key("ObjectType")).count()
}

fn of_running(calls: &[Call]) -> usize {
    calls.iter().filter(|call| call.params.get("Status").is_some_and(|word| word == "Refreshing")).count()
}

#[tokio::test(start_paused = true)]
async fn tasks_amid_those_of_others_are_listed_without_them() {
    let with = amid_others(Filtering::Works).await;
    let without = amid_others(Filtering::Refused).await;
    assert_eq!(narrowed(&without), 1, "a filter that is refused costs one call");
    assert!(narrowed(&with) >= 8);
    assert!(with.len() < 60, "{} task queries, {} without a filter", with.len(), without.len());
    assert!(
        with.len() * 2 < without.len(),
        "{} task queries, {} without a filter",
        with.len(),
        without.len()
    );
}

#[tokio::test(start_paused = true)]
async fn a_tail_of_slow_tasks_is_listed_by_its_status() {
    let with = slow_tail(Filtering::Works).await;
    let without = slow_tail(Filtering::Refused).await;
    assert_eq!(narrowed(&without), 1, "a filter that is refused costs one call");
    assert!(of_running(&with) >= 40);
    assert!(with.len() < 600, "{} task queries, {} without a filter", with.len(), without.len());
    assert!(
        with.len() * 3 < without.len(),
        "{} task queries, {} without a filter",
        with.len(),
        without.len()
    );
}

#[tokio::test(start_paused = true)]
async fn where_filters_are_refused_a_slow_tail_costs_no_more_than_polling_each_alone() {
    // A hundred slow tasks, four to a media, on about a third of the eighty pages: too many pages for so few.
    let slow = MediaScript { task_duration: Some(Duration::from_secs(600)), ..MediaScript::default() };
    let cloud = cloud(Filtering::Refused).with(|s| s.urls_per_media = 4);
    let ids = (0..1_000).step_by(40).map(|n| format!("m{n}"));
    let env = TestEnv::new(ids.fold(cloud, |cloud, id| cloud.with_media(id, slow.clone())));
    let report = env.refresh((0..1_000).map(|n| format!("m{n}"))).await;
    assert_eq!((report.outcome, report.summary.tasks_complete), (Outcome::Complete, 4_000));
    let looks = env.cloud.count(QUERY_TASKS);
    assert!(looks < 2_700, "{looks} task queries; polling each alone takes 2,700");
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_misbehaves_ends_no_run() {
    for filtering in
        [Filtering::ShowsNothing, Filtering::KnowsNoDomain, Filtering::HidesHalf, Filtering::Ignored]
    {
        for (calls, most) in [(amid_others(filtering).await, 300), (slow_tail(filtering).await, 3_000)] {
            assert!(calls.len() < most, "{filtering:?}: {} task queries", calls.len());
        }
    }
}
