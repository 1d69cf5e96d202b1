//! Signals: a report, a way to carry on, and an exit code of their own.

use std::fs;

use serde_json::Value;

use super::cloud::{Cloud, QUERY_TASKS, SUBMIT};
use super::scenarios::{open_tasks, quick};
use crate::support::program::until;
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
    use vod_refresh::emulator::{Fault, FaultRule};
    let cloud = Cloud::new(quick().with_fault(FaultRule::on(SUBMIT, Fault::Stall { done: false })));
    let run = cloud.shell("refresh m1").start();
    until("a submit", || cloud.count(SUBMIT) > 0);
    run.signal("INT");
    run.wait_for_line("a second signal ends at once");
    run.signal("TERM");
    run.finish().exits(130);
}
