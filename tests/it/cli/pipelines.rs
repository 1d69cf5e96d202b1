//! What CI systems get: GitHub's summary, annotations and outputs; the action and the examples beside it.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};

use vod_refresh::emulator::{JobScript, MediaScript};

use super::cloud::Cloud;
use super::scenarios::{open_tasks, quick};
use super::shell::{BINARY, Shell};
use crate::support::program::wait_for;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(path: &str) -> String {
    fs::read_to_string(format!("{ROOT}/{path}")).unwrap()
}

#[test]
fn github_gets_a_summary_annotations_and_outputs() {
    let cloud = Cloud::new(quick().with_media("gone", MediaScript::missing()));
    let shell = cloud.shell("refresh m1 gone --poll-interval 100ms").env("GITHUB_ACTIONS", "true");
    let place = |shell: &Shell, name: &str| shell.path(name).display().to_string();
    let (summary, outputs) = (place(&shell, "summary"), place(&shell, "outputs"));
    let shell = shell.env("GITHUB_STEP_SUMMARY", &summary).env("GITHUB_OUTPUT", &outputs);
    fs::write(&summary, "from another step\n").unwrap();
    shell.run().exits(7).says("::error title=gone not_found::");
    let summary = fs::read_to_string(summary).unwrap();
    assert!(
        summary.starts_with("from another step\n") && summary.contains("| gone | not_found |"),
        "{summary}"
    );
    let outputs = fs::read_to_string(outputs).unwrap();
    for line in ["outcome=partial", "exit-code=7", "media-complete=1", "media-failed=1", "media-unfinished=0"]
    {
        assert!(outputs.lines().any(|l| l == line), "{line} is not in {outputs}");
    }
}

#[test]
fn a_summary_that_cannot_be_written_changes_no_verdict() {
    let cloud = Cloud::new(quick());
    let shell = cloud.shell("refresh m1 --poll-interval 100ms").env("GITHUB_ACTIONS", "true");
    shell
        .env("GITHUB_STEP_SUMMARY", "/nowhere/summary")
        .run()
        .exits(0)
        .says("GITHUB_STEP_SUMMARY: can't write");
}

/// A shell that is a step of GitHub Actions; its files are `summary` and `outputs`.
fn step(shell: Shell) -> Shell {
    let [summary, outputs] = ["summary", "outputs"].map(|name| shell.path(name).display().to_string());
    let shell = shell.env("GITHUB_ACTIONS", "true").env("CI", "true");
    shell.env("GITHUB_STEP_SUMMARY", summary).env("GITHUB_OUTPUT", outputs)
}

#[track_caller]
fn outputs(shell: &Shell, name: &str) -> String {
    let text = fs::read_to_string(shell.path("outputs")).unwrap();
    let of_name = |line: &str| line.strip_prefix(&format!("{name}=")).map(str::to_owned);
    // As for the runner, the last one counts.
    text.lines().rev().find_map(of_name).unwrap_or_else(|| panic!("no {name} in {text}"))
}

#[test]
fn a_run_that_could_not_begin_tells_github_why() {
    let cloud = Cloud::new(quick().with(|s| s.deny.push("RefreshMediaPlayUrls".into())));
    let cases = [
        (Shell::new("refresh m1"), 3, "config", "no credentials"),
        (cloud.shell("refresh --from-file nowhere.txt"), 2, "usage", "nowhere.txt"),
        (cloud.shell("preload"), 2, "usage", "MEDIA_ID"),
        (cloud.shell("refresh m1 --timeout 30"), 2, "usage", "30"),
        (cloud.shell("refresh m1 --report no/such/folder/r"), 3, "config", "no/such/folder"),
        (cloud.shell("resume"), 2, "usage", "no journal"),
        (cloud.shell("refresh m1"), 4, "refused", "RefreshMediaPlayUrls"),
    ];
    for (shell, code, outcome, part) in cases {
        let shell = step(shell);
        let run = shell.run().exits(code).says(&format!("::error title=vod-refresh%3A {outcome}::"));
        assert_eq!([outputs(&shell, "outcome"), outputs(&shell, "exit-code")], [outcome, &code.to_string()]);
        let summary = fs::read_to_string(shell.path("summary")).unwrap();
        assert!(summary.contains("### ") && summary.contains(part), "{part}: {summary}\n{run:?}");
        assert!(!outputs(&shell, "message").is_empty(), "{run:?}");
    }
    // What is no run leaves nothing.
    let shell = step(Shell::new("quota"));
    shell.run().exits(3).does_not_say("::error");
    assert!(!shell.path("outputs").exists());
}

