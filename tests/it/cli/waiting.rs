//! How a wait ends, and what does not end it.

use vod_refresh::emulator::{Fault, FaultRule, MediaScript, Which};

use super::cloud::{Cloud, QUERY_JOBS, QUERY_TASKS, SUBMIT};
use super::scenarios::{ms, quick, two_tasks};
use crate::support::scripts::failing_media;
#[test]
fn a_timeout_is_a_result_of_its_own_and_shows_a_command_that_resumes() {
    let stuck = MediaScript { never_complete: Which::At(vec![1]), ..two_tasks() };
    let cloud = Cloud::new(quick().with(|s| s.job_ids = vec!["J1".into()]).with_media("m1", stuck));
    let shell = cloud.shell("refresh m1 --timeout 2s --poll-interval 100ms -o json");
    let run = shell.run().exits(8);
    let report = run.report();
    assert_eq!(report["outcome"], "timeout");
    let media = &report["media"][0];
    assert_eq!((media["job_id"].as_str(), media["state"].as_str()), (Some("J1"), Some("unfinished")));
    let tasks: Vec<_> = media["tasks"].as_array().unwrap().iter().map(|task| &task["status"]).collect();
    assert_eq!(tasks, ["Complete", "Refreshing"]);

    assert_eq!(cloud.emulator.complete_task("2"), 1);
    shell.instead(&run.command_shown()).run().exits(0);
    assert_eq!(cloud.count(SUBMIT), 1, "the command that resumes submitted again");
}
#[test]
fn a_failure_ends_the_wait_with_its_url_and_reason() {
    let half = MediaScript {
        failed_tasks: Which::At(vec![1]),
        failed_description: Some("Origin Timeout".into()),
        urls: vec!["https://cdn.example.test/a.mp4".into(), "https://cdn.example.test/b.mp4".into()],
        ..two_tasks()
    };
    let cloud = Cloud::new(quick().with_media("m1", half));
    let run = cloud.shell("refresh m1 --timeout 10m --poll-interval 100ms").run().exits(7);
    let row = run.stdout.lines().find(|line| line.contains("https://cdn.example.test/b.mp4")).unwrap();
    assert!(row.contains("Failed") && row.contains("Origin Timeout"), "{row}");
    assert!(cloud.count(QUERY_TASKS) < 20, "{} looks", cloud.count(QUERY_TASKS));
}

/// Where nothing went well.
#[test]
fn where_every_url_failed_everything_failed() {
    let bad = failing_media();
    let cloud = Cloud::new(quick().with_media("m1", bad));
    let run = cloud.shell("refresh m1 --timeout 10m --poll-interval 100ms --output json").run().exits(6);
    assert_eq!(run.report()["outcome"], "failed");
}
#[test]
fn bad_polls_and_closed_idle_connections_cost_a_request_each() {
    let mut scenario = quick()
        .with(|s| s.urls_per_media = 1)
        .with(|s| s.task_duration = ms(7_500))
        // A rule counts only what those above it let pass: every second poll goes wrong.
        .with_fault(FaultRule::on(QUERY_TASKS, Fault::error(500, "InternalError")).skip(1))
        .with_fault(FaultRule::on(QUERY_TASKS, Fault::HalfBody).skip(2))
        .with_fault(FaultRule::on(QUERY_TASKS, Fault::Html { status: 502 }).skip(3));
    // Every wait between two polls is longer than the cloud keeps the connection.
    scenario.idle_timeout = ms(700);
    let cloud = Cloud::new(scenario);
    let report = cloud.shell("refresh m1 --poll-interval 1s --output json").run().exits(0).report();
    assert_eq!(cloud.count(SUBMIT), 1);
    let outcomes: Vec<_> = cloud.calls(QUERY_TASKS).into_iter().map(|call| call.outcome).collect();
    assert!(
        outcomes.windows(2).all(|pair| pair[0] == "ok" || pair[1] == "ok"),
        "a poll took more than one request more: {outcomes:?}"
    );
    assert_eq!(report["summary"]["retries"], 3, "a stale connection made a request fail: {outcomes:?}");
}
#[test]
fn a_task_that_is_not_there_yet_is_waited_for_without_an_error() {
    let shy = MediaScript { invisible_looks: 2, lookup_empty_looks: 2, ..MediaScript::default() };
    let cloud = Cloud::new(
        quick()
            .with(|s| s.urls_per_media = 1)
            .with_media("m1", shy)
            .with_fault(FaultRule::on(QUERY_TASKS, Fault::error(404, "InvalidTaskId.NotFound"))),
    );
    let run = cloud.shell("refresh m1 --timeout 60s --poll-interval 100ms --output json").run().exits(0);
    for word in ["error", "warning", "retrying", "NotFound"] {
        assert!(!run.stderr.contains(word), "{}", run.stderr);
    }
    assert_eq!((cloud.count(SUBMIT), cloud.count(QUERY_JOBS) >= 3), (1, true));
    assert_eq!(run.report()["summary"]["retries"], 0);
}
