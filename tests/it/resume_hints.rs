//! `resume` of the binary: by the command that the interrupted run shows.

use std::time::Duration;

use serde_json::json;
use vod_refresh::emulator::{MediaScript, Scenario, Which};

use crate::support::program::{Cloud, Ended, Home, SUBMIT, end};

/// `T1` completes at once, `T2` when somebody completes it.
pub(crate) fn half_stuck() -> Cloud {
    let stuck = MediaScript {
        task_ids: vec!["T1".into(), "T2".into()],
        never_complete: Which::At(vec![1]),
        ..MediaScript::default()
    };
    let quick = Duration::from_millis(100);
    let scenario = Scenario::new().with(|s| s.job_ids = vec!["J1".into()]).with_media("m1", stuck);
    Cloud::new(scenario.with(|s| s.job_delay = quick).with(|s| s.task_duration = quick))
}

/// A run in that cloud which comes to its deadline.
pub(crate) fn timed_out(cloud: &Cloud, home: &Home, more: &[&str]) -> Ended {
    let mut line = vec!["refresh", "m1", "--endpoint", &cloud.endpoint, "-o", "json"];
    line.extend(["--timeout", "1s", "--poll-interval", "100ms"]);
    line.extend(more);
    home.run(&line)
}

#[test]
fn a_run_that_timed_out_is_carried_on_by_the_command_that_it_shows() {
    let (cloud, home) = (half_stuck(), Home::new());
    let ended = timed_out(&cloud, &home, &["--report-html", "page.html"]);
    assert_eq!(ended.code, Some(8), "{ended:?}");
    let report = ended.json();
    assert_eq!((&report["outcome"], &report["resumable"]), (&json!("timeout"), &json!(true)));
    assert_eq!(report["media"][0]["job_id"], "J1");
    let words: Vec<_> =
        report["media"][0]["tasks"].as_array().unwrap().iter().map(|t| &t["status"]).collect();
    assert_eq!(words, ["Complete", "Refreshing"]);
    let hint = ended.hint();
    let run = report["run_id"].as_str().unwrap();
    assert_eq!(
        hint,
        ["resume", run, "--timeout", "1h"],
        "a second was too short, and the journal knows the rest"
    );
    let page = std::fs::read_to_string(home.path().join("page.html")).unwrap();
    assert!(
        page.contains(&format!("<code>vod-refresh {}</code>", hint.join(" "))),
        "its page shows the same"
    );
    let shown = home.run(&["status"]);
    assert_eq!(shown.hint(), hint, "its time is over for whoever looks later as well");

    assert_eq!(cloud.emulator.complete_task("T2"), 1);
    let resumed = home.run(&hint);
    assert_eq!((resumed.code, cloud.emulator.count(SUBMIT)), (Some(0), 1), "{resumed:?}");
    assert!(resumed.stderr.contains(", for 1h at most"), "{}", resumed.stderr);

    let again = home.run(&hint);
    assert_eq!(again.code, Some(2));
    assert!(again.stderr.contains("has ended: complete"), "{}", again.stderr);
}

#[test]
fn waiting_for_a_job_of_somebody_else_is_carried_on_as_well() {
    let (cloud, home) = (half_stuck(), Home::new());
    timed_out(&cloud, &home, &["--no-journal"]);
    let line = ["wait", "J1", "--media", "m1", "--expect", "1", "--endpoint", &cloud.endpoint];
    let ended = home.run(&[&line[..], &["--timeout", "1s", "-o", "json"]].concat());
    assert_eq!(ended.code, Some(8), "{ended:?}");
    let run = &home.run(&["runs", "-o", "json"]).json()[0];
    assert_eq!((&run["task_type"], &run["media"]), (&json!(null), &json!(1)));
    cloud.emulator.complete_task("T2");
    let resumed = home.run(&ended.hint());
    assert_eq!((resumed.code, cloud.emulator.count(SUBMIT)), (Some(0), 1), "{resumed:?}");
}

#[test]
fn a_run_that_is_carried_on_hears_events_where_it_did_before() {
    let (cloud, home) = (half_stuck(), Home::new());
    std::fs::write(home.path().join("key.txt"), "Abc123Key").unwrap();
    let ended = timed_out(
        &cloud,
        &home,
        &[
            "--callback-listen",
            "127.0.0.1:0",
            "--callback-auth-key-file",
            "key.txt",
            "--lookup-after",
            "200ms",
        ],
    );
    assert_eq!(ended.code, Some(8), "{ended:?}");
    cloud.emulator.complete_task("T2");
    let mut elsewhere = home.command(&ended.hint());
    let resumed = end(elsewhere.current_dir("/").spawn().unwrap());
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    assert!(resumed.stderr.contains("listening for callbacks on 127.0.0.1:"), "{}", resumed.stderr);
}

