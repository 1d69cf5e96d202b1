//! `refresh --then-preload` as people and scripts meet it.

use vod_refresh::emulator::{Fault, FaultRule, MediaScript, Scenario, Which};

use super::cloud::{Cloud, QUERY_JOBS, SUBMIT};
use super::golden_output::{matches_snapshot, settings_of_reports};
use super::process::Finished;
use super::scenarios::{ms, quick};
use crate::support::scripts::open_media;

const BOTH: &str = "refresh intro half gone --then-preload --poll-interval 100ms";

/// A media whose tasks of this type end so, and those of the other well.
fn only(task_type: &str, script: MediaScript) -> MediaScript {
    MediaScript { failing_type: Some(task_type.to_owned()), ..script }
}

fn of(name: &str, script: MediaScript) -> MediaScript {
    MediaScript { urls: vec![format!("https://cdn.example.test/{name}.mp4")], ..script }
}

fn failing() -> MediaScript {
    let why = Some("Origin Timeout".into());
    MediaScript { failed_tasks: Which::All(true), failed_description: why, ..MediaScript::default() }
}

fn scenario() -> Scenario {
    quick()
        .with(|s| s.job_ids = vec!["J1".into(), "J2".into()])
        .with_media("intro", of("intro", MediaScript::default()))
        .with_media("half", only("Preload", of("half", failing())))
        .with_media("gone", MediaScript::missing())
}

#[test]
fn both_stages_stand_in_every_form_of_the_report() {
    let cloud = Cloud::new(scenario());
    let shell = cloud.shell(BOTH);
    let shell = [
        ("--report", "r.json"),
        ("--report-junit", "r.xml"),
        ("--report-html", "r.html"),
        ("--metrics-file", "r.prom"),
    ]
    .into_iter()
    .fold(shell, |shell, (option, name)| shell.option_at(option, name));
    let run = shell.run().exits(7);
    // The order of ends is the cloud's, and signs of life come with time.
    let lines = run.stderr.lines().filter(|line| !line.contains("elapsed"));
    let mut lines: Vec<_> = lines.map(str::to_owned).collect();
    lines[2..].sort_unstable();
    let stderr = lines.join("\n") + "\n";
    matches_snapshot("then_preload", &Finished { stderr, ..run });
    let read = |name: &str| std::fs::read_to_string(shell.path(name)).unwrap();
    settings_of_reports().bind(|| {
        insta::assert_snapshot!("then_preload_json", read("r.json"));
        insta::assert_snapshot!("then_preload_junit", read("r.xml"));
    });
    let page = read("r.html");
    for part in ["Refresh and preload of", "preload: Failed", "refresh: Complete"] {
        assert!(page.contains(part), "{part}");
    }
    let metrics = read("r.prom");
    for line in [r#"vod_refresh_media{state="complete"} 1"#, r#"vod_refresh_tasks{status="Complete"} 3"#] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}

#[test]
fn a_run_that_is_stopped_in_its_preload_is_carried_on_with_the_command_shown() {
    let cloud = Cloud::new(
        quick()
            .with(|s| s.job_ids = vec!["J1".into(), "J2".into()])
            .with_media("m2", only("Preload", open_media())),
    );
    let line = "refresh m1 m2 --then-preload --timeout 6s --poll-interval 100ms";
    let shell = cloud.shell(line);
    let run = shell.run().exits(8).says("refreshed; now preloading 2 media in 1 batch");
    shell.clone().instead("vod-refresh status").run().exits(0).says("vod-refresh resume");
    for task in cloud.emulator.task_ids("J2", "m2") {
        cloud.emulator.complete_task(&task);
    }
    let resumed = shell.instead(&run.command_shown()).run().exits(0);
    resumed.says("preloading 2 media, all of them submitted");
    assert_eq!(cloud.count(SUBMIT), 2, "the command that resumes submitted again");
}

#[test]
fn without_a_journal_the_command_shown_waits_for_the_stage_that_is_open() {
    let scenario = || quick().with(|s| s.job_ids = vec!["J1".into(), "J2".into()]);
    let line = "refresh m1 m2 --then-preload --timeout 6s --poll-interval 100ms --no-journal";
    let cloud = Cloud::new(scenario().with_media("m2", only("Preload", open_media())));
    let run = cloud.shell(line).run().exits(8).does_not_say("not preloaded");
    assert!(
        run.command_shown().starts_with("vod-refresh wait J2 --media m1 --media m2 "),
        "{}",
        run.command_shown()
    );
    let cloud = Cloud::new(scenario().with_media("m2", only("Refresh", open_media())));
    let run = cloud.shell(line).run().exits(8);
    assert!(
        run.command_shown().starts_with("vod-refresh wait J1 --media m1 --media m2 "),
        "{}",
        run.command_shown()
    );
    run.says("2 media not preloaded: `vod-refresh preload` does it once they are refreshed");
    assert_eq!(cloud.count(SUBMIT), 1);
}

#[test]
fn a_preload_that_the_service_refuses_is_told_apart_from_media_that_were_never_sent() {
    let refused = FaultRule::on(SUBMIT, Fault::error(400, "QuotaExceeded.Preload")).skip(1);
    let cloud = Cloud::new(quick().with_fault(refused));
    let run = cloud.shell("refresh m1 --then-preload --poll-interval 100ms").run().exits(7);
    run.says("1 media not submitted").does_not_say("nothing was submitted");
}

#[test]
fn both_quotas_are_checked_and_a_dry_run_speaks_of_the_preload() {
    let mut scenario = quick();
    scenario.quota.preload_quota = 1;
    let cloud = Cloud::new(scenario);
    let run = cloud.shell("refresh m1 m2 --then-preload --check-quota").run().exits(5);
    run.says("left to refresh today").says("1 URL left to preload today, for 2 media");
    let run = cloud.shell("refresh m1 m2 --then-preload --dry-run").run().exits(0);
    let run =
        run.says("calls that preload what ended complete follow: with all 2 media these are batches 2 to 2");
    assert!(run.stdout.contains("TaskType=Refresh") && !run.stdout.contains("TaskType=Preload"));
    assert_eq!((cloud.count(SUBMIT), cloud.count(QUERY_JOBS)), (0, 0));
}

#[test]
fn only_a_refresh_that_waits_can_be_followed_by_a_preload() {
    let cloud = Cloud::new(quick().with(|s| s.task_duration = ms(1)));
    for line in [
        "preload m1 --then-preload",
        "refresh m1 --then-preload --no-wait",
        "refresh-urls a.test/1 --then-preload",
    ] {
        cloud.shell(line).run().exits(2);
    }
    assert_eq!(cloud.emulator.calls().len(), 0);
}
