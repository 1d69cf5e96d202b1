//! What stderr says of what failed, in every form of output: which media, which task or request, and what to do next.

use vod_refresh::emulator::{EdgeScript, Fault, FaultRule, MediaScript, Which};

use super::cloud::{Cloud, SUBMIT};
use super::scenarios::{quick, two_tasks};
use super::shell::Shell;
use crate::support::raw_server::{RawServer, Request, Then};

#[test]
fn a_copy_that_is_old_is_named_with_its_media_and_its_node() {
    let cloud = Cloud::new(quick().with_media("m1", two_tasks()).with(|s| s.edge = EdgeScript::keeping("/2.mp4")));
    let node = cloud.url();
    let options = format!("--poll-interval 100ms --output json --verify-edge --edge-node {node}");
    let run = cloud.shell("refresh m1").words(&options).run().exits(7);
    let line = run.stderr.lines().find(|line| line.starts_with("failed: ")).unwrap();
    for part in ["/2.mp4 of media m1: the node", cloud.address().to_string().as_str(), "(StaleAtEdge)"] {
        assert!(line.contains(part), "{line}");
    }
    run.says("the edge: 0 fresh, 1 stale, 1 absent, 0 unknown\n");
    let url = "https://a.test/2.mp4";
    let lines = cloud.shell("refresh m1").words(&options.replace("json", "ndjson")).run().exits(7).stdout;
    assert!(lines.contains(r#""event":"stale_at_edge","media_id":"m1","url":"https://"#), "{lines}");
    assert!(lines.contains(r#""event":"edge_checked","fresh":0,"stale":1,"#), "{lines}");
    let run = cloud.shell(&format!("refresh-urls {url}")).words(&options).run().exits(7);
    run.says(&format!("failed: {url}: the node ")).says("(StaleAtEdge)");
}

/// A certificate that is not trusted, a refusal, nothing there: no proof, and stderr says so whatever stdout shows.
#[test]
fn a_question_to_the_edge_that_proved_nothing_is_a_warning() {
    for status in [304, 403, 404, 500] {
        let node = RawServer::answering(move |_, _| {
            Then::say_and_close(format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n"))
        });
        let cloud = Cloud::new(quick());
        for form in ["text", "json"] {
            let options =
                format!("--poll-interval 100ms --output {form} --verify-edge --edge-node {}", node.url());
            let run = cloud.shell("refresh m1").words(&options).run().exits(0);
            run.says(
                "warning: the edge proves nothing: 0 fresh, 0 stale, 0 absent, 2 unknown; first unknown: ",
            )
            .says(&format!("the node answers {status}"));
        }
    }
}

#[test]
fn a_task_that_failed_is_named_with_its_media() {
    let bad = MediaScript { failed_tasks: Which::At(vec![1]), ..two_tasks() };
    let cloud = Cloud::new(quick().with_media("m1", bad));
    let run = cloud.shell("refresh m1 --poll-interval 100ms").run().exits(7);
    let line = run.stderr.lines().find(|line| line.starts_with("failed: https://")).unwrap();
    assert!(line.contains("/2.mp4, task 2 of media m1: "), "{line}");
}

fn refused_second(code: &str) -> Cloud {
    Cloud::new(quick().with_fault(FaultRule::on(SUBMIT, Fault::error(400, code)).skip(1)))
}

#[test]
fn a_batch_that_was_refused_names_its_media_its_request_and_what_to_do_next() {
    let cloud = refused_second("QuotaExceeded.Refresh");
    let media: Vec<String> = (1..=26).map(|n| format!("m{n}")).collect();
    let run =
        cloud.shell(&format!("refresh {} --max-rps 2 --poll-interval 100ms", media.join(" "))).run().exits(7);
    let line = run.stderr.lines().find(|line| line.starts_with("warning: ")).unwrap();
    assert!(line.starts_with("warning: 6 media not submitted: "), "{line}");
    assert!(line.contains("(QuotaExceeded.Refresh, request id "), "{line}");
    assert!(line.ends_with(": m21, m22, m23, m24, m25 and 1 more"), "{line}");
    run.says("6 media were not submitted: give these alone to the next run\n  hint: the quota is counted by the day");
}

#[test]
fn a_preload_that_was_refused_says_the_same() {
    let cloud = refused_second("QuotaExceeded.Preload");
    let run = cloud.shell("refresh m1 m2 --then-preload --poll-interval 100ms --no-journal").run().exits(7);
    run.says("(QuotaExceeded.Preload, request id ")
        .says(": m1, m2\n")
        .says("2 media not preloaded: `vod-refresh preload` does it once they are refreshed\n  hint: the quota is counted by");
}

#[test]
fn media_that_are_all_refused_by_name_were_not_submitted() {
    let gone = MediaScript::missing();
    let cloud = Cloud::new(quick().with_media("m1", gone.clone()).with_media("m2", gone));
    let run = cloud.shell("refresh m1 m2").run().exits(6);
    run.says("the service took none of 2 media (request id ")
        .says("), 2 not found\n")
        .does_not_say("submitted 2");
}

/// A quota a minute is not a full queue, and an account that is closed is neither.
#[test]
fn a_hint_is_about_the_code_that_was_given() {
    for (status, code, part) in [
        (403, "OperationDenied", "VOD is not activated in this account"),
        (403, "OperationDenied.Suspended", "a payment of this account is overdue"),
        (403, "IllegalOperation", "takes the domain for an invalid one"),
    ] {
        let cloud = Cloud::new(quick().with_fault(FaultRule::on(SUBMIT, Fault::error(status, code))));
        let run = cloud.shell("refresh m1").run().says("hint: ").says(part);
        assert!([Some(4), Some(6)].contains(&run.code), "{code}: {run:?}");
    }
}

/// What `--check-quota` ends is told as what the submission ends: in every report.
#[test]
fn what_the_check_of_the_quota_ends_has_every_report_too() {
    const QUOTA: &str = "DescribeVodRefreshQuota";
    let used_up = quick().with(|s| s.quota.url_remain = Some(1));
    let fault = Fault::error(403, "Forbidden.RAM");
    let denied = quick().with_fault(FaultRule::on(QUOTA, fault));
    for (scenario, code, outcome, error, part) in [
        (used_up, 5, "quota", "Quota", "1 URL left to refresh today, for 2 media"),
        (denied, 4, "refused", "Forbidden.RAM", QUOTA),
    ] {
        let cloud = Cloud::new(scenario);
        let shell = cloud.shell("refresh m1 m2 --check-quota --output json");
        let shell =
            shell.words("--report r.json --report-html r.html --report-junit r.xml --metrics-file r.prom");
        let run = shell.run().exits(code).says(part).says("nothing was submitted");
        let report = run.report();
        assert_eq!((&report["outcome"], &report["error"]["code"]), (&outcome.into(), &error.into()));
        for media in report["media"].as_array().unwrap() {
            assert_eq!((&media["state"], &media["error"]["code"]), (&"not_submitted".into(), &error.into()));
        }
        let written = |file: &str| std::fs::read_to_string(shell.path(file)).unwrap();
        assert_eq!(written("r.json"), run.stdout);
        for (file, part) in [("r.html", outcome), ("r.xml", error), ("r.prom", outcome)] {
            assert!(written(file).contains(part), "{file}");
        }
        assert_eq!(cloud.count(SUBMIT), 0);
        let runs = shell.clone().instead("vod-refresh runs --output json").run().exits(0);
        assert_eq!(runs.report(), serde_json::json!([]), "what was never begun can't be carried on");
    }
}

#[test]
fn the_same_of_urls_and_of_a_quota_that_nobody_tells() {
    let cloud = Cloud::new(quick().with(|s| s.quota.url_remain = Some(1)));
    let line = "refresh-urls https://a.test/1 https://a.test/2 --check-quota --output json";
    let run = cloud.shell(line).run().exits(5).says("1 URL left to refresh today, for 2");
    assert_eq!(run.report()["urls"][1]["state"], "not_submitted");
    let silent = RawServer::answering(|_, _| Then::say_and_stall(""));
    let shell = cloud.shell(line).env("VOD_REFRESH_ENDPOINT", silent.url()).words("--timeout 1s");
    let run = shell.run().exits(9).says("could not begin within 5s: the quota was not told");
    assert_eq!(run.report()["outcome"], "unavailable");
}

/// A task that the answer named and nothing ever shows keeps the run from its end, and is named.
#[test]
fn a_task_of_urls_that_is_never_shown_is_named() {
    let server = RawServer::answering(|_, request: &Request| {
        let row =
            r#"{"TaskId": "T1", "Status": "Complete", "ObjectPath": "https://a.test/1", "Process": "100%"}"#;
        let rows = |rows, total| {
            format!(r#"{{"RequestId": "R", "TotalCount": {total}, "Tasks": {{"Task": [{rows}]}}}}"#)
        };
        Then::json(&match &request.text {
            text if text.contains("RefreshVodObjectCaches") => {
                r#"{"RequestId": "R", "RefreshTaskId": "T1,T2"}"#.to_owned()
            }
            text if text.contains("TaskId=T2") => rows("", 0),
            _ => rows(row, 1),
        })
    });
    let run = Shell::new("refresh-urls https://a.test/1 --timeout 2s --poll-interval 100ms --output json")
        .with_keys()
        .env("VOD_REFRESH_ENDPOINT", server.url())
        .run()
        .exits(8);
    let report = run.report();
    let ids: Vec<_> =
        report["urls"][0]["tasks"].as_array().unwrap().iter().map(|task| &task["task_id"]).collect();
    assert_eq!(ids, ["T1", "T2"]);
    assert_eq!(report["summary"]["tasks_unfinished"], 1);
    run.says("the service showed nothing of 1 task: T2\n");
}

/// What may have been sent is neither `not_submitted`, which scripts send again, nor a success anywhere.
#[test]
fn what_may_have_been_submitted_is_unfinished_and_no_page_is_green() {
    let lost = FaultRule::on(SUBMIT, Fault::ResetAfter).skip(1);
    let cloud = Cloud::new(quick().with_fault(lost));
    let media: Vec<String> = (1..=21).map(|n| format!("m{n}")).collect();
    let line =
        format!("refresh {} --no-resubmit --max-rps 2 --poll-interval 100ms --output json", media.join(" "));
    let shell = cloud.shell(&line).words("--report-junit r.xml");
    let run = shell.run().exits(7).says("nobody knows whether 1 media was submitted");
    let run = run.does_not_say("give these alone to the next run").does_not_say("to carry on");
    let report = run.report();
    let states = |state: &str| {
        report["media"].as_array().unwrap().iter().filter(|media| media["state"] == state).count()
    };
    assert_eq!((states("complete"), states("unfinished"), states("not_submitted")), (20, 1, 0));
    assert_eq!(report["summary"]["media_unfinished"], 1);
    let junit = std::fs::read_to_string(shell.path("r.xml")).unwrap();
    assert!(junit.contains("<failure type=\"OutcomeUnknown\""), "{junit}");
}

/// What is slow before the run begins is named, and the advice is about that.
#[test]
fn what_kept_a_run_from_beginning_is_named() {
    let external = r#"{"current":"p","profiles":[{"name":"p","mode":"External","process_command":"/bin/sleep 30"}]}"#;
    let shell = Shell::new("refresh m1 --timeout 1s").secret_file(".aliyun/config.json", external);
    let run = shell.run().exits(9).says("could not begin within 5s: its credentials did not come");
    run.says("`vod-refresh doctor` shows which one").does_not_say("--ca-file");
}
