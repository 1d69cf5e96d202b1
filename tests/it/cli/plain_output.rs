//! What a log file looks like afterwards: no escape codes, few lines, and a sign of life.

use std::process::{Command, Stdio};

use super::cloud::Cloud;
use super::process::Finished;
use super::scenarios::{ms, quick};
use super::shell::{BINARY, Shell};

/// A run that is long enough for the line that shows life, after five seconds.
fn cloud() -> Cloud {
    Cloud::new(quick().with(|s| s.task_duration = ms(5_600)))
}

const LINE: &str = "refresh m1 m2 --poll-interval 1s --output json";

fn is_clean(text: &str) {
    assert!(!text.contains('\u{1b}'), "an escape code: {text:?}");
    assert!(!text.replace("\r\n", "\n").contains('\r'), "a lone CR: {text:?}");
}

fn is_sparse_and_alive(stderr: &str) {
    is_clean(stderr);
    let lines = stderr.lines().count();
    assert!((1..=20).contains(&lines), "{lines} lines: {stderr}");
    assert!(stderr.contains("elapsed"), "no sign of life: {stderr}");
}

fn is_only_the_result(stdout: &str) {
    is_clean(stdout);
    let report: serde_json::Value = serde_json::from_str(stdout).unwrap();
    assert_eq!(report["outcome"], "complete");
}

/// Stdout and stderr to files.
#[test]
fn output_to_files_is_a_result_and_a_few_lines() {
    let cloud = cloud();
    let shell = cloud.shell("");
    let run = shell.instead(&format!("vod-refresh {LINE} >out 2>err"));
    run.run().exits(0);
    let read = |name| std::fs::read_to_string(run.path(name)).unwrap();
    is_sparse_and_alive(&read("err"));
    is_only_the_result(&read("out"));
}

/// Runs `LINE` with stderr on a terminal of its own, and stdout too where `both` says so.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn on_a_terminal(cloud: &Cloud, both: bool, variables: &[(&str, &str)]) -> Option<(Finished, Shell)> {
    let there = Command::new("script").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        eprintln!("skipped: `script` of util-linux, which makes a terminal, is not there");
        return None;
    }
    let to = if both { "" } else { " >out" };
    let mut shell =
        cloud.shell("").instead(&format!("script -qefc '{BINARY} {LINE}{to}' /dev/null </dev/null"));
    for (name, value) in variables {
        shell = shell.env(name, *value);
    }
    // What comes out of the terminal comes out of `script`'s stdout.
    Some((shell.run().exits(0), shell))
}

/// A CI system that offers a terminal.
#[test]
fn a_terminal_with_ci_set_gets_the_same_plain_lines() {
    let cloud = cloud();
    let Some((run, shell)) = on_a_terminal(&cloud, false, &[("CI", "true"), ("TERM", "xterm")]) else {
        return;
    };
    is_sparse_and_alive(&run.stdout);
    is_only_the_result(&std::fs::read_to_string(shell.path("out")).unwrap());
}

/// A terminal that can't or shall not draw.
#[test]
fn a_terminal_without_colour_gets_the_same_plain_lines() {
    let cloud = cloud();
    let variables = [("NO_COLOR", "1"), ("TERM", "dumb")];
    let Some((run, shell)) = on_a_terminal(&cloud, false, &variables) else { return };
    is_sparse_and_alive(&run.stdout);
    is_only_the_result(&std::fs::read_to_string(shell.path("out")).unwrap());
}

/// The counterpart: on a terminal of a person it draws, and leaves nothing of that in the table.
#[test]
fn a_terminal_of_a_person_gets_a_live_line() {
    let cloud = Cloud::new(quick().with(|s| s.task_duration = ms(800)));
    let Some((run, _)) = on_a_terminal(&cloud, true, &[("TERM", "xterm")]) else { return };
    assert!(run.stdout.contains('\u{1b}'), "{:?}", run.stdout);
    assert!(run.stdout.contains("\"outcome\": \"complete\""), "{:?}", run.stdout);
}

/// Log lines have no colours to give, and are written all the same.
#[test]
fn log_lines_come_where_colours_are_asked_for() {
    let cloud = Cloud::new(quick());
    let run = cloud.shell("refresh m1 --poll-interval 100ms -v --color always").run().exits(0);
    assert!(run.stderr.contains(" DEBUG vod_refresh::"), "{}", run.stderr);
    assert!(!run.stderr.contains("ansi"), "{}", run.stderr);
}
