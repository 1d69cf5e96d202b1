//! Help, completions and the man page. A change of the help shows as a change of a snapshot.

use super::shell::Shell;

fn stdout_of(line: &str) -> String {
    let run = Shell::new(line).env("COLUMNS", "100").run().exits(0);
    assert_eq!(run.stderr, "", "{line}");
    run.stdout
}

#[test]
fn the_help_of_every_command_is_as_it_was() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for command in [
            "",
            "refresh",
            "preload",
            "refresh-urls",
            "preload-urls",
            "wait",
            "resume",
            "status",
            "runs",
            "quota",
            "doctor",
            "callback",
            "callback get",
            "callback set",
            "callback delete",
            "callback sign",
            "callback verify",
            "emulator",
            "demo",
            "completions",
            "man",
            "report-schema",
        ] {
            let name = format!("help {command}").trim().replace(' ', "_");
            insta::assert_snapshot!(name, stdout_of(&format!("{command} --help")));
        }
    });
}

#[test]
fn completions_and_man_pages_come_out_of_the_same_definition() {
    for shell in ["bash", "zsh", "fish"] {
        let script = stdout_of(&format!("completions {shell}"));
        assert!(script.contains("vod-refresh") && script.contains("callback-listen"), "{shell}");
    }
    assert!(stdout_of("man").starts_with(".ie"), "{}", &stdout_of("man")[..80]);
    assert!(stdout_of("man refresh").contains("callback\\-listen"));
}

#[test]
fn the_version_and_an_empty_command_line_are_answered() {
    assert_eq!(stdout_of("--version"), format!("vod-refresh {}\n", env!("CARGO_PKG_VERSION")));
    Shell::new("").run().exits(2).says("Usage: vod-refresh");
}

#[test]
fn the_demo_does_the_whole_job_without_an_account() {
    let run = Shell::new("demo --output json").run().exits(0);
    let report = run.report();
    assert_eq!(report["outcome"], "complete");
    assert!(report["media"].as_array().unwrap().iter().all(|media| media["confirmed_by"] == "callback"));
}

#[test]
fn the_emulator_serves_other_processes_until_it_is_told_to_stop() {
    let scenario = r#"{"job_delay": "0s", "task_duration": "200ms", "media": {"gone": {"missing": true}}}"#;
    let emulator =
        Shell::new("emulator --listen 127.0.0.1:0 --scenario s.json").file("s.json", scenario).start();
    let url = emulator.wait_for_line("emulator listening on ").rsplit(' ').next().unwrap().to_owned();
    let run = Shell::new("refresh m1 gone --poll-interval 100ms --output json")
        .with_keys()
        .env("VOD_REFRESH_ENDPOINT", url)
        .run()
        .exits(7);
    assert_eq!(run.report()["media"][1]["state"], "not_found");
    emulator.signal("TERM");
    emulator.finish().exits(0);
}
