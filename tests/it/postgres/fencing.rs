//! Machines that share a database: one drives a run, any other carries it on, and one that was left behind does nothing more.

use std::process::Child;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use vod_refresh::Journal;
use vod_refresh::emulator::Scenario;
use vod_refresh::ids::RunId;

use super::server::{Database, Server};
use crate::support::program::{Cloud, Ended, Home, SUBMIT, end, signal, until};
use crate::support::scripts::open_media;

/// A cloud whose tasks end when a test says so.
pub(crate) fn open_cloud() -> Cloud {
    let open = open_media();
    Cloud::new(
        Scenario::new()
            .with(|s| s.job_delay = Duration::from_millis(50))
            .with(|s| s.urls_per_media = 1)
            .with(|s| s.default_media = open),
    )
}

/// Starts a run with this journal, and waits until `submits` batches are known to be taken.
pub(crate) fn start(
    cloud: &Cloud,
    home: &Home,
    database: &Database<'_>,
    line: &str,
    submits: usize,
) -> Child {
    let line = format!("{line} --endpoint {} --poll-interval 50ms -o json", cloud.endpoint);
    let child = home.start(&database.line(&line));
    until("batches that are known to be taken", || {
        let count = "SELECT count(*) FROM vod_refresh_fact WHERE body LIKE '%submitted%'";
        let known = "SELECT to_regclass('vod_refresh_fact') IS NOT NULL";
        database.sql(known) == ["t"] && database.sql(count) == [submits.to_string()]
    });
    child
}

/// Starts a run as [`start`] does, and kills it.
fn start_and_kill(cloud: &Cloud, home: &Home, database: &Database<'_>, line: &str, submits: usize) {
    let mut child = start(cloud, home, database, line, submits);
    child.kill().unwrap();
    end(child);
}

pub(crate) fn resume(cloud: &Cloud, home: &Home, database: &Database<'_>) -> Ended {
    home.run(&resume_line(cloud, database))
}

fn resume_line(cloud: &Cloud, database: &Database<'_>) -> Vec<String> {
    database.line(&format!("resume --endpoint {} --poll-interval 50ms -o json", cloud.endpoint))
}

/// Ends the sessions of all clients of the tool, as a network that was cut does.
fn cut_off(database: &Database<'_>) {
    let end = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = '{}' AND application_name LIKE 'vod-refresh%'",
        database.name
    );
    assert!(!database.server.sql("postgres", &end).is_empty());
}

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("m{n}")).collect()
}

#[test]
fn a_run_that_was_killed_on_one_machine_is_carried_on_by_another() {
    let Some(server) = Server::shared() else { return };
    let (cloud, database, a, b) = (open_cloud(), server.database(), Home::new(), Home::new());
    start_and_kill(&cloud, &a, &database, &format!("refresh {}", ids(45).join(" ")), 3);
    cloud.complete(&ids(45));
    let submits = cloud.submits();
    let resumed = resume(&cloud, &b, &database);
    assert_eq!((resumed.code, cloud.submits()), (Some(0), submits), "{resumed:?}");
    assert_eq!(resumed.json()["summary"]["media_complete"], 45);
    assert!(std::fs::read_dir(b.path()).unwrap().next().is_none(), "nothing of a run is on the machine");
    // Any machine sees how it ended.
    let runs = a.run(&database.line("runs -o json")).json();
    assert_eq!((&runs[0]["outcome"], &runs[0]["media"]), (&json!("complete"), &json!(45)));
}

