//! Words of the service, and of what answers in its place, that no page of the vendor's has.

use serde_json::{Value, json};

use super::cloud::Cloud;
use super::scenarios::quick;
use super::shell::Shell;
use crate::support::raw_server::{RawServer, Request, Then};

const JOB: &str = r#"{"RequestId": "R-GOOD", "MediaRefreshJobs": [{"MediaRefreshJobId": "J1", "MediaId": "m1",
    "TaskType": "Refresh", "Status": "success", "TaskIds": "1", "SuccessPlayUrls": "https://a.test/1.mp4"}]}"#;

fn task(status: &str, description: &str) -> String {
    format!(
        r#"{{"RequestId": "R-TASK", "TotalCount": 1, "Tasks": {{"Task": [{{"TaskId": "1", "Status": {status},
            "ObjectPath": "https://a.test/1.mp4", "Process": "50%", "Description": "{description}"}}]}}}}"#
    )
}

/// The job of `wait J1`, and what `tasks` says of its task, n-th question by n-th answer.
fn server(tasks: impl Fn(usize) -> String + Send + Sync + 'static) -> RawServer {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    RawServer::answering(move |_, request: &Request| match request.text.contains("DescribeVodRefreshTasks") {
        true => Then::json(&tasks(asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed))),
        false => Then::json(JOB),
    })
}

