//! What one reads, all know: in a database as in a file. In real time, as the clock of what is shared is the server's.

use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;
use vod_refresh::emulator::Scenario;
use vod_refresh::{Journal, Outcome, Refresher, Report};

use super::server::Server;
use crate::fleet::shares_texts;
use crate::support::{Bed, request};

const ACTION: &str = "DescribeVodRefreshTasks";
const MEDIA: usize = 100;

#[tokio::test]
async fn texts_that_many_change_at_once_lose_no_change() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let mut journals = Vec::new();
    for _ in 0..4 {
        journals.push(Journal::connect(&database.url()).await.unwrap());
    }
    shares_texts(journals).await;
}

/// Refreshes so many media in each of so many processes. Returns the task queries.
async fn queries(processes: usize, media: usize, url: Option<String>) -> usize {
    let scenario = Scenario::new()
        .with_urls_per_media(4)
        .with_task_duration(Duration::from_secs(4))
        .with_rate(ACTION, 20.0);
    let bed = Bed::new(scenario);
    let mut runs: JoinSet<Report> = JoinSet::new();
    for number in 0..processes {
        let client = bed.other_client(|builder| builder.with_jitter_seed(number as u64));
        let refresher = match &url {
            Some(url) => {
                Refresher::new(client).with_journal(Journal::connect(url).await.unwrap(), Value::Null)
            }
            None => Refresher::new(client),
        };
        let ids: Vec<String> = (0..media).map(|n| format!("p{number}m{n}")).collect();
        runs.spawn(async move { refresher.refresh(&request(ids)).await.unwrap() });
    }
    while let Some(report) = runs.join_next().await {
        let report = report.unwrap();
        assert_eq!((report.outcome, report.summary.media_complete), (Outcome::Complete, media as u64));
        assert_eq!(report.notes, Vec::<String>::new());
    }
    bed.cloud.count(ACTION)
}

#[tokio::test]
async fn what_one_machine_reads_all_know() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let (apart, together) = tokio::join!(queries(3, MEDIA, None), queries(3, MEDIA, Some(database.url())));
    assert!(together * 2 < apart, "{together} queries, apart {apart}");
}
