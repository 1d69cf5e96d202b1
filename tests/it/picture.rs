//! The picture of the terminal in the README: a run on a real terminal, drawn as SVG.
//!
//! `VOD_REFRESH_PICTURE=src/docs/terminal.svg cargo test --test it picture` makes it anew.

use std::fmt::Write as _;

use vod_refresh::emulator::{MediaScript, Scenario, Which};

use crate::program::{Cloud, Home};
use crate::terminal::Terminal;

const COLUMNS: u16 = 100;
/// The size of a character of the font below, in pixels.
const CELL: (f32, f32) = (7.8, 18.0);

#[test]
fn the_picture_of_the_readme_shows_a_run_of_today() {
    let screens = screens();
    let text = screens.join("\n");
    for part in ["batches", "60 of 90 ended", "refresh partial: 44 of 45 media complete"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    if let Some(file) = std::env::var_os("VOD_REFRESH_PICTURE") {
        std::fs::write(file, draw(&screens)).unwrap();
    }
}

/// The rows in the middle of a run, and at its end.
fn screens() -> Vec<String> {
    let failing = MediaScript {
        failed_tasks: Which::At(vec![1]),
        failed_description: Some("Origin Timeout".to_owned()),
        ..MediaScript::default()
    };
    let stuck = MediaScript { never_complete: Which::All(true), ..MediaScript::default() };
    let scenario = Scenario::new().with_default_media(stuck).with_media("lesson-07", failing);
    let (cloud, home) = (Cloud::new(scenario), Home::new());
    let ids: Vec<String> = (1..=45).map(|n| format!("lesson-{n:02}")).collect();
    std::fs::write(home.path().join("changed.txt"), ids.join("\n")).unwrap();
    let arguments = ["refresh", "--from-file", "changed.txt", "--endpoint", &cloud.endpoint];
    let quick = ["--poll-interval", "200ms", "--max-rps", "50", "--lookup-after", "0s"];
    let (mut terminal, child) = Terminal::start(&home, COLUMNS, &[&arguments[..], &quick].concat());
    terminal.waits_for("45 of 45 media");
    cloud.complete(&ids[..30]);
    terminal.waits_for("60 of 90 ended");
    let midway = terminal.screen().trim_end().lines().map(str::to_owned).collect::<Vec<_>>();
    cloud.complete(&ids[30..]);
    let (_, last) = terminal.end(child);
    let last = last.trim_end().lines().map(str::to_owned).collect();
    let command = "$ vod-refresh refresh --from-file changed.txt".to_owned();
    [vec![command], midway, vec![String::new()], last].concat()
}

/// The rows as an SVG: text, so that it is sharp, small, and can be searched.
fn draw(rows: &[String]) -> String {
    let height = (rows.len() as f32 + 1.5) * CELL.1;
    let width = f32::from(COLUMNS) * CELL.0 + 24.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\">\n\
         <title>vod-refresh on a terminal: a run in the middle, and its end</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#14181f\"/>\n\
         <g font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" \
         font-size=\"13\" fill=\"#d8dee9\">\n"
    );
    for (n, row) in rows.iter().enumerate().filter(|(_, row)| !row.is_empty()) {
        let y = (n as f32 + 1.6) * CELL.1;
        let length = row.chars().count() as f32 * CELL.0;
        let text = row.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        // Spaces in a row are kept by some renderers only.
        let text = text.replace(" ", "\u{a0}");
        // With its length said, a row is as wide in any font.
        let _ = writeln!(svg, "<text x=\"12\" y=\"{y:.1}\" textLength=\"{length:.1}\">{text}</text>");
    }
    svg + "</g>\n</svg>\n"
}