fn wait(server: &RawServer, options: &str) -> Shell {
    Shell::new("wait J1 --expect 1 --poll-interval 100ms")
        .words(options)
        .with_keys()
        .env("VOD_REFRESH_ENDPOINT", server.url())
}
#[test]
fn h40_a_status_that_nobody_knows_is_waited_for_and_named_once() {
    let mut threads = Vec::new();
    for (word, shown) in [
        ("\"Timeout\"", "the status `Timeout`"),
        ("\"Canceled\"", "the status `Canceled`"),
        ("\"Success\"", "the status `Success`"),
        ("\"\"", "an empty status"),
        ("null", "an empty status"),
        ("7", "the status `7`"),
    ] {
        threads.push(std::thread::spawn(move || {
            let server = server(move |n| task(if n < 3 { word } else { "\"Complete\"" }, ""));
            let run = wait(&server, "").run().exits(0);
            let line =
                format!("warning: task 1 shows {shown} for https://a.test/1.mp4, which is not documented");
            assert_eq!(run.stderr.matches(&line).count(), 1, "{}", run.stderr);
        }));
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// Never a verdict by such a word alone.
#[test]
fn h40_a_status_that_nobody_knows_ends_nothing() {
    let long = format!("\"{}\"", "x".repeat(10_000));
    for word in ["\"Success\"", "\"\"", long.as_str()] {
        let word = word.to_owned();
        let server = server(move |_| task(&word, ""));
        let run = wait(&server, "--timeout 2s").run().exits(8);
        assert!(run.stderr.len() < 4_000, "a word is shown by its beginning: {} bytes", run.stderr.len());
    }
}
#[test]
fn h41_complete_with_a_description_is_complete_and_the_text_is_in_the_report_only() {
    let server = server(|_| task("\"Complete\"", "Internal Error"));
    let run = wait(&server, "--report r.json").run().exits(0);
    assert!(!(run.stdout.clone() + &run.stderr).contains("Internal Error"), "{run:?}");
    let run = wait(&server, "--output json").run().exits(0);
    let report = run.report();
    assert_eq!(report["media"][0]["state"], "complete");
    assert_eq!(report["media"][0]["tasks"][0]["description"], "Internal Error");
}
#[test]
fn h42_what_answers_in_place_of_the_service_is_named_and_fails_nothing() {
    let answer = |status: &str, more: &str| format!("HTTP/1.1 {status}\r\n{more}content-length: 0\r\n\r\n");
    let location = "location: https://u:HuntMark@portal.test/in?Signature=HuntMark\r\n";
    for (answer, part) in [
        (answer("302 Found", location), "HTTP 302 to https://<secret>@portal.test/in?<secret> with"),
        (answer("308 Permanent Redirect", "location: /moved\r\n"), "HTTP 308 to /moved with"),
        (
            answer("407 Proxy Authentication Required", ""),
            "HTTP 407 with an empty body; a proxy asks for a user name and a password",
        ),
        (
            answer("414 URI Too Long", ""),
            "HTTP 414 with an empty body; something on the way takes no URL of this length",
        ),
    ] {
        let server = RawServer::start([Then::say(answer)]);
        let shell = Shell::new("refresh m1 --no-resubmit --output json").with_keys();
        let run = shell.env("VOD_REFRESH_ENDPOINT", server.url()).run().exits(9).says(part);
        let run = run.does_not_say("HuntMark");
        let report = run.report();
        assert_eq!(report["outcome"], "unavailable", "{report}");
        assert_eq!(report["media"][0]["error"]["code"], "OutcomeUnknown", "{report}");
        assert_eq!(report["media"][0]["state"], "unfinished", "it may have been sent: {report}");
        assert!(!run.stdout.contains("HuntMark"), "{report}");
    }
}

/// As in `retry`, where time is paused, with shorter times.
#[test]
fn h43_a_service_that_throttles_all_submissions_is_unavailable_and_no_timeout() {
    let body = r#"{"Code":"Throttling","Message":"slow down","RequestId":"R1"}"#;
    let answer = format!("HTTP/1.1 503 Busy\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let server = RawServer::start([Then::say(answer)]);
    for (options, is_resumable) in [("", true), ("--no-journal", false)] {
        let shell = Shell::new("refresh m1 m2 --timeout 2s --output json").words(options).with_keys();
        let run = shell.env("VOD_REFRESH_ENDPOINT", server.url()).run().exits(9);
        assert_eq!(run.stderr.contains("vod-refresh resume "), is_resumable, "{}", run.stderr);
        let run = run.says("error: Throttling: ").says("hint: lower `--max-rps`");
        assert_eq!(run.report()["outcome"], "unavailable");
    }
}
#[test]
fn h46_too_few_file_descriptors_are_named_before_anything_is_sent() {
    let cloud = Cloud::new(quick());
    for line in ["refresh m1 --callback-listen 127.0.0.1:0", "doctor", "wait J1"] {
        for few in [6, 16, 23] {
            let limited = format!("ulimit -n {few}; exec \"$0\" \"$@\"");
            let run = cloud.shell(line).through(&["sh", "-c", &limited]).run().exits(3);
            run.says(&format!("this process may have {few} files and sockets open, and needs 24"))
                .says("as with `ulimit -n 256`");
        }
    }
    assert_eq!(cloud.emulator.calls().len(), 0);
    let enough = "ulimit -n 24; exec \"$0\" \"$@\"";
    let shell =
        cloud.shell("refresh m1 --poll-interval 100ms --lookup-after 0s --callback-listen 127.0.0.1:0");
    shell.through(&["sh", "-c", enough]).run().exits(0);
}

/// The limit is raised as far as it may be.
#[test]
fn h46_a_soft_limit_is_raised() {
    let cloud = Cloud::new(quick());
    let soft = "ulimit -S -n 16; exec \"$0\" \"$@\"";
    cloud.shell("refresh m1 --poll-interval 100ms").through(&["sh", "-c", soft]).run().exits(0);
}

/// A word that is none: the report's schema has no place for it.
#[test]
fn an_empty_status_is_none_in_the_report() {
    let server = server(|_| task("\"\"", ""));
    let report = wait(&server, "--timeout 2s --output json").run().exits(8).report();
    assert_eq!(report["media"][0]["tasks"][0]["status"], Value::Null, "{report}");
}

/// Nothing is unfinished that the report could show.
#[test]
fn what_was_expected_and_is_not_shown_stands_in_the_notes() {
    let server = server(|_| task("\"Complete\"", ""));
    let shell = Shell::new("wait J1 --expect 2 --poll-interval 100ms --timeout 6s --output json");
    let run = shell.with_keys().env("VOD_REFRESH_ENDPOINT", server.url()).run().exits(8);
    let report = run.report();
    assert_eq!(report["summary"]["media_unfinished"], 0);
    let note = "2 media were expected in these jobs, and 1 were shown";
    assert_eq!(report["notes"], json!([note]));
    run.says(note);
}