#[test]
fn the_hint_names_a_journal_that_is_elsewhere_and_what_resume_was_told() {
    let (cloud, home) = (half_stuck(), Home::new());
    let ended = timed_out(&cloud, &home, &["--journal", "mine.db"]);
    let (hint, file) = (ended.hint(), home.path().join("mine.db").display().to_string());
    assert_eq!(hint[2..], ["--timeout", "1h", "--journal", &file]);
    assert!(!home.journal().exists());
    let mut line = hint;
    line[3] = "2s".to_owned();
    line.extend(["--max-rps", "7", "--poll-interval", "100ms", "--lookup-after", "0s"].map(str::to_owned));
    line.push("--no-resubmit".to_owned());
    let ended = home.run(&line);
    assert_eq!(ended.code, Some(8), "{ended:?}");
    assert!(ended.stderr.contains(", for 2s at most"), "{}", ended.stderr);
    let told = [
        "--journal",
        &file,
        "--max-rps",
        "7",
        "--lookup-after",
        "0s",
        "--poll-interval",
        "100ms",
        "--no-resubmit",
    ];
    assert_eq!(ended.hint()[2..], [&["--timeout", "1h"], &told[..]].concat());
}

#[test]
fn a_run_that_may_not_ask_and_hears_nothing_says_how_to_ask() {
    let (cloud, home) = (half_stuck(), Home::new());
    let ended = timed_out(&cloud, &home, &["--callback-listen", "127.0.0.1:0", "--lookup-after", "never"]);
    assert_eq!((ended.code, cloud.emulator.count("GetMediaRefreshJobs")), (Some(8), 0), "{ended:?}");
    let note = &ended.json()["media"][0]["note"];
    assert_eq!(note, "no event has told of it, and lookups are turned off");
    for ended in [&ended, &home.run(&["status"])] {
        let how = "no event has told of 1 media: with `--lookup-after 0s` it asks the service for them";
        assert!(ended.stderr.contains(how), "{}", ended.stderr);
    }
    cloud.emulator.complete_task("T2");
    let resumed = home.run(&[ended.hint(), vec!["--lookup-after".into(), "0s".into()]].concat());
    assert_eq!((resumed.code, cloud.emulator.count(SUBMIT)), (Some(0), 1), "{resumed:?}");
}

#[test]
fn without_a_journal_the_hint_waits_for_the_jobs() {
    let (cloud, home) = (half_stuck(), Home::new());
    let ended = timed_out(&cloud, &home, &["--no-journal"]);
    assert_eq!(ended.json().get("resumable"), None);
    let hint = ended.hint();
    assert_eq!(hint[..6], ["wait", "J1", "--media", "m1", "--endpoint", &cloud.endpoint]);
    assert!(!home.path().join(".local").exists());
    cloud.emulator.complete_task("T2");
    let waited = home.run(&hint);
    assert_eq!((waited.code, cloud.emulator.count(SUBMIT)), (Some(0), 1), "{waited:?}");
}

#[test]
fn a_run_that_another_process_drives_is_left_to_it() {
    let (cloud, home) = (half_stuck(), Home::new());
    let older = timed_out(&cloud, &home, &[]).json()["run_id"].as_str().unwrap().to_owned();
    let before = cloud.emulator.count("DescribeVodRefreshTasks");
    let child = home.start(&["refresh", "m1", "--endpoint", &cloud.endpoint, "--timeout", "30s"]);
    cloud.wait_for("DescribeVodRefreshTasks", before + 2);
    let ended = home.run(&["resume"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("driven by another process"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("carrying on"), "{}", ended.stderr);
    for part in ["wait until that has ended".to_owned(), format!("`vod-refresh resume {older}`")] {
        assert!(ended.stderr.contains(&part), "{}", ended.stderr);
    }
    let shown = home.run(&["status", "--check"]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    cloud.emulator.complete_task("T2");
    let ended = end(child);
    assert_eq!((ended.code, cloud.emulator.count(SUBMIT)), (Some(0), 2), "{ended:?}");
}