#[test]
fn the_report_is_among_the_outputs_for_steps_in_other_folders() {
    let cloud = Cloud::new(quick());
    let shell = step(cloud.shell("refresh m1 --poll-interval 100ms --report r.json"));
    shell.run().exits(0).does_not_say("::error");
    let report = fs::read_to_string(outputs(&shell, "report")).unwrap();
    assert!(outputs(&shell, "report").starts_with('/') && report.contains("\"complete\""), "{report}");
}

#[test]
fn words_of_strangers_are_no_commands_to_githubs_runner() {
    // The runner trims a line before it looks, and finds the old form anywhere.
    let bad = MediaScript::failing("Bad", "no\n::add-mask::a\n  ::set-output name=x::y ##[add-path]/tmp");
    let id = "::stop-commands::x";
    let job = JobScript { media: vec![id.into(), "m1".into()], ..JobScript::default() };
    let cloud = Cloud::new(
        quick().with_media(id, bad.clone()).with_media("m1", bad).with(|s| s.jobs.insert("J1".into(), job)),
    );
    for form in ["text", "json", "ndjson"] {
        let line = format!("wait J1 --expect 2 --poll-interval 100ms --no-journal --output {form}");
        let run = step(cloud.shell(&line)).run().exits(6);
        let commands = run.stdout.lines().chain(run.stderr.lines()).filter(|line| {
            line.contains("##[") || line.trim_start().starts_with("::") && !line.starts_with("::error title=")
        });
        assert_eq!(commands.count(), 0, "{run:?}");
        let last = run.stdout.lines().last().unwrap();
        let report: serde_json::Value = match form {
            "text" => continue,
            "json" => run.report(),
            _ => serde_json::from_str(last).unwrap(),
        };
        assert_eq!(report["media"][0]["media_id"], id);
        let message = report["media"][1]["error"]["message"].as_str().unwrap();
        assert!(message.contains("##[add-path]"), "{message}");
    }
}

#[test]
fn a_stdout_that_nobody_reads_keeps_no_summary_back() {
    let open = open_tasks();
    let cloud = Cloud::new(quick().with(|s| s.default_media = MediaScript { task_ids: vec![], ..open }));
    let ids: Vec<String> = (0..600).map(|n| format!("media-{n}")).collect();
    let line = format!("refresh {} --poll-interval 100ms --output json --timeout 2s", ids.join(" "));
    let shell = step(cloud.shell(&line)).stdout_unread();
    let run = shell.start();
    wait_for("the summary", || {
        fs::read_to_string(shell.path("outputs")).ok().filter(|t| t.contains("exit-code=8"))
    });
    run.signal("TERM");
    run.finish();
    assert!(fs::read_to_string(shell.path("summary")).unwrap().contains("refresh timeout"));
}

/// Every `--option` in a text.
fn options_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    words.filter_map(|word| word.strip_prefix("--")).filter(|w| w.len() > 1).map(str::to_owned).collect()
}

#[test]
fn the_action_has_an_input_for_every_option() {
    let help = Shell::new("refresh --help").run().exits(0).stdout;
    // Those that make no sense where nobody can reach the machine or read the terminal.
    let without = [
        "allow-http",
        "allow-unsigned-callbacks",
        "ca-file",
        "callback-auth-key-file",
        "callback-listen",
        "callback-url",
        "color",
        "dry-run",
        "help",
        "log-format",
        "no-journal",
        "output",
        "progress",
        "quiet",
        "verbose",
        "version",
    ];
    let action = read(".github/actions/refresh/action.yml");
    let (script, inputs) = (read(".github/actions/refresh/run.sh"), action.split("outputs:").next().unwrap());
    let defined: BTreeSet<&str> = help
        .lines()
        .filter_map(|line| line.trim_start().split_once("--").filter(|(before, _)| before.len() <= 4))
        .map(|(_, rest)| rest.split([' ', ',', '=', '<', '[', '.']).next().unwrap())
        .collect();
    assert!(defined.len() > 30, "{defined:?}");
    for option in defined.iter().filter(|option| !without.contains(option)) {
        assert!(inputs.contains(&format!("\n  {option}: {{")), "the action has no input {option}");
        assert!(script.contains(option), "the script passes no {option}");
        let variable =
            format!("INPUT_{}: ${{{{ inputs.{option} }}}}", option.to_uppercase().replace('-', "_"));
        assert!(action.contains(&variable), "the action lacks {variable}");
    }
}

