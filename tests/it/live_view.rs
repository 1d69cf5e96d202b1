//! The live view on terminals of several widths, and what they show in the end.

use std::process::Child;

use vod_refresh::emulator::{MediaScript, Scenario};

use crate::support::program::{Cloud, Home};
use crate::support::scripts::open_media;
use crate::support::terminal::Terminal;

/// 45 media with two URLs, whose tasks end when the test says so.
struct LiveRun {
    cloud: Cloud,
    home: Home,
    ids: Vec<String>,
}

impl LiveRun {
    fn new() -> Self {
        let stuck = open_media();
        let gone = MediaScript { missing: true, ..MediaScript::default() };
        let scenario = Scenario::new().with(|s| s.default_media = stuck).with_media("gone", gone);
        let (cloud, home) = (Cloud::new(scenario), Home::new());
        let ids = (1..45).map(|n| format!("lesson-{n:02}")).chain(["gone".to_owned()]).collect();
        Self { cloud, home, ids }
    }

    fn start(&self, columns: u16) -> (Terminal, Child) {
        let mut line = vec!["refresh", "--endpoint", &self.cloud.endpoint];
        line.extend(["--poll-interval", "200ms", "--max-rps", "50", "--lookup-after", "0s"]);
        line.extend(self.ids.iter().map(String::as_str));
        Terminal::start(&self.home, columns, &line)
    }
}

/// The screen in mid-run and at the end, without what differs from run to run.
fn shows(columns: u16) {
    let run = LiveRun::new();
    let (mut terminal, child) = run.start(columns);
    terminal.waits_for("44 of 44 media");
    run.cloud.complete(&run.ids[0..22]);
    terminal.waits_for("44 of 88 ended");
    let midway = terminal.screen();
    run.cloud.complete(&run.ids[22..44]);
    let (code, last) = terminal.end(child);
    assert_eq!(code, Some(7), "{last}");
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    for (what, instead) in [
        ("[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]", "⠹"),
        (r"(media  )\d+s.*", "${1}[time]"),
        (r", [\d.]+/(s|min)", ""),
        (r"; \d+s, \d+ calls", "; [time, calls]"),
        (r"(request id )[0-9A-F-]{36}", "${1}[id]"),
    ] {
        settings.add_filter(what, instead);
    }
    settings.bind(|| {
        insta::assert_snapshot!(
            format!("terminal_{columns}"),
            format!("{midway}\n\n-- in the end --\n\n{last}\n")
        );
    });
}

#[test]
fn a_terminal_of_60_columns_shows_what_matters() {
    shows(60);
}

#[test]
fn a_terminal_of_100_columns_shows_all() {
    shows(100);
}

#[test]
fn a_terminal_of_200_columns_is_not_filled_for_its_own_sake() {
    shows(200);
}

#[test]
fn a_terminal_that_changes_its_width_harms_nothing() {
    let run = LiveRun::new();
    let (mut terminal, child) = run.start(100);
    terminal.waits_for("44 of 44 media");
    for columns in [60, 200, 20, 100] {
        terminal.resize(columns);
        // A frame of this width was drawn.
        std::thread::sleep(std::time::Duration::from_millis(400));
    }
    run.cloud.complete(&run.ids[0..44]);
    let (code, last) = terminal.end(child);
    assert_eq!(code, Some(7), "{last}");
    assert!(last.contains("refresh partial: 44 of 45 media complete"), "{last}");
}

#[test]
fn ctrl_c_ends_it_in_order_and_leaves_a_clean_screen() {
    let run = LiveRun::new();
    let (mut terminal, child) = run.start(100);
    terminal.waits_for("44 of 44 media");
    terminal.types("\u{3}");
    let (code, last) = terminal.end(child);
    assert_eq!(code, Some(130), "{last}");
    assert!(!last.contains('█') && !last.contains("^C"), "{last}");
    assert!(last.contains("refresh interrupted: 0 of 45 media complete"), "{last}");
}
