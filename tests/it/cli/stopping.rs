//! Signals: a report, a way to carry on, and an exit code of their own.

use std::fs;

use serde_json::Value;
use vod_refresh::emulator::{Fault, FaultRule};

use super::cloud::{Cloud, QUERY_TASKS, SUBMIT};
use super::process::Running;
use super::scenarios::{open_tasks, quick};
use super::shell::Shell;
use crate::support::program::until;
#[cfg(feature = "postgres")]
use crate::support::raw_server::{RawServer, Then};
use crate::support::scripts::open_media;

fn open_cloud() -> Cloud {
    let open = open_tasks();
    Cloud::new(quick().with(|s| s.job_ids = vec!["J1".into()]).with_media("m1", open))
}

#[test]
fn a_signal_ends_the_run_with_a_report_and_a_command_that_resumes() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let cloud = open_cloud();
        let shell =
            cloud.shell("refresh m1 --poll-interval 100ms --output json").option_at("--report", "r.json");
        let run = shell.start();
        until("a look", || cloud.count(QUERY_TASKS) > 0);
        run.signal(signal);
        let run = run.finish().exits(code);
        let written: Value = serde_json::from_slice(&fs::read(shell.path("r.json")).unwrap()).unwrap();
        assert_eq!(
            (&written["outcome"], &written["media"][0]["job_id"]),
            (&"interrupted".into(), &"J1".into())
        );
        assert_eq!(written, run.report());
        let left = shell.files().into_iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "tmp"));
        assert_eq!(left.count(), 0, "a draft of the report is left over");

        cloud.emulator.complete_task("1");
        cloud.emulator.complete_task("2");
        shell.instead(&run.command_shown()).run().exits(0);
        assert_eq!(cloud.count(SUBMIT), 1);
    }
}

#[test]
fn a_reader_that_has_paused_does_not_hold_the_end_up() {
    let open = open_media();
    let cloud = Cloud::new(quick().with(|s| s.default_media = open));
    // A report of six hundred media is more than a pipe holds.
    let ids: Vec<String> = (0..600).map(|n| format!("media-{n}")).collect();
    let shell = cloud
        .shell(&format!("refresh {} --poll-interval 100ms --output json", ids.join(" ")))
        .option_at("--report", "r.json")
        .stdout_unread();
    let run = shell.start();
    until("a look", || cloud.count(QUERY_TASKS) > 0);
    run.signal("TERM");
    run.finish().exits(143).says("remote work goes on");
    assert!(fs::metadata(shell.path("r.json")).unwrap().len() > 64 * 1024);
}

#[test]
fn a_second_signal_ends_it_with_the_code_of_the_first() {
    let cloud = Cloud::new(quick().with_fault(FaultRule::on(SUBMIT, Fault::Stall { done: false })));
    let run = cloud.shell("refresh m1").start();
    until("a submit", || cloud.count(SUBMIT) > 0);
    run.signal("INT");
    run.wait_for_line("a second signal ends at once");
    run.signal("TERM");
    run.finish().exits(130);
}

/// Stops a run that has not begun: its media were not submitted, the report says so, and there is nothing to carry on.
#[track_caller]
fn stopped_before_it_began(shell: &Shell, run: Running, signal: &str, code: i32) {
    run.signal(signal);
    let run = run.finish().exits(code).says("nothing was submitted").does_not_say("resume");
    let written: Value = serde_json::from_slice(&fs::read(shell.path("r.json")).unwrap()).unwrap();
    assert_eq!(written, run.report());
    assert_eq!(
        (&written["outcome"], &written["media"][0]["state"]),
        (&"interrupted".into(), &"not_submitted".into())
    );
}

#[test]
fn a_signal_while_the_quota_is_asked_for_ends_it_with_a_report() {
    const QUOTA: &str = "DescribeVodRefreshQuota";
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let cloud = Cloud::new(quick().with_fault(FaultRule::on(QUOTA, Fault::Stall { done: false })));
        let shell = cloud.shell("refresh m1 --check-quota -o json").option_at("--report", "r.json");
        let run = shell.start();
        until("a question", || cloud.count(QUOTA) > 0);
        stopped_before_it_began(&shell, run, signal, code);
        assert_eq!(cloud.count(SUBMIT), 0);
    }
}

#[test]
fn a_signal_while_credentials_are_waited_for_ends_it_with_a_report() {
    let external =
        r#"{"current":"p","profiles":[{"name":"p","mode":"External","process_command":"/bin/sh slow"}]}"#;
    let shell = Shell::new("refresh m1 -o json")
        .option_at("--report", "r.json")
        .file("slow", "touch asked; exec sleep 60")
        .secret_file(".aliyun/config.json", external);
    let run = shell.start();
    until("a question", || shell.path("asked").exists());
    stopped_before_it_began(&shell, run, "TERM", 143);
}

#[cfg(feature = "postgres")]
#[test]
fn a_signal_while_the_journal_is_opened_ends_it_with_a_report() {
    let silent = RawServer::answering(|_, _| Then::say_and_stall(""));
    let place = silent.url().replace("http://", "postgres://me@") + "/d";
    let shell = Shell::new("refresh m1 -o json").with_keys().option_at("--report", "r.json");
    let shell = shell.arg("--journal").arg(&place);
    let run = shell.start();
    std::thread::sleep(std::time::Duration::from_millis(500));
    stopped_before_it_began(&shell, run, "TERM", 143);
    let run = Shell::new("resume").with_keys().arg("--journal").arg(&place).start();
    std::thread::sleep(std::time::Duration::from_millis(500));
    run.signal("INT");
    run.finish().exits(130).says("nothing was begun");
}
