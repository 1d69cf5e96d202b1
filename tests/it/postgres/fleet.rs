//! Processes of one account that share a database know what the others read, and keep one pace.

use std::time::Duration;

use tokio::time::Instant;
use vod_refresh::Journal;
use vod_refresh::emulator::Scenario;

use super::server::{Database, Server};
use crate::program::{Cloud, Home, end};

const LOOK: &str = "DescribeVodRefreshTasks";

/// Tasks of 4 s, four to a media, of an account that may ask about them ten times a second.
fn cloud() -> Cloud {
    let scenario = Scenario::new().with_urls_per_media(4).with_task_duration(Duration::from_secs(4));
    Cloud::new(scenario.with_rate("RefreshMediaPlayUrls", 50.0).with_rate(LOOK, 10.0))
}

/// Runs in processes of their own, at once, each of so many media. Says how many queries and how long they took.
fn took(database: Option<&Database<'_>>, processes: usize, media: usize) -> (usize, Duration) {
    let (cloud, begun) = (cloud(), Instant::now());
    let homes: Vec<_> = (0..processes).map(|_| Home::new()).collect();
    let line = |process: usize| {
        let ids: Vec<_> = (0..media).map(|n| format!("p{process}m{n}")).collect();
        let line = format!("refresh {} --endpoint {}", ids.join(" "), cloud.endpoint);
        match database {
            Some(database) => database.line(&line),
            None => line.split(' ').map(str::to_owned).collect(),
        }
    };
    let children: Vec<_> = homes.iter().enumerate().map(|(n, home)| home.start(&line(n))).collect();
    for child in children {
        let ended = end(child);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(!ended.stderr.contains("journal"), "{}", ended.stderr);
    }
    (cloud.emulator.count(LOOK), begun.elapsed())
}

#[test]
#[allow(clippy::print_stderr, reason = "figures for who asks with `--nocapture`")]
fn what_one_process_reads_others_do_not_ask_for() {
    let Some(server) = Server::shared() else { return };
    let one = took(Some(&server.database()), 1, 150);
    let shared = took(Some(&server.database()), 3, 50);
    let apart = took(None, 3, 50);
    eprintln!("one {one:?}, three that share {shared:?}, three that do not {apart:?}");
    // Figures are for the benches; that nothing is shared would be another order.
    assert!(shared.0 * 10 < apart.0 * 8, "{shared:?} queries, and {apart:?} without a shared journal");
}

/// Nobody comes in between reading and writing, and nobody's text is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_many_change_at_once_misses_none_of_them() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let mut changing = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let journal = Journal::connect(&database.url()).await.unwrap();
        changing.spawn(async move {
            let mut done = 0;
            while done < 30 {
                let add = |text: Option<&str>, _| {
                    let count: u32 = text.map_or(0, |text| text.parse().unwrap());
                    (Some((count + 1).to_string()), ())
                };
                // Refused is what waits for too long: nothing is changed then.
                let now = chrono::DateTime::UNIX_EPOCH;
                done += u32::from(journal.update_shared("account", "count", now, add).await.is_ok());
            }
        });
    }
    while let Some(done) = changing.join_next().await {
        done.unwrap();
    }
    assert_eq!(database.sql("SELECT value FROM vod_refresh_shared"), ["180"]);
    // After a minute, nobody sees it any more.
    database.sql("UPDATE vod_refresh_shared SET at_ms = at_ms - 61000");
    let journal = Journal::connect(&database.url()).await.unwrap();
    let seen = journal
        .update_shared("account", "count", chrono::DateTime::UNIX_EPOCH, |text, _| (None, text.is_some()));
    assert!(!seen.await.unwrap());
}