#[test]
fn of_two_processes_that_resume_at_once_one_drives() {
    let Some(server) = Server::shared() else { return };
    let (cloud, database, a) = (open_cloud(), server.database(), Home::new());
    start_and_kill(&cloud, &a, &database, "refresh m1 m2", 1);
    let homes = [Home::new(), Home::new()];
    let children = homes.each_ref().map(|home| home.start(&resume_line(&cloud, &database)));
    let waiting: Vec<_> = children.into_iter().map(|child| std::thread::spawn(move || end(child))).collect();
    until("the end of one of them", || waiting.iter().any(|waiting| waiting.is_finished()));
    cloud.complete(&["m1", "m2"]);
    let mut ended: Vec<_> = waiting.into_iter().map(|waiting| waiting.join().unwrap()).collect();
    ended.sort_by_key(|ended| ended.code);
    assert_eq!(ended.iter().map(|ended| ended.code).collect::<Vec<_>>(), [Some(0), Some(3)], "{ended:?}");
    assert!(ended[1].stderr.contains("is being driven by another process"), "{}", ended[1].stderr);
    assert_eq!(cloud.emulator.count(SUBMIT), 1);
}

#[test]
fn a_driver_that_was_paused_while_another_took_over_writes_and_submits_nothing_more() {
    let Some(server) = Server::shared() else { return };
    let (cloud, database, a, b) = (open_cloud(), server.database(), Home::new(), Home::new());
    let paused = start(&cloud, &a, &database, "refresh m1 --then-preload", 1);
    signal(&paused, "STOP");
    cut_off(&database);
    let driving = b.start(&resume_line(&cloud, &database));
    until("that the other drives it", || database.sql("SELECT max(epoch) FROM vod_refresh_run") == ["2"]);
    let epoch_of = || database.sql("SELECT epoch, driver FROM vod_refresh_run");
    // The other one holds still for a moment, so that what is written is the first one's.
    signal(&driving, "STOP");
    let (driver, facts) = (epoch_of(), database.facts());
    signal(&paused, "CONT");
    // What the paused one waits for comes to pass: it would preload now.
    let left = end(paused);
    assert_eq!((epoch_of(), database.facts()), (driver, facts), "it has written: {left:?}");
    assert_eq!((left.code, cloud.emulator.count(SUBMIT)), (Some(9), 1), "{left:?}");
    assert!(left.stderr.contains("is being driven by another process since 20"), "{}", left.stderr);
    assert!(left.stderr.contains("nothing more was written or submitted from here"), "{}", left.stderr);
    assert_eq!(left.json()["error"]["code"], "DrivenElsewhere");
    signal(&driving, "CONT");
    cloud.complete(&["m1"]);
    cloud.wait_for(SUBMIT, 2);
    until("the tasks of the preload", || cloud.emulator.job_ids().len() == 2);
    cloud.complete(&["m1"]);
    let ended = end(driving);
    assert_eq!((ended.code, cloud.emulator.count(SUBMIT)), (Some(0), 2), "{ended:?}");
}

/// The paused one finds out when it would submit, before it does.
#[test]
fn a_driver_that_was_left_behind_finds_out_before_its_next_batch() {
    let Some(server) = Server::shared() else { return };
    let (cloud, database, a, b) = (open_cloud(), server.database(), Home::new(), Home::new());
    let left = start(&cloud, &a, &database, "refresh m1 --then-preload", 1);
    signal(&left, "STOP");
    cut_off(&database);
    let mut other = b.start(&resume_line(&cloud, &database));
    until("that the other drives it", || database.sql("SELECT max(epoch) FROM vod_refresh_run") == ["2"]);
    other.kill().unwrap();
    end(other);
    let facts = database.facts();
    // All is done when the first one wakes up: its next step is the preload.
    cloud.complete(&["m1"]);
    signal(&left, "CONT");
    let ended = end(left);
    assert_eq!((ended.code, cloud.emulator.count(SUBMIT)), (Some(9), 1), "{ended:?}");
    assert_eq!(database.facts(), facts);
    let third = start_resumed(&cloud, &database);
    assert_eq!((third.code, cloud.emulator.count(SUBMIT)), (Some(0), 2), "{third:?}");
}

/// Carries a run of two stages on to its end.
fn start_resumed(cloud: &Cloud, database: &Database<'_>) -> Ended {
    let child = Home::new().start(&resume_line(cloud, database));
    cloud.wait_for(SUBMIT, 2);
    until("the tasks of the preload", || cloud.emulator.job_ids().len() == 2);
    cloud.complete(&["m1"]);
    end(child)
}

