//! The first signal in every stage: within two seconds a report, the command that carries on, and the right code.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use vod_refresh::emulator::{Fault, FaultRule, Scenario};

use crate::support::action::{QUERY_JOBS, QUERY_TASKS};
use crate::support::program::{Cloud, Home, SUBMIT, end, signal};
use crate::support::scripts::{lost_event, open_media};

/// Sends `name` once `action` was asked for; then the run must end as `code`, and be carried on to its end.
fn stopped(scenario: Scenario, more: &[&str], action: &str, name: &str, code: i32) {
    let (cloud, home) = (Cloud::new(scenario), Home::new());
    let mut line =
        vec!["refresh", "m1", "m2", "--endpoint", &cloud.endpoint, "-o", "json", "--report", "r.json"];
    line.extend(more);
    let child = home.start(&line);
    cloud.wait_for(action, 1);
    let sent = Instant::now();
    signal(&child, name);
    let ended = end(child);
    let took = sent.elapsed();
    assert_eq!(ended.code, Some(code), "{action}: {ended:?}");
    assert!(took < Duration::from_secs(2), "{action}: {took:?}");
    let report = ended.json();
    assert_eq!((&report["outcome"], &report["resumable"]), (&json!("interrupted"), &json!(true)), "{action}");
    assert!(report["media"].as_array().unwrap().iter().all(|media| media["state"] == "unfinished"));
    assert_eq!(std::fs::read_to_string(home.path().join("r.json")).unwrap(), ended.stdout);
    let hint = ended.hint();
    assert_eq!(hint, ["resume", report["run_id"].as_str().unwrap()], "{action}");
    cloud.complete(&["m1", "m2"]);
    let resumed = home.run(&[hint, vec!["--lookup-after".into(), "0s".into()]].concat());
    assert_eq!(resumed.code, Some(0), "{action}: {resumed:?}");
}

#[test]
fn a_signal_ends_a_run_in_order_while_a_submission_is_not_answered() {
    let stall = FaultRule::on(SUBMIT, Fault::Stall { done: false });
    stopped(Scenario::new().with_fault(stall), &[], SUBMIT, "TERM", 143);
}

#[test]
fn a_signal_ends_a_run_in_order_while_events_are_waited_for() {
    let silent = open_media().with(|m| m.event = lost_event());
    let more = ["--callback-listen", "127.0.0.1:0", "--lookup-after", "1m"];
    stopped(Scenario::new().with(|s| s.default_media = silent), &more, SUBMIT, "TERM", 143);
}

#[test]
fn a_signal_ends_a_run_in_order_while_a_lookup_is_not_answered() {
    let stall = FaultRule::on(QUERY_JOBS, Fault::Stall { done: false });
    stopped(
        Scenario::new().with(|s| s.default_media = open_media()).with_fault(stall),
        &[],
        QUERY_JOBS,
        "INT",
        130,
    );
}

#[test]
fn a_signal_ends_a_run_in_order_while_tasks_are_polled() {
    stopped(Scenario::new().with(|s| s.default_media = open_media()), &[], QUERY_TASKS, "INT", 130);
}

#[test]
fn a_signal_ends_a_run_in_order_while_a_task_query_is_not_answered() {
    let stall = FaultRule::on(QUERY_TASKS, Fault::Stall { done: false });
    stopped(
        Scenario::new().with(|s| s.default_media = open_media()).with_fault(stall),
        &[],
        QUERY_TASKS,
        "TERM",
        143,
    );
}
