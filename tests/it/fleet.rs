//! Several processes on one account: what one of them reads, all of them know, and they keep one pace.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;
use vod_refresh::emulator::Scenario;
use vod_refresh::{Journal, Outcome, Refresher, Report};

use crate::support::{Bed, request};

const ACTION: &str = "DescribeVodRefreshTasks";

/// Tasks of 20 s, four to a media, of an account that may ask about them five times a second.
fn account() -> Scenario {
    Scenario::new()
        .with_urls_per_media(4)
        .with_task_duration(Duration::from_secs(20))
        .with_rate("RefreshMediaPlayUrls", 50.0)
        .with_rate(ACTION, 5.0)
}

/// What so many processes took together.
#[derive(Debug)]
struct Took {
    time: Duration,
    queries: usize,
    throttled: usize,
}

/// A refresher like that of another process: a client of its own, and the journal opened anew.
async fn process(bed: &Bed, number: usize, journal: &Path) -> Refresher {
    let client = bed.other_client(|builder| builder.with_jitter_seed(number as u64 + 1));
    let journal = Journal::open(journal).await.unwrap();
    Refresher::new(client).with_journal(journal, Value::Null)
}

fn ids(process: usize, media: usize) -> impl Iterator<Item = String> {
    (0..media).map(move |n| format!("p{process}m{n}"))
}

/// Refreshes so many media in each of so many processes, which begin together.
async fn refreshed(scenario: Scenario, processes: usize, media: usize) -> Took {
    let folder = tempfile::tempdir().unwrap();
    let bed = Bed::new(scenario);
    let mut runs: JoinSet<Report> = JoinSet::new();
    for number in 0..processes {
        let refresher = process(&bed, number, &folder.path().join("journal.db")).await;
        runs.spawn(async move { refresher.refresh(&request(ids(number, media))).await.unwrap() });
    }
    while let Some(report) = runs.join_next().await {
        let report = report.unwrap();
        assert_eq!(report.outcome, Outcome::Complete);
        assert_eq!(report.summary.media_complete, media as u64);
        assert_eq!(report.notes, Vec::<String>::new());
    }
    let throttled = bed.cloud.calls().iter().filter(|call| call.outcome.starts_with("Throttling")).count();
    Took { time: bed.elapsed(), queries: bed.cloud.count(ACTION), throttled }
}

/// Checks that so many processes take no more than `times` the time of one with all the work, and 1.2 times its queries.
async fn as_one(processes: usize, media: usize, times: f64) {
    let one = refreshed(account(), 1, processes * media).await;
    let all = refreshed(account(), processes, media).await;
    let ratio = |all: f64, one: f64| all / one;
    let (time, queries) = (
        ratio(all.time.as_secs_f64(), one.time.as_secs_f64()),
        ratio(all.queries as f64, one.queries as f64),
    );
    let figures = format!(
        "{processes} processes: {time:.2} times as long, {queries:.2} times the queries: {all:?}; one: {one:?}"
    );
    println!("{figures}");
    assert!(time <= times && queries <= 1.2, "{figures}");
}

#[tokio::test(start_paused = true)]
async fn three_processes_on_one_account_take_as_long_as_one_with_all_the_work() {
    as_one(3, 333, 1.15).await;
}

#[tokio::test(start_paused = true)]
async fn ten_processes_on_one_account_take_little_longer_than_one() {
    as_one(10, 100, 1.3).await;
}
