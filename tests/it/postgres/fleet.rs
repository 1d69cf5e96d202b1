//! Processes of one account that share a database know what the others read, and keep one pace.

use std::time::Duration;

use tokio::time::Instant;
use vod_refresh::Journal;
use vod_refresh::emulator::Scenario;

use super::server::{Database, Server};
use crate::support::action::QUERY_TASKS;
use crate::support::program::{Cloud, Home, end};

/// Tasks of so many seconds, four to a media, of an account that may ask about them so often a second.
fn cloud(seconds: u64, rate: f64) -> Cloud {
    let scenario = Scenario::new()
        .with(|s| s.urls_per_media = 4)
        .with(|s| s.task_duration = Duration::from_secs(seconds));
    Cloud::new(
        scenario
            .with(|s| s.rates.insert("RefreshMediaPlayUrls".into(), 50.0))
            .with(|s| s.rates.insert(QUERY_TASKS.into(), rate)),
    )
}

/// Runs in processes of their own, at once, each of so many media. Says how many queries and how long they took.
fn took(cloud: &Cloud, database: Option<&Database<'_>>, processes: usize, media: usize) -> (usize, Duration) {
    let begun = Instant::now();
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
    (cloud.emulator.count(QUERY_TASKS), begun.elapsed())
}

#[test]
fn what_one_process_reads_others_do_not_ask_for() {
    let Some(server) = Server::shared() else { return };
    let quick = || cloud(4, 10.0);
    let apart = took(&quick(), None, 3, 50);
    // On a machine that is busy, what is shared may come too late; not each time.
    let shared = || took(&quick(), Some(&server.database()), 3, 50);
    let tries: Vec<_> = (0..3).map(|_| shared()).take_while(|shared| shared.0 * 10 >= apart.0 * 8).collect();
    assert!(tries.len() < 3, "{tries:?} queries and times, and {apart:?} without a shared journal");
}

/// Some minutes by the clock: `cargo test --release --features postgres --test it -- --ignored --nocapture postgres::fleet`.
#[test]
#[ignore = "figures for who asks"]
#[allow(clippy::print_stderr, reason = "figures for who asks")]
fn processes_that_share_a_database_complete_all_their_media() {
    let Some(server) = Server::shared() else { return };
    for (processes, media) in [(3, 333), (10, 100)] {
        let of = |processes, media| took(&cloud(20, 5.0), Some(&server.database()), processes, media);
        let (one, many) = (of(1, processes * media), of(processes, media));
        let time = many.1.as_secs_f64() / one.1.as_secs_f64();
        let queries = many.0 as f64 / one.0 as f64;
        eprintln!(
            "{processes} processes of {media} media: {many:?}; one with all: {one:?}; {time:.2} and {queries:.2}"
        );
    }
}

/// Nobody comes in between reading and writing, and nobody's text is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_shared_text_that_many_change_at_once_loses_no_change() {
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
