//! A real terminal that is closed, resized or suspended in mid-run: nothing is lost, and the exit code stays true.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use vod_refresh::emulator::Scenario;

use crate::support::action::QUERY_TASKS;
use crate::support::program::exit_code;
use crate::support::program::{Cloud, Home, SUBMIT, assert_resumes, signal, until};
use crate::support::scripts::open_media;
use crate::support::terminal::Terminal;

/// A cloud whose tasks end when a test says so.
fn open_cloud() -> Cloud {
    let open = open_media();
    Cloud::new(Scenario::new().with(|s| s.default_media = open))
}

fn refresh(cloud: &Cloud, more: &str) -> String {
    format!("\"$0\" refresh m1 --endpoint {} --poll-interval 50ms --report r.json {more}", cloud.endpoint)
}

/// Waits for the `count`th look at a task while the terminal is read.
fn looked(cloud: &Cloud, terminal: &mut Terminal, count: usize) {
    until("a look", || {
        terminal.shown();
        cloud.emulator.count(QUERY_TASKS) >= count
    });
}

fn outcome(home: &Home) -> Value {
    let text = std::fs::read_to_string(home.path().join("r.json")).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["outcome"].clone()
}

#[test]
fn a_closed_terminal_ends_the_run_in_good_order() {
    for form in ["text", "ndjson"] {
        let (cloud, home) = (open_cloud(), Home::new());
        let line = format!("exec {}", refresh(&cloud, &format!("--output {form}")));
        let (mut terminal, mut child) = Terminal::shell(&home, 100, &line);
        looked(&cloud, &mut terminal, 1);
        let closed = Instant::now();
        drop(terminal);
        assert_eq!(exit_code(&mut child), Some(143), "{form}");
        let took = closed.elapsed();
        assert!(took < Duration::from_secs(2), "{form}: {took:?}");
        assert_eq!(outcome(&home), "interrupted", "{form}");
        assert_resumes(&cloud, &home);
    }
}

#[test]
fn a_terminal_that_was_stopped_holds_up_neither_the_run_nor_its_report() {
    for more in ["", "--progress never", "--output ndjson"] {
        let (cloud, home) = (open_cloud(), Home::new());
        let (mut terminal, child) = Terminal::shell(&home, 100, &format!("exec {}", refresh(&cloud, more)));
        looked(&cloud, &mut terminal, 1);
        // Ctrl-S: from now on every write waits.
        terminal.types("\u{13}");
        let before = cloud.emulator.count(QUERY_TASKS);
        cloud.wait_for(QUERY_TASKS, before + 3);
        cloud.complete(&["m1"]);
        until("the report", || home.path().join("r.json").exists());
        assert_eq!(outcome(&home), "complete", "{more}");
        // Ctrl-Q.
        terminal.types("\u{11}");
        let (code, screen) = terminal.end(child);
        assert_eq!(code, Some(0), "{more}: {screen}");
        assert!(screen.contains("refresh complete: 1 of 1 media complete"), "{more}: {screen}");
    }
}

#[test]
fn a_terminal_that_was_stopped_keeps_no_signal_from_ending_the_run() {
    let (cloud, home) = (open_cloud(), Home::new());
    let (mut terminal, mut child) = Terminal::shell(&home, 100, &format!("exec {}", refresh(&cloud, "")));
    looked(&cloud, &mut terminal, 1);
    terminal.types("\u{13}");
    signal(&child, "TERM");
    assert_eq!(exit_code(&mut child), Some(143));
    assert_eq!(outcome(&home), "interrupted");
    assert_resumes(&cloud, &home);
}

#[test]
fn a_run_that_ignores_the_hangup_outlives_its_terminal() {
    for form in ["text", "json", "ndjson"] {
        let (cloud, home) = (open_cloud(), Home::new());
        let line = format!("trap '' HUP; exec {}", refresh(&cloud, &format!("--output {form}")));
        let (mut terminal, mut child) = Terminal::shell(&home, 100, &line);
        looked(&cloud, &mut terminal, 1);
        drop(terminal);
        // The signal has come by the time of another look, and once more by name.
        signal(&child, "HUP");
        let before = cloud.emulator.count(QUERY_TASKS);
        cloud.wait_for(QUERY_TASKS, before + 2);
        cloud.complete(&["m1"]);
        assert_eq!(exit_code(&mut child), Some(0), "{form}");
        assert_eq!(outcome(&home), "complete", "{form}");
    }
}

#[test]
fn a_run_that_is_suspended_goes_on_when_it_is_woken() {
    let (cloud, home) = (open_cloud(), Home::new());
    let line = format!("set -m; {}; echo stopped=$?; read key; fg; echo ended=$?", refresh(&cloud, ""));
    let (mut terminal, mut child) = Terminal::shell(&home, 100, &line);
    looked(&cloud, &mut terminal, 1);
    terminal.types("\u{1a}");
    // 128 and SIGTSTP.
    terminal.waits_for("stopped=148");
    cloud.complete(&["m1"]);
    terminal.types("\n");
    terminal.waits_for("ended=0");
    exit_code(&mut child);
    assert_eq!((outcome(&home), cloud.emulator.count(SUBMIT)), ("complete".into(), 1));
}

#[test]
fn time_that_a_run_sleeps_counts_for_its_deadline() {
    let (cloud, home) = (open_cloud(), Home::new());
    let line = refresh(&cloud, "--timeout 2s");
    let line = format!("set -m; {line}; echo stopped=$?; read key; fg; echo ended=$?");
    let (mut terminal, mut child) = Terminal::shell(&home, 100, &line);
    looked(&cloud, &mut terminal, 1);
    terminal.types("\u{1a}");
    terminal.waits_for("stopped=148");
    std::thread::sleep(Duration::from_millis(3_200));
    terminal.types("\n");
    terminal.waits_for("ended=8");
    assert!(terminal.shown().contains("vod-refresh resume "), "{}", terminal.shown());
    exit_code(&mut child);
    assert_resumes(&cloud, &home);
}

#[test]
fn a_terminal_may_change_its_size_at_any_time() {
    for last in [0, 1, 60] {
        let (cloud, home) = (open_cloud(), Home::new());
        let (mut terminal, mut child) =
            Terminal::shell(&home, 100, &format!("exec {}", refresh(&cloud, "--color never")));
        for (n, columns) in [200, 10, 0, 1, 500, 80, last].into_iter().enumerate() {
            looked(&cloud, &mut terminal, n + 1);
            terminal.resize(columns);
        }
        cloud.complete(&["m1"]);
        terminal.waits_for(" calls\r\n");
        assert_eq!(exit_code(&mut child), Some(0), "{last}");
        let shown = terminal.shown();
        // No room for a row in a line: a media has one of its own.
        assert_eq!(shown.contains("m1  complete\r\n"), last == 60 || last == 1, "{last}: {shown}");
    }
}