#[test]
fn the_action_hands_on_every_output_of_the_command() {
    let cloud = Cloud::new(quick());
    let shell = step(cloud.shell("refresh m1 --poll-interval 100ms --report r.json"));
    shell.run().exits(0);
    let (action, page) = (read(".github/actions/refresh/action.yml"), read("src/docs/pipelines.md"));
    for line in fs::read_to_string(shell.path("outputs")).unwrap().lines() {
        let (name, _) = line.split_once('=').unwrap();
        assert!(action.contains(&format!("${{{{ steps.run.outputs.{name} }}}}")), "{name}");
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn the_actions_script_runs_the_command_and_nothing_that_is_in_an_input() {
    let cloud = Cloud::new(quick());
    let home = tempfile::tempdir().unwrap();
    let run = |ids: &str| {
        let output = Command::new("bash")
            .arg(format!("{ROOT}/.github/actions/refresh/run.sh"))
            .env_clear()
            .envs([
                ("PATH", "/usr/bin:/bin"),
                ("HOME", home.path().to_str().unwrap()),
                ("INPUT_BINARY", BINARY),
            ])
            .envs([
                ("ALIBABA_CLOUD_ACCESS_KEY_ID", "testid"),
                ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "testsecret"),
            ])
            .envs([("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true"), ("INPUT_COMMAND", "preload")])
            .envs([("INPUT_MEDIA_IDS", ids), ("INPUT_NO_WAIT", "true"), ("INPUT_TIMEOUT", "30s")])
            .env("INPUT_ENDPOINT", cloud.url())
            .stdin(Stdio::null())
            .current_dir(home.path())
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = run("m1 m2\nm3");
    assert!(code == Some(0) && said.contains("preloading 3 media"), "{said}");
    assert_eq!(cloud.calls("RefreshMediaPlayUrls")[0].params["MediaIds"], "m1,m2,m3");
    let (code, said) = run("m1 m2\n$(touch pwned)");
    assert!(code == Some(2) && said.contains("\"$(touch\" has `$` in it"), "{said}");
    assert!(!home.path().join("pwned").exists() && cloud.calls("RefreshMediaPlayUrls").len() == 1);
}

#[test]
fn inputs_that_the_action_refuses_leave_their_outputs_too() {
    for (input, value) in [("COMMAND", "purge\n::x"), ("NO_WAIT", "perhaps"), ("BINARY", "no-such-command")] {
        let home = tempfile::tempdir().unwrap();
        let mut script = Command::new("bash");
        script.arg(format!("{ROOT}/.github/actions/refresh/run.sh")).env_clear();
        script.envs([("PATH", "/usr/bin:/bin"), ("INPUT_BINARY", BINARY), ("INPUT_COMMAND", "refresh")]);
        script.env(format!("INPUT_{input}"), value).env("GITHUB_OUTPUT", home.path().join("outputs"));
        let output = script.stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{input}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            said.starts_with("::error title=vod-refresh%3A usage::") && said.lines().count() == 1,
            "{said}"
        );
        let outputs = fs::read_to_string(home.path().join("outputs")).unwrap();
        assert!(outputs.starts_with("outcome=usage\nexit-code=2\nmessage="), "{outputs}");
    }
}

/// The script of the GitLab example.
fn gitlab_script() -> String {
    let pipeline = read("examples/gitlab-ci.yml");
    let (_, script) = pipeline.split_once("  script:\n    - |\n").unwrap();
    script.lines().map_while(|line| line.strip_prefix("      ")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_gitlab_job_that_is_retried_resumes_its_run() {
    let cloud = Cloud::new(quick().with_media("m1", open_tasks()));
    let shell = cloud.shell("").file("media.txt", "m1\n").env("VOD_REFRESH_ENDPOINT", cloud.url());
    let journal = shell.path(".vod-refresh/journal.db").display().to_string();
    let shell = shell.env("VOD_REFRESH_JOURNAL", journal);
    let job = shell.instead(&gitlab_script().replace("--timeout 30m", "--timeout 2s --poll-interval 100ms"));
    job.run().exits(8);
    cloud.emulator.complete_task("1");
    cloud.emulator.complete_task("2");
    job.run().exits(0).says("carrying on run");
    assert_eq!(cloud.count("RefreshMediaPlayUrls"), 1);
    assert!(fs::exists(job.path("junit.xml")).unwrap() && fs::exists(job.path("run.html")).unwrap());
}

#[test]
fn the_examples_for_other_systems_name_what_there_is() {
    let help = options_in(&Shell::new("refresh --help").run().exits(0).stdout);
    for option in options_in(&gitlab_script()).iter().filter(|option| *option != "output") {
        assert!(help.contains(option), "--{option}");
    }
    let container = read("examples/container/Containerfile");
    let copies = container.lines().filter(|line| line.starts_with("COPY ") && !line.contains("--from"));
    for line in copies {
        let mut sources: Vec<&str> = line.split_whitespace().skip(1).collect();
        sources.pop();
        for source in sources {
            assert!(fs::exists(format!("{ROOT}/{source}")).unwrap(), "{source}");
        }
    }
}
