//! What happens to a journal while a run writes to it, and to a run that was forgotten meanwhile.

use std::path::Path;
use std::process::Child;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::Value;
use tokio::time::Instant;
use vod_refresh::emulator::Scenario;

use crate::resume_hints::{half_stuck, timed_out};
use crate::support::action::QUERY_TASKS;
use crate::support::program::{Cloud, Ended, Home, SUBMIT, assert_resumes, end, signal, until};
use crate::support::scripts::open_media;

/// A cloud whose tasks end when a test says so.
fn open_cloud() -> Cloud {
    let open = open_media();
    Cloud::new(
        Scenario::new().with(|s| s.job_delay = Duration::from_millis(50)).with(|s| s.default_media = open),
    )
}

fn start(cloud: &Cloud, home: &Home, more: &[&str]) -> Child {
    let line = ["refresh", "m1", "--endpoint", &cloud.endpoint, "--poll-interval", "50ms", "-o", "json"];
    let child = home.start(&[&line[..], more].concat());
    cloud.wait_for(QUERY_TASKS, 1);
    child
}

/// Holds the journal's lock from now on until it is dropped.
fn hold(journal: &Path) -> Connection {
    let holder = Connection::open(journal).unwrap();
    holder.busy_timeout(Duration::from_secs(5)).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    holder
}

/// Waits for the mark that a run has beside the journal while it is not all in there.
fn is_marked(home: &Home) -> bool {
    let folder = home.journal().parent().unwrap().to_owned();
    let mut names = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
    names.any(|name| name.to_string_lossy().ends_with(".lost"))
}

#[test]
fn h15_a_journal_whose_lock_is_held_costs_nothing() {
    let (cloud, home) = (open_cloud(), Home::new());
    let child = start(&cloud, &home, &[]);
    let holder = hold(&home.journal());
    until("something that cannot be written", || is_marked(&home));
    let (begun, looks) = (Instant::now(), cloud.emulator.count(QUERY_TASKS));
    cloud.wait_for(QUERY_TASKS, looks + 3);
    assert!(begun.elapsed() < Duration::from_secs(6), "the run has waited: {:?}", begun.elapsed());
    std::thread::sleep(Duration::from_millis(1_500));
    drop(holder);
    until("the end of the mark", || !is_marked(&home));
    signal(&child, "INT");
    let ended = end(child);
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert_eq!(ended.stderr.matches("another process holds its lock").count(), 1, "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("can be written again").count(), 1, "{}", ended.stderr);
    assert_eq!(ended.json()["resumable"], true, "{ended:?}");
    assert_resumes(&cloud, &home);
}

#[test]
fn h15_a_run_that_is_killed_while_its_facts_wait_is_not_carried_on_from_half_of_them() {
    let (cloud, home) = (open_cloud(), Home::new());
    let mut child = start(&cloud, &home, &[]);
    let holder = hold(&home.journal());
    until("something that cannot be written", || is_marked(&home));
    child.kill().unwrap();
    end(child);
    drop(holder);
    let resumed = home.run(&["resume"]);
    assert_eq!((resumed.code, cloud.emulator.count(SUBMIT)), (Some(2), 1), "{resumed:?}");
    assert!(resumed.stderr.contains("the journal failed in mid-run"), "{}", resumed.stderr);
}

#[test]
fn h15_the_end_of_a_run_waits_for_the_journal_and_not_for_ever() {
    for held in [Duration::from_secs(3), Duration::from_secs(60)] {
        let (cloud, home) = (open_cloud(), Home::new());
        let child = start(&cloud, &home, &[]);
        let holder = hold(&home.journal());
        cloud.complete(&["m1"]);
        let begun = Instant::now();
        let waiting = std::thread::spawn(move || end(child));
        while begun.elapsed() < held && !waiting.is_finished() {
            std::thread::sleep(Duration::from_millis(20));
        }
        drop(holder);
        let ended = waiting.join().unwrap();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
        let runs = home.run(&["runs", "-o", "json"]).json();
        let outcome = if held.as_secs() < 10 { "complete" } else { "unfinished" };
        assert_eq!(runs[0]["outcome"], outcome, "{ended:?}");
        if outcome == "unfinished" {
            assert_eq!(ended.stderr.matches("in memory and can't be resumed").count(), 1, "{}", ended.stderr);
            assert_eq!(home.run(&["resume"]).code, Some(2));
        }
    }
}

#[test]
fn h15_a_signal_does_not_wait_for_the_journal() {
    let (cloud, home) = (open_cloud(), Home::new());
    let child = start(&cloud, &home, &["--report", "r.json"]);
    let holder = hold(&home.journal());
    until("something that cannot be written", || is_marked(&home));
    let begun = Instant::now();
    signal(&child, "TERM");
    let ended = end(child);
    assert_eq!(ended.code, Some(143), "{ended:?}");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let report: Value =
        serde_json::from_str(&std::fs::read_to_string(home.path().join("r.json")).unwrap()).unwrap();
    assert_eq!(report["outcome"], "interrupted");
    assert_eq!(ended.hint()[0], "wait", "the journal does not know everything");
    drop(holder);
    cloud.complete(&["m1"]);
    assert_eq!(home.run(&ended.hint()).code, Some(0));
}

/// What the run shows at its end does what it says, and nothing is submitted twice.
#[track_caller]
fn the_shown_command_works(cloud: &Cloud, home: &Home, ended: &Ended, why: &str) {
    assert_eq!(ended.code, Some(8), "{ended:?}");
    assert_eq!(ended.stderr.matches(why).count(), 1, "{}", ended.stderr);
    assert_ne!(ended.json()["resumable"], true);
    assert_eq!(ended.hint()[0], "wait", "{}", ended.stderr);
    cloud.complete(&["m1"]);
    let waited = home.run(&ended.hint());
    assert_eq!((waited.code, cloud.emulator.count(SUBMIT)), (Some(0), 1), "{waited:?}");
}

#[test]
fn h16_a_journal_that_was_deleted_in_mid_run_is_not_offered_to_resume_from() {
    let (cloud, home) = (open_cloud(), Home::new());
    let child = start(&cloud, &home, &["--timeout", "3s"]);
    std::fs::remove_dir_all(home.journal().parent().unwrap()).unwrap();
    the_shown_command_works(&cloud, &home, &end(child), "is not there any more");
    assert_eq!(home.run(&["resume"]).code, Some(2));
}

#[test]
fn h16_a_journal_that_was_replaced_in_mid_run_is_not_offered_to_resume_from() {
    for by_old_copy in [true, false] {
        let (cloud, home) = (open_cloud(), Home::new());
        let (journal, other) = (home.journal(), home.path().join("other.db"));
        let line = ["refresh", "m1", "--endpoint", &cloud.endpoint, "--timeout", "3s", "-o", "json"];
        let child = home.start(&line);
        cloud.wait_for(SUBMIT, 1);
        // Of a backup, made before anything was submitted; or of another user.
        Connection::open(&journal).unwrap().execute("VACUUM INTO ?", [other.to_str().unwrap()]).unwrap();
        let there = Connection::open(&other).unwrap();
        there.execute_batch("DELETE FROM fact; PRAGMA journal_mode = WAL;").unwrap();
        if !by_old_copy {
            there.execute_batch("DELETE FROM run").unwrap();
        }
        drop(there);
        for log in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{log}", journal.display()));
        }
        std::fs::rename(&other, &journal).unwrap();
        the_shown_command_works(&cloud, &home, &end(child), "another file has taken the place");
        // By its name or without: nobody submits again what the copy knows nothing of.
        let resumed = home.run(&["resume"]);
        assert_eq!((resumed.code, cloud.emulator.count(SUBMIT)), (Some(2), 1), "{resumed:?}");
    }
}

