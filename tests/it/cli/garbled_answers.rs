//! Answers without sense, of a service that speaks JSON all the same: faults, never a panic.

use super::shell::Shell;
use crate::support::raw_server::{RawServer, Then};

/// A job with two tasks, as it should be.
const JOB: &str = r#"{"RequestId": "R-GOOD", "MediaRefreshJobs": [{"MediaRefreshJobId": "J1", "MediaId": "m1",
    "TaskType": "Refresh", "Status": "success", "TaskIds": "1,2",
    "SuccessPlayUrls": "https://a.test/1.mp4,https://a.test/2.mp4"}]}"#;

/// What could stand where `field` is expected.
fn bodies(field: &str) -> Vec<String> {
    let values = [
        "null",
        "true",
        "-1",
        "1e308",
        "18446744073709551616",
        "\"\"",
        "\"\\ud83d\\ude00,,\\u0000,\"",
        "{}",
        "[]",
        "[null]",
        "[[[]]]",
        "[{}]",
        r#"{"Task": null}"#,
        r#"{"Task": [null, 7, {"TaskId": {}, "Process": "-5%", "Status": []}]}"#,
        r#"{"Task": [{"TaskId": 1, "Process": "999999999999%", "Status": "", "CreationTime": "yesterday"}]}"#,
        r#"[{"MediaId": 5, "TaskIds": [1, 2], "SuccessPlayUrls": {}, "Status": 3}]"#,
    ];
    let mut bodies: Vec<_> = values
        .iter()
        .map(|value| format!(r#"{{"RequestId": "R-ODD", "TotalCount": {value}, "{field}": {value}}}"#))
        .collect();
    bodies.extend(["[]".to_owned(), "7".into(), "\u{feff}{}".into(), "[".repeat(20_000)]);
    bodies
}

/// Runs `line` against a server that gives `first`, then nonsense; all kinds of it, side by side.
fn survives(line: &'static str, field: &'static str, first: &'static [&'static str]) {
    let runs = bodies(field).into_iter().map(|body| {
        std::thread::spawn(move || {
            let mut steps: Vec<_> = first.iter().map(|body| Then::json(body)).collect();
            steps.push(Then::json(&body));
            let server = RawServer::start(steps);
            let run = Shell::new(line).with_keys().env("VOD_REFRESH_ENDPOINT", server.url()).run();
            assert!(matches!(run.code, Some(6..=9)), "{body}: {run:?}");
            run.does_not_say("panicked");
        })
    });
    for run in runs.collect::<Vec<_>>() {
        run.join().unwrap();
    }
}

#[test]
fn a_garbled_answer_to_a_submission_ends_in_no_panic() {
    survives("refresh m1 --no-resubmit --timeout 1s --poll-interval 100ms", "MediaRefreshJobId", &[]);
    survives("refresh m1 --no-resubmit --timeout 1s --poll-interval 100ms", "NonExistMediaIds", &[]);
}

#[test]
fn a_garbled_answer_to_a_lookup_ends_in_no_panic() {
    survives("wait J1 --timeout 1s --poll-interval 100ms", "MediaRefreshJobs", &[]);
}

#[test]
fn a_garbled_answer_about_a_task_ends_in_no_panic() {
    survives("wait J1 --timeout 1s --poll-interval 100ms", "Tasks", &[JOB]);
}

#[test]
fn a_submission_whose_answer_names_no_job_may_have_been_taken_unless_it_refuses_each_media() {
    let refused = r#"{"RequestId": "R-ODD", "NonExistMediaIds": "m1"}"#;
    for (answer, media, code, why) in [
        (r#"{"RequestId": "R-ODD"}"#, "m1", 9, "names no job, and refuses 0 of 1 media"),
        (refused, "m1 m2", 9, "names no job, and refuses 1 of 2 media"),
        (refused, "m1", 6, "m1"),
    ] {
        let server = RawServer::start([Then::json(answer)]);
        let run = Shell::new(&format!("refresh {media} --no-resubmit"))
            .with_keys()
            .env("VOD_REFRESH_ENDPOINT", server.url())
            .run();
        run.exits(code).says(why);
    }
}
