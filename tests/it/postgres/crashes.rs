//! A crash at every write, with runs in PostgreSQL: the reports are those of runs in a file.

use vod_refresh::Journal;

use super::server::Server;
use crate::crash::{crash_cases, crash_everywhere_in};

async fn crash_in_a_database(names: &[&str]) -> u64 {
    let mut crashes = 0;
    for case in crash_cases().into_iter().filter(|case| names.contains(&case.name)) {
        let Some(server) = Server::shared() else { return 0 };
        let database = server.database();
        let url = database.url();
        crashes += crash_everywhere_in(case, async |_| Journal::connect(&url).await.unwrap()).await;
    }
    crashes
}

#[tokio::test(start_paused = true)]
async fn runs_survive_a_crash_at_every_write() {
    crash_in_a_database(&["without events", "failures", "jobs of others", "URLs"]).await;
}

#[tokio::test(start_paused = true)]
async fn runs_with_events_survive_a_crash_at_every_write() {
    crash_in_a_database(&["with events", "failures, events"]).await;
}

#[tokio::test(start_paused = true)]
async fn lost_answers_survive_a_crash_at_every_write() {
    crash_in_a_database(&["lost answers", "lost answers, events", "URLs, lost"]).await;
}

#[tokio::test(start_paused = true)]
async fn runs_of_two_stages_survive_a_crash_at_every_write() {
    crash_in_a_database(&["then preload", "then preload, events"]).await;
}