/// The server itself lets go of a driver that says nothing: it need not be told.
#[test]
fn a_driver_that_is_stopped_for_good_loses_its_run_within_half_a_minute() {
    let Some(server) = Server::shared() else { return };
    let (cloud, database, a, b) = (open_cloud(), server.database(), Home::new(), Home::new());
    let paused = start(&cloud, &a, &database, "refresh m1", 1);
    signal(&paused, "STOP");
    let refused = resume(&cloud, &b, &database);
    assert_eq!(refused.code, Some(3), "{refused:?}");
    cloud.complete(&["m1"]);
    let begun = Instant::now();
    let mut resumed = resume(&cloud, &b, &database);
    while resumed.code == Some(3) && begun.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(500));
        resumed = resume(&cloud, &b, &database);
    }
    assert_eq!((resumed.code, cloud.emulator.count(SUBMIT)), (Some(0), 1), "{resumed:?}");
    let facts = database.facts();
    signal(&paused, "CONT");
    let left = end(paused);
    assert!(left.stderr.contains("nothing more was written or submitted from here"), "{left:?}");
    assert_eq!(database.facts(), facts);
}

/// A run whose driver says every few seconds that it lives is left alone, however long it has nothing to write.
#[test]
fn a_quiet_driver_keeps_its_run() {
    let Some(server) = Server::shared() else { return };
    let (cloud, database, a, b) = (open_cloud(), server.database(), Home::new(), Home::new());
    let quiet = start(&cloud, &a, &database, "refresh m1", 1);
    std::thread::sleep(Duration::from_secs(24));
    let refused = resume(&cloud, &b, &database);
    assert_eq!(refused.code, Some(3), "{refused:?}");
    cloud.complete(&["m1"]);
    assert_eq!(end(quiet).code, Some(0));
}

/// A server before 14 has no limit for silent sessions: whoever wants the run ends one that has its lock and says nothing.
#[test]
fn a_silent_session_that_the_server_does_not_end_is_ended_by_who_wants_the_run() {
    let Some(server) = Server::shared() else { return };
    let (cloud, database, a) = (open_cloud(), server.database(), Home::new());
    start_and_kill(&cloud, &a, &database, "refresh m1", 1);
    cloud.complete(&["m1"]);
    let name = &database.sql("SELECT identity || ' ' || id FROM vod_refresh_meta, vod_refresh_run")[0];
    let take = format!(
        "SET application_name = 'vod-refresh silent';
         SELECT pg_advisory_lock(('x' || encode(substr(sha256('{name}'), 1, 8), 'hex'))::bit(64)::bigint)"
    );
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut config = tokio_postgres::Config::new();
    config.host_path(server.folder()).port(server.port).user("postgres").dbname(&database.name);
    let silent = runtime.block_on(async {
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(&take).await.unwrap();
        client
    });
    let begun = Instant::now();
    let mut resumed = resume(&cloud, &Home::new(), &database);
    while resumed.code == Some(3) && begun.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(500));
        resumed = resume(&cloud, &Home::new(), &database);
    }
    assert_eq!((resumed.code, cloud.emulator.count(SUBMIT)), (Some(0), 1), "{resumed:?}");
    assert!(begun.elapsed() > Duration::from_secs(15), "it was not left its time: {:?}", begun.elapsed());
    assert!(silent.is_closed());
}

#[tokio::test]
async fn a_run_is_driven_by_one_at_a_time_in_one_process_too() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let journal = Journal::connect(&database.url()).await.unwrap();
    let run = RunId::fresh();
    let (one, two) = tokio::join!(journal.lock(&run), journal.lock(&run));
    let held: Vec<_> = [one, two].into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(held.len(), 1);
    let other = Journal::connect(&database.url()).await.unwrap();
    assert!(other.lock(&run).await.unwrap().is_none());
    drop(held);
    let begun = Instant::now();
    while other.lock(&run).await.unwrap().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(5), "it is never let go");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