#[test]
fn h17_a_run_that_the_service_has_forgotten_is_ended_by_resume_at_once() {
    for began in ["1970-01-01T00:00:07Z", "2026-01-02T03:04:05Z"] {
        let (cloud, home) = (half_stuck(), Home::new());
        assert_eq!(timed_out(&cloud, &home, &[]).code, Some(8));
        let journal = Connection::open(home.journal()).unwrap();
        let set = "UPDATE run SET started_at = ?1, record = json_set(record, '$.started_at', ?1)";
        assert_eq!(journal.execute(set, [began]).unwrap(), 1);
        drop(journal);
        let (submits, begun) = (cloud.emulator.count(SUBMIT), Instant::now());
        let resumed = home.run(&["resume", "-o", "json"]);
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        assert_eq!((resumed.code, cloud.emulator.count(SUBMIT)), (Some(9), submits), "{resumed:?}");
        let said = &resumed.stderr;
        assert_eq!(said.matches("the service has forgotten run").count(), 1, "{said}");
        assert!(!said.contains("  vod-refresh ") && !said.contains("check the network"), "{said}");
        let report = resumed.json();
        assert_eq!(report["error"]["code"], "Forgotten", "{report}");
        assert_ne!(report["resumable"], true);
        let tasks = report["media"][0]["tasks"].as_array().unwrap();
        assert_eq!(tasks[0]["status"], "Complete", "what was known is told");
        // It has ended: nobody is offered it again.
        let again = home.run(&["resume"]);
        assert_eq!(again.code, Some(2), "{again:?}");
        assert!(again.stderr.contains("there is no run to carry on"), "{}", again.stderr);
        assert_eq!(home.run(&["runs", "-o", "json"]).json()[0]["outcome"], "unavailable");
    }
}
