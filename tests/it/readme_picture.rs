//! The picture of the terminal in the README: a run on a real terminal, drawn as SVG.
//!
//! `VOD_REFRESH_PICTURE=src/docs/terminal.svg cargo test --test it picture` makes it anew.

use std::fmt::Write as _;

use vod_refresh::emulator::{MediaScript, Scenario, Which};
use vt100::Color;

use crate::support::program::{Cloud, Home};
use crate::support::scripts::open_media;
use crate::support::terminal::Terminal;

const COLUMNS: u16 = 100;
/// The size of a character of the font below, in pixels.
const CELL: (f32, f32) = (7.8, 18.0);
/// Left and upper edge.
const EDGE: f32 = 16.0;
const PLAIN: &str = "#d8dee9";
const SOFT: &str = "#7b8698";

/// Neighbours that look the same: their text, and its colour.
type Piece = (String, &'static str);

#[test]
fn the_picture_of_the_readme_shows_a_run_of_today() {
    let rows = rows();
    let text: Vec<String> =
        rows.iter().map(|row| row.iter().map(|(text, _)| text.as_str()).collect()).collect();
    for part in [
        "batches",
        " left",
        "60 of 90 ended",
        "29 of 45 complete",
        "refresh partial: 44 of 45 media complete",
    ] {
        assert!(text.iter().any(|row| row.contains(part)), "{part} in {text:#?}");
    }
    let picture = draw(&rows);
    assert!(picture.len() < 6_000, "{} bytes", picture.len());
    if let Some(file) = std::env::var_os("VOD_REFRESH_PICTURE") {
        std::fs::write(file, picture).unwrap();
    }
}

/// The rows in the middle of a run, an empty one, and the rows at its end.
fn rows() -> Vec<Vec<Piece>> {
    let failing = MediaScript {
        failed_tasks: Which::At(vec![1]),
        failed_description: Some("Origin Timeout".to_owned()),
        ..MediaScript::default()
    };
    let stuck = open_media();
    let scenario = Scenario::new().with(|s| s.default_media = stuck).with_media("lesson-07", failing);
    let (cloud, home) = (Cloud::new(scenario), Home::new());
    let ids: Vec<String> = (1..=45).map(|n| format!("lesson-{n:02}")).collect();
    std::fs::write(home.path().join("changed.txt"), ids.join("\n")).unwrap();
    let arguments = ["refresh", "--from-file", "changed.txt", "--endpoint", &cloud.endpoint];
    let quick = ["--poll-interval", "200ms", "--max-rps", "50", "--lookup-after", "0s"];
    let (mut terminal, child) = Terminal::start(&home, COLUMNS, &[&arguments[..], &quick].concat());
    terminal.waits_for("45 of 45 media");
    // The tasks of the one that fails end by themselves: completed from here they might be before that.
    let (before, after) = (ids.iter().take(6), ids[..30].iter().skip(7));
    cloud.complete(&before.chain(after).collect::<Vec<_>>());
    terminal.waits_for("60 of 90 ended");
    // The verdicts on their media come seconds later.
    terminal.waits_for("29 of 45 complete, 1 failed");
    // Their rate is known a little later; what was guessed before does not count.
    terminal.waits_to_see(" left");
    let midway = looks(&mut terminal);
    cloud.complete(&ids[30..]);
    terminal.waits_for(" calls");
    let last = looks(&mut terminal);
    terminal.end(child);
    let command =
        vec![("$ ".to_owned(), SOFT), ("vod-refresh refresh --from-file changed.txt".to_owned(), PLAIN)];
    [vec![command], midway, vec![Vec::new()], last].concat()
}

/// What stands on the screen, without the empty rows below.
fn looks(terminal: &mut Terminal) -> Vec<Vec<Piece>> {
    let mut rows: Vec<Vec<Piece>> = terminal.cells().into_iter().map(pieces).collect();
    while rows.last().is_some_and(Vec::is_empty) {
        rows.pop();
    }
    rows
}

fn pieces(cells: Vec<(String, Color)>) -> Vec<Piece> {
    let mut pieces: Vec<(String, &str)> = Vec::new();
    for (text, colour) in cells {
        let text = if text.is_empty() { " " } else { &text };
        let colour = match (text, colour) {
            ("█", _) => "#5e9ce0",
            ("░", _) => "#303846",
            (_, Color::Idx(1 | 9)) => "#ff7b86",
            (_, Color::Idx(2 | 10)) => "#7ee787",
            (_, Color::Idx(3 | 11)) => "#e3b341",
            (_, Color::Idx(8)) => SOFT,
            _ => PLAIN,
        };
        match pieces.last_mut() {
            Some((before, same)) if *same == colour => before.push_str(text),
            _ => pieces.push((text.to_owned(), colour)),
        }
    }
    if let Some((last, _)) = pieces.last_mut() {
        last.truncate(last.trim_end().len());
    }
    pieces.retain(|(text, _)| !text.is_empty());
    pieces
}

/// The rows as an SVG: text, so that it is sharp, small, and can be searched. Bars are drawn, since their characters
/// leave gaps in most fonts.
fn draw(rows: &[Vec<Piece>]) -> String {
    let height = rows.len() as f32 * CELL.1 + 2.0 * EDGE;
    let width = f32::from(COLUMNS) * CELL.0 + 2.0 * EDGE;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\">\n\
         <title>vod-refresh on a terminal: a run in the middle, and its end</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#14181f\"/>\n\
         <g font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" \
         font-size=\"13\" fill=\"{PLAIN}\">\n"
    );
    for (n, row) in rows.iter().enumerate() {
        let top = EDGE + n as f32 * CELL.1;
        if row.is_empty() && rows[..n].iter().all(|row| !row.is_empty()) {
            // Between the middle and the end.
            let y = top + CELL.1 / 2.0;
            let _ = writeln!(svg, "<path d=\"M0 {y:.0}H{width:.0}\" stroke=\"#303846\"/>");
        }
        let mut x = EDGE;
        for (text, colour) in row {
            let length = text.chars().count() as f32 * CELL.0;
            if text.starts_with(['█', '░']) {
                let y = top + 4.0;
                let _ = writeln!(
                    svg,
                    "<rect x=\"{x:.1}\" y=\"{y:.0}\" width=\"{length:.1}\" height=\"10\" fill=\"{colour}\"/>"
                );
            } else if !text.trim().is_empty() {
                let _ = writeln!(svg, "{}", words(text, (x, top + 13.0), length, colour));
            }
            x += length;
        }
    }
    svg + "</g>\n</svg>\n"
}

fn words(text: &str, (x, y): (f32, f32), length: f32, colour: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    // Spaces in a row are kept by some renderers only.
    let text = text.replace(' ', "\u{a0}");
    let fill = if colour == PLAIN { String::new() } else { format!(" fill=\"{colour}\"") };
    // With its length said, a piece is as wide in any font.
    format!("<text x=\"{x:.1}\" y=\"{y:.0}\" textLength=\"{length:.1}\"{fill}>{text}</text>")
}
