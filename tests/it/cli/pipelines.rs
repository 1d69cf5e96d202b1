//! What CI systems get: GitHub's summary, annotations and outputs; the action and the examples beside it.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};

use vod_refresh::emulator::MediaScript;

use super::cloud::Cloud;
use super::scenes::quick;
use super::shell::{BINARY, Shell};

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
fn the_actions_script_runs_the_command() {
    let cloud = Cloud::new(quick());
    let home = tempfile::tempdir().unwrap();
    let output = Command::new("bash")
        .arg(format!("{ROOT}/.github/actions/refresh/run.sh"))
        .env_clear()
        .envs([("PATH", "/usr/bin:/bin"), ("HOME", home.path().to_str().unwrap()), ("INPUT_BINARY", BINARY)])
        .envs([("ALIBABA_CLOUD_ACCESS_KEY_ID", "testid"), ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "testsecret")])
        .envs([("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true"), ("INPUT_COMMAND", "preload")])
        .envs([
            ("INPUT_MEDIA_IDS", "m1 m2\n$(touch pwned)"),
            ("INPUT_NO_WAIT", "true"),
            ("INPUT_TIMEOUT", "30s"),
        ])
        .env("INPUT_ENDPOINT", cloud.url())
        .stdin(Stdio::null())
        .current_dir(home.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("preloading 4 media"), "{said}");
    // What is in an input is never run: here it is an odd id.
    let ids = &cloud.calls("RefreshMediaPlayUrls")[0].params["MediaIds"];
    assert!(ids.starts_with("m1,m2,$(touch") && !home.path().join("pwned").exists(), "{ids}");
}

#[test]
fn the_examples_for_other_systems_name_what_there_is() {
    let help = options_in(&Shell::new("refresh --help").run().exits(0).stdout);
    let pipeline = read("examples/gitlab-ci.yml");
    let script = pipeline.lines().find(|line| line.contains("- vod-refresh ")).unwrap();
    for option in options_in(script) {
        assert!(help.contains(&option), "--{option}");
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
