//! The database goes away in mid-run: it costs the journal at most, and not the run.

use std::process::Child;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::fencing::{open_cloud, resume, start};
use super::server::Server;
use crate::support::action::QUERY_TASKS;
use crate::support::program::{Cloud, Home, SUBMIT, end, signal, until};

/// A run whose first batch is known to be taken, and a server that has stopped since.
struct Stopped {
    server: Server,
    cloud: Cloud,
    child: Child,
    /// Of the database.
    name: String,
    _home: Home,
}

fn stopped(line: &str) -> Option<Stopped> {
    let (mut server, cloud, home) = (Server::new()?, open_cloud(), Home::new());
    let name = server.database().name;
    let child = start(&cloud, &home, &server.named(&name), line, 1);
    server.stop();
    Some(Stopped { server, cloud, child, name, _home: home })
}

/// Verdicts, and what is known of each task. When a task was last seen to run is not written down.
fn outline(report: &Value) -> Value {
    let tasks = |media: &Value| -> Vec<Value> {
        let of = |task: &Value| json!([task["task_id"], task["url"], task["status"], task["ended_at"]]);
        media["tasks"].as_array().unwrap().iter().map(of).collect()
    };
    let media = report["media"].as_array().unwrap();
    let media: Vec<_> =
        media.iter().map(|media| json!([media["media_id"], media["state"], tasks(media)])).collect();
    json!([report["outcome"], media])
}

#[test]
fn a_server_that_stops_and_comes_back_costs_nothing() {
    let Some(Stopped { mut server, cloud, child, name, _home }) = stopped("refresh m1 m2") else { return };
    cloud.complete(&["m1"]);
    let looks = cloud.emulator.count(QUERY_TASKS);
    cloud.wait_for(QUERY_TASKS, looks + 4);
    std::thread::sleep(Duration::from_secs(2));
    server.start();
    let database = server.named(&name);
    until("what was learnt meanwhile", || database.facts().iter().any(|fact| fact.contains("Complete")));
    until("the end of the mark", || database.sql("SELECT lost FROM vod_refresh_run") == ["f"]);
    let refused = resume(&cloud, &Home::new(), &database);
    assert_eq!(refused.code, Some(3), "it is driven still: {refused:?}");
    cloud.complete(&["m2"]);
    let ended = end(child);
    assert_eq!((ended.code, cloud.emulator.count(SUBMIT)), (Some(0), 1), "{ended:?}");
    assert_eq!(ended.stderr.matches("is kept in memory and written later").count(), 1, "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("can be written again").count(), 1, "{}", ended.stderr);
    // Nobody who looks at the journal could tell.
    let stored = Home::new().run(&database.line("status -o json")).json();
    assert_eq!(outline(&stored), outline(&ended.json()));
    assert_eq!(stored["notes"], Value::Null);
}

#[test]
fn a_server_that_does_not_come_back_costs_the_journal_and_not_the_run() {
    let Some(Stopped { cloud, child, _home, .. }) = stopped("refresh m1 m2") else { return };
    cloud.complete(&["m1", "m2"]);
    let ended = end(child);
    assert_eq!((ended.code, cloud.emulator.count(SUBMIT)), (Some(0), 1), "{ended:?}");
    assert_eq!(ended.json()["summary"]["media_complete"], 2);
    assert_eq!(ended.stderr.matches("in memory and can't be resumed").count(), 1, "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("do not resume run").count(), 1, "{}", ended.stderr);
    assert_ne!(ended.json()["resumable"], true);
}

#[test]
fn a_signal_does_not_wait_for_a_server_that_is_away() {
    let Some(Stopped { cloud, child, _home, .. }) = stopped("refresh m1 m2") else { return };
    cloud.complete(&["m1"]);
    std::thread::sleep(Duration::from_millis(1_500));
    let begun = Instant::now();
    signal(&child, "TERM");
    let ended = end(child);
    assert_eq!(ended.code, Some(143), "{ended:?}");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

/// What nobody would know of is not sent while there is hope: whoever resumed the run would send it again.
#[test]
fn batches_wait_for_a_server_that_is_away_for_a_while() {
    let Some(Stopped { mut server, cloud, child, name, _home }) = stopped("refresh m1 --then-preload") else {
        return;
    };
    cloud.complete(&["m1"]);
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(cloud.emulator.count(SUBMIT), 1, "the preload is not sent");
    server.start();
    let database = server.named(&name);
    cloud.wait_for(SUBMIT, 2);
    until("the preload in the journal", || database.facts().iter().any(|fact| fact.contains("\"batch\":1")));
    until("the tasks of the preload", || cloud.emulator.job_ids().len() == 2);
    cloud.complete(&["m1"]);
    let ended = end(child);
    assert_eq!((ended.code, cloud.emulator.count(SUBMIT)), (Some(0), 2), "{ended:?}");
    let stored = Home::new().run(&database.line("status -o json")).json();
    assert_eq!(outline(&stored), outline(&ended.json()));
}

#[test]
fn batches_do_not_wait_for_ever() {
    let Some(Stopped { cloud, child, _home, .. }) = stopped("refresh m1 --then-preload") else { return };
    let begun = Instant::now();
    cloud.complete(&["m1"]);
    while cloud.emulator.count(SUBMIT) < 2 {
        assert!(begun.elapsed() < Duration::from_secs(50), "it waits too long");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(begun.elapsed() > Duration::from_secs(25), "it has not waited: {:?}", begun.elapsed());
    until("the tasks of the preload", || cloud.emulator.job_ids().len() == 2);
    cloud.complete(&["m1"]);
    let ended = end(child);
    assert_eq!((ended.code, cloud.emulator.count(SUBMIT)), (Some(0), 2), "{ended:?}");
    assert!(
        ended.stderr.contains("the run submits without it from now on: do not resume run"),
        "{}",
        ended.stderr
    );
}

/// The database is there again, and is that of an old backup: what is written to it now would be half of a run.
#[test]
fn a_database_that_is_another_one_now_is_not_offered_to_resume_from() {
    let Some(server) = Server::shared() else { return };
    let (cloud, home, database) = (open_cloud(), Home::new(), server.database());
    let child = start(&cloud, &home, &database, "refresh m1 m2", 1);
    // At once: nothing is written in between.
    database.sql(
        "LOCK TABLE vod_refresh_meta; LOCK TABLE vod_refresh_run;
         UPDATE vod_refresh_meta SET identity = 'another'; DELETE FROM vod_refresh_fact;
         SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE application_name LIKE 'vod-refresh%' AND datname = current_database()",
    );
    cloud.complete(&["m1", "m2"]);
    let ended = end(child);
    assert_eq!((ended.code, cloud.emulator.count(SUBMIT)), (Some(0), 1), "{ended:?}");
    assert_eq!(ended.stderr.matches("another journal has taken its place").count(), 1, "{}", ended.stderr);
    assert_eq!(database.facts(), Vec::<String>::new());
}
